/* SPDX-License-Identifier: MIT */
/* place.h -- address space, and memory behind it on a chosen node.
 *
 * Idea       Reserve once, commit in pieces. Reserved space costs nothing, is not dumped and faults when touched.
 *            Committed memory prefers its node and is never bound strictly: a full node must not kill the process.
 * Invariants P1 base and bytes are multiples of the page size; committed ranges lie inside one reservation.
 *            P2 a range whose commit failed is reserved again, with nothing behind it.
 *            P3 memory that was just committed reads as zero, also when the range was committed before.
 * Called by  regions/ for heap and side tables, meta.c for metadata. Any thread; different ranges at the same time.
 * Cost       a commit is two to five system calls; with populate about 45 us a MiB in huge pages, 300 in small ones.
 */
#ifndef VARVE_NUMA_PLACE_H
#define VARVE_NUMA_PLACE_H

#include "numa/topology.h"

/* Reserve address space. `alignment` is a power of two; 0: the page. @return NULL: the system refused. */
void *varve__place_reserve(size_t bytes, size_t alignment);
/* Give back a whole reservation, with whatever is committed in it. */
void varve__place_release(void *base, size_t bytes);

/* Make a reserved range readable and writable, on node `node` (dense) when there is room. `huge`: advise huge pages;
 * `populate`: take every page now. @return false: the system refused, and the range is reserved as before. */
bool varve__place_commit(const struct varve_topology *t, void *base, size_t bytes, unsigned node, bool huge,
                         bool populate);
/* Give the memory back to the system and keep the address space. */
void varve__place_decommit(void *base, size_t bytes);

/* Map memory outside any reservation, preferring a node. @return NULL: refused. Undo with varve__place_release. */
void *varve__place_map(const struct varve_topology *t, size_t bytes, size_t alignment, unsigned node);

#endif
