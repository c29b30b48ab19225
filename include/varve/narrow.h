/* SPDX-License-Identifier: MIT */
/* narrow.h -- references in 32 bits, in heaps created with the option narrow=1.
 *
 *      31                    B B-1   0
 *     +-----------------------+-------+     B is narrow-tag-bits. An object's index is its distance from a base, in
 *     | index                 | tag   |     granules; the base never changes while the heap lives.
 *     +-----------------------+-------+
 *
 * A narrow word is a reference when narrow-tags has its tag and its index is that of an address in the heap. Index 0
 * never is, whatever the tag: so 0 is null, and with B = 4 there are sixteen nulls; words with other tags are the
 * host's, with all 32 - B bits. Tags survive every move.
 *
 * The heap's address range lies within reach of the index. It is twice heap-max and 32 MiB, or less where the index
 * reaches less; heap-max must leave 34 MiB of that (varve_heap_create refuses a larger one and says which would do):
 * 1.97 GiB with four tag bits and a granule of 8, twice as much with 16, and twice as much for each tag bit fewer.
 *
 * Where narrow words may be: slots that layouts name (layout.h), Ref arrays (root.h), and what trace functions and root
 * callbacks give to varve_visit_narrow. All roots of other kinds are 64-bit words, and both widths may refer to the
 * same object. Loads and stores are like those of store.h in all but width.
 */
#ifndef VARVE_NARROW_H
#define VARVE_NARROW_H

#include "varve/abi.h"
#include "varve/store.h"
#include "varve/types.h"

VARVE_BEGIN

/** What a host needs to read and make narrow words; constant for a heap. */
typedef struct varve_narrow_coding {
  uint64_t base;     /* address that index 0 stands for; a granule below every object */
  uint32_t tag_bits; /* 0..5 */
  uint32_t shift;    /* bytes of a granule, as a power of two: 3 or 4 */
} varve_narrow_coding;

/* The inline functions take the granule from VARVE_GRANULE. A host whose heaps all have the same narrow-tag-bits may
 * compile with -DVARVE_NARROW_TAG_BITS=4 (say): shifts by constants are cheaper. */
#define VARVE_NARROW_SHIFT (VARVE_GRANULE == 16 ? 4u : 3u)
#ifdef VARVE_NARROW_TAG_BITS
#define VARVE_NARROW_BITS_(coding) ((void)(coding), (uint32_t)(VARVE_NARROW_TAG_BITS))
#define VARVE_NARROW_COMPILED_ (VARVE_GRANULE | ((VARVE_NARROW_TAG_BITS) + 1u) << 8)
#else
#define VARVE_NARROW_BITS_(coding) ((coding)->tag_bits)
#define VARVE_NARROW_COMPILED_ VARVE_GRANULE
#endif

/** What varve_narrow_coding_get calls; `compiled`: the caller's VARVE_GRANULE, and (VARVE_NARROW_TAG_BITS + 1) << 8. Of
 *  either 0: not checked. */
VARVE_API varve_status varve_narrow_coding_of(const varve_heap *heap, unsigned compiled, varve_narrow_coding *out);

/** Get a heap's coding.
 * @return VARVE_OK; VARVE_OPTION when the heap was created without narrow=1, or with another granule or other tag bits
 *         than the caller is compiled for (nothing is written then).
 * @threads any. */
static inline varve_status varve_narrow_coding_get(const varve_heap *heap, varve_narrow_coding *out) {
  return varve_narrow_coding_of(heap, VARVE_NARROW_COMPILED_, out);
}

/** The narrow word for an object, not NULL, with a tag below 2^tag_bits. */
static inline varve_narrow varve_narrow_tag(const varve_narrow_coding *coding, const void *object, unsigned tag) {
  uint64_t index = ((uintptr_t)object - coding->base) >> VARVE_NARROW_SHIFT;
  return (varve_narrow)index << VARVE_NARROW_BITS_(coding) | tag;
}

/** The object a narrow word points to, for a word known to be a reference. */
static inline varve_object *varve_narrow_untag(const varve_narrow_coding *coding, varve_narrow word) {
  uint64_t index = word >> VARVE_NARROW_BITS_(coding);
  return (varve_object *)(uintptr_t)(coding->base + (index << VARVE_NARROW_SHIFT));
}

/** The tag of a narrow word. */
static inline unsigned varve_narrow_tag_of(const varve_narrow_coding *coding, varve_narrow word) {
  return word & ((1u << VARVE_NARROW_BITS_(coding)) - 1);
}

/* The library takes the address of a narrow slot for what is noted; it never reads a 64-bit word there. */
static inline varve_word *varve_narrow_place(const varve_narrow *slot) {
  return (varve_word *)(uintptr_t)slot;
}

static inline void varve_store_log_narrow(varve_mutator *mutator, varve_narrow *slot, varve_narrow word) {
#ifdef VARVE_STORE_LOG
  if (mutator->store_log) __atomic_store_n((varve_narrow *)((char *)slot + mutator->store_log), word, __ATOMIC_RELAXED);
#else
  (void)mutator, (void)slot, (void)word;
#endif
}

/* ---- slots of objects: varve_store, varve_init, varve_load of store.h -------------------------------------------- */

static inline void varve_store_narrow(varve_mutator *mutator, void *object, varve_narrow *slot, varve_narrow word) {
  varve_barrier(mutator, object, varve_narrow_place(slot));
  __atomic_store_n(slot, word, __ATOMIC_RELAXED);
  varve_store_log_narrow(mutator, slot, word);
}

static inline void varve_init_narrow(varve_mutator *mutator, void *object, varve_narrow *slot, varve_narrow word) {
  (void)object;
  __atomic_store_n(slot, word, __ATOMIC_RELAXED);
  varve_store_log_narrow(mutator, slot, word);
}

static inline varve_narrow varve_load_narrow(const varve_narrow *slot) {
  return __atomic_load_n(slot, __ATOMIC_RELAXED);
}

/* ---- words of narrow Ref arrays: varve_ref_load and so on -------------------------------------------------------- */

static inline varve_narrow varve_ref_load_narrow(const varve_narrow *slot) {
  return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

static inline void varve_ref_store_narrow(varve_mutator *mutator, varve_refs *refs, varve_narrow *slot,
                                          varve_narrow word) {
  (void)mutator;
  varve_ref_note(refs, varve_narrow_place(slot));
  __atomic_store_n(slot, word, __ATOMIC_RELEASE);
}

static inline varve_narrow varve_ref_exchange_narrow(varve_mutator *mutator, varve_refs *refs, varve_narrow *slot,
                                                     varve_narrow word) {
  (void)mutator;
  varve_ref_note(refs, varve_narrow_place(slot));
  return __atomic_exchange_n(slot, word, __ATOMIC_ACQ_REL);
}

/** @return true when *expected was there and has been replaced; otherwise *expected is what was found. */
static inline bool varve_ref_cas_narrow(varve_mutator *mutator, varve_refs *refs, varve_narrow *slot,
                                        varve_narrow *expected, varve_narrow word) {
  (void)mutator;
  varve_ref_note(refs, varve_narrow_place(slot));
  return __atomic_compare_exchange_n(slot, expected, word, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

VARVE_END
#endif
