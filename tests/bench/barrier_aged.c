/* SPDX-License-Identifier: MIT */
/* barrier_aged.c -- stores as a host compiles them by default. */
#define STORE_LOOPS store_loops_aged
#include "barrier_loops.h"
