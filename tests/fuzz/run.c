/* SPDX-License-Identifier: MIT */
/* run.c -- a program is carried out: the heap, its threads, and the operations for which all threads meet. Each thread
 * goes through the whole program and does what it is the one to do. */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"

struct gate {
  pthread_barrier_t barrier;
};

static apply_fn *const appliers[OP_COUNT] = {
#define FUZZ_OP(code, name, weight) apply_##name,
#include "ops.def"
#undef FUZZ_OP
};

/* ---- where all threads meet ---- */

static void settle_all(struct run *run, struct player *leader) {
  for (unsigned i = 0; i < run->threads; ++i) {
    run->world[i].player = leader;
    settle(&run->world[i]);
    compare(&run->world[i]);
  }
}

static void collect_all(struct run *run, struct player *leader) {
  SAY(leader->world, "EXPECT(!varve_collect(me));");
  if (varve_collect(leader->mutator) != VARVE_OK) fail(leader->world, "no collection");
  settle_all(run, leader);
  take_all(run, leader->world);
}

/* The immortal part is collected once more, as if it were mortal; so what has been foretold for it ends here. */
static void make_mortal(struct run *run) {
  for (unsigned i = 0; i < run->threads; ++i) {
    run->world[i].has_immortals = false;
    for (struct node *node = run->world[i].nodes; node; node = node->next) node->immortal = false;
  }
}

/* The first collection since is the one that was asked for; others may have come behind it, by what is called back. */
static void note_immortals(struct run *run) {
  for (unsigned i = 0; i < run->threads; ++i) {
    struct world *world = &run->world[i];
    shadow_collected(world, ++world->seen, true);
    world->has_immortals = true;
    for (struct node *node = world->nodes; node; node = node->next) node->immortal = node->marks & MARK_KEPT;
    if (world->seen == run->collections) shadow_resolve(world, world->seen);
  }
}

static void make_immortal(struct run *run, struct player *leader) {
  bool can = run->ages;
  if (can) make_mortal(run);
  SAY(leader->world, "EXPECT(varve_heap_make_immortal(me, NULL) == %s);", can ? "VARVE_OK" : "VARVE_OPTION");
  if (varve_heap_make_immortal(leader->mutator, NULL) != (can ? VARVE_OK : VARVE_OPTION))
    fail(leader->world, "not immortal, or against the options");
  if (can) note_immortals(run);
  settle_all(run, leader);
  ++leader->world->counts.made_immortal;
}

static void change_worlds(struct run *run, unsigned step) {
  for (unsigned i = 0; i < run->threads; ++i) {
    struct world *world = &run->world[(run->player[i].world->index + step) % run->threads];
    run->player[i].world = world;
    world->player = &run->player[i];
    world->refused = 0;
  }
}

static void require(const struct world *world, varve_status status, const char *what) {
  if (status != VARVE_OK) fail(world, "%s: %s", what, varve_status_sentence(status));
}

static void meet(struct player *player, const struct op *op, bool immortal) {
  struct run *run = player->run;
  for (unsigned i = 0; i < KEPT; ++i) player->world->kept[i] = (struct kept){0}, player->kept[i] = 0;
  SAY(player->world, "memset((void *)kept, 0, sizeof kept);");
  places_park(player->world);
  SAY(player->world, "EXPECT(!varve_native_enter(me));");
  SAY(player->world, "pthread_barrier_wait(&gate);");
  require(player->world, varve_native_enter(player->mutator), "native enter");
  pthread_barrier_wait(&run->gate->barrier);
  if (player->index == 0) {
    SAY(player->world, "EXPECT(!varve_native_leave(me));");
    require(player->world, varve_native_leave(player->mutator), "native leave");
    settle_all(run, player);
    if (immortal) make_immortal(run, player);
    else collect_all(run, player);
    change_worlds(run, op->a);
    SAY(player->world, "EXPECT(!varve_native_enter(me));");
    require(player->world, varve_native_enter(player->mutator), "native enter");
  }
  pthread_barrier_wait(&run->gate->barrier);
  SAY(player->world, "pthread_barrier_wait(&gate);");
  SAY(player->world, "EXPECT(!varve_native_leave(me));");
  require(player->world, varve_native_leave(player->mutator), "native leave");
  places_unpark(player->world);
  settle(player->world);
}

void apply_barrier(struct world *world, const struct op *op) { meet(world->player, op, false); }

/* Not often: what dies among immortals stays. */
void apply_immortal(struct world *world, const struct op *op) {
  if (op->c % 2 == 0) meet(world->player, op, true);
}

/* ---- threads ---- */

static void play(struct player *player) {
  const struct program *program = player->run->program;
  size_t count = program_ops(program);
  for (player->op = 0; player->op < count; ++player->op) {
    struct op op = program_op(program, player->op);
    if (!op_is_for_all(op.code) && op.who % player->run->threads != player->index) continue;
    SAY(player->world, "\n  /* %zu: %s %u %u %u */", player->op, op_name(op.code), op.a, op.b, op.c);
    appliers[op.code](player->world, &op);
    ++player->world->counts.ops;
  }
  SAY(player->world, "\n  /* the end */");
  meet(player, &(struct op){0}, false);
}

static void attach(struct player *player) {
  varve_error error = {0};
  if (varve_attach(player->run->heap, "player", &player->mutator, &error) != VARVE_OK)
    fail(player->world, "%s", error.detail);
  SAY(player->world, "EXPECT(!varve_attach(heap, \"player\", &me, NULL));");
  SAY(player->world, "varve_slab_cursor_open(&cursor, slab);");
  player->searched = player->run->all_searched;
  varve_slab_cursor_open(&player->cursor, player->run->slab);
}

static void leave(struct player *player) {
  struct world *world = player->world;
  let_all_go(world);
  places_park(world);
  SAY(world, "varve_slab_cursor_close(&cursor);");
  SAY(world, "world_close(&w[%u], me);", world->index);
  SAY(world, "EXPECT(!varve_detach(me));");
  varve_slab_cursor_close(&player->cursor);
  places_close(world, player->mutator);
  require(world, varve_detach(player->mutator), "detach");
}

static void *player_main(void *argument) {
  struct player *player = argument;
  volatile uintptr_t kept[KEPT] = {0};
  player->kept = kept;
  attach(player);
  player->world->seen = player->run->collections;
  player->world->parked = true;
  SAY(player->world, "world_open(&w[%u], me);", player->world->index);
  places_open(player->world, player->mutator);
  settle(player->world);
  places_unpark(player->world);
  play(player);
  leave(player);
  return NULL;
}

/* ---- the heap ---- */

/* Of collections one at a time. */
static void add_figures(struct counts *counts, const varve_collection_stats *stats) {
  ++counts->collections;
  counts->full += stats->epochs == stats->epochs_taken;
  counts->emergencies += stats->emergency;
  counts->bytes_moved += stats->bytes_moved;
  counts->splits += stats->splits;
  counts->objects_pinned += stats->objects_pinned;
  counts->large_moved += stats->large_moved;
  counts->mark_overflows += stats->mark_overflows;
  counts->steals += stats->steals;
  counts->remembered += stats->remembered;
  counts->finalizers_queued += stats->finalizers_queued;
}

static void add_counts(struct counts *to, const struct counts *from) {
#define FUZZ_COUNT(name) to->name += from->name;
#include "counts.def"
#undef FUZZ_COUNT
}

static void note_collection(void *context, const varve_collection_stats *stats) {
  struct run *run = context;
  run->full[stats->number % LOG_SIZE] = stats->epochs == stats->epochs_taken;
  run->live[stats->number % LOG_SIZE] = stats->live_after;
  add_figures(&run->counts, stats);
  run->collections = stats->number;
}

/* Called back as a mutator: garbage, a hash, a pin that is taken back. */
static void after_collection(void *context, varve_mutator *mutator, const varve_collection_stats *stats) {
  struct run *run = context;
  void *object = varve_alloc(mutator, run->layout[SHAPE_DATA], stats->number % 8 ? 24 : 2500);
  if (!object) return; /* the heap is full */
  if (stats->number % 3 == 0 && !varve_identity_hash(mutator, object)) run->wrong += 1;
  if (varve_pin(mutator, object) != VARVE_OK || varve_object_of(mutator, (uintptr_t)object + 17) != object)
    run->wrong += 1;
  if (stats->number % 5 == 0 && varve_collect_newest(mutator) != VARVE_OK) run->wrong += 1;
  if (varve_unpin(mutator, object) != VARVE_OK) run->wrong += 1;
}

static void open_heap(struct run *run) {
  char text[512];
  varve_options options;
  varve_error error = {0};
  program_options(run->program, text, sizeof text);
  varve_options_init(&options);
  options.on_collection = note_collection;
  if (program_contents(run->program) & 1) options.after_collection = after_collection;
  options.context = run;
  if (varve_options_parse(&options, text, &error) != VARVE_OK ||
      varve_options_parse(&options, run->more_options, &error) != VARVE_OK ||
      varve_heap_create(&options, &run->heap, &error) != VARVE_OK) {
    fprintf(stderr, "fuzz: %s\n", error.detail);
    exit(2);
  }
  run->narrow = options.narrow;
  run->ages = options.ages;
  run->all_searched = options.conservative_roots;
  run->small = options.heap_max < 64u << 20;
  run->often = options.stress_period && options.stress_period < 50;
  run->heap_max = options.heap_max;
  run->slot_tags = options.slot_tags;
  run->ref_tags = options.ref_tags;
  run->narrow_tags = options.narrow_tags;
  run->narrow_tag_count = 1u << options.narrow_tag_bits;
  if (run->narrow) require(&run->world[0], varve_narrow_coding_get(run->heap, &run->coding), "coding");
  run->searches = program_searches(run->program) || options.conservative_roots;
  run->slab = varve_slab_create(run->heap, "slab");
}

static void open_players(struct run *run) {
  for (unsigned i = 0; i < run->threads; ++i) {
    struct world *world = &run->world[i];
    run->player[i] = (struct player){.run = run, .world = world, .index = i};
    world->run = run;
    world->index = i;
    world->player = &run->player[i];
    world->random.state = program_contents(run->program) * 1000 + i;
  }
}

static void close_world(struct world *world, struct counts *counts) {
  for (struct node *node = world->nodes, *next; node; node = next) next = node->next, node_free(node);
  for (struct record *record = world->records, *next; record; record = next) next = record->next, free(record);
  free(world->stack);
  add_counts(counts, &world->counts);
}

void run_program(const struct program *program, const char *more_options, uint64_t seed, const char *print,
                 struct counts *counts) {
  struct run *run = calloc(1, sizeof *run);
  struct gate gate;
  varve_heap_stats stats;
  pthread_t threads[FUZZ_THREADS_MAX];
  *run = (struct run){.program = program,
                      .more_options = more_options,
                      .seed = seed,
                      .threads = program_threads(program),
                      .gate = &gate};
  pthread_barrier_init(&gate.barrier, NULL, run->threads);
  open_players(run);
  if (print) print_open(run, print);
  open_heap(run);
  kinds_register(run);
  for (unsigned i = 0; i < run->threads; ++i)
    if (pthread_create(&threads[i], NULL, player_main, &run->player[i])) abort();
  for (unsigned i = 0; i < run->threads; ++i) pthread_join(threads[i], NULL);
  varve_slab_destroy(run->slab);
  varve_heap_stats_get(run->heap, &stats);
  run->counts.bytes_in_holes = stats.bytes_refilled;
  add_counts(counts, &run->counts);
  require(&run->world[0], varve_heap_destroy(run->heap), "destroy");
  for (unsigned i = 0; i < run->threads; ++i) close_world(&run->world[i], counts);
  pthread_barrier_destroy(&gate.barrier);
  print_close(run);
  ++counts->programs;
  free(run);
}
