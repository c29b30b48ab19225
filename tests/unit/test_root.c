/* SPDX-License-Identifier: MIT */
/* test_root.c -- F1: no word gets into two root tables, whatever the strides; registered slots are visited exactly
 * once; library memory is refused; handles and Ref words are visited while in use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/heap.h"
#include "core/interval.h"
#include "core/root.h"
#include "varve/mutator.h"

enum { HOST_WORDS = 400000 };

static varve_heap *heap;
static varve_mutator *mutator;
static varve_error error;
static varve_word host[HOST_WORDS];
static unsigned visits[HOST_WORDS], elsewhere;

static int setup(void **state) {
  (void)state;
  varve_options options;
  varve_options_init(&options);
  options.heap_max = 8u << 20;
  options.workers = 1;
  if (varve_heap_create(&options, &heap, NULL) != VARVE_OK) return -1;
  return varve_attach(heap, "tester", &mutator, NULL) == VARVE_OK ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  return varve_detach(mutator) == VARVE_OK && varve_heap_destroy(heap) == VARVE_OK ? 0 : -1;
}

static uint32_t random_below(uint32_t limit) {
  static uint64_t state = 88172645463325252u;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)((state >> 16) % limit);
}

/* ---- intervals ---- */

enum { LINE = 600 };
struct words { unsigned first, stride, count; }; /* in words */

static struct words random_words(void) {
  struct words w = {random_below(LINE), 1 + random_below(random_below(2) ? 4 : 40), 1};
  w.count += random_below((LINE - 1 - w.first) / w.stride + 1);
  return w;
}

static int meets(const struct words *w, const int *taken) {
  for (unsigned i = 0; i < w->count; ++i)
    if (taken[w->first + i * w->stride]) return taken[w->first + i * w->stride];
  return 0;
}

static void paint(const struct words *w, int *taken, int value) {
  for (unsigned i = 0; i < w->count; ++i) taken[w->first + i * w->stride] = value;
}

/* Against an array in which every word knows its owner. */
static void intervals_are_exact(void **state) {
  (void)state;
  for (unsigned round = 0; round < 200; ++round) {
    struct varve_intervals set = {0};
    struct words sets[2000];
    int taken[LINE] = {0};
    for (int i = 1; i < 100; ++i) {
      struct words w = random_words();
      uint64_t word;
      const struct varve_interval *met = varve__intervals_meet(&set, host + w.first, w.stride * 8, w.count, 8, &word);
      int owner = meets(&w, taken);
      assert_int_equal(met != NULL, owner != 0);
      if (met) assert_int_equal(taken[(varve_word *)word - host], (int)(intptr_t)met->owner);
      if (met && random_below(3) == 0) {
        owner = (int)(intptr_t)met->owner;
        assert_true(varve__intervals_remove(&set, host + sets[owner].first) == (void *)(intptr_t)owner);
        paint(&sets[owner], taken, 0);
      }
      if (met) continue;
      assert_true(varve__intervals_reserve(heap, &set));
      varve__intervals_add(&set, host + w.first, w.stride * 8, w.count, 8, (void *)(intptr_t)i);
      paint(&w, taken, i);
      sets[i] = w;
    }
    varve__intervals_close(heap, &set);
  }
}

/* ---- registration ---- */

static varve_status add_slots(varve_word *at, size_t count) {
  memset(&error, 0, sizeof error);
  return varve_root_slots_add(heap, "globals", at, count, &error);
}

static varve_status add_array(varve_word *at, size_t stride, size_t count, varve_refs **out) {
  varve_ref_array array = {.name = "cells", .base = at, .stride = stride, .count = count};
  memset(&error, 0, sizeof error);
  return varve_ref_array_add(heap, &array, out, &error);
}

static void refused_slots(void **state) {
  (void)state;
  assert_int_equal(add_slots(host, 0), VARVE_ROOT);
  assert_int_equal(add_slots(NULL, 1), VARVE_ROOT);
  assert_int_equal(add_slots((varve_word *)((char *)host + 4), 1), VARVE_ROOT);
  assert_int_equal(add_slots(host, SIZE_MAX / 8), VARVE_ROOT);
  assert_int_equal(add_slots((varve_word *)heap->space.base, 1), VARVE_ROOT);
  assert_int_equal(add_slots((varve_word *)heap->space.base - 1, 2), VARVE_ROOT);
  assert_int_equal(varve_root_slots_remove(heap, host), VARVE_ROOT);
}

static void overlaps(void **state) {
  (void)state;
  varve_refs *refs, *others;
  assert_int_equal(add_slots(host + 10, 10), VARVE_OK);
  assert_int_equal(add_slots(host + 19, 1), VARVE_OVERLAP);
  assert_non_null(strstr(error.detail, "\"globals\" and \"globals\""));
  assert_int_equal(add_slots(host, 11), VARVE_OVERLAP);
  assert_int_equal(add_slots(host, 10), VARVE_OK);
  assert_int_equal(add_slots(host + 20, 1), VARVE_OK);
  assert_int_equal(add_array(host + 30, 24, 100, &refs), VARVE_OK);
  assert_int_equal(add_array(host + 31, 24, 100, &others), VARVE_OK); /* interleaved */
  assert_int_equal(add_slots(host + 33, 1), VARVE_OVERLAP);
  assert_int_equal(add_slots(host + 35, 1), VARVE_OK);
  assert_int_equal(add_array(host + 35, 16, 5, NULL), VARVE_ARGUMENT);
  varve_ref_array_remove(refs);
  assert_int_equal(add_slots(host + 33, 1), VARVE_OK);
  assert_int_equal(varve_root_slots_remove(heap, host + 11), VARVE_ROOT); /* not where it starts */
  assert_int_equal(varve_root_slots_remove(heap, host + 10), VARVE_OK);
  assert_int_equal(add_slots(host + 12, 3), VARVE_OK);
}

static void library_memory_is_refused(void **state) {
  (void)state;
  varve_refs *slab = varve_slab_create(heap, "cells");
  varve_slab_cursor cursor;
  varve_slab_cursor_open(&cursor, slab);
  varve_word *slot = varve_slab_take(&cursor, mutator, 1);
  varve_handle *handle = varve_handle_new(mutator, 1);
  assert_int_equal(add_slots(slot, 1), VARVE_OVERLAP);
  assert_int_equal(add_slots((varve_word *)handle, 1), VARVE_OVERLAP);
  varve_slab_cursor_close(&cursor);
  varve_slab_destroy(slab);
  varve_handle_free(mutator, handle);
}

static void an_update_that_fails_changes_nothing(void **state) {
  (void)state;
  varve_refs *refs;
  assert_int_equal(add_slots(host, 10), VARVE_OK);
  assert_int_equal(add_array(host + 20, 16, 10, &refs), VARVE_OK);
  assert_int_equal(varve_ref_array_update(refs, host + 5, 10, NULL, &error), VARVE_OVERLAP);
  assert_int_equal(add_slots(host + 22, 1), VARVE_OVERLAP);
  assert_int_equal(varve_ref_array_update(refs, host + 24, 100, NULL, &error), VARVE_OK); /* over its old self */
  assert_int_equal(add_slots(host + 22, 1), VARVE_OK);
  assert_int_equal(varve_ref_array_update(refs, NULL, 0, NULL, &error), VARVE_OK);
  assert_int_equal(add_slots(host + 24, 200), VARVE_OK);
}

/* ---- visiting ---- */

static void count_range(varve_visitor *visitor, varve_word *base, size_t stride, size_t count, const uint64_t *bitmap,
                        bool ref) {
  (void)visitor, (void)ref;
  for (size_t i = 0; i < count; ++i) {
    varve_word *slot = (varve_word *)((char *)base + i * stride);
    if (bitmap && !(bitmap[i / 64] >> i % 64 & 1)) continue;
    if (slot >= host && slot < host + HOST_WORDS) ++visits[slot - host];
    else elsewhere += *slot == 1234;
  }
}

static size_t visit_all(const char *name) {
  varve_visitor visitor = {.range = count_range, .heap = heap};
  size_t tasks, named = 0;
  char text[80];
  memset(visits, 0, sizeof visits);
  elsewhere = 0;
  varve__roots_lock(heap->roots);
  tasks = varve__roots_prepare(heap->roots);
  for (size_t i = 0; i < tasks; ++i) {
    varve__roots_visit(heap->roots, i, &visitor);
    varve__roots_task_name(heap->roots, i, text, sizeof text);
    named += strcmp(text, name) == 0;
  }
  varve__roots_unlock(heap->roots);
  return named;
}

static void visit_part(void *context, size_t part, varve_visitor *visitor) {
  varve_visit_range(visitor, (varve_word *)context + part * 4, 4);
}

static void every_slot_once(void **state) {
  (void)state;
  varve_refs *refs;
  static uint64_t bitmap[3000];
  varve_ref_array array = {.name = "sparse", .base = host + 150000, .stride = 8, .count = 150000, .bitmap = bitmap,
                           .untracked = true};
  for (unsigned i = 0; i < 3000; ++i) bitmap[i] = i % 2 ? UINT64_C(0x8000000000000001) : 0;
  assert_int_equal(add_slots(host, 140000), VARVE_OK); /* three stretches */
  assert_int_equal(varve_ref_array_add(heap, &array, &refs, &error), VARVE_OK);
  assert_int_equal(varve_root_callback_add(heap, "parts", visit_part, host + 300000, 5, &error), VARVE_OK);
  assert_int_equal(varve_root_callback_add(heap, "again", visit_part, host + 300000, 1, &error), VARVE_ROOT);
  assert_int_equal(visit_all("slots globals"), 3);
  for (unsigned i = 0; i < HOST_WORDS; ++i) {
    unsigned in_array = i - 150000, part = i - 300000;
    bool expected = i < 140000 || part < 20;
    if (in_array < 150000) expected = in_array / 64 % 2 && (in_array % 64 == 0 || in_array % 64 == 63);
    if (visits[i] != expected) fail_msg("word %u was visited %u times instead of %d", i, visits[i], expected);
  }
  assert_int_equal(visit_all("callback parts, part 4"), 1);
  assert_int_equal(varve_root_callback_remove(heap, visit_part, host + 300000), VARVE_OK);
  assert_int_equal(varve_root_callback_remove(heap, visit_part, host + 300000), VARVE_ROOT);
  assert_int_equal(varve_root_slots_remove(heap, host), VARVE_OK);
  varve_ref_array_remove(refs);
  visit_all("");
  for (unsigned i = 0; i < HOST_WORDS; ++i) assert_int_equal(visits[i], 0);
}

static void words_in_use(void **state) {
  (void)state;
  enum { COUNT = 20000 };
  static varve_word *slots[COUNT];
  static varve_handle *handles[COUNT];
  varve_refs *slab = varve_slab_create(heap, "cells");
  varve_slab_cursor cursor;
  varve_slab_cursor_open(&cursor, slab);
  for (unsigned i = 0; i < COUNT; ++i) {
    slots[i] = varve_slab_take(&cursor, mutator, 1234);
    handles[i] = varve_handle_new(mutator, 1234);
  }
  assert_int_equal(visit_all("Ref slab cells"), 3);
  assert_int_equal(elsewhere, 2 * COUNT);
  for (unsigned i = 0; i < COUNT; i += 2) varve_slab_give(slab, slots[i]);
  for (unsigned i = 0; i < COUNT; i += 4) varve_handle_free(mutator, handles[i]);
  visit_all("");
  assert_int_equal(elsewhere, COUNT / 2 + COUNT * 3 / 4);
  assert_int_equal(varve_slab_count(slab), COUNT / 2);
  varve_slab_cursor_close(&cursor);
  varve_slab_destroy(slab);
  assert_int_equal(visit_all("handles"), 3);
  assert_int_equal(elsewhere, COUNT * 3 / 4);
}

static void frames(void **state) {
  (void)state;
  VARVE_FRAME(outer, mutator, a, b);
  outer.a = outer.b = 1234;
  {
    VARVE_FRAME_ARRAY(inner, mutator, 7);
    for (unsigned i = 0; i < 7; ++i) inner.slot[i] = 1234;
    assert_int_equal(visit_all("frames of mutator tester"), 1);
    assert_int_equal(elsewhere, 9);
  }
  visit_all("");
  assert_int_equal(elsewhere, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(intervals_are_exact, setup, teardown),
      cmocka_unit_test_setup_teardown(refused_slots, setup, teardown),
      cmocka_unit_test_setup_teardown(overlaps, setup, teardown),
      cmocka_unit_test_setup_teardown(library_memory_is_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(an_update_that_fails_changes_nothing, setup, teardown),
      cmocka_unit_test_setup_teardown(every_slot_once, setup, teardown),
      cmocka_unit_test_setup_teardown(words_in_use, setup, teardown),
      cmocka_unit_test_setup_teardown(frames, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
