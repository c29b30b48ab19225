/* SPDX-License-Identifier: MIT */
/* slab.h -- chunks of single words with two bitmaps, taken and given back without a lock.
 *
 * Idea       A chunk is 64 KiB at a 64 KiB boundary: a word finds its chunk by masking its address. 122 groups of 64
 *            words, and per group one word of each bitmap:
 *                used  the word is in somebody's use: what whoever walks the slab looks at
 *                free  the word can be claimed
 *            A word with neither bit is held back by a claimer. Claimers take all free bits of a group at once.
 *            A byte for each line of eight words says whether one was stored to; what it means is the caller's affair.
 *
 *                | header 64 B | used 122 x 8 B | free 122 x 8 B | notes 122 x 8 B | words 122 x 64 x 8 B |
 *
 *            Chunks are found by number through a directory of segments that double in size (64, 128, ... chunks), so
 *            that nothing ever moves; one bit per chunk in the directory says that the chunk may have free words.
 * Invariants B1 a word is in at most one of: used, free, one claimer's hands.
 *            B2 a word that is not in use holds 0.
 *            B3 a chunk whose available bit is clear has no free bit, but for those being set at this moment.
 *            B4 chunks are only added, until the slab is closed.
 * Called by  the Ref slabs and handles of core/. Growth and closing: one caller at a time, by a lock of the caller.
 */
#ifndef VARVE_REGIONS_SLAB_H
#define VARVE_REGIONS_SLAB_H

#include <stdatomic.h>

#include "core/base/bits.h"
#include "numa/meta.h"
#include "varve/types.h"

#define VARVE__CHUNK_BYTES ((size_t)65536)
#define VARVE__CHUNK_GROUPS 122u
#define VARVE__CHUNK_WORDS (VARVE__CHUNK_GROUPS * 64u)
#define VARVE__SLAB_SEGMENTS 16u

struct varve_slab;

/* The bitmaps are plain words for the sake of those who read them in a pause; changed by atomic builtins only. */
struct varve_slab_chunk {
  struct varve_slab *slab;
  uint32_t index; /* in the slab */
  unsigned node;
  _Alignas(64) uint64_t used[VARVE__CHUNK_GROUPS];
  uint64_t free[VARVE__CHUNK_GROUPS];
  uint8_t notes[VARVE__CHUNK_WORDS / 8];
  _Alignas(64) varve_word words[VARVE__CHUNK_WORDS];
  uint64_t unused[8];
};
_Static_assert(sizeof(struct varve_slab_chunk) == VARVE__CHUNK_BYTES, "122 groups fill the chunk");

/* Segment s holds chunks [64 (2^s - 1), 64 (2^(s+1) - 1)). */
struct varve_slab_segment {
  _Atomic uint64_t *available; /* one bit a chunk */
  struct varve_slab_chunk **chunks;
  uint8_t *nodes; /* of the chunks */
};

struct varve_slab {
  struct varve_meta *meta;
  _Atomic uint32_t chunk_count; /* release: the chunks below are complete; pairs with the acquire of its readers */
  struct varve_slab_segment segments[VARVE__SLAB_SEGMENTS];
};

void varve__slab_open(struct varve_slab *slab, struct varve_meta *meta);
/* Give the chunks back. Nobody uses a word of it any more. */
void varve__slab_close(struct varve_slab *slab);
/* Add one chunk on the node, under the caller's lock. @return NULL: no memory. */
struct varve_slab_chunk *varve__slab_grow(struct varve_slab *slab, unsigned node);

#define VARVE__SLAB_ANY_NODE UINT8_MAX
/* Claim the free words of one group in a chunk of the node, looking in the chunk of `near` first (NULL: no wish).
 * @return their bits, not 0, and in *words the group's first word; 0: nothing is free there. Any thread. */
uint64_t varve__slab_claim(struct varve_slab *slab, unsigned node, const varve_word *near, varve_word **words);
/* Give claimed and unused words of a group back. */
void varve__slab_unclaim(varve_word *words, uint64_t bits);
/* Claim one word. NULL: nothing is free. Any thread. */
varve_word *varve__slab_claim_one(struct varve_slab *slab);

/* Put a claimed word into use. */
void varve__slab_use(varve_word *slot, varve_word word);
/* Give a word in use back. @return false: it was not in use; nothing happened. Any thread. */
bool varve__slab_give(varve_word *slot);

uint64_t varve__slab_count_used(const struct varve_slab *slab);
struct varve_slab_chunk *varve__slab_chunk(const struct varve_slab *slab, uint32_t index);

static inline struct varve_slab_chunk *slab_chunk_of(const varve_word *slot) {
  return (struct varve_slab_chunk *)((uintptr_t)slot & ~(uintptr_t)(VARVE__CHUNK_BYTES - 1));
}
static inline uint32_t slab_index_of(const varve_word *slot) {
  return (uint32_t)(slot - slab_chunk_of(slot)->words);
}
/* Relaxed: the answer is for checks; whoever owns the word knows it without asking. */
static inline bool slab_is_used(const varve_word *slot) {
  uint32_t index = slab_index_of(slot);
  return __atomic_load_n(&slab_chunk_of(slot)->used[index / 64], __ATOMIC_RELAXED) >> index % 64 & 1;
}

#endif
