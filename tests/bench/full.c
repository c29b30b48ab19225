/* SPDX-License-Identifier: MIT */
/* full.c -- a whole collection that compacts: 4 M objects of 40 bytes with four random references each, a quarter of
 * the heap dead between them. From the request to the resume, in wall time, with one worker and with two.
 *
 * Limit: memcpy of the live bytes, and a visit of as many objects as there are objects and references in random order,
 * prefetched, on one thread; for two workers half of it.
 */
#include "bench.h"

#define BYTES 40u

struct full {
  struct host host[2];
  unsigned bits;
};

/* Fill with four objects for three that live; returns an array of the live ones. */
static varve_object *fill(struct host *host, size_t count, uint64_t *live) {
  uint64_t seed = 3;
  for (size_t have = 0; have < count;) {
    varve_object *object = host_alloc(host, host->quad, BYTES);
    if (random_next(&seed) % 4) live[have++] = varve_tag(object, 0);
  }
  for (size_t i = 0; i < count; ++i) {
    varve_object *object = varve_untag(live[i]);
    varve_word *slots = (varve_word *)(object + 1);
    for (unsigned k = 0; k < 4; ++k) varve_store(host->me, object, &slots[k], live[random_next(&seed) % count]);
  }
  varve_object *array = host_alloc(host, host->array, 8 + 8 * count);
  varve_init_bulk(host->me, array, (varve_word *)(array + 1), live, count);
  return array;
}

static double sample(struct full *full, unsigned w) {
  struct host *host = &full->host[w];
  size_t count = (size_t)1 << full->bits;
  host_collect(host); /* what was there is dead */
  varve_object *array = fill(host, count, arena(ARENA_ADDRESSES, count * 8));
  varve_handle *root = varve_handle_new(host->me, varve_tag(array, 0));
  if (!root) die("no handle");
  host_collect(host);
  varve_handle_free(host->me, root);
  unsigned long long moved = host->last.bytes_moved;
  if (moved < count * BYTES / 2) die("only %llu bytes moved", moved);
  return (w ? (double)host->last.total_ns : host_phase_ns(host, host->last.total_ns)) / 1e6;
}

static double limit(const struct full *full, unsigned w) {
  double visit = limit_visit_ns(full->bits, 1) * 5, copy = limit_copy_ns(((size_t)BYTES << full->bits) & ~(size_t)7);
  return (visit + copy) / 1e6 / (w + 1);
}

static void report(struct bench *bench, const struct full *full, unsigned w, const struct series *time,
                   const struct series *bound) {
  bench_report(bench, &(struct figure){
    bench_text("full collection, %u M objects, %u worker%s", 1u << full->bits >> 20, w + 1, w ? "s" : ""), "ms", time,
    "copy and visit", bound, bench->scale > SCALE_TINY ? AT_MOST : NOT_JUDGED, w ? 120 : 200, w ? 75 : 130});
}

void bench_full(struct bench *bench) {
  struct full full = {.bits = (unsigned)bench_pick(bench, 14, 22, 22)};
  struct series time[2] = {{0}, {0}}, bound[2] = {{0}, {0}};
  uint64_t room = ((uint64_t)BYTES * 3 / 2 + 8) << full.bits;
  host_open(&full.host[0], room * 3 + (64u << 20), room + room / 8, "workers=1");
  host_open(&full.host[1], room * 3 + (64u << 20), room + room / 8, "workers=2,parallel-min=0");
  for (unsigned i = 0; bench_again(bench, i, 2, 3, 7); ++i)
    for (unsigned w = 0; w < 2; ++w) {
      series_add(&bound[w], limit(&full, w));
      series_add(&time[w], sample(&full, w));
    }
  for (unsigned w = 0; w < 2; ++w) report(bench, &full, w, &time[w], &bound[w]);
  host_close(&full.host[0]);
  host_close(&full.host[1]);
}
