/* SPDX-License-Identifier: MIT */
/* mutator.c -- attach, detach, native state, and the wrong calls that can be seen cheaply. */
#define _GNU_SOURCE /* syscall */
#include "core/mutator.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/conservative.h"
#include "core/heap.h"
#include "core/root.h"
#include "core/safepoint.h"
#include "numa/affinity.h"
#include "varve/pin.h"

static struct varve_space *space_of(const struct varve__mutator *mutator) { return &mutator->head.heap->space; }

static void forget_tlab(struct varve__mutator *mutator) {
  mutator->head.cursor = mutator->tlab_end = VARVE__EMPTY_LIMIT;
  mutator->spill_cursor = mutator->spill_end = VARVE__EMPTY_LIMIT;
  mutator->tlab_block = mutator->spill_block = mutator->hole_block = VARVE__NO_BLOCK;
  mutator->own_region = VARVE__NO_REGION;
  mutator->own_free = 0;
  mutator->wanders = false;
}

void varve__mutator_retire(struct varve__mutator *mutator) {
  struct varve_space *space = space_of(mutator);
  varve__hole_close(mutator);
  mutator_close_block(space, mutator->tlab_block, mutator->head.cursor);
#ifndef VARVE_PLANT_SPILL_NOT_CLOSED
  mutator_close_block(space, mutator->spill_block, mutator->spill_cursor);
#endif
  if (mutator->own_region != VARVE__NO_REGION)
    atomic_fetch_or_explicit(&space->regions[mutator->own_region].free_blocks, mutator->own_free,
                             memory_order_release);
  forget_tlab(mutator);
}

/* Once for a region in a cycle, for nobody takes a region again that has been left. */
void varve__mutator_leave_region(struct varve__mutator *mutator) {
  struct varve_space *space = space_of(mutator);
  uint32_t region = mutator->own_region;
  uint64_t rest = mutator->own_free;
  mutator->own_region = VARVE__NO_REGION;
  mutator->own_free = 0;
  if (!rest) return;
  atomic_fetch_or_explicit(&space->regions[region].free_blocks, rest, memory_order_release);
  varve__space_list_region(space, region);
}

bool varve__mutator_is_here(const struct varve__mutator *mutator) {
  return pthread_equal(mutator->thread, pthread_self()); /* no system call, unlike gettid */
}

static int thread_here(void) { return (int)syscall(SYS_gettid); }

bool varve__mutator_is_gone(const struct varve__mutator *mutator) {
  return syscall(SYS_tgkill, getpid(), mutator->os_thread, 0) != 0 && errno == ESRCH;
}

static void name_mutator(struct varve__mutator *mutator, const char *name, uint32_t serial) {
  if (name) snprintf(mutator->name, sizeof mutator->name, "%s", name);
  else snprintf(mutator->name, sizeof mutator->name, "mutator %u", serial);
}

static void list_mutator(struct varve_heap *heap, struct varve__mutator *mutator, const char *name) {
  mutator->serial = ++heap->mutator_serial;
  name_mutator(mutator, name, mutator->serial);
  mutator->next = heap->mutators;
  heap->mutators = mutator;
  ++heap->mutator_count;
}

static void unlist_mutator(struct varve_heap *heap, struct varve__mutator *mutator) {
  struct varve__mutator **at = &heap->mutators;
  while (*at != mutator) at = &(*at)->next;
  *at = mutator->next;
  --heap->mutator_count;
}

static varve_status check_compiled(const struct varve_heap *heap, unsigned compiled, varve_error *error) {
  unsigned granule = compiled & ~VARVE_ATTACH_PLAIN;
  if (granule && granule != heap->options.granule)
    return varve__error(error, VARVE_OPTION, "granule: the heap has %u, the caller was compiled with %u",
                        heap->options.granule, granule);
  if ((compiled & VARVE_ATTACH_PLAIN) && heap->options.ages)
    return varve__error(error, VARVE_OPTION,
                        "ages=1: the caller was compiled with VARVE_AGES=0, so its stores are plain");
  return VARVE_OK;
}

static void free_mutator(struct varve_heap *heap, struct varve__mutator *mutator) {
  varve__stack_close(mutator);
  varve__meta_free_words(heap->meta, mutator->home, mutator, sizeof *mutator, 64); /* stack.copy */
}

/* ---- threads that end ---- */

/* A thread's own value of the heap's key is the first of its mutators. */
static void watch_thread(struct varve_heap *heap, struct varve__mutator *mutator) {
  if (!heap->knows_ends) return;
  mutator->sibling = pthread_getspecific(heap->ends);
  pthread_setspecific(heap->ends, mutator);
}

static void forget_thread(struct varve_heap *heap, const struct varve__mutator *mutator) {
  struct varve__mutator *at = heap->knows_ends ? pthread_getspecific(heap->ends) : NULL;
  if (at == mutator && at) pthread_setspecific(heap->ends, mutator->sibling);
  while (at && at->sibling != mutator) at = at->sibling;
  if (at) at->sibling = mutator->sibling;
}

static void leave(struct varve__mutator *mutator);

/* Its functions have returned, whatever is still linked. */
static void drop_frames(struct varve__mutator *mutator) {
  mutator->head.frames = mutator->head.pinned = NULL;
  mutator->head.derived = NULL;
  varve__stack_close(mutator);
}

static struct varve__mutator *find_running(struct varve__mutator *first) {
  while (first && atomic_load(&first->state) != MUTATOR_RUNNING) first = first->sibling;
  return first;
}

/* A collection may be reading those of native ones. S3: while one of the thread's runs, a stop may hold the lock and
 * wait for it. */
static void drop_all_frames(struct varve_heap *heap, struct varve__mutator *first) {
  struct varve__mutator *running = find_running(first);
  if (running) varve__safepoint_native_enter(running);
  varve__lock_take(&heap->registry);
  for (struct varve__mutator *m = first; m; m = m->sibling) drop_frames(m);
  varve__lock_release(&heap->registry);
  if (running) varve__safepoint_native_leave(running);
}

/* Rounds of destructors that the system promises, less the last: in that sanitizers and allocators end. */
#define FAREWELLS (PTHREAD_DESTRUCTOR_ITERATIONS - 1)

/* The thread ends with mutators: `value` is the first. The host's own destructors of such keys may still use and detach
 * them, so that is put off to a late round. Frames are dropped at once: others run on that stack. */
static void at_thread_end(void *value) {
  struct varve__mutator *first = value, *m;
  struct varve_heap *heap = first->head.heap;
  pthread_setspecific(heap->ends, first);
  drop_all_frames(heap, first);
  for (m = first; m; m = m->sibling) ++m->farewells;
  if (first->farewells < FAREWELLS) return;
  if ((m = find_running(first))) varve__safepoint_native_enter(m);
  while ((m = pthread_getspecific(heap->ends))) {
    varve__log(heap, 0, "mutator %s: its thread has ended without varve_detach, so it is detached", m->name);
    leave(m);
  }
}

/* Keys are few; half of them are for others. */
void varve__mutators_open(struct varve_heap *heap) {
  if (pthread_key_create(&heap->ends, at_thread_end) != 0) return;
  heap->knows_ends = heap->ends < PTHREAD_KEYS_MAX / 2;
  if (!heap->knows_ends) pthread_key_delete(heap->ends);
}

void varve__mutators_close(struct varve_heap *heap) {
  if (heap->knows_ends) pthread_key_delete(heap->ends);
}

/* ---- attach and detach ---- */

varve_status varve_mutator_attach(varve_heap *heap, const char *name, unsigned compiled, varve_mutator **out,
                                  varve_error *error) {
  if (!heap || !out) return varve__error(error, VARVE_ARGUMENT, "attach: heap and out must not be null");
  varve_status status = check_compiled(heap, compiled, error);
  if (status != VARVE_OK) return status;
  unsigned node = varve__affinity_node_here(heap->topology);
  struct varve__mutator *mutator = varve__meta_alloc(heap->meta, node, sizeof *mutator, 64);
  if (!mutator) return varve__error(error, VARVE_METADATA, "attach: no memory for a mutator");
  mutator->head.heap = heap;
  mutator->head.store_log = heap->store_log ? heap->store_log - (char *)heap->space.base : 0;
  mutator->thread = pthread_self();
  mutator->os_thread = thread_here();
  mutator->node = mutator->home = node;
  forget_tlab(mutator);
  mutator->head.limit = VARVE__EMPTY_LIMIT;
  name_mutator(mutator, name, 0);
  if (heap->options.conservative_roots) status = varve__stack_open(mutator, NULL, NULL, error);
  if (status != VARVE_OK) {
    free_mutator(heap, mutator);
    return status;
  }
  varve__lock_take(&heap->registry); /* waits for a running collection */
  bool room = varve__roots_reserve_mutators(heap->roots, heap->mutator_count + 1);
  if (room) list_mutator(heap, mutator, name);
  varve__lock_release(&heap->registry);
  if (room) {
    watch_thread(heap, mutator);
    *out = &mutator->head;
    return VARVE_OK;
  }
  free_mutator(heap, mutator);
  return varve__error(error, VARVE_METADATA, "attach: no memory for the roots of another mutator");
}

/* Under the registry lock. */
static void end_mutator(struct varve_heap *heap, struct varve__mutator *mutator) {
  varve__mutator_leave_region(mutator);
  varve__mutator_retire(mutator);
  unlist_mutator(heap, mutator);
}

void varve__mutator_bury(struct varve__mutator *mutator) {
  struct varve_heap *heap = mutator->head.heap;
  end_mutator(heap, mutator);
  free_mutator(heap, mutator);
}

void varve__mutators_forget_others(struct varve__mutator *self) {
  struct varve_heap *heap = self->head.heap;
  self->os_thread = thread_here();
  for (struct varve__mutator *m = heap->mutators, *next; m; m = next) {
    next = m->next;
    if (m != self) varve__mutator_bury(m);
  }
  self->sibling = NULL;
  if (heap->knows_ends) pthread_setspecific(heap->ends, self);
}

static void leave(struct varve__mutator *mutator) {
  struct varve_heap *heap = mutator->head.heap;
  forget_thread(heap, mutator);
  if (atomic_load(&mutator->state) == MUTATOR_RUNNING) varve__safepoint_native_enter(mutator);
  varve__lock_take(&heap->registry); /* S3: native, so nobody waits for us */
  end_mutator(heap, mutator);
  varve__lock_release(&heap->registry);
  free_mutator(heap, mutator);
}

varve_status varve_detach(varve_mutator *head) {
  struct varve__mutator *mutator = mutator_of(head);
  if (!varve__mutator_is_here(mutator)) return VARVE_THREAD;
  if (head->frames || head->pinned || head->derived || mutator->tells) return VARVE_BUSY;
  leave(mutator);
  return VARVE_OK;
}

varve_status varve_native_enter(varve_mutator *head) {
  struct varve__mutator *mutator = mutator_of(head);
  if (!varve__mutator_is_here(mutator) || atomic_load(&mutator->state) != MUTATOR_RUNNING) return VARVE_THREAD;
  varve__safepoint_native_enter(mutator);
  return VARVE_OK;
}

varve_status varve_native_leave(varve_mutator *head) {
  struct varve__mutator *mutator = mutator_of(head);
  if (!varve__mutator_is_here(mutator) || atomic_load(&mutator->state) != MUTATOR_NATIVE) return VARVE_THREAD;
  varve__safepoint_native_leave(mutator);
  return VARVE_OK;
}

varve_status varve_native_call(varve_mutator *head, void (*fn)(void *context), void *context) {
  varve_status status = varve_native_enter(head);
  if (status != VARVE_OK) return status;
  fn(context);
  return varve_native_leave(head);
}

void varve_poll_slow(varve_mutator *head) {
  VARVE_REQUIRE(varve__mutator_is_here(mutator_of(head)), "poll: mutator %s is attached to another thread",
                mutator_of(head)->name);
  varve__safepoint_park(mutator_of(head));
}

varve_status varve_mutator_status(const varve_mutator *head) {
  return ((const struct varve__mutator *)head)->status;
}
