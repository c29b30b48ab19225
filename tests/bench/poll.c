/* SPDX-License-Identifier: MIT */
/* poll.c -- what a poll adds to a loop of about 5 ns, and how many instructions it is.
 *
 * Instructions are counted exactly (steps.h).
 * Limit: the same loop without polls, in turns.
 */
#include "bench.h"
#include "steps.h"

#define ROUNDS 4000u /* of the loop, in a sample */

/* About 5 ns of dependent work at 4 GHz. */
static inline __attribute__((always_inline)) uint64_t work(uint64_t x) {
  for (unsigned i = 0; i < 5; ++i) {
    x = x * UINT64_C(0xd1342543de82ef95) + 1;
    __asm__ volatile("" : "+r"(x));
  }
  return x;
}

static __attribute__((noinline)) uint64_t loop_bare(varve_mutator *me, uint64_t rounds) {
  uint64_t x = (uintptr_t)me;
  for (uint64_t i = 0; i < rounds; ++i) {
    x = work(x);
    __asm__ volatile("" : : : "memory");
  }
  return x;
}

static __attribute__((noinline)) uint64_t loop_polling(varve_mutator *me, uint64_t rounds) {
  uint64_t x = (uintptr_t)me;
  for (uint64_t i = 0; i < rounds; ++i) {
    x = work(x);
    varve_poll(me);
    __asm__ volatile("" : : : "memory");
  }
  return x;
}

static double time_loop(uint64_t (*loop)(varve_mutator *, uint64_t), varve_mutator *me) {
  uint64_t began = now_ns();
  uint64_t x = loop(me, ROUNDS);
  uint64_t spent = now_ns() - began;
  __asm__ volatile("" : : "r"(x));
  return (double)spent / ROUNDS;
}

static void report_instructions(struct bench *bench, varve_mutator *me) {
  struct series count = {0};
  for (unsigned i = 0; i < 3; ++i) series_add(&count, steps_between(loop_bare, loop_polling, me));
  bench_report(bench, &(struct figure){"poll: instructions", "", &count, NULL, NULL, AT_MOST, 2, 2});
}

void bench_poll(struct bench *bench) {
  struct host host;
  struct series bare = {0}, polling = {0};
  host_open(&host, (uint64_t)16 << 20, 0, "workers=1");
  for (unsigned i = 0; i < bench_pick(bench, 20, 1000, 2000); ++i) {
    series_add(&bare, time_loop(loop_bare, host.me));
    series_add(&polling, time_loop(loop_polling, host.me));
  }
  report_instructions(bench, host.me);
  bench_report(bench, &(struct figure){"poll: in a loop of 5 ns", "ns", &polling, "the loop alone", &bare,
                                       AT_MOST_TIMES, 1.03, 1.01});
  host_close(&host);
}
