/* SPDX-License-Identifier: MIT */
/* gcbench.c -- trees built from the bottom and from the top, a tree that lives, an array without references. */
#include "memory.h"

struct node {
  struct node *left, *right;
  uint64_t i, j;
};

static struct node *take_node(struct node *left, struct node *right, uint64_t i) {
  struct node *node = take(sizeof *node);
  *node = (struct node){left, right, i, 0};
  return node;
}

static struct node *make(unsigned depth) {
  struct node *left = depth ? make(depth - 1) : NULL;
  struct node *right = depth ? make(depth - 1) : NULL;
  return take_node(left, right, depth);
}

static void populate(struct node *tree, unsigned depth) {
  if (depth == 0) return;
  tree->left = take_node(NULL, NULL, depth - 1);
  tree->right = take_node(NULL, NULL, depth - 1);
  populate(tree->left, depth - 1);
  populate(tree->right, depth - 1);
}

static struct node *top(unsigned depth) {
  struct node *tree = take_node(NULL, NULL, depth);
  populate(tree, depth);
  return tree;
}

static uint32_t count(const struct node *node) { return node->left ? 1 + count(node->left) + count(node->right) : 1; }

static void drop_tree(struct node *node) {
  if (!MUST_DROP || !node) return;
  drop_tree(node->left);
  drop_tree(node->right);
  drop(node);
}

static uint32_t stretch(unsigned depth) {
  struct node *tree = make(depth);
  uint32_t nodes = count(tree);
  drop_tree(tree);
  return nodes;
}

static uint64_t *take_words(uint64_t length, uint64_t filled) {
  uint64_t *words = take_data(length * sizeof *words);
  for (uint64_t k = 0; k < length; ++k) words[k] = k < filled ? k * k % 2147483647 : 0;
  return words;
}

static uint32_t repeat(uint32_t c, uint64_t times, unsigned depth, struct node *(*build)(unsigned)) {
  struct node *tree = NULL;
  for (uint64_t k = 0; k < times; ++k) {
    drop_tree(tree);
    tree = build(depth);
  }
  c = mix(c, count(tree));
  drop_tree(tree);
  return c;
}

uint32_t gcbench(const struct job *job) {
  unsigned n = (unsigned)job->size;
  uint32_t c = mix(0, stretch(n));
  struct node *tree = top(n - 2);
  uint64_t *words = take_words(UINT64_C(2) << n, UINT64_C(1) << n);
  for (unsigned depth = 4; depth <= n - 2; depth += 2) {
    uint64_t times = 2 * ((UINT64_C(2) << n) - 1) / ((UINT64_C(2) << depth) - 1);
    c = repeat(c, times, depth, top);
    c = repeat(c, times, depth, make);
  }
  c = mix(c, count(tree));
  c = mix(c, tree->i);
  c = mix(c, words[1000]);
  drop_tree(tree);
  drop(words);
  return c;
}
