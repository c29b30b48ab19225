/* SPDX-License-Identifier: MIT */
/* heap.c -- creation and end of a heap: options, topology, space, metadata, tables, memory, in this order; backwards at
 * the end, and from wherever a creation failed.
 *
 * The heap object and the topology come from the system directly, so that the metadata arenas can end last.
 */
#include "core/heap.h"

#include <string.h>

#include "core/hash.h"
#include "core/mark.h"
#include "core/mutator.h"
#include "core/options.h"
#include "core/placing.h"
#include "core/plan.h"
#include "core/policy.h"
#include "core/remember.h"
#include "core/root.h"
#include "core/verify.h"
#include "core/weak.h"
#include "core/worker.h"
#include "numa/place.h"

#define PAGE ((size_t)4096)
#define LOCK_SPIN_PART 20u

/* The heap and its topology in one mapping. */
struct heap_memory {
  struct varve_heap heap;
  struct varve_topology topology;
};

static size_t memory_bytes(void) { return bits_round_up(sizeof(struct heap_memory), PAGE); }

static void close_heap(struct varve_heap *heap) {
  varve__mutators_close(heap);
  varve__sizing_close(heap);
  varve__workers_close(heap);
  if (heap->verifier) varve__verifier_close(heap->verifier);
  varve__shares_close(heap);
  varve__plan_close(heap);
  varve__marker_close(heap);
  if (heap->roots) varve__pins_close(heap);
  varve__weak_close(heap);
  varve__final_close(heap);
  if (heap->roots) varve__roots_close(heap->roots);
  varve__hashes_close(heap);
  if (heap->meta) varve__remembered_close(heap);
  if (heap->layouts.entries) varve__layouts_close(&heap->layouts, heap->meta);
  if (heap->store_log) varve__place_release(heap->store_log, heap->space.bytes);
  if (heap->space.base) varve__space_close(&heap->space);
  if (heap->meta) varve__meta_close(heap->meta);
  varve__topology_unload(heap->topology);
  varve__place_release(heap, memory_bytes());
}

/* What is asked for, before defaults are chosen: the topology depends on it, and they on the topology. */
static varve_status copy_options(struct varve_heap *heap, const varve_options *options, varve_error *error) {
  if (options) heap->options = *options;
  else varve_options_init(&heap->options);
  return varve__options_environment(&heap->options, error);
}

static varve_status resolve_options(struct varve_heap *heap, varve_error *error) {
  varve_status status = varve__options_resolve(&heap->options, heap->topology, error);
  if (status == VARVE_OK) heap->created = heap->options;
  heap->slot_tags = heap->options.slot_tags;
  heap->ref_tags = heap->options.ref_tags;
  heap->narrow = narrow_open(&heap->options);
  heap->ages.on = heap->options.ages;
  varve__policy_open(heap);
  return status;
}

static varve_status open_space(struct varve_heap *heap, varve_error *error) {
  const varve_options *o = &heap->options;
  uint64_t most = heap->narrow.on ? narrow_reach(&heap->narrow) : UINT64_MAX;
  if (!varve__space_open(&heap->space, heap->topology, o->heap_max, most, varve__placing_how(o)))
    return varve__error(error, VARVE_RESERVE, "heap-max=%llu: the system refused the address space",
                        (unsigned long long)o->heap_max);
  return VARVE_OK;
}

/* The locks that running mutators meet. Who holds one is soon done, so they are polled for a part of what other waits
 * are. */
static void set_spins(struct varve_heap *heap) {
  uint32_t spin = heap->options.spin / LOCK_SPIN_PART;
  varve__space_set_spin(&heap->space, spin);
  heap->registry.spin = heap->remembered.lock.spin = heap->final.lock.spin = heap->stats_lock.spin =
      heap->settings.spin = spin;
}

static varve_status populate(struct varve_heap *heap, varve_error *error) {
  uint32_t wanted = varve__policy_initial_regions(heap), got = varve__placing_populate(heap, wanted);
  if (got < wanted)
    return varve__error(error, VARVE_COMMIT, "heap-initial=%llu: memory for %u of %u regions",
                        (unsigned long long)heap->options.heap_initial, got, wanted);
  varve__sizing_open(heap);
  return VARVE_OK;
}

/* The store log mirrors the heap: reserved and readable as a whole, with memory only where it is used. */
static varve_status open_store_log(struct varve_heap *heap, varve_error *error) {
  if (!heap->options.check_stores) return VARVE_OK;
  heap->store_log = varve__place_reserve(heap->space.bytes, VARVE__REGION_BYTES);
  if (!heap->store_log)
    return varve__error(error, VARVE_RESERVE, "check-stores=1: the system refused the address space for the log");
  if (!varve__place_commit(heap->topology, heap->store_log, heap->space.bytes, heap_home(heap), 0))
    return varve__error(error, VARVE_COMMIT, "check-stores=1: no memory for the log");
  return VARVE_OK;
}

static varve_status open_tables(struct varve_heap *heap, varve_error *error) {
  if (!(heap->meta = varve__meta_open(heap->topology)) || !varve__layouts_open(&heap->layouts) ||
      !(heap->roots = varve__roots_open(heap)) || !(heap->workers = varve__workers_open(heap)) ||
      !varve__marker_open(heap) || !varve__plan_open(heap) || !varve__shares_open(heap) || !varve__hashes_open(heap) ||
      !(heap->verifier = varve__verifier_open(heap)))
    return varve__error(error, VARVE_METADATA, "no memory for the collector's tables");
  if (heap->options.poison) varve__meta_wipe(heap->meta);
  return open_store_log(heap, error);
}

/* Zeroed. NULL: no memory. */
static struct heap_memory *take_memory(void) {
  struct varve_place_counters met = {0};
  struct varve_topology none = {.node_count = 1, .place = &met};
  void *memory = varve__place_reserve(memory_bytes(), PAGE);
  if (!memory || varve__place_commit(&none, memory, memory_bytes(), 0, PLACE_POPULATE)) return memory;
  varve__place_release(memory, memory_bytes());
  return NULL;
}

varve_status varve_heap_create(const varve_options *options, varve_heap **out, varve_error *error) {
  if (!out) return varve__error(error, VARVE_ARGUMENT, "heap_create: out must not be null");
  struct heap_memory *memory = take_memory();
  if (!memory) return varve__error(error, VARVE_METADATA, "no memory for a heap object");
  struct varve_heap *heap = &memory->heap;
  heap->topology = &memory->topology;
  varve_status status = copy_options(heap, options, error);
  if (status == VARVE_OK) status = varve__topology_load(heap->topology, heap->options.smt, error);
  if (status == VARVE_OK) status = resolve_options(heap, error);
  if (status == VARVE_OK) status = open_space(heap, error);
  if (status == VARVE_OK) status = open_tables(heap, error);
  if (status == VARVE_OK) status = populate(heap, error);
  if (status != VARVE_OK) {
    close_heap(heap);
    return status;
  }
  set_spins(heap);
  varve__mutators_open(heap);
  *out = heap;
  return status;
}

varve_status varve_heap_destroy(varve_heap *heap) {
  if (!heap) return VARVE_ARGUMENT;
  varve__lock_take(&heap->registry);
  bool busy = heap->mutator_count != 0;
  varve__lock_release(&heap->registry);
  if (busy) return VARVE_BUSY;
  close_heap(heap);
  return VARVE_OK;
}

const varve_options *varve_heap_options(const varve_heap *heap) { return &heap->options; }

varve_status varve_narrow_coding_of(const varve_heap *heap, unsigned compiled, varve_narrow_coding *out) {
  const struct narrow *n = &heap->narrow;
  unsigned granule = compiled & 0xff, bits = compiled >> 8;
  if (!n->on || (granule && granule != heap->options.granule) || (bits && bits != n->tag_bits + 1u))
    return VARVE_OPTION;
  *out = (varve_narrow_coding){heap->space.base - ((uint64_t)1 << n->shift), n->tag_bits, n->shift};
  return VARVE_OK;
}

bool varve_heap_contains(const varve_heap *heap, const void *address) {
  return space_contains(&heap->space, (uint64_t)(uintptr_t)address);
}
