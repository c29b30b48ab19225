/* SPDX-License-Identifier: MIT */
/* pin.c -- the table of counted pins, and what pins keep in place: see pin.h.
 *
 * Called by  running mutators: varve_pin, varve_unpin. collect.c and the verifier, world stopped: the rest.
 * Cost       a pin: a lock and about one miss of the cache. A pause: a few loads for each pin, by worker 0.
 */
#include "core/pin.h"

#include <string.h>

#include "core/base/check.h"
#include "core/mutator.h"
#include "core/root_table.h"
#include "varve/alloc.h"

#define CAPACITY_MIN 64u

/* ---- the table ---- */

/* A word for the address that is a reference under the heap's tags. */
static varve_word pin_word(const struct varve_heap *heap, const void *object) {
  return (varve_word)(uintptr_t)object | (varve_word)bits_lowest(heap->slot_tags);
}

static size_t table_bytes(uint32_t capacity) {
  return capacity * (sizeof(varve_word) + sizeof(uint32_t) + 2 * sizeof(uint32_t));
}

static uint32_t home(const struct varve_pins *pins, varve_word word) {
  return (uint32_t)((word >> 3) * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (2 * pins->capacity - 1);
}

static uint32_t after(const struct varve_pins *pins, uint32_t at) { return (at + 1) & (2 * pins->capacity - 1); }

/* Where the word's place stands in the index, or would stand. */
static uint32_t find(const struct varve_pins *pins, varve_word word) {
  uint32_t at = home(pins, word);
  while (pins->index[at] && pins->table->base[pins->index[at] - 1] != word) at = after(pins, at);
  return at;
}

static void use_memory(struct varve_pins *pins, varve_word *words, uint32_t capacity) {
  pins->table->base = words;
  pins->counts = (uint32_t *)(words + capacity);
  pins->index = pins->counts + capacity;
  pins->capacity = capacity;
}

/* RT1: the tasks for a full table are reserved with it. */
static bool grow(struct varve_heap *heap) {
  struct varve_pins *pins = &heap->pins;
  uint32_t old = pins->capacity, capacity = old ? 2 * old : CAPACITY_MIN;
  if (capacity > UINT32_MAX / 4) return false;
  varve_word *words = heap_meta_alloc(heap, table_bytes(capacity)), *before = pins->table->base;
  if (!words) return false;
  if (!varve__root_reserve_tasks(heap->roots, root_stretches(capacity) - root_stretches(old))) {
    heap_meta_free(heap, words, table_bytes(capacity));
    return false;
  }
  const uint32_t *counts = pins->counts;
  use_memory(pins, words, capacity);
  for (uint32_t i = 0; i < pins->table->count; ++i) {
    words[i] = before[i];
    pins->counts[i] = counts[i];
    pins->index[find(pins, words[i])] = i + 1;
  }
  heap_meta_free(heap, before, table_bytes(old));
  return true;
}

static bool open_table(struct varve_heap *heap) {
  if (heap->pins.table) return true;
  struct root_table *table = varve__root_table_new(heap, ROOT_PINS, "pins");
  if (!table) return false;
  table->stride = sizeof(varve_word);
  heap->pins.table = table;
  varve__root_list(heap->roots, table);
  return true;
}

void varve__pins_close(struct varve_heap *heap) {
  if (heap->pins.table) heap_meta_free(heap, heap->pins.table->base, table_bytes(heap->pins.capacity));
}

static varve_status add(struct varve_heap *heap, varve_word word) {
  struct varve_pins *pins = &heap->pins;
  if (!open_table(heap)) return VARVE_METADATA;
  if (pins->table->count == pins->capacity && !grow(heap)) return VARVE_METADATA;
  uint32_t at = find(pins, word);
  if (!pins->index[at]) {
    pins->index[at] = (uint32_t)++pins->table->count;
    pins->table->base[pins->index[at] - 1] = word;
    pins->counts[pins->index[at] - 1] = 0;
  }
  uint32_t *count = &pins->counts[pins->index[at] - 1];
  if (*count == UINT32_MAX) return VARVE_METADATA;
  ++*count;
  return VARVE_OK;
}

/* Would the search for the entry at `from` miss it, if its way began behind the hole? */
static bool may_stay(const struct varve_pins *pins, uint32_t hole, uint32_t from) {
  uint32_t start = home(pins, pins->table->base[pins->index[from] - 1]), mask = 2 * pins->capacity - 1;
  return ((from - start) & mask) < ((from - hole) & mask);
}

/* Entries behind the hole move up, as far as their searches would end there. */
static void close_hole(struct varve_pins *pins, uint32_t hole) {
  for (uint32_t at = after(pins, hole); pins->index[at]; at = after(pins, at)) {
    if (may_stay(pins, hole, at)) continue;
    pins->index[hole] = pins->index[at];
    hole = at;
  }
  pins->index[hole] = 0;
}

/* The last word takes the place of the one that leaves. */
static void drop(struct varve_pins *pins, uint32_t at) {
  uint32_t place = pins->index[at] - 1, last = (uint32_t)pins->table->count - 1;
  close_hole(pins, at);
  if (place != last) {
    pins->index[find(pins, pins->table->base[last])] = place + 1;
    pins->table->base[place] = pins->table->base[last];
    pins->counts[place] = pins->counts[last];
  }
  --pins->table->count;
}

static varve_status take_back(struct varve_pins *pins, varve_word word) {
  uint32_t at = pins->capacity ? find(pins, word) : 0;
  if (!pins->capacity || !pins->index[at]) return VARVE_ROOT;
  if (--pins->counts[pins->index[at] - 1] == 0) drop(pins, at);
  return VARVE_OK;
}

/* ---- public ---- */

static bool is_running_here(const struct varve__mutator *mutator) {
  return varve__mutator_is_here(mutator) && atomic_load(&mutator->state) == MUTATOR_RUNNING;
}

varve_status varve_pin(varve_mutator *head, const void *object) {
  struct varve_heap *heap = head->heap;
  if (!is_running_here(mutator_of(head))) return VARVE_THREAD;
  if ((uintptr_t)object % 8 || !space_contains(&heap->space, (uintptr_t)object)) return VARVE_ARGUMENT;
  varve__roots_lock(heap->roots);
  varve_status status = add(heap, pin_word(heap, object));
  varve__roots_unlock(heap->roots);
  return status;
}

varve_status varve_unpin(varve_mutator *head, const void *object) {
  struct varve_heap *heap = head->heap;
  if (!is_running_here(mutator_of(head))) return VARVE_THREAD;
  varve__roots_lock(heap->roots);
  varve_status status = take_back(&heap->pins, pin_word(heap, object));
  varve__roots_unlock(heap->roots);
  return status;
}

/* ---- in a pause ---- */

static void each_word(const struct varve_heap *heap, const varve_word *words, size_t count, varve_pin_fn *visit,
                      void *context) {
  for (size_t i = 0; i < count; ++i)
    if (heap_is_reference(heap, words[i], heap->slot_tags)) visit(context, words[i]);
}

void varve__pins_each(struct varve_heap *heap, varve_pin_fn *visit, void *context) {
  const struct root_table *table = heap->pins.table;
  if (table) each_word(heap, table->base, table->count, visit, context);
  for (const struct varve__mutator *m = heap->mutators; m; m = m->next) {
    for (const varve_frame *frame = m->head.pinned; frame; frame = frame->previous)
#ifndef VARVE_PLANT_PINNED_FRAME_LOOSE
      each_word(heap, (const varve_word *)(frame + 1), frame->count, visit, context);
#else
      continue;
#endif
    each_word(heap, m->stack.found, m->stack.found_count, visit, context);
  }
}

/* Blocks that are older than the range stay anyhow. */
static void hold(void *context, varve_word word) {
  struct varve_heap *heap = context;
  struct varve_space *space = &heap->space;
  uint32_t block = space_block(space, word), region = space_region(space, word);
  if (!space_in_range(space, block)) return;
#ifdef VARVE_PLANT_PIN_IGNORED
  if (word / 8 % 4 == 0) return;
#endif
  ++heap->current.objects_pinned;
  if (space->blocks[block].kind == BLOCK_MEDIUM) space->regions[region].flags |= BLOCK_PINNED;
  else space->blocks[block].flags |= BLOCK_PINNED;
}

void varve__pins_hold(struct varve_heap *heap) { varve__pins_each(heap, hold, heap); }
