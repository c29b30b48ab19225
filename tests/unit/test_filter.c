/* SPDX-License-Identifier: MIT */
/* test_filter.c -- the filter for sparse tables lets every address of the range pass, at its ends too, and nothing that
 * is 4 GiB or more away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "regions/filter.h"

static uint64_t seed;

static uint64_t random_word(void) {
  seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return seed >> 32 ^ seed;
}

/* A word near one end of the range or of all words, or anywhere. */
static uint64_t random_candidate(uint64_t base, uint64_t bytes) {
  uint64_t near = random_word() % 64 - 32;
  switch (random_word() % 8) {
    case 0: return base + near;
    case 1: return base + bytes + near;
    case 2: return base + random_word() % bytes;
    case 3: return near;
    case 4: return base + bytes + (UINT64_C(1) << 32) + near;
    case 5: return base - (UINT64_C(1) << 32) + near;
    case 6: return (UINT64_C(1) << 63) + near;
    default: return random_word() << 32 | random_word();
  }
}

static void check(uint64_t base, uint64_t bytes) {
  struct filter filter = filter_open(base, bytes);
  varve_word words[FILTER_WORDS];
  for (unsigned k = 0; k < FILTER_WORDS; ++k) words[k] = random_candidate(base, bytes);
  uint64_t found = filter_words(&filter, words);
  for (unsigned k = 0; k < FILTER_WORDS; ++k) {
    uint64_t offset = words[k] - base;
    if (offset < bytes) assert_true(found >> k & 1);
    if (offset >= bytes + UINT32_MAX) assert_false(found >> k & 1);
  }
}

static void all_of_the_range_passes_and_nothing_far_from_it(void **state) {
  (void)state;
  const uint64_t sizes[] = {8, 4096, 4u << 20, UINT32_MAX, UINT64_C(1) << 32, (UINT64_C(1) << 32) + 8, UINT64_C(1) << 42,
                            UINT64_C(1) << 62};
  const uint64_t bases[] = {0, 4096, UINT64_C(0x7f12a4600000), (UINT64_C(1) << 32) - (2u << 20), UINT64_C(1) << 46};
  for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; ++s)
    for (unsigned b = 0; b < sizeof bases / sizeof *bases; ++b)
      for (unsigned i = 0; i < 200; ++i) check(bases[b], sizes[s]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(all_of_the_range_passes_and_nothing_far_from_it)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
