/* SPDX-License-Identifier: MIT */
/* space.c -- reservation, commitment, and the hand-out of regions and blocks (invariants R1-R4 in space.h).
 *
 * Called by mutators in their slow paths, concurrently, and by worker 0 in pauses. Regions change kind under the
 * lock, which is taken once per 2 MiB; single blocks are taken with one atomic operation.
 */
#include "regions/space.h"

#include <string.h>

#include "core/base/check.h"
#include "numa/place.h"

#define PAGE ((size_t)4096)

static struct varve_region *region_at(const struct varve_space *space, uint32_t region) {
  return &space->regions[region];
}

/* A region's part of the bitmap and of the ranks is a whole number of pages; its descriptors are half a page, so
 * that table is readable as a whole from the start and its pages are touched here. */
static bool commit_side_tables(struct varve_space *space, uint32_t region, unsigned node) {
  size_t lines = (size_t)VARVE__REGION_BLOCKS * VARVE__BLOCK_LINES;
  memset(space->blocks + (size_t)region * VARVE__REGION_BLOCKS, 0,
         VARVE__REGION_BLOCKS * sizeof(struct varve_block));
  return varve__place_commit(space->topology, space->bitmap + region * lines, lines * 8, node, false, true) &&
         varve__place_commit(space->topology, space->ranks + region * lines, lines * 2, node, false, true);
}

static bool commit_region(struct varve_space *space, uint32_t region, unsigned node) {
  void *at = (void *)space_region_address(space, region);
  if (!commit_side_tables(space, region, node) ||
      !varve__place_commit(space->topology, at, VARVE__REGION_BYTES, node, space->huge_pages, true))
    return false;
  struct varve_region *r = region_at(space, region);
  if (region >= space->region_high) space->region_high = region + 1;
  r->node = (uint8_t)node;
  atomic_store_explicit(&r->kind, REGION_FREE, memory_order_relaxed);
  atomic_fetch_add_explicit(&space->committed, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&space->free_regions, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&space->commits, 1, memory_order_relaxed);
  if (region < space->free_hint) space->free_hint = region;
  return true;
}

/* ---- giving back: FREE, LEAVING, UNCOMMITTED ---- */

static void leave_region(struct varve_space *space, uint32_t region) {
  atomic_store_explicit(&region_at(space, region)->kind, REGION_LEAVING, memory_order_relaxed);
  atomic_fetch_sub_explicit(&space->free_regions, 1, memory_order_relaxed);
}

/* The descriptors stay: they are half a page a region, and zeroed by the next commit. */
static void drop_memory(struct varve_space *space, uint32_t region) {
  size_t lines = (size_t)VARVE__REGION_BLOCKS * VARVE__BLOCK_LINES;
  varve__place_decommit(space->bitmap + region * lines, lines * 8);
  varve__place_decommit(space->ranks + region * lines, lines * 2);
  varve__place_decommit((void *)space_region_address(space, region), VARVE__REGION_BYTES);
}

static void forget_region(struct varve_space *space, uint32_t region) {
  atomic_store_explicit(&region_at(space, region)->kind, REGION_UNCOMMITTED, memory_order_relaxed);
  atomic_fetch_sub_explicit(&space->committed, 1, memory_order_relaxed);
  if (region < space->commit_hint) space->commit_hint = region;
}

static void decommit_region(struct varve_space *space, uint32_t region) {
  leave_region(space, region);
  drop_memory(space, region);
  forget_region(space, region);
}

/* ---- open and close ---- */

/* Region states; behind them the blocks' moves and epochs, and the nodes' broken lists. */
static size_t state_bytes(const struct varve_space *space) {
  size_t each = sizeof(struct varve_region) + sizeof(uint64_t) + VARVE__REGION_BLOCKS +
                sizeof(uint32_t) * space->topology->node_count;
  return bits_round_up(space->region_count * each, PAGE);
}

static bool reserve_tables(struct varve_space *space) {
  size_t lines = space->bytes >> VARVE__LINE_SHIFT, blocks = space->bytes >> VARVE__BLOCK_SHIFT;
  space->bitmap = varve__place_reserve(lines * 8, VARVE__REGION_BYTES);
  space->ranks = varve__place_reserve(lines * 2, VARVE__REGION_BYTES);
  space->blocks = varve__place_reserve(blocks * sizeof(struct varve_block), VARVE__REGION_BYTES);
  space->regions = varve__place_reserve(state_bytes(space), PAGE);
  if (!space->bitmap || !space->ranks || !space->blocks || !space->regions) return false;
  return varve__place_commit(space->topology, space->regions, state_bytes(space), 0, false, false) &&
         varve__place_commit(space->topology, space->blocks, blocks * sizeof(struct varve_block), 0, false, false);
}

static void open_nodes(struct varve_space *space) {
  space->moves = (uint64_t *)(space->regions + space->region_count);
  space->epochs = (uint8_t *)(space->moves + space->region_count);
  uint32_t *lists = (uint32_t *)(space->epochs + (size_t)space->region_count * VARVE__REGION_BLOCKS);
  for (unsigned n = 0; n < space->topology->node_count; ++n) {
    space->node[n].broken = lists + (size_t)n * space->region_count;
    atomic_init(&space->node[n].medium_open, VARVE__NO_REGION);
  }
}

bool varve__space_open(struct varve_space *space, const struct varve_topology *topology, uint64_t limit_bytes,
                       bool huge_pages) {
  memset(space, 0, sizeof *space);
  space->topology = topology;
  space->huge_pages = huge_pages;
  uint64_t blocks = limit_bytes / (VARVE__BLOCK_BYTES + VARVE__SIDE_BYTES / VARVE__REGION_BLOCKS);
  space->limit_blocks = blocks < VARVE__REGION_BLOCKS ? VARVE__REGION_BLOCKS : (uint32_t)blocks;
  space->limit_regions = (space->limit_blocks + VARVE__REGION_BLOCKS - 1) / VARVE__REGION_BLOCKS;
  space->region_count = space->limit_regions * 2 + 16; /* room to find neighbours for large objects */
  space->bytes = (size_t)space->region_count << VARVE__REGION_SHIFT;
  space->base = (uintptr_t)varve__place_reserve(space->bytes, VARVE__REGION_BYTES);
  if (!space->base || !reserve_tables(space)) {
    varve__space_close(space);
    return false;
  }
  open_nodes(space);
  space->epoch = 1;
  return true;
}

void varve__space_close(struct varve_space *space) {
  size_t lines = space->bytes >> VARVE__LINE_SHIFT, blocks = space->bytes >> VARVE__BLOCK_SHIFT;
  varve__place_release((void *)space->base, space->bytes);
  varve__place_release(space->bitmap, lines * 8);
  varve__place_release(space->ranks, lines * 2);
  varve__place_release(space->blocks, blocks * sizeof(struct varve_block));
  varve__place_release(space->regions, state_bytes(space));
  memset(space, 0, sizeof *space);
}

/* ---- regions ---- */

uint64_t varve__space_range(const struct varve_space *space, uint32_t region) {
  const uint8_t *epochs = space->epochs + (size_t)region * VARVE__REGION_BLOCKS;
  const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
  uint64_t range = 0, eight;
  for (unsigned b = 0; b < VARVE__REGION_BLOCKS; b += 8) { /* the high bit of a byte: it is at least the cut */
    memcpy(&eight, epochs + b, sizeof eight);
    eight = ((eight | high) - ones * space->cut) & high;
    range |= (eight >> 7) * UINT64_C(0x0102040810204080) >> 56 << b;
  }
  return range;
}

static uint32_t find_region(const struct varve_space *space, uint32_t from, enum varve_region_kind kind, int node) {
  for (uint32_t r = from; r < space->region_count; ++r) {
    const struct varve_region *region = region_at(space, r);
    if (atomic_load_explicit(&region->kind, memory_order_relaxed) == kind && (node < 0 || region->node == node))
      return r;
  }
  return VARVE__NO_REGION;
}

static uint32_t commit_one_locked(struct varve_space *space, unsigned node) {
  if (atomic_load_explicit(&space->committed, memory_order_relaxed) >= space->limit_regions) return VARVE__NO_REGION;
  uint32_t region = find_region(space, space->commit_hint, REGION_UNCOMMITTED, -1);
  if (region == VARVE__NO_REGION || !commit_region(space, region, node)) return VARVE__NO_REGION;
  space->commit_hint = region + 1;
  return region;
}

static uint32_t find_free_locked(struct varve_space *space, int node) {
  if (!atomic_load_explicit(&space->free_regions, memory_order_relaxed)) return VARVE__NO_REGION;
  uint32_t region = find_region(space, space->free_hint, REGION_FREE, node);
  if (node < 0 && region != VARVE__NO_REGION) space->free_hint = region;
  return region;
}

static uint32_t take_region_locked(struct varve_space *space, unsigned node, enum varve_region_kind kind) {
  uint32_t region = find_free_locked(space, (int)node);
  if (region == VARVE__NO_REGION) region = commit_one_locked(space, node);
  if (region == VARVE__NO_REGION) region = find_free_locked(space, -1);
  if (region == VARVE__NO_REGION) return region;
  struct varve_region *r = region_at(space, region);
  atomic_store_explicit(&r->free_blocks, 0, memory_order_relaxed);
  atomic_store_explicit(&r->top, 0, memory_order_relaxed);
  r->fresh_from = 0;
  r->flags = 0;
  r->live = 0;
  r->age = atomic_fetch_add_explicit(&space->next_age, kind == REGION_MEDIUM, memory_order_relaxed);
  atomic_fetch_sub_explicit(&space->free_regions, 1, memory_order_relaxed);
  atomic_store_explicit(&r->kind, (uint8_t)kind, memory_order_release);
  return region;
}

uint32_t varve__space_take_region(struct varve_space *space, unsigned node, enum varve_region_kind kind) {
  varve__lock_take(&space->lock);
  uint32_t region = take_region_locked(space, node, kind);
  varve__lock_release(&space->lock);
  return region;
}

/* The highest one, because small objects take the lowest. */
static uint32_t find_surplus_locked(const struct varve_space *space, uint32_t below, uint32_t keep) {
  if (atomic_load_explicit(&space->committed, memory_order_relaxed) <= keep) return VARVE__NO_REGION;
  for (uint32_t r = below < space->region_high ? below : space->region_high; r-- > 0;)
    if (atomic_load_explicit(&region_at(space, r)->kind, memory_order_relaxed) == REGION_FREE) return r;
  return VARVE__NO_REGION;
}

uint32_t varve__space_give_back(struct varve_space *space, uint32_t below, uint32_t keep) {
  varve__lock_take(&space->lock);
  uint32_t region = find_surplus_locked(space, below, keep);
  if (region != VARVE__NO_REGION) leave_region(space, region);
  varve__lock_release(&space->lock);
  if (region == VARVE__NO_REGION) return region;
  drop_memory(space, region);
  varve__lock_take(&space->lock);
  forget_region(space, region);
  varve__lock_release(&space->lock);
  return region;
}

uint32_t varve__space_populate(struct varve_space *space, uint32_t count) {
  varve__lock_take(&space->lock);
  unsigned nodes = space->topology->node_count;
  for (uint32_t i = atomic_load_explicit(&space->committed, memory_order_relaxed); i < count; ++i)
    if (commit_one_locked(space, i % nodes) == VARVE__NO_REGION) break;
  varve__lock_release(&space->lock);
  return atomic_load_explicit(&space->committed, memory_order_relaxed);
}

void varve__space_release_region(struct varve_space *space, uint32_t region) {
  struct varve_region *r = region_at(space, region);
  atomic_store_explicit(&r->free_blocks, 0, memory_order_relaxed);
  atomic_store_explicit(&r->top, 0, memory_order_relaxed);
  atomic_store_explicit(&r->kind, REGION_FREE, memory_order_relaxed);
  atomic_fetch_add_explicit(&space->free_regions, 1, memory_order_relaxed);
  if (region < space->free_hint) space->free_hint = region;
}

/* ---- single blocks ---- */

void varve__space_block_taken(struct varve_space *space, uint32_t block) {
  struct varve_block *b = &space->blocks[block];
  b->top = 0;
  b->flags = 0;
  b->live = 0;
  space->epochs[block] = space->epoch;
  b->age = atomic_fetch_add_explicit(&space->next_age, 1, memory_order_relaxed);
  b->kind = BLOCK_SMALL;
  atomic_fetch_add_explicit(&space->allocated_bytes, VARVE__BLOCK_BYTES, memory_order_relaxed);
}

/* Take the lowest free block of a region; NO_BLOCK when it has none. */
static uint32_t claim_block(struct varve_space *space, uint32_t region) {
  struct varve_region *r = region_at(space, region);
  uint64_t mask = atomic_load_explicit(&r->free_blocks, memory_order_relaxed);
  while (mask)
    if (atomic_compare_exchange_weak_explicit(&r->free_blocks, &mask, mask & (mask - 1), memory_order_acq_rel,
                                              memory_order_relaxed))
      return region * VARVE__REGION_BLOCKS + bits_lowest(mask);
  return VARVE__NO_BLOCK;
}

static uint32_t claim_listed(struct varve_space *space, struct varve_node_space *node) {
  for (;;) {
    uint32_t cursor = atomic_load_explicit(&node->broken_cursor, memory_order_relaxed);
    if (cursor >= atomic_load_explicit(&node->broken_count, memory_order_acquire)) return VARVE__NO_BLOCK;
    uint32_t block = claim_block(space, node->broken[cursor]);
    if (block != VARVE__NO_BLOCK) return block;
    atomic_compare_exchange_strong_explicit(&node->broken_cursor, &cursor, cursor + 1, memory_order_relaxed,
                                            memory_order_relaxed);
  }
}

/* Open a whole free region to everybody's single blocks. False: there is none. */
static bool list_fresh_region(struct varve_space *space, unsigned node_index) {
  struct varve_node_space *node = &space->node[node_index];
  varve__lock_take(&space->lock);
  uint32_t count = atomic_load_explicit(&node->broken_count, memory_order_relaxed);
  bool listed = atomic_load_explicit(&node->broken_cursor, memory_order_relaxed) < count; /* somebody else did */
  if (!listed) {
    uint32_t region = take_region_locked(space, node_index, REGION_SMALL);
    if (region != VARVE__NO_REGION) {
      atomic_store_explicit(&region_at(space, region)->free_blocks, ~UINT64_C(0), memory_order_relaxed);
      node->broken[count] = region;
      atomic_store_explicit(&node->broken_count, count + 1, memory_order_release);
      listed = true;
    }
  }
  varve__lock_release(&space->lock);
  return listed;
}

static uint32_t claim_anywhere(struct varve_space *space, unsigned node) {
  for (;;) {
    uint32_t block = claim_listed(space, &space->node[node]);
    if (block != VARVE__NO_BLOCK) return block;
    if (!list_fresh_region(space, node)) break;
  }
  for (unsigned i = 1; i < space->topology->node_count; ++i) {
    uint32_t block = claim_listed(space, &space->node[space->topology->nodes[node].nearest[i]]);
    if (block != VARVE__NO_BLOCK) return block;
  }
  return varve__large_take_block(space);
}

uint32_t varve__space_take_block(struct varve_space *space, unsigned node) {
  uint32_t block = claim_anywhere(space, node);
  if (block != VARVE__NO_BLOCK) varve__space_block_taken(space, block);
  return block;
}

void varve__space_list_broken(struct varve_space *space, const uint32_t *regions, uint32_t count) {
  for (unsigned n = 0; n < space->topology->node_count; ++n) {
    atomic_store_explicit(&space->node[n].broken_count, 0, memory_order_relaxed);
    atomic_store_explicit(&space->node[n].broken_cursor, 0, memory_order_relaxed);
  }
  for (uint32_t i = 0; i < count; ++i) {
    struct varve_node_space *node = &space->node[region_at(space, regions[i])->node];
    uint32_t at = atomic_load_explicit(&node->broken_count, memory_order_relaxed);
    node->broken[at] = regions[i];
    atomic_store_explicit(&node->broken_count, at + 1, memory_order_release);
  }
}

void varve__space_list_region(struct varve_space *space, uint32_t region) {
  varve__lock_take(&space->lock);
  struct varve_node_space *node = &space->node[region_at(space, region)->node];
  uint32_t count = atomic_load_explicit(&node->broken_count, memory_order_relaxed);
  node->broken[count] = region;
  atomic_store_explicit(&node->broken_count, count + 1, memory_order_release);
  varve__lock_release(&space->lock);
}

/* ---- the budget ---- */

bool varve__space_spend(struct varve_space *space, uint32_t blocks) {
  int64_t left = atomic_fetch_sub_explicit(&space->budget_blocks, blocks, memory_order_relaxed) - blocks;
  if (left < 0) {
    atomic_fetch_add_explicit(&space->budget_blocks, blocks, memory_order_relaxed);
    return false;
  }
  atomic_fetch_add_explicit(&space->used_blocks, blocks, memory_order_relaxed);
  return true;
}

void varve__space_unspend(struct varve_space *space, uint32_t blocks) {
  atomic_fetch_add_explicit(&space->budget_blocks, blocks, memory_order_relaxed);
  atomic_fetch_sub_explicit(&space->used_blocks, blocks, memory_order_relaxed);
}

/* ---- mediums ---- */

static uintptr_t bump_medium(struct varve_space *space, uint32_t region, size_t words) {
  struct varve_region *r = region_at(space, region);
  uint32_t top = atomic_load_explicit(&r->top, memory_order_relaxed);
  while (top + words <= VARVE__REGION_WORDS)
    if (atomic_compare_exchange_weak_explicit(&r->top, &top, top + (uint32_t)words, memory_order_relaxed,
                                              memory_order_relaxed))
      return space_region_address(space, region) + (uintptr_t)top * 8;
  return 0;
}

static void open_medium_blocks(struct varve_space *space, uint32_t region) {
  struct varve_block *blocks = &space->blocks[(size_t)region * VARVE__REGION_BLOCKS];
  for (unsigned b = 0; b < VARVE__REGION_BLOCKS; ++b) {
    blocks[b].kind = BLOCK_MEDIUM;
    blocks[b].flags = 0;
    blocks[b].live = 0;
  }
  memset(space->epochs + (size_t)region * VARVE__REGION_BLOCKS, space->epoch, VARVE__REGION_BLOCKS);
}

/* Replace the node's full region. False: no region, or a collection is due. */
static bool open_medium(struct varve_space *space, unsigned node, uint32_t full) {
  _Atomic uint32_t *open = &space->node[node].medium_open;
  varve__lock_take(&space->lock);
  bool opened = atomic_load_explicit(open, memory_order_relaxed) != full; /* somebody else did */
  if (!opened && varve__space_spend(space, VARVE__REGION_BLOCKS)) {
    uint32_t region = take_region_locked(space, node, REGION_MEDIUM);
    opened = region != VARVE__NO_REGION;
    if (opened) {
      open_medium_blocks(space, region);
      atomic_store_explicit(open, region, memory_order_release);
    } else {
      varve__space_unspend(space, VARVE__REGION_BLOCKS);
    }
  }
  varve__lock_release(&space->lock);
  return opened;
}

uintptr_t varve__space_take_medium(struct varve_space *space, unsigned node, size_t words) {
  for (;;) {
    /* Acquire: pairs with the release in open_medium; the region is set up before it is seen. */
    uint32_t region = atomic_load_explicit(&space->node[node].medium_open, memory_order_acquire);
    uintptr_t at = region == VARVE__NO_REGION ? 0 : bump_medium(space, region, words);
    if (at) {
      atomic_fetch_add_explicit(&space->allocated_bytes, words * 8, memory_order_relaxed);
      return at;
    }
    if (!open_medium(space, node, region)) return 0;
  }
}

/* ---- room for large objects (used by large.c, under the lock) ---- */

static bool run_is_takeable(const struct varve_space *space, uint32_t first, uint32_t count, uint32_t *uncommitted) {
  *uncommitted = 0;
  for (uint32_t r = first; r < first + count; ++r) {
    uint8_t kind = atomic_load_explicit(&region_at(space, r)->kind, memory_order_relaxed);
    if (kind == REGION_UNCOMMITTED) ++*uncommitted;
    else if (kind != REGION_FREE) return false;
  }
  return true;
}

/* Give free regions outside [first, first + count) back until `needed` more can be committed. */
static bool make_room(struct varve_space *space, uint32_t first, uint32_t count, uint32_t needed) {
  for (uint32_t r = 0; r < space->region_high; ++r) {
    if (atomic_load_explicit(&space->committed, memory_order_relaxed) + needed <= space->limit_regions) return true;
    bool outside = r < first || r >= first + count;
    if (outside && atomic_load_explicit(&region_at(space, r)->kind, memory_order_relaxed) == REGION_FREE)
      decommit_region(space, r);
  }
  return atomic_load_explicit(&space->committed, memory_order_relaxed) + needed <= space->limit_regions;
}

static bool commit_run(struct varve_space *space, uint32_t first, uint32_t count, unsigned node) {
  for (uint32_t r = first; r < first + count; ++r)
    if (atomic_load_explicit(&region_at(space, r)->kind, memory_order_relaxed) == REGION_UNCOMMITTED &&
        !commit_region(space, r, node))
      return false;
  return true;
}

/* The highest run that ends below `end` and has at most `most` regions to commit. */
static uint32_t search_down(const struct varve_space *space, uint32_t end, uint32_t count, uint32_t most) {
  uint32_t uncommitted;
  if (end < count) return VARVE__NO_REGION;
  for (uint32_t first = end - count + 1; first-- > 0;)
    if (run_is_takeable(space, first, count, &uncommitted) && uncommitted <= most) return first;
  return VARVE__NO_REGION;
}

/* Where nothing need be committed; else among the regions that have been used; else above them, so that pauses need not
 * look at the whole reservation; else anywhere. */
static uint32_t find_run(const struct varve_space *space, uint32_t count) {
  bool enough = atomic_load_explicit(&space->free_regions, memory_order_relaxed) >= count;
  uint32_t first = enough ? search_down(space, space->region_high, count, 0) : VARVE__NO_REGION;
  if (first == VARVE__NO_REGION) first = search_down(space, space->region_high, count, count);
  if (first != VARVE__NO_REGION) return first;
  if (space->region_high + count <= space->region_count) return space->region_high;
  return search_down(space, space->region_count, count, count);
}

static void make_large(struct varve_space *space, uint32_t first, uint32_t count) {
  for (uint32_t r = first; r < first + count; ++r) {
    atomic_store_explicit(&region_at(space, r)->free_blocks, ~UINT64_C(0), memory_order_relaxed);
    atomic_store_explicit(&region_at(space, r)->kind, REGION_LARGE, memory_order_release);
  }
  atomic_fetch_sub_explicit(&space->free_regions, count, memory_order_relaxed);
}

uint32_t varve__space_take_run_locked(struct varve_space *space, unsigned node, uint32_t count) {
  uint32_t free = atomic_load_explicit(&space->free_regions, memory_order_relaxed), uncommitted;
  uint32_t committed = atomic_load_explicit(&space->committed, memory_order_relaxed);
  if (count > free + (space->limit_regions - committed)) return VARVE__NO_REGION;
  uint32_t first = find_run(space, count);
  if (first == VARVE__NO_REGION || !run_is_takeable(space, first, count, &uncommitted)) return VARVE__NO_REGION;
  if (!make_room(space, first, count, uncommitted) || !commit_run(space, first, count, node)) return VARVE__NO_REGION;
  make_large(space, first, count);
  return first;
}
