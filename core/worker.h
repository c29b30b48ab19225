/* SPDX-License-Identifier: MIT */
/* worker.h -- the collecting threads, and the one way to run something on all of them.
 *
 * Worker 0 is the thread that asked for the collection; the others are the heap's own, created when a collection
 * first wants them, each pinned to an allowed core other than the requester's, parked on a futex in between.
 *
 *   varve__workers_run(heap, fn)   every active worker calls fn(heap, its index); returns when all have returned.
 *                                  What a worker wrote in one run is seen by all in the next.
 *
 * A thread that cannot be started is done without: the collection has fewer workers, and the log says so once.
 */
#ifndef VARVE_CORE_WORKER_H
#define VARVE_CORE_WORKER_H

#include "core/heap.h"

typedef void varve_worker_fn(struct varve_heap *heap, uint32_t worker);

struct varve_workers *varve__workers_open(struct varve_heap *heap); /* NULL: no memory; starts no thread */
void varve__workers_close(struct varve_heap *heap);                 /* ends and joins all threads */

/* A running mutator, before it stops the world: start threads so that there are `count` workers. Nothing is asked of the
 * system in the pause itself. */
void varve__workers_prepare(struct varve_heap *heap, uint32_t count);
/* Begin a pause with up to `count` workers. @return how many there are, at least 1. */
uint32_t varve__workers_begin(struct varve_heap *heap, uint32_t count);
uint32_t varve__workers_active(const struct varve_heap *heap);
/* In a pause: the node (dense) of the core that a worker of it runs on. */
unsigned varve__worker_node(const struct varve_heap *heap, uint32_t worker);
void varve__workers_run(struct varve_heap *heap, varve_worker_fn *fn);

#endif
