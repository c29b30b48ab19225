/* SPDX-License-Identifier: MIT */
/* quad_trees.c -- one big live tree, many short-lived small ones. */
#include "memory.h"

struct node {
  struct node *child[4];
};

static struct node *make(unsigned depth) {
  struct node *child[4] = {NULL};
  for (int k = 0; k < 4 && depth; ++k) child[k] = make(depth - 1);
  struct node *node = take(sizeof *node);
  for (int k = 0; k < 4; ++k) node->child[k] = child[k];
  return node;
}

static uint32_t count(const struct node *node) {
  uint32_t sum = 1;
  for (int k = 0; k < 4 && node->child[k]; ++k) sum += count(node->child[k]);
  return sum;
}

static void drop_tree(struct node *node) {
  if (!MUST_DROP) return;
  for (int k = 0; k < 4 && node->child[k]; ++k) drop_tree(node->child[k]);
  drop(node);
}

uint32_t quad_trees(const struct job *job) {
  unsigned n = (unsigned)job->size;
  uint32_t c = 0;
  struct node *tree = make(n);
  for (uint64_t i = 0; i < UINT64_C(8) << 2 * (n - 4); ++i) {
    struct node *small = make(4);
    c = mix(c, count(small));
    drop_tree(small);
  }
  c = mix(c, count(tree));
  drop_tree(tree);
  return c;
}
