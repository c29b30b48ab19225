/* SPDX-License-Identifier: MIT */
/* where.h -- the machine's nodes as the system tells them, and on which of them pages are. Knows nothing of the library
 * but varve_heap_contains, so that it is a second witness. Node numbers are the system's.
 */
#ifndef VARVE_GUEST_WHERE_H
#define VARVE_GUEST_WHERE_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <varve/varve.h>

#define NODES_MAX 64u
#define PAGE 4096u
#define REGION_PAGES 512u /* 2 MiB */
#define MIB ((size_t)1 << 20)
#define REGION_KIB 2100u /* of heap-initial for each region: its side tables count */

/* Sets of nodes are words, bit k for node k. */
struct node {
  bool present;
  bool memory;     /* has some, and this process may use it */
  bool processors; /* has some, allowed or not */
  cpu_set_t cpus;  /* those allowed */
  unsigned distance[NODES_MAX];
};

struct machine {
  unsigned count; /* highest node + 1 */
  struct node node[NODES_MAX];
  cpu_set_t allowed; /* processors of this process when it began */
  bool limited;      /* there are processors or memory that this process may not use */
  uint64_t memory;   /* nodes with usable memory */
  uint64_t ordinary; /* of them, those that some processor belongs to; all, when there is none such */
  uint64_t near;     /* nodes with allowed processors, usable memory or not */
};

/* Read once; the same afterwards, whatever the caller pins itself to. */
const struct machine *machine(void);

/* Of the nodes in the set: those nearest to a node. The node itself, when it is in. */
uint64_t nearest_of(unsigned node, uint64_t set);
/* Where the memory for a processor of this node should be; several when they are equally near. */
uint64_t home_of(unsigned node);
/* All nodes that are home to an allowed processor. */
uint64_t homes(void);
unsigned first_of(uint64_t set);
unsigned last_of(uint64_t set);
unsigned count_of(uint64_t set);
static inline uint64_t bit(unsigned node) { return (uint64_t)1 << node; }

/* The nodes that the memory policy of this thread names; 0: it names none. */
uint64_t policy_nodes(void);
/* From now on this thread has none. */
void policy_end(void);

/* Pin the calling thread to an allowed processor of the node. */
void pin_to(unsigned node);

/* ---- pages ---- */

struct counts {
  uint64_t on[NODES_MAX];
  uint64_t missing; /* with nothing behind them */
  uint64_t total;
};

struct pages {
  void **at;
  size_t count, room;
};

void pages_add(struct pages *pages, const void *base, size_t bytes);
/* Where they are, each counted once; and forget them. */
struct counts pages_count(struct pages *pages);

/* Pages of the heap's committed ranges. */
struct counts pages_of_heap(const varve_heap *heap);
/* Pages of this process that belong to no file; those with nothing behind them are not counted. */
struct counts pages_of_process(void);
uint64_t nodes_of(const struct counts *counts);
/* What is more than it was. */
struct counts pages_since(const struct counts *before, struct counts now);

/* ---- what the system tells ---- */

uint64_t mapped_bytes(void); /* address space of this process that belongs to no file */
uint64_t free_bytes(unsigned node);
long free_huge_pages(unsigned node);   /* of 2 MiB, in the pool; -1: there is no pool */
bool huge_pages_are(const char *mode); /* "always", "madvise" or "never" */

/* Of /proc/self/smaps, over the heap's ranges. */
struct huge_use {
  uint64_t transparent; /* bytes */
  uint64_t explicit;    /* bytes of mappings that consist of explicit huge pages */
};
struct huge_use huge_use_of_heap(const varve_heap *heap);

/* Take memory of a node, in this process, until so many bytes of it are left. Never asks for more than is free. For
 * small virtual machines: with more than 2 GiB free the check is skipped. */
void fill_node(unsigned node, size_t leave);

/* The heap's worker threads: how many, and the processors they may run on, each alone pinned to one or not. */
struct threads {
  unsigned count, unpinned;
  cpu_set_t cpus;
};
struct threads worker_threads(void);

#endif
