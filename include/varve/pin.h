/* SPDX-License-Identifier: MIT */
/* pin.h -- objects that stay where they are, threads whose stacks are searched for references, and the object that an
 * address lies in.
 *
 * A pinned object is alive and keeps its address, in every collection, until it is pinned no more. Its payload may be
 * given to code that knows nothing of the collector, and be used while the mutator is native; references in it are then
 * neither read nor written there. What it costs: the block of 32 KiB that it lies in (the region of 2 MiB, for objects
 * over 2 KiB) stays as it is, with everything alive in it; other objects move around it, and what is over 2 KiB
 * goes to other regions, so that pins all over a small heap leave no place for such. Nothing else: a collection
 * looks at each pin once, and pins of objects that are older than what it takes hold nothing back. Long pins of small
 * objects that were not allocated together cost most; blocks_pinned and bytes_held in varve_collection_stats say how
 * much. Objects over 128 KiB move in emergencies only, so that their pins cost hardly anything.
 */
#ifndef VARVE_PIN_H
#define VARVE_PIN_H

#include "varve/abi.h"
#include "varve/root.h"
#include "varve/types.h"

VARVE_BEGIN

/* For the length of a call, or of a scope: VARVE_PINNED, which costs two stores. For longer, or across threads:
 * varve_pin. */

/* ---- scoped ------------------------------------------------------------------------------------------------ */

static inline void varve_pinned_push(varve_mutator *mutator, varve_frame *frame, size_t count) {
  frame->previous = mutator->pinned;
  frame->count = count;
  mutator->pinned = frame;
}

/** Unlinks the frame; pinned frames are left in the reverse order of entering, as scopes do by themselves. */
static inline void varve_pinned_pop(varve_mutator *mutator, varve_frame *frame) { mutator->pinned = frame->previous; }

static inline void varve_pinned_scope_end(struct varve_frame_scope *scope) {
  varve_pinned_pop(scope->mutator, scope->frame);
}

/** A frame of one slot whose object is pinned: until the enclosing scope is left by any way but longjmp, or another
 *  word is stored to the slot. Two stores; takes no lock and no memory. `word`: as in a frame; what is no reference
 *  pins nothing.
 *
 *      VARVE_PINNED(buffer, mutator, f.list);
 *      varve_native_enter(mutator);
 *      read(file, (char *)varve_untag(buffer.slot) + 8, 4096);
 *      varve_native_leave(mutator);
 *
 *  @threads the mutator's own, running. While it is native the slot is not changed and the scope is not left. */
#define VARVE_PINNED(name, mutator_, word)                                                                            \
  struct {                                                                                                            \
    varve_frame varve_head_;                                                                                          \
    varve_word slot;                                                                                                  \
  } name;                                                                                                             \
  name.slot = (word);                                                                                                 \
  varve_pinned_push((mutator_), &name.varve_head_, 1);                                                                \
  __attribute__((cleanup(varve_pinned_scope_end), unused)) struct varve_frame_scope name##_scope = {(mutator_),       \
                                                                                                    &name.varve_head_}

/* ---- counted ----------------------------------------------------------------------------------------------- */

/** Pin an object, given by its address without tag bits, for as long as it takes: as often as it is pinned it must be
 *  unpinned. One lock and one look into a table outside the heap; takes memory for the table now and then.
 *  @return VARVE_OK; VARVE_ARGUMENT when the address is null, misaligned or outside the heap; VARVE_METADATA when there
 *          is no memory for the table, or the object has 2^32 - 1 pins; VARVE_THREAD when the mutator is native or of
 *          another thread. Nothing was pinned then.
 *  @threads the mutator's own, running. Neither collects nor moves objects. */
VARVE_API VARVE_MUST_USE varve_status varve_pin(varve_mutator *mutator, const void *object);

/** Take one pin back; any running mutator of the heap may. After the last the object is as any other.
 *  @return VARVE_OK; VARVE_ROOT when the object has no such pin; VARVE_THREAD as above. */
VARVE_API varve_status varve_unpin(varve_mutator *mutator, const void *object);

/* ---- conservative mutators --------------------------------------------------------------------------------- */

/** From the next safepoint on, search this mutator's stack and registers for references, so that its thread need not
 * keep them in frames: whatever looks like an address within an object, its header included, with any tag bits, keeps
 * that object alive and in place for one collection. (An address just behind an object does not.) What such objects
 * refer to moves, if nothing on the stack leads to it. Frames and other roots count as before; mutators that do not
 * ask for this are not searched. Option conservative-roots asks for all mutators.
 *
 *   low, high  the lowest address that the stack may grow down to, and the end of what is searched, which is where it
 *              began; both NULL: those of the calling thread, as the system says. A thread that changes stacks
 *              (coroutines) calls again on each, before its next safepoint; of those it has left nothing is searched.
 *
 * Searched is what lies between the safepoint that the mutator has stopped in and `high`, and the registers there.
 * While it is native, that is the stack as of varve_native_enter: references that are needed later stay, unchanged, in
 * variables of functions that do not return meanwhile; registers are searched as they were. varve_native_call makes
 * sure of this. References in thread-local variables, in memory from malloc, and in frames that a sanitizer keeps
 * elsewhere (ASan's detect_stack_use_after_return) are not found, nor are narrow words (narrow.h). Signal handlers hold
 * no references.
 *
 * Costs: address space for one word a word of the stack, at most 64 MiB; a pause reads the stacks, and sorts what it
 * finds.
 * @return VARVE_OK; VARVE_ARGUMENT when the caller's stack is not between the two; VARVE_METADATA when there is no
 *         memory for what is found, or the system has none to tell where the stack is; VARVE_THREAD when the mutator is
 *         native or of another thread.
 * @threads the mutator's own, running. Makes system calls. Neither collects nor moves objects. */
VARVE_API VARVE_MUST_USE varve_status varve_mutator_conservative(varve_mutator *mutator, const void *low,
                                                                 const void *high, varve_error *error);

/** Enter native state, call fn(context), leave native state. What the callers keep in variables and registers
 *  meanwhile is searched as it is, for none of them runs.
 *  @return VARVE_OK; VARVE_THREAD when the mutator is native already or of another thread; then nothing was called.
 *  @threads the mutator's own, running. Blocks while a collection runs at its end; objects may have moved. */
VARVE_API varve_status varve_native_call(varve_mutator *mutator, void (*fn)(void *context), void *context);

/* ---- addresses --------------------------------------------------------------------------------------------- */

/** The object that the word leads into: the address of its header or any address within it, with any tag bits. NULL:
 *  outside the heap, free, or dead since a collection. Walks over headers: up to a block's (a region's, for objects
 *  over 2 KiB). The word comes from a reference that the caller could use; one that leads to where another mutator has
 *  just allocated, of which this thread knows nothing, may give anything but does no harm.
 *  @threads the mutator's own, running. Neither collects nor moves objects; holds until the next safepoint. */
VARVE_API void *varve_object_of(varve_mutator *mutator, varve_word word);

VARVE_END
#endif
