/* SPDX-License-Identifier: MIT */
/* host.c -- a heap with one mutator and the layouts that the benchmarks use. */
#include <stdio.h>

#include "bench.h"

#define TURN_NS 4000000u

static varve_layout make_layout(varve_heap *heap, varve_layout_kind kind, const uint32_t *offsets, size_t count) {
  varve_layout layout = 0;
  varve_error error = {0};
  varve_layout_desc desc = {.kind = kind, .offsets = offsets, .offset_count = count};
  if (varve_layout_register(heap, &desc, &layout, &error) != VARVE_OK) die("layout: %s", error.detail);
  return layout;
}

void host_open(struct host *host, uint64_t heap_max, uint64_t heap_initial, const char *list) {
  static const uint32_t offsets[] = {8, 16, 24, 32};
  varve_options options;
  varve_error error = {0};
  varve_options_init(&options);
  if (list && varve_options_parse(&options, list, &error) != VARVE_OK) die("options: %s", error.detail);
  if (heap_max) options.heap_max = heap_max;
  if (heap_initial) options.heap_initial = heap_initial, options.cache_budget = options.heap_max;
  if (varve_heap_create(&options, &host->heap, &error) != VARVE_OK) die("heap: %s", error.detail);
  if (varve_attach(host->heap, "bench", &host->me, &error) != VARVE_OK) die("attach: %s", error.detail);
  host->data = make_layout(host->heap, VARVE_LAYOUT_DATA, NULL, 0);
  host->pair = make_layout(host->heap, VARVE_LAYOUT_OFFSETS, offsets, 2);
  host->quad = make_layout(host->heap, VARVE_LAYOUT_OFFSETS, offsets, 4);
  host->array = make_layout(host->heap, VARVE_LAYOUT_REF_ARRAY, NULL, 0);
}

void host_close(struct host *host) {
  if (varve_detach(host->me) != VARVE_OK) die("detach");
  if (varve_heap_destroy(host->heap) != VARVE_OK) die("destroy");
}

static void collect(struct host *host, varve_status how(varve_mutator *me)) {
  uint64_t cpu = cpu_ns(), wall = now_ns();
  if (how(host->me) != VARVE_OK) die("collect");
  cpu = cpu_ns() - cpu, wall = now_ns() - wall;
  host->share = wall > cpu ? (double)cpu / (double)wall : 1;
  if (!varve_collection_stats_get(host->heap, &host->last)) die("no figures");
}

void host_collect(struct host *host) { collect(host, varve_collect); }
void host_collect_newest(struct host *host) { collect(host, varve_collect_newest); }

double host_phase_ns(const struct host *host, uint64_t phase_ns) {
  return (double)phase_ns * (phase_ns < TURN_NS ? 1 : host->share);
}

void *host_alloc(struct host *host, varve_layout layout, size_t bytes) {
  void *object = varve_alloc(host->me, layout, bytes);
  if (!object) die("allocation of %zu bytes: %s", bytes, varve_status_sentence(varve_mutator_status(host->me)));
  return object;
}

uint64_t host_in_use(const struct host *host) {
  varve_heap_stats stats;
  varve_heap_stats_get(host->heap, &stats);
  return stats.bytes_in_use;
}
