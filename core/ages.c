/* SPDX-License-Identifier: MIT */
/* ages.c -- the numbering of epochs: see ages.h. Called by collect.c and release.c, world stopped. */
#include "core/ages.h"

#include "core/base/check.h"
#include "core/heap.h"

/* Of a MEDIUM region the blocks in which nothing starts count too. */
static uint32_t count_range(const struct varve_space *space) {
  uint32_t blocks = 0;
  for (uint32_t r = 0; r < space->region_high; ++r) {
    uint8_t kind = atomic_load_explicit(&space->regions[r].kind, memory_order_relaxed);
    uint64_t free = atomic_load_explicit(&space->regions[r].free_blocks, memory_order_relaxed);
    if (kind >= REGION_SMALL) blocks += bits_count(varve__space_range(space, r) & (kind == REGION_MEDIUM ? ~UINT64_C(0) : ~free));
  }
  return blocks;
}

void varve__ages_begin(struct varve_heap *heap, uint8_t cut, uint8_t tenured) {
  struct varve_ages *ages = &heap->ages;
  VARVE_INVARIANT(cut <= heap->space.epoch && (!cut || cut > ages->tenured), "A1: cut %u, tenured %u, newest %u", cut,
                  ages->tenured, heap->space.epoch);
  heap->space.cut = cut;
  ages->next_tenured = cut ? tenured : 0;
  ages->range_blocks = count_range(&heap->space);
}

void varve__ages_end(struct varve_heap *heap, uint64_t live) {
  struct varve_ages *ages = &heap->ages;
  struct varve_space *space = &heap->space;
  uint8_t cut = space->cut;
  ages->live[cut] = live;
  ages->tenured = ages->next_tenured;
  space->epoch = (uint8_t)(cut + 1);
  ages->first_age[cut + 1] = atomic_load_explicit(&space->next_age, memory_order_relaxed);
}

uint64_t varve__ages_live_before(const struct varve_heap *heap, uint8_t cut) {
  uint64_t live = 0;
  for (uint8_t epoch = 0; epoch < cut; ++epoch) live += heap->ages.live[epoch];
  return live;
}
