/* SPDX-License-Identifier: MIT */
/* barrier_loops.h -- what barrier.h declares. Whoever includes it gives STORE_LOOPS, the name of its table. */
#include "barrier.h"

#define LOOP(name, store)                                                                    \
  static __attribute__((noinline)) void name(const struct store_work *work, size_t rounds) { \
    const struct store_work w = *work;                                                       \
    for (size_t round = 0; round < rounds; ++round)                                          \
      for (size_t i = 0; i < w.count; ++i) store;                                            \
  }

#define OBJECT (varve_object *)w.places[i]
#define SLOT (varve_word *)(w.places[i] + sizeof(varve_object))
#define ARRAY (varve_object *)w.places[0]
#define ELEMENT (varve_word *)(w.places[0] + w.places[i + 1])
#define REF (varve_word *)w.places[i]

LOOP(objects, varve_store(w.me, OBJECT, SLOT, w.word))
LOOP(objects_plain, __atomic_store_n(SLOT, w.word, __ATOMIC_RELAXED))
LOOP(array, varve_store(w.me, ARRAY, ELEMENT, w.word))
LOOP(array_plain, __atomic_store_n(ELEMENT, w.word, __ATOMIC_RELAXED))
LOOP(refs, varve_ref_store(w.me, w.refs, REF, w.word))
LOOP(refs_plain, __atomic_store_n(REF, w.word, __ATOMIC_RELEASE))

const struct store_loops STORE_LOOPS = {objects, objects_plain, array, array_plain, refs, refs_plain};
