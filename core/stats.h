/* SPDX-License-Identifier: MIT */
/* stats.h -- figures of collections: where a pause hands them over. */
#ifndef VARVE_CORE_STATS_H
#define VARVE_CORE_STATS_H

#include "varve/stats.h"

/* Add a duration to a histogram: 8 buckets per power of two, from 1 ns; the last one takes everything from 4 s on. */
void varve__stats_add(uint64_t histogram[VARVE_PAUSE_BUCKETS], uint64_t ns);

/* Worker 0, at the end of a pause, holding no lock: add heap->current to the totals and make it the last one. */
void varve__stats_finish(struct varve_heap *heap);

/* The requester of a collection, running: regions went back to the system in so many nanoseconds. */
void varve__stats_gave_back(struct varve_heap *heap, uint32_t regions, uint64_t ns);

#endif
