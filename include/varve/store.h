/* SPDX-License-Identifier: MIT */
/* store.h -- how references are written. Use it for every reference store and later versions (generations,
 * concurrent marking) need no change in the host. Loads are plain.
 *
 * Without ages these are plain stores. With VARVE_STORE_LOG defined (the debug presets), each store is also written
 * to a log beside the heap, and a heap with check-stores=1 names the slots that were written past this interface.
 */
#ifndef VARVE_STORE_H
#define VARVE_STORE_H

#include "varve/abi.h"
#include "varve/types.h"

VARVE_BEGIN

static inline void varve_store_log(varve_mutator *mutator, varve_word *slot, varve_word word) {
#ifdef VARVE_STORE_LOG
  if (mutator->store_log) __atomic_store_n((varve_word *)((char *)slot + mutator->store_log), word, __ATOMIC_RELAXED);
#else
  (void)mutator, (void)slot, (void)word;
#endif
}

/** Store a word into a slot of a published object. Relaxed; `object` is the one that contains the slot. */
static inline void varve_store(varve_mutator *mutator, void *object, varve_word *slot, varve_word word) {
  (void)object;
  __atomic_store_n(slot, word, __ATOMIC_RELAXED);
  varve_store_log(mutator, slot, word);
}

/** The first store into a slot of an object that this mutator allocated since its last safepoint. Relaxed atomic, which
 *  keeps compilers from joining neighbouring slots into one wide load and store: words that were stored to a frame just
 *  before could not be forwarded to it, and building trees took a third longer. */
static inline void varve_init(varve_mutator *mutator, void *object, varve_word *slot, varve_word word) {
  (void)object;
  __atomic_store_n(slot, word, __ATOMIC_RELAXED);
  varve_store_log(mutator, slot, word);
}

/** Load a word from a heap slot that another mutator may be storing to. Relaxed. */
static inline varve_word varve_load(const varve_word *slot) { return __atomic_load_n(slot, __ATOMIC_RELAXED); }

/** Copy `count` words into slots of one object; `from` may overlap `slots` (another slot range of the same or any
 *  object, or host memory). Word by word: no torn words are ever visible. */
VARVE_API void varve_store_bulk(varve_mutator *mutator, void *object, varve_word *slots, const varve_word *from,
                                size_t count);
/** The same as first stores into a new object (varve_init). */
VARVE_API void varve_init_bulk(varve_mutator *mutator, void *object, varve_word *slots, const varve_word *from,
                               size_t count);

/* Ref words: atomic words in a Ref slab or a tracked Ref array (root.h); `refs` is the set the word lives in.
 * Loads acquire and stores release, so that an object written before it was published is seen whole. */

static inline varve_word varve_ref_load(const varve_word *slot) { return __atomic_load_n(slot, __ATOMIC_ACQUIRE); }

static inline void varve_ref_store(varve_mutator *mutator, varve_refs *refs, varve_word *slot, varve_word word) {
  (void)mutator, (void)refs;
  __atomic_store_n(slot, word, __ATOMIC_RELEASE);
}

static inline varve_word varve_ref_exchange(varve_mutator *mutator, varve_refs *refs, varve_word *slot,
                                            varve_word word) {
  (void)mutator, (void)refs;
  return __atomic_exchange_n(slot, word, __ATOMIC_ACQ_REL);
}

/** @return true when *expected was there and has been replaced; otherwise *expected is what was found. */
static inline bool varve_ref_cas(varve_mutator *mutator, varve_refs *refs, varve_word *slot, varve_word *expected,
                                 varve_word word) {
  (void)mutator, (void)refs;
  return __atomic_compare_exchange_n(slot, expected, word, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

VARVE_END
#endif
