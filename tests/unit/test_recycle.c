/* SPDX-License-Identifier: MIT */
/* test_recycle.c -- the budget is cut to the cache when collecting is nearly free, and only then. */
#include "../support/api.h"

#include "core/heap.h"
#include "core/policy.h"

#define MIB ((uint64_t)1 << 20)
#define CACHE (8 * MIB)
#define NORMAL (512 * MIB)
#define CHEAP 20000    /* nanoseconds; less than 64 us, which 8 MiB may cost */
#define DEAR 100000

static uint64_t decide(struct varve_recycling *r, uint64_t cost, uint64_t live) {
  return varve__policy_recycle(r, cost, live, NORMAL, CACHE);
}

static void cheap_collections_stay_in_cache(void **state) {
  struct varve_recycling r = {0};
  (void)state;
  assert_int_equal(decide(&r, 600000, 1000), CACHE); /* what a long cycle cost says nothing */
  for (unsigned i = 0; i < 1000; ++i) assert_int_equal(decide(&r, CHEAP, 1000), CACHE);
}

static void survivors_end_it_at_once(void **state) {
  struct varve_recycling r = {0};
  (void)state;
  assert_int_equal(decide(&r, DEAR, 2 * MIB), NORMAL);
  assert_int_equal(decide(&r, DEAR, 1000), CACHE);
  for (unsigned i = 0; i < 100; ++i) decide(&r, CHEAP, 1000);
  assert_int_equal(decide(&r, CHEAP, 2 * MIB), NORMAL);
}

static void one_slow_pause_is_forgiven(void **state) {
  struct varve_recycling r = {0};
  (void)state;
  for (unsigned i = 0; i < 10; ++i) decide(&r, CHEAP, 1000);
  assert_int_equal(decide(&r, UINT64_C(4000000), 1000), CACHE);
  for (unsigned i = 0; i < 10; ++i) decide(&r, CHEAP, 1000);
  unsigned slow = 1;
  while (decide(&r, DEAR, 1000) == CACHE) ++slow;
  assert_in_range(slow, 2, 5);
}

/* The more trials fail, the more seldom they come: a program that always disappoints pays for few of them. */
static void failed_trials_become_seldom(void **state) {
  struct varve_recycling r = {0};
  unsigned trials = 0;
  (void)state;
  for (unsigned i = 0; i < 10000; ++i) trials += decide(&r, DEAR, 1000) == CACHE;
  assert_in_range(trials, 4, 10000 / 250 + 5);
  trials = 0; /* and a cheap one is found in the end */
  for (unsigned i = 0; i < 400; ++i) trials += decide(&r, CHEAP, 1000) == CACHE;
  assert_true(trials > 100);
}

static void small_budgets_are_left_alone(void **state) {
  struct varve_recycling r = {0};
  (void)state;
  for (unsigned i = 0; i < 20; ++i)
    assert_int_equal(varve__policy_recycle(&r, CHEAP, 1000, CACHE + MIB, CACHE), CACHE + MIB);
  decide(&r, CHEAP, 1000);
  assert_int_equal(varve__policy_recycle(&r, CHEAP, 1000, MIB, CACHE), MIB);
}

/* ---- heaps ---- */

/* A collection that finds nothing, then 40 MiB of garbage. */
static uint64_t collections_of_garbage(const char *options) {
  struct api api;
  varve_heap_stats stats;
  api_open(&api, options);
  api_collect(&api, NULL);
  for (uint64_t bytes = 0; bytes < 40 * MIB; bytes += 256) assert_non_null(varve_alloc_uninit(api.me, api.data, 256));
  varve_heap_stats_get(api.heap, &stats);
  api_close(&api);
  return stats.collections;
}

static void garbage_is_recycled(void **state) {
  (void)state;
  assert_int_equal(collections_of_garbage("heap-max=128m,heap-initial=96m,cache-budget=128m"), 1);
  assert_int_equal(collections_of_garbage("heap-max=128m,heap-initial=96m,cache-budget=32m"), 2);
}

/* A heap that is built up, with its first collection while it is small: one trial comes too early. */
static void survivors_are_not_collected_often(void **state) {
  struct api api;
  varve_heap_stats stats;
  (void)state;
  api_open(&api, "heap-max=128m,heap-initial=96m,cache-budget=4m");
  {
    VARVE_FRAME(f, api.me, list);
    api_collect(&api, NULL);
    for (uint64_t bytes = 0; bytes < 80 * MIB; bytes += sizeof(struct pair))
      f.list = api_pair(&api, bytes, NULL, &f.list);
    varve_heap_stats_get(api.heap, &stats);
    assert_int_equal(stats.collections, 2);
  }
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cheap_collections_stay_in_cache),
      cmocka_unit_test(survivors_end_it_at_once),
      cmocka_unit_test(one_slow_pause_is_forgiven),
      cmocka_unit_test(failed_trials_become_seldom),
      cmocka_unit_test(small_budgets_are_left_alone),
      cmocka_unit_test(garbage_is_recycled),
      cmocka_unit_test(survivors_are_not_collected_often),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
