/* SPDX-License-Identifier: MIT */
/* placing.c -- see placing.h. */
#include "core/placing.h"

#include "core/base/clock.h"
#include "core/worker.h"
#include "numa/place.h"

#define PARALLEL_REGIONS 64u /* below 128 MiB starting threads takes as long as populating */
#define PROGRESS_NS UINT64_C(1000000000)

unsigned varve__placing_how(const varve_options *options) {
  static const unsigned pages[] = {[VARVE_HUGE_OFF] = PLACE_SMALL,
                                   [VARVE_HUGE_TRANSPARENT] = PLACE_HUGE,
                                   [VARVE_HUGE_EXPLICIT] = PLACE_EXPLICIT};
  return PLACE_POPULATE | pages[options->huge_pages] | (options->lock_memory ? PLACE_LOCK : 0);
}

/* ---- populating ---------------------------------------------------------------------------------------------- */

/* Nodes get as much as they have cores, in the order of the cores, so that the regions of a node are neighbours. */
static unsigned node_of_share(const struct varve_heap *heap, uint32_t i) {
  const struct varve_topology *t = heap->topology;
  return t->cpus[(uint64_t)i * t->cpu_count / heap->populating.wanted].node;
}

static double mib(uint32_t regions) { return (double)regions * (double)VARVE__REGION_BYTES / (1 << 20); }

/* The creating thread says once a second how far all are. */
static void tell_progress(struct varve_heap *heap, uint64_t *since) {
  uint64_t now = varve__clock_ns();
  if (now - *since < PROGRESS_NS) return;
  *since = now;
  uint32_t done = atomic_load_explicit(&heap->space.commits, memory_order_relaxed);
  varve__log(heap, 1, "populating: %.0f of %.0f MiB", mib(done), mib(heap->populating.wanted));
}

static void populate_worker(struct varve_heap *heap, uint32_t worker) {
  struct varve_taker taker = varve__share_open(heap, &heap->shares.regions, worker);
  uint64_t since = varve__clock_ns();
  uint32_t i;
  while (!atomic_load_explicit(&heap->populating.failed, memory_order_relaxed) && share_take(&taker, &i)) {
    if (!varve__space_populate(&heap->space, node_of_share(heap, i)))
      atomic_store_explicit(&heap->populating.failed, true, memory_order_relaxed);
    if (worker == 0) tell_progress(heap, &since);
  }
}

uint32_t varve__placing_populate(struct varve_heap *heap, uint32_t wanted) {
  uint32_t workers = wanted < PARALLEL_REGIONS ? 1 : heap->options.workers;
  heap->populating.wanted = wanted;
  varve__workers_prepare(heap, workers);
  varve__workers_begin(heap, workers);
  varve__shares_count(heap, &heap->shares.regions, wanted, node_of_share);
  varve__workers_run(heap, populate_worker);
  varve__placing_tell(heap);
  return atomic_load_explicit(&heap->space.committed, memory_order_relaxed);
}

/* ---- telling ------------------------------------------------------------------------------------------------- */

enum trouble { REFUSED, UNLOCATED, UNADVISED, UNHUGE, UNLOCKED };

/* The first to tell. */
static bool is_first(_Atomic uint64_t *told, unsigned bit) {
  return !(atomic_fetch_or_explicit(told, UINT64_C(1) << bit, memory_order_relaxed) >> bit & 1);
}

static void tell(struct varve_heap *heap, const uint64_t *counter, enum trouble trouble, const char *text) {
  int level = trouble == UNADVISED ? 1 : 0;
  if (__atomic_load_n(counter, __ATOMIC_RELAXED) && is_first(&heap->placing_told, trouble))
    varve__log(heap, level, "%s", text);
}

static void tell_spill(struct varve_heap *heap, unsigned node) {
  const struct varve_topology *t = heap->topology;
  struct varve_node_space *space = &heap->space.node[node];
  uint64_t spilled = atomic_load_explicit(&space->spilled, memory_order_relaxed);
  uint64_t refused = atomic_load_explicit(&space->refused, memory_order_relaxed);
  if (!(spilled + refused) || !is_first(&heap->spills_told, node)) return;
  uint32_t to = atomic_load_explicit(&space->spilled_to, memory_order_relaxed);
  if (refused)
    varve__log(heap, 0, "node %u is full and memory is bound (numactl --membind): the heap cannot grow",
               t->nodes[node].os_index);
  else if (to < t->node_count)
    varve__log(heap, 0, "node %u is full: what is wanted there goes to node %u", t->nodes[node].os_index,
               t->nodes[to].os_index);
  else
    varve__log(heap, 0, "node %u is full: what is wanted there goes elsewhere", t->nodes[node].os_index);
}

void varve__placing_tell_news(struct varve_heap *heap) {
  const struct varve_place_counters *met = heap->topology->place;
  atomic_store_explicit(&heap->placing_seen, __atomic_load_n(&met->news, __ATOMIC_RELAXED), memory_order_relaxed);
  tell(heap, &met->refused, REFUSED, "the system refuses to place memory on nodes (a container?): it is where it is");
  tell(heap, &met->unlocated, UNLOCATED, "the system does not say on which node memory is");
  tell(heap, &met->unadvised, UNADVISED, "huge-pages=transparent: the system has none");
  tell(heap, &met->unhuge, UNHUGE, "huge-pages=explicit: the system's pool has no more; going on with ordinary memory");
  tell(heap, &met->unlocked, UNLOCKED, "lock-memory=1: the limit of locked memory is reached; the rest is not locked");
  for (unsigned node = 0; node < heap->topology->node_count; ++node) tell_spill(heap, node);
}
