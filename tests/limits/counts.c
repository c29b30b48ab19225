/* SPDX-License-Identifier: MIT */
/* counts.c -- many of one thing: handles, Ref words, slots of one object, registrations, layouts, pins, finalizers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/heap.h"
#include "core/pin.h"
#include "core/root.h"
#include "core/root_table.h"
#include "limits/limits.h"

#define MILLION 1000000ul
#define KINDS 1000u /* objects that Ref words refer to */

static void *take(size_t bytes) {
  void *memory = calloc(1, bytes);
  if (!memory) limit_skip("malloc has no memory");
  return memory;
}

/* ---- handles ----------------------------------------------------------------------------------------------------- */

static void fill_handles(struct world *w, varve_handle **handles, size_t from, size_t count, size_t step) {
  for (size_t i = from; i < count; i += step) {
    varve_word cell = world_cell(w, i, NULL);
    CHECK(cell && (handles[i] = varve_handle_new(w->me, cell)));
  }
}

static void check_handles(varve_handle **handles, size_t from, size_t count, size_t step) {
  for (size_t i = from; i < count; i += step) CHECK(cell_of(varve_handle_get(handles[i]))->number == i);
}

static void handles(bool longer) {
  size_t count = longer ? 10 * MILLION : MILLION / 2;
  varve_handle **handles = take(count * sizeof *handles);
  struct world w;
  world_open(&w, longer ? "heap-max=1g,workers=2,parallel-min=0" : "heap-max=128m,workers=2,parallel-min=0");
  double began = limit_seconds();
  fill_handles(&w, handles, 0, count, 1);
  world_collect(&w, !longer);
  check_handles(handles, 0, count, 1);
  for (size_t i = 0; i < count; i += 2) varve_handle_free(w.me, handles[i]);
  world_collect(&w, !longer);
  CHECK(world_live(&w) == count / 2 * sizeof(struct cell));
  check_handles(handles, 1, count, 2);
  varve_heap_stats before, after;
  varve_heap_stats_get(w.heap, &before);
  fill_handles(&w, handles, 0, count, 2);
  varve_heap_stats_get(w.heap, &after);
  CHECK(after.bytes_metadata == before.bytes_metadata); /* freed ones are used again */
  world_collect(&w, false);
  check_handles(handles, 0, count, 1);
  for (size_t i = 0; i < count; ++i) varve_handle_free(w.me, handles[i]);
  world_collect(&w, false);
  CHECK(world_live(&w) == 0);
  limit_figure("handles", (double)count);
  limit_figure("seconds_used", limit_seconds() - began);
  limit_figure("metadata_bytes", (double)after.bytes_metadata);
  world_close(&w);
  free(handles);
}

/* ---- Ref words --------------------------------------------------------------------------------------------------- */

static void check_refs(const varve_word *words, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if (cell_of(words[i])->number != i % KINDS) FAIL("word %zu", i);
}

/* Every 97th word gets a new object that is as the old one was. */
static void renew_refs(struct world *w, varve_refs *refs, varve_word *words, size_t count) {
  for (size_t i = 0; i < count; i += 97) {
    varve_word cell = world_cell(w, i % KINDS, NULL);
    CHECK(cell);
    varve_ref_store(w->me, refs, &words[i], cell);
  }
}

static void refs_array(bool longer) {
  size_t count = longer ? 100 * MILLION : 3 * MILLION;
  varve_word *words = take(count * sizeof *words), kind[KINDS];
  struct world w;
  varve_refs *refs;
  varve_collection_stats stats;
  world_open(&w, "heap-max=512m,workers=2,parallel-min=0,move-everything=1");
  CHECK(varve_ref_array_add(w.heap, &(varve_ref_array){.name = "many", .base = words, .stride = 8, .count = count},
                            &refs, NULL) == VARVE_OK);
  for (size_t i = 0; i < KINDS; ++i) varve_ref_store(w.me, refs, &words[i], world_cell(&w, i, NULL));
  memcpy(kind, words, sizeof kind);
  for (size_t i = KINDS; i < count; ++i) varve_ref_store(w.me, refs, &words[i], kind[i % KINDS]);
  double began = limit_seconds();
  world_collect(&w, false);
  limit_figure("full_seconds", limit_seconds() - began);
  check_refs(words, count);
  world_collect(&w, false);
  renew_refs(&w, refs, words, count);
  began = limit_seconds();
  CHECK(varve_collect_newest(w.me) == VARVE_OK);
  limit_figure("young_seconds", limit_seconds() - began);
  CHECK(varve_collection_stats_get(w.heap, &stats) && stats.epochs_taken < stats.epochs);
  check_refs(words, count);
  world_collect(&w, false);
  check_refs(words, count);
  limit_figure("words", (double)count);
  varve_ref_array_remove(refs);
  world_close(&w);
  free(words);
}

static void refs_slab(bool longer) {
  size_t count = longer ? 20 * MILLION : MILLION;
  varve_word **slots = take(count * sizeof *slots), kind[KINDS] = {0};
  struct world w;
  varve_slab_cursor cursor;
  world_open(&w, "heap-max=256m,workers=2,parallel-min=0,move-everything=1");
  varve_refs *slab = varve_slab_create(w.heap, "many");
  varve_slab_cursor_open(&cursor, slab);
  for (size_t i = 0; i < KINDS; ++i) CHECK((slots[i] = varve_slab_take(&cursor, w.me, world_cell(&w, i, NULL))));
  for (size_t i = 0; i < KINDS; ++i) kind[i] = *slots[i];
  for (size_t i = KINDS; i < count; ++i) CHECK((slots[i] = varve_slab_take(&cursor, w.me, kind[i % KINDS])));
  for (unsigned turn = 0; turn < 2; ++turn) {
    world_collect(&w, false);
    for (size_t i = 0; i < count; ++i)
      if (cell_of(varve_ref_load(slots[i]))->number != i % KINDS) FAIL("word %zu", i);
  }
  CHECK(varve_slab_count(slab) == count);
  for (size_t i = 0; i < count; ++i) varve_slab_give(slab, slots[i]);
  CHECK(varve_slab_count(slab) == 0);
  world_collect(&w, false);
  CHECK(world_live(&w) == 0);
  limit_figure("words", (double)count);
  varve_slab_cursor_close(&cursor);
  varve_slab_destroy(slab);
  world_close(&w);
  free(slots);
}

/* ---- one wide object --------------------------------------------------------------------------------------------- */

static unsigned busy_workers(const struct world *w) {
  varve_collection_stats stats;
  unsigned busy = 0;
  CHECK(varve_collection_stats_get(w->heap, &stats));
  for (unsigned i = 0; i < stats.workers && i < VARVE_STATS_WORKERS; ++i) busy += stats.worker[i].words_marked > 0;
  return busy;
}

/* What it refers to is divided among the workers: else one would do all. */
static void wide(bool longer) {
  size_t slots = longer ? 100 * MILLION : 2 * MILLION, cells = 0;
  struct world w;
  unsigned busy = 0;
  varve_word root = 0;
  world_open(&w, longer ? "heap-max=2g,workers=4,parallel-min=0" : "heap-max=128m,workers=4,parallel-min=0");
  CHECK(varve_root_slots_add(w.heap, "wide", &root, 1, NULL) == VARVE_OK);
  root = varve_tag(varve_alloc(w.me, w.array, 8 + 8 * slots), 0);
  CHECK(root);
  for (size_t i = 0; i < slots; i += 10, ++cells) {
    varve_word cell = world_cell(&w, i, NULL);
    CHECK(cell);
    for (size_t k = i; k < i + 10; ++k)
      varve_store(w.me, varve_untag(root), (varve_word *)varve_untag(root) + 1 + k, cell);
  }
  double began = limit_seconds();
  world_collect(&w, !longer);
  limit_figure("full_seconds", limit_seconds() - began);
  for (unsigned turn = 0; turn < 20 && busy < 2; ++turn) {
    world_collect(&w, false);
    busy = busy_workers(&w) > busy ? busy_workers(&w) : busy;
  }
  CHECK(busy >= 2);
  CHECK(world_live(&w) == 8 + 8 * slots + cells * sizeof(struct cell));
  const varve_word *slot = (const varve_word *)varve_untag(root) + 1;
  for (size_t i = 0; i < slots; ++i) CHECK(cell_of(slot[i])->number == i / 10 * 10);
  limit_figure("slots", (double)slots);
  limit_figure("workers_that_marked", busy);
  world_close(&w);
}

/* ---- frames and registrations ------------------------------------------------------------------------------------ */

static void frame(bool longer) {
  size_t count = longer ? 16 * MILLION : MILLION;
  varve_frame *frame = take(sizeof *frame + count * sizeof(varve_word));
  varve_word *slot = (varve_word *)(frame + 1);
  struct world w;
  world_open(&w, "heap-max=1g,workers=2,parallel-min=0,move-everything=1");
  varve_frame_push(w.me, frame, count);
  for (size_t i = 0; i < count; ++i) slot[i] = i % 16 ? slot[i & ~(size_t)15] : world_cell(&w, i, NULL);
  world_collect(&w, !longer);
  for (size_t i = 0; i < count; ++i) CHECK(cell_of(slot[i])->number == (i & ~(size_t)15));
  varve_frame_pop(w.me, frame);
  limit_figure("slots", (double)count);
  world_close(&w);
  free(frame);
}

/* Frames of one slot, as deep recursion links them. */
static void frames(bool longer) {
  size_t count = longer ? 10 * MILLION : MILLION / 2;
  struct one {
    varve_frame head;
    varve_word slot;
  } *all = take(count * sizeof *all);
  struct world w;
  world_open(&w, "heap-max=512m,workers=2,parallel-min=0,move-everything=1");
  for (size_t i = 0; i < count; ++i) {
    all[i].slot = i % 8 ? all[i & ~(size_t)7].slot : world_cell(&w, i, NULL);
    varve_frame_push(w.me, &all[i].head, 1);
  }
  for (size_t i = 0; i < count; ++i) CHECK(cell_of(all[i].slot)->number == (i & ~(size_t)7));
  world_collect(&w, !longer);
  for (size_t i = 0; i < count; ++i) CHECK(cell_of(all[i].slot)->number == (i & ~(size_t)7));
  w.me->frames = NULL;
  limit_figure("frames", (double)count);
  world_close(&w);
  free(all);
}

/* Ranges of one slot, every other word, in a shuffled order; each overlap is refused. */
static void ranges(bool longer) {
  size_t count = longer ? 60000 : 5000;
  varve_word *words = take(2 * count * sizeof *words);
  struct world w;
  varve_error error;
  world_open(&w, "heap-max=128m,workers=2,parallel-min=0,move-everything=1");
  double began = limit_seconds();
  for (size_t i = 0; i < count; ++i) {
    size_t at = i * 7919 % count; /* a prime that divides neither count */
    CHECK(varve_root_slots_add(w.heap, "one", &words[2 * at], 1, NULL) == VARVE_OK);
    words[2 * at] = world_cell(&w, at, NULL);
  }
  limit_figure("seconds_to_add", limit_seconds() - began);
  for (size_t i = 0; i < count; i += 1009)
    CHECK(varve_root_slots_add(w.heap, "again", &words[2 * i], 2, &error) == VARVE_OVERLAP);
  world_collect(&w, !longer);
  for (size_t i = 0; i < count; ++i) CHECK(cell_of(words[2 * i])->number == i);
  began = limit_seconds();
  for (size_t i = 0; i < count; ++i) CHECK(varve_root_slots_remove(w.heap, &words[2 * i]) == VARVE_OK);
  limit_figure("seconds_to_remove", limit_seconds() - began);
  world_collect(&w, false);
  CHECK(world_live(&w) == 0);
  limit_figure("ranges", (double)count);
  world_close(&w);
  free(words);
}

/* ---- the most that the headers name ------------------------------------------------------------------------------- */

static void layouts(bool longer) {
  struct world w;
  varve_layout layout = 0, last = 0;
  varve_layout_desc desc = {.kind = VARVE_LAYOUT_DATA};
  varve_error error = {0};
  (void)longer;
  world_open(&w, "heap-max=16m,workers=1,verify=1");
  while (varve_layout_register(w.heap, &desc, &layout, &error) == VARVE_OK) CHECK(last == 0 || layout == last + 1), last = layout;
  CHECK(error.status == VARVE_LAYOUT && last == 65535);
  varve_word root = 0;
  CHECK(varve_root_slots_add(w.heap, "root", &root, 1, NULL) == VARVE_OK);
  root = varve_tag(varve_alloc(w.me, last, 64), 0);
  world_collect(&w, true);
  CHECK(varve_object_layout(varve_untag(root)) == 65535);
  limit_figure("layouts", last);
  world_close(&w);
}

/* Four thousand million calls would take minutes: the count begins near its end. */
static void pins(bool longer) {
  struct world w;
  (void)longer;
  world_open(&w, "heap-max=16m,workers=1,move-everything=1,verify=1");
  varve_word cell = world_cell(&w, 3, NULL);
  const void *object = varve_untag(cell);
  CHECK(varve_pin(w.me, object) == VARVE_OK);
  w.heap->pins.counts[0] = UINT32_MAX - 2;
  CHECK(varve_pin(w.me, object) == VARVE_OK && varve_pin(w.me, object) == VARVE_OK);
  CHECK(varve_pin(w.me, object) == VARVE_METADATA && varve_pin(w.me, object) == VARVE_METADATA);
  CHECK(varve_unpin(w.me, object) == VARVE_OK);
  CHECK(varve_pin(w.me, object) == VARVE_OK && varve_pin(w.me, object) == VARVE_METADATA);
  world_collect(&w, true);
  CHECK(cell_of(cell)->number == 3 && world_live(&w) == sizeof(struct cell));
  w.heap->pins.counts[0] = 2;
  CHECK(varve_unpin(w.me, object) == VARVE_OK && varve_unpin(w.me, object) == VARVE_OK);
  CHECK(varve_unpin(w.me, object) == VARVE_ROOT);
  world_collect(&w, true);
  CHECK(world_live(&w) == 0);
  world_close(&w);
}

/* Many, and the most: as if the table were as long as it can get. */
static void finalizers(bool longer) {
  size_t count = longer ? 10 * MILLION : MILLION / 4, taken = 0;
  struct world w;
  varve_finalization one;
  world_open(&w, longer ? "heap-max=1g,workers=2,parallel-min=0" : "heap-max=64m,workers=2,parallel-min=0");
  for (size_t i = 0; i < count; ++i)
    CHECK(varve_finalizer_attach(w.me, varve_untag(world_cell(&w, i, NULL)), 0, NULL, (void *)i));
  double began = limit_seconds();
  world_collect(&w, !longer);
  limit_figure("full_seconds", limit_seconds() - began);
  CHECK(varve_finalizers_queued(w.heap) == count);
  while (varve_finalizer_next(w.me, &one)) {
    const struct cell *cell = (const struct cell *)one.object;
    CHECK(cell->number == taken && one.context == (void *)taken);
    ++taken;
  }
  CHECK(taken == count);
  struct varve_final kept = w.heap->final;
  w.heap->final.free = 0;
  w.heap->final.count = w.heap->final.capacity = UINT32_MAX / VARVE__FINAL_ENTRIES;
  CHECK(!varve_finalizer_attach(w.me, varve_untag(world_cell(&w, 1, NULL)), 0, NULL, NULL));
  w.heap->final.free = kept.free, w.heap->final.count = kept.count, w.heap->final.capacity = kept.capacity;
  CHECK(varve_finalizer_attach(w.me, varve_untag(world_cell(&w, 1, NULL)), 0, NULL, NULL));
  limit_figure("finalizers", (double)count);
  world_close(&w);
}

const struct limit_case count_cases[] = {
    {"handles", handles, 300, 2000}, {"refs_array", refs_array, 200, 2000}, {"refs_slab", refs_slab, 200, 800},
    {"wide", wide, 300, 3000},       {"frame", frame, 100, 700},            {"frames", frames, 200, 800},
    {"ranges", ranges, 100, 400},    {"layouts", layouts, 100, 0},          {"pins", pins, 50, 0},
    {"finalizers", finalizers, 200, 1600}, {0}};
