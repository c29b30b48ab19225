/* SPDX-License-Identifier: MIT */
/* plan_large.c -- large objects in a pause: free the dead ones, and choose new places.
 *
 * Dead runs are freed as soon as marking is over: no live slot refers to them.
 *
 * Slide (emergency): objects go up to the high end of each stretch of neighbouring blocks of LARGE regions in which no
 *   small objects, immortal or pinned ones are, highest first, so that the free blocks come together at the low ends.
 *   Taken in this order, no object's new place is below its old one, and none overlaps a place that has not been left:
 *   compact.c moves them one after the other.
 *   Between nodes, too: memory is short.
 * Relocate (move-everything, no emergency): each object that finds a free run on its node moves there; places are taken
 *   at once, so they overlap nothing.
 */
#include "core/plan.h"
#include "core/base/check.h"
#include "varve/alloc.h"

static bool is_large(const struct varve_space *space, uint32_t region) {
  return space_kind(space, region) == REGION_LARGE;
}

static bool head_is_marked(const struct varve_space *space, uint32_t block) {
  return space_block_bitmap(space, block)[0] & 1;
}

void varve__plan_large_sweep(struct varve_heap *heap) {
  struct varve_space *space = &heap->space;
  for (uint32_t r = 0; r < space->region_high; ++r)
    for (uint64_t range = is_large(space, r) ? varve__space_range(space, r) : 0; range; range &= range - 1) {
      uint32_t b = r * VARVE__REGION_BLOCKS + bits_lowest(range);
      if (space->blocks[b].kind != BLOCK_LARGE_HEAD || head_is_marked(space, b)) continue;
#ifdef VARVE_PLANT_LARGE_LEAKED
      continue;
#endif
      heap_poison(heap, space_block_address(space, b), (size_t)space->blocks[b].age * VARVE__BLOCK_BYTES);
      atomic_fetch_sub_explicit(&space->used_blocks, space->blocks[b].age, memory_order_relaxed);
      ++heap->current.large_freed;
      varve__large_free(space, b);
    }
}

static void add_move(struct varve_heap *heap, uint32_t from, uint32_t to) {
  struct varve_plan *plan = heap->plan;
  struct varve_block *b = &heap->space.blocks[from];
  plan->large[plan->large_count++] = (struct varve_large_move){from, to};
  b->dst1 = space_block_address(&heap->space, to);
  b->split = VARVE__NO_SPLIT;
  space_set_moves(&heap->space, from);
}

static bool is_pinned(const struct varve_space *space, uint32_t block) {
  const struct varve_block *b = &space->blocks[block];
  if (b->kind == BLOCK_LARGE_BODY) b -= b->age;
  return b->kind == BLOCK_LARGE_HEAD && (b->flags & BLOCK_PINNED);
}

/* Of a block in use: does no large object move away from it? */
static bool stays(const struct varve_space *space, uint32_t block) {
  return space_is_immortal(space, block) || is_pinned(space, block);
}

/* May a large object be where this block is? */
static bool is_room(const struct varve_space *space, uint32_t block) {
  uint8_t kind = space->blocks[block].kind;
  if (!is_large(space, block / VARVE__REGION_BLOCKS) || kind == BLOCK_SMALL) return false;
  return kind == BLOCK_FREE || !stays(space, block);
}

/* The first block of the stretch that ends with `block`. */
static uint32_t stretch_begin(const struct varve_space *space, uint32_t block) {
  while (block && is_room(space, block - 1)) --block;
  return block;
}

/* Where the next object goes: below `end`, not below block `low`. */
struct slide_cursor {
  uint32_t low, end;
};

/* Go on to the stretch below. There is one, for the object that did not fit lies in it or below. */
static void next_stretch(const struct varve_space *space, struct slide_cursor *c) {
  uint32_t block = c->low;
  do --block;
  while (!is_room(space, block));
  c->end = block + 1;
  c->low = stretch_begin(space, block);
}

static void slide_up(struct varve_heap *heap) {
  struct varve_space *space = &heap->space;
  struct slide_cursor c = {space->region_high * VARVE__REGION_BLOCKS, space->region_high * VARVE__REGION_BLOCKS};
  for (uint32_t b = c.end; b-- > 0;) {
    if (!is_large(space, b / VARVE__REGION_BLOCKS) || space->blocks[b].kind != BLOCK_LARGE_HEAD) continue;
    if (stays(space, b)) continue;
    uint32_t blocks = space->blocks[b].age;
    while (c.end - c.low < blocks) next_stretch(space, &c);
    c.end -= blocks;
    VARVE_INVARIANT(c.end >= b, "large slide: block %u would go down to %u", b, c.end);
    if (c.end != b) add_move(heap, b, c.end);
  }
}

static void relocate(struct varve_heap *heap) {
  struct varve_space *space = &heap->space;
  for (uint32_t b = 0; b < space->region_high * VARVE__REGION_BLOCKS; ++b) {
    if (!is_large(space, b / VARVE__REGION_BLOCKS) || space->blocks[b].kind != BLOCK_LARGE_HEAD) continue;
    if (!head_is_marked(space, b) || !space_in_range(space, b)) continue; /* a place that was just taken, or old */
    if (is_pinned(space, b)) continue;
    unsigned node = space->regions[b / VARVE__REGION_BLOCKS].node;
    uint32_t blocks = space->blocks[b].age, to = varve__large_find(space, node, blocks);
    if (to == VARVE__NO_BLOCK) continue;
    varve__large_place(space, to, blocks);
    atomic_fetch_add_explicit(&space->used_blocks, blocks, memory_order_relaxed);
    add_move(heap, b, to);
  }
}

void varve__plan_large_slide(struct varve_heap *heap) {
  if (heap->plan->emergency) slide_up(heap);
  else relocate(heap);
}
