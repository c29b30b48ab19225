/* SPDX-License-Identifier: MIT */
/* fork.c -- see varve/fork.h.
 *
 * Idea       At a fork with the world stopped, mutators hold no lock: they are at safepoints, and nobody waits there
 *            with one (S3). What threads without a mutator, or native ones, may hold is taken by prepare, in rank
 *            order, behind the registry. So the forking thread holds every lock that is held, and releases them in
 *            both processes. What is left in the child of other threads is in words that they waited on, in worker
 *            slots, and in the list of mutators; all of it is set anew.
 * Called by  running mutators.
 */
#include "varve/fork.h"

#include "core/heap.h"
#include "core/mutator.h"
#include "core/root.h"
#include "core/safepoint.h"
#include "core/worker.h"
#include "varve/heap.h"

static void take_locks(struct varve_heap *heap) {
  varve__roots_lock(heap->roots);
  varve__lock_take(&heap->layouts.lock);
  varve__lock_take(&heap->settings);
  varve__lock_take(&heap->stats_lock);
  varve__meta_lock(heap->meta);
}

static void release_locks(struct varve_heap *heap) {
  varve__meta_unlock(heap->meta);
  varve__lock_release(&heap->stats_lock);
  varve__lock_release(&heap->settings);
  varve__lock_release(&heap->layouts.lock);
  varve__roots_unlock(heap->roots);
}

varve_status varve_fork_prepare(varve_mutator *head) {
  struct varve__mutator *mutator = mutator_of(head);
  struct varve_heap *heap = head->heap;
  if (!varve__mutator_is_here(mutator) || atomic_load(&mutator->state) != MUTATOR_RUNNING) return VARVE_THREAD;
  while (!varve__safepoint_stop(mutator, atomic_load(&heap->collections))) continue;
  take_locks(heap);
  return VARVE_OK;
}

void varve_fork_parent(varve_mutator *head) {
  release_locks(head->heap);
  varve__safepoint_resume(mutator_of(head));
}

/* What can fail in setting an option to its least value is nothing. */
void varve_fork_child(varve_mutator *head) {
  struct varve_heap *heap = head->heap;
  release_locks(heap);
  varve__workers_forget(heap);
  varve__safepoint_forget_others(heap);
  varve__mutators_forget_others(mutator_of(head));
  varve__safepoint_resume(mutator_of(head));
  varve_status status = varve_heap_set(heap, "workers=1", NULL);
  (void)status;
}
