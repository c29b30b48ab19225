/* SPDX-License-Identifier: MIT */
/* steps.h -- how many instructions a piece of code is, counted exactly: loops with and without it run under the
 * processor's trap flag. x86-64 only. */
#ifndef VARVE_BENCH_STEPS_H
#define VARVE_BENCH_STEPS_H

#include <varve/varve.h>

typedef uint64_t step_loop(varve_mutator *me, uint64_t rounds);

/* Instructions that a round of `with` has more than one of `bare`. */
double steps_between(step_loop *bare, step_loop *with, varve_mutator *me);

#endif
