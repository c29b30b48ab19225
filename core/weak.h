/* SPDX-License-Identifier: MIT */
/* weak.h -- what does not keep alive: weak slots, ephemerons, and the steps between marking and planning.
 *
 * Idea       A holder is an object of a weak kind. Whoever marks it (and the mark pass over remembered objects)
 *            links it into a chain through its second word, so a holder needs no table and no memory. When marking
 *            has ended, passes go through the chains. A pass takes several chains at a time, so that the next
 *            holders are fetched meanwhile; workers share out groups of chains, and the pieces of big holders.
 * Steps      varve__weak_process: 1. ephemerons, until nothing fires (ephemeron.c); 2. weak slots of holders found
 *            so far that are cleared before finalization; 3. dead finalizers are queued and marked from (final.c);
 *            4. ephemerons and all other weak slots; 5. cleaners. See include/varve/weak.h.
 * Invariants X1 a holder is in one chain, once: it is scanned once (K1), or remembered and listed once (N1).
 *            X2 old holders that are not remembered refer to nothing in the range (A1), so nothing of them is cleared.
 *            X3 a slot or entry is looked at by one worker of a pass.
 * Called by  collect.c, between marking and the plan; world stopped.   Memory  none in a pause.
 */
#ifndef VARVE_CORE_WEAK_H
#define VARVE_CORE_WEAK_H

#include <stdatomic.h>

#include "core/heap.h"

struct mark_worker;

/* In a pause: may the word's target be dead? False for what is no reference and for what is marked; all old objects
 * are. */
static inline bool weak_is_dead(const struct varve_heap *heap, varve_word word) {
  if (!heap_is_reference(heap, word, heap->slot_tags)) return false;
  size_t index = space_word(&heap->space, word);
  return !(__atomic_load_n(&heap->space.bitmap[index >> 6], __ATOMIC_RELAXED) >> (index & 63) & 1);
}

/* Bring what that reads into the cache; for any word. */
static inline void weak_fetch(const struct varve_heap *heap, varve_word word) {
  __builtin_prefetch((const void *)((uintptr_t)heap->space.bitmap + ((word - heap->space.base) >> 9) * 8));
}

/* A layout of a weak kind is being registered: what it needs is there from now on. Under the layouts' lock. False:
 * no memory. */
bool varve__weak_open(struct varve_heap *heap, varve_layout_kind kind);
void varve__weak_close(struct varve_heap *heap);

/* Worker 0, before marking. */
void varve__weak_begin(struct varve_heap *heap);
/* Any worker that marks: an object of a weak kind is black, or remembered. Its strong slots are the caller's. */
void varve__weak_found(struct mark_worker *worker, varve_object *object, const struct varve_layout_entry *layout);
/* Worker 0, when marking has ended: all steps. */
void varve__weak_process(struct varve_heap *heap);

/* ---- passes: weak.c and ephemeron.c ---- */

/* Slots, or entries, [from, to) of a holder. */
typedef void weak_units_fn(struct mark_worker *worker, varve_object *object, const struct varve_layout_entry *layout,
                           size_t from, size_t to);
/* Worker 0: the next pass is over the holders of the kind that have been found so far. @return false: there are
 * none. */
bool varve__weak_begin_pass(struct varve_heap *heap, enum varve_weak_kind kind);
/* Worker: take part in it. */
void varve__weak_pass(struct mark_worker *worker, weak_units_fn *visit);

/* ---- ephemeron.c ---- */

bool varve__ephemerons_open(struct varve_heap *heap);
void varve__ephemerons_close(struct varve_heap *heap);
/* Worker 0: from here on marking fires ephemerons. */
void varve__ephemerons_begin(struct varve_heap *heap);
/* Worker 0: the holders found so far; nothing fires any more when it returns. */
void varve__ephemerons_mark(struct varve_heap *heap);
/* Entries [from, to) of a holder that marking has reached: they fire, or wait. */
weak_units_fn varve__ephemerons_enter;
/* The object has been claimed, and entries may wait for it: they fire. */
void varve__ephemerons_fire(struct mark_worker *worker, const varve_object *object);
/* Worker 0: clear the entries of dead keys. */
void varve__ephemerons_clear(struct varve_heap *heap);

#endif
