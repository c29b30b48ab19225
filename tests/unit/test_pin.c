/* SPDX-License-Identifier: MIT */
/* test_pin.c -- pins, conservative mutators, derived pointers, and the object that an address lies in. */
#include "../support/api.h"

#define STRICT API_STRICT ",ages=1"

static void *object_of(struct api *api, const void *address) {
  return varve_object_of(api->me, (varve_word)(uintptr_t)address);
}

/* ---- pins ---- */

static void pin_in_a_scope(struct api *api) {
  VARVE_FRAME(f, api->me, pair, other);
  f.pair = api_pair(api, 1, NULL, NULL);
  f.other = api_pair(api, 2, &f.pair, NULL);
  varve_word pair = f.pair, other = f.other;
  for (int i = 0; i < 64 * 128; ++i) assert_non_null(varve_alloc(api->me, api->data, 512)); /* other blocks */
  VARVE_FRAME(g, api->me, far);
  g.far = api_pair(api, 3, NULL, NULL);
  varve_word far = g.far;
  {
    VARVE_PINNED(pin, api->me, f.pair);
    api_collect(api, NULL);
    api_collect_newest(api, NULL);
    api_collect(api, NULL);
    assert_int_equal(f.pair, pair);
    assert_int_equal(f.other, other); /* in the same block */
    assert_int_equal(pair_of(f.other)->left, pair);
    assert_int_not_equal(g.far, far);
    f.pair = f.other = 0;
    varve_collection_stats stats;
    api_collect(api, &stats);
    assert_int_equal(pin.slot, pair);
    assert_int_equal(pair_of(pin.slot)->number, 1); /* alive */
    assert_int_equal(stats.blocks_pinned, 1);
    assert_int_equal(stats.bytes_held, 32768 - sizeof(struct pair));
    assert_int_equal(varve_detach(api->me), VARVE_BUSY);
  }
  varve_collection_stats stats;
  api_collect(api, &stats);
  assert_int_equal(stats.blocks_pinned, 0);
  assert_null(object_of(api, varve_untag(pair)));
}

static void a_scope_pins(void **state) {
  (void)state;
  struct api api;
  api_open(&api, STRICT);
  pin_in_a_scope(&api);
  api_close(&api);
}

static void pins_are_counted(void **state) {
  (void)state;
  struct api api;
  api_open(&api, STRICT);
  const void *object = varve_untag(api_pair(&api, 7, NULL, NULL));
  assert_int_equal(varve_unpin(api.me, object), VARVE_ROOT);
  assert_int_equal(varve_pin(api.me, object), VARVE_OK);
  assert_int_equal(varve_pin(api.me, object), VARVE_OK);
  assert_int_equal(varve_unpin(api.me, object), VARVE_OK);
  api_collect(&api, NULL);
  assert_int_equal(pair_of((varve_word)(uintptr_t)object)->number, 7);
  assert_int_equal(varve_unpin(api.me, object), VARVE_OK);
  assert_int_equal(varve_unpin(api.me, object), VARVE_ROOT);
  api_collect(&api, NULL);
  assert_null(object_of(&api, object));
  api_close(&api);
}

static void wrong_pins_are_refused(void **state) {
  (void)state;
  struct api api;
  api_open(&api, STRICT);
  int elsewhere;
  char *object = (char *)varve_untag(api_pair(&api, 7, NULL, NULL));
  assert_int_equal(varve_pin(api.me, NULL), VARVE_ARGUMENT);
  assert_int_equal(varve_pin(api.me, &elsewhere), VARVE_ARGUMENT);
  assert_int_equal(varve_pin(api.me, object + 4), VARVE_ARGUMENT);
  assert_int_equal(varve_native_enter(api.me), VARVE_OK);
  assert_int_equal(varve_pin(api.me, object), VARVE_THREAD);
  assert_int_equal(varve_unpin(api.me, object), VARVE_THREAD);
  assert_int_equal(varve_native_leave(api.me), VARVE_OK);
  api_close(&api);
}

/* More than the table has room for at first, taken back in another order. */
static void many_pins(void **state) {
  (void)state;
  enum { COUNT = 5000 };
  static void *object[COUNT];
  struct api api;
  api_open(&api, "heap-max=64m,workers=2,parallel-min=0,move-everything=1");
  for (uintptr_t i = 0; i < COUNT; ++i) {
    object[i] = varve_untag(api_pair(&api, i, NULL, NULL));
    assert_int_equal(varve_pin(api.me, object[i]), VARVE_OK);
  }
  for (size_t step = 1; step <= 7; step += 3) {
    api_collect(&api, NULL);
    for (size_t i = step == 1 ? 0 : step; i < COUNT; i += step == 1 ? 2 : 7)
      if (object[i]) {
        assert_int_equal(((struct pair *)object[i])->number, i);
        assert_int_equal(varve_unpin(api.me, object[i]), VARVE_OK);
        object[i] = NULL;
      }
  }
  api_collect(&api, NULL);
  for (size_t i = 0; i < COUNT; ++i)
    if (object[i]) {
      assert_int_equal(((struct pair *)object[i])->number, i);
      assert_int_equal(varve_unpin(api.me, object[i]), VARVE_OK);
    }
  varve_collection_stats stats;
  api_collect(&api, &stats);
  assert_int_equal(stats.objects_pinned, 0);
  assert_int_equal(stats.live_after, 0);
  api_close(&api);
}

/* Medium and large ones; and everything is full, so that the large ones slide together. */
static void fill_the_heap(struct api *api) {
  void *pinned[2] = {varve_alloc(api->me, api->data, 60000), NULL};
  assert_int_equal(varve_pin(api->me, pinned[0]), VARVE_OK);
  VARVE_FRAME_ARRAY(f, api->me, 12);
  for (int i = 0; i < 12; ++i) {
    f.slot[i] = varve_tag(varve_alloc(api->me, api->data, 1000000), 0);
    assert_int_not_equal(f.slot[i], 0);
    if (i == 5) pinned[1] = varve_untag(f.slot[i]);
  }
  assert_int_equal(varve_pin(api->me, pinned[1]), VARVE_OK);
  for (int i = 0; i < 12; i += 2) f.slot[i] = 0;
  varve_word large = varve_tag(varve_alloc(api->me, api->data, 3500000), 0);
  varve_heap_stats stats;
  varve_heap_stats_get(api->heap, &stats);
  assert_true(stats.emergencies > 0);
  assert_int_not_equal(large, 0);
  assert_ptr_equal(varve_untag(f.slot[5]), pinned[1]);
  assert_ptr_equal(object_of(api, (char *)pinned[0] + 59999), pinned[0]);
}

static void pins_hold_in_emergencies(void **state) {
  (void)state;
  struct api api;
  api_open(&api, "heap-max=16m,workers=2,parallel-min=0,verify=2,poison=1");
  fill_the_heap(&api);
  api_close(&api);
}

/* ---- conservative mutators ---- */

/* The only references are in this frame, or in registers. */
static __attribute__((noinline)) void keep_on_the_stack(struct api *api) {
  struct pair *pair = pair_of(api_pair(api, 1, NULL, NULL));
  varve_word inner = api_pair(api, 2, NULL, NULL) + 19; /* within, and with tag bits */
  char *medium = varve_alloc(api->me, api->data, 20000), *large = varve_alloc(api->me, api->data, 200000);
  medium[19999] = 3;
  large[199999] = 4;
  varve_word left = api_pair(api, 5, NULL, NULL);
  varve_store(api->me, pair, &pair->left, left); /* found through the pair only */
  left ^= UINT64_MAX;
  __asm__ volatile("" : "+r"(left), "+r"(pair), "+r"(medium), "+r"(large), "+r"(inner));
  for (int i = 0; i < 3; ++i) {
    medium += 15000, large += 150000;
    __asm__ volatile("" : "+r"(medium), "+r"(large));
    api_collect_newest(api, NULL);
    api_collect(api, NULL);
    __asm__ volatile("" : "+r"(left), "+r"(pair), "+r"(medium), "+r"(large), "+r"(inner));
    medium -= 15000, large -= 150000;
    assert_int_equal(pair->number, 1);
    assert_int_equal(pair_of(pair->left)->number, 5);
    assert_int_equal(pair_of(inner - 19)->number, 2);
    assert_int_equal(medium[19999], 3);
    assert_int_equal(large[199999], 4);
  }
}

static void stacks_are_searched(void **state) {
  (void)state;
  struct api api;
  api_open(&api, STRICT ",conservative-roots=1");
  keep_on_the_stack(&api);
  api_close(&api);
  api_open(&api, STRICT);
  varve_error error;
  assert_int_equal(varve_mutator_conservative(api.me, NULL, NULL, &error), VARVE_OK);
  keep_on_the_stack(&api);
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_scope_pins),          cmocka_unit_test(pins_are_counted),
      cmocka_unit_test(wrong_pins_are_refused), cmocka_unit_test(many_pins),
      cmocka_unit_test(pins_hold_in_emergencies), cmocka_unit_test(stacks_are_searched),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
