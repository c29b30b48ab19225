/* SPDX-License-Identifier: MIT */
/* slide.c -- copying live objects down: 32 bytes, no references, three of four live at random.
 *
 * Objects live only by references, and references cost fix-ups, which this figure is without. So a root callback gives
 * the slots while marking and not while sliding. The slots are stale afterwards; nobody looks at them again.
 * Limit: memcpy of as many bytes as were moved.
 */
#include "movers.h"

void bench_slide(struct bench *bench) {
  struct movers movers;
  struct series rate = {0}, copy = {0};
  uint64_t bytes = bench_pick(bench, 8 << 20, 256 << 20, 1 << 30);
  movers_open(&movers, bytes);
  for (unsigned i = 0; bench_again(bench, i, 2, 5, 9); ++i) {
    movers_fill(&movers, 75, 1, false);
    host_collect(&movers.host);
    const varve_collection_stats *last = &movers.host.last;
    series_add(&rate, (double)last->bytes_moved / host_phase_ns(&movers.host, last->slide_ns));
    series_add(&copy, (double)last->bytes_moved / limit_copy_ns(last->bytes_moved & ~(uint64_t)7));
  }
  movers_close(&movers);
  bench_report(bench, &(struct figure){bench_text("slide 32 B, 75 %% live, %s", bench_size(bytes)), "GB/s", &rate,
                                       "memcpy", &copy, bench->scale > SCALE_TINY ? AT_LEAST_TIMES : NOT_JUDGED, 0.25,
                                       0.38});
}
