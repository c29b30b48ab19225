/* SPDX-License-Identifier: MIT */
/* segment.c -- pool and deque of segment.h. Touched once per 127 entries. */
#include "core/segment.h"

#include <stddef.h>

void varve__segments_init(struct varve_segment_pool *pool, struct varve_segment *memory, uint32_t count) {
  pool->segments = memory;
  pool->count = count;
  atomic_init(&pool->head, 0);
  atomic_init(&pool->used, 0);
}

/* The count is looked at first, so that `used` overshoots by no more than the number of workers. */
static struct varve_segment *take_unused(struct varve_segment_pool *pool) {
  if (atomic_load_explicit(&pool->used, memory_order_relaxed) >= pool->count) return NULL;
  uint32_t index = atomic_fetch_add_explicit(&pool->used, 1, memory_order_relaxed);
  if (index >= pool->count) return NULL;
  pool->segments[index].count = 0;
  return &pool->segments[index];
}

struct varve_segment *varve__segment_take(struct varve_segment_pool *pool) {
  uint64_t head = atomic_load_explicit(&pool->head, memory_order_acquire); /* pairs with the release in give */
  for (;;) {
    uint32_t index = (uint32_t)head;
    if (!index) return take_unused(pool);
    struct varve_segment *segment = &pool->segments[index - 1];
    uint32_t next = atomic_load_explicit(&segment->next, memory_order_relaxed);
    uint64_t tag = (head >> 32) + 1;
    if (atomic_compare_exchange_weak_explicit(&pool->head, &head, tag << 32 | next, memory_order_acquire,
                                              memory_order_acquire)) {
      segment->count = 0;
      return segment;
    }
  }
}

void varve__segment_give(struct varve_segment_pool *pool, struct varve_segment *segment) {
  uint32_t index = (uint32_t)(segment - pool->segments) + 1;
  uint64_t head = atomic_load_explicit(&pool->head, memory_order_relaxed);
  do atomic_store_explicit(&segment->next, (uint32_t)head, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(&pool->head, &head, (head & ~UINT64_C(0xffffffff)) | index,
                                                memory_order_release, memory_order_relaxed));
}

void varve__deque_push(struct varve_deque *deque, struct varve_segment *segment) {
  int64_t bottom = atomic_load_explicit(&deque->bottom, memory_order_relaxed);
  atomic_store_explicit(&deque->ring[(uint64_t)bottom & deque->mask], segment, memory_order_relaxed);
  atomic_store(&deque->bottom, bottom + 1); /* release: pairs with the load in steal; the segment is seen whole */
}

struct varve_segment *varve__deque_pop(struct varve_deque *deque) {
  int64_t bottom = atomic_load_explicit(&deque->bottom, memory_order_relaxed) - 1;
  atomic_store(&deque->bottom, bottom); /* before the load of top: a thief or we see the other */
  int64_t top = atomic_load(&deque->top);
  struct varve_segment *segment = NULL;
  if (top <= bottom) segment = atomic_load_explicit(&deque->ring[(uint64_t)bottom & deque->mask], memory_order_relaxed);
  if (top == bottom && !atomic_compare_exchange_strong(&deque->top, &top, top + 1)) segment = NULL; /* a thief won */
  if (top >= bottom) atomic_store(&deque->bottom, bottom + 1);
  return segment;
}

#ifdef VARVE_PLANT_LOST_STEAL
#define STEAL_STEP 2
#else
#define STEAL_STEP 1
#endif

struct varve_segment *varve__deque_steal(struct varve_deque *deque) {
  int64_t top = atomic_load(&deque->top);
  int64_t bottom = atomic_load(&deque->bottom);
  if (top >= bottom) return NULL;
  struct varve_segment *segment =
      atomic_load_explicit(&deque->ring[(uint64_t)top & deque->mask], memory_order_relaxed);
  return atomic_compare_exchange_strong(&deque->top, &top, top + (STEAL_STEP)) ? segment : NULL;
}
