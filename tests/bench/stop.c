/* SPDX-License-Identifier: MIT */
/* stop.c -- time to stop: two mutators; one asks for a collection, the other polls in a loop.
 *
 * The heap is all but empty, so that collections are short. Limit: a hand-off with the same two threads, in turns with
 * the collections: one writes a word, the other sees it between two polls and answers, the first sees the answer.
 * Percentiles are taken over batches.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "bench.h"

#define BATCH 100u

struct partner {
  struct host *host;
  _Alignas(64) _Atomic unsigned question;
  _Alignas(64) _Atomic unsigned answer;
  _Alignas(64) _Atomic bool end;
};

static void *poll_loop(void *context) {
  struct partner *p = context;
  varve_mutator *me;
  if (varve_attach(p->host->heap, "partner", &me, NULL) != VARVE_OK) die("attach");
  while (!atomic_load_explicit(&p->end, memory_order_relaxed)) {
    varve_poll(me);
    unsigned question = atomic_load_explicit(&p->question, memory_order_acquire);
    if (question != atomic_load_explicit(&p->answer, memory_order_relaxed)) atomic_store(&p->answer, question);
  }
  if (varve_detach(me) != VARVE_OK) die("detach");
  return NULL;
}

/* The asking thread is a mutator too: it waits between polls. */
static double hand_off(struct partner *p) {
  unsigned question = atomic_load(&p->question) + 1;
  uint64_t began = now_ns();
  atomic_store(&p->question, question);
  while (atomic_load_explicit(&p->answer, memory_order_acquire) != question) varve_poll(p->host->me);
  return (double)(now_ns() - began) / 1e3;
}

static void work_for(uint64_t ns) {
  for (uint64_t began = now_ns(); now_ns() - began < ns;) __builtin_ia32_pause();
}

/* Not a fixed rhythm, and long enough for the partner to be back in its loop. */
static void sample_batch(struct partner *p, struct series *stops, struct series *offs) {
  uint64_t seed = now_ns();
  stops->count = offs->count = 0;
  for (unsigned i = 0; i < BATCH; ++i) {
    hand_off(p);
    work_for(5000 + random_next(&seed) % 5000);
    series_add(offs, hand_off(p));
    work_for(5000 + random_next(&seed) % 5000);
    host_collect(p->host);
    series_add(stops, (double)p->host->last.stop_ns / 1e3);
  }
}

static void report(struct bench *bench, const struct series p50[2], const struct series p99[2]) {
  bool judged = bench->scale > SCALE_TINY;
  bench_report(bench, &(struct figure){"time to stop, 2 mutators, p50", "us", &p50[0], "spin hand-off", &p50[1],
                                       judged ? AT_MOST : NOT_JUDGED, 5, 2});
  bench_report(bench, &(struct figure){"time to stop, 2 mutators, p99", "us", &p99[0], "spin hand-off", &p99[1],
                                       judged ? AT_MOST_TIMES : NOT_JUDGED, 5, 2});
}

void bench_stop(struct bench *bench) {
  struct host host;
  struct series stops, offs, p50[2] = {{0}, {0}}, p99[2] = {{0}, {0}};
  struct partner partner = {.host = &host};
  pthread_t thread;
  host_open(&host, (uint64_t)16 << 20, 0, "workers=1");
  if (pthread_create(&thread, NULL, poll_loop, &partner) != 0) die("no thread");
  hand_off(&partner);
  for (unsigned i = 0; bench_again(bench, i, 1, 200, 1000); ++i) {
    sample_batch(&partner, &stops, &offs);
    series_add(&p50[0], series_percentile(&stops, 50)), series_add(&p50[1], series_percentile(&offs, 50));
    series_add(&p99[0], series_percentile(&stops, 99)), series_add(&p99[1], series_percentile(&offs, 99));
  }
  atomic_store(&partner.end, true);
  if (varve_native_enter(host.me) != VARVE_OK) die("native");
  pthread_join(thread, NULL);
  if (varve_native_leave(host.me) != VARVE_OK) die("native");
  host_close(&host);
  report(bench, p50, p99);
}
