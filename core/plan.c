/* SPDX-License-Identifier: MIT */
/* plan.c -- count and group: see plan.h for the idea and the invariants, plan_target.c for what comes next.
 *
 * Source     Groups and the one split per block follow from in-order sliding: Abuaiadh et al., OOPSLA 2004 (bit
 *            counting, order kept), with the difference that the heap is cut into independent groups.
 * Called by  collect.c; world stopped.
 * Needs      the bitmap final (M1).   Leaves  every source's dst1, dst2, split and moves set.
 * Cost       one read of the bitmap (16 MiB a GiB), 32 bytes written a block. Memory: none, arrays are opened with
 *            the heap.
 */
#include "core/plan.h"

#include <string.h>

#include "core/base/check.h"
#include "core/policy.h"
#include "core/walk.h"
#include "core/worker.h"

#define GROUP_REGIONS_MIN 4u
#define GROUP_REGIONS_MAX 16u
#define GROUPS_PER_WORKER 4u

/* ---- open and close ---- */

/* Every group but the last of a node and kind has a region of its own; a large object has five blocks. */
static size_t group_capacity(const struct varve_heap *heap) {
  return heap->space.limit_regions + 2 * heap->topology->node_count;
}

static size_t array_bytes(const struct varve_heap *heap) {
  size_t n = heap->plan->capacity;
  return group_capacity(heap) * sizeof(struct varve_group) + n / 4 * sizeof(struct varve_large_move) +
         5 * n * sizeof(uint32_t);
}

struct varve_plan *varve__plan_open(struct varve_heap *heap) {
  struct varve_plan *plan = heap_meta_alloc(heap, sizeof *plan);
  if (!plan) return NULL;
  heap->plan = plan;
  plan->resume = VARVE__NO_BLOCK;
  plan->capacity = heap->space.limit_regions * VARVE__REGION_BLOCKS;
  char *memory = heap_meta_alloc(heap, array_bytes(heap));
  if (!memory) return NULL; /* the heap closes what there is */
  size_t n = plan->capacity;
  plan->groups = (struct varve_group *)memory;
  plan->large = (struct varve_large_move *)(plan->groups + group_capacity(heap));
  plan->by_age = (uint32_t *)(plan->large + n / 4);
  plan->sequence = plan->by_age + 2 * n;
  plan->order = plan->sequence + n;
  plan->targets = plan->order + n;
  return plan;
}

void varve__plan_close(struct varve_heap *heap) {
  if (!heap->plan) return;
  heap_meta_free(heap, heap->plan->groups, array_bytes(heap));
  heap_meta_free(heap, heap->plan, sizeof *heap->plan);
  heap->plan = NULL;
}

/* ---- count ---- */

/* In four parts, so that their sums do not wait for each other. */
static void count_block(struct varve_space *space, uint32_t block) {
  enum { PARTS = 4, PART = VARVE__BLOCK_LINES / PARTS };
  const uint64_t *bitmap = space_block_bitmap(space, block);
  uint16_t *ranks = space->ranks + (size_t)block * VARVE__BLOCK_LINES;
  unsigned live[PARTS] = {0}, before = 0;
  for (unsigned line = 0; line < PART; ++line)
    for (unsigned part = 0; part < PARTS; ++part) {
      ranks[part * PART + line] = (uint16_t)live[part];
      live[part] += bits_count(bitmap[part * PART + line]);
    }
  for (unsigned part = 0; part < PARTS; ++part) {
    for (unsigned line = 0; line < PART; ++line) ranks[part * PART + line] += (uint16_t)before;
    before += live[part];
  }
  space->blocks[block].live = (uint16_t)before;
  space->blocks[block].flags = 0;
}

/* Live words of the two newest epochs. */
struct young_words {
  uint64_t fresh, aged;
};

static uint64_t live_words(const struct varve_space *space, uint32_t block) {
  const struct varve_block *b = &space->blocks[block];
  if (b->kind == BLOCK_SMALL || b->kind == BLOCK_MEDIUM) return b->live;
  bool marked = b->kind == BLOCK_LARGE_HEAD && (space_block_bitmap(space, block)[0] & 1);
  return marked ? varve_object_bytes((varve_object *)space_block_address(space, block)) / 8 : 0;
}

static void note_young(struct young_words *young, const struct varve_space *space, uint32_t block) {
  if (space_is_fresh(space, block)) young->fresh += live_words(space, block);
  else if (space->epochs[block] + 1 == space->epoch) young->aged += live_words(space, block);
}

/* Older blocks were counted when they were in the range. */
static void count_region(struct varve_space *space, uint32_t region, struct young_words *young) {
  struct varve_region *r = &space->regions[region];
  uint8_t kind = atomic_load_explicit(&r->kind, memory_order_relaxed);
  r->flags = 0;
  space->moves[region] = 0;
  uint64_t range = kind < REGION_SMALL ? 0 : varve__space_range(space, region);
  for (uint64_t rest = range; rest; rest &= rest - 1) {
    uint32_t b = region * VARVE__REGION_BLOCKS + bits_lowest(rest);
    if (space->blocks[b].kind == BLOCK_FREE) continue;
    count_block(space, b);
    note_young(young, space, b);
  }
  r->live = range ? 0 : r->live;
  for (uint32_t b = region * VARVE__REGION_BLOCKS; range && b < (region + 1) * VARVE__REGION_BLOCKS; ++b)
    if (space->blocks[b].kind != BLOCK_FREE) r->live += space->blocks[b].live;
}

void varve__plan_begin(struct varve_heap *heap) {
  struct varve_plan *plan = heap->plan;
  varve__share_rewind(&heap->shares.regions);
  atomic_store_explicit(&plan->moved_words, 0, memory_order_relaxed);
  atomic_store_explicit(&plan->in_place_words, 0, memory_order_relaxed);
  atomic_store_explicit(&plan->freed_blocks, 0, memory_order_relaxed);
  atomic_store_explicit(&plan->fresh_words, 0, memory_order_relaxed);
  atomic_store_explicit(&plan->aged_words, 0, memory_order_relaxed);
}

void varve__plan_count_worker(struct varve_heap *heap, uint32_t worker) {
  struct varve_plan *plan = heap->plan;
  uint32_t region, counted = 0;
  struct young_words young = {0, 0};
  struct varve_taker regions = varve__share_open(heap, &heap->shares.regions, worker);
  while (share_take(&regions, &region)) {
    if (space_kind(&heap->space, region) >= REGION_SMALL) ++counted;
    count_region(&heap->space, region, &young);
  }
  atomic_fetch_add_explicit(&plan->fresh_words, young.fresh, memory_order_relaxed);
  atomic_fetch_add_explicit(&plan->aged_words, young.aged, memory_order_relaxed);
  if (worker < VARVE_STATS_WORKERS) heap->current.worker[worker].regions_counted = counted;
}

/* ---- group ---- */

/* What grouping keeps while it walks. */
struct grouping {
  struct varve_heap *heap;
  struct varve_plan *plan;
  uint64_t dense_block, dense_region; /* words from which on a block, a MEDIUM region stays */
  uint32_t group_regions;
  uint32_t hole_region; /* older regions below have no free block */
};

/* A4: `first` is the least age of the range. */
static void enter_age(struct varve_plan *plan, uint32_t first, uint32_t age, uint32_t entry) {
  VARVE_ALWAYS(age - first < 2 * plan->capacity, "plan: age %u of entry %u is out of range", age, entry);
  plan->by_age[age - first] = entry + 1;
}

static void enter_region(struct varve_heap *heap, uint32_t first, uint32_t region) {
  struct varve_space *space = &heap->space;
  uint8_t kind = space_kind(space, region);
  uint64_t range = kind < REGION_SMALL ? 0 : varve__space_range(space, region);
  if (kind == REGION_MEDIUM && range == ~UINT64_C(0))
    enter_age(heap->plan, first, space->regions[region].age, region | VARVE__MEDIUM_ENTRY);
  if (!region_has_blocks(kind)) return;
  for (; range; range &= range - 1) {
    uint32_t block = region * VARVE__REGION_BLOCKS + bits_lowest(range);
    if (space->blocks[block].kind == BLOCK_SMALL) enter_age(heap->plan, first, space->blocks[block].age, block);
  }
}

/* Every block of the range and every MEDIUM region that is in it altogether into by_age. @return the ages in use. */
static uint32_t sort_by_age(struct varve_heap *heap) {
  uint32_t first = heap->ages.first_age[heap->space.cut];
  uint32_t ages = atomic_load_explicit(&heap->space.next_age, memory_order_relaxed) - first;
  memset(heap->plan->by_age, 0, ages * sizeof *heap->plan->by_age);
  for (uint32_t r = 0; r < heap->space.region_high; ++r) enter_region(heap, first, r);
  return ages;
}

/* ---- spares: free blocks and regions as destinations ---- */

static void set_kind(struct varve_space *space, uint32_t region, enum varve_region_kind kind) {
  atomic_store_explicit(&space->regions[region].kind, (uint8_t)kind, memory_order_relaxed);
  atomic_fetch_sub_explicit(&space->free_regions, 1, memory_order_relaxed);
}

static uint32_t find_free_region(const struct varve_space *space, unsigned node) {
  for (uint32_t r = 0; r < space->region_high; ++r)
    if (space_kind(space, r) == REGION_FREE && region_is_on(&space->regions[r], node)) return r;
  return VARVE__NO_REGION;
}

static uint32_t find_free_block(const struct varve_space *space, unsigned node) {
  for (uint32_t r = 0; r < space->region_high; ++r) {
    const struct varve_region *region = &space->regions[r];
    uint64_t free = atomic_load_explicit(&region->free_blocks, memory_order_relaxed);
    if (atomic_load_explicit(&region->kind, memory_order_relaxed) == REGION_SMALL && free && region_is_on(region, node))
      return r * VARVE__REGION_BLOCKS + bits_lowest(free);
  }
  return VARVE__NO_BLOCK;
}

/* A free block of the node, from a SMALL region or a free one that becomes SMALL. */
static uint32_t choose_spare_block(struct varve_space *space, unsigned node) {
  uint32_t block = find_free_block(space, node), region;
  if (block != VARVE__NO_BLOCK || (region = find_free_region(space, node)) == VARVE__NO_REGION) return block;
  set_kind(space, region, REGION_SMALL);
  atomic_store_explicit(&space->regions[region].free_blocks, ~UINT64_C(0), memory_order_relaxed);
  return region * VARVE__REGION_BLOCKS;
}

static void add_target(struct grouping *g, struct varve_group *group, uint32_t unit) {
  g->plan->targets[g->plan->target_count++] = unit;
  ++group->target_count;
}

/* A spare that the group leaves empty, or a group that is given up, is freed by the release like any empty block. */
static void add_spare_block(struct grouping *g, struct varve_group *group, uint32_t block) {
  struct varve_space *space = &g->heap->space;
  uint64_t bit = UINT64_C(1) << (block % VARVE__REGION_BLOCKS);
  atomic_fetch_and_explicit(&space->regions[block / VARVE__REGION_BLOCKS].free_blocks, ~bit, memory_order_relaxed);
  varve__space_block_taken(space, block);
  space->blocks[block].flags = BLOCK_SPARE;
  atomic_fetch_add_explicit(&space->used_blocks, 1, memory_order_relaxed);
  g->plan->sequence[g->plan->sequence_count++] = block;
  add_target(g, group, block);
}

static void add_spare_region(struct grouping *g, struct varve_group *group, uint32_t region) {
  struct varve_space *space = &g->heap->space;
  struct varve_region *r = &space->regions[region];
  set_kind(space, region, REGION_MEDIUM);
  r->flags = 0;
  r->live = 0;
  r->fresh_from = 0;
  atomic_store_explicit(&r->top, 0, memory_order_relaxed);
  for (uint32_t b = region * VARVE__REGION_BLOCKS; b < (region + 1) * VARVE__REGION_BLOCKS; ++b) {
    space->blocks[b].kind = BLOCK_MEDIUM;
    space->blocks[b].flags = 0;
    space->blocks[b].live = 0;
  }
  memset(space->epochs + (size_t)region * VARVE__REGION_BLOCKS, space->epoch, VARVE__REGION_BLOCKS);
  r->age = atomic_fetch_add_explicit(&space->next_age, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&space->used_blocks, VARVE__REGION_BLOCKS, memory_order_relaxed);
  g->plan->sequence[g->plan->sequence_count++] = region | VARVE__MEDIUM_ENTRY;
  add_target(g, group, region);
}

/* move-everything: one in front of each group. */
static void add_front_spare(struct grouping *g, struct varve_group *group, unsigned node) {
  struct varve_space *space = &g->heap->space;
  uint32_t unit = group->medium ? find_free_region(space, node) : choose_spare_block(space, node);
  if (unit == UINT32_MAX) return;
  if (group->medium) add_spare_region(g, group, unit);
  else add_spare_block(g, group, unit);
}

/* ---- groups ---- */

static struct varve_group *open_group(struct grouping *g, bool medium, unsigned node) {
  struct varve_plan *plan = g->plan;
  struct varve_group *group = &plan->groups[plan->group_count];
  *group = (struct varve_group){.first = plan->order_count, .target_first = plan->target_count, .medium = medium};
  if (g->heap->options.move_everything) add_front_spare(g, group, node);
  return group;
}

/* A group must free something: its live words fit fewer blocks (regions) than it has, or everything shall move, or its
 * blocks shall change regions. */
static bool group_pays(const struct grouping *g, const struct varve_group *group) {
  uint64_t capacity = group->medium ? VARVE__REGION_WORDS : VARVE__BLOCK_WORDS;
  if (!group->count) return false;
  return g->heap->options.move_everything || group->target_count > group->count ||
         group->live <= (uint64_t)(group->count - 1) * capacity;
}

static void set_moves(struct varve_space *space, const struct varve_group *group, uint32_t unit) {
  if (!group->medium) {
    space_set_moves(space, unit);
    return;
  }
  space->regions[unit].flags |= BLOCK_MOVES;
  space->moves[unit] = ~UINT64_C(0);
}

static uint64_t group_blocks(const struct varve_group *group, uint64_t units) {
  return units * (group->medium ? VARVE__REGION_BLOCKS : 1);
}

/* The next free block of the node beside older blocks that stay. NO_BLOCK: none. */
static uint32_t next_hole(struct grouping *g, unsigned node) {
  struct varve_space *space = &g->heap->space;
  for (; g->hole_region < space->region_high; ++g->hole_region) {
    struct varve_region *r = &space->regions[g->hole_region];
    uint64_t free = atomic_load_explicit(&r->free_blocks, memory_order_relaxed);
    if (!free || r->node != node || atomic_load_explicit(&r->kind, memory_order_relaxed) != REGION_SMALL) continue;
    if (~free & ~varve__space_range(space, g->hole_region))
      return g->hole_region * VARVE__REGION_BLOCKS + bits_lowest(free);
  }
  return VARVE__NO_BLOCK;
}

/* What survives of the newest epochs goes into free blocks of old regions, as far as there are any, so that the regions
 * it comes from become free as a whole. The holes come first among the destinations. */
static void prefer_holes(struct grouping *g, struct varve_group *group) {
  struct varve_plan *plan = g->plan;
  uint32_t sources = group->target_count;
  uint32_t wanted = (uint32_t)(group->live / (VARVE__BLOCK_WORDS - VARVE_SMALL_MAX / 8)) + 1;
  unsigned node = g->heap->space.regions[plan->order[group->first] / VARVE__REGION_BLOCKS].node;
  uint32_t block;
  while (group->target_count < sources + wanted && (block = next_hole(g, node)) != VARVE__NO_BLOCK)
    add_spare_block(g, group, block);
  uint32_t holes = group->target_count - sources, *targets = plan->targets + group->target_first;
  memmove(targets + holes, targets, sources * sizeof *targets); /* the sources again, behind as many places */
  for (uint32_t i = 0; i < holes; ++i) targets[i] = plan->sequence[plan->sequence_count - holes + i];
}

static void close_group(struct grouping *g, struct varve_group *group) {
  struct varve_plan *plan = g->plan;
  bool partial = space_is_partial(&g->heap->space) && !group->medium && group->count;
  if (partial && !g->heap->options.move_everything) prefer_holes(g, group);
  if (!group_pays(g, group)) {
    g->heap->current.blocks_gainless += group_blocks(group, group->count);
    plan->order_count = group->first;
    plan->target_count = group->target_first;
    return;
  }
  for (uint32_t i = 0; i < group->count; ++i) set_moves(&g->heap->space, group, plan->order[group->first + i]);
  ++plan->group_count;
}

static void add_source(struct grouping *g, struct varve_group *group, uint32_t unit, uint64_t live) {
  g->plan->order[g->plan->order_count++] = unit;
  add_target(g, group, unit);
  ++group->count;
  group->live += live;
}

/* Pins keep so many blocks, of which so many words are live. */
static void note_pinned(struct grouping *g, uint32_t blocks, uint64_t live) {
  g->heap->current.blocks_pinned += blocks;
  g->heap->current.bytes_held += ((uint64_t)blocks * VARVE__BLOCK_WORDS - live) * 8;
}

/* A SMALL block in use: empty, dense, pinned, or a source. */
static void consider_block(struct grouping *g, struct varve_group *group, uint32_t block) {
  struct varve_block *b = &g->heap->space.blocks[block];
  g->plan->sequence[g->plan->sequence_count++] = block;
  if (!b->live) return; /* the release frees it */
  if (b->flags & BLOCK_PINNED) note_pinned(g, 1, b->live);
  else if (b->live >= g->dense_block && !g->plan->emergency) {
    b->flags |= BLOCK_DENSE;
    ++g->heap->current.blocks_dense;
  } else {
    add_source(g, group, block, b->live);
  }
}

static bool holds_small(const struct varve_space *space, uint32_t region, unsigned node) {
  uint8_t kind = space_kind(space, region);
  return region_has_blocks(kind) && region_is_on(&space->regions[region], node);
}

static uint32_t live_blocks(const struct varve_space *space, uint32_t region) {
  uint32_t count = 0;
  for (uint32_t b = region * VARVE__REGION_BLOCKS; b < (region + 1) * VARVE__REGION_BLOCKS; ++b)
    count += space->blocks[b].kind == BLOCK_SMALL && space->blocks[b].live;
  return count;
}

/* What is free in LARGE regions is left to large objects, which are about to slide there. */
static void add_free_blocks(struct grouping *g, struct varve_group *group, uint32_t region) {
  struct varve_region *r = &g->heap->space.regions[region];
  uint64_t free = atomic_load_explicit(&r->free_blocks, memory_order_relaxed);
  if (atomic_load_explicit(&r->kind, memory_order_relaxed) != REGION_SMALL) return;
  for (; free; free &= free - 1) add_spare_block(g, group, region * VARVE__REGION_BLOCKS + bits_lowest(free));
}

/* All SMALL blocks of a region that are in the range, in age order, when the walk meets the first of them. */
static void consider_region(struct grouping *g, struct varve_group *group, uint32_t region) {
  struct varve_space *space = &g->heap->space;
  uint32_t sorted[VARVE__REGION_BLOCKS], count = 0;
  for (uint32_t b = region * VARVE__REGION_BLOCKS; b < (region + 1) * VARVE__REGION_BLOCKS; ++b) {
    if (space->blocks[b].kind != BLOCK_SMALL || (space->blocks[b].flags & BLOCK_SPARE)) continue;
    if (!space_in_range(space, b)) continue;
    uint32_t at = count++;
    for (; at && space->blocks[sorted[at - 1]].age > space->blocks[b].age; --at) sorted[at] = sorted[at - 1];
    sorted[at] = b;
  }
  for (uint32_t i = 0; i < count; ++i) consider_block(g, group, sorted[i]);
}

/* An emergency: one group, the fullest regions first, with their free blocks as destinations. Order of age is given up
 * between regions. */
static void group_small_emergency(struct grouping *g, unsigned node) {
  struct varve_space *space = &g->heap->space;
  struct varve_group *group = open_group(g, false, node);
  for (uint32_t r = 0; r < space->region_high; ++r)
    if (holds_small(space, r, node)) space->regions[r].age = live_blocks(space, r);
  for (uint32_t filled = VARVE__REGION_BLOCKS; filled > 0; --filled)
    for (uint32_t r = 0; r < space->region_high; ++r) {
      if (!holds_small(space, r, node) || space->regions[r].age != filled) continue;
      consider_region(g, group, r);
      add_free_blocks(g, group, r);
    }
  close_group(g, group);
}

/* The SMALL groups of a node: regions in the order of their oldest block. */
static void group_small(struct grouping *g, uint32_t ages, unsigned node) {
  struct varve_space *space = &g->heap->space;
  struct varve_group *group = open_group(g, false, node);
  uint32_t regions = 0;
  for (uint32_t age = 0; age < ages; ++age) {
    uint32_t entry = g->plan->by_age[age] - 1;
    if (!g->plan->by_age[age] || (entry & VARVE__MEDIUM_ENTRY)) continue;
    struct varve_region *r = &space->regions[entry / VARVE__REGION_BLOCKS];
    if (r->node != node || (r->flags & BLOCK_TARGET)) continue;
    r->flags |= BLOCK_TARGET; /* seen */
    consider_region(g, group, entry / VARVE__REGION_BLOCKS);
    if (++regions % g->group_regions) continue;
    close_group(g, group);
    group = open_group(g, false, node);
  }
  close_group(g, group);
}

static void group_medium(struct grouping *g, uint32_t ages, unsigned node) {
  struct varve_space *space = &g->heap->space;
  struct varve_group *group = open_group(g, true, node);
  for (uint32_t age = 0; age < ages; ++age) {
    uint32_t entry = g->plan->by_age[age] - 1;
    if (!g->plan->by_age[age] || !(entry & VARVE__MEDIUM_ENTRY)) continue;
    uint32_t region = entry & ~VARVE__MEDIUM_ENTRY;
    struct varve_region *r = &space->regions[region];
    if (!region_is_on(r, node)) continue;
    g->plan->sequence[g->plan->sequence_count++] = entry;
    if (!r->live) continue;
    if (r->flags & BLOCK_PINNED) note_pinned(g, VARVE__REGION_BLOCKS, r->live);
    else if (r->live >= g->dense_region && !g->plan->emergency) g->heap->current.blocks_dense += VARVE__REGION_BLOCKS;
    else add_source(g, group, region, r->live);
    if (group->count < g->group_regions || g->plan->emergency) continue;
    close_group(g, group);
    group = open_group(g, true, node);
  }
  close_group(g, group);
}

/* Enough groups for every worker, each large enough to free whole regions. */
static uint32_t choose_group_regions(struct varve_heap *heap) {
  uint64_t regions = heap->ages.range_blocks / VARVE__REGION_BLOCKS;
  regions /= (uint64_t)varve__workers_active(heap) * GROUPS_PER_WORKER;
  if (regions < GROUP_REGIONS_MIN) return GROUP_REGIONS_MIN;
  return regions > GROUP_REGIONS_MAX ? GROUP_REGIONS_MAX : (uint32_t)regions;
}

unsigned varve__plan_group_node(const struct varve_heap *heap, const struct varve_group *group) {
  uint32_t unit = heap->plan->order[group->first];
  return heap->space.regions[group->medium ? unit : unit / VARVE__REGION_BLOCKS].node;
}

/* ---- putting off ---- */

static uint32_t first_source(const struct varve_plan *plan, const struct varve_group *group) {
  return plan->order[group->first];
}

/* The group to begin with: that of the source which was put off, or the next one in age order. */
static uint32_t first_group(const struct varve_heap *heap) {
  const struct varve_plan *plan = heap->plan;
  const struct varve_space *space = &heap->space;
  if (plan->resume == VARVE__NO_BLOCK || space_is_partial(space)) return 0;
  uint32_t age = space->blocks[plan->resume].age;
  for (uint32_t i = 0; i < plan->group_count; ++i) {
    const struct varve_group *group = &plan->groups[i];
    if (!group->medium && space->blocks[first_source(plan, group)].age >= age) return i;
  }
  return 0;
}

static void stay(struct varve_heap *heap, const struct varve_group *group) {
  struct varve_space *space = &heap->space;
  for (uint32_t i = 0; i < group->count; ++i) {
    uint32_t unit = heap->plan->order[group->first + i];
    if (group->medium) space->regions[unit].flags &= (uint8_t)~BLOCK_MOVES;
    if (group->medium) space->moves[unit] = 0;
    else space->moves[unit / VARVE__REGION_BLOCKS] &= ~(UINT64_C(1) << unit % VARVE__REGION_BLOCKS);
  }
  heap->current.blocks_put_off += group_blocks(group, group->count);
}

/* How many groups from the first one on the budget pays for: at least one. */
static uint32_t affordable(const struct varve_heap *heap, uint32_t first) {
  const struct varve_plan *plan = heap->plan;
  uint64_t words = 0, budget = heap->options.slide_budget / 8;
  for (uint32_t k = 0; k < plan->group_count; ++k) {
    words += plan->groups[(first + k) % plan->group_count].live;
    if (words > budget) return k ? k : 1;
  }
  return plan->group_count;
}

/* Keep the groups [first, first + kept), in a circle. */
static void put_off(struct varve_heap *heap) {
  struct varve_plan *plan = heap->plan;
  uint32_t first = first_group(heap), kept = affordable(heap, first), count = plan->group_count, to = 0;
  if (!space_is_partial(&heap->space)) plan->resume = VARVE__NO_BLOCK;
  if (kept == count) return;
  const struct varve_group *next = &plan->groups[(first + kept) % count];
  if (!space_is_partial(&heap->space) && !next->medium) plan->resume = first_source(plan, next);
  for (uint32_t i = 0; i < count; ++i) {
    if ((i + count - first) % count < kept) plan->groups[to++] = plan->groups[i];
    else stay(heap, &plan->groups[i]);
  }
  plan->group_count = to;
}

/* ---- the plan as a whole ---- */

static void group_node(struct grouping *g, uint32_t ages, unsigned node) {
  if (g->plan->emergency) group_small_emergency(g, node);
  else group_small(g, ages, node);
  group_medium(g, ages, node);
  g->hole_region = 0;
}

void varve__plan_group(struct varve_heap *heap, enum varve_urgency urgency) {
  struct varve_plan *plan = heap->plan;
  bool emergency = urgency != PLAN_USUAL;
  plan->sequence_count = plan->order_count = plan->target_count = plan->group_count = plan->large_count = 0;
  plan->emergency = emergency;
  heap->current.blocks_dense = heap->current.blocks_pinned = heap->current.blocks_gainless = 0;
  heap->current.blocks_put_off = heap->current.bytes_held = 0;
  struct grouping g = {.heap = heap, .plan = plan, .group_regions = choose_group_regions(heap)};
  g.dense_block = varve__policy_dense_words(heap, VARVE__BLOCK_WORDS);
  g.dense_region = varve__policy_dense_words(heap, VARVE__REGION_WORDS);
  uint32_t ages = sort_by_age(heap);
  if (urgency == PLAN_ACROSS_NODES) group_node(&g, ages, VARVE__ANY_NODE);
  else
    for (unsigned node = 0; node < heap->topology->node_count; ++node) group_node(&g, ages, node);
  if (emergency || heap->options.move_everything) varve__plan_large_slide(heap);
  else if (heap->options.slide_budget) put_off(heap);
  varve__shares_groups(heap);
}

/* What the plan leaves in a region: blocks that stay or receive, and large runs. */
static unsigned blocks_left(const struct varve_space *space, uint32_t region) {
  unsigned left = 0;
  if (!varve__space_range(space, region))
    return bits_count(~atomic_load_explicit(&space->regions[region].free_blocks, memory_order_relaxed));
  for (uint32_t b = region * VARVE__REGION_BLOCKS; b < (region + 1) * VARVE__REGION_BLOCKS; ++b) {
    const struct varve_block *block = &space->blocks[b];
    if (block->kind != BLOCK_SMALL) left += block->kind != BLOCK_FREE;
    else left += (block->flags & BLOCK_TARGET) || (block->live && !space_moves(space, b));
  }
  return left;
}

static bool medium_left(const struct varve_region *r) {
  return (r->flags & BLOCK_TARGET) || (r->live && !(r->flags & BLOCK_MOVES));
}

/* Relocated large objects have two places until they move. */
static uint64_t relocated_blocks(const struct varve_heap *heap) {
  const struct varve_plan *plan = heap->plan;
  uint64_t blocks = 0;
  for (uint32_t i = 0; i < plan->large_count && !plan->emergency; ++i)
    blocks += heap->space.blocks[plan->large[i].from].age;
  return blocks;
}

/* Dead large runs are freed already. What is free in LARGE regions is good for small objects, and for large ones where
 * varve__large_find says so. */
bool varve__plan_is_enough(struct varve_heap *heap) {
  struct varve_space *space = &heap->space;
  uint64_t free_blocks = 0, used = 0;
  uint64_t free_regions = space->limit_regions - atomic_load_explicit(&space->committed, memory_order_relaxed) +
                          atomic_load_explicit(&space->free_regions, memory_order_relaxed);
  for (uint32_t r = 0; r < space->region_high; ++r) {
    const struct varve_region *region = &space->regions[r];
    uint8_t kind = atomic_load_explicit(&region->kind, memory_order_relaxed);
    unsigned left = region_has_blocks(kind) ? blocks_left(space, r) : 0;
    if (left) free_blocks += VARVE__REGION_BLOCKS - left;
    if (kind == REGION_MEDIUM && medium_left(region)) left = VARVE__REGION_BLOCKS;
    used += left;
    if (kind >= REGION_SMALL && !left) ++free_regions;
  }
  uint64_t wanted = heap->wanted_blocks;
  used -= relocated_blocks(heap);
  if (used + wanted > space->limit_blocks) return false;
  if (wanted <= 1) return free_blocks + free_regions >= wanted;
  bool run = wanted != VARVE__REGION_BLOCKS; /* a whole region may be wanted for mediums */
  if (run && varve__large_find(space, VARVE__ANY_NODE, (uint32_t)wanted) != VARVE__NO_BLOCK) return true;
  return free_regions * VARVE__REGION_BLOCKS >= wanted;
}

/* Blocks without a live word, which are freed whether anything moves or not. */
static uint64_t dead_blocks(const struct varve_heap *heap) {
  const struct varve_plan *plan = heap->plan;
  uint64_t dead = 0;
  for (uint32_t i = 0; i < plan->sequence_count; ++i) {
    uint32_t entry = plan->sequence[i];
    if (!(entry & VARVE__MEDIUM_ENTRY)) dead += !heap->space.blocks[entry].live;
    else if (!heap->space.regions[entry & ~VARVE__MEDIUM_ENTRY].live) dead += VARVE__REGION_BLOCKS;
  }
  return dead;
}

/* What was put off will bring as much for its size, and is counted, or small budgets would never pay. */
bool varve__plan_pays(const struct varve_heap *heap) {
  const struct varve_plan *plan = heap->plan;
  uint64_t gained = 0, blocks = 0, words = 0;
  for (uint32_t i = 0; i < plan->group_count; ++i) {
    const struct varve_group *group = &plan->groups[i];
    if (group->count > group->targets) gained += group_blocks(group, group->count - group->targets);
    blocks += group_blocks(group, group->count);
    words += group->live;
  }
  VARVE_INVARIANT(blocks, "no group to weigh up");
  /* cppcheck-suppress zerodiv ; callers have groups, and no group is empty */
  gained = gained * (blocks + heap->current.blocks_put_off) / blocks;
  return varve__policy_slide_pays(heap, gained, words / VARVE__BLOCK_WORDS, dead_blocks(heap));
}

void varve__plan_drop(struct varve_heap *heap) {
  struct varve_plan *plan = heap->plan;
  for (uint32_t i = 0; i < plan->group_count; ++i)
    heap->current.blocks_gainless += group_blocks(&plan->groups[i], plan->groups[i].count);
  varve__plan_undo(heap);
  plan->order_count = plan->target_count = plan->group_count = 0;
  varve__shares_groups(heap);
}

/* Places taken for large objects that shall not go there after all. */
static void undo_relocations(struct varve_heap *heap) {
  for (uint32_t i = 0; i < heap->plan->large_count; ++i) {
    uint32_t to = heap->plan->large[i].to;
    atomic_fetch_sub_explicit(&heap->space.used_blocks, heap->space.blocks[to].age, memory_order_relaxed);
    varve__large_free(&heap->space, to);
  }
}

void varve__plan_undo(struct varve_heap *heap) {
  struct varve_space *space = &heap->space;
  if (!heap->plan->emergency) undo_relocations(heap);
  for (uint32_t r = 0; r < space->region_high; ++r) {
    if (space_kind(space, r) < REGION_SMALL) continue;
    space->regions[r].flags &= BLOCK_PINNED;
    space->moves[r] = 0;
    for (uint32_t b = r * VARVE__REGION_BLOCKS; b < (r + 1) * VARVE__REGION_BLOCKS; ++b)
      space->blocks[b].flags &= BLOCK_PINNED;
  }
}
