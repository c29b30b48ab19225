/* SPDX-License-Identifier: MIT */
/* place.h -- address space, and memory behind it on a chosen node.
 *
 * Idea       Reserve once, commit in pieces. Reserved space costs nothing, is not dumped and faults when touched.
 *            Committed memory prefers its node and is never bound strictly: a full node must not kill the process.
 * Invariants P1 base and bytes are multiples of the page size; committed ranges lie inside one reservation.
 *            P2 a range whose commit failed is reserved again, with nothing behind it.
 *            P3 memory that was just committed reads as zero, also when the range was committed before.
 *            P4 explicit huge pages are always populated before anybody can touch them: a fault that finds the pool
 *               empty would kill the process.
 * Called by  regions/ for heap and side tables, meta.c for metadata. Any thread; different ranges at the same time.
 * Cost       a commit is two to six system calls; with populate about 45 us a MiB in huge pages, 300 in small ones.
 */
#ifndef VARVE_NUMA_PLACE_H
#define VARVE_NUMA_PLACE_H

#include "numa/topology.h"

/* Reserve address space. `alignment` is a power of two; 0: the page. @return NULL: the system refused. */
void *varve__place_reserve(size_t bytes, size_t alignment);
/* Give back a whole reservation, with whatever is committed in it. */
void varve__place_release(void *base, size_t bytes);

/* How a range is committed. */
enum varve_place_how {
  PLACE_POPULATE = 1, /* take every page now */
  PLACE_HUGE = 2,     /* advise huge pages */
  PLACE_SMALL = 4,    /* advise against them */
  PLACE_EXPLICIT = 8, /* take pages of 2 MiB from the administrator's pool; when it has none: as PLACE_HUGE. Base and
                         bytes are multiples of 2 MiB. Needs PLACE_POPULATE */
  PLACE_LOCK = 16,    /* lock in memory, if the process may */
  PLACE_EXACT = 32    /* where memory is bound (numactl --membind): from this node and no other. The kernel ends the
                         process when it cannot, so the caller has asked varve__place_has_room */
};

/* Make a reserved range readable and writable, on node `node` (dense) when there is room; VARVE__NODES_MAX: on no node
 * in particular. `how`: flags of above.
 * @return false: the system refused, and the range is reserved as before. */
bool varve__place_commit(const struct varve_topology *t, void *base, size_t bytes, unsigned node, unsigned how);

/* Let pages of the range that have no memory yet come from the node. Whole pages: those that the range touches. `how`:
 * PLACE_EXACT counts. */
void varve__place_prefer(const struct varve_topology *t, void *base, size_t bytes, unsigned node, unsigned how);

/* Has the node so much memory that is free, or holds no more than copies of files, and a reserve besides? True when the
 * system does not tell. */
bool varve__place_has_room(const struct varve_topology *t, unsigned node, size_t bytes);

/* Where the pages of a populated range are. */
struct varve_location {
  unsigned node; /* dense: where most of them are; VARVE__NODES_MAX: on a node that is not ours */
  bool astray;   /* some are elsewhere than on the node asked about, */
  bool outside;  /* some on a node that is not ours */
};

/* Ask the system, for 16 pages of the range, or for all (`each`), whether they are on `node`. When it does not tell,
 * they are. */
struct varve_location varve__place_locate(const struct varve_topology *t, void *base, size_t bytes, unsigned node,
                                          bool each);

/* Something that `place` does not count is worth telling the user. */
static inline void varve__place_news(const struct varve_topology *t) {
  __atomic_fetch_add(&t->place->news, 1, __ATOMIC_RELAXED);
}

/* Give the memory back to the system and keep the address space. */
void varve__place_decommit(void *base, size_t bytes);

/* Map memory outside any reservation, preferring a node. @return NULL: refused. Undo with varve__place_release. */
void *varve__place_map(const struct varve_topology *t, size_t bytes, size_t alignment, unsigned node);

#endif
