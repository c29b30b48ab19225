/* SPDX-License-Identifier: MIT */
/* large.c -- the large-object space: runs of 32 KiB blocks in LARGE regions, one object each.
 *
 * First fit from the high end of the regions ever used, so that large objects stay out of the way of the regions
 * that are compacted. A run may cross into the next region when both are LARGE. The first block of a run is LARGE_HEAD
 * (age: blocks in the run), the others LARGE_BODY (age: blocks back to the head).
 *
 * Taken from, in this order: LARGE regions of the node; regions of the node that are free or have no memory yet; LARGE
 * regions of other nodes; any regions, even if free ones elsewhere have to be given back for the sake of neighbours.
 *
 * Taking is done by mutators under the space's lock, which is let go while memory is got; freeing and placing in
 * pauses only.
 */
#include "regions/space.h"

#include "core/base/check.h"
#include "regions/commit.h"

/* ---- runs of blocks in LARGE regions ---- */

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

uint32_t varve__large_find(const struct varve_space *space, unsigned node, uint32_t blocks) {
  uint32_t found = 0;
  for (uint32_t region = space->region_high; region-- > 0;) {
    if (!region_has_room(space, region) || !region_is_on(&space->regions[region], node)) {
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

/* ---- runs of regions that become LARGE ---- */

struct run {
  uint32_t first, count; /* regions; first NO_REGION: none */
};

/* Is every region without memory, or free and on the node? */
static bool is_takeable(const struct varve_space *space, struct run run, unsigned node, uint32_t *uncommitted) {
  *uncommitted = 0;
  for (uint32_t r = run.first; r < run.first + run.count; ++r) {
    uint8_t kind = space_kind(space, r);
    if (kind == REGION_UNCOMMITTED) ++*uncommitted;
    else if (kind != REGION_FREE || !region_is_on(&space->regions[r], node)) return false;
  }
  return true;
}

/* The highest run that ends below `end` and has at most `most` regions to commit. */
static struct run search_down(const struct varve_space *space, uint32_t end, uint32_t count, unsigned node,
                              uint32_t most) {
  uint32_t uncommitted;
  for (struct run run = {end - count, count}; end >= count; --run.first) {
    if (is_takeable(space, run, node, &uncommitted) && uncommitted <= most) return run;
    if (!run.first) break;
  }
  return (struct run){VARVE__NO_REGION, 0};
}

/* Where nothing need be committed; else among the regions that have been used; else above them, so that pauses need not
 * look at the whole reservation; else anywhere. */
static struct run find_run(const struct varve_space *space, uint32_t count, unsigned node) {
  bool enough = atomic_load_explicit(&space->free_regions, memory_order_relaxed) >= count;
  struct run run = {VARVE__NO_REGION, 0};
  if (enough) run = search_down(space, space->region_high, count, node, 0);
  if (run.first == VARVE__NO_REGION) run = search_down(space, space->region_high, count, node, count);
  if (run.first != VARVE__NO_REGION) return run;
  if (space->region_high + count <= space->region_count) return (struct run){space->region_high, count};
  return search_down(space, space->region_count, count, node, count);
}

static bool may_commit(const struct varve_space *space, uint32_t regions) {
  return atomic_load_explicit(&space->committed, memory_order_relaxed) + regions <= space->limit_regions;
}

/* Give free regions outside the run back until `needed` more can be committed. */
static bool make_room(struct varve_space *space, struct run run, uint32_t needed) {
  for (uint32_t r = 0; r < space->region_high && !may_commit(space, needed); ++r) {
    bool outside = r < run.first || r >= run.first + run.count;
    if (outside && space_kind(space, r) == REGION_FREE) varve__commit_drop(space, r);
  }
  return may_commit(space, needed);
}

/* Nobody else takes anything of it from here on: LARGE regions without a free block, and CHANGING ones. */
static void hold_run(struct varve_space *space, struct run run) {
  for (uint32_t r = run.first; r < run.first + run.count; ++r) {
    if (space_kind(space, r) == REGION_UNCOMMITTED) {
      varve__commit_hold(space, r);
      continue;
    }
    atomic_store_explicit(&space->regions[r].free_blocks, 0, memory_order_relaxed);
    atomic_store_explicit(&space->regions[r].kind, REGION_LARGE, memory_order_relaxed);
    atomic_fetch_sub_explicit(&space->free_regions, 1, memory_order_relaxed);
  }
}

static bool commit_run(struct varve_space *space, struct run run, unsigned node) {
  varve__lock_release(&space->lock);
  uint32_t end = run.first + run.count, without = run.first; /* the first region without memory */
  while (without < end && (space_kind(space, without) != REGION_CHANGING || varve__commit_region(space, without, node)))
    ++without;
  varve__lock_take(&space->lock);
  for (uint32_t r = run.first; r < end; ++r)
    if (space_kind(space, r) == REGION_CHANGING) varve__commit_settle(space, r, r < without);
  return without == end;
}

/* Its regions are LARGE, FREE or UNCOMMITTED now, as far as we got. */
static void settle_run(struct varve_space *space, struct run run, bool taken) {
  for (uint32_t r = run.first; r < run.first + run.count; ++r) {
    uint8_t kind = space_kind(space, r);
    if (taken) {
      if (kind == REGION_FREE) atomic_fetch_sub_explicit(&space->free_regions, 1, memory_order_relaxed);
      atomic_store_explicit(&space->regions[r].free_blocks, ~UINT64_C(0), memory_order_relaxed);
      atomic_store_explicit(&space->regions[r].kind, REGION_LARGE, memory_order_release);
    } else if (kind == REGION_LARGE) {
      varve__space_release_region(space, r);
    }
  }
}

/* Whole regions of the node, or of any; `force`: even at the expense of free ones elsewhere. */
static uint32_t take_regions(struct varve_space *space, unsigned wanted, unsigned node, uint32_t blocks, bool force) {
  uint32_t count = (blocks + VARVE__REGION_BLOCKS - 1) / VARVE__REGION_BLOCKS, uncommitted;
  uint32_t free = atomic_load_explicit(&space->free_regions, memory_order_relaxed);
  if (force ? !may_commit(space, count > free ? count - free : 0) : !may_commit(space, 0)) return VARVE__NO_BLOCK;
  struct run run = find_run(space, count, node);
  if (run.first == VARVE__NO_REGION || !is_takeable(space, run, node, &uncommitted)) return VARVE__NO_BLOCK;
  if (!(force ? make_room(space, run, uncommitted) : may_commit(space, uncommitted))) return VARVE__NO_BLOCK;
  hold_run(space, run);
  bool taken = commit_run(space, run, wanted);
  settle_run(space, run, taken);
  return taken ? run.first * VARVE__REGION_BLOCKS : VARVE__NO_BLOCK;
}

static uint32_t take_run(struct varve_space *space, unsigned node, uint32_t blocks) {
  bool one = !space_follows_callers(space);
  unsigned own = one ? VARVE__ANY_NODE : node;
  uint32_t first = varve__large_find(space, own, blocks);
  if (first == VARVE__NO_BLOCK) first = take_regions(space, node, own, blocks, false);
  if (first == VARVE__NO_BLOCK && !one) first = varve__large_find(space, VARVE__ANY_NODE, blocks);
  if (first == VARVE__NO_BLOCK) first = take_regions(space, node, VARVE__ANY_NODE, blocks, true);
  return first;
}

uintptr_t varve__large_take(struct varve_space *space, unsigned node, uint32_t blocks) {
  if (!varve__space_spend(space, blocks)) return 0;
  varve__lock_take(&space->lock);
  uint32_t first = take_run(space, node, blocks);
  if (first != VARVE__NO_BLOCK) set_run(space, first, blocks, false);
  varve__lock_release(&space->lock);
  if (first == VARVE__NO_BLOCK) {
    varve__space_unspend(space, blocks);
    return 0;
  }
  atomic_fetch_add_explicit(&space->allocated_bytes, (uint64_t)blocks * VARVE__BLOCK_BYTES, memory_order_relaxed);
  return space_block_address(space, first);
}

/* ---- single blocks, for small objects ---- */

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

/* ---- in a pause ---- */

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
