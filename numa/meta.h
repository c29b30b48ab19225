/* SPDX-License-Identifier: MIT */
/* meta.h -- memory for the collector's own tables, counted, placed by node, and given back as a whole.
 *
 * Idea       One jemalloc arena for each node that allowed cores are near to (others share that of the first core),
 *            whose extents are mapped by our hooks on that node. The jemalloc is a copy with names of its own
 *            (varve_je_...), so the host's malloc stays the host's. Destroying the arenas gives everything back, also
 *            what nobody freed. Builds with VARVE_META_MALLOC (hosts that load the library at run time, sanitizers)
 *            take the memory from the host's malloc and keep it in one list per node, so that closing gives it back
 *            just the same.
 * Invariants M1 memory comes zeroed.
 *            M2 varve__meta_bytes is what is mapped now; what is freed loses its pages and stays mapped for reuse until
 *            close (malloc form: what is in use).
 *            M3 a block is freed with the node, size and alignment it was taken with.
 *            M4 two metas share nothing that a user can see; no thread cache is involved.
 * Called by  heap.c (open, close), everything in regions/ and core/ that needs tables. Any thread. Takes a lock, and
 *            may make system calls: not inside a pause.
 */
#ifndef VARVE_NUMA_META_H
#define VARVE_NUMA_META_H

#include "numa/topology.h"

struct varve_meta;

/* @return NULL: no memory. The topology must outlive the meta. */
struct varve_meta *varve__meta_open(const struct varve_topology *t);
/* Everything is returned to the system, also what was not freed. NULL: nothing happens. */
void varve__meta_close(struct varve_meta *meta);

/* `alignment` is a power of two, 0: that of max_align_t. @return NULL: no memory. */
void *varve__meta_alloc(struct varve_meta *meta, unsigned node, size_t bytes, size_t alignment);
/* NULL: nothing happens. */
void varve__meta_free(struct varve_meta *meta, unsigned node, void *p, size_t bytes, size_t alignment);

/* The same for what holds words of the host: zeroed before, if the meta wipes. */
void varve__meta_free_words(struct varve_meta *meta, unsigned node, void *p, size_t bytes, size_t alignment);
/* From now on it wipes: option poison. Before anybody else has the meta. */
void varve__meta_wipe(struct varve_meta *meta);

/* Around a fork: nobody else is in the middle of an operation, so that both processes can go on. The jemalloc form has
 * handlers of its own for that. */
void varve__meta_lock(struct varve_meta *meta);
void varve__meta_unlock(struct varve_meta *meta);

/* The node for what is of no node in particular: that of the first allowed core. */
unsigned varve__meta_home(const struct varve_meta *meta);

/* Bytes of address space this node's tables occupy, the allocator's own overhead included. */
uint64_t varve__meta_bytes(const struct varve_meta *meta, unsigned node);

#endif
