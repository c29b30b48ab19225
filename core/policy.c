/* SPDX-License-Identifier: MIT */
/* policy.c -- the decisions of policy.h.
 *
 * Heap size: after a collection the heap may grow to what is in use plus heap-growth percent of it, at least to
 * heap-initial, by at least what the requester waits for and a region for everybody else, and at most to heap-max. That
 * spends a fixed share of time per allocated byte on collecting, the rule of Go's GOGC; heap-max caps it.
 */
#include "core/policy.h"

static uint64_t limit_blocks(const struct varve_heap *heap) {
  return (uint64_t)heap->space.limit_regions * VARVE__REGION_BLOCKS;
}

static uint64_t used_blocks(const struct varve_heap *heap) {
  return atomic_load_explicit(&heap->space.used_blocks, memory_order_relaxed);
}

bool varve__policy_is_pressed(const struct varve_heap *heap) {
  uint64_t limit = limit_blocks(heap);
  uint64_t mutators = atomic_load_explicit(&heap->mutator_count, memory_order_relaxed);
  return used_blocks(heap) * 4 >= limit * 3 || mutators * VARVE__REGION_BLOCKS * 8 > limit;
}

/* 87.5 % by default; 95 % when the heap is pressed, where holes are worth more than the time to close them. */
uint64_t varve__policy_dense_words(const struct varve_heap *heap, uint64_t words) {
  uint64_t percent = heap->options.dense_percent;
  if (heap->options.move_everything) percent = 101;
  else if (percent < 95 && used_blocks(heap) * 4 >= limit_blocks(heap) * 3) percent = 95;
  return words * percent / 100 + 1;
}

uint32_t varve__policy_workers(const struct varve_heap *heap) {
  return used_blocks(heap) * VARVE__BLOCK_BYTES < heap->options.parallel_min ? 1 : heap->options.workers;
}

void varve__policy_set_budget(struct varve_heap *heap) {
  uint64_t used = used_blocks(heap), limit = limit_blocks(heap);
  uint64_t goal = used + used * heap->options.heap_growth / 100;
  uint64_t initial = heap->options.heap_initial >> VARVE__BLOCK_SHIFT;
  uint64_t least = used + heap->wanted_blocks + VARVE__REGION_BLOCKS;
  if (goal < initial) goal = initial;
  if (goal < least) goal = least;
  if (goal > limit) goal = limit;
  atomic_store_explicit(&heap->space.budget_blocks, goal > used ? (int64_t)(goal - used) : 0, memory_order_relaxed);
}
