/* SPDX-License-Identifier: MIT */
/* safepoint.c -- the protocol of safepoint.h. Plain atomic operations here are sequentially consistent. */
#include "core/safepoint.h"

#include <limits.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/shade.h"
#include "core/conservative.h"
#include "core/policy.h"
#include "core/worker.h"

/* The collector word: HELD, then the room for helpers, then the tickets given. */
#define HELD 1u
#define ROOM_STEP 2u
#define ROOM_MASK (0xffu * ROOM_STEP) /* one less than the most workers */
#define TICKET_STEP 0x200u

static void store_limit(struct varve__mutator *mutator, uintptr_t limit) {
  __atomic_store_n(&mutator->head.limit, limit, __ATOMIC_SEQ_CST);
}

static bool stop_is_wanted(const struct varve_heap *heap) { return atomic_load(&heap->stop) & 1; }

/* Not running: enlist and help, if there is room. @return false: there is none. */
static bool help(struct varve_heap *heap) {
  uint32_t word = atomic_load(&heap->collector);
  while (word & ROOM_MASK)
    if (atomic_compare_exchange_weak(&heap->collector, &word, word - ROOM_STEP + TICKET_STEP)) {
      varve__worker_help(heap, word / TICKET_STEP + 1);
      return true;
    }
  return false;
}

/* Wait while `stop` is odd. Its partner is resume, which changes it and then looks at the sleepers. */
static void wait_for_resume(struct varve_heap *heap) {
  uint32_t spins = 0, stop;
  while ((stop = atomic_load(&heap->stop)) & 1) {
    if (help(heap)) continue;
    if (spins++ < heap->options.spin) park_pause();
    else varve__park_quietly(&heap->stop, &heap->sleepers, stop);
  }
}

/* Tell the collector that one more has left RUNNING. Its partner is wait_for_arrivals. */
static void notify_arrival(struct varve_heap *heap) {
  atomic_fetch_add(&heap->arrivals, 1);
  park_wake_quietly(&heap->arrivals, &heap->stopper_sleeps, 1);
}

#ifdef VARVE_PLANT_LOST_ARRIVAL
static void leave_running(struct varve__mutator *mutator, uint32_t state) {
  struct varve_heap *heap = mutator->head.heap;
  bool wanted = stop_is_wanted(heap);
  atomic_store(&mutator->state, state);
  if (wanted) notify_arrival(heap);
}
#else
static void leave_running(struct varve__mutator *mutator, uint32_t state) {
  struct varve_heap *heap = mutator->head.heap;
  atomic_store(&mutator->state, state);
  if (stop_is_wanted(heap)) notify_arrival(heap);
}
#endif

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
  bool slow = VARVE_SHADED || heap_setting(&mutator->head.heap->options.stress_period);
  return slow ? VARVE__EMPTY_LIMIT : mutator->tlab_end;
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
  stack_note(mutator);
  leave_running(mutator, MUTATOR_PARKED);
  return_to_running(mutator, MUTATOR_PARKED);
  varve__safepoint_restore_limit(mutator);
}

void varve__safepoint_native_enter(struct varve__mutator *mutator) {
  stack_note(mutator);
  leave_running(mutator, MUTATOR_NATIVE);
}

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

/* Say who has held up the stop for so long, and wait no more for threads that have ended. */
static void name_late(struct varve_heap *heap, uint64_t waited_ns) {
  double seconds = (double)waited_ns / 1e9;
  for (struct varve__mutator *m = heap->mutators, *next; m; m = next) {
    next = m->next;
    if (atomic_load(&m->state) != MUTATOR_RUNNING) continue;
    bool gone = varve__mutator_is_gone(m);
    varve__log(heap, 0, "mutator %s %s for %.3g s: %s", m->name,
               gone ? "has held up a stop" : "has reached no safepoint", seconds,
               gone ? "its thread has ended without varve_detach, so it is detached" : "a stop waits for it");
    if (gone) varve__mutator_bury(m);
  }
}

/* Wait until nobody runs. @return the last one seen running; NULL when nobody was. */
static struct varve__mutator *wait_for_arrivals(struct varve_heap *heap, uint64_t began) {
  struct varve__mutator *last = NULL, *running;
  uint64_t patience = heap_setting(&heap->options.stop_warning) * UINT64_C(1000000), waited;
  uint32_t spins = 0;
  for (;;) {
    uint32_t arrivals = atomic_load(&heap->arrivals);
    if (!(running = find_running(heap))) return last;
    last = running;
    if (spins++ < heap->options.spin) {
      park_pause();
      continue;
    }
    varve__park_quietly_for(&heap->arrivals, &heap->stopper_sleeps, arrivals, patience);
    if (!patience || (waited = varve__clock_ns() - began) < patience) continue;
    name_late(heap, waited);
    last = NULL; /* it may be gone */
    patience *= 2;
  }
}

/* Room for as many as the policy may want. Before `stop` is odd, so that all who wait for the resume see it. */
static void make_room(struct varve_heap *heap) {
  uint32_t most = heap->options.mutators_help ? varve__policy_workers_most(heap) : 1;
  if (most < 2) return;
  atomic_store(&heap->collector, HELD + (most - 1) * ROOM_STEP);
  park_wake_quietly(&heap->collector, &heap->losers, INT_MAX);
}

uint32_t varve__safepoint_close_roll(struct varve_heap *heap) {
  return atomic_fetch_and(&heap->collector, ~ROOM_MASK) / TICKET_STEP;
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
  make_room(heap);
  atomic_fetch_add(&heap->stop, 1);
  poke_all(heap, self);
  struct varve__mutator *last = wait_for_arrivals(heap, begin);
  memset(&heap->current, 0, sizeof heap->current);
  heap->current.stop_ns = varve__clock_ns() - begin;
  if (last) memcpy(heap->current.slowest, last->name, sizeof last->name);
}

/* ---- one collector at a time ---- */

static bool try_collector(struct varve_heap *heap) {
  uint32_t nobody = 0;
  return atomic_compare_exchange_strong(&heap->collector, &nobody, HELD);
}

#ifdef VARVE_PLANT_LOSER_LEFT
static void release_collector(struct varve_heap *heap) {
  bool somebody = atomic_load(&heap->losers);
  atomic_store(&heap->collector, 0);
  if (somebody) varve__park_wake(&heap->collector, INT_MAX);
}
#else
static void release_collector(struct varve_heap *heap) {
  atomic_store(&heap->collector, 0);
  park_wake_quietly(&heap->collector, &heap->losers, INT_MAX);
}
#endif

/* Until we are the collector, or are served (S6). */
static bool wait_for_collector(struct varve_heap *heap, uint64_t seen) {
  for (uint32_t spins = 0;;) {
    uint32_t word = atomic_load(&heap->collector);
    if (atomic_load(&heap->collections) != seen) return false;
    if (help(heap)) continue;
    if (!word && try_collector(heap)) return true;
    if (!word) continue;
    if (spins++ < heap->options.spin) park_pause();
    else varve__park_quietly(&heap->collector, &heap->losers, word);
  }
}

/* Losers wait in PARKED, so that the winner does not wait for them. */
static bool take_collector(struct varve__mutator *mutator, uint64_t seen) {
  if (try_collector(mutator->head.heap)) return true;
  leave_running(mutator, MUTATOR_PARKED);
  bool taken = wait_for_collector(mutator->head.heap, seen);
  return_to_running(mutator, MUTATOR_PARKED);
  return taken;
}

bool varve__safepoint_stop(struct varve__mutator *mutator, uint64_t seen) {
  struct varve_heap *heap = mutator->head.heap;
  stack_note(mutator);
  bool taken = take_collector(mutator, seen);
  if (taken && atomic_load(&heap->collections) == seen) {
    stop_world(mutator);
    return true;
  }
  if (taken) release_collector(heap); /* somebody collected since: served */
  varve__safepoint_park(mutator);
  return false;
}

void varve__safepoint_resume(struct varve__mutator *mutator) {
  struct varve_heap *heap = mutator->head.heap;
  uint32_t helpers = heap->options.mutators_help ? varve__safepoint_close_roll(heap) : 0;
  if (helpers) varve__workers_dismiss(heap, helpers);
  atomic_fetch_add(&heap->stop, 1);
  park_wake_quietly(&heap->stop, &heap->sleepers, INT_MAX);
  atomic_store(&mutator->state, MUTATOR_RUNNING); /* nobody can stop the world: the collector word is ours */
  varve__lock_release(&heap->registry);
  release_collector(heap);
  varve__safepoint_restore_limit(mutator);
}

void varve__safepoint_forget_others(struct varve_heap *heap) {
  atomic_store(&heap->collector, HELD);
  atomic_store(&heap->losers, 0);
  atomic_store(&heap->sleepers, 0);
  atomic_store(&heap->stopper_sleeps, 0);
}
