/* SPDX-License-Identifier: MIT */
/* crowd.c -- mutators that attach, allocate, trade trees, collect all at once, poll, wait in native state and
 * detach; and one that collects when it is asked. Who has asked does nothing but poll, or nothing at all, until that is
 * done, so if a stop is not noticed, or an arrival, the run has no end.
 *
 * A tree is known by its shape: each node says how deep it is. Bundles of small trees are wide enough for workers to
 * steal from each other, and for a small mark stack to overflow. Tables of ephemerons wait in words that all share,
 * for keys that are nodes of trees or values of other tables. */
#include "crowd.h"

#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <varve/varve.h>

#include "../support/random.h"
#include "core/base/park.h"

#define THREADS_MAX 8u
#define EXCHANGE 3u
#define ROUNDS 8u
#define DEPTH_MAX 7u
#define ENTRIES 6u
#define BUNDLE 200u

struct node {
  varve_object header;
  uint64_t depth;
  varve_word left, right;
};

struct table {
  varve_object header;
  uint64_t library;
  varve_ephemeron entry[ENTRIES]; /* values are nodes without branches */
};

struct bundle {
  varve_object header;
  varve_word tree[BUNDLE];
};

struct crowd {
  varve_heap *heap;
  varve_layout node, table, bundle;
  varve_refs *slab;
  varve_word *exchange[EXCHANGE], *tables[EXCHANGE];
  uint64_t seed;
  _Atomic uint32_t asked, here;            /* tickets given; who has not left */
  _Atomic uint32_t served, served_sleepers; /* quiet words (core/base/park.h) */
  _Atomic uint32_t news, news_sleepers;     /* for who collects */
};

struct actor {
  struct crowd *crowd;
  varve_mutator *mutator;
  struct random random;
  unsigned index;
};

static _Noreturn void fail(const struct actor *actor, const char *what) {
  fprintf(stderr, "crowd: %s (thread %u, seed %" PRIu64 ")\n", what, actor->index, actor->crowd->seed);
  abort();
}

static void require(const struct actor *actor, varve_status status, const char *what) {
  if (status != VARVE_OK) fail(actor, what);
}

/* ---- trees ---- */

static varve_word grow(struct actor *actor, unsigned depth) {
  VARVE_FRAME(f, actor->mutator, left, right);
  if (depth) f.left = grow(actor, depth - 1);
  if (depth) f.right = grow(actor, depth - 1);
  struct node *node = varve_alloc_uninit(actor->mutator, actor->crowd->node, sizeof *node);
  if (!node) fail(actor, "no memory");
  node->depth = depth;
  varve_init(actor->mutator, node, &node->left, f.left);
  varve_init(actor->mutator, node, &node->right, f.right);
  return varve_tag(node, 0);
}

static void check(const struct actor *actor, varve_word word, uint64_t depth) {
  if (!word) return;
  const struct node *node = (const struct node *)varve_untag(word);
  if (depth != UINT64_MAX && node->depth != depth) fail(actor, "a damaged tree");
  if (node->depth > DEPTH_MAX) fail(actor, "no tree");
  varve_word left = varve_load(&node->left), right = varve_load(&node->right);
  if (!node->depth != !left || !node->depth != !right) fail(actor, "a tree that has lost a branch");
  check(actor, left, node->depth - 1);
  check(actor, right, node->depth - 1);
}

/* Another branch: an old object refers to a new one. */
static void graft(struct actor *actor, varve_word *tree) {
  uint64_t depth = *tree ? ((struct node *)varve_untag(*tree))->depth : 0;
  if (!depth) return;
  VARVE_FRAME(f, actor->mutator, branch);
  f.branch = grow(actor, (unsigned)depth - 1);
  struct node *node = (struct node *)varve_untag(*tree);
  varve_store(actor->mutator, node, random_one_in(&actor->random, 2) ? &node->left : &node->right, f.branch);
}

/* ---- bundles ---- */

static void check_bundle(const struct actor *actor, varve_word word) {
  const struct bundle *bundle = (const struct bundle *)varve_untag(word);
  for (unsigned i = 0; word && i < BUNDLE; ++i) {
    if (!varve_load(&bundle->tree[i])) fail(actor, "a bundle with a hole");
    check(actor, varve_load(&bundle->tree[i]), i % 3);
  }
}

static varve_word tie(struct actor *actor) {
  VARVE_FRAME(f, actor->mutator, bundle, tree);
  f.bundle = varve_tag(varve_alloc(actor->mutator, actor->crowd->bundle, sizeof(struct bundle)), 0);
  for (unsigned i = 0; i < BUNDLE; ++i) {
    f.tree = grow(actor, i % 3);
    struct bundle *bundle = (struct bundle *)varve_untag(f.bundle);
    varve_store(actor->mutator, bundle, &bundle->tree[i], f.tree);
  }
  return f.bundle;
}

/* ---- tables ---- */

static void check_table(const struct actor *actor, varve_word word) {
  const struct table *table = (const struct table *)varve_untag(word);
  for (unsigned i = 0; word && i < ENTRIES; ++i) {
    varve_word key = varve_load(&table->entry[i].key), value = varve_load(&table->entry[i].value);
    if (!key != !value) fail(actor, "half of an entry");
    if (key && ((struct node *)varve_untag(key))->depth > DEPTH_MAX) fail(actor, "a key that is no node");
    if (value) check(actor, value, 0);
  }
}

/* A value of another table, so that one worker may mark it as a value while another waits for it as a key. */
static varve_word value_elsewhere(struct actor *actor) {
  const varve_word *slot = actor->crowd->tables[random_below(&actor->random, EXCHANGE)];
  const struct table *table = (const struct table *)varve_untag(varve_ref_load(slot));
  return table ? varve_load(&table->entry[random_below(&actor->random, ENTRIES)].value) : 0;
}

/* Keys are nodes on a way down, or values; the new table goes to a shared word, and the one that was there is looked
 * at. */
static void tabulate(struct actor *actor, const varve_word *tree) {
  struct crowd *crowd = actor->crowd;
  varve_word *slot = crowd->tables[random_below(&actor->random, EXCHANGE)];
  VARVE_FRAME(f, actor->mutator, table, key, value);
  f.table = varve_tag(varve_alloc(actor->mutator, crowd->table, sizeof(struct table)), 0);
  f.key = random_one_in(&actor->random, 2) ? value_elsewhere(actor) : *tree;
  for (unsigned i = 0; i < ENTRIES && f.key; ++i) {
    f.value = grow(actor, 0);
    struct table *table = (struct table *)varve_untag(f.table);
    const struct node *node = (const struct node *)varve_untag(f.key);
    varve_store(actor->mutator, table, &table->entry[i].key, f.key);
    varve_store(actor->mutator, table, &table->entry[i].value, f.value);
    f.key = varve_load(random_one_in(&actor->random, 2) ? &node->left : &node->right);
    if (!f.key) f.key = f.value;
  }
  check_table(actor, varve_ref_exchange(actor->mutator, crowd->slab, slot, f.table));
}

/* ---- what they do ---- */

static void attach(struct actor *actor) {
  require(actor, varve_attach(actor->crowd->heap, "actor", &actor->mutator, NULL), "attach");
}

static void detach(struct actor *actor) { require(actor, varve_detach(actor->mutator), "detach"); }

static void tell_news(struct crowd *crowd) {
  atomic_fetch_add(&crowd->news, 1);
  park_wake_quietly(&crowd->news, &crowd->news_sleepers, 1);
}

static uint32_t take_ticket(struct crowd *crowd) {
  uint32_t ticket = atomic_fetch_add(&crowd->asked, 1) + 1;
  tell_news(crowd);
  return ticket;
}

/* Stopped until a collection that it has asked for is over: who stops the world must not wait for it. */
static void ask_and_be_native(struct actor *actor) {
  struct crowd *crowd = actor->crowd;
  uint32_t ticket = take_ticket(crowd), served;
  require(actor, varve_native_enter(actor->mutator), "native enter");
  while ((served = atomic_load(&crowd->served)) < ticket)
    varve__park_quietly(&crowd->served, &crowd->served_sleepers, served);
  require(actor, varve_native_leave(actor->mutator), "native leave");
}

static void be_native(struct actor *actor) {
  require(actor, varve_native_enter(actor->mutator), "native enter");
  for (uint64_t i = random_below(&actor->random, 4); i; --i) turns_pause(__FILE__, __LINE__);
  require(actor, varve_native_leave(actor->mutator), "native leave");
}

/* Only polls while it waits. A slow allocation stores the limit that is polled. */
static void ask(struct actor *actor) {
  struct crowd *crowd = actor->crowd;
  uint32_t ticket = take_ticket(crowd);
  if (!varve_alloc_uninit_slow(actor->mutator, crowd->node, sizeof(struct node))) fail(actor, "no memory");
  while (atomic_load(&crowd->served) < ticket) varve_poll(actor->mutator);
}

static void trade(struct actor *actor, varve_word *tree) {
  varve_word *slot = actor->crowd->exchange[random_below(&actor->random, EXCHANGE)];
  *tree = varve_ref_exchange(actor->mutator, actor->crowd->slab, slot, *tree);
}

static void act(struct actor *actor, varve_word *tree, varve_word *bundle) {
  switch (random_below(&actor->random, 11)) {
    case 0: *tree = grow(actor, (unsigned)random_below(&actor->random, DEPTH_MAX + 1)); break;
    case 1: ask(actor); break;
    case 2: be_native(actor); break;
    case 3: require(actor, varve_collect(actor->mutator), "collect"); break;
    case 4: require(actor, varve_collect_newest(actor->mutator), "collect the newest"); break;
    case 5: trade(actor, tree); break;
    case 6: graft(actor, tree); break;
    case 7: tabulate(actor, tree); break;
    case 8: ask_and_be_native(actor); break;
    case 9: *bundle = tie(actor); break;
    default: varve_poll(actor->mutator); break;
  }
  check(actor, *tree, UINT64_MAX);
  check_bundle(actor, *bundle);
}

/* In the end all collect, and nobody comes who would wake one that has been left behind. */
static void live(struct actor *actor) {
  VARVE_FRAME(f, actor->mutator, tree, bundle);
  for (uint64_t i = random_below(&actor->random, ROUNDS); i; --i) act(actor, &f.tree, &f.bundle);
  require(actor, varve_collect(actor->mutator), "collect");
}

static void *actor_main(void *argument) {
  struct actor *actor = argument;
  for (unsigned lives = 1 + (unsigned)random_below(&actor->random, 2); lives; --lives) {
    attach(actor);
    live(actor);
    detach(actor);
  }
  atomic_fetch_sub(&actor->crowd->here, 1);
  tell_news(actor->crowd);
  return NULL;
}

/* ---- and who collects ---- */

static void wait_for_news(struct actor *actor, uint32_t news) {
  struct crowd *crowd = actor->crowd;
  require(actor, varve_native_enter(actor->mutator), "native enter");
  if (atomic_load(&crowd->news) == news) varve__park_quietly(&crowd->news, &crowd->news_sleepers, news);
  require(actor, varve_native_leave(actor->mutator), "native leave");
}

static void serve(struct actor *actor) {
  struct crowd *crowd = actor->crowd;
  attach(actor);
  for (;;) {
    uint32_t news = atomic_load(&crowd->news), asked = atomic_load(&crowd->asked);
    if (asked != atomic_load(&crowd->served)) {
      require(actor, varve_collect(actor->mutator), "collect");
      atomic_store(&crowd->served, asked);
      park_wake_quietly(&crowd->served, &crowd->served_sleepers, INT_MAX);
    } else if (atomic_load(&crowd->here)) {
      wait_for_news(actor, news);
    } else {
      break;
    }
  }
  detach(actor);
}

/* ---- the heap ---- */

static void open_heap(struct crowd *crowd, const char *more_options) {
  static const char *const rows[] = {"",           ",mutators-help=1",           ",mark-segments=2,move-everything=1",
                                     ",stress=60", ",mutators-help=1,stress=90", ",mark-segments=4,ages=0",
                                     ",workers=4", ",workers=2,stress=200"};
  char text[256];
  struct random random = {crowd->seed};
  varve_options options;
  varve_error error = {0};
  varve_layout_desc desc = {.name = "node", .kind = VARVE_LAYOUT_OFFSETS, .offset_count = 2,
                            .offsets = (const uint32_t[]){offsetof(struct node, left), offsetof(struct node, right)}};
  varve_layout_desc table = {.name = "table", .kind = VARVE_LAYOUT_EPHEMERONS};
  varve_layout_desc bundle = {.name = "bundle", .kind = VARVE_LAYOUT_REF_ARRAY};
  snprintf(text, sizeof text, "heap-max=16m,heap-initial=2m,workers=3,parallel-min=0,poison=1,log=0%s",
           rows[random_below(&random, sizeof rows / sizeof *rows)]);
  varve_options_init(&options);
  if (varve_options_parse(&options, text, &error) != VARVE_OK ||
      varve_options_parse(&options, more_options, &error) != VARVE_OK ||
      varve_heap_create(&options, &crowd->heap, &error) != VARVE_OK ||
      varve_layout_register(crowd->heap, &desc, &crowd->node, &error) != VARVE_OK ||
      varve_layout_register(crowd->heap, &bundle, &crowd->bundle, &error) != VARVE_OK ||
      varve_layout_register(crowd->heap, &table, &crowd->table, &error) != VARVE_OK) {
    fprintf(stderr, "crowd: %s\n", error.detail);
    exit(2);
  }
}

static void open_exchange(struct actor *actor) {
  struct crowd *crowd = actor->crowd;
  varve_slab_cursor cursor;
  attach(actor);
  crowd->slab = varve_slab_create(crowd->heap, "exchange");
  varve_slab_cursor_open(&cursor, crowd->slab);
  for (unsigned i = 0; i < EXCHANGE; ++i) {
    crowd->exchange[i] = varve_slab_take(&cursor, actor->mutator, 0);
    crowd->tables[i] = varve_slab_take(&cursor, actor->mutator, 0);
    if (!crowd->exchange[i] || !crowd->tables[i]) fail(actor, "no slab word");
  }
  varve_slab_cursor_close(&cursor);
  detach(actor);
}

void run_crowd(uint64_t seed, unsigned threads, const char *more_options) {
  struct crowd crowd = {.seed = seed};
  struct actor actors[THREADS_MAX];
  pthread_t ids[THREADS_MAX];
  open_heap(&crowd, more_options);
  for (unsigned i = 0; i <= threads; ++i)
    actors[i] = (struct actor){.crowd = &crowd, .index = i, .random = {seed * 1000 + i}};
  open_exchange(&actors[0]);
  atomic_store(&crowd.here, threads);
  for (unsigned i = 1; i <= threads; ++i)
    if (pthread_create(&ids[i], NULL, actor_main, &actors[i])) abort();
  serve(&actors[0]);
  for (unsigned i = 1; i <= threads; ++i) pthread_join(ids[i], NULL);
  varve_slab_destroy(crowd.slab);
  require(&actors[0], varve_heap_destroy(crowd.heap), "destroy");
}
