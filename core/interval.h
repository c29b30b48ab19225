/* SPDX-License-Identifier: MIT */
/* interval.h -- which words belong to a root table: evenly spaced words in host memory, found by address.
 *
 * Idea       A sorted array of word sets (first, stride, last). Sets may interleave, so a range query walks down from
 *            the first set that starts behind it for as long as `reach`, the furthest last word of all sets up to
 *            there, still touches the range. Sets that are apart, the usual case, cost O(log n).
 *            Whether two interleaved sets share a word is decided exactly, by solving a + i s = b + j t; a wide word
 *            meets a narrow one with either half.
 * Invariants F1: no word is in two sets, since nothing is added that meets anything.
 * Called by  root.c, under the roots lock.
 */
#ifndef VARVE_CORE_INTERVAL_H
#define VARVE_CORE_INTERVAL_H

#include "varve/types.h"

struct varve_interval {
  uint64_t first, last; /* addresses of the first and the last word */
  uint64_t stride;      /* bytes */
  uint64_t width;       /* bytes of a word: 8, or 4 for narrow ones */
  uint64_t reach;       /* the greatest end of the last word, of this set and those before it */
  void *owner;
};

struct varve_intervals {
  struct varve_interval *items; /* by `first`, which is unique */
  size_t count, capacity;
};

/* Make room for one more. False: no memory. */
bool varve__intervals_reserve(varve_heap *heap, struct varve_intervals *set);
void varve__intervals_close(varve_heap *heap, struct varve_intervals *set);
/* A set that has a word in common with {first, first + stride, ...}, `count` words; NULL: none. In *word, one such
 * word. */
const struct varve_interval *varve__intervals_meet(const struct varve_intervals *set, const void *first,
                                                   size_t stride, size_t count, size_t width, uint64_t *word);
/* Add a set that meets none; room has been made. */
void varve__intervals_add(struct varve_intervals *set, const void *first, size_t stride, size_t count, size_t width,
                          void *owner);
/* Remove the set that starts at `first`. @return its owner, NULL: there is none. */
void *varve__intervals_remove(struct varve_intervals *set, const void *first);
/* The owner of the set that starts at `first`; NULL: there is none. */
void *varve__intervals_owner(const struct varve_intervals *set, const void *first);

#endif
