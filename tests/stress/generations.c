/* SPDX-License-Identifier: MIT */
/* generations.c -- what collections of the newest objects are for: threads that keep old tables and make garbage.
 *
 * @test default quick
 * @test moving stress --options move-everything=1
 * @test holes stress --rounds 500 --options stress=400
 * @test lonely stress --rounds 1500 --options workers=1,heap-max=32m
 * @test ageless stress --options ages=0
 * @test crowd stress,timeout=300 --threads 12 --rounds 400 --options heap-max=96m
 *
 *   generations [--threads T] [--rounds R] [--seed S] [--options LIST]
 *
 * Each thread keeps a table, a large array whose entries are far apart. In every round it serves a request, which makes
 * lists and buffers that die with it; replaces some entries of the table, each with a chain that keeps some of the old
 * one's; and hands a batch to the next thread through a word of a slab, and files the batch that the thread before has
 * handed to it. So whatever order the threads run in, each table has the same contents in the end: a copy in ordinary
 * memory says which, and is compared now and then.
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sched.h>

#include <varve/varve.h>

#include "../support/random.h"

#define THREADS_MAX 64
#define TABLE_WORDS 17000u /* more than 128 KiB: stores are noted by lines */
#define ENTRIES 1000u
#define BATCH 12u
#define CHAIN_MAX 4u

struct cell {
  varve_object header;
  uint64_t number, check;
  varve_word next, extra;
};

struct table {
  varve_object header;
  varve_word slot[TABLE_WORDS];
};

struct batch {
  varve_object header;
  uint64_t round;
  varve_word cell[BATCH];
};

struct run {
  varve_heap *heap;
  varve_layout cell, table, batch, buffer;
  varve_refs *slab;
  varve_word *mail[THREADS_MAX]; /* from thread i to the next */
  unsigned threads, rounds;
  uint64_t seed, young, full; /* collections; counted in pauses */
};

struct worker {
  struct run *run;
  unsigned index;
  struct random random;
  varve_mutator *mutator;
  varve_handle *table;
  uint64_t expected[ENTRIES]; /* the first cell's number; 0: none */
  uint64_t chain[ENTRIES];    /* numbers of the whole chain, summed up */
  uint64_t sent, received;
};

static void fail(const struct worker *worker, const char *what) {
  fprintf(stderr, "generations: %s (thread %u, seed %" PRIu64 ")\n", what, worker->index, worker->run->seed);
  abort();
}

static uint64_t check_of(uint64_t number) { return number * 0x9e3779b97f4a7c15u ^ 0x2545f491; }

static struct cell *cell_of(const struct worker *worker, varve_word word) {
  struct cell *cell = (struct cell *)varve_untag(word);
  if (cell->check != check_of(cell->number)) fail(worker, "a damaged cell");
  return cell;
}

static varve_word make_cell(struct worker *worker, uint64_t number, const varve_word *next) {
  struct cell *cell = varve_alloc_uninit(worker->mutator, worker->run->cell, sizeof *cell);
  if (!cell) fail(worker, "no memory");
  cell->number = number;
  cell->check = check_of(number);
  varve_init(worker->mutator, cell, &cell->next, next ? *next : 0);
  varve_init(worker->mutator, cell, &cell->extra, 0);
  return varve_tag(cell, 0);
}

/* ---- the table ---- */

static struct table *table_of(const struct worker *worker) {
  return (struct table *)varve_untag(varve_handle_get(worker->table));
}

/* Not evenly, so that entries fall into the first and the last line and into neighbours. */
static unsigned slot_of(unsigned entry) { return entry * (TABLE_WORDS - 1) / (ENTRIES - 1); }

static uint64_t chain_sum(const struct worker *worker, varve_word list) {
  uint64_t sum = 0, most = CHAIN_MAX;
  for (; list; list = varve_load(&cell_of(worker, list)->next)) {
    if (most-- == 0) fail(worker, "a chain that is too long");
    sum += cell_of(worker, list)->number;
  }
  return sum;
}

static void check_entry(const struct worker *worker, unsigned entry) {
  varve_word word = varve_load(&table_of(worker)->slot[slot_of(entry)]);
  if (!word != !worker->expected[entry]) fail(worker, "an entry is missing, or too many");
  if (!word) return;
  if (cell_of(worker, word)->number != worker->expected[entry]) fail(worker, "another entry");
  if (chain_sum(worker, word) != worker->chain[entry]) fail(worker, "another chain");
}

static void check_table(const struct worker *worker) {
  for (unsigned entry = 0; entry < ENTRIES; ++entry) check_entry(worker, entry);
}

/* The entry's cell is new; the cells behind it are those of the old entry, as far as the chain may grow. */
static void file(struct worker *worker, unsigned entry, const varve_word *cell) {
  struct table *table = table_of(worker);
  struct cell *first = cell_of(worker, *cell);
  varve_word *slot = &table->slot[slot_of(entry)], old = varve_load(slot);
  bool chained = old && first->number % CHAIN_MAX;
  worker->expected[entry] = first->number;
  worker->chain[entry] = first->number + (chained ? cell_of(worker, old)->number : 0);
  if (chained) varve_store(worker->mutator, cell_of(worker, old), &cell_of(worker, old)->next, 0);
  varve_store(worker->mutator, first, &first->next, chained ? old : 0);
  varve_store(worker->mutator, table, slot, *cell);
}

/* An old cell comes to refer to a young one, which has a list behind it. */
static void adorn(struct worker *worker, unsigned entry, const varve_word *list) {
  varve_word word = varve_load(&table_of(worker)->slot[slot_of(entry)]);
  if (!word) return;
  struct cell *cell = cell_of(worker, word);
  if (varve_load(&cell->extra)) cell_of(worker, varve_load(&cell->extra));
  varve_store(worker->mutator, cell, &cell->extra, *list);
}

static void drop(struct worker *worker, unsigned entry) {
  struct table *table = table_of(worker);
  worker->expected[entry] = worker->chain[entry] = 0;
  varve_store(worker->mutator, table, &table->slot[slot_of(entry)], 0);
}

/* ---- requests ---- */

static unsigned any_entry(struct worker *worker) { return (unsigned)random_below(&worker->random, ENTRIES); }

static void serve(struct worker *worker, uint64_t round) {
  VARVE_FRAME(f, worker->mutator, list, buffer);
  uint64_t sum = 0, count = 100 + random_below(&worker->random, 400);
  for (uint64_t i = 0; i < count; ++i) {
    f.list = make_cell(worker, i, &f.list);
    if (i % 100 == 7) f.buffer = varve_tag(varve_alloc(worker->mutator, worker->run->buffer, 40 << i / 100 * 2), 0);
  }
  for (varve_word at = f.list; at; at = varve_load(&cell_of(worker, at)->next)) sum += cell_of(worker, at)->number;
  if (sum != count * (count - 1) / 2) fail(worker, "a list of this request");
  if (round % 16 == 0) adorn(worker, any_entry(worker), &f.list);
}

static void replace_entries(struct worker *worker, uint64_t round) {
  VARVE_FRAME(f, worker->mutator, cell);
  for (uint64_t i = 0; i < 6; ++i) {
    f.cell = make_cell(worker, 1 + i + round * 8 + ((uint64_t)worker->index << 32), NULL);
    file(worker, any_entry(worker), &f.cell);
  }
  drop(worker, any_entry(worker));
}

/* ---- batches ---- */

static uint64_t batch_number(unsigned from, uint64_t round, unsigned i) {
  return (uint64_t)(from + 1) << 48 | round << 8 | i;
}

/* Wait for the mail word to be taken, or to be filled. */
static varve_word await(struct worker *worker, const varve_word *word, bool filled) {
  varve_word found;
  while (!(found = varve_ref_load(word)) == filled) {
    varve_poll(worker->mutator);
    sched_yield();
  }
  return found;
}

static void hand_over(struct worker *worker, uint64_t round) {
  VARVE_FRAME(f, worker->mutator, batch);
  struct run *run = worker->run;
  f.batch = varve_tag(varve_alloc(worker->mutator, run->batch, sizeof(struct batch)), 0);
  ((struct batch *)varve_untag(f.batch))->round = round;
  for (unsigned i = 0; i < BATCH; ++i) {
    varve_word cell = make_cell(worker, batch_number(worker->index, round, i), NULL);
    struct batch *batch = (struct batch *)varve_untag(f.batch);
    varve_store(worker->mutator, batch, &batch->cell[i], cell);
    worker->sent += batch_number(worker->index, round, i);
  }
  await(worker, run->mail[worker->index], false);
  varve_ref_store(worker->mutator, run->slab, run->mail[worker->index], f.batch);
}

static void receive(struct worker *worker, uint64_t round) {
  VARVE_FRAME(f, worker->mutator, batch);
  struct run *run = worker->run;
  unsigned from = (worker->index + run->threads - 1) % run->threads;
  await(worker, run->mail[from], true);
  f.batch = varve_ref_exchange(worker->mutator, run->slab, run->mail[from], 0);
  if (((struct batch *)varve_untag(f.batch))->round != round) fail(worker, "a batch of another round");
  for (unsigned i = 0; i < BATCH; ++i) {
    varve_word cell = varve_load(&((struct batch *)varve_untag(f.batch))->cell[i]);
    if (cell_of(worker, cell)->number != batch_number(from, round, i)) fail(worker, "another cell in a batch");
    worker->received += cell_of(worker, cell)->number;
    if (i % 4 == 0) file(worker, any_entry(worker), &cell);
  }
}

/* ---- threads ---- */

static void attach(struct worker *worker) {
  varve_error error = {0};
  if (varve_attach(worker->run->heap, "generations", &worker->mutator, &error) != VARVE_OK) fail(worker, error.detail);
}

static void play(struct worker *worker, uint64_t round) {
  serve(worker, round);
  replace_entries(worker, round);
  hand_over(worker, round);
  if (round % 8 == worker->index % 8 && varve_collect_newest(worker->mutator) != VARVE_OK) fail(worker, "newest");
  receive(worker, round);
  if (round % 200 == 150 + worker->index && varve_collect(worker->mutator) != VARVE_OK) fail(worker, "collect");
  if (round % 10 == 0) check_table(worker);
}

static void *worker_main(void *argument) {
  struct worker *worker = argument;
  attach(worker);
  void *table = varve_alloc(worker->mutator, worker->run->table, sizeof(struct table));
  if (!table || !(worker->table = varve_handle_new(worker->mutator, varve_tag(table, 0)))) fail(worker, "no memory");
  for (uint64_t round = 0; round < worker->run->rounds; ++round) play(worker, round);
  check_table(worker);
  varve_handle_free(worker->mutator, worker->table);
  if (varve_detach(worker->mutator) != VARVE_OK) fail(worker, "detach");
  return NULL;
}

/* ---- the run ---- */

static void count_collection(void *context, const varve_collection_stats *stats) {
  struct run *run = context;
  if (stats->epochs_taken < stats->epochs) ++run->young;
  else ++run->full;
}

static varve_layout add_layout(struct run *run, const varve_layout_desc *desc) {
  varve_layout layout = 0;
  varve_error error = {0};
  if (varve_layout_register(run->heap, desc, &layout, &error) == VARVE_OK) return layout;
  fprintf(stderr, "generations: %s\n", error.detail);
  exit(2);
}

static void run_open(struct run *run, const char *text) {
  static const uint32_t links[] = {offsetof(struct cell, next), offsetof(struct cell, extra)};
  varve_options options;
  varve_error error = {0};
  varve_options_init(&options);
  options.on_collection = count_collection;
  options.context = run;
  if (varve_options_parse(&options, text, &error) != VARVE_OK ||
      varve_heap_create(&options, &run->heap, &error) != VARVE_OK) {
    fprintf(stderr, "generations: %s\n", error.detail);
    exit(2);
  }
  run->cell = add_layout(run, &(varve_layout_desc){.name = "cell", .kind = VARVE_LAYOUT_OFFSETS, .offsets = links,
                                                   .offset_count = 2});
  run->table = add_layout(run, &(varve_layout_desc){.name = "table", .kind = VARVE_LAYOUT_REF_ARRAY});
  run->batch = add_layout(run, &(varve_layout_desc){.name = "batch", .kind = VARVE_LAYOUT_REF_ARRAY, .first = 16});
  run->buffer = add_layout(run, &(varve_layout_desc){.name = "buffer", .kind = VARVE_LAYOUT_DATA});
  if (!(run->slab = varve_slab_create(run->heap, "mail"))) exit(2);
}

static void open_mail(struct run *run, struct worker *worker) {
  varve_slab_cursor cursor;
  varve_slab_cursor_open(&cursor, run->slab);
  attach(worker);
  for (unsigned i = 0; i < run->threads; ++i)
    if (!(run->mail[i] = varve_slab_take(&cursor, worker->mutator, 0))) fail(worker, "no slab word");
  varve_slab_cursor_close(&cursor);
  if (varve_detach(worker->mutator) != VARVE_OK) fail(worker, "detach");
}

/* All threads are gone: nothing is left in the heap. */
static void check_end(struct run *run, struct worker *workers) {
  varve_collection_stats stats;
  uint64_t sent = 0, received = 0;
  for (unsigned i = 0; i < run->threads; ++i) sent += workers[i].sent, received += workers[i].received;
  if (sent != received) fail(workers, "totals differ");
  attach(workers);
  for (unsigned i = 0; i < run->threads; ++i) varve_slab_give(run->slab, run->mail[i]);
  if (varve_collect(workers->mutator) != VARVE_OK) fail(workers, "collect");
  if (!varve_collection_stats_get(run->heap, &stats) || stats.live_after) fail(workers, "something is left");
  if (varve_heap_options(run->heap)->ages && !run->young) fail(workers, "no collection of the newest objects only");
  if (varve_detach(workers->mutator) != VARVE_OK) fail(workers, "detach");
  printf("%" PRIu64 " young collections, %" PRIu64 " full; total %" PRIx64 "\n", run->young, run->full, received);
}

static void run_threads(struct run *run) {
  static struct worker workers[THREADS_MAX];
  pthread_t threads[THREADS_MAX];
  for (unsigned i = 0; i < run->threads; ++i)
    workers[i] = (struct worker){.run = run, .index = i, .random = {run->seed * 1000003 + i}};
  open_mail(run, &workers[0]);
  for (unsigned i = 0; i < run->threads; ++i)
    if (pthread_create(&threads[i], NULL, worker_main, &workers[i])) abort();
  for (unsigned i = 0; i < run->threads; ++i) pthread_join(threads[i], NULL);
  check_end(run, workers);
}

int main(int argc, char **argv) {
  const char *seed = getenv("VARVE_TEST_SEED"), *more = NULL;
  static struct run run;
  char options[512];
  run.threads = 4;
  run.rounds = 400;
  run.seed = seed ? strtoull(seed, NULL, 0) : 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!strcmp(argv[i], "--threads")) run.threads = (unsigned)atoi(argv[i + 1]);
    else if (!strcmp(argv[i], "--rounds")) run.rounds = (unsigned)atoi(argv[i + 1]);
    else if (!strcmp(argv[i], "--seed")) run.seed = strtoull(argv[i + 1], NULL, 0);
    else if (!strcmp(argv[i], "--options")) more = argv[i + 1];
    else return 2;
  }
  if (run.threads < 2 || run.threads > THREADS_MAX) return 2;
  printf("seed %" PRIu64 "\n", run.seed);
  snprintf(options, sizeof options, "%s%s%s",
           "heap-max=24m,heap-initial=4m,workers=2,parallel-min=0,poison=1,verify=2", more ? "," : "", more ? more : "");
  run_open(&run, options);
  run_threads(&run);
  varve_slab_destroy(run.slab);
  return varve_heap_destroy(run.heap) == VARVE_OK ? 0 : 1;
}
