/* SPDX-License-Identifier: MIT */
/* collect.c -- one collection, from the stop to the resume. Read varve__collect's list of phases first.
 *
 *   stop      every mutator is parked or native; TLABs are retired             safepoint.c, mutator.c
 *   mark      bits are set for exactly the reachable objects                   mark.c
 *   weak      ephemerons fire, dead weak slots are cleared, finalizers queued  weak.c, ephemeron.c, final.c
 *   plan      every source block knows where its objects go                    plan.c, plan_large.c
 *   slide     every slot and root refers to a new address; objects are there   compact.c
 *   release   bitmaps, blocks and ages describe the heap as it is              release.c
 *   budget    what may be taken until the next one                             sizing.c, policy.c
 *   resume    mutators run                                                     safepoint.c
 *   give back free regions that have long been of no use go to the system      policy.c, space.c
 *
 * Between two phases the verifier may look (option verify). Damage stops the process with phase and place.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/compact.h"
#include "core/conservative.h"
#include "core/derived.h"
#include "core/hash.h"
#include "core/heap.h"
#include "core/hooks.h"
#include "core/mark.h"
#include "core/mutator.h"
#include "core/placing.h"
#include "core/plan.h"
#include "core/policy.h"
#include "core/release.h"
#include "core/remember.h"
#include "core/root.h"
#include "core/safepoint.h"
#include "core/shade.h"
#include "core/stats.h"
#include "core/verify.h"
#include "core/weak.h"
#include "core/worker.h"

/* ---- the verifier's edges ---- */

/* @return false: the verifier has no memory to tell. */
static bool is_sound(struct varve_heap *heap, const char *edge, varve_status status, const varve_error *error) {
  if (status == VARVE_OK) return true;
  const char *missing = status == VARVE_METADATA ? "not verified: " : "";
  unsigned long long number = heap->current.number;
  varve__log(heap, 0, "collection %llu, %s: %s%s", number, edge, missing, error->detail);
  if (status == VARVE_METADATA) return false;
  varve__fatal(__FILE__, __LINE__, "collection %llu, %s: %s", number, edge, error->detail);
}

/* @return is there a snapshot to compare with? */
static bool verify_before(struct varve_heap *heap, struct varve_snapshot *snapshot) {
  varve_error error = {0};
  if (!heap->options.verify && !heap->store_log) return false;
  if (!is_sound(heap, "before marking", varve__verify_before(heap->verifier, snapshot, &error), &error)) return false;
  if (heap->store_log && !heap->store_log_stale)
    is_sound(heap, "before marking", varve__verify_stores(heap->verifier, &error), &error);
  return true;
}

static void verify_marks(struct varve_heap *heap, const struct varve_snapshot *snapshot) {
  varve_error error = {0};
  if (heap->options.verify >= 2)
    is_sound(heap, "after marking", varve__verify_marks(heap->verifier, snapshot, &error), &error);
}

static void verify_plan(struct varve_heap *heap) {
  varve_error error = {0};
  if (heap->options.verify >= 2)
    is_sound(heap, "after planning", varve__verify_plan(heap->verifier, &error), &error);
}

static void verify_after(struct varve_heap *heap, const struct varve_snapshot *snapshot) {
  varve_error error = {0};
  if (heap->options.verify)
    is_sound(heap, "after the release", varve__verify_after(heap->verifier, snapshot, &error), &error);
}

/* ---- phases ---- */

static uint64_t used_bytes(const struct varve_heap *heap) {
  return heap_used_blocks(heap) * VARVE__BLOCK_BYTES;
}

static void begin(struct varve_heap *heap, const char *cause, uint32_t blocks, enum varve_extent extent) {
  varve__roots_lock(heap->roots);
  varve__lock_take(&heap->settings);
  varve__ages_merge(heap);
  heap->current.barriers = varve__remembered_barriers(heap);
  struct varve_cut cut = varve__policy_cut(heap, extent);
  for (struct varve__mutator *m = heap->mutators; m; m = m->next) varve__mutator_retire(m);
  varve__stacks_search(heap); /* M1: while the bitmaps are those of the last collection */
  varve__derived_measure(heap);
  heap->root_tasks = varve__roots_prepare(heap->roots);
  heap->wanted_blocks = blocks;
  varve__policy_note_use(heap);
  varve__ages_begin(heap, cut, extent == EXTENT_FOREVER);
  varve_collection_stats *stats = &heap->current;
  stats->epochs = heap->ages.on ? heap->space.epoch + 1u : 1;
  stats->epochs_taken = heap->ages.on ? heap->space.epoch + 1u - cut.epoch : 1;
  stats->number = atomic_load(&heap->collections) + 1;
  stats->cause = cause;
  stats->live_before = used_bytes(heap);
  stats->range_before = heap->ages.range_blocks * (uint64_t)VARVE__BLOCK_BYTES;
  stats->remembered = varve__remembered_count(heap);
  stats->workers = varve__workers_begin(heap, varve__policy_workers(heap));
  varve__shares_prepare(heap);
}

static uint64_t lap(uint64_t *since) {
  uint64_t now = varve__clock_ns(), spent = now - *since;
  *since = now;
  return spent;
}

static void mark(struct varve_heap *heap) {
  uint64_t time = varve__clock_ns();
  varve__mark_begin(heap);
  varve__workers_run(heap, varve__mark_clear_worker);
  varve__workers_run(heap, varve__mark_worker);
  varve__mark_finish(heap);
  heap->current.mark_ns = lap(&time);
  varve__weak_process(heap);
  heap->current.weak_ns = lap(&time);
  varve__mark_end(heap);
}

static void plan_groups(struct varve_heap *heap, enum varve_urgency urgency) {
  varve__plan_group(heap, urgency);
  varve__workers_run(heap, varve__plan_target_worker);
}

/* What shall never move again is packed as in an emergency: a block of it in each region would leave none free. */
static void plan(struct varve_heap *heap, bool emergency) {
  bool pack = emergency || heap->ages.freezes;
  varve__plan_begin(heap);
  varve__workers_run(heap, varve__plan_count_worker);
  varve__plan_large_sweep(heap);
  varve__pins_hold(heap);
  plan_groups(heap, pack ? PLAN_EMERGENCY : PLAN_USUAL);
  if (!pack && heap->plan->group_count && !varve__plan_pays(heap)) varve__plan_drop(heap);
  if (!pack && !space_is_partial(&heap->space) && !varve__plan_is_enough(heap)) {
    varve__plan_undo(heap);
    plan_groups(heap, PLAN_EMERGENCY);
  }
  if (heap->plan->emergency && heap->topology->node_count > 1 && !varve__plan_is_enough(heap)) {
    varve__plan_undo(heap);
    plan_groups(heap, PLAN_ACROSS_NODES);
  }
  heap->satisfied = varve__plan_is_enough(heap);
  heap->current.emergency = heap->plan->emergency && !heap->ages.freezes;
}

/* When nothing moves there is nothing to fix. */
static void slide(struct varve_heap *heap) {
  varve__hashes_follow(heap);
  if (!heap->plan->group_count && !heap->plan->large_count) return;
  varve__compact_begin(heap);
  varve__workers_run(heap, varve__compact_slide_worker);
  varve__compact_move_large(heap);
  varve__derived_place(heap);
}

static void release(struct varve_heap *heap) {
  varve__compact_begin(heap);
  varve__workers_run(heap, varve__release_worker);
  varve__release_finish(heap);
  varve__remembered_settle(heap);
  if (!space_is_partial(&heap->space) && heap->ages.on) varve__roots_forget_notes(heap->roots);
}

static void collect_stw(struct varve_heap *heap, bool emergency) {
  struct varve_snapshot snapshot = {0};
  varve_collection_stats *stats = &heap->current;
  bool watched = verify_before(heap, &snapshot);
  mark(heap);
  if (watched) verify_marks(heap, &snapshot);
  uint64_t time = varve__clock_ns();
  plan(heap, emergency);
  stats->plan_ns = lap(&time);
  if (watched) verify_plan(heap);
  lap(&time);
  slide(heap);
  varve__hooks_run(heap);
  stats->slide_ns = lap(&time);
  release(heap);
  stats->release_ns = lap(&time);
  if (watched) verify_after(heap, &snapshot);
  varve__shade_settle(heap);
  if (heap->store_log) heap->store_log_stale = !varve__verify_sync_stores(heap->verifier);
}

static void report(struct varve_heap *heap) {
  char line[512];
  varve__stats_finish(heap);
  if (heap->options.log_level >= 1) {
    varve_collection_stats_print(&heap->last, line, sizeof line);
    varve__log(heap, 1, "%s", line);
  }
  if (heap->options.on_collection) heap->options.on_collection(heap->options.context, &heap->last);
}

static void end(struct varve_heap *heap, uint64_t began) {
  varve_collection_stats *stats = &heap->current;
  stats->live_after = heap->live_bytes;
  stats->survived = heap->ages.live[heap->space.cut];
  stats->committed = atomic_load_explicit(&heap->space.committed, memory_order_relaxed) *
                     (uint64_t)(VARVE__REGION_BYTES + VARVE__SIDE_BYTES);
  uint64_t now = varve__clock_ns();
  stats->total_ns = now - began;
  varve__policy_note_yield(heap);
  varve__sizing_set_budget(heap, now);
  varve__policy_shorten_budget(heap);
  if (!varve__policy_offers_holes(heap)) varve__space_forget_holes(&heap->space);
  varve__sizing_note(heap);
  varve__policy_set_keep(heap, now);
  varve__policy_note_cost(heap);
  report(heap);
  varve__lock_release(&heap->settings);
  varve__roots_unlock(heap->roots);
  atomic_fetch_add(&heap->collections, 1);
}

/* ---- after the resume ---- */

/* The others run. We are running too and reach no safepoint here, so nobody can collect; a stop that is wanted waits
 * for one region at most. */
static uint32_t give_back(struct varve_heap *heap) {
  struct varve_space *space = &heap->space;
  uint32_t committed = atomic_load_explicit(&space->committed, memory_order_relaxed), keep = heap->need.keep;
  uint32_t portion = committed > keep ? varve__policy_portion(committed - keep) : 0, given = 0;
  for (uint32_t region = VARVE__NO_REGION; given < portion; ++given) {
    if (atomic_load(&heap->stop) & 1) break;
    region = varve__space_give_back(space, region, keep);
    if (region == VARVE__NO_REGION) break;
  }
  return given;
}

static void give_back_and_tell(struct varve_heap *heap) {
  uint64_t time = varve__clock_ns();
  uint32_t given = give_back(heap);
  if (!given) return;
  uint64_t spent = lap(&time);
  varve__stats_gave_back(heap, given, spent);
  varve__log(heap, 1, "gave back %u region%s in %.2f ms", given, given == 1 ? "" : "s", (double)spent / 1e6);
}

bool varve__collect(struct varve__mutator *mutator, const char *cause, uint64_t seen, uint32_t blocks,
                    enum varve_extent extent) {
  struct varve_heap *heap = mutator->head.heap;
  varve__workers_prepare(heap, varve__policy_workers_most(heap));
  uint64_t began = varve__clock_ns();
  if (!varve__safepoint_stop(mutator, seen)) return false;
  begin(heap, cause, blocks, extent);
  collect_stw(heap, strcmp(cause, "emergency") == 0);
  end(heap, began);
  mutator->satisfied = heap->satisfied;
  mutator->took_all = !space_is_partial(&heap->space);
  varve__safepoint_resume(mutator);
  varve__sizing_settle(heap);
  varve__placing_tell(heap);
  varve__final_tell(heap);
  give_back_and_tell(heap);
  varve__hooks_tell(mutator);
  return true;
}

/* ---- public ---- */

varve_status varve_collect(varve_mutator *head) {
  struct varve__mutator *mutator = mutator_of(head);
  if (!varve__mutator_is_here(mutator) || atomic_load(&mutator->state) != MUTATOR_RUNNING) return VARVE_THREAD;
  varve__collect(mutator, "requested", atomic_load(&head->heap->collections), 0, EXTENT_ALL);
  return VARVE_OK;
}

varve_status varve_collect_newest(varve_mutator *head) {
  struct varve__mutator *mutator = mutator_of(head);
  if (!varve__mutator_is_here(mutator) || atomic_load(&mutator->state) != MUTATOR_RUNNING) return VARVE_THREAD;
  varve__collect(mutator, "requested", atomic_load(&head->heap->collections), 0, EXTENT_NEWEST);
  return VARVE_OK;
}

varve_status varve_heap_make_immortal(varve_mutator *head, varve_error *error) {
  struct varve__mutator *mutator = mutator_of(head);
  struct varve_heap *heap = head->heap;
  if (!heap->ages.on) return varve__error(error, VARVE_OPTION, "make_immortal: stores are not remembered with ages=0");
  if (!varve__mutator_is_here(mutator) || atomic_load(&mutator->state) != MUTATOR_RUNNING)
    return varve__error(error, VARVE_THREAD, "make_immortal: mutator %s is native, or of another thread",
                        mutator->name);
  while (!varve__collect(mutator, "requested", atomic_load(&heap->collections), 0, EXTENT_FOREVER)) continue;
  return VARVE_OK;
}

void varve__look_begin(struct varve__mutator *mutator) {
  struct varve_heap *heap = mutator->head.heap;
  while (!varve__safepoint_stop(mutator, atomic_load(&heap->collections))) continue;
  varve__roots_lock(heap->roots);
  varve__lock_take(&heap->settings);
  for (struct varve__mutator *m = heap->mutators; m; m = m->next) varve__mutator_retire(m);
  varve__stacks_search(heap);
  heap->root_tasks = varve__roots_prepare(heap->roots);
}

void varve__look_end(struct varve__mutator *mutator) {
  struct varve_heap *heap = mutator->head.heap;
  varve__lock_release(&heap->settings);
  varve__roots_unlock(heap->roots);
  varve__safepoint_resume(mutator);
}

varve_status varve_verify(varve_mutator *head, varve_error *error) {
  struct varve__mutator *mutator = mutator_of(head);
  struct varve_heap *heap = head->heap;
  if (!varve__mutator_is_here(mutator) || atomic_load(&mutator->state) != MUTATOR_RUNNING)
    return varve__error(error, VARVE_THREAD, "verify: mutator %s is native, or of another thread", mutator->name);
  varve__look_begin(mutator);
  varve_status status = varve__verify_heap(heap->verifier, error);
  varve__look_end(mutator);
  return status;
}
