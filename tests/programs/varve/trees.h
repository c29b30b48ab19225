/* SPDX-License-Identifier: MIT */
/* trees.h -- what the programs on binary trees share. A program's node begins with a struct tree. */
#ifndef VARVE_PROGRAMS_TREES_H
#define VARVE_PROGRAMS_TREES_H

#include "programs.h"

struct tree {
  varve_object head;
  varve_word left, right;
};

typedef varve_word make_tree_fn(varve_mutator *me, unsigned depth);

/* The nodes of a tree of that depth. A long count has safepoints, so that it holds up nobody's collection. */
uint32_t tree_count(varve_mutator *me, varve_word tree, unsigned depth);
/* Make a tree, the program's peak, count it and drop it. */
uint32_t tree_stretch(varve_mutator *me, unsigned depth, make_tree_fn *make);

#endif
