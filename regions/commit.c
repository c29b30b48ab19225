/* SPDX-License-Identifier: MIT */
/* commit.c -- see commit.h. Called by mutators in their slow paths, and when a heap is created. */
#include "regions/commit.h"

#include <string.h>

#include "core/base/check.h"
#include "core/base/shade.h"
#include "numa/place.h"

#define STRIPE_REGIONS_LOG_MAX 5u /* 64 MiB */
#define STRIPES_PER_NODE 4u       /* at least, or small heaps would run out of addresses before the limit */

static struct varve_region *region_at(const struct varve_space *space, uint32_t region) {
  return &space->regions[region];
}

static void set_kind(struct varve_space *space, uint32_t region, enum varve_region_kind kind) {
  atomic_store_explicit(&region_at(space, region)->kind, (uint8_t)kind, memory_order_release);
}

static uint32_t committed(const struct varve_space *space) {
  return atomic_load_explicit(&space->committed, memory_order_relaxed);
}

/* ---- which address ------------------------------------------------------------------------------------------- */

unsigned varve__commit_stripe_log(const struct varve_topology *t, uint32_t region_count) {
  unsigned log = 0;
  while (log < STRIPE_REGIONS_LOG_MAX && (region_count >> (log + 1)) / STRIPES_PER_NODE >= t->node_count) ++log;
  return log;
}

/* May the node have memory here? An unclaimed stripe becomes its own. */
static bool claim_stripe(struct varve_space *space, uint32_t region, unsigned node) {
  uint8_t *owner = &space->stripes[region >> space->stripe_log];
  if (!*owner) *owner = (uint8_t)(node + 1);
  return *owner == node + 1;
}

static uint32_t find_uncommitted(struct varve_space *space, unsigned node) {
  uint32_t *hint = &space->node[node].commit_hint;
  for (uint32_t r = *hint; r < space->region_count; ++r)
    if (space_kind(space, r) == REGION_UNCOMMITTED && claim_stripe(space, r, node)) {
      *hint = r + 1;
      return r;
    }
  *hint = space->region_count;
  for (uint32_t r = 0; r < space->region_count; ++r)
    if (space_kind(space, r) == REGION_UNCOMMITTED) return r;
  return VARVE__NO_REGION;
}

uint32_t varve__commit_choose(struct varve_space *space, unsigned node) {
  if (committed(space) >= space->limit_regions) return VARVE__NO_REGION;
  uint32_t region = find_uncommitted(space, space_list(space, node));
  if (region != VARVE__NO_REGION) varve__commit_hold(space, region);
  return region;
}

void varve__commit_hold(struct varve_space *space, uint32_t region) {
  set_kind(space, region, REGION_CHANGING);
  atomic_fetch_add_explicit(&space->committed, 1, memory_order_relaxed);
  if (region >= space->region_high) space->region_high = region + 1;
}

/* ---- which node ---------------------------------------------------------------------------------------------- */

/* A region's descriptors are half a page, so that table is readable as a whole from the start and its pages are touched
 * here. The neighbour with the other half is mostly of the same node. */
static void touch_descriptors(struct varve_space *space, uint32_t region, unsigned node) {
  struct varve_block *first = space->blocks + (size_t)region * VARVE__REGION_BLOCKS;
  size_t bytes = VARVE__REGION_BLOCKS * sizeof *first;
  varve__place_prefer(space->topology, first, bytes, node, PLACE_EXACT);
  memset(first, 0, bytes);
}

/* A region's part of the bitmap and of the ranks is a whole number of pages. */
static bool commit_side_tables(struct varve_space *space, uint32_t region, unsigned node) {
  size_t lines = (size_t)VARVE__REGION_BLOCKS * VARVE__BLOCK_LINES;
  unsigned how = PLACE_POPULATE | PLACE_EXACT | (space->how & PLACE_LOCK);
  touch_descriptors(space, region, node);
  return varve__place_commit(space->topology, space->bitmap + region * lines, lines * 8, node, how) &&
         varve__place_commit(space->topology, space->ranks + region * lines, lines * 2, node, how);
}

/* The descriptors stay: they are half a page a region, and zeroed by the next commit. */
static void drop_memory(struct varve_space *space, uint32_t region) {
  size_t lines = (size_t)VARVE__REGION_BLOCKS * VARVE__BLOCK_LINES;
  varve__place_decommit(space->bitmap + region * lines, lines * 8);
  varve__place_decommit(space->ranks + region * lines, lines * 2);
  varve__place_decommit((void *)space_region_address(space, region), VARVE__REGION_BYTES);
}

static bool commit_on(struct varve_space *space, uint32_t region, unsigned node) {
  void *at = (void *)space_region_address(space, region);
  if (varve__place_commit(space->topology, at, VARVE__REGION_BYTES, node, space->how | PLACE_EXACT) &&
      commit_side_tables(space, region, node)) {
    shade_hide(space_region_address(space, region), VARVE__REGION_BYTES);
    return true;
  }
  drop_memory(space, region);
  return false;
}

static struct varve_location locate(const struct varve_space *space, uint32_t region, unsigned node) {
  bool each = space->topology->policy == VARVE__POLICY_BIND;
  void *base = (void *)space_region_address(space, region);
  return varve__place_locate(space->topology, base, VARVE__REGION_BYTES, node, each);
}

/* Is memory that was wanted on `node` good where it is, so that no other node need be tried? */
static bool is_good(const struct varve_space *space, const struct varve_location *where, unsigned node) {
  if (where->outside) return false;
  return where->node == node || !space->topology->nodes[where->node].last_resort;
}

/* Keep the region as memory of the node where it is. */
static void keep(struct varve_space *space, uint32_t region, unsigned wanted, const struct varve_location *where) {
  struct varve_node_space *node = &space->node[wanted];
  bool ours = where->node < space->topology->node_count;
  region_at(space, region)->node = (uint8_t)(ours ? where->node : wanted);
  if (where->node == wanted && !where->astray) return;
  atomic_fetch_add_explicit(&node->spilled, 1, memory_order_relaxed);
  atomic_store_explicit(&node->spilled_to, ours ? where->node : VARVE__NODES_MAX, memory_order_relaxed);
  varve__place_news(space->topology);
}

/* Where memory is bound the kernel does not spill, so nodes without room are not tried. */
static bool may_try(const struct varve_space *space, unsigned node) {
  return space->topology->policy != VARVE__POLICY_BIND ||
         varve__place_has_room(space->topology, node, VARVE__REGION_BYTES + VARVE__SIDE_BYTES);
}

/* Every node, the nearest first. @return false: refused, or memory came from nowhere where it is good. */
static bool commit_nearest(struct varve_space *space, uint32_t region, unsigned wanted) {
  const struct varve_topology *t = space->topology;
  for (unsigned step = 0; step < t->node_count; ++step) {
    unsigned node = t->nodes[wanted].nearest[step];
    if (!may_try(space, node)) continue;
    if (!commit_on(space, region, node)) return false;
    struct varve_location where = locate(space, region, node);
    if (is_good(space, &where, node)) {
      where.astray |= node != wanted;
      keep(space, region, wanted, &where);
      return true;
    }
    drop_memory(space, region);
  }
  return false;
}

/* No node of ours has room. Unless we are bound to them, take what comes. */
static bool commit_anywhere(struct varve_space *space, uint32_t region, unsigned wanted) {
  if (space->topology->policy == VARVE__POLICY_BIND) {
    atomic_fetch_add_explicit(&space->node[wanted].refused, 1, memory_order_relaxed);
    varve__place_news(space->topology);
    return false;
  }
  if (!commit_on(space, region, wanted)) return false;
  struct varve_location where = locate(space, region, wanted);
  keep(space, region, wanted, &where);
  return true;
}

bool varve__commit_region(struct varve_space *space, uint32_t region, unsigned node) {
  const struct varve_topology *t = space->topology;
  unsigned wanted = t->policy == VARVE__POLICY_INTERLEAVE ? region % t->node_count : node;
  return commit_nearest(space, region, wanted) || commit_anywhere(space, region, wanted);
}

/* ---- letting go ---------------------------------------------------------------------------------------------- */

static void forget(struct varve_space *space, uint32_t region) {
  uint8_t owner = space->stripes[region >> space->stripe_log];
  struct varve_node_space *node = &space->node[owner ? owner - 1 : 0];
  if (region < node->commit_hint) node->commit_hint = region;
  set_kind(space, region, REGION_UNCOMMITTED);
  atomic_fetch_sub_explicit(&space->committed, 1, memory_order_relaxed);
}

void varve__commit_settle(struct varve_space *space, uint32_t region, bool committed) {
  if (!committed) {
    forget(space, region);
    return;
  }
  struct varve_node_space *node = &space->node[space_list(space, region_at(space, region)->node)];
  if (region < node->free_hint) node->free_hint = region;
  atomic_fetch_add_explicit(&space->free_regions, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&space->commits, 1, memory_order_relaxed);
  set_kind(space, region, REGION_FREE);
}

static void leave(struct varve_space *space, uint32_t region) {
  set_kind(space, region, REGION_CHANGING);
  atomic_fetch_sub_explicit(&space->free_regions, 1, memory_order_relaxed);
}

void varve__commit_drop(struct varve_space *space, uint32_t region) {
  leave(space, region);
  drop_memory(space, region);
  forget(space, region);
}

/* The highest one, because small objects take the lowest. */
static uint32_t find_surplus(const struct varve_space *space, uint32_t below, uint32_t keep) {
  if (committed(space) <= keep) return VARVE__NO_REGION;
  for (uint32_t r = below < space->region_high ? below : space->region_high; r-- > 0;)
    if (space_kind(space, r) == REGION_FREE) return r;
  return VARVE__NO_REGION;
}

uint32_t varve__space_give_back(struct varve_space *space, uint32_t below, uint32_t keep) {
  varve__lock_take(&space->lock);
  uint32_t region = find_surplus(space, below, keep);
  if (region != VARVE__NO_REGION) leave(space, region);
  varve__lock_release(&space->lock);
  if (region == VARVE__NO_REGION) return region;
  drop_memory(space, region);
  varve__lock_take(&space->lock);
  forget(space, region);
  varve__lock_release(&space->lock);
  return region;
}

bool varve__space_populate(struct varve_space *space, unsigned node) {
  varve__lock_take(&space->lock);
  uint32_t region = varve__commit_choose(space, node);
  varve__lock_release(&space->lock);
  if (region == VARVE__NO_REGION) return false;
  bool done = varve__commit_region(space, region, node);
  varve__lock_take(&space->lock);
  varve__commit_settle(space, region, done);
  varve__lock_release(&space->lock);
  return done;
}
