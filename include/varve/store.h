/* SPDX-License-Identifier: MIT */
/* store.h -- how references are written: every store of a reference into an object, and into a tracked Ref word, goes
 * through here, so that a collection of the newest objects knows which older ones refer to them. Loads are plain.
 *
 * What it costs: a store tests a bit of the object's header, which is next to what it writes; the first store into an
 * old object since it was last collected, and every store into an old array of more than 128 KiB, calls the library
 * (some ns). First stores (varve_init) are plain, so objects of immutable layouts cost nothing. A host whose heaps have
 * no ages may compile with -DVARVE_AGES=0 and has plain stores only. Storing words that are no references needs none of
 * this.
 *
 * Outside the heap stores are plain: into frames, global slots, memory that a root callback visits, untracked Ref
 * arrays; handles have varve_handle_set.
 *
 * With VARVE_STORE_LOG defined (the debug presets), each store is also written
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

/** The barrier's slow half: note that the slot of the old object is about to be written. Neither blocks nor moves
 *  objects; takes memory for tables now and then; without any, the next collection takes all epochs.
 *  @threads the mutator's own, running. */
VARVE_API void varve_remember(varve_mutator *mutator, void *object, varve_word *slot);

/* Before the store, so that a slow half could still see the word that is about to be lost. */
static inline void varve_barrier(varve_mutator *mutator, void *object, varve_word *slot) {
#if VARVE_AGES
  if (VARVE_UNLIKELY(!(__atomic_load_n((const uint8_t *)object, __ATOMIC_RELAXED) & VARVE_ABI_FLAG_NO_LOG)))
    varve_remember(mutator, object, slot);
#else
  (void)mutator, (void)object, (void)slot;
#endif
}

/** Store a word into a slot of a published object. Relaxed; `object` is the one that contains the slot, untagged. Not
 *  for objects of immutable layouts. */
static inline void varve_store(varve_mutator *mutator, void *object, varve_word *slot, varve_word word) {
  varve_barrier(mutator, object, slot);
  __atomic_store_n(slot, word, __ATOMIC_RELAXED);
  varve_store_log(mutator, slot, word);
}

/** A first store into a slot of an object that this mutator allocated since its last safepoint; until the next one it
 *  may be stored to again in the same way. Relaxed atomic, which keeps compilers from joining neighbouring slots into
 *  one wide load and store: words that were stored to a frame just before could not be forwarded to it, and building
 *  trees took a third longer. */
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

/** The slow half of the note: the slot is beyond the extent of the set. It is no word of the set, so the
 *  process ends. */
VARVE_API void varve_ref_note_slow(varve_refs *refs, const varve_word *slot) __attribute__((cold));

/** Note that a word of the set is about to be written; before the store, so that a slow half could still see the word
 *  that is about to be lost. */
static inline void varve_ref_note(varve_refs *refs, const varve_word *slot) {
#if VARVE_AGES
  const varve_notes *notes = (const varve_notes *)refs;
  uintptr_t at = (uintptr_t)slot, offset = (at - notes->base) & notes->within;
  if (VARVE_UNLIKELY(offset >= __atomic_load_n(&notes->extent, __ATOMIC_ACQUIRE))) {
    varve_ref_note_slow(refs, slot);
    return;
  }
  uint8_t *table = (uint8_t *)__atomic_load_n(&notes->table, __ATOMIC_RELAXED);
  uint8_t *note = table + (at & notes->keep) + (offset >> notes->shift);
  if (!__atomic_load_n(note, __ATOMIC_RELAXED)) __atomic_store_n(note, 1, __ATOMIC_RELAXED);
#else
  (void)refs, (void)slot;
#endif
}

static inline varve_word varve_ref_load(const varve_word *slot) { return __atomic_load_n(slot, __ATOMIC_ACQUIRE); }

static inline void varve_ref_store(varve_mutator *mutator, varve_refs *refs, varve_word *slot, varve_word word) {
  (void)mutator;
  varve_ref_note(refs, slot);
  __atomic_store_n(slot, word, __ATOMIC_RELEASE);
}

static inline varve_word varve_ref_exchange(varve_mutator *mutator, varve_refs *refs, varve_word *slot,
                                            varve_word word) {
  (void)mutator;
  varve_ref_note(refs, slot);
  return __atomic_exchange_n(slot, word, __ATOMIC_ACQ_REL);
}

/** @return true when *expected was there and has been replaced; otherwise *expected is what was found. */
static inline bool varve_ref_cas(varve_mutator *mutator, varve_refs *refs, varve_word *slot, varve_word *expected,
                                 varve_word word) {
  (void)mutator;
  varve_ref_note(refs, slot);
  return __atomic_compare_exchange_n(slot, expected, word, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

VARVE_END
#endif
