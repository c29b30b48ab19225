/* SPDX-License-Identifier: MIT */
/* stats.c -- totals, histograms and the one line that describes a collection.
 *
 * Idea       A pause fills heap->current without a lock. At its end worker 0 adds it to the totals under stats_lock,
 *            and anybody copies totals and last under the same lock, for as long as a memcpy takes.
 *            Figures of the present moment (bytes in use, limit, ...) are read from where they live, relaxed: each is
 *            true by itself, and they need not be of the same instant.
 * Called by  worker 0 at the end of a pause; the readers on any thread.
 */
#include "core/stats.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/heap.h"

#define WEAK_NS_TOLD 10000u /* a shorter time of weak processing is told only with what it did */
#define SUBBUCKETS_LOG 3 /* 8 buckets per power of two */

/* ---- histograms -------------------------------------------------------------------------------------------- */

static unsigned bucket_of(uint64_t ns) {
  if (ns == 0) ns = 1;
  unsigned power = 63 - (unsigned)__builtin_clzll(ns);
  uint64_t part = power >= SUBBUCKETS_LOG ? ns >> (power - SUBBUCKETS_LOG) : ns << (SUBBUCKETS_LOG - power);
  unsigned bucket = power * 8 + (unsigned)(part & 7);
  return bucket < VARVE_PAUSE_BUCKETS ? bucket : VARVE_PAUSE_BUCKETS - 1;
}

/* The middle of a bucket, so that the answer is off by half a bucket at most. */
static uint64_t bucket_middle(unsigned bucket) {
  return (uint64_t)(2 * (8 + bucket % 8) + 1) << bucket / 8 >> (SUBBUCKETS_LOG + 1);
}

void varve__stats_add(uint64_t histogram[VARVE_PAUSE_BUCKETS], uint64_t ns) { ++histogram[bucket_of(ns)]; }

uint64_t varve_stats_percentile(const uint64_t histogram[VARVE_PAUSE_BUCKETS], double percent) {
  uint64_t total = 0, seen = 0;
  for (unsigned i = 0; i < VARVE_PAUSE_BUCKETS; ++i) total += histogram[i];
  if (!total) return 0;
  double wanted = percent <= 0 ? 0 : percent >= 100 ? (double)total : percent / 100 * (double)total;
  unsigned last = 0;
  for (unsigned i = 0; i < VARVE_PAUSE_BUCKETS; ++i) {
    if (!histogram[i]) continue;
    last = i;
    seen += histogram[i];
    if ((double)seen >= wanted) break;
  }
  return bucket_middle(last);
}

/* ---- handing over ------------------------------------------------------------------------------------------ */

static void add_to_totals(varve_heap_stats *totals, const varve_collection_stats *one) {
  ++totals->collections;
  totals->emergencies += one->emergency;
  totals->bytes_moved += one->bytes_moved;
  totals->pause_ns_total += one->total_ns;
  totals->stop_ns_total += one->stop_ns;
  if (totals->pause_ns_max < one->total_ns) totals->pause_ns_max = one->total_ns;
  if (totals->stop_ns_max < one->stop_ns) totals->stop_ns_max = one->stop_ns;
  varve__stats_add(totals->pauses, one->total_ns);
  varve__stats_add(totals->stops, one->stop_ns);
}

/* What a worker did, to the node it ran on. */
static void add_to_node(varve_node_stats *totals, const varve_worker_stats *one) {
  totals->sampled += one->sampled;
  totals->sampled_local += one->sampled_local;
  totals->words_moved += one->words_moved;
  totals->words_moved_local += one->words_moved_local;
  for (unsigned i = 0; i < VARVE_STATS_STEPS; ++i) totals->steals_by_steps[i] += one->steals_by_steps[i];
}

void varve__stats_finish(varve_heap *heap) {
  varve__lock_take(&heap->stats_lock);
  add_to_totals(&heap->totals, &heap->current);
  heap->totals.bytes_immortal = heap->space.floor ? heap->ages.live[0] : 0;
  for (uint32_t i = 0; i < heap->current.workers && i < VARVE_STATS_WORKERS; ++i)
    add_to_node(&heap->node_totals[heap->current.worker[i].node], &heap->current.worker[i]);
  heap->last = heap->current;
  varve__lock_release(&heap->stats_lock);
}

void varve__stats_gave_back(varve_heap *heap, uint32_t regions, uint64_t ns) {
  varve__lock_take(&heap->stats_lock);
  heap->totals.bytes_given_back += regions * (uint64_t)(VARVE__REGION_BYTES + VARVE__SIDE_BYTES);
  heap->totals.give_back_ns += ns;
  varve__lock_release(&heap->stats_lock);
}

/* ---- reading ----------------------------------------------------------------------------------------------- */

/* The lock is the only thing that reading changes. */
static struct varve_lock *stats_lock(const varve_heap *heap) { return (struct varve_lock *)&heap->stats_lock; }

static uint64_t metadata_bytes(const varve_heap *heap) {
  uint64_t bytes = 0;
  for (unsigned node = 0; node < heap->topology->node_count; ++node) bytes += varve__meta_bytes(heap->meta, node);
  return bytes;
}

/* Relaxed loads: counters that the allocator moves on; nothing is read through them. */
static void read_present(const varve_heap *heap, varve_heap_stats *out) {
  const struct varve_space *space = &heap->space;
  uint64_t used = atomic_load_explicit(&space->used_blocks, memory_order_relaxed);
  int64_t budget = atomic_load_explicit(&space->budget_blocks, memory_order_relaxed);
  uint64_t committed = atomic_load_explicit(&space->committed, memory_order_relaxed);
  out->bytes_allocated = atomic_load_explicit(&space->allocated_bytes, memory_order_relaxed);
  out->bytes_refilled = atomic_load_explicit(&space->refilled_bytes, memory_order_relaxed);
  out->bytes_in_use = used * VARVE__BLOCK_BYTES;
  out->heap_limit = (used + (budget > 0 ? (uint64_t)budget : 0)) * VARVE__BLOCK_BYTES;
  out->bytes_committed = committed * (VARVE__REGION_BYTES + VARVE__SIDE_BYTES);
  out->bytes_metadata = metadata_bytes(heap);
  out->mutators = atomic_load_explicit(&heap->mutator_count, memory_order_relaxed);
  out->bytes_external = atomic_load_explicit(&heap->sizing.external, memory_order_relaxed);
  out->workers = heap_setting(&heap->options.workers);
}

void varve_heap_stats_get(const varve_heap *heap, varve_heap_stats *out) {
  varve__lock_take(stats_lock(heap));
  *out = heap->totals;
  varve__lock_release(stats_lock(heap));
  read_present(heap, out);
}

/* Regions and blocks by the kinds they have now; nobody is kept from changing them meanwhile. */
static void read_regions(const struct varve_space *space, uint32_t node, varve_node_stats *out) {
  for (uint32_t r = 0; r < space->region_high; ++r) {
    const struct varve_region *region = &space->regions[r];
    uint8_t kind = atomic_load_explicit(&region->kind, memory_order_relaxed);
    if (kind == REGION_UNCOMMITTED || kind == REGION_CHANGING || region->node != node) continue;
    out->bytes_committed += VARVE__REGION_BYTES + VARVE__SIDE_BYTES;
    uint64_t free = atomic_load_explicit(&region->free_blocks, memory_order_relaxed);
    unsigned used = kind == REGION_MEDIUM ? VARVE__REGION_BLOCKS : region_has_blocks(kind) ? bits_count(~free) : 0;
    out->bytes_in_use += (uint64_t)used << VARVE__BLOCK_SHIFT;
  }
}

bool varve_node_stats_get(const varve_heap *heap, uint32_t index, varve_node_stats *out) {
  const struct varve_topology *t = heap->topology;
  if (index >= t->node_count) return false;
  varve__lock_take(stats_lock(heap));
  *out = heap->node_totals[index];
  varve__lock_release(stats_lock(heap));
  out->os_index = t->nodes[index].os_index;
  out->cores = t->nodes[index].cpu_count;
  out->last_resort = t->nodes[index].last_resort;
  out->bytes_metadata = varve__meta_bytes(heap->meta, index);
  out->regions_spilled = atomic_load_explicit(&heap->space.node[index].spilled, memory_order_relaxed);
  read_regions(&heap->space, index, out);
  return true;
}

bool varve_collection_stats_get(const varve_heap *heap, varve_collection_stats *out) {
  varve__lock_take(stats_lock(heap));
  bool any = heap->totals.collections != 0;
  if (any) *out = heap->last;
  varve__lock_release(stats_lock(heap));
  return any;
}

/* ---- the line ---------------------------------------------------------------------------------------------- */

struct line {
  char *buffer;
  size_t capacity, length; /* length: what the whole line needs so far */
};

static void put(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct line *line, const char *format, ...) {
  bool room = line->length < line->capacity;
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(room ? line->buffer + line->length : NULL, room ? line->capacity - line->length : 0, format,
                         arguments);
  va_end(arguments);
  if (length > 0) line->length += (size_t)length;
}

static double ms(uint64_t ns) { return (double)ns / 1e6; }
static double mib(uint64_t bytes) { return (double)bytes / (1 << 20); }
#define COUNT(n, noun) (unsigned long long)(n), noun, (n) == 1 ? "" : "s"

static void put_times(struct line *line, const varve_collection_stats *stats) {
  bool partial = stats->epochs_taken < stats->epochs;
  put(line, "#%llu %s (%s", (unsigned long long)stats->number,
      stats->emergency ? "emergency" : partial ? "young" : "full", stats->cause ? stats->cause : "?");
  if (partial) put(line, ", %u of %u epochs", stats->epochs_taken, stats->epochs);
  put(line, ") %.2f ms: stop %.2f", ms(stats->total_ns), ms(stats->stop_ns));
  if (stats->slowest[0]) put(line, " (%.31s)", stats->slowest);
  put(line, " mark %.2f", ms(stats->mark_ns));
  if (stats->weak_ns >= WEAK_NS_TOLD) put(line, " weak %.2f", ms(stats->weak_ns));
  put(line, " plan %.2f slide %.2f release %.2f", ms(stats->plan_ns),
      ms(stats->slide_ns), ms(stats->release_ns));
}

static void put_sizes(struct line *line, const varve_collection_stats *stats) {
  put(line, " | %.1f -> %.1f MiB live", mib(stats->live_before), mib(stats->live_after));
  if (stats->epochs_taken < stats->epochs)
    put(line, " (young %.1f -> %.1f, %llu remembered)", mib(stats->range_before), mib(stats->survived),
        (unsigned long long)stats->remembered);
  put(line, ", moved %.1f MiB in %llu %s%s", mib(stats->bytes_moved), COUNT(stats->groups, "group"));
  if (stats->blocks_dense) put(line, ", kept %llu dense", (unsigned long long)stats->blocks_dense);
  if (stats->blocks_pinned)
    put(line, ", kept %llu pinned (%.1f MiB held)", (unsigned long long)stats->blocks_pinned, mib(stats->bytes_held));
  if (stats->blocks_gainless) put(line, ", kept %llu gainless", (unsigned long long)stats->blocks_gainless);
  if (stats->blocks_put_off) put(line, ", put off %llu", (unsigned long long)stats->blocks_put_off);
  put(line, ", freed %llu %s%s", COUNT(stats->blocks_freed, "block"));
  put(line, " %llu %s%s", COUNT(stats->regions_freed, "region"));
  if (stats->large_freed) put(line, " %llu large", (unsigned long long)stats->large_freed);
}

size_t varve_collection_stats_print(const varve_collection_stats *stats, char *buffer, size_t capacity) {
  struct line line = {buffer, capacity, 0};
  if (capacity) buffer[0] = 0;
  put_times(&line, stats);
  put_sizes(&line, stats);
  put(&line, " | %llu %s%s", COUNT(stats->workers, "worker"));
  put(&line, " %llu %s%s", COUNT(stats->steals, "steal"));
  if (stats->mark_overflows) put(&line, " %llu %s%s", COUNT(stats->mark_overflows, "overflow"));
  if (stats->next_why) put(&line, " | next at %.1f MiB (%s)", mib(stats->next_bytes), stats->next_why);
  return line.length;
}
