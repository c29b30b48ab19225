/* SPDX-License-Identifier: MIT */
/* test_walk_weak.c -- walks meet what is alive and nothing else: weak slots, ephemerons in either order and in long
 * chains, queued finalizers, narrow slots, searched stacks.
 */
#include "../support/api.h"

#include <stdio.h>
#include <stdlib.h>

#define OPTIONS "heap-max=64m,workers=2,verify=1"
#define CHAIN 100000u

struct table {
  varve_object header;
  uint64_t library;
  varve_ephemeron entry[];
};

struct cell {
  varve_object header;
  uint64_t library;
  varve_word target;
};

struct world {
  struct api api;
  varve_layout table, cell;
};

static void open_world(struct world *w, const char *options) {
  api_open(&w->api, options);
  w->table = api_layout(w->api.heap, &(varve_layout_desc){.name = "table", .kind = VARVE_LAYOUT_EPHEMERONS});
  w->cell = api_layout(w->api.heap, &(varve_layout_desc){.name = "cell", .kind = VARVE_LAYOUT_WEAK});
}

static varve_word table_of(struct world *w, size_t entries) {
  struct table *table = varve_alloc(w->api.me, w->table, sizeof *table + entries * sizeof table->entry[0]);
  assert_non_null(table);
  return varve_tag(table, 0);
}

static void set_entry(struct world *w, varve_word table, size_t i, varve_word key, varve_word value) {
  struct table *at = (struct table *)varve_untag(table);
  varve_store(w->api.me, at, &at->entry[i].key, key);
  varve_store(w->api.me, at, &at->entry[i].value, value);
}

/* Pairs by number, below 64. */
struct seen {
  varve_layout pair;
  size_t objects;
  uint64_t numbers;
};

static void see(void *context, varve_object *object, size_t bytes) {
  struct seen *seen = context;
  (void)bytes;
  ++seen->objects;
  if (varve_object_layout(object) == seen->pair) seen->numbers |= UINT64_C(1) << ((struct pair *)object)->number % 64;
}

static struct seen look(struct world *w) {
  struct seen seen = {.pair = w->api.pair};
  assert_int_equal(varve_walk_objects(w->api.me, see, &seen, NULL), VARVE_OK);
  return seen;
}

static void count(void *context, const varve_reference *reference) {
  (void)reference;
  ++*(size_t *)context;
}

static void a_weak_slot_is_no_reference(void **state) {
  struct world w;
  size_t references = 0;
  (void)state;
  open_world(&w, OPTIONS);
  {
    VARVE_FRAME(f, w.api.me, cell, target);
    f.target = api_pair(&w.api, 1, NULL, NULL);
    struct cell *cell = varve_alloc(w.api.me, w.cell, sizeof *cell);
    varve_init(w.api.me, cell, &cell->target, f.target);
    f.cell = varve_tag(cell, 0);
    assert_int_equal(look(&w).objects, 2);
    assert_int_equal(varve_walk_references(w.api.me, &f.target, count, &references, NULL), VARVE_OK);
    assert_int_equal(references, 1);
    f.target = 0;
    assert_int_equal(look(&w).objects, 1);
  }
  api_close(&w.api);
}

/* Roots are visited in the order of slots: the first table is met before its key, the second after. */
static void values_live_with_their_keys(void **state) {
  struct world w;
  (void)state;
  open_world(&w, OPTIONS);
  {
    VARVE_FRAME(f, w.api.me, early, key, late, value);
    f.early = table_of(&w, 2);
    f.late = table_of(&w, 2);
    f.key = api_pair(&w.api, 1, NULL, NULL);
    f.value = api_pair(&w.api, 2, NULL, NULL);
    set_entry(&w, f.early, 0, f.key, f.value);
    f.value = api_pair(&w.api, 3, NULL, NULL);
    set_entry(&w, f.late, 0, f.key, f.value);
    f.value = api_pair(&w.api, 4, NULL, NULL);
    set_entry(&w, f.early, 1, f.value, f.value); /* its own key: dead when nobody else has it */
    f.value = api_pair(&w.api, 5, NULL, NULL);
    set_entry(&w, f.late, 1, 7 << 3 | 1, f.value); /* what is no reference always lives */
    f.value = 0;
    assert_int_equal(look(&w).numbers, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 5);
    f.key = 0;
    assert_int_equal(look(&w).numbers, 1 << 5);
  }
  api_close(&w.api);
}

/* Each value is the key of the entry before it: rounds over all entries would take one each. */
static void long_chains_take_no_longer(void **state) {
  struct world w;
  (void)state;
  open_world(&w, OPTIONS);
  {
    VARVE_FRAME(f, w.api.me, table, key, value);
    f.table = table_of(&w, CHAIN);
    f.value = api_pair(&w.api, 1, NULL, NULL);
    for (size_t i = 0; i < CHAIN; ++i) {
      f.key = api_pair(&w.api, 2, NULL, NULL);
      set_entry(&w, f.table, i, f.key, f.value);
      f.value = f.key;
    }
    f.value = 0;
    assert_int_equal(look(&w).objects, CHAIN + 2);
    f.key = 0;
    assert_int_equal(look(&w).objects, 1);
  }
  api_close(&w.api);
}

struct way {
  size_t steps;
  char root[64];
  varve_object *from[4];
};

static void see_step(void *context, const varve_reference *reference) {
  struct way *way = context;
  if (reference->root) snprintf(way->root, sizeof way->root, "%s", reference->root);
  if (way->steps < 4) way->from[way->steps] = reference->from;
  ++way->steps;
}

/* The key also refers to another table with that key: its entry is none on the way. */
static void a_way_leads_through_an_entry(void **state) {
  struct world w;
  (void)state;
  open_world(&w, OPTIONS);
  {
    VARVE_FRAME(f, w.api.me, table, other, key, value);
    f.table = table_of(&w, 1);
    f.other = table_of(&w, 1);
    f.key = api_pair(&w.api, 1, NULL, NULL);
    f.value = api_pair(&w.api, 2, NULL, NULL);
    set_entry(&w, f.other, 0, f.key, f.key);
    set_entry(&w, f.table, 0, f.key, f.value);
    struct way way = {0};
    assert_int_equal(varve_path_to(w.api.me, &f.value, see_step, &way, NULL), VARVE_OK);
    assert_int_equal(way.steps, 2);
    assert_null(way.from[0]);
    assert_ptr_equal(way.from[1], varve_untag(f.table));
  }
  api_close(&w.api);
}

static void queued_objects_are_alive(void **state) {
  struct world w;
  static varve_word slot;
  (void)state;
  open_world(&w, OPTIONS);
  assert_int_equal(varve_root_slots_add(w.api.heap, "slot", &slot, 1, NULL), VARVE_OK);
  varve_word leaf = api_pair(&w.api, 1, NULL, NULL);
  varve_word object = api_pair(&w.api, 2, &leaf, NULL);
  assert_true(varve_finalizer_attach(w.api.me, varve_untag(object), 0, NULL, NULL));
  assert_int_equal(look(&w).objects, 0);
  api_collect(&w.api, NULL);
  assert_int_equal(look(&w).numbers, 1 << 1 | 1 << 2);
  varve_finalization taken;
  assert_true(varve_finalizer_next(w.api.me, &taken));
  slot = varve_tag(taken.object, 0);
  assert_true(varve_finalizer_attach(w.api.me, taken.object, 0, NULL, NULL));
  slot = 0;
  api_collect(&w.api, NULL);
  assert_true(varve_finalizers_queued(w.api.heap) == 1);
  assert_true(varve_finalizer_next(w.api.me, &taken));
  slot = varve_tag(taken.object, 0);
  struct way way = {0};
  assert_int_equal(varve_path_to(w.api.me, &slot, see_step, &way, NULL), VARVE_OK);
  assert_int_equal(way.steps, 0);
  slot = 0;
  assert_int_equal(look(&w).objects, 0);
  assert_int_equal(varve_root_slots_remove(w.api.heap, &slot), VARVE_OK);
  api_close(&w.api);
}

static void the_queue_is_a_root(void **state) {
  struct world w;
  (void)state;
  open_world(&w, OPTIONS);
  {
    VARVE_FRAME(f, w.api.me, cell);
    varve_word object = api_pair(&w.api, 2, NULL, NULL);
    assert_true(varve_finalizer_attach(w.api.me, varve_untag(object), 0, NULL, NULL));
    api_collect(&w.api, NULL);
    struct way way = {0};
    size_t references = 0;
    assert_int_equal(varve_walk_references(w.api.me, NULL, count, &references, NULL), VARVE_OK);
    assert_int_equal(references, 1);
    assert_int_equal(varve_walk_references(w.api.me, NULL, see_step, &way, NULL), VARVE_OK);
    assert_string_equal(way.root, "queue of finalizers");
  }
  api_close(&w.api);
}

struct half {
  varve_object header;
  varve_narrow slot[2];
};

static void see_narrow(void *context, const varve_reference *reference) {
  struct half *half = *(struct half **)context;
  if (!reference->from) return;
  assert_ptr_equal(reference->slot, &half->slot[1]);
  assert_int_equal(reference->word, half->slot[1]);
  assert_int_equal(reference->offset, offsetof(struct half, slot) + 4);
  *(struct half **)context = NULL;
}

static void narrow_slots_are_references(void **state) {
  static const uint32_t offsets[] = {8, 12};
  struct world w;
  varve_narrow_coding coding;
  (void)state;
  open_world(&w, OPTIONS ",narrow=1,narrow-tags=4");
  assert_int_equal(varve_narrow_coding_get(w.api.heap, &coding), VARVE_OK);
  varve_layout layout = api_layout(w.api.heap, &(varve_layout_desc){.name = "half", .kind = VARVE_LAYOUT_OFFSETS,
                                                                    .narrow_offsets = offsets, .narrow_count = 2});
  {
    VARVE_FRAME(f, w.api.me, half, target);
    f.target = api_pair(&w.api, 1, NULL, NULL);
    struct half *half = varve_alloc(w.api.me, layout, sizeof *half), *told;
    half->slot[1] = varve_narrow_tag(&coding, varve_untag(f.target), 2);
    f.half = varve_tag(half, 0);
    f.target = 0;
    assert_int_equal(look(&w).objects, 2);
    told = half = (struct half *)varve_untag(f.half);
    assert_int_equal(varve_walk_references(w.api.me, NULL, see_narrow, &told, NULL), VARVE_OK);
    assert_null(told);
    half->slot[1] = varve_narrow_tag(&coding, half, 3); /* no tag of references */
    assert_int_equal(look(&w).objects, 1);
  }
  api_close(&w.api);
}

/* Not a leaf: what it leaves in registers is gone when it has returned. */
static __attribute__((noinline)) void hold(struct world *w, void *volatile *place) {
  *place = varve_untag(api_pair(&w->api, 9, NULL, NULL));
}

static void what_stacks_hold_is_alive(void **state) {
  struct world w;
  void *volatile place = NULL;
  (void)state;
#if !defined(__x86_64__) || defined(__SANITIZE_ADDRESS__)
  skip(); /* frames may be elsewhere */
#endif
  open_world(&w, OPTIONS ",conservative-roots=1");
  hold(&w, &place);
  assert_int_equal(look(&w).numbers, 1 << 9);
  place = NULL;
  api_close(&w.api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_weak_slot_is_no_reference), cmocka_unit_test(values_live_with_their_keys),
    cmocka_unit_test(long_chains_take_no_longer),  cmocka_unit_test(a_way_leads_through_an_entry),
    cmocka_unit_test(queued_objects_are_alive),    cmocka_unit_test(the_queue_is_a_root),
    cmocka_unit_test(narrow_slots_are_references), cmocka_unit_test(what_stacks_hold_is_alive),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
