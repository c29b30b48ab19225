/* SPDX-License-Identifier: MIT */
/* policy.c -- the decisions of policy.h.
 *
 * Heap size: after a collection the heap may grow to what is in use plus heap-growth percent of it, at least to
 * heap-initial, by at least what the requester waits for and a region for everybody else, and at most to heap-max. That
 * spends a fixed share of time per allocated byte on collecting, the rule of Go's GOGC; heap-max caps it.
 *
 * Workers: more of them are not always faster. Marking in parallel needs atomic operations, two for each object, which a
 * worker alone does not; cores may share their caches or be busy with something else. So the pause's cost is measured
 * with all workers, with half of them and so on down to one, and mostly the cheapest of these teams is used; now and then
 * a neighbour of it is tried again, the more seldom the dearer it was.
 */
#include "core/policy.h"

#define TRY_AGAIN 16u       /* collections between two trials of a neighbour */
#define TRY_DEAR_AGAIN 128u /* that was at least half as dear again */

static uint64_t limit_blocks(const struct varve_heap *heap) {
  return (uint64_t)heap->space.limit_regions * VARVE__REGION_BLOCKS;
}

static uint64_t used_blocks(const struct varve_heap *heap) {
  return atomic_load_explicit(&heap->space.used_blocks, memory_order_relaxed);
}

bool varve__policy_is_pressed(const struct varve_heap *heap) {
  uint64_t limit = limit_blocks(heap);
  uint64_t mutators = atomic_load_explicit(&heap->mutator_count, memory_order_relaxed);
  return used_blocks(heap) * 4 >= limit * 3 || mutators * VARVE__REGION_BLOCKS * 8 > limit;
}

/* 87.5 % by default; 95 % when the heap is pressed, where holes are worth more than the time to close them. */
uint64_t varve__policy_dense_words(const struct varve_heap *heap, uint64_t words) {
  uint64_t percent = heap->options.dense_percent;
  if (heap->options.move_everything) percent = 101;
  else if (percent < 95 && used_blocks(heap) * 4 >= limit_blocks(heap) * 3) percent = 95;
  return words * percent / 100 + 1;
}

static bool is_adaptive(const struct varve_heap *heap) {
  return heap->options.parallel_min && heap->options.workers > 1 &&
         used_blocks(heap) * VARVE__BLOCK_BYTES >= heap->options.parallel_min;
}

uint32_t varve__policy_workers(const struct varve_heap *heap) {
  if (is_adaptive(heap)) return heap->options.workers >> atomic_load_explicit(&heap->teams.next, memory_order_relaxed);
  return heap->options.parallel_min ? 1 : heap->options.workers;
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
  struct varve_teams *teams = &heap->teams;
  const varve_collection_stats *stats = &heap->current;
  uint32_t team = 0;
  while (team + 1 < VARVE__TEAMS && heap->options.workers >> team > stats->workers) ++team;
  if (!heap->options.parallel_min || stats->live_before < heap->options.parallel_min) return;
  uint64_t spent = stats->mark_ns + stats->plan_ns + stats->slide_ns, *cost = &teams->cost[team];
  uint64_t now = spent / ((stats->live_before >> 20) + 1) + 1;
  if (*cost && now > 2 * *cost) now = 2 * *cost;
  *cost = *cost ? (*cost * 3 + now) / 4 : now;
  atomic_store_explicit(&teams->next, choose_team(teams, team, heap->options.workers), memory_order_relaxed);
}

void varve__policy_set_budget(struct varve_heap *heap) {
  uint64_t used = used_blocks(heap), limit = limit_blocks(heap);
  uint64_t goal = used + used * heap->options.heap_growth / 100;
  uint64_t initial = heap->options.heap_initial >> VARVE__BLOCK_SHIFT;
  uint64_t least = used + heap->wanted_blocks + VARVE__REGION_BLOCKS;
  if (goal < initial) goal = initial;
  if (goal < least) goal = least;
  if (goal > limit) goal = limit;
  atomic_store_explicit(&heap->space.budget_blocks, goal > used ? (int64_t)(goal - used) : 0, memory_order_relaxed);
}
