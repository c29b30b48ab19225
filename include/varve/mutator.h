/* SPDX-License-Identifier: MIT */
/* mutator.h -- threads that touch the heap.
 *
 *   attach --> running --(native_enter)--> native --(native_leave)--> running --> detach
 *
 * Only a running mutator may touch objects, slots, handles or Ref words. A running mutator must reach a safepoint
 * (an allocation, a poll, native_enter, detach) often; until it does, a collection waits for it. A native mutator
 * may block for as long as it likes and touches nothing of the heap; its frames stay roots.
 *
 * When a stop has waited for a running mutator for as long as the option stop-warning says, the log names it.
 *
 * A thread that ends detaches its mutators before that, and has left their frames. If it does not, running or native,
 * they are detached in the last but one of the system's rounds (four) of destructors of its thread-specific data; in
 * rounds before, destructors of the host's may use and detach them. The log names them. Frames that are linked then,
 * and its searched stack, are no roots any more from the first of these destructors on (a frame of a function that has
 * returned before that is the host's error: see root.h). The library knows by such a key, one for each heap, as long
 * as no more than half of the process's keys (512) are in use. In heaps without one, a mutator that was running is
 * detached when a stop that waits for it gives the warning (not when it was the process's first thread, or another has
 * its number by then); and one that was native keeps its frames as roots, on a stack that is no more, so that the next
 * collection may crash.
 *
 * A thread with several mutators (of one heap or of several) runs at most one of them at a time: before it may reach a
 * safepoint of one, the others are native. Otherwise a collection waits for a thread that waits for it.
 */
#ifndef VARVE_MUTATOR_H
#define VARVE_MUTATOR_H

#include "varve/abi.h"
#include "varve/types.h"

VARVE_BEGIN

/** What varve_attach calls; `compiled` is what the caller was compiled with: VARVE_GRANULE, and VARVE_ATTACH_PLAIN when
 *  its stores are plain (0: not checked). */
#define VARVE_ATTACH_PLAIN 0x100u
VARVE_API VARVE_MUST_USE varve_status varve_mutator_attach(varve_heap *heap, const char *name, unsigned compiled,
                                                           varve_mutator **out, varve_error *error);

/** Make the calling thread a running mutator of the heap. Its home node is the node it runs on.
 *
 * @param name for reports ("slowest to stop"); copied; NULL: "mutator N".
 * @return VARVE_OK; VARVE_METADATA; VARVE_OPTION when the heap's granule is not this caller's VARVE_GRANULE, or the
 *         heap has ages and the caller was compiled with VARVE_AGES=0.
 * @threads any, pinned or not; a thread may be attached to several heaps, and more than once. Waits for a running
 *          collection to end. */
static inline varve_status varve_attach(varve_heap *heap, const char *name, varve_mutator **out,
                                        varve_error *error) {
  return varve_mutator_attach(heap, name, VARVE_GRANULE | (VARVE_AGES ? 0 : VARVE_ATTACH_PLAIN), out, error);
}

/** End the mutator; `mutator` is void afterwards.
 * @return VARVE_OK; VARVE_BUSY when frames, pinned frames or derived pointers are still linked, or this is the
 *         heap's after_collection (options.h); VARVE_THREAD when
 *         called by another thread than the attached one. Nothing happened then.
 * @threads the mutator's own, running or native; may wait for a running collection. */
VARVE_API varve_status varve_detach(varve_mutator *mutator);

/** Enter native state: from here until varve_native_leave the thread counts as stopped. Never blocks.
 * @return VARVE_OK; VARVE_THREAD when already native, or from another thread. Who knows better need not look. */
VARVE_API varve_status varve_native_enter(varve_mutator *mutator);

/** Leave native state. Blocks while a collection runs; objects may have moved. Errors as above. */
VARVE_API varve_status varve_native_leave(varve_mutator *mutator);

/** The poll's slow half: park until the collection that asked is over. Objects may move. */
VARVE_API void varve_poll_slow(varve_mutator *mutator);

/** A safepoint for loops that do not allocate: two instructions when nothing is wanted.
 * @threads the mutator's own, running. @moves objects, when a collection was asked for. */
static inline void varve_poll(varve_mutator *mutator) {
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(VARVE_NO_ASM)
  /* gcc does not fold an atomic load into a compare: it would take a third instruction and a register. */
  __asm__ goto("cmpq $0, %0\n\tje %l[stopped]" : : "m"(mutator->limit) : "cc" : stopped);
  return;
stopped:
  varve_poll_slow(mutator);
#else
  if (VARVE_UNLIKELY(__atomic_load_n(&mutator->limit, __ATOMIC_RELAXED) == 0)) varve_poll_slow(mutator);
#endif
}

/** Why the last allocation by this mutator returned NULL. VARVE_OK when none failed. */
VARVE_API varve_status varve_mutator_status(const varve_mutator *mutator);

VARVE_END
#endif
