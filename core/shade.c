/* SPDX-License-Identifier: MIT */
/* shade.c -- hides what a collection has freed from programs that run under a memory checker (core/base/shade.h).
 *
 * Called by  collect.c, last in a pause.   Needs  M1: every object marked, and no mutator with a TLAB.
 */
#include "core/shade.h"

#include "core/base/shade.h"
#include "core/heap.h"
#include "core/walk.h"

#if VARVE_SHADED
/* Where no bit is set. */
static void hide_gaps(uint64_t base, const uint64_t *bitmap, size_t words) {
  size_t end;
  for (size_t at = walk_find(bitmap, 0, words, false); at < words; at = walk_find(bitmap, end, words, false)) {
    end = walk_find(bitmap, at, words, true);
    shade_hide(base + at * 8, (end - at) * 8);
  }
}

/* A large object's bit is that of its first word; its run ends with a block. */
static void hide_behind(const struct varve_space *space, uint32_t head) {
  uint64_t base = space_block_address(space, head), bytes = (uint64_t)space->blocks[head].age << VARVE__BLOCK_SHIFT;
  uint64_t used = *space_block_bitmap(space, head) & 1 ? varve_object_bytes((const varve_object *)base) : 0;
  shade_hide(base + used, bytes - used);
}

static void settle_block(const struct varve_space *space, uint32_t block) {
  switch (space->blocks[block].kind) {
    case BLOCK_SMALL:
      hide_gaps(space_block_address(space, block), space_block_bitmap(space, block), VARVE__BLOCK_WORDS);
      break;
    case BLOCK_LARGE_HEAD: hide_behind(space, block); break;
    case BLOCK_LARGE_BODY: break;
    default: shade_hide(space_block_address(space, block), VARVE__BLOCK_BYTES);
  }
}

static void settle_region(const struct varve_space *space, uint32_t region) {
  uint32_t first = region * VARVE__REGION_BLOCKS;
  uint8_t kind = space_kind(space, region);
  if (kind == REGION_FREE) shade_hide(space_region_address(space, region), VARVE__REGION_BYTES);
  if (kind == REGION_MEDIUM)
    hide_gaps(space_region_address(space, region), space_block_bitmap(space, first), VARVE__REGION_WORDS);
  if (!region_has_blocks(kind)) return;
  for (uint32_t b = first; b < first + VARVE__REGION_BLOCKS; ++b) settle_block(space, b);
}

void varve__shade_settle(const struct varve_heap *heap) {
  for (uint32_t r = 0; r < heap->space.region_high; ++r) settle_region(&heap->space, r);
}
#else
void varve__shade_settle(const struct varve_heap *heap) { (void)heap; }
#endif
