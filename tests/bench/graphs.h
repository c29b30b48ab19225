/* SPDX-License-Identifier: MIT */
/* graphs.h -- what the mark benchmarks trace. Objects of 32 bytes: header, two references, one word of data. */
#ifndef VARVE_TESTS_BENCH_GRAPHS_H
#define VARVE_TESTS_BENCH_GRAPHS_H

#include "bench.h"

/* Each builds 1 << bits objects (a tree: one less) and returns the root. None may be interrupted by a collection: the
 * heap's initial size has room for all of it. */
typedef void *graph_fn(struct host *host, unsigned bits);

void *graph_random(struct host *host, unsigned bits); /* a random cycle through all, and a random edge from each */
void *graph_tree(struct host *host, unsigned bits);   /* allocated in the order of a depth-first walk */
void *graph_post_order(struct host *host, unsigned bits); /* children before parents */
void *graph_breadth(struct host *host, unsigned bits); /* level by level */
void *graph_list(struct host *host, unsigned bits);   /* in order */
void *graph_wide(struct host *host, unsigned bits);   /* an array of all, in order */

/* Allocate them in order; their addresses, valid till the next collection, in an arena. */
uint64_t *graph_objects(struct host *host, varve_layout layout, size_t bytes, size_t count);

#endif
