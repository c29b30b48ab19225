/* SPDX-License-Identifier: MIT */
/* random.h -- a small seeded generator (splitmix64), so that a test replays exactly from its seed. */
#ifndef VARVE_TESTS_RANDOM_H
#define VARVE_TESTS_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
  uint64_t state;
};

static inline uint64_t random_next(struct random *random) {
  uint64_t z = random->state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

/** A number below `bound`, which is not 0 and less than 2^32. */
static inline uint64_t random_below(struct random *random, uint64_t bound) {
  return (uint64_t)((random_next(random) >> 32) * bound >> 32);
}

/** True once in `period` calls on average. */
static inline bool random_one_in(struct random *random, uint64_t period) { return random_below(random, period) == 0; }

#endif
