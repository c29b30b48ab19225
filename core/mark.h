/* SPDX-License-Identifier: MIT */
/* mark.h -- marking: set the bitmap's bits for exactly the reachable objects.
 *
 * The driver calls, in this order, each on all workers: clear, mark; worker 0 then varve__mark_finish, and, when weak
 * slots have been treated (weak.h), varve__mark_end. The serial
 * reference is the verifier's trace (verify.c), which shares no code with this file but the scan template.
 */
#ifndef VARVE_CORE_MARK_H
#define VARVE_CORE_MARK_H

#include "core/heap.h"

struct varve_marker *varve__marker_open(struct varve_heap *heap); /* NULL: no memory */
void varve__marker_close(struct varve_heap *heap);

/* Worker 0, before the phases: reset the claims. */
void varve__mark_begin(struct varve_heap *heap);
/* Worker function: zero the bitmap of every block that may have bits. */
void varve__mark_clear_worker(struct varve_heap *heap, uint32_t worker);
/* Worker function: mark from the roots until nothing is left anywhere. */
void varve__mark_worker(struct varve_heap *heap, uint32_t self);
/* Worker 0, after them: go on with what was deferred for want of segments, until nothing is. */
void varve__mark_finish(struct varve_heap *heap);
/* Worker 0, when nothing will be marked in this pause any more: note the figures. */
void varve__mark_end(struct varve_heap *heap);

#endif
