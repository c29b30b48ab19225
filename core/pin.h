/* SPDX-License-Identifier: MIT */
/* pin.h -- objects that stay: from pinned frames, from the table of counted pins, and from stacks that were searched.
 *
 * All three are roots, and each is a set of words that are visited like other slots. What makes them pins is that the
 * plan leaves the blocks (MEDIUM: the regions, LARGE: the runs) they refer to where they are; so no visit of them
 * ever changes a word.
 *
 *   V1 No word of these sets refers to a block that moves. verify.c looks at each after the plan.
 *   V2 A candidate that a stack holds is resolved before any bitmap of the pause is cleared (M1, conservative.h).
 *
 * The table: a dense array of words, which is a root table of kind ROOT_PINS, beside it their counts; and a hash table
 * of places in that array. Under the lock of the root tables, which only running mutators hold here, so that a pause
 * finds it whole; it grows outside pauses. Addresses are good keys, for they do not change.
 */
#ifndef VARVE_CORE_PIN_H
#define VARVE_CORE_PIN_H

#include <stdint.h>

#include "varve/pin.h"

struct varve_heap;
struct root_table;

struct varve_pins {
  struct root_table *table; /* NULL: nothing was ever pinned. Its words are ours */
  uint32_t *counts;         /* beside the words */
  uint32_t *index;          /* 2 * capacity: place of a word, and 1; 0: free */
  uint32_t capacity;        /* a power of two; words in use: table->count */
};

void varve__pins_close(struct varve_heap *heap);

typedef void varve_pin_fn(void *context, varve_word word);
/* World stopped, stacks searched: every word of the three sets that may be a reference, some more than once. */
void varve__pins_each(struct varve_heap *heap, varve_pin_fn *visit, void *context);
/* Worker 0, between counting and grouping: flag what holds pinned objects of the range. */
void varve__pins_hold(struct varve_heap *heap);

#endif
