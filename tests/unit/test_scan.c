/* SPDX-License-Identifier: MIT */
/* test_scan.c -- the scan template gives exactly the slots that the descriptions mean, each once. Random descriptions
 * and sizes are compared with a second reading of the description, byte by byte, that shares nothing with scan.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/heap.h"
#include "core/root.h"
#include "core/scan.h"

enum { WORDS_MAX = 300 };

static varve_heap *heap;
static uint64_t object[WORDS_MAX];
static unsigned given[WORDS_MAX + 1]; /* how often each word was given; the last one: words outside the object */
static size_t words;

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

static uint32_t random_below(uint32_t limit) {
  static uint64_t state = 88172645463325252u;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)((state >> 16) % limit);
}

static uint64_t random_word(void) { return (uint64_t)random_below(UINT32_MAX) << 32 | random_below(UINT32_MAX); }

static void note(void *context, varve_word *slots, size_t count) {
  (void)context;
  for (size_t i = 0; i < count; ++i) {
    size_t index = (size_t)(slots + i - object);
    ++given[index < words ? index : WORDS_MAX];
  }
}

/* The heap of this test has no narrow slots (test_narrow.c has). */
static void note_narrow(void *context, varve_narrow *slots, size_t count) {
  (void)context, (void)slots, (void)count;
  fail();
}

static void note_range(varve_visitor *visitor, varve_word *base, size_t stride, size_t count, const uint64_t *bitmap,
                       bool ref) {
  assert_false(ref);
  assert_null(bitmap);
  assert_int_equal(stride, 8);
  note(visitor, base, count);
}

static void scan(varve_layout layout) {
  varve_visitor visitor = {.range = note_range, .heap = heap};
  memset(given, 0, sizeof given);
  scan_object(&heap->layouts, &heap->layouts.entries[layout], object, words, note, note_narrow, NULL, &visitor);
}

static varve_layout add(const varve_layout_desc *desc) {
  varve_layout id = 0;
  varve_error error;
  if (varve_layout_register(heap, desc, &id, &error) != VARVE_OK) fail_msg("%s", error.detail);
  return id;
}

/* The slots are exactly the words of `expected`. */
static void check(const bool *expected, const char *what) {
  for (size_t i = 0; i < words; ++i)
    if (given[i] != expected[i])
      fail_msg("%s: word %zu of %zu was given %u times instead of %d", what, i, words, given[i], expected[i]);
  assert_int_equal(given[WORDS_MAX], 0);
}

/* `count` different offsets in [least, limit), multiples of 8, in random order. */
static size_t random_offsets(uint32_t *offsets, size_t count, uint32_t least, uint32_t limit) {
  size_t have = 0;
  while (have < count) {
    uint32_t offset = least + random_below((limit - least) / 8) * 8;
    size_t i = 0;
    while (i < have && offsets[i] != offset) ++i;
    if (i == have) offsets[have++] = offset;
  }
  return count;
}

static void data_has_no_slots(void **state) {
  (void)state;
  bool none[WORDS_MAX] = {false};
  words = 20;
  scan(add(&(varve_layout_desc){.kind = VARVE_LAYOUT_DATA}));
  check(none, "data");
}

static void fixed_offsets(void **state) {
  (void)state;
  for (unsigned round = 0; round < 300; ++round) {
    bool expected[WORDS_MAX] = {false};
    uint32_t offsets[40], limit = round % 2 ? 64 * 8 : WORDS_MAX * 8; /* within the mask, or beyond it */
    size_t count = random_offsets(offsets, random_below(40), 8, limit);
    varve_layout id =
        add(&(varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, .offsets = offsets, .offset_count = count});
    words = limit / 8;
    for (size_t i = 0; i < count; ++i) expected[offsets[i] / 8] = true;
    scan(id);
    check(expected, "offsets");
  }
}

/* What the pieces give together. */
static void scan_pieces_of(varve_layout layout, size_t piece_words) {
  const struct varve_layout_entry *entry = &heap->layouts.entries[layout];
  assert_true(scan_divisible(entry));
  memset(given, 0, sizeof given);
  for (size_t piece = 0; piece < scan_pieces(entry, words, piece_words); ++piece)
    scan_piece(entry, object, words, piece, piece_words, note, note_narrow, NULL);
}

static void arrays(void **state) {
  (void)state;
  for (uint32_t first = 1; first < 6; ++first) {
    varve_layout id = add(&(varve_layout_desc){.kind = VARVE_LAYOUT_REF_ARRAY, .first = first * 8});
    for (words = first; words < WORDS_MAX; words += 1 + random_below(9)) {
      bool expected[WORDS_MAX] = {false};
      for (size_t i = first; i < words; ++i) expected[i] = true;
      scan(id);
      check(expected, "array");
      scan_pieces_of(id, 1 + random_below(64));
      check(expected, "array in pieces");
    }
  }
}

static void one_record_layout(uint32_t first, uint32_t stride) {
  uint32_t offsets[100];
  size_t count = random_offsets(offsets, random_below(stride < 12 ? stride + 1 : 12), 0, stride * 8);
  varve_layout id = add(&(varve_layout_desc){.kind = VARVE_LAYOUT_RECORDS, .first = first * 8, .stride = stride * 8,
                                             .offsets = offsets, .offset_count = count});
  for (words = first; words < WORDS_MAX; words += 1 + random_below(20)) {
    bool expected[WORDS_MAX] = {false};
    for (size_t at = first; at + stride <= words; at += stride)
      for (size_t i = 0; i < count; ++i) expected[at + offsets[i] / 8] = true;
    scan(id);
    check(expected, "records");
    scan_pieces_of(id, 1 + random_below(90));
    check(expected, "records in pieces");
  }
}

static void records(void **state) {
  (void)state;
  for (unsigned round = 0; round < 200; ++round)
    one_record_layout(1 + random_below(4), 1 + random_below(round % 2 ? 8 : 100)); /* also beyond the mask */
}

static void discriminants(void **state) {
  (void)state;
  static const uint32_t widths[] = {1, 2, 4, 8};
  uint32_t first[] = {32}, second[] = {40}, third[] = {48};
  varve_layout a = add(&(varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, .offsets = first, .offset_count = 1});
  varve_layout b = add(&(varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, .offsets = second, .offset_count = 1});
  varve_layout c = add(&(varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, .offsets = third, .offset_count = 1});
  words = 8;
  for (unsigned w = 0; w < 4; ++w) {
    uint64_t top = UINT64_MAX >> (64 - 8 * widths[w]);
    varve_union_case cases[] = {{top, a}, {0, b}, {5, a}};
    varve_layout_desc desc = {.kind = VARVE_LAYOUT_UNION,
                              .choice = {16, widths[w], cases, 3, 0}};
    varve_layout with_default, without = add(&desc);
    desc.choice.otherwise = c;
    with_default = add(&desc);
    const struct { uint64_t value; size_t slot; } probes[] = {{top, 4}, {0, 5}, {5, 4}, {6, 0}, {top - 1, 0}, {4, 0}};
    for (unsigned p = 0; p < 6; ++p) {
      bool expected[WORDS_MAX] = {false};
      memset(object, 0xff, sizeof object); /* the neighbours' bytes must not be read */
      memcpy((char *)object + 16, &probes[p].value, widths[w]);
      if (probes[p].slot) expected[probes[p].slot] = true;
      scan(without);
      check(expected, "union");
      if (!probes[p].slot) expected[6] = true;
      scan(with_default);
      check(expected, "union with a default");
    }
  }
}

static void unions_in_unions(void **state) {
  (void)state;
  uint32_t offset[] = {24};
  varve_layout leaf = add(&(varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, .offsets = offset, .offset_count = 1});
  varve_union_case inner_case = {2, leaf};
  varve_layout inner = add(&(varve_layout_desc){.kind = VARVE_LAYOUT_UNION, .choice = {12, 4, &inner_case, 1, 0}});
  varve_union_case outer_case = {1, inner};
  varve_layout outer = add(&(varve_layout_desc){.kind = VARVE_LAYOUT_UNION, .choice = {8, 4, &outer_case, 1, 0}});
  for (uint32_t x = 0; x < 4; ++x)
    for (uint32_t y = 0; y < 4; ++y) {
      bool expected[WORDS_MAX] = {false};
      uint32_t both[2] = {x, y};
      memcpy((char *)object + 8, both, sizeof both);
      words = 4;
      expected[3] = x == 1 && y == 2;
      scan(outer);
      check(expected, "union in union");
    }
}

static bool tag_bit(const uint64_t tags[4], uint8_t tag) { return tags[tag / 64] >> tag % 64 & 1; }

/* Items one after the other, until one is not wholly in the object or the count is used up. */
static void expect_closure(const varve_layout_desc *desc, bool *expected) {
  const uint8_t *bytes = (const uint8_t *)object;
  uint32_t count = UINT32_MAX;
  if (desc->closure.count_offset) memcpy(&count, bytes + desc->closure.count_offset, 4);
  for (uint32_t i = 0; i < count; ++i) {
    size_t tag = desc->closure.tag_offset + (size_t)i * desc->closure.tag_stride;
    size_t value = desc->closure.value_offset + (size_t)i * desc->closure.value_stride;
    if (tag >= words * 8 || value + 8 > words * 8) break;
    if (tag_bit(desc->closure.ref_tags, bytes[tag])) expected[value / 8] = true;
  }
}

static void closures(void **state) {
  (void)state;
  static const struct { uint32_t count, tag, tag_stride, value, stride; } shapes[] = {
      {8, 12, 1, 32, 8},     {8, 16, 1, 48, 8}, {0, 8, 16, 16, 16},
      {12, 16, 24, 24, 24}, {0, 9, 8, 200, 8}, {8, 17, 3, 96, 8}};
  for (unsigned round = 0; round < 600; ++round) {
    unsigned s = round % 6;
    varve_layout_desc desc = {.kind = VARVE_LAYOUT_CLOSURE,
                              .closure = {shapes[s].count, shapes[s].tag, shapes[s].tag_stride, shapes[s].value,
                                          shapes[s].stride, {0}}};
    for (unsigned i = 0; i < 4; ++i) desc.closure.ref_tags[i] = random_word();
    bool expected[WORDS_MAX] = {false};
    for (size_t i = 0; i < WORDS_MAX; ++i) object[i] = random_word();
    uint32_t count = random_below(20);
    if (desc.closure.count_offset) memcpy((char *)object + desc.closure.count_offset, &count, sizeof count);
    words = 2 + random_below(60);
    varve_layout id = add(&desc);
    expect_closure(&desc, expected);
    scan(id);
    check(expected, "closure");
  }
}

static void trace_third(void *context, varve_object *traced, size_t bytes, varve_visitor *visitor) {
  assert_ptr_equal(context, &words);
  assert_int_equal(bytes, words * 8);
  varve_visit(visitor, (varve_word *)traced + 3);
  varve_visit_range(visitor, (varve_word *)traced + 5, 2);
  varve_visit_range(visitor, (varve_word *)traced + 1, 0);
}

static void trace_functions(void **state) {
  (void)state;
  bool expected[WORDS_MAX] = {false};
  expected[3] = expected[5] = expected[6] = true;
  words = 9;
  scan(add(&(varve_layout_desc){.kind = VARVE_LAYOUT_TRACE, .trace = trace_third, .context = &words, .bytes = 64}));
  check(expected, "trace");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(data_has_no_slots, setup, teardown),
      cmocka_unit_test_setup_teardown(fixed_offsets, setup, teardown),
      cmocka_unit_test_setup_teardown(arrays, setup, teardown),
      cmocka_unit_test_setup_teardown(records, setup, teardown),
      cmocka_unit_test_setup_teardown(discriminants, setup, teardown),
      cmocka_unit_test_setup_teardown(unions_in_unions, setup, teardown),
      cmocka_unit_test_setup_teardown(closures, setup, teardown),
      cmocka_unit_test_setup_teardown(trace_functions, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
