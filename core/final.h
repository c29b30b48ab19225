/* SPDX-License-Identifier: MIT */
/* final.h -- finalizers and cleaners: a registry beside the heap, and the queue of those whose objects are dead.
 *
 * Idea       Entries lie in chunks. The host's threads change them under a lock, while they run; a pause, which
 *            finds the lock free, goes through chunks as tasks: it fixes their words like roots, but marks from
 *            queued entries only. A chunk knows the newest epoch that its objects may be of, so young collections
 *            skip what is old. A pause turns entries into queued ones by setting bits; which comes first is found
 *            out when the host takes one.
 * Invariants Z1 an entry is free, attached, found (dead, and its place in the queue not yet known) or queued.
 *               Attached, found and queued are bitmaps of its chunk.
 *            Z2 an entry that is not free and not a dead cleaner refers to an object, by a word that slots would be.
 *            Z3 `newest` is at least the epoch of each of the chunk's objects.
 */
#ifndef VARVE_CORE_FINAL_H
#define VARVE_CORE_FINAL_H

#include "core/base/park.h"
#include "varve/final.h"

struct varve_heap;
struct mark_worker;
struct varve_visitor;

#define VARVE__FINAL_ENTRIES 256u
#define VARVE__FINAL_WORDS (VARVE__FINAL_ENTRIES / 64)

struct varve_final_entry {
  varve_word object;       /* 0: none */
  varve_finalizer_fn *fn;
  void *context;
  uint64_t sequence;       /* of attaching */
  uint64_t death;          /* number of the collection that found it dead */
  uint32_t generation;     /* of the handle */
  uint32_t child, sibling; /* in the queue, a heap of entries; number + 1; `sibling` of a free one: the next free */
  int32_t order;
};

struct varve_final_chunk {
  struct varve_final_entry entry[VARVE__FINAL_ENTRIES];
  uint64_t attached[VARVE__FINAL_WORDS], found[VARVE__FINAL_WORDS], queued[VARVE__FINAL_WORDS];
  uint64_t cleaners[VARVE__FINAL_WORDS]; /* which entries are */
  uint8_t newest;
  bool took;                             /* in a pause: some were found in it */
};

struct varve_final {
  struct varve_lock lock;            /* all of it, while mutators run */
  struct varve_final_chunk **chunks;
  uint32_t count, capacity;
  uint32_t free;                     /* number + 1 of the first free entry */
  uint32_t first;                    /* of the queue; likewise */
  uint64_t sequence;
  bool incoming;                     /* some are found */
  _Atomic uint64_t waiting;          /* found or queued */
  _Atomic uint64_t queued_ever;
  uint64_t told;                     /* queued_ever when the hook was called last */
  varve_finalizers_hook *hook;
  void *context;
  _Atomic uint32_t next;             /* in a pause: claims */
  _Atomic uint64_t taken;            /* in a pause */
};

void varve__final_close(struct varve_heap *heap);
/* World stopped: `by` epochs behind the floor have become one with it. */
void varve__final_merge(struct varve_heap *heap, uint8_t by);

/* World stopped: the words of all that is found or queued. */
void varve__final_visit_queued(struct varve_heap *heap, struct varve_visitor *visitor);
/* Worker 0, before a run in which workers claim chunks. */
void varve__final_rewind(struct varve_heap *heap);
/* Worker: mark from all that is found or queued, chunk by chunk; from what this pause has found. */
void varve__final_mark(struct mark_worker *worker);
void varve__final_mark_found(struct mark_worker *worker);
/* Worker 0: find all finalizers of dead objects. @return whether there are any. */
bool varve__final_take(struct varve_heap *heap);
/* Worker 0, at the end of marking: find all cleaners of dead objects. */
void varve__final_take_cleaners(struct varve_heap *heap);
/* Worker: fix all words, chunk by chunk. */
void varve__final_fix(struct varve_heap *heap, struct varve_visitor *visitor);
/* The requester of a collection, running: call the hook when there is something new. */
void varve__final_tell(struct varve_heap *heap);

#endif
