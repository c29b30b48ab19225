/* SPDX-License-Identifier: MIT */
/* ages.c -- the numbering of epochs: see ages.h. Called by collect.c and release.c, world stopped. */
#include "core/ages.h"

#include "core/base/check.h"
#include "core/heap.h"

#define MERGE_EPOCHS 8u

/* Of a MEDIUM region the blocks in which nothing starts count too. */
static uint32_t count_range(const struct varve_space *space) {
  uint32_t blocks = 0;
  for (uint32_t r = 0; r < space->region_high; ++r) {
    uint8_t kind = space_kind(space, r);
    uint64_t free = atomic_load_explicit(&space->regions[r].free_blocks, memory_order_relaxed);
    if (kind == REGION_MEDIUM) free = 0;
    if (kind >= REGION_SMALL) blocks += bits_count(varve__space_range(space, r) & ~free);
  }
  return blocks;
}

void varve__ages_begin(struct varve_heap *heap, struct varve_cut cut, bool freezes) {
  struct varve_ages *ages = &heap->ages;
  VARVE_INVARIANT(!cut.epoch || (cut.epoch <= heap->space.epoch && cut.epoch > ages->tenured && !ages->asleep),
                  "A1: cut %u, tenured %u, newest %u", cut.epoch, ages->tenured, heap->space.epoch);
  if (freezes || atomic_load_explicit(&heap->remembered.lost, memory_order_relaxed)) heap->space.floor = 0; /* A6 */
  heap->space.cut = cut.epoch ? cut.epoch : heap->space.floor;
  ages->next_tenured = cut.epoch ? cut.tenured : heap->space.floor;
  ages->next_asleep = cut.asleep && !cut.epoch;
  ages->freezes = freezes;
  ages->range_blocks = count_range(&heap->space);
}

/* The epochs floor .. tenured become the floor. */
void varve__ages_merge(struct varve_heap *heap) {
  struct varve_ages *ages = &heap->ages;
  struct varve_space *space = &heap->space;
  uint8_t floor = space->floor, by = (uint8_t)(ages->tenured - floor);
  if (by < MERGE_EPOCHS) return;
  for (size_t b = 0; b < (size_t)space->region_high * VARVE__REGION_BLOCKS; ++b)
    if (space->epochs[b] > floor)
      space->epochs[b] = space->epochs[b] > ages->tenured ? (uint8_t)(space->epochs[b] - by) : floor;
  for (unsigned e = floor + 1u; e <= ages->tenured; ++e) ages->live[floor] += ages->live[e];
  for (unsigned e = floor + 1u; e + by <= space->epoch; ++e) {
    ages->live[e] = ages->live[e + by];
    ages->first_age[e] = ages->first_age[e + by];
  }
  space->epoch = (uint8_t)(space->epoch - by);
  ages->tenured = floor;
  varve__final_merge(heap, by);
}

/* The epoch of the floor is empty. */
static void freeze(struct varve_heap *heap) {
  heap->space.floor = 1;
  heap->space.epoch = 1;
  heap->ages.tenured = 1;
  heap->ages.live[1] = 0;
  heap->ages.first_age[1] = atomic_load_explicit(&heap->space.next_age, memory_order_relaxed);
}

void varve__ages_end(struct varve_heap *heap, uint64_t live) {
  struct varve_ages *ages = &heap->ages;
  struct varve_space *space = &heap->space;
  ages->live[space->cut] = live;
  ages->tenured = ages->next_tenured;
  ages->asleep = ages->next_asleep;
  space->epoch = space->cut;
  if (ages->freezes) freeze(heap);
  ages->first_age[++space->epoch] = atomic_load_explicit(&space->next_age, memory_order_relaxed);
}

uint64_t varve__ages_live_before(const struct varve_heap *heap, uint8_t cut) {
  uint64_t live = 0;
  for (uint8_t epoch = 0; epoch < cut; ++epoch) live += heap->ages.live[epoch];
  return live;
}
