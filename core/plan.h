/* SPDX-License-Identifier: MIT */
/* plan.h -- what will move where, decided before anything moves.
 *
 * Count (parallel): live words of each block and the rank of each line, by popcount.
 * Group (worker 0): walk blocks in age order, region by region; free the empty ones, skip dense and pinned ones, and
 *   cut the rest into groups of the candidates of whole regions. A group that would free no block stays.
 * Target (parallel): each group slides onto its own blocks, oldest first: set dst1, dst2 and split of its blocks.
 *
 *   sources       s0 s1 s2 s3 s4 s5          in slide order
 *   destinations  s0 s1 (free) s2 s3 ...     the same blocks in the same order, as many as are needed, and between them
 *                                            free blocks ("spares"): with move-everything one in front, so that
 *                                            everything moves; in an emergency those of the fullest regions
 *
 * Invariants
 *   P1 A destination never overtakes its source: when the slide reads s_i, only blocks up to s_i have been written,
 *      and s_i only below what has been read.
 *   P2 A source block is split at most once: when an object does not fit the destination, a fresh block takes all
 *      that is left of the source. For SMALL groups a destination is a block; for MEDIUM groups a region.
 *   P3 Objects of a group keep their order.
 *   P4 Groups are disjoint: a group is a task for one worker, without synchronisation.
 *
 * Put off: with slide-budget, groups are taken in age order until the budget is spent; the next full collection
 *   begins with those that were left.
 *
 * Emergency: when the plan would not free what the requester wants, it is made anew with one group per node and kind,
 * nothing too dense, the fullest SMALL regions first, so that the others become empty as a whole, and large objects
 * sliding as well; nothing has moved yet. When even that is not enough, once more, with one group for all nodes: then,
 * and only then, small and medium objects leave their node.
 */
#ifndef VARVE_CORE_PLAN_H
#define VARVE_CORE_PLAN_H

#include "core/heap.h"

/* Words that a full destination may leave free for the sake of a quick split: under 1 % of a block. */
#define VARVE__SPLIT_WASTE_WORDS 32u

struct varve_group {
  uint32_t first, count; /* its sources: order[first .. first + count), block or region indexes */
  uint32_t target_first, target_count; /* destinations offered: targets[...]; the sources are among them, in order */
  uint32_t targets;      /* destinations used; set by the target phase */
  uint64_t live;         /* words */
  uint32_t splits;
  bool medium;           /* sources and destinations are MEDIUM regions instead of SMALL blocks */
};

struct varve_large_move {
  uint32_t from, to; /* head blocks */
};

struct varve_plan {
  uint32_t *by_age;   /* scratch: age -> block + 1, or MEDIUM_ENTRY | region; 0: nobody */
  uint32_t *sequence; /* all SMALL blocks and MEDIUM regions in use, in their order after the collection */
  uint32_t *order;    /* sources of the groups */
  uint32_t *targets;  /* destinations of the groups */
  struct varve_group *groups;
  struct varve_large_move *large; /* serially, in this order, after the slide */
  uint32_t capacity;  /* of sequence, order, targets: blocks the limit allows; by_age has twice that */
  uint32_t sequence_count, order_count, target_count, group_count, large_count;
  bool emergency;
  uint32_t resume;    /* put off for lack of slide-budget: the groups from this source on; NO_BLOCK: none */
  _Atomic uint64_t moved_words, in_place_words, freed_blocks; /* figures of this pause */
  _Atomic uint64_t fresh_words, aged_words; /* live ones in the newest epoch, and in the one before */
};

/* In sequence and by_age: the entry is a MEDIUM region. */
#define VARVE__MEDIUM_ENTRY UINT32_C(0x80000000)

struct varve_plan *varve__plan_open(struct varve_heap *heap); /* NULL: no memory */
void varve__plan_close(struct varve_heap *heap);

/* Worker 0: reset claims and figures. */
void varve__plan_begin(struct varve_heap *heap);
/* Worker function: live words and ranks. */
void varve__plan_count_worker(struct varve_heap *heap, uint32_t worker);
enum varve_urgency { PLAN_USUAL, PLAN_EMERGENCY, PLAN_ACROSS_NODES };
/* Worker 0: groups. */
void varve__plan_group(struct varve_heap *heap, enum varve_urgency urgency);
/* Worker function: destinations. */
void varve__plan_target_worker(struct varve_heap *heap, uint32_t worker);
/* Worker 0, after the targets: would the wanted blocks be there after the release? */
bool varve__plan_is_enough(struct varve_heap *heap);
/* Worker 0, after the targets, when there are groups: is what would come free worth the slide? */
bool varve__plan_pays(const struct varve_heap *heap);
/* Worker 0: nothing shall move after all. What is dead is freed all the same. */
void varve__plan_drop(struct varve_heap *heap);
/* Worker 0: take the plan back, so that it can be made anew. */
void varve__plan_undo(struct varve_heap *heap);
/* plan_large.c; worker 0. Free the runs of dead large objects; before grouping. */
void varve__plan_large_sweep(struct varve_heap *heap);
/* Choose new places for large objects; part of grouping, when they shall move at all. */
void varve__plan_large_slide(struct varve_heap *heap);

/* The node (dense) of what the group moves, and of where it goes. */
unsigned varve__plan_group_node(const struct varve_heap *heap, const struct varve_group *group);

/* Destination number `i` of a group. */
static inline uint32_t group_target(const struct varve_plan *plan, const struct varve_group *group, uint32_t i) {
  return plan->targets[group->target_first + i];
}

#endif
