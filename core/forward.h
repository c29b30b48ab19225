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

static inline uint64_t forward_address(const struct varve_space *space, uint64_t address) {
  const struct varve_block *block = &space->blocks[space_block(space, address)];
  if (!(block->flags & BLOCK_MOVES)) return address;
  size_t word = space_word(space, address), line = word >> 6;
  uint32_t rank = space->ranks[line] + bits_count(space->bitmap[line] & bits_below((unsigned)(word & 63)));
  return (rank < block->split ? block->dst1 : block->dst2) + (uint64_t)rank * 8;
}

/* Bring what forward_address will read into the cache. */
static inline void forward_prefetch(const struct varve_space *space, uint64_t address) {
  size_t line = space_word(space, address) >> 6;
  __builtin_prefetch(&space->blocks[space_block(space, address)]);
  __builtin_prefetch(&space->bitmap[line]);
  __builtin_prefetch(&space->ranks[line]);
}

#endif
