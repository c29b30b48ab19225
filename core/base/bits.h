/* SPDX-License-Identifier: MIT */
/* bits.h -- arithmetic on words and bit sets. */
#ifndef VARVE_BASE_BITS_H
#define VARVE_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline size_t bits_round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }
static inline unsigned bits_count(uint64_t word) { return (unsigned)__builtin_popcountll(word); }
/* Index of the lowest set bit; the word is not 0. */
static inline unsigned bits_lowest(uint64_t word) { return (unsigned)__builtin_ctzll(word); }
/* Index of set bit number n, counted from 0 at the lowest; the word has more than n. */
static inline unsigned bits_select(uint64_t word, unsigned n) {
#ifdef __BMI2__
  return bits_lowest(__builtin_ia32_pdep_di((uint64_t)1 << n, word));
#else
  for (; n; --n) word &= word - 1;
  return bits_lowest(word);
#endif
}
/* The bits below position `bit`, 0..63. */
static inline uint64_t bits_below(unsigned bit) { return ((uint64_t)1 << bit) - 1; }
/* `count` set bits from position `bit` on; count 1..64, bit + count <= 64. */
static inline uint64_t bits_range(unsigned bit, unsigned count) { return (~(uint64_t)0 >> (64 - count)) << bit; }
static inline bool bits_power_of_two(size_t value) { return value && !(value & (value - 1)); }

static inline size_t bits_next_power_of_two(size_t value) {
  size_t power = 1;
  while (power < value) power <<= 1;
  return power;
}

#endif
