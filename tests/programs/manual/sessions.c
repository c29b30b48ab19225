/* SPDX-License-Identifier: MIT */
/* sessions.c -- a table of sessions that live long and change seldom; each request builds lists and a tree and drops
 * them. */
#include "memory.h"

struct item {
  struct item *next;
  uint64_t key, value;
};

struct session {
  struct item *items;
  uint64_t id, hits;
};

struct node {
  struct node *left, *right;
  uint64_t key;
};

struct service {
  struct session **table;
  uint32_t count;
  uint64_t made;
  struct random random;
};

static struct item *take_item(struct item *next, uint64_t key, uint64_t value) {
  struct item *item = take(sizeof *item);
  *item = (struct item){next, key, value};
  return item;
}

static void drop_list(struct item *list) {
  while (MUST_DROP && list) {
    struct item *next = list->next;
    drop(list);
    list = next;
  }
}

/* ---- what lives long ---- */

static struct item *take_list(struct service *service, uint32_t length) {
  struct item *list = NULL;
  for (; length > 0; --length) {
    uint32_t key = random_below(&service->random, 65536);
    list = take_item(list, key, random_below(&service->random, 256));
  }
  return list;
}

static struct item *take_items(struct service *service) {
  return take_list(service, 4 + random_below(&service->random, 9));
}

static struct session *take_session(struct service *service) {
  struct item *items = take_items(service);
  struct session *session = take(sizeof *session);
  *session = (struct session){items, service->made++, 0};
  return session;
}

static void drop_session(struct session *session) {
  drop_list(session->items);
  drop(session);
}

static void change_one(struct service *service) {
  uint32_t i = random_below(&service->random, service->count);
  struct session *session = service->table[i];
  if (random_below(&service->random, 4) == 0) {
    service->table[i] = take_session(service);
    drop_session(session);
  } else {
    struct item *items = session->items;
    session->items = take_items(service);
    drop_list(items);
  }
}

/* ---- a request ---- */

static void insert(struct node **slot, uint64_t key) {
  struct node *node = take(sizeof *node);
  *node = (struct node){NULL, NULL, key};
  while (*slot) slot = key < (*slot)->key ? &(*slot)->left : &(*slot)->right;
  *slot = node;
}

static struct node *tree_of(const struct item *list) {
  struct node *tree = NULL;
  for (; list; list = list->next) insert(&tree, list->key);
  return tree;
}

static void drop_tree(struct node *node) {
  if (!MUST_DROP || !node) return;
  drop_tree(node->left);
  drop_tree(node->right);
  drop(node);
}

static struct item *answer_of(struct session *session) {
  struct item *answer = NULL;
  ++session->hits;
  for (const struct item *item = session->items; item; item = item->next)
    answer = take_item(answer, item->key, item->value + session->hits);
  return answer;
}

static uint32_t sum_tree(const struct node *node, uint32_t v) {
  if (!node) return v;
  v = sum_tree(node->left, v);
  return sum_tree(node->right, mix(v, node->key));
}

static uint32_t sum_list(const struct item *item, uint32_t v) {
  for (; item; item = item->next) v = mix(v, item->key + item->value);
  return v;
}

static uint32_t serve(struct service *service) {
  struct item *asked = take_list(service, 8 + random_below(&service->random, 17));
  struct node *tree = tree_of(asked);
  struct session *session = service->table[random_below(&service->random, service->count)];
  struct item *answer = answer_of(session);
  uint32_t v = sum_list(answer, sum_tree(tree, (uint32_t)session->id));
  drop_list(asked);
  drop_tree(tree);
  drop_list(answer);
  return v;
}

uint32_t sessions(const struct job *job) {
  struct service service = {.count = (uint32_t)job->size, .random = random_start(job)};
  uint32_t c = 0;
  service.table = take_array(service.count);
  for (uint32_t i = 0; i < service.count; ++i) service.table[i] = take_session(&service);
  for (uint64_t i = 0; i < UINT64_C(8) * service.count; ++i) {
    c = mix(c, serve(&service));
    if (random_below(&service.random, 64) == 0) change_one(&service);
  }
  for (uint32_t i = 0; MUST_DROP && i < service.count; ++i) drop_session(service.table[i]);
  drop(service.table);
  return c;
}
