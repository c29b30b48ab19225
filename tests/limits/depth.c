/* SPDX-License-Identifier: MIT */
/* depth.c -- chains that are as long as the heap is large: through ordinary slots, from the new to the old and from the
 * old to the new, narrow slots, ephemerons, weak cells, finalizers. Nothing may recurse, and nothing be quadratic. */
#include <stdio.h>
#include <string.h>

#include "limits/limits.h"

#define MILLION 1000000ul

static void check_chain(varve_word word, size_t count, bool downwards) {
  size_t found = 0;
  for (; word; word = cell_of(word)->next, ++found)
    if (cell_of(word)->number != (downwards ? count - 1 - found : found)) FAIL("link %zu", found);
  if (found != count) FAIL("%zu links of %zu", found, count);
}

static void timed_collect(struct world *w, const char *name, bool sound) {
  double began = limit_seconds();
  world_collect(w, false);
  limit_figure(name, limit_seconds() - began);
  if (sound) world_collect(w, true);
}

/* Each new cell refers to the one before. */
static void list_back(bool longer) {
  size_t count = longer ? 20 * MILLION : MILLION;
  struct world w;
  varve_word head = 0;
  world_open(&w, longer ? "heap-max=2g,workers=2,parallel-min=0" : "heap-max=128m,workers=2,parallel-min=0");
  CHECK(varve_root_slots_add(w.heap, "list", &head, 1, NULL) == VARVE_OK);
  for (size_t i = 0; i < count; ++i) CHECK((head = world_cell(&w, i, &head)));
  timed_collect(&w, "full_seconds", !longer);
  check_chain(head, count, true);
  CHECK(world_live(&w) == count * sizeof(struct cell));
  limit_figure("links", (double)count);
  world_close(&w);
}

/* Each old cell refers to the one after: the store barrier sees every one. */
static void list_on(bool longer) {
  size_t count = longer ? 20 * MILLION : MILLION;
  struct world w;
  varve_word ends[2] = {0}; /* first, last */
  world_open(&w, longer ? "heap-max=2g,workers=2,parallel-min=0" : "heap-max=128m,workers=2,parallel-min=0");
  CHECK(varve_root_slots_add(w.heap, "list", ends, 2, NULL) == VARVE_OK);
  ends[0] = ends[1] = world_cell(&w, 0, NULL);
  for (size_t i = 1; i < count; ++i) {
    varve_word cell = world_cell(&w, i, NULL);
    CHECK(cell);
    varve_store(w.me, cell_of(ends[1]), &cell_of(ends[1])->next, cell);
    ends[1] = cell;
  }
  timed_collect(&w, "full_seconds", !longer);
  check_chain(ends[0], count, false);
  limit_figure("links", (double)count);
  world_close(&w);
}

static void list_narrow(bool longer) {
  size_t count = longer ? 20 * MILLION : MILLION, found = 0;
  struct world w;
  varve_word head = 0;
  varve_narrow_coding code;
  world_open(&w, longer ? "heap-max=1g,workers=2,parallel-min=0,narrow=1" : "heap-max=64m,workers=2,parallel-min=0,narrow=1");
  CHECK(varve_narrow_coding_get(w.heap, &code) == VARVE_OK);
  CHECK(varve_root_slots_add(w.heap, "list", &head, 1, NULL) == VARVE_OK);
  for (size_t i = 0; i < count; ++i) {
    struct slim_cell *cell = varve_alloc_uninit(w.me, w.slim, sizeof *cell);
    CHECK(cell);
    cell->number = (uint32_t)i;
    varve_init_narrow(w.me, cell, &cell->next, head ? varve_narrow_tag(&code, varve_untag(head), 0) : 0);
    head = varve_tag(cell, 0);
  }
  timed_collect(&w, "full_seconds", !longer);
  for (struct slim_cell *cell = (struct slim_cell *)varve_untag(head); cell; ++found) {
    CHECK(cell->number == count - 1 - found);
    cell = cell->next ? (struct slim_cell *)varve_narrow_untag(&code, cell->next) : NULL;
  }
  CHECK(found == count);
  limit_figure("links", (double)count);
  world_close(&w);
}

/* An entry a link: the key of each is reached only by the value of the one before. */
struct table {
  varve_object header;
  uint64_t library;
  varve_ephemeron entry[];
};

static void check_table(const varve_word *roots, size_t count) {
  const struct table *table = (const struct table *)varve_untag(roots[0]);
  for (size_t i = 0; i < count; ++i) {
    CHECK(cell_of(table->entry[i].key)->number == i);
    CHECK(cell_of(table->entry[i].value)->number == i + 1);
  }
}

static void ephemerons(bool longer) {
  size_t count = longer ? 5 * MILLION : MILLION / 4;
  struct world w;
  varve_word roots[2] = {0}; /* the table; the first key */
  world_open(&w, longer ? "heap-max=1g,workers=2,parallel-min=0" : "heap-max=128m,workers=2,parallel-min=0");
  CHECK(varve_root_slots_add(w.heap, "roots", roots, 2, NULL) == VARVE_OK);
  roots[0] = varve_tag(varve_alloc(w.me, w.table, sizeof(struct table) + count * sizeof(varve_ephemeron)), 0);
  roots[1] = world_cell(&w, count, NULL); /* the last value, at first */
  for (size_t i = count; i-- > 0;) {
    varve_word key = world_cell(&w, i, NULL);
    CHECK(key);
    struct table *table = (struct table *)varve_untag(roots[0]);
    varve_store(w.me, table, &table->entry[i].key, key);
    varve_store(w.me, table, &table->entry[i].value, roots[1]);
    roots[1] = key;
  }
  timed_collect(&w, "full_seconds", !longer);
  check_table(roots, count);
  roots[1] = 0; /* now nothing keeps the first key, and so none */
  timed_collect(&w, "full_seconds_dead", !longer);
  const struct table *table = (const struct table *)varve_untag(roots[0]);
  for (size_t i = 0; i < count; ++i) CHECK(!table->entry[i].key && !table->entry[i].value);
  limit_figure("entries", (double)count);
  world_close(&w);
}

/* A chain of weak cells, each the target of the next, held by an array, and one that is held by nothing else. */
struct weak_cell {
  varve_object header;
  uint64_t library;
  varve_word target;
};

static void weak_chain(bool longer) {
  size_t count = longer ? 5 * MILLION : MILLION / 2;
  struct world w;
  varve_word roots[2] = {0}; /* the array; the newest */
  world_open(&w, longer ? "heap-max=1g,workers=2,parallel-min=0" : "heap-max=128m,workers=2,parallel-min=0");
  CHECK(varve_root_slots_add(w.heap, "roots", roots, 2, NULL) == VARVE_OK);
  roots[0] = varve_tag(varve_alloc(w.me, w.array, 8 + 8 * count), 0);
  for (size_t i = 0; i < count; ++i) {
    struct weak_cell *cell = varve_alloc_uninit(w.me, w.weak, sizeof *cell);
    CHECK(cell);
    varve_init(w.me, cell, &cell->target, roots[1]);
    roots[1] = varve_tag(cell, 0);
    if (i % 2 == 0) varve_store(w.me, varve_untag(roots[0]), (varve_word *)varve_untag(roots[0]) + 1 + i, roots[1]);
  }
  timed_collect(&w, "full_seconds", !longer);
  const varve_word *slot = (const varve_word *)varve_untag(roots[0]) + 1;
  for (size_t i = 0; i < count; i += 2) /* those between were held by nobody but the newest */
    CHECK(((struct weak_cell *)varve_untag(slot[i]))->target == 0);
  CHECK(((struct weak_cell *)varve_untag(roots[1]))->target == slot[count - 2]);
  limit_figure("cells", (double)count);
  world_close(&w);
}

/* All dead at once, and each keeps those behind it. */
static void finalizer_chain(bool longer) {
  size_t count = longer ? 5 * MILLION : MILLION / 4;
  struct world w;
  varve_word roots[2] = {0};
  varve_finalization one;
  world_open(&w, longer ? "heap-max=1g,workers=2,parallel-min=0" : "heap-max=64m,workers=2,parallel-min=0");
  CHECK(varve_root_slots_add(w.heap, "roots", roots, 2, NULL) == VARVE_OK);
  for (size_t i = 0; i < count; ++i) {
    CHECK((roots[0] = world_cell(&w, i, &roots[0])));
    CHECK(varve_finalizer_attach(w.me, varve_untag(roots[0]), 0, NULL, NULL));
  }
  roots[0] = 0;
  timed_collect(&w, "full_seconds", !longer);
  CHECK(varve_finalizers_queued(w.heap) == count);
  for (size_t i = 0; i < count; ++i) {
    CHECK(varve_finalizer_next(w.me, &one));
    CHECK(((struct cell *)one.object)->number == i);
    if (i == count - 1) roots[1] = varve_tag(one.object, 0);
  }
  world_collect(&w, false);
  check_chain(roots[1], count, true); /* the last one is the chain */
  limit_figure("links", (double)count);
  world_close(&w);
}

const struct limit_case depth_cases[] = {
    {"list_back", list_back, 200, 2200},       {"list_on", list_on, 200, 2400},
    {"list_narrow", list_narrow, 150, 1300},   {"ephemerons", ephemerons, 200, 1300},
    {"weak_chain", weak_chain, 200, 1300},     {"finalizer_chain", finalizer_chain, 200, 1300},
    {0}};
