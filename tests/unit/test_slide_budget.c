/* SPDX-License-Identifier: MIT */
/* test_slide_budget.c -- slide-budget: a pause moves little, and the pauses after it move the rest. */
#include "../support/api.h"

#define MIB (1024u * 1024u)
#define KEPT 65536u

/* Objects of 1 KiB, three of four dead, in a heap of 64 MiB of which a group is 8 MiB. */
static void make_holes(struct api *api, varve_word *slots) {
  for (unsigned i = 0; i < KEPT; ++i) {
    varve_object *object = varve_alloc(api->me, api->data, 1024);
    assert_non_null(object);
    slots[i] = i % 4 ? 0 : varve_tag(object, 0);
  }
}

static varve_collection_stats collect(struct api *api) {
  varve_collection_stats stats;
  assert_int_equal(varve_collect(api->me), VARVE_OK);
  assert_true(varve_collection_stats_get(api->heap, &stats));
  return stats;
}

static void check(struct api *api) {
  varve_error error = {0};
  assert_int_equal(varve_verify(api->me, &error), VARVE_OK);
}

static uint64_t in_use(struct api *api) {
  varve_heap_stats stats;
  varve_heap_stats_get(api->heap, &stats);
  return stats.bytes_in_use;
}

/* Every pause moves a group of about 2 MiB; the others follow, and then there is nothing to do. */
static void the_rest_is_moved_later(void **state) {
  static varve_word slots[KEPT];
  struct api api;
  uint64_t moved = 0;
  (void)state;
  api_open(&api, "heap-max=128m,heap-initial=128m,workers=1,slide-budget=2m,verify=2");
  assert_int_equal(varve_root_slots_add(api.heap, "slots", slots, KEPT, NULL), VARVE_OK);
  make_holes(&api, slots);
  for (unsigned pauses = 0; pauses < 12; ++pauses) {
    varve_collection_stats stats = collect(&api);
    assert_in_range(stats.bytes_moved, 0, 5 * MIB);
    if (!pauses) assert_true(stats.bytes_moved > MIB && stats.blocks_put_off > 0);
    moved += stats.bytes_moved;
    check(&api);
  }
  assert_in_range(moved, 12 * MIB, 20 * MIB);
  assert_in_range(in_use(&api), 16 * MIB, 22 * MIB);
  assert_int_equal(collect(&api).bytes_moved, 0);
  assert_int_equal(varve_root_slots_remove(api.heap, slots), VARVE_OK);
  memset(slots, 0, sizeof slots);
  api_close(&api);
}

static void without_a_budget_all_moves_at_once(void **state) {
  static varve_word slots[KEPT];
  struct api api;
  (void)state;
  api_open(&api, "heap-max=128m,heap-initial=128m,workers=1");
  assert_int_equal(varve_root_slots_add(api.heap, "slots", slots, KEPT, NULL), VARVE_OK);
  make_holes(&api, slots);
  varve_collection_stats stats = collect(&api);
  assert_true(stats.bytes_moved > 8 * MIB && !stats.blocks_put_off);
  assert_int_equal(varve_root_slots_remove(api.heap, slots), VARVE_OK);
  memset(slots, 0, sizeof slots);
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_rest_is_moved_later),
      cmocka_unit_test(without_a_budget_all_moves_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
