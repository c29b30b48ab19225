/* SPDX-License-Identifier: MIT */
/* topology.h -- the part of the machine this process may use: processors, memory nodes, distances, limits.
 *
 * Idea       hwloc tells the machine's shape; the inherited cpu binding (taskset, numactl), the memory policy of the
 *            starting thread and the cgroup tell which part of it is ours. Everything is copied into plain arrays of
 *            dense indices, so that the rest of the library never asks hwloc, except to pin and to place.
 * Invariants T1 node_count >= 1 and cpu_count >= 1, whatever the machine says.
 *            T2 nodes[i].nearest is a permutation of 0..node_count-1: i itself, then the others by distance, those that
 *               are a last resort behind all others.
 *            T3 after load only the counters of `place` change, by relaxed atomic additions; all else is constant.
 *            T4 real == false (a described machine, for tests): placing and pinning do nothing and report success, and
 *               neither the binding nor the policy of this process counts.
 *            T5 a processor's node is never a last resort; the cpu_counts of all nodes add up to cpu_count.
 * Called by  heap.c once per heap, before any other thread knows the heap; afterwards read by any thread.
 * Cost       about a millisecond and some host malloc at load; nothing later.
 */
#ifndef VARVE_NUMA_TOPOLOGY_H
#define VARVE_NUMA_TOPOLOGY_H

#include "varve/types.h"

#define VARVE__CPUS_MAX 1024
#define VARVE__NODES_MAX 64

struct varve_cpu {
  unsigned os_index;
  unsigned node; /* dense index of its nearest usable node */
};

struct varve_node {
  unsigned os_index;
  uint64_t memory_bytes;
  unsigned cpu_count; /* of cpus[]: those whose nearest node it is; 0: nothing is wanted here, but others spill to it */
  bool last_resort;   /* no processor of the machine belongs to it (CXL, HBM), the inherited policy does not name
                         it, and there are others */
  unsigned nearest[VARVE__NODES_MAX];  /* T2 */
  unsigned distance[VARVE__NODES_MAX]; /* to each node, by dense index, as the firmware says: 10 is local */
};

/* What the starting thread's memory policy asks for (numactl, set_mempolicy). */
enum varve_memory_policy {
  VARVE__POLICY_LOCAL,      /* none, or "local": memory of the nodes near to whoever needs it */
  VARVE__POLICY_PREFERRED,  /* the nodes named, and others when those are full: nodes[] are those named */
  VARVE__POLICY_BIND,       /* the nodes named and no others, also when those are full: nodes[] are those named */
  VARVE__POLICY_INTERLEAVE  /* the nodes named in turn: nodes[] are those named */
};

/* What placing met with; it never fails for these. Relaxed atomics, any thread. */
struct varve_place_counters {
  uint64_t refused;   /* ranges the system gave no preference for their node; their memory works all the same */
  uint64_t unlocated; /* ranges of which the system would not say where they are */
  uint64_t unadvised; /* ranges that could not be advised to be huge */
  uint64_t unhuge;    /* ranges that found no explicit huge page, and are of ordinary pages */
  uint64_t unlocked;  /* ranges that could not be locked in memory */
  uint64_t touched;   /* ranges populated by touching, because MADV_POPULATE_WRITE is missing */
  uint64_t news;      /* how often one of these has changed */
};

struct varve_topology {
  unsigned cpu_count;
  struct varve_cpu cpus[VARVE__CPUS_MAX]; /* allowed, one hardware thread a core unless all are asked for, by hwloc's
                                             logical order: neighbours are near each other */
  unsigned node_count;
  struct varve_node nodes[VARVE__NODES_MAX]; /* usable for memory, by the system's numbers */
  unsigned quota_cpus;                       /* ceil of the cgroup (v1 or v2) CPU quota; 0: none */
  uint64_t memory_limit;                     /* bytes: the least of what is physical, of what the cgroup allows, and of
                                                the share of the nodes that may be used */
  uint64_t cache_bytes;                      /* of the last level, as the first processor reaches it; 0: unknown */
  bool real;                                 /* this machine, not a description of another one */
  enum varve_memory_policy policy;
  bool placed;                               /* the machine has more than one node, so ranges are given a preference */
  unsigned machine_nodes, machine_cpus;      /* with memory; hardware threads: ours or not */
  unsigned allowed_nodes, allowed_cpus;      /* of these: what cpuset and inherited binding leave, before the policy */
  uint8_t node_by_os_cpu[VARVE__CPUS_MAX];   /* dense node of every processor, allowed or not */
  uint16_t cpu_by_os_cpu[VARVE__CPUS_MAX];   /* index in cpus[] of every processor, or of one of its core or node */
  struct varve_place_counters *place;        /* host malloc */
  void *hwloc;                               /* hwloc_topology_t; NULL when hwloc could not load anything */
};

/* Ask the machine. `smt`: all allowed hardware threads of a core count, not one. @return VARVE_OK; VARVE_METADATA: no
 * memory, nothing is left behind. Any thread. */
varve_status varve__topology_load(struct varve_topology *out, bool smt, varve_error *error);

/* Give back what load took. The struct itself is the caller's. */
void varve__topology_unload(struct varve_topology *topology);

/* How many collecting threads make sense: min(cores, quota), at least 1. */
unsigned varve__topology_worker_count(const struct varve_topology *t);

/* Index in cpus[] of a processor; of one that is not there: of another thread of its core, else of one of its node. For
 * one never heard of: 0. Any thread, no system call; below VARVE__CPUS_MAX a table, beyond a search. */
unsigned varve__topology_core_of_cpu(const struct varve_topology *t, unsigned os_cpu);

/* Dense index of the node nearest to a processor; for one never heard of: that of cpus[0]. As cheap. */
unsigned varve__topology_node_of_cpu(const struct varve_topology *t, unsigned os_cpu);

/* How far `to` is from `from`, in steps: 0 is itself, 1 the nearest other one. The place of `to` in nearest[]. */
unsigned varve__topology_steps(const struct varve_topology *t, unsigned from, unsigned to);

#endif
