/* SPDX-License-Identifier: MIT */
/* barrier_plain.c -- stores as a host compiles them whose heaps have no ages: with VARVE_AGES=0. */
#if VARVE_AGES
#error "the build gives VARVE_AGES=0"
#endif
#define STORE_LOOPS store_loops_plain
#include "barrier_loops.h"
