/* SPDX-License-Identifier: MIT */
/* slab.c -- claiming, giving back, growing. See slab.h for the idea and B1 to B4.
 *
 * Who writes what: `used` and `free` bits by atomic read-modify-write, any thread; words by their owner; the directory
 * and chunk_count under the grower's lock; available bits by any thread (set by who frees into an empty group, cleared
 * by a claimer that found nothing).
 */
#include "regions/slab.h"

#include <string.h>

#define NO_CHUNK UINT32_MAX
#define SEGMENT_FIRST 64u /* chunks in segment 0: 4 MiB of words */

/* ---- the directory ----------------------------------------------------------------------------------------- */

static unsigned segment_of(uint32_t index) { return 31 - (unsigned)__builtin_clz(index / SEGMENT_FIRST + 1); }
static uint32_t segment_base(unsigned segment) { return SEGMENT_FIRST * ((1u << segment) - 1); }
static uint32_t segment_size(unsigned segment) { return SEGMENT_FIRST << segment; }

struct varve_slab_chunk *varve__slab_chunk(const struct varve_slab *slab, uint32_t index) {
  unsigned segment = segment_of(index);
  return slab->segments[segment].chunks[index - segment_base(segment)];
}

/* The directory word and bit of a chunk. */
static _Atomic uint64_t *available_word(struct varve_slab *slab, uint32_t index, uint64_t *bit) {
  unsigned segment = segment_of(index);
  *bit = (uint64_t)1 << index % 64; /* segment bases are multiples of 64 */
  return &slab->segments[segment].available[(index - segment_base(segment)) / 64];
}

/* Sequentially consistent, like clear_available and the free bits: see B3 there. */
static void set_available(struct varve_slab *slab, uint32_t index) {
  uint64_t bit;
  _Atomic uint64_t *word = available_word(slab, index, &bit);
  if (!(atomic_load(word) & bit)) atomic_fetch_or(word, bit);
}

static bool has_free(const struct varve_slab_chunk *chunk) {
  for (unsigned group = 0; group < VARVE__CHUNK_GROUPS; ++group)
    if (__atomic_load_n(&chunk->free[group], __ATOMIC_SEQ_CST)) return true;
  return false;
}

/* A claimer found nothing here. B3: clear the bit, then look again; who frees sets the free bit, then looks at
 * the available bit. In the single order of these four, one of the two sees the other. */
static void clear_available(struct varve_slab *slab, const struct varve_slab_chunk *chunk) {
  uint64_t bit;
  _Atomic uint64_t *word = available_word(slab, chunk->index, &bit);
  atomic_fetch_and(word, ~bit);
  if (has_free(chunk)) set_available(slab, chunk->index);
}

/* ---- opening, growing, closing ----------------------------------------------------------------------------- */

void varve__slab_open(struct varve_slab *slab, struct varve_meta *meta) {
  memset(slab, 0, sizeof *slab);
  slab->meta = meta;
}

/* Of a segment's tables, which follow each other: chunks, available bits, nodes. */
static size_t segment_bytes(unsigned segment) {
  size_t size = segment_size(segment);
  return size * sizeof(struct varve_slab_chunk *) + size / 8 + size;
}

static bool open_segment(struct varve_slab *slab, unsigned segment) {
  struct varve_slab_segment *at = &slab->segments[segment];
  if (at->chunks) return true;
  at->chunks = varve__meta_alloc(slab->meta, varve__meta_home(slab->meta), segment_bytes(segment), 64);
  if (!at->chunks) return false;
  at->available = (_Atomic uint64_t *)(at->chunks + segment_size(segment));
  at->nodes = (uint8_t *)(at->available + segment_size(segment) / 64);
  return true;
}

struct varve_slab_chunk *varve__slab_grow(struct varve_slab *slab, unsigned node) {
  uint32_t index = atomic_load_explicit(&slab->chunk_count, memory_order_relaxed); /* we hold the lock */
  unsigned segment = segment_of(index);
  if (segment >= VARVE__SLAB_SEGMENTS || !open_segment(slab, segment)) return NULL;
  struct varve_slab_chunk *chunk = varve__meta_alloc(slab->meta, node, VARVE__CHUNK_BYTES, VARVE__CHUNK_BYTES);
  if (!chunk) return NULL;
  chunk->slab = slab;
  chunk->index = index;
  chunk->node = node;
  memset(chunk->free, 0xff, sizeof chunk->free);
  slab->segments[segment].chunks[index - segment_base(segment)] = chunk;
  slab->segments[segment].nodes[index - segment_base(segment)] = (uint8_t)node;
  /* Release: pairs with the acquire in chunk_count_of(); the chunk and its segment are complete. */
  atomic_store_explicit(&slab->chunk_count, index + 1, memory_order_release);
  set_available(slab, index);
  return chunk;
}

void varve__slab_close(struct varve_slab *slab) {
  uint32_t count = atomic_load_explicit(&slab->chunk_count, memory_order_acquire);
  for (uint32_t i = 0; i < count; ++i) {
    struct varve_slab_chunk *chunk = varve__slab_chunk(slab, i);
    varve__meta_free_words(slab->meta, chunk->node, chunk, VARVE__CHUNK_BYTES, VARVE__CHUNK_BYTES);
  }
  for (unsigned s = 0; s < VARVE__SLAB_SEGMENTS && slab->segments[s].chunks; ++s)
    varve__meta_free(slab->meta, varve__meta_home(slab->meta), slab->segments[s].chunks, segment_bytes(s), 64);
  memset(slab, 0, sizeof *slab);
}

/* Acquire: pairs with the release in varve__slab_grow. */
static uint32_t chunk_count_of(const struct varve_slab *slab) {
  return atomic_load_explicit(&slab->chunk_count, memory_order_acquire);
}

/* ---- claiming ---------------------------------------------------------------------------------------------- */

/* Acquire: pairs with the release in add_free(); the words are 0 (B2), and what the last owner did to them is over. */
static uint64_t take_group(struct varve_slab_chunk *chunk, unsigned group) {
  if (!__atomic_load_n(&chunk->free[group], __ATOMIC_RELAXED)) return 0;
  return __atomic_exchange_n(&chunk->free[group], 0, __ATOMIC_ACQUIRE);
}

static uint64_t take_from_chunk(struct varve_slab_chunk *chunk, unsigned from, varve_word **words) {
  for (unsigned i = 0; i < VARVE__CHUNK_GROUPS; ++i) {
    unsigned group = (from + i) % VARVE__CHUNK_GROUPS;
    uint64_t bits = take_group(chunk, group);
    if (!bits) continue;
    *words = chunk->words + group * 64;
    return bits;
  }
  clear_available(chunk->slab, chunk);
  return 0;
}

/* The number of the first chunk from `from` on that may have free words. */
static uint32_t next_available(struct varve_slab *slab, uint32_t from) {
  uint32_t count = chunk_count_of(slab);
  while (from < count) {
    uint64_t bit, bits = atomic_load(available_word(slab, from, &bit)) & ~(bit - 1);
    if (bits) {
      uint32_t found = from / 64 * 64 + bits_lowest(bits);
      return found < count ? found : NO_CHUNK;
    }
    from = from / 64 * 64 + 64;
  }
  return NO_CHUNK;
}

static bool is_on(unsigned chunk_node, unsigned node) { return node == VARVE__SLAB_ANY_NODE || chunk_node == node; }

/* The first chunk of the node from number `from` on that may have free words. NULL: none. */
static struct varve_slab_chunk *next_on(struct varve_slab *slab, unsigned node, uint32_t from) {
  uint32_t found;
  while ((found = next_available(slab, from)) != NO_CHUNK) {
    unsigned segment = segment_of(found);
    uint32_t at = found - segment_base(segment);
    if (is_on(slab->segments[segment].nodes[at], node)) return slab->segments[segment].chunks[at];
    from = found + 1;
  }
  return NULL;
}

uint64_t varve__slab_claim(struct varve_slab *slab, unsigned node, const varve_word *near, varve_word **words) {
  uint64_t bits = 0;
  if (near && is_on(slab_chunk_of(near)->node, node))
    bits = take_from_chunk(slab_chunk_of(near), slab_index_of(near) / 64 + 1, words);
  struct varve_slab_chunk *chunk = bits ? NULL : next_on(slab, node, 0);
  for (; chunk && !bits; chunk = next_on(slab, node, chunk->index + 1)) bits = take_from_chunk(chunk, 0, words);
  return bits;
}

/* Take one free bit of the group. Acquire as in take_group. */
static varve_word *take_one(struct varve_slab_chunk *chunk, unsigned group) {
  uint64_t free = __atomic_load_n(&chunk->free[group], __ATOMIC_RELAXED);
  while (free)
    if (__atomic_compare_exchange_n(&chunk->free[group], &free, free & (free - 1), true, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED))
      return &chunk->words[group * 64 + bits_lowest(free)];
  return NULL;
}

static varve_word *take_one_from_chunk(struct varve_slab_chunk *chunk) {
  varve_word *slot;
  for (unsigned group = 0; group < VARVE__CHUNK_GROUPS; ++group)
    if ((slot = take_one(chunk, group))) return slot;
  clear_available(chunk->slab, chunk);
  return NULL;
}

varve_word *varve__slab_claim_one(struct varve_slab *slab) {
  struct varve_slab_chunk *chunk = next_on(slab, VARVE__SLAB_ANY_NODE, 0);
  varve_word *slot;
  for (; chunk; chunk = next_on(slab, VARVE__SLAB_ANY_NODE, chunk->index + 1))
    if ((slot = take_one_from_chunk(chunk))) return slot;
  return NULL;
}

/* ---- giving back ------------------------------------------------------------------------------------------- */

/* Release: pairs with the acquires of the claimers. Sequentially consistent besides: see clear_available. */
static void add_free(struct varve_slab_chunk *chunk, unsigned group, uint64_t bits) {
  if (__atomic_fetch_or(&chunk->free[group], bits, __ATOMIC_SEQ_CST) == 0) set_available(chunk->slab, chunk->index);
}

void varve__slab_unclaim(varve_word *words, uint64_t bits) {
  if (bits) add_free(slab_chunk_of(words), slab_index_of(words) / 64, bits);
}

/* The word first, then the bit: whoever walks the used words (release, paired with the stop of the world) finds
 * the word there. */
void varve__slab_use(varve_word *slot, varve_word word) {
  uint32_t index = slab_index_of(slot);
  __atomic_store_n(slot, word, __ATOMIC_RELEASE);
  __atomic_fetch_or(&slab_chunk_of(slot)->used[index / 64], (uint64_t)1 << index % 64, __ATOMIC_RELEASE);
}

/* Three steps in this order, for the next owner may come at once after the third:
 *   used bit cleared   by the one who may; a second giver sees it clear and stops here
 *   word := 0          before the word is free, or it would be the next owner's word that we wipe out (B2)
 *   free bit set       last; release, so that the claimer's use comes after both */
bool varve__slab_give(varve_word *slot) {
  struct varve_slab_chunk *chunk = slab_chunk_of(slot);
  uint32_t index = slab_index_of(slot);
  uint64_t bit = (uint64_t)1 << index % 64;
  if (!(__atomic_fetch_and(&chunk->used[index / 64], ~bit, __ATOMIC_RELAXED) & bit)) return false;
  __atomic_store_n(slot, 0, __ATOMIC_RELAXED);
  add_free(chunk, index / 64, bit);
  return true;
}

uint64_t varve__slab_count_used(const struct varve_slab *slab) {
  uint64_t used = 0;
  uint32_t count = chunk_count_of(slab);
  for (uint32_t i = 0; i < count; ++i)
    for (unsigned group = 0; group < VARVE__CHUNK_GROUPS; ++group)
      used += bits_count(__atomic_load_n(&varve__slab_chunk(slab, i)->used[group], __ATOMIC_RELAXED));
  return used;
}
