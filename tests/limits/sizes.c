/* SPDX-License-Identifier: MIT */
/* sizes.c -- objects of every size that something begins or ends at: filled, moved, compared word by word, freed. */
#include <stdio.h>
#include <string.h>

#include "limits/limits.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

static uint64_t pattern(uint64_t bytes, uint64_t word) { return (bytes * UINT64_C(0x9e3779b97f4a7c15) + word) << 3 | 5; }

static void fill(uint64_t *object, uint64_t bytes) {
  for (uint64_t i = 1; i < bytes / 8; ++i) object[i] = pattern(bytes, i);
}

static void compare(const uint64_t *object, uint64_t bytes) {
  CHECK(varve_object_bytes((const varve_object *)object) == bytes);
  for (uint64_t i = 1; i < bytes / 8; ++i)
    if (object[i] != pattern(bytes, i)) FAIL("object of %llu: word %llu", (unsigned long long)bytes, (unsigned long long)i);
}

static void is_zero(const uint64_t *object, uint64_t bytes) {
  for (uint64_t i = 1; i < bytes / 8; ++i) CHECK(object[i] == 0);
}

static uint64_t rounded(uint64_t bytes) { return bytes < 8 ? 8 : (bytes + 7) & ~UINT64_C(7); }

/* Of plain data: between two others that must not change either. */
static void try_data(struct world *w, uint64_t bytes) {
  VARVE_FRAME(f, w->me, before, it, after);
  f.before = varve_tag(varve_alloc_uninit(w->me, w->data, 64), 0);
  fill((uint64_t *)varve_untag(f.before), 64);
  uint64_t *object = varve_alloc(w->me, w->data, bytes);
  if (!object) FAIL("no object of %llu: %d", (unsigned long long)bytes, varve_mutator_status(w->me));
  is_zero(object, rounded(bytes));
  fill(object, rounded(bytes));
  f.it = varve_tag(object, 0);
  f.after = varve_tag(varve_alloc_uninit(w->me, w->data, 64), 0);
  fill((uint64_t *)varve_untag(f.after), 64);
  for (unsigned turn = 0; turn < 3; ++turn) {
    CHECK((turn ? varve_collect(w->me) : varve_collect_newest(w->me)) == VARVE_OK);
    compare((uint64_t *)varve_untag(f.it), rounded(bytes));
    compare((uint64_t *)varve_untag(f.before), 64);
    compare((uint64_t *)varve_untag(f.after), 64);
  }
}

/* Of references: in the first slot, the last, around 2^31 and 2^32 bytes, and here and there. */
static void try_array(struct world *w, uint64_t bytes) {
  VARVE_FRAME(f, w->me, array);
  uint64_t slots = rounded(bytes) / 8 - 1, step = slots / 500 + 1, number = 0;
  f.array = varve_tag(varve_alloc(w->me, w->array, bytes), 0);
  CHECK(f.array);
  for (uint64_t i = 0; i < slots; i += i + step < slots ? step : i + 1 < slots ? slots - 1 - i : 1) {
    varve_word cell = world_cell(w, i, NULL);
    varve_object *array = varve_untag(f.array);
    varve_store(w->me, array, (varve_word *)array + 1 + i, cell);
    ++number;
  }
  for (unsigned turn = 0; turn < 3; ++turn) {
    CHECK((turn ? varve_collect(w->me) : varve_collect_newest(w->me)) == VARVE_OK);
    const varve_word *slot = (const varve_word *)varve_untag(f.array) + 1;
    uint64_t found = 0;
    for (uint64_t i = 0; i < slots; ++i)
      if (slot[i]) CHECK(cell_of(slot[i])->number == i), ++found;
    CHECK(found == number);
  }
}

static void try_size(struct world *w, uint64_t bytes) {
  try_data(w, bytes);
  if (bytes >= 16) try_array(w, bytes);
  world_collect(w, bytes < MIB);
  CHECK(world_live(w) == 0);
}

static void small(bool longer) {
  struct world w;
  static const char *const options[] = {
      "heap-max=64m,move-everything=1,verify=1,poison=1,workers=2,parallel-min=0", "heap-max=64m,workers=1,ages=0",
      "heap-max=64m,workers=2,parallel-min=0,move-everything=1,stress=7"};
  static const uint64_t at[] = {8, 16, 24, 64, 504, 512, 1024, 2048, 4096, 32768, 65536, 128 << 10, 256 << 10, 2 * MIB};
  for (unsigned o = 0; o < sizeof options / sizeof *options; ++o) {
    world_open(&w, options[o]);
    for (unsigned i = 0; i < sizeof at / sizeof *at; ++i)
      for (int beside = -9; beside <= 17; beside += longer ? 1 : 4)
        if ((int64_t)at[i] + beside > 0) try_size(&w, at[i] + (uint64_t)(int64_t)beside);
    try_size(&w, 4);
    world_close(&w);
  }
}

/* What is more than the heap, or than an object can be, is refused; and nothing is disturbed. */
static void refused(struct world *w, uint64_t heap_bytes) {
  const uint64_t sizes[] = {heap_bytes, heap_bytes + 8, VARVE_OBJECT_MAX - 8, VARVE_OBJECT_MAX, VARVE_OBJECT_MAX + 1,
                            VARVE_OBJECT_MAX + 8, UINT64_C(1) << 35, (UINT64_C(1) << 35) + 24, UINT64_C(1) << 63, UINT64_MAX - 7,
                            UINT64_MAX};
  for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
    CHECK(!varve_alloc(w->me, w->data, sizes[i]) && !varve_alloc_uninit(w->me, w->data, sizes[i]));
    varve_status status = varve_mutator_status(w->me);
    CHECK(status == VARVE_TOO_LARGE || (status == VARVE_HEAP_FULL && i == 0));
  }
}

static void too_large(bool longer) {
  struct world w;
  (void)longer;
  world_open(&w, "heap-max=64m,workers=1");
  varve_word it = 0;
  CHECK(varve_root_slots_add(w.heap, "it", &it, 1, NULL) == VARVE_OK);
  it = world_cell(&w, 17, NULL);
  refused(&w, 64 * MIB);
  CHECK(cell_of(it)->number == 17);
  world_close(&w);
}

static void run_large(uint64_t limit_mib, const uint64_t *at, unsigned count) {
  struct world w;
  char options[120];
  snprintf(options, sizeof options, "heap-max=%llum,workers=2,parallel-min=0", (unsigned long long)limit_mib);
  world_open(&w, options);
  double began = limit_seconds();
  for (unsigned i = 0; i < count; ++i)
    for (int beside = -8; beside <= 8; beside += 8) {
      try_data(&w, at[i] + (uint64_t)(int64_t)beside);
      if (beside) try_array(&w, at[i] + (uint64_t)(int64_t)beside);
      world_collect(&w, false);
      CHECK(world_live(&w) == 0);
    }
  limit_figure("largest_bytes", (double)(at[count - 1] + 8));
  limit_figure("seconds_used", limit_seconds() - began);
  world_close(&w);
}

/* Around 2^31 and 2^32 bytes. */
static void large(bool longer) {
  static const uint64_t few[] = {16 * MIB, 64 * MIB}, many[] = {256 * MIB, GIB, 2 * GIB, 4 * GIB};
  if (longer) run_large(5 * 1024, many, 4);
  else run_large(128, few, 2);
}

const struct limit_case size_cases[] = {
    {"sizes", small, 200, 0}, {"too_large", too_large, 100, 0}, {"large", large, 300, 5500}, {0}};
