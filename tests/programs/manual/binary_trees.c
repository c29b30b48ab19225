/* SPDX-License-Identifier: MIT */
/* binary_trees.c -- short-lived trees beside one that lives. */
#include "memory.h"

struct node {
  struct node *left, *right;
};

static struct node *make(unsigned depth) {
  struct node *left = depth ? make(depth - 1) : NULL;
  struct node *right = depth ? make(depth - 1) : NULL;
  struct node *node = take(sizeof *node);
  *node = (struct node){left, right};
  return node;
}

static uint32_t count(const struct node *node) { return node->left ? 1 + count(node->left) + count(node->right) : 1; }

static void drop_tree(struct node *node) {
  if (!MUST_DROP) return;
  if (node->left) {
    drop_tree(node->left);
    drop_tree(node->right);
  }
  drop(node);
}

static uint32_t make_count_drop(unsigned depth) {
  struct node *tree = make(depth);
  uint32_t nodes = count(tree);
  drop_tree(tree);
  return nodes;
}

uint32_t binary_trees(const struct job *job) {
  unsigned n = (unsigned)job->size;
  uint32_t c = mix(0, make_count_drop(n + 1));
  struct node *tree = make(n);
  for (unsigned depth = 4; depth <= n; depth += 2) {
    uint32_t sum = 0;
    for (uint64_t i = 0; i < UINT64_C(1) << (n - depth + 4); ++i) sum += make_count_drop(depth);
    c = mix(c, sum);
  }
  c = mix(c, count(tree));
  drop_tree(tree);
  return c;
}
