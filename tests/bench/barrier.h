/* SPDX-License-Identifier: MIT */
/* barrier.h -- loops of stores, compiled twice: for heaps with ages, and with VARVE_AGES=0 for heaps without. */
#ifndef VARVE_BENCH_BARRIER_H
#define VARVE_BENCH_BARRIER_H

#include <varve/varve.h>

/* Where a loop stores, and what. */
struct store_work {
  varve_mutator *me;
  varve_refs *refs;
  uint64_t *places; /* objects, or Ref words */
  size_t count;
  varve_word word;
};

/* A round stores once to each place; a plain store goes to the same words. */
typedef void store_loop(const struct store_work *work, size_t rounds);

struct store_loops {
  store_loop *objects, *objects_plain; /* the first word after the header */
  store_loop *array, *array_plain;     /* places[0] is an array, places[1 ..] are offsets of words in it */
  store_loop *refs, *refs_plain;       /* plain: an atomic release store */
};

extern const struct store_loops store_loops_aged, store_loops_plain;

#endif
