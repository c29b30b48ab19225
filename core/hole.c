/* SPDX-License-Identifier: MIT */
/* hole.c -- allocating between the objects of blocks that pins keep, when the heap is pressed (R8).
 *
 * Offered    by the release: pinned blocks with enough room, if the heap is nearly full and they add enough to what may be
 *            allocated before the next collection (policy.c), which will be full because of them.
 * Taken      when no other block may be had, by one mutator each, hole by hole, as TLABs.
 * Called by  alloc.c and mutator.c, the owner running or stopped.   Cost  a look at the block's bitmap for each hole.
 */
#include "core/heap.h"
#include "core/mutator.h"
#include "core/walk.h"

#define HOLE_WORDS 64u /* smaller ones are left */

/* Words [from, to) of the block. Others may look at its bitmap meanwhile (varve_object_of). */
static void set_bits(uint64_t *bitmap, size_t from, size_t to, bool set) {
  for (; from < to; from = (from / 64 + 1) * 64) {
    size_t end = to < (from / 64 + 1) * 64 ? to - from / 64 * 64 : 64;
    uint64_t bits = bits_range((unsigned)(from % 64), (unsigned)(end - from % 64)), old = bitmap[from / 64];
    __atomic_store_n(&bitmap[from / 64], set ? old | bits : old & ~bits, __ATOMIC_RELAXED);
  }
}

static size_t word_in(const struct varve_space *space, uint32_t block, uintptr_t address) {
  return (address - space_block_address(space, block)) / 8;
}

void varve__hole_close(struct varve__mutator *mutator) {
  const struct varve_space *space = &mutator->head.heap->space;
  if (!mutator->in_hole) return;
  mutator->in_hole = false;
  uint32_t block = mutator->hole_block;
  set_bits(space_block_bitmap(space, block), word_in(space, block, mutator->head.cursor),
           word_in(space, block, mutator->tlab_end), false);
}

static void use_hole(struct varve__mutator *mutator, size_t from, size_t to) {
  struct varve_space *space = &mutator->head.heap->space;
  uint64_t base = space_block_address(space, mutator->hole_block);
  varve__hole_close(mutator);
  mutator_close_block(space, mutator->tlab_block, mutator->head.cursor);
  set_bits(space_block_bitmap(space, mutator->hole_block), from, to, true);
  mutator->tlab_block = VARVE__NO_BLOCK;
  mutator->head.cursor = base + from * 8;
  mutator->tlab_end = base + to * 8;
  mutator->in_hole = true;
  atomic_fetch_add_explicit(&space->refilled_bytes, (to - from) * 8, memory_order_relaxed);
  atomic_fetch_add_explicit(&space->allocated_bytes, (to - from) * 8, memory_order_relaxed);
}

/* The next hole of the block that is large enough. */
static bool next_hole(struct varve__mutator *mutator, size_t words) {
  const uint64_t *bitmap = space_block_bitmap(&mutator->head.heap->space, mutator->hole_block);
  while (mutator->hole_next < VARVE__BLOCK_WORDS) {
    size_t from = walk_find(bitmap, mutator->hole_next, VARVE__BLOCK_WORDS, false);
    size_t to = walk_find(bitmap, from, VARVE__BLOCK_WORDS, true);
    mutator->hole_next = (uint32_t)to;
    if (to - from < words) continue;
    use_hole(mutator, from, to);
    return true;
  }
  return false;
}

/* Nobody will remember what new objects there refer to. */
static bool take_block(struct varve__mutator *mutator) {
  struct varve_heap *heap = mutator->head.heap;
  uint32_t block = varve__space_take_holes(&heap->space);
  if (block == VARVE__NO_BLOCK) return false;
  varve__hole_close(mutator);
  atomic_store_explicit(&heap->remembered.lost, true, memory_order_relaxed);
  heap->space.blocks[block].top = VARVE__BLOCK_WORDS;
  mutator->hole_block = block;
  mutator->hole_next = 0;
  return true;
}

bool varve__hole_open(struct varve__mutator *mutator, size_t size) {
  size_t words = size / 8 > HOLE_WORDS ? size / 8 : HOLE_WORDS;
  do
    if (mutator->hole_block != VARVE__NO_BLOCK && next_hole(mutator, words)) return true;
  while (take_block(mutator));
  return false;
}
