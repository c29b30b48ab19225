/* SPDX-License-Identifier: MIT */
/* space.c -- reservation, and the hand-out of regions and blocks (invariants R1-R6 in space.h). Where their memory
 * comes from is in commit.c.
 *
 * Called by mutators in their slow paths, concurrently, and by worker 0 in pauses. Regions change kind under the
 * lock, which is taken once per 2 MiB; single blocks are taken with one atomic operation.
 */
#include "regions/space.h"

#include <string.h>

#include "core/base/check.h"
#include "core/base/shade.h"
#include "numa/place.h"
#include "regions/commit.h"

#define PAGE ((size_t)4096)

static struct varve_region *region_at(const struct varve_space *space, uint32_t region) {
  return &space->regions[region];
}

/* ---- open and close ---- */

/* Region states; behind them the blocks' moves, holes and epochs, the nodes' broken lists, and the stripes. */
static size_t state_bytes(const struct varve_space *space) {
  size_t each = sizeof(struct varve_region) + 2 * sizeof(uint64_t) + VARVE__REGION_BLOCKS +
                sizeof(uint32_t) * space->topology->node_count + 1;
  return bits_round_up(space->region_count * each, PAGE);
}

static bool reserve_tables(struct varve_space *space) {
  size_t lines = space->bytes >> VARVE__LINE_SHIFT, blocks = space->bytes >> VARVE__BLOCK_SHIFT;
  space->bitmap = varve__place_reserve(lines * 8, VARVE__REGION_BYTES);
  space->ranks = varve__place_reserve(lines * 2, VARVE__REGION_BYTES);
  space->blocks = varve__place_reserve(blocks * sizeof(struct varve_block), VARVE__REGION_BYTES);
  space->regions = varve__place_reserve(state_bytes(space), PAGE);
  if (!space->bitmap || !space->ranks || !space->blocks || !space->regions) return false;
  return varve__place_commit(space->topology, space->regions, state_bytes(space), space->topology->cpus[0].node, 0) &&
         varve__place_commit(space->topology, space->blocks, blocks * sizeof(struct varve_block), VARVE__NODES_MAX, 0);
}

static void open_nodes(struct varve_space *space) {
  space->moves = (uint64_t *)(space->regions + space->region_count);
  space->holes = space->moves + space->region_count;
  space->epochs = (uint8_t *)(space->holes + space->region_count);
  uint32_t *lists = (uint32_t *)(space->epochs + (size_t)space->region_count * VARVE__REGION_BLOCKS);
  for (unsigned n = 0; n < space->topology->node_count; ++n) {
    space->node[n].broken = lists + (size_t)n * space->region_count;
    atomic_init(&space->node[n].medium_open, VARVE__NO_REGION);
  }
  space->stripes = (uint8_t *)(lists + (size_t)space->topology->node_count * space->region_count);
  space->stripe_log = varve__commit_stripe_log(space->topology, space->region_count);
}

bool varve__space_open(struct varve_space *space, const struct varve_topology *topology, uint64_t limit_bytes,
                       uint64_t most_bytes, unsigned how) {
  memset(space, 0, sizeof *space);
  space->topology = topology;
  space->how = how;
  uint64_t blocks = limit_bytes / (VARVE__BLOCK_BYTES + VARVE__SIDE_BYTES / VARVE__REGION_BLOCKS);
  space->limit_blocks = blocks < VARVE__REGION_BLOCKS ? VARVE__REGION_BLOCKS : (uint32_t)blocks;
  space->limit_regions = (space->limit_blocks + VARVE__REGION_BLOCKS - 1) / VARVE__REGION_BLOCKS;
  space->region_count = space->limit_regions * 2 + 16; /* room to find neighbours for large objects */
  if (space->region_count > most_bytes >> VARVE__REGION_SHIFT)
    space->region_count = (uint32_t)(most_bytes >> VARVE__REGION_SHIFT);
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

void varve__space_set_spin(struct varve_space *space, uint32_t spin) {
  space->lock.spin = spin;
  for (unsigned n = 0; n < space->topology->node_count; ++n) space->node[n].opening.spin = spin;
}

void varve__space_close(struct varve_space *space) {
  size_t lines = space->bytes >> VARVE__LINE_SHIFT, blocks = space->bytes >> VARVE__BLOCK_SHIFT;
  shade_show(space->base, (size_t)space->region_high << VARVE__REGION_SHIFT);
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

/* The lowest free region of the node's list. */
static uint32_t find_free_on(struct varve_space *space, unsigned list) {
  struct varve_node_space *node = &space->node[list];
  for (uint32_t r = node->free_hint; r < space->region_high; ++r) {
    const struct varve_region *region = region_at(space, r);
    if (atomic_load_explicit(&region->kind, memory_order_relaxed) != REGION_FREE) continue;
    if (space_list(space, region->node) == list) return node->free_hint = r;
  }
  node->free_hint = space->region_high;
  return VARVE__NO_REGION;
}

static uint32_t find_free_anywhere(struct varve_space *space, unsigned node) {
  const unsigned *nearest = space->topology->nodes[node].nearest;
  uint32_t region = VARVE__NO_REGION;
  for (unsigned i = 0; i < space->topology->node_count && region == VARVE__NO_REGION; ++i)
    region = find_free_on(space, space_list(space, nearest[i]));
  return region;
}

/* Under the lock. */
static void set_taken(struct varve_space *space, uint32_t region, enum varve_region_kind kind) {
  struct varve_region *r = region_at(space, region);
  atomic_store_explicit(&r->free_blocks, 0, memory_order_relaxed);
  atomic_store_explicit(&r->top, 0, memory_order_relaxed);
  r->fresh_from = 0;
  r->flags = 0;
  r->live = 0;
  r->age = atomic_fetch_add_explicit(&space->next_age, kind == REGION_MEDIUM, memory_order_relaxed);
  atomic_fetch_sub_explicit(&space->free_regions, 1, memory_order_relaxed);
  atomic_store_explicit(&r->kind, (uint8_t)kind, memory_order_release);
}

/* The lock is held before and after, not while memory is got. */
static uint32_t commit_one(struct varve_space *space, unsigned node) {
  uint32_t region = varve__commit_choose(space, node);
  if (region == VARVE__NO_REGION) return region;
  varve__lock_release(&space->lock);
  bool committed = varve__commit_region(space, region, node);
  varve__lock_take(&space->lock);
  varve__commit_settle(space, region, committed);
  return committed ? region : VARVE__NO_REGION;
}

uint32_t varve__space_take_region(struct varve_space *space, unsigned node, enum varve_region_kind kind) {
  varve__lock_take(&space->lock);
  uint32_t region = find_free_on(space, space_list(space, node));
  if (region == VARVE__NO_REGION) region = commit_one(space, node);
  if (region == VARVE__NO_REGION) region = find_free_anywhere(space, node);
  if (region != VARVE__NO_REGION) set_taken(space, region, kind);
  varve__lock_release(&space->lock);
  return region;
}

void varve__space_release_region(struct varve_space *space, uint32_t region) {
  struct varve_region *r = region_at(space, region);
  atomic_store_explicit(&r->free_blocks, 0, memory_order_relaxed);
  atomic_store_explicit(&r->top, 0, memory_order_relaxed);
  atomic_store_explicit(&r->kind, REGION_FREE, memory_order_relaxed);
  atomic_fetch_add_explicit(&space->free_regions, 1, memory_order_relaxed);
  struct varve_node_space *node = &space->node[space_list(space, r->node)];
  if (region < node->free_hint) node->free_hint = region;
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

/* Let single blocks be taken from a region. */
static void list_region(struct varve_space *space, struct varve_node_space *node, uint32_t region) {
  varve__lock_take(&space->lock);
  uint32_t count = atomic_load_explicit(&node->broken_count, memory_order_relaxed);
  node->broken[count] = region;
  atomic_store_explicit(&node->broken_count, count + 1, memory_order_release);
  varve__lock_release(&space->lock);
}

static bool has_listed(struct varve_node_space *node) {
  return atomic_load_explicit(&node->broken_cursor, memory_order_relaxed) <
         atomic_load_explicit(&node->broken_count, memory_order_relaxed);
}

/* Open a whole free region to everybody's single blocks. False: there is none. */
static bool list_fresh_region(struct varve_space *space, unsigned node_index) {
  struct varve_node_space *node = &space->node[node_index];
  varve__lock_take(&node->opening);
  bool listed = has_listed(node); /* somebody else did */
  if (!listed) {
    uint32_t region = varve__space_take_region(space, node_index, REGION_SMALL);
    listed = region != VARVE__NO_REGION;
    if (listed) {
      atomic_store_explicit(&region_at(space, region)->free_blocks, ~UINT64_C(0), memory_order_relaxed);
      list_region(space, node, region);
    }
  }
  varve__lock_release(&node->opening);
  return listed;
}

static uint32_t claim_anywhere(struct varve_space *space, unsigned node) {
  node = space_list(space, node);
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

uint32_t varve__space_take_listed(struct varve_space *space, unsigned node) {
  uint32_t block = claim_listed(space, &space->node[space_list(space, node)]);
  if (block != VARVE__NO_BLOCK) varve__space_block_taken(space, block);
  return block;
}

uint32_t varve__space_take_block(struct varve_space *space, unsigned node) {
  uint32_t block = claim_anywhere(space, node);
  if (block != VARVE__NO_BLOCK) varve__space_block_taken(space, block);
  return block;
}

uint32_t varve__space_take_holes(struct varve_space *space) {
  uint32_t region = atomic_load_explicit(&space->hole_cursor, memory_order_relaxed);
  for (; region < space->hole_end; ++region) {
    uint64_t bits = __atomic_load_n(&space->holes[region], __ATOMIC_RELAXED);
    while (bits)
      if (__atomic_compare_exchange_n(&space->holes[region], &bits, bits & (bits - 1), true, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED))
        return region * VARVE__REGION_BLOCKS + bits_lowest(bits);
    atomic_store_explicit(&space->hole_cursor, region + 1, memory_order_relaxed); /* a hint: bits only go */
  }
  return VARVE__NO_BLOCK;
}

void varve__space_forget_holes(struct varve_space *space) {
  memset(space->holes, 0, space->hole_end * sizeof *space->holes);
  space->hole_end = 0;
  atomic_store_explicit(&space->hole_cursor, 0, memory_order_relaxed);
}

void varve__space_list_broken(struct varve_space *space, const uint32_t *regions, uint32_t count) {
  for (unsigned n = 0; n < space->topology->node_count; ++n) {
    atomic_store_explicit(&space->node[n].broken_count, 0, memory_order_relaxed);
    atomic_store_explicit(&space->node[n].broken_cursor, 0, memory_order_relaxed);
  }
  for (uint32_t i = 0; i < count; ++i) {
    struct varve_node_space *node = &space->node[space_list(space, region_at(space, regions[i])->node)];
    uint32_t at = atomic_load_explicit(&node->broken_count, memory_order_relaxed);
    node->broken[at] = regions[i];
    atomic_store_explicit(&node->broken_count, at + 1, memory_order_release);
  }
}

void varve__space_list_region(struct varve_space *space, uint32_t region) {
  list_region(space, &space->node[space_list(space, region_at(space, region)->node)], region);
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

void varve__space_clear_starts(struct varve_space *space, uint32_t region) {
  uint32_t from = region_at(space, region)->fresh_from / 64, lines = VARVE__REGION_WORDS / 64;
  memset(space->ranks + (size_t)region * lines + from, 0, (lines - from) * sizeof *space->ranks);
}

static void note_start(struct varve_space *space, uintptr_t address) {
  size_t word = space_word(space, address);
  __atomic_store_n(&space->ranks[word / 64], (uint16_t)(word % 64 + 1), __ATOMIC_RELAXED);
}

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
  varve__space_clear_starts(space, region);
}

static bool open_medium_region(struct varve_space *space, unsigned node) {
  if (!varve__space_spend(space, VARVE__REGION_BLOCKS)) return false;
  uint32_t region = varve__space_take_region(space, node, REGION_MEDIUM);
  if (region == VARVE__NO_REGION) {
    varve__space_unspend(space, VARVE__REGION_BLOCKS);
    return false;
  }
  open_medium_blocks(space, region);
  atomic_store_explicit(&space->node[space_list(space, node)].medium_open, region, memory_order_release);
  return true;
}

/* Replace the node's full region. False: no region, or a collection is due. */
static bool open_medium(struct varve_space *space, unsigned node, uint32_t full) {
  struct varve_node_space *list = &space->node[space_list(space, node)];
  varve__lock_take(&list->opening);
  bool opened = atomic_load_explicit(&list->medium_open, memory_order_relaxed) != full; /* somebody else did */
  if (!opened) opened = open_medium_region(space, node);
  varve__lock_release(&list->opening);
  return opened;
}

uintptr_t varve__space_take_medium(struct varve_space *space, unsigned node, size_t words) {
  for (;;) {
    /* Acquire: pairs with the release in open_medium; the region is set up before it is seen. */
    uint32_t region = atomic_load_explicit(&space->node[space_list(space, node)].medium_open, memory_order_acquire);
    uintptr_t at = region == VARVE__NO_REGION ? 0 : bump_medium(space, region, words);
    if (at) {
      note_start(space, at);
      atomic_fetch_add_explicit(&space->allocated_bytes, words * 8, memory_order_relaxed);
      return at;
    }
    if (!open_medium(space, node, region)) return 0;
  }
}
