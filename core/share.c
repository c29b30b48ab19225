/* SPDX-License-Identifier: MIT */
/* share.c -- see share.h. */
#include "core/share.h"

#include "core/heap.h"
#include "core/plan.h"
#include "core/root.h"
#include "core/worker.h"

static size_t list_bytes(const struct varve_heap *heap) { return heap->space.region_count * sizeof(uint32_t); }

bool varve__shares_open(struct varve_heap *heap) {
  if (heap->topology->node_count == 1) return true;
  heap->shares.region_list = heap_meta_alloc(heap, list_bytes(heap));
  return heap->shares.region_list != NULL;
}

void varve__shares_close(struct varve_heap *heap) {
  if (heap->shares.region_list) heap_meta_free(heap, heap->shares.region_list, list_bytes(heap));
}

void varve__share_rewind(struct varve_share *share) {
  for (unsigned node = 0; node < share->parts; ++node)
    atomic_store_explicit(&share->part[node].next, share->part[node].begin, memory_order_relaxed);
}

/* One part: tasks 0 .. count - 1. */
static void share_evenly(struct varve_share *share, uint32_t count) {
  share->list = NULL;
  share->parts = 1;
  share->part[0].begin = 0;
  share->part[0].end = count;
  varve__share_rewind(share);
}

/* `end` of each part is how many tasks it has: let the parts follow each other, empty. */
static void lay_out(struct varve_share *share, unsigned parts) {
  uint32_t at = 0;
  share->parts = parts;
  for (unsigned node = 0; node < parts; ++node) {
    uint32_t count = share->part[node].end;
    share->part[node].begin = share->part[node].end = at;
    at += count;
  }
}

/* ---- what is on which node ---- */

static unsigned node_of_region(const struct varve_heap *heap, uint32_t region) {
  return heap->space.regions[region].node;
}

static unsigned node_of_root(const struct varve_heap *heap, uint32_t task) {
  return varve__roots_task_node(heap->roots, task);
}

/* Groups are made node by node, so they need no list. */
static unsigned node_of_group(const struct varve_heap *heap, uint32_t group) {
  return varve__plan_group_node(heap, &heap->plan->groups[group]);
}

/* Sort by counting, into `list`; NULL: they are sorted. Regions without memory are of any node. */
static void share_by_node(struct varve_heap *heap, struct varve_share *share, uint32_t count,
                          varve_share_node_fn *node_of, uint32_t *list) {
  unsigned nodes = heap->topology->node_count;
  if (nodes == 1) {
    share_evenly(share, count);
    return;
  }
  for (unsigned node = 0; node < nodes; ++node) share->part[node].end = 0;
  for (uint32_t task = 0; task < count; ++task) ++share->part[node_of(heap, task)].end;
  lay_out(share, nodes);
  for (uint32_t task = 0; task < count; ++task) {
    uint32_t place = share->part[node_of(heap, task)].end++;
    if (list) list[place] = task;
  }
  share->list = list;
  varve__share_rewind(share);
}

void varve__shares_prepare(struct varve_heap *heap) {
  struct varve_shares *shares = &heap->shares;
  share_by_node(heap, &shares->regions, heap->space.region_high, node_of_region, shares->region_list);
  share_by_node(heap, &shares->roots, (uint32_t)heap->root_tasks, node_of_root, varve__roots_task_list(heap->roots));
}

void varve__shares_count(struct varve_heap *heap, struct varve_share *share, uint32_t count,
                         varve_share_node_fn *node_of) {
  share_by_node(heap, share, count, node_of, NULL);
}

void varve__shares_groups(struct varve_heap *heap) {
  varve__shares_count(heap, &heap->shares.groups, heap->plan->group_count, node_of_group);
}

struct varve_taker varve__share_open(const struct varve_heap *heap, struct varve_share *share, uint32_t worker) {
  const struct varve_node *node = &heap->topology->nodes[varve__worker_node(heap, worker)];
  return (struct varve_taker){.share = share, .nearest = node->nearest};
}
