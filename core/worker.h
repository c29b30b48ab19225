/* SPDX-License-Identifier: MIT */
/* worker.h -- the collecting threads, and the one way to run something on all of them.
 *
 *   varve__workers_run(heap, fn)   every active worker calls fn(heap, its index); returns when all have returned.
 *                                  What a worker wrote in one run is seen by all in the next.
 *
 * Worker 0 of a pause is the thread that asked for the collection. The others sit in slots, of which there are as many
 * as the option `workers` said at creation. Who sits there:
 *
 *   threads of the heap  one a slot, pinned to the slot's core, once, when it starts. Cores are spread evenly over the
 *        allowed ones. The slot nearest to the requester's core rests, and a team is made of the slots that follow it
 *        on its node, then of the others: small teams are neighbours of the requester. A thread starts when a team
 *        needs it, before the stop. Its signals are blocked, but for those of faults, so that no other handler of the
 *        host runs on it; its name is "varve-<slot>"; its stack is as large as the host's threads have by default, for
 *        the host's functions run on it.
 *   stopped mutators     (option mutators-help) No thread is started; whoever is stopped may take a slot for the pause.
 *        How many do is known only when the world stands: see core/safepoint.h.
 *
 * A thread that cannot be started is done without: the collection has fewer workers, and the log says so once. One that
 * cannot be pinned runs where the system lets it; that is said once, too.
 *
 * fork: the child has the forking thread and no other: core/fork.c. The heap has no handlers of its own.
 */
#ifndef VARVE_CORE_WORKER_H
#define VARVE_CORE_WORKER_H

#include "core/heap.h"

typedef void varve_worker_fn(struct varve_heap *heap, uint32_t worker);

struct varve_workers *varve__workers_open(struct varve_heap *heap); /* NULL: no memory; starts no thread */
void varve__workers_close(struct varve_heap *heap);                 /* ends and joins all threads */

/* A running mutator, before it stops the world: start threads so that there are `count` workers near to it. Nothing is
 * asked of the system in the pause itself. */
void varve__workers_prepare(struct varve_heap *heap, uint32_t count);
/* Begin a pause with up to `count` workers. @return how many there are, at least 1. */
uint32_t varve__workers_begin(struct varve_heap *heap, uint32_t count);
uint32_t varve__workers_active(const struct varve_heap *heap);
/* In a pause: the node (dense) of the core that a worker of it runs on. Exact for pinned threads and for the
 * caller itself; another mutator that helps may have moved, or not have told yet. */
unsigned varve__worker_node(const struct varve_heap *heap, uint32_t worker);
void varve__workers_run(struct varve_heap *heap, varve_worker_fn *fn);
/* In the child of a fork: there are no threads. */
void varve__workers_forget(struct varve_heap *heap);

/* A stopped mutator that has enlisted, with a ticket from 1 that nobody else has: work until dismissed. */
void varve__worker_help(struct varve_heap *heap, uint32_t ticket);
/* Worker 0, before the world runs: send the holders of tickets 1..helpers away. When this returns none of them will
 * look at a slot again. */
void varve__workers_dismiss(struct varve_heap *heap, uint32_t helpers);

#endif
