/* SPDX-License-Identifier: MIT */
/* safepoint.c -- the protocol of safepoint.h. Plain atomic operations here are sequentially consistent. */
#include "core/safepoint.h"

#include <limits.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/clock.h"

static void store_limit(struct varve__mutator *mutator, uintptr_t limit) {
  __atomic_store_n(&mutator->head.limit, limit, __ATOMIC_SEQ_CST);
}

static bool stop_is_wanted(const struct varve_heap *heap) { return atomic_load(&heap->stop) & 1; }

/* Sleep while `stop` is odd. The sleeper count lets resume skip the wake-up call when nobody sleeps: a sleeper counts
 * itself, then looks at stop again; resume changes stop, then looks at the count. */
static void wait_for_resume(struct varve_heap *heap) {
  uint32_t stop = atomic_load(&heap->stop);
  for (uint32_t i = 0; (stop & 1) && i < heap->options.spin; ++i) {
    park_pause();
    stop = atomic_load(&heap->stop);
  }
  while (stop & 1) {
    atomic_fetch_add(&heap->sleepers, 1);
    varve__park_sleep(&heap->stop, stop);
    atomic_fetch_sub(&heap->sleepers, 1);
    stop = atomic_load(&heap->stop);
  }
}

/* Tell the collector that one more has left RUNNING. It may sleep on `arrivals`. */
static void notify_arrival(struct varve_heap *heap) {
  atomic_fetch_add(&heap->arrivals, 1);
  varve__park_wake(&heap->arrivals, 1);
}

static void leave_running(struct varve__mutator *mutator, uint32_t state) {
  struct varve_heap *heap = mutator->head.heap;
  atomic_store(&mutator->state, state);
  if (stop_is_wanted(heap)) notify_arrival(heap);
}

/* S2: RUNNING again, unless a stop is wanted. */
static void return_to_running(struct varve__mutator *mutator, uint32_t from) {
  struct varve_heap *heap = mutator->head.heap;
  for (;;) {
    wait_for_resume(heap);
    atomic_store(&mutator->state, MUTATOR_RUNNING);
    if (!stop_is_wanted(heap)) return;
    leave_running(mutator, from);
  }
}

/* Under stress nothing fits the inline path, so that every allocation is counted in the slow one. */
static uintptr_t open_limit(const struct varve__mutator *mutator) {
  return heap_setting(&mutator->head.heap->options.stress_period) ? VARVE__EMPTY_LIMIT : mutator->tlab_end;
}

#ifdef VARVE_PLANT_LOST_POKE
void varve__safepoint_restore_limit(struct varve__mutator *mutator) { store_limit(mutator, open_limit(mutator)); }
#else
void varve__safepoint_restore_limit(struct varve__mutator *mutator) {
  store_limit(mutator, open_limit(mutator));
  if (stop_is_wanted(mutator->head.heap)) store_limit(mutator, 0);
}
#endif

void varve__safepoint_park(struct varve__mutator *mutator) {
  if (!stop_is_wanted(mutator->head.heap)) {
    varve__safepoint_restore_limit(mutator);
    return;
  }
  leave_running(mutator, MUTATOR_PARKED);
  return_to_running(mutator, MUTATOR_PARKED);
  varve__safepoint_restore_limit(mutator);
}

void varve__safepoint_native_enter(struct varve__mutator *mutator) { leave_running(mutator, MUTATOR_NATIVE); }

void varve__safepoint_native_leave(struct varve__mutator *mutator) {
  atomic_store(&mutator->state, MUTATOR_RUNNING);
  if (stop_is_wanted(mutator->head.heap)) {
    leave_running(mutator, MUTATOR_NATIVE);
    return_to_running(mutator, MUTATOR_NATIVE);
  }
  varve__safepoint_restore_limit(mutator);
}

/* ---- the stopper ---- */

static struct varve__mutator *find_running(struct varve_heap *heap) {
  for (struct varve__mutator *m = heap->mutators; m; m = m->next)
    if (atomic_load(&m->state) == MUTATOR_RUNNING) return m;
  return NULL;
}

/* Wait until nobody runs. @return the last one seen running; NULL when nobody was. */
static struct varve__mutator *wait_for_arrivals(struct varve_heap *heap) {
  struct varve__mutator *last = NULL, *running;
  uint32_t spins = 0;
  for (;;) {
    uint32_t arrivals = atomic_load(&heap->arrivals);
    if (!(running = find_running(heap))) return last;
    last = running;
    if (spins++ < heap->options.spin) park_pause();
    else varve__park_sleep(&heap->arrivals, arrivals);
  }
}

static void poke_all(struct varve_heap *heap, const struct varve__mutator *self) {
  for (struct varve__mutator *m = heap->mutators; m; m = m->next)
    if (m != self) store_limit(m, 0);
}

static void stop_world(struct varve__mutator *self) {
  struct varve_heap *heap = self->head.heap;
  atomic_store(&self->state, MUTATOR_PARKED);
  varve__lock_take(&heap->registry);
  uint64_t begin = varve__clock_ns();
  atomic_fetch_add(&heap->stop, 1);
  poke_all(heap, self);
  struct varve__mutator *last = wait_for_arrivals(heap);
  memset(&heap->current, 0, sizeof heap->current);
  heap->current.stop_ns = varve__clock_ns() - begin;
  if (last) memcpy(heap->current.slowest, last->name, sizeof last->name);
}

/* Losers of the collector lock wait in PARKED, so that the winner does not wait for them. */
static void take_collector_lock(struct varve__mutator *mutator) {
  struct varve_heap *heap = mutator->head.heap;
  if (varve__lock_try(&heap->collector)) return;
  leave_running(mutator, MUTATOR_PARKED);
  varve__lock_take(&heap->collector);
  return_to_running(mutator, MUTATOR_PARKED);
}

bool varve__safepoint_stop(struct varve__mutator *mutator, uint64_t seen) {
  struct varve_heap *heap = mutator->head.heap;
  take_collector_lock(mutator);
  if (atomic_load(&heap->collections) != seen) { /* somebody collected since: served */
    varve__lock_release(&heap->collector);
    varve__safepoint_park(mutator);
    return false;
  }
  stop_world(mutator);
  return true;
}

void varve__safepoint_resume(struct varve__mutator *mutator) {
  struct varve_heap *heap = mutator->head.heap;
  atomic_fetch_add(&heap->stop, 1);
  if (atomic_load(&heap->sleepers)) varve__park_wake(&heap->stop, INT_MAX);
  atomic_store(&mutator->state, MUTATOR_RUNNING); /* nobody can stop the world: we hold the collector lock */
  varve__lock_release(&heap->registry);
  varve__lock_release(&heap->collector);
  varve__safepoint_restore_limit(mutator);
}
