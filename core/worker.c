/* SPDX-License-Identifier: MIT */
/* worker.c -- a phase barrier with bounded spinning, and the threads behind it.
 *
 *   run     serial number and number of active workers of the latest run. Worker 0 changes it to start one (release;
 *           pairs with the acquire of waiting workers, which then see fn and everything worker 0 wrote). Worker 0 waits
 *           for every active worker, so an active one misses no run; the others may. Futex word of parked workers.
 *   done    counts workers that have returned (release; pairs with worker 0's acquire). Futex word of worker 0.
 *   asleep  how many workers are parked, so that a run on awake workers makes no system call: a worker counts itself,
 *           then sleeps only if the word is still old; worker 0 changes the word, then looks at the count.
 */
#define _GNU_SOURCE
#include "core/worker.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "numa/affinity.h"

#define ACTIVE_MASK 0x3ffu /* low bits of the run word: how many workers are active */
#define SERIAL_STEP 0x400u
#define QUIT 0u            /* no worker active: end */

struct worker_thread {
  struct varve_heap *heap;
  uint32_t index;
  uint32_t pinned;    /* dense cpu index + 1; 0: not pinned yet */
  uint32_t first_run; /* the run word when the thread was started */
  pthread_t thread;
};

struct varve_workers {
  struct varve_lock lock;  /* for starting threads */
  uint32_t started;        /* threads running: indexes 1..started; written by running mutators, read in pauses */
  uint32_t active;         /* workers of this pause, worker 0 included */
  uint32_t requester_cpu;  /* dense index of the core that worker 0 runs on */
  bool complained;
  varve_worker_fn *fn;
  _Alignas(64) _Atomic uint32_t run;
  _Atomic uint32_t asleep;
  _Alignas(64) _Atomic uint32_t done;
  struct worker_thread threads[];
};

static size_t workers_bytes(const struct varve_heap *heap) {
  return sizeof(struct varve_workers) + heap->created.workers * sizeof(struct worker_thread);
}

struct varve_workers *varve__workers_open(struct varve_heap *heap) {
  struct varve_workers *workers = heap_meta_alloc(heap, workers_bytes(heap));
  if (workers) workers->active = 1;
  return workers;
}

/* ---- a worker thread ---- */

/* The cpu for worker `index`: the allowed ones in turn, leaving out the requester's. */
static uint32_t choose_cpu(const struct varve_heap *heap, uint32_t index) {
  uint32_t count = heap->topology->cpu_count;
  return count < 2 ? 0 : (heap->workers->requester_cpu + 1 + (index - 1) % (count - 1)) % count;
}

static void pin_if_moved(struct worker_thread *self) {
  uint32_t cpu = choose_cpu(self->heap, self->index);
  if (self->pinned == cpu + 1) return;
  varve__affinity_pin(self->heap->topology, cpu);
  self->pinned = cpu + 1;
}

/* The run word changed: return it. */
static uint32_t wait_for_run(struct varve_workers *workers, uint32_t seen, uint32_t spin) {
  uint32_t now;
  for (uint32_t i = 0; i < spin; ++i) {
    if ((now = atomic_load_explicit(&workers->run, memory_order_acquire)) != seen) return now;
    park_pause();
  }
  atomic_fetch_add(&workers->asleep, 1);
  while ((now = atomic_load(&workers->run)) == seen) varve__park_sleep(&workers->run, seen);
  atomic_fetch_sub(&workers->asleep, 1);
  return now;
}

static void report_done(struct varve_workers *workers, uint32_t active) {
  if (atomic_fetch_add(&workers->done, 1) + 1 == active - 1) varve__park_wake(&workers->done, 1);
}

static void *worker_main(void *argument) {
  struct worker_thread *self = argument;
  struct varve_workers *workers = self->heap->workers;
  uint32_t run = self->first_run, active;
  while ((active = (run = wait_for_run(workers, run, self->heap->options.spin)) & ACTIVE_MASK) != QUIT) {
    if (self->index >= active) continue; /* not in this run: nobody waits for us, and we may miss some */
    pin_if_moved(self);
    workers->fn(self->heap, self->index);
    report_done(workers, active);
  }
  return NULL;
}

/* ---- worker 0 ---- */

static void change_run(struct varve_workers *workers, uint32_t active) {
  uint32_t serial = (atomic_load_explicit(&workers->run, memory_order_relaxed) & ~ACTIVE_MASK) + SERIAL_STEP;
  atomic_store(&workers->run, serial | active);
  if (atomic_load(&workers->asleep)) varve__park_wake(&workers->run, INT_MAX);
}

static int start_thread(struct varve_heap *heap, uint32_t index) {
  struct worker_thread *thread = &heap->workers->threads[index - 1];
  thread->heap = heap;
  thread->index = index;
  thread->first_run = atomic_load(&heap->workers->run); /* so that it takes part in the run it is started for */
  int failed = pthread_create(&thread->thread, NULL, worker_main, thread);
  if (failed) return failed;
  char name[16];
  snprintf(name, sizeof name, "varve-%u", index % 1000u);
  pthread_setname_np(thread->thread, name);
  return 0;
}

static void start_threads(struct varve_heap *heap, uint32_t wanted) {
  struct varve_workers *workers = heap->workers;
  while (workers->started + 1 < wanted) {
    int failed = start_thread(heap, workers->started + 1);
    if (!failed) {
      ++workers->started;
      continue;
    }
    if (!workers->complained) varve__log(heap, 0, "a worker thread did not start (%s): going on with %u workers",
                                         strerror(failed), workers->started + 1);
    workers->complained = true;
    return;
  }
}

static uint32_t requester_cpu(const struct varve_heap *heap) {
  unsigned os_index = varve__affinity_cpu_here();
  for (uint32_t cpu = 0; cpu < heap->topology->cpu_count; ++cpu)
    if (heap->topology->cpus[cpu].os_index == os_index) return cpu;
  return 0;
}

void varve__workers_prepare(struct varve_heap *heap, uint32_t count) {
  struct varve_workers *workers = heap->workers;
  varve__lock_take(&workers->lock);
  start_threads(heap, count);
  varve__lock_release(&workers->lock);
}

uint32_t varve__workers_begin(struct varve_heap *heap, uint32_t count) {
  struct varve_workers *workers = heap->workers;
  if (count > 1) workers->requester_cpu = requester_cpu(heap);
  workers->active = count <= workers->started + 1 ? count : workers->started + 1;
  return workers->active;
}

uint32_t varve__workers_active(const struct varve_heap *heap) { return heap->workers->active; }

static void wait_until_done(struct varve_heap *heap, uint32_t others) {
  struct varve_workers *workers = heap->workers;
  uint32_t done = atomic_load_explicit(&workers->done, memory_order_acquire);
  while (done != others) done = varve__park_until_changed(&workers->done, done, heap->options.spin);
}

unsigned varve__worker_node(const struct varve_heap *heap, uint32_t worker) {
  uint32_t cpu = worker ? choose_cpu(heap, worker) : heap->workers->requester_cpu;
  return heap->topology->cpus[cpu].node;
}

void varve__workers_run(struct varve_heap *heap, varve_worker_fn *fn) {
  struct varve_workers *workers = heap->workers;
  uint32_t active = workers->active;
  if (active > 1) {
    workers->fn = fn;
    atomic_store_explicit(&workers->done, 0, memory_order_relaxed);
    change_run(workers, active);
  }
  fn(heap, 0);
  if (active > 1) wait_until_done(heap, active - 1);
}

void varve__workers_close(struct varve_heap *heap) {
  struct varve_workers *workers = heap->workers;
  if (!workers) return;
  change_run(workers, QUIT);
  for (uint32_t i = 0; i < workers->started; ++i) pthread_join(workers->threads[i].thread, NULL);
  heap_meta_free(heap, workers, workers_bytes(heap));
  heap->workers = NULL;
}
