/* SPDX-License-Identifier: MIT */
/* churn.c -- threads that come and go: attach, allocate, sleep in native state, ask for collections all at once, hand
 * objects to each other through a Ref slab, detach.
 *
 * @test default quick
 * @test crowd stress --threads 16 --rounds 60
 * @test crowd_spin0 stress --threads 8 --rounds 60 --options spin=0,workers=3
 * @test storm stress --options stress=300
 * @test help stress --threads 8 --rounds 60 --options mutators-help=1,workers=4
 * @test help_spin0 stress --threads 12 --rounds 60 --options mutators-help=1,workers=8,spin=0,stress=400
 *
 *   churn [--threads T] [--rounds R] [--seed S] [--options LIST]
 *
 * Every object holds a number and a word computed from it, so that a lost or torn object is seen. In every round all
 * threads meet and ask for a collection together; each must find that one collection began after it asked.
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <varve/varve.h>

#include "../support/random.h"

#define THREADS_MAX 64
#define EXCHANGE 32 /* slab words that all threads share */

struct cell {
  varve_object header;
  uint64_t number, check;
  varve_word next;
};

struct churn {
  varve_heap *heap;
  varve_layout cell;
  varve_refs *slab;
  varve_word *exchange[EXCHANGE];
  unsigned threads, rounds;
  uint64_t seed;
  pthread_barrier_t meeting;
};

struct worker {
  struct churn *churn;
  unsigned index;
  struct random random;
  varve_mutator *mutator;
  uint64_t made;
};

static void fail(const struct worker *worker, const char *what) {
  fprintf(stderr, "churn: %s (thread %u, seed %" PRIu64 ")\n", what, worker ? worker->index : 0,
          worker ? worker->churn->seed : 0);
  abort();
}

static uint64_t check_of(uint64_t number) { return number * 0x9e3779b97f4a7c15u ^ 0x5bd1e995; }

static void pause_us(uint64_t us) { nanosleep(&(struct timespec){0, (long)us * 1000}, NULL); }

static struct cell *make_cell(struct worker *worker, varve_word *next) {
  struct cell *cell = varve_alloc_uninit(worker->mutator, worker->churn->cell, sizeof *cell);
  if (!cell) fail(worker, "no memory");
  cell->number = (uint64_t)worker->index << 40 | ++worker->made;
  cell->check = check_of(cell->number);
  varve_init(worker->mutator, cell, &cell->next, next ? *next : 0);
  return cell;
}

static void check_list(struct worker *worker, varve_word word, uint64_t most) {
  for (; word; word = varve_load(&((struct cell *)varve_untag(word))->next)) {
    struct cell *cell = (struct cell *)varve_untag(word);
    if (cell->check != check_of(cell->number)) fail(worker, "a damaged cell");
    if (most-- == 0) fail(worker, "a list that is too long");
  }
}

/* Put the list's head into a shared word, and look at what was there. Lists of others are cut after their head. */
static void trade(struct worker *worker, varve_word *list) {
  varve_word *slot = worker->churn->exchange[random_below(&worker->random, EXCHANGE)];
  varve_word theirs = varve_ref_exchange(worker->mutator, worker->churn->slab, slot, *list);
  if (theirs) {
    struct cell *cell = (struct cell *)varve_untag(theirs);
    if (cell->check != check_of(cell->number)) fail(worker, "a damaged cell from another thread");
  }
  *list = theirs;
}

/* A slab word of our own for a while. */
static void borrow_word(struct worker *worker, varve_word *list) {
  varve_slab_cursor cursor;
  varve_word *slot;
  varve_slab_cursor_open(&cursor, worker->churn->slab);
  slot = varve_slab_take(&cursor, worker->mutator, *list);
  if (!slot) fail(worker, "no slab word");
  varve_poll(worker->mutator);
  if (varve_ref_load(slot) != *list) fail(worker, "a slab word and a frame slot differ");
  varve_slab_give(worker->churn->slab, slot);
  varve_slab_cursor_close(&cursor);
}

static void live_a_little(struct worker *worker) {
  VARVE_FRAME(f, worker->mutator, mine, traded);
  for (uint64_t left = 200 + random_below(&worker->random, 3000); left; --left) {
    f.mine = varve_tag(make_cell(worker, &f.mine), 0);
    if (left % 64 == 0) varve_poll(worker->mutator);
    if (left % 500 == 0) f.mine = 0;
    if (left % 97 == 0) {
      f.traded = varve_tag(make_cell(worker, NULL), 0);
      trade(worker, &f.traded);
    }
  }
  borrow_word(worker, &f.mine);
  check_list(worker, f.mine, 4000);
  if (varve_native_enter(worker->mutator) != VARVE_OK) fail(worker, "native_enter");
  pause_us(random_below(&worker->random, 500));
  if (varve_native_leave(worker->mutator) != VARVE_OK) fail(worker, "native_leave");
  check_list(worker, f.mine, 4000);
}

static uint64_t collections(struct churn *churn) {
  varve_heap_stats stats;
  varve_heap_stats_get(churn->heap, &stats);
  return stats.collections;
}

/* The barrier blocks, so the thread is native in it. */
static void meet(struct worker *worker) {
  if (varve_native_enter(worker->mutator) != VARVE_OK) fail(worker, "native_enter");
  pthread_barrier_wait(&worker->churn->meeting);
  if (varve_native_leave(worker->mutator) != VARVE_OK) fail(worker, "native_leave");
}

static void collect_together(struct worker *worker) {
  uint64_t before;
  meet(worker);
  before = collections(worker->churn);
  if (varve_collect(worker->mutator) != VARVE_OK) fail(worker, "collect");
  if (collections(worker->churn) == before) fail(worker, "a request that no collection served");
  meet(worker);
}

static void attach(struct worker *worker) {
  varve_error error = {0};
  if (varve_attach(worker->churn->heap, "churn", &worker->mutator, &error) != VARVE_OK) fail(worker, error.detail);
}

static void *worker_main(void *argument) {
  struct worker *worker = argument;
  for (unsigned round = 0; round < worker->churn->rounds; ++round) {
    attach(worker);
    live_a_little(worker);
    if (round % 4 == 3) collect_together(worker);
    if (random_one_in(&worker->random, 3) && varve_native_enter(worker->mutator) != VARVE_OK) fail(worker, "native");
    if (varve_detach(worker->mutator) != VARVE_OK) fail(worker, "detach");
  }
  return NULL;
}

static void churn_open(struct churn *churn, const char *text) {
  static const uint32_t offsets[] = {24};
  varve_options options;
  varve_error error = {0};
  varve_options_init(&options);
  if (varve_options_parse(&options, text, &error) != VARVE_OK ||
      varve_heap_create(&options, &churn->heap, &error) != VARVE_OK ||
      varve_layout_register(churn->heap, &(varve_layout_desc){.name = "cell", .kind = VARVE_LAYOUT_OFFSETS,
                                                              .offsets = offsets, .offset_count = 1},
                            &churn->cell, &error) != VARVE_OK) {
    fprintf(stderr, "churn: %s\n", error.detail);
    exit(2);
  }
  churn->slab = varve_slab_create(churn->heap, "exchange");
  pthread_barrier_init(&churn->meeting, NULL, churn->threads);
}

static void exchange_open(struct churn *churn, struct worker *worker) {
  varve_slab_cursor cursor;
  varve_slab_cursor_open(&cursor, churn->slab);
  attach(worker);
  for (size_t i = 0; i < EXCHANGE; ++i) churn->exchange[i] = varve_slab_take(&cursor, worker->mutator, 0);
  varve_slab_cursor_close(&cursor);
  if (varve_detach(worker->mutator) != VARVE_OK) fail(worker, "detach");
}

static void churn_run(struct churn *churn) {
  static struct worker workers[THREADS_MAX];
  pthread_t threads[THREADS_MAX];
  for (unsigned i = 0; i < churn->threads; ++i)
    workers[i] = (struct worker){.churn = churn, .index = i, .random = {churn->seed * 1000003 + i}};
  exchange_open(churn, &workers[0]);
  for (unsigned i = 0; i < churn->threads; ++i)
    if (pthread_create(&threads[i], NULL, worker_main, &workers[i])) abort();
  for (unsigned i = 0; i < churn->threads; ++i) pthread_join(threads[i], NULL);
}

int main(int argc, char **argv) {
  const char *seed = getenv("VARVE_TEST_SEED"), *more = NULL;
  struct churn churn = {.threads = 4, .rounds = 40, .seed = seed ? strtoull(seed, NULL, 0) : 1};
  char options[512];
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!strcmp(argv[i], "--threads")) churn.threads = (unsigned)atoi(argv[i + 1]);
    else if (!strcmp(argv[i], "--rounds")) churn.rounds = (unsigned)atoi(argv[i + 1]);
    else if (!strcmp(argv[i], "--seed")) churn.seed = strtoull(argv[i + 1], NULL, 0);
    else if (!strcmp(argv[i], "--options")) more = argv[i + 1];
    else return 2;
  }
  if (churn.threads < 1 || churn.threads > THREADS_MAX) return 2;
  printf("seed %" PRIu64 "\n", churn.seed);
  snprintf(options, sizeof options, "%s%s%s",
           "heap-max=64m,workers=2,parallel-min=0,move-everything=1,poison=1,verify=1", more ? "," : "", more ? more : "");
  churn_open(&churn, options);
  churn_run(&churn);
  printf("%" PRIu64 " collections\n", collections(&churn));
  return varve_heap_destroy(churn.heap) == VARVE_OK ? 0 : 1;
}
