/* SPDX-License-Identifier: MIT */
/* sizing.h -- how large the heap gets: what may be in use when the next collection comes, and why. The rules are in
 * sizing.c.
 *
 * Who writes what, when: struct varve_sizing is written under the lock `settings` (core/heap.h), which a pause holds;
 * `external` by running mutators. `lowering` is also read by a collection's requester after it.
 *
 * Z1 used blocks + budget + external bytes since the last pause in blocks = in use at its end + `budget`, but for what
 *    is under way. Only pauses and varve_heap_set change that sum, and it is at most the limit in blocks.
 * Z2 a budget is never more than Z1 says, not even for a moment: external bytes are taken from it before they are
 *    counted, and returned to it after.
 */
#ifndef VARVE_CORE_SIZING_H
#define VARVE_CORE_SIZING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct varve_heap;

/* What the last cycles were like, as sums in which each cycle counts three quarters of the one after it. */
struct varve_pace {
  uint64_t allocated;  /* bytes, external ones included */
  uint64_t running;    /* nanoseconds between pauses */
  uint64_t collecting; /* nanoseconds of pauses */
  uint64_t marked;     /* live bytes that those pauses found */
  uint64_t credit;     /* `running`, but of one cycle at most what pays for some collections under gc-cpu */
};

/* What a decision is made from. */
struct varve_sizing_facts {
  uint32_t rule;                     /* enum varve_heap_sizing */
  uint32_t growth, thrift, gc_cpu;   /* options */
  uint64_t initial, soft, limit;     /* options, in blocks; soft 0: none */
  uint64_t used, external, wanted;   /* in use, held outside, what the requester waits for; in blocks */
  uint64_t live;                     /* bytes of live objects, external ones included */
  uint64_t work;                     /* bytes that collections mark from one full one to the next; without ages, live */
};

struct varve_goal {
  uint64_t budget; /* blocks that may be taken before the next collection */
  const char *why; /* the rule that set it; a literal */
};

struct varve_sizing {
  _Atomic uint64_t external;   /* bytes held outside by objects; at most 2^60 */
  uint64_t external_base;      /* at the end of the last pause; more than that is spent budget */
  struct varve_pace pace;
  uint64_t resumed;            /* when the last pause ended, nanoseconds */
  uint64_t allocated;          /* space.allocated_bytes then */
  uint64_t used;               /* blocks in use then */
  uint64_t budget;             /* blocks given then, or by varve_heap_set since */
  uint64_t full_at;            /* blocks in use that the last full collection allowed for until the next one */
  uint64_t full_budget;        /* of these, what was left to be allocated then */
  uint64_t full_external;      /* external bytes then */
  uint64_t cache;              /* what cache-budget cut that to; UINT64_MAX: nothing was cut */
  const char *why;
  bool above_soft;             /* the soft limit is being exceeded */
  _Atomic bool lowering;       /* the limit in blocks or regions is still above heap-max */
};

/* ---- the rules; nothing but the arguments is read ---- */

struct varve_goal varve__sizing_goal(const struct varve_sizing_facts *facts, const struct varve_pace *pace);
/* The square-root rule: bytes that a heap with `live` bytes may grow by, if that is worth `work` bytes of marking. */
uint64_t varve__sizing_extra(const struct varve_pace *pace, uint64_t live, uint64_t work, uint32_t thrift);
/* Bytes to allocate before the next collection, so that after it collecting has taken at most `gc_cpu` percent of the
 * time; 0: it may come at once. */
uint64_t varve__sizing_relief(const struct varve_pace *pace, uint32_t gc_cpu);
/* One more cycle; its credit follows from the others. */
void varve__sizing_add_cycle(struct varve_pace *pace, const struct varve_pace *cycle, uint32_t gc_cpu);

/* ---- a heap ---- */

/* The space is open: set the first budget. */
void varve__sizing_open(struct varve_heap *heap);
/* Before tables are closed whose size the limit at creation gave. */
void varve__sizing_close(struct varve_heap *heap);
/* Blocks that might be taken after this collection if it left `used` in use. World stopped. */
uint64_t varve__sizing_budget(const struct varve_heap *heap, uint64_t used);
/* The pause is over but for the resume, at time `now`, and current.total_ns is known: learn what the cycle was like,
 * fit the limit, set the budget. */
void varve__sizing_set_budget(struct varve_heap *heap, uint64_t now);
/* Have so many external bytes been added since the last full collection that old garbage may own as much as the heap
 * may grow by? Any mutator, as a hint; exact in a pause. */
bool varve__sizing_external_is_due(const struct varve_heap *heap);
/* After it, and after the policy may have shortened the budget: note what was decided in heap->current. */
void varve__sizing_note(struct varve_heap *heap);
/* Options that bear on sizes have changed; under `settings`. Any thread. */
void varve__sizing_options_changed(struct varve_heap *heap);
/* The requester, running after its collection: give back regions that a lower heap-max leaves no room for. */
void varve__sizing_settle(struct varve_heap *heap);

#endif
