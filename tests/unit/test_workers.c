/* SPDX-License-Identifier: MIT */
/* test_workers.c -- the collecting threads: where they are, when they start, what they are called, what they do
 * without; and mutators that help instead. Linked so that the test sees who is started, pinned and woken, may refuse
 * it, and says where the requester is. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../support/api.h"

#include "core/heap.h"
#include "core/worker.h"
#include "numa/affinity.h"

#define PARALLEL "heap-max=64m,parallel-min=0,"
#define SEEN_MAX 64

/* ---- what is refused, and what was asked for ---- */

static atomic_int creations, creations_allowed = 1000, pins, kernel_calls, lines;
static atomic_bool refuse_pins;
static atomic_int here = -1; /* the processor the requester seems to be on; -1: where it is */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
  if (atomic_fetch_add(&creations, 1) >= creations_allowed) return EAGAIN;
  return __real_pthread_create(thread, attributes, start, argument);
}

bool __real_varve__affinity_pin(const struct varve_topology *t, unsigned cpu);
bool __wrap_varve__affinity_pin(const struct varve_topology *t, unsigned cpu);
bool __wrap_varve__affinity_pin(const struct varve_topology *t, unsigned cpu) {
  atomic_fetch_add(&pins, 1);
  return !refuse_pins && __real_varve__affinity_pin(t, cpu);
}

static unsigned cpu_here(void) { return here < 0 ? varve__affinity_cpu_here() : (unsigned)here; }

unsigned __wrap_varve__affinity_core_here(const struct varve_topology *t);
unsigned __wrap_varve__affinity_core_here(const struct varve_topology *t) {
  return varve__topology_core_of_cpu(t, cpu_here());
}

unsigned __wrap_varve__affinity_node_here(const struct varve_topology *t);
unsigned __wrap_varve__affinity_node_here(const struct varve_topology *t) {
  return varve__topology_node_of_cpu(t, cpu_here());
}

void __real_varve__park_sleep(_Atomic uint32_t *word, uint32_t value);
void __wrap_varve__park_sleep(_Atomic uint32_t *word, uint32_t value);
void __wrap_varve__park_sleep(_Atomic uint32_t *word, uint32_t value) {
  atomic_fetch_add(&kernel_calls, 1);
  __real_varve__park_sleep(word, value);
}

void __real_varve__park_wake(_Atomic uint32_t *word, int count);
void __wrap_varve__park_wake(_Atomic uint32_t *word, int count);
void __wrap_varve__park_wake(_Atomic uint32_t *word, int count) {
  atomic_fetch_add(&kernel_calls, 1);
  __real_varve__park_wake(word, count);
}

static void count_line(void *context, int level, const char *line) {
  (void)context;
  (void)line;
  if (level == 0) ++lines;
}

static void open_heap(struct api *api, const char *text) {
  varve_options options;
  varve_error error = {0};
  varve_options_init(&options);
  options.log = count_line;
  if (varve_options_parse(&options, text, &error) != VARVE_OK) fail_msg("%s: %s", text, error.detail);
  api_open_options(api, &options);
}

/* A heap on a described machine of two nodes with four cores each. Nothing is pinned there. */
static void open_on_two_nodes(struct api *api, const char *text) {
  setenv("HWLOC_SYNTHETIC", "numa:2 core:4 pu:1", 1);
  open_heap(api, text);
  unsetenv("HWLOC_SYNTHETIC");
  assert_int_equal(api->heap->topology->node_count, 2);
}

static uint32_t collect(struct api *api) {
  varve_collection_stats stats;
  api_collect(api, &stats);
  return stats.workers;
}

/* ---- threads as the system shows them ---- */

struct seen {
  unsigned count;
  struct seen_thread {
    unsigned slot;
    pid_t id;
  } threads[SEEN_MAX];
};

static bool read_line(pid_t id, const char *file, const char *prefix, char *line, size_t capacity) {
  char path[300];
  snprintf(path, sizeof path, "/proc/self/task/%d/%s", (int)id, file);
  FILE *stream = fopen(path, "r");
  bool found = false;
  while (stream && !found && fgets(line, (int)capacity, stream)) found = strncmp(line, prefix, strlen(prefix)) == 0;
  if (stream) fclose(stream);
  return found;
}

static void look_at_threads(struct seen *seen) {
  DIR *tasks = opendir("/proc/self/task");
  char line[256];
  seen->count = 0;
  assert_non_null(tasks);
  for (struct dirent *entry; (entry = readdir(tasks));) {
    pid_t id = (pid_t)atoi(entry->d_name);
    if (!id || !read_line(id, "comm", "varve-", line, sizeof line)) continue;
    assert_in_range(seen->count, 0, SEEN_MAX - 1);
    seen->threads[seen->count++] = (struct seen_thread){(unsigned)atoi(line + 6), id};
  }
  closedir(tasks);
}

/* A thread that was joined is still listed for a moment. */
static void wait_for_threads(unsigned count) {
  struct seen seen;
  unsigned tries = 0;
  do look_at_threads(&seen);
  while (seen.count > count && ++tries < 10000);
  assert_int_equal(seen.count, count);
}

static int nothing_refused(void **state) {
  (void)state;
  unsetenv("HWLOC_SYNTHETIC");
  creations_allowed = 1000;
  creations = pins = kernel_calls = lines = 0;
  refuse_pins = false;
  here = -1;
  wait_for_threads(0);
  return 0;
}

static void has_pin(const struct varve_topology *t, uint32_t workers, const struct seen_thread *thread) {
  cpu_set_t set;
  unsigned cpu = workers > t->cpu_count ? thread->slot % t->cpu_count : thread->slot * t->cpu_count / workers;
  assert_int_equal(sched_getaffinity(thread->id, sizeof set, &set), 0);
  assert_int_equal(CPU_COUNT(&set), 1);
  assert_true(CPU_ISSET(t->cpus[cpu].os_index, &set));
}

/* All but those that cannot be blocked, the two that the C library keeps, and those of faults. */
static void has_all_signals_blocked(const struct seen_thread *thread) {
  char line[256];
  uint64_t kept = 1ull << 8 | 1ull << 18 | 1ull << 31 | 1ull << 32, faults = 0;
  static const int fault[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
  for (unsigned i = 0; i < sizeof fault / sizeof *fault; ++i) faults |= 1ull << (fault[i] - 1);
  assert_true(read_line(thread->id, "status", "SigBlk:", line, sizeof line));
  assert_int_equal(strtoull(line + 7, NULL, 16) | kept, UINT64_MAX & ~faults);
}

/* From every core in turn: all slots have threads at last, each where it always is; none is pinned twice. */
static void every_slot_has_its_core(uint32_t workers, const char *text) {
  struct api api;
  struct seen seen;
  open_heap(&api, text);
  const struct varve_topology *t = api.heap->topology;
  for (int round = 0; round < 3; ++round)
    for (unsigned cpu = 0; cpu < t->cpu_count; ++cpu) {
      here = (int)t->cpus[cpu].os_index;
      assert_int_equal(collect(&api), workers);
      look_at_threads(&seen);
      assert_int_equal(pins, seen.count);
      for (unsigned i = 0; i < seen.count; ++i) has_pin(t, workers, &seen.threads[i]);
      for (unsigned i = 0; i < seen.count; ++i) has_all_signals_blocked(&seen.threads[i]);
    }
  assert_in_range(seen.count, workers - 1, workers);
  assert_int_equal(lines, 0);
  api_close(&api);
  wait_for_threads(0);
}

static void pins_are_fixed(void **state) {
  (void)state;
  every_slot_has_its_core(2, PARALLEL "workers=2");
}

static void more_workers_than_cores(void **state) {
  char text[100];
  uint32_t workers = 2 * (uint32_t)sysconf(_SC_NPROCESSORS_ONLN) + 3;
  (void)state;
  if (workers > SEEN_MAX) skip();
  snprintf(text, sizeof text, PARALLEL "workers=%u", workers);
  every_slot_has_its_core(workers, text);
}

static void threads_start_when_wanted(void **state) {
  struct api api;
  (void)state;
  open_heap(&api, "heap-max=64m,workers=3,parallel-min=32m");
  assert_int_equal(collect(&api), 1);
  wait_for_threads(0);
  assert_int_equal(varve_heap_set(api.heap, "parallel-min=0,workers=2", NULL), VARVE_OK);
  assert_int_equal(collect(&api), 2);
  wait_for_threads(1);
  assert_int_equal(varve_heap_set(api.heap, "workers=3", NULL), VARVE_OK);
  assert_int_equal(collect(&api), 3);
  assert_int_equal(varve_heap_set(api.heap, "workers=1", NULL), VARVE_OK);
  assert_int_equal(collect(&api), 1);
  assert_int_equal(varve_heap_set(api.heap, "workers=3", NULL), VARVE_OK);
  assert_int_equal(collect(&api), 3);
  api_close(&api);
}

static void two_heaps_have_their_own(void **state) {
  struct api one, two;
  (void)state;
  here = 0;
  open_heap(&one, PARALLEL "workers=3");
  open_heap(&two, PARALLEL "workers=2");
  assert_int_equal(collect(&one), 3);
  assert_int_equal(collect(&two), 2);
  wait_for_threads(3);
  api_close(&one);
  wait_for_threads(1);
  assert_int_equal(collect(&two), 2);
  api_close(&two);
}

/* ---- refusals ---- */

static void a_thread_that_does_not_start_is_done_without(void **state) {
  struct api api;
  (void)state;
  creations_allowed = 2;
  open_heap(&api, API_STRICT ",workers=5");
  for (int i = 0; i < 3; ++i) assert_int_equal(collect(&api), 3);
  assert_int_equal(lines, 1);
  creations_allowed = 1000;
  assert_int_equal(collect(&api), 5);
  assert_int_equal(lines, 1);
  api_close(&api);
}

/* What there is works for whoever asks. */
static void few_threads_serve_every_core(void **state) {
  struct api api;
  (void)state;
  open_on_two_nodes(&api, PARALLEL "workers=8");
  here = 5;
  creations_allowed = 2;
  assert_int_equal(collect(&api), 3);
  for (here = 0; here < 8; ++here) assert_int_equal(collect(&api), 3);
  assert_int_equal(lines, 1);
  api_close(&api);
}

static void a_thread_that_cannot_be_pinned_works(void **state) {
  struct api api;
  (void)state;
  refuse_pins = true;
  open_heap(&api, API_STRICT ",workers=4");
  for (int i = 0; i < 3; ++i) assert_int_equal(collect(&api), 4);
  assert_int_equal(lines, 1);
  api_close(&api);
}

/* ---- teams ---- */

static void small_teams_are_neighbours(void **state) {
  struct api api;
  (void)state;
  open_on_two_nodes(&api, PARALLEL "workers=8");
  assert_int_equal(varve_heap_set(api.heap, "workers=4", NULL), VARVE_OK);
  for (here = 0; here < 8; ++here) {
    assert_int_equal(collect(&api), 4);
    for (uint32_t worker = 0; worker < 4; ++worker)
      assert_int_equal(varve__worker_node(api.heap, worker), here / 4);
  }
  here = 6;
  assert_int_equal(varve_heap_set(api.heap, "workers=8", NULL), VARVE_OK);
  assert_int_equal(collect(&api), 8);
  for (uint32_t worker = 0; worker < 8; ++worker) assert_int_equal(varve__worker_node(api.heap, worker), worker < 4);
  api_close(&api);
}

static void few_slots_are_spread(void **state) {
  struct api api;
  (void)state;
  open_on_two_nodes(&api, PARALLEL "workers=2");
  for (here = 0; here < 8; ++here) {
    assert_int_equal(collect(&api), 2);
    assert_int_equal(varve__worker_node(api.heap, 0), here / 4);
    assert_int_equal(varve__worker_node(api.heap, 1), 1 - here / 4);
  }
  api_close(&api);
}

/* Cores that nobody else wants are all it takes. */
static void who_spins_makes_no_system_call(void **state) {
  struct api api;
  (void)state;
  open_heap(&api, PARALLEL "workers=2,spin=1000000000");
  collect(&api);
  kernel_calls = 0;
  for (int i = 0; i < 50; ++i) assert_int_equal(collect(&api), 2);
  api_sound(&api);
  assert_int_equal(kernel_calls, 0);
  api_close(&api);
}

/* ---- mutators that help ---- */

struct other {
  varve_heap *heap;
  pthread_t thread;
  atomic_bool attached, done;
  bool native;
};

static void *other_main(void *argument) {
  struct other *other = argument;
  varve_mutator *me;
  if (varve_attach(other->heap, "other", &me, NULL) != VARVE_OK) abort();
  if (other->native && varve_native_enter(me) != VARVE_OK) abort();
  other->attached = true;
  while (!other->done) {
    if (!other->native) varve_poll(me);
    sched_yield();
  }
  if (varve_detach(me) != VARVE_OK) abort();
  return NULL;
}

static void start(struct other *other, varve_heap *heap, bool native) {
  other->heap = heap;
  other->native = native;
  assert_int_equal(pthread_create(&other->thread, NULL, other_main, other), 0);
  while (!other->attached) sched_yield();
}

static void finish(struct other *other) {
  other->done = true;
  pthread_join(other->thread, NULL);
}

/* How many come is not known: all of them, if asked often enough. */
static void stopped_mutators_help(void **state) {
  struct api api;
  struct other others[3] = {0};
  uint32_t most = 0;
  (void)state;
  open_heap(&api, API_STRICT ",workers=3,mutators-help=1");
  for (unsigned i = 0; i < 3; ++i) start(&others[i], api.heap, false);
  for (int i = 0; i < 100000 && most < 3; ++i) {
    uint32_t workers = collect(&api);
    assert_in_range(workers, 1, 3);
    if (workers > most) most = workers;
    if (i % 8 == 0) api_sound(&api);
  }
  assert_int_equal(most, 3);
  for (unsigned i = 0; i < 3; ++i) finish(&others[i]);
  wait_for_threads(0);
  assert_int_equal(pins, 0);
  api_close(&api);
}

static void native_mutators_do_not(void **state) {
  struct api api;
  struct other other = {0};
  (void)state;
  open_heap(&api, API_STRICT ",workers=3,mutators-help=1");
  start(&other, api.heap, true);
  for (int i = 0; i < 50; ++i) assert_int_equal(collect(&api), 1);
  finish(&other);
  assert_int_equal(creations, 1);
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(pins_are_fixed, nothing_refused),
      cmocka_unit_test_setup(more_workers_than_cores, nothing_refused),
      cmocka_unit_test_setup(threads_start_when_wanted, nothing_refused),
      cmocka_unit_test_setup(two_heaps_have_their_own, nothing_refused),
      cmocka_unit_test_setup(a_thread_that_does_not_start_is_done_without, nothing_refused),
      cmocka_unit_test_setup(few_threads_serve_every_core, nothing_refused),
      cmocka_unit_test_setup(a_thread_that_cannot_be_pinned_works, nothing_refused),
      cmocka_unit_test_setup(small_teams_are_neighbours, nothing_refused),
      cmocka_unit_test_setup(few_slots_are_spread, nothing_refused),
      cmocka_unit_test_setup(who_spins_makes_no_system_call, nothing_refused),
      cmocka_unit_test_setup(stopped_mutators_help, nothing_refused),
      cmocka_unit_test_setup(native_mutators_do_not, nothing_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
