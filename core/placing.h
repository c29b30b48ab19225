/* SPDX-License-Identifier: MIT */
/* placing.h -- populating ahead, and telling the user what placing met with.
 *
 * Each kind of trouble is told once for a heap, and a full node once for each node: it does no harm but to speed.
 */
#ifndef VARVE_CORE_PLACING_H
#define VARVE_CORE_PLACING_H

#include "core/heap.h"

/* Flags of place.h for the options in force. */
unsigned varve__placing_how(const varve_options *options);

/* Creation, all tables open: commit regions until there are `wanted`, on the nodes of the allowed cores, in parallel
 * when there are many. @return how many there are. */
uint32_t varve__placing_populate(struct varve_heap *heap, uint32_t wanted);

/* Any thread, not in a pause: log what is new. Costs a load when nothing is. */
void varve__placing_tell_news(struct varve_heap *heap);
static inline void varve__placing_tell(struct varve_heap *heap) {
  uint64_t seen = atomic_load_explicit(&heap->placing_seen, memory_order_relaxed);
  if (__atomic_load_n(&heap->topology->place->news, __ATOMIC_RELAXED) != seen) varve__placing_tell_news(heap);
}

#endif
