/* SPDX-License-Identifier: MIT */
/* weak.c -- random weak cells, arrays, tables of ephemerons, finalizers and cleaners beside a shadow that knows what
 * is alive.
 *
 * @test default quick --ops 60000
 * @test stress quick --ops 20000 --options stress=100 --seed 2
 * @test one quick --threads 1 --ops 40000 --seed 3
 * @test every timeout=300 --threads 1 --ops 6000 --options stress=1
 * @test overflow timeout=300 --ops 60000 --workers 4 --options mark-segments=1
 * @test young quick --ops 30000 --seed 4 --options move-everything=0,stress=40
 * @test young_one timeout=300 --threads 1 --ops 60000 --seed 5 --options move-everything=0,stress=15
 * @test ageless model --ops 60000 --seed 6 --options ages=0,stress=200
 * @test many timeout=300 --threads 4 --workers 4 --ops 200000 --seed 7 --options stress=500
 * @test help timeout=300 --threads 3 --workers 3 --ops 60000 --seed 8 --options mutators-help=1,stress=150
 *
 * Each thread has a graph of its own. A shadow node stands for an object and knows what each slot was given. What a
 * walk finds cleared must be dead in the shadow, what it finds must be what was stored. A lone thread also knows
 * exactly what a full collection clears and queues, and in which order. Queued objects of other threads are handed
 * to their owners.
 *
 *   weak [--seed S] [--ops N] [--threads T] [--workers W] [--options "a=1,b=2"]
 *
 * A dead object may come back: through a weak slot that is not cleared yet, or a finalizer. Slots that are cleared
 * before finalization may then be cleared although their target is alive; such targets are `revived`.
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <varve/varve.h>

#include "../support/random.h"

#define ROOTS 24
#define CLEARED 3u
#define FIRST_WORD 4u   /* of weak slots and entries */
#define CHECK_EVERY 400 /* operations */
#define BIG_ONE_IN 300
#define BIG 5000u

enum kind { PAIR, BEFORE, AFTER, TABLE, KINDS };

struct node {
  struct node *next; /* of the thread's */
  uint64_t id;
  enum kind kind;
  bool strong, loose, kept; /* marks: by what keeps alive; by any slot; by dead finalizers, too */
  bool revived;
  uint64_t stamp;    /* of the revival that saw it last */
  size_t count;      /* edges: strong ones first; of a table then keys and values in turns */
  struct node **edge;
};

struct record { /* a finalizer or a cleaner */
  struct record *next, *mail;
  struct player *owner;
  struct node *node;
  varve_finalizer finalizer;
  varve_handle *handle; /* handed over: holds the object */
  uint64_t serial;
  int32_t order;
  bool cleaner;
};

struct player {
  struct model *model;
  unsigned index;
  struct random random;
  varve_mutator *mutator;
  struct node *nodes, *root[ROOTS];
  varve_word *slot;
  struct record *records;
  struct record *mail, **mail_end; /* under the model's lock */
  uint64_t next_id, stamp, op, ops, found_cleared, found_queued;
};

struct model {
  varve_heap *heap;
  varve_layout layout[KINDS];
  varve_options options;
  uint64_t seed, ops;
  unsigned threads;
  struct player *players;
  pthread_mutex_t lock; /* held from taking from the queue to handing over; never across a safepoint */
};

__attribute__((noreturn)) static void fail(const struct player *player, const char *what, const struct node *node) {
  char text[1024];
  varve_options_print(&player->model->options, text, sizeof text);
  fprintf(stderr, "weak: %s (node %" PRIu64 ", kind %d)\n  --seed %" PRIu64 " --threads %u --ops %" PRIu64
          ", thread %u, operation %" PRIu64 "\n  options: %s\n", what, node ? node->id : 0, node ? (int)node->kind : -1,
          player->model->seed, player->model->threads, player->model->ops, player->index, player->op, text);
  abort();
}

static uint64_t below(struct player *player, uint64_t bound) { return random_below(&player->random, bound); }
static bool one_in(struct player *player, uint64_t period) { return random_one_in(&player->random, period); }

/* ---- nodes and their objects ---- */

static size_t strong_edges(const struct node *node) { return node->kind == PAIR ? 2 : 1; }

static varve_word *slot_of(const struct node *node, varve_object *object, size_t i) {
  varve_word *words = (varve_word *)object;
  if (node->kind == PAIR) return words + 2 + i;
  if (i == 0) return words + 3;
  if (node->kind != TABLE) return words + FIRST_WORD + i - 1;
  return words + FIRST_WORD + (i - 1) / 2 * 3 + (i - 1) % 2;
}

static uint64_t *id_of(const struct node *node, varve_object *object) {
  return (uint64_t *)object + (node->kind == PAIR ? 1 : 2);
}

static void check_object(struct player *player, const struct node *node, varve_object *object) {
  if (varve_object_layout(object) != player->model->layout[node->kind]) fail(player, "another layout", node);
  if (*id_of(node, object) != node->id) fail(player, "another object", node);
}

static size_t words_of(const struct node *node) {
  if (node->kind == PAIR) return 4;
  return FIRST_WORD + (node->kind == TABLE ? (node->count - 1) / 2 * 3 : node->count - 1);
}

static struct node *new_node(struct player *player) {
  struct node *node = calloc(1, sizeof *node);
  node->kind = (enum kind)below(player, KINDS);
  size_t units = one_in(player, BIG_ONE_IN) ? BIG : 1 + below(player, one_in(player, 10) ? 200 : 6);
  node->count = node->kind == PAIR ? 2 : node->kind == TABLE ? 1 + 2 * units : 1 + units;
  node->edge = calloc(node->count, sizeof *node->edge);
  node->id = (uint64_t)player->index << 48 | ++player->next_id;
  return node;
}

/* ---- what is alive ---- */

static bool mark(struct node *node, bool *(*flag)(struct node *), bool loose) {
  if (!node || *flag(node)) return false;
  *flag(node) = true;
  size_t end = loose ? node->count : strong_edges(node);
  for (size_t i = 0; i < end; ++i) mark(node->edge[i], flag, loose);
  return true;
}

static bool *strong_flag(struct node *node) { return &node->strong; }
static bool *loose_flag(struct node *node) { return &node->loose; }
static bool *kept_flag(struct node *node) { return &node->kept; }

static bool fire(struct player *player, bool *(*flag)(struct node *)) {
  bool any = false;
  for (struct node *node = player->nodes; node; node = node->next)
    for (size_t i = 1; node->kind == TABLE && *flag(node) && i < node->count; i += 2)
      if (!node->edge[i] || *flag(node->edge[i])) any |= mark(node->edge[i + 1], flag, false);
  return any;
}

static void find_strong(struct player *player) {
  for (struct node *node = player->nodes; node; node = node->next) node->strong = false;
  for (size_t i = 0; i < ROOTS; ++i) mark(player->root[i], strong_flag, false);
  while (fire(player, strong_flag)) continue;
}

static void find_kept(struct player *player) {
  for (struct node *node = player->nodes; node; node = node->next) node->kept = false;
  for (size_t i = 0; i < ROOTS; ++i) mark(player->root[i], kept_flag, false);
  for (struct record *r = player->records; r; r = r->next)
    if (!r->cleaner) mark(r->node, kept_flag, false);
  while (fire(player, kept_flag)) continue;
}

static bool revive_from(struct node *node, uint64_t stamp) {
  if (!node || node->stamp == stamp) return false;
  node->stamp = stamp;
  node->revived = true;
  for (size_t i = 0; i < node->count; ++i) revive_from(node->edge[i], stamp);
  return true;
}

/* Values of keys that came back come back too, wherever their entries are. */
static bool revive_values(struct player *player) {
  bool any = false;
  for (struct node *node = player->nodes; node; node = node->next)
    for (size_t i = 1; node->kind == TABLE && i < node->count; i += 2)
      if (node->edge[i] && node->edge[i]->stamp == player->stamp) any |= revive_from(node->edge[i + 1], player->stamp);
  return any;
}

static void revive(struct player *player, struct node *node) {
  revive_from(node, ++player->stamp);
  while (revive_values(player)) continue;
}

/* Nodes that no walk can come to any more. */
static void sweep(struct player *player) {
  for (struct node *node = player->nodes; node; node = node->next) node->loose = false;
  for (size_t i = 0; i < ROOTS; ++i) mark(player->root[i], loose_flag, true);
  for (struct record *r = player->records; r; r = r->next) mark(r->node, loose_flag, true);
  for (struct node **at = &player->nodes, *node; (node = *at);) {
    if (node->loose) {
      at = &node->next;
    } else {
      *at = node->next;
      free(node->edge);
      free(node);
    }
  }
}

/* ---- comparing ---- */

struct visit {
  struct node *node;
  varve_object *object;
};

/* A weak slot, key or value that was found cleared. */
static void check_cleared(struct player *player, struct node *node, size_t i) {
  struct node *deciding = node->kind == TABLE ? node->edge[1 + (i - 1) / 2 * 2] : node->edge[i];
  ++player->found_cleared;
  if (!deciding) fail(player, "an entry without key was cleared", node);
  if (deciding->strong && !(deciding->revived)) fail(player, "cleared, and the target is alive", deciding);
}

static void compare_slot(struct player *player, struct node *node, varve_object *object, size_t i, bool *gone) {
  varve_word word = *slot_of(node, object, i);
  if (!node->edge[i] && word && !(node->kind == TABLE && word == CLEARED))
    fail(player, "a word that was not stored", node);
  if (!node->edge[i]) return;
  if (word == CLEARED && i >= strong_edges(node)) {
    check_cleared(player, node, i);
    *gone = true;
  } else {
    if (word == CLEARED || !word) fail(player, "a slot was lost", node);
    check_object(player, node->edge[i], varve_untag(word));
  }
}

static void compare_object(struct player *player, struct node *node, varve_object *object) {
  bool gone = false;
  check_object(player, node, object);
  for (size_t i = 0; i < node->count; ++i) compare_slot(player, node, object, i, &gone);
  for (size_t i = 1; gone && i < node->count; ++i) /* cleared: nothing is there any more, and null is as good */
    if (*slot_of(node, object, i) == CLEARED) {
      node->edge[i] = NULL;
      varve_store(player->mutator, object, slot_of(node, object, i), 0);
    }
}

/* All that roots reach in the heap by slots that are alive in the shadow; then what cannot be reached is forgotten. */
static void compare(struct player *player) {
  size_t depth = 0, capacity = 1;
  for (struct node *node = player->nodes; node; node = node->next) node->loose = false, capacity += node->count + 1;
  struct visit *stack = malloc((capacity + ROOTS) * sizeof *stack);
  find_strong(player);
  for (size_t i = 0; i < ROOTS; ++i) {
    if (!player->root[i] != !player->slot[i]) fail(player, "a root was lost", player->root[i]);
    if (player->root[i]) stack[depth++] = (struct visit){player->root[i], varve_untag(player->slot[i])};
  }
  while (depth) {
    struct visit at = stack[--depth];
    if (at.node->loose) continue;
    at.node->loose = true;
    compare_object(player, at.node, at.object);
    for (size_t i = 0; i < at.node->count; ++i)
      if (at.node->edge[i])
        stack[depth++] = (struct visit){at.node->edge[i], varve_untag(*slot_of(at.node, at.object, i))};
  }
  free(stack);
  sweep(player);
}

/* ---- finalizers ---- */

static void forget_record(struct player *player, struct record *record) {
  struct record **at = &player->records;
  while (*at != record) at = &(*at)->next;
  *at = record->next;
  free(record);
}

/* Take all from the queue and hand it to the owners; expects the order of the queue for those of one collection. */
static void drain(struct player *player, bool ordered) {
  struct model *model = player->model;
  varve_finalization out;
  int32_t order = INT32_MIN;
  uint64_t serial = 0;
  pthread_mutex_lock(&model->lock);
  while (varve_finalizer_next(player->mutator, &out)) {
    struct record *record = out.context;
    if (record->order != out.order || record->finalizer != out.finalizer || record->cleaner != !out.object)
      fail(player, "another finalizer", record->node);
    if (ordered && (order > out.order || (order == out.order && serial > record->serial)))
      fail(player, "not in order", record->node);
    order = out.order;
    serial = record->serial;
    record->handle = out.object ? varve_handle_new(player->mutator, varve_tag(out.object, 0)) : NULL;
    record->mail = NULL;
    *record->owner->mail_end = record;
    record->owner->mail_end = &record->mail;
  }
  pthread_mutex_unlock(&model->lock);
}

static void open_letter(struct player *player, struct record *record) {
  struct node *node = record->node;
  ++player->found_queued;
  if (!record->cleaner) {
    varve_word word = varve_handle_get(record->handle);
    check_object(player, node, varve_untag(word));
    if (node->strong && !node->revived) fail(player, "finalized alive", node);
    revive(player, node);
    size_t place = below(player, ROOTS);
    if (one_in(player, 2)) {
      player->slot[place] = word;
      player->root[place] = node;
    }
    varve_handle_free(player->mutator, record->handle);
  } else if (node->strong) {
    fail(player, "cleaned alive", node);
  }
  forget_record(player, record);
}

static void read_mail(struct player *player) {
  find_strong(player);
  pthread_mutex_lock(&player->model->lock);
  struct record *mail = player->mail;
  player->mail = NULL;
  player->mail_end = &player->mail;
  pthread_mutex_unlock(&player->model->lock);
  for (struct record *next; mail; mail = next) {
    next = mail->mail;
    open_letter(player, mail);
  }
}

static void attach(struct player *player, struct node *node, varve_object *object) {
  struct record *record = calloc(1, sizeof *record);
  record->owner = player;
  record->node = node;
  record->order = (int32_t)below(player, 5) - 2;
  record->cleaner = one_in(player, 3);
  record->serial = ++player->next_id;
  pthread_mutex_lock(&player->model->lock); /* its context may be seen as soon as it is attached */
  record->finalizer = (record->cleaner ? varve_cleaner_attach : varve_finalizer_attach)(player->mutator, object,
                                                                                        record->order, NULL, record);
  pthread_mutex_unlock(&player->model->lock);
  if (!record->finalizer) fail(player, "no memory for a finalizer", node);
  record->next = player->records;
  player->records = record;
}

static void detach_some(struct player *player) {
  struct record *record = player->records;
  for (uint64_t i = below(player, 4); record && i; --i) record = record->next;
  if (record && varve_finalizer_detach(player->mutator, record->finalizer)) forget_record(player, record);
}

/* ---- exactly, for a lone thread ---- */

static void expect_slots(struct player *player, struct node *node, varve_object *object) {
  for (size_t i = strong_edges(node); i < node->count; ++i) {
    struct node *deciding = node->kind == TABLE ? node->edge[1 + (i - 1) / 2 * 2] : node->edge[i];
    if (!deciding) continue;
    bool dead = node->kind == BEFORE ? !deciding->strong : !deciding->kept;
    if ((*slot_of(node, object, i) == CLEARED) != dead && (node->edge[i] || dead))
      fail(player, dead ? "not cleared" : "cleared early", node);
  }
}

static void expect_records(struct player *player) {
  for (struct record *r = player->records; r; r = r->next) {
    bool dead = r->cleaner ? !r->node->kept : !r->node->strong, taken = false;
    for (struct record *mail = player->mail; mail; mail = mail->mail) taken |= mail == r;
    if (dead != taken) fail(player, dead ? "not queued" : "queued early", r->node);
  }
}

static void collect_exactly(struct player *player) {
  drain(player, false);
  read_mail(player);
  compare(player);
  find_strong(player);
  find_kept(player);
  varve_collect(player->mutator);
  for (size_t i = 0; i < ROOTS; ++i)
    if (player->root[i]) expect_slots(player, player->root[i], varve_untag(player->slot[i]));
  drain(player, true);
  expect_records(player);
  read_mail(player);
  compare(player);
}

/* ---- operations ---- */

/* Walk from a root along slots that are not cleared. @return NULL: there is no root. */
static struct node *walk(struct player *player, varve_object **object) {
  size_t place = below(player, ROOTS);
  struct node *node = player->root[place];
  if (!node) return NULL;
  *object = varve_untag(player->slot[place]);
  for (uint64_t steps = below(player, 6); steps; --steps) {
    size_t i = below(player, node->count);
    varve_word word = *slot_of(node, *object, i);
    if (!node->edge[i] || word == CLEARED) continue;
    if (i >= strong_edges(node)) {
      find_strong(player);
      if (!node->edge[i]->strong) revive(player, node->edge[i]);
    }
    node = node->edge[i];
    *object = varve_untag(word);
    check_object(player, node, *object);
  }
  return node;
}

static void allocate(struct player *player) {
  struct node *node = new_node(player);
  varve_object *object = varve_alloc(player->mutator, player->model->layout[node->kind], words_of(node) * 8);
  if (!object) fail(player, "the heap is full", NULL);
  *id_of(node, object) = node->id;
  node->next = player->nodes;
  player->nodes = node;
  for (size_t i = 0; i < node->count && i < 20; ++i) {
    size_t from = below(player, ROOTS);
    if (!player->root[from] || one_in(player, 3)) continue;
    node->edge[i] = player->root[from];
    varve_init(player->mutator, object, slot_of(node, object, i), player->slot[from]);
  }
  size_t place = below(player, ROOTS);
  player->root[place] = node;
  player->slot[place] = varve_tag(object, 0);
  if (one_in(player, 8)) attach(player, node, object);
}

static void store(struct player *player) {
  varve_object *object, *target = NULL;
  struct node *node = walk(player, &object), *to = one_in(player, 4) ? NULL : walk(player, &target);
  if (!node) return;
  size_t i = below(player, node->count);
  if (one_in(player, 2) && i > 20) i = below(player, 20);
  bool entry = node->kind == TABLE && i; /* of an entry both words are stored, for one that was cleared is both */
  size_t first = entry ? 1 + (i - 1) / 2 * 2 : i, end = entry ? first + 2 : i + 1;
  for (size_t k = first; k < end; ++k) {
    node->edge[k] = k == i || one_in(player, 2) ? to : NULL;
    varve_store(player->mutator, object, slot_of(node, object, k), node->edge[k] ? varve_tag(target, 0) : 0);
  }
}

static void move_to_root(struct player *player) {
  varve_object *object;
  struct node *node = walk(player, &object);
  size_t place = below(player, ROOTS);
  if (one_in(player, 3)) node = NULL;
  player->root[place] = node;
  player->slot[place] = node ? varve_tag(object, 0) : 0;
}

static void attach_somewhere(struct player *player) {
  varve_object *object;
  struct node *node = walk(player, &object);
  if (!node) return;
  find_strong(player);
  if (node->strong) attach(player, node, object);
}

static void step(struct player *player) {
  switch (below(player, 16)) {
    case 0: case 1: case 2: case 3: case 4: case 5: allocate(player); break;
    case 6: case 7: case 8: case 9: store(player); break;
    case 10: case 11: case 12: case 13: move_to_root(player); break;
    case 14: if (one_in(player, 4)) attach_somewhere(player); break;
    default:
      if (one_in(player, 10)) detach_some(player);
      else if (one_in(player, 20)) varve_collect_newest(player->mutator);
      else if (one_in(player, 60)) varve_collect(player->mutator);
      break;
  }
}

static void check(struct player *player) {
  if (player->model->threads == 1 && one_in(player, 2)) {
    collect_exactly(player);
    return;
  }
  drain(player, false);
  read_mail(player);
  compare(player);
}

static void play(struct player *player) {
  VARVE_FRAME_ARRAY(f, player->mutator, ROOTS);
  player->slot = f.slot;
  for (player->op = 0; player->op < player->ops; ++player->op) {
    step(player);
    if (one_in(player, CHECK_EVERY)) check(player);
  }
  check(player);
}

static void *run_player(void *argument) {
  struct player *player = argument;
  if (varve_attach(player->model->heap, "player", &player->mutator, NULL) != VARVE_OK) abort();
  play(player);
  varve_detach(player->mutator);
  return NULL;
}

static void free_player(struct player *player) {
  for (struct record *r = player->records, *next; r; r = next) next = r->next, free(r);
  for (struct node *node = player->nodes, *next; node; node = next) {
    next = node->next;
    free(node->edge);
    free(node);
  }
}

/* ---- the whole ---- */

static varve_layout add_layout(struct model *model, varve_layout_kind kind, varve_weak_when when,
                               const uint32_t *offsets, size_t count) {
  varve_layout layout = 0;
  varve_layout_desc desc = {.name = "shape", .kind = kind, .offsets = offsets, .offset_count = count,
                            .first = kind == VARVE_LAYOUT_OFFSETS ? 0 : FIRST_WORD * 8,
                            .weak = {.when = when, .cleared = CLEARED}};
  if (varve_layout_register(model->heap, &desc, &layout, NULL) != VARVE_OK) abort();
  return layout;
}

static void add_layouts(struct model *model) {
  static const uint32_t pair[] = {16, 24}, weak[] = {24};
  model->layout[PAIR] = add_layout(model, VARVE_LAYOUT_OFFSETS, VARVE_WEAK_BEFORE, pair, 2);
  model->layout[BEFORE] = add_layout(model, VARVE_LAYOUT_WEAK, VARVE_WEAK_BEFORE, weak, 1);
  model->layout[AFTER] = add_layout(model, VARVE_LAYOUT_WEAK, VARVE_WEAK_AFTER, weak, 1);
  model->layout[TABLE] = add_layout(model, VARVE_LAYOUT_EPHEMERONS, VARVE_WEAK_BEFORE, weak, 1);
}

static void run(struct model *model) {
  pthread_t threads[64];
  model->players = calloc(model->threads, sizeof *model->players);
  for (unsigned i = 0; i < model->threads; ++i) {
    struct player *player = &model->players[i];
    *player = (struct player){.model = model, .index = i, .ops = model->ops / model->threads};
    player->random.state = model->seed * 1000 + i;
    player->mail_end = &player->mail;
  }
  for (unsigned i = 0; i < model->threads; ++i)
    if (pthread_create(&threads[i], NULL, run_player, &model->players[i])) abort();
  uint64_t cleared = 0, queued = 0;
  for (unsigned i = 0; i < model->threads; ++i) {
    pthread_join(threads[i], NULL);
    cleared += model->players[i].found_cleared;
    queued += model->players[i].found_queued;
  }
  for (unsigned i = 0; i < model->threads; ++i) free_player(&model->players[i]);
  free(model->players);
  varve_heap_stats stats;
  varve_heap_stats_get(model->heap, &stats);
  printf("%" PRIu64 " collections, %" PRIu64 " cleared slots seen, %" PRIu64 " finalizers taken\n",
         stats.collections, cleared, queued);
}

int main(int argc, char **argv) {
  struct model model = {.seed = 1, .ops = 50000, .threads = 2};
  const char *workers = "2", *options = "", *seed = getenv("VARVE_TEST_SEED");
  char text[512];
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!strcmp(argv[i], "--seed")) model.seed = strtoull(argv[i + 1], NULL, 0);
    else if (!strcmp(argv[i], "--ops")) model.ops = strtoull(argv[i + 1], NULL, 0);
    else if (!strcmp(argv[i], "--threads")) model.threads = (unsigned)strtoul(argv[i + 1], NULL, 0);
    else if (!strcmp(argv[i], "--workers")) workers = argv[i + 1];
    else if (!strcmp(argv[i], "--options")) options = argv[i + 1];
    else return fprintf(stderr, "weak: what is %s?\n", argv[i]), 2;
  }
  if (seed) model.seed = strtoull(seed, NULL, 0);
  snprintf(text, sizeof text, "heap-max=64m,move-everything=1,verify=2,poison=1,parallel-min=0,spin=100,workers=%s%s%s",
           workers, *options ? "," : "", options);
  varve_options_init(&model.options);
  if (varve_options_parse(&model.options, text, NULL) != VARVE_OK || !model.threads || model.threads > 64) return 2;
  if (varve_heap_create(&model.options, &model.heap, NULL) != VARVE_OK) return 2;
  pthread_mutex_init(&model.lock, NULL);
  add_layouts(&model);
  run(&model);
  if (varve_heap_destroy(model.heap) != VARVE_OK) abort();
  return 0;
}
