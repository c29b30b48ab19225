/* SPDX-License-Identifier: MIT */
/* marker.h -- what the files of the mark phase share: mark.c (the phase as a whole), mark_stack.c (private stacks) and
 * mark_loop.c (the loop).
 *
 * Words      white   the object's start bit is clear.
 *            grey    the start bit is set and the bits of its other words are not: it is reachable and has not been
 *            scanned.
 *            black   all of its bits are set: it has been scanned, or is being scanned. (An object of one word is black
 *                    as soon as it is marked; it has nothing to scan. A large object has only its start bit.)
 *            entry   64 bits on a mark stack. Bits 0..46: index of a word of the heap; bit 47: claimed; bits 48..63:
 *                    piece. Piece 0: the object that starts there. Piece p: the p-th stretch of slots of the black
 *                    array there.
 * Invariants K1 whoever turns an object grey makes the only claimed entry for it, or leaves it to a later round (K3).
 *               Whoever turns a white object black scans it. An entry that is not claimed, for an object that is not
 *               white, is stale. (All entries of a lone worker are claimed; they do not say so.)
 *            K2 entries are in rings, on the current segment, in a deque, or in the hands of one thief; nowhere else.
 *            K3 an object left to a later round is grey, and either listed in its block, where the `pending` first of
 *               the ranks, which mean nothing while marking, are such objects' words; or `pending` is MARK_PENDING_ALL,
 *               and all grey objects of the block (of a MEDIUM region, if it is the first block's) are.
 */
#ifndef VARVE_CORE_MARKER_H
#define VARVE_CORE_MARKER_H

#include "core/heap.h"
#include "core/layout.h"
#include "core/root.h"
#include "core/segment.h"
#include "varve/stats.h"

#define MARK_INDEX_MASK ((UINT64_C(1) << 47) - 1)
#define MARK_CLAIMED (UINT64_C(1) << 47)
#define MARK_PIECE_SHIFT 48
#define MARK_TEST_RING 32u /* children that wait for their bitmap word */
#define MARK_DEPTHS 4u
#define MARK_PENDING_MAX VARVE__BLOCK_LINES
#define MARK_PENDING_ALL UINT8_MAX

/* Holders of one kind, linked through their second words (weak.h). */
struct varve_weak_chains {
  varve_object *chain[VARVE__WEAK_CHAINS], *big;
};

struct varve_weak_found {
  struct varve_weak_chains found[WEAK_KINDS];
  struct varve_weak_chains pass; /* what a pass goes through */
  uint32_t turn;                 /* the chain that the next one enters */
  bool any[WEAK_KINDS];
  uint64_t entries;              /* of ephemerons, in those found */
  uint64_t slots_cleared, entries_cleared;
};

struct mark_worker {
  struct varve_heap *heap;
  struct varve_segment *current; /* the private stack's top; full segments go to the deque */
  struct varve_segment *spare;
  bool alone;                    /* the only worker of this pause: marks without atomic operations */
  uint32_t eager;                /* pauses for which this worker claims children when it pushes them; 0: when it visits
                                    them */
  uint32_t stale;                /* entries found stale in this window */
  uint64_t sizes;                /* mean distance from an object's header to its last word, in bytes, times
                                    REACH_SAMPLES */
  uint32_t index, node;          /* of this worker; its dense node in this pause */
  uint32_t last_victim;          /* a place in victims */
  uint16_t *victims;             /* the other workers, those on near nodes first */
  uint32_t quota;                /* collecting deferred objects: entries this worker may still push */
  bool left;                     /* and that it left some in the block */
  uint32_t waiting, waiting_tail;
  uint64_t children[MARK_TEST_RING]; /* word indexes, a ring: `waiting` of them, the newest before waiting_tail */
  varve_worker_stats stats;
  uint64_t overflows;            /* entries that found no room */
  uint32_t depth, depth_index;   /* how many entries wait for their header */
  uint32_t window, probe;
  uint64_t window_start;
  uint64_t cost[MARK_DEPTHS];    /* cycles per window, smoothed; 0: not tried */
  struct varve_deque deque;
  struct varve_visitor visitor, root_visitor; /* for trace functions; for root tasks */
  bool keyed;                    /* ephemerons fire (ephemeron.c) */
  struct varve_weak_found weak;
};

typedef void mark_source_fn(struct mark_worker *worker);

struct varve_marker {
  mark_source_fn *source;           /* of this run of varve__mark_more */
  struct varve_segment_pool *pools; /* by dense node */
  uint32_t segment_count;           /* of all pools */
  struct varve_segment *_Atomic *rings;
  uint16_t *victims;           /* worker_count for each worker */
  uint32_t worker_count, ring_capacity;
  _Alignas(64) _Atomic uint32_t idle;
  _Atomic uint32_t asleep;     /* idle workers parked on `news` */
  _Atomic uint32_t news;       /* bumped when there is a segment to steal, or nothing more to do */
  _Atomic uint32_t overflowed; /* some block is pending */
  struct mark_worker workers[];
};

/* ---- mark_stack.c: the owner's side of a stack ---- */

/* Make room: publish the current segment (if there is one) and open another. False: the pool is empty; nothing
 * happened. */
bool varve__mark_open_segment(struct mark_worker *worker);
/* The current segment is empty: go on with the newest full one of our own. False: there is none. */
bool varve__mark_reopen_segment(struct mark_worker *worker);
/* Go on with a segment that was stolen; the current one is empty. */
void varve__mark_adopt_segment(struct mark_worker *worker, struct varve_segment *segment);
/* Others are idle and our deque is empty: publish the older half of the stack. */
void varve__mark_share(struct mark_worker *worker);
/* Give the empty segments back to the pool; no worker runs. */
void varve__mark_return_segments(struct mark_worker *worker);
/* There is no room for an entry: leave the object at the word to a later round. */
void varve__mark_defer(struct mark_worker *worker, uint64_t index);

/* Is there room for an entry on the current segment? */
static inline bool mark_has_room(struct mark_worker *worker) {
  struct varve_segment *segment = worker->current;
  return (segment && segment->count < VARVE__SEGMENT_ENTRIES) || varve__mark_open_segment(worker);
}

/* ---- mark.c ---- */

/* Worker 0, when marking has ended: all workers call `source`, which makes entries, and mark until nothing is left. */
void varve__mark_more(struct varve_heap *heap, mark_source_fn *source);

/* ---- mark_loop.c ---- */

/* Everything that is private or in our deque. No entry of this worker is left when it returns. */
void varve__mark_drain(struct mark_worker *worker);
/* Visitors' functions: mark what root slots refer to, and all that is reachable from there; mark what the slots of an
 * object refer to. */
void varve__mark_root_range(struct varve_visitor *visitor, varve_word *base, size_t stride, size_t count,
                            const uint64_t *bitmap, bool ref);
void varve__mark_slot_range(struct varve_visitor *visitor, varve_word *base, size_t stride, size_t count,
                            const uint64_t *bitmap, bool ref);
/* The same for narrow words. */
void varve__mark_root_narrow(struct varve_visitor *visitor, varve_narrow *base, size_t stride, size_t count,
                             const uint64_t *bitmap);
void varve__mark_slot_narrow(struct varve_visitor *visitor, varve_narrow *base, size_t stride, size_t count,
                             const uint64_t *bitmap);
/* Let a word enter, as if an object's slot held it. */
void varve__mark_enter(struct mark_worker *worker, varve_word word);
/* Forget what was measured of the ring's depth in another pause's time. */
void varve__mark_begin_window(struct mark_worker *worker);

#endif
