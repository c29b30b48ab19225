/* SPDX-License-Identifier: MIT */
/* policy.c -- the decisions of policy.h, but for the size of the heap (sizing.c) and for ages (policy_ages.c).
 *
 * Workers: more of them are not always faster. Marking in parallel needs atomic operations, one or two for each object,
 * which a worker alone does not; cores may share their caches or be busy with something else. So the pause's cost is
 * measured with all workers, with half of them and so on down to one, and mostly the cheapest of these teams is used;
 * now and then a neighbour of it is tried again, the more seldom the dearer it was.
 *
 * Recycling: objects that die young are best made where others have just died, in cache. So while next to nothing is
 * live, a collection comes each time cache-budget was allocated, as long as that costs at most PAYS_NS for each MiB; a
 * program that streams through memory instead pays about 16 us a MiB for it (measured: 32-byte objects, 1.18 ns each
 * in a budget of 512 MiB, 0.67 in 8 MiB with its collections). With ages only what survives of a short cycle
 * counts, not what is live. A trial that finds more alive, or takes longer, is not repeated for four times as many
 * cycles as the one before.
 *
 * Giving back: a collection needs the regions that were in use when it began, or those in use after it with the budget,
 * and some; if regions were committed since the collection before, it needs all there are, for the free ones did not do
 * (wrong node, no neighbours). What is kept is the most that any collection needed in this span of time and the one
 * before. So a heap that swings within a span keeps what it swings through, and one that swings more slowly pays for
 * its memory once a span; a heap in a steady state never makes a system call. Time, not collections, because a small
 * heap collects hundreds of times a second; four collections, so that a program which seldom collects is not judged by
 * one of them.
 */
#include "core/policy.h"

#include <string.h>

#define TRY_AGAIN 16u       /* collections between two trials of a neighbour */
#define SPAN_COLLECTIONS 4u /* the least in a span */
#define PORTION 16u         /* regions given back after a collection, besides an eighth of the surplus */
#define PAYS_NS 8000u       /* what collecting may cost for each MiB allocated: half of what it saves */
#define PENALTY_MAX 256u    /* cycles between two trials that fail */
#define GOOD_CYCLES 64u     /* short cycles after which the penalty is halved */
#define TRY_DEAR_AGAIN 128u /* that was at least half as dear again */
#define HOLES_PART 4u       /* holes of pinned blocks are used if they are such a part of the budget */
#define YOUNG_PARALLEL 8u   /* parallel-min for what survives of the newest epochs is so much smaller */

static uint64_t limit_blocks(const struct varve_heap *heap) { return heap_setting(&heap->space.limit_blocks); }

/* Within a quarter of the limit. */
static bool is_nearly_full(const struct varve_heap *heap) {
  return heap_used_blocks(heap) * 4 >= limit_blocks(heap) * 3;
}

bool varve__policy_is_pressed(const struct varve_heap *heap) {
  uint64_t mutators = atomic_load_explicit(&heap->mutator_count, memory_order_relaxed);
  return is_nearly_full(heap) || mutators * VARVE__REGION_BLOCKS * 8 > limit_blocks(heap);
}

/* Not for a little: what is allocated there makes the next collection a full one. */
bool varve__policy_offers_holes(const struct varve_heap *heap) {
  int64_t budget = atomic_load_explicit(&heap->space.budget_blocks, memory_order_relaxed);
  uint64_t words = (budget > 0 ? (uint64_t)budget : 0) * VARVE__BLOCK_WORDS;
  return is_nearly_full(heap) && heap->hole_words >= words / HOLES_PART;
}

/* 87.5 % by default; 95 % when the heap is pressed, where holes are worth more than the time to close them. */
uint64_t varve__policy_dense_words(const struct varve_heap *heap, uint64_t words) {
  uint64_t percent = heap->options.dense_percent;
  if (heap->options.move_everything) percent = 101;
  else if (percent < 95 && is_nearly_full(heap)) percent = 95;
  return words * percent / 100 + 1;
}

/* Bytes that a collection has to do with: all in use, or what will survive of the newest epochs. */
static uint64_t expected_work(const struct varve_heap *heap) {
  const struct varve_yield *y = &heap->yield;
  uint64_t blocks = heap->ages.range_blocks * y->survival / 1024;
  return (space_is_partial(&heap->space) ? blocks : heap_used_blocks(heap)) * VARVE__BLOCK_BYTES;
}

/* A young collection copies most of what it marks, and has little else to do. */
static uint64_t parallel_min(const struct varve_heap *heap) {
  return space_is_partial(&heap->space) ? heap->options.parallel_min / YOUNG_PARALLEL : heap->options.parallel_min;
}

static const struct varve_teams *teams_of(const struct varve_heap *heap) {
  return &heap->teams[space_is_partial(&heap->space)];
}

uint32_t varve__policy_workers(const struct varve_heap *heap) {
  uint32_t workers = heap->options.workers, team = workers >> teams_of(heap)->next;
  if (!heap->options.parallel_min) return workers;
  return expected_work(heap) >= parallel_min(heap) && team ? team : 1;
}

uint32_t varve__policy_workers_most(const struct varve_heap *heap) {
  return heap_used_blocks(heap) * VARVE__BLOCK_BYTES < heap_setting_bytes(&heap->options.parallel_min)
             ? 1
             : heap_setting(&heap->options.workers);
}

static uint32_t cheapest(const struct varve_teams *teams, uint32_t best) {
  for (uint32_t i = 0; i < VARVE__TEAMS; ++i)
    if (teams->cost[i] && teams->cost[i] < teams->cost[best]) best = i;
  return best;
}

/* The cheapest, or a neighbour of it whose turn it is. `last` has a cost. */
static uint32_t choose_team(struct varve_teams *teams, uint32_t last, uint32_t workers) {
  uint32_t best = cheapest(teams, last), other = ++teams->turn % 2 ? best + 1 : best - 1;
  if (other >= VARVE__TEAMS || !(workers >> other)) return best;
  if (!teams->cost[other]) return other;
  uint32_t period = teams->cost[other] * 2 > teams->cost[best] * 3 ? TRY_DEAR_AGAIN : TRY_AGAIN;
  return teams->turn % period < 2 ? other : best;
}

/* A pause in which a worker was not running says little, so it is cut down. */
void varve__policy_note_cost(struct varve_heap *heap) {
  struct varve_teams *teams = &heap->teams[space_is_partial(&heap->space)];
  const varve_collection_stats *stats = &heap->current;
  uint64_t work = space_is_partial(&heap->space) ? stats->survived : stats->live_before;
  uint32_t team = 0;
  while (team + 1 < VARVE__TEAMS && heap->options.workers >> team > stats->workers) ++team;
  if (!heap->options.parallel_min || work < parallel_min(heap)) return;
  uint64_t spent = stats->mark_ns + stats->weak_ns + stats->plan_ns + stats->slide_ns, *cost = &teams->cost[team];
  uint64_t now = spent / ((work >> 16) + 1) + 1;
  if (*cost && now > 2 * *cost) now = 2 * *cost;
  *cost = *cost ? (*cost * 3 + now) / 4 : now;
  teams->next = choose_team(teams, team, heap->options.workers);
}

void varve__policy_forget_teams(struct varve_heap *heap) {
  for (unsigned i = 0; i < 2; ++i) {
    memset(heap->teams[i].cost, 0, sizeof heap->teams[i].cost);
    heap->teams[i].next = 0;
  }
}


/* ---- recycling ---- */

static void fail_recycling(struct varve_recycling *r) {
  r->on = false;
  r->good = 0;
  r->penalty = r->penalty ? r->penalty * 4 : 4;
  if (r->penalty > PENALTY_MAX) r->penalty = PENALTY_MAX;
  r->wait = r->penalty;
}

/* A pause in which a thread was not running says little, so it is cut down, but no first one passes for that. */
static bool recycling_pays(struct varve_recycling *r, uint64_t cost, uint64_t limit) {
  if (cost > 2 * limit) cost = 2 * limit;
  r->cost = r->cost ? (r->cost * 3 + cost) / 4 : cost;
  if (r->cost > limit) return false;
  if (++r->good % GOOD_CYCLES == 0) r->penalty /= 2;
  return true;
}

uint64_t varve__policy_recycle(struct varve_recycling *r, uint64_t cost, uint64_t live, uint64_t normal,
                               uint64_t cache) {
  bool was_on = r->on, dies_young = live <= cache / 8, worth = normal >= 2 * cache;
  if (was_on && (!dies_young || !recycling_pays(r, cost, (cache >> 20) * PAYS_NS))) fail_recycling(r);
  else if (!was_on && dies_young && r->wait) --r->wait;
  else if (!was_on && dies_young && worth) *r = (struct varve_recycling){.on = true, .penalty = r->penalty};
  if (!worth) r->on = false;
  return r->on ? cache : normal;
}

/* What a collection after a short cycle will have to keep. With ages that is only what survives of that cycle. */
static uint64_t kept_by_short_cycle(const struct varve_heap *heap) {
  uint64_t cache = heap->options.cache_budget;
  if (!heap->ages.on || heap->ages.asleep) return heap->live_bytes;
  return space_is_partial(&heap->space) ? heap->current.survived : cache / 1024 * heap->yield.survival;
}

/* A full collection among short cycles says nothing about them. */
static uint64_t short_cycle_cost(const struct varve_heap *heap) {
  bool other = heap->ages.on && !heap->ages.asleep && !space_is_partial(&heap->space);
  return other && heap->recycling.cost ? heap->recycling.cost : heap->current.total_ns;
}

/* Each mutator takes a region at once, so with many of them the budget would be gone before it is used. */
void varve__policy_shorten_budget(struct varve_heap *heap) {
  uint64_t mutators = atomic_load_explicit(&heap->mutator_count, memory_order_relaxed);
  uint64_t cache = heap->options.cache_budget, cost = short_cycle_cost(heap) * mutators;
  int64_t blocks = atomic_load_explicit(&heap->space.budget_blocks, memory_order_relaxed);
  uint64_t normal = (uint64_t)blocks << VARVE__BLOCK_SHIFT, least = heap->wanted_blocks << VARVE__BLOCK_SHIFT;
  if (least < mutators * VARVE__REGION_BYTES) least = mutators * VARVE__REGION_BYTES;
  uint64_t kept = kept_by_short_cycle(heap);
  uint64_t bytes = varve__policy_recycle(&heap->recycling, cost, kept, least > cache ? 0 : normal, cache);
  if (least > cache) return;
  atomic_store_explicit(&heap->space.budget_blocks, (int64_t)(bytes >> VARVE__BLOCK_SHIFT), memory_order_relaxed);
}

/* ---- giving back ---- */

uint32_t varve__policy_initial_regions(const struct varve_heap *heap) {
  uint64_t regions = heap->options.heap_initial / (VARVE__REGION_BYTES + VARVE__SIDE_BYTES);
  return regions ? (uint32_t)regions : 1;
}

static uint32_t regions_in_use(const struct varve_heap *heap) {
  return atomic_load_explicit(&heap->space.committed, memory_order_relaxed) -
         atomic_load_explicit(&heap->space.free_regions, memory_order_relaxed);
}

void varve__policy_note_use(struct varve_heap *heap) { heap->need.in_use = regions_in_use(heap); }

static uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }

/* Every mutator and every node's mediums may leave a region half used; an eighth is for runs that do not fit. */
static uint32_t needed_regions(const struct varve_heap *heap) {
  const struct varve_space *space = &heap->space;
  uint32_t committed = atomic_load_explicit(&space->committed, memory_order_relaxed);
  if (atomic_load_explicit(&space->commits, memory_order_relaxed) != heap->need.commits) return committed;
  int64_t budget = atomic_load_explicit(&space->budget_blocks, memory_order_relaxed);
  uint32_t next = regions_in_use(heap) + (uint32_t)(budget / VARVE__REGION_BLOCKS) + 1;
  uint32_t most = larger(next, heap->need.in_use);
  return most + most / 8 + atomic_load_explicit(&heap->mutator_count, memory_order_relaxed) +
         heap->topology->node_count;
}

/* The first span has none before it, so it keeps everything. */
uint32_t varve__policy_keep(struct varve_need *need, uint32_t needed, uint64_t now, uint64_t span) {
  if (!need->since) {
    need->since = now;
    need->before = UINT32_MAX;
  }
  if (need->collections >= SPAN_COLLECTIONS && now - need->since >= span) {
    need->before = need->now;
    need->now = need->collections = 0;
    need->since = now;
  }
  ++need->collections;
  need->now = larger(need->now, needed);
  return larger(need->now, need->before);
}

void varve__policy_set_keep(struct varve_heap *heap, uint64_t now) {
  struct varve_need *need = &heap->need;
  uint32_t keep = varve__policy_keep(need, needed_regions(heap), now, heap->options.give_back * UINT64_C(1000000));
  need->commits = atomic_load_explicit(&heap->space.commits, memory_order_relaxed);
  need->keep = heap->options.give_back ? larger(keep, varve__policy_initial_regions(heap)) : UINT32_MAX;
}

uint32_t varve__policy_portion(uint32_t surplus) {
  uint32_t portion = PORTION + surplus / 8;
  return portion < surplus ? portion : surplus;
}
