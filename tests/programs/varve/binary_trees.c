/* SPDX-License-Identifier: MIT */
/* binary_trees.c -- short-lived trees beside one that lives. */
#include "programs.h"

struct node {
  varve_object head;
  varve_word left, right;
};

static varve_layout NODE;

void binary_trees_prepare(varve_heap *heap) {
  static const uint32_t slots[] = {offsetof(struct node, left), offsetof(struct node, right)};
  register_layout(heap, &(varve_layout_desc){.name = "node", .kind = VARVE_LAYOUT_OFFSETS, .immutable = true,
                                             .offsets = slots, .offset_count = 2}, &NODE);
}

static struct node *node_of(varve_word word) { return (struct node *)varve_untag(word); }

static inline varve_word fill(varve_mutator *me, struct node *node, varve_word left, varve_word right) {
  varve_init(me, node, &node->left, left);
  varve_init(me, node, &node->right, right);
  return varve_tag(node, 0);
}

static varve_word make(varve_mutator *me, unsigned depth) {
  if (depth == 0) return fill(me, take(me, NODE, sizeof(struct node)), 0, 0);
  VARVE_FRAME(f, me, left, right);
  f.left = make(me, depth - 1);
  f.right = make(me, depth - 1);
  struct node *node = take(me, NODE, sizeof *node);
  return fill(me, node, f.left, f.right);
}

static uint32_t count_nodes(varve_word tree) {
  const struct node *node = node_of(tree);
  return node->left ? 1 + count_nodes(node->left) + count_nodes(node->right) : 1;
}

/* A long count has safepoints, so that it holds up nobody's collection. */
static uint32_t count(varve_mutator *me, varve_word tree, unsigned depth) {
  if (depth < POLL_DEPTH) return count_nodes(tree);
  VARVE_FRAME(f, me, right);
  f.right = node_of(tree)->right;
  uint32_t left = count(me, node_of(tree)->left, depth - 1);
  varve_poll(me);
  return 1 + left + count(me, f.right, depth - 1);
}

static uint32_t stretch(varve_mutator *me, unsigned depth) {
  VARVE_FRAME(f, me, tree);
  f.tree = make(me, depth);
  peak(me);
  return count(me, f.tree, depth);
}

uint32_t binary_trees(const struct job *job) {
  varve_mutator *me = job->me;
  unsigned n = (unsigned)job->size;
  VARVE_FRAME(f, me, tree);
  uint32_t c = mix(0, stretch(me, n + 1));
  f.tree = make(me, n);
  for (unsigned depth = 4; depth <= n; depth += 2) {
    uint32_t sum = 0;
    for (uint64_t i = 0; i < UINT64_C(1) << (n - depth + 4); ++i) sum += count(me, make(me, depth), depth);
    c = mix(c, sum);
  }
  return mix(c, count(me, f.tree, n));
}
