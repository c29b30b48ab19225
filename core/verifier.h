/* SPDX-License-Identifier: MIT */
/* verifier.h -- the verifier from the inside, shared by verify.c, which is what others ask for, and the files that look
 * at one thing each.
 */
#ifndef VARVE_CORE_VERIFIER_H
#define VARVE_CORE_VERIFIER_H

#include "core/base/bits.h"
#include "core/heap.h"
#include "core/root.h"
#include "core/verify.h"
#include "varve/alloc.h"

#define MAP_WORDS (VARVE__REGION_WORDS / 64)           /* of one map of one region: 32 KiB */
#define MEDIUM_WORDS (VARVE_MEDIUM_MAX / 8)

/* STRONG, KEPT: what a collection that begins shall mark before, and with, what dead finalizers reach. */
enum map { STARTS, VISITED, STRONG, KEPT, MAPS };

/* What a trace is for: see verify_weak.c. */
enum trace_mode { TRACE_HEAP, TRACE_FORETELL, TRACE_BEFORE, TRACE_AFTER };

struct varve_verifier {
  varve_heap *heap;
  uint64_t *maps;     /* a region: MAP_WORDS for each map */
  uint8_t *committed; /* a region: there is memory behind its maps */
  uint8_t *present;   /* a region: it holds objects, and its maps are of this run */
  uint64_t *claimed;  /* a region, a bit a block: scratch of the checks of plan and large runs */
  uint64_t *stack;    /* addresses of visited objects whose slots have not been visited */
  size_t depth, room;
  varve_object **holders; /* visited objects of weak kinds, in the order of visiting */
  size_t holder_count, holder_room;
  /* this run */
  enum trace_mode mode;
  bool weak;            /* the heap has weak layouts or finalizers */
  bool queue;           /* while object is NULL: the slot is a finalizer's */
  varve_error *error;
  bool failed;          /* damage was found, */
  bool starved;         /* or there was no memory to look for it */
  struct varve_snapshot now;
  size_t task;          /* while object is NULL: the root task */
  varve_object *object; /* whose slots are being visited */
  uint64_t words;       /* its size */
  bool hooked;          /* its layout has a hook */
  bool lost;            /* not all is remembered, and the heap knows it */
  bool exact;           /* of the range nothing is marked but what was traced */
  uint64_t flagged;     /* older objects that say they are listed */
  uint64_t content;     /* its hash, without what its references contribute */
  struct varve_visitor visitor;
  uint64_t expected[MAP_WORDS];
};

static inline const struct varve_space *space_of(const struct varve_verifier *v) { return &v->heap->space; }

struct place {
  char text[128];
};

static inline unsigned long long ull(uint64_t value) { return value; }

static inline uint64_t *map_of(const struct varve_verifier *v, enum map map, uint32_t region) {
  return v->maps + ((size_t)region * MAPS + map) * MAP_WORDS;
}

static inline bool map_test(const struct varve_verifier *v, enum map map, uint64_t address) {
  uint32_t region = space_region(space_of(v), address);
  size_t word = space_word(space_of(v), address) % VARVE__REGION_WORDS;
  return v->present[region] && (map_of(v, map, region)[word / 64] >> word % 64 & 1);
}

static inline void map_set(const struct varve_verifier *v, enum map map, uint64_t address) {
  size_t word = space_word(space_of(v), address) % VARVE__REGION_WORDS;
  map_of(v, map, space_region(space_of(v), address))[word / 64] |= (uint64_t)1 << word % 64;
}

/* The first set bit in [from, to); `to`: none. */
static inline size_t next_bit(const uint64_t *bits, size_t from, size_t to) {
  while (from < to) {
    uint64_t word = bits[from / 64] >> from % 64;
    if (word) return from + bits_lowest(word) < to ? from + bits_lowest(word) : to;
    from = (from / 64 + 1) * 64;
  }
  return to;
}

static inline uint8_t kind_of(const struct varve_verifier *v, uint32_t region) {
  return space_kind(space_of(v), region);
}

static inline varve_status result(const struct varve_verifier *v) {
  if (!v->failed) return VARVE_OK;
  return v->starved ? VARVE_METADATA : VARVE_CORRUPT;
}

typedef void object_fn(struct varve_verifier *v, varve_object *object, uint64_t words);

/* Note the first damage of a run; later ones are mostly its consequences. */
void varve__verify_damage(struct varve_verifier *v, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));
/* The same, but nothing is known to be wrong: the verifier has no memory to go on. */
void varve__verify_starve(struct varve_verifier *v, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));
/* How messages call an object. */
struct place varve__verify_place(const struct varve_verifier *v, const varve_object *object);
/* Begin a run that reports to `error`. */
void varve__verify_begin(struct varve_verifier *v, varve_error *error);
/* Where the visited slot is: in an object, at an offset; or in a root table. */
struct place varve__verify_slot_place(const struct varve_verifier *v, const void *slot);

/* ---- verify_parse.c ---- */

/* Give every region its maps, and fill STARTS. */
void varve__verify_parse(struct varve_verifier *v);
/* Every object of a map, in address order, until damage is found; those within words [from, to) of a region. */
void varve__verify_each(struct varve_verifier *v, enum map map, object_fn *visit);
void varve__verify_each_in(struct varve_verifier *v, enum map map, uint32_t region, size_t from, size_t to,
                           object_fn *visit);

/* ---- verify_trace.c ---- */

/* Is the word, in the slot, sound? If its target has not been visited, visit it; its slots are for
 * varve__verify_drain. The slot is the v->object's, or a finalizer's. */
void varve__verify_reach(struct varve_verifier *v, const varve_word *slot, varve_word word);
/* Is it sound, without visiting anything? */
bool varve__verify_sound(struct varve_verifier *v, const void *slot, uint64_t word, uint64_t address);
/* Visit all slots of what has been reached. */
void varve__verify_drain(struct varve_verifier *v);
/* Everything that root tasks reach; and what listed objects do. */
void varve__verify_roots(struct varve_verifier *v);
void varve__verify_listed(struct varve_verifier *v);
/* Into the digest: a word that is no reference; one that is. */
void varve__verify_mix_word(struct varve_verifier *v, varve_word word);
void varve__verify_mix_edge(struct varve_verifier *v, varve_word word);
/* What roots and trace functions give, slot by slot. */
typedef void slot_fn(struct varve_verifier *v, varve_word *slot, uint32_t tags);
typedef void narrow_fn(struct varve_verifier *v, varve_narrow *slot);
void varve__verify_each_slot(struct varve_verifier *v, varve_word *base, size_t stride, size_t count,
                             const uint64_t *bitmap, bool ref, slot_fn *visit);
void varve__verify_each_narrow(struct varve_verifier *v, varve_narrow *base, size_t stride, size_t count,
                               const uint64_t *bitmap, narrow_fn *visit);
/* The verifier's visitor for both: slots are visited as those of the object, or root task, that is at hand. */
struct varve_visitor varve__verify_visitor(struct varve_verifier *v);

/* ---- verify_tables.c ---- */

/* Remembered objects say that they are listed, and are. */
void varve__verify_lists(struct varve_verifier *v);
/* Bits are set for exactly (v->exact), or at least, the words of what has been visited; adds up v->now. */
void varve__verify_all_marks(struct varve_verifier *v);
/* Descriptors and counters say what is there. */
void varve__verify_tables(struct varve_verifier *v);

/* ---- verify_weak.c ---- */

/* Before a collection: find out what it shall mark. Fills STRONG and KEPT. @return how many objects. */
uint64_t varve__verify_foretell(struct varve_verifier *v);
/* A trace has gone through all root tasks: go on with finalizers, ephemerons and weak slots. */
void varve__verify_weak(struct varve_verifier *v);
void varve__verify_copy(struct varve_verifier *v, enum map from, enum map to);

/* ---- verify_hash.c ---- */

/* Identity hashes against the map of starts. */
void varve__verify_hashes(struct varve_verifier *v);

/* ---- verify_pin.c ---- */

/* After the trace: what stacks hold has been reached. After the plan: pinned blocks stay. After the slide: derived
 * pointers are where they belong. */
void varve__verify_stacks(struct varve_verifier *v);
void varve__verify_pins(struct varve_verifier *v);
void varve__verify_derived(struct varve_verifier *v);

#endif
