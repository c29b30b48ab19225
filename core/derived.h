/* SPDX-License-Identifier: MIT */
/* derived.h -- addresses that keep their distance from what a root slot refers to.
 *
 * Two steps, for pairs may share a base, and a base may be in anybody's root task: all distances are taken before any
 * slot changes; when all slots are final, the addresses are made from them. Tag bits of the base do not matter. Where
 * the base has not changed, being no reference or not having moved, the address comes out as it was.
 */
#ifndef VARVE_CORE_DERIVED_H
#define VARVE_CORE_DERIVED_H

#include "varve/root.h"

struct varve_heap;

/* World stopped, worker 0: before the first slot changes; after the last one has. */
void varve__derived_measure(struct varve_heap *heap);
void varve__derived_place(struct varve_heap *heap);
/* The first pair that is not at its distance; NULL: none. */
const varve_derived *varve__derived_wrong(const struct varve_heap *heap);

#endif
