/* SPDX-License-Identifier: MIT */
/* test_stats.c -- histograms keep their promise of 12.5 %; totals add up; the line says what happened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/heap.h"
#include "core/stats.h"
#include "varve/mutator.h"

static uint64_t histogram[VARVE_PAUSE_BUCKETS];

static int setup(void **state) {
  (void)state;
  memset(histogram, 0, sizeof histogram);
  return 0;
}

static uint64_t sum(const uint64_t *buckets) {
  uint64_t total = 0;
  for (unsigned i = 0; i < VARVE_PAUSE_BUCKETS; ++i) total += buckets[i];
  return total;
}

static void one_value_within_an_eighth(void **state) {
  (void)state;
  for (uint64_t ns = 1; ns < UINT64_C(4000000000); ns += 1 + ns / 37) {
    memset(histogram, 0, sizeof histogram);
    varve__stats_add(histogram, ns);
    uint64_t said = varve_stats_percentile(histogram, 50), off = said > ns ? said - ns : ns - said;
    if (off * 8 > ns) fail_msg("%llu ns is said to be %llu", (unsigned long long)ns, (unsigned long long)said);
  }
}

/* Eight buckets a power of two: neighbours an eighth of their power apart are told apart. */
static void buckets_are_distinct(void **state) {
  (void)state;
  for (unsigned power = 3; power < 32; ++power)
    for (unsigned eighth = 0; eighth < 8; ++eighth)
      varve__stats_add(histogram, (UINT64_C(8) + eighth) << (power - 3));
  for (unsigned i = 3 * 8; i < VARVE_PAUSE_BUCKETS; ++i) assert_int_equal(histogram[i], 1);
}

static void extremes_are_counted(void **state) {
  (void)state;
  varve__stats_add(histogram, 0);
  varve__stats_add(histogram, 1);
  varve__stats_add(histogram, UINT64_MAX);
  assert_int_equal(histogram[0], 2);
  assert_int_equal(histogram[VARVE_PAUSE_BUCKETS - 1], 1);
}

static void percentiles(void **state) {
  (void)state;
  assert_int_equal(varve_stats_percentile(histogram, 50), 0);
  for (unsigned i = 0; i < 99; ++i) varve__stats_add(histogram, 1000);
  varve__stats_add(histogram, 1000000);
  assert_in_range(varve_stats_percentile(histogram, 0), 875, 1125);
  assert_in_range(varve_stats_percentile(histogram, 50), 875, 1125);
  assert_in_range(varve_stats_percentile(histogram, 99), 875, 1125);
  assert_in_range(varve_stats_percentile(histogram, 99.5), 875000, 1125000);
  assert_in_range(varve_stats_percentile(histogram, 100), 875000, 1125000);
}

static void totals(void **state) {
  (void)state;
  varve_heap *heap = aligned_alloc(_Alignof(varve_heap), sizeof *heap);
  memset(heap, 0, sizeof *heap);
  varve_collection_stats last;
  assert_false(varve_collection_stats_get(heap, &last));
  heap->current = (varve_collection_stats){.number = 1, .total_ns = 5000, .stop_ns = 70, .bytes_moved = 30};
  varve__stats_finish(heap);
  heap->current = (varve_collection_stats){.number = 2, .total_ns = 3000, .stop_ns = 90, .bytes_moved = 4,
                                           .emergency = true};
  varve__stats_finish(heap);
  assert_true(varve_collection_stats_get(heap, &last));
  assert_int_equal(last.number, 2);
  assert_int_equal(heap->totals.collections, 2);
  assert_int_equal(heap->totals.emergencies, 1);
  assert_int_equal(heap->totals.bytes_moved, 34);
  assert_int_equal(heap->totals.pause_ns_total, 8000);
  assert_int_equal(heap->totals.pause_ns_max, 5000);
  assert_int_equal(heap->totals.stop_ns_total, 160);
  assert_int_equal(heap->totals.stop_ns_max, 90);
  assert_int_equal(sum(heap->totals.pauses), 2);
  assert_int_equal(sum(heap->totals.stops), 2);
  assert_in_range(varve_stats_percentile(heap->totals.stops, 50), 61, 79);
  free(heap);
}

static void live_heap(void **state) {
  (void)state;
  varve_heap *heap;
  varve_mutator *mutator;
  varve_heap_stats stats;
  varve_options options;
  varve_options_init(&options);
  options.heap_max = 32u << 20;
  options.workers = 1;
  assert_int_equal(varve_heap_create(&options, &heap, NULL), VARVE_OK);
  assert_int_equal(varve_mutator_attach(heap, "main", 0, &mutator, NULL), VARVE_OK);
  varve_heap_stats_get(heap, &stats);
  assert_int_equal(stats.mutators, 1);
  assert_int_equal(stats.workers, 1);
  assert_int_equal(stats.bytes_in_use, 0);
  assert_int_equal(stats.collections, 0);
  assert_true(stats.bytes_committed >= 2 * VARVE__REGION_BYTES); /* of the initial 8 MiB */
  assert_true(stats.bytes_committed % (VARVE__REGION_BYTES + VARVE__SIDE_BYTES) == 0);
  assert_true(stats.bytes_metadata > 0);
  assert_in_range(stats.heap_limit, 1u << 20, 32u << 20);
  assert_int_equal(varve_collect(mutator), VARVE_OK);
  varve_heap_stats_get(heap, &stats);
  assert_int_equal(stats.collections, 1);
  assert_int_equal(sum(stats.pauses), 1);
  assert_int_equal(varve_detach(mutator), VARVE_OK);
  assert_int_equal(varve_heap_destroy(heap), VARVE_OK);
}

static varve_collection_stats example(void) {
  return (varve_collection_stats){
      .number = 12, .cause = "allocation", .workers = 2, .total_ns = 3420000, .stop_ns = 10000, .mark_ns = 1900000,
      .plan_ns = 200000, .slide_ns = 1210000, .release_ns = 100000, .live_before = 64u << 20,
      .live_after = (31u << 20) + (1u << 18), .bytes_moved = 4299162, .groups = 12, .blocks_freed = 40,
      .regions_freed = 1, .steals = 3};
}

static void the_line(void **state) {
  (void)state;
  char line[512], small[20];
  varve_collection_stats stats = example();
  size_t length = varve_collection_stats_print(&stats, line, sizeof line);
  assert_string_equal(line, "#12 full (allocation) 3.42 ms: stop 0.01 mark 1.90 plan 0.20 slide 1.21 release 0.10"
                            " | 64.0 -> 31.2 MiB live, moved 4.1 MiB in 12 groups, freed 40 blocks 1 region"
                            " | 2 workers 3 steals");
  assert_int_equal(length, strlen(line));
  stats.next_bytes = 96u << 20;
  stats.next_why = "growth";
  length = varve_collection_stats_print(&stats, line, sizeof line);
  assert_non_null(strstr(line, "3 steals | next at 96.0 MiB (growth)"));
  assert_int_equal(varve_collection_stats_print(&stats, small, sizeof small), length);
  assert_memory_equal(small, line, sizeof small - 1);
  assert_int_equal(small[sizeof small - 1], 0);
  assert_int_equal(varve_collection_stats_print(&stats, NULL, 0), length);
}

static void the_line_of_an_emergency(void **state) {
  (void)state;
  char line[512];
  varve_collection_stats stats = example();
  stats.emergency = true;
  stats.mark_overflows = 1;
  stats.large_freed = 7;
  stats.blocks_dense = 5;
  stats.blocks_pinned = 2;
  stats.bytes_held = 3 << 19;
  stats.blocks_gainless = 3;
  strcpy(stats.slowest, "parser");
  varve_collection_stats_print(&stats, line, sizeof line);
  assert_non_null(strstr(line, "#12 emergency (allocation)"));
  assert_non_null(strstr(line, "stop 0.01 (parser)"));
  assert_non_null(strstr(line, "1 overflow"));
  assert_non_null(strstr(line, "7 large"));
  assert_non_null(strstr(line, "kept 5 dense, kept 2 pinned (1.5 MiB held), kept 3 gainless"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(one_value_within_an_eighth, setup),
      cmocka_unit_test_setup(buckets_are_distinct, setup),
      cmocka_unit_test_setup(extremes_are_counted, setup),
      cmocka_unit_test_setup(percentiles, setup),
      cmocka_unit_test(totals),
      cmocka_unit_test(live_heap),
      cmocka_unit_test(the_line),
      cmocka_unit_test(the_line_of_an_emergency),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
