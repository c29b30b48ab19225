/* SPDX-License-Identifier: MIT */
/* test_sizing.c -- how large the heap gets: the rules with numbers by hand; soft limit, external bytes and options that
 * change while heaps live. */
#define _DEFAULT_SOURCE
#include "../support/api.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/heap.h"
#include "core/policy.h"

#define MIB ((uint64_t)1 << 20)
#define BLOCKS(mib) ((mib) * MIB >> VARVE__BLOCK_SHIFT)
#define SECOND UINT64_C(1000000000)

/* ---- the rules ---- */

static const struct varve_pace unknown;

static struct varve_sizing_facts facts_of(uint64_t used) {
  return (struct varve_sizing_facts){.rule = VARVE_SIZING_GROWTH, .growth = 100, .thrift = 250, .gc_cpu = 50,
                                     .initial = 256, .limit = 100000, .used = used, .live = used * VARVE__BLOCK_BYTES,
                                     .work = used * VARVE__BLOCK_BYTES};
}

static void expect(const struct varve_sizing_facts *facts, const struct varve_pace *pace, uint64_t budget,
                   const char *why) {
  struct varve_goal goal = varve__sizing_goal(facts, pace);
  assert_string_equal(goal.why, why);
  assert_int_equal(goal.budget, budget);
}

static void growth(void **state) {
  struct varve_sizing_facts f = facts_of(1000);
  (void)state;
  expect(&f, &unknown, 1000, "growth");
  f.growth = 50;
  expect(&f, &unknown, 500, "growth");
  f.growth = 1000;
  expect(&f, &unknown, 10000, "growth");
}

static void the_least(void **state) {
  struct varve_sizing_facts f = facts_of(100);
  (void)state;
  expect(&f, &unknown, 156, "heap-initial");
  f.used = 250; /* a region for everybody is more than what is left of the initial size */
  f.growth = 10;
  expect(&f, &unknown, 64, "at least what is wanted");
  f.wanted = 500;
  expect(&f, &unknown, 564, "at least what is wanted");
}

static void the_most(void **state) {
  struct varve_sizing_facts f = facts_of(1000);
  (void)state;
  f.limit = 1200;
  expect(&f, &unknown, 200, "heap-max");
  f.wanted = 700;
  expect(&f, &unknown, 200, "heap-max");
  f.used = 1300; /* of a limit that was lowered */
  expect(&f, &unknown, 0, "heap-max");
}

static void fixed(void **state) {
  struct varve_sizing_facts f = facts_of(1000);
  (void)state;
  f.rule = VARVE_SIZING_FIXED;
  expect(&f, &unknown, 99000, "heap-max");
  f.external = 9000;
  expect(&f, &unknown, 90000, "heap-max");
}

/* 1000 MiB a second are allocated and 10000 collected: 400 MiB live take 40 ms, and with E MiB more they are collected
 * 1000 / E times a second. At E = 400 a MiB more saves 40 ms * 1000 / 400^2 = 250 us a second. */
static const struct varve_pace fast = {.allocated = 1000 * MIB, .running = SECOND, .collecting = SECOND / 10,
                                       .marked = 1000 * MIB, .credit = SECOND};

static void square_root(void **state) {
  struct varve_pace faster = fast;
  (void)state;
  assert_int_equal(varve__sizing_extra(&fast, 400 * MIB, 400 * MIB, 250), 400 * MIB);
  assert_int_equal(varve__sizing_extra(&fast, 400 * MIB, 400 * MIB, 640), 250 * MIB);
  assert_int_equal(varve__sizing_extra(&fast, 100 * MIB, 100 * MIB, 1000), 100 * MIB); /* a quarter of live, half the
                                                                                          growth */
  assert_int_equal(varve__sizing_extra(&fast, 400 * MIB, 100 * MIB, 250), 200 * MIB);  /* young collections: less to
                                                                                          save */
  faster.allocated *= 4; /* allocates four times as fast */
  assert_int_equal(varve__sizing_extra(&faster, 400 * MIB, 400 * MIB, 1000), 400 * MIB);
  faster.marked *= 4; /* and is collected four times as fast */
  assert_int_equal(varve__sizing_extra(&faster, 400 * MIB, 400 * MIB, 250), 400 * MIB);
}

static void square_root_is_bounded(void **state) {
  (void)state;
  assert_int_equal(varve__sizing_extra(&fast, 400 * MIB, 400 * MIB, 1000000), 200 * MIB);
  assert_int_equal(varve__sizing_extra(&fast, 400 * MIB, 400 * MIB, 1), 800 * MIB);
  assert_int_equal(varve__sizing_extra(&unknown, 400 * MIB, 400 * MIB, 250), 400 * MIB);
  assert_int_equal(varve__sizing_extra(&fast, 0, 0, 250), 0);
}

static void adaptive(void **state) {
  struct varve_sizing_facts f = facts_of(BLOCKS(420));
  (void)state;
  f.rule = VARVE_SIZING_ADAPTIVE;
  f.live = f.work = 400 * MIB;
  expect(&f, &fast, BLOCKS(400), "square root");
  f.thrift = 640;
  expect(&f, &fast, BLOCKS(250), "square root");
}

static void cycles_are_forgotten(void **state) {
  struct varve_pace pace = {0};
  const struct varve_pace cycle = {.allocated = 4000, .running = 8000, .collecting = 100, .marked = 400};
  (void)state;
  varve__sizing_add_cycle(&pace, &cycle, 50);
  assert_int_equal(pace.allocated, 4000);
  assert_int_equal(pace.credit, 800); /* eight collections' time, at most */
  varve__sizing_add_cycle(&pace, &cycle, 50);
  assert_int_equal(pace.allocated, 7000);
  assert_int_equal(pace.running, 14000);
  assert_int_equal(pace.collecting, 175);
  assert_int_equal(pace.marked, 700);
  varve__sizing_add_cycle(&pace, &(struct varve_pace){.running = 60, .collecting = 20}, 20);
  assert_int_equal(pace.credit, 1400 - 350 + 60);
  assert_int_equal(pace.allocated, 7000 - 1750);
}

/* ---- the soft limit ---- */

static void soft_limit(void **state) {
  struct varve_sizing_facts f = facts_of(500);
  (void)state;
  f.soft = 800;
  expect(&f, &unknown, 300, "soft limit");
  f.growth = 20;
  expect(&f, &unknown, 100, "growth");
  f.initial = 900; /* populated anyway */
  expect(&f, &unknown, 400, "heap-initial");
  f.initial = 256;
  f.used = 790;
  f.growth = 100;
  expect(&f, &unknown, 64, "at least what is wanted");
  f.used = 1000;
  expect(&f, &unknown, 64, "at least what is wanted");
}

/* Of the last cycles and the next one 4 s are collecting; a second allocates 100 blocks. */
static void relief(void **state) {
  struct varve_sizing_facts f = facts_of(1000);
  struct varve_pace pace = {.allocated = 100 * VARVE__BLOCK_BYTES, .running = SECOND, .collecting = 4 * SECOND};
  (void)state;
  f.soft = 800;
  expect(&f, &pace, 400, "gc-cpu");
  f.gc_cpu = 80;
  expect(&f, &pace, 100, "gc-cpu");
  f.gc_cpu = 100;
  expect(&f, &pace, 64, "at least what is wanted");
  f.gc_cpu = 50;
  pace.credit = 2 * SECOND; /* 1.5 s of them count */
  expect(&f, &pace, 250, "gc-cpu");
  f.growth = 20; /* it never grows by more than the rule says */
  expect(&f, &pace, 200, "growth");
  f.growth = 100;
  f.limit = 1100;
  expect(&f, &pace, 100, "heap-max");
}

/* A heap with 100 MiB live under a soft limit of 50, 100 ms a collection, a GiB a second, after an hour of idleness. */
struct model {
  struct varve_pace pace;
  uint64_t running, collecting;
  unsigned cycles, short_cycles;
};

static void model_cycle(struct model *model, uint64_t budget) {
  struct varve_pace cycle = {.allocated = budget << VARVE__BLOCK_SHIFT, .marked = 100 * MIB, .collecting = SECOND / 10};
  cycle.running = budget * SECOND / BLOCKS(1024);
  varve__sizing_add_cycle(&model->pace, &cycle, 50);
  model->running += cycle.running;
  model->collecting += cycle.collecting;
  model->short_cycles += cycle.running * 2 < cycle.collecting;
}

static void no_spiral(void **state) {
  struct model model = {0};
  struct varve_sizing_facts f = facts_of(BLOCKS(100));
  (void)state;
  f.soft = BLOCKS(50);
  f.growth = 1000;
  model_cycle(&model, BLOCKS(1024) * 3600);
  model.running = model.collecting = model.short_cycles = 0;
  for (unsigned i = 0; i < 200; ++i) model_cycle(&model, varve__sizing_goal(&f, &model.pace).budget);
  assert_in_range(model.short_cycles, 1, 5);
  assert_in_range(model.collecting * 100 / (model.collecting + model.running), 49, 52);
}

static void external_counts(void **state) {
  struct varve_sizing_facts f = facts_of(1000);
  (void)state;
  f.external = 500;
  expect(&f, &unknown, 1500, "growth");
  f.soft = 1800;
  expect(&f, &unknown, 300, "soft limit");
  f.external = 16000; /* more than the limit, and no collection helps */
  expect(&f, &unknown, 1064, "at least what is wanted");
  f.soft = 0;
  f.growth = 1;
  expect(&f, &unknown, 1064, "at least what is wanted");
  f.limit = 1500;
  expect(&f, &unknown, 500, "heap-max");
}

/* ---- heaps ---- */

static varve_heap_stats stats_of(const struct api *api) {
  varve_heap_stats stats;
  varve_heap_stats_get(api->heap, &stats);
  return stats;
}

static varve_collection_stats collected(struct api *api) {
  varve_collection_stats stats;
  api_collect(api, &stats);
  return stats;
}

static void set(struct api *api, const char *list) {
  varve_error error = {0};
  if (varve_heap_set(api->heap, list, &error) != VARVE_OK) fail_msg("%s: %s", list, error.detail);
}

static void sound(struct api *api) {
  varve_error error = {0};
  if (varve_verify(api->me, &error) != VARVE_OK) fail_msg("%s", error.detail);
}

static void litter(struct api *api, uint64_t bytes) {
  for (uint64_t done = 0; done < bytes; done += 256) assert_non_null(varve_alloc_uninit(api->me, api->data, 256));
}

static void grow_list(struct api *api, varve_word *list, uint64_t bytes) {
  for (uint64_t done = 0; done < bytes; done += sizeof(struct pair)) *list = api_pair(api, done, NULL, list);
}

static uint64_t length(varve_word list) {
  uint64_t count = 0;
  for (; list; list = pair_of(list)->right) ++count;
  return count;
}

/* Z1, while nobody else runs. */
static int64_t sum_of(const struct api *api) {
  const struct varve_heap *heap = api->heap;
  uint64_t more = heap->sizing.external - heap->sizing.external_base;
  if (heap->sizing.external < heap->sizing.external_base) more = 0;
  return (int64_t)heap->space.used_blocks + heap->space.budget_blocks + (int64_t)(more >> VARVE__BLOCK_SHIFT);
}

static int64_t decided(const struct api *api) { return (int64_t)(api->heap->sizing.used + api->heap->sizing.budget); }

static void the_next_is_told(void **state) {
  struct api api;
  char line[1024];
  (void)state;
  api_open(&api, "heap-max=256m,workers=1,cache-budget=256m");
  varve_collection_stats one = collected(&api);
  assert_string_equal(one.next_why, "heap-initial");
  assert_int_equal(one.next_bytes, 8 * MIB);
  varve_collection_stats_print(&one, line, sizeof line);
  assert_non_null(strstr(line, " | next at 8.0 MiB (heap-initial)"));
  {
    VARVE_FRAME(f, api.me, list);
    grow_list(&api, &f.list, 20 * MIB);
    one = collected(&api);
    assert_string_equal(one.next_why, "growth");
    assert_in_range(one.next_bytes, 40 * MIB, 41 * MIB);
    assert_int_equal(one.next_bytes, stats_of(&api).heap_limit);
    set(&api, "cache-budget=0,heap-sizing=fixed");
    one = collected(&api);
    assert_string_equal(one.next_why, "heap-max");
    set(&api, "heap-sizing=adaptive");
    one = collected(&api);
    assert_string_equal(one.next_why, "square root");
    assert_in_range(one.next_bytes, 29 * MIB, 62 * MIB);
  }
  api_close(&api);
}

static void a_cut_to_the_cache_is_told_and_stays(void **state) {
  struct api api;
  (void)state;
  api_open(&api, "heap-max=128m,heap-initial=96m,cache-budget=4m");
  varve_collection_stats one = collected(&api);
  assert_string_equal(one.next_why, "cache");
  assert_int_equal(one.next_bytes, 4 * MIB);
  set(&api, "heap-sizing=fixed");
  assert_int_equal(stats_of(&api).heap_limit, 4 * MIB);
  api_close(&api);
}

static void fixed_heaps_use_everything(void **state) {
  struct api api;
  (void)state;
  api_open(&api, "heap-max=64m,heap-sizing=fixed");
  {
    VARVE_FRAME(f, api.me, list);
    grow_list(&api, &f.list, 60 * MIB);
    assert_int_equal(stats_of(&api).collections, 0);
  }
  api_close(&api);
}

/* ---- the soft limit of a heap ---- */

struct lines {
  unsigned soft;
};

static void count_lines(void *context, int level, const char *line) {
  struct lines *lines = context;
  lines->soft += level == 1 && strstr(line, "the soft limit of 16.0 MiB is exceeded") != NULL;
}

static void open_logged(struct api *api, const char *text, struct lines *lines) {
  varve_options options;
  varve_options_init(&options);
  assert_int_equal(varve_options_parse(&options, text, NULL), VARVE_OK);
  options.log = count_lines;
  options.context = lines;
  api_open_options(api, &options);
}

static void the_soft_limit_holds(void **state) {
  struct lines lines = {0};
  struct api api;
  (void)state;
  open_logged(&api, "heap-max=128m,heap-initial=4m,heap-soft=16m,heap-growth=1000,gc-cpu=100,log=1", &lines);
  {
    VARVE_FRAME(f, api.me, list);
    grow_list(&api, &f.list, 8 * MIB);
    for (unsigned i = 0; i < 64; ++i) {
      litter(&api, MIB);
      assert_true(stats_of(&api).bytes_in_use <= 16 * MIB);
    }
    assert_true(stats_of(&api).bytes_in_use > 8 * MIB && lines.soft == 0);
    assert_string_equal(collected(&api).next_why, "soft limit");
  }
  api_close(&api);
}

/* The share of the time that collections take while `bytes` are dropped beside 24 MiB that live. */
static unsigned share_above_soft(const char *options, uint64_t bytes, struct lines *lines, uint64_t *collections) {
  struct api api;
  unsigned share;
  open_logged(&api, options, lines);
  {
    VARVE_FRAME(f, api.me, list);
    grow_list(&api, &f.list, 24 * MIB);
    varve_heap_stats before = stats_of(&api);
    uint64_t began = varve__clock_ns();
    for (uint64_t done = 0; done < bytes; done += sizeof(struct pair)) api_pair(&api, done, NULL, NULL);
    uint64_t spent = varve__clock_ns() - began;
    varve_heap_stats after = stats_of(&api);
    share = (unsigned)((after.pause_ns_total - before.pause_ns_total) * 100 / spent);
    *collections = after.collections - before.collections;
    if (lines->soft == 1) { /* it ends, and begins again */
      f.list = 0;
      collected(&api);
      grow_list(&api, &f.list, 24 * MIB);
      collected(&api);
    }
  }
  api_close(&api);
  return share;
}

#define SOFT "heap-max=1g,ages=0,heap-soft=16m,heap-growth=1000,workers=1,log=1"

static void more_live_than_the_soft_limit(void **state) {
  struct lines held = {0}, relieved = {0};
  uint64_t often, seldom;
  (void)state;
  unsigned most = share_above_soft(SOFT ",gc-cpu=100", 100 * MIB, &held, &often);
  unsigned share = share_above_soft(SOFT ",gc-cpu=30", 500 * MIB, &relieved, &seldom);
  assert_in_range(often, 40, 60); /* each 2 MiB */
  assert_true(seldom < often); /* of five times as much */
  if (share > 60 || share >= most) fail_msg("gc-cpu=30: %u percent of the time, without it %u", share, most);
  assert_int_equal(held.soft, 2);
  assert_int_equal(relieved.soft, 2);
}

/* ---- external bytes ---- */

static void external_bytes_bring_it_forward(void **state) {
  struct api api;
  (void)state;
  api_open(&api, "heap-max=64m,heap-initial=8m,cache-budget=64m");
  litter(&api, MIB);
  assert_int_equal(varve_external_add(api.me, 100 * MIB), VARVE_OK);
  assert_int_equal(stats_of(&api).bytes_external, 100 * MIB);
  assert_int_equal(stats_of(&api).collections, 0); /* not by itself */
  litter(&api, VARVE__BLOCK_BYTES + 256);
  assert_int_equal(stats_of(&api).collections, 1);
  assert_int_equal(sum_of(&api), decided(&api));
  assert_in_range(api.heap->sizing.pace.allocated, 101 * MIB, 103 * MIB);
  litter(&api, 40 * MIB); /* they count as live, so the heap may grow by as much */
  assert_int_equal(stats_of(&api).collections, 1);
  api_close(&api);
}

static void what_comes_and_goes_costs_nothing(void **state) {
  struct api api;
  (void)state;
  api_open(&api, "heap-max=64m,heap-initial=8m");
  for (unsigned i = 0; i < 1000; ++i) {
    assert_int_equal(varve_external_add(api.me, 30 * MIB + i), VARVE_OK);
    assert_int_equal(varve_external_add(api.me, -(int64_t)(30 * MIB + i)), VARVE_OK);
    assert_int_equal(sum_of(&api), decided(&api));
  }
  litter(&api, 6 * MIB);
  assert_int_equal(stats_of(&api).collections, 0);
  for (unsigned i = 0; i < 3 * 1024; ++i) varve_external_add(api.me, 1000); /* less than a block each */
  assert_int_equal(sum_of(&api), decided(&api));
  litter(&api, VARVE__BLOCK_BYTES + 256);
  assert_int_equal(stats_of(&api).collections, 1);
  api_close(&api);
}

static void the_total_is_bounded(void **state) {
  struct api api;
  (void)state;
  api_open(&api, "heap-max=64m,cache-budget=64m");
  assert_int_equal(varve_external_add(api.me, 5), VARVE_OK);
  assert_int_equal(varve_external_add(api.me, -6), VARVE_OK);
  assert_int_equal(stats_of(&api).bytes_external, 0);
  assert_int_equal(varve_external_add(api.me, INT64_MIN), VARVE_OK);
  assert_int_equal(stats_of(&api).bytes_external, 0);
  assert_int_equal(varve_external_add(api.me, INT64_MAX), VARVE_OK);
  assert_int_equal(varve_external_add(api.me, INT64_MAX), VARVE_OK);
  assert_true(stats_of(&api).bytes_external == UINT64_C(1) << 60);
  collected(&api);
  litter(&api, 40 * MIB);
  assert_int_equal(stats_of(&api).collections, 1);
  assert_int_equal(varve_external_add(api.me, -INT64_MAX), VARVE_OK);
  assert_int_equal(stats_of(&api).bytes_external, 0);
  assert_int_equal(sum_of(&api), decided(&api)); /* what was there at the collection returns nothing */
  collected(&api);
  assert_int_equal(stats_of(&api).heap_limit, 8 * MIB);
  api_close(&api);
}

/* No collection lowers them, and they are far beyond the soft limit. */
static void no_collection_at_every_allocation(void **state) {
  struct api api;
  (void)state;
  api_open(&api, "heap-max=128m,heap-soft=32m,gc-cpu=100,workers=1");
  assert_int_equal(varve_external_add(api.me, 160 * MIB), VARVE_OK);
  collected(&api);
  litter(&api, 60 * MIB); /* 2 MiB and a sixteenth of 160 each */
  assert_in_range(stats_of(&api).collections, 4, 7);
  set(&api, "heap-soft=0,heap-sizing=fixed");
  litter(&api, 60 * MIB);
  assert_in_range(stats_of(&api).collections, 5, 14);
  api_close(&api);
}

/* Small objects that own much: only a full collection finds out which old ones have died. */
static void external_bytes_of_old_garbage(void **state) {
  struct api api;
  varve_collection_stats last;
  unsigned full = 0;
  (void)state;
  api_open(&api, "heap-max=128m,heap-initial=4m,heap-growth=100,workers=1,ages=1");
  api_collect(&api, NULL);
  uint64_t seen = stats_of(&api).collections;
  for (unsigned i = 0; i < 4000; ++i) {
    for (unsigned k = 0; k < 64; ++k) assert_non_null(varve_alloc(api.me, api.data, 256));
    assert_int_equal(varve_external_add(api.me, 64 << 10), VARVE_OK);
    if (stats_of(&api).collections == seen) continue;
    seen = stats_of(&api).collections;
    assert_true(varve_collection_stats_get(api.heap, &last));
    full += last.epochs_taken == last.epochs;
  }
  assert_in_range(full, 3, 60); /* 250 MiB in steps that double */
  api_close(&api);
}

static void external_bytes_of_a_native_thread_are_refused(void **state) {
  struct api api;
  (void)state;
  api_open(&api, "heap-max=64m");
  assert_int_equal(varve_native_enter(api.me), VARVE_OK);
  assert_int_equal(varve_external_add(api.me, 100), VARVE_THREAD);
  assert_int_equal(varve_native_leave(api.me), VARVE_OK);
  assert_int_equal(stats_of(&api).bytes_external, 0);
  api_close(&api);
}

static void *count_externals(void *argument) {
  struct api mine = *(struct api *)argument;
  if (varve_attach(mine.heap, NULL, &mine.me, NULL) != VARVE_OK) abort();
  for (unsigned i = 1; i <= 20000; ++i) {
    if (varve_external_add(mine.me, i * 10)) abort();
    if (i % 1000 == 0 && varve_collect(mine.me)) abort();
    if (!varve_alloc(mine.me, mine.data, 64)) abort();
    if (varve_external_add(mine.me, -(int64_t)(i * 10 - 3))) abort();
  }
  for (unsigned i = 0; i < 400000; ++i) /* as close together as they can be */
    if (varve_external_add(mine.me, i % 2 ? -100000 : 100000)) abort();
  if (varve_detach(mine.me) != VARVE_OK) abort();
  return NULL;
}

static void threads_count_together(void **state) {
  struct api api;
  pthread_t threads[3];
  (void)state;
  api_open(&api, "heap-max=64m,workers=2,verify=1");
  assert_int_equal(varve_native_enter(api.me), VARVE_OK);
  for (unsigned i = 0; i < 3; ++i) assert_int_equal(pthread_create(&threads[i], NULL, count_externals, &api), 0);
  for (unsigned i = 0; i < 3; ++i) pthread_join(threads[i], NULL);
  assert_int_equal(varve_native_leave(api.me), VARVE_OK);
  assert_int_equal(stats_of(&api).bytes_external, 3 * 20000 * 3);
  assert_int_equal(sum_of(&api), decided(&api));
  api_close(&api);
}

/* ---- options that change ---- */

static void refuses(struct api *api, const char *list, const char *about) {
  varve_options before = *varve_heap_options(api->heap);
  uint64_t limit = stats_of(api).heap_limit;
  varve_error error = {0};
  assert_int_equal(varve_heap_set(api->heap, list, &error), VARVE_OPTION);
  if (!strstr(error.detail, about)) fail_msg("%s: \"%s\" does not name \"%s\"", list, error.detail, about);
  assert_memory_equal(&before, varve_heap_options(api->heap), sizeof before);
  assert_int_equal(stats_of(api).heap_limit, limit);
}

static void wrong_changes_are_refused(void **state) {
  static const char *const once[] = {"heap-initial=8m", "mark-segments=9", "slot-tags=3",  "ref-tags=3", "granule=16",
                                     "check-stores=0",  "poison=1",        "huge-pages=off", "spin=1"};
  struct api api;
  (void)state;
  api_open(&api, "heap-max=64m,workers=2,heap-soft=40m");
  for (size_t i = 0; i < sizeof once / sizeof *once; ++i) refuses(&api, once[i], "set at creation and cannot change");
  refuses(&api, "heap-growth=50,poison=1", "poison");
  refuses(&api, "heap-growth=50,workers=3", "workers=3 is more than 2");
  refuses(&api, "heap-max=65m", "heap-max=65m is more than 64m");
  refuses(&api, "heap-max=3m", "heap-max");
  refuses(&api, "heap-soft=65m", "heap-soft");
  refuses(&api, "heap-max=32m", "heap-soft"); /* which is 40 */
  refuses(&api, "heap-sizing=2", "growth|adaptive|fixed");
  refuses(&api, "gc-cpu=0", "gc-cpu");
  refuses(&api, "gc-cpu=101", "1..100");
  refuses(&api, "heap-thrift=0", "heap-thrift");
  refuses(&api, "no-such=1", "no-such");
  refuses(&api, "heap-growth=50,", "comma");
  assert_int_equal(varve_heap_set(api.heap, NULL, NULL), VARVE_ARGUMENT);
  assert_int_equal(varve_heap_set(NULL, "", NULL), VARVE_ARGUMENT);
  set(&api, "");
  api_close(&api);
}

static void changes_are_in_force_at_once(void **state) {
  struct api api;
  (void)state;
  api_open(&api, "heap-max=256m,workers=2,cache-budget=256m");
  {
    VARVE_FRAME(f, api.me, list);
    grow_list(&api, &f.list, 20 * MIB);
    collected(&api);
    set(&api, "heap-growth=50");
    assert_in_range(stats_of(&api).heap_limit, 29 * MIB, 32 * MIB);
    set(&api, "heap-sizing=fixed");
    assert_in_range(stats_of(&api).heap_limit, 240 * MIB, 256 * MIB);
    set(&api, "heap-soft=30m,gc-cpu=100");
    assert_in_range(stats_of(&api).heap_limit, 28 * MIB, 30 * MIB);
    assert_int_equal(sum_of(&api), decided(&api));
    uint64_t before = stats_of(&api).collections;
    set(&api, "heap-sizing=growth,heap-soft=0,heap-growth=10");
    litter(&api, 8 * MIB);
    assert_true(stats_of(&api).collections > before);
  }
  api.heap->teams[0].next = 5;
  assert_int_equal(varve__policy_workers(api.heap), 1); /* of two, in a team that is no more */
  set(&api, "workers=1,dense=101,move-everything=1,verify=2,give-back=0,parallel-min=0,log=0");
  assert_int_equal(api.heap->teams[0].next, 0);
  assert_int_equal(collected(&api).workers, 1);
  set(&api, "workers=0,cache-budget=0,heap-max=0");
  assert_int_equal(varve_heap_options(api.heap)->workers, 2);
  assert_true(varve_heap_options(api.heap)->heap_max == 256 * MIB && varve_heap_options(api.heap)->cache_budget);
  assert_int_equal(collected(&api).workers, 2);
  api_close(&api);
}

static void stress_can_be_switched(void **state) {
  struct api api;
  (void)state;
  api_open(&api, "heap-max=64m,workers=1");
  litter(&api, 256);
  set(&api, "stress=1");
  litter(&api, VARVE__BLOCK_BYTES + 100 * 256); /* the open block is used up first */
  assert_in_range(stats_of(&api).collections, 90, 102);
  set(&api, "stress=0");
  litter(&api, MIB);
  assert_in_range(stats_of(&api).collections, 90, 102);
  api_close(&api);
}

/* ---- heap-max ---- */

static bool fits(const struct api *api, uint64_t heap_max) {
  return stats_of(api).bytes_committed <= heap_max + VARVE__REGION_BYTES + VARVE__SIDE_BYTES &&
         stats_of(api).bytes_in_use <= heap_max;
}

/* Bytes of a list that fills the heap. */
static uint64_t fill(struct api *api, varve_word *list) {
  uint64_t bytes = 0;
  for (;; bytes += sizeof(struct pair)) {
    struct pair *pair = varve_alloc(api->me, api->pair, sizeof *pair);
    if (!pair) break;
    varve_init(api->me, pair, &pair->right, *list);
    *list = varve_tag(pair, 0);
  }
  assert_int_equal(varve_mutator_status(api->me), VARVE_HEAP_FULL);
  return bytes;
}

static void a_lower_limit(void **state) {
  struct api api;
  (void)state;
  api_open(&api, "heap-max=64m,workers=2,heap-initial=32m,verify=1");
  {
    VARVE_FRAME(f, api.me, list);
    grow_list(&api, &f.list, 4 * MIB);
    set(&api, "heap-max=16m"); /* less than heap-initial */
    assert_true(fits(&api, 16 * MIB) && stats_of(&api).heap_limit <= 16 * MIB);
    sound(&api);
    assert_null(varve_alloc(api.me, api.array, 20 * MIB));
    assert_int_equal(varve_mutator_status(api.me), VARVE_TOO_LARGE);
    assert_in_range(fill(&api, &f.list), 9 * MIB, 12 * MIB);
    assert_true(fits(&api, 16 * MIB));
    set(&api, "heap-max=64m");
    sound(&api);
    assert_in_range(fill(&api, &f.list), 45 * MIB, 48 * MIB);
    sound(&api);
    f.list = 0;
  }
  uint32_t regions = api.heap->space.limit_regions;
  set(&api, "heap-max=16m");
  collected(&api);
  assert_true(api.heap->space.limit_regions < regions);
  varve__sizing_close(api.heap);
  assert_int_equal(api.heap->space.limit_regions, regions); /* tables are that large */
  api_close(&api);
}

/* Six regions are open with hardly anything in them, and the new limit is two. */
static void regions_that_cannot_go_back(void **state) {
  struct api api;
  varve_mutator *others[5];
  (void)state;
  api_open(&api, "heap-max=1g,workers=1,heap-initial=4m");
  litter(&api, 256);
  assert_int_equal(varve_native_enter(api.me), VARVE_OK);
  for (unsigned i = 0; i < 5; ++i) {
    assert_int_equal(varve_attach(api.heap, NULL, &others[i], NULL), VARVE_OK);
    assert_non_null(varve_alloc(others[i], api.data, 64));
    if (i < 4) assert_int_equal(varve_native_enter(others[i]), VARVE_OK);
  }
  set(&api, "heap-max=4m");
  assert_int_equal(varve_verify(others[4], NULL), VARVE_OK);
  assert_true(api.heap->sizing.lowering);
  assert_int_equal(varve_collect(others[4]), VARVE_OK);
  assert_false(api.heap->sizing.lowering);
  assert_true(fits(&api, 4 * MIB));
  for (unsigned i = 0; i < 5; ++i) assert_int_equal(varve_detach(others[i]), VARVE_OK);
  assert_int_equal(varve_native_leave(api.me), VARVE_OK);
  sound(&api);
  api_close(&api);
}

static void a_limit_below_what_is_in_use(void **state) {
  struct api api;
  (void)state;
  api_open(&api, "heap-max=64m,workers=2,heap-sizing=fixed,verify=1");
  {
    VARVE_FRAME(f, api.me, kept, dropped);
    grow_list(&api, &f.dropped, 20 * MIB);
    grow_list(&api, &f.kept, 20 * MIB);
    uint64_t links = length(f.kept);
    set(&api, "heap-max=24m");
    sound(&api);
    assert_int_equal(stats_of(&api).collections, 0);
    assert_false(fits(&api, 24 * MIB));
    f.dropped = 0;
    litter(&api, 2 * VARVE__BLOCK_BYTES);
    assert_int_equal(stats_of(&api).collections, 1);
    assert_true(fits(&api, 24 * MIB));
    assert_int_equal(api.heap->sizing.lowering, false);
    sound(&api);
    set(&api, "heap-max=10m"); /* less than what lives */
    uint64_t before = stats_of(&api).collections;
    assert_in_range(fill(&api, &f.dropped), 0, 2 * VARVE__BLOCK_BYTES);
    assert_in_range(stats_of(&api).collections - before, 1, 4);
    assert_true(length(f.kept) == links);
    sound(&api);
    set(&api, "heap-max=12m"); /* higher, and still less */
    sound(&api);
    assert_in_range(fill(&api, &f.dropped), 0, 2 * VARVE__BLOCK_BYTES);
    f.kept = 0;
    collected(&api);
    assert_true(fits(&api, 12 * MIB));
    assert_in_range(fill(&api, &f.dropped), 9 * MIB, 12 * MIB);
    sound(&api);
  }
  api_close(&api);
}

/* ---- at the same time ---- */

struct busy {
  struct api api;
  _Atomic bool done;
};

static void *work(void *argument) {
  struct busy *busy = argument;
  struct api mine = busy->api;
  if (varve_attach(mine.heap, "busy", &mine.me, NULL) != VARVE_OK) abort();
  {
    VARVE_FRAME(f, mine.me, kept, passing);
    grow_list(&mine, &f.kept, MIB);
    uint64_t links = length(f.kept);
    for (unsigned turn = 0; turn < 40; ++turn) {
      grow_list(&mine, &f.passing, MIB);
      if (turn % 4 == 0) f.passing = 0;
      if (varve_external_add(mine.me, turn % 2 ? -(int64_t)MIB : (int64_t)MIB)) abort();
      if ((turn % 8 == 0 && varve_collect(mine.me)) || length(f.kept) != links) abort();
      if (turn % 8 == 1 && varve_heap_set(mine.heap, turn % 16 == 1 ? "workers=1" : "workers=2", NULL)) abort();
    }
  }
  if (varve_detach(mine.me) != VARVE_OK) abort();
  return NULL;
}

static void *change(void *argument) {
  static const char *const lists[] = {
      "heap-growth=30,dense=60", "heap-sizing=adaptive,heap-thrift=10", "heap-soft=8m,gc-cpu=20", "heap-max=24m",
      "stress=500,verify=2",     "stress=0,verify=1",                   "heap-max=0",             "parallel-min=0",
      "heap-sizing=growth",      "move-everything=1,cache-budget=2m",   "heap-soft=0,log=0",      "parallel-min=1m"};
  struct busy *busy = argument;
  for (unsigned i = 0; !busy->done; ++i) {
    varve_error error = {0};
    varve_status status = varve_heap_set(busy->api.heap, lists[i % (sizeof lists / sizeof *lists)], &error);
    if (status != VARVE_OK) abort();
    varve_heap_stats stats;
    varve_heap_stats_get(busy->api.heap, &stats);
    nanosleep(&(struct timespec){0, 200000}, NULL);
  }
  return NULL;
}

static void options_change_while_others_collect(void **state) {
  struct busy busy = {.done = false};
  pthread_t threads[3];
  (void)state;
  api_open(&busy.api, "heap-max=64m,workers=2,verify=1,give-back=1");
  assert_int_equal(varve_native_enter(busy.api.me), VARVE_OK);
  assert_int_equal(pthread_create(&threads[2], NULL, change, &busy), 0);
  for (unsigned i = 0; i < 2; ++i) assert_int_equal(pthread_create(&threads[i], NULL, work, &busy), 0);
  for (unsigned i = 0; i < 2; ++i) pthread_join(threads[i], NULL);
  busy.done = true;
  pthread_join(threads[2], NULL);
  assert_int_equal(varve_native_leave(busy.api.me), VARVE_OK);
  sound(&busy.api);
  assert_int_equal(sum_of(&busy.api), decided(&busy.api));
  api_close(&busy.api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(growth),
      cmocka_unit_test(the_least),
      cmocka_unit_test(the_most),
      cmocka_unit_test(fixed),
      cmocka_unit_test(square_root),
      cmocka_unit_test(square_root_is_bounded),
      cmocka_unit_test(adaptive),
      cmocka_unit_test(cycles_are_forgotten),
      cmocka_unit_test(soft_limit),
      cmocka_unit_test(relief),
      cmocka_unit_test(no_spiral),
      cmocka_unit_test(external_counts),
      cmocka_unit_test(the_next_is_told),
      cmocka_unit_test(a_cut_to_the_cache_is_told_and_stays),
      cmocka_unit_test(fixed_heaps_use_everything),
      cmocka_unit_test(the_soft_limit_holds),
      cmocka_unit_test(more_live_than_the_soft_limit),
      cmocka_unit_test(external_bytes_bring_it_forward),
      cmocka_unit_test(what_comes_and_goes_costs_nothing),
      cmocka_unit_test(the_total_is_bounded),
      cmocka_unit_test(no_collection_at_every_allocation),
      cmocka_unit_test(external_bytes_of_old_garbage),
      cmocka_unit_test(external_bytes_of_a_native_thread_are_refused),
      cmocka_unit_test(threads_count_together),
      cmocka_unit_test(wrong_changes_are_refused),
      cmocka_unit_test(changes_are_in_force_at_once),
      cmocka_unit_test(stress_can_be_switched),
      cmocka_unit_test(a_lower_limit),
      cmocka_unit_test(regions_that_cannot_go_back),
      cmocka_unit_test(a_limit_below_what_is_in_use),
      cmocka_unit_test(options_change_while_others_collect),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
