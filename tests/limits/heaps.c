/* SPDX-License-Identifier: MIT */
/* heaps.c -- thousands of heaps, one after the other and at once; heaps that are full to the last block. */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limits/limits.h"

/* ---- what a process has ------------------------------------------------------------------------------------------- */

struct process {
  long rss_kib, maps, threads, files;
};

static long count_entries(const char *path) {
  DIR *folder = opendir(path);
  long count = 0;
  CHECK(folder);
  while (readdir(folder)) ++count;
  closedir(folder);
  return count;
}

static struct process process_now(void) {
  struct process now = {0};
  char line[512];
  FILE *file = fopen("/proc/self/status", "re");
  CHECK(file);
  while (fgets(line, sizeof line, file)) sscanf(line, "VmRSS: %ld", &now.rss_kib), sscanf(line, "Threads: %ld", &now.threads);
  fclose(file);
  CHECK((file = fopen("/proc/self/maps", "re")));
  while (fgets(line, sizeof line, file)) ++now.maps;
  fclose(file);
  now.files = count_entries("/proc/self/fd");
  return now;
}

static void use_heap(struct world *w, unsigned seed) {
  varve_word root = 0;
  CHECK(varve_root_slots_add(w->heap, "root", &root, 1, NULL) == VARVE_OK);
  for (unsigned i = 0; i < 2000; ++i) CHECK((root = world_cell(w, seed + i, &root)));
  CHECK(varve_handle_new(w->me, root) && varve_slab_create(w->heap, "slab"));
  CHECK(varve_pin(w->me, varve_untag(root)) == VARVE_OK && varve_identity_hash(w->me, varve_untag(root)));
  CHECK(varve_finalizer_attach(w->me, varve_untag(root), 0, NULL, NULL));
  CHECK(varve_alloc(w->me, w->data, 300000) && varve_alloc(w->me, w->data, 30000));
  world_collect(w, seed % 16 == 0);
  for (unsigned i = 2000; i-- > 0; root = cell_of(root)->next) CHECK(cell_of(root)->number == seed + i);
  CHECK(root == 0);
}

static void one_after_the_other(bool longer) {
  unsigned count = longer ? 5000 : 200;
  struct process before = {0}, after;
  struct world w;
  double began = limit_seconds();
  for (unsigned i = 0; i < count; ++i) {
    if (i == 50) before = process_now();
    world_open(&w, i % 2 ? "heap-max=8m,heap-initial=2m,workers=2,parallel-min=0,spin=0"
                         : "heap-max=64m,heap-initial=2m,workers=1");
    use_heap(&w, i);
    world_close(&w);
  }
  after = process_now();
  limit_figure("heaps", count);
  limit_figure("each_ms", (limit_seconds() - began) * 1000 / count);
  limit_figure("rss_kib_before", (double)before.rss_kib), limit_figure("rss_kib_after", (double)after.rss_kib);
  limit_figure("maps_before", (double)before.maps), limit_figure("maps_after", (double)after.maps);
  if (after.rss_kib > before.rss_kib + 2048) FAIL("RSS %ld -> %ld KiB", before.rss_kib, after.rss_kib);
  if (after.maps > before.maps + 4) FAIL("mappings %ld -> %ld", before.maps, after.maps);
  if (after.threads != before.threads) FAIL("threads %ld -> %ld", before.threads, after.threads);
  if (after.files != before.files) FAIL("files %ld -> %ld", before.files, after.files);
}

/* More heaps than the process may have keys for thread-specific data. */
static void at_once(bool longer) {
  unsigned count = longer ? 1500 : 100;
  struct world *all = calloc(count, sizeof *all);
  struct process before = process_now(), after;
  CHECK(all);
  for (unsigned i = 0; i < count; ++i) {
    world_open(&all[i], "heap-max=4m,heap-initial=2m,workers=1,mark-segments=64");
    use_heap(&all[i], i);
    CHECK(varve_native_enter(all[i].me) == VARVE_OK);
  }
  struct process full = process_now();
  limit_figure("heaps", count);
  limit_figure("rss_kib_each", (double)(full.rss_kib - before.rss_kib) / count);
  limit_figure("maps_each", (double)(full.maps - before.maps) / count);
  pthread_key_t key;
  CHECK(pthread_key_create(&key, NULL) == 0); /* there are some left for others */
  pthread_key_delete(key);
  for (unsigned i = 0; i < count; ++i) {
    CHECK(varve_native_leave(all[i].me) == VARVE_OK);
    world_collect(&all[i], i % 50 == 0);
    world_close(&all[i]);
  }
  free(all);
  after = process_now();
  if (after.maps > before.maps + count / 10 + 8) FAIL("mappings %ld -> %ld", before.maps, after.maps);
  CHECK(after.threads == before.threads && after.files == before.files);
}

/* ---- full --------------------------------------------------------------------------------------------------------- */

/* A list whose links have a size and content that follow from their numbers; pinned ones are every eighth. */
struct filling {
  struct world *w;
  size_t least, most;
  bool pins, thin;
  varve_word list;
  uint64_t count;
  varve_narrow_coding code;
};

static size_t size_of_link(const struct filling *f, uint64_t number) {
  return (f->least + number * 7919 % (f->most - f->least + 1)) & ~(size_t)7;
}

static bool is_pinned(const struct filling *f, uint64_t number) { return f->pins && number % 8 == 0; }

static struct cell *before(const struct filling *f, const struct cell *cell) {
  const varve_narrow *thin = (const varve_narrow *)&cell->next;
  if (f->thin) return *thin ? (struct cell *)varve_narrow_untag(&f->code, *thin) : NULL;
  return cell->next ? cell_of(cell->next) : NULL;
}

static void link_to(struct filling *f, struct cell *cell, varve_word next) {
  varve_narrow *thin = (varve_narrow *)&cell->next;
  if (!f->thin) varve_init(f->w->me, cell, &cell->next, next);
  else varve_init_narrow(f->w->me, cell, thin, next ? varve_narrow_tag(&f->code, varve_untag(next), 0) : 0);
}

static bool add(struct filling *f) {
  size_t bytes = size_of_link(f, f->count);
  struct cell *cell = varve_alloc_uninit(f->w->me, f->w->cell, bytes);
  if (!cell) {
    CHECK(varve_mutator_status(f->w->me) == VARVE_HEAP_FULL);
    return false;
  }
  cell->number = f->count;
  for (uint64_t *at = (uint64_t *)cell + 3; at < (uint64_t *)((char *)cell + bytes); ++at) *at = f->count << 8 | 5;
  link_to(f, cell, f->list);
  f->list = varve_tag(cell, 0);
  if (is_pinned(f, f->count)) CHECK(varve_pin(f->w->me, cell) == VARVE_OK);
  ++f->count;
  return true;
}

static void compare(const struct filling *f) {
  uint64_t number = f->count;
  for (const struct cell *cell = f->list ? cell_of(f->list) : NULL; cell; cell = before(f, cell)) {
    CHECK(number && cell->number == number - 1);
    size_t bytes = size_of_link(f, --number);
    CHECK(varve_object_bytes(&cell->header) == bytes);
    for (const uint64_t *at = (const uint64_t *)cell + 3; at < (const uint64_t *)((const char *)cell + bytes); ++at)
      CHECK(*at == (number << 8 | 5));
  }
  CHECK(number == 0);
}

/* The newer half dies. */
static void drop_half(struct filling *f) {
  for (uint64_t keep = f->count / 2; f->count > keep; --f->count) {
    struct cell *cell = cell_of(f->list);
    if (is_pinned(f, cell->number)) CHECK(varve_unpin(f->w->me, cell) == VARVE_OK);
    struct cell *next = before(f, cell);
    f->list = next ? varve_tag(next, 0) : 0;
  }
}

/* Cells as they are, but for the width of `next`. */
static varve_layout thin_layout(const struct world *w) {
  static const uint32_t next = offsetof(struct cell, next);
  varve_layout layout = 0;
  CHECK(varve_layout_register(w->heap, &(varve_layout_desc){.name = "thin", .kind = VARVE_LAYOUT_OFFSETS,
                              .narrow_offsets = &next, .narrow_count = 1}, &layout, NULL) == VARVE_OK);
  return layout;
}

static void fill_twice(struct world *w, size_t least, size_t most, bool pins) {
  struct filling f = {.w = w, .least = least, .most = most, .pins = pins};
  f.thin = w->slim && varve_narrow_coding_get(w->heap, &f.code) == VARVE_OK;
  if (f.thin) w->cell = thin_layout(w);
  CHECK(varve_root_slots_add(w->heap, "list", &f.list, 1, NULL) == VARVE_OK);
  for (unsigned turn = 0; turn < 2; ++turn) {
    uint64_t had = f.count;
    while (add(&f)) continue;
    CHECK(f.count > had + had / 4); /* what was dropped came free */
    compare(&f);
    world_collect(w, true); /* with nothing free */
    compare(&f);
    while (add(&f)) continue;
    compare(&f);
    drop_half(&f);
    world_collect(w, true);
    compare(&f);
  }
  while (f.list) drop_half(&f), f.count = f.list ? f.count : 0;
  CHECK(varve_root_slots_remove(w->heap, &f.list) == VARVE_OK);
}

struct kind {
  const char *name;
  size_t least, most;
  bool pins;
  const char *options;
};

static void full(bool longer) {
  static const struct kind kinds[] = {
      {"small", 32, 200, false, ""},
      {"tiny", 24, 24, false, ""},
      {"to 2 KiB", 1000, 2048, false, ""},
      {"medium", 3000, 100000, false, ""},
      {"large", 140000, 900000, false, ""},
      {"mixed", 32, 200000, false, ""},
      {"pinned", 32, 200, true, ""},
      {"pinned, mixed", 32, 200000, true, ""},
      {"without ages", 32, 2000, false, ",ages=0"},
      {"narrow", 32, 2000, false, ",narrow=1"},
      {"moving", 32, 20000, false, ",move-everything=1"},
      {"stress", 2000, 40000, false, ",stress=50"},
      {"wiped", 32, 200000, true, ",poison=2"},
  };
  char options[160];
  struct world w;
  for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
    snprintf(options, sizeof options, "heap-max=%s,workers=%s%s", longer ? "96m" : "8m", longer ? "2" : "1",
             kinds[i].options);
    double began = limit_seconds();
    world_open(&w, options);
    fill_twice(&w, kinds[i].least, kinds[i].most, kinds[i].pins);
    world_close(&w);
    limit_figure(kinds[i].name, limit_seconds() - began);

  }
}

/* Several mutators, until all have been refused. */
struct filler {
  struct world w;
  uint64_t made;
};

static void *fill_beside(void *context) {
  struct filler *filler = context;
  CHECK(varve_attach(filler->w.heap, NULL, &filler->w.me, NULL) == VARVE_OK);
  struct filling f = {.w = &filler->w, .least = 32, .most = 3000};
  CHECK(varve_root_slots_add(f.w->heap, "list", &f.list, 1, NULL) == VARVE_OK);
  for (unsigned turn = 0; turn < 3; ++turn) {
    while (add(&f)) continue;
    compare(&f);
    drop_half(&f);
  }
  CHECK(varve_collect(f.w->me) == VARVE_OK);
  compare(&f);
  filler->made = f.count;
  CHECK(varve_root_slots_remove(f.w->heap, &f.list) == VARVE_OK);
  CHECK(varve_detach(f.w->me) == VARVE_OK);
  return NULL;
}

static void full_together(bool longer) {
  struct world w;
  struct filler filler[4];
  pthread_t thread[4];
  world_open(&w, longer ? "heap-max=128m,workers=2,parallel-min=0,spin=100" : "heap-max=16m,workers=2,parallel-min=0,spin=100,verify=1");
  CHECK(varve_native_enter(w.me) == VARVE_OK);
  for (unsigned i = 0; i < 4; ++i) {
    filler[i] = (struct filler){.w = w};
    CHECK(pthread_create(&thread[i], NULL, fill_beside, &filler[i]) == 0);
  }
  for (unsigned i = 0; i < 4; ++i) pthread_join(thread[i], NULL);
  CHECK(varve_native_leave(w.me) == VARVE_OK);
  world_collect(&w, true);
  CHECK(world_live(&w) == 0);
  world_close(&w);
}

const struct limit_case heap_cases[] = {{"heaps", one_after_the_other, 200, 0},
                                        {"heaps_at_once", at_once, 400, 6500},
                                        {"full", full, 100, 300},
                                        {"full_together", full_together, 100, 400},
                                        {0}};
