/* SPDX-License-Identifier: MIT */
/* test_give_back.c -- memory goes back after a peak, not before, not too much, and can be had again. */
#define _DEFAULT_SOURCE
#include "../support/api.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "core/heap.h"
#include "core/policy.h"

#define MIB ((uint64_t)1 << 20)
#define REGION (VARVE__REGION_BYTES + VARVE__SIDE_BYTES)
#define STRICT "heap-max=128m,workers=2,parallel-min=0,verify=2,poison=1"

/* ---- the decision, with a clock of our own ---- */

static void a_span_keeps_its_peak(void **state) {
  struct varve_need need = {0};
  uint64_t now = 1000;
  (void)state;
  assert_int_equal(varve__policy_keep(&need, 100, now, 1000), UINT32_MAX); /* nothing is known of the time before */
  for (unsigned i = 0; i < 100; ++i) assert_int_equal(varve__policy_keep(&need, 10, now += 9, 1000), UINT32_MAX);
  for (unsigned i = 0; i < 20; ++i) assert_int_equal(varve__policy_keep(&need, 10, now += i ? 50 : 200, 1000), 100);
  for (unsigned i = 0; i < 50; ++i) varve__policy_keep(&need, 10, now += 50, 1000);
  assert_int_equal(varve__policy_keep(&need, 10, now += 50, 1000), 10);
  assert_int_equal(varve__policy_keep(&need, 30, now += 50, 1000), 30); /* more is kept at once */
}

/* A swing that is shorter than a span is kept, whatever its phase. */
static void a_swing_is_kept(void **state) {
  struct varve_need need = {0};
  uint64_t now = 1;
  (void)state;
  for (unsigned i = 0; i < 10000; ++i) {
    uint32_t keep = varve__policy_keep(&need, i % 90 < 10 ? 500 : 20, now += 10, 1000);
    assert_true(keep >= 500);
  }
}

static void seldom_collections_count(void **state) {
  struct varve_need need = {0};
  (void)state;
  varve__policy_keep(&need, 100, 1000, 1);
  for (unsigned i = 2; i < 8; ++i) assert_true(varve__policy_keep(&need, 10, i * 1000, 1) >= 100);
  for (unsigned i = 8; i < 12; ++i) varve__policy_keep(&need, 10, i * 1000, 1);
  assert_int_equal(varve__policy_keep(&need, 10, 12000, 1), 10);
}

static void portions(void **state) {
  (void)state;
  assert_int_equal(varve__policy_portion(3), 3);
  assert_int_equal(varve__policy_portion(100), 28);
  assert_int_equal(varve__policy_portion(8000), 1016);
}

/* ---- heaps ---- */

static uint64_t committed(const struct api *api) {
  varve_heap_stats stats;
  varve_heap_stats_get(api->heap, &stats);
  return stats.bytes_committed;
}

static uint64_t given(const struct api *api) {
  varve_heap_stats stats;
  varve_heap_stats_get(api->heap, &stats);
  return stats.bytes_given_back;
}

/* Bytes of the heap's range that have memory behind them. */
static uint64_t resident(const struct api *api) {
  const struct varve_space *space = &api->heap->space;
  size_t pages = space->bytes / 4096, count = 0;
  unsigned char *in = malloc(pages);
  assert_non_null(in);
  for (uint32_t r = 0; r < space->region_count; ++r) {
    unsigned char *at = in + (size_t)r * 512;
    if (mincore((void *)(space->base + r * VARVE__REGION_BYTES), VARVE__REGION_BYTES, at)) memset(at, 0, 512);
  }
  for (size_t i = 0; i < pages; ++i) count += in[i] & 1;
  free(in);
  return (uint64_t)count * 4096;
}

/* A list of so many bytes: mostly small objects, some medium and large ones. */
static void grow(struct api *api, varve_word *list, uint64_t bytes) {
  for (uint64_t i = 0; bytes; ++i) {
    uint64_t size = i % 4096 == 0 ? 300 << 10 : i % 256 == 0 ? 9000 : 96;
    uint64_t *words = varve_alloc(api->me, api->array, size);
    assert_non_null(words);
    for (uint64_t w = 1; w < size / 8; ++w) assert_true(words[w] == 0);
    varve_init(api->me, words, (varve_word *)&words[1], *list);
    *list = varve_tag(words, 0);
    bytes -= bytes < size ? bytes : size;
  }
}

static uint64_t length(varve_word list) {
  uint64_t count = 0;
  for (; list; list = ((varve_word *)varve_untag(list))[1]) ++count;
  return count;
}

/* Collections with a millisecond between them. */
static void rest(struct api *api, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    nanosleep(&(struct timespec){0, 1000000}, NULL);
    api_collect(api, NULL);
  }
}

static void tables_are_sound(struct api *api) {
  varve_error error = {0};
  if (varve_verify(api->me, &error) != VARVE_OK) fail_msg("%s", error.detail);
}

static void a_peak_goes_back(void **state) {
  struct api api;
  (void)state;
  api_open(&api, STRICT ",give-back=2");
  {
    VARVE_FRAME(f, api.me, small, big);
    grow(&api, &f.small, 2 * MIB);
    grow(&api, &f.big, 70 * MIB);
    uint64_t links = length(f.small), peak = committed(&api), high = api.heap->space.region_high;
    assert_true(peak > 70 * MIB && resident(&api) > 70 * MIB);
    f.big = 0;
    rest(&api, 40);
    assert_true(committed(&api) < 24 * MIB && resident(&api) < 24 * MIB);
    assert_true(given(&api) >= peak - committed(&api));
    assert_true(length(f.small) == links);
    tables_are_sound(&api);
    grow(&api, &f.big, 70 * MIB); /* the same regions again: zero, and nothing is marked there */
    tables_are_sound(&api);
    assert_true(length(f.small) == links && resident(&api) > 70 * MIB);
    assert_true(api.heap->topology->node_count > 1 || api.heap->space.region_high <= high + 2); /* or stripes */
  }
  api_close(&api);
}

static void zero_keeps_everything(void **state) {
  struct api api;
  (void)state;
  api_open(&api, STRICT ",give-back=0");
  {
    VARVE_FRAME(f, api.me, big);
    grow(&api, &f.big, 60 * MIB);
    uint64_t peak = committed(&api);
    f.big = 0;
    rest(&api, 40);
    assert_true(committed(&api) == peak && given(&api) == 0);
  }
  api_close(&api);
}

static void the_initial_size_stays(void **state) {
  struct api api;
  (void)state;
  api_open(&api, "heap-max=128m,workers=1,give-back=2,heap-initial=40m,cache-budget=2m");
  {
    VARVE_FRAME(f, api.me, big);
    grow(&api, &f.big, 80 * MIB);
    f.big = 0;
    rest(&api, 40);
    assert_true(committed(&api) / REGION >= 40 * MIB / REGION && committed(&api) < 60 * MIB);
    assert_true(resident(&api) >= 36 * MIB);
  }
  api_close(&api);
}

/* Peaks every few collections, in a span that is longer than all of them. */
static void a_swinging_heap_keeps_its_memory(void **state) {
  struct api api;
  (void)state;
  api_open(&api, "heap-max=128m,workers=2,give-back=60000");
  {
    VARVE_FRAME(f, api.me, big);
    for (unsigned swing = 0; swing < 12; ++swing) {
      grow(&api, &f.big, 40 * MIB);
      f.big = 0;
      rest(&api, 5);
    }
  }
  assert_true(given(&api) == 0);
  api_close(&api);
}

/* The same work again and again: once the heap has found its size, nothing goes back, however short the span is. */
static void a_steady_heap_keeps_its_memory(void **state) {
  struct api api;
  (void)state;
  api_open(&api, "heap-max=128m,workers=2,give-back=1,heap-initial=4m");
  {
    VARVE_FRAME(f, api.me, live, garbage);
    grow(&api, &f.live, 10 * MIB);
    for (unsigned turn = 0; turn < 1200; ++turn) grow(&api, &f.garbage, MIB / 4), f.garbage = 0;
    uint64_t before = given(&api), commits = api.heap->space.commits, collections = api.heap->collections;
    for (unsigned turn = 0; turn < 1200; ++turn) grow(&api, &f.garbage, MIB / 4), f.garbage = 0;
    assert_true(api.heap->collections > collections + 10);
    assert_true(given(&api) == before && api.heap->space.commits == commits);
  }
  api_close(&api);
}

/* Large objects that fit none of many holes: what they were given stays theirs for a span, though holes are left. */
static void free_regions_that_do_not_fit(void **state) {
  enum { HOLES = 12, TURNS = 60 };
  static varve_word slots[2 * HOLES];
  struct api api;
  (void)state;
  api_open(&api, "heap-max=128m,workers=1,heap-growth=100,heap-initial=4m,give-back=5");
  assert_int_equal(varve_root_slots_add(api.heap, "slots", slots, 2 * HOLES, NULL), VARVE_OK);
  for (unsigned i = 0; i < 2 * HOLES; ++i)
    slots[i] = varve_tag(varve_alloc(api.me, api.array, VARVE__REGION_BYTES), 0);
  for (unsigned i = 0; i < 2 * HOLES; i += 2) slots[i] = 0;
  rest(&api, 20);
  uint32_t commits = api.heap->space.commits;
  for (unsigned i = 0; i < TURNS; ++i) {
    assert_non_null(varve_alloc(api.me, api.array, 11 * VARVE__REGION_BYTES));
    rest(&api, 1);
  }
  assert_true(given(&api) > 0);
  assert_in_range(api.heap->space.commits - commits, 1, 2 * TURNS);
  assert_int_equal(varve_root_slots_remove(api.heap, slots), VARVE_OK);
  memset(slots, 0, sizeof slots);
  api_close(&api);
}

/* ---- at the same time ---- */

struct busy {
  struct api api;
  unsigned turns;
};

static void *swing(void *argument) {
  struct busy *busy = argument;
  struct api mine = busy->api;
  varve_error error = {0};
  if (varve_attach(mine.heap, "busy", &mine.me, &error) != VARVE_OK) abort();
  {
    VARVE_FRAME(f, mine.me, list, kept);
    grow(&mine, &f.kept, MIB);
    uint64_t links = length(f.kept);
    for (unsigned turn = 0; turn < busy->turns; ++turn) {
      grow(&mine, &f.list, (turn % 16 == 0 ? 24 : 1) * MIB);
      f.list = 0;
      if (varve_collect(mine.me) != VARVE_OK || length(f.kept) != links) abort();
    }
  }
  if (varve_detach(mine.me) != VARVE_OK) abort();
  return NULL;
}

static void two_threads_allocate_meanwhile(void **state) {
  struct busy busy = {.turns = 48};
  pthread_t threads[2];
  (void)state;
  api_open(&busy.api, "heap-max=128m,workers=2,verify=1,give-back=1");
  assert_int_equal(varve_native_enter(busy.api.me), VARVE_OK);
  for (unsigned i = 0; i < 2; ++i) assert_int_equal(pthread_create(&threads[i], NULL, swing, &busy), 0);
  for (unsigned i = 0; i < 2; ++i) pthread_join(threads[i], NULL);
  assert_int_equal(varve_native_leave(busy.api.me), VARVE_OK);
  assert_true(given(&busy.api) > 0);
  tables_are_sound(&busy.api);
  api_close(&busy.api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_span_keeps_its_peak),
      cmocka_unit_test(a_swing_is_kept),
      cmocka_unit_test(seldom_collections_count),
      cmocka_unit_test(portions),
      cmocka_unit_test(a_peak_goes_back),
      cmocka_unit_test(zero_keeps_everything),
      cmocka_unit_test(the_initial_size_stays),
      cmocka_unit_test(a_swinging_heap_keeps_its_memory),
      cmocka_unit_test(a_steady_heap_keeps_its_memory),
      cmocka_unit_test(free_regions_that_do_not_fit),
      cmocka_unit_test(two_threads_allocate_meanwhile),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
