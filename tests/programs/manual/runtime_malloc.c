/* SPDX-License-Identifier: MIT */
/* runtime_malloc.c -- malloc needs no preparation, takes no limit and has no pauses to tell of. */
#include "../varve/harness.h"

const bool runtime_collects = false;

void runtime_open(const struct request *request) { (void)request; }
