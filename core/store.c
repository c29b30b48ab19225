/* SPDX-License-Identifier: MIT */
/* store.c -- the bulk forms of the store interface.
 *
 * Idea       A loop of the inline forms, so that whatever a store will have to do later is done for every slot. The
 *            words are copied one at a time and never torn; the direction is chosen so that overlapping ranges work.
 * Atomics    relaxed on both sides: a mutator that races with the copy sees each slot old or new, nothing else.
 * Called by  running mutators, between safepoints.
 */
#include "varve/store.h"

/* Copying upwards would overwrite words of `from` before they are read. */
static bool must_descend(const varve_word *slots, const varve_word *from, size_t count) {
  return (uintptr_t)slots - (uintptr_t)from < count * sizeof *slots;
}

void varve_store_bulk(varve_mutator *mutator, void *object, varve_word *slots, const varve_word *from, size_t count) {
  if (must_descend(slots, from, count))
    for (size_t i = count; i--;) varve_store(mutator, object, &slots[i], varve_load(&from[i]));
  else
    for (size_t i = 0; i < count; ++i) varve_store(mutator, object, &slots[i], varve_load(&from[i]));
}

void varve_init_bulk(varve_mutator *mutator, void *object, varve_word *slots, const varve_word *from, size_t count) {
  if (must_descend(slots, from, count))
    for (size_t i = count; i--;) varve_init(mutator, object, &slots[i], varve_load(&from[i]));
  else
    for (size_t i = 0; i < count; ++i) varve_init(mutator, object, &slots[i], varve_load(&from[i]));
}
