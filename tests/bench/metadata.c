/* SPDX-License-Identifier: MIT */
/* metadata.c -- memory beside the heap, in percent of the heap.
 *
 *   side tables        what a committed region costs beyond its 2 MiB, from bytes_committed of a heap of few regions
 *   resident metadata  what a process grows by, outside the reservation, when it fills 256 MiB and collects: in a child
 *                      process, by /proc/self/smaps_rollup and mincore over the reservation
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define REGION_BYTES ((uint64_t)2 << 20) /* DESIGN.md */
#define PAGE ((uint64_t)4096)

static double side_percent(void) {
  struct host host;
  varve_heap_stats stats;
  host_open(&host, (uint64_t)8 << 20, 0, "workers=1");
  varve_heap_stats_get(host.heap, &stats);
  host_close(&host);
  uint64_t regions = stats.bytes_committed / REGION_BYTES;
  if (!regions) die("no region is committed");
  return ((double)stats.bytes_committed / (double)(regions * REGION_BYTES) - 1) * 100;
}

/* Memory of this process' own, not that of program files. */
static uint64_t resident_all(void) {
  char line[128];
  uint64_t kilobytes = 0;
  FILE *file = fopen("/proc/self/smaps_rollup", "r");
  while (file && fgets(line, sizeof line, file))
    if (strncmp(line, "Anonymous:", 10) == 0) kilobytes = strtoull(line + 10, NULL, 10);
  if (file) fclose(file);
  return kilobytes << 10;
}

/* One end of the reservation, from an address inside: by doubling steps, then halving them. */
static uint64_t reservation_end(const varve_heap *heap, uint64_t inside, bool up) {
  uint64_t step = PAGE, at = inside & ~(PAGE - 1);
  while (varve_heap_contains(heap, (void *)(up ? at + step : at - step))) at = up ? at + step : at - step, step *= 2;
  for (; step >= PAGE; step /= 2)
    if (varve_heap_contains(heap, (void *)(up ? at + step : at - step))) at = up ? at + step : at - step;
  return up ? at + PAGE : at;
}

static uint64_t resident_objects(const varve_heap *heap, uint64_t inside) {
  uint64_t low = reservation_end(heap, inside, false), high = reservation_end(heap, inside, true), pages = 0;
  unsigned char map[512];
  for (uint64_t at = low; at < high; at += sizeof map * PAGE) {
    uint64_t bytes = high - at < sizeof map * PAGE ? high - at : sizeof map * PAGE;
    if (mincore((void *)at, bytes, map) != 0) continue;
    for (uint64_t i = 0; i < bytes / PAGE; ++i) pages += map[i] & 1;
  }
  return pages * PAGE;
}

/* In the child: what is resident outside, in percent of what is resident inside. */
static double resident_percent(uint64_t bytes) {
  struct host host;
  uint64_t before = resident_all(), seed = 11;
  host_open(&host, bytes * 2, 0, NULL);
  varve_handle *root = varve_handle_new(host.me, 0);
  for (uint64_t have = 0; have < bytes * 7 / 8; have += 32) {
    struct pair *pair = host_alloc(&host, host.pair, sizeof *pair);
    varve_init(host.me, pair, &pair->left, varve_handle_get(root));
    if (random_next(&seed) % 8) varve_handle_set(host.me, root, varve_tag(pair, 0));
  }
  host_collect(&host);
  for (uint64_t have = 0; have < bytes / 8; have += 32) escape(host_alloc(&host, host.data, 32));
  host_collect(&host);
  uint64_t inside = resident_objects(host.heap, (uint64_t)(uintptr_t)varve_untag(varve_handle_get(root)));
  return (double)(resident_all() - before - inside) * 100 / (double)inside;
}

static double in_child(uint64_t bytes) {
  double percent = 0;
  int ends[2], status;
  if (pipe(ends) != 0) die("pipe");
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    percent = resident_percent(bytes);
    _exit(write(ends[1], &percent, sizeof percent) != sizeof percent);
  }
  close(ends[1]);
  if (child < 0 || read(ends[0], &percent, sizeof percent) != sizeof percent) die("the child said nothing");
  close(ends[0]);
  waitpid(child, &status, 0);
  return percent;
}

void bench_metadata(struct bench *bench) {
  struct series side = {0}, resident = {0};
  uint64_t bytes = bench_pick(bench, 16 << 20, 256 << 20, 1 << 30);
  bool judged = bench->scale > SCALE_TINY;
  series_add(&side, side_percent());
  series_add(&resident, in_child(bytes));
  enum bench_judge judge = judged ? AT_MOST : NOT_JUDGED;
  bench_report(bench, &(struct figure){"side tables", "%", &side, NULL, NULL, judge, 2.1, 2.05});
  bench_report(bench, &(struct figure){bench_text("resident metadata, %s", bench_size(bytes)), "%", &resident, NULL,
                                       NULL, judge, 2.5, 2.2});
}
