/* SPDX-License-Identifier: MIT */
/* test_api_root.c -- roots through the public interface: each kind keeps and updates its words, words that are no
 * references stay as they are, and slots that would belong to two tables are refused. */
#include "../support/api.h"

#include <pthread.h>

/* ---- frames and handles ---- */

static uint64_t nested(struct api *api, unsigned depth, varve_word outer) {
  VARVE_FRAME(f, api->me, mine, copy);
  f.copy = outer;
  f.mine = api_pair(api, depth, &f.copy, NULL);
  if (depth == 0) api_collect(api, NULL);
  else assert_int_equal(nested(api, depth - 1, f.mine), depth - 1);
  assert_int_equal(pair_of(f.mine)->number, depth);
  assert_true(pair_of(f.mine)->left == f.copy);
  return pair_of(f.mine)->number;
}

static void nested_frames(void **state) {
  struct api api;
  (void)state;
  api_open(&api, API_STRICT ",stress=1");
  assert_int_equal(nested(&api, 50, 0), 50);
  assert_null(api.me->frames);
  api_close(&api);
}

static void frame_arrays_and_early_exits(void **state) {
  struct api api;
  (void)state;
  api_open(&api, API_STRICT);
  for (int turn = 0; turn < 3; ++turn) {
    VARVE_FRAME_ARRAY(f, api.me, 40);
    for (uint64_t i = 0; i < 40; ++i) f.slot[i] = i % 2 ? api_pair(&api, i, NULL, NULL) : i << 3 | 5;
    api_collect(&api, NULL);
    for (uint64_t i = 0; i < 40; ++i)
      if (i % 2) assert_int_equal(pair_of(f.slot[i])->number, i);
      else assert_int_equal(f.slot[i], i << 3 | 5);
    if (turn == 1) continue;
  }
  assert_null(api.me->frames);
  api_close(&api);
}

static void handles(void **state) {
  enum { COUNT = 3000 };
  static varve_handle *handle[COUNT];
  struct api api;
  (void)state;
  api_open(&api, API_STRICT);
  for (uint64_t i = 0; i < COUNT; ++i) handle[i] = varve_handle_new(api.me, api_pair(&api, i, NULL, NULL));
  for (uint64_t i = 0; i < COUNT; i += 3) varve_handle_free(api.me, handle[i]);
  api_collect(&api, NULL);
  for (uint64_t i = 0; i < COUNT; i += 3) handle[i] = varve_handle_new(api.me, api_pair(&api, i, NULL, NULL));
  varve_handle_set(api.me, handle[7], varve_handle_get(handle[8]));
  api_collect(&api, NULL);
  for (uint64_t i = 0; i < COUNT; ++i)
    assert_int_equal(pair_of(varve_handle_get(handle[i]))->number, i == 7 ? 8 : i);
  api_close(&api); /* handles go with the heap */
}

/* ---- slots and overlaps ---- */

static void overlapping_slots_are_refused(void **state) {
  static varve_word words[64];
  struct api api;
  varve_error error = {0};
  (void)state;
  api_open(&api, API_STRICT);
  assert_int_equal(varve_root_slots_add(api.heap, "first", words + 10, 10, &error), VARVE_OK);
  assert_int_equal(varve_root_slots_add(api.heap, "second", words + 19, 5, &error), VARVE_OVERLAP);
  assert_non_null(strstr(error.detail, "first"));
  assert_non_null(strstr(error.detail, "second"));
  assert_int_equal(varve_root_slots_add(api.heap, "around", words, 64, &error), VARVE_OVERLAP);
  assert_int_equal(varve_root_slots_add(api.heap, "before", words, 10, &error), VARVE_OK);
  assert_int_equal(varve_root_slots_add(api.heap, "odd", (varve_word *)((char *)words + 324), 1, &error), VARVE_ROOT);
  assert_int_equal(varve_root_slots_add(api.heap, "none", words + 40, 0, &error), VARVE_ROOT);
  assert_int_equal(varve_root_slots_remove(api.heap, words + 11), VARVE_ROOT);
  assert_int_equal(varve_root_slots_remove(api.heap, words + 10), VARVE_OK);
  assert_int_equal(varve_root_slots_add(api.heap, "second", words + 19, 5, &error), VARVE_OK);
  api_close(&api);
}

static varve_status add_array(struct api *api, varve_word *base, size_t stride, size_t count, varve_refs **out) {
  return varve_ref_array_add(api->heap, &(varve_ref_array){.name = "array", .base = base, .stride = stride,
                                                           .count = count}, out, NULL);
}

static void overlapping_strides_are_refused(void **state) {
  static varve_word words[256];
  struct api api;
  varve_refs *a, *b, *c;
  (void)state;
  api_open(&api, API_STRICT);
  assert_int_equal(add_array(&api, words, 24, 20, &a), VARVE_OK);     /* 0, 3, 6, ... 57 */
  assert_int_equal(add_array(&api, words + 1, 24, 20, &b), VARVE_OK); /* 1, 4, ... interleaves */
  assert_int_equal(add_array(&api, words + 2, 16, 3, &c), VARVE_OVERLAP);  /* 2, 4: b has 4 */
  assert_int_equal(add_array(&api, words + 3, 24, 2, &c), VARVE_OVERLAP);
  assert_int_equal(add_array(&api, words + 2, 24, 20, &c), VARVE_OK); /* 2, 5, ... */
  assert_int_equal(varve_root_slots_add(api.heap, "slots", words + 59, 2, NULL), VARVE_OVERLAP); /* c has 59 */
  assert_int_equal(varve_root_slots_add(api.heap, "slots", words + 60, 2, NULL), VARVE_OK);
  assert_int_equal(varve_ref_array_update(a, words, 21, NULL, NULL), VARVE_OVERLAP); /* would take 60 */
  assert_int_equal(varve_ref_array_update(a, words + 100, 30, NULL, NULL), VARVE_OK);
  assert_int_equal(add_array(&api, words + 103, 40, 2, &b), VARVE_OVERLAP);
  assert_int_equal(add_array(&api, words + 201, 12, 2, &b), VARVE_ROOT);
  api_close(&api);
}

/* ---- Ref words ---- */

struct node {
  uint32_t kind, port;
  varve_word ref;
  uint64_t other;
};

static void ref_arrays_in_host_structs(void **state) {
  static struct node nodes[200];
  static uint64_t bitmap[4];
  struct api api;
  varve_refs *refs;
  (void)state;
  api_open(&api, API_STRICT ",ref-tags=12"); /* tags 2 and 3 */
  varve_ref_array array = {.name = "nodes", .base = &nodes[0].ref, .stride = sizeof nodes[0], .count = 200,
                           .bitmap = bitmap};
  assert_int_equal(varve_ref_array_add(api.heap, &array, &refs, NULL), VARVE_OK);
  for (uint64_t i = 0; i < 200; ++i) {
    varve_word word = api_pair(&api, i, NULL, NULL);
    nodes[i] = (struct node){1, 2, 0xdead0008, word};
    if (i % 3 == 0) continue;
    varve_ref_store(api.me, refs, &nodes[i].ref, word | (i % 3 == 1 ? 2 + i % 2 : 5)); /* 5: no reference */
    bitmap[i / 64] |= 1ull << i % 64;
  }
  struct node before[200];
  memcpy(before, nodes, sizeof nodes);
  api_collect(&api, NULL);
  for (uint64_t i = 0; i < 200; ++i) {
    assert_int_equal(nodes[i].other, before[i].other);
    if (i % 3 != 1) {
      assert_int_equal(nodes[i].ref, before[i].ref);
      continue;
    }
    assert_int_equal(nodes[i].ref & 7, before[i].ref & 7);
    assert_int_equal(pair_of(nodes[i].ref)->number, i);
  }
  varve_ref_array_remove(refs);
  api_close(&api);
}

static void slab_words(void **state) {
  enum { COUNT = 10000 };
  static varve_word *slot[COUNT];
  struct api api;
  varve_slab_cursor one, two;
  (void)state;
  api_open(&api, API_STRICT);
  varve_refs *slab = varve_slab_create(api.heap, "slab");
  assert_non_null(slab);
  varve_slab_cursor_open(&one, slab);
  varve_slab_cursor_open(&two, slab);
  for (uint64_t i = 0; i < COUNT; ++i) {
    slot[i] = varve_slab_take(i % 2 ? &one : &two, api.me, api_pair(&api, i, NULL, NULL));
    assert_non_null(slot[i]);
  }
  for (uint64_t i = 0; i < COUNT; i += 4) varve_slab_give(slab, slot[i]);
  assert_int_equal(varve_slab_count(slab), COUNT - COUNT / 4);
  api_collect(&api, NULL);
  for (uint64_t i = 0; i < COUNT; ++i)
    if (i % 4) assert_int_equal(pair_of(varve_ref_load(slot[i]))->number, i);
  for (uint64_t i = 0; i < COUNT; ++i)
    if (i % 4) varve_slab_give(slab, slot[i]);
  varve_slab_cursor_close(&one);
  varve_slab_cursor_close(&two);
  assert_int_equal(varve_slab_count(slab), 0);
  varve_slab_destroy(slab);
  api_close(&api);
}

static void exchange_and_compare(void **state) {
  struct api api;
  varve_slab_cursor cursor;
  (void)state;
  api_open(&api, API_STRICT);
  varve_refs *slab = varve_slab_create(api.heap, NULL);
  varve_slab_cursor_open(&cursor, slab);
  varve_word *slot = varve_slab_take(&cursor, api.me, 40);
  varve_word expected = 48;
  assert_false(varve_ref_cas(api.me, slab, slot, &expected, 56));
  assert_int_equal(expected, 40);
  assert_true(varve_ref_cas(api.me, slab, slot, &expected, 56));
  assert_int_equal(varve_ref_exchange(api.me, slab, slot, 64), 56);
  assert_int_equal(varve_ffi_ref_load(slot), 64);
  api_close(&api); /* the slab goes with the heap */
}

/* ---- callbacks ---- */

struct part_roots {
  varve_word slot[12];
  unsigned seen[3];
};

static void visit_part(void *context, size_t part, varve_visitor *visitor) {
  struct part_roots *roots = context;
  __atomic_fetch_add(&roots->seen[part], 1, __ATOMIC_RELAXED);
  varve_visit_range(visitor, roots->slot + 4 * part, 3);
  varve_visit(visitor, &roots->slot[4 * part + 3]);
}

static void callbacks_in_parts(void **state) {
  static struct part_roots roots;
  struct api api;
  (void)state;
  api_open(&api, API_STRICT);
  assert_int_equal(varve_root_callback_add(api.heap, "none", visit_part, &roots, 0, NULL), VARVE_ROOT);
  assert_int_equal(varve_root_callback_add(api.heap, "parts", visit_part, &roots, 3, NULL), VARVE_OK);
  assert_int_equal(varve_root_callback_add(api.heap, "again", visit_part, &roots, 3, NULL), VARVE_ROOT);
  for (uint64_t i = 0; i < 12; ++i) roots.slot[i] = api_pair(&api, i, NULL, NULL);
  api_collect(&api, NULL);
  for (uint64_t i = 0; i < 12; ++i) assert_int_equal(pair_of(roots.slot[i])->number, i);
  for (size_t i = 0; i < 3; ++i) assert_true(roots.seen[i] >= 2);
  assert_int_equal(varve_root_callback_remove(api.heap, visit_part, &roots), VARVE_OK);
  assert_int_equal(varve_root_callback_remove(api.heap, visit_part, &roots), VARVE_ROOT);
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nested_frames),
      cmocka_unit_test(frame_arrays_and_early_exits),
      cmocka_unit_test(handles),
      cmocka_unit_test(overlapping_slots_are_refused),
      cmocka_unit_test(overlapping_strides_are_refused),
      cmocka_unit_test(ref_arrays_in_host_structs),
      cmocka_unit_test(slab_words),
      cmocka_unit_test(exchange_and_compare),
      cmocka_unit_test(callbacks_in_parts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
