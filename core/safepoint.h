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
 *         collector   0: nobody collects. Else the bit HELD, how many more may help (room), how many have enlisted.
 *                     It is the lock that makes one collector at a time; losers wait in PARKED like everybody else,
 *                     until a collection has served them or the word is 0 and theirs.
 *         registry    lock: the list of mutators. The collector holds it from before `stop` turns odd until after it
 *                     is even again; attach and detach take it, so they wait for a running collection.
 * The first three are quiet (core/base/park.h), each with a count of sleepers beside it.
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
 * Help (option mutators-help): mutators that wait here become workers of the pause. The collector makes room before
 * `stop` turns odd, so whoever waits for its stop finds room from the start; losers of the collector word, who may have
 * been asleep, are woken. A waiting mutator enlists by one compare-and-swap that takes from the room and gives it a
 * ticket, and works (core/worker.h) until dismissed. The collector closes the roll when it begins to work; what is
 * enlisted then is all.
 *
 *   S4 who enlists has left RUNNING and stays so until dismissed: it neither touches the heap nor is waited for by S2,
 *      and it sleeps on nothing but its order, which the collector writes without waiting for anybody (S3).
 *   S5 tickets of a pause are all different, and no helper outlives its pause. The room is closed, then the tickets are
 *      counted, in one operation; all of them are dismissed, and have said so, before `stop` is even and before the
 *      word is 0. So the next room is made when nobody holds a ticket. One who looked at the word in an earlier pause
 *      enlists only if it reads the same now, and then all of this holds for it now.
 *   S6 no loser sleeps for ever. It looks at the word, then at `collections`, then sleeps while the word is the same.
 *      The holder ends with 0 in the word whatever it did (a holder that finds itself served stops nobody), and wakes.
 *
 * tests/spin/safepoint.pml is the model of this file, tests/spin/help.pml that of S4 to S6; with seeded bugs.
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
/* The collector: whoever has not enlisted is too late. @return how many have; 0 also when nobody may. */
uint32_t varve__safepoint_close_roll(struct varve_heap *heap);
/* The collector: send helpers away, let the world run, and go on running. */
void varve__safepoint_resume(struct varve__mutator *mutator);
/* The collector, in the child of a fork: nobody waits, and nobody has enlisted. */
void varve__safepoint_forget_others(struct varve_heap *heap);

#endif
