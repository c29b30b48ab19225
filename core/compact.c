/* SPDX-License-Identifier: MIT */
/* compact.c -- fix-up fused with the slide.
 *
 * Idea       A slot's new value comes from side tables only (forward.h), so there is no separate pass over the heap: an
 *            object that moves is copied and its slots are fixed where they land; objects that stay are fixed in
 *            place; roots likewise. All of that is one pool of tasks in any order: groups, then regions, then
 *            root tasks, claimed by counters.
 * Invariants F1 each slot passes through `fix` once: its object is copied once or stays, its root task runs once.
 *            F2 only the object's own words, at their new place, are read.
 *            P1 (plan.h) the copy goes down, word by word from the low end, so it may overlap itself.
 * Called by  collect.c; world stopped.   Needs  the plan.   Leaves  every slot of a live object and every root refers
 *            to a new address.
 * Cost       one read and one write of what moves; per slot three table reads, two of them prefetched.   Memory  none.
 */
#include "core/compact.h"

#include <string.h>

#include "core/base/check.h"
#include "core/base/shade.h"
#include "core/fix.h"
#include "core/plan.h"
#include "core/remember.h"
#include "core/walk.h"
#include "core/worker.h"

#define COPY_WORDS_MAX 64u /* longer objects are left to memmove */
#define SPARSE_WORDS 40u   /* live words of a line up to which its parts are fetched one by one */

/* ---- sliding ---- */

/* Copy down. Word by word, for most objects are short and the places may overlap. */
static inline void move_words(uint64_t *to, const uint64_t *from, uint64_t words) {
  if (words > COPY_WORDS_MAX) {
    memmove(to, from, words * 8);
    return;
  }
  for (uint64_t i = 0; i < words; ++i) {
    to[i] = from[i];
    __asm__ volatile("" ::: "memory"); /* keep it a loop of moves: a call costs more than the copy */
  }
}

SCAN_INLINE void slide_object(struct fix_hot *hot, const struct varve_layout_entry *layouts, varve_object *object,
                              uint64_t words, uint64_t to, bool narrow) {
  if (to != (uint64_t)(uintptr_t)object) {
    VARVE_INVARIANT(to % 8 == 0, "slide: %p to %llx", (void *)object, (unsigned long long)to);
    shade_show_target(to, words * 8, (uint64_t)(uintptr_t)object);
    move_words((uint64_t *)to, (const uint64_t *)object, words);
    hot->fixer->moved_words += words;
  }
  fix_object(hot, layouts, (varve_object *)to, words, narrow);
}

/* Where few objects live, each header is a cache miss, and nothing else is there to do: fetch the live parts of such
 * lines a block ahead. Where many do, the hardware sees the stream. */
SCAN_INLINE void fetch_sparse(const struct varve_space *space, uint32_t block) {
  const uint64_t *bitmap = space_block_bitmap(space, block);
  const char *at = (const char *)space_block_address(space, block);
  for (unsigned line = 0; line < VARVE__BLOCK_LINES; ++line, at += (size_t)1 << VARVE__LINE_SHIFT) {
    uint64_t parts = bitmap[line];
    if (!parts || bits_count(parts) > SPARSE_WORDS) continue;
    parts |= parts >> 4;
    parts |= parts >> 2;
    parts |= parts >> 1; /* now the lowest bit of each byte says whether one of its bits was set */
    for (parts &= UINT64_C(0x0101010101010101); parts; parts &= parts - 1)
      __builtin_prefetch(at + bits_lowest(parts) * 8);
  }
}

/* A SMALL block's objects in order; the rank is kept along the way. */
SCAN_INLINE void slide_block_as(struct fixer *fixer, uint32_t block, bool narrow) {
  const struct varve_space *space = &fixer->heap->space;
  const struct varve_layout_entry *layouts = fixer->heap->layouts.entries;
  const struct varve_block b = space->blocks[block];
  const uint64_t *bitmap = space_block_bitmap(space, block);
  uint64_t base = space_block_address(space, block);
  struct fix_hot hot = fix_open(fixer, fixer->heap->slot_tags);
  uint32_t rank = 0;
  size_t at = walk_find(bitmap, 0, VARVE__BLOCK_WORDS, true);
  while (at < VARVE__BLOCK_WORDS) {
    varve_object *object = (varve_object *)(base + at * 8);
    uint64_t words = varve_object_bytes(object) / 8;
    walk_fetch(base + at * 8, words);
    slide_object(&hot, layouts, object, words, (rank < b.split ? b.dst1 : b.dst2) + (uint64_t)rank * 8, narrow);
    rank += (uint32_t)words;
    at = walk_find(bitmap, at + words, VARVE__BLOCK_WORDS, true);
  }
  fix_put(&hot);
  VARVE_INVARIANT(rank == b.live, "slide: block %u has %u live words, the plan said %u", block, rank, b.live);
}

static __attribute__((noinline)) void slide_narrow_block(struct fixer *fixer, uint32_t block) {
  slide_block_as(fixer, block, true);
}

static void slide_block(struct fixer *fixer, uint32_t block) {
  if (VARVE_UNLIKELY(fixer->code.on)) slide_narrow_block(fixer, block);
  else slide_block_as(fixer, block, false);
}

static void slide_medium_object(void *context, varve_object *object, uint64_t words) {
  struct fix_hot *hot = context;
  uint64_t to = forward_moved(&hot->forward, (uint64_t)(uintptr_t)object - hot->forward.base);
  slide_object(hot, hot->fixer->heap->layouts.entries, object, words, to, false); /* fix.c has narrow slots, too */
}

static void slide_medium(struct fixer *fixer, uint32_t region) {
  struct fix_hot hot = fix_open(fixer, fixer->heap->slot_tags);
  walk_marked(&fixer->heap->space, region * VARVE__REGION_BLOCKS, slide_medium_object, &hot);
  fix_put(&hot);
}

static void slide_group(struct fixer *fixer, const struct varve_group *group) {
  const uint32_t *order = fixer->heap->plan->order + group->first;
  uint64_t before = fixer->moved_words;
  for (uint32_t i = 0; i < group->count; ++i) {
    if (!group->medium && i + 1 < group->count) fetch_sparse(&fixer->heap->space, order[i + 1]);
    if (group->medium) slide_medium(fixer, order[i]);
    else slide_block(fixer, order[i]);
  }
  ++fixer->groups;
  if (varve__plan_group_node(fixer->heap, group) == fixer->node) fixer->local_words += fixer->moved_words - before;
}

/* ---- what stays ---- */

SCAN_INLINE void fix_in_place_as(struct fix_hot *hot, varve_object *object, uint64_t words, bool narrow) {
  hot->fixer->in_place_words += words;
  fix_object(hot, hot->fixer->heap->layouts.entries, object, words, narrow);
}

static void fix_in_place(void *context, varve_object *object, uint64_t words) {
  fix_in_place_as(context, object, words, false);
}

static void fix_narrow_in_place(void *context, varve_object *object, uint64_t words) {
  fix_in_place_as(context, object, words, true);
}

/* What stays in a SMALL block or a MEDIUM region. */
static __attribute__((noinline)) void fix_narrow_unit(struct fixer *fixer, uint32_t block) {
  struct fix_hot hot = fix_open(fixer, fixer->heap->slot_tags);
  walk_marked(&fixer->heap->space, block, fix_narrow_in_place, &hot);
  fix_put(&hot);
}

static void fix_unit(struct fixer *fixer, uint32_t block) {
  if (VARVE_UNLIKELY(fixer->code.on)) {
    fix_narrow_unit(fixer, block);
    return;
  }
  struct fix_hot hot = fix_open(fixer, fixer->heap->slot_tags);
  walk_marked(&fixer->heap->space, block, fix_in_place, &hot);
  fix_put(&hot);
}

/* A large object as seen from one region: arrays are fixed by stretches, so that all workers take part; others as a
 * whole by the worker that has the region where they start. */
static void fix_large(struct fixer *fixer, uint32_t head, uint32_t region) {
  const struct varve_space *space = &fixer->heap->space;
  if (!(space_block_bitmap(space, head)[0] & 1)) return;
  varve_object *object = (varve_object *)space_block_address(space, head);
  const struct varve_layout_entry *layout = &fixer->heap->layouts.entries[varve_object_layout(object)];
  uint64_t words = varve_object_bytes(object) / 8, start = (uint64_t)(uintptr_t)object;
  if (!scan_divisible(layout)) {
    if (head / VARVE__REGION_BLOCKS == region) fix_unit(fixer, head);
    return;
  }
  uint64_t low = space_region_address(space, region), high = low + VARVE__REGION_BYTES;
  uint64_t from = low > start ? (low - start) / 8 : 0, to = (high - start) / 8;
  varve__fix_stretch(fixer, object, layout, from, to < words ? to : words);
  fixer->in_place_words += (to < words ? to : words) - from;
}

static bool stays(const struct varve_space *space, uint32_t block) {
  return space->blocks[block].kind == BLOCK_SMALL && !space_moves(space, block) && space->blocks[block].live;
}

/* The blocks of the range in a region of blocks. */
static void fix_blocks(struct fixer *fixer, uint32_t region, uint64_t range) {
  const struct varve_space *space = &fixer->heap->space;
  uint32_t first = region * VARVE__REGION_BLOCKS;
  for (; range; range &= range - 1) {
    uint32_t b = first + bits_lowest(range);
    uint8_t kind = space->blocks[b].kind;
    if (stays(space, b)) fix_unit(fixer, b);
    else if (kind == BLOCK_LARGE_HEAD) fix_large(fixer, b, region);
    else if (kind == BLOCK_LARGE_BODY && b == first) fix_large(fixer, b - space->blocks[b].age, region);
  }
}

/* A MEDIUM region is filled from its low end, so what is in the range lies above what is not. */
static void fix_medium(struct fixer *fixer, uint32_t region, uint64_t range) {
  const struct varve_space *space = &fixer->heap->space;
  if ((space->regions[region].flags & BLOCK_MOVES) || !space->regions[region].live) return;
  uint32_t first = region * VARVE__REGION_BLOCKS + bits_lowest(range);
  struct fix_hot hot = fix_open(fixer, fixer->heap->slot_tags);
  walk_words(space_block_address(space, first), space_block_bitmap(space, first),
             VARVE__REGION_WORDS - bits_lowest(range) * VARVE__BLOCK_WORDS, fix_in_place, &hot);
  fix_put(&hot);
}

static void fix_region(struct fixer *fixer, uint32_t region) {
  const struct varve_space *space = &fixer->heap->space;
  uint8_t kind = space_kind(space, region);
  uint64_t range = kind < REGION_SMALL ? 0 : varve__space_range(space, region);
  if (!range) return;
  if (kind == REGION_MEDIUM) fix_medium(fixer, region, range);
  else fix_blocks(fixer, region, range);
}

/* ---- the pool of tasks ---- */

void varve__compact_begin(struct varve_heap *heap) {
  varve__share_rewind(&heap->shares.groups);
  varve__share_rewind(&heap->shares.regions);
  varve__share_rewind(&heap->shares.roots);
  atomic_store_explicit(&heap->remembered.next, 0, memory_order_relaxed);
  varve__final_rewind(heap);
}

static void fix_roots(struct fixer *fixer, struct varve_sieve *sieve, uint32_t task) {
  struct varve_heap *heap = fixer->heap;
  if (space_is_partial(&heap->space) && varve__roots_are_noted(heap->roots, task))
    varve__roots_sift(heap->roots, task, sieve);
  else varve__roots_visit(heap->roots, task, &fixer->visitor);
}

static void fix_remembered(struct varve_heap *heap, struct varve_sieve *sieve) {
  uint32_t list;
  while (remembered_take(heap, &list)) varve__remembered_visit(sieve, list);
}

static void note_figures(struct varve_heap *heap, const struct fixer *fixer, uint32_t worker) {
  if (worker < VARVE_STATS_WORKERS) {
    varve_worker_stats *stats = &heap->current.worker[worker];
    stats->words_moved = fixer->moved_words;
    stats->words_moved_local = fixer->local_words;
    stats->slots_fixed = fixer->fixed;
    stats->groups = fixer->groups;
  }
  atomic_fetch_add_explicit(&heap->plan->moved_words, fixer->moved_words, memory_order_relaxed);
  atomic_fetch_add_explicit(&heap->plan->in_place_words, fixer->in_place_words, memory_order_relaxed);
}

void varve__compact_slide_worker(struct varve_heap *heap, uint32_t worker) {
  struct fixer fixer;
  struct varve_sieve sieve;
  uint32_t task;
  varve__fixer_open(&fixer, heap);
  fixer.node = varve__worker_node(heap, worker);
  varve__sieve_open(&sieve, heap, &fixer.visitor, false);
  struct varve_taker groups = varve__share_open(heap, &heap->shares.groups, worker);
  struct varve_taker regions = varve__share_open(heap, &heap->shares.regions, worker);
  struct varve_taker roots = varve__share_open(heap, &heap->shares.roots, worker);
  while (share_take(&groups, &task)) slide_group(&fixer, &heap->plan->groups[task]);
  while (share_take(&regions, &task)) fix_region(&fixer, task);
  while (share_take(&roots, &task)) fix_roots(&fixer, &sieve, task);
  if (heap->space.cut) fix_remembered(heap, &sieve);
  varve__final_fix(heap, &fixer.visitor);
  varve__fixer_flush(&fixer);
  note_figures(heap, &fixer, worker);
}

/* ---- large objects ---- */

static void move_large(struct varve_heap *heap, const struct varve_large_move *move) {
  struct varve_space *space = &heap->space;
  uint32_t blocks = space->blocks[move->from].age;
  uint64_t from = space_block_address(space, move->from), to = space_block_address(space, move->to);
  size_t bytes = varve_object_bytes((varve_object *)from);
  shade_show_target(to, bytes, from);
  memmove((void *)to, (void *)from, bytes);
  space_block_bitmap(space, move->from)[0] = 0;
  varve__large_free(space, move->from);
  varve__large_place(space, move->to, blocks);
  space_block_bitmap(space, move->to)[0] = 1;
  uint64_t left = (uint64_t)blocks * VARVE__BLOCK_BYTES; /* of the old place; in an emergency it goes up, over itself */
  if (heap->plan->emergency && to - from < left) left = to - from;
  heap_poison(heap, from, left);
  if (!heap->plan->emergency) /* relocation took the new place beside the old one */
    atomic_fetch_sub_explicit(&space->used_blocks, blocks, memory_order_relaxed);
  heap->current.bytes_moved += bytes;
}

void varve__compact_move_large(struct varve_heap *heap) {
  for (uint32_t i = 0; i < heap->plan->large_count; ++i) move_large(heap, &heap->plan->large[i]);
  heap->current.large_moved = heap->plan->large_count;
}
