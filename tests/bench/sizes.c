/* SPDX-License-Identifier: MIT */
/* sizes.c -- a program that keeps a set of objects of mixed sizes live and replaces them at random.
 *
 *   footprint       committed bytes over live bytes, at the default growth
 *   smallest limit  heap-max over live bytes, the smallest of a row of limits in which the program completes
 *
 * The slots of the live objects are in host memory. An object is dropped before the one in its place is allocated, so
 * live bytes, headers included, never exceed the size of the set.
 */
#include <string.h>

#include "bench.h"

struct mix {
  const char *name;
  unsigned low, high; /* log2 of the least and of the greatest size: sizes are log-uniform */
};

static const struct mix mixes[] = {
  {"16 to 256 B", 4, 8}, {"16 B to 2 KiB", 4, 11}, {"1 to 128 KiB", 10, 17}, {"128 KiB to 1 MiB", 17, 20},
  {"16 B to 1 MiB", 4, 20},
};
#define MIXES (sizeof mixes / sizeof *mixes)

struct set {
  struct host host;
  varve_word *slots;
  size_t capacity, count;
  uint64_t live, most, seed;
};

static size_t draw(struct set *set, const struct mix *mix) {
  uint64_t random = random_next(&set->seed);
  unsigned shift = mix->low + (unsigned)(random % (mix->high - mix->low));
  return (((size_t)1 << shift) + (random >> 8) % ((size_t)1 << shift)) & ~(size_t)7;
}

static void drop_one(struct set *set) {
  size_t i = random_next(&set->seed) % set->count;
  set->live -= varve_object_bytes(varve_untag(set->slots[i]));
  set->slots[i] = set->slots[--set->count];
  set->slots[set->count] = 0;
}

/* Allocate `bytes` in all. False: the heap was full. */
static bool churn(struct set *set, const struct mix *mix, uint64_t bytes) {
  for (uint64_t done = 0; done < bytes;) {
    size_t size = draw(set, mix);
    while (set->count && (set->live + size > set->most || set->count == set->capacity)) drop_one(set);
    void *object = varve_alloc(set->host.me, set->host.data, size);
    if (!object) return false;
    set->slots[set->count++] = varve_tag(object, 0);
    set->live += size, done += size;
  }
  return true;
}

static void open_set(struct set *set, const struct mix *mix, uint64_t live, uint64_t limit) {
  size_t least = (size_t)1 << mix->low;
  *set = (struct set){.most = live, .seed = 17, .capacity = live / least + 1};
  set->slots = arena(ARENA_WORDS, set->capacity * sizeof *set->slots);
  memset(set->slots, 0, set->capacity * sizeof *set->slots);
  host_open(&set->host, limit, 0, "workers=1");
  if (varve_root_slots_add(set->host.heap, "set", set->slots, set->capacity, NULL) != VARVE_OK) die("slots");
}

static void footprint(struct bench *bench, const struct mix *mix, uint64_t live) {
  struct set set;
  struct series ratio = {0};
  open_set(&set, mix, live, live * 4);
  for (unsigned i = 0; i < bench_pick(bench, 1, 3, 8); ++i) {
    if (!churn(&set, mix, live)) die("full at four times the live size");
    host_collect(&set.host);
    series_add(&ratio, (double)set.host.last.committed / (double)set.host.last.live_after);
  }
  host_close(&set.host);
  bench_report(bench, &(struct figure){bench_text("footprint over live, %s", mix->name), "x", &ratio, NULL, NULL,
                                       NOT_JUDGED, 0, 0});
}

/* ---- the smallest limit ---- */

/* A quick run tries every third. */
static const double steps[] = {1.03, 1.04, 1.05, 1.06, 1.08, 1.10, 1.12, 1.15, 1.20, 1.25, 1.35, 1.50, 1.70, 1.85,
                               2.00};
#define STEPS (sizeof steps / sizeof *steps)

/* Fill the set and replace as much again; twice as much when there is time. */
static bool completes(const struct bench *bench, const struct mix *mix, uint64_t live, double times) {
  struct set set;
  open_set(&set, mix, live, (uint64_t)((double)live * times));
  bool done = churn(&set, mix, live * bench_pick(bench, 2, 2, 3));
  host_close(&set.host);
  return done;
}

static double smallest(const struct bench *bench, const struct mix *mix, uint64_t live) {
  size_t stride = bench->scale == SCALE_QUICK ? 3 : 1, low = 0, high = STEPS / stride - 1;
  while (low < high) { /* the last is taken for granted */
    size_t middle = (low + high) / 2;
    if (completes(bench, mix, live, steps[middle * stride + stride - 1])) high = middle;
    else low = middle + 1;
  }
  return steps[low * stride + stride - 1];
}

static void limits(struct bench *bench, const struct mix *mix, uint64_t live) {
  struct series least = {0};
  series_add(&least, smallest(bench, mix, live));
  bench_report(bench, &(struct figure){
    bench_text("smallest limit, %s, %s live", mix->name, bench_size(live)), "x", &least, NULL, NULL,
    bench->scale > SCALE_TINY ? AT_MOST : NOT_JUDGED, 1.10, 1.05});
}

void bench_sizes(struct bench *bench) {
  uint64_t live = bench_pick(bench, 16 << 20, 64 << 20, 64 << 20);
  for (size_t i = 0; i < MIXES; ++i) {
    if (bench->scale == SCALE_QUICK && bench->targets && i == 0) continue; /* like the next */
    if (!bench->targets) footprint(bench, &mixes[i], live);
    limits(bench, &mixes[i], live);
  }
}
