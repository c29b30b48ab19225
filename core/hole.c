/* SPDX-License-Identifier: MIT */
/* hole.c -- allocating between the objects of blocks that pins keep, when the heap is pressed (R8).
 *
 * Offered    by the release: pinned blocks with enough room, if the heap is nearly full and they add enough to what
 *            may be allocated before the next collection (policy.c), which will be full because of them.
 * Taken      when no other block may be had, by one mutator each, hole by hole, as TLABs.
 * Called by  alloc.c and mutator.c, the owner running or stopped.   Cost  a look at the block's bitmap for each hole.
 */
#include "core/base/shade.h"
#include "core/heap.h"
#include "core/mutator.h"
#include "core/walk.h"

#define HOLE_WORDS 64u /* smaller ones are left */

/* Others may be looking for an object here (resolve.c): they see each line with all before it. */
static void mark_words(uint64_t *bitmap, size_t from, size_t to) {
  for (size_t line = from / 64; from < to; from = ++line * 64) {
    size_t end = to < (line + 1) * 64 ? to : (line + 1) * 64;
    uint64_t bits = bits_range((unsigned)(from % 64), (unsigned)(end - from));
    __atomic_store_n(&bitmap[line], bitmap[line] | bits, __ATOMIC_RELEASE);
  }
}

void varve__hole_close(struct varve__mutator *mutator) {
  const struct varve_space *space = &mutator->head.heap->space;
  uint32_t block = mutator->hole_block;
  if (!mutator->in_hole) return;
  mutator->in_hole = false;
  if (mutator->head.cursor < mutator->tlab_end) shade_show(mutator->head.cursor, 8);
  if (mutator->head.cursor < mutator->tlab_end) *(uint64_t *)mutator->head.cursor = 0; /* no header */
  mark_words(space_block_bitmap(space, block), mutator->hole_from,
             (mutator->head.cursor - space_block_address(space, block)) / 8);
  mutator->head.cursor = mutator->tlab_end = VARVE__EMPTY_LIMIT;
}

static void use_hole(struct varve__mutator *mutator, size_t from, size_t to) {
  struct varve_space *space = &mutator->head.heap->space;
  uint64_t base = space_block_address(space, mutator->hole_block);
  mutator_close_block(space, mutator->tlab_block, mutator->head.cursor);
  mutator->tlab_block = VARVE__NO_BLOCK;
  mutator->hole_from = (uint32_t)from;
  mutator->head.cursor = base + from * 8;
  mutator->tlab_end = base + to * 8;
  mutator->in_hole = true;
  atomic_fetch_add_explicit(&space->refilled_bytes, (to - from) * 8, memory_order_relaxed);
  atomic_fetch_add_explicit(&space->allocated_bytes, (to - from) * 8, memory_order_relaxed);
}

/* The next hole of the block that is large enough. */
static bool next_hole(struct varve__mutator *mutator, size_t words) {
  varve__hole_close(mutator);
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

/* No hole begins with a header. */
static void open_block(const struct varve_space *space, uint32_t block) {
  uint64_t *words = (uint64_t *)space_block_address(space, block), *bitmap = space_block_bitmap(space, block);
  for (size_t at = 0; (at = walk_find(bitmap, at, VARVE__BLOCK_WORDS, false)) < VARVE__BLOCK_WORDS;) {
    shade_show((uintptr_t)&words[at], 8);
    words[at] = 0;
    at = walk_find(bitmap, at, VARVE__BLOCK_WORDS, true);
  }
  space->blocks[block].top = VARVE__BLOCK_WORDS;
  __atomic_store_n(&space->blocks[block].flags, BLOCK_HOLES, __ATOMIC_RELAXED); /* others may be looking, too */
}

/* Nobody will remember what new objects there refer to. */
static bool take_block(struct varve__mutator *mutator) {
  struct varve_heap *heap = mutator->head.heap;
  uint32_t block = varve__space_take_holes(&heap->space);
  if (block == VARVE__NO_BLOCK) return false;
  varve__hole_close(mutator);
  open_block(&heap->space, block);
  atomic_store_explicit(&heap->remembered.lost, true, memory_order_relaxed);
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
