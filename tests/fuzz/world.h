/* SPDX-License-Identifier: MIT */
/* world.h -- what a random program works on: a run is a heap and its threads, a world is a graph of objects with all
 * that refers to it, and the shadow that knows what must be in it.
 *
 * A thread works on one world at a time, and only it touches the shadow of that world; when all threads meet they
 * change worlds. So what an operation means does not depend on how threads are scheduled, but for one thing: when
 * collections come. Each is noted (run.full), and before a thread looks at anything behind a safepoint it applies to
 * its shadow what the collections since have done (settle): its world was the same for all of them.
 *
 * A full collection is foretold exactly, unless stacks are searched. Others may leave what is dead; so what they may
 * have cleared is noted in the edge (`maybe`) and what they may have queued in the record (MAYBE_QUEUED), and both
 * are found out when they are looked at next.
 *
 * Files: kinds.c layouts and their edges, shadow.c what collections do, places.c roots, compare.c heap and shadow,
 * apply_X.c operations, run.c threads.
 */
#ifndef VARVE_FUZZ_WORLD_H
#define VARVE_FUZZ_WORLD_H

#include <varve/varve.h>

#include "../support/random.h"
#include "../support/shadow.h"
#include "program.h"

#define CLEARED ((varve_word)7) /* no reference, in any row of options */
#define LOG_SIZE 65536u

enum kind { /* those of support/shadow.h come first */
            KIND_BEFORE = SHAPE_COUNT,
            KIND_AFTER,
            KIND_WEAK_HOOKED, /* AFTER, and told of moves */
            KIND_TABLE,
            KIND_TABLE_HOOKED,
            KIND_HOOKED,   /* told of moves */
            KIND_SURVIVOR, /* told of survival */
            KIND_NARROW,
            KIND_NARROW_ARRAY,
            KIND_NARROW_RECORDS,
            KIND_COUNT
};

enum edge_kind { EDGE_WIDE, EDGE_NARROW, EDGE_WEAK, EDGE_KEY, EDGE_VALUE /* follows its key */ };

struct edge {
  struct node *to; /* NULL: the slot holds `word` */
  varve_word word; /* with `to` the tag */
  uint32_t offset;
  uint8_t kind;
  bool maybe; /* a collection may have cleared it */
};

enum mark {
  MARK_SURE = 1,     /* alive, in step 1 of weak.h */
  MARK_POSSIBLE = 2, /* the same, or perhaps so */
  MARK_KEPT = 4,     /* alive after step 3 */
  MARK_MAY_KEEP = 8, /* the same, or perhaps so */
  MARK_LOOSE = 16,   /* an operation may come to it */
  MARK_SEEN = 32,    /* by the comparison, or a walk */
  MARK_TRACED = 64   /* reached from roots only: what walks meet */
};

struct node {
  struct node *next;
  struct edge *edges;
  unsigned char *image; /* what is no slot; from the object's start */
  uint64_t id, hash;    /* hash 0: never asked */
  uintptr_t address;    /* as the last comparison found it */
  size_t bytes;
  uint32_t edge_count;
  uint32_t told_least, told_most; /* of survivors: how often the hook was called */
  uint8_t kind, host_byte, marks;
  bool immortal;
};

enum place_kind {
  PLACE_FRAME,
  PLACE_INNER,
  PLACE_PINNED,
  PLACE_GLOBAL,
  PLACE_HANDLE,
  PLACE_ARRAY,
  PLACE_SLAB,
  PLACE_UNTRACKED,
  PLACE_CALLBACK,
  PLACE_NARROW
};

#define FRAME_SLOTS 10u
#define INNER_FRAMES 4u
#define INNER_SLOTS 3u
#define PINNED_FRAMES 3u
#define GLOBALS 5u
#define HANDLES 5u
#define ARRAY_WORDS 6u
#define ARRAY_ROOM 200u
#define SLAB_WORDS 5u
#define UNTRACKED 3u
#define CALLBACKS 3u
#define NARROWS 5u
#define THREAD_SLOTS (FRAME_SLOTS + INNER_FRAMES * INNER_SLOTS + PINNED_FRAMES) /* of places in frames */
#define PLACES (THREAD_SLOTS + GLOBALS + HANDLES + ARRAY_WORDS + SLAB_WORDS + UNTRACKED + CALLBACKS + NARROWS)
#define DERIVED 4u
#define PINS 6u
#define KEPT 4u

struct place {
  struct node *node;
  varve_word word; /* with a node the tag */
};

enum record_state { ATTACHED, MAYBE_QUEUED, QUEUED };

/** A finalizer or a cleaner. */
struct record {
  struct record *next;
  struct world *world;
  struct node *node; /* NULL: a cleaner whose object is gone */
  varve_finalizer finalizer;
  uint64_t serial, from, by; /* number of the collection that queued it: at least, and at most (0: not known) */
  int32_t order;
  enum record_state state;
  bool cleaner;
};

struct frame {
  varve_frame frame;
  varve_word slot[FRAME_SLOTS];
};
struct inner_frame {
  varve_frame frame;
  varve_word slot[INNER_SLOTS];
};
struct pinned_frame {
  varve_frame frame;
  varve_word slot[1];
};

struct pin {
  struct node *node;
  uintptr_t address;
  unsigned count;
};

/** An address that stands on the thread's stack only. */
struct kept {
  struct node *node;
  uintptr_t within;
};

/** What the runs have come to. */
struct counts {
#define FUZZ_COUNT(name) uint64_t name;
#include "counts.def"
#undef FUZZ_COUNT
};

struct world {
  struct run *run;
  struct player *player; /* whose world it is now */
  unsigned index;
  struct random random;
  struct node *nodes;
  uint64_t node_count, bytes, next_id, serial;
  uint64_t seen; /* collections applied to the shadow */
  bool has_immortals;
  unsigned refused; /* allocations since all threads met */

  struct place place[PLACES];
  bool parked; /* places of frames are in `bridge` */
  varve_word bridge[THREAD_SLOTS];
  struct frame frame;
  struct inner_frame inner[INNER_FRAMES];
  struct pinned_frame pinned[PINNED_FRAMES];
  uintptr_t held[PINNED_FRAMES]; /* the addresses that must stay */
  unsigned inner_depth, pinned_depth;
  varve_word globals[GLOBALS];
  varve_handle *handle[HANDLES];
  varve_refs *array, *narrow_array;
  varve_word *array_words; /* ARRAY_ROOM of them */
  size_t array_count;
  varve_word *slab_word[SLAB_WORDS];
  varve_refs *untracked_array;
  varve_word untracked[UNTRACKED];
  varve_word callbacks[CALLBACKS];
  varve_narrow narrows[NARROWS];
  varve_derived pair[DERIVED];
  uintptr_t derived[DERIVED], distance[DERIVED];
  struct pin pin[PINS];
  struct kept kept[KEPT];
  struct record *records;

  struct node *extra; /* another root of comparisons, at `extra_at` */
  uintptr_t extra_at;
  struct node **stack; /* of marking */
  size_t stack_room, stack_depth;
  struct counts counts;
};

struct player {
  struct run *run;
  struct world *world;
  varve_mutator *mutator;
  unsigned index;
  bool searched;            /* its stack is */
  volatile uintptr_t *kept; /* KEPT words of its stack */
  varve_slab_cursor cursor;
  size_t op; /* the operation that it carries out */
};

struct run {
  const struct program *program;
  const char *more_options; /* after the program's */
  uint64_t seed;            /* for reports */
  unsigned threads;
  bool searches;             /* stacks may be searched: nothing is exact */
  bool narrow, small, often; /* small: the heap may be full; often: collections come so often that less is allocated */
  bool ages, all_searched;   /* options, which are not read while a thread may be changing others */
  uint64_t heap_max;
  unsigned slot_tags, ref_tags;
  uint32_t narrow_tags, narrow_tag_count;
  varve_narrow_coding coding;
  varve_heap *heap;
  varve_refs *slab;
  struct shadow_shapes shapes;
  varve_layout layout[KIND_COUNT];
  struct player player[FUZZ_THREADS_MAX];
  struct world world[FUZZ_THREADS_MAX];
  _Atomic uint64_t collections;
  bool full[LOG_SIZE];     /* whether they were, by number modulo */
  uint64_t live[LOG_SIZE]; /* bytes that they left */
  _Atomic uint64_t wrong;  /* what hooks found */
  struct counts counts;    /* of collections */
  struct gate *gate;
  unsigned ran;        /* finalizers, by the call that is under way */
  struct print *print; /* NULL: it is not written down; see print.h */
};

/* ---- kinds.c ---- */

void kinds_register(struct run *run);
bool kind_is_immutable(enum kind kind);
bool kind_is_weak(enum kind kind);
bool kind_is_hooked(enum kind kind);
/** Data of a node from PATTERN_FROM on, four bytes at a time, but for what says where slots are. */
#define PATTERN_FROM 32u
uint32_t node_pattern(const struct node *node, size_t offset);
/** A node with all edges null; `units` says how large it shall be, in words. */
struct node *node_new(struct world *world, enum kind kind, size_t units);
void node_free(struct node *node);
/** The offset of the id. */
size_t id_offset(enum kind kind);
/** The offset of the pointer to itself that hooks keep right; the count of survivals is behind it. 0: none. */
size_t self_offset(enum kind kind);

/* ---- shadow.c ---- */

/** Find out what is alive. `exact`: nothing that is dead seems alive. */
void shadow_mark(struct world *world, bool exact);
/** Mark what walks meet: all but what only immortal objects refer to. `except`: a place that does not count. */
void shadow_trace(struct world *world, const struct place *except);
/** Before collections are applied. @return true: none of them is exact. */
bool shadow_is_mortal_again(struct world *world);
/** Apply to the shadow what the collection with that number has done. */
void shadow_collected(struct world *world, uint64_t number, bool exact);
/** After the last of them: how many are queued tells which are. */
void shadow_resolve(struct world *world, uint64_t number);
/** Forget nodes that no operation can come to. */
void shadow_sweep(struct world *world);
void forget_record(struct world *world, struct record *record);

/* ---- places.c ---- */

bool place_is_there(const struct world *world, unsigned place);
enum place_kind place_kind(unsigned place, unsigned *index);
/** What it holds. */
varve_word place_load(const struct world *world, unsigned place);
/** Make it refer to an object. `choice` chooses the tag. */
void place_set(struct world *world, unsigned place, struct node *node, uintptr_t address, unsigned choice);
/** Make it hold no reference. */
void place_clear(struct world *world, unsigned place, unsigned choice);
/** The slot, for a place of wide slots that never move; NULL: a handle, or a narrow one. */
varve_word *place_slot(struct world *world, unsigned place);
/** The tag of the references that the place holds, from those that are allowed. */
unsigned tag_chosen(uint32_t tags, unsigned count, unsigned choice);
/** A word that is no reference where `tags` says which patterns are. */
varve_word plain_word(uint32_t tags, unsigned choice);

void places_open(struct world *world, varve_mutator *mutator);
void places_close(struct world *world, varve_mutator *mutator);
/** Put what is in the thread's frames elsewhere, and bring it back, on another thread perhaps. No safepoints. */
void places_park(struct world *world);
void places_unpark(struct world *world);

/* ---- compare.c ---- */

/** Apply the collections since to the shadow; if there were any, compare all. After each safepoint. */
void settle(struct world *world);
void compare(struct world *world);
/** Compare one object's words with its node, but for what it refers to. */
void compare_node(struct world *world, struct node *node, uintptr_t address);
__attribute__((format(printf, 2, 3), noreturn)) void fail(const struct world *world, const char *format, ...);

/* ---- apply_X.c: operations ---- */

/** The object that operands lead to: from a place along some edges. NULL: none. */
struct node *find(struct world *world, unsigned place, unsigned way, uintptr_t *address);
varve_mutator *mutator_of(const struct world *world);
void slot_store(struct world *world, struct node *node, uintptr_t address, struct edge *edge, struct node *to,
                uintptr_t target, unsigned choice, bool first);
/** Take the first of the queue. `kept_at`: the place that gets the object; PLACES: none. @return false: it is empty. */
bool take_one(struct world *world, unsigned kept_at);
/** Take all, for all worlds; in a run of several threads all stand. */
void take_all(struct run *run, struct world *world);
/** Unpin everything, and let go what is on the stack. */
void let_all_go(struct world *world);

typedef void apply_fn(struct world *world, const struct op *op);
#define FUZZ_OP(code, name, weight) apply_fn apply_##name;
#include "ops.def"
#undef FUZZ_OP

/* ---- run.c ---- */

/** Carry out a program; ends the process when something is wrong. `print`: the name of the files that it is written
 *  to, see print.h; NULL: it is not. */
void run_program(const struct program *program, const char *more_options, uint64_t seed, const char *print,
                 struct counts *counts);

#endif
