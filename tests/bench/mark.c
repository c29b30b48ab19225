/* SPDX-License-Identifier: MIT */
/* mark.c -- marking, in millions of objects a second, and what a second worker adds.
 *
 * Nothing moves: every block is full, and dense=1 keeps it. mark_ns includes clearing the bitmap.
 * Limit: the raw prefetched loop, which visits as many objects of the same size in random order, sets their bits and
 * reads their references, knowing beforehand where they are.
 */
#include "bench.h"
#include "graphs.h"

struct subject {
  struct host host;
  varve_handle *root;
};

static void open_subject(struct subject *subject, graph_fn *graph, unsigned bits, const char *options) {
  uint64_t bytes = ((uint64_t)32 << bits) * (graph == graph_wide ? 5 : 4) / 4;
  uint64_t room = bytes + bytes / 16 + ((uint64_t)8 << 20);
  host_open(&subject->host, room * 2, room, options);
  void *root = graph(&subject->host, bits);
  subject->root = varve_handle_new(subject->host.me, varve_tag(root, 0));
  if (!subject->root) die("no handle");
  host_collect(&subject->host); /* the first one sees no old bits */
}

static void close_subject(struct subject *subject) {
  varve_handle_free(subject->host.me, subject->root);
  host_close(&subject->host);
}

static double mark_rate(struct subject *subject) {
  host_collect(&subject->host);
  return (double)subject->host.last.objects_marked * 1e3 / host_phase_ns(&subject->host, subject->host.last.mark_ns);
}

static double wall_rate(struct subject *subject) {
  host_collect(&subject->host);
  return (double)subject->host.last.objects_marked * 1e3 / (double)subject->host.last.mark_ns;
}

static double raw_rate(unsigned bits, unsigned threads) {
  return (double)(UINT64_C(1) << bits) * 1e3 / limit_visit_ns(bits, threads);
}

static void report_rate(struct bench *bench, const char *what, unsigned bits, const struct series *rate,
                        const struct series *raw, double must, double reach) {
  bench_report(bench, &(struct figure){
    bench_text("mark %s, %s", what, bench_size((uint64_t)32 << bits)), "M/s", rate, "raw prefetched loop", raw,
    must > 0 && bench->scale > SCALE_TINY ? AT_LEAST : NOT_JUDGED, must, reach});
}

static void one_worker(struct bench *bench, const char *what, graph_fn *graph, double must, double reach) {
  unsigned bits = (unsigned)bench_pick(bench, 15, 23, 25);
  struct series rate = {0}, raw = {0};
  struct subject subject;
  open_subject(&subject, graph, bits, "workers=1,dense=1");
  for (unsigned i = 0; bench_again(bench, i, 2, 5, 7); ++i) {
    series_add(&raw, raw_rate(bits, 1));
    series_add(&rate, mark_rate(&subject));
  }
  close_subject(&subject);
  report_rate(bench, what, bits, &rate, &raw, must, reach);
}

/* ---- the random graph, with one worker and with two, in wall time ---- */

static void report_speedup(struct bench *bench, const struct series *rate, const struct series *raw) {
  struct series ours = {0}, theirs = {0};
  series_divide(&ours, &rate[1], &rate[0]);
  series_divide(&theirs, &raw[1], &raw[0]);
  bench_report(bench, &(struct figure){"mark random graph: 2 workers against 1", "x", &ours, "raw loop, 2 threads",
                                       &theirs, bench->scale > SCALE_TINY ? AT_LEAST_TIMES : NOT_JUDGED, 0.93, 0.98});
}

static double raw_wall_rate(unsigned bits, unsigned threads) {
  uint64_t began = now_ns();
  limit_visit_ns(bits, threads);
  return (double)(UINT64_C(1) << bits) * 1e3 / (double)(now_ns() - began);
}

/* Samples without a second core to run on say nothing: they are repeated, though not for ever. */
static void sample_both(struct subject subject[2], unsigned bits, struct series rate[2], struct series raw[2]) {
  double one = 1, two = 1;
  for (unsigned tries = 0; tries < 4 && two / one < 1.4; ++tries) {
    one = raw_wall_rate(bits, 1);
    two = raw_wall_rate(bits, 2);
  }
  series_add(&raw[0], one);
  series_add(&raw[1], two);
  for (unsigned w = 0; w < 2; ++w) series_add(&rate[w], wall_rate(&subject[w]));
}

static void two_workers(struct bench *bench) {
  unsigned bits = (unsigned)bench_pick(bench, 15, 22, 25);
  struct series rate[2] = {{0}, {0}}, raw[2] = {{0}, {0}};
  struct subject subject[2];
  open_subject(&subject[0], graph_random, bits, "workers=1,dense=1");
  open_subject(&subject[1], graph_random, bits, "workers=2,dense=1,parallel-min=0");
  for (unsigned i = 0; bench_again(bench, i, 2, 7, 9); ++i) sample_both(subject, bits, rate, raw);
  close_subject(&subject[0]);
  close_subject(&subject[1]);
  if (!bench->targets) report_rate(bench, "random graph, 2 workers", bits, &rate[1], &raw[1], 0, 0);
  report_speedup(bench, rate, raw);
}

/* ---- many roots: the objects of a random graph, each in a root slot ---- */

static void many_roots(struct bench *bench) {
  unsigned bits = (unsigned)bench_pick(bench, 13, 21, 23);
  size_t count = (size_t)1 << bits;
  struct series rate = {0}, raw = {0};
  struct subject subject;
  open_subject(&subject, graph_random, bits, "workers=1,dense=1");
  varve_word *slots = arena(ARENA_ADDRESSES, count * sizeof *slots);
  if (varve_root_slots_add(subject.host.heap, "many", slots, count, NULL) != VARVE_OK) die("slots");
  for (unsigned i = 0; bench_again(bench, i, 2, 5, 7); ++i) {
    series_add(&raw, raw_rate(bits, 1));
    series_add(&rate, mark_rate(&subject));
  }
  if (varve_root_slots_remove(subject.host.heap, slots) != VARVE_OK) die("slots");
  close_subject(&subject);
  report_rate(bench, "many roots, random graph", bits, &rate, &raw, 0, 0);
}

void bench_mark(struct bench *bench) {
  one_worker(bench, "random graph", graph_random, 60, 110);
  two_workers(bench);
  one_worker(bench, "in allocation order (tree)", graph_tree, 90, 150);
  if (bench->targets) return;
  one_worker(bench, "children before parents", graph_post_order, 0, 0);
  one_worker(bench, "breadth-first order", graph_breadth, 0, 0);
  one_worker(bench, "list in order", graph_list, 0, 0);
  one_worker(bench, "wide array", graph_wide, 0, 0);
  many_roots(bench);
}
