/* SPDX-License-Identifier: MIT */
/* compact.c -- fix-up fused with the slide.
 *
 * Idea       A slot's new value comes from side tables only (forward.h), so there is no separate pass over the heap: an
 *            object that moves is copied and its slots are fixed where they land; objects that stay are fixed in
 *            place; roots likewise. All of that is one pool of tasks in any order: groups, then regions, then
 *            root tasks, claimed by counters.
 *            Slots go through a short ring: entering it prefetches the tables, leaving it rewrites the slot. A slot in
 *            the ring never moves again, for it is at its final place.
 * Invariants F1 each slot passes through `fix` once: its object is copied once or stays, its root task runs once.
 *            F2 only the object's own words, at their new place, are read.
 *            P1 (plan.h) the copy goes down, word by word from the low end, so it may overlap itself.
 * Called by  collect.c; world stopped.   Needs  the plan.   Leaves  every slot of a live object and every root refers
 *            to a new address; after the release, bitmaps and descriptors describe the new places.
 * Cost       one read and one write of what moves; per slot three prefetched table reads.   Memory  none.
 */
#include "core/compact.h"

#include <string.h>

#include "core/base/check.h"
#include "core/forward.h"
#include "core/plan.h"
#include "core/root.h"
#include "core/scan.h"
#include "core/walk.h"
#include "core/worker.h"

#define RING 32u
#define COPY_WORDS_MAX 64u /* longer objects are left to memmove */

struct fixer {
  struct varve_heap *heap;
  const struct varve_space *space;
  uint32_t slot_tags;
  uint32_t at;
  varve_word *ring[RING];
  uint64_t fixed, moved_words, in_place_words, groups;
  struct varve_visitor visitor;
};

/* ---- fixing slots ---- */

/* Rewrite a slot that holds a reference; its tag bits stay. Atomic for the sake of Ref words that host threads of
 * other heaps may peek at; on the machine it is a plain move. */
static inline void fix_now(struct fixer *fixer, varve_word *slot) {
  varve_word word = __atomic_load_n(slot, __ATOMIC_RELAXED);
  uint64_t address = word & ~(varve_word)7, to = forward_address(fixer->space, address);
#ifdef VARVE_PLANT_FIXED_TWICE
  if ((fixer->fixed & 1023) == 0) to = forward_address(fixer->space, to);
#endif
  if (to != address) __atomic_store_n(slot, to | (word & 7), __ATOMIC_RELAXED);
  ++fixer->fixed;
}

/* Let a slot that holds a reference enter the ring, and fix the one that leaves. */
static inline void fix(struct fixer *fixer, varve_word *slot, varve_word word) {
  forward_prefetch(fixer->space, word);
  varve_word **place = &fixer->ring[fixer->at++ % RING];
  varve_word *leaving = *place;
  *place = slot;
  if (leaving) fix_now(fixer, leaving);
}

static void flush(struct fixer *fixer) {
  for (uint32_t i = 0; i < RING; ++i) {
    varve_word *slot = fixer->ring[i];
    fixer->ring[i] = NULL;
    if (slot) fix_now(fixer, slot);
  }
}

SCAN_INLINE void fix_slots(void *context, varve_word *slots, size_t count) {
  struct fixer *fixer = context;
  for (size_t i = 0; i < count; ++i)
    if (heap_is_reference(fixer->heap, slots[i], fixer->slot_tags)) fix(fixer, &slots[i], slots[i]);
}

static inline void fix_if_reference(struct fixer *fixer, varve_word *slot, uint32_t tags) {
  varve_word word = __atomic_load_n(slot, __ATOMIC_RELAXED);
  if (heap_is_reference(fixer->heap, word, tags)) fix(fixer, slot, word);
}

static void fix_range_bitmap(struct fixer *fixer, varve_word *base, size_t stride, size_t count,
                             const uint64_t *bitmap, uint32_t tags) {
  for (size_t first = 0; first < count; first += 64) {
    uint64_t live = __atomic_load_n(&bitmap[first / 64], __ATOMIC_RELAXED);
    if (count - first < 64) live &= bits_below((unsigned)(count - first));
    for (; live; live &= live - 1)
      fix_if_reference(fixer, (varve_word *)((char *)base + (first + bits_lowest(live)) * stride), tags);
  }
}

static void fix_range_stride(struct fixer *fixer, varve_word *base, size_t stride, size_t count, uint32_t tags) {
  char *at = (char *)base;
  for (size_t i = 0; i < count; ++i, at += stride) fix_if_reference(fixer, (varve_word *)at, tags);
}

/* Neighbouring words, in eights, as in marking: eights without any address of the heap cost a few vector operations. */
static void fix_range_dense(struct fixer *fixer, varve_word *words, size_t count, uint32_t tags) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8)
    if (space_count_eight(fixer->space, words + i)) fix_range_stride(fixer, words + i, 8, 8, tags);
  fix_range_stride(fixer, words + i, 8, count - i, tags);
}

static void range_for_fix(struct varve_visitor *visitor, varve_word *base, size_t stride, size_t count,
                          const uint64_t *bitmap, bool ref) {
  struct fixer *fixer = visitor->context;
  uint32_t tags = ref ? fixer->heap->ref_tags : fixer->slot_tags;
  if (bitmap) fix_range_bitmap(fixer, base, stride, count, bitmap, tags);
  else if (stride == 8) fix_range_dense(fixer, base, count, tags);
  else fix_range_stride(fixer, base, stride, count, tags);
}

static void open_fixer(struct fixer *fixer, struct varve_heap *heap) {
  *fixer = (struct fixer){.heap = heap, .space = &heap->space, .slot_tags = heap->slot_tags};
  fixer->visitor = (struct varve_visitor){.range = range_for_fix, .heap = heap, .context = fixer};
}

static inline void fix_object(struct fixer *fixer, varve_object *object, uint64_t words) {
  const struct varve_layout_table *table = &fixer->heap->layouts;
  const struct varve_layout_entry *layout = &table->entries[varve_object_layout(object)];
  if (layout->kind == VARVE_LAYOUT_DATA) return;
  scan_object(table, layout, (varve_word *)object, words, fix_slots, fixer, &fixer->visitor);
}

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

static inline void slide_object(struct fixer *fixer, varve_object *object, uint64_t words, uint64_t to) {
  if (to != (uint64_t)(uintptr_t)object) {
    VARVE_INVARIANT(to % 8 == 0, "slide: %p to %llx", (void *)object, (unsigned long long)to);
    move_words((uint64_t *)to, (const uint64_t *)object, words);
    fixer->moved_words += words;
  }
  fix_object(fixer, (varve_object *)to, words);
}

/* A SMALL block's objects in order; the rank is kept along the way. */
static void slide_block(struct fixer *fixer, uint32_t block) {
  const struct varve_space *space = fixer->space;
  const struct varve_block *b = &space->blocks[block];
  const uint64_t *bitmap = space_block_bitmap(space, block);
  uint64_t base = space_block_address(space, block);
  uint32_t rank = 0;
  size_t at = walk_find(bitmap, 0, VARVE__BLOCK_WORDS, true);
  while (at < VARVE__BLOCK_WORDS) {
    varve_object *object = (varve_object *)(base + at * 8);
    uint64_t words = varve_object_bytes(object) / 8;
    slide_object(fixer, object, words, (rank < b->split ? b->dst1 : b->dst2) + (uint64_t)rank * 8);
    rank += (uint32_t)words;
    at = walk_find(bitmap, at + words, VARVE__BLOCK_WORDS, true);
  }
  VARVE_INVARIANT(rank == b->live, "slide: block %u has %u live words, the plan said %u", block, rank, b->live);
}

static void slide_medium_object(void *context, varve_object *object, uint64_t words) {
  struct fixer *fixer = context;
  slide_object(fixer, object, words, forward_address(fixer->space, (uint64_t)(uintptr_t)object));
}

static void slide_group(struct fixer *fixer, const struct varve_group *group) {
  const uint32_t *order = fixer->heap->plan->order + group->first;
  for (uint32_t i = 0; i < group->count; ++i) {
    if (group->medium) walk_marked(fixer->space, order[i] * VARVE__REGION_BLOCKS, slide_medium_object, fixer);
    else slide_block(fixer, order[i]);
  }
  ++fixer->groups;
}

/* ---- what stays ---- */

static void fix_in_place(void *context, varve_object *object, uint64_t words) {
  struct fixer *fixer = context;
  fixer->in_place_words += words;
  fix_object(fixer, object, words);
}

/* The slots of a divisible large object that lie in one region: words [from, to) of the object. */
static void fix_stretch(struct fixer *fixer, varve_object *object, const struct varve_layout_entry *layout,
                        uint64_t from, uint64_t to) {
  uint64_t unit = layout->kind == VARVE_LAYOUT_RECORDS ? layout->stride : 1, first = layout->first;
  uint64_t begin = from <= first ? first : first + (from - first + unit - 1) / unit * unit;
  uint64_t words = varve_object_bytes(object) / 8;
  for (uint64_t at = begin; at < to && at + unit <= words; at += unit) {
    if (unit == 1) fix_slots(fixer, (varve_word *)object + at, 1);
    else scan_records(layout, (varve_word *)object, at, at + unit, fix_slots, fixer);
  }
}

/* A large object as seen from one region: arrays are fixed by stretches, so that all workers take part; others as a
 * whole by the worker that has the region where they start. */
static void fix_large(struct fixer *fixer, uint32_t head, uint32_t region) {
  const struct varve_space *space = fixer->space;
  if (!(space_block_bitmap(space, head)[0] & 1)) return;
  varve_object *object = (varve_object *)space_block_address(space, head);
  const struct varve_layout_entry *layout = &fixer->heap->layouts.entries[varve_object_layout(object)];
  uint64_t words = varve_object_bytes(object) / 8, start = (uint64_t)(uintptr_t)object;
  if (!scan_divisible(layout)) {
    if (head / VARVE__REGION_BLOCKS == region) fix_in_place(fixer, object, words);
    return;
  }
  uint64_t low = space_region_address(space, region), high = low + VARVE__REGION_BYTES;
  uint64_t from = low > start ? (low - start) / 8 : 0, to = (high - start) / 8;
  fix_stretch(fixer, object, layout, from, to < words ? to : words);
  fixer->in_place_words += (to < words ? to : words) - from;
}

static void fix_large_region(struct fixer *fixer, uint32_t region) {
  const struct varve_space *space = fixer->space;
  uint32_t first = region * VARVE__REGION_BLOCKS;
  for (uint32_t b = first; b < first + VARVE__REGION_BLOCKS; ++b) {
    uint8_t kind = space->blocks[b].kind;
    if (kind == BLOCK_LARGE_HEAD) fix_large(fixer, b, region);
    else if (kind == BLOCK_LARGE_BODY && b == first) fix_large(fixer, b - space->blocks[b].age, region);
  }
}

static void fix_region(struct fixer *fixer, uint32_t region) {
  const struct varve_space *space = fixer->space;
  const struct varve_region *r = &space->regions[region];
  uint32_t first = region * VARVE__REGION_BLOCKS;
  switch (atomic_load_explicit(&r->kind, memory_order_relaxed)) {
    case REGION_SMALL:
      for (uint32_t b = first; b < first + VARVE__REGION_BLOCKS; ++b)
        if (space->blocks[b].kind == BLOCK_SMALL && !(space->blocks[b].flags & BLOCK_MOVES) && space->blocks[b].live)
          walk_marked(space, b, fix_in_place, fixer);
      break;
    case REGION_MEDIUM:
      if (!(r->flags & BLOCK_MOVES) && r->live) walk_marked(space, first, fix_in_place, fixer);
      break;
    case REGION_LARGE: fix_large_region(fixer, region); break;
    default: break;
  }
}

/* ---- the pool of tasks ---- */

void varve__compact_begin(struct varve_heap *heap) {
  atomic_store_explicit(&heap->plan->next_group, 0, memory_order_relaxed);
  atomic_store_explicit(&heap->plan->next_region, 0, memory_order_relaxed);
  atomic_store_explicit(&heap->plan->next_root, 0, memory_order_relaxed);
}

static uint32_t claim(_Atomic uint32_t *counter) {
  return atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void note_figures(struct varve_heap *heap, const struct fixer *fixer, uint32_t worker) {
  if (worker < VARVE_STATS_WORKERS) {
    varve_worker_stats *stats = &heap->current.worker[worker];
    stats->words_moved = fixer->moved_words;
    stats->slots_fixed = fixer->fixed;
    stats->groups = fixer->groups;
  }
  atomic_fetch_add_explicit(&heap->plan->moved_words, fixer->moved_words, memory_order_relaxed);
  atomic_fetch_add_explicit(&heap->plan->in_place_words, fixer->in_place_words, memory_order_relaxed);
}

void varve__compact_slide_worker(struct varve_heap *heap, uint32_t worker) {
  struct varve_plan *plan = heap->plan;
  struct fixer fixer;
  uint32_t task;
  open_fixer(&fixer, heap);
  while ((task = claim(&plan->next_group)) < plan->group_count) slide_group(&fixer, &plan->groups[task]);
  while ((task = claim(&plan->next_region)) < heap->space.region_high) fix_region(&fixer, task);
  while ((task = claim(&plan->next_root)) < heap->root_tasks) varve__roots_visit(heap->roots, task, &fixer.visitor);
  flush(&fixer);
  note_figures(heap, &fixer, worker);
}

/* ---- large objects ---- */

static void poison(const struct varve_heap *heap, uint64_t address, size_t bytes) {
  if (!heap->options.poison) return;
  for (size_t i = 0; i < bytes / 8; ++i) ((uint64_t *)address)[i] = VARVE__POISON;
}

static void move_large(struct varve_heap *heap, const struct varve_large_move *move) {
  struct varve_space *space = &heap->space;
  uint32_t blocks = space->blocks[move->from].age;
  uint64_t from = space_block_address(space, move->from), to = space_block_address(space, move->to);
  size_t bytes = varve_object_bytes((varve_object *)from);
  memmove((void *)to, (void *)from, bytes);
  space_block_bitmap(space, move->from)[0] = 0;
  varve__large_free(space, move->from);
  varve__large_place(space, move->to, blocks);
  space_block_bitmap(space, move->to)[0] = 1;
  if (!heap->plan->emergency) { /* relocation took the new place beside the old one */
    atomic_fetch_sub_explicit(&space->used_blocks, blocks, memory_order_relaxed);
    poison(heap, from, (size_t)blocks * VARVE__BLOCK_BYTES);
  }
  heap->current.bytes_moved += bytes;
}

void varve__compact_move_large(struct varve_heap *heap) {
  for (uint32_t i = 0; i < heap->plan->large_count; ++i) move_large(heap, &heap->plan->large[i]);
  heap->current.large_moved = heap->plan->large_count;
}

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
  b->flags = b->fresh = 0;
  b->live = b->top = 0;
  poison(heap, space_block_address(space, block), VARVE__BLOCK_BYTES);
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
  b->flags = b->fresh = 0;
  poison(heap, space_block_address(space, block) + b->top * 8u, (VARVE__BLOCK_WORDS - b->top) * 8u);
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
  poison(heap, space_region_address(space, region), VARVE__REGION_BYTES);
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
  for (uint32_t b = region * VARVE__REGION_BLOCKS; b < (region + 1) * VARVE__REGION_BLOCKS; ++b)
    space->blocks[b].flags = 0;
  poison(heap, space_region_address(space, region) + r->new_top * 8ull, (VARVE__REGION_WORDS - r->new_top) * 8ull);
}

static void release_group(struct varve_heap *heap, const struct varve_group *group) {
  for (uint32_t i = 0; i < group->target_count; ++i) {
    uint32_t unit = group_target(heap->plan, group, i);
    bool target = i < group->targets;
    if (group->medium) (target ? settle_medium : free_medium)(heap, unit);
    else (target ? settle_block : free_block)(heap, unit);
  }
}

void varve__compact_release_worker(struct varve_heap *heap, uint32_t worker) {
  (void)worker;
  uint32_t task;
  while ((task = claim(&heap->plan->next_group)) < heap->plan->group_count)
    release_group(heap, &heap->plan->groups[task]);
}

/* ---- finish: worker 0 ---- */

/* Holes in a block that stays. */
static void poison_holes(struct varve_heap *heap, uint64_t base, const uint64_t *bitmap, size_t words) {
  if (!heap->options.poison) return;
  for (size_t at = 0; at < words;) {
    size_t from = walk_find(bitmap, at, words, false);
    at = walk_find(bitmap, from, words, true);
    poison(heap, base + from * 8, (at - from) * 8);
  }
}

/* A SMALL block in use, after the groups are settled: empty, or it has stayed or received. */
static void finish_block(struct varve_heap *heap, uint32_t block) {
  struct varve_space *space = &heap->space;
  struct varve_block *b = &space->blocks[block];
  if (b->kind != BLOCK_SMALL) return;
  if (!b->live) {
    free_block(heap, block);
    return;
  }
  b->flags = b->fresh = 0;
  poison_holes(heap, space_block_address(space, block), space_block_bitmap(space, block), VARVE__BLOCK_WORDS);
  heap->live_bytes += b->live * 8u;
}

static void finish_medium(struct varve_heap *heap, uint32_t region) {
  struct varve_space *space = &heap->space;
  struct varve_region *r = &space->regions[region];
  if (r->flags & BLOCK_FREE_LATER) return;
  if (!r->live) {
    free_medium(heap, region);
    return;
  }
  r->fresh_from = atomic_load_explicit(&r->top, memory_order_relaxed);
  poison_holes(heap, space_region_address(space, region), space_block_bitmap(space, region * VARVE__REGION_BLOCKS),
               VARVE__REGION_WORDS);
  heap->live_bytes += (uint64_t)r->live * 8;
}

static void finish_large(struct varve_heap *heap, uint32_t region) {
  struct varve_space *space = &heap->space;
  for (uint32_t b = region * VARVE__REGION_BLOCKS; b < (region + 1) * VARVE__REGION_BLOCKS; ++b) {
    space->blocks[b].fresh = 0;
    if (space->blocks[b].kind != BLOCK_LARGE_HEAD) continue;
    heap->live_bytes += varve_object_bytes((varve_object *)space_block_address(space, b));
  }
}

static void finish_region(struct varve_heap *heap, uint32_t region) {
  struct varve_space *space = &heap->space;
  struct varve_region *r = &space->regions[region];
  uint8_t kind = atomic_load_explicit(&r->kind, memory_order_relaxed);
  if (kind == REGION_MEDIUM) finish_medium(heap, region);
  if (kind == REGION_LARGE) finish_large(heap, region);
  if (kind == REGION_SMALL)
    for (uint32_t b = region * VARVE__REGION_BLOCKS; b < (region + 1) * VARVE__REGION_BLOCKS; ++b)
      finish_block(heap, b);
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

static void renumber_block(struct varve_space *space, struct renumbering *n, uint32_t block) {
  struct varve_region *r = &space->regions[block / VARVE__REGION_BLOCKS];
  if (space->blocks[block].kind != BLOCK_SMALL) return;
  space->blocks[block].age = n->age++;
  if ((r->flags & BLOCK_TARGET) || !atomic_load_explicit(&r->free_blocks, memory_order_relaxed)) return;
  r->flags |= BLOCK_TARGET; /* listed */
  n->regions[n->region_count++] = block / VARVE__REGION_BLOCKS;
}

/* Ages anew, in the order of the sequence. */
static void renumber(struct varve_heap *heap) {
  struct varve_plan *plan = heap->plan;
  struct varve_space *space = &heap->space;
  struct renumbering n = {.regions = plan->by_age};
  for (uint32_t i = 0; i < plan->sequence_count; ++i) {
    uint32_t entry = plan->sequence[i];
    if (entry & VARVE__MEDIUM_ENTRY) renumber_region(space, &n, entry & ~VARVE__MEDIUM_ENTRY);
    else renumber_block(space, &n, entry);
  }
  atomic_store_explicit(&space->next_age, n.age, memory_order_relaxed);
  varve__space_list_broken(space, n.regions, n.region_count);
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
    if (atomic_load_explicit(&region->kind, memory_order_relaxed) != REGION_MEDIUM || top > least[region->node])
      continue;
    least[region->node] = top;
    atomic_store_explicit(&space->node[region->node].medium_open, r, memory_order_relaxed);
  }
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

void varve__compact_finish(struct varve_heap *heap) {
  struct varve_space *space = &heap->space;
  heap->live_bytes = 0;
  for (uint32_t r = 0; r < space->region_high; ++r) finish_region(heap, r);
  heap->current.regions_freed += varve__large_release_regions(space);
  renumber(heap);
  open_mediums(space);
  note_plan(heap);
}
