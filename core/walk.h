/* SPDX-License-Identifier: MIT */
/* walk.h -- visiting marked objects by the bitmap.
 *
 * Runs of set bits are made of whole objects: a set bit after a clear one is an object's start, and inside the run the
 * next object starts where the header says that this one ends. In a MEDIUM region objects cross blocks, so the unit
 * is the region; of a large object only the start bit is set. Headers of dead objects are never read.
 */
#ifndef VARVE_CORE_WALK_H
#define VARVE_CORE_WALK_H

#include "core/base/bits.h"
#include "regions/space.h"
#include "varve/alloc.h"

typedef void walk_object_fn(void *context, varve_object *object, uint64_t words);

/* The first word at or after `from`, below `end`, whose bit is set (set) or clear (!set); `end` when there is none.
 * Word indexes count from `bitmap`'s start. */
static inline size_t walk_find(const uint64_t *bitmap, size_t from, size_t end, bool set) {
  while (from < end) {
    uint64_t line = bitmap[from >> 6];
    if (!set) line = ~line;
    line &= ~bits_below((unsigned)(from & 63));
    if (line) {
      size_t at = (from & ~(size_t)63) + bits_lowest(line);
      return at < end ? at : end;
    }
    from = (from & ~(size_t)63) + 64;
  }
  return end;
}

#define WALK_AHEAD 2048u /* bytes */
#define WALK_FETCH_WORDS 8u

/* An object of more than a line is walked over: fetch as much as it is long, some way ahead. Steps of such sizes are
 * irregular to a hardware prefetcher, and waiting for each header was half of the time of a walk over objects of a few
 * hundred bytes. Beyond the heap's end a prefetch does nothing. */
static inline void walk_fetch(uint64_t at, uint64_t words) {
  if (words <= WALK_FETCH_WORDS) return;
  uint64_t end = at + (words * 8 < 2 * WALK_AHEAD ? words * 8 : 2 * WALK_AHEAD);
  for (; at < end; at += 64) __builtin_prefetch((const void *)(at + WALK_AHEAD));
}

/* Objects marked in words [0, words) of a piece of heap that starts at `base`. */
static inline __attribute__((always_inline)) void walk_words(uint64_t base, const uint64_t *bitmap, size_t words,
                                                             walk_object_fn *visit, void *context) {
  size_t at = walk_find(bitmap, 0, words, true);
  while (at < words) {
    varve_object *object = (varve_object *)(base + at * 8);
    uint64_t size = varve_object_bytes(object) / 8;
    walk_fetch(base + at * 8, size);
    visit(context, object, size);
    at = walk_find(bitmap, at + size, words, true);
  }
}

/* Objects marked in a block: a SMALL one, a whole MEDIUM region (given by its first block), or a large object. */
static inline __attribute__((always_inline)) void walk_marked(const struct varve_space *space, uint32_t block,
                                                              walk_object_fn *visit, void *context) {
  uint64_t base = space_block_address(space, block);
  uint64_t *bitmap = space_block_bitmap(space, block);
  switch (space->blocks[block].kind) {
    case BLOCK_SMALL: walk_words(base, bitmap, VARVE__BLOCK_WORDS, visit, context); break;
    case BLOCK_MEDIUM: walk_words(base, bitmap, VARVE__REGION_WORDS, visit, context); break;
    case BLOCK_LARGE_HEAD:
      if (bitmap[0] & 1) visit(context, (varve_object *)base, varve_object_bytes((varve_object *)base) / 8);
      break;
    default: break;
  }
}

#endif
