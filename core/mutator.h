/* SPDX-License-Identifier: MIT */
/* mutator.h -- one attached thread: its public head, its TLAB, its place in the safepoint protocol.
 *
 * Fields are written by the owning thread only, except: `limit` of the head (the poke, see safepoint.h), `state`
 * (owner; read by the stopper), and everything TLAB while the owner is stopped (the collector retires TLABs).
 *
 *   TLAB  one 32 KiB block: [start, head.cursor) holds objects, [cursor, tlab_end) is free. head.limit is tlab_end,
 *         or 0 when poked. No TLAB: cursor = tlab_end = limit = VARVE__EMPTY_LIMIT (nothing fits, and it is not 0).
 *   own_region / own_free  blocks of the mutator's open region that only it takes from
 *   spill the overflow block: small objects that do not fit the rest of the TLAB
 */
#ifndef VARVE_CORE_MUTATOR_H
#define VARVE_CORE_MUTATOR_H

#include <pthread.h>
#include <stdatomic.h>

#include "regions/space.h"
#include "varve/mutator.h"

#define VARVE__EMPTY_LIMIT ((uintptr_t)8)

enum varve_mutator_state { MUTATOR_RUNNING, MUTATOR_NATIVE, MUTATOR_PARKED };

/* The stack that is searched for references (conservative.h). `high` 0: it is not. */
#define VARVE__STACK_COPY 128u
struct varve_stack {
  uintptr_t low, high;       /* as given: nothing outside is ever read */
  uintptr_t at;              /* its innermost word when the mutator stopped; 0: it has never stopped */
  uint64_t copy[VARVE__STACK_COPY]; /* the words from `at` on, as they were then */
  varve_word *found;         /* in a pause: candidates, then objects, as words that are references */
  size_t found_count, capacity;
};

struct varve__mutator {
  struct varve_mutator head;
  uintptr_t tlab_end;
  uint32_t tlab_block, spill_block; /* VARVE__NO_BLOCK: none */
  uintptr_t spill_cursor, spill_end;
  uint32_t hole_block;              /* R8: the old block whose holes it fills; VARVE__NO_BLOCK: none */
  uint32_t hole_from, hole_next;    /* the first word of the hole that is the TLAB; the word behind it */
  bool in_hole;                     /* the TLAB is a hole; tlab_block is none then */
  uint32_t own_region;              /* VARVE__NO_REGION: none */
  uint64_t own_free;                /* bit b: block b of own_region is ours and unused */
  unsigned node;                    /* where it was when it last took a block: what it takes is of that node */
  unsigned home;                    /* where this struct is */
  bool wanders;                     /* it has changed nodes since the last collection */
  struct varve_remembered_list *remembered; /* where it lists objects; NULL: none yet */
  uint64_t barriers;                /* stores since the last collection that took the barrier's slow half */
  uint32_t slow_allocations;        /* for the stress period */
  uint32_t serial;                  /* its number, from 1 */
  uint64_t hashes_given;            /* identity hashes that came from it */
  varve_status status;              /* why the last allocation failed */
  bool satisfied;                   /* its last own collection left room for what it wanted */
  bool took_all;                    /* and took all epochs */
  struct varve__mutator *sibling;   /* the next one of this heap that its thread has */
  unsigned farewells;               /* how often its thread has been at its end */
  pthread_t thread;
  int os_thread;                    /* the system's number of it */
  bool tells;                       /* it is in the callback after a collection (hooks.h) */
  struct varve_stack stack;
  struct varve__mutator *next;      /* in heap->mutators, under the registry lock */
  char name[32];
  _Alignas(64) _Atomic uint32_t state; /* enum varve_mutator_state; a line of its own: the stopper polls it */
};

static inline struct varve__mutator *mutator_of(varve_mutator *head) { return (struct varve__mutator *)head; }

/* The mutator goes on elsewhere: words below the cursor are what the block holds. */
static inline void mutator_close_block(struct varve_space *space, uint32_t block, uintptr_t cursor) {
  if (block != VARVE__NO_BLOCK)
    space->blocks[block].top = (uint16_t)((cursor - space_block_address(space, block)) >> 3);
}

/* hole.c. If the TLAB is a hole: mark what lies there, and have no TLAB. */
void varve__hole_close(struct varve__mutator *mutator);
/* Owner, running: a hole with room for `size` bytes as TLAB. False: none is offered; a
 * TLAB that is a hole is closed then. */
bool varve__hole_open(struct varve__mutator *mutator, size_t size);
/* Give back the mutator's blocks: note the tops, return unused blocks. Owner in detach, or collector in a pause. */
void varve__mutator_retire(struct varve__mutator *mutator);
/* Let others have the unused blocks of its open region. Owner, running or in detach. */
void varve__mutator_leave_region(struct varve__mutator *mutator);
/* In the child of a fork, world stopped: the others' threads are gone, and our own has another number. */
void varve__mutators_forget_others(struct varve__mutator *self);
/* At creation, and at the end: see at_thread_end. */
void varve__mutators_open(struct varve_heap *heap);
void varve__mutators_close(struct varve_heap *heap);
/* Has its thread ended? False also when another has its number by now. */
bool varve__mutator_is_gone(const struct varve__mutator *mutator);
/* Under the registry lock: detach one whose thread has ended. Its frames were on a stack that is no more. */
void varve__mutator_bury(struct varve__mutator *mutator);
/* Is the calling thread the attached one? */
bool varve__mutator_is_here(const struct varve__mutator *mutator);

#endif
