/* SPDX-License-Identifier: MIT */
/* trees.c -- counting binary trees. */
#include "trees.h"

static const struct tree *tree_of(varve_word word) { return (const struct tree *)varve_untag(word); }

static uint32_t count_nodes(varve_word word) {
  const struct tree *tree = tree_of(word);
  return tree->left ? 1 + count_nodes(tree->left) + count_nodes(tree->right) : 1;
}

uint32_t tree_count(varve_mutator *me, varve_word tree, unsigned depth) {
  if (depth < POLL_DEPTH) return count_nodes(tree);
  VARVE_FRAME(f, me, right);
  f.right = tree_of(tree)->right;
  uint32_t left = tree_count(me, tree_of(tree)->left, depth - 1);
  varve_poll(me);
  return 1 + left + tree_count(me, f.right, depth - 1);
}

uint32_t tree_stretch(varve_mutator *me, unsigned depth, make_tree_fn *make) {
  VARVE_FRAME(f, me, tree);
  f.tree = make(me, depth);
  peak(me);
  return tree_count(me, f.tree, depth);
}
