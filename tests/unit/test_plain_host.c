/* SPDX-License-Identifier: MIT */
/* test_plain_host.c -- a host compiled with VARVE_AGES=0: it may use heaps without ages only, and is told so. */
#define VARVE_AGES 0
#include "../support/api.h"

static void attaching_to_a_heap_with_ages_is_refused(void **state) {
  varve_heap *heap;
  varve_mutator *me;
  varve_error error = {0};
  (void)state;
  assert_int_equal(varve_heap_create(NULL, &heap, NULL), VARVE_OK);
  assert_int_equal(varve_attach(heap, "plain", &me, &error), VARVE_OPTION);
  assert_non_null(strstr(error.detail, "ages=1"));
  assert_non_null(strstr(error.detail, "VARVE_AGES=0"));
  assert_int_equal(varve_heap_destroy(heap), VARVE_OK);
}

static void plain_stores_do_without_ages(void **state) {
  struct api api;
  varve_mutator *second;
  varve_error error = {0};
  varve_word words[8] = {0};
  varve_refs *refs;
  (void)state;
  api_open(&api, API_STRICT ",ages=0");
  if (varve_attach(api.heap, "plain", &second, &error) != VARVE_OK) fail_msg("%s", error.detail);
  assert_int_equal(varve_detach(second), VARVE_OK);
  varve_ref_array array = {.name = "words", .base = words, .stride = 8, .count = 8};
  assert_int_equal(varve_ref_array_add(api.heap, &array, &refs, NULL), VARVE_OK);
  varve_ref_store(api.me, refs, &words[0], api_pair(&api, 1, NULL, NULL));
  for (uint64_t i = 2; i < 20; ++i) {
    assert_int_equal(varve_collect_newest(api.me), VARVE_OK);
    varve_word young = api_pair(&api, i, NULL, NULL);
    varve_store(api.me, pair_of(words[0]), &pair_of(words[0])->right, young);
    varve_ref_exchange(api.me, refs, &words[i % 7 + 1], young);
    assert_int_equal(varve_collect(api.me), VARVE_OK);
    assert_int_equal(pair_of(pair_of(words[0])->right)->number, i);
    assert_int_equal(pair_of(words[i % 7 + 1])->number, i);
  }
  varve_ref_array_remove(refs);
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(attaching_to_a_heap_with_ages_is_refused),
      cmocka_unit_test(plain_stores_do_without_ages),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
