/* SPDX-License-Identifier: MIT */
/* test_late.c -- threads that hold up a stop: they are named in the log, again and again; those that have ended are
 * detached, and so are native ones. */
#define _GNU_SOURCE 1
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "core/heap.h"
#include "support/api.h"

#define LINES 32u
#define BUSY_LINES 4u

/* What the log was told. Written while one thread waits in a stop. */
static char lines[LINES][200];
static _Atomic unsigned line_count;
static _Atomic bool attached, enough;

static void note_line(void *context, int level, const char *line) {
  (void)context, (void)level;
  unsigned n = atomic_fetch_add(&line_count, 1);
  if (n < LINES) snprintf(lines[n], sizeof lines[n], "%s", line);
  if (n + 1 == BUSY_LINES) atomic_store(&enough, true);
}

static void open_noting(struct api *api, uint32_t milliseconds) {
  varve_options options;
  varve_options_init(&options);
  options.heap_max = 16 << 20;
  options.workers = 1;
  options.spin = 10;
  options.stop_warning = milliseconds;
  options.log = note_line;
  atomic_store(&line_count, 0);
  atomic_store(&attached, false);
  atomic_store(&enough, false);
  api_open_options(api, &options);
}

static void attach_here(varve_heap *heap, const char *name, varve_mutator **me) {
  if (varve_mutator_attach(heap, name, 0, me, NULL) != VARVE_OK) abort();
  atomic_store(&attached, true);
}

/* Reaches no safepoint before the log has said so some times. */
static void *be_busy(void *context) {
  varve_mutator *me;
  attach_here(((struct api *)context)->heap, "busy", &me);
  while (!atomic_load(&enough)) continue;
  varve_poll(me);
  return (void *)(uintptr_t)varve_detach(me);
}

/* Ends with a frame on a stack that is gone then, and a TLAB. */
static void *vanish(void *context) {
  struct api *api = context;
  varve_mutator *me;
  struct {
    varve_frame head;
    varve_word slot;
  } frame = {.slot = 0};
  attach_here(api->heap, "gone", &me);
  varve_frame_push(me, &frame.head, 1);
  frame.slot = varve_tag(varve_alloc(me, api->data, 100), 0);
  return NULL;
}

static pthread_t start(struct api *api, void *(*body)(void *)) {
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, body, api), 0);
  while (!atomic_load(&attached)) continue;
  return thread;
}

static void a_busy_thread_is_named_again_and_again(void **state) {
  (void)state;
  struct api api;
  void *left;
  open_noting(&api, 10);
  pthread_t thread = start(&api, be_busy);
  api_collect(&api, NULL);
  assert_int_equal(varve_native_enter(api.me), VARVE_OK);
  pthread_join(thread, &left);
  assert_int_equal(varve_native_leave(api.me), VARVE_OK);
  assert_int_equal((uintptr_t)left, VARVE_OK);
  assert_true(line_count >= BUSY_LINES);
  for (unsigned i = 0; i < BUSY_LINES; ++i) {
    static const char start_of_line[] = "mutator busy has reached no safepoint for ";
    assert_int_equal(strncmp(lines[i], start_of_line, sizeof start_of_line - 1), 0);
    assert_true(strtod(lines[i] + sizeof start_of_line - 1, NULL) >= 0.00999 * (1 << i)); /* the gaps grow */
  }
  api_sound(&api);
  api_close(&api);
}

static void a_thread_that_has_ended_is_detached(void **state) {
  (void)state;
  struct api api;
  varve_collection_stats stats;
  open_noting(&api, 20);
  for (unsigned times = 1; times <= 3; ++times) {
    atomic_store(&attached, false);
    pthread_join(start(&api, vanish), NULL);
    api_collect(&api, &stats);
    assert_int_equal(line_count, times);
    assert_non_null(strstr(lines[times - 1], "mutator gone"));
    assert_non_null(strstr(lines[times - 1], "ended without varve_detach"));
    assert_int_equal(stats.live_after, 0);
    api_sound(&api);
  }
  api_close(&api); /* nobody is attached any more */
}

/* ---- ends without varve_detach ------------------------------------------------------------------------------------ */

/* What a thread's stack is afterwards: nothing that can be read. */
#define STACK_BYTES ((size_t)1 << 20)

static void run_on_own_stack(struct api *api, void *(*body)(void *)) {
  pthread_attr_t attributes;
  pthread_t thread;
  void *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(stack, MAP_FAILED);
  pthread_attr_init(&attributes);
  assert_int_equal(pthread_attr_setstack(&attributes, stack, STACK_BYTES), 0);
  assert_int_equal(pthread_create(&thread, &attributes, body, api), 0);
  pthread_join(thread, NULL);
  assert_int_equal(mprotect(stack, STACK_BYTES, PROT_NONE), 0);
  pthread_attr_destroy(&attributes);
}

/* Three mutators, two of them native, one of these searched; each with a frame. */
static void *vanish_native(void *context) {
  struct api *api = context;
  varve_mutator *me[3];
  struct {
    varve_frame head;
    varve_word slot;
  } frame[3];
  for (unsigned i = 0; i < 3; ++i) {
    attach_here(api->heap, i == 2 ? "running" : "native", &me[i]);
    if (i == 1 && varve_mutator_conservative(me[i], NULL, NULL, NULL) != VARVE_OK) abort();
    varve_frame_push(me[i], &frame[i].head, 1);
    frame[i].slot = varve_tag(varve_alloc(me[i], api->data, 1000), 0);
    if (i < 2 && varve_native_enter(me[i]) != VARVE_OK) abort();
  }
  return NULL;
}

static void a_native_thread_that_ends_is_detached(void **state) {
  (void)state;
  struct api api;
  varve_collection_stats stats;
  varve_heap_stats totals;
  open_noting(&api, 0); /* no stop waits for anybody */
  for (unsigned times = 1; times <= 3; ++times) {
    run_on_own_stack(&api, vanish_native);
    assert_int_equal(line_count, 3 * times);
    assert_non_null(strstr(lines[3 * times - 1], "ended without varve_detach"));
    varve_heap_stats_get(api.heap, &totals);
    assert_int_equal(totals.mutators, 1);
    api_collect(&api, &stats);
    assert_int_equal(stats.live_after, 0);
    api_sound(&api);
  }
  api_close(&api);
}

/* Ends with a native and a running mutator, while a stop waits for the latter. */
static bool native_first;

static void *vanish_in_stop(void *context) {
  struct api *api = context;
  varve_mutator *native, *running;
  if (!native_first) attach_here(api->heap, "running", &running);
  if (!native_first && varve_native_enter(running) != VARVE_OK) abort();
  attach_here(api->heap, "native", &native);
  if (varve_native_enter(native) != VARVE_OK) abort();
  if (native_first) attach_here(api->heap, "running", &running);
  else if (varve_native_leave(running) != VARVE_OK) abort();
  atomic_store(&enough, true);
  while (!(atomic_load(&api->heap->stop) & 1)) continue;
  return NULL;
}

static void a_stop_is_not_held_up_by_the_end(void **state) {
  (void)state;
  for (unsigned order = 0; order < 2; ++order) {
    struct api api;
    native_first = order == 0;
    open_noting(&api, 0);
    pthread_t thread = start(&api, vanish_in_stop);
    while (!atomic_load(&enough)) continue;
    api_collect(&api, NULL);
    pthread_join(thread, NULL);
    assert_int_equal(line_count, 2);
    api_collect(&api, NULL);
    api_close(&api);
  }
}

/* A host that detaches in a destructor of its own, in the last round in which it may. */
static pthread_key_t host_key;
static unsigned host_rounds;

static void detach_late(void *value) {
  if (++host_rounds < PTHREAD_DESTRUCTOR_ITERATIONS - 2) pthread_setspecific(host_key, value);
  else if (varve_detach(value) != VARVE_OK) abort();
}

static void *leave_it_to_the_key(void *context) {
  varve_mutator *me, *other;
  attach_here(((struct api *)context)->heap, "other", &other);
  if (varve_native_enter(other) != VARVE_OK) abort();
  attach_here(((struct api *)context)->heap, "kept", &me);
  pthread_setspecific(host_key, me);
  return NULL;
}

static void a_destructor_of_the_host_may_detach(void **state) {
  (void)state;
  struct api api;
  open_noting(&api, 0);
  host_rounds = 0;
  assert_int_equal(pthread_key_create(&host_key, detach_late), 0);
  run_on_own_stack(&api, leave_it_to_the_key);
  pthread_key_delete(host_key);
  assert_int_equal(host_rounds, PTHREAD_DESTRUCTOR_ITERATIONS - 2);
  assert_int_equal(line_count, 1);
  assert_non_null(strstr(lines[0], "mutator other"));
  api_collect(&api, NULL);
  api_close(&api);
}

/* Where the process has few keys left, the library takes none. */
static void without_a_key_the_stop_finds_out(void **state) {
  (void)state;
  pthread_key_t keys[PTHREAD_KEYS_MAX];
  unsigned count = 0;
  struct api api;
  varve_collection_stats stats;
  while (count < PTHREAD_KEYS_MAX / 2 && pthread_key_create(&keys[count], NULL) == 0) ++count;
  open_noting(&api, 20);
  pthread_key_t one;
  assert_int_equal(pthread_key_create(&one, NULL), 0); /* ours is still there */
  pthread_key_delete(one);
  pthread_join(start(&api, vanish), NULL);
  assert_int_equal(line_count, 0);
  api_collect(&api, &stats);
  assert_int_equal(line_count, 1);
  assert_non_null(strstr(lines[0], "has held up a stop"));
  assert_int_equal(stats.live_after, 0);
  api_close(&api);
  while (count) pthread_key_delete(keys[--count]);
}

/* Heaps that end give their keys back. */
static void keys_are_given_back(void **state) {
  (void)state;
  pthread_key_t before, after;
  assert_int_equal(pthread_key_create(&before, NULL), 0);
  pthread_key_delete(before);
  for (unsigned i = 0; i < 3; ++i) {
    struct api api;
    open_noting(&api, 0);
    api_close(&api);
  }
  assert_int_equal(pthread_key_create(&after, NULL), 0);
  pthread_key_delete(after);
  assert_int_equal(before, after);
}

/* Holds up a stop for a while. */
static void *be_slow(void *context) {
  varve_mutator *me;
  attach_here(((struct api *)context)->heap, "slow", &me);
  nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
  varve_poll(me);
  return (void *)(uintptr_t)varve_detach(me);
}

static void zero_says_nothing(void **state) {
  (void)state;
  struct api api;
  open_noting(&api, 1);
  assert_int_equal(varve_heap_set(api.heap, "stop-warning=0", NULL), VARVE_OK);
  pthread_t thread = start(&api, be_slow);
  api_collect(&api, NULL);
  pthread_join(thread, NULL);
  assert_int_equal(line_count, 0);
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_busy_thread_is_named_again_and_again),
      cmocka_unit_test(a_thread_that_has_ended_is_detached),
      cmocka_unit_test(a_native_thread_that_ends_is_detached),
      cmocka_unit_test(a_stop_is_not_held_up_by_the_end),
      cmocka_unit_test(a_destructor_of_the_host_may_detach),
      cmocka_unit_test(without_a_key_the_stop_finds_out),
      cmocka_unit_test(keys_are_given_back),
      cmocka_unit_test(zero_says_nothing),
  };
  return cmocka_run_group_tests_name("late", tests, NULL, NULL);
}
