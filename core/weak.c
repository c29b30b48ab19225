/* SPDX-License-Identifier: MIT */
/* weak.c -- chains of holders, passes over them, and the steps between marking and planning: see weak.h.
 *
 * Called by  varve__weak_found: the mark loop, once a holder. The rest: worker 0, and workers in the runs that it
 *            starts.
 * Cost       a holder's line and one bitmap word for each slot; the next holders of a group of chains are fetched
 *            meanwhile.
 */
#include "core/weak.h"

#include "core/base/check.h"
#include "core/mark.h"
#include "core/marker.h"
#include "core/scan.h"
#include "core/worker.h"

#define GROUP 4u            /* chains that are gone through at a time */
#define GROUPS (VARVE__WEAK_CHAINS / GROUP)
#define BIG_UNITS 4096u     /* holders of more slots or entries are shared out in pieces */
#define PIECE_UNITS 1024u
#define UNITS_AHEAD 16u

/* ---- chains ---- */

bool varve__weak_open(struct varve_heap *heap, varve_layout_kind kind) {
  bool open = kind != VARVE_LAYOUT_EPHEMERONS || varve__ephemerons_open(heap);
  if (open) atomic_store_explicit(&heap->weak.present, true, memory_order_relaxed); /* pauses begin later */
  return open;
}

void varve__weak_close(struct varve_heap *heap) { varve__ephemerons_close(heap); }

static varve_object **link_of(varve_object *object) { return (varve_object **)(object + 1); }

static size_t units_of(const struct varve_layout_entry *layout, const varve_object *object) {
  size_t words = varve_object_bytes(object) / 8;
  return layout->kind == VARVE_LAYOUT_WEAK ? words - layout->first : scan_entries(layout, words);
}

static enum varve_weak_kind kind_of(const struct varve_layout_entry *layout) {
  if (layout->kind == VARVE_LAYOUT_EPHEMERONS) return WEAK_EPHEMERONS;
  return layout->after ? WEAK_AFTER : WEAK_BEFORE;
}

void varve__weak_found(struct mark_worker *worker, varve_object *object, const struct varve_layout_entry *layout) {
  struct varve_weak_found *found = &worker->weak;
  enum varve_weak_kind kind = kind_of(layout);
  struct varve_weak_chains *chains = &found->found[kind];
  size_t units = units_of(layout, object);
  varve_object **head = units > BIG_UNITS ? &chains->big : &chains->chain[found->turn++ % VARVE__WEAK_CHAINS];
  *link_of(object) = *head;
  *head = object;
  found->any[kind] = true;
  if (layout->kind == VARVE_LAYOUT_EPHEMERONS) found->entries += units;
}

void varve__weak_begin(struct varve_heap *heap) {
  for (uint32_t i = 0; i < heap->marker->worker_count; ++i) {
    struct mark_worker *worker = &heap->marker->workers[i];
    worker->keyed = false;
    worker->weak = (struct varve_weak_found){0};
  }
}

/* ---- passes ---- */

bool varve__weak_begin_pass(struct varve_heap *heap, enum varve_weak_kind kind) {
  bool any = false;
  for (uint32_t i = 0; i < heap->marker->worker_count; ++i) {
    struct varve_weak_found *found = &heap->marker->workers[i].weak;
    found->pass = found->found[kind];
    any |= found->any[kind];
  }
  atomic_store_explicit(&heap->weak.next_group, 0, memory_order_relaxed);
  atomic_store_explicit(&heap->weak.next_piece, 0, memory_order_relaxed);
  return any;
}

static const struct varve_layout_entry *layout_of(const struct mark_worker *worker, const varve_object *object) {
  return &worker->heap->layouts.entries[varve_object_layout(object)];
}

/* The next holder of a chain is fetched while those of the other chains are looked at. */
static void pass_group(struct mark_worker *worker, varve_object *const *chains, weak_units_fn *visit) {
  varve_object *at[GROUP];
  unsigned left = 0;
  for (unsigned i = 0; i < GROUP; ++i) left += (at[i] = chains[i]) != NULL;
  while (left)
    for (unsigned i = 0; i < GROUP; ++i) {
      varve_object *object = at[i];
      if (!object) continue;
      at[i] = *link_of(object);
      __builtin_prefetch(at[i], 1);
      left -= !at[i];
      const struct varve_layout_entry *layout = layout_of(worker, object);
      visit(worker, object, layout, 0, units_of(layout, object));
    }
}

static uint64_t next_piece(struct varve_heap *heap) {
  return atomic_fetch_add_explicit(&heap->weak.next_piece, 1, memory_order_relaxed);
}

/* Pieces are numbered in the order of workers' chains of big holders. A worker's numbers only rise, so it goes along
 * once. */
static void pass_big(struct mark_worker *worker, weak_units_fn *visit) {
  struct varve_marker *marker = worker->heap->marker;
  uint64_t mine = next_piece(worker->heap), before = 0;
  for (uint32_t i = 0; i < marker->worker_count; ++i)
    for (varve_object *object = marker->workers[i].weak.pass.big; object; object = *link_of(object)) {
      const struct varve_layout_entry *layout = layout_of(worker, object);
      size_t units = units_of(layout, object), pieces = (units + PIECE_UNITS - 1) / PIECE_UNITS;
      for (; mine < before + pieces; mine = next_piece(worker->heap)) {
        size_t from = (size_t)(mine - before) * PIECE_UNITS, to = from + PIECE_UNITS;
        visit(worker, object, layout, from, to < units ? to : units);
      }
      before += pieces;
    }
}

void varve__weak_pass(struct mark_worker *worker, weak_units_fn *visit) {
  struct varve_marker *marker = worker->heap->marker;
  uint32_t group;
  while ((group = atomic_fetch_add_explicit(&worker->heap->weak.next_group, 1, memory_order_relaxed)) <
         marker->worker_count * GROUPS)
    pass_group(worker, &marker->workers[group / GROUPS].weak.pass.chain[group % GROUPS * GROUP], visit);
  pass_big(worker, visit);
}

/* ---- weak slots ---- */

static void clear_slots(struct mark_worker *worker, varve_object *object, const struct varve_layout_entry *layout,
                        size_t from, size_t to) {
  const struct varve_heap *heap = worker->heap;
  varve_word *slots = (varve_word *)object + layout->first;
  for (size_t i = from; i < to; ++i) {
    if (i + UNITS_AHEAD < to) weak_fetch(heap, slots[i + UNITS_AHEAD]);
#ifdef VARVE_PLANT_WEAK_NOT_CLEARED
    if (slots[i] / 8 % 64 == 0) continue;
#endif
    if (!weak_is_dead(heap, slots[i])) continue;
    __atomic_store_n(&slots[i], layout->cleared, __ATOMIC_RELAXED);
    ++worker->weak.slots_cleared;
  }
}

static void clear_worker(struct varve_heap *heap, uint32_t self) {
  varve__weak_pass(&heap->marker->workers[self], clear_slots);
}

/* What the holders of the kind have to fear is done to those found so far; those found later are others. */
static void clear_kind(struct varve_heap *heap, enum varve_weak_kind kind) {
  if (!varve__weak_begin_pass(heap, kind)) return;
  varve__workers_run(heap, clear_worker);
  for (uint32_t i = 0; i < heap->marker->worker_count; ++i) {
    heap->marker->workers[i].weak.found[kind] = (struct varve_weak_chains){0};
    heap->marker->workers[i].weak.any[kind] = false;
  }
}

/* ---- the steps ---- */

static void note_figures(struct varve_heap *heap) {
  for (uint32_t i = 0; i < heap->marker->worker_count; ++i) {
    const struct varve_weak_found *found = &heap->marker->workers[i].weak;
    heap->current.weak_cleared += found->slots_cleared;
    heap->current.ephemerons += found->entries;
    heap->current.ephemerons_cleared += found->entries_cleared;
  }
  if (heap->current.ephemerons) heap->weak.last_entries = heap->current.ephemerons;
}

static void mark_finalizers(struct varve_heap *heap) {
  varve__ephemerons_begin(heap);
  varve__final_rewind(heap);
  varve__mark_more(heap, varve__final_mark_found);
}

void varve__weak_process(struct varve_heap *heap) {
  varve__ephemerons_mark(heap);
  clear_kind(heap, WEAK_BEFORE);
  if (varve__final_take(heap)) mark_finalizers(heap);
  varve__ephemerons_clear(heap);
  clear_kind(heap, WEAK_BEFORE);
  clear_kind(heap, WEAK_AFTER);
  varve__final_take_cleaners(heap);
  note_figures(heap);
}
