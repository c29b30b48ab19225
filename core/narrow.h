/* SPDX-License-Identifier: MIT */
/* narrow.h -- narrow words from the inside: 32 bits that are an offset in the heap and a tag (varve/narrow.h).
 *
 * Invariant  NW1 every address of the heap of a narrow host has an index, for the reservation ends within reach. The
 *                base is a granule below the heap: index 0 wraps around to an offset that is beyond every heap, so one
 *                comparison refuses null and what lies behind the heap.
 */
#ifndef VARVE_CORE_NARROW_H
#define VARVE_CORE_NARROW_H

#include "regions/space.h"
#include "varve/narrow.h"
#include "varve/options.h"

#define NARROW_SPARE_REGIONS 16u /* reserved beyond heap-max, so that large objects find neighbours */

struct narrow {
  uint32_t tags, tag_mask;
  uint8_t tag_bits, shift; /* of the granule */
  bool on;
};

/* The distance from the heap's base, in bytes, that the word stands for. */
static inline uint64_t narrow_offset(const struct narrow *n, varve_narrow word) {
  return ((uint64_t)(word >> n->tag_bits) << n->shift) - ((uint64_t)1 << n->shift);
}

static inline bool narrow_has_tag(const struct narrow *n, varve_narrow word) {
  return n->tags >> (word & n->tag_mask) & 1;
}

/* The word for an offset, with the tag of `like`. */
static inline varve_narrow narrow_word(const struct narrow *n, uint64_t offset, varve_narrow like) {
  return (varve_narrow)((offset >> n->shift) + 1) << n->tag_bits | (like & n->tag_mask);
}

/* Bytes that a heap may have, in whole regions. */
static inline uint64_t narrow_reach(const struct narrow *n) {
  uint64_t bytes = ((UINT64_C(1) << (32 - n->tag_bits)) - 1) << n->shift;
  return bytes & ~(uint64_t)(VARVE__REGION_BYTES - 1);
}

/* The largest heap-max. */
static inline uint64_t narrow_heap_max(const struct narrow *n) {
  uint64_t regions = (narrow_reach(n) >> VARVE__REGION_SHIFT) - NARROW_SPARE_REGIONS;
  return regions * (VARVE__REGION_BYTES + VARVE__SIDE_BYTES);
}

static inline struct narrow narrow_open(const varve_options *options) {
  return (struct narrow){.on = options->narrow, .tags = options->narrow_tags,
                         .tag_bits = (uint8_t)options->narrow_tag_bits,
                         .tag_mask = (1u << options->narrow_tag_bits) - 1, .shift = options->granule == 16 ? 4 : 3};
}

#endif
