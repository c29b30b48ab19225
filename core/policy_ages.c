/* SPDX-License-Identifier: MIT */
/* policy_ages.c -- which epochs a collection takes, when it is a full one, and whether a slide pays.
 *
 * Full or young: a full collection costs what is live, one of the newest epochs what survives of them; but what dies
 * old is freed by full ones only, so each young one leaves less room for the next. The free memory that collections
 * make has a price: all they have cost since the last full one, that one included, for each block allocated in this
 * time. As long as the next young collection would make room for less than that price, it lowers the mean, and is
 * the right choice; when it would be dearer, a full one is (the rule of when to replace a machine that wears out),
 * unless that would be dearer still just now, because there is more alive than when the mean was made.
 *
 * What it will cost is predicted: a fixed part, so much for each byte that survives, and for each remembered object
 * and noted line, whose numbers are known. Which share survives is counted at every collection, full ones included,
 * so that no trial is ever needed.
 *
 * Once more: what survived the last collection is taken again if what it holds of garbage, by the share that last
 * survived twice, is worth the marking at the same price. So objects that were in use by chance at one collection do
 * not stay until the next full one.
 *
 * Asleep: while hardly anything dies young, stores are remembered in vain. When that has cost as much as a full
 * collection, marking leaves the flags set, and stores cost nothing; full collections count survivors all the same,
 * and when young ones would pay, the next full one clears the flags again. So what is lost either way is at most
 * twice what had to be.
 *
 * Slides: rewriting the references of a whole heap for the sake of a few blocks costs more than it brings, for 6 to
 * 9 % of a pause is that alone. So nothing moves unless the blocks that come free put the next collection off by a
 * thirty-second; in a young collection, unless they are worth the copying at the price above.
 *
 * Tried: what each of these is worth stands in DESIGN.md, "What was tried".
 *
 * Called by  collect.c and plan.c, worker 0, world stopped.
 */
#include "core/plan.h"
#include "core/policy.h"
#include "core/remember.h"

#define YOUNG_SLIDE 4u      /* of the time that survivors cost, one part in so many goes into copying them */
#define FORGET 64u          /* what is known of what is not looked at fades by one part of so many */
#define FULL_MARGIN 1.1     /* by so much the next collection must be dearer than the mean */
#define BARRIER_NS 8u       /* what the barrier's slow half costs a store */
#define FIXED_NS 20000u     /* a guess for the first collections: of nothing, */
#define EACH_NS 1000u       /* of 1024 bytes, */
#define LOOK_NS 30u         /* and for a remembered object */
#define REMEMBER_NS 15u     /* what listing one has cost the mutator */
#define SLIDE_PAYS 32u      /* a slide must put the next collection off by one part of so many */

void varve__policy_open(struct varve_heap *heap) {
  heap->yield = (struct varve_yield){.fixed = FIXED_NS, .each = EACH_NS, .look = LOOK_NS * 16};
}

/* Blocks taken since the last collection. */
static uint64_t allocated_since(const struct varve_heap *heap) {
  uint64_t used = heap_used_blocks(heap), before = heap->yield.used;
  return used > before ? used - before : 0;
}

static bool can_cut(const struct varve_heap *heap) {
  bool lost = atomic_load_explicit(&heap->remembered.lost, memory_order_relaxed);
  return heap->ages.on && !heap->ages.asleep && !lost && heap->space.epoch + 1u < VARVE__EPOCHS;
}

/* Any cut that may still be chosen, and any promise for later: for tests. */
static struct varve_cut random_cut(const struct varve_heap *heap) {
  uint64_t random = (atomic_load(&heap->collections) + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 32;
  uint8_t tenured = heap->ages.tenured, newest = heap->space.epoch;
  uint8_t cut = (uint8_t)(tenured + 1 + random % (newest - tenured));
  if (random >> 8 & 1) tenured = (uint8_t)(tenured + (random >> 16) % (cut - tenured + 1u));
  bool full = (random >> 24) % 8 == 0 || !can_cut(heap);
  return (struct varve_cut){full ? 0 : cut, tenured, (random >> 28) % 4 == 0};
}

static uint64_t cost_of(const struct varve_yield *y, uint64_t blocks) {
  return blocks * (VARVE__BLOCK_BYTES / 1024) * y->each;
}

/* What has been paid for each block that was allocated, with the last full collection: what free memory is worth. */
static double price(const struct varve_yield *y, uint64_t allocated) {
  return (double)y->cost / (double)(y->allocated + allocated + 1);
}

/* Would a full collection now be cheaper for the room it makes? It frees `dead` young blocks, and of what is old as
 * much as the last ones did for what had been allocated. */
static bool full_is_better(const struct varve_yield *y, uint64_t cost, uint64_t next, uint64_t goal, uint64_t allocated,
                           uint64_t dead) {
  uint64_t freed = dead + (y->allocated + allocated) * y->decay / 1024, used = y->used + allocated;
  uint64_t live = used > freed ? used - freed : 0, room = goal > live ? goal - live : 0;
  double full = (double)y->full_cost * (double)(live + 1) / (double)(y->full_live + 1);
  return (double)cost * (double)(room + 1) > full * (double)(next + 1);
}

struct varve_choice varve__policy_choose(const struct varve_yield *y, uint64_t allocated, uint64_t aged,
                                         uint64_t goal, uint64_t remembered, uint64_t most) {
  struct varve_choice choice = {.full = false};
  uint64_t fresh_live = allocated * y->survival / 1024, aged_live = aged * y->survival_again / 1024;
  uint64_t used = y->used + fresh_live, cost = y->fixed + cost_of(y, fresh_live);
  double worth = price(y, allocated);
  choice.again = aged && (double)cost_of(y, aged_live) <= worth * (double)(aged - aged_live);
  cost += (remembered + y->lines) * y->look / 16 + remembered * REMEMBER_NS;
  if (choice.again) {
    cost += cost_of(y, aged_live);
    used -= aged - aged_live < used ? aged - aged_live : used;
  }
  uint64_t next = goal > used ? goal - used : 0;
  uint64_t dead = allocated - fresh_live + aged - aged_live;
  choice.full = full_is_better(y, cost, next, goal, allocated, dead) &&
                (double)cost > worth * FULL_MARGIN * (double)((next < most ? next : most) + 1);
  return choice;
}

/* Young survivors are copied for a share of what they cost altogether, and only the range is fixed. */
static bool young_slide_pays(const struct varve_heap *heap, uint64_t gained, uint64_t moved) {
  const struct varve_yield *y = &heap->yield;
  return (double)gained * price(y, allocated_since(heap)) >= (double)cost_of(y, moved) / YOUNG_SLIDE;
}

bool varve__policy_slide_pays(const struct varve_heap *heap, uint64_t gained, uint64_t moved, uint64_t dead) {
  uint64_t budget = varve__sizing_budget(heap, heap_used_blocks(heap) - dead);
  if (heap->options.move_everything || gained * SLIDE_PAYS >= budget) return true;
  return space_is_partial(&heap->space) && young_slide_pays(heap, gained, moved);
}

/* The epoch of what survived one collection only; 0: there is none. */
static uint8_t aged_epoch(const struct varve_heap *heap) {
  uint8_t before = (uint8_t)(heap->space.epoch - 1);
  return before > heap->ages.tenured ? before : 0;
}

static struct varve_choice choose(const struct varve_heap *heap) {
  const struct varve_yield *y = &heap->yield;
  uint64_t most = heap->recycling.on ? heap->options.cache_budget >> VARVE__BLOCK_SHIFT : UINT64_MAX;
  uint8_t aged = aged_epoch(heap);
  return varve__policy_choose(y, allocated_since(heap), aged ? heap->ages.live[aged] >> VARVE__BLOCK_SHIFT : 0,
                              heap->sizing.full_at, varve__remembered_count(heap), most);
}

/* To fall asleep when it is time to wake up costs a full collection; so does having been awake in vain by now. */
static struct varve_cut full_cut(const struct varve_heap *heap) {
  const struct varve_yield *y = &heap->yield;
  uint64_t wasted = y->wasted + heap->current.barriers * BARRIER_NS;
  return (struct varve_cut){.asleep = (heap->ages.asleep || wasted > y->full_cost) && choose(heap).full};
}

struct varve_cut varve__policy_cut(const struct varve_heap *heap, enum varve_extent extent) {
  uint8_t newest = heap->space.epoch;
  bool stress = heap->options.stress_period || heap->options.move_everything;
  if (!heap->ages.on || extent == EXTENT_FOREVER) return (struct varve_cut){0};
  if (stress && extent == EXTENT_DUE) return random_cut(heap);
  if (!can_cut(heap) || extent == EXTENT_ALL) return full_cut(heap);
  struct varve_choice choice = choose(heap);
  bool full = choice.full || varve__sizing_external_is_due(heap);
  if (full && extent == EXTENT_DUE) return full_cut(heap);
  if (choice.again) return (struct varve_cut){(uint8_t)(newest - 1), heap->ages.tenured, false};
  return (struct varve_cut){newest, (uint8_t)(newest - 1), false};
}

static uint64_t smooth(uint64_t old, uint64_t now) { return old ? (old * 3 + now) / 4 : now; }

/* `part` of a pause was expected, and the pause took `cost` instead of `expected`: what the part seems to have
 * taken. */
static uint64_t corrected(uint64_t part, uint64_t expected, uint64_t cost) {
  uint64_t others = expected - part;
  return cost > others ? cost - others : 0;
}

/* The difference is put down to that of the three parts which is expected to have taken most of the time. A pause in
 * which a thread was not running says little, so it is cut down. */
static void learn_cost(struct varve_yield *y, uint64_t cost, uint64_t survived, uint64_t remembered) {
  uint64_t copy = (survived >> 10) * y->each, look = remembered * y->look / 16, expected = y->fixed + copy + look;
  if (cost > 4 * expected) cost = 4 * expected;
  if (copy >= look && copy > y->fixed)
    y->each = smooth(y->each, corrected(copy, expected, cost) / (survived >> 10) + 1);
  else if (look > y->fixed) y->look = smooth(y->look, corrected(look, expected, cost) * 16 / remembered + 1);
  else y->fixed = smooth(y->fixed, corrected(y->fixed, expected, cost) + 1);
}

static void learn_survival(uint64_t *survival, uint64_t live_words, uint64_t blocks) {
  uint64_t now = blocks ? live_words * 8 / 32 / blocks : 0; /* a block is 32 times 1024 bytes */
  if (blocks) *survival = (*survival + 3 * (now < 1024 ? now : 1024)) / 4;
}

/* A full collection: how much of what was old has died. */
static void learn_decay(const struct varve_heap *heap, struct varve_yield *y, uint64_t allocated) {
  const struct varve_plan *plan = heap->plan;
  uint64_t young = (atomic_load_explicit(&plan->fresh_words, memory_order_relaxed) +
                    atomic_load_explicit(&plan->aged_words, memory_order_relaxed)) / VARVE__BLOCK_WORDS;
  uint64_t lives = heap->live_bytes >> VARVE__BLOCK_SHIFT, before = y->used - y->aged;
  uint64_t now = lives > young ? lives - young : 0;
  uint64_t died = before > now ? before - now : 0, since = y->allocated + allocated;
  if (since) y->decay = (y->decay + 3 * (died * 1024 / since)) / 4;
}

void varve__policy_note_yield(struct varve_heap *heap) {
  struct varve_yield *y = &heap->yield;
  const varve_collection_stats *stats = &heap->current;
  uint8_t newest = (uint8_t)(stats->epochs - 1), cut = space_is_partial(&heap->space) ? heap->space.cut : 0;
  uint64_t before = stats->live_before / VARVE__BLOCK_BYTES, allocated = before > y->used ? before - y->used : 0;
  y->lines = cut ? atomic_load_explicit(&heap->remembered.lines, memory_order_relaxed) : 0;
  learn_cost(y, stats->total_ns - stats->stop_ns, stats->survived, cut ? stats->remembered + y->lines : 0);
  learn_survival(&y->survival, atomic_load_explicit(&heap->plan->fresh_words, memory_order_relaxed), allocated);
  if (y->aged && cut < newest)
    learn_survival(&y->survival_again, atomic_load_explicit(&heap->plan->aged_words, memory_order_relaxed), y->aged);
  else y->survival_again -= y->survival_again / FORGET;
  if (!cut) learn_decay(heap, y, allocated);
  y->wasted = cut ? 0 : y->wasted + stats->barriers * BARRIER_NS;
  y->cost = cut ? y->cost + stats->total_ns : stats->total_ns;
  y->allocated = cut ? y->allocated + allocated : 0;
  y->used = heap_used_blocks(heap);
  if (!cut) y->full_cost = stats->total_ns, y->full_live = y->used;
  y->aged = cut ? stats->survived >> VARVE__BLOCK_SHIFT : 0;
}
