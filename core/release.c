/* SPDX-License-Identifier: MIT */
/* release.c -- after the slide: bitmaps and descriptors describe the new places, what is empty is free, ages are anew.
 *
 * Called by  collect.c; world stopped.   Needs  the slide done.   Leaves  M1 for the new places; every block's top and
 *            age; the broken lists.   Cost  the bitmap of the groups' blocks written once.   Memory  none.
 */
#include "core/release.h"

#include <string.h>

#include "core/plan.h"
#include "core/walk.h"
#include "core/worker.h"

#define HOLES_WORTH (VARVE__BLOCK_WORDS / 8) /* free words of a pinned block */

/* ---- release: the groups' blocks, in parallel ---- */

/* Bits [0, words) set, the rest of `lines` lines clear. */
static void fill_bitmap(uint64_t *bitmap, size_t lines, size_t words) {
  size_t full = words / 64;
  memset(bitmap, 0xff, full * 8);
  memset(bitmap + full, 0, (lines - full) * 8);
  if (words % 64) bitmap[full] = bits_below((unsigned)(words % 64));
}

static void free_block(struct varve_heap *heap, uint32_t block) {
  struct varve_space *space = &heap->space;
  struct varve_block *b = &space->blocks[block];
  if (b->live) memset(space_block_bitmap(space, block), 0, VARVE__BLOCK_BYTES / 64);
  b->kind = BLOCK_FREE;
  b->flags = 0;
  b->live = b->top = 0;
  heap_poison(heap, space_block_address(space, block), VARVE__BLOCK_BYTES);
  atomic_fetch_or_explicit(&space->regions[block / VARVE__REGION_BLOCKS].free_blocks,
                           UINT64_C(1) << (block % VARVE__REGION_BLOCKS), memory_order_relaxed);
  atomic_fetch_sub_explicit(&space->used_blocks, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&heap->plan->freed_blocks, 1, memory_order_relaxed);
}

static void settle_block(struct varve_heap *heap, uint32_t block) {
  struct varve_space *space = &heap->space;
  struct varve_block *b = &space->blocks[block];
  fill_bitmap(space_block_bitmap(space, block), VARVE__BLOCK_LINES, b->new_top);
  b->live = b->top = b->new_top;
  b->flags = 0;
  heap_poison(heap, space_block_address(space, block) + b->top * 8u, (VARVE__BLOCK_WORDS - b->top) * 8u);
}

static void free_medium(struct varve_heap *heap, uint32_t region) {
  struct varve_space *space = &heap->space;
  memset(space_block_bitmap(space, region * VARVE__REGION_BLOCKS), 0, VARVE__REGION_BYTES / 64);
  for (uint32_t b = region * VARVE__REGION_BLOCKS; b < (region + 1) * VARVE__REGION_BLOCKS; ++b) {
    space->blocks[b].kind = BLOCK_FREE;
    space->blocks[b].flags = 0;
    space->blocks[b].live = 0;
  }
  space->regions[region].flags = BLOCK_FREE_LATER;
  heap_poison(heap, space_region_address(space, region), VARVE__REGION_BYTES);
  atomic_fetch_sub_explicit(&space->used_blocks, VARVE__REGION_BLOCKS, memory_order_relaxed);
  atomic_fetch_add_explicit(&heap->plan->freed_blocks, VARVE__REGION_BLOCKS, memory_order_relaxed);
}

static void settle_medium(struct varve_heap *heap, uint32_t region) {
  struct varve_space *space = &heap->space;
  struct varve_region *r = &space->regions[region];
  fill_bitmap(space_block_bitmap(space, region * VARVE__REGION_BLOCKS), VARVE__REGION_WORDS / 64, r->new_top);
  atomic_store_explicit(&r->top, r->new_top, memory_order_relaxed);
  r->live = r->new_top;
  r->flags = 0;
  for (uint32_t b = 0; b < VARVE__REGION_BLOCKS; ++b) {
    uint32_t below = b * VARVE__BLOCK_WORDS, words = r->new_top < below ? 0 : r->new_top - below;
    space->blocks[region * VARVE__REGION_BLOCKS + b].live =
        (uint16_t)(words < VARVE__BLOCK_WORDS ? words : VARVE__BLOCK_WORDS);
    space->blocks[region * VARVE__REGION_BLOCKS + b].flags = 0;
  }
  heap_poison(heap, space_region_address(space, region) + r->new_top * 8ull, (VARVE__REGION_WORDS - r->new_top) * 8ull);
}

static void release_group(struct varve_heap *heap, const struct varve_group *group) {
  for (uint32_t i = 0; i < group->target_count; ++i) {
    uint32_t unit = group_target(heap->plan, group, i);
    bool target = i < group->targets;
    if (group->medium) (target ? settle_medium : free_medium)(heap, unit);
    else (target ? settle_block : free_block)(heap, unit);
  }
}

void varve__release_worker(struct varve_heap *heap, uint32_t worker) {
  struct varve_taker groups = varve__share_open(heap, &heap->shares.groups, worker);
  uint32_t task;
  while (share_take(&groups, &task))
    release_group(heap, &heap->plan->groups[task]);
}

/* ---- finish: worker 0 ---- */

/* Holes in a block that stays. */
static void poison_holes(struct varve_heap *heap, uint64_t base, const uint64_t *bitmap, size_t words) {
  if (!heap->options.poison) return;
  for (size_t at = 0; at < words;) {
    size_t from = walk_find(bitmap, at, words, false);
    at = walk_find(bitmap, from, words, true);
    heap_poison(heap, base + from * 8, (at - from) * 8);
  }
}

/* R8. */
static void offer_holes(struct varve_heap *heap, uint32_t block) {
  uint32_t room = VARVE__BLOCK_WORDS - heap->space.blocks[block].live;
  if (room < HOLES_WORTH || heap->ages.freezes) return;
  uint32_t region = block / VARVE__REGION_BLOCKS;
  heap->space.holes[region] |= UINT64_C(1) << block % VARVE__REGION_BLOCKS;
  if (heap->space.hole_end <= region) heap->space.hole_end = region + 1;
  heap->hole_words += room;
}

/* A SMALL block, after the groups are settled: empty, or it has stayed or received. */
static void finish_block(struct varve_heap *heap, uint32_t block) {
  struct varve_space *space = &heap->space;
  struct varve_block *b = &space->blocks[block];
  if (!b->live) {
    free_block(heap, block);
    return;
  }
  if (b->flags & BLOCK_PINNED) offer_holes(heap, block);
  b->flags = 0;
#ifdef VARVE_PLANT_STALE_EPOCH
  if (block % 8)
#endif
  space->epochs[block] = space->cut;
  poison_holes(heap, space_block_address(space, block), space_block_bitmap(space, block), VARVE__BLOCK_WORDS);
  heap->live_bytes += b->live * 8u;
}

/* The end of the last live object, in whole blocks: what is allocated above it is of another epoch (R6). */
static uint32_t find_top(const uint64_t *bitmap, uint32_t top) {
  uint32_t line = (top + 63) / 64;
  while (line && !bitmap[line - 1]) --line;
  return (line * 64 + VARVE__BLOCK_WORDS - 1) / VARVE__BLOCK_WORDS * VARVE__BLOCK_WORDS;
}

static void finish_medium(struct varve_heap *heap, uint32_t region, uint64_t range) {
  struct varve_space *space = &heap->space;
  struct varve_region *r = &space->regions[region];
  uint64_t *bitmap = space_block_bitmap(space, region * VARVE__REGION_BLOCKS);
  if (r->flags & BLOCK_FREE_LATER) return;
  if (!r->live) {
    free_medium(heap, region);
    return;
  }
  r->fresh_from = find_top(bitmap, atomic_load_explicit(&r->top, memory_order_relaxed));
  atomic_store_explicit(&r->top, r->fresh_from, memory_order_relaxed);
  poison_holes(heap, space_region_address(space, region), bitmap, VARVE__REGION_WORDS);
  for (; range; range &= range - 1) {
    uint32_t block = region * VARVE__REGION_BLOCKS + bits_lowest(range);
#ifdef VARVE_PLANT_MEDIUM_EPOCH
    if (block % 4)
#endif
    space->epochs[block] = space->cut;
    heap->live_bytes += space->blocks[block].live * 8u;
  }
}

static void finish_large(struct varve_heap *heap, uint32_t block) {
  struct varve_space *space = &heap->space;
  if (space->blocks[block].kind == BLOCK_FREE) return;
  space->epochs[block] = space->cut;
  space->blocks[block].flags = 0;
  if (space->blocks[block].kind != BLOCK_LARGE_HEAD) return;
  heap->live_bytes += varve_object_bytes((varve_object *)space_block_address(space, block));
}

static void finish_blocks(struct varve_heap *heap, uint32_t region, uint64_t range) {
  for (; range; range &= range - 1) {
    uint32_t block = region * VARVE__REGION_BLOCKS + bits_lowest(range);
    if (heap->space.blocks[block].kind == BLOCK_SMALL) finish_block(heap, block);
    else finish_large(heap, block);
  }
}

static void finish_region(struct varve_heap *heap, uint32_t region) {
  struct varve_space *space = &heap->space;
  struct varve_region *r = &space->regions[region];
  uint8_t kind = atomic_load_explicit(&r->kind, memory_order_relaxed);
  uint64_t range = kind < REGION_SMALL ? 0 : varve__space_range(space, region);
  if (!range) return;
  if (kind == REGION_MEDIUM) finish_medium(heap, region, range);
  else finish_blocks(heap, region, range);
  bool empty = kind == REGION_SMALL && atomic_load_explicit(&r->free_blocks, memory_order_relaxed) == ~UINT64_C(0);
  if (empty || (kind == REGION_MEDIUM && (r->flags & BLOCK_FREE_LATER))) {
    varve__space_release_region(space, region);
    ++heap->current.regions_freed;
  }
  r->flags = 0;
}

/* Number a unit of the new order and note its region when it has free blocks. `regions` collects at most one entry a
 * region. */
struct renumbering {
  uint32_t age, region_count;
  uint32_t *regions;
};

static void renumber_region(struct varve_space *space, struct renumbering *n, uint32_t region) {
  struct varve_region *r = &space->regions[region];
  if (atomic_load_explicit(&r->kind, memory_order_relaxed) == REGION_MEDIUM) r->age = n->age++;
}

/* R3: only SMALL regions are listed. */
static void list_broken(struct varve_space *space, struct renumbering *n, uint32_t region) {
  struct varve_region *r = &space->regions[region];
  if ((r->flags & BLOCK_TARGET) || !atomic_load_explicit(&r->free_blocks, memory_order_relaxed)) return;
  if (atomic_load_explicit(&r->kind, memory_order_relaxed) != REGION_SMALL) return;
  r->flags |= BLOCK_TARGET; /* listed */
  n->regions[n->region_count++] = region;
}

/* A block that has been freed may be beside older ones, in a region that is not listed yet. */
static void renumber_block(struct varve_space *space, struct renumbering *n, uint32_t block) {
  if (space->blocks[block].kind == BLOCK_SMALL) space->blocks[block].age = n->age++;
  list_broken(space, n, block / VARVE__REGION_BLOCKS);
}

/* Regions that were listed for their free blocks, and still have some: the oldest first, as they were. */
static void keep_broken(struct varve_space *space, struct renumbering *n) {
  for (unsigned i = 0; i < space->topology->node_count; ++i) {
    const struct varve_node_space *node = &space->node[i];
    uint32_t count = atomic_load_explicit(&node->broken_count, memory_order_relaxed);
    for (uint32_t at = atomic_load_explicit(&node->broken_cursor, memory_order_relaxed); at < count; ++at)
      list_broken(space, n, node->broken[at]);
  }
}

/* Ages of the range anew, in the order of the sequence. */
static void renumber(struct varve_heap *heap) {
  struct varve_plan *plan = heap->plan;
  struct varve_space *space = &heap->space;
  struct renumbering n = {.regions = plan->by_age, .age = heap->ages.first_age[space->cut]};
  if (space->cut) keep_broken(space, &n);
  for (uint32_t i = 0; i < plan->sequence_count; ++i) {
    uint32_t entry = plan->sequence[i];
    if (entry & VARVE__MEDIUM_ENTRY) renumber_region(space, &n, entry & ~VARVE__MEDIUM_ENTRY);
    else renumber_block(space, &n, entry);
  }
  atomic_store_explicit(&space->next_age, n.age, memory_order_relaxed);
  varve__space_list_broken(space, n.regions, n.region_count);
  for (uint32_t i = 0; i < n.region_count; ++i) space->regions[n.regions[i]].flags = 0;
}

/* R6: what will be allocated in a node's open region is of the epoch that begins. */
static void renew_medium(struct varve_space *space, unsigned node) {
  uint32_t region = atomic_load_explicit(&space->node[node].medium_open, memory_order_relaxed);
  if (region == VARVE__NO_REGION) return;
  uint32_t first = space->regions[region].fresh_from / VARVE__BLOCK_WORDS;
  memset(space->epochs + region * VARVE__REGION_BLOCKS + first, space->epoch, VARVE__REGION_BLOCKS - first);
  varve__space_clear_starts(space, region);
}

/* Mediums are bumped from the region with the most room, if the largest medium fits there. */
static void open_mediums(struct varve_space *space) {
  uint32_t least[VARVE__NODES_MAX];
  for (unsigned node = 0; node < space->topology->node_count; ++node) {
    least[node] = VARVE__REGION_WORDS - VARVE_MEDIUM_MAX / 8;
    atomic_store_explicit(&space->node[node].medium_open, VARVE__NO_REGION, memory_order_relaxed);
  }
  for (uint32_t r = 0; r < space->region_high; ++r) {
    const struct varve_region *region = &space->regions[r];
    uint32_t top = atomic_load_explicit(&region->top, memory_order_relaxed);
    unsigned list = space_list(space, region->node);
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): lists are nodes of the topology */
    if (atomic_load_explicit(&region->kind, memory_order_relaxed) != REGION_MEDIUM || top > least[list]) continue;
    least[list] = top;
    atomic_store_explicit(&space->node[list].medium_open, r, memory_order_relaxed);
  }
  for (unsigned node = 0; node < space->topology->node_count; ++node) renew_medium(space, node);
}

static void note_plan(struct varve_heap *heap) {
  struct varve_plan *plan = heap->plan;
  varve_collection_stats *stats = &heap->current;
  stats->bytes_moved += atomic_load_explicit(&plan->moved_words, memory_order_relaxed) * 8;
  stats->bytes_fixed_in_place = atomic_load_explicit(&plan->in_place_words, memory_order_relaxed) * 8;
  stats->blocks_freed = atomic_load_explicit(&plan->freed_blocks, memory_order_relaxed);
  stats->groups = plan->group_count;
  for (uint32_t i = 0; i < plan->group_count; ++i) stats->splits += plan->groups[i].splits;
}

void varve__release_finish(struct varve_heap *heap) {
  struct varve_space *space = &heap->space;
  heap->live_bytes = heap->hole_words = 0;
  varve__space_forget_holes(space);
  for (uint32_t r = 0; r < space->region_high; ++r) finish_region(heap, r);
  heap->current.regions_freed += varve__large_release_regions(space);
  renumber(heap);
  varve__ages_end(heap, heap->live_bytes);
  heap->live_bytes += varve__ages_live_before(heap, space->cut);
  open_mediums(space);
  note_plan(heap);
}
