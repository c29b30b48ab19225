/* SPDX-License-Identifier: MIT */
/* mark.c -- the mark phase: workers, their memory, stealing, the end of marking, and what found no room.
 *
 * Overflow   A child that finds no room on its worker's stack is left grey, and listed in its block (K3). When all
 *            workers are idle, they collect what is listed, with no marking going on, as many as fill half of the pool,
 *            and marking goes on from those. Every object is scanned once, and each round scans at least one: complete
 *            with any pool. No header is read when an object is deferred, nor, unless a list was too short, when it is
 *            collected. tests/spin/overflow.pml is the model of it.
 * Idle       A worker adds itself to `idle` only with rings, stack and deque empty and no root task left. Seeing
 *            another's deque non-empty, it takes itself off `idle` BEFORE it tries to steal. So idle == active means
 *            that no entry exists anywhere: only running workers have private entries, and a worker's deque is filled
 *            by that worker only and empty when it goes idle. That state is stable. tests/spin/termination.pml.
 * Needs      world stopped, TLABs retired, bitmaps of the range zero.   Leaves  M1: of the range, bits of exactly the
 *            objects that roots, remembered objects and each other reach; marking ends at older objects, which are
 *            marked.
 * Memory     none: segments come from the pool.
 */
#include "core/mark.h"

#include <limits.h>
#include <string.h>

#include "core/base/check.h"
#include "core/marker.h"
#include "core/remember.h"
#include "core/root.h"
#include "core/walk.h"
#include "core/weak.h"
#include "core/worker.h"

/* ---- open and close ---- */

static size_t marker_bytes(uint32_t workers) {
  return sizeof(struct varve_marker) + workers * sizeof(struct mark_worker);
}

static size_t rings_bytes(const struct varve_marker *marker) {
  return (size_t)marker->worker_count * marker->ring_capacity * sizeof(struct varve_segment *);
}

static size_t victims_bytes(const struct varve_marker *marker) {
  return (size_t)marker->worker_count * marker->worker_count * sizeof(uint16_t);
}

static void open_worker(struct varve_heap *heap, struct varve_marker *marker, uint32_t index) {
  struct mark_worker *worker = &marker->workers[index];
  worker->victims = marker->victims + (size_t)index * marker->worker_count;
  worker->heap = heap;
  worker->index = index;
  worker->deque.ring = marker->rings + (size_t)index * marker->ring_capacity;
  worker->deque.mask = marker->ring_capacity - 1;
  worker->visitor = (struct varve_visitor){.range = varve__mark_slot_range, .narrow = varve__mark_slot_narrow,
                                            .heap = heap, .context = worker};
  worker->root_visitor = (struct varve_visitor){.range = varve__mark_root_range, .narrow = varve__mark_root_narrow,
                                                 .heap = heap, .context = worker};
}

/* Each node's part of the segments, by its cores. */
static uint32_t pool_part(const struct varve_heap *heap, unsigned node) {
  const struct varve_topology *t = heap->topology;
  uint64_t before = 0, segments = heap->marker->segment_count;
  for (unsigned n = 0; n < node; ++n) before += t->nodes[n].cpu_count;
  uint64_t end = t->cpu_count ? (before + t->nodes[node].cpu_count) * segments / t->cpu_count : segments;
  return (uint32_t)(end - (t->cpu_count ? before * segments / t->cpu_count : 0));
}

static bool open_pools(struct varve_heap *heap) {
  for (unsigned node = 0; node < heap->topology->node_count; ++node) {
    uint32_t count = pool_part(heap, node);
    void *memory = count ? varve__meta_alloc(heap->meta, node, count * sizeof(struct varve_segment), 64) : NULL;
    if (count && !memory) return false;
    varve__segments_init(&heap->marker->pools[node], memory, count);
  }
  return true;
}

static void close_pools(struct varve_heap *heap) {
  for (unsigned node = 0; node < heap->topology->node_count; ++node) {
    const struct varve_segment_pool *pool = &heap->marker->pools[node];
    varve__meta_free(heap->meta, node, pool->segments, pool->count * sizeof(struct varve_segment), 64);
  }
  heap_meta_free(heap, heap->marker->pools, heap->topology->node_count * sizeof *heap->marker->pools);
}

struct varve_marker *varve__marker_open(struct varve_heap *heap) {
  uint32_t workers = heap->options.workers, segments = heap->options.mark_segments;
  struct varve_marker *marker = heap_meta_alloc(heap, marker_bytes(workers));
  if (!marker) return NULL;
  heap->marker = marker;
  marker->worker_count = workers;
  marker->ring_capacity = (uint32_t)bits_next_power_of_two(segments);
  marker->pools = heap_meta_alloc(heap, heap->topology->node_count * sizeof *marker->pools);
  marker->rings = heap_meta_alloc(heap, rings_bytes(marker));
  marker->victims = heap_meta_alloc(heap, victims_bytes(marker));
  marker->segment_count = segments;
  if (!marker->pools || !marker->rings || !marker->victims || !open_pools(heap)) return NULL; /* the heap closes
                                                                                                 those */
  for (uint32_t i = 0; i < workers; ++i) open_worker(heap, marker, i);
  return marker;
}

void varve__marker_close(struct varve_heap *heap) {
  struct varve_marker *marker = heap->marker;
  if (!marker) return;
  heap_meta_free(heap, (void *)marker->rings, rings_bytes(marker));
  heap_meta_free(heap, marker->victims, victims_bytes(marker));
  if (marker->pools) close_pools(heap);
  heap_meta_free(heap, marker, marker_bytes(marker->worker_count));
  heap->marker = NULL;
}

/* ---- stealing, and the end ---- */

/* The other workers of this pause, those of the nearest nodes first; among equals the next one in the ring, so that not
 * all try the same. */
static void order_victims(struct mark_worker *worker, uint32_t self, uint32_t active) {
  const struct varve_topology *t = worker->heap->topology;
  const struct mark_worker *workers = worker->heap->marker->workers;
  uint32_t count = 0;
  for (unsigned step = 0; step < t->node_count && count + 1 < active; ++step)
    for (uint32_t i = 1; i < active; ++i) {
      uint32_t victim = (self + i) % active;
      if (workers[victim].node == t->nodes[worker->node].nearest[step]) worker->victims[count++] = (uint16_t)victim;
    }
  worker->last_victim = 0;
}

static void note_steal(struct mark_worker *worker, const struct mark_worker *victim) {
  unsigned steps = varve__topology_steps(worker->heap->topology, worker->node, victim->node);
  ++worker->stats.steals;
  ++worker->stats.steals_by_steps[steps < VARVE_STATS_STEPS ? steps : VARVE_STATS_STEPS - 1];
}

static bool steal_from(struct mark_worker *worker, struct mark_worker *victim) {
  struct varve_segment *segment = varve__deque_steal(&victim->deque);
  if (!segment) {
    ++worker->stats.failed_steals;
    return false;
  }
  note_steal(worker, victim);
  varve__mark_adopt_segment(worker, segment);
  return true;
}

/* The last victim first, if it is on our node; then the others, the nearest first. */
static bool steal(struct mark_worker *worker, uint32_t active) {
  struct mark_worker *workers = worker->heap->marker->workers;
  uint32_t last = worker->last_victim;
  if (workers[worker->victims[last]].node != worker->node) last = 0;
  for (uint32_t i = 0; i + 1 < active; ++i) {
    uint32_t at = i == 0 ? last : i <= last ? i - 1 : i;
    struct mark_worker *victim = &workers[worker->victims[at]];
    if (deque_is_empty(&victim->deque) || !steal_from(worker, victim)) continue;
    worker->last_victim = at;
    return true;
  }
  return false;
}

static bool somebody_has_work(struct varve_marker *marker, uint32_t active) {
  for (uint32_t i = 0; i < active; ++i)
    if (!deque_is_empty(&marker->workers[i].deque)) return true;
  return false;
}

/* Park until there is news. The count goes up before the last look, and publishers look at the count after they
 * have published: one of the two sees the other. */
static void sleep_for_news(struct varve_marker *marker, uint32_t active) {
  uint32_t news = atomic_load(&marker->news);
  atomic_fetch_add(&marker->asleep, 1);
  if (atomic_load(&marker->idle) != active && !somebody_has_work(marker, active)) {
#ifdef VARVE_PLANT_LATE_NEWS
    news = atomic_load(&marker->news);
#endif
    varve__park_sleep(&marker->news, news);
  }
  atomic_fetch_sub(&marker->asleep, 1);
}

static void wake_everybody(struct varve_marker *marker) {
  atomic_fetch_add(&marker->news, 1);
  park_wake_quietly(&marker->news, &marker->asleep, INT_MAX);
}

/* Nothing to do here. @return true: there may be something to steal; false: marking is over. */
static bool wait_for_work(struct varve_heap *heap, uint32_t active) {
  struct varve_marker *marker = heap->marker;
  if (atomic_fetch_add(&marker->idle, 1) + 1 == active) {
    wake_everybody(marker);
    return false;
  }
  for (uint32_t spins = 0;; ++spins) {
    if (atomic_load(&marker->idle) == active) return false;
    if (somebody_has_work(marker, active)) {
      atomic_fetch_sub(&marker->idle, 1); /* before the steal: see Idle above */
      return true;
    }
    if (spins < heap->options.spin) park_pause();
    else sleep_for_news(marker, active);
  }
}

static void drain_and_steal(struct mark_worker *worker, uint32_t active) {
  do {
    do varve__mark_drain(worker);
    while (steal(worker, active));
  } while (wait_for_work(worker->heap, active));
  VARVE_INVARIANT((!worker->current || !worker->current->count) && deque_is_empty(&worker->deque),
                  "mark: worker %u ended with work left", worker->index);
}

/* ---- the phase ---- */

static void mark_from_remembered(struct mark_worker *worker, struct varve_sieve *sieve) {
  uint32_t list;
  while (remembered_take(worker->heap, &list)) {
    varve__remembered_visit(sieve, list);
    varve__mark_drain(worker);
  }
}

static void mark_from_roots(struct mark_worker *worker, struct varve_sieve *sieve) {
  struct varve_heap *heap = worker->heap;
  struct varve_taker roots = varve__share_open(heap, &heap->shares.roots, worker->index);
  uint32_t task;
  while (share_take(&roots, &task)) {
    if (space_is_partial(&heap->space) && varve__roots_are_noted(heap->roots, task)) {
      varve__roots_sift(heap->roots, task, sieve);
      varve__mark_drain(worker);
    } else {
      varve__roots_visit(heap->roots, task, &worker->root_visitor);
    }
  }
}

void varve__mark_worker(struct varve_heap *heap, uint32_t self) {
  struct mark_worker *worker = &heap->marker->workers[self];
  struct varve_sieve sieve;
  varve__sieve_open(&sieve, heap, &worker->visitor, true);
  varve__mark_begin_window(worker);
  worker->alone = varve__workers_active(heap) == 1;
  worker->stats.node = worker->node;
  order_victims(worker, self, varve__workers_active(heap));
  mark_from_roots(worker, &sieve);
  if (heap->space.cut) mark_from_remembered(worker, &sieve);
  varve__final_mark(worker);
  atomic_fetch_add_explicit(&heap->remembered.lines, sieve.lines, memory_order_relaxed);
  drain_and_steal(worker, varve__workers_active(heap));
}

/* ---- overflow: collect what was deferred ---- */

static bool may_push(struct mark_worker *worker) { return worker->quota && mark_has_room(worker); }

static bool push(struct mark_worker *worker, uint64_t index) {
  if (!may_push(worker)) return false;
  --worker->quota;
  worker->current->entries[worker->current->count++] = index | MARK_CLAIMED;
  return true;
}

static void set_pending(struct mark_worker *worker, uint32_t block, uint8_t pending) {
  atomic_store_explicit(&worker->heap->space.blocks[block].pending, pending, memory_order_relaxed);
  if (pending) atomic_store_explicit(&worker->heap->marker->overflowed, 1, memory_order_relaxed);
}

static void collect_listed(struct mark_worker *worker, uint32_t block, uint8_t pending) {
  const uint16_t *words = worker->heap->space.ranks + (size_t)block * VARVE__BLOCK_LINES;
  while (pending && push(worker, (uint64_t)block * VARVE__BLOCK_WORDS + words[pending - 1])) --pending;
  set_pending(worker, block, pending);
}

static bool is_grey(const struct varve_space *space, uint64_t index, uint64_t words) {
  return words > 1 && !(space->bitmap[(index + 1) >> 6] >> ((index + 1) & 63) & 1);
}

static void collect_object(void *context, varve_object *object, uint64_t words) {
  struct mark_worker *worker = context;
  uint64_t index = space_word(&worker->heap->space, (uint64_t)(uintptr_t)object);
  if (!worker->left && is_grey(&worker->heap->space, index, words)) worker->left = !push(worker, index);
}

/* A block, or a MEDIUM region, of which lists have become too short: no list of it counts. */
static void collect_all(struct mark_worker *worker, uint32_t block) {
  const struct varve_space *space = &worker->heap->space;
  bool medium = space->blocks[block].kind == BLOCK_MEDIUM;
  worker->left = !may_push(worker);
  if (!worker->left) walk_marked(space, block, collect_object, worker);
  for (uint32_t b = block + 1; medium && b < block + VARVE__REGION_BLOCKS; ++b) set_pending(worker, b, 0);
  set_pending(worker, block, worker->left ? MARK_PENDING_ALL : 0);
}

static void collect_region(struct mark_worker *worker, uint32_t region) {
  for (uint32_t b = region * VARVE__REGION_BLOCKS; b < (region + 1) * VARVE__REGION_BLOCKS; ++b) {
    uint8_t pending = atomic_load_explicit(&worker->heap->space.blocks[b].pending, memory_order_relaxed);
    if (pending == MARK_PENDING_ALL) collect_all(worker, b);
    else if (pending) collect_listed(worker, b, pending);
  }
}

/* Worker function, marking at rest: the bitmap does not change. */
static void collect_deferred_worker(struct varve_heap *heap, uint32_t self) {
  struct varve_marker *marker = heap->marker;
  struct mark_worker *worker = &marker->workers[self];
  struct varve_taker regions = varve__share_open(heap, &heap->shares.regions, self);
  uint32_t region;
  worker->quota = 1 + marker->segment_count * VARVE__SEGMENT_ENTRIES / (2 * varve__workers_active(heap));
  while (share_take(&regions, &region))
    if (space_kind(&heap->space, region) >= REGION_SMALL)
      collect_region(worker, region);
}

void varve__mark_end(struct varve_heap *heap) {
  varve_collection_stats *stats = &heap->current;
  for (uint32_t i = 0; i < heap->marker->worker_count; ++i) {
    struct mark_worker *worker = &heap->marker->workers[i];
    stats->objects_marked += worker->stats.objects_marked;
    stats->steals += worker->stats.steals;
    stats->mark_overflows += worker->overflows;
    if (i < VARVE_STATS_WORKERS) stats->worker[i] = worker->stats;
  }
}

void varve__mark_finish(struct varve_heap *heap) {
  struct varve_marker *marker = heap->marker;
  while (atomic_load_explicit(&marker->overflowed, memory_order_relaxed)) {
    for (uint32_t i = 0; i < marker->worker_count; ++i) varve__mark_return_segments(&marker->workers[i]);
    atomic_store_explicit(&marker->overflowed, 0, memory_order_relaxed);
    varve__share_rewind(&heap->shares.regions);
    atomic_store_explicit(&marker->idle, 0, memory_order_relaxed);
    varve__workers_run(heap, collect_deferred_worker);
    varve__workers_run(heap, varve__mark_worker);
  }
  for (uint32_t i = 0; i < marker->worker_count; ++i) varve__mark_return_segments(&marker->workers[i]);
}

static void more_worker(struct varve_heap *heap, uint32_t self) {
  struct mark_worker *worker = &heap->marker->workers[self];
  varve__mark_begin_window(worker);
  heap->marker->source(worker);
  drain_and_steal(worker, varve__workers_active(heap));
}

void varve__mark_more(struct varve_heap *heap, mark_source_fn *source) {
  heap->marker->source = source;
  atomic_store_explicit(&heap->marker->idle, 0, memory_order_relaxed);
  varve__workers_run(heap, more_worker);
  varve__mark_finish(heap);
}

/* ---- before marking ---- */

static void reset_worker(struct mark_worker *worker) {
  worker->eager -= worker->eager > 0;
  memset(&worker->stats, 0, sizeof worker->stats);
  worker->overflows = 0;
  atomic_store_explicit(&worker->deque.top, 0, memory_order_relaxed);
  atomic_store_explicit(&worker->deque.bottom, 0, memory_order_relaxed);
}

void varve__mark_begin(struct varve_heap *heap) {
  struct varve_marker *marker = heap->marker;
  atomic_store_explicit(&marker->idle, 0, memory_order_relaxed);
  atomic_store_explicit(&marker->overflowed, 0, memory_order_relaxed);
  atomic_store_explicit(&heap->remembered.next, 0, memory_order_relaxed);
  atomic_store_explicit(&heap->remembered.lines, 0, memory_order_relaxed);
  for (uint32_t i = 0; i < marker->worker_count; ++i) reset_worker(&marker->workers[i]);
  varve__weak_begin(heap);
  varve__final_rewind(heap);
  for (uint32_t i = 0; i < varve__workers_active(heap); ++i) marker->workers[i].node = varve__worker_node(heap, i);
}

/* Fresh blocks have no bits yet. A MEDIUM object that begins in a block of the range lies in such blocks altogether. */
static void clear_region(struct varve_space *space, uint32_t region) {
  uint8_t kind = space_kind(space, region);
  if (kind < REGION_SMALL) return;
  for (uint64_t range = varve__space_range(space, region); range; range &= range - 1) {
    uint32_t b = region * VARVE__REGION_BLOCKS + bits_lowest(range);
#ifdef VARVE_PLANT_STALE_MARKS
    if (b % 2) continue;
#endif
    if (space->blocks[b].kind != BLOCK_FREE && !space_is_fresh(space, b))
      memset(space_block_bitmap(space, b), 0, VARVE__BLOCK_BYTES / 64);
  }
}

void varve__mark_clear_worker(struct varve_heap *heap, uint32_t worker) {
  struct varve_taker regions = varve__share_open(heap, &heap->shares.regions, worker);
  uint32_t region;
  while (share_take(&regions, &region)) clear_region(&heap->space, region);
}
