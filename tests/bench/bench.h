/* SPDX-License-Identifier: MIT */
/* bench.h -- what the benchmark programs share. They see the public headers only.
 *
 * Words:  sample   one measured number
 *         series   the samples of one quantity
 *         limit    what the machine does without a collector, in the same unit, measured in turns with the quantity, so
 *                  that noise hits both
 *         figure   a series with its limit: a line of a table, a line of JSON, and when it has bounds, lines of targets
 */
#ifndef VARVE_TESTS_BENCH_H
#define VARVE_TESTS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <varve/varve.h>

/* ---- series (series.c) ---- */

#define SERIES_MAX 2048u

struct series {
  unsigned count;
  double value[SERIES_MAX];
};

void series_add(struct series *series, double value); /* what does not fit is left out */
double series_percentile(const struct series *series, double percent);
double series_median(const struct series *series);
/* Sample by sample a / b; the shorter one ends it. */
void series_divide(struct series *out, const struct series *a, const struct series *b);

/* ---- figures (report.c) ---- */

enum bench_scale { SCALE_TINY, SCALE_QUICK, SCALE_FULL };

enum bench_judge {
  NOT_JUDGED,
  AT_MOST,        /* the median of the samples against the bounds */
  AT_LEAST,
  AT_MOST_TIMES,  /* the median of sample / limit */
  AT_LEAST_TIMES
};

struct figure {
  const char *what, *unit;
  const struct series *measured;
  const char *limit_name; /* NULL: no limit */
  const struct series *limit;
  enum bench_judge judge;
  double must, reach;
};

struct bench {
  enum bench_scale scale;
  bool json;
  bool targets; /* only what has a target */
  const char *group;
  unsigned missed; /* MUST lines */
  uint64_t began, group_began; /* now_ns */
};

void bench_report(struct bench *bench, const struct figure *figure);
void bench_print_targets(const struct bench *bench);
/* One of the three, by scale. */
uint64_t bench_pick(const struct bench *bench, uint64_t tiny, uint64_t quick, uint64_t full);
/* Another sample after `done`? Up to so many by scale; fewer, but two, when the time of a quick run is used up. */
bool bench_again(const struct bench *bench, unsigned done, unsigned tiny, unsigned quick, unsigned full);
/* "256 MiB" and the like, in one of a few buffers that are used in turns. */
const char *bench_size(uint64_t bytes);
const char *bench_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- the machine (machine.c) ---- */

/* Times of one thread's work are in its processor time, so that other programs' turns on the same core are not in them;
 * on a quiet machine that is the same. Times of several threads' work are in wall time. */
uint64_t now_ns(void);
uint64_t cpu_ns(void); /* of the calling thread; a system call, so for milliseconds and more */
unsigned machine_cores(void);
int machine_core(void); /* that the calling thread is on */
void machine_leave_core(int core); /* the calling thread stays on the others, if there are any */
void machine_stay(void); /* it stays on this one, */
void machine_roam(void); /* and no more */
size_t machine_l2_bytes(void);
void machine_print(const struct bench *bench);
/* Populated memory, huge pages by advice, kept from call to call: slot is one of these. */
enum { ARENA_RAW, ARENA_COPY, ARENA_WORDS, ARENA_ADDRESSES, ARENA_ORDER, ARENA_STACK, ARENAS };
void *arena(unsigned slot, size_t bytes);
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
static inline void escape(const void *p) { __asm__ volatile("" : : "r"(p) : "memory"); }
static inline uint64_t random_next(uint64_t *state) { /* splitmix64 */
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}
/* A permutation of [0, 1 << bits). */
static inline uint64_t scramble(uint64_t k, unsigned bits) {
  uint64_t mask = (UINT64_C(1) << bits) - 1;
  k = k * UINT64_C(0x9e3779b97f4a7c15) & mask;
  k ^= k >> (bits / 2);
  k = k * UINT64_C(0xd1342543de82ef95) & mask;
  return k ^ k >> (bits / 2);
}

/* ---- limits (limits.c); times in nanoseconds ---- */


double limit_copy_ns(size_t bytes);                      /* memcpy of so much */
double limit_read_ns(const uint64_t *words, size_t count); /* sum of words in order */
double limit_bump_ns(unsigned words, size_t objects);     /* an object: header and words - 1 stores, in L2 */
/* Visit 1 << bits objects of 32 bytes in random order, prefetched: set the mark bits of each by an atomic OR, read its
 * two references. Wall time. */
double limit_visit_ns(unsigned bits, unsigned threads);
/* The same for these objects of 32 bytes in this order; then copy them, from where each is, in the order of `at`, one
 * behind the other. With two threads in wall time. */
double limit_trace_ns(const uint64_t *order, const uint64_t *at, size_t count, unsigned threads);
/* Forwarding look-ups, prefetched, through side tables for `heap` bytes, a power of two; in order or at random. */
double limit_lookup_ns(uint64_t heap, size_t lookups, bool random);
double limit_summary_ns(uint64_t heap); /* clear and count a bitmap of 1 bit a word */

/* ---- a heap to measure (host.c) ---- */

struct host {
  varve_heap *heap;
  varve_mutator *me;
  varve_layout data, pair, quad, array; /* no, two, four references; all words */
  varve_collection_stats last;
  double share; /* of the last collection's wall time that the calling thread ran */
};

struct pair {
  varve_object header;
  varve_word left, right, number;
};

/* `options` may be NULL; die when it does not work. With heap_initial given, nothing collects of itself before so much
 * is in use; 0: the default. */
void host_open(struct host *host, uint64_t heap_max, uint64_t heap_initial, const char *options);
void host_close(struct host *host);
void host_collect(struct host *host);
void host_collect_newest(struct host *host);
/* A phase of the last collection in processor time, for heaps with one worker. The share of the whole collection is
 * taken for that of the phase; a phase shorter than a scheduler's turn is left as it is. */
double host_phase_ns(const struct host *host, uint64_t phase_ns);
void *host_alloc(struct host *host, varve_layout layout, size_t bytes); /* zeroed; die when full */
uint64_t host_in_use(const struct host *host);

/* ---- the benchmarks ---- */

void bench_alloc(struct bench *bench);
void bench_quiet(struct bench *bench);
void bench_mark(struct bench *bench);
void bench_slide(struct bench *bench);
void bench_fixup(struct bench *bench);
void bench_plan(struct bench *bench);
void bench_refs(struct bench *bench);
void bench_stop(struct bench *bench);
void bench_poll(struct bench *bench);
void bench_full(struct bench *bench);
void bench_young(struct bench *bench);
void bench_barrier(struct bench *bench);
void bench_notes(struct bench *bench);
void bench_metadata(struct bench *bench);
void bench_sizes(struct bench *bench);
void bench_narrow(struct bench *bench);
void bench_weak(struct bench *bench);
void bench_identity(struct bench *bench);

#endif
