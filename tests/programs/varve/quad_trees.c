/* SPDX-License-Identifier: MIT */
/* quad_trees.c -- one big live tree, many short-lived small ones. */
#include "programs.h"

struct node {
  varve_object head;
  varve_word child[4];
};

static varve_layout NODE;

void quad_trees_prepare(varve_heap *heap) {
  static const uint32_t slots[] = {8, 16, 24, 32};
  register_layout(heap, &(varve_layout_desc){.name = "node", .kind = VARVE_LAYOUT_OFFSETS, .immutable = true,
                                             .offsets = slots, .offset_count = 4}, &NODE);
}

static struct node *node_of(varve_word word) { return (struct node *)varve_untag(word); }

static varve_word leaf(varve_mutator *me) {
  struct node *node = take(me, NODE, sizeof *node);
  for (int k = 0; k < 4; ++k) varve_init(me, node, &node->child[k], 0);
  return varve_tag(node, 0);
}

static varve_word make(varve_mutator *me, unsigned depth) {
  if (depth == 0) return leaf(me);
  VARVE_FRAME_ARRAY(f, me, 4);
  for (int k = 0; k < 4; ++k) f.slot[k] = make(me, depth - 1);
  struct node *node = take(me, NODE, sizeof *node);
  for (int k = 0; k < 4; ++k) varve_init(me, node, &node->child[k], f.slot[k]);
  return varve_tag(node, 0);
}

static uint32_t count_nodes(varve_word tree) {
  const struct node *node = node_of(tree);
  uint32_t sum = 1;
  for (int k = 0; k < 4 && node->child[k]; ++k) sum += count_nodes(node->child[k]);
  return sum;
}

/* A long count has safepoints, so that it holds up nobody's collection. */
static uint32_t count(varve_mutator *me, varve_word tree, unsigned depth) {
  if (2 * depth < POLL_DEPTH) return count_nodes(tree);
  VARVE_FRAME(f, me, node);
  f.node = tree;
  uint32_t sum = 1;
  for (int k = 0; k < 4; ++k) {
    sum += count(me, node_of(f.node)->child[k], depth - 1);
    varve_poll(me);
  }
  return sum;
}

uint32_t quad_trees(const struct job *job) {
  varve_mutator *me = job->me;
  unsigned n = (unsigned)job->size;
  uint32_t c = 0;
  VARVE_FRAME(f, me, tree);
  f.tree = make(me, n);
  peak(me);
  for (uint64_t i = 0; i < UINT64_C(8) << 2 * (n - 4); ++i) c = mix(c, count(me, make(me, 4), 4));
  return mix(c, count(me, f.tree, n));
}
