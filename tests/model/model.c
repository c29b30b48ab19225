/* SPDX-License-Identifier: MIT */
/* model.c -- a random mutator program beside a shadow heap that knows the truth.
 *
 * @test default quick --ops 200000
 * @test stress quick --ops 80000 --options stress=200 --seed 2
 * @test one quick --threads 1 --ops 100000 --seed 3
 * @test every timeout=300 --threads 1 --ops 20000 --options stress=1
 * @test full timeout=300 --threads 1 --ops 300000 --heap 6m --options heap-initial=4m
 * @test long timeout=300 --ops 1000000
 * @test overflow timeout=300 --ops 300000 --workers 4 --options mark-segments=1
 * @test deferred timeout=300 --ops 300000 --threads 4 --workers 3 --heap 8m --options mark-segments=4
 * @test ages quick --ops 40000 --seed 5 --options move-everything=0,stress=60
 * @test policy quick --ops 150000 --seed 6 --options move-everything=0,cache-budget=2m,heap-initial=4m
 * @test young timeout=300 --threads 1 --ops 80000 --seed 7 --options move-everything=0,stress=10
 * @test old timeout=300 --threads 4 --ops 150000 --seed 8 --workers 3 --heap 64m --budget 20000 --options stress=3000
 * @test ageless model --ops 300000 --seed 9 --options ages=0
 * @test help quick --ops 60000 --threads 3 --workers 3 --seed 10 --options mutators-help=1,stress=150
 * @test helpers timeout=300 --ops 300000 --threads 4 --workers 4 --seed 11 --options mutators-help=1,stress=500
 * @test helpless timeout=300 --ops 100000 --threads 2 --workers 3 --seed 12 --options mutators-help=1,spin=0
 * @test nodes quick --ops 60000 --threads 3 --workers 3 --seed 13 --machine "numa:4 core:1 pu:1" --options stress=200
 * @test crowded timeout=300 --ops 150000 --threads 4 --workers 3 --heap 8m --seed 14 --machine "numa:4 core:1 pu:1"
 * @test plain long,timeout=300 --ops 2000000 --heap 256m --budget 50000 --options move-everything=0,verify=0,poison=0
 *
 * Every thread plays random operations on the heap and does the same to its shadow graph (support/shadow.h). At every
 * step of a random walk the object's identity is checked; after collections, and now and then, every word of every
 * reachable object is compared. A difference prints seed, operation, object and options, and aborts.
 *
 *   model [--seed S] [--ops N] [--threads T] [--workers W] [--heap SIZE] [--budget NODES] [--options "a=1,b=2"]
 *         [--machine "numa:4 core:2 pu:1"]
 *
 * --machine describes another machine to hwloc: threads are then on the nodes that their processors have there, and
 * regions of several nodes lie beside each other.
 * N is the total over all threads. The seed may also come from VARVE_TEST_SEED. One thread replays exactly.
 * Useful lines (model16 is the same with a granule of 16):
 *
 *   model                                                      the default: 2 threads, everything moves, verified
 *   model --threads 1 --ops 100000 --options stress=1          a collection at every allocation
 *   model --threads 4 --workers 4 --ops 4000000                more of everything
 *   model --heap 8m --threads 1                                at the limit all the time
 *   model --options move-everything=0,verify=0,poison=0 --heap 512m --budget 100000    as a host would use it
 *   model --options mark-segments=1                            the mark stack overflows
 *
 * Rules between threads: private nodes are touched by their thread only. Shared nodes refer to shared nodes only, and
 * their slots are read and written under the host's lock, which is never held across a safepoint.
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../support/roots.h"

#define GROUPS_MAX 64
#define DEPTH_MAX 16
#define SHARED_ROOTS 64
#define TABLES 1 /* large arrays that a thread keeps, and stores young objects into */
#define FULL_SHARE 2 /* a heap may be full only when the shadows hold more than one part in this of its limit, */
#define FULL_CHECKED (16u << 20) /* and has enough regions for every sort of object */

struct player;

struct model {
  varve_heap *heap;
  struct shadow_shapes shapes;
  varve_options options;
  uint64_t seed, ops, budget;
  unsigned threads;
  varve_refs *slab;
  struct player *players;
  pthread_mutex_t lock;            /* for what follows; never held across a safepoint */
  struct shadow_graph shared;      /* the nodes that every thread may reach */
  struct root_group *shared_roots; /* slab words */
  uint64_t stamp;
};

struct player {
  struct model *model;
  unsigned index, depth;
  struct random random;
  varve_mutator *mutator;
  struct shadow_graph graph;
  struct root_group *groups[GROUPS_MAX];
  size_t group_count;
  struct root_group *tables; /* one of the groups */
  varve_slab_cursor cursor;
  uint64_t op, ops;
  uint64_t live;       /* private nodes seen by the last comparison */
  uint64_t held_bytes; /* of the graph; read by other threads, so written atomically */
  uint64_t fulls;      /* allocations that returned NULL */
  const char *doing;
};

/* A node and where its object is now. Void after the next safepoint. */
struct spot {
  struct shadow_node *node;
  uintptr_t address;
};

static void fail(void *context) {
  struct player *player = context;
  char text[1024];
  varve_options_print(&player->model->options, text, sizeof text);
  fprintf(stderr, "  seed %" PRIu64 ", thread %u of %u, operation %" PRIu64 " of %" PRIu64 " (%s), frame depth %u\n",
          player->model->seed, player->index, player->model->threads, player->op, player->ops, player->doing,
          player->depth);
  fprintf(stderr, "  --seed %" PRIu64 " --threads %u --ops %" PRIu64 " --budget %" PRIu64 "\n  options: %s\n",
          player->model->seed, player->model->threads, player->model->ops, player->model->budget, text);
  abort();
}

static void expect(struct player *player, bool right, const char *what) {
  if (!right) shadow_fail(&player->graph, "%s", what);
}

static uint64_t below(struct player *player, uint64_t bound) { return random_below(&player->random, bound); }
static bool one_in(struct player *player, uint64_t period) { return random_one_in(&player->random, period); }

/* ---- comparing --------------------------------------------------------------------------------------------------- */

static void note_held(struct player *player) {
  __atomic_store_n(&player->held_bytes, player->graph.bytes, __ATOMIC_RELAXED);
}

static void compare_locked(struct player *player) {
  struct shadow_walk walk;
  uint64_t stamp = ++player->model->stamp;
  shadow_walk_begin(&walk, &player->graph, stamp);
  for (size_t i = 0; i < player->group_count; ++i) root_group_walk(player->groups[i], &walk);
  root_group_walk(player->model->shared_roots, &walk);
  shadow_walk_finish(&walk);
  player->live = walk.private_seen;
  shadow_graph_sweep(&player->graph, stamp);
  if (player->model->threads == 1) shadow_graph_sweep(&player->model->shared, stamp);
}

/* Compare all that this thread can reach, and forget what it cannot. */
static void compare(struct player *player) {
  pthread_mutex_lock(&player->model->lock);
  compare_locked(player);
  pthread_mutex_unlock(&player->model->lock);
  note_held(player);
}

/* ---- picking ----------------------------------------------------------------------------------------------------- */

static struct root_group *any_group(struct player *player) {
  return player->group_count ? player->groups[below(player, player->group_count)] : NULL;
}

static struct root *any_root(struct player *player, struct root_group *group) {
  return &group->roots[below(player, group->count)];
}

/* One step along a random edge. @return false when there was none; the spot stays then. */
static bool step(struct player *player, struct spot *spot) {
  struct shadow_edge *edge;
  if (spot->node->edge_count == 0) return false;
  edge = &spot->node->edges[below(player, spot->node->edge_count)];
  if (!edge->target) return false;
  spot->address = shadow_check_word(&player->graph, varve_load((varve_word *)spot->address + edge->word), edge->target,
                                    spot->node->words[edge->word], "random walk");
  spot->node = edge->target;
  return true;
}

static struct spot spot_of_root(struct player *player, const struct root_group *group, const struct root *root) {
  return (struct spot){root->target, shadow_check_word(&player->graph, root_load(group, root), root->target, root->word,
                                                       root_kind_name[group->kind])};
}

/* Some object reachable by this thread. Shared nodes may come out, but are not walked through. */
static bool pick(struct player *player, struct spot *spot) {
  for (int tries = 0; tries < 16; ++tries) {
    struct root_group *group = any_group(player);
    struct root *root = group ? any_root(player, group) : NULL;
    if (!root || !root->place || !root->target) continue;
    *spot = spot_of_root(player, group, root);
    for (uint64_t steps = below(player, 10); steps > 0 && !spot->node->shared; --steps) step(player, spot);
    return true;
  }
  return false;
}

/* An object of this thread whose slots may be stored to. */
static bool pick_mutable(struct player *player, struct spot *spot) {
  return pick(player, spot) && !spot->node->shared && spot->node->edge_count &&
         !shadow_shape_immutable(spot->node->shape);
}

/* A root place that can be written now. */
static bool pick_place(struct player *player, struct root_group **group, struct root **root) {
  for (int tries = 0; tries < 8; ++tries) {
    *group = any_group(player);
    if (!*group) return false;
    *root = any_root(player, *group);
    if ((*root)->place && *group != player->tables) return true;
  }
  return false;
}

static varve_word raw_word(struct player *player, unsigned tags) {
  struct spot spot = {NULL, 0};
  if (one_in(player, 3)) pick(player, &spot);
  return shadow_random_word(&player->random, tags, spot.address);
}

/* ---- storing ----------------------------------------------------------------------------------------------------- */

/* The word that makes the edge refer to `to` (or hold no reference when to->node is NULL); the shadow is told. */
static varve_word aim(struct player *player, struct shadow_node *node, struct shadow_edge *edge, struct spot to) {
  unsigned tags = player->model->shapes.slot_tags;
  edge->target = to.node;
  node->words[edge->word] = to.node ? shadow_random_tag(&player->random, tags)
                                    : shadow_random_word(&player->random, tags, to.address);
  return to.node ? to.address | node->words[edge->word] : node->words[edge->word];
}

static void store(struct player *player, struct spot from, struct shadow_edge *edge, struct spot to) {
  varve_store(player->mutator, (void *)from.address, (varve_word *)from.address + edge->word,
              aim(player, from.node, edge, to));
}

static void keep(struct player *player, struct spot spot) {
  struct root_group *group;
  struct root *root;
  if (pick_place(player, &group, &root))
    root_set_target(group, root, player->mutator, &player->random, spot.node, spot.address);
}

/* ---- allocation -------------------------------------------------------------------------------------------------- */

/* Halve what the roots hold. Frames lose their values too. */
static void drop_some(struct player *player, uint64_t one_of) {
  for (size_t i = 0; i < player->group_count; ++i)
    for (size_t j = 0; j < player->groups[i]->count; ++j)
      if (player->groups[i]->roots[j].place && one_in(player, one_of))
        root_set_word(player->groups[i], &player->groups[i]->roots[j], player->mutator, &player->random, 0);
}

static uint64_t shared_bytes(struct model *model) {
  pthread_mutex_lock(&model->lock);
  uint64_t bytes = model->shared.bytes;
  pthread_mutex_unlock(&model->lock);
  return bytes;
}

static void heap_is_full(struct player *player, size_t bytes) {
  uint64_t held = shared_bytes(player->model);
  ++player->fulls;
  expect(player, varve_mutator_status(player->mutator) == VARVE_HEAP_FULL, "NULL without VARVE_HEAP_FULL");
  compare(player);
  for (unsigned i = 0; i < player->model->threads; ++i)
    held += __atomic_load_n(&player->model->players[i].held_bytes, __ATOMIC_RELAXED);
  if (bytes <= VARVE_MEDIUM_MAX && player->model->options.heap_max >= FULL_CHECKED &&
      held < player->model->options.heap_max / FULL_SHARE)
    shadow_fail(&player->graph, "full although at most %" PRIu64 " bytes are live", held);
}

static void check_zero(struct player *player, const uint64_t *words, size_t count) {
  for (size_t i = 1; i < count; ++i)
    if (words[i]) shadow_fail(&player->graph, "word %zu of a zeroed allocation is %#" PRIx64, i, words[i]);
}

/* Write the image: data words plainly, slots through the store interface. */
static void write_object(struct player *player, struct spot spot, bool zeroed) {
  uint64_t *words = (uint64_t *)spot.address;
  size_t next = 1;
  for (size_t i = 0; i < spot.node->edge_count; ++i) {
    uint32_t slot = spot.node->edges[i].word;
    memcpy(words + next, spot.node->words + next, (slot - next) * 8);
    if (!zeroed) varve_init(player->mutator, words, words + slot, 0);
    next = slot + 1;
  }
  memcpy(words + next, spot.node->words + next, (spot.node->word_count - next) * 8);
}

static void init_edges(struct player *player, struct spot spot) {
  uint64_t count = spot.node->edge_count;
  uint64_t *words = (uint64_t *)spot.address;
  for (uint64_t i = 0; i < count && i < 12; ++i) {
    struct shadow_edge *edge = &spot.node->edges[count <= 12 ? i : below(player, count)];
    struct spot to = {NULL, 0};
    if (one_in(player, 3)) continue;
    if (!one_in(player, 4)) pick(player, &to);
    varve_init(player->mutator, words, words + edge->word, aim(player, spot.node, edge, to));
  }
}

static void *allocate(struct player *player, varve_layout layout, size_t bytes, bool zeroed) {
  if (one_in(player, 16))
    return zeroed ? varve_ffi_alloc(player->mutator, layout, bytes)
                  : varve_ffi_alloc_uninit(player->mutator, layout, bytes);
  return zeroed ? varve_alloc(player->mutator, layout, bytes) : varve_alloc_uninit(player->mutator, layout, bytes);
}

/* A new object with its data written and all slots null. @return false when the heap is full. */
static bool make_blank(struct player *player, enum shadow_shape shape, size_t wanted, struct spot *spot) {
  size_t words = shadow_shape_fit(shape, wanted);
  bool zeroed = one_in(player, 2);
  struct spot bait = {NULL, 0};
  pick(player, &bait);
  player->graph.bait = bait.address;
  spot->node = shadow_node_new(&player->graph, shape, VARVE_ROUND(words * 8) / 8, &player->random);
  note_held(player);
  spot->address =
      (uintptr_t)allocate(player, player->model->shapes.layout[shape], words * 8 - below(player, 8), zeroed);
  if (!spot->address) {
    heap_is_full(player, words * 8);
    return false;
  }
  expect(player, spot->address % VARVE_GRANULE == 0, "a misaligned object");
  if (zeroed) check_zero(player, (uint64_t *)spot->address, spot->node->word_count);
  write_object(player, *spot, zeroed);
  shadow_check_identity(&player->graph, spot->node, spot->address);
  return true;
}

static bool make(struct player *player, enum shadow_shape shape, size_t wanted, struct spot *spot) {
  if (!make_blank(player, shape, wanted, spot)) {
    drop_some(player, 2);
    return false;
  }
  init_edges(player, *spot);
  return true;
}

static size_t random_words(struct player *player) {
  uint64_t sort = below(player, 4000);
  if (sort < 3600) return 2 + below(player, 12);
  if (sort < 3990) return 2 + below(player, 254);
  if (sort < 3999) return (256 + below(player, 256)) << below(player, 5);
  return 16384 + below(player, 1u << (10 + below(player, 7)));
}

static void op_make(struct player *player) {
  struct spot spot, into;
  uint64_t fate = below(player, 10);
  if (!make(player, (enum shadow_shape)below(player, SHAPE_COUNT), random_words(player), &spot)) return;
  if (fate < 4) keep(player, spot);
  else if (fate < 8 && pick_mutable(player, &into))
    store(player, into, &into.node->edges[below(player, into.node->edge_count)], spot);
}

/* ---- operations on the graph ------------------------------------------------------------------------------------- */

static void op_link(struct player *player) {
  struct spot from, to;
  if (pick_mutable(player, &from) && pick(player, &to))
    store(player, from, &from.node->edges[below(player, from.node->edge_count)], to);
}

static void op_cut(struct player *player) {
  struct spot from, stale = {NULL, 0};
  if (!pick_mutable(player, &from)) return;
  if (one_in(player, 2)) pick(player, &stale);
  stale.node = NULL; /* its address with a tag that is no reference, perhaps */
  store(player, from, &from.node->edges[below(player, from.node->edge_count)], stale);
}

/* The same target under another tag. */
static void op_retag(struct player *player) {
  struct spot from, to;
  struct shadow_edge *edge;
  if (!pick_mutable(player, &from)) return;
  edge = &from.node->edges[below(player, from.node->edge_count)];
  if (!edge->target) return;
  to = (struct spot){edge->target, (uintptr_t)varve_untag(varve_load((varve_word *)from.address + edge->word))};
  store(player, from, edge, to);
}

static void op_data(struct player *player) {
  struct spot spot;
  size_t word;
  if (!pick(player, &spot) || spot.node->shared || spot.node->shape != SHAPE_DATA || spot.node->word_count < 3) return;
  word = 2 + below(player, spot.node->word_count - 2);
  spot.node->words[word] = random_next(&player->random);
  ((uint64_t *)spot.address)[word] = spot.node->words[word];
}

static void op_host_byte(struct player *player) {
  struct spot spot;
  if (!pick(player, &spot) || spot.node->shared) return;
  spot.node->host_byte = (uint8_t)random_next(&player->random);
  varve_set_host_byte((varve_object *)spot.address, spot.node->host_byte);
}

/* Store a run of slots that comes from host memory. */
static void bulk_from_host(struct player *player, struct spot spot, size_t first, size_t count) {
  varve_word words[16];
  struct spot to[16] = {{NULL, 0}};
  for (size_t i = 0; i < count; ++i)
    if (!one_in(player, 3)) pick(player, &to[i]);
  for (size_t i = 0; i < count; ++i) words[i] = aim(player, spot.node, &spot.node->edges[first + i], to[i]);
  varve_store_bulk(player->mutator, (void *)spot.address,
                   (varve_word *)spot.address + spot.node->edges[first].word, words, count);
}

/* Move a run of slots within one object; the ranges may overlap. */
static void bulk_within(struct player *player, struct spot spot, size_t to, size_t from, size_t count) {
  struct shadow_edge *edges = spot.node->edges;
  varve_word *slots = (varve_word *)spot.address;
  struct shadow_node *targets[16];
  varve_store_bulk(player->mutator, slots, slots + edges[to].word, slots + edges[from].word, count);
  for (size_t i = 0; i < count; ++i) targets[i] = edges[from + i].target;
  for (size_t i = 0; i < count; ++i) edges[to + i].target = targets[i];
  memmove(spot.node->words + edges[to].word, spot.node->words + edges[from].word, count * 8);
}

static void op_bulk(struct player *player) {
  struct spot spot;
  size_t count, room;
  if (!pick_mutable(player, &spot) || spot.node->shape != SHAPE_ARRAY) return;
  count = 1 + below(player, spot.node->edge_count < 16 ? spot.node->edge_count : 16);
  room = spot.node->edge_count - count + 1;
  if (one_in(player, 2)) bulk_from_host(player, spot, below(player, room), count);
  else bulk_within(player, spot, below(player, room), below(player, room), count);
}

/* A long list, which a recursive or a badly ended marker would not survive. */
static void op_list(struct player *player) {
  VARVE_FRAME(f, player->mutator, list);
  struct root root = {.place = &f.list};
  struct root_group group = {.kind = ROOT_FRAME, .count = 1, .roots = &root, .shapes = &player->model->shapes};
  struct spot spot;
  player->groups[player->group_count++] = &group;
  for (uint64_t left = 500 + below(player, 4000); left; --left) {
    if (!make_blank(player, SHAPE_PAIR, 4, &spot)) break;
    if (root.target)
      store(player, spot, &spot.node->edges[left % 2], spot_of_root(player, &group, &root));
    root_set_target(&group, &root, player->mutator, &player->random, spot.node, spot.address);
  }
  --player->group_count;
  if (root.target && one_in(player, 2)) keep(player, spot_of_root(player, &group, &root));
}

static void op_wide(struct player *player) {
  struct spot spot, to;
  if (!make(player, SHAPE_ARRAY, 200 + below(player, one_in(player, 8) ? 40000 : 4000), &spot)) return;
  for (uint64_t i = below(player, 500); i; --i)
    if (pick(player, &to)) store(player, spot, &spot.node->edges[below(player, spot.node->edge_count)], to);
  keep(player, spot);
}

/* ---- what old objects come to refer to ---- */

static bool is_open_to_stores(const struct shadow_node *node) {
  return !node->shared && node->edge_count && !shadow_shape_immutable(node->shape);
}

/* A large array or array of records in the root. */
static void make_table(struct player *player, struct root *root) {
  static const enum shadow_shape shapes[] = {SHAPE_ARRAY,        SHAPE_ARRAY,        SHAPE_RECORDS,
                                             SHAPE_WIDE_RECORDS, SHAPE_LONG_RECORDS, SHAPE_UNION_4};
  struct spot spot;
  if (make_blank(player, shapes[below(player, 6)], 16400 + below(player, one_in(player, 8) ? 60000 : 1000), &spot))
    root_set_target(player->tables, root, player->mutator, &player->random, spot.node, spot.address);
}

/* The first, the last, or any; often neighbours. */
static struct shadow_edge *table_edge(struct player *player, struct shadow_node *node, uint64_t near) {
  uint64_t last = node->edge_count - 1, sort = below(player, 8);
  uint64_t index = sort == 0 ? 0 : sort == 1 ? last : sort < 4 ? below(player, last + 1) : near % node->edge_count;
  return &node->edges[index];
}

/* Young objects into a large array, or nothing. */
static void op_table(struct player *player) {
  struct root *root = any_root(player, player->tables);
  if (!root->target || one_in(player, 60)) make_table(player, root);
  uint64_t near = below(player, 1u << 15);
  for (uint64_t left = below(player, 8); left; --left, ++near) {
    struct spot young = {NULL, 0};
    bool made = !one_in(player, 3) && make_blank(player, SHAPE_PAIR, 4, &young);
    if (!root->target || !root->target->edge_count) return;
    struct spot table = spot_of_root(player, player->tables, root);
    store(player, table, table_edge(player, table.node, near), made ? young : (struct spot){NULL, 0});
  }
}

/* Walk through an old structure and store young objects as it goes along. */
static void rewire(struct player *player, struct root_group *group, struct root *root, uint64_t steps) {
  struct spot young;
  while (steps-- && make_blank(player, SHAPE_PAIR, 4, &young)) {
    struct spot at = spot_of_root(player, group, root);
    bool open = is_open_to_stores(at.node);
    struct shadow_edge *edge = open ? &at.node->edges[below(player, at.node->edge_count)] : NULL;
    if (at.node->shared || !step(player, &at)) steps = 0; /* the last one */
    struct spot from = spot_of_root(player, group, root);
    if (edge && !one_in(player, 4)) store(player, from, edge, young);
    root_set_target(group, root, player->mutator, &player->random, at.node, at.address);
  }
}

static void op_rewire(struct player *player) {
  VARVE_FRAME(f, player->mutator, at);
  struct root root = {.place = &f.at};
  struct root_group group = {.kind = ROOT_FRAME, .count = 1, .roots = &root, .shapes = &player->model->shapes};
  struct spot spot;
  if (!pick(player, &spot)) return;
  player->groups[player->group_count++] = &group;
  root_set_target(&group, &root, player->mutator, &player->random, spot.node, spot.address);
  rewire(player, &group, &root, below(player, 1000));
  --player->group_count;
}

/* Allocate until the heap is full, then let go. Nothing else may be lost. */
static void op_fill(struct player *player) {
  VARVE_FRAME(f, player->mutator, list);
  struct root root = {.place = &f.list};
  struct root_group group = {.kind = ROOT_FRAME, .count = 1, .roots = &root, .shapes = &player->model->shapes};
  struct spot spot;
  if (!one_in(player, 4)) return; /* it takes long */
  uint64_t before = player->fulls, words = 2048u << below(player, 4);
  player->groups[player->group_count++] = &group;
  for (uint64_t held = 0; held < player->model->options.heap_max; held += words * 8) {
    if (!make_blank(player, SHAPE_ARRAY, words, &spot)) break;
    if (root.target) store(player, spot, &spot.node->edges[0], spot_of_root(player, &group, &root));
    root_set_target(&group, &root, player->mutator, &player->random, spot.node, spot.address);
  }
  expect(player, player->fulls > before, "the heap holds more than its limit");
  root_set_word(&group, &root, player->mutator, &player->random, 0);
  compare(player);
  --player->group_count;
}

static void op_drop_nearly_all(struct player *player) {
  drop_some(player, 1);
  compare(player);
}

/* ---- operations on roots ----------------------------------------------------------------------------------------- */

static void op_copy_root(struct player *player) {
  struct spot spot;
  if (pick(player, &spot)) keep(player, spot);
}

static void op_clear_root(struct player *player) {
  struct root_group *group;
  struct root *root;
  if (pick_place(player, &group, &root))
    root_set_word(group, root, player->mutator, &player->random, raw_word(player, root_tags(group)));
}

/* Take or give back a handle, a slab word, or a word of a Ref array with a bitmap. */
static void op_open_close(struct player *player) {
  struct root_group *group = any_group(player);
  struct root *root;
  if (!group || !(group->kind == ROOT_HANDLES || group->kind == ROOT_SLAB || group->bitmap)) return;
  root = any_root(player, group);
  if (root->place)
    root_close(group, root, player->mutator, group->bitmap ? random_next(&player->random) : 0);
  else
    root_open(group, root, player->mutator, raw_word(player, root_tags(group)));
}

static struct root_group *new_group(struct player *player) {
  const struct shadow_shapes *shapes = &player->model->shapes;
  bool yes = one_in(player, 2);
  size_t count = 1 + below(player, 40), stride = one_in(player, 16) ? 512 + below(player, 12000) : 1 + below(player, 5);
  switch (below(player, 7)) {
    case 0: return root_group_handles(shapes, count);
    case 1: return root_group_slab(shapes, 4 * count, player->model->slab, &player->cursor);
    case 2: return root_group_slots(shapes, count);
    case 3: return root_group_callback(shapes, count, 1 + below(player, 5), yes);
    case 4: return root_group_ref_array(shapes, count, 1 + below(player, 5), yes, ROOT_UNTRACKED);
    case 5: return root_group_ref_array(shapes, 4 * count, 1 + below(player, 5), yes, ROOT_SLOT_ARRAY);
    default: return root_group_ref_array(shapes, stride < 512 ? 4 * count : count, stride, yes, ROOT_REF_ARRAY);
  }
}

static void op_add_group(struct player *player) {
  struct root_group *group;
  if (player->group_count + 2 * DEPTH_MAX >= GROUPS_MAX) return;
  group = new_group(player);
  if (group) player->groups[player->group_count++] = group;
}

static void op_remove_group(struct player *player) {
  size_t index = below(player, player->group_count + 1);
  if (index >= player->group_count || player->groups[index]->kind == ROOT_FRAME || player->group_count < 6) return;
  if (player->groups[index] == player->tables) return;
  root_group_free(player->groups[index], player->mutator);
  player->groups[index] = player->groups[--player->group_count];
}

static void op_grow_array(struct player *player) {
  struct root_group *group = any_group(player);
  size_t most = group && group->stride_words < 512 ? 1000 : 60;
  if (group && root_group_is_array(group) && group->count < most)
    root_group_grow(group, group->count + 1 + below(player, group->count));
}

/* ---- shared nodes ------------------------------------------------------------------------------------------------ */

/* The host's lock is held. */
static bool pick_shared(struct player *player, struct spot *spot) {
  struct root_group *group = player->model->shared_roots;
  struct root *root = any_root(player, group);
  if (!root->place || !root->target) return false;
  *spot = spot_of_root(player, group, root);
  for (uint64_t steps = below(player, 6); steps > 0; --steps) step(player, spot);
  return true;
}

static void share_node(struct player *player, struct shadow_node *node) {
  expect(player, player->graph.nodes == node, "test: not the newest node");
  player->graph.nodes = node->next;
  --player->graph.count;
  player->graph.bytes -= (uint64_t)node->word_count * 8;
  node->next = player->model->shared.nodes;
  node->shared = true;
  player->model->shared.nodes = node;
  player->model->shared.bytes += (uint64_t)node->word_count * 8;
  ++player->model->shared.count;
}

static void put_shared(struct player *player, struct spot spot) {
  struct root_group *group = player->model->shared_roots;
  struct root *root = any_root(player, group);
  group->cursor = &player->cursor;
  if (root->place || root_open(group, root, player->mutator, 0))
    root_set_target(group, root, player->mutator, &player->random, spot.node, spot.address);
}

static void op_publish(struct player *player) {
  static const enum shadow_shape shapes[] = {SHAPE_PAIR, SHAPE_ARRAY, SHAPE_DATA, SHAPE_SCATTERED, SHAPE_TRACE};
  struct spot spot, to;
  if (!make_blank(player, shapes[below(player, 5)], 2 + below(player, 10), &spot)) {
    drop_some(player, 2);
    return;
  }
  pthread_mutex_lock(&player->model->lock);
  share_node(player, spot.node);
  for (size_t i = 0; i < spot.node->edge_count; ++i)
    if (one_in(player, 2) && pick_shared(player, &to)) store(player, spot, &spot.node->edges[i], to);
  put_shared(player, spot);
  pthread_mutex_unlock(&player->model->lock);
  note_held(player);
  if (one_in(player, 2)) keep(player, spot);
}

static void op_shared(struct player *player) {
  struct root_group *group = player->model->shared_roots;
  struct root *root;
  struct spot from = {NULL, 0}, to = {NULL, 0};
  pthread_mutex_lock(&player->model->lock);
  if (pick_shared(player, &from) && from.node->edge_count) {
    if (!one_in(player, 4)) pick_shared(player, &to);
    store(player, from, &from.node->edges[below(player, from.node->edge_count)], to);
  }
  root = any_root(player, group);
  if (one_in(player, 8) && root->place) root_close(group, root, player->mutator, 0);
  pthread_mutex_unlock(&player->model->lock);
  if (from.node && one_in(player, 4)) keep(player, from);
}

/* ---- operations on the mutator ----------------------------------------------------------------------------------- */

static void sleep_us(uint64_t us) { nanosleep(&(struct timespec){0, (long)us * 1000}, NULL); }

static void op_poll(struct player *player) {
  if (one_in(player, 2)) varve_poll(player->mutator);
  else varve_ffi_poll(player->mutator);
}

static void op_native(struct player *player) {
  expect(player, varve_native_enter(player->mutator) == VARVE_OK, "native_enter refused");
  sleep_us(below(player, 300));
  expect(player, varve_native_leave(player->mutator) == VARVE_OK, "native_leave refused");
}

static void op_collect(struct player *player) {
  expect(player, varve_collect(player->mutator) == VARVE_OK, "collect refused");
  compare(player);
}

static void op_collect_newest(struct player *player) {
  expect(player, varve_collect_newest(player->mutator) == VARVE_OK, "collect_newest refused");
  if (one_in(player, 4)) compare(player);
}

static void op_verify(struct player *player) {
  varve_error error = {0};
  if (varve_verify(player->mutator, &error) != VARVE_OK) shadow_fail(&player->graph, "verifier: %s", error.detail);
}

static void attach(struct player *player) {
  varve_error error = {0};
  if (varve_attach(player->model->heap, "player", &player->mutator, &error) != VARVE_OK)
    shadow_fail(&player->graph, "attach: %s", error.detail);
}

static void op_detach(struct player *player) {
  if (player->depth) {
    expect(player, varve_detach(player->mutator) == VARVE_BUSY, "detach with frames was not refused");
    return;
  }
  expect(player, varve_detach(player->mutator) == VARVE_OK, "detach refused");
  sleep_us(below(player, 200));
  attach(player);
  compare(player);
}

static void op_compare(struct player *player) {
  compare(player);
  if (player->live > player->model->budget) drop_some(player, 1 + below(player, 2));
}

/* ---- playing ----------------------------------------------------------------------------------------------------- */

static void play(struct player *player, uint64_t ops);

static void play_in_group(struct player *player, struct root *roots, size_t count) {
  struct root_group group = {.kind = ROOT_FRAME, .count = count, .roots = roots, .shapes = &player->model->shapes};
  size_t index = 0;
  player->groups[player->group_count++] = &group;
  ++player->depth;
  play(player, 1 + below(player, 300));
  --player->depth;
  while (player->groups[index] != &group) ++index;
  player->groups[index] = player->groups[--player->group_count];
}

static void call_with_names(struct player *player) {
  VARVE_FRAME(f, player->mutator, first, second, third);
  struct root roots[3] = {{.place = &f.first}, {.place = &f.second}, {.place = &f.third}};
  play_in_group(player, roots, 3);
}

static void call_with_array(struct player *player) {
  VARVE_FRAME_ARRAY(f, player->mutator, 11);
  struct root roots[11] = {{NULL, NULL, 0}};
  for (size_t i = 0; i < 11; ++i) roots[i].place = &f.slot[i];
  play_in_group(player, roots, 11);
}

static void op_call(struct player *player) {
  if (player->depth >= DEPTH_MAX) return;
  if (one_in(player, 2)) call_with_names(player);
  else call_with_array(player);
}

struct operation {
  const char *name;
  void (*run)(struct player *player);
  unsigned weight;
};

static const struct operation operations[] = {
    {"make", op_make, 30000},        {"link", op_link, 20000},
    {"cut", op_cut, 5000},           {"retag", op_retag, 4000},
    {"data", op_data, 3000},         {"host byte", op_host_byte, 2000},
    {"bulk", op_bulk, 2000},         {"copy root", op_copy_root, 10000},
    {"clear root", op_clear_root, 5000}, {"open or close", op_open_close, 8000},
    {"add group", op_add_group, 100}, {"remove group", op_remove_group, 80},
    {"grow array", op_grow_array, 50}, {"publish", op_publish, 400},
    {"shared", op_shared, 1000},     {"poll", op_poll, 5000},
    {"native", op_native, 50},       {"collect", op_collect, 60},
    {"collect newest", op_collect_newest, 60},
    {"table", op_table, 200},        {"rewire", op_rewire, 15},
    {"verify", op_verify, 2},        {"detach", op_detach, 20},
    {"call", op_call, 300},          {"list", op_list, 6},
    {"wide", op_wide, 30},           {"fill", op_fill, 1},
    {"drop nearly all", op_drop_nearly_all, 6}, {"compare", op_compare, 80},
};

#define OPERATION_COUNT (sizeof operations / sizeof operations[0])

static unsigned total_weight(void) {
  unsigned total = 0;
  for (size_t i = 0; i < OPERATION_COUNT; ++i) total += operations[i].weight;
  return total;
}

static void play_one(struct player *player) {
  uint64_t ticket = below(player, total_weight());
  size_t index = 0;
  while (ticket >= operations[index].weight) ticket -= operations[index++].weight;
  player->doing = operations[index].name;
  ++player->op;
  operations[index].run(player);
}

static void play(struct player *player, uint64_t ops) {
  for (; ops && player->op < player->ops; --ops) play_one(player);
}

/* Let go of everything; nothing of this thread may stay reachable. */
static void finish(struct player *player) {
  player->doing = "end";
  op_collect(player);
  while (player->group_count) root_group_free(player->groups[--player->group_count], player->mutator);
  compare(player);
  expect(player, player->live == 0 && player->graph.count == 0, "test: nodes without roots");
  varve_slab_cursor_close(&player->cursor);
  expect(player, varve_detach(player->mutator) == VARVE_OK, "detach refused at the end");
}

static void *player_main(void *argument) {
  struct player *player = argument;
  player->doing = "start";
  attach(player);
  varve_slab_cursor_open(&player->cursor, player->model->slab);
  player->tables = root_group_slots(&player->model->shapes, TABLES);
  expect(player, player->tables != NULL, "no memory for roots");
  player->groups[player->group_count++] = player->tables;
  for (int i = 0; i < 6; ++i) op_add_group(player);
  play(player, player->ops);
  finish(player);
  return NULL;
}

static void player_init(struct player *player, struct model *model, unsigned index) {
  player->model = model;
  player->index = index;
  player->random.state = model->seed * 1000003 + index;
  player->ops = model->ops / model->threads;
  player->graph = (struct shadow_graph){.shapes = &model->shapes, .next_id = ((uint64_t)index + 1) << 48 | 1,
                                        .fail = fail, .context = player};
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

static void model_start(struct model *model) {
  varve_error error;
  if (varve_heap_create(&model->options, &model->heap, &error) != VARVE_OK) {
    fprintf(stderr, "no heap: %s\n", error.detail);
    exit(1);
  }
  model->options = *varve_heap_options(model->heap);
  shadow_shapes_register(&model->shapes, model->heap);
  model->slab = varve_slab_create(model->heap, "slab");
  pthread_mutex_init(&model->lock, NULL);
  model->shared = (struct shadow_graph){.shapes = &model->shapes, .fail = fail, .context = &model->players[0]};
  model->shared_roots = root_group_slab(&model->shapes, SHARED_ROOTS, model->slab, NULL);
}

static void model_play(struct model *model) {
  pthread_t threads[64];
  for (unsigned i = 0; i < model->threads; ++i) player_init(&model->players[i], model, i);
  for (unsigned i = 0; i < model->threads; ++i)
    if (pthread_create(&threads[i], NULL, player_main, &model->players[i])) abort();
  for (unsigned i = 0; i < model->threads; ++i) pthread_join(threads[i], NULL);
}

/* All threads are gone: drop what was shared; the next collection must find nothing. */
static void model_end(struct model *model) {
  struct player *player = &model->players[0];
  varve_collection_stats stats = {0};
  player->doing = "after the end";
  attach(player);
  op_collect(player);
  root_group_free(model->shared_roots, player->mutator);
  expect(player, varve_slab_count(model->slab) == 0, "slab words in use although all were given back");
  expect(player, varve_collect(player->mutator) == VARVE_OK, "collect refused");
  varve_collection_stats_get(model->heap, &stats);
  expect(player, stats.live_after == 0, "live bytes in a heap without roots");
  expect(player, varve_heap_destroy(model->heap) == VARVE_BUSY, "destroy with a mutator was not refused");
  expect(player, varve_detach(player->mutator) == VARVE_OK, "detach refused");
  varve_slab_destroy(model->slab);
  shadow_graph_free(&model->shared);
}

static void summary(const struct model *model) {
  varve_heap_stats stats;
  uint64_t fulls = 0;
  varve_heap_stats_get(model->heap, &stats);
  for (unsigned i = 0; i < model->threads; ++i) fulls += model->players[i].fulls;
  printf("%" PRIu64 " operations, %" PRIu64 " collections (%" PRIu64 " emergencies), %" PRIu64
         " MiB allocated, %" PRIu64 " MiB moved, %" PRIu64 " times full\n",
         model->ops, stats.collections, stats.emergencies, stats.bytes_allocated >> 20, stats.bytes_moved >> 20, fulls);
}

/* ---- the command line -------------------------------------------------------------------------------------------- */

static void parse_options(struct model *model, const char *text) {
  varve_error error;
  if (varve_options_parse(&model->options, text, &error) == VARVE_OK) return;
  fprintf(stderr, "options: %s\n", error.detail);
  exit(2);
}

/* What the options are before the command line is read. The tag sets come from the seed. */
static void default_options(struct model *model) {
  struct random random = {model->seed};
  varve_options_init(&model->options);
  parse_options(model, "heap-max=24m,workers=2,parallel-min=0,move-everything=1,verify=2,poison=1");
  model->options.granule = VARVE_GRANULE;
  model->options.slot_tags = (uint32_t)(1 + random_below(&random, 255));
  model->options.ref_tags = (uint32_t)(1 + random_below(&random, 255));
}

static const char *argument(int argc, char **argv, const char *name) {
  for (int i = 1; i + 1 < argc; i += 2)
    if (strcmp(argv[i], name) == 0) return argv[i + 1];
  return NULL;
}

static uint64_t number(int argc, char **argv, const char *name, uint64_t otherwise) {
  const char *text = argument(argc, argv, name);
  return text ? strtoull(text, NULL, 0) : otherwise;
}

static void check_arguments(int argc, char **argv) {
  static const char *const names[] = {"--seed", "--ops", "--threads", "--workers", "--heap", "--budget", "--options",
                                      "--machine"};
  for (int i = 1; i < argc; i += 2) {
    bool known = false;
    for (size_t j = 0; j < sizeof names / sizeof names[0]; ++j) known |= strcmp(argv[i], names[j]) == 0;
    if (known && i + 1 < argc) continue;
    fprintf(stderr, "usage: %s [--seed S] [--ops N] [--threads T] [--workers W] [--heap SIZE] [--budget NODES]"
                    " [--options LIST] [--machine TEXT]\n", argv[0]);
    exit(2);
  }
}

static void read_options(struct model *model, int argc, char **argv) {
  static const struct { const char *argument, *option; } sizes[] = {{"--workers", "workers"}, {"--heap", "heap-max"}};
  char text[64];
  for (size_t i = 0; i < 2; ++i) {
    const char *value = argument(argc, argv, sizes[i].argument);
    if (!value) continue;
    snprintf(text, sizeof text, "%s=%s", sizes[i].option, value);
    parse_options(model, text);
  }
  if (argument(argc, argv, "--options")) parse_options(model, argument(argc, argv, "--options"));
}

int main(int argc, char **argv) {
  static struct model model;
  const char *environment = getenv("VARVE_TEST_SEED");
  check_arguments(argc, argv);
  model.seed = number(argc, argv, "--seed", environment ? strtoull(environment, NULL, 0) : 1);
  printf("seed %" PRIu64 "\n", model.seed);
  fflush(stdout);
  model.ops = number(argc, argv, "--ops", 1000000);
  model.threads = (unsigned)number(argc, argv, "--threads", 2);
  model.budget = number(argc, argv, "--budget", 2000);
  if (model.threads < 1 || model.threads > 64) return 2;
  if (argument(argc, argv, "--machine")) setenv("HWLOC_SYNTHETIC", argument(argc, argv, "--machine"), 1);
  default_options(&model);
  read_options(&model, argc, argv);
  model.players = calloc(model.threads, sizeof *model.players);
  model_start(&model);
  model_play(&model);
  model_end(&model);
  summary(&model);
  varve_status status = varve_heap_destroy(model.heap);
  free(model.players);
  return status == VARVE_OK ? 0 : 1;
}
