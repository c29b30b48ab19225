/* SPDX-License-Identifier: MIT */
/* clock.c -- CLOCK_MONOTONIC in nanoseconds. */
#define _GNU_SOURCE
#include "core/base/clock.h"

#include <time.h>

uint64_t varve__clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
