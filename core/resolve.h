/* SPDX-License-Identifier: MIT */
/* resolve.h -- which object an address lies in.
 *
 *   old blocks     the mark bitmap: set bits are objects from end to end, so the run that the address is in is walked
 *                  from its start. What is not marked is no object (below).
 *   fresh blocks   objects lie end to end from the block's start
 *   MEDIUM, fresh  starts are noted in the ranks of their lines, which nobody else needs then (space.h, R7)
 *   LARGE          the head of the run
 *
 * What is not marked in an old block was found unreachable by the last collection that took the block: then nothing
 * that counts as a root led to it, no searched stack either, and since then nobody can have got hold of it. A mutator
 * that has become conservative since had its references in precise roots at that collection; all others were void. So a
 * word that leads there is what is left of something, and its memory may be poisoned.
 *
 * What is marked may be dead: in an old block, since its last collection; in a fresh one, always. It is an object all
 * the same, and may be kept alive again, for all of its slots still refer to objects: since it was last marked, or
 * born, nothing that it refers to has been freed or has moved without its slot being fixed. Full collections free and
 * move, but they take its own block, too; young ones take what is newer, but what older objects refer to there is
 * remembered, and nobody who remembers knows which of them are dead (A1).
 */
#ifndef VARVE_CORE_RESOLVE_H
#define VARVE_CORE_RESOLVE_H

#include "regions/space.h"

struct varve__mutator;

/* Addresses are cheapest in rising order: walks go on where the last one ended. */
struct resolver {
  const struct varve_space *space;
  const struct varve__mutator *mutator; /* running, the caller's; NULL: the world is stopped and TLABs are retired */
  uint64_t object, end;                 /* the last one found; zeroes at first */
};

/* The object that the address (with any tag bits) lies in, its header included; 0: none. In a pause: before bitmaps are
 * cleared. */
uint64_t varve__resolve(struct resolver *resolver, uint64_t address);

#endif
