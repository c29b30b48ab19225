/* SPDX-License-Identifier: MIT */
/* hooks.c -- see hooks.h. Called by collect.c. Cost: a header and a layout of each object that moved (survived). */
#include "core/hooks.h"

#include "core/compact.h"
#include "core/forward.h"
#include "core/heap.h"
#include "core/mutator.h"
#include "core/plan.h"
#include "core/walk.h"
#include "core/worker.h"

struct hooks {
  struct varve_heap *heap;
  struct forward forward;
  const struct varve_layout_entry *layouts;
};

static struct hooks open_hooks(struct varve_heap *heap) {
  return (struct hooks){heap, forward_open(&heap->space), heap->layouts.entries};
}

/* The object is where it will be, and was at `old`. @return its words. */
static uint64_t tell(const struct hooks *hooks, varve_object *object, uint64_t old) {
  varve_layout layout = varve_object_layout(object);
  size_t bytes = varve_object_bytes(object);
  uint8_t hooked = hooks->layouts[layout].hooked;
  if (hooked == HOOKED_SURVIVORS || (hooked && old != (uintptr_t)object)) {
    const struct varve_layout_hook *hook = &hooks->heap->layouts.hooks[layout];
    hook->moved(hook->context, object, (const void *)old, bytes);
  }
  return bytes / 8;
}

/* ---- what moved ---- */

/* A SMALL block, or a MEDIUM region: bits of `words` words from `base` on. */
static void tell_moved(const struct hooks *hooks, uint64_t base, const uint64_t *bitmap, size_t words) {
  for (size_t at = walk_find(bitmap, 0, words, true); at < words;) {
    uint64_t old = base + at * 8;
    uint64_t size = tell(hooks, (varve_object *)forward_moved(&hooks->forward, old - hooks->forward.base), old);
    at = walk_find(bitmap, at + size, words, true);
  }
}

static void tell_group(const struct hooks *hooks, const struct varve_group *group) {
  const struct varve_space *space = &hooks->heap->space;
  for (uint32_t i = 0; i < group->count; ++i) {
    uint32_t unit = hooks->heap->plan->order[group->first + i];
    uint32_t block = group->medium ? unit * VARVE__REGION_BLOCKS : unit;
    tell_moved(hooks, space_block_address(space, block), space_block_bitmap(space, block),
               group->medium ? VARVE__REGION_WORDS : VARVE__BLOCK_WORDS);
  }
}

/* Worker 0. Their new places are flagged, so that they are not taken for what has stayed. */
static void tell_large(const struct hooks *hooks) {
  struct varve_space *space = &hooks->heap->space;
  const struct varve_plan *plan = hooks->heap->plan;
  for (uint32_t i = 0; i < plan->large_count; ++i) {
    uint32_t to = plan->large[i].to;
    space->blocks[to].flags |= BLOCK_TARGET;
    tell(hooks, (varve_object *)space_block_address(space, to), space_block_address(space, plan->large[i].from));
  }
}

/* ---- what stayed ---- */

static void tell_stayed(void *context, varve_object *object, uint64_t words) {
  (void)words;
#ifdef VARVE_PLANT_HOOK_MISSED
  if ((uintptr_t)object / 8 % 8 == 0) return;
#endif
  tell(context, object, (uintptr_t)object);
}

static void tell_block(const struct hooks *hooks, uint32_t block) {
  const struct varve_space *space = &hooks->heap->space;
  const struct varve_block *b = &space->blocks[block];
  bool small = b->kind == BLOCK_SMALL && b->live && !space_moves(space, block);
  bool large = b->kind == BLOCK_LARGE_HEAD && !(b->flags & BLOCK_TARGET);
  if (small || large) walk_marked(space, block, tell_stayed, (void *)hooks);
}

/* What is in the range lies above what is not. */
static void tell_medium(const struct hooks *hooks, uint32_t region, uint64_t range) {
  const struct varve_space *space = &hooks->heap->space;
  if ((space->regions[region].flags & BLOCK_MOVES) || !space->regions[region].live) return;
  uint32_t first = region * VARVE__REGION_BLOCKS + bits_lowest(range);
  walk_words(space_block_address(space, first), space_block_bitmap(space, first),
             VARVE__REGION_WORDS - bits_lowest(range) * VARVE__BLOCK_WORDS, tell_stayed, (void *)hooks);
}

static void tell_region(const struct hooks *hooks, uint32_t region) {
  const struct varve_space *space = &hooks->heap->space;
  uint8_t kind = space_kind(space, region);
  uint64_t range = kind < REGION_SMALL ? 0 : varve__space_range(space, region);
  if (kind == REGION_MEDIUM && range) tell_medium(hooks, region, range);
  if (!region_has_blocks(kind)) return;
  for (; range; range &= range - 1) tell_block(hooks, region * VARVE__REGION_BLOCKS + bits_lowest(range));
}

/* ---- the phase ---- */

static bool wants_survivors(const struct varve_heap *heap) {
  return atomic_load_explicit(&heap->layouts.hooked, memory_order_relaxed) == HOOKED_SURVIVORS;
}

static void hooks_worker(struct varve_heap *heap, uint32_t worker) {
  struct hooks hooks = open_hooks(heap);
  uint32_t task;
  struct varve_taker groups = varve__share_open(heap, &heap->shares.groups, worker);
  struct varve_taker regions = varve__share_open(heap, &heap->shares.regions, worker);
  while (share_take(&groups, &task)) tell_group(&hooks, &heap->plan->groups[task]);
  while (wants_survivors(heap) && share_take(&regions, &task)) tell_region(&hooks, task);
}

void varve__hooks_run(struct varve_heap *heap) {
  bool moved = heap->plan->group_count || heap->plan->large_count;
  if (!atomic_load_explicit(&heap->layouts.hooked, memory_order_relaxed)) return;
  if (!moved && !wants_survivors(heap)) return;
  struct hooks hooks = open_hooks(heap);
  tell_large(&hooks);
  varve__compact_begin(heap);
  varve__workers_run(heap, hooks_worker);
}

/* ---- after the resume ---- */

/* What it allocates is the host's business: the allocation that has collected goes on as if nothing had been. */
void varve__hooks_tell(struct varve__mutator *mutator) {
  struct varve_heap *heap = mutator->head.heap;
  if (!heap->options.after_collection || mutator->tells) return;
  varve_status status = mutator->status;
  bool satisfied = mutator->satisfied, took_all = mutator->took_all;
  varve_collection_stats stats;
  if (!varve_collection_stats_get(heap, &stats)) return;
  mutator->tells = true;
  heap->options.after_collection(heap->options.context, &mutator->head, &stats);
  mutator->tells = false;
  mutator->status = status;
  mutator->satisfied = satisfied;
  mutator->took_all = took_all;
}
