/* SPDX-License-Identifier: MIT */
/* sessions.c -- a table of sessions that live long and change seldom; each request builds lists and a tree and drops
 * them. */
#include "programs.h"

struct item {
  varve_object head;
  varve_word next;
  uint64_t key, value;
};

struct session {
  varve_object head;
  varve_word items;
  uint64_t id, hits;
};

struct node {
  varve_object head;
  varve_word left, right;
  uint64_t key;
};

struct service {
  varve_frame frame;
  varve_word table, asked, tree, answer, at; /* the frame's slots; at: the item that is read while others are made */
  varve_mutator *me;
  uint32_t count;
  uint64_t made;
  struct random random;
};
#define SERVICE_SLOTS 5

static varve_layout ITEM, SESSION, NODE;

void sessions_prepare(varve_heap *heap) {
  register_struct(heap, "item", 1, true, &ITEM);
  register_struct(heap, "session", 1, false, &SESSION);
  register_struct(heap, "node", 2, false, &NODE);
}

static struct item *item_of(varve_word word) { return (struct item *)varve_untag(word); }
static struct node *node_of(varve_word word) { return (struct node *)varve_untag(word); }

static struct session *session_at(const struct service *service, uint32_t i) {
  return (struct session *)varve_untag(array_of(service->table)->at[i]);
}

/* ---- what lives long ---- */

static varve_word take_list(struct service *service, uint32_t length) {
  VARVE_FRAME(f, service->me, list);
  for (; length > 0; --length) {
    struct item *item = take(service->me, ITEM, sizeof *item);
    varve_init(service->me, item, &item->next, f.list);
    item->key = random_below(&service->random, 65536);
    item->value = random_below(&service->random, 256);
    f.list = varve_tag(item, 0);
  }
  return f.list;
}

static varve_word take_items(struct service *service) {
  return take_list(service, 4 + random_below(&service->random, 9));
}

static void renew(struct service *service, uint32_t i) {
  VARVE_FRAME(f, service->me, items);
  f.items = take_items(service);
  struct session *session = take(service->me, SESSION, sizeof *session);
  varve_init(service->me, session, &session->items, f.items);
  session->id = service->made++;
  session->hits = 0;
  array_store(service->me, service->table, i, varve_tag(session, 0));
}

static void change_one(struct service *service) {
  uint32_t i = random_below(&service->random, service->count);
  if (random_below(&service->random, 4) == 0) {
    renew(service, i);
    return;
  }
  varve_word items = take_items(service);
  struct session *session = session_at(service, i);
  varve_store(service->me, session, &session->items, items);
}

/* ---- a request ---- */

static void insert(struct service *service, uint64_t key) {
  struct node *node = take(service->me, NODE, sizeof *node), *parent = NULL;
  varve_init(service->me, node, &node->left, 0);
  varve_init(service->me, node, &node->right, 0);
  node->key = key;
  varve_word *slot = &service->tree;
  while (*slot) {
    parent = node_of(*slot);
    slot = key < parent->key ? &parent->left : &parent->right;
  }
  if (parent) varve_store(service->me, parent, slot, varve_tag(node, 0));
  else service->tree = varve_tag(node, 0);
}

static void ask(struct service *service) {
  service->asked = take_list(service, 8 + random_below(&service->random, 17));
  service->tree = 0;
  for (service->at = service->asked; service->at; service->at = item_of(service->at)->next)
    insert(service, item_of(service->at)->key);
}

/* For a session drawn at random, whose id it returns. */
static uint32_t answer(struct service *service) {
  struct session *session = session_at(service, random_below(&service->random, service->count));
  uint64_t hits = ++session->hits;
  uint32_t id = (uint32_t)session->id;
  service->answer = 0;
  for (service->at = session->items; service->at; service->at = item_of(service->at)->next) {
    struct item *item = take(service->me, ITEM, sizeof *item);
    varve_init(service->me, item, &item->next, service->answer);
    item->key = item_of(service->at)->key;
    item->value = item_of(service->at)->value + hits;
    service->answer = varve_tag(item, 0);
  }
  return id;
}

static uint32_t sum_tree(varve_word tree, uint32_t v) {
  if (!tree) return v;
  const struct node *node = node_of(tree);
  v = sum_tree(node->left, v);
  return sum_tree(node->right, mix(v, node->key));
}

static uint32_t sum_list(varve_word list, uint32_t v) {
  for (; list; list = item_of(list)->next) v = mix(v, item_of(list)->key + item_of(list)->value);
  return v;
}

static uint32_t serve(struct service *service) {
  ask(service);
  uint32_t id = answer(service);
  uint32_t v = sum_list(service->answer, sum_tree(service->tree, id));
  service->asked = service->tree = service->answer = 0;
  return v;
}

uint32_t sessions(const struct job *job) {
  struct service service = {.me = job->me, .count = (uint32_t)job->size, .random = random_start(job)};
  uint32_t c = 0;
  varve_frame_push(service.me, &service.frame, SERVICE_SLOTS);
  service.table = take_array(service.me, service.count);
  while (service.made < service.count) renew(&service, (uint32_t)service.made);
  for (uint64_t i = 0; i < UINT64_C(8) * service.count; ++i) {
    c = mix(c, serve(&service));
    if (random_below(&service.random, 64) == 0) change_one(&service);
  }
  peak(service.me);
  varve_frame_pop(service.me, &service.frame);
  return c;
}
