/* SPDX-License-Identifier: MIT */
/* test_choose.c -- the choice between a full collection and one of the newest epochs, with numbers worked out by hand.
 *
 * A block is 32 KiB, so its survival costs 32 times `each`. What has been paid for each block is
 * cost / (allocated + allocated now + 1). Where full_cost is 0, a full collection would cost nothing, so that only the
 * question remains whether the young one is dearer than the mean. */
#include "../support/api.h"

#include "core/heap.h"
#include "core/policy.h"

/* 1 ms was paid, and 99 blocks are taken since: 10 us a block. 100 blocks were in use; 200 may be, mostly. */
static const struct varve_yield typical = {.cost = 1000000, .used = 100, .fixed = 20000, .each = 100};
#define GOAL 200

static struct varve_choice choose(const struct varve_yield *yield, uint64_t aged, uint64_t goal, uint64_t most) {
  return varve__policy_choose(yield, 99, aged, goal, 0, most);
}

/* It costs 20 us; 101 blocks at 11 us are to come. */
static void garbage_is_collected_young(void **state) {
  (void)state;
  assert_false(choose(&typical, 0, GOAL, UINT64_MAX).full);
  assert_false(choose(&typical, 0, GOAL, UINT64_MAX).again);
}

/* All 99 survive: 20 + 99 * 3.2 = 336.8 us, and one block more is all that would be free: 2 * 11 us. */
static void survivors_are_not(void **state) {
  struct varve_yield yield = typical;
  (void)state;
  yield.survival = 1024;
  assert_true(choose(&yield, 0, GOAL, UINT64_MAX).full);
  assert_true(choose(&yield, 0, 228, UINT64_MAX).full);  /* 20 + 316.8 against 30 * 11 = 330 */
  assert_false(choose(&yield, 0, 229, UINT64_MAX).full); /* against 341 */
}

/* Nothing would be free: the goal is behind. One block at 11 us against 20. */
static void at_the_goal_it_is_full(void **state) {
  (void)state;
  assert_true(choose(&typical, 0, typical.used, UINT64_MAX).full);
  assert_true(choose(&typical, 0, 0, UINT64_MAX).full);
}

/* Short cycles: 1 * 11 us and 2 * 11 us against 20. */
static void short_cycles_count_as_they_are(void **state) {
  (void)state;
  assert_true(choose(&typical, 0, GOAL, 0).full);
  assert_false(choose(&typical, 0, GOAL, 1).full);
}

/* 50 blocks survived the last one; half of them will not survive again. To keep the others costs 25 * 3.2 = 80 us, and
 * 25 blocks are worth 250. */
static void survivors_are_taken_again(void **state) {
  struct varve_yield yield = typical;
  (void)state;
  yield.survival_again = 512;
  struct varve_choice choice = choose(&yield, 50, GOAL, UINT64_MAX);
  assert_true(choice.again);
  assert_false(choice.full);
  yield.each = 312; /* 249.6 us */
  assert_true(choose(&yield, 50, GOAL, UINT64_MAX).again);
  yield.each = 313; /* 250.4 us */
  assert_false(choose(&yield, 50, GOAL, UINT64_MAX).again);
  yield.survival_again = 1024; /* nothing comes free */
  yield.each = 1;
  assert_false(choose(&yield, 50, GOAL, UINT64_MAX).again);
}

/* What comes free of them puts the next collection off: used falls from 100 to 50. */
static void what_they_free_counts(void **state) {
  struct varve_yield yield = typical;
  (void)state;
  assert_true(choose(&yield, 0, 100, UINT64_MAX).full);   /* without them 20 us against 11 */
  assert_true(choose(&yield, 50, 100, UINT64_MAX).again); /* with them against 51 * 11 */
  assert_false(choose(&yield, 50, 100, UINT64_MAX).full);
  yield.used = 10; /* more is freed than is known to be used */
  assert_false(choose(&yield, 50, 1, UINT64_MAX).full); /* 20 against 2 * 11 */
}

/* The longer ago the full collection was, the less a block has cost, and the sooner the next one is due. */
static void full_collections_come_again(void **state) {
  struct varve_yield yield = typical;
  (void)state;
  yield.allocated = 2705; /* 1 ms / 2806 * 1.1 * 51 = 19.993 us */
  assert_true(varve__policy_choose(&yield, 100, 0, 150, 0, UINT64_MAX).full);
  yield.allocated = 2703; /* 20.007 */
  assert_false(varve__policy_choose(&yield, 100, 0, 150, 0, UINT64_MAX).full);
}

/* Everything young survives, for 336.8 us, and 29 blocks may be taken then: dearer than the mean. The last full
 * collection left 99 blocks in use, and the next one would leave 199, so twice its cost is what counts, for as much
 * room. */
static void full_ones_are_cheap_enough(void **state) {
  struct varve_yield yield = typical;
  (void)state;
  yield.survival = 1024;
  yield.full_live = 99;
  yield.full_cost = 168000;
  assert_true(choose(&yield, 0, 228, UINT64_MAX).full);
  yield.full_cost = 169000;
  assert_false(choose(&yield, 0, 228, UINT64_MAX).full);
}

/* The same, but a full one would cost 1 ms for 100 blocks. For each block allocated one of the old ones dies: it would
 * leave 100, and room for 129: 336.8 * 129 against 1010 * 30. With half of that 150 and 79: 336.8 * 79 against 1510 *
 * 30. */
static void full_ones_free_what_is_old(void **state) {
  struct varve_yield yield = typical;
  (void)state;
  yield.survival = 1024;
  yield.full_live = 99;
  yield.full_cost = 1000000;
  yield.decay = 1024;
  assert_true(choose(&yield, 0, 228, UINT64_MAX).full);
  yield.decay = 512;
  assert_false(choose(&yield, 0, 228, UINT64_MAX).full);
}

/* Against 1111 us: a thousand noted lines at 1 us, and 20 us; with a hundred more it is too much. */
static void looking_costs(void **state) {
  struct varve_yield yield = typical;
  (void)state;
  yield.look = 16 * 1000;
  yield.lines = 1000;
  assert_false(varve__policy_choose(&yield, 99, 0, GOAL, 0, UINT64_MAX).full);
  yield.lines = 1100;
  assert_true(varve__policy_choose(&yield, 99, 0, GOAL, 0, UINT64_MAX).full);
  yield.lines = 0;
  assert_false(varve__policy_choose(&yield, 99, 0, GOAL, 900, UINT64_MAX).full);
  assert_true(varve__policy_choose(&yield, 99, 0, GOAL, 1100, UINT64_MAX).full);
}

/* A heap that has not been collected yet: nothing was paid, so nothing is worth anything. */
static void the_first_is_full(void **state) {
  struct varve_yield yield = {.fixed = 20000, .each = 1000};
  (void)state;
  assert_true(varve__policy_choose(&yield, 256, 0, 0, 0, UINT64_MAX).full);
  assert_true(varve__policy_choose(&yield, 0, 0, 0, 0, UINT64_MAX).full);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(garbage_is_collected_young),
      cmocka_unit_test(survivors_are_not),
      cmocka_unit_test(at_the_goal_it_is_full),
      cmocka_unit_test(short_cycles_count_as_they_are),
      cmocka_unit_test(survivors_are_taken_again),
      cmocka_unit_test(what_they_free_counts),
      cmocka_unit_test(full_collections_come_again),
      cmocka_unit_test(full_ones_are_cheap_enough),
      cmocka_unit_test(full_ones_free_what_is_old),
      cmocka_unit_test(looking_costs),
      cmocka_unit_test(the_first_is_full),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
