/* SPDX-License-Identifier: MIT */
/* compact.h -- rewrite every slot and slide every group. */
#ifndef VARVE_CORE_COMPACT_H
#define VARVE_CORE_COMPACT_H

#include "core/heap.h"

/* Worker 0, before the slide and before the release: reset the claims. */
void varve__compact_begin(struct varve_heap *heap);
/* Worker function: slide groups, fix the slots of objects that stay, fix the roots. */
void varve__compact_slide_worker(struct varve_heap *heap, uint32_t worker);
/* Worker 0, after the slide: move large objects, one after the other. */
void varve__compact_move_large(struct varve_heap *heap);

#endif
