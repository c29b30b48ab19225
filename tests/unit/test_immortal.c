/* SPDX-License-Identifier: MIT */
/* test_immortal.c -- immortal objects: they stay where they are, full collections cost what is not; what is written
 * into them, of every size and kind, stays alive, also while the heap sleeps and when nothing can be noted;
 * emergencies go round them. tests/model/ident.c has random programs. */
#include "../support/api.h"

#include "core/heap.h"

#define STRICT API_STRICT
#define STILL "heap-max=64m,workers=2,parallel-min=0,verify=2,poison=1"

static bool no_memory;
void *__real_varve__meta_alloc(struct varve_meta *meta, unsigned node, size_t bytes, size_t alignment);
void *__wrap_varve__meta_alloc(struct varve_meta *meta, unsigned node, size_t bytes, size_t alignment);
void *__wrap_varve__meta_alloc(struct varve_meta *meta, unsigned node, size_t bytes, size_t alignment) {
  return no_memory ? NULL : __real_varve__meta_alloc(meta, node, bytes, alignment);
}

static uint64_t immortal_bytes(const struct api *api) {
  varve_heap_stats stats;
  varve_heap_stats_get(api->heap, &stats);
  return stats.bytes_immortal;
}

static void freeze(struct api *api) {
  varve_error error = {0};
  if (varve_heap_make_immortal(api->me, &error) != VARVE_OK) fail_msg("%s", error.detail);
}

static void make_list(struct api *api, varve_word *list, unsigned count) {
  *list = 0;
  for (unsigned i = 0; i < count; ++i) *list = api_pair(api, i, list, NULL);
}

static void check_list(varve_word list, unsigned count) {
  for (; list; list = pair_of(list)->left) assert_int_equal(pair_of(list)->number, --count);
  assert_int_equal(count, 0);
}

static void they_stay_and_cost_nothing(void **state) {
  struct api api;
  varve_collection_stats stats;
  (void)state;
  api_open(&api, STRICT);
  {
    VARVE_FRAME(f, api.me, list, young);
    make_list(&api, &f.list, 10000);
    api_pair(&api, 1, NULL, NULL);
    freeze(&api);
    assert_int_equal(immortal_bytes(&api), 10000 * sizeof(struct pair));
    varve_word at = f.list;
    f.young = api_pair(&api, 0, NULL, NULL);
    for (unsigned round = 0; round < 6; ++round) {
      if (round % 2) api_collect_newest(&api, &stats);
      else api_collect(&api, &stats);
      uint64_t marked = 0;
      for (unsigned w = 0; w < stats.workers; ++w) marked += stats.worker[w].objects_marked;
      assert_in_range(marked, 0, 1);
      assert_true(f.list == at);
      check_list(f.list, 10000);
      assert_int_equal(pair_of(f.young)->number, 0);
    }
    f.list = 0;
    api_collect(&api, &stats);
    assert_int_equal(immortal_bytes(&api), 10000 * sizeof(struct pair)); /* dead, and there all the same */
    freeze(&api);
    assert_int_equal(immortal_bytes(&api), sizeof(struct pair)); /* the young one */
  }
  api_close(&api);
}

/* Blocks that a usual collection would leave as they are, with one object in sixteen dead: nothing of that is kept. */
static void they_are_packed(void **state) {
  enum { PAIRS = 40000 };
  struct api api;
  (void)state;
  api_open(&api, STILL ",dense=87");
  {
    VARVE_FRAME(f, api.me, array);
    f.array = varve_tag(varve_alloc(api.me, api.array, 8 + PAIRS * 8), 0);
    for (unsigned i = 0; i < PAIRS; ++i) {
      varve_word pair = api_pair(&api, i, NULL, NULL), *words = (varve_word *)varve_untag(f.array);
      varve_store(api.me, words, &words[1 + i], i % 16 ? pair : 0);
    }
    freeze(&api);
    uint64_t blocks = atomic_load(&api.heap->space.used_blocks);
    uint64_t pairs = PAIRS / 16 * 15 * sizeof(struct pair), array = 8 + PAIRS * 8;
    assert_int_equal(immortal_bytes(&api), pairs + array);
    assert_in_range(blocks, 1, pairs / VARVE__BLOCK_BYTES + array / VARVE__BLOCK_BYTES + 3);
  }
  api_close(&api);
}

/* Holders of every size, written to once; what they refer to is found again after many collections, and is garbage
 * when it was overwritten. */
static void what_is_written_into_them_stays(const char *options) {
  static const size_t sizes[] = {64, 2048, 60000, 300000};
  enum { SIZES = sizeof sizes / sizeof *sizes };
  struct api api;
  varve_collection_stats stats;
  api_open(&api, options);
  {
    VARVE_FRAME_ARRAY(f, api.me, SIZES);
    for (unsigned i = 0; i < SIZES; ++i) f.slot[i] = varve_tag(varve_alloc(api.me, api.array, sizes[i]), 0);
    freeze(&api);
    for (unsigned i = 0; i < SIZES; ++i) {
      varve_word pair = api_pair(&api, i, NULL, NULL), *words = (varve_word *)varve_untag(f.slot[i]);
      varve_store(api.me, words, &words[sizes[i] / 8 - 1], pair);
    }
    for (unsigned round = 0; round < 20; ++round) {
      if (round % 3) api_collect_newest(&api, &stats);
      else api_collect(&api, &stats);
      for (unsigned i = 0; i < 100; ++i) api_pair(&api, i, NULL, NULL);
      for (unsigned i = 0; i < SIZES; ++i) {
        varve_word *words = (varve_word *)varve_untag(f.slot[i]);
        assert_int_equal(pair_of(words[sizes[i] / 8 - 1])->number, i);
      }
    }
    for (unsigned i = 0; i < SIZES; ++i) {
      varve_word *words = (varve_word *)varve_untag(f.slot[i]);
      varve_store(api.me, words, &words[sizes[i] / 8 - 1], 0);
    }
    api_collect(&api, &stats);
    assert_int_equal(stats.survived, 0);
    api_collect(&api, &stats);
    assert_int_equal(stats.remembered, 0);
  }
  api_close(&api);
}

static void writes_are_remembered(void **state) {
  (void)state;
  what_is_written_into_them_stays(STRICT);
  what_is_written_into_them_stays(STILL);
  what_is_written_into_them_stays(STRICT ",workers=1");
}

static void writes_are_remembered_asleep(void **state) {
  struct api api;
  varve_collection_stats stats;
  (void)state;
  api_open(&api, STRICT);
  {
    VARVE_FRAME(f, api.me, old);
    f.old = api_pair(&api, 1, NULL, NULL);
    freeze(&api);
    api.heap->ages.asleep = true; /* as after a full collection that saw no use in young ones */
    varve_word young = api_pair(&api, 2, NULL, NULL);
    varve_store(api.me, pair_of(f.old), &pair_of(f.old)->left, young);
    api_collect_newest(&api, &stats);
    assert_int_equal(stats.remembered, 1);
    assert_int_equal(pair_of(pair_of(f.old)->left)->number, 2);
    api_collect(&api, NULL);
    assert_int_equal(pair_of(pair_of(f.old)->left)->number, 2);
  }
  api_close(&api);
}

static void without_memory_they_become_old(void **state) {
  struct api api;
  (void)state;
  api_open(&api, STRICT);
  {
    VARVE_FRAME(f, api.me, old);
    f.old = api_pair(&api, 1, NULL, NULL);
    freeze(&api);
    varve_word young = api_pair(&api, 2, NULL, NULL);
    no_memory = true;
    varve_store(api.me, pair_of(f.old), &pair_of(f.old)->left, young);
    no_memory = false;
    api_collect_newest(&api, NULL);
    assert_int_equal(immortal_bytes(&api), 0);
    assert_int_equal(pair_of(pair_of(f.old)->left)->number, 2);
    api_collect(&api, NULL);
    assert_int_equal(pair_of(pair_of(f.old)->left)->number, 2);
    freeze(&api);
    assert_int_equal(immortal_bytes(&api), 2 * sizeof(struct pair));
  }
  api_close(&api);
}

/* Immortal objects of every size lie scattered, a heap nearly full is filled with others until nothing more fits, again
 * and again. */
static void emergencies_go_round_them(void **state) {
  static const size_t sizes[] = {48, 1000, 9000, 200000};
  enum { KEPT = 40 };
  struct api api;
  (void)state;
  api_open(&api, "heap-max=24m,workers=2,parallel-min=0,verify=2,poison=1");
  {
    VARVE_FRAME_ARRAY(f, api.me, KEPT + 1);
    varve_word at[KEPT];
    for (unsigned i = 0; i < 8 * KEPT; ++i) {
      uint64_t *words = varve_alloc(api.me, api.data, sizes[i % 4]);
      assert_non_null(words);
      words[1] = i / 8;
      if (i % 8 == i / 8 % 4) f.slot[i / 8] = varve_tag(words, 0);
    }
    freeze(&api);
    for (unsigned i = 0; i < KEPT; ++i) at[i] = f.slot[i];
    for (unsigned round = 0; round < 4; ++round) {
      for (unsigned i = 0;; ++i) {
        varve_word *words = varve_alloc(api.me, api.array, sizes[(i * 7 + round) % 4]);
        if (!words) break;
        varve_init(api.me, words, &words[1], f.slot[KEPT]);
        if (i % 3) f.slot[KEPT] = varve_tag(words, 0);
      }
      assert_int_equal(varve_mutator_status(api.me), VARVE_HEAP_FULL);
      f.slot[KEPT] = 0;
      for (unsigned i = 0; i < KEPT; ++i) {
        assert_true(f.slot[i] == at[i]);
        assert_int_equal(((uint64_t *)varve_untag(at[i]))[1], i);
      }
    }
  }
  api_close(&api);
}

static void without_ages_it_is_refused(void **state) {
  struct api api;
  varve_error error = {0};
  (void)state;
  api_open(&api, STRICT ",ages=0");
  assert_int_equal(varve_heap_make_immortal(api.me, &error), VARVE_OPTION);
  api_close(&api);
  api_open(&api, STRICT);
  assert_int_equal(varve_native_enter(api.me), VARVE_OK);
  assert_int_equal(varve_heap_make_immortal(api.me, &error), VARVE_THREAD);
  assert_int_equal(varve_native_leave(api.me), VARVE_OK);
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(they_stay_and_cost_nothing),     cmocka_unit_test(writes_are_remembered),
      cmocka_unit_test(they_are_packed),
      cmocka_unit_test(writes_are_remembered_asleep),   cmocka_unit_test(without_memory_they_become_old),
      cmocka_unit_test(emergencies_go_round_them),      cmocka_unit_test(without_ages_it_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
