/* SPDX-License-Identifier: MIT */
/* conservative.h -- mutators whose stacks and registers are searched for references.
 *
 * Note      Where a conservative mutator leaves RUNNING, it notes how far its stack reaches. Registers that a callee
 *           must keep are in frames of ours then (__builtin_unwind_init), above that point; all others are void in the
 *           host's code, which has called us. We return from the innermost of these frames, a native mutator from all,
 *           so their words are copied; what lies above does not change, in a native mutator by contract (varve/pin.h).
 * Search    World stopped, TLABs retired, before any bitmap is cleared: candidates are the words of the stack that are
 *           addresses within the heap. They are sorted, resolved (resolve.h) and kept once each, as words of a root
 *           task and as pins. M1: what is found is fixed before marking begins; nothing is found later.
 * Memory    A word for each word of the stack, reserved when the mutator asks to be searched.
 */
#ifndef VARVE_CORE_CONSERVATIVE_H
#define VARVE_CORE_CONSERVATIVE_H

#include "core/mutator.h"

struct varve_heap;

/* Owner, not attached to the list of mutators or running. NULL, NULL: the calling thread's stack. */
varve_status varve__stack_open(struct varve__mutator *mutator, const void *low, const void *high, varve_error *error);
void varve__stack_close(struct varve__mutator *mutator);
/* Owner, running, about to leave RUNNING, if the stack is to be searched. */
void varve__stack_note(struct varve__mutator *mutator);
static inline void stack_note(struct varve__mutator *mutator) {
  if (mutator->stack.high) varve__stack_note(mutator);
}
/* Collector: search the stacks of all that want it. */
void varve__stacks_search(struct varve_heap *heap);

typedef void varve_stack_fn(void *context, varve_word word);
/* Every word that is searched, for the verifier. */
void varve__stack_each(const struct varve__mutator *mutator, varve_stack_fn *visit, void *context);

#endif
