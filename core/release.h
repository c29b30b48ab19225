/* SPDX-License-Identifier: MIT */
/* release.h -- put the tables right after the slide. */
#ifndef VARVE_CORE_RELEASE_H
#define VARVE_CORE_RELEASE_H

#include "core/heap.h"

/* Worker function, after varve__compact_begin: bitmaps and descriptors of the groups' blocks. */
void varve__release_worker(struct varve_heap *heap, uint32_t worker);
/* Worker 0, last: free what is empty, renumber ages, list broken regions, count what is live. */
void varve__release_finish(struct varve_heap *heap);

#endif
