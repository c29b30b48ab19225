/* SPDX-License-Identifier: MIT */
/* fixup.c -- rewriting a slot whose object moves: slots in the order of their objects, and in random order.
 *
 * One of eight objects of 32 bytes lives, and there are eight times as many slots. The
 * slide is measured with the slots and without (see slide.c); the difference from the
 * median of the latter is their cost.
 * Limit: prefetched look-ups in side tables of the heap's size.
 */
#include "movers.h"

#define COPIES 8u

static double slide_ns(struct movers *movers, bool random, bool fix) {
  movers_fill(movers, 12, fix ? COPIES : 1, random && fix);
  movers->fix = fix;
  host_collect(&movers->host);
  return host_phase_ns(&movers->host, movers->host.last.slide_ns);
}

static void measure(struct bench *bench, struct movers *movers, bool random) {
  struct series without = {0}, with = {0}, cost = {0}, limit = {0};
  double slots = 1;
  for (unsigned i = 0; bench_again(bench, i, 2, 5, 9); ++i) {
    series_add(&without, slide_ns(movers, random, false));
    series_add(&with, slide_ns(movers, random, true));
    slots = (double)movers->slot_count;
    series_add(&limit, limit_lookup_ns(movers->bytes, movers->slot_count, random) / slots);
  }
  double base = series_median(&without);
  for (unsigned i = 0; i < with.count; ++i)
    series_add(&cost, with.value[i] > base ? (with.value[i] - base) / slots : 0);
  bench_report(bench, &(struct figure){
    bench_text("fix up a reference, %s, %s", random ? "random" : "near", bench_size(movers->bytes)), "ns", &cost,
    "prefetched look-up", &limit, bench->scale > SCALE_TINY ? AT_MOST : NOT_JUDGED, random ? 8 : 2, random ? 5 : 1.2});
}

void bench_fixup(struct bench *bench) {
  struct movers movers;
  movers_open(&movers, bench_pick(bench, 8 << 20, 256 << 20, 1 << 30));
  measure(bench, &movers, false);
  measure(bench, &movers, true);
  movers_close(&movers);
}
