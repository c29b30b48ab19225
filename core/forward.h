/* SPDX-License-Identifier: MIT */
/* forward.h -- the new address of an object, from side tables only.
 *
 *     rank = live words of the block before the object = ranks[line] + popcount(bits of the line below it)
 *     new  = (rank < split ? dst1 : dst2) + 8 * rank
 *
 * It reads no header, so slots can be fixed in any order, while other objects are half moved (F2). The tables hold
 * from the plan to the release of one pause.
 */
#ifndef VARVE_CORE_FORWARD_H
#define VARVE_CORE_FORWARD_H

#include "core/base/bits.h"
#include "regions/space.h"

/* The tables, by value, so that loops can keep them in registers. Offsets are in bytes from the heap's base. */
struct forward {
  uint64_t base, bytes;
  const uint64_t *bitmap;
  const uint16_t *ranks;
  const struct varve_block *blocks;
  const uint64_t *moves;
};

static inline struct forward forward_open(const struct varve_space *space) {
  return (struct forward){space->base, space->bytes, space->bitmap, space->ranks, space->blocks,
                          space->moves};
}

static inline const struct varve_block *forward_block(const struct forward *f, uint64_t offset) {
  return &f->blocks[offset >> VARVE__BLOCK_SHIFT];
}

/* Where the object at the offset goes, which is in a block that moves. Tag bits of the offset are ignored. */
static inline uint64_t forward_moved(const struct forward *f, uint64_t offset) {
  const struct varve_block *block = forward_block(f, offset);
  size_t line = offset >> VARVE__LINE_SHIFT;
  uint64_t rank = f->ranks[line] + bits_count(f->bitmap[line] & bits_below((unsigned)(offset >> 3 & 63)));
  return (rank < block->split ? block->dst1 : block->dst2) + rank * 8;
}

/* Does the block move? So few bits are always in the first cache. */
static inline bool forward_moves(const struct forward *f, uint32_t block) {
  return f->moves[block >> 6] >> (block & 63) & 1;
}

/* Bring what forward_moved will read into the cache. */
static inline void forward_prefetch(const struct forward *f, uint64_t offset) {
  size_t line = offset >> VARVE__LINE_SHIFT;
  __builtin_prefetch(forward_block(f, offset));
  __builtin_prefetch(&f->bitmap[line]);
  __builtin_prefetch(&f->ranks[line]);
}

#endif
