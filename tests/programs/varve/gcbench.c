/* SPDX-License-Identifier: MIT */
/* gcbench.c -- trees built from the bottom and from the top, a tree that lives, an array without references. */
#include "trees.h"

struct node {
  struct tree tree; /* its references are stored once more when the tree grows from the top */
  uint64_t i, j;
};

static varve_layout NODE;

void gcbench_prepare(varve_heap *heap) {
  static const uint32_t slots[] = {offsetof(struct tree, left), offsetof(struct tree, right)};
  register_layout(heap, &(varve_layout_desc){.name = "node", .kind = VARVE_LAYOUT_OFFSETS, .offsets = slots,
                                             .offset_count = 2}, &NODE);
}

static struct node *node_of(varve_word word) { return (struct node *)varve_untag(word); }

static inline varve_word fill(varve_mutator *me, struct node *node, varve_word left, varve_word right, uint64_t i) {
  varve_init(me, node, &node->tree.left, left);
  varve_init(me, node, &node->tree.right, right);
  node->i = i;
  node->j = 0;
  return varve_tag(node, 0);
}

static varve_word leaf(varve_mutator *me, uint64_t i) { return fill(me, take(me, NODE, sizeof(struct node)), 0, 0, i); }

static varve_word make(varve_mutator *me, unsigned depth) {
  if (depth == 0) return leaf(me, 0);
  VARVE_FRAME(f, me, left, right);
  f.left = make(me, depth - 1);
  f.right = make(me, depth - 1);
  struct node *node = take(me, NODE, sizeof *node);
  return fill(me, node, f.left, f.right, depth);
}

static void populate(varve_mutator *me, varve_word tree, unsigned depth) {
  if (depth == 0) return;
  VARVE_FRAME(f, me, tree);
  f.tree = tree;
  varve_word left = leaf(me, depth - 1);
  varve_store(me, node_of(f.tree), &node_of(f.tree)->tree.left, left);
  varve_word right = leaf(me, depth - 1);
  varve_store(me, node_of(f.tree), &node_of(f.tree)->tree.right, right);
  populate(me, node_of(f.tree)->tree.left, depth - 1);
  populate(me, node_of(f.tree)->tree.right, depth - 1);
}

static varve_word top(varve_mutator *me, unsigned depth) {
  VARVE_FRAME(f, me, tree);
  f.tree = leaf(me, depth);
  populate(me, f.tree, depth);
  return f.tree;
}

static uint64_t *words_of(varve_word array) { return (uint64_t *)(varve_untag(array) + 1); }

static varve_word take_words(varve_mutator *me, uint64_t length, uint64_t filled) {
  struct payload *array = take_payload(me, length * sizeof(uint64_t));
  uint64_t *words = words_of(varve_tag(array, 0));
  for (uint64_t k = 0; k < length; ++k) words[k] = k < filled ? k * k % 2147483647 : 0;
  return varve_tag(array, 0);
}

static uint32_t repeat(varve_mutator *me, uint32_t c, uint64_t times, unsigned depth,
                       make_tree_fn *build) {
  VARVE_FRAME(f, me, tree);
  for (uint64_t k = 0; k < times; ++k) {
    f.tree = 0;
    f.tree = build(me, depth);
  }
  return mix(c, tree_count(me, f.tree, depth));
}

uint32_t gcbench(const struct job *job) {
  varve_mutator *me = job->me;
  unsigned n = (unsigned)job->size;
  VARVE_FRAME(f, me, tree, array);
  uint32_t c = mix(0, tree_stretch(me, n, make));
  f.tree = top(me, n - 2);
  f.array = take_words(me, UINT64_C(2) << n, UINT64_C(1) << n);
  for (unsigned depth = 4; depth <= n - 2; depth += 2) {
    uint64_t times = 2 * ((UINT64_C(2) << n) - 1) / ((UINT64_C(2) << depth) - 1);
    c = repeat(me, c, times, depth, top);
    c = repeat(me, c, times, depth, make);
  }
  c = mix(c, tree_count(me, f.tree, n - 2));
  c = mix(c, node_of(f.tree)->i);
  return mix(c, words_of(f.array)[1000]);
}
