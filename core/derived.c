/* SPDX-License-Identifier: MIT */
/* derived.c -- see derived.h. Called by collect.c, worker 0. Cost: a few loads and stores a pair. */
#include "core/derived.h"

#include <string.h>

#include "core/heap.h"
#include "core/mutator.h"

static uint64_t base_of(const varve_derived *pair) { return *pair->base & ~(varve_word)7; }

static uint64_t address_of(const varve_derived *pair) {
  uintptr_t address;
  memcpy(&address, pair->derived, sizeof address); /* a pointer of any type */
  return address;
}

void varve__derived_measure(struct varve_heap *heap) {
  for (struct varve__mutator *m = heap->mutators; m; m = m->next)
    for (varve_derived *pair = m->head.derived; pair; pair = pair->previous)
      pair->distance = address_of(pair) - base_of(pair);
}

void varve__derived_place(struct varve_heap *heap) {
  for (struct varve__mutator *m = heap->mutators; m; m = m->next)
    for (varve_derived *pair = m->head.derived; pair; pair = pair->previous) {
      uintptr_t address = base_of(pair) + pair->distance;
#ifdef VARVE_PLANT_DERIVED_LEFT
      if (address % 64 == 0) continue;
#endif
      memcpy(pair->derived, &address, sizeof address);
    }
}

const varve_derived *varve__derived_wrong(const struct varve_heap *heap) {
  for (const struct varve__mutator *m = heap->mutators; m; m = m->next)
    for (const varve_derived *pair = m->head.derived; pair; pair = pair->previous)
      if (address_of(pair) - base_of(pair) != pair->distance) return pair;
  return NULL;
}
