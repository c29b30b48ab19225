/* SPDX-License-Identifier: MIT */
/* test_weak.c -- weak cells and arrays, ephemerons: what is cleared when, in full and young collections; long chains of
 * ephemerons take time in proportion to their length. */
#define _POSIX_C_SOURCE 200809L

#include "../support/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define YOUNG "heap-max=64m,workers=2,parallel-min=0,verify=2,poison=1"
#define CLEARED 3u /* no reference: slot-tags are 0 alone */
#define LARGE ((size_t)40000)

struct cell {
  varve_object header;
  uint64_t library;
  varve_word strong, target;
};

struct table {
  varve_object header;
  uint64_t library;
  varve_word next;
  varve_ephemeron entry[];
};

struct weak {
  struct api api;
  varve_layout before, after, array, table;
};

static const uint32_t strong_offsets[] = {16};

static varve_layout weak_layout(struct weak *w, varve_layout_kind kind, varve_weak_when when, bool strong) {
  return api_layout(w->api.heap, &(varve_layout_desc){.name = "weak", .kind = kind, .offsets = strong_offsets,
                                                      .offset_count = strong, .first = strong ? 24 : 16,
                                                      .weak = {.when = when, .cleared = CLEARED}});
}

static void open_weak(struct weak *w, const char *options) {
  api_open(&w->api, options);
  w->before = weak_layout(w, VARVE_LAYOUT_WEAK, VARVE_WEAK_BEFORE, true);
  w->after = weak_layout(w, VARVE_LAYOUT_WEAK, VARVE_WEAK_AFTER, true);
  w->array = weak_layout(w, VARVE_LAYOUT_WEAK, VARVE_WEAK_BEFORE, false);
  w->table = weak_layout(w, VARVE_LAYOUT_EPHEMERONS, VARVE_WEAK_BEFORE, true);
}

static varve_word new_cell(struct weak *w, varve_layout layout, const varve_word *target) {
  struct cell *cell = varve_alloc(w->api.me, layout, sizeof *cell);
  assert_non_null(cell);
  varve_init(w->api.me, cell, &cell->target, *target);
  return varve_tag(cell, 0);
}

static varve_word new_table(struct weak *w, size_t entries) {
  struct table *table = varve_alloc(w->api.me, w->table, sizeof *table + entries * sizeof(varve_ephemeron));
  assert_non_null(table);
  return varve_tag(table, 0);
}

static struct cell *cell_of(varve_word word) { return (struct cell *)varve_untag(word); }
static struct table *table_of(varve_word word) { return (struct table *)varve_untag(word); }

static void set_entry(struct weak *w, varve_word table, size_t i, varve_word key, varve_word value) {
  struct table *t = table_of(table);
  varve_store(w->api.me, t, &t->entry[i].key, key);
  varve_store(w->api.me, t, &t->entry[i].value, value);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- cells and arrays ---- */

static void cells_are_cleared(void **state) {
  (void)state;
  struct weak w;
  varve_collection_stats stats;
  open_weak(&w, API_STRICT);
  {
    VARVE_FRAME(f, w.api.me, kept, dead, one, two, strong);
    f.kept = api_pair(&w.api, 1, NULL, NULL);
    f.dead = api_pair(&w.api, 2, NULL, NULL);
    f.one = new_cell(&w, w.before, &f.kept);
    f.two = new_cell(&w, w.after, &f.dead);
    f.strong = api_pair(&w.api, 3, NULL, NULL);
    varve_store(w.api.me, cell_of(f.two), &cell_of(f.two)->strong, f.strong);
    f.dead = f.strong = 0;
    api_collect(&w.api, &stats);
    assert_int_equal(cell_of(f.one)->target, f.kept);
    assert_int_equal(cell_of(f.two)->target, CLEARED);
    assert_int_equal(pair_of(cell_of(f.two)->strong)->number, 3);
    assert_int_equal(stats.weak_cleared, 1);
    f.kept = 0;
    api_collect(&w.api, NULL);
    assert_int_equal(cell_of(f.one)->target, CLEARED);
  }
  api_close(&w.api);
}

/* Every other target is kept by a strong array. */
static void check_array(const char *options, size_t count) {
  struct weak w;
  varve_collection_stats stats;
  open_weak(&w, options);
  {
    VARVE_FRAME(f, w.api.me, weak, strong);
    f.weak = varve_tag(varve_alloc(w.api.me, w.array, 16 + count * 8), 0);
    f.strong = varve_tag(varve_alloc(w.api.me, w.api.array, 8 + count * 8), 0);
    for (size_t i = 0; i < count; ++i) {
      varve_word pair = api_pair(&w.api, i, NULL, NULL);
      varve_word *slot = (varve_word *)varve_untag(f.weak) + 2 + i;
      varve_store(w.api.me, varve_untag(f.weak), slot, pair);
      slot = (varve_word *)varve_untag(f.strong) + 1 + i;
      if (i % 2) varve_store(w.api.me, varve_untag(f.strong), slot, pair);
    }
    api_collect(&w.api, &stats);
    assert_int_equal(stats.weak_cleared, (count + 1) / 2);
    for (size_t i = 0; i < count; ++i) {
      varve_word word = ((varve_word *)varve_untag(f.weak))[2 + i];
      if (i % 2) assert_int_equal(pair_of(word)->number, i);
      else assert_int_equal(word, CLEARED);
    }
  }
  api_close(&w.api);
}

static void arrays_are_cleared(void **state) {
  (void)state;
  check_array(API_STRICT, 9);
  check_array(API_STRICT, 1000);
  check_array(API_STRICT ",mark-segments=1", 2000);
  check_array(API_STRICT, LARGE);
}

/* ---- young collections ---- */

static void old_cell_young_target(void **state) {
  (void)state;
  struct weak w;
  open_weak(&w, YOUNG);
  {
    VARVE_FRAME(f, w.api.me, cell, array, kept, dead, old);
    f.kept = f.dead = f.old = api_pair(&w.api, 0, NULL, NULL);
    f.cell = new_cell(&w, w.before, &f.kept);
    f.array = varve_tag(varve_alloc(w.api.me, w.array, 16 + LARGE * 8), 0);
    api_collect(&w.api, NULL);
    f.kept = api_pair(&w.api, 1, NULL, NULL);
    f.dead = api_pair(&w.api, 2, NULL, NULL);
    varve_store(w.api.me, cell_of(f.cell), &cell_of(f.cell)->target, f.dead);
    varve_word *slots = (varve_word *)varve_untag(f.array) + 2;
    varve_store(w.api.me, varve_untag(f.array), &slots[0], f.kept);
    varve_store(w.api.me, varve_untag(f.array), &slots[LARGE / 2], f.dead);
    varve_store(w.api.me, varve_untag(f.array), &slots[LARGE - 1], f.old);
    f.dead = 0;
    api_collect_newest(&w.api, NULL);
    slots = (varve_word *)varve_untag(f.array) + 2;
    assert_int_equal(cell_of(f.cell)->target, CLEARED);
    assert_int_equal(slots[0], f.kept);
    assert_int_equal(slots[LARGE / 2], CLEARED);
    assert_int_equal(slots[LARGE - 1], f.old);
    f.old = 0;
    api_collect_newest(&w.api, NULL);
    assert_int_not_equal(((varve_word *)varve_untag(f.array))[2 + LARGE - 1], CLEARED); /* old, and not looked at */
    api_collect(&w.api, NULL);
    assert_int_equal(((varve_word *)varve_untag(f.array))[2 + LARGE - 1], CLEARED);
  }
  api_close(&w.api);
}

static void old_table_young_entry(void **state) {
  (void)state;
  struct weak w;
  open_weak(&w, YOUNG);
  {
    VARVE_FRAME(f, w.api.me, table, key, other);
    f.table = new_table(&w, 4);
    f.key = api_pair(&w.api, 0, NULL, NULL);
    api_collect(&w.api, NULL);
    f.other = api_pair(&w.api, 1, NULL, NULL);
    set_entry(&w, f.table, 0, f.key, f.other); /* old key, young value */
    f.other = api_pair(&w.api, 2, NULL, NULL);
    set_entry(&w, f.table, 1, f.other, f.other); /* a value that is its own key */
    f.other = api_pair(&w.api, 3, NULL, NULL);
    set_entry(&w, f.table, 2, f.other, f.key);
    f.key = 0;
    api_collect_newest(&w.api, NULL);
    assert_int_equal(pair_of(table_of(f.table)->entry[0].value)->number, 1);
    assert_int_equal(table_of(f.table)->entry[1].key, CLEARED);
    assert_int_equal(table_of(f.table)->entry[1].value, CLEARED);
    assert_int_equal(table_of(f.table)->entry[2].key, f.other);
    api_collect(&w.api, NULL);
    assert_int_equal(pair_of(table_of(f.table)->entry[2].value)->number, 0);
    f.other = 0;
    api_collect(&w.api, NULL);
    assert_int_equal(table_of(f.table)->entry[0].key, CLEARED);
    assert_int_equal(table_of(f.table)->entry[2].key, CLEARED);
  }
  api_close(&w.api);
}

/* ---- chains ---- */

/* Entry i has the value of entry i - 1 as its key; in one table, or a table each; with entries in either order. */
struct chain {
  struct weak w;
  size_t count;
  bool backwards, many;
};

static varve_word *entry_at(struct chain *c, varve_word tables, size_t i) {
  size_t place = c->backwards ? c->count - 1 - i : i;
  if (!c->many) return &table_of(tables)->entry[place].key;
  return &table_of(((varve_word *)varve_untag(tables))[1 + place])->entry[0].key;
}

static void build_chain(struct chain *c, varve_word *tables, const varve_word *first) {
  VARVE_FRAME(f, c->w.api.me, last, next);
  if (c->many) *tables = varve_tag(varve_alloc(c->w.api.me, c->w.api.array, 8 + c->count * 8), 0);
  else *tables = new_table(&c->w, c->count);
  for (size_t i = 0; c->many && i < c->count; ++i) {
    varve_word table = new_table(&c->w, 1);
    varve_word *slot = (varve_word *)varve_untag(*tables) + 1 + i;
    varve_store(c->w.api.me, varve_untag(*tables), slot, table);
  }
  f.last = *first;
  for (size_t i = 0; i < c->count; ++i) {
    f.next = api_pair(&c->w.api, i + 1, NULL, NULL);
    varve_word *entry = entry_at(c, *tables, i);
    void *holder = c->many ? (char *)entry - offsetof(struct table, entry) : (char *)varve_untag(*tables);
    varve_store(c->w.api.me, holder, &entry[0], f.last);
    varve_store(c->w.api.me, holder, &entry[1], f.next);
    f.last = f.next;
  }
}

static double run_chain(const char *options, size_t count, bool many, bool backwards) {
  struct chain c = {.count = count, .many = many, .backwards = backwards};
  varve_collection_stats stats;
  double weak;
  open_weak(&c.w, options);
  {
    VARVE_FRAME(f, c.w.api.me, tables, first);
    f.first = api_pair(&c.w.api, 0, NULL, NULL);
    build_chain(&c, &f.tables, &f.first);
    api_collect(&c.w.api, NULL);
    api_collect(&c.w.api, &stats);
    weak = (double)stats.weak_ns / 1e9;
    assert_int_equal(stats.ephemerons, count);
    for (size_t i = 0; i < count; ++i) assert_int_equal(pair_of(entry_at(&c, f.tables, i)[1])->number, i + 1);
    f.first = 0;
    api_collect(&c.w.api, &stats);
    assert_int_equal(stats.ephemerons_cleared, count);
    for (size_t i = 0; i < count; ++i) assert_int_equal(entry_at(&c, f.tables, i)[0], CLEARED);
  }
  api_close(&c.w.api);
  return weak;
}

static void chains_hold(void **state) {
  (void)state;
  for (int many = 0; many < 2; ++many)
    for (int backwards = 0; backwards < 2; ++backwards) {
      run_chain(API_STRICT, 300, many, backwards);
      run_chain(API_STRICT ",mark-segments=1", 300, many, backwards);
      run_chain(API_STRICT ",workers=1", 5000, many, false);
    }
}

/* Rounds over all entries would take some 10^10 steps. Each link is several cache misses that wait for each other. */
static void long_chains(void **state) {
  (void)state;
  for (int many = 0; many < 2; ++many)
    for (int backwards = 0; backwards < 2; ++backwards) {
      double spent = 10;
      for (int i = 0; i < 3 && spent > 0.25; ++i) spent = run_chain("heap-max=256m", 200000, many, backwards);
      printf("a chain of 200000, %s, %s: %.1f ms\n", many ? "a table each" : "one table",
             backwards ? "backwards" : "forwards", spent * 1e3);
      if (spent > 5) fail_msg("%f s", spent);
    }
}

/* ---- many keys, many cells: compared with plain objects ---- */

static varve_word array_of_pairs(struct weak *w, size_t count) {
  VARVE_FRAME(f, w->api.me, array);
  f.array = varve_tag(varve_alloc(w->api.me, w->api.array, 8 + count * 8), 0);
  for (size_t i = 0; i < count; ++i) {
    varve_word pair = api_pair(&w->api, i, NULL, NULL);
    varve_store(w->api.me, varve_untag(f.array), (varve_word *)varve_untag(f.array) + 1 + i, pair);
  }
  return f.array;
}

static double mark_seconds(struct weak *w) {
  double best = 1e9;
  for (int i = 0; i < 3; ++i) {
    varve_collection_stats stats;
    api_collect(&w->api, &stats);
    if (best > (double)stats.mark_ns / 1e9) best = (double)stats.mark_ns / 1e9;
  }
  return best;
}

#define MILLION ((size_t)1000000)

static void million_keys(void **state) {
  (void)state;
  struct weak w;
  varve_collection_stats stats;
  open_weak(&w, "heap-max=512m");
  {
    VARVE_FRAME(f, w.api.me, keys, table);
    f.keys = array_of_pairs(&w, MILLION);
    double plain = mark_seconds(&w);
    f.table = new_table(&w, MILLION);
    for (size_t i = 0; i < MILLION; ++i) {
      varve_word pair = api_pair(&w.api, i, NULL, NULL);
      set_entry(&w, f.table, i, ((varve_word *)varve_untag(f.keys))[1 + i], pair);
    }
    api_collect(&w.api, &stats);
    assert_int_equal(stats.ephemerons, MILLION);
    if (stats.weak_ns / 1e9 > 0.05 + 20 * plain) fail_msg("alive: %f, plain %f", stats.weak_ns / 1e9, plain);
    f.keys = 0;
    api_collect(&w.api, &stats);
    assert_int_equal(stats.ephemerons_cleared, MILLION);
    if (stats.weak_ns / 1e9 > 0.05 + 20 * plain) fail_msg("dead: %f, plain %f", stats.weak_ns / 1e9, plain);
    printf("a million keys: plain %.1f ms, dead %.1f ms\n", plain * 1e3, stats.weak_ns / 1e6);
  }
  api_close(&w.api);
}

static void million_cells(void **state) {
  (void)state;
  struct weak w;
  varve_collection_stats stats;
  open_weak(&w, "heap-max=512m");
  {
    VARVE_FRAME(f, w.api.me, targets, cells);
    f.targets = array_of_pairs(&w, MILLION);
    f.cells = array_of_pairs(&w, MILLION);
    double plain = mark_seconds(&w);
    for (size_t i = 0; i < MILLION; ++i) {
      varve_word cell = new_cell(&w, w.before, (varve_word *)varve_untag(f.targets) + 1 + i);
      varve_store(w.api.me, varve_untag(f.cells), (varve_word *)varve_untag(f.cells) + 1 + i, cell);
    }
    f.targets = 0;
    api_collect(&w.api, &stats);
    assert_int_equal(stats.weak_cleared, MILLION);
    if (stats.weak_ns / 1e9 > 0.05 + 10 * plain) fail_msg("%f, plain %f", stats.weak_ns / 1e9, plain);
    printf("a million cells: plain %.1f ms, weak %.1f ms, mark %.1f ms\n", plain * 1e3, stats.weak_ns / 1e6,
           stats.mark_ns / 1e6);
  }
  api_close(&w.api);
}

/* A million entries of one key, which is reached last; other objects must not look at them all. */
static void one_key(void **state) {
  (void)state;
  struct weak w;
  varve_collection_stats stats;
  open_weak(&w, "heap-max=512m");
  {
    VARVE_FRAME(f, w.api.me, table, key, root, list);
    f.root = api_pair(&w.api, 0, NULL, NULL);
    f.key = api_pair(&w.api, 1, NULL, NULL);
    f.table = new_table(&w, MILLION);
    for (size_t i = 0; i + 1 < MILLION; ++i) set_entry(&w, f.table, i, f.key, f.root);
    f.list = f.key;
    for (size_t i = 0; i < MILLION; ++i) f.list = api_pair(&w.api, i, &f.list, NULL);
    set_entry(&w, f.table, MILLION - 1, f.root, f.list);
    f.list = f.key = 0;
    double began = seconds();
    api_collect(&w.api, &stats);
    assert_int_equal(stats.ephemerons_cleared, 0);
    if (seconds() - began > 5) fail_msg("%f s", seconds() - began);
  }
  api_close(&w.api);
}

/* ---- refused ---- */

static void refused(void **state) {
  (void)state;
  static const uint32_t late[] = {24}, early[] = {8};
  struct api api;
  varve_layout out = 0;
  api_open(&api, "heap-max=16m");
  varve_word reference = varve_tag(varve_alloc(api.me, api.pair, sizeof(struct pair)), 0);
  const varve_layout_desc wrong[] = {
      {.kind = VARVE_LAYOUT_WEAK, .first = 8},
      {.kind = VARVE_LAYOUT_WEAK, .first = 20},
      {.kind = VARVE_LAYOUT_WEAK, .first = 24, .offsets = late, .offset_count = 1},
      {.kind = VARVE_LAYOUT_WEAK, .first = 24, .offsets = early, .offset_count = 1},
      {.kind = VARVE_LAYOUT_WEAK, .weak = {.cleared = reference}},
      {.kind = VARVE_LAYOUT_EPHEMERONS, .weak = {.when = VARVE_WEAK_AFTER}},
      {.kind = VARVE_LAYOUT_WEAK, .weak = {.when = (varve_weak_when)7}}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i)
    assert_int_equal(varve_layout_register(api.heap, &wrong[i], &out, NULL), VARVE_LAYOUT);
  varve_layout weak = api_layout(api.heap, &(varve_layout_desc){.kind = VARVE_LAYOUT_WEAK});
  varve_union_case one = {1, weak};
  varve_layout_desc choice = {.kind = VARVE_LAYOUT_UNION,
                              .choice = {.offset = 8, .width = 1, .cases = &one, .case_count = 1}};
  assert_int_equal(varve_layout_register(api.heap, &choice, &out, NULL), VARVE_LAYOUT);
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cells_are_cleared),     cmocka_unit_test(arrays_are_cleared),
      cmocka_unit_test(old_cell_young_target), cmocka_unit_test(old_table_young_entry),
      cmocka_unit_test(chains_hold),           cmocka_unit_test(long_chains),
      cmocka_unit_test(million_keys),          cmocka_unit_test(million_cells),
      cmocka_unit_test(one_key),               cmocka_unit_test(refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
