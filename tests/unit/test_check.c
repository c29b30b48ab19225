/* SPDX-License-Identifier: MIT */
/* test_check.c -- varve_check: is a word a reference that can be used, and what is wrong if it is not. */
#include <stdio.h>

#include "support/api.h"

#define OPTIONS "heap-max=16m,workers=1,move-everything=1,dense=101"

static varve_status check(struct api *api, varve_word word, varve_error *error) {
  *error = (varve_error){0};
  varve_status status = varve_check(api->me, word, error);
  assert_int_equal(error->status, status);
  return status;
}

static void fine(struct api *api, varve_word word) {
  varve_error error;
  if (check(api, word, &error) != VARVE_OK) fail_msg("%s", error.detail);
}

static void wrong(struct api *api, varve_word word, const char *why) {
  varve_error error;
  assert_int_equal(check(api, word, &error), VARVE_CORRUPT);
  if (!strstr(error.detail, why)) fail_msg("\"%s\" is not in \"%s\"", why, error.detail);
}

static void bits_are_told(void **state) {
  (void)state;
  struct api api;
  api_open(&api, OPTIONS);
  {
    VARVE_FRAME(f, api.me, pair);
    f.pair = api_pair(&api, 1, NULL, NULL);
    fine(&api, f.pair);
    wrong(&api, 0, "null");
    wrong(&api, UINT64_C(0xdeadbeefdeadbeef), "poison");
    wrong(&api, 41, "an immediate, by its tag");
    wrong(&api, f.pair | 1, "though it leads into the heap");
    wrong(&api, (varve_word)(uintptr_t)&api & ~(varve_word)7, "outside the heap");
  }
  api_close(&api);
}

static void granules_are_told(void **state) {
  (void)state;
  struct api api;
  api_open(&api, OPTIONS ",granule=16,slot-tags=2");
  {
    VARVE_FRAME(f, api.me, data);
    f.data = varve_tag(varve_ffi_alloc(api.me, api.data, 64), 1);
    fine(&api, f.data);
    wrong(&api, f.data + 8, "misaligned");
    wrong(&api, f.data + 16, "16 bytes from its start");
  }
  api_close(&api);
}

/* Small, medium and large; young and, after a collection, old. */
static void insides_are_told(void **state) {
  (void)state;
  static const size_t bytes[] = {32, 1800, 20000, 300000};
  struct api api;
  api_open(&api, OPTIONS);
  {
    VARVE_FRAME_ARRAY(f, api.me, 4);
    for (unsigned i = 0; i < 4; ++i) f.slot[i] = varve_tag(varve_alloc(api.me, api.data, bytes[i]), 0);
    for (unsigned round = 0; round < 3; ++round) {
      for (unsigned i = 0; i < 4; ++i) {
        char size[40];
        snprintf(size, sizeof size, "layout %u \"data\", %zu bytes", api.data, bytes[i]);
        fine(&api, f.slot[i]);
        wrong(&api, f.slot[i] + 8, "inside of an object, 8 bytes from its start");
        wrong(&api, f.slot[i] + bytes[i] / 16 * 8, size);
        wrong(&api, f.slot[i] + bytes[i] - 8, size);
      }
      api_collect(&api, NULL);
    }
  }
  api_close(&api);
}

static void dead_and_free_are_told(void **state) {
  (void)state;
  struct api api;
  api_open(&api, OPTIONS);
  {
    VARVE_FRAME(f, api.me, kept);
    api_pair(&api, 1, NULL, NULL);
    f.kept = api_pair(&api, 2, NULL, NULL);
    varve_word before = f.kept, behind = f.kept + sizeof(struct pair);
    wrong(&api, behind, "in free memory");
    wrong(&api, (varve_word)((uintptr_t)varve_untag(f.kept) + (UINT64_C(12) << 20)),
        "in free memory: its region holds nothing");
    wrong(&api, (f.kept & ~(varve_word)0xffff) + 0x20000, "in free memory: its block holds nothing");
    api_collect(&api, NULL);
    fine(&api, f.kept);
    assert_int_not_equal(f.kept, before);
    assert_int_equal(varve_check(api.me, before, NULL), VARVE_CORRUPT);
  }
  api_close(&api);
}

/* In a block that stays, what is not marked is dead; freed memory is poisoned. */
static void neighbours_of_pins_are_dead(void **state) {
  (void)state;
  for (unsigned poison = 0; poison < 2; ++poison) {
    struct api api;
    api_open(&api, poison ? OPTIONS ",poison=1" : OPTIONS);
    {
      VARVE_FRAME(f, api.me, kept);
      f.kept = api_pair(&api, 1, NULL, NULL);
      varve_word dead = api_pair(&api, 2, NULL, NULL);
      VARVE_PINNED(pin, api.me, f.kept);
      api_collect(&api, NULL);
      fine(&api, f.kept);
      wrong(&api, dead, poison ? "holds poison" : "dead");
    }
    api_close(&api);
  }
}

static void damage_is_told(void **state) {
  (void)state;
  struct api api;
  api_open(&api, OPTIONS);
  {
    VARVE_FRAME(f, api.me, pair);
    f.pair = api_pair(&api, 1, NULL, NULL);
    varve_object *object = varve_untag(f.pair);
    uint64_t header = object->header;
    object->header = (header & ~UINT64_C(0xffff0000)) | UINT64_C(999) << 16;
    wrong(&api, f.pair, "damaged object: layout 999");
    object->header = header;
    fine(&api, f.pair);
  }
  api_close(&api);
}

static void natives_may_not_ask(void **state) {
  (void)state;
  struct api api;
  varve_error error = {0};
  api_open(&api, OPTIONS);
  assert_int_equal(varve_native_enter(api.me), VARVE_OK);
  assert_int_equal(varve_check(api.me, 0, &error), VARVE_THREAD);
  assert_non_null(strstr(error.detail, "mutator test is native"));
  assert_int_equal(varve_native_leave(api.me), VARVE_OK);
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bits_are_told),
      cmocka_unit_test(granules_are_told),
      cmocka_unit_test(insides_are_told),
      cmocka_unit_test(dead_and_free_are_told),
      cmocka_unit_test(neighbours_of_pins_are_dead),
      cmocka_unit_test(damage_is_told),
      cmocka_unit_test(natives_may_not_ask),
  };
  return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
