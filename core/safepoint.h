/* SPDX-License-Identifier: MIT */
/* safepoint.h -- stopping and resuming the world.
 *
 *              poll, allocation                  native_enter
 *     PARKED <------------------- RUNNING -----------------------> NATIVE
 *        |  stop word even again     ^   stop word even               |
 *        +---------------------------+<-------------------------------+
 *
 * Words:  stop        even: the world runs; odd: a collector wants it stopped, or has it stopped
 *         arrivals    bumped by a mutator that leaves RUNNING while stop is odd; the collector sleeps on it
 *         collector   lock: one collector at a time. Losers park like everybody else.
 *         registry    lock: the list of mutators. The collector holds it from before `stop` turns odd until after it
 *                     is even again; attach and detach take it, so they wait for a running collection.
 *
 * Everything below is sequentially consistent; the proofs are by the single order of these operations.
 *
 *   S1 the poke is not lost. Stopper: stop odd, then limit := 0. Owner, whenever it stores its limit: limit := x,
 *      then load stop; if odd, limit := 0 and go the slow way. In the single order either the owner's load comes after
 *      the stopper's store of stop, and the owner sees it; or it comes before, then the owner's store of limit comes
 *      before the poke, and the poke is what remains. Only owners store a limit other than 0.
 *   S2 nobody runs in a pause. Owner leaving PARKED or NATIVE: state := RUNNING, then load stop; if odd, go back.
 *      Stopper: stop odd, then load state. One of the two sees the other.
 *   S3 the stopper is not itself waited for: it is PARKED before it takes the registry lock; a detaching thread is
 *      NATIVE before it does. So nobody who is waited for sleeps on a lock.
 *
 * tests/spin/safepoint.pml is the model of this file, with seeded bugs.
 */
#ifndef VARVE_CORE_SAFEPOINT_H
#define VARVE_CORE_SAFEPOINT_H

#include "core/heap.h"
#include "core/mutator.h"

/* Owner: publish tlab_end as the limit, or 0 when a stop is wanted (S1). */
void varve__safepoint_restore_limit(struct varve__mutator *mutator);
/* Owner, running: while a stop is wanted, park. Restores the limit. */
void varve__safepoint_park(struct varve__mutator *mutator);
void varve__safepoint_native_enter(struct varve__mutator *mutator);
void varve__safepoint_native_leave(struct varve__mutator *mutator);

/* Owner, running: become the collector and stop everybody else. False: another thread collected meanwhile, and the
 * caller has been parked until it was done. `seen`: the number of collections when the caller decided to ask. */
bool varve__safepoint_stop(struct varve__mutator *mutator, uint64_t seen);
/* The collector: let the world run, and go on running. */
void varve__safepoint_resume(struct varve__mutator *mutator);

#endif
