/* SPDX-License-Identifier: MIT */
/* segment.h -- the memory of mark stacks: segments of 127 entries, a KiB each, from a pool that is reserved outside the
 * pause, and a work-stealing deque of full segments.
 *
 * Pool: one for each node. A stack of free segments; the head packs a 32-bit index and a 32-bit tag that changes with
 *   every pop, so that a pop that was overtaken fails (no ABA). Behind it, segments that were never used: they are
 *   taken in order of address, so that memory is touched only when a graph needs it. Any worker takes and gives.
 * Deque: Chase and Lev, "Dynamic Circular Work-Stealing Deque" (SPAA 2005), in the C11 form of Le et al. (PPoPP
 *   2013) with sequentially consistent operations in place of fences. The ring never grows: it has room for every
 *   segment of the pool, so a push cannot fail. The owner pushes and pops at the bottom, thieves take from the top.
 */
#ifndef VARVE_CORE_SEGMENT_H
#define VARVE_CORE_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define VARVE__SEGMENT_ENTRIES 127u

struct varve_segment {
  uint32_t count;
  _Atomic uint32_t next; /* in the pool: index + 1 of the next free one; 0: none */
  uint64_t entries[VARVE__SEGMENT_ENTRIES];
};

struct varve_segment_pool {
  struct varve_segment *segments;
  uint32_t count;
  _Alignas(64) _Atomic uint64_t head; /* tag << 32 | index + 1; index part 0: empty */
  _Atomic uint32_t used;              /* segments from here on were never taken; may overshoot `count` */
};

static inline bool segments_have(const struct varve_segment_pool *pool, const struct varve_segment *segment) {
  return segment >= pool->segments && segment < pool->segments + pool->count;
}

struct varve_deque {
  struct varve_segment *_Atomic *ring; /* capacity a power of two, at least the pool's count */
  uint64_t mask;
  _Alignas(64) _Atomic int64_t top;    /* thieves advance it */
  _Alignas(64) _Atomic int64_t bottom; /* the owner's */
};

void varve__segments_init(struct varve_segment_pool *pool, struct varve_segment *memory, uint32_t count);
struct varve_segment *varve__segment_take(struct varve_segment_pool *pool); /* empty; NULL: the pool is */
void varve__segment_give(struct varve_segment_pool *pool, struct varve_segment *segment);

void varve__deque_push(struct varve_deque *deque, struct varve_segment *segment); /* owner */
struct varve_segment *varve__deque_pop(struct varve_deque *deque);                /* owner; NULL: empty */
struct varve_segment *varve__deque_steal(struct varve_deque *deque);              /* any; NULL: empty or lost a race */

/* Any worker; exact for the owner, a hint for others. Sequentially consistent: see mark.c, termination. */
static inline bool deque_is_empty(struct varve_deque *deque) {
  return atomic_load(&deque->top) >= atomic_load(&deque->bottom);
}

#endif
