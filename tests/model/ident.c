/* SPDX-License-Identifier: MIT */
/* ident.c -- random programs that hash, walk, ask for ways and make immortal, beside a shadow that knows the truth.
 *
 * One graph is shared by all threads. Who changes it or looks at it holds a lock, which is waited for in native state;
 * so whoever holds it sees a graph and a shadow that agree, while others allocate and hash garbage, and everybody
 * collects. A node's number is in its object. Walks must meet every node that the shadow can reach, once, and nothing
 * else; as many references as the shadow has; ways that are right step by step and no longer than the shadow's; hashes
 * must stay what they were and be all different.
 *
 *   ident [--seed S] [--steps N] [--threads T] [--options LIST]
 *
 * @test quick    quick --steps 1500
 * @test flat     quick --steps 1000 --options ages=0
 * @test lone     quick --steps 1000 --threads 1 --options workers=1
 * @test young    long --steps 3000 --options stress=200
 * @test stress   long --steps 700 --options stress=5
 * @test segments long --steps 1500 --options mark-segments=4,stress=100,workers=4
 * @test help     long --steps 2000 --options mutators-help=1,workers=3,stress=100
 * @test still    long --steps 2500 --options move-everything=0,stress=100
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/random.h"
#include "varve/varve.h"

#define NODES 3000u
#define REFS 40u
#define SLOTS 24u
#define HANDLES 6u
#define FRAME_SLOTS 4u
#define THREADS_MAX 8u
#define ROOTS (2 * SLOTS + HANDLES + THREADS_MAX * FRAME_SLOTS)
#define NOBODY 0u /* node 0 is never used */

struct object {
  varve_object header;
  uint64_t number;
  varve_word refs[];
};

struct node {
  bool used, reached, met;
  unsigned kind;
  unsigned refs[REFS];
  uint64_t hash; /* 0: never asked */
  unsigned distance;
};

/* A root slot and the node that it refers to. */
struct root {
  varve_word *slot;     /* NULL: a handle, or not there */
  varve_handle *handle;
  varve_refs *refs;     /* NULL: a plain slot */
  unsigned node;
};

enum { KIND_PAIR, KIND_ARRAY, KIND_MEDIUM, KIND_LARGE, KINDS };
static const size_t sizes[KINDS] = {32, 16 + REFS * 8, 40000, 150000};
static const unsigned ref_counts[KINDS] = {2, REFS, REFS, REFS};

static struct {
  varve_heap *heap;
  varve_layout layouts[KINDS];
  varve_word slots[SLOTS];
  pthread_mutex_t lock;
  struct node nodes[NODES];
  struct root roots[ROOTS];
  unsigned queue[NODES], queued;
  uint64_t seed;
  unsigned steps, threads;
  const char *options;
} test = {.lock = PTHREAD_MUTEX_INITIALIZER, .seed = 1, .steps = 1000, .threads = 3, .options = ""};

struct player {
  varve_mutator *me;
  struct random random;
  unsigned index;
};

static void die(const char *what) {
  fprintf(stderr, "ident: seed %llu: %s\n", (unsigned long long)test.seed, what);
  abort();
}

static void require(bool sound, const char *what) {
  if (!sound) die(what);
}

static struct object *object_of(varve_word word) { return (struct object *)varve_untag(word); }

/* ---- the shadow ---- */

static void reach(unsigned node, unsigned distance) {
  if (node == NOBODY || test.nodes[node].reached) return;
  test.nodes[node].reached = true;
  test.nodes[node].distance = distance;
  test.queue[test.queued++] = node;
}

/* Breadth first, from all roots but one. */
static void reach_all(const struct root *except) {
  test.queued = 0;
  for (unsigned i = 0; i < NODES; ++i) test.nodes[i].reached = test.nodes[i].met = false;
  for (unsigned i = 0; i < ROOTS; ++i)
    if (&test.roots[i] != except) reach(test.roots[i].node, 1);
  for (unsigned at = 0; at < test.queued; ++at) {
    const struct node *node = &test.nodes[test.queue[at]];
    for (unsigned i = 0; i < ref_counts[node->kind]; ++i) reach(node->refs[i], node->distance + 1);
  }
}

/* References to a node in the shadow, after reach_all(NULL); NOBODY: to all. */
static size_t count_references(unsigned to) {
  size_t count = 0;
  for (unsigned i = 0; i < ROOTS; ++i) count += test.roots[i].node && (!to || test.roots[i].node == to);
  for (unsigned at = 0; at < test.queued; ++at) {
    const struct node *node = &test.nodes[test.queue[at]];
    for (unsigned i = 0; i < ref_counts[node->kind]; ++i) count += node->refs[i] && (!to || node->refs[i] == to);
  }
  return count;
}

static unsigned free_node(void) {
  for (unsigned pass = 0; pass < 2; ++pass) {
    for (unsigned i = 1; i < NODES; ++i)
      if (!test.nodes[i].used) return i;
    reach_all(NULL);
    for (unsigned i = 1; i < NODES; ++i) test.nodes[i].used = test.nodes[i].reached;
  }
  return NOBODY;
}

/* ---- the heap beside it ---- */

static varve_word root_load(const struct root *root) {
  return root->handle ? varve_handle_get(root->handle) : root->slot ? *root->slot : 0;
}

static void root_store(struct player *p, struct root *root, varve_word word, unsigned node) {
  if (root->handle) varve_handle_set(p->me, root->handle, word);
  else if (root->refs) varve_ref_store(p->me, root->refs, root->slot, word);
  else if (root->slot) *root->slot = word;
  else return;
  root->node = node;
}

/* A root of any kind, but of frames only one's own. */
static struct root *any_root(struct player *p) {
  unsigned i = (unsigned)random_below(&p->random, 2 * SLOTS + HANDLES + FRAME_SLOTS);
  return &test.roots[i < 2 * SLOTS + HANDLES ? i : i + p->index * FRAME_SLOTS];
}

/* A random way down from a random root, in the heap and in the shadow. */
static unsigned find_node(struct player *p, varve_word *word) {
  struct root *root = any_root(p);
  unsigned node = root->node;
  *word = root_load(root);
  require((*word == 0) == (node == NOBODY), "a root is null, or is not");
  for (unsigned down = (unsigned)random_below(&p->random, 6); down && node; --down) {
    unsigned i = (unsigned)random_below(&p->random, ref_counts[test.nodes[node].kind]);
    require(object_of(*word)->number == node, "another object than the shadow's");
    if (!test.nodes[node].refs[i]) break;
    *word = varve_load(&object_of(*word)->refs[i]);
    node = test.nodes[node].refs[i];
  }
  require(!node || object_of(*word)->number == node, "another object than the shadow's");
  return node;
}

static unsigned random_kind(struct player *p) {
  unsigned roll = (unsigned)random_below(&p->random, 100);
  return roll < 60 ? KIND_PAIR : roll < 95 ? KIND_ARRAY : roll < 98 ? KIND_MEDIUM : KIND_LARGE;
}

static struct object *allocate(struct player *p, unsigned kind) {
  struct object *object = varve_alloc(p->me, test.layouts[kind], sizes[kind]);
  require(object, "no memory");
  return object;
}

static void do_new(struct player *p) {
  unsigned kind = random_kind(p), number = free_node();
  if (!number) return;
  struct object *object = allocate(p, kind);
  struct node *node = &test.nodes[number];
  *node = (struct node){.used = true, .kind = kind};
  object->number = number;
  for (unsigned i = 0; i < ref_counts[kind]; ++i) {
    varve_word word;
    if (!random_one_in(&p->random, 3)) continue;
    node->refs[i] = find_node(p, &word);
    varve_init(p->me, object, &object->refs[i], word);
  }
  root_store(p, any_root(p), varve_tag(object, 0), number);
}

static void do_store(struct player *p) {
  varve_word holder, word = 0;
  unsigned number = find_node(p, &holder), to = NOBODY;
  if (!number) return;
  if (!random_one_in(&p->random, 3)) to = find_node(p, &word);
  unsigned i = (unsigned)random_below(&p->random, ref_counts[test.nodes[number].kind]);
  varve_store(p->me, object_of(holder), &object_of(holder)->refs[i], word);
  test.nodes[number].refs[i] = to;
}

static void do_root(struct player *p) {
  varve_word word = 0;
  unsigned node = random_one_in(&p->random, 2) ? find_node(p, &word) : NOBODY;
  root_store(p, any_root(p), word, node);
}

static void do_hash(struct player *p) {
  varve_word word;
  struct node *node = &test.nodes[find_node(p, &word)];
  if (node == test.nodes) return;
  uint64_t hash = varve_identity_hash(p->me, varve_untag(word));
  require(hash && (!node->hash || node->hash == hash), "an identity hash has changed");
  for (unsigned i = 1; !node->hash && i < NODES; ++i)
    require(!test.nodes[i].used || test.nodes[i].hash != hash, "two objects have one hash");
  node->hash = hash;
}

/* ---- walks ---- */

static void meet_object(void *context, varve_object *at, size_t bytes) {
  const struct object *object = (const struct object *)at;
  struct node *node = &test.nodes[object->number];
  require(object->number < NODES && node->reached && !node->met, "a walk met what is dead, or an object twice");
  require(bytes == sizes[node->kind] && varve_object_layout(at) == test.layouts[node->kind], "of another size");
  node->met = true;
  ++*(size_t *)context;
}

static void walk_objects(struct player *p) {
  size_t met = 0;
  reach_all(NULL);
  require(varve_walk_objects(p->me, meet_object, &met, NULL) == VARVE_OK && met == test.queued, "objects are missing");
}

static void meet_reference(void *context, const varve_reference *reference) {
  unsigned to = (unsigned)((struct object *)reference->to)->number;
  require(*(const varve_word *)reference->slot == reference->word && varve_untag(reference->word) == reference->to, "not its slot");
  if (reference->from) {
    const struct object *from = (const struct object *)reference->from;
    size_t i = (reference->offset - sizeof *from) / 8;
    require(i < REFS && test.nodes[from->number].refs[i] == to, "a reference that the shadow has not");
  }
  ++*(size_t *)context;
}

static struct root *root_with_slot(struct player *p) {
  struct root *root = any_root(p);
  return root->slot && root->node ? root : NULL;
}

static void walk_references(struct player *p) {
  struct root *root = random_one_in(&p->random, 3) ? NULL : root_with_slot(p);
  size_t met = 0;
  reach_all(NULL);
  require(varve_walk_references(p->me, root ? root->slot : NULL, meet_reference, &met, NULL) == VARVE_OK, "no walk");
  require(met == count_references(root ? root->node : NOBODY), "references are missing");
}

struct way {
  unsigned steps;
  varve_object *last;
};

static void meet_step(void *context, const varve_reference *reference) {
  struct way *way = context;
  size_t met = 0;
  require((way->steps == 0) == (reference->root != NULL), "a root in the middle of a way, or none at its begin");
  require(!way->steps || reference->from == way->last, "steps that do not meet");
  meet_reference(&met, reference);
  way->last = reference->to;
  ++way->steps;
}

static void find_way(struct player *p) {
  struct root *root = root_with_slot(p);
  struct way way = {0};
  if (!root) return;
  reach_all(root);
  require(varve_path_to(p->me, root->slot, meet_step, &way, NULL) == VARVE_OK, "no way");
  const struct node *node = &test.nodes[root->node];
  require(way.steps == (node->reached ? node->distance : 0), "a way that is too long, or none");
  require(!way.steps || (struct object *)way.last == object_of(*root->slot), "a way to another object");
}

static void meet_row(void *context, const varve_census_row *row) {
  size_t *count = context, objects = 0, kind = 0;
  while (test.layouts[kind] != row->layout) ++kind;
  for (unsigned i = 1; i < NODES; ++i) objects += test.nodes[i].reached && test.nodes[i].kind == kind;
  require(row->objects == objects && row->bytes == objects * sizes[kind], "the census is wrong");
  *count += objects;
}

static void census(struct player *p) {
  size_t count = 0;
  reach_all(NULL);
  require(varve_census(p->me, meet_row, &count, NULL) == VARVE_OK && count == test.queued, "the census is short");
}

/* ---- players ---- */

static void collect(struct player *p) {
  require((random_one_in(&p->random, 4) ? varve_collect : varve_collect_newest)(p->me) == VARVE_OK, "no collection");
}

/* Each time what is alive anew, so that garbage does not pile up. */
static void make_immortal(struct player *p) {
  varve_status expected = varve_heap_options(test.heap)->ages ? VARVE_OK : VARVE_OPTION;
  require(varve_heap_make_immortal(p->me, NULL) == expected, "not immortal, or against the options");
}

static void play_in_turn(struct player *p) {
  unsigned roll = (unsigned)random_below(&p->random, 200);
  if (roll < 70) do_new(p);
  else if (roll < 110) do_store(p);
  else if (roll < 135) do_root(p);
  else if (roll < 180) do_hash(p);
  else if (roll < 184) collect(p);
  else if (roll < 185) make_immortal(p);
  else if (roll < 189) walk_objects(p);
  else if (roll < 194) walk_references(p);
  else if (roll < 198) find_way(p);
  else census(p);
}

static void make_garbage(struct player *p) {
  for (unsigned i = (unsigned)random_below(&p->random, 20); i; --i) {
    struct object *object = allocate(p, random_one_in(&p->random, 50) ? random_kind(p) : KIND_PAIR);
    if (random_one_in(&p->random, 4)) require(varve_identity_hash(p->me, object), "no hash");
  }
}

static void take_turn(struct player *p) {
  varve_native_enter(p->me);
  pthread_mutex_lock(&test.lock);
  varve_native_leave(p->me);
}

static void open_frame(struct player *p, varve_word *slots) {
  for (unsigned i = 0; i < FRAME_SLOTS; ++i)
    test.roots[2 * SLOTS + HANDLES + p->index * FRAME_SLOTS + i] = (struct root){.slot = &slots[i]};
}

static void close_frame(struct player *p) {
  for (unsigned i = 0; i < FRAME_SLOTS; ++i)
    test.roots[2 * SLOTS + HANDLES + p->index * FRAME_SLOTS + i] = (struct root){0};
}

static void *play(void *argument) {
  struct player *p = argument;
  require(varve_attach(test.heap, NULL, &p->me, NULL) == VARVE_OK, "attach");
  {
    VARVE_FRAME_ARRAY(f, p->me, FRAME_SLOTS);
    take_turn(p);
    open_frame(p, f.slot);
    pthread_mutex_unlock(&test.lock);
    for (unsigned step = 0; step < test.steps; ++step) {
      take_turn(p);
      play_in_turn(p);
      pthread_mutex_unlock(&test.lock);
      make_garbage(p);
    }
    take_turn(p);
    close_frame(p);
    for (unsigned i = 0; i < FRAME_SLOTS; ++i) f.slot[i] = 0;
    pthread_mutex_unlock(&test.lock);
  }
  require(varve_detach(p->me) == VARVE_OK, "detach");
  return NULL;
}

/* ---- the program ---- */

static void register_layouts(void) {
  static const uint32_t offsets[] = {16, 24};
  static const char *const names[KINDS] = {"pair", "array", "medium", "large"};
  for (unsigned kind = 0; kind < KINDS; ++kind) {
    varve_layout_desc pair = {.name = names[kind], .kind = VARVE_LAYOUT_OFFSETS, .offsets = offsets, .offset_count = 2};
    varve_layout_desc array = {.name = names[kind], .kind = VARVE_LAYOUT_REF_ARRAY, .first = 16};
    require(varve_layout_register(test.heap, kind ? &array : &pair, &test.layouts[kind], NULL) == VARVE_OK, "layout");
  }
}

static void open_roots(varve_mutator *me, varve_refs **slab, varve_slab_cursor *cursor) {
  require(varve_root_slots_add(test.heap, "slots", test.slots, SLOTS, NULL) == VARVE_OK, "slots");
  require((*slab = varve_slab_create(test.heap, "slab")), "slab");
  varve_slab_cursor_open(cursor, *slab);
  for (unsigned i = 0; i < SLOTS; ++i) {
    test.roots[i].slot = &test.slots[i];
    test.roots[SLOTS + i] = (struct root){.slot = varve_slab_take(cursor, me, 0), .refs = *slab};
  }
  for (unsigned i = 0; i < HANDLES; ++i) test.roots[2 * SLOTS + i].handle = varve_handle_new(me, 0);
}

static void open_heap(void) {
  varve_options options;
  varve_error error = {0};
  varve_options_init(&options);
  static const char hard[] = "heap-max=96m,workers=2,parallel-min=0,move-everything=1,poison=1,verify=2";
  if (varve_options_parse(&options, hard, &error) ||
      varve_options_parse(&options, test.options, &error) || varve_heap_create(&options, &test.heap, &error))
    die(error.detail);
  register_layouts();
}

static void read_arguments(int count, char **arguments) {
  const char *seed = getenv("VARVE_TEST_SEED");
  if (seed) test.seed = strtoull(seed, NULL, 10);
  for (int i = 1; i + 1 < count; i += 2) {
    const char *name = arguments[i], *value = arguments[i + 1];
    if (!strcmp(name, "--seed")) test.seed = strtoull(value, NULL, 10);
    else if (!strcmp(name, "--steps")) test.steps = (unsigned)atoi(value);
    else if (!strcmp(name, "--threads")) test.threads = (unsigned)atoi(value);
    else if (!strcmp(name, "--options")) test.options = value;
    else die(name);
  }
}

static void run(void) {
  static struct player players[THREADS_MAX];
  pthread_t threads[THREADS_MAX];
  require(test.threads <= THREADS_MAX, "too many threads");
  for (unsigned t = 0; t < test.threads; ++t) {
    players[t] = (struct player){.random = {test.seed * 1000 + t}, .index = t};
    require(pthread_create(&threads[t], NULL, play, &players[t]) == 0, "no thread");
  }
  for (unsigned t = 0; t < test.threads; ++t) pthread_join(threads[t], NULL);
}

int main(int count, char **arguments) {
  varve_mutator *me;
  varve_refs *slab;
  varve_slab_cursor cursor;
  varve_heap_stats stats;
  read_arguments(count, arguments);
  open_heap();
  require(varve_attach(test.heap, "main", &me, NULL) == VARVE_OK, "attach");
  open_roots(me, &slab, &cursor);
  varve_native_enter(me);
  run();
  varve_native_leave(me);
  varve_heap_stats_get(test.heap, &stats);
  varve_slab_cursor_close(&cursor);
  require(varve_detach(me) == VARVE_OK && varve_heap_destroy(test.heap) == VARVE_OK, "the heap is busy");
  printf("seed %llu: %llu collections\n", (unsigned long long)test.seed, (unsigned long long)stats.collections);
  return 0;
}
