/* SPDX-License-Identifier: MIT */
/* worker.c -- slots with orders in them, and the threads that carry them out.
 *
 * W1  A slot's order is NO_ORDER unless there is one that its thread has not taken. Worker 0 alone changes it from
 *     NO_ORDER, and only after the thread has reported the order before; the slot's thread alone changes it back,
 *     before it reports. So none is missed, overwritten or taken twice, however long a thread sleeps, and a thread that
 *     is not in the team, or starts late, or takes a seat where another mutator sat in an earlier pause, meets nothing
 *     old. The order names the index that the thread has in this run: nothing else tells it.
 *
 *   order    store by worker 0 (release; pairs with the acquire of the slot's thread, which then sees fn, the team and
 *            everything that worker 0 wrote). Quiet, with `asleep`: a team that is awake is started without a system
 *            call.
 *   left     reports awaited. Set by worker 0 before the orders; each report takes one off (release; pairs with worker
 *            0's acquire). Quiet, with `waiting`; the last one wakes.
 *   exists   written by running mutators under `lock`; read by worker 0, which has stopped them all since (S2).
 */
#define _GNU_SOURCE
#include "core/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/safepoint.h"
#include "numa/affinity.h"

#define SLOTS_MAX 256u
#define NO_ORDER 0u
#define LEAVE UINT32_MAX /* any other order: be the worker of this index */

struct worker_slot {
  _Alignas(64) _Atomic uint32_t order;
  _Atomic uint32_t asleep; /* 1: its thread sleeps on `order`, or is about to */
  _Atomic uint32_t node;   /* dense, of who sits there. Relaxed: a place to take memory and work from, no more */
  uint32_t index;
  bool exists, pinned;     /* its thread runs, and where it should */
  struct varve_heap *heap;
  pthread_t thread;
};

struct varve_workers {
  struct varve_lock lock;  /* for starting threads */
  uint32_t slot_count;
  uint32_t active;         /* workers of this pause, worker 0 included */
  unsigned node;           /* where worker 0 was when the pause began */
  bool said_missing, said_unpinned;
  varve_worker_fn *fn;
  uint8_t team[SLOTS_MAX]; /* by worker index: its slot. Worker 0 has none */
  _Alignas(64) _Atomic uint32_t left;
  _Atomic uint32_t waiting;
  struct worker_slot slots[];
};

static size_t workers_bytes(const struct varve_heap *heap) {
  return sizeof(struct varve_workers) + heap->created.workers * sizeof(struct worker_slot);
}

struct varve_workers *varve__workers_open(struct varve_heap *heap) {
  struct varve_workers *workers = heap_meta_alloc(heap, workers_bytes(heap));
  if (!workers) return NULL;
  workers->active = 1;
  workers->slot_count = heap->created.workers;
  for (uint32_t i = 0; i < workers->slot_count; ++i) {
    workers->slots[i].index = i;
    workers->slots[i].heap = heap;
  }
  return workers;
}

/* ---- where slots are ---- */

/* Spread over the cores; when there are more slots than cores, in turn, so that neighbours have different ones. */
static uint32_t slot_cpu(const struct varve_heap *heap, uint32_t slot) {
  uint32_t cpus = heap->topology->cpu_count, slots = heap->workers->slot_count;
  return slots > cpus ? slot % cpus : slot * cpus / slots;
}

static unsigned slot_node(const struct varve_heap *heap, uint32_t slot) {
  return heap->topology->cpus[slot_cpu(heap, slot)].node;
}

/* In steps of the dense order, which has neighbours beside each other; another node is farther than that. */
static uint32_t slot_distance(const struct varve_heap *heap, uint32_t slot, uint32_t cpu) {
  uint32_t at = slot_cpu(heap, slot), steps = at > cpu ? at - cpu : cpu - at;
  return slot_node(heap, slot) == heap->topology->cpus[cpu].node ? steps : steps + heap->topology->cpu_count;
}

/* `next` is the first slot at or behind the core; the nearest is that or the one before. */
static uint32_t nearest_slot(const struct varve_heap *heap, uint32_t cpu) {
  uint32_t cpus = heap->topology->cpu_count, slots = heap->workers->slot_count;
  uint32_t next = slots > cpus ? cpu : (cpu * slots + cpus - 1) / cpus;
  if (next == slots) return slots - 1;
  return next && slot_distance(heap, next - 1, cpu) < slot_distance(heap, next, cpu) ? next - 1 : next;
}

/* The slots in the order in which teams take them: those that follow the requester's on its node, going round, then
 * the others; last the requester's, which is wanted only when another is missing. */
static void line_up(const struct varve_heap *heap, uint8_t line[SLOTS_MAX]) {
  uint32_t cpu = varve__affinity_core_here(heap->topology);
  uint32_t slots = heap->workers->slot_count, first = nearest_slot(heap, cpu), count = 0;
  for (unsigned far = 0; far < 2; ++far)
    for (uint32_t i = 1; i < slots; ++i) {
      uint32_t slot = (first + i) % slots;
      if ((slot_node(heap, slot) != slot_node(heap, first)) == far) line[count++] = (uint8_t)slot;
    }
  line[count] = (uint8_t)first;
}

/* ---- in a slot ---- */

static void report(struct varve_workers *workers) {
  if (atomic_fetch_sub(&workers->left, 1) == 1) park_wake_quietly(&workers->left, &workers->waiting, 1);
}

/* W1: taken, and the slot is free for the order after the report. */
static uint32_t take_order(struct worker_slot *self) {
  uint32_t order = varve__park_while(&self->order, &self->asleep, NO_ORDER, self->heap->options.spin);
  atomic_store_explicit(&self->order, NO_ORDER, memory_order_relaxed);
  return order;
}

#ifdef VARVE_PLANT_ORDER_OVERWRITTEN
static void serve(struct worker_slot *self) {
  struct varve_workers *workers = self->heap->workers;
  for (uint32_t order; (order = varve__park_while(&self->order, &self->asleep, NO_ORDER, 0)) != LEAVE;) {
    workers->fn(self->heap, order);
    report(workers);
    atomic_store(&self->order, NO_ORDER);
  }
  take_order(self);
}
#else
static void serve(struct worker_slot *self) {
  struct varve_workers *workers = self->heap->workers;
  for (uint32_t order; (order = take_order(self)) != LEAVE; report(workers)) workers->fn(self->heap, order);
}
#endif

void varve__worker_help(struct varve_heap *heap, uint32_t ticket) {
  struct worker_slot *self = &heap->workers->slots[ticket];
  atomic_store_explicit(&self->node, varve__affinity_node_here(heap->topology), memory_order_relaxed);
  serve(self);
  report(heap->workers);
}

static void *thread_main(void *argument) {
  struct worker_slot *self = argument;
  char name[16];
  snprintf(name, sizeof name, "varve-%u", self->index % 1000u);
  pthread_setname_np(pthread_self(), name);
  self->pinned = varve__affinity_pin(self->heap->topology, slot_cpu(self->heap, self->index));
  report(self->heap->workers); /* it is up */
  serve(self);
  return NULL;
}

/* ---- worker 0 ---- */

static void wait_for_reports(struct varve_heap *heap) {
  struct varve_workers *workers = heap->workers;
  uint32_t left = atomic_load_explicit(&workers->left, memory_order_acquire);
  while (left) left = varve__park_while(&workers->left, &workers->waiting, left, heap->options.spin);
}

static void wake(struct worker_slot *slot) { park_wake_quietly(&slot->order, &slot->asleep, 1); }

/* All orders first: those who are awake begin while the others are woken. */
static void order_team(struct varve_workers *workers, varve_worker_fn *fn) {
  workers->fn = fn;
  atomic_store_explicit(&workers->left, workers->active - 1, memory_order_relaxed);
  for (uint32_t i = 1; i < workers->active; ++i) atomic_store(&workers->slots[workers->team[i]].order, i);
  for (uint32_t i = 1; i < workers->active; ++i) wake(&workers->slots[workers->team[i]]);
}

void varve__workers_run(struct varve_heap *heap, varve_worker_fn *fn) {
  struct varve_workers *workers = heap->workers;
  bool alone = workers->active == 1;
  if (!alone) order_team(workers, fn);
  fn(heap, 0);
  if (!alone) wait_for_reports(heap);
}

/* The first in line that exist. */
static uint32_t team_of_threads(struct varve_workers *workers, const uint8_t *line, uint32_t count) {
  uint32_t active = 1;
  for (uint32_t i = 0; i < workers->slot_count && active < count; ++i)
    if (workers->slots[line[i]].exists) workers->team[active++] = line[i];
  return active;
}

/* Whoever enlisted; a ticket is a slot. */
static uint32_t team_of_mutators(struct varve_workers *workers, uint32_t enlisted, uint32_t count) {
  uint32_t active = count <= enlisted + 1 ? count : enlisted + 1;
  for (uint32_t i = 1; i < active; ++i) workers->team[i] = (uint8_t)i;
  return active;
}

uint32_t varve__workers_begin(struct varve_heap *heap, uint32_t count) {
  struct varve_workers *workers = heap->workers;
  uint8_t line[SLOTS_MAX];
  workers->node = varve__affinity_node_here(heap->topology);
  workers->active = 1;
  if (heap->options.mutators_help) {
    workers->active = team_of_mutators(workers, varve__safepoint_close_roll(heap), count);
  } else if (count > 1) {
    line_up(heap, line);
    workers->active = team_of_threads(workers, line, count);
  }
  return workers->active;
}

uint32_t varve__workers_active(const struct varve_heap *heap) { return heap->workers->active; }

unsigned varve__worker_node(const struct varve_heap *heap, uint32_t worker) {
  const struct varve_workers *workers = heap->workers;
  if (!worker) return workers->node;
  return atomic_load_explicit(&workers->slots[workers->team[worker]].node, memory_order_relaxed);
}

void varve__workers_dismiss(struct varve_heap *heap, uint32_t helpers) {
  struct varve_workers *workers = heap->workers;
  atomic_store_explicit(&workers->left, helpers, memory_order_relaxed);
  for (uint32_t i = 1; i <= helpers; ++i) atomic_store(&workers->slots[i].order, LEAVE);
  for (uint32_t i = 1; i <= helpers; ++i) wake(&workers->slots[i]);
  wait_for_reports(heap);
}

/* ---- starting and ending threads ---- */

/* Blocked signals are inherited. Those that a fault raises are not blocked: a host's handler may explain a crash in one
 * of its functions. */
static int create_thread(struct worker_slot *slot) {
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
  sigset_t all, before;
  sigfillset(&all);
  for (unsigned i = 0; i < sizeof faults / sizeof *faults; ++i) sigdelset(&all, faults[i]);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = pthread_create(&slot->thread, NULL, thread_main, slot);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return failed;
}

static bool start_thread(struct varve_heap *heap, uint32_t index) {
  struct varve_workers *workers = heap->workers;
  struct worker_slot *slot = &workers->slots[index];
  atomic_store_explicit(&slot->node, slot_node(heap, index), memory_order_relaxed);
  atomic_fetch_add(&workers->left, 1);
  int failed = create_thread(slot);
  slot->exists = !failed;
  if (!failed) return true;
  atomic_fetch_sub(&workers->left, 1);
  if (!workers->said_missing)
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): of glibc, it is safe for all that pthread_create returns */
    varve__log(heap, 0, "a worker thread did not start (%s): going on with fewer workers", strerror(failed));
  workers->said_missing = true;
  return false;
}

static void say_unpinned(struct varve_heap *heap, uint32_t index) {
  struct varve_workers *workers = heap->workers;
  if (workers->slots[index].pinned || workers->said_unpinned) return;
  varve__log(heap, 0, "worker thread %u cannot be pinned to processor %u: it works unpinned", index,
             heap->topology->cpus[slot_cpu(heap, index)].os_index);
  workers->said_unpinned = true;
}

/* Nobody can be in a pause, for the caller runs: `left` is free for counting who is up. */
static void start_threads(struct varve_heap *heap, const uint8_t *line, uint32_t wanted) {
  struct worker_slot *slots = heap->workers->slots;
  uint32_t up = 0;
  atomic_store_explicit(&heap->workers->left, 0, memory_order_relaxed);
  /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.ArraySubscript): up <= wanted < slots, which line_up fills */
  while (up < wanted && (slots[line[up]].exists || start_thread(heap, line[up]))) ++up;
  wait_for_reports(heap);
  for (uint32_t i = 0; i < up; ++i) say_unpinned(heap, line[i]);
}

void varve__workers_prepare(struct varve_heap *heap, uint32_t count) {
  struct varve_workers *workers = heap->workers;
  uint8_t line[SLOTS_MAX];
  if (count < 2 || heap->options.mutators_help) return;
  line_up(heap, line);
  varve__lock_take(&workers->lock);
  start_threads(heap, line, count - 1);
  varve__lock_release(&workers->lock);
}

void varve__workers_forget(struct varve_heap *heap) {
  struct varve_workers *workers = heap->workers;
  workers->active = 1;
  atomic_store(&workers->left, 0);
  atomic_store(&workers->waiting, 0);
  for (uint32_t i = 0; i < workers->slot_count; ++i) {
    atomic_store(&workers->slots[i].order, NO_ORDER);
    atomic_store(&workers->slots[i].asleep, 0);
    workers->slots[i].exists = workers->slots[i].pinned = false;
  }
}

void varve__workers_close(struct varve_heap *heap) {
  struct varve_workers *workers = heap->workers;
  if (!workers) return;
  for (uint32_t i = 0; i < workers->slot_count; ++i) {
    struct worker_slot *slot = &workers->slots[i];
    if (!slot->exists) continue;
    atomic_store(&slot->order, LEAVE);
    wake(slot);
    pthread_join(slot->thread, NULL);
  }
  heap_meta_free(heap, workers, workers_bytes(heap));
  heap->workers = NULL;
}
