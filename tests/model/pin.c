/* SPDX-License-Identifier: MIT */
/* pin.c -- random programs with pins, searched stacks, derived pointers and hooks, beside a shadow that knows the
 * truth.
 *
 * @test default quick
 * @test moving quick --steps 6000 --options move-everything=1,verify=2,poison=1,parallel-min=0
 * @test all model --conservative 2 --options move-everything=1,verify=2,poison=1,parallel-min=0
 * @test none model --conservative 0 --options move-everything=1,verify=2,poison=1,parallel-min=0
 * @test stress model --steps 3000 --options stress=40,verify=2,poison=1,parallel-min=0
 * @test ageless model --options ages=0,move-everything=1,verify=2,poison=1,parallel-min=0,workers=4
 * @test tight model --threads 2 --steps 3000 --options heap-max=12m,verify=1,poison=1,parallel-min=0,mark-segments=2
 * @test holes model --steps 6000 --options heap-max=6m,verify=2,poison=1,parallel-min=0
 * @test helped model --options mutators-help=1,verify=2,poison=1,parallel-min=0,stress=100
 *
 *   pin [--threads T] [--steps N] [--seed S] [--conservative 0|1|2] [--options LIST]
 *
 * Each thread holds nodes in four ways: in frame slots, whose frames are not on its stack, so that what they refer to
 * moves; by counted pins; in pinned frames; and, in conservative threads (--conservative 1: every other one, 2: all),
 * by addresses within them that stand on the stack only. For each it keeps a shadow node with the number, the size and
 * the links that the node must have. Each frame slot has an address beside it that is derived from it. Nodes of hooked
 * layouts hold a pointer to themselves, which the hook keeps right.
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <varve/varve.h>

#include "../support/random.h"

#define THREADS_MAX 16
#define SLOTS 24u
#define PINS 60u
#define KEPT 6u
#define LAYOUTS 3u
#define SHADOWS 20000u

struct node {
  varve_object header;
  uint64_t number, bytes;
  struct node *self; /* of hooked layouts */
  varve_word link[2];
};

struct shadow {
  uint64_t number;
  size_t bytes;
  unsigned layout;
  struct shadow *link[2];
};

struct run {
  varve_heap *heap;
  varve_layout layout[LAYOUTS]; /* not hooked, told of moves, told of survival */
  unsigned threads, steps, conservative;
  uint64_t seed;
  _Atomic uint64_t told, wrong, after;
};

struct worker {
  struct run *run;
  unsigned index, depth;
  bool conservative;
  struct random random;
  varve_mutator *mutator;
  struct {
    varve_frame frame;
    varve_word slot[SLOTS];
  } *frame;
  struct shadow *slot[SLOTS];
  uintptr_t derived[SLOTS], offset[SLOTS]; /* of the object in the slot */
  varve_word seen[SLOTS];
  struct node *pin[PINS];
  struct shadow *pinned[PINS];
  unsigned pins[PINS];
  volatile uintptr_t *kept; /* on the stack */
  struct shadow *keeps[KEPT];
  uintptr_t within[KEPT];
  uint64_t moves, shadows, failures;
  struct shadow *shadow;
};

static void fail(const struct worker *worker, const char *what) {
  fprintf(stderr, "pin: %s (thread %u, seed %" PRIu64 ")\n", what, worker->index, worker->run->seed);
  abort();
}

static void expect(const struct worker *worker, bool condition, const char *what) {
  if (!condition) fail(worker, what);
}

static unsigned below(struct worker *worker, uint64_t bound) { return (unsigned)random_below(&worker->random, bound); }

/* ---- hooks ---- */

static void moved(void *context, varve_object *object, const void *old, size_t bytes) {
  struct run *run = context;
  struct node *node = (struct node *)object;
  run->told += 1;
  if ((const void *)node->self != old || node->bytes > bytes) run->wrong += 1;
  node->self = node;
}

/* ---- nodes and shadows ---- */

static void check_node(const struct worker *worker, const struct node *node, const struct shadow *shadow, int depth) {
  if (!shadow) {
    expect(worker, !node, "a link to something instead of nothing");
    return;
  }
  expect(worker, node && node->number == shadow->number, "another number");
  expect(worker, node->bytes == shadow->bytes, "another size");
  expect(worker, varve_object_bytes(&node->header) == VARVE_ROUND(shadow->bytes), "another size in the header");
  expect(worker, varve_object_layout(&node->header) == worker->run->layout[shadow->layout], "another layout");
  expect(worker, !shadow->layout || node->self == node, "the pointer to itself was not kept right");
  const unsigned char *bytes = (const unsigned char *)node;
  expect(worker, shadow->bytes < 64 || bytes[shadow->bytes - 1] == (unsigned char)shadow->number, "another last byte");
  for (int i = 0; i < 2 && depth; ++i)
    check_node(worker, (struct node *)varve_untag(varve_load(&node->link[i])), shadow->link[i], depth - 1);
}

static size_t any_size(struct worker *worker) {
  unsigned kind = below(worker, 200);
  if (kind == 0) return 131073 + below(worker, 150000);
  if (kind < 12) return 2049 + below(worker, 20000);
  if (kind < 40) return sizeof(struct node) + below(worker, 1900);
  return sizeof(struct node) + below(worker, 90);
}

static struct node *node_in(const struct worker *worker, unsigned slot) {
  return (struct node *)varve_untag(worker->frame->slot[slot]);
}

/* The address derived from a slot, anywhere around what is in it. */
static void derive(struct worker *worker, unsigned slot) {
  worker->offset[slot] = below(worker, 3000) - (uintptr_t)1000;
  worker->derived[slot] = (uintptr_t)node_in(worker, slot) + worker->offset[slot];
  worker->seen[slot] = worker->frame->slot[slot];
}

static void set_slot(struct worker *worker, unsigned slot, struct node *node, struct shadow *shadow) {
  worker->frame->slot[slot] = varve_tag(node, 0);
  worker->slot[slot] = shadow;
  derive(worker, slot);
}

static void make(struct worker *worker) {
  unsigned slot = below(worker, SLOTS), layout = below(worker, LAYOUTS);
  size_t bytes = any_size(worker);
  if (worker->shadows == SHADOWS) return;
  struct node *node = varve_alloc(worker->mutator, worker->run->layout[layout], bytes);
  if (!node) {
    ++worker->failures;
    expect(worker, varve_mutator_status(worker->mutator) == VARVE_HEAP_FULL, "allocation failed for another reason");
    for (unsigned i = 0; i < SLOTS; ++i) /* room for others, soon */
      if (below(worker, 2)) set_slot(worker, i, NULL, NULL);
    return;
  }
  struct shadow *shadow = &worker->shadow[worker->shadows++];
  *shadow = (struct shadow){.number = random_next(&worker->random), .bytes = bytes, .layout = layout};
  node->number = shadow->number;
  node->bytes = bytes;
  node->self = node;
  if (bytes >= 64) ((unsigned char *)node)[bytes - 1] = (unsigned char)shadow->number;
  for (int i = 0; i < 2; ++i) {
    unsigned other = below(worker, SLOTS);
    if (below(worker, 5) > 1) continue; /* or the first nodes would never die */
    varve_init(worker->mutator, node, &node->link[i], worker->frame->slot[other]);
    shadow->link[i] = worker->slot[other];
  }
  set_slot(worker, slot, node, shadow);
}

static void link_nodes(struct worker *worker) {
  unsigned from = below(worker, SLOTS), to = below(worker, SLOTS), i = below(worker, 2);
  struct node *node = node_in(worker, from);
  if (!node) return;
  bool cut = below(worker, 3) == 0;
  varve_store(worker->mutator, node, &node->link[i], cut ? 0 : worker->frame->slot[to]);
  worker->slot[from]->link[i] = cut ? NULL : worker->slot[to];
}

/* ---- pins ---- */

static void pin(struct worker *worker) {
  unsigned slot = below(worker, SLOTS), at = below(worker, PINS);
  if (worker->pins[at]) slot = SLOTS;
  struct node *node = slot < SLOTS ? node_in(worker, slot) : worker->pin[at];
  if (!node) return;
  expect(worker, varve_pin(worker->mutator, node) == VARVE_OK, "a pin was refused");
  if (!worker->pins[at]++) {
    worker->pin[at] = node;
    worker->pinned[at] = worker->slot[slot];
  }
}

static void unpin(struct worker *worker) {
  unsigned at = below(worker, PINS), slot = below(worker, SLOTS);
  if (!worker->pins[at]) return;
  if (below(worker, 2)) set_slot(worker, slot, worker->pin[at], worker->pinned[at]); /* it goes on living */
  expect(worker, varve_unpin(worker->mutator, worker->pin[at]) == VARVE_OK, "an unpin was refused");
  if (--worker->pins[at] == 0) worker->pinned[at] = NULL;
}

/* ---- the stack ---- */

static void keep(struct worker *worker) {
  unsigned slot = below(worker, SLOTS), at = below(worker, KEPT);
  struct node *node = node_in(worker, slot);
  if (!worker->conservative || !node) return;
  worker->within[at] = below(worker, VARVE_ROUND(worker->slot[slot]->bytes));
  worker->keeps[at] = worker->slot[slot];
  worker->kept[at] = (uintptr_t)node + worker->within[at];
  if (below(worker, 2)) set_slot(worker, slot, NULL, NULL);
}

static void let_go(struct worker *worker) {
  unsigned at = below(worker, KEPT), slot = below(worker, SLOTS);
  if (!worker->keeps[at]) return;
  struct node *node = (struct node *)(worker->kept[at] - worker->within[at]);
  if (below(worker, 2)) set_slot(worker, slot, node, worker->keeps[at]);
  worker->keeps[at] = NULL;
  worker->kept[at] = 0;
}

/* ---- looking ---- */

static void check_slot(struct worker *worker, unsigned slot) {
  check_node(worker, node_in(worker, slot), worker->slot[slot], 3);
  uintptr_t offset = worker->derived[slot] - (uintptr_t)node_in(worker, slot);
  expect(worker, offset == worker->offset[slot], "a derived address is lost");
  worker->moves += worker->seen[slot] != worker->frame->slot[slot];
  worker->seen[slot] = worker->frame->slot[slot];
}

static void check_all(struct worker *worker) {
  for (unsigned i = 0; i < SLOTS; ++i) check_slot(worker, i);
  for (unsigned i = 0; i < PINS; ++i)
    if (worker->pins[i]) check_node(worker, worker->pin[i], worker->pinned[i], 3);
  for (unsigned i = 0; i < KEPT; ++i)
    if (worker->keeps[i]) check_node(worker, (struct node *)(worker->kept[i] - worker->within[i]), worker->keeps[i], 3);
}

static void resolve(struct worker *worker) {
  unsigned slot = below(worker, SLOTS);
  struct node *node = node_in(worker, slot);
  if (!node) return;
  varve_word word = varve_tag((char *)node + below(worker, VARVE_ROUND(worker->slot[slot]->bytes)), 0);
  expect(worker, varve_object_of(worker->mutator, word) == node, "an address within a node leads elsewhere");
}

/* Pinned nodes may be used while the mutator is native. */
static void look_while_native(void *context) {
  struct worker *worker = context;
  for (unsigned i = 0; i < PINS; ++i) {
    if (!worker->pins[i]) continue;
    expect(worker, worker->pin[i]->number == worker->pinned[i]->number, "a pinned node has moved");
    expect(worker, worker->pin[i]->bytes == worker->pinned[i]->bytes, "a pinned node has moved");
  }
}

static void go_native(struct worker *worker) {
  if (below(worker, 2)) {
    expect(worker, varve_native_call(worker->mutator, look_while_native, worker) == VARVE_OK, "native_call");
    return;
  }
  expect(worker, varve_native_enter(worker->mutator) == VARVE_OK, "native_enter");
  look_while_native(worker);
  expect(worker, varve_native_leave(worker->mutator) == VARVE_OK, "native_leave");
}

/* ---- threads ---- */

static void play(struct worker *worker, unsigned steps);

/* A pinned frame, around more of the same. */
static void play_pinned(struct worker *worker) {
  unsigned slot = below(worker, SLOTS);
  varve_word word = worker->frame->slot[slot];
  struct shadow *shadow = worker->slot[slot];
  VARVE_PINNED(held, worker->mutator, word);
  ++worker->depth;
  play(worker, below(worker, 60));
  --worker->depth;
  expect(worker, held.slot == word, "a pinned slot has changed");
  check_node(worker, (struct node *)varve_untag(held.slot), shadow, 2);
}

static void collect(struct worker *worker) {
  unsigned kind = below(worker, 24);
  varve_error error = {0};
  if (kind < 8) expect(worker, varve_collect_newest(worker->mutator) == VARVE_OK, "collect_newest");
  else if (kind < 12) expect(worker, varve_collect(worker->mutator) == VARVE_OK, "collect");
  else if (kind == 12 && varve_verify(worker->mutator, &error) != VARVE_OK) fail(worker, error.detail);
  check_all(worker);
}

static void step(struct worker *worker) {
  unsigned what = below(worker, 1000);
  if (what < 620) make(worker);
  else if (what < 760) link_nodes(worker);
  else if (what < 790) set_slot(worker, below(worker, SLOTS), NULL, NULL);
  else if (what < 830) pin(worker);
  else if (what < 850) unpin(worker);
  else if (what < 880) keep(worker);
  else if (what < 900) let_go(worker);
  else if (what < 930) resolve(worker);
  else if (what < 940) go_native(worker);
  else if (what < 950 && worker->depth < 4) play_pinned(worker);
  else if (what < 958) collect(worker);
  else check_slot(worker, below(worker, SLOTS));
}

static __attribute__((noinline)) void play(struct worker *worker, unsigned steps) {
  for (unsigned i = 0; i < steps; ++i) step(worker);
}

static void attach(struct worker *worker) {
  varve_error error = {0};
  if (varve_attach(worker->run->heap, "pin", &worker->mutator, &error) != VARVE_OK) fail(worker, error.detail);
  if (worker->conservative && worker->run->conservative == 1 &&
      varve_mutator_conservative(worker->mutator, NULL, NULL, &error) != VARVE_OK)
    fail(worker, error.detail);
}

static void play_all(struct worker *worker) {
  volatile uintptr_t kept[KEPT] = {0};
  varve_derived pairs[SLOTS];
  worker->kept = kept;
  for (unsigned i = 0; i < SLOTS; ++i) {
    pairs[i] = (varve_derived){.base = &worker->frame->slot[i], .derived = &worker->derived[i]};
    varve_derived_push(worker->mutator, &pairs[i]);
  }
  play(worker, worker->run->steps);
  check_all(worker);
  for (unsigned i = SLOTS; i-- > 0;) varve_derived_pop(worker->mutator, &pairs[i]);
}

static void *worker_main(void *argument) {
  struct worker *worker = argument;
  attach(worker);
  worker->frame = calloc(1, sizeof *worker->frame);
  worker->shadow = calloc(SHADOWS, sizeof *worker->shadow);
  if (!worker->frame || !worker->shadow) fail(worker, "no memory");
  varve_frame_push(worker->mutator, &worker->frame->frame, SLOTS);
  play_all(worker);
  for (unsigned i = 0; i < PINS; ++i)
    while (worker->pins[i]-- > 0)
      expect(worker, varve_unpin(worker->mutator, worker->pin[i]) == VARVE_OK, "unpin at the end");
  varve_frame_pop(worker->mutator, &worker->frame->frame);
  if (varve_detach(worker->mutator) != VARVE_OK) fail(worker, "detach");
  free(worker->frame);
  free(worker->shadow);
  return NULL;
}

/* ---- the run ---- */

static void after(void *context, varve_mutator *mutator, const varve_collection_stats *stats) {
  struct run *run = context;
  run->after += 1;
  VARVE_FRAME(f, mutator, one, two);
  f.one = varve_tag(varve_alloc(mutator, run->layout[0], sizeof(struct node)), 0);
  if (stats->number % 8 == 0) f.two = varve_tag(varve_alloc(mutator, run->layout[0], 3000), 0);
  if (f.two && varve_object_of(mutator, f.two + 2999) != varve_untag(f.two)) run->wrong += 1;
}

static void run_open(struct run *run, const char *text) {
  static const uint32_t links[] = {offsetof(struct node, link), offsetof(struct node, link) + 8};
  varve_options options;
  varve_error error = {0};
  varve_options_init(&options);
  options.heap_max = 64u << 20;
  options.log_level = 0;
  options.workers = 2;
  options.after_collection = after;
  options.context = run;
  options.conservative_roots = run->conservative == 2;
  if (varve_options_parse(&options, text, &error) != VARVE_OK ||
      varve_heap_create(&options, &run->heap, &error) != VARVE_OK) {
    fprintf(stderr, "pin: %s\n", error.detail);
    exit(2);
  }
  for (unsigned i = 0; i < LAYOUTS; ++i)
    if (varve_layout_register(run->heap,
                              &(varve_layout_desc){.name = "node", .kind = VARVE_LAYOUT_OFFSETS, .offsets = links,
                                                   .offset_count = 2, .context = run, .moved = i ? moved : NULL,
                                                   .moved_survivors = i == 2},
                              &run->layout[i], &error) != VARVE_OK)
      exit(2);
}

/* Nobody holds anything, but a conservative mutator's stack may seem to. */
static void check_end(struct run *run, struct worker *worker) {
  varve_collection_stats stats;
  worker->conservative = false;
  attach(worker);
  if (varve_collect(worker->mutator) != VARVE_OK) fail(worker, "collect");
  if (!varve_collection_stats_get(run->heap, &stats)) fail(worker, "no figures");
  if (run->conservative < 2 && (stats.live_after || stats.objects_pinned)) fail(worker, "something is left");
  if (varve_detach(worker->mutator) != VARVE_OK) fail(worker, "detach");
  if (run->wrong) fail(worker, "a hook was told something wrong");
  if (!run->after) fail(worker, "nobody was told after collections");
}

static void run_threads(struct run *run) {
  static struct worker workers[THREADS_MAX];
  pthread_t threads[THREADS_MAX];
  uint64_t moves = 0, failures = 0;
  for (unsigned i = 0; i < run->threads; ++i)
    workers[i] = (struct worker){.run = run, .index = i, .random = {run->seed * 1000003 + i},
                                 .conservative = run->conservative == 2 || (run->conservative == 1 && i % 2)};
  for (unsigned i = 0; i < run->threads; ++i)
    if (pthread_create(&threads[i], NULL, worker_main, &workers[i])) abort();
  for (unsigned i = 0; i < run->threads; ++i) pthread_join(threads[i], NULL);
  for (unsigned i = 0; i < run->threads; ++i) moves += workers[i].moves, failures += workers[i].failures;
  if (!moves && varve_heap_options(run->heap)->move_everything) fail(workers, "nothing has ever moved");
  check_end(run, workers);
  varve_heap_stats stats;
  varve_heap_stats_get(run->heap, &stats);
  printf("%" PRIu64 " moves seen, %" PRIu64 " told", moves, (uint64_t)run->told);
  printf(", %" PRIu64 " allocations failed", failures);
  printf(", %" PRIu64 " bytes in holes\n", stats.bytes_refilled);
}

int main(int argc, char **argv) {
  struct run run = {.threads = 3, .steps = 12000, .conservative = 1, .seed = 1};
  const char *text = "", *seed = getenv("VARVE_TEST_SEED");
  if (seed) run.seed = strtoull(seed, NULL, 0);
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!strcmp(argv[i], "--threads")) run.threads = (unsigned)strtoul(argv[i + 1], NULL, 0);
    else if (!strcmp(argv[i], "--steps")) run.steps = (unsigned)strtoul(argv[i + 1], NULL, 0);
    else if (!strcmp(argv[i], "--seed")) run.seed = strtoull(argv[i + 1], NULL, 0);
    else if (!strcmp(argv[i], "--conservative")) run.conservative = (unsigned)strtoul(argv[i + 1], NULL, 0);
    else if (!strcmp(argv[i], "--options")) text = argv[i + 1];
    else return 2;
  }
  if (!run.threads || run.threads > THREADS_MAX) return 2;
  run_open(&run, text);
  run_threads(&run);
  return varve_heap_destroy(run.heap) == VARVE_OK ? 0 : 1;
}
