/* SPDX-License-Identifier: MIT */
/* clock.h -- monotonic nanoseconds, without a system call where the vDSO serves the clock; and a cycle counter for
 * comparing two stretches of the same loop. */
#ifndef VARVE_BASE_CLOCK_H
#define VARVE_BASE_CLOCK_H

#include <stdint.h>

uint64_t varve__clock_ns(void);

static inline uint64_t clock_cycles(void) {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return varve__clock_ns();
#endif
}

#endif
