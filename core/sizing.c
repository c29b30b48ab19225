/* SPDX-License-Identifier: MIT */
/* sizing.c -- how large the heap gets.
 *
 * After a collection U blocks are in use, external bytes included, L bytes of them live. The next one comes at a goal:
 *
 *   growth    U and heap-growth percent of U. Each allocated byte then pays a fixed share of a collection; the rule of
 *             Go's GOGC.
 *   adaptive  U and sqrt(L g / (c s)): g bytes allocated per second outside pauses, s live bytes collected per second
 *             of a pause, c = heap-thrift. A larger heap saves collecting, but the less the larger it is already; here
 *             the next MiB saves as much time as c says, in every heap alike, and no other division of the same memory
 *             among them collects less (Kirisame, Shenoy, Panchekha: Optimal heap limits for reducing browser memory
 *             use, OOPSLA 2022). At least half and at most twice of L, for g and s are guesses from the last cycles.
 *   fixed     heap-max.
 *
 * External bytes may be owned by old garbage: when as many were added since the last full collection as it allowed the
 * heap to grow by, the next one is full.
 *
 * With ages that is decided by full collections, and holds until the next one: a young collection leaves what it has
 * not freed of it. The square-root rule then takes for L what all collections of such a cycle mark together, a quarter
 * of it what is live.
 *
 * What bounds it, the later the stronger:
 *
 *   heap-initial   at least that: it is populated and kept anyway.
 *   heap-soft      at most that, as long as collecting takes at most gc-cpu percent of the time. With more alive, a
 *                  heap that is held down collects without end. So it may run on for as long as it takes until the time
 *                  of the last collections, and of the next one, is that share again; what that needs is the time times
 *                  g. Idle time is no excuse for collecting without end afterwards: one cycle's running time counts
 *                  for CREDIT collections at most.
 *   what is wanted at least what the requester waits for, a region for everybody, and a sixteenth of the external
 *                  bytes, which may be more than any collection can help.
 *   heap-max       at most that, external bytes not counted.
 *
 * External bytes spend the budget like blocks. Those freed since the last collection return what they had spent, and no
 * more, so that the budget never exceeds the limit in blocks (Z1).
 *
 * A lower heap-max at run time: the sum of Z1 is cut at once. If it fits the new limit and more than it was not spent,
 * that limit holds; else the next allocation collects, and each pause lowers the limit in blocks to what is in use,
 * until it fits. Free regions go back outside pauses; while others cannot, the limit in regions is what is committed.
 */
#include "core/sizing.h"

#include <math.h>

#include "core/base/clock.h"
#include "core/heap.h"
#include "core/mutator.h"

#define CREDIT 8u          /* collections that one cycle's running time pays for */
#define EXTERNAL_SHARE 16u /* one part in so many of the external bytes may always be allocated */
#define EXTERNAL_MAX (UINT64_C(1) << 60)

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }
static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* ---- the pace ---- */

/* Seconds outside pauses for each second in one. */
static double running_share(uint32_t gc_cpu) { return (100.0 - gc_cpu) / gc_cpu; }

static void add(uint64_t *sum, uint64_t value) { *sum = *sum - *sum / 4 + value; }

void varve__sizing_add_cycle(struct varve_pace *pace, const struct varve_pace *cycle, uint32_t gc_cpu) {
  add(&pace->allocated, cycle->allocated);
  add(&pace->running, cycle->running);
  add(&pace->collecting, cycle->collecting);
  add(&pace->marked, cycle->marked);
  add(&pace->credit, smaller(cycle->running, (uint64_t)((double)cycle->collecting * running_share(gc_cpu) * CREDIT)));
}

uint64_t varve__sizing_extra(const struct varve_pace *pace, uint64_t live, uint64_t work, uint32_t thrift) {
  if (!pace->running || !pace->marked) return live;
  double rate = (double)pace->allocated / (double)pace->running;  /* g */
  double each = (double)pace->collecting / (double)pace->marked;  /* 1 / s */
  double saved = thrift / 1e6 / (1 << 20);                        /* c */
  double extra = sqrt((double)work * rate * each / saved);
  if (extra < (double)live / 2) return live / 2;
  return extra > 2 * (double)live ? 2 * live : (uint64_t)(extra + 0.5);
}

/* A collection is a quarter of the sum, and by the end of the next cycle a quarter of the sum is forgotten. */
uint64_t varve__sizing_relief(const struct varve_pace *pace, uint32_t gc_cpu) {
  if (!pace->running) return 0;
  double owed = (double)pace->collecting * running_share(gc_cpu) - 0.75 * (double)pace->credit;
  return owed > 0 ? (uint64_t)(owed * (double)pace->allocated / (double)pace->running) : 0;
}

/* ---- the goal, in blocks ---- */

static uint64_t blocks_of(uint64_t bytes) { return bytes >> VARVE__BLOCK_SHIFT; }

struct goal {
  uint64_t blocks;
  const char *why;
};

static struct goal rule_goal(const struct varve_sizing_facts *f, const struct varve_pace *pace) {
  uint64_t total = f->used + f->external;
  if (f->rule == VARVE_SIZING_FIXED) return (struct goal){f->limit, "heap-max"};
  if (f->rule == VARVE_SIZING_ADAPTIVE)
    return (struct goal){total + blocks_of(varve__sizing_extra(pace, f->live, f->work, f->thrift)), "square root"};
  return (struct goal){total + total * f->growth / 100, "growth"};
}

static void hold_down(struct goal *goal, const struct varve_sizing_facts *f, const struct varve_pace *pace) {
  uint64_t soft = larger(f->soft, f->initial);
  if (!f->soft || goal->blocks <= soft) return;
  uint64_t relieved = f->used + f->external + blocks_of(varve__sizing_relief(pace, f->gc_cpu));
  if (relieved >= goal->blocks) return;
  *goal = relieved > soft ? (struct goal){relieved, "gc-cpu"} : (struct goal){soft, "soft limit"};
}

struct varve_goal varve__sizing_goal(const struct varve_sizing_facts *f, const struct varve_pace *pace) {
  uint64_t total = f->used + f->external, room = f->used < f->limit ? f->limit - f->used : 0;
  uint64_t least = total + f->wanted + VARVE__REGION_BLOCKS + f->external / EXTERNAL_SHARE;
  struct goal goal = rule_goal(f, pace);
  if (goal.blocks < f->initial) goal = (struct goal){f->initial, "heap-initial"};
  hold_down(&goal, f, pace);
  if (goal.blocks < least) goal = (struct goal){least, "at least what is wanted"};
  if (goal.blocks - total >= room) return (struct varve_goal){room, "heap-max"};
  return (struct varve_goal){goal.blocks - total, goal.why};
}

/* ---- a heap's facts ---- */

/* As the space counts its limit: blocks with their share of the side tables. */
static uint64_t blocks_with_tables(uint64_t bytes) {
  return bytes / (VARVE__BLOCK_BYTES + VARVE__SIDE_BYTES / VARVE__REGION_BLOCKS);
}

static uint32_t regions_of(uint64_t blocks) {
  return (uint32_t)((blocks + VARVE__REGION_BLOCKS - 1) / VARVE__REGION_BLOCKS);
}

static uint64_t limit_of(uint64_t heap_max) { return larger(blocks_with_tables(heap_max), VARVE__REGION_BLOCKS); }

/* What heap-max asks for; the limit in force may still be higher. */
static uint64_t asked_limit(const struct varve_heap *heap) { return limit_of(heap->options.heap_max); }

/* Young collections mark little and come often: what they and one full collection mark together. */
static uint64_t work_of(const struct varve_heap *heap) {
  const struct varve_sizing *sizing = &heap->sizing;
  uint64_t live = heap->live_bytes + sizing->external_base, cycle = sizing->full_budget << VARVE__BLOCK_SHIFT;
  if (!heap->ages.on || !sizing->pace.allocated || !cycle) return live;
  double work = (double)sizing->pace.marked * (double)cycle / (double)sizing->pace.allocated;
  return work < (double)live ? live / 4 + (uint64_t)(work * 3 / 4) : live;
}

static struct varve_goal decide(const struct varve_heap *heap, uint64_t used) {
  const varve_options *o = &heap->options;
  uint64_t external = heap->sizing.external_base;
  struct varve_sizing_facts facts = {
      .rule = o->heap_sizing, .growth = o->heap_growth, .thrift = o->heap_thrift, .gc_cpu = o->gc_cpu,
      .initial = blocks_of(o->heap_initial), .soft = blocks_with_tables(o->heap_soft), .limit = asked_limit(heap),
      .used = used, .external = blocks_of(external), .wanted = heap->wanted_blocks,
      .live = heap->live_bytes + external, .work = work_of(heap)};
  return varve__sizing_goal(&facts, &heap->sizing.pace);
}

uint64_t varve__sizing_budget(const struct varve_heap *heap, uint64_t used) { return decide(heap, used).budget; }

/* ---- the limit ---- */

static void set_limit(struct varve_heap *heap, uint64_t blocks) {
  __atomic_store_n(&heap->space.limit_blocks, (uint32_t)blocks, __ATOMIC_RELAXED); /* read in policy.c and alloc.c */
}

/* In a pause: as low as what is in use allows. Of regions none is given back here. */
static void lower_blocks(struct varve_heap *heap) {
  if (atomic_load_explicit(&heap->sizing.lowering, memory_order_relaxed))
    set_limit(heap, larger(asked_limit(heap), heap_used_blocks(heap)));
}

/* Under `settings`, which keeps pauses away, so that none sees a region that is leaving (R5). */
static void lower_regions(struct varve_heap *heap) {
  struct varve_space *space = &heap->space;
  uint32_t least = regions_of(space->limit_blocks);
  while (varve__space_give_back(space, VARVE__NO_REGION, least) != VARVE__NO_REGION) continue;
  varve__lock_take(&space->lock);
  uint32_t committed = atomic_load_explicit(&space->committed, memory_order_relaxed);
  space->limit_regions = (uint32_t)larger(least, committed);
  varve__lock_release(&space->lock);
  bool done = space->limit_blocks == asked_limit(heap) && space->limit_regions == least;
  atomic_store_explicit(&heap->sizing.lowering, !done, memory_order_relaxed);
}

/* `fits`: no more than the new limit is in use, nor will be. */
static void change_limit(struct varve_heap *heap, bool fits) {
  uint64_t asked = asked_limit(heap), limit = heap->space.limit_blocks;
  if (asked == limit && !atomic_load_explicit(&heap->sizing.lowering, memory_order_relaxed)) return;
  if (fits || asked > limit) set_limit(heap, asked);
  lower_regions(heap);
}

void varve__sizing_settle(struct varve_heap *heap) {
  if (!atomic_load_explicit(&heap->sizing.lowering, memory_order_relaxed)) return;
  varve__lock_take(&heap->settings);
  lower_regions(heap);
  varve__lock_release(&heap->settings);
}

void varve__sizing_close(struct varve_heap *heap) {
  if (heap->created.size) heap->space.limit_regions = regions_of(limit_of(heap->created.heap_max));
}

/* ---- a pause ---- */

static void learn(struct varve_heap *heap, uint64_t now) {
  struct varve_sizing *sizing = &heap->sizing;
  uint64_t allocated = atomic_load_explicit(&heap->space.allocated_bytes, memory_order_relaxed);
  uint64_t external = atomic_load_explicit(&sizing->external, memory_order_relaxed);
  uint64_t pause = heap->current.total_ns, cycle = now - sizing->resumed;
  uint64_t gained = external > sizing->external_base ? external - sizing->external_base : 0;
  const struct varve_pace one = {.allocated = allocated - sizing->allocated + gained,
                                 .running = cycle > pause ? cycle - pause : 0,
                                 .collecting = pause,
                                 .marked = heap->space.cut ? heap->current.survived : heap->live_bytes};
  varve__sizing_add_cycle(&sizing->pace, &one, heap->options.gc_cpu);
  sizing->resumed = now;
  sizing->allocated = allocated;
  sizing->external_base = external;
}

/* What a full collection allowed for stands until the next one; what is wanted comes on top. */
static struct varve_goal until_full(const struct varve_heap *heap, struct varve_goal goal) {
  const struct varve_sizing *sizing = &heap->sizing;
  uint64_t left = sizing->full_at > sizing->used ? sizing->full_at - sizing->used : 0;
  uint64_t least = smaller(goal.budget, heap->wanted_blocks + VARVE__REGION_BLOCKS);
  if (left >= goal.budget) return goal;
  return left > least ? (struct varve_goal){left, "until a full collection"}
                      : (struct varve_goal){least, "at least what is wanted"};
}

/* A full collection. */
static void allow(struct varve_sizing *sizing, uint64_t budget) {
  sizing->full_budget = budget;
  sizing->full_at = sizing->used + budget;
  sizing->full_external = sizing->external_base;
}

bool varve__sizing_external_is_due(const struct varve_heap *heap) {
  const struct varve_sizing *sizing = &heap->sizing;
  uint64_t external = atomic_load_explicit(&sizing->external, memory_order_relaxed);
  return external > sizing->full_external && blocks_of(external - sizing->full_external) >= sizing->full_budget;
}

static void set_budget(struct varve_heap *heap) {
  struct varve_sizing *sizing = &heap->sizing;
  sizing->used = heap_used_blocks(heap);
  struct varve_goal goal = decide(heap, sizing->used);
  if (space_is_partial(&heap->space)) goal = until_full(heap, goal);
  else allow(sizing, goal.budget);
  sizing->budget = goal.budget;
  sizing->cache = UINT64_MAX;
  sizing->why = goal.why;
  atomic_store_explicit(&heap->space.budget_blocks, (int64_t)goal.budget, memory_order_relaxed);
}

void varve__sizing_open(struct varve_heap *heap) {
  heap->sizing.resumed = varve__clock_ns();
  set_budget(heap);
}

void varve__sizing_set_budget(struct varve_heap *heap, uint64_t now) {
  learn(heap, now);
  lower_blocks(heap);
  set_budget(heap);
}

static double mib(uint64_t bytes) { return (double)bytes / (1 << 20); }

/* Tell when it begins, not each time. */
static void watch_soft(struct varve_heap *heap) {
  struct varve_sizing *sizing = &heap->sizing;
  uint64_t soft = larger(blocks_with_tables(heap->options.heap_soft), blocks_of(heap->options.heap_initial));
  uint64_t total = sizing->used + blocks_of(sizing->external_base);
  bool above = heap->options.heap_soft && total + sizing->budget > soft;
  if (above && !sizing->above_soft)
    varve__log(heap, 1, "the soft limit of %.1f MiB is exceeded: %.1f MiB in use after a collection, next at %.1f (%s)",
               mib(heap->options.heap_soft), mib(total << VARVE__BLOCK_SHIFT),
               mib((total + sizing->budget) << VARVE__BLOCK_SHIFT), sizing->why);
  sizing->above_soft = above;
}

void varve__sizing_note(struct varve_heap *heap) {
  struct varve_sizing *sizing = &heap->sizing;
  uint64_t budget = (uint64_t)atomic_load_explicit(&heap->space.budget_blocks, memory_order_relaxed);
  if (budget < sizing->budget) {
    sizing->budget = sizing->cache = budget;
    sizing->why = "cache";
  }
  heap->current.next_bytes = (sizing->used + sizing->budget) << VARVE__BLOCK_SHIFT;
  heap->current.next_why = sizing->why;
  watch_soft(heap);
}

/* ---- between pauses ---- */

void varve__sizing_options_changed(struct varve_heap *heap) {
  struct varve_sizing *sizing = &heap->sizing;
  struct varve_goal goal = decide(heap, sizing->used);
  uint64_t budget = smaller(goal.budget, sizing->cache);
  sizing->full_at = sizing->used + goal.budget;
  int64_t more = (int64_t)budget - (int64_t)sizing->budget;
  bool raised = asked_limit(heap) > heap->space.limit_blocks;
  if (raised) change_limit(heap, true); /* first the limit, then what may fill it */
  int64_t left = atomic_fetch_add_explicit(&heap->space.budget_blocks, more, memory_order_relaxed) + more;
  sizing->budget = budget;
  if (!raised) change_limit(heap, left >= 0 && sizing->used + budget <= asked_limit(heap));
}

/* Blocks of the budget that this many external bytes have spent. */
static int64_t spent_blocks(const struct varve_sizing *sizing, uint64_t external) {
  return external > sizing->external_base ? (int64_t)blocks_of(external - sizing->external_base) : 0;
}

static uint64_t changed_by(uint64_t external, int64_t bytes) {
  if (bytes < 0) return external - smaller(external, -(uint64_t)bytes);
  return smaller(external + (uint64_t)bytes, EXTERNAL_MAX);
}

static void spend(struct varve_heap *heap, int64_t blocks) {
  if (blocks) atomic_fetch_sub_explicit(&heap->space.budget_blocks, blocks, memory_order_relaxed);
}

/* False: the total was not `before`, which is what it was instead; nothing happened. Release and acquire: a refund
 * comes after the spending that it refunds (Z2). */
static bool count_external(struct varve_heap *heap, uint64_t *before, int64_t bytes) {
  struct varve_sizing *sizing = &heap->sizing;
  uint64_t after = changed_by(*before, bytes);
  int64_t spent = spent_blocks(sizing, after) - spent_blocks(sizing, *before);
  if (spent > 0) spend(heap, spent);
  bool counted = atomic_compare_exchange_weak_explicit(&sizing->external, before, after, memory_order_acq_rel,
                                                       memory_order_relaxed);
  if (counted && spent < 0) spend(heap, spent);
  if (!counted && spent > 0) spend(heap, -spent);
  return counted;
}

varve_status varve_external_add(varve_mutator *head, int64_t bytes) {
  struct varve__mutator *mutator = mutator_of(head);
  if (!varve__mutator_is_here(mutator) || atomic_load(&mutator->state) != MUTATOR_RUNNING) return VARVE_THREAD;
  uint64_t before = atomic_load_explicit(&head->heap->sizing.external, memory_order_relaxed);
  while (!count_external(head->heap, &before, bytes)) continue;
  return VARVE_OK;
}
