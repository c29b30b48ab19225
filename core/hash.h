/* SPDX-License-Identifier: MIT */
/* hash.h -- identity hashes: a table beside the heap, from the address of an object to its hash.
 *
 * Table   Open addressing, linear probes. While mutators run, entries are added and none is removed; so a probe that
 *         meets an empty place has seen all, and reading needs no lock. In pauses entries follow their objects.
 * Stripes Whoever adds holds the lock of the address's stripe, so that an object gets one entry. Whoever makes the
 *         table larger holds all. Places are claimed by compare-and-swap, for stripes share the table.
 * Recent  Entries of objects that a young collection may take are listed as well, so that it looks at no others.
 * Spare   A table as large as the one in use, into which a full collection puts the entries that it finds.
 *
 * Invariants
 *   H1 an object has the flag HASHED if and only if its address has an entry: one, in the table in use.
 *      The flag is set (release) after the entry is complete; who sees it (acquire) finds the entry in the table that
 *      it loads then, or in an older one that was copied: entries only move on in pauses.
 *   H2 with ages, and awake, entries of epochs newer than `tenured` are listed, each once, and no others are.
 *   H3 at least an eighth of the places in use hold no entry; the spare table has room for as many.
 *   H4 a table that was replaced is kept until a collection has been: nobody reads it after that.
 */
#ifndef VARVE_CORE_HASH_H
#define VARVE_CORE_HASH_H

#include "core/heap.h"
#include "varve/hash.h"

#define VARVE__HASH_STRIPES 64u
#define VARVE__HASH_EMPTY UINT64_C(0)
#define VARVE__HASH_GONE UINT64_C(1) /* was in use: probes go on behind it */

struct varve_hash_entry {
  uint64_t address; /* or EMPTY, or GONE; atomic while mutators run */
  uint64_t value;
};

struct varve_hash_table {
  unsigned shift;       /* 64 - log2 of the places in use */
  size_t places, room;  /* in use; taken from the metadata */
  uint64_t collections; /* when it was replaced */
  struct varve_hash_table *next; /* of those that were */
  struct varve_hash_entry entries[];
};

struct varve_hash_stripe {
  _Alignas(64) struct varve_lock lock;
  size_t used; /* places not empty: an even share of all after a pause, and one for each that it filled since */
  size_t recent_count, recent_room;
  struct varve_hash_entry *recent; /* in a pause: address | GONE, to be entered anew */
};

struct varve_hashes {
  struct varve_hash_table *_Atomic table; /* NULL: nothing was ever hashed */
  struct varve_hash_table *spare, *replaced; /* under all locks, or in a pause */
  _Atomic uint32_t next;                  /* in a pause: claims */
  _Atomic int64_t used;                   /* in a pause: places that are not empty */
  struct varve_hash_stripe stripes[VARVE__HASH_STRIPES];
};

bool varve__hashes_open(struct varve_heap *heap); /* False: no memory */
void varve__hashes_close(struct varve_heap *heap);
/* In a pause, after the plan and before the slide: drop entries of what is dead, and let the others follow. */
void varve__hashes_follow(struct varve_heap *heap);
/* The hash of an object that has the flag; 0: H1 is broken. Any time. */
uint64_t varve__hash_find(const struct varve_heap *heap, const varve_object *object);
static inline bool hash_is_flagged(const varve_object *object) {
  return __atomic_load_n((const uint8_t *)object, __ATOMIC_ACQUIRE) & VARVE_ABI_FLAG_HASHED;
}

#endif
