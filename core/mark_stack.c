/* SPDX-License-Identifier: MIT */
/* mark_stack.c -- a worker's private stack: one current segment, and full ones in its deque, where others steal them.
 *
 * Called by  the mark loop, once per 127 entries or less often.   Memory  segments of the pool; none when it is empty.
 */
#include <string.h>

#include "core/marker.h"
#include "core/walk.h"

#define SHARE_MIN 8u /* entries below which a stack is not worth sharing */

/* Wake a thief. The push before and the count of sleepers are sequentially consistent: see sleep_for_news in mark.c. */
static void announce(struct varve_marker *marker) {
  if (!atomic_load(&marker->asleep)) return;
  atomic_fetch_add(&marker->news, 1);
  varve__park_wake(&marker->news, 1);
}

/* From the nearest pool that has one. */
static struct varve_segment *take_pooled(const struct mark_worker *worker) {
  const struct varve_topology *t = worker->heap->topology;
  struct varve_segment *fresh = NULL;
  for (unsigned step = 0; step < t->node_count && !fresh; ++step)
    fresh = varve__segment_take(&worker->heap->marker->pools[t->nodes[worker->node].nearest[step]]);
  return fresh;
}

static struct varve_segment *take(struct mark_worker *worker) {
  struct varve_segment *fresh = worker->spare ? worker->spare : take_pooled(worker);
  worker->spare = NULL;
  return fresh;
}

/* To the pool it is from. */
static void give(const struct mark_worker *worker, struct varve_segment *segment) {
  struct varve_segment_pool *pool = worker->heap->marker->pools;
  while (!segments_have(pool, segment)) ++pool;
  varve__segment_give(pool, segment);
}

__attribute__((noinline)) bool varve__mark_open_segment(struct mark_worker *worker) {
  struct varve_segment *fresh = take(worker);
  if (!fresh) return false;
  if (worker->current) {
    varve__deque_push(&worker->deque, worker->current);
    announce(worker->heap->marker);
  }
  worker->current = fresh;
  return true;
}

void varve__mark_adopt_segment(struct mark_worker *worker, struct varve_segment *segment) {
  struct varve_segment *old = worker->current;
  worker->current = segment;
  if (!old) return;
  if (!worker->spare) {
    worker->spare = old;
    old->count = 0;
  } else {
    give(worker, old);
  }
}

__attribute__((noinline)) bool varve__mark_reopen_segment(struct mark_worker *worker) {
  struct varve_segment *segment = varve__deque_pop(&worker->deque);
  if (segment) varve__mark_adopt_segment(worker, segment);
  return segment;
}

void varve__mark_share(struct mark_worker *worker) {
  struct varve_marker *marker = worker->heap->marker;
  struct varve_segment *current = worker->current;
  if (!atomic_load_explicit(&marker->idle, memory_order_relaxed) || !current || current->count < SHARE_MIN) return;
  if (!deque_is_empty(&worker->deque)) return;
  struct varve_segment *half = take(worker);
  if (!half) return;
  half->count = current->count / 2;
  memcpy(half->entries, current->entries, half->count * sizeof(uint64_t));
  current->count -= half->count;
  memmove(current->entries, current->entries + half->count, current->count * sizeof(uint64_t));
  varve__deque_push(&worker->deque, half);
  announce(marker);
}

void varve__mark_return_segments(struct mark_worker *worker) {
  if (worker->current) give(worker, worker->current);
  if (worker->spare) give(worker, worker->spare);
  worker->current = worker->spare = NULL;
}

#ifndef VARVE_PLANT_LOST_OVERFLOW
/* Too many for a list: the block, or the MEDIUM region it is in, is looked through. */
static void list_all(struct varve_space *space, uint32_t block) {
  if (space->blocks[block].kind == BLOCK_MEDIUM) block -= block % VARVE__REGION_BLOCKS;
  atomic_store_explicit(&space->blocks[block].pending, MARK_PENDING_ALL, memory_order_relaxed);
}

static void list_word(struct varve_space *space, uint32_t block, uint16_t word) {
  _Atomic uint8_t *pending = &space->blocks[block].pending;
  uint8_t count = atomic_load_explicit(pending, memory_order_relaxed);
  do
    if (count >= MARK_PENDING_MAX) {
      list_all(space, block);
      return;
    }
  while (!atomic_compare_exchange_weak_explicit(pending, &count, count + 1, memory_order_relaxed,
                                                memory_order_relaxed));
  space->ranks[(size_t)block * VARVE__BLOCK_LINES + count] = word;
}
#endif

/* The object's header is not read: it is mostly not in the cache. */
__attribute__((noinline)) void varve__mark_defer(struct mark_worker *worker, uint64_t index) {
  struct varve_space *space = &worker->heap->space;
  uint64_t bit = UINT64_C(1) << (index & 63);
  if (!worker->alone && __atomic_fetch_or(&space->bitmap[index >> 6], bit, __ATOMIC_RELAXED) & bit) return;
  ++worker->overflows;
#ifndef VARVE_PLANT_LOST_OVERFLOW
  list_word(space, (uint32_t)(index / VARVE__BLOCK_WORDS), index % VARVE__BLOCK_WORDS);
  atomic_store_explicit(&worker->heap->marker->overflowed, 1, memory_order_relaxed);
#endif
}
