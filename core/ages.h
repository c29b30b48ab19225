/* SPDX-License-Identifier: MIT */
/* ages.h -- epochs: which part of the heap a collection takes.
 *
 * Epochs are numbered from 0, the oldest, to space.epoch, the newest, into which mutators allocate. A collection has a
 * cut: it takes all blocks of that epoch and newer ones, its range. What survives of the range gets the cut as its
 * epoch, moved or not, and the next epoch begins: so numbers stay small, and 0 is what a full collection has left (cut
 * 0). Old blocks keep their mark bits, so marking stops at them without looking further.
 *
 * Invariants
 *   A1 For every cut that may still be chosen, a reference from an object, or a tracked root, that is older than the
 *      cut to one that is not is remembered: the object is (remember.h), or the line of eight words that it is in is
 *      noted. No cut in 1 .. tenured is chosen any more; so references to what is that old need not be remembered.
 *   A2 slots of immutable objects, and first stores, are written before the next safepoint: they refer to the same or
 *      an older epoch, and nothing is remembered for them.
 *   A3 VARVE_ABI_FLAG_NO_LOG is set in fresh objects and in remembered ones; marking clears it in what survives.
 *   A4 ages (the order of blocks) of the range are at least first_age[cut]; those of older blocks are below.
 *   A5 asleep: flags are left set, so that stores cost nothing more; nothing is remembered, and the next collection is
 *      full.
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
  uint8_t tenured;       /* A1 */
  uint8_t next_tenured;  /* in a pause: what it will be after it */
  uint32_t range_blocks; /* in a pause: blocks in use in the range */
  uint32_t first_age[VARVE__EPOCHS]; /* A4 */
  uint64_t live[VARVE__EPOCHS];      /* bytes of live objects when the epoch was last collected */
};

/* What a collection takes: the epochs from `epoch` on; and what may follow: no cut in 1 .. tenured; asleep or not. */
struct varve_cut {
  uint8_t epoch, tenured;
  bool asleep;
};

/* World stopped, between collections: no cut will part the epochs up to `tenured`, so make them one if they are many. */
void varve__ages_merge(struct varve_heap *heap);
/* World stopped. Begin a collection. */
void varve__ages_begin(struct varve_heap *heap, struct varve_cut cut);
/* The range has been collected, and `live` bytes of it survived: its epochs become one, and a new one begins. */
void varve__ages_end(struct varve_heap *heap, uint64_t live);
/* Bytes that were live in epochs older than `cut`. */
uint64_t varve__ages_live_before(const struct varve_heap *heap, uint8_t cut);

#endif
