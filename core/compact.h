/* SPDX-License-Identifier: MIT */
/* compact.h -- rewrite every slot, slide every group, and put the tables right. */
#ifndef VARVE_CORE_COMPACT_H
#define VARVE_CORE_COMPACT_H

#include "core/heap.h"

/* Worker 0, before the slide: reset the claims. */
void varve__compact_begin(struct varve_heap *heap);
/* Worker function: slide groups, fix the slots of objects that stay, fix the roots. */
void varve__compact_slide_worker(struct varve_heap *heap, uint32_t worker);
/* Worker 0, after the slide: move large objects, one after the other. */
void varve__compact_move_large(struct varve_heap *heap);
/* Worker function: bitmaps and descriptors of the groups' blocks. */
void varve__compact_release_worker(struct varve_heap *heap, uint32_t worker);
/* Worker 0, last: free what is empty, renumber ages, list broken regions, count what is live. */
void varve__compact_finish(struct varve_heap *heap);

#endif
