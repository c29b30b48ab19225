/* SPDX-License-Identifier: MIT */
/* large.c -- the large-object space: runs of 32 KiB blocks in LARGE regions, one object each.
 *
 * First fit from the high end of the regions ever used, so that large objects stay out of the way of the regions
 * that are compacted. A run may cross into the next region when both are LARGE. The first block of a run is LARGE_HEAD
 * (age: blocks in the run), the others LARGE_BODY (age: blocks back to the head).
 *
 * Taking is done by mutators under the space's lock; freeing and placing in pauses only.
 */
#include "regions/space.h"

#include "core/base/check.h"

uint32_t varve__space_take_run_locked(struct varve_space *space, unsigned node, uint32_t count);

static bool block_is_free(const struct varve_space *space, uint32_t block) {
  const struct varve_region *r = &space->regions[block / VARVE__REGION_BLOCKS];
  return atomic_load_explicit(&r->kind, memory_order_relaxed) == REGION_LARGE &&
         (atomic_load_explicit(&r->free_blocks, memory_order_relaxed) >> (block % VARVE__REGION_BLOCKS) & 1);
}

static bool region_has_room(const struct varve_space *space, uint32_t region) {
  const struct varve_region *r = &space->regions[region];
  return atomic_load_explicit(&r->kind, memory_order_relaxed) == REGION_LARGE &&
         atomic_load_explicit(&r->free_blocks, memory_order_relaxed);
}

/* The highest run of `blocks` free blocks in LARGE regions. */
uint32_t varve__large_find(const struct varve_space *space, uint32_t blocks) {
  uint32_t found = 0;
  for (uint32_t region = space->region_high; region-- > 0;) {
    if (!region_has_room(space, region)) {
      found = 0;
      continue;
    }
    for (uint32_t b = VARVE__REGION_BLOCKS; b-- > 0;) {
      uint32_t block = region * VARVE__REGION_BLOCKS + b;
      found = block_is_free(space, block) ? found + 1 : 0;
      if (found == blocks) return block;
    }
  }
  return VARVE__NO_BLOCK;
}

static void set_run(struct varve_space *space, uint32_t first, uint32_t blocks, bool free) {
  for (uint32_t i = 0; i < blocks; ++i) {
    struct varve_block *b = &space->blocks[first + i];
    struct varve_region *r = &space->regions[(first + i) / VARVE__REGION_BLOCKS];
    uint64_t bit = UINT64_C(1) << ((first + i) % VARVE__REGION_BLOCKS);
    b->kind = free ? BLOCK_FREE : i ? BLOCK_LARGE_BODY : BLOCK_LARGE_HEAD;
    b->age = i ? i : blocks;
    b->flags = 0;
    b->live = 0;
    space->epochs[first + i] = space->epoch;
    if (free) atomic_fetch_or_explicit(&r->free_blocks, bit, memory_order_relaxed);
    else atomic_fetch_and_explicit(&r->free_blocks, ~bit, memory_order_relaxed);
  }
}

static uint32_t take_run_locked(struct varve_space *space, unsigned node, uint32_t blocks) {
  uint32_t first = varve__large_find(space, blocks);
  if (first != VARVE__NO_BLOCK) return first;
  uint32_t regions = (blocks + VARVE__REGION_BLOCKS - 1) / VARVE__REGION_BLOCKS;
  uint32_t region = varve__space_take_run_locked(space, node, regions);
  return region == VARVE__NO_REGION ? VARVE__NO_BLOCK : region * VARVE__REGION_BLOCKS;
}

uintptr_t varve__large_take(struct varve_space *space, unsigned node, uint32_t blocks) {
  if (!varve__space_spend(space, blocks)) return 0;
  varve__lock_take(&space->lock);
  uint32_t first = take_run_locked(space, node, blocks);
  if (first != VARVE__NO_BLOCK) set_run(space, first, blocks, false);
  varve__lock_release(&space->lock);
  if (first == VARVE__NO_BLOCK) {
    varve__space_unspend(space, blocks);
    return 0;
  }
  atomic_fetch_add_explicit(&space->allocated_bytes, (uint64_t)blocks * VARVE__BLOCK_BYTES, memory_order_relaxed);
  return space_block_address(space, first);
}

static uint32_t find_block(const struct varve_space *space) {
  for (uint32_t region = 0; region < space->region_high; ++region)
    if (region_has_room(space, region))
      return region * VARVE__REGION_BLOCKS +
             bits_lowest(atomic_load_explicit(&space->regions[region].free_blocks, memory_order_relaxed));
  return VARVE__NO_BLOCK;
}

uint32_t varve__large_take_block(struct varve_space *space) {
  varve__lock_take(&space->lock);
  uint32_t block = find_block(space);
  if (block != VARVE__NO_BLOCK)
    atomic_fetch_and_explicit(&space->regions[block / VARVE__REGION_BLOCKS].free_blocks,
                              ~(UINT64_C(1) << (block % VARVE__REGION_BLOCKS)), memory_order_relaxed);
  varve__lock_release(&space->lock);
  return block;
}

void varve__large_free(struct varve_space *space, uint32_t block) {
  VARVE_INVARIANT(space->blocks[block].kind == BLOCK_LARGE_HEAD, "large_free: block %u is not a head", block);
  set_run(space, block, space->blocks[block].age, true);
}

void varve__large_place(struct varve_space *space, uint32_t block, uint32_t blocks) {
  set_run(space, block, blocks, false);
}

uint32_t varve__large_release_regions(struct varve_space *space) {
  uint32_t released = 0;
  for (uint32_t r = 0; r < space->region_high; ++r) {
    struct varve_region *region = &space->regions[r];
    if (atomic_load_explicit(&region->kind, memory_order_relaxed) != REGION_LARGE) continue;
    if (atomic_load_explicit(&region->free_blocks, memory_order_relaxed) != ~UINT64_C(0)) continue;
    varve__space_release_region(space, r);
    ++released;
  }
  return released;
}
