/* SPDX-License-Identifier: MIT */
/* ages.h -- epochs: which part of the heap a collection takes.
 *
 * Epochs are numbered from 0, the oldest, to space.epoch, the newest, into which mutators allocate. A collection has a
 * cut: it takes all blocks of that epoch and newer ones, its range. What survives of the range gets the cut as its
 * epoch, moved or not, and the next epoch begins: so numbers stay small, and 0 is what a full collection has left (cut
 * 0). Old blocks keep their mark bits, so marking stops at them without looking further.
 *
 * Immortal: what varve_heap_make_immortal found alive is epoch 0, and the floor is 1: a full collection has the cut 1.
 * To it, too, the immortal part is something older, which is left alone but for what is remembered.
 *
 * Invariants
 *   A1 For every cut that may still be chosen, a reference from an object, or a tracked root, that is older than the
 *      cut to one that is not is remembered: the object is (remember.h), or the line of eight words that it is in is
 *      noted. No cut in floor + 1 .. tenured is chosen any more; so references to what is that old need not be
 *      remembered, but by immortal objects: for them the cut of full collections, the floor, may be chosen.
 *   A2 slots of immutable objects, and first stores, are written before the next safepoint: they refer to the same or
 *      an older epoch, and nothing is remembered for them.
 *   A3 VARVE_ABI_FLAG_NO_LOG is set in fresh objects and in remembered ones; marking clears it in what survives.
 *   A4 ages (the order of blocks) of the range are at least first_age[cut]; those of older blocks are below.
 *   A5 asleep: flags are left set, so that stores cost nothing more; nothing is remembered but immortal objects, and
 *      the next collection is full.
 *   A6 the floor is 0 or 1, and `tenured` is not below it. If an object is lost (remember.h), the next collection takes
 *      everything and the floor is 0.
 */
#ifndef VARVE_CORE_AGES_H
#define VARVE_CORE_AGES_H

#include <stdbool.h>
#include <stdint.h>

#include "regions/space.h"

struct varve_heap;

struct varve_ages {
  bool on;
  bool asleep;           /* A5 */
  bool next_asleep;      /* in a pause: after it */
  bool freezes;          /* in a pause: what survives is immortal after it */
  uint8_t tenured;       /* A1 */
  uint8_t next_tenured;  /* in a pause: what it will be after it */
  uint32_t range_blocks; /* in a pause: blocks in use in the range */
  uint32_t first_age[VARVE__EPOCHS]; /* A4 */
  uint64_t live[VARVE__EPOCHS];      /* bytes of live objects when the epoch was last collected */
};

/* What a collection takes: the epochs from `epoch` on, 0: a full one; and what may follow: no cut in 1 .. tenured;
 * asleep or not. */
struct varve_cut {
  uint8_t epoch, tenured;
  bool asleep;
};

/* World stopped, between collections: no cut will part the epochs up to `tenured`, so make them one if they are
 * many. */
void varve__ages_merge(struct varve_heap *heap);
/* World stopped. Begin a collection. `freezes`: what survives shall be immortal; then the cut is 0. */
void varve__ages_begin(struct varve_heap *heap, struct varve_cut cut, bool freezes);
/* The range has been collected, and `live` bytes of it survived: its epochs become one, and a new one begins. */
void varve__ages_end(struct varve_heap *heap, uint64_t live);
/* Bytes that were live in epochs older than `cut`. */
uint64_t varve__ages_live_before(const struct varve_heap *heap, uint8_t cut);

#endif
