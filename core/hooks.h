/* SPDX-License-Identifier: MIT */
/* hooks.h -- telling layouts that their objects have moved, and the host that a collection is over.
 *
 * Idea       A walk of its own, after the slide and before the release: the bitmaps are still those of the old places,
 *            and say where an object was; the plan's tables say where it is; its header there says how long it was.
 *            Only when a layout has a hook, over what moved; over the whole range when one asks for all survivors. So
 *            nothing is recorded while sliding, and no other phase knows of hooks.
 * Invariant  K1 when a hook runs, every slot is final, and every object is at its new place.
 *            K2 of a layout with a hook, words that are no slots may change in a pause: the verifier does not hash
 *            them.
 */
#ifndef VARVE_CORE_HOOKS_H
#define VARVE_CORE_HOOKS_H

struct varve_heap;
struct varve__mutator;

/* Collector, after the slide. */
void varve__hooks_run(struct varve_heap *heap);
/* The requester, running, after the resume of its collection: options.after_collection, unless that is what has asked
 * for it. */
void varve__hooks_tell(struct varve__mutator *mutator);

#endif
