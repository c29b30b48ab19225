/* SPDX-License-Identifier: MIT */
/* stats.h -- what a collection did, and totals. All times in nanoseconds, all sizes in bytes. */
#ifndef VARVE_STATS_H
#define VARVE_STATS_H

#include "varve/types.h"

VARVE_BEGIN

#define VARVE_STATS_WORKERS 64 /* per-worker figures are kept for the first 64 workers */
#define VARVE_PAUSE_BUCKETS 256
#define VARVE_STATS_STEPS 4 /* distances that are told apart: the same node, the nearest other one, ..., and all
                               farther */

typedef struct varve_worker_stats {
  uint64_t objects_marked;
  uint64_t words_marked;
  uint64_t steals;         /* segments taken from other workers */
  uint64_t failed_steals;
  uint64_t regions_counted; /* regions whose live words this worker counted: its share of the plan */
  uint64_t words_moved;
  uint64_t slots_fixed;
  uint64_t groups;         /* groups this worker slid */
  uint32_t node;           /* the one it ran on: an index for varve_node_stats_get */
  uint64_t sampled, sampled_local;       /* of the objects it marked, about one in 64: how many, and how many lay on its
                                            node */
  uint64_t words_moved_local;            /* of words_moved: from its own node */
  uint64_t steals_by_steps[VARVE_STATS_STEPS]; /* of steals: how far the victim's node was */
} varve_worker_stats;

typedef struct varve_collection_stats {
  uint64_t number;   /* 1 for a heap's first collection */
  const char *cause; /* "allocation", "requested", "stress" or "emergency" */
  bool emergency;
  uint32_t epochs, epochs_taken; /* all before; the newest so many were collected. Equal: a full collection */
  uint32_t workers;
  uint64_t stop_ns, mark_ns, weak_ns, plan_ns, slide_ns, release_ns, total_ns; /* total: from request to resume */
  char slowest[32]; /* the mutator that stopped last; empty when there was no other */
  uint64_t live_before, live_after; /* bytes in use before (allocated blocks), live object bytes after; what is older
                                       than the epochs taken counts as it was when it was last collected */
  uint64_t range_before, survived;  /* the same for the epochs taken: bytes of blocks before, of live objects after */
  uint64_t remembered;              /* old objects that were looked at because they had been written to */
  uint64_t barriers;                /* stores before it that took the slow half of the barrier */
  uint64_t committed;               /* bytes of committed regions and their side tables after */
  uint64_t objects_marked, bytes_moved, bytes_fixed_in_place;
  uint64_t groups, splits;
  /* Blocks with live objects that did not move, and why: too full to be worth it; held in place; so full together with
     the others of their group that none would have come free, or too few to be worth the fix-up of the whole heap. When
     these
     are all, nothing moved and nothing was fixed. */
  uint64_t blocks_dense, blocks_pinned, blocks_gainless;
  uint64_t bytes_held;     /* free bytes in blocks_pinned, between what is alive there: what pins cost in memory */
  uint64_t objects_pinned; /* references from pins, and objects that were found on stacks, in the epochs taken */
  uint64_t blocks_put_off; /* left for the next collection, for slide-budget was spent */
  uint64_t blocks_freed, regions_freed;
  uint64_t large_freed, large_moved;
  uint64_t mark_overflows; /* objects left to a later round because the segment pool was empty */
  uint64_t steals;
  uint64_t weak_cleared;       /* weak slots (weak.h); */
  uint64_t ephemerons, ephemerons_cleared; /* entries that were looked at; of them, those whose keys were dead */
  uint64_t finalizers_queued;  /* finalizers and cleaners (final.h) whose objects were found dead */
  uint64_t next_bytes;  /* in use when the next one comes, as decided at the end; less when external bytes are added */
  const char *next_why; /* the rule that set it: "growth", "square root", "heap-initial", "soft limit", "gc-cpu",
                           "at least what is wanted", "heap-max" or "cache"; a literal */
  varve_worker_stats worker[VARVE_STATS_WORKERS];
} varve_collection_stats;

typedef struct varve_heap_stats {
  uint64_t collections, emergencies;
  uint64_t bytes_allocated;  /* since creation: whole TLABs and large runs, exact for medium objects */
  uint64_t bytes_refilled;   /* of these: free space between pinned objects, used when the heap is nearly full */
  uint64_t bytes_moved;
  uint64_t pause_ns_total, pause_ns_max;
  uint64_t stop_ns_total, stop_ns_max;
  uint64_t bytes_in_use;      /* blocks and runs that hold objects, now */
  uint64_t bytes_committed;   /* regions with memory behind them, and their side tables */
  uint64_t bytes_given_back;  /* ever: regions and their side tables returned to the system after a peak */
  uint64_t give_back_ns;      /* time that took, of the threads that requested collections, outside pauses */
  uint64_t bytes_metadata;    /* address space of the collector's own tables; memory lies where it was needed */
  uint64_t heap_limit;        /* the size at which the next collection comes */
  uint64_t bytes_external;    /* held outside by objects, as varve_external_add was told */
  uint64_t bytes_immortal;    /* of objects that no collection takes any more (varve_heap_make_immortal) */
  uint32_t mutators, workers;
  uint64_t pauses[VARVE_PAUSE_BUCKETS]; /* histogram: 8 buckets per power of two, from 1 ns */
  uint64_t stops[VARVE_PAUSE_BUCKETS];  /* time-to-stop in the same buckets */
} varve_heap_stats;

/* One node of memory as the heap uses it. Figures of workers are totals over all collections. */
typedef struct varve_node_stats {
  uint32_t os_index;          /* the system's number of the node */
  uint32_t cores;             /* allowed cores whose nearest node it is; 0: nothing is wanted here */
  bool last_resort;           /* memory that no processor is near to, used when all other nodes are full */
  uint64_t bytes_committed;   /* regions whose memory is here, and their side tables */
  uint64_t bytes_in_use;      /* of them: blocks that hold objects or are owned by a mutator */
  uint64_t bytes_metadata;    /* the collector's own tables that are to be here: address space, with memory where it was
                                 needed; most are mark stacks for the largest graph that heap-max could hold */
  uint64_t regions_spilled;   /* ever: regions that were wanted here and got their memory elsewhere, for the node was
                                 full */
  uint64_t sampled, sampled_local;       /* objects marked by workers of this node, about one in 64; those that lay on
                                            it */
  uint64_t words_moved, words_moved_local; /* copied by workers of this node; from memory of this node */
  uint64_t steals_by_steps[VARVE_STATS_STEPS]; /* by workers of this node; [0]: from workers of the same node */
} varve_node_stats;

/** Copy the figures of the index-th node that the heap may use, from 0. @return false: there are not so many.
 *  Any thread; does not block for long; figures of a running collection are not in it yet. */
VARVE_API bool varve_node_stats_get(const varve_heap *heap, uint32_t index, varve_node_stats *out);

/** Copy the totals. Any thread; does not block; figures of a running collection are not in it yet. */
VARVE_API void varve_heap_stats_get(const varve_heap *heap, varve_heap_stats *out);

/** Copy the figures of the last collection. @return false when there was none yet. Same threads as above. */
VARVE_API bool varve_collection_stats_get(const varve_heap *heap, varve_collection_stats *out);

/** The given percentile (0..100) of a histogram, in nanoseconds; within 12.5 % of the truth. 0 when empty. */
VARVE_API uint64_t varve_stats_percentile(const uint64_t histogram[VARVE_PAUSE_BUCKETS], double percent);

/** Write the one-line summary of a collection, as the log does. @return the length the whole line needs. */
VARVE_API size_t varve_collection_stats_print(const varve_collection_stats *stats, char *buffer, size_t capacity);

VARVE_END
#endif
