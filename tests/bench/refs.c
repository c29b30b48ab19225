/* SPDX-License-Identifier: MIT */
/* refs.c -- scanning Ref words: an array of words in host memory of which none, or 1 in 8, or 1 in 100 is a reference.
 *
 *   no reference   bandwidth; limit: reading the same words in order
 *   1 in n         limit: reading the words, plus marking the same references from an array that holds nothing else
 *
 * The objects fill their blocks and dense=1 keeps them in place, so that either array can be registered in turn. The
 * mark stack has room for all references, so that neither array meets its end.
 */
#include "bench.h"

struct words {
  struct host host;
  varve_word *base, *dense;
  size_t count, references;
};

static void set_words(struct words *w, unsigned one_in) {
  uint64_t seed = 5;
  w->references = 0;
  for (size_t i = 0; i < w->count; ++i) {
    uint64_t word = random_next(&seed);
    bool reference = one_in && word % one_in == 0;
    w->base[i] = reference ? 0 : word >> 63 ? word | 1 : 0; /* null, or an immediate */
    if (!reference) continue;
    w->base[i] = varve_tag(host_alloc(&w->host, w->host.data, 32), 0);
    w->dense[w->references++] = w->base[i];
  }
}

/* Random order, the same in both. */
static void shuffle(struct words *w) {
  uint64_t seed = 6;
  for (size_t i = w->references; i > 1; --i) {
    size_t k = random_next(&seed) % i;
    varve_word word = w->dense[i - 1];
    w->dense[i - 1] = w->dense[k], w->dense[k] = word;
  }
  for (size_t i = 0, r = 0; i < w->count && r < w->references; ++i)
    if (w->base[i] && !(w->base[i] & 7)) w->base[i] = w->dense[r++];
}

/* A collection in which the array is the only root. */
static double mark_ns(struct words *w, varve_word *base, size_t count) {
  varve_refs *refs = NULL;
  varve_ref_array array = {.name = "words", .base = base, .stride = sizeof *base, .count = count};
  if (varve_ref_array_add(w->host.heap, &array, &refs, NULL) != VARVE_OK) die("Ref array");
  host_collect(&w->host);
  varve_ref_array_remove(refs);
  if (w->host.last.bytes_moved) die("objects moved");
  return host_phase_ns(&w->host, w->host.last.mark_ns);
}

static void open_words(struct words *w, size_t count, unsigned one_in) {
  uint64_t room = ((uint64_t)8 << 20) + (one_in ? count / one_in * 36 : 0);
  *w = (struct words){.count = count};
  w->base = arena(ARENA_WORDS, count * sizeof *w->base);
  w->dense = arena(ARENA_ADDRESSES, (one_in ? count / one_in * 2 : 1) * sizeof *w->dense + 4096);
  host_open(&w->host, room * 2, room,
            bench_text("workers=1,dense=1,mark-segments=%zu", 1024 + (one_in ? count / one_in / 100 : 0)));
  set_words(w, one_in);
  shuffle(w);
}

static const char *words_text(size_t count) {
  return count >= 1000000 ? bench_text("%zu M words", count / 1000000) : bench_text("%zu words", count);
}

static void no_reference(struct bench *bench, size_t count, bool judged) {
  struct words w;
  struct series rate = {0}, read = {0};
  open_words(&w, count, 0);
  mark_ns(&w, w.base, w.count);
  for (unsigned i = 0; bench_again(bench, i, 2, 7, 11); ++i) {
    series_add(&read, (double)count * 8 / limit_read_ns(w.base, count));
    series_add(&rate, (double)count * 8 / mark_ns(&w, w.base, count));
  }
  host_close(&w.host);
  bench_report(bench, &(struct figure){bench_text("scan Ref words, no reference, %s", words_text(count)), "GB/s", &rate,
                                       "read stream", &read, judged ? AT_LEAST_TIMES : NOT_JUDGED, 0.80, 0.95});
}

static void one_in(struct bench *bench, size_t count, unsigned n, bool judged) {
  struct words w;
  struct series time = {0}, limit = {0};
  open_words(&w, count, n);
  mark_ns(&w, w.base, w.count);
  for (unsigned i = 0; bench_again(bench, i, 2, 5, 11); ++i) {
    double read = limit_read_ns(w.base, count), dense = mark_ns(&w, w.dense, w.references);
    series_add(&limit, (read + dense) / 1e6);
    series_add(&time, mark_ns(&w, w.base, count) / 1e6);
  }
  host_close(&w.host);
  bench_report(bench, &(struct figure){bench_text("scan Ref words, 1 in %u, %s", n, words_text(count)), "ms", &time,
                                       "read and mark dense", &limit, judged ? AT_MOST_TIMES : NOT_JUDGED, 1.3, 1.1});
}

void bench_refs(struct bench *bench) {
  bool judged = bench->scale > SCALE_TINY;
  size_t middle = bench_pick(bench, 20000, 10000000, 10000000);
  no_reference(bench, middle, judged);
  one_in(bench, middle, 8, judged);
  if (bench->targets) return;
  one_in(bench, middle, 100, false);
  for (size_t count = middle / 10; count <= bench_pick(bench, 2000, 1000000, 100000000); count *= 100) {
    no_reference(bench, count, false);
    one_in(bench, count, 8, false);
    one_in(bench, count, 100, false);
  }
}
