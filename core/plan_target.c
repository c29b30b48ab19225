/* SPDX-License-Identifier: MIT */
/* plan_target.c -- where the objects of each group go: dst1, dst2 and split of its blocks (plan.h, P1 to P3).
 *
 * Called by  collect.c, all workers, a group each; world stopped.   Needs  live words, ranks, groups.
 * Cost       a SMALL block: two lookups in its tables, a header only where a long run is split; a MEDIUM region: its
 *            headers.
 */
#include "core/plan.h"
#include "core/walk.h"

#define TARGET_AHEAD 4u /* blocks */

/* The word of the block that holds its live word number `rank`; there is one. The search begins where it would be if
 * objects were evenly spread. */
static uint32_t select_live(const struct varve_space *space, uint32_t block, uint32_t rank) {
  const uint16_t *ranks = space->ranks + (size_t)block * VARVE__BLOCK_LINES;
  uint32_t line = rank * VARVE__BLOCK_LINES / space->blocks[block].live;
  while (ranks[line] > rank) --line;
  while (line + 1 < VARVE__BLOCK_LINES && ranks[line + 1] <= rank) ++line;
  return line * 64 + bits_select(space_block_bitmap(space, block)[line], rank - ranks[line]);
}

/* The first word of the run of set bits that the word is in. A run begins with an object. */
static uint32_t run_start(const uint64_t *bitmap, uint32_t word) {
  uint32_t line = word / 64;
  uint64_t clear = ~bitmap[line] & bits_below(word % 64);
  while (!clear && line) clear = ~bitmap[--line];
  return clear ? line * 64 + 64 - (uint32_t)__builtin_clzll(clear) : 0;
}

/* An object boundary of the block, as a rank, not above `room` and not far below it. Mostly the start of the run in
 * which that rank falls, which the bitmap tells; only when that is far back are headers read, from there. */
static uint32_t find_boundary(const struct varve_space *space, uint32_t block, uint32_t room) {
  uint32_t word = select_live(space, block, room), at = run_start(space_block_bitmap(space, block), word);
  uint32_t rank = room - (word - at);
  if (word - at > VARVE__SPLIT_WASTE_WORDS) {
    const uint64_t *base = (const uint64_t *)space_block_address(space, block);
    for (;;) {
      uint32_t size = (uint32_t)(varve_object_bytes((const varve_object *)(base + at)) / 8);
      if (rank + size > room) break;
      rank += size;
      at += size;
    }
  }
#ifdef VARVE_PLANT_WRONG_SPLIT
  if (rank < room) ++rank;
#endif
  return rank;
}

/* Where the slide of a SMALL group stands. */
struct target_cursor {
  uint32_t index, words; /* destination number, and words used in it */
};

static uint64_t target_address(const struct varve_heap *heap, const struct varve_group *group, uint32_t index) {
  return space_block_address(&heap->space, group_target(heap->plan, group, index));
}

static void close_target(struct varve_heap *heap, const struct varve_group *group, const struct target_cursor *c) {
  struct varve_block *target = &heap->space.blocks[group_target(heap->plan, group, c->index)];
  target->new_top = (uint16_t)c->words;
  target->flags |= BLOCK_TARGET;
}

static void target_block(struct varve_heap *heap, struct varve_group *group, struct target_cursor *c, uint32_t block) {
  struct varve_block *b = &heap->space.blocks[block];
  uint32_t room = VARVE__BLOCK_WORDS - c->words;
  b->dst1 = target_address(heap, group, c->index) + c->words * 8;
  b->split = VARVE__NO_SPLIT;
  if (b->live <= room) {
    c->words += b->live;
    return;
  }
  uint32_t split = find_boundary(&heap->space, block, room);
  c->words += split;
  close_target(heap, group, c);
  *c = (struct target_cursor){.index = c->index + 1, .words = b->live - split};
  b->split = (uint16_t)split;
  b->dst2 = target_address(heap, group, c->index) - (uint64_t)split * 8;
  ++group->splits;
}

/* Fetch the tables of a block. */
static inline __attribute__((always_inline)) void fetch_target(const struct varve_space *space, uint32_t block) {
  const char *ranks = (const char *)(space->ranks + (size_t)block * VARVE__BLOCK_LINES);
  const char *bitmap = (const char *)space_block_bitmap(space, block);
  __builtin_prefetch(ranks);
  __builtin_prefetch(ranks + 64);
  for (unsigned i = 0; i < 8; ++i) __builtin_prefetch(bitmap + 64 * i);
}

static void target_small(struct varve_heap *heap, struct varve_group *group) {
  const uint32_t *order = heap->plan->order + group->first;
  struct target_cursor c = {0, 0};
  for (uint32_t i = 0; i < group->count; ++i) {
    if (i + TARGET_AHEAD < group->count) fetch_target(&heap->space, order[i + TARGET_AHEAD]);
    target_block(heap, group, &c, order[i]);
  }
  close_target(heap, group, &c);
  group->targets = c.index + 1;
}

/* MEDIUM groups: objects are few and long, so they are walked one by one. */
struct medium_target {
  struct varve_heap *heap;
  struct varve_group *group;
  struct target_cursor cursor; /* index: a region */
  uint32_t block;              /* of the object before; its dst1 is set */
};

static uint64_t medium_target_address(const struct medium_target *t) {
  return space_region_address(&t->heap->space, group_target(t->heap->plan, t->group, t->cursor.index)) +
         (uint64_t)t->cursor.words * 8;
}

static void close_medium_target(struct medium_target *t) {
  struct varve_region *r = &t->heap->space.regions[group_target(t->heap->plan, t->group, t->cursor.index)];
  r->new_top = t->cursor.words;
  r->flags |= BLOCK_TARGET;
}

static uint32_t rank_of(const struct varve_space *space, uint64_t address) {
  size_t word = space_word(space, address);
  return space->ranks[word >> 6] + bits_count(space->bitmap[word >> 6] & bits_below((unsigned)(word & 63)));
}

static void target_medium_object(void *context, varve_object *object, uint64_t words) {
  struct medium_target *t = context;
  struct varve_space *space = &t->heap->space;
  uint64_t address = (uint64_t)(uintptr_t)object;
  uint32_t block = space_block(space, address), rank = rank_of(space, address);
  struct varve_block *b = &space->blocks[block];
  bool fresh_region = t->cursor.words + words > VARVE__REGION_WORDS;
  if (fresh_region) {
    close_medium_target(t);
    t->cursor = (struct target_cursor){.index = t->cursor.index + 1, .words = 0};
  }
  uint64_t base = medium_target_address(t) - (uint64_t)rank * 8;
  if (block != t->block) {
    b->dst1 = base;
    b->split = VARVE__NO_SPLIT;
  } else if (fresh_region) {
    b->dst2 = base;
    b->split = (uint16_t)rank;
    ++t->group->splits;
  }
  t->block = block;
  t->cursor.words += (uint32_t)words;
}

static void target_medium(struct varve_heap *heap, struct varve_group *group) {
  struct medium_target t = {.heap = heap, .group = group, .block = VARVE__NO_BLOCK};
  for (uint32_t i = 0; i < group->count; ++i)
    walk_marked(&heap->space, heap->plan->order[group->first + i] * VARVE__REGION_BLOCKS, target_medium_object, &t);
  close_medium_target(&t);
  group->targets = t.cursor.index + 1;
}

void varve__plan_target_worker(struct varve_heap *heap, uint32_t worker) {
  struct varve_taker groups = varve__share_open(heap, &heap->shares.groups, worker);
  uint32_t i;
  while (share_take(&groups, &i)) {
    struct varve_group *group = &heap->plan->groups[i];
    if (group->medium) target_medium(heap, group);
    else target_small(heap, group);
  }
}
