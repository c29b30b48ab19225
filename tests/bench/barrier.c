/* SPDX-License-Identifier: MIT */
/* barrier.c -- what a store of a reference costs beside a plain one: into objects and arrays, young and old, and into
 * Ref words; on heaps with ages, on heaps without, and compiled without.
 *
 *   young          objects allocated since the last collection
 *   old, known     old objects that are remembered already
 *   old, first     old objects at their first store since the last collection, in order of address, one store each
 *   old array      a MiB in one object: in order, then at random
 *   Ref words      of a slab and of an array, in order: noted already; and the first store in each line of eight words
 *
 * Limit: plain stores of the same word to the same places, in turns.
 */
#include "bench.h"
#include "barrier.h"

#define ARRAY_WORDS ((size_t)1 << 17)
#define STORES 65536u /* in a sample, at least */

struct mode {
  const char *name, *options;
  const struct store_loops *loops;
};

static const struct mode modes[] = {
  {"ages", "workers=1,ages=1", &store_loops_aged},
  {"ages=0", "workers=1,ages=0", &store_loops_aged},
  {"compiled without", "workers=1,ages=0", &store_loops_plain},
};

struct stores {
  struct bench *bench;
  const struct mode *mode;
  struct host host;
  struct store_work work;
  varve_refs *roots; /* keep the objects alive, and their addresses here up to date */
};

/* Nanoseconds a store. */
static double time_loop(store_loop *loop, const struct store_work *work, size_t rounds) {
  uint64_t began = cpu_ns();
  loop(work, rounds);
  return (double)(cpu_ns() - began) / (double)(rounds * work->count);
}

static size_t rounds_of(const struct stores *s) { return STORES / s->work.count + 1; }

/* Take samples; with `first`, each after a collection that forgets what was remembered, of one store to each place. */
static void measure(struct stores *s, const char *what, store_loop *loop, store_loop *plain, bool first) {
  struct series measured = {0}, limit = {0};
  size_t rounds = first ? 1 : rounds_of(s);
  if (!first) loop(&s->work, 1);
  for (unsigned i = 0; bench_again(s->bench, i, 3, 31, 101); ++i) {
    if (first) host_collect_newest(&s->host);
    if (first) plain(&s->work, 1); /* so that the first of the two finds the places as the second does */
    series_add(&limit, time_loop(plain, &s->work, rounds));
    series_add(&measured, time_loop(loop, &s->work, rounds));
  }
  bench_report(s->bench, &(struct figure){bench_text("store, %s, %s", what, s->mode->name), "ns", &measured,
                                          "plain store", &limit, NOT_JUDGED, 0, 0});
}

/* ---- objects ---- */

static void close_places(struct stores *s) {
  varve_ref_array_remove(s->roots);
  s->roots = NULL;
}

/* `count` new objects, whose addresses are roots. */
static void open_objects(struct stores *s, size_t count) {
  varve_ref_array array = {.name = "objects", .stride = 8, .count = count, .untracked = true};
  s->work.places = array.base = arena(ARENA_ADDRESSES, count * 8);
  s->work.count = count;
  for (size_t i = 0; i < count; ++i)
    array.base[i] = varve_tag(host_alloc(&s->host, s->host.pair, sizeof(struct pair)), 0);
  if (varve_ref_array_add(s->host.heap, &array, &s->roots, NULL) != VARVE_OK) die("Ref array");
}

static void check_remembered(struct stores *s, uint64_t least) {
  host_collect_newest(&s->host);
  if (s->mode == modes && s->host.last.remembered < least)
    die("%llu objects are remembered", (unsigned long long)s->host.last.remembered);
}

static void into_objects(struct stores *s) {
  const struct store_loops *loops = s->mode->loops;
  open_objects(s, bench_pick(s->bench, 512, 4096, 4096));
  measure(s, "young", loops->objects, loops->objects_plain, false);
  host_collect(&s->host);
  measure(s, "old, known", loops->objects, loops->objects_plain, false);
  check_remembered(s, s->work.count);
  close_places(s);
  open_objects(s, bench_pick(s->bench, 512, 65536, 65536));
  host_collect(&s->host);
  measure(s, "old, first", loops->objects, loops->objects_plain, true);
  check_remembered(s, s->work.count);
  close_places(s);
}

/* ---- a large array ---- */

static void into_array(struct stores *s) {
  const struct store_loops *loops = s->mode->loops;
  uint64_t seed = 23;
  void *array = host_alloc(&s->host, s->host.array, 8 + ARRAY_WORDS * 8);
  varve_handle *root = varve_handle_new(s->host.me, varve_tag(array, 0));
  if (!root) die("no handle");
  host_collect(&s->host);
  s->work.count = bench_pick(s->bench, 512, ARRAY_WORDS, ARRAY_WORDS);
  s->work.places = arena(ARENA_WORDS, (s->work.count + 1) * 8);
  s->work.places[0] = (uintptr_t)varve_untag(varve_handle_get(root)); /* a large object stays where it is */
  for (size_t i = 1; i <= s->work.count; ++i) s->work.places[i] = i * 8;
  measure(s, "old array, in order", loops->array, loops->array_plain, false);
  for (size_t i = 1; i <= s->work.count; ++i) s->work.places[i] = 8 + random_next(&seed) % ARRAY_WORDS * 8;
  measure(s, "old array, at random", loops->array, loops->array_plain, false);
  varve_handle_free(s->host.me, root);
}

/* ---- Ref words ---- */

static void into_refs(struct stores *s, const char *known, const char *first, size_t lines) {
  const struct store_loops *loops = s->mode->loops;
  size_t all = s->work.count;
  measure(s, known, loops->refs, loops->refs_plain, false);
  for (size_t i = 0; i < lines; ++i) s->work.places[i] = s->work.places[i * 8];
  s->work.count = lines;
  measure(s, first, loops->refs, loops->refs_plain, true);
  s->work.count = all;
}

static void into_slab(struct stores *s, size_t count) {
  varve_slab_cursor cursor;
  varve_refs *slab = varve_slab_create(s->host.heap, "slab");
  if (!slab) die("no slab");
  varve_slab_cursor_open(&cursor, slab);
  s->work.refs = slab;
  s->work.count = count;
  s->work.places = arena(ARENA_ADDRESSES, count * 8);
  for (size_t i = 0; i < count; ++i) s->work.places[i] = (uintptr_t)varve_slab_take(&cursor, s->host.me, 0);
  into_refs(s, "slab word, known", "slab word, first of a line", count / 8);
  varve_slab_cursor_close(&cursor);
  varve_slab_destroy(slab);
}

static void into_words(struct stores *s, size_t count) {
  varve_ref_array array = {.name = "words", .stride = 8, .count = count, .base = arena(ARENA_WORDS, count * 8)};
  for (size_t i = 0; i < count; ++i) array.base[i] = 0;
  if (varve_ref_array_add(s->host.heap, &array, &s->work.refs, NULL) != VARVE_OK) die("Ref array");
  s->work.count = count;
  s->work.places = arena(ARENA_ADDRESSES, count * 8);
  for (size_t i = 0; i < count; ++i) s->work.places[i] = (uintptr_t)&array.base[i];
  into_refs(s, "array word, known", "array word, first of a line", count / 8);
  varve_ref_array_remove(s->work.refs);
}

/* The word that is stored refers to an old object, so that every collection forgets who was remembered. */
static void run(struct bench *bench, const struct mode *mode) {
  struct stores s = {.bench = bench, .mode = mode};
  host_open(&s.host, (uint64_t)64 << 20, (uint64_t)32 << 20, mode->options);
  varve_handle *old = varve_handle_new(s.host.me, varve_tag(host_alloc(&s.host, s.host.array, (64u << 10) * 4), 0));
  if (!old) die("no handle");
  host_collect(&s.host);
  s.work = (struct store_work){.me = s.host.me, .word = varve_handle_get(old)};
  into_objects(&s);
  into_array(&s);
  into_slab(&s, bench_pick(bench, 512, 65536, 65536));
  into_words(&s, bench_pick(bench, 512, 65536, 65536));
  varve_handle_free(s.host.me, old);
  host_close(&s.host);
}

void bench_barrier(struct bench *bench) {
  if (bench->targets) return;
  for (size_t i = 0; i < sizeof modes / sizeof *modes; ++i) run(bench, &modes[i]);
}
