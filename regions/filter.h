/* SPDX-License-Identifier: MIT */
/* filter.h -- which of 64 neighbouring words may be references, for tables in which most are not.
 *
 * Idea       Only the upper half of a word's distance from the heap's base is compared, for which every x86-64 has
 *            vector instructions: what passes lies in the heap's range or less than 4 GiB behind it. The caller looks
 *            again.
 *            Of narrow words the index is compared with the heap's size, exactly; tags are left to the caller.
 * Cost       86 vector operations for 64 words: such tables are read as fast as memory gives them.
 */
#ifndef VARVE_REGIONS_FILTER_H
#define VARVE_REGIONS_FILTER_H

#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "varve/types.h"

#define FILTER_WORDS 64u
#define FILTER_SIGN (UINT64_C(1) << 63) /* makes a signed comparison of what is unsigned */

struct filter {
  uint64_t base; /* with FILTER_SIGN */
  int32_t limit; /* upper halves below it pass; with the sign */
};

/* For addresses in [base, base + bytes); bytes is at most 2^62. */
static inline struct filter filter_open(uint64_t base, uint64_t bytes) {
  uint64_t halves = (bytes + UINT32_MAX) >> 32;
  return (struct filter){base + FILTER_SIGN, (int32_t)(INT32_MIN + (int64_t)halves)};
}

struct filter_narrow {
  uint32_t limit; /* indexes from 1 on up to it pass */
  int shift;      /* tag bits */
};

/* For a heap of so many granules, fewer than 2^(32 - tag_bits). */
static inline struct filter_narrow filter_narrow_open(uint64_t granules, unsigned tag_bits) {
  return (struct filter_narrow){(uint32_t)granules, (int)tag_bits};
}

#ifdef __SSE2__

/* Four narrow words; `limit` as a signed number. Index 0 is the largest after 1 was subtracted. */
static inline __m128i filter_narrow_four(const varve_narrow *words, __m128i shift, __m128i less, __m128i limit) {
  __m128i index = _mm_srl_epi32(_mm_loadu_si128((const __m128i *)words), shift);
  return _mm_cmpgt_epi32(limit, _mm_add_epi32(index, less));
}

/* Bit k: the index of word k is in the heap. */
static inline uint64_t filter_narrow_words(const struct filter_narrow *filter, const varve_narrow *words) {
  __m128i shift = _mm_cvtsi32_si128(filter->shift), less = _mm_set1_epi32(INT32_MAX);
  __m128i limit = _mm_set1_epi32((int32_t)(filter->limit ^ UINT32_C(0x80000000)));
  uint64_t found = 0;
  for (unsigned k = 0; k < FILTER_WORDS; k += 16) {
    __m128i low = _mm_packs_epi32(filter_narrow_four(words + k, shift, less, limit),
                                  filter_narrow_four(words + k + 4, shift, less, limit));
    __m128i high = _mm_packs_epi32(filter_narrow_four(words + k + 8, shift, less, limit),
                                   filter_narrow_four(words + k + 12, shift, less, limit));
    found |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high)) << k;
  }
  return found;
}

static inline __m128i filter_two(const varve_word *words, __m128i base) {
  return _mm_sub_epi64(_mm_loadu_si128((const __m128i *)words), base);
}

/* Four words: all bits of a lane set where the word passes. */
static inline __m128i filter_four(const varve_word *words, __m128i base, __m128i limit) {
  __m128 low = _mm_castsi128_ps(filter_two(words, base)), high = _mm_castsi128_ps(filter_two(words + 2, base));
  return _mm_cmpgt_epi32(limit, _mm_castps_si128(_mm_shuffle_ps(low, high, _MM_SHUFFLE(3, 1, 3, 1))));
}

static inline uint64_t filter_sixteen(const varve_word *words, __m128i base, __m128i limit) {
  __m128i low = _mm_packs_epi32(filter_four(words, base, limit), filter_four(words + 4, base, limit));
  __m128i high = _mm_packs_epi32(filter_four(words + 8, base, limit), filter_four(words + 12, base, limit));
  return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high));
}

/* Bit k: word k may be a reference. */
static inline uint64_t filter_words(const struct filter *filter, const varve_word *words) {
  __m128i base = _mm_set1_epi64x((long long)filter->base), limit = _mm_set1_epi32(filter->limit);
  return filter_sixteen(words, base, limit) | filter_sixteen(words + 16, base, limit) << 16 |
         filter_sixteen(words + 32, base, limit) << 32 | filter_sixteen(words + 48, base, limit) << 48;
}

/* The same for eight words. */
static inline uint64_t filter_eight(const struct filter *filter, const varve_word *words) {
  __m128i base = _mm_set1_epi64x((long long)filter->base), limit = _mm_set1_epi32(filter->limit);
  __m128i eight = _mm_packs_epi32(filter_four(words, base, limit), filter_four(words + 4, base, limit));
  return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(eight, _mm_setzero_si128()));
}

#else

/* Bit k: the index of word k is in the heap. */
static inline uint64_t filter_narrow_words(const struct filter_narrow *filter, const varve_narrow *words) {
  uint64_t found = 0;
  for (unsigned k = 0; k < FILTER_WORDS; ++k)
    found |= (uint64_t)((words[k] >> filter->shift) - 1 < filter->limit) << k;
  return found;
}

static inline uint64_t filter_one(const struct filter *filter, varve_word word) {
  return (int32_t)((word - filter->base) >> 32) < filter->limit;
}

static inline uint64_t filter_eight(const struct filter *filter, const varve_word *words) {
  uint64_t found = 0;
  for (unsigned k = 0; k < 8; ++k) found |= filter_one(filter, words[k]) << k;
  return found;
}

/* Bit k: word k may be a reference. */
static inline uint64_t filter_words(const struct filter *filter, const varve_word *words) {
  uint64_t found = 0;
  for (unsigned k = 0; k < FILTER_WORDS; ++k) found |= filter_one(filter, words[k]) << k;
  return found;
}

#endif
#endif
