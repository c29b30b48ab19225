/* SPDX-License-Identifier: MIT */
/* heap.h -- the heap object: all state of the library hangs from it.
 *
 * Who writes what, when: tags, tables: at creation; options also later, under `settings`. mutators: under the registry
 * lock. space: see regions/space.h. plan, stats.current: in a pause, as their headers say. totals: by worker 0 at the
 * end of a pause, read by anybody under `stats_lock`.
 *
 * Locks, in rank order: collector, registry, roots, layouts, settings, hash stripes, remembered.lock, final.lock,
 * space.lock, stats_lock. A pause holds `settings` from its beginning to its end, so that options change between pauses
 * only. What varve_heap_set may change is read with heap_setting outside pauses.
 */
#ifndef VARVE_CORE_HEAP_H
#define VARVE_CORE_HEAP_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/ages.h"
#include "core/base/park.h"
#include "core/base/shade.h"
#include "core/final.h"
#include "core/layout.h"
#include "core/narrow.h"
#include "core/pin.h"
#include "core/share.h"
#include "core/sizing.h"
#include "numa/meta.h"
#include "numa/topology.h"
#include "regions/space.h"
#include "varve/heap.h"

struct varve_roots;
struct varve_verifier;
struct varve_workers;
struct varve_marker;
struct varve_plan;
struct varve_remembered_list;
struct varve_hashes;
struct varve__mutator;

/* What collections cost with all workers, with half of them, a quarter ... (policy.c). */
#define VARVE__TEAMS 9u
struct varve_teams {
  uint32_t next;                /* index of the team for the next collection: options.workers >> next */
  uint32_t turn;
  uint64_t cost[VARVE__TEAMS];  /* nanoseconds for 64 KiB in use, or surviving; smoothed; 0: not tried */
};

/* How many committed regions collections found a use for, as two maxima of consecutive spans of time (policy.c).
 * Written by worker 0 in pauses; `keep` is read by the requester until its next safepoint. */
struct varve_need {
  uint64_t since;     /* when this span began, nanoseconds; 0: before the first collection */
  uint32_t collections; /* in this span */
  uint32_t now, before; /* the most that was needed in this span and in the one before */
  uint32_t commits;   /* space.commits at the end of the last pause */
  uint32_t in_use;    /* regions not free when this pause began */
  uint32_t keep;      /* committed regions that stay */
};

/* What collections cost and what they bring, for the choice between a full one and a young one (policy_ages.c).
 * Written by worker 0 in pauses. */
struct varve_yield {
  uint64_t cost;       /* nanoseconds of the last full collection and of all since */
  uint64_t full_cost;  /* nanoseconds of the last full collection, */
  uint64_t full_live;  /* and the blocks it left in use */
  uint64_t decay;      /* 1/1024 blocks of old objects that have died for each block allocated, smoothed */
  uint64_t allocated;  /* blocks that mutators took from the last full collection to the last one */
  uint64_t used;       /* blocks in use after the last collection */
  uint64_t survival;   /* of what was allocated since the last collection, in 1/1024, smoothed */
  uint64_t survival_again; /* of what survived one such, at the next */
  uint64_t fixed;      /* nanoseconds of a collection that nothing survives, smoothed */
  uint64_t each;       /* nanoseconds for 1024 surviving bytes, smoothed */
  uint64_t look;       /* 1/16 nanoseconds for a remembered object or a noted line, smoothed */
  uint64_t lines;      /* noted lines that the last collection looked at, if it was not full */
  uint64_t aged;       /* blocks that survived the last collection, if it was not full */
  uint64_t wasted;     /* nanoseconds of the barriers before full collections, since the last that was not */
};

/* Is the program kept in cache by collecting often (policy.c)? Written by worker 0 in pauses. */
struct varve_recycling {
  bool on;           /* the cycle that a collection ends was a short one */
  uint32_t good;     /* short cycles that paid, since the last that did not */
  uint32_t wait;     /* cycles to go before the next trial */
  uint32_t penalty;  /* cycles to wait when a trial fails */
  uint64_t cost;     /* nanoseconds of a short cycle's collection, smoothed; 0: not measured */
};

/* Creation: regions populated ahead (placing.c). */
struct varve_populating {
  uint32_t wanted;
  _Atomic bool failed;
};

/* The remembered objects: see core/remember.h. */
struct varve_remembered {
  struct varve_lock lock;               /* the next four, while mutators run */
  struct varve_remembered_list *free;
  struct varve_remembered_list **lists; /* in use, by a mutator or by nobody */
  uint32_t count, capacity;
  _Atomic bool lost;     /* an object found no room: the next collection takes all epochs */
  _Atomic uint32_t next; /* in a pause: claims */
  _Atomic uint64_t lines; /* noted lines that the mark pass looked at */
};

/* Objects with slots that do not keep alive: see core/weak.h. */
#define VARVE__WEAK_CHAINS 16u
enum varve_weak_kind { WEAK_BEFORE, WEAK_AFTER, WEAK_EPHEMERONS, WEAK_KINDS };

struct varve_weak {
  _Atomic bool present;    /* a layout of a weak kind is registered */
  _Atomic uint64_t *heads; /* lists of entries that wait, by their keys' hash; NULL: no layout has ephemerons */
  uint64_t capacity;       /* heads that there are, */
  uint64_t used;           /* and those of this pause; powers of two */
  unsigned shift;          /* of a hash: to an index below `used` */
  uint64_t last_entries;   /* ephemerons that the last pause with any had */
  _Atomic uint32_t next_group; /* in a pass: claims */
  _Atomic uint64_t next_piece;
};

struct varve_heap {
  varve_options options; /* resolved; written by varve_heap_set under `settings` */
  varve_options created; /* as they were at creation: tables are as large as these say */
  uint32_t slot_tags, ref_tags;
  struct varve_topology *topology;
  struct varve_meta *meta;
  struct varve_space space;
  struct varve_layout_table layouts;
  struct varve_roots *roots;
  struct varve_pins pins;
  struct varve_workers *workers;
  struct varve_marker *marker;
  struct varve_plan *plan;
  struct varve_shares shares;
  struct varve_populating populating;
  struct varve_ages ages;
  struct varve_remembered remembered;
  struct varve_hashes *hashes;
  struct varve_weak weak;
  struct varve_final final;
  struct varve_verifier *verifier;
  char *store_log; /* NULL, or a mapping as large as the heap: what was stored through the interface */
  bool store_log_stale; /* not all that has moved is in it */
  struct narrow narrow; /* at creation */

  /* safepoints: core/safepoint.h. One line, which a stop then waits for once */
  _Alignas(64) _Atomic uint32_t stop;
  _Atomic uint32_t arrivals;
  _Atomic uint32_t sleepers, stopper_sleeps; /* how many sleep on `stop`, and on `arrivals` */
  _Atomic uint32_t collector;                /* who collects, and who helps */
  _Atomic uint32_t losers;                   /* how many sleep on `collector` */
  struct varve_lock registry;
  struct varve__mutator *mutators;
  _Atomic uint32_t mutator_count; /* written under the registry lock; read by anybody as a hint */
  uint32_t mutator_serial;
  bool knows_ends;         /* a thread that ends with mutators is told of, by this key of its: core/mutator.c */
  pthread_key_t ends;

  /* collections */
  _Atomic uint64_t collections;
  const char *cause;           /* of the collection in progress */
  uint64_t wanted_blocks;      /* what the requester could not get: the plan must free at least this much */
  bool satisfied;              /* the plan of this pause leaves room for that */
  uint64_t live_bytes;         /* after the last collection */
  size_t root_tasks;           /* of this pause */
  uint64_t hole_words;         /* in a pause: free in pinned blocks that may be allocated into (R8) */
  struct varve_teams teams[2]; /* of full collections, and of others */
  struct varve_need need;
  struct varve_recycling recycling;
  struct varve_yield yield;
  struct varve_sizing sizing;

  struct varve_lock settings;
  _Atomic uint64_t placing_told; /* see core/placing.h */
  _Atomic uint64_t spills_told;
  _Atomic uint64_t placing_seen;
  struct varve_lock stats_lock;
  varve_collection_stats current; /* being filled in a pause */
  varve_collection_stats last;
  varve_heap_stats totals;
  varve_node_stats node_totals[VARVE__NODES_MAX]; /* the figures that are totals; like `totals` */
};

/* An option that varve_heap_set may change meanwhile. */
static inline uint32_t heap_setting(const uint32_t *option) { return __atomic_load_n(option, __ATOMIC_RELAXED); }
static inline uint64_t heap_setting_bytes(const uint64_t *option) { return __atomic_load_n(option, __ATOMIC_RELAXED); }

/* Blocks in use. Relaxed: exact in a pause. */
static inline uint64_t heap_used_blocks(const struct varve_heap *heap) {
  return atomic_load_explicit(&heap->space.used_blocks, memory_order_relaxed);
}

/* Does the word, found in a heap slot or root, refer to an object of this heap? */
static inline bool heap_is_reference(const struct varve_heap *heap, varve_word word, uint32_t tags) {
  return space_contains(&heap->space, word) && (tags >> (word & 7) & 1); /* the range first: it predicts better */
}

/* The same for a narrow word. */
static inline bool heap_is_narrow_reference(const struct varve_heap *heap, varve_narrow word) {
  return narrow_offset(&heap->narrow, word) < heap->space.bytes && narrow_has_tag(&heap->narrow, word);
}

/* Metadata that is of no node in particular, zeroed: on that of the first allowed core. */
static inline unsigned heap_home(const struct varve_heap *heap) { return heap->topology->cpus[0].node; }
static inline void *heap_meta_alloc(struct varve_heap *heap, size_t bytes) {
  return varve__meta_alloc(heap->meta, heap_home(heap), bytes, 64);
}
static inline void heap_meta_free(struct varve_heap *heap, void *p, size_t bytes) {
  if (p) varve__meta_free(heap->meta, heap_home(heap), p, bytes, 64);
}

/* Fill `error` (may be NULL) and return the status. */
varve_status varve__error(varve_error *error, varve_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* One line to the heap's log hook, when the level is asked for. */
void varve__log(const struct varve_heap *heap, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What a collection shall take: what the policy says; everything; the newest epoch, if that is possible; everything,
 * and for the last time. */
enum varve_extent { EXTENT_DUE, EXTENT_ALL, EXTENT_NEWEST, EXTENT_FOREVER };

/* A collection by a running mutator (collect.c). `blocks`: what the next allocation needs. `seen`: see
 * varve__safepoint_stop. @return false: another thread collected for us. */
bool varve__collect(struct varve__mutator *mutator, const char *cause, uint64_t seen, uint32_t blocks,
                    enum varve_extent extent);
/* Stop the world to look at it, and let it run again: roots and settings are locked meanwhile, TLABs retired, stacks
 * searched. Running mutators (collect.c). */
void varve__look_begin(struct varve__mutator *mutator);
void varve__look_end(struct varve__mutator *mutator);

/* Vacated memory is overwritten with this (poison=1); it is no reference under any tag set, for it is outside every
 * heap. Or with zeroes (poison=2). */
#define VARVE__POISON UINT64_C(0xdeadbeefdeadbeef)
static inline bool heap_has_pattern(const struct varve_heap *heap) { return heap->options.poison == 1; }
static inline void heap_poison(const struct varve_heap *heap, uint64_t address, size_t bytes) {
  if (!heap->options.poison) return;
  shade_show(address, bytes);
  uint64_t word = heap_has_pattern(heap) ? VARVE__POISON : 0;
  for (size_t i = 0; i < bytes / 8; ++i) ((uint64_t *)address)[i] = word;
}

#endif
