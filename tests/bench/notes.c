/* SPDX-License-Identifier: MIT */
/* notes.c -- many Ref words of which few change between collections: collecting the newest objects must not cost what
 * reading all words costs.
 *
 * One word in each eight refers to an object, the others to nothing. Between two collections some of those words, taken
 * at random, are set to refer to new objects; what they referred to dies. Every fourth collection is full; of the three
 * between, the first is not counted.
 *
 *   newest          the pause of a collection of the newest objects; limit: that of a full one
 *   of it words     the difference from the same new objects on a heap of which the only roots are as many words as
 *                   objects; limit: reading the lines of the words that changed once, prefetched. (A collection looks
 *                   at them when it marks and, if objects move, when it slides; so does the next one.)
 */
#include <string.h>

#include "bench.h"

#define ROUND 4u  /* collections, the last of them full */
#define AHEAD 32u
#define APART 7919u /* a prime: neighbouring words refer to objects that are not neighbours, as in the large table */

enum kind { SLAB, ARRAY_8, ARRAY_32, KINDS };

static const char *const kind_text[KINDS] = {"slab", "array, stride 8", "array, stride 32"};

struct words {
  struct host host, plain; /* the second has only dense words */
  varve_refs *refs, *dense_refs;
  varve_word **slots, **drawn; /* all of the slab; those that are about to change */
  char *base;              /* of the array */
  varve_word *dense;
  size_t count, stride, changed;
  uint64_t seed;
};

static varve_word *word_at(const struct words *w, size_t i) {
  return w->slots ? w->slots[i] : (varve_word *)(w->base + i * w->stride);
}

/* One of those that refer to something. */
static varve_word *holder_at(const struct words *w, size_t line) {
  return word_at(w, line * 8 + (line * UINT64_C(0x9e3779b97f4a7c15) >> 61));
}

static void draw_holders(struct words *w) {
  w->drawn = arena(ARENA_ORDER, (w->changed + AHEAD) * sizeof *w->drawn);
  for (size_t i = 0; i < w->changed + AHEAD; ++i) w->drawn[i] = holder_at(w, random_next(&w->seed) % (w->count / 8));
}

static varve_word new_object(struct host *host) { return varve_tag(host_alloc(host, host->data, 32), 0); }

static varve_refs *add_array(struct host *host, varve_word *base, size_t stride, size_t count) {
  varve_refs *refs = NULL;
  varve_ref_array array = {.name = "words", .base = base, .stride = stride, .count = count};
  if (varve_ref_array_add(host->heap, &array, &refs, NULL) != VARVE_OK) die("Ref array");
  return refs;
}

static void open_array(struct words *w) {
  w->base = arena(ARENA_WORDS, w->count * w->stride);
  memset(w->base, 0, w->count * w->stride);
  w->refs = add_array(&w->host, (varve_word *)w->base, w->stride, w->count);
}

static void open_slab(struct words *w) {
  varve_slab_cursor cursor;
  w->slots = arena(ARENA_WORDS, w->count * sizeof *w->slots);
  if (!(w->refs = varve_slab_create(w->host.heap, "words"))) die("no slab");
  varve_slab_cursor_open(&cursor, w->refs);
  for (size_t i = 0; i < w->count; ++i)
    if (!(w->slots[i] = varve_slab_take(&cursor, w->host.me, 0))) die("no word");
  varve_slab_cursor_close(&cursor);
}

static void open_dense(struct words *w) {
  w->dense = arena(ARENA_ADDRESSES, (w->changed + 1) * sizeof *w->dense);
  memset(w->dense, 0, (w->changed + 1) * sizeof *w->dense);
  w->dense_refs = add_array(&w->plain, w->dense, sizeof *w->dense, w->changed + 1);
}

static void open_words(struct words *w, enum kind kind, size_t count, unsigned percent) {
  *w = (struct words){.count = count, .changed = count * percent / 100, .seed = 29};
  w->stride = kind == ARRAY_32 ? 32 : 8;
  uint64_t room = count / 8 * 36 + w->changed * 32 * (ROUND + 2) + ((uint64_t)16 << 20);
  host_open(&w->host, room * 2, room, "workers=1");
  host_open(&w->plain, room * 2, room, "workers=1");
  if (kind == SLAB) open_slab(w);
  else open_array(w);
  for (size_t i = 0; i < count / 8; ++i)
    varve_ref_store(w->host.me, w->refs, holder_at(w, i), new_object(&w->host));
  open_dense(w);
  host_collect(&w->host);
  host_collect(&w->plain);
}

static void close_words(struct words *w) {
  if (w->slots) varve_slab_destroy(w->refs);
  else varve_ref_array_remove(w->refs);
  varve_ref_array_remove(w->dense_refs);
  host_close(&w->host);
  host_close(&w->plain);
}

/* ---- samples ---- */

static void change(struct words *w) {
  for (size_t i = 0; i < w->changed; ++i) {
    varve_ref_store(w->host.me, w->refs, w->drawn[i], new_object(&w->host));
    varve_ref_store(w->plain.me, w->dense_refs, &w->dense[i * APART % w->changed], new_object(&w->plain));
  }
}

static double read_lines_ns(const struct words *w) {
  uint64_t sum = 0, began = cpu_ns();
  for (size_t i = 0; i < w->changed; ++i) {
    __builtin_prefetch(w->drawn[i + AHEAD]);
    sum += *w->drawn[i];
  }
  __asm__ volatile("" : : "r"(sum));
  return (double)(cpu_ns() - began);
}

static double pause_ms(struct host *host, bool full) {
  if (full) host_collect(host);
  else host_collect_newest(host);
  if (!full && host->last.epochs_taken == host->last.epochs) die("a full collection");
  return host_phase_ns(host, host->last.total_ns) / 1e6;
}

struct samples {
  struct series newest, full, words, read;
};

static void sample(struct words *w, struct samples *s) {
  for (unsigned i = 0; i < ROUND - 1; ++i) {
    draw_holders(w);
    double read = read_lines_ns(w) / 1e6;
    change(w);
    double all = pause_ms(&w->host, false), dense = pause_ms(&w->plain, false);
    if (!i) continue;
    series_add(&s->newest, all);
    series_add(&s->words, all > dense ? all - dense : 0);
    series_add(&s->read, read);
  }
  draw_holders(w);
  change(w);
  double full = pause_ms(&w->host, true);
  pause_ms(&w->plain, true);
  for (unsigned i = 0; i < ROUND - 2; ++i) series_add(&s->full, full);
}

static void measure(struct bench *bench, enum kind kind, size_t count, unsigned percent) {
  struct words w;
  struct samples s = {.newest = {0}};
  open_words(&w, kind, count, percent);
  for (unsigned i = 0; bench_again(bench, i, 2, 5, 15); ++i) sample(&w, &s);
  close_words(&w);
  const char *what = bench_text("%s, %u %% new", kind_text[kind], percent);
  bench_report(bench, &(struct figure){bench_text("newest, %s", what), "ms", &s.newest, "full", &s.full, NOT_JUDGED, 0,
                                       0});
  bench_report(bench, &(struct figure){bench_text("of it words, %s", what), "ms", &s.words, "reading lines", &s.read,
                                       NOT_JUDGED, 0, 0});
}

void bench_notes(struct bench *bench) {
  static const unsigned percents[] = {0, 1, 10};
  size_t count = bench_pick(bench, 20000, 1000000, 10000000);
  if (bench->targets) return;
  for (enum kind kind = SLAB; kind < KINDS; ++kind)
    for (size_t i = 0; i < sizeof percents / sizeof *percents; ++i) measure(bench, kind, count, percents[i]);
}
