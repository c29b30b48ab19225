/* SPDX-License-Identifier: MIT */
/* alloc.c -- the slow half of allocation: a new TLAB, a medium or a large object, a collection when one is due.
 *
 * Called by the owning mutator, running. Makes no system call unless the heap grows or a collection runs.
 *
 *   small   rest of the TLAB; else, over a line, the spill block, so that the rest is not thrown away; else a new
 *           TLAB, which may be a hole (hole.c). Blocks come from the mutator's open region, with no atomic operation
 *           on the region; when the heap is pressed, one by one from the broken regions, so that whole regions stay
 *           free.
 *   medium  an atomic bump in the node's open MEDIUM region
 *   large   a run of blocks
 */
#include <string.h>

#include "core/base/check.h"
#include "core/base/shade.h"
#include "core/heap.h"
#include "core/mutator.h"
#include "core/placing.h"
#include "core/policy.h"
#include "core/safepoint.h"
#include "numa/affinity.h"
#include "varve/varve.h"

/* Collections of its own that one allocation tries before it returns NULL. */
#define COLLECTIONS_MAX 16u
/* Smaller objects open a new TLAB when they do not fit; larger ones go to the spill block. */
#define SPILL_BYTES ((size_t)1 << VARVE__LINE_SHIFT)

static void open_region(struct varve__mutator *mutator) {
  struct varve_heap *heap = mutator->head.heap;
  mutator->own_region = varve__space_take_region(&heap->space, mutator->node, REGION_SMALL);
  mutator->own_free = mutator->own_region == VARVE__NO_REGION ? 0 : ~UINT64_C(0);
  varve__placing_tell(heap);
}

/* Where does the caller run now? If it has come from another node, its open region stays behind for others. */
static void follow(struct varve__mutator *mutator) {
  struct varve_heap *heap = mutator->head.heap;
  unsigned here = varve__affinity_node_here(heap->topology);
  if (here == mutator->node) return;
  varve__mutator_leave_region(mutator);
  mutator->node = here;
  mutator->wanders = true;
}

static uint32_t take_own_block(struct varve__mutator *mutator) {
  struct varve_space *space = &mutator->head.heap->space;
  uint32_t block = mutator->own_region * VARVE__REGION_BLOCKS + bits_lowest(mutator->own_free);
  mutator->own_free &= mutator->own_free - 1;
  varve__space_block_taken(space, block);
  return block;
}

/* A mutator that changes nodes leaves a region behind each time, and takes the rest of such regions first. */
static uint32_t take_left_behind(struct varve__mutator *mutator) {
  if (!mutator->wanders || mutator->own_free) return VARVE__NO_BLOCK;
  return varve__space_take_listed(&mutator->head.heap->space, mutator->node);
}

static uint32_t take_block(struct varve__mutator *mutator) {
  struct varve_heap *heap = mutator->head.heap;
  if (!varve__space_spend(&heap->space, 1)) return VARVE__NO_BLOCK;
  if (space_follows_callers(&heap->space)) follow(mutator);
  uint32_t block = take_left_behind(mutator);
  if (block != VARVE__NO_BLOCK) return block;
  if (!mutator->own_free && !varve__policy_is_pressed(heap)) open_region(mutator);
  if (mutator->own_free) return take_own_block(mutator);
  block = varve__space_take_block(&heap->space, mutator->node);
  if (block == VARVE__NO_BLOCK) varve__space_unspend(&heap->space, 1);
  return block;
}

static bool refill_tlab(struct varve__mutator *mutator, size_t size) {
  struct varve_space *space = &mutator->head.heap->space;
  uint32_t block = take_block(mutator);
  if (block == VARVE__NO_BLOCK) return varve__hole_open(mutator, size);
  varve__hole_close(mutator);
  mutator_close_block(space, mutator->tlab_block, mutator->head.cursor);
  mutator->tlab_block = block;
  mutator->head.cursor = space_block_address(space, block);
  mutator->tlab_end = mutator->head.cursor + VARVE__BLOCK_BYTES;
  return true;
}

static bool refill_spill(struct varve__mutator *mutator) {
  struct varve_space *space = &mutator->head.heap->space;
  uint32_t block = take_block(mutator);
  if (block == VARVE__NO_BLOCK) return false;
  mutator_close_block(space, mutator->spill_block, mutator->spill_cursor);
  mutator->spill_block = block;
  mutator->spill_cursor = space_block_address(space, block);
  mutator->spill_end = mutator->spill_cursor + VARVE__BLOCK_BYTES;
  return true;
}

static uintptr_t take_spill(struct varve__mutator *mutator, size_t size) {
  if (size > mutator->spill_end - mutator->spill_cursor && !refill_spill(mutator)) return 0;
  uintptr_t at = mutator->spill_cursor;
  mutator->spill_cursor += size;
  return at;
}

static uintptr_t take_small(struct varve__mutator *mutator, size_t size) {
  if (size > mutator->tlab_end - mutator->head.cursor) {
    if (size > SPILL_BYTES && mutator->tlab_block != VARVE__NO_BLOCK) return take_spill(mutator, size);
    if (!refill_tlab(mutator, size)) return 0;
  }
  uintptr_t at = mutator->head.cursor;
  mutator->head.cursor += size;
  return at;
}

static uint32_t large_blocks(size_t size) {
  return (uint32_t)((size + VARVE__BLOCK_BYTES - 1) >> VARVE__BLOCK_SHIFT);
}

static uintptr_t take(struct varve__mutator *mutator, size_t size) {
  struct varve_space *space = &mutator->head.heap->space;
  if (size <= VARVE_SMALL_MAX) return take_small(mutator, size);
  if (space_follows_callers(space)) follow(mutator);
  if (size <= VARVE_MEDIUM_MAX) return varve__space_take_medium(space, mutator->node, size >> 3);
  return varve__large_take(space, mutator->node, large_blocks(size));
}

/* What the collection must free for the allocation to go through. */
static uint32_t wanted_blocks(size_t size) {
  if (size <= VARVE_SMALL_MAX) return 1;
  return size <= VARVE_MEDIUM_MAX ? VARVE__REGION_BLOCKS : large_blocks(size);
}

/* Give up when an emergency collection of our own could not free what is wanted. While it could, other mutators were
 * quicker: try again, within reason. A collection that another thread ran for all does not count, nor one that was not
 * full. */
static uintptr_t take_or_collect(struct varve__mutator *mutator, size_t size) {
  struct varve_heap *heap = mutator->head.heap;
  for (unsigned own = 0, full = 0;;) {
    uint64_t seen = atomic_load(&heap->collections);
    uintptr_t at = take(mutator, size);
    if (at || own == COLLECTIONS_MAX || (full >= 2 && !mutator->satisfied)) return at;
    enum varve_extent extent = own ? EXTENT_ALL : EXTENT_DUE;
    if (!varve__collect(mutator, full ? "emergency" : "allocation", seen, wanted_blocks(size), extent)) continue;
    ++own;
    full += mutator->took_all;
  }
}

static void stress(struct varve__mutator *mutator) {
  struct varve_heap *heap = mutator->head.heap;
  uint32_t period = heap_setting(&heap->options.stress_period);
  if (!period || ++mutator->slow_allocations < period) return;
  mutator->slow_allocations = 0;
  varve__collect(mutator, "stress", atomic_load(&heap->collections), 0, EXTENT_DUE);
}

static varve_status check_request(struct varve_heap *heap, varve_layout layout, size_t bytes, size_t size) {
  if (bytes > VARVE_OBJECT_MAX - 16 || size > (uint64_t)heap_setting(&heap->space.limit_blocks) << VARVE__BLOCK_SHIFT)
    return VARVE_TOO_LARGE;
  return varve__layout_fits(&heap->layouts, layout, size >> 3) ? VARVE_OK : VARVE_LAYOUT;
}

static varve_object *allocate(varve_mutator *head, varve_layout layout, size_t bytes) {
  struct varve__mutator *mutator = mutator_of(head);
  struct varve_heap *heap = head->heap;
  VARVE_REQUIRE(varve__mutator_is_here(mutator), "allocation by another thread than that of mutator %s", mutator->name);
  VARVE_REQUIRE(atomic_load(&mutator->state) == MUTATOR_RUNNING, "allocation in native state by %s", mutator->name);
  size_t size = bits_round_up(bytes < 8 ? 8 : bytes, heap->options.granule);
  mutator->status = check_request(heap, layout, bytes, size);
  if (mutator->status != VARVE_OK) return NULL;
  varve__safepoint_park(mutator);
  stress(mutator);
  varve_object *object = (varve_object *)take_or_collect(mutator, size);
  varve__safepoint_restore_limit(mutator);
  if (object) shade_show((uintptr_t)object, size);
  if (object) object->header = VARVE_ABI_HEADER(layout, size);
  else mutator->status = VARVE_HEAP_FULL;
  return object;
}

void *varve_alloc_uninit_slow(varve_mutator *mutator, varve_layout layout, size_t bytes) {
  return allocate(mutator, layout, bytes);
}

void *varve_alloc_slow(varve_mutator *mutator, varve_layout layout, size_t bytes) {
  varve_object *object = allocate(mutator, layout, bytes);
  if (!object) return NULL;
  size_t payload = varve_object_bytes(object) - sizeof *object;
  memset(object + 1, 0, payload);
  if (mutator->store_log) memset((char *)(object + 1) + mutator->store_log, 0, payload);
  return object;
}
