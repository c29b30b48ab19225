/* SPDX-License-Identifier: MIT */
/* api.h -- what the unit tests of the public interface share: a heap with one mutator and a few layouts. */
#ifndef VARVE_TESTS_API_H
#define VARVE_TESTS_API_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <varve/varve.h>

struct api {
  varve_heap *heap;
  varve_mutator *me;
  varve_layout data; /* DATA */
  varve_layout pair; /* OFFSETS: struct pair */
  varve_layout array; /* REF_ARRAY from 8 */
};

struct pair {
  varve_object header;
  uint64_t number;
  varve_word left, right;
};

static inline struct pair *pair_of(varve_word word) { return (struct pair *)varve_untag(word); }

static inline varve_layout api_layout(varve_heap *heap, const varve_layout_desc *desc) {
  varve_layout layout = 0;
  varve_error error = {0};
  if (varve_layout_register(heap, desc, &layout, &error) != VARVE_OK) fail_msg("%s: %s", desc->name, error.detail);
  return layout;
}

static inline void api_open_options(struct api *api, const varve_options *options) {
  static const uint32_t offsets[] = {offsetof(struct pair, left), offsetof(struct pair, right)};
  varve_error error = {0};
  if (varve_heap_create(options, &api->heap, &error) != VARVE_OK) fail_msg("no heap: %s", error.detail);
  if (varve_mutator_attach(api->heap, "test", 0, &api->me, &error) != VARVE_OK) fail_msg("attach: %s", error.detail);
  api->data = api_layout(api->heap, &(varve_layout_desc){.name = "data", .kind = VARVE_LAYOUT_DATA});
  api->pair = api_layout(api->heap, &(varve_layout_desc){.name = "pair", .kind = VARVE_LAYOUT_OFFSETS,
                                                         .offsets = offsets, .offset_count = 2});
  api->array = api_layout(api->heap, &(varve_layout_desc){.name = "array", .kind = VARVE_LAYOUT_REF_ARRAY});
}

static inline void api_open(struct api *api, const char *text) {
  varve_options options;
  varve_error error = {0};
  varve_options_init(&options);
  if (varve_options_parse(&options, text, &error) != VARVE_OK) fail_msg("%s: %s", text, error.detail);
  api_open_options(api, &options);
}

static inline void api_close(struct api *api) {
  assert_int_equal(varve_detach(api->me), VARVE_OK);
  assert_int_equal(varve_heap_destroy(api->heap), VARVE_OK);
}

static inline varve_word api_pair(struct api *api, uint64_t number, const varve_word *left, const varve_word *right) {
  struct pair *pair = varve_alloc_uninit(api->me, api->pair, sizeof *pair);
  assert_non_null(pair);
  pair->number = number;
  varve_init(api->me, pair, &pair->left, left ? *left : 0);
  varve_init(api->me, pair, &pair->right, right ? *right : 0);
  return varve_tag(pair, 0);
}

static inline void api_collect(struct api *api, varve_collection_stats *stats) {
  assert_int_equal(varve_collect(api->me), VARVE_OK);
  if (stats) assert_true(varve_collection_stats_get(api->heap, stats));
}

static inline void api_collect_newest(struct api *api, varve_collection_stats *stats) {
  assert_int_equal(varve_collect_newest(api->me), VARVE_OK);
  if (stats) assert_true(varve_collection_stats_get(api->heap, stats));
}

static inline void api_sound(struct api *api) {
  varve_error error = {0};
  if (varve_verify(api->me, &error) != VARVE_OK) fail_msg("%s", error.detail);
}

/* Options that make every collection move everything and be checked. */
#define API_STRICT "heap-max=64m,workers=2,parallel-min=0,move-everything=1,verify=2,poison=1"

#endif
