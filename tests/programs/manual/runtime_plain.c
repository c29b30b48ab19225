/* SPDX-License-Identifier: MIT */
/* runtime_plain.c -- the part of a runtime that asks nothing of malloc or of Boehm's collector. */
#include <stddef.h>

#include "../varve/harness.h"

const bool runtime_knows_live = false;

void *runtime_attach(unsigned thread) {
  (void)thread;
  return NULL;
}

void runtime_detach(void *me) { (void)me; }

uint64_t runtime_live(void) { return 0; }

void runtime_close(void) {}
