/* SPDX-License-Identifier: MIT */
/* binary_trees.c -- short-lived trees beside one that lives. */
#include "trees.h"

static varve_layout NODE;

void binary_trees_prepare(varve_heap *heap) {
  static const uint32_t slots[] = {offsetof(struct tree, left), offsetof(struct tree, right)};
  register_layout(heap, &(varve_layout_desc){.name = "node", .kind = VARVE_LAYOUT_OFFSETS, .immutable = true,
                                             .offsets = slots, .offset_count = 2}, &NODE);
}

static inline varve_word fill(varve_mutator *me, struct tree *node, varve_word left, varve_word right) {
  varve_init(me, node, &node->left, left);
  varve_init(me, node, &node->right, right);
  return varve_tag(node, 0);
}

static varve_word make(varve_mutator *me, unsigned depth) {
  if (depth == 0) return fill(me, take(me, NODE, sizeof(struct tree)), 0, 0);
  VARVE_FRAME(f, me, left, right);
  f.left = make(me, depth - 1);
  f.right = make(me, depth - 1);
  struct tree *node = take(me, NODE, sizeof *node);
  return fill(me, node, f.left, f.right);
}

uint32_t binary_trees(const struct job *job) {
  varve_mutator *me = job->me;
  unsigned n = (unsigned)job->size;
  VARVE_FRAME(f, me, tree);
  uint32_t c = mix(0, tree_stretch(me, n + 1, make));
  f.tree = make(me, n);
  for (unsigned depth = 4; depth <= n; depth += 2) {
    uint32_t sum = 0;
    for (uint64_t i = 0; i < UINT64_C(1) << (n - depth + 4); ++i) sum += tree_count(me, make(me, depth), depth);
    c = mix(c, sum);
  }
  return mix(c, tree_count(me, f.tree, n));
}
