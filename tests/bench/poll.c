/* SPDX-License-Identifier: MIT */
/* poll.c -- what a poll adds to a loop of about 5 ns, and how many instructions it is.
 *
 * Instructions are counted exactly, by running the loop with and without the poll under the processor's trap flag.
 * Limit: the same loop without polls, in turns.
 */
#include <signal.h>

#include "bench.h"

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

/* ---- counting instructions ---- */

static volatile sig_atomic_t steps;

static void on_step(int number) {
  (void)number;
  ++steps;
}

/* Set or clear the trap flag, past the red zone. */
#define TRAP(instruction)                                                                                       \
  __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\t" instruction " (%%rsp)\n\tpopfq\n\tlea 128(%%rsp), %%rsp" \
                   : : : "memory", "cc")

static unsigned count_steps(uint64_t (*loop)(varve_mutator *, uint64_t), varve_mutator *me, uint64_t rounds) {
  steps = 0;
  TRAP("orq $0x100,");
  loop(me, rounds);
  TRAP("andq $-257,");
  return (unsigned)steps;
}

/* Of one round, without what comes before and after the loop. */
static double steps_a_round(uint64_t (*loop)(varve_mutator *, uint64_t), varve_mutator *me) {
  return ((double)count_steps(loop, me, 200) - count_steps(loop, me, 100)) / 100;
}

static void report_instructions(struct bench *bench, varve_mutator *me) {
  struct sigaction trap = {.sa_handler = on_step}, old;
  struct series count = {0};
  sigaction(SIGTRAP, &trap, &old);
  for (unsigned i = 0; i < 3; ++i)
    series_add(&count, steps_a_round(loop_polling, me) - steps_a_round(loop_bare, me));
  sigaction(SIGTRAP, &old, NULL);
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
