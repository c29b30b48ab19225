/* SPDX-License-Identifier: MIT */
/* fork.c -- forks in the middle of everything: several threads allocate, collect, register and attach, all of them
 * fork now and then. Each child finds its own objects and the shared ones, allocates, collects with every check on,
 * forks once more, and may start workers again. The parent goes on and finds its objects, too.
 *
 *   fork [--seed S] [--rounds N] [--threads T] [--grandchild 0|1] [--rearm 0|1] [--options LIST]
 *
 * --rounds: forks of each thread. --rearm: children start workers again, which thread sanitizers refuse.
 *
 * @test quick    quick       --rounds 3
 * @test help     quick       --rounds 3 --options mutators-help=1,workers=3
 * @test storm    long        --rounds 80 --rearm 1
 * @test flat     long        --rounds 80 --options ages=0
 * @test stressed long        --rounds 40 --options stress=50
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/random.h"
#include "varve/varve.h"

#define SHARED 64u
#define CHILD_SECONDS 100u

struct cell {
  varve_object header;
  uint64_t number;
  varve_word next;
};

static struct {
  varve_heap *heap;
  varve_layout cell;
  varve_word shared[SHARED]; /* each a cell that is never replaced; its number is its place */
  uint64_t hashes[SHARED];
  uint64_t seed;
  unsigned rounds, threads, grandchild, rearm;
  const char *options;
} test = {.seed = 1, .rounds = 3, .threads = 3, .grandchild = 1, .options = ""};

static void die(const char *what) {
  fprintf(stderr, "fork: seed %llu: %s\n", (unsigned long long)test.seed, what);
  abort();
}

static void require(bool sound, const char *what) {
  if (!sound) die(what);
}

static struct cell *cell_of(varve_word word) { return (struct cell *)varve_untag(word); }

static varve_word make(varve_mutator *me, uint64_t number, const varve_word *next) {
  struct cell *cell = varve_alloc_uninit(me, test.cell, sizeof *cell);
  require(cell, "no memory");
  cell->number = number;
  varve_init(me, cell, &cell->next, next ? *next : 0);
  return varve_tag(cell, 0);
}

/* A list of `count` cells with falling numbers. */
static void make_list(varve_mutator *me, varve_word *list, unsigned count) {
  *list = 0;
  for (unsigned i = 0; i < count; ++i) *list = make(me, i, list);
}

static void check_list(varve_word list, unsigned count) {
  for (; list; list = cell_of(list)->next) require(cell_of(list)->number == --count, "a list is broken");
  require(!count, "a list is short");
}

static void check_shared(varve_mutator *me) {
  for (unsigned i = 0; i < SHARED; ++i) {
    struct cell *cell = cell_of(test.shared[i]);
    require(cell->number == i, "a shared object is lost");
    require(varve_identity_hash(me, cell) == test.hashes[i], "an identity hash has changed");
  }
}

static void sound(varve_mutator *me) {
  varve_error error = {0};
  if (varve_verify(me, &error) != VARVE_OK) die(error.detail);
}

static void fork_here(varve_mutator *me, struct random *random, varve_word *list, unsigned count, unsigned depth);

static void live_in_child(varve_mutator *me, struct random *random, varve_word *list, unsigned count, unsigned depth) {
  varve_error error = {0};
  varve_mutator *second;
  alarm(CHILD_SECONDS);
  varve_heap_stats stats;
  varve_heap_stats_get(test.heap, &stats);
  require(stats.mutators == 1 && varve_heap_options(test.heap)->workers == 1, "the child is not alone");
  if (varve_heap_set(test.heap, "verify=2", &error) != VARVE_OK) die(error.detail);
  sound(me);
  if (test.rearm && random_one_in(random, 2))
    require(varve_heap_set(test.heap, "workers=2,parallel-min=0", &error) == VARVE_OK, error.detail);
  for (unsigned i = 0; i < 3; ++i) {
    check_list(*list, count);
    check_shared(me);
    count = (unsigned)random_below(random, 5000);
    make_list(me, list, count);
    require((random_one_in(random, 2) ? varve_collect : varve_collect_newest)(me) == VARVE_OK, "no collection");
  }
  check_list(*list, count);
  if (test.grandchild && !depth && random_one_in(random, 2)) fork_here(me, random, list, count, 1);
  require(varve_attach(test.heap, "second", &second, NULL) == VARVE_OK, "no second mutator in the child");
  require(varve_native_enter(me) == VARVE_OK && varve_detach(second) == VARVE_OK, "it did not detach");
  _exit(0);
}

static void fork_here(varve_mutator *me, struct random *random, varve_word *list, unsigned count, unsigned depth) {
  int status;
  require(varve_fork_prepare(me) == VARVE_OK, "prepare");
  pid_t child = fork();
  if (child == 0) {
    varve_fork_child(me);
    live_in_child(me, random, list, count, depth);
  }
  varve_fork_parent(me);
  require(child > 0, "fork failed");
  check_list(*list, count);
  varve_native_enter(me);
  require(waitpid(child, &status, 0) == child, "waitpid");
  varve_native_leave(me);
  if (status) fprintf(stderr, "fork: the child's status is %#x\n", status);
  require(status == 0, "a child has failed");
}

/* What other threads may be in when one forks. */
static void disturb(struct random *random, varve_mutator *me) {
  static _Thread_local varve_word global;
  varve_mutator *other;
  switch (random_below(random, 6)) {
    case 0: varve_collect(me); break;
    case 1: varve_collect_newest(me); break;
    case 2:
      require(varve_root_slots_add(test.heap, "own", &global, 1, NULL) == VARVE_OK, "slots_add");
      require(varve_root_slots_remove(test.heap, &global) == VARVE_OK, "slots_remove");
      break;
    case 3:
      varve_native_enter(me);
      require(varve_attach(test.heap, "guest", &other, NULL) == VARVE_OK, "attach");
      make(other, 1, NULL);
      require(varve_detach(other) == VARVE_OK, "detach");
      varve_native_leave(me);
      break;
    case 4: varve_handle_free(me, varve_handle_new(me, 0)); break;
    default: require(varve_identity_hash(me, varve_untag(make(me, 1, NULL))), "no hash");
  }
}

static void *thread_main(void *argument) {
  struct random random = {test.seed * 1000 + (uintptr_t)argument};
  varve_mutator *me;
  require(varve_attach(test.heap, NULL, &me, NULL) == VARVE_OK, "attach");
  {
    VARVE_FRAME(f, me, list);
    for (unsigned round = 0; round < test.rounds * 20; ++round) {
      unsigned count = (unsigned)random_below(&random, 2000);
      make_list(me, &f.list, count);
      disturb(&random, me);
      if (round % 20 == 0) fork_here(me, &random, &f.list, count, 0);
      check_list(f.list, count);
      check_shared(me);
    }
  }
  require(varve_detach(me) == VARVE_OK, "detach");
  return NULL;
}

static void open_heap(void) {
  static const uint32_t offset = offsetof(struct cell, next);
  varve_layout_desc desc = {.name = "cell", .kind = VARVE_LAYOUT_OFFSETS, .offsets = &offset, .offset_count = 1};
  varve_options options;
  varve_error error = {0};
  varve_mutator *me;
  varve_options_init(&options);
  if (varve_options_parse(&options, "heap-max=16m,workers=2,parallel-min=0,move-everything=1,poison=1", &error) ||
      varve_options_parse(&options, test.options, &error) || varve_heap_create(&options, &test.heap, &error) ||
      varve_layout_register(test.heap, &desc, &test.cell, &error) ||
      varve_root_slots_add(test.heap, "shared", test.shared, SHARED, &error) ||
      varve_attach(test.heap, "main", &me, &error))
    die(error.detail);
  for (unsigned i = 0; i < SHARED; ++i) {
    test.shared[i] = make(me, i, NULL);
    test.hashes[i] = varve_identity_hash(me, cell_of(test.shared[i]));
  }
  require(varve_detach(me) == VARVE_OK, "detach");
}

static void read_arguments(int count, char **arguments) {
  const char *seed = getenv("VARVE_TEST_SEED");
  if (seed) test.seed = strtoull(seed, NULL, 10);
  for (int i = 1; i + 1 < count; i += 2) {
    const char *name = arguments[i], *value = arguments[i + 1];
    if (!strcmp(name, "--seed")) test.seed = strtoull(value, NULL, 10);
    else if (!strcmp(name, "--rounds")) test.rounds = (unsigned)atoi(value);
    else if (!strcmp(name, "--threads")) test.threads = (unsigned)atoi(value);
    else if (!strcmp(name, "--grandchild")) test.grandchild = (unsigned)atoi(value);
    else if (!strcmp(name, "--rearm")) test.rearm = (unsigned)atoi(value);
    else if (!strcmp(name, "--options")) test.options = value;
    else die(name);
  }
}

int main(int count, char **arguments) {
  pthread_t threads[16];
  read_arguments(count, arguments);
  require(test.threads <= 16, "too many threads");
  open_heap();
  for (uintptr_t t = 0; t < test.threads; ++t)
    require(pthread_create(&threads[t], NULL, thread_main, (void *)t) == 0, "no thread");
  for (unsigned t = 0; t < test.threads; ++t) pthread_join(threads[t], NULL);
  printf("seed %llu: %u forks\n", (unsigned long long)test.seed, test.rounds * test.threads);
  require(varve_heap_destroy(test.heap) == VARVE_OK, "the heap is busy");
  return 0;
}
