/* SPDX-License-Identifier: MIT */
/* policy.h -- every decision but that of sizing.h in one place: with how many workers to collect, what is too dense to
 * move, what goes back to the system. */
#ifndef VARVE_CORE_POLICY_H
#define VARVE_CORE_POLICY_H

#include "core/heap.h"

/* The heap's options are known. */
void varve__policy_open(struct varve_heap *heap);
/* Is the heap within a quarter of its limit, or are there so many mutators that a region each would fill it? Then
 * blocks are taken singly, and whole regions are kept free. Any thread. */
bool varve__policy_is_pressed(const struct varve_heap *heap);
/* World stopped, the budget set: shall holes of pinned blocks be allocated into? */
bool varve__policy_offers_holes(const struct varve_heap *heap);
/* Live words from which on a block of `words` capacity stays in place. */
uint64_t varve__policy_dense_words(const struct varve_heap *heap, uint64_t words);
/* Which epochs the collection that begins now takes, and what it rules out for later ones. World stopped. */
struct varve_cut varve__policy_cut(const struct varve_heap *heap, enum varve_extent extent);
/* The decision, from the arguments alone: `allocated` blocks were taken since the last collection, and `aged` blocks
 * survived it and no other; `goal` blocks may be in use before a full collection; `remembered` objects must be looked
 * at; a longer cycle than of `most` blocks will not follow. Shall the collection be full? If not, shall it
 * take those that survived the last one again? */
struct varve_choice {
  bool full, again;
};
struct varve_choice varve__policy_choose(const struct varve_yield *yield, uint64_t allocated, uint64_t aged,
                                         uint64_t goal, uint64_t remembered, uint64_t most);
/* The pause is over but for the resume: learn what it brought. */
void varve__policy_note_yield(struct varve_heap *heap);
/* How many workers the collection that begins now uses, its range being known. World stopped. */
uint32_t varve__policy_workers(const struct varve_heap *heap);
/* How many it may use, before the world is stopped. */
uint32_t varve__policy_workers_most(const struct varve_heap *heap);
/* Worker 0, at the end of a pause: learn what it cost. */
void varve__policy_note_cost(struct varve_heap *heap);
/* The most workers are others now, so what teams of them cost is not known. Under `settings`. */
void varve__policy_forget_teams(struct varve_heap *heap);
/* Regions that are populated at creation and never given back. */
uint32_t varve__policy_initial_regions(const struct varve_heap *heap);
/* A pause begins: note what is in use. */
void varve__policy_note_use(struct varve_heap *heap);
/* The budget is set and the pause is over but for the resume, at time `now`: set need.keep. */
void varve__policy_set_keep(struct varve_heap *heap, uint64_t now);
/* One collection needed `needed` regions. @return how many to keep; the rest was of no use for `span` nanoseconds and
 * four collections. Nothing but the arguments is read. */
uint32_t varve__policy_keep(struct varve_need *need, uint32_t needed, uint64_t now, uint64_t span);
/* At most so many regions may be given back at once when so many are of no use. */
uint32_t varve__policy_portion(uint32_t surplus);
/* The budget in bytes after a collection that took `cost` nanoseconds of all mutators together and left `live` bytes:
 * `cache`, or `normal`. Nothing but the arguments is read. */
uint64_t varve__policy_recycle(struct varve_recycling *r, uint64_t cost, uint64_t live, uint64_t normal,
                               uint64_t cache);
/* The pause is over but for the resume: shorten the budget if the program had better stay in cache. World stopped. */
void varve__policy_shorten_budget(struct varve_heap *heap);
/* Would a slide of `moved` blocks' words that frees `gained` blocks, beside the `dead` ones that are free without it,
 * be worth its time? */
bool varve__policy_slide_pays(const struct varve_heap *heap, uint64_t gained, uint64_t moved, uint64_t dead);

#endif
