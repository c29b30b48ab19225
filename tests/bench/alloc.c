/* SPDX-License-Identifier: MIT */
/* alloc.c -- allocating and initialising objects of 16, 32, 64 and 256 bytes, collections included.
 *
 *   dying at once  nothing is kept; the heap has its initial size
 *   surviving      a ring of roots keeps the last 64 Ki objects, so that each lives through some collections
 *
 * Limit: a hand-written bump loop with its pointer in a register, going round in half of the L2 cache.
 */
#include "bench.h"
#include "steps.h"

#define RING_WORDS ((size_t)1 << 16)

static const unsigned sizes[] = {2, 4, 8, 32}; /* words */

static inline __attribute__((always_inline)) double dying(struct host *host, unsigned words, size_t objects) {
  varve_mutator *me = host->me;
  varve_layout layout = host->data;
  uint64_t began = cpu_ns();
  for (size_t i = 0; i < objects; ++i) {
    uint64_t *object = varve_alloc_uninit(me, layout, words * 8);
    if (VARVE_UNLIKELY(!object)) die("heap full");
    for (unsigned w = 1; w < words; ++w) object[w] = i;
    escape(object);
  }
  return (double)(cpu_ns() - began) / (double)objects;
}

static inline __attribute__((always_inline)) double surviving(struct host *host, varve_word *ring, unsigned words,
                                                              size_t objects) {
  uint64_t began = cpu_ns();
  for (size_t i = 0; i < objects; ++i) {
    uint64_t *object = varve_alloc_uninit(host->me, host->data, words * 8);
    if (VARVE_UNLIKELY(!object)) die("heap full");
    for (unsigned w = 1; w < words; ++w) object[w] = i;
    ring[i % RING_WORDS] = varve_tag(object, 0);
    escape(object);
  }
  return (double)(cpu_ns() - began) / (double)objects;
}

/* The sizes are constants, as in compiled code. */
static double run(struct host *host, varve_word *ring, unsigned words, size_t n) {
  switch (words) {
    case 2: return ring ? surviving(host, ring, 2, n) : dying(host, 2, n);
    case 4: return ring ? surviving(host, ring, 4, n) : dying(host, 4, n);
    case 8: return ring ? surviving(host, ring, 8, n) : dying(host, 8, n);
    default: return ring ? surviving(host, ring, 32, n) : dying(host, 32, n);
  }
}

static void measure(struct bench *bench, unsigned words, bool survive, varve_word *ring) {
  struct host host;
  struct series measured = {0}, limit = {0};
  size_t n = bench_pick(bench, 20000, 2000000, 8000000) * 4 / words + 1;
  host_open(&host, (uint64_t)256 << 20, 0, "workers=1");
  if (survive && varve_root_slots_add(host.heap, "ring", ring, RING_WORDS, NULL) != VARVE_OK) die("ring");
  run(&host, survive ? ring : NULL, words, n * 2); /* the heap finds its size */
  for (unsigned i = 0; bench_again(bench, i, 3, 11, 21); ++i) {
    series_add(&limit, limit_bump_ns(words, n));
    series_add(&measured, run(&host, survive ? ring : NULL, words, n));
  }
  if (survive && varve_root_slots_remove(host.heap, ring) != VARVE_OK) die("ring");
  host_close(&host);
  bench_report(bench, &(struct figure){
    bench_text("allocate %u B, %s", words * 8, survive ? "surviving" : "dying at once"), "ns", &measured,
    "bump loop in L2", &limit, words == 4 && !survive ? AT_MOST_TIMES : NOT_JUDGED, 1.5, 1.1});
}

/* ---- instructions: the inline path, from a layout in a register to a pointer to the object ---- */

static varve_layout counted;

static __attribute__((noinline)) uint64_t loop_bare(varve_mutator *me, uint64_t rounds) {
  varve_layout layout = counted;
  for (uint64_t i = 0; i < rounds; ++i) {
    __asm__ volatile("" : "+r"(layout));
    escape(me);
  }
  return 0;
}

static __attribute__((noinline)) uint64_t loop_allocating(varve_mutator *me, uint64_t rounds) {
  varve_layout layout = counted;
  for (uint64_t i = 0; i < rounds; ++i) {
    __asm__ volatile("" : "+r"(layout));
    escape(varve_alloc_uninit(me, layout, 32));
  }
  return 0;
}

/* The median: a sample may meet the end of a TLAB. */
static void report_instructions(struct bench *bench) {
  struct host host;
  struct series count = {0};
  host_open(&host, (uint64_t)16 << 20, 0, "workers=1");
  counted = host.data;
  for (unsigned i = 0; i < 7; ++i) series_add(&count, steps_between(loop_bare, loop_allocating, host.me));
  host_close(&host);
  bench_report(bench, &(struct figure){"allocate 32 B: instructions", "", &count, NULL, NULL, NOT_JUDGED, 0, 0});
}

void bench_alloc(struct bench *bench) {
  varve_word *ring = arena(ARENA_WORDS, RING_WORDS * sizeof *ring);
  for (unsigned i = 0; i < 4; ++i) {
    if (bench->targets && sizes[i] != 4) continue;
    measure(bench, sizes[i], false, ring);
    for (size_t k = 0; k < RING_WORDS; ++k) ring[k] = 0;
    if (!bench->targets) measure(bench, sizes[i], true, ring);
  }
  report_instructions(bench);
}
