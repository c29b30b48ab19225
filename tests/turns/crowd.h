/* SPDX-License-Identifier: MIT */
/* crowd.h -- threads that stop each other, for runs by turns. */
#ifndef VARVE_TESTS_CROWD_H
#define VARVE_TESTS_CROWD_H

#include <stdint.h>

/** So many mutators do random things, beside one that collects when it is asked. Ends the process when something is
 * wrong. `more_options`: of the heap, behind those that the seed chooses. */
void run_crowd(uint64_t seed, unsigned threads, const char *more_options);

#endif
