/* SPDX-License-Identifier: MIT */
/* test_walk.c -- walks: live objects once each and no dead ones, references from roots of every kind and from objects,
 * shortest ways, and none through the slot that asks; the census; wrong calls. tests/model/ident.c walks random heaps.
 * */
#include "../support/api.h"

#include <stdio.h>

#define OPTIONS "heap-max=64m,workers=2,verify=1"

struct seen {
  size_t objects, bytes, references, roots;
  uint64_t numbers; /* a bit a pair */
  varve_layout pair;
};

static void see_object(void *context, varve_object *object, size_t bytes) {
  struct seen *seen = context;
  ++seen->objects;
  seen->bytes += bytes;
  if (varve_object_layout(object) == seen->pair) seen->numbers |= (uint64_t)1 << ((struct pair *)object)->number;
}

static void see_reference(void *context, const varve_reference *reference) {
  struct seen *seen = context;
  ++seen->references;
  seen->roots += reference->root != NULL;
  assert_true((reference->root == NULL) == (reference->from != NULL));
  assert_true(*(const varve_word *)reference->slot == reference->word && varve_untag(reference->word) == reference->to);
  if (reference->from) assert_ptr_equal(reference->slot, (char *)reference->from + reference->offset);
}

static struct seen look(struct api *api) {
  struct seen seen = {.pair = api->pair};
  assert_int_equal(varve_walk_objects(api->me, see_object, &seen, NULL), VARVE_OK);
  return seen;
}

/* Garbage, fresh and old objects, small, medium and large ones; a cycle. */
static void live_objects_are_visited_once(void **state) {
  struct api api;
  (void)state;
  api_open(&api, OPTIONS);
  {
    VARVE_FRAME(f, api.me, a, b, array);
    f.a = api_pair(&api, 1, NULL, NULL);
    f.b = api_pair(&api, 2, &f.a, &f.a);
    varve_store(api.me, pair_of(f.a), &pair_of(f.a)->right, f.b);
    api_collect(&api, NULL);
    api_pair(&api, 3, &f.a, NULL);
    f.array = varve_tag(varve_alloc(api.me, api.array, 4096), 0);
    varve_word *slots = (varve_word *)varve_untag(f.array) + 1;
    slots[7] = api_pair(&api, 4, &f.b, NULL);
    f.array = varve_tag(varve_alloc(api.me, api.array, 1 << 20), 0);
    struct seen seen = look(&api);
    assert_int_equal(seen.objects, 3);
    assert_int_equal(seen.bytes, 2 * sizeof(struct pair) + (1 << 20));
    assert_int_equal(seen.numbers, 1 << 1 | 1 << 2);
  }
  assert_int_equal(look(&api).objects, 0);
  api_close(&api);
}

static void references_of_one_and_of_all(void **state) {
  struct api api;
  static varve_word global;
  (void)state;
  api_open(&api, OPTIONS);
  assert_int_equal(varve_root_slots_add(api.heap, "global", &global, 1, NULL), VARVE_OK);
  {
    VARVE_FRAME(f, api.me, a, b);
    f.a = global = api_pair(&api, 1, NULL, NULL);
    f.b = api_pair(&api, 2, &f.a, &f.a);
    varve_handle *handle = varve_handle_new(api.me, f.b);
    struct seen seen = {0}, all = {0};
    assert_int_equal(varve_walk_references(api.me, &f.a, see_reference, &seen, NULL), VARVE_OK);
    assert_int_equal(seen.references, 4);
    assert_int_equal(seen.roots, 2);
    assert_int_equal(varve_walk_references(api.me, NULL, see_reference, &all, NULL), VARVE_OK);
    assert_int_equal(all.references, 6);
    assert_int_equal(all.roots, 4);
    varve_handle_free(api.me, handle);
  }
  global = 0;
  assert_int_equal(varve_root_slots_remove(api.heap, &global), VARVE_OK);
  api_close(&api);
}

struct way {
  size_t steps;
  varve_object *last;
  char root[64];
  uint64_t numbers[8];
};

static void see_step(void *context, const varve_reference *reference) {
  struct way *way = context;
  if (way->steps) assert_ptr_equal(reference->from, way->last);
  else snprintf(way->root, sizeof way->root, "%s", reference->root);
  way->last = reference->to;
  way->numbers[way->steps++ % 8] = ((struct pair *)reference->to)->number;
}

/* Two ways lead to the target, of three and of four steps. */
static void the_shortest_way_is_found(void **state) {
  static varve_word global;
  struct api api;
  (void)state;
  api_open(&api, OPTIONS);
  assert_int_equal(varve_root_slots_add(api.heap, "global", &global, 1, NULL), VARVE_OK);
  {
    VARVE_FRAME(f, api.me, target, other);
    struct way way = {0};
    f.target = api_pair(&api, 1, NULL, NULL);
    f.other = api_pair(&api, 2, NULL, &f.target);
    f.other = api_pair(&api, 3, &f.other, NULL);
    f.other = api_pair(&api, 4, &f.other, NULL);
    global = api_pair(&api, 5, &f.target, NULL);
    global = api_pair(&api, 6, &f.other, &global);
    f.other = 0;
    assert_int_equal(varve_path_to(api.me, &f.target, see_step, &way, NULL), VARVE_OK);
    assert_int_equal(way.steps, 3);
    assert_string_equal(way.root, "slots global");
    assert_true(way.numbers[0] == 6 && way.numbers[1] == 5 && way.numbers[2] == 1);
    global = 0;
    way.steps = 0;
    assert_int_equal(varve_path_to(api.me, &f.target, see_step, &way, NULL), VARVE_OK);
    assert_int_equal(way.steps, 0);
    f.other = f.target;
    assert_int_equal(varve_path_to(api.me, &f.target, see_step, &way, NULL), VARVE_OK);
    assert_int_equal(way.steps, 1);
    assert_string_equal(way.root, "frames of mutator test");
  }
  assert_int_equal(varve_root_slots_remove(api.heap, &global), VARVE_OK);
  api_close(&api);
}

/* Longer than anything on a C stack or in a piece of the queue. */
static void long_ways_are_found(void **state) {
  enum { LENGTH = 300000 };
  struct api api;
  (void)state;
  api_open(&api, OPTIONS);
  {
    VARVE_FRAME(f, api.me, list, first);
    struct way way = {0};
    f.list = f.first = api_pair(&api, 0, NULL, NULL);
    for (unsigned i = 1; i < LENGTH; ++i) f.list = api_pair(&api, i, &f.list, NULL);
    assert_int_equal(varve_path_to(api.me, &f.first, see_step, &way, NULL), VARVE_OK);
    assert_int_equal(way.steps, LENGTH);
    assert_ptr_equal(way.last, varve_untag(f.first));
  }
  api_close(&api);
}

struct text {
  unsigned lines;
  char line[8][200];
};

static void keep_line(void *context, const char *line) {
  struct text *text = context;
  snprintf(text->line[text->lines++ % 8], sizeof text->line[0], "%s", line);
}

static void ways_are_printed(void **state) {
  struct api api;
  (void)state;
  api_open(&api, OPTIONS);
  {
    VARVE_FRAME(f, api.me, target, other);
    struct text text = {0};
    f.target = varve_tag(varve_alloc(api.me, api.data, 24), 0);
    f.other = api_pair(&api, 2, NULL, &f.target);
    assert_int_equal(varve_path_print(api.me, &f.target, keep_line, &text, NULL), VARVE_OK);
    assert_int_equal(text.lines, 2);
    assert_non_null(strstr(text.line[0], "frames of mutator test, slot 0x"));
    assert_non_null(strstr(text.line[0], "-> pair 0x"));
    assert_non_null(strstr(text.line[1], "+24 -> data 0x"));
    assert_non_null(strstr(text.line[1], ", 24 bytes"));
  }
  api_close(&api);
}

static void the_census_counts(void **state) {
  struct api api;
  (void)state;
  api_open(&api, OPTIONS);
  {
    VARVE_FRAME(f, api.me, list, array);
    struct text text = {0};
    char expected[200];
    for (unsigned i = 0; i < 10; ++i) f.list = api_pair(&api, i, &f.list, NULL);
    f.array = varve_tag(varve_alloc(api.me, api.array, 4096), 0);
    api_pair(&api, 11, NULL, NULL); /* garbage */
    assert_int_equal(varve_census_print(api.me, keep_line, &text, NULL), VARVE_OK);
    assert_int_equal(text.lines, 4);
    snprintf(expected, sizeof expected, "%14d %16d  array", 1, 4096);
    assert_string_equal(text.line[1], expected);
    snprintf(expected, sizeof expected, "%14d %16zu  pair", 10, 10 * sizeof(struct pair));
    assert_string_equal(text.line[2], expected);
    snprintf(expected, sizeof expected, "%14d %16zu  all", 11, 10 * sizeof(struct pair) + 4096);
    assert_string_equal(text.line[3], expected);
  }
  api_close(&api);
}

static void wrong_calls_are_refused(void **state) {
  struct api api;
  struct seen seen = {0};
  varve_word nothing = 0;
  varve_error error;
  (void)state;
  api_open(&api, OPTIONS);
  assert_int_equal(varve_walk_objects(api.me, NULL, NULL, &error), VARVE_ARGUMENT);
  assert_int_equal(varve_walk_references(api.me, &nothing, see_reference, &seen, &error), VARVE_ARGUMENT);
  assert_int_equal(varve_path_to(api.me, &nothing, see_reference, &seen, &error), VARVE_ARGUMENT);
  assert_int_equal(varve_path_to(api.me, NULL, see_reference, &seen, &error), VARVE_ARGUMENT);
  assert_int_equal(varve_path_print(api.me, &nothing, NULL, NULL, &error), VARVE_ARGUMENT);
  assert_int_equal(varve_census(api.me, NULL, NULL, &error), VARVE_ARGUMENT);
  assert_int_equal(varve_native_enter(api.me), VARVE_OK);
  assert_int_equal(varve_walk_objects(api.me, see_object, &seen, &error), VARVE_THREAD);
  assert_int_equal(varve_native_leave(api.me), VARVE_OK);
  assert_int_equal(seen.objects + seen.references, 0);
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(live_objects_are_visited_once), cmocka_unit_test(references_of_one_and_of_all),
      cmocka_unit_test(the_shortest_way_is_found),     cmocka_unit_test(long_ways_are_found),
      cmocka_unit_test(ways_are_printed),              cmocka_unit_test(the_census_counts),
      cmocka_unit_test(wrong_calls_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
