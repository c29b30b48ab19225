/* SPDX-License-Identifier: MIT */
/* test_layout.c -- registering layouts: what is refused and why, the least object of each kind, the entries made. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/heap.h"
#include "varve/abi.h"

static varve_heap *heap;
static varve_error error;

static int setup(void **state) {
  (void)state;
  varve_options options;
  varve_options_init(&options);
  options.heap_max = 8u << 20;
  options.workers = 1;
  return varve_heap_create(&options, &heap, NULL) == VARVE_OK ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  return varve_heap_destroy(heap) == VARVE_OK ? 0 : -1;
}

static varve_layout accept(varve_layout_desc desc) {
  varve_layout id = 0;
  memset(&error, 0, sizeof error);
  if (varve_layout_register(heap, &desc, &id, &error) != VARVE_OK) fail_msg("refused: %s", error.detail);
  return id;
}

/* Refused, the detail says `about`, no id is given and none is used up. */
static void refuse(varve_layout_desc desc, const char *about) {
  varve_layout id = 99;
  uint32_t count = heap->layouts.count;
  memset(&error, 0, sizeof error);
  assert_int_equal(varve_layout_register(heap, &desc, &id, &error), VARVE_LAYOUT);
  if (!strstr(error.detail, about)) fail_msg("the detail \"%s\" does not say \"%s\"", error.detail, about);
  assert_int_equal(id, 99);
  assert_int_equal(heap->layouts.count, count);
}

static uint32_t words_min(varve_layout id) { return heap->layouts.entries[id].words_min; }

#define OFFSETS(...) .offsets = (const uint32_t[]){__VA_ARGS__}, \
                     .offset_count = sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)
#define CASES(...) .cases = (const varve_union_case[]){__VA_ARGS__}, \
                   .case_count = sizeof((const varve_union_case[]){__VA_ARGS__}) / sizeof(varve_union_case)

static varve_layout data(void) { return accept((varve_layout_desc){.kind = VARVE_LAYOUT_DATA}); }

static void ids_and_names(void **state) {
  (void)state;
  char name[] = "pair";
  assert_string_equal(varve_layout_name(heap, 0), "?");
  assert_string_equal(varve_layout_name(heap, 1), "?");
  assert_int_equal(data(), 1);
  assert_int_equal(accept((varve_layout_desc){.name = name, .kind = VARVE_LAYOUT_DATA}), 2);
  name[0] = 'x'; /* it was copied */
  assert_string_equal(varve_layout_name(heap, 1), "layout 1");
  assert_string_equal(varve_layout_name(heap, 2), "pair");
  assert_string_equal(varve_layout_name(heap, 3), "?");
}

static void fits(void **state) {
  (void)state;
  varve_layout id = accept((varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, OFFSETS(24, 8)});
  const struct varve_layout_table *table = &heap->layouts;
  assert_true(varve__layout_fits(table, id, 4));
  assert_true(varve__layout_fits(table, id, UINT32_MAX));
  assert_false(varve__layout_fits(table, id, 3));
  assert_false(varve__layout_fits(table, id, 0));
  assert_false(varve__layout_fits(table, id, UINT64_C(1) << 32));
  assert_false(varve__layout_fits(table, 0, 4));
  assert_false(varve__layout_fits(table, id + 1, 4));
}

static void unknown_kinds(void **state) {
  (void)state;
  refuse((varve_layout_desc){.kind = (varve_layout_kind)0}, "kind");
  refuse((varve_layout_desc){.kind = (varve_layout_kind)257}, "kind");
  varve_layout id;
  assert_int_equal(varve_layout_register(heap, NULL, &id, NULL), VARVE_LAYOUT);
}

static void bytes(void **state) {
  (void)state;
  assert_int_equal(words_min(data()), 1);
  assert_int_equal(words_min(accept((varve_layout_desc){.kind = VARVE_LAYOUT_DATA, .bytes = 17})), 3);
  assert_int_equal(words_min(accept((varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, OFFSETS(8), .bytes = 64})), 8);
  refuse((varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, OFFSETS(64), .bytes = 64}, "72");
  refuse((varve_layout_desc){.kind = VARVE_LAYOUT_DATA, .bytes = SIZE_MAX}, "bytes");
  refuse((varve_layout_desc){.kind = VARVE_LAYOUT_DATA, .bytes = VARVE_OBJECT_MAX + 1}, "bytes");
  varve_layout id = accept((varve_layout_desc){.kind = VARVE_LAYOUT_DATA, .bytes = VARVE_OBJECT_MAX});
  assert_true(words_min(id) == UINT32_MAX);
}

static void offsets(void **state) {
  (void)state;
  refuse((varve_layout_desc){.name = "odd", .kind = VARVE_LAYOUT_OFFSETS, OFFSETS(8, 20)}, "\"odd\": offsets[1] = 20");
  refuse((varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, OFFSETS(0)}, "header");
  refuse((varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, OFFSETS(16, 8, 16)}, "16 is given twice");
  refuse((varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, .offset_count = 2}, "null");
  varve_layout id = accept((varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, OFFSETS(504, 8)});
  assert_true(heap->layouts.entries[id].masked);
  assert_true(heap->layouts.entries[id].mask == (UINT64_C(1) << 63 | 2));
  assert_int_equal(words_min(id), 64);
  id = accept((varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, OFFSETS(512, 8)});
  assert_false(heap->layouts.entries[id].masked);
  assert_int_equal(heap->layouts.entries[id].offsets[0], 1);
  assert_int_equal(heap->layouts.entries[id].offsets[1], 64);
  assert_int_equal(words_min(id), 65);
  assert_int_equal(words_min(accept((varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS})), 1);
}

static void arrays(void **state) {
  (void)state;
  varve_layout id = accept((varve_layout_desc){.kind = VARVE_LAYOUT_REF_ARRAY});
  assert_int_equal(heap->layouts.entries[id].first, 1);
  assert_int_equal(words_min(id), 1);
  id = accept((varve_layout_desc){.kind = VARVE_LAYOUT_REF_ARRAY, .first = 24});
  assert_int_equal(heap->layouts.entries[id].first, 3);
  assert_int_equal(words_min(id), 3);
  refuse((varve_layout_desc){.kind = VARVE_LAYOUT_REF_ARRAY, .first = 4}, "first = 4");
}

static void records(void **state) {
  (void)state;
  varve_layout id =
      accept((varve_layout_desc){.kind = VARVE_LAYOUT_RECORDS, .first = 16, .stride = 32, OFFSETS(0, 24)});
  assert_int_equal(heap->layouts.entries[id].stride, 4);
  assert_int_equal(heap->layouts.entries[id].mask, 9);
  assert_int_equal(words_min(id), 2);
  refuse((varve_layout_desc){.kind = VARVE_LAYOUT_RECORDS, OFFSETS(0)}, "stride = 0");
  refuse((varve_layout_desc){.kind = VARVE_LAYOUT_RECORDS, .stride = 12, OFFSETS(0)}, "stride = 12");
  refuse((varve_layout_desc){.kind = VARVE_LAYOUT_RECORDS, .stride = 16, OFFSETS(16)}, "offsets[0] = 16");
  refuse((varve_layout_desc){.kind = VARVE_LAYOUT_RECORDS, .stride = 16, OFFSETS(8, 0, 8)}, "twice");
  refuse((varve_layout_desc){.kind = VARVE_LAYOUT_RECORDS, .stride = 16, .first = 12, OFFSETS(8)}, "first = 12");
}

static varve_layout_desc choose(uint32_t offset, uint32_t width, varve_layout otherwise) {
  return (varve_layout_desc){.kind = VARVE_LAYOUT_UNION,
                             .choice = {.offset = offset, .width = width, .otherwise = otherwise}};
}

static void unions(void **state) {
  (void)state;
  varve_layout none = data(), small = accept((varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, OFFSETS(16)});
  varve_layout big = accept((varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, OFFSETS(80)});
  varve_layout id = accept((varve_layout_desc){
      .kind = VARVE_LAYOUT_UNION,
      .choice = {.offset = 8, .width = 2, CASES({9, small}, {1, big}, {4, none}), .otherwise = small}});
  const struct varve_layout_choice *choice = heap->layouts.entries[id].choice;
  assert_int_equal(choice->count, 3);
  assert_int_equal(choice->cases[0].value, 1);
  assert_int_equal(choice->cases[1].value, 4);
  assert_int_equal(choice->cases[2].value, 9);
  assert_int_equal(words_min(id), 11); /* of the greatest case */
  assert_int_equal(words_min(accept(choose(14, 2, 0))), 2);
  assert_int_equal(words_min(accept(choose(16, 1, 0))), 3);
  id = accept((varve_layout_desc){.kind = VARVE_LAYOUT_UNION, .choice = {.offset = 15, .width = 1, CASES({255, id})}});
  assert_int_equal(words_min(id), 11); /* through a union in a union */
}

static void refused_unions(void **state) {
  (void)state;
  varve_layout pair = accept((varve_layout_desc){.name = "pair", .kind = VARVE_LAYOUT_OFFSETS, OFFSETS(8, 16)});
  varve_layout array = accept((varve_layout_desc){.kind = VARVE_LAYOUT_REF_ARRAY, .first = 16});
  varve_layout table = accept((varve_layout_desc){.kind = VARVE_LAYOUT_RECORDS, .first = 16, .stride = 16, OFFSETS(8)});
  refuse(choose(4, 4, 0), "header");
  refuse(choose(10, 4, 0), "aligned");
  refuse(choose(8, 3, 0), "3 bytes");
  refuse(choose(8, 16, 0), "16 bytes");
  refuse(choose(8, 0, 0), "0 bytes");
  refuse(choose(8, 4, table + 1), "not registered");
  refuse(choose(8, 4, pair), "slot of case layout \"pair\"");
  refuse(choose(800, 4, array), "slot");
  refuse(choose(24, 8, table), "slot");
  accept(choose(32, 8, table));
  accept(choose(12, 4, array));
  refuse((varve_layout_desc){.kind = VARVE_LAYOUT_UNION,
                             .choice = {.offset = 8, .width = 1, CASES({256, array})}},
         "256");
  refuse((varve_layout_desc){.kind = VARVE_LAYOUT_UNION,
                             .choice = {.offset = 8, .width = 1, CASES({1, 0})}},
         "layout 0");
  refuse((varve_layout_desc){.kind = VARVE_LAYOUT_UNION,
                             .choice = {.offset = 8, .width = 1, CASES({7, array}, {2, array}, {7, table})}},
         "case 7 is given twice");
}

static varve_layout_desc closure(uint32_t count, uint32_t tag, uint32_t tag_stride, uint32_t value, uint32_t stride) {
  return (varve_layout_desc){.kind = VARVE_LAYOUT_CLOSURE,
                             .closure = {count, tag, tag_stride, value, stride, {1, 0, 0, 0}}};
}

static void closures(void **state) {
  (void)state;
  assert_int_equal(words_min(accept(closure(8, 12, 1, 32, 8))), 2);
  assert_int_equal(words_min(accept(closure(12, 16, 1, 32, 8))), 2);
  assert_int_equal(words_min(accept(closure(0, 8, 16, 16, 16))), 1);
  refuse(closure(4, 12, 1, 32, 8), "count_offset = 4");
  refuse(closure(10, 12, 1, 32, 8), "count_offset = 10");
  refuse(closure(8, 7, 1, 32, 8), "tag_offset = 7");
  refuse(closure(8, 12, 0, 32, 8), "tag_stride");
  refuse(closure(8, 12, 1, 36, 8), "value_offset = 36");
  refuse(closure(8, 12, 1, 0, 8), "value_offset = 0");
  refuse(closure(8, 12, 1, 32, 4), "value_stride = 4");
  refuse(closure(8, 12, 1, 32, 12), "value_stride = 12");
  refuse(closure(64, 12, 1, 32, 8), "count at 64");
  refuse(closure(8, 33, 16, 32, 16), "tag at 33");
  refuse(closure(8, 65, 16, 32, 16), "tag at 65");
}

static void visit_nothing(void *context, varve_object *object, size_t size, varve_visitor *visitor) {
  (void)context, (void)object, (void)size, (void)visitor;
}

static void traces(void **state) {
  (void)state;
  int context;
  refuse((varve_layout_desc){.kind = VARVE_LAYOUT_TRACE}, "trace");
  varve_layout id =
      accept((varve_layout_desc){.kind = VARVE_LAYOUT_TRACE, .trace = visit_nothing, .context = &context, .bytes = 24});
  assert_true(heap->layouts.entries[id].trace == visit_nothing);
  assert_ptr_equal(heap->layouts.entries[id].context, &context);
  assert_int_equal(words_min(id), 3);
}

static void all_ids(void **state) {
  (void)state;
  char name[16];
  for (uint32_t i = 1; i < VARVE__LAYOUTS_MAX; ++i) {
    snprintf(name, sizeof name, "L%u", i);
    assert_int_equal(accept((varve_layout_desc){.name = name, .kind = VARVE_LAYOUT_DATA}), i);
  }
  refuse((varve_layout_desc){.kind = VARVE_LAYOUT_DATA}, "65535");
  assert_string_equal(varve_layout_name(heap, 1), "L1");
  assert_string_equal(varve_layout_name(heap, 40000), "L40000");
  assert_string_equal(varve_layout_name(heap, 65535), "L65535");
}

enum { THREADS = 3, EACH = 2000 };

/* The id's entry is complete as soon as the id is known, whoever registered it. */
static void *register_many(void *argument) {
  uintptr_t bad = 0;
  (void)argument;
  for (unsigned i = 0; i < EACH; ++i) {
    varve_layout id = 0;
    varve_layout_desc desc = {.name = "shared", .kind = VARVE_LAYOUT_REF_ARRAY};
    bad += varve_layout_register(heap, &desc, &id, NULL) != VARVE_OK;
    uint32_t count = __atomic_load_n((uint32_t *)&heap->layouts.count, __ATOMIC_ACQUIRE);
    bad += id >= count || heap->layouts.entries[count - 1].first != 1;
    bad += strcmp(varve_layout_name(heap, count - 1), "shared") != 0;
  }
  return (void *)bad;
}

static void threads(void **state) {
  (void)state;
  pthread_t thread[THREADS];
  for (unsigned i = 0; i < THREADS; ++i) pthread_create(&thread[i], NULL, register_many, NULL);
  for (unsigned i = 0; i < THREADS; ++i) {
    void *bad;
    pthread_join(thread[i], &bad);
    assert_null(bad);
  }
  assert_int_equal(heap->layouts.count, THREADS * EACH + 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(ids_and_names, setup, teardown),
      cmocka_unit_test_setup_teardown(fits, setup, teardown),
      cmocka_unit_test_setup_teardown(unknown_kinds, setup, teardown),
      cmocka_unit_test_setup_teardown(bytes, setup, teardown),
      cmocka_unit_test_setup_teardown(offsets, setup, teardown),
      cmocka_unit_test_setup_teardown(arrays, setup, teardown),
      cmocka_unit_test_setup_teardown(records, setup, teardown),
      cmocka_unit_test_setup_teardown(unions, setup, teardown),
      cmocka_unit_test_setup_teardown(refused_unions, setup, teardown),
      cmocka_unit_test_setup_teardown(closures, setup, teardown),
      cmocka_unit_test_setup_teardown(traces, setup, teardown),
      cmocka_unit_test_setup_teardown(all_ids, setup, teardown),
      cmocka_unit_test_setup_teardown(threads, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
