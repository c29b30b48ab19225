/* SPDX-License-Identifier: MIT */
/* remember.h -- old objects that were written to since they were last collected: with the noted lines of root tables,
 * all that may refer from outside a range into it (A1 in ages.h).
 *
 * Small and medium objects are remembered as a whole, once each: the flag NO_LOG is set in them as long as they are
 * listed. Large arrays, and large arrays of records, are noted by lines of eight words: the byte of the bitmap that
 * belongs to a line has bit 1 set. (Of a large object's bitmap marking uses only the first bit.) They keep NO_LOG
 * clear, so that every store comes to varve_remember, and are listed once, with the flag LISTED.
 *
 * Invariants N1 an object is listed at most once, so that its slots are fixed once (F1); its flag says whether it is.
 *            N2 a listed object of the range is taken off the list by the mark pass; marking clears its flags.
 *            N3 the mark pass and the fix pass look at the same words: all listed objects and noted lines that refer
 *               into the range. What no later cut could need is forgotten by the pass that finds that out.
 */
#ifndef VARVE_CORE_REMEMBER_H
#define VARVE_CORE_REMEMBER_H

#include "core/heap.h"
#include "core/root.h"

#define VARVE__REMEMBERED_ENTRIES 510u
#define VARVE__NOTED 1u      /* a note's value in root tables */
#define VARVE__LINE_NOTED 2u /* in the bitmap of a large array */
#define VARVE__FLAGS_REMEMBERED (VARVE_ABI_FLAG_NO_LOG | VARVE_ABI_FLAG_LISTED)

/* A list is written by the mutator that has it, and by workers in pauses. */
struct varve_remembered_list {
  struct varve_remembered_list *next; /* while it is free */
  uint32_t count;
  varve_object *entries[VARVE__REMEMBERED_ENTRIES]; /* NULL: taken off in this pause */
};

/* What looks at remembered objects and noted lines does so with one of these: which pass it is, and where the words go
 * that refer into the range. */
struct varve_sieve {
  struct varve_heap *heap;
  struct varve_visitor *visitor;
  bool marking;       /* the mark pass */
  uint64_t lines;     /* noted ones that were looked at */
  bool found, needed; /* of the object or line looked at: it refers into the range; a later cut may need to know it */
  uint8_t past;       /* references to epochs up to this one need not be known */
  struct varve_visitor own; /* for trace functions */
};

void varve__sieve_open(struct varve_sieve *sieve, struct varve_heap *heap, struct varve_visitor *visitor, bool marking);
/* Give the visitor the words of `which` (bit i: word i, `stride` bytes apart) that refer into the range. Sets found and
 * needed. */
void varve__sieve_run(struct varve_sieve *sieve, varve_word *words, size_t stride, uint64_t which, bool ref);
void varve__sieve_run_narrow(struct varve_sieve *sieve, varve_narrow *words, size_t stride, uint64_t which);
/* May what was looked at be forgotten? It must stay until the fix pass has seen it. */
static inline bool sieve_forgets(const struct varve_sieve *sieve) {
  return !sieve->needed && !(sieve->marking && sieve->found);
}

/* Claim a list in a pass over all. False: none is left. */
static inline bool remembered_take(struct varve_heap *heap, uint32_t *index) {
  *index = atomic_fetch_add_explicit(&heap->remembered.next, 1, memory_order_relaxed);
  return *index < heap->remembered.count;
}
/* One list of remembered objects, `index` below `count`. Any worker, each list once a pass. */
void varve__remembered_visit(struct varve_sieve *sieve, uint32_t index);
/* Worker 0, at the end of a pause: take out what was taken off; after a full collection, everything. */
void varve__remembered_settle(struct varve_heap *heap);
void varve__remembered_close(struct varve_heap *heap);
/* Stores of the attached mutators that have taken the barrier's slow half since the last collection; in a pause, before
 * the lists are settled. */
uint64_t varve__remembered_barriers(const struct varve_heap *heap);
/* Objects listed; in a pause. */
uint64_t varve__remembered_count(const struct varve_heap *heap);
/* Is the slot of the old object remembered, as A1 asks? For the verifier. */
bool varve__remembered_has(const struct varve_heap *heap, const varve_object *object, const void *slot);

#endif
