/* SPDX-License-Identifier: MIT */
/* plan.c -- planning a heap of which everything moves, and clearing the bitmap, per GiB of heap in use.
 *
 * Clearing is part of the mark phase. It is measured alone: a heap that was full of live objects in the last collection
 * and is dead in this one has all of its bitmap to clear and nothing to mark.
 * Limit: counting a bitmap of the heap's size, writing ranks, and clearing it.
 */
#include "movers.h"

static double per_gib(const struct movers *movers, double ns) {
  return ns / 1e6 * (double)((uint64_t)1 << 30) / (double)movers->host.last.live_before;
}

static void sample(struct movers *movers, struct series *plan, struct series *clear, struct series *both,
                   struct series *limit) {
  movers_fill(movers, 75, 1, false);
  host_collect(&movers->host);
  double planned = per_gib(movers, host_phase_ns(&movers->host, movers->host.last.plan_ns));
  movers_fill(movers, 100, 1, false);
  host_collect(&movers->host);
  movers_drop(movers);
  double cleared = per_gib(movers, host_phase_ns(&movers->host, movers->host.last.mark_ns));
  series_add(plan, planned);
  series_add(clear, cleared);
  series_add(both, planned + cleared);
  series_add(limit, limit_summary_ns(movers->bytes) / 1e6 * (double)((uint64_t)1 << 30) / (double)movers->bytes);
}

void bench_plan(struct bench *bench) {
  struct movers movers;
  struct series plan = {0}, clear = {0}, both = {0}, limit = {0};
  uint64_t bytes = bench_pick(bench, 8 << 20, 256 << 20, 1 << 30);
  movers_open(&movers, bytes);
  for (unsigned i = 0; bench_again(bench, i, 2, 5, 7); ++i) sample(&movers, &plan, &clear, &both, &limit);
  movers_close(&movers);
  bench_report(bench, &(struct figure){"plan, a GiB", "ms", &plan, NULL, NULL, NOT_JUDGED, 0, 0});
  bench_report(bench, &(struct figure){"clear, a GiB", "ms", &clear, NULL, NULL, NOT_JUDGED, 0, 0});
  bench_report(bench, &(struct figure){bench_text("plan and clear, a GiB, by %s", bench_size(bytes)), "ms", &both,
                                       "clear and count", &limit, bench->scale > SCALE_TINY ? AT_MOST : NOT_JUDGED, 3,
                                       1.7});
}
