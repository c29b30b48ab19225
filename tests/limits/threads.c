/* SPDX-License-Identifier: MIT */
/* threads.c -- a thousand mutators: of one thread, of a thousand threads at once, and coming and going, while others
 * collect. */
#define _GNU_SOURCE 1
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "limits/limits.h"

static uint32_t mutators_of(const struct world *w) {
  varve_heap_stats stats;
  varve_heap_stats_get(w->heap, &stats);
  return stats.mutators;
}

/* One thread; all but one are native, each with a frame. */
static void mutators(bool longer) {
  unsigned count = longer ? 20000 : 2000;
  struct held {
    varve_mutator *me;
    varve_frame head;
    varve_word slot;
  } *all = calloc(count, sizeof *all);
  struct world w;
  CHECK(all);
  world_open(&w, longer ? "heap-max=1g,workers=2,parallel-min=0,move-everything=1" : "heap-max=128m,workers=2,parallel-min=0,move-everything=1");
  CHECK(varve_native_enter(w.me) == VARVE_OK);
  double began = limit_seconds();
  for (unsigned i = 0; i < count; ++i) {
    CHECK(varve_attach(w.heap, NULL, &all[i].me, NULL) == VARVE_OK);
    struct cell *cell = varve_alloc(all[i].me, w.cell, sizeof *cell);
    CHECK(cell);
    cell->number = i;
    all[i].slot = varve_tag(cell, 0);
    varve_frame_push(all[i].me, &all[i].head, 1);
    CHECK(varve_native_enter(all[i].me) == VARVE_OK);
  }
  limit_figure("attach_seconds", limit_seconds() - began);
  CHECK(varve_native_leave(w.me) == VARVE_OK && mutators_of(&w) == count + 1);
  began = limit_seconds();
  world_collect(&w, !longer);
  limit_figure("collect_seconds", limit_seconds() - began);
  for (unsigned i = 0; i < count; ++i) CHECK(cell_of(all[i].slot)->number == i);
  began = limit_seconds();
  for (unsigned i = 0; i < count; ++i) {
    all[i].me->frames = NULL;
    CHECK(varve_detach(all[i].me) == VARVE_OK);
  }
  limit_figure("detach_seconds", limit_seconds() - began);
  world_collect(&w, true);
  CHECK(mutators_of(&w) == 1 && world_live(&w) == 0);
  limit_figure("mutators", count);
  world_close(&w);
  free(all);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

struct crowd {
  struct world *w;
  pthread_barrier_t meeting;
  _Atomic bool done;
  _Atomic uint64_t attached;
};

static void grow_list(varve_mutator *me, varve_layout layout, unsigned count) {
  VARVE_FRAME(f, me, list);
  for (unsigned i = 0; i < count; ++i) {
    struct cell *cell = varve_alloc_uninit(me, layout, sizeof *cell);
    CHECK(cell);
    cell->number = i;
    varve_init(me, cell, &cell->next, f.list);
    f.list = varve_tag(cell, 0);
  }
  for (varve_word at = f.list; at; at = cell_of(at)->next) CHECK(cell_of(at)->number == --count);
  CHECK(count == 0);
}

static void *be_one_of_many(void *context) {
  struct crowd *c = context;
  varve_mutator *me;
  CHECK(varve_attach(c->w->heap, NULL, &me, NULL) == VARVE_OK);
  grow_list(me, c->w->cell, 300);
  CHECK(varve_native_enter(me) == VARVE_OK);
  pthread_barrier_wait(&c->meeting); /* all are attached */
  pthread_barrier_wait(&c->meeting);
  CHECK(varve_native_leave(me) == VARVE_OK);
  grow_list(me, c->w->cell, 300);
  CHECK(varve_detach(me) == VARVE_OK);
  return NULL;
}

static pthread_t start(void *(*body)(void *), void *context) {
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 << 10);
  int error = pthread_create(&thread, &attributes, body, context);
  if (error) limit_skip("the system has no more threads");
  pthread_attr_destroy(&attributes);
  return thread;
}

static void threads(bool longer) {
  unsigned count = longer ? 4000 : 1000;
  pthread_t *thread = calloc(count, sizeof *thread);
  struct world w;
  struct crowd c = {.w = &w};
  CHECK(thread);
  world_open(&w, longer ? "heap-max=512m,workers=2,spin=0" : "heap-max=96m,workers=2,spin=0,verify=1");
  pthread_barrier_init(&c.meeting, NULL, count + 1);
  CHECK(varve_native_enter(w.me) == VARVE_OK);
  for (unsigned i = 0; i < count; ++i) thread[i] = start(be_one_of_many, &c);
  pthread_barrier_wait(&c.meeting);
  CHECK(varve_native_leave(w.me) == VARVE_OK && mutators_of(&w) == count + 1);
  for (unsigned turn = 0; turn < 3; ++turn) world_collect(&w, true);
  CHECK(world_live(&w) == 0 && varve_native_enter(w.me) == VARVE_OK);
  pthread_barrier_wait(&c.meeting);
  for (unsigned i = 0; i < count; ++i) pthread_join(thread[i], NULL);
  CHECK(varve_native_leave(w.me) == VARVE_OK);
  world_collect(&w, true);
  CHECK(mutators_of(&w) == 1);
  limit_figure("threads", count);
  pthread_barrier_destroy(&c.meeting);
  world_close(&w);
  free(thread);
}

static void *come_and_go(void *context) {
  struct crowd *c = context;
  while (!atomic_load(&c->done)) {
    varve_mutator *me;
    CHECK(varve_attach(c->w->heap, NULL, &me, NULL) == VARVE_OK);
    grow_list(me, c->w->cell, 20);
    CHECK(varve_detach(me) == VARVE_OK);
    atomic_fetch_add(&c->attached, 1);
  }
  return NULL;
}

/* Threads that end without a word are among them. */
static void *come_and_end(void *context) {
  struct crowd *c = context;
  varve_mutator *me;
  CHECK(varve_attach(c->w->heap, NULL, &me, NULL) == VARVE_OK);
  grow_list(me, c->w->cell, 20);
  if (atomic_fetch_add(&c->attached, 1) % 2) CHECK(varve_native_enter(me) == VARVE_OK);
  return NULL;
}

static void churn(bool longer) {
  uint64_t wanted = longer ? 400000 : 6000;
  struct world w;
  struct crowd c = {.w = &w};
  pthread_t thread[6];
  varve_heap_stats stats;
  uint64_t collections = 0, metadata = 0;
  world_open(&w, "heap-max=64m,workers=2,spin=0,parallel-min=0");
  for (unsigned i = 0; i < 6; ++i) thread[i] = start(come_and_go, &c);
  while (atomic_load(&c.attached) < wanted) {
    pthread_t other = start(come_and_end, &c);
    world_collect(&w, false);
    CHECK(varve_native_enter(w.me) == VARVE_OK);
    pthread_join(other, NULL);
    CHECK(varve_native_leave(w.me) == VARVE_OK);
    varve_heap_stats_get(w.heap, &stats);
    if (!metadata && atomic_load(&c.attached) > wanted / 4) metadata = stats.bytes_metadata;
    ++collections;
  }
  atomic_store(&c.done, true);
  CHECK(varve_native_enter(w.me) == VARVE_OK);
  for (unsigned i = 0; i < 6; ++i) pthread_join(thread[i], NULL);
  CHECK(varve_native_leave(w.me) == VARVE_OK);
  varve_heap_stats_get(w.heap, &stats);
  CHECK(stats.bytes_metadata <= metadata + (4 << 20)); /* an extent of the allocator or two */
  CHECK(mutators_of(&w) == 1);
  world_collect(&w, true);
  limit_figure("attached", (double)atomic_load(&c.attached));
  limit_figure("collections", (double)collections);
  world_close(&w);
}

const struct limit_case thread_cases[] = {
    {"mutators", mutators, 200, 1200}, {"threads", threads, 400, 2000}, {"churn", churn, 200, 0}, {0}};
