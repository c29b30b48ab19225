/* SPDX-License-Identifier: MIT */
/* share.h -- the tasks of a phase, shared out among its workers: each takes those of its own node first, then those of
 * the nearest nodes that have any left.
 *
 * Idea       Tasks are numbers. They are listed with those of a node beside each other, so that a counter for each node
 *            is all that workers have in common. With one node there is no list: tasks are 0, 1, 2 ...
 * Kinds      regions (clear, count, fix what stays), root tasks (mark, fix), groups (target, slide, release).
 * Called by  worker 0 between runs: prepare, groups, rewind. Workers in a run: open a taker, take until there is none.
 */
#ifndef VARVE_CORE_SHARE_H
#define VARVE_CORE_SHARE_H

#include <stdatomic.h>

#include "numa/topology.h"

struct varve_heap;

struct varve_share_part {
  _Alignas(64) _Atomic uint32_t next; /* relaxed: what a task is about was written before the run began */
  uint32_t begin, end;
};

struct varve_share {
  const uint32_t *list; /* task numbers by node; NULL: they are their own places */
  unsigned parts;       /* 1 without a list */
  struct varve_share_part part[VARVE__NODES_MAX]; /* by dense node */
};

struct varve_shares {
  uint32_t *region_list; /* NULL: one node */
  struct varve_share regions, roots, groups;
};

bool varve__shares_open(struct varve_heap *heap); /* False: no memory */
void varve__shares_close(struct varve_heap *heap);

/* A pause has begun: share out regions and root tasks. */
void varve__shares_prepare(struct varve_heap *heap);
/* The plan's groups have changed. */
void varve__shares_groups(struct varve_heap *heap);
/* Share out `count` tasks of any kind; neighbours of the same node are taken together. */
typedef unsigned varve_share_node_fn(const struct varve_heap *heap, uint32_t task);
void varve__shares_count(struct varve_heap *heap, struct varve_share *share, uint32_t count,
                         varve_share_node_fn *node_of);
/* All tasks are to be taken once more. */
void varve__share_rewind(struct varve_share *share);

struct varve_taker {
  struct varve_share *share;
  const unsigned *nearest;
  unsigned step;
};

struct varve_taker varve__share_open(const struct varve_heap *heap, struct varve_share *share, uint32_t worker);

/* @return false: there are none left. */
static inline bool share_take(struct varve_taker *taker, uint32_t *task) {
  struct varve_share *share = taker->share;
  for (; taker->step < share->parts; ++taker->step) {
    struct varve_share_part *part = &share->part[share->parts == 1 ? 0 : taker->nearest[taker->step]];
    if (atomic_load_explicit(&part->next, memory_order_relaxed) >= part->end) continue;
    uint32_t place = atomic_fetch_add_explicit(&part->next, 1, memory_order_relaxed);
    if (place >= part->end) continue;
    *task = share->list ? share->list[place] : place;
    return true;
  }
  return false;
}

#endif
