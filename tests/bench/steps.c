/* SPDX-License-Identifier: MIT */
/* steps.c -- see steps.h. */
#include "steps.h"

#include <signal.h>

static volatile sig_atomic_t steps;

static void on_step(int number) {
  (void)number;
  ++steps;
}

/* Set or clear the trap flag, past the red zone. */
#define TRAP(instruction)                                                                                       \
  __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\t" instruction " (%%rsp)\n\tpopfq\n\tlea 128(%%rsp), %%rsp" \
                   : : : "memory", "cc")

static unsigned count_steps(step_loop *loop, varve_mutator *me, uint64_t rounds) {
  steps = 0;
  TRAP("orq $0x100,");
  loop(me, rounds);
  TRAP("andq $-257,");
  return (unsigned)steps;
}

/* Of one round, without what comes before and after the loop. */
static double steps_a_round(step_loop *loop, varve_mutator *me) {
  return ((double)count_steps(loop, me, 200) - count_steps(loop, me, 100)) / 100;
}

double steps_between(step_loop *bare, step_loop *with, varve_mutator *me) {
  struct sigaction trap = {.sa_handler = on_step}, old;
  sigaction(SIGTRAP, &trap, &old);
  double between = steps_a_round(with, me) - steps_a_round(bare, me);
  sigaction(SIGTRAP, &old, NULL);
  return between;
}
