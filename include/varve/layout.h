/* SPDX-License-Identifier: MIT */
/* layout.h -- how the collector finds the references inside an object.
 *
 * A layout belongs to one heap, is registered once and lives as long as the heap. Offsets are in bytes from the
 * object's start (the header is at 0, the first slot at 8) and multiples of 8, of narrow slots multiples of 4. A slot
 * that holds no reference (null, an immediate, an address outside the heap) is skipped, so it may hold any word. Slots
 * keep what they refer to alive, but for those of the two weak kinds (weak.h).
 */
#ifndef VARVE_LAYOUT_H
#define VARVE_LAYOUT_H

#include "varve/types.h"

VARVE_BEGIN

typedef enum varve_layout_kind {
  VARVE_LAYOUT_DATA = 1,  /* no references */
  VARVE_LAYOUT_OFFSETS,   /* references at fixed offsets */
  VARVE_LAYOUT_REF_ARRAY, /* every word from `first` to the object's end is a slot */
  VARVE_LAYOUT_RECORDS,   /* records of `stride` bytes from `first` to the end; `offsets` are within a record */
  VARVE_LAYOUT_UNION,     /* a discriminant chooses the layout that describes the whole object */
  VARVE_LAYOUT_CLOSURE,   /* captured items, each with its own type tag */
  VARVE_LAYOUT_TRACE,     /* a host function visits the slots */
  VARVE_LAYOUT_WEAK,      /* every word from `first` to the end is a weak slot; see weak.h */
  VARVE_LAYOUT_EPHEMERONS /* entries of key, value and a word of the library's from `first` to the end; see weak.h */
} varve_layout_kind;

/** When a weak slot is cleared whose target is dead but for finalizers. */
typedef enum varve_weak_when {
  VARVE_WEAK_BEFORE, /* before the finalizers are queued: a target that only they reach is cleared */
  VARVE_WEAK_AFTER   /* after: a target that a queued finalizer reaches stays */
} varve_weak_when;

/** Visits each reference slot of `object` exactly once through varve_visit / varve_visit_range.
 *  Runs on library threads, several at once, while other objects are half moved: it may read its own object and
 *  memory outside the heap, nothing else. No following of references, no allocation, no poll, no thread-local
 *  state of the host, no lock that a mutator may hold. It is called more than once per collection. */
typedef void varve_trace_fn(void *context, varve_object *object, size_t bytes, varve_visitor *visitor);

/** Told that an object is now at its place, having been at `old`, an address that may hold something else by now; the
 *  same when it has not moved. Runs in a pause, on library threads, several at once, after all objects have moved and
 *  all slots have been rewritten; once for an object and collection. May read its own object and write those of its
 *  words that are no slots, and read and write memory outside the heap, under the rules of a trace function; nothing
 *  else. */
typedef void varve_moved_fn(void *context, varve_object *object, const void *old, size_t bytes);

/** One case of a discriminated union. */
typedef struct varve_union_case {
  uint64_t value;
  varve_layout layout; /* registered earlier, of any kind but the weak ones; described over the whole object */
} varve_union_case;

typedef struct varve_layout_desc {
  const char *name; /* for diagnostics; copied; NULL: "layout N" */
  varve_layout_kind kind;
  bool immutable; /* all slots are stored with varve_init before the next safepoint, and never again */

  size_t bytes; /* least object size, header included; 0: the least that the fields below need */

  const uint32_t *offsets; /* OFFSETS, RECORDS: byte offsets of the slots; WEAK, EPHEMERONS: of strong slots, from 16 to
                              below `first`; copied */
  size_t offset_count;
  const uint32_t *narrow_offsets; /* OFFSETS, RECORDS: of narrow slots (narrow.h), multiples of 4; copied */
  size_t narrow_count;

  bool narrow;     /* REF_ARRAY: its slots are narrow: every 4 bytes from `first` to the object's end, which is rounded
                      up to the granule */
  uint32_t first;  /* REF_ARRAY, RECORDS: offset of the first slot or record; 0: 8; a multiple of 8, with `narrow` of 4
                      WEAK, EPHEMERONS: of the first weak slot or entry, at least 16; 0: 16 */
  uint32_t stride; /* RECORDS: bytes per record, a multiple of 8 */

  struct {
    uint32_t offset; /* of the discriminant */
    uint32_t width;  /* its bytes: 1, 2, 4 or 8 */
    const varve_union_case *cases;
    size_t case_count;
    varve_layout otherwise; /* for values without a case; 0: they hold no references */
  } choice;                 /* UNION */

  struct {
    uint32_t count_offset; /* of a 32-bit item count; 0: items reach to the object's end */
    uint32_t tag_offset;   /* of the first item's tag byte */
    uint32_t tag_stride;   /* bytes from one tag byte to the next, at least 1 */
    uint32_t value_offset; /* of the first item's value word */
    uint32_t value_stride; /* bytes from one value to the next, a multiple of 8, at least 8 */
    uint64_t ref_tags[4];  /* bit t set: an item whose tag byte is t holds a reference */
  } closure;               /* CLOSURE */

  varve_trace_fn *trace; /* TRACE */
  void *context;         /* handed to trace and moved */

  varve_moved_fn *moved; /* called for objects allocated with this layout that have moved; NULL: nobody is told.
                            Costs another look at the header of everything that moves, whatever its layout */
  bool moved_survivors;  /* also for those that have survived where they were: a look at every survivor */

  struct {
    varve_weak_when when; /* WEAK */
    varve_word cleared;   /* what a cleared slot gets; no reference */
  } weak;                 /* WEAK, EPHEMERONS */
} varve_layout_desc;

/** Register a layout.
 * @param out the new id; written only on success. Ids count registrations that succeeded: the first is 1, the next 2,
 *            so that a host that registers its layouts in the same order in every heap may take them for constants.
 * @return VARVE_OK; VARVE_LAYOUT when the description contradicts itself (the detail says where), it has narrow slots
 *         and the heap was created without narrow=1, or 65535 layouts exist; VARVE_METADATA when no memory was left.
 * @threads any; may block while a collection runs; moves nothing. */
VARVE_API VARVE_MUST_USE varve_status varve_layout_register(varve_heap *heap, const varve_layout_desc *desc,
                                                            varve_layout *out, varve_error *error);

/** The name of a layout; "?" when the heap does not know it. Any thread. */
VARVE_API const char *varve_layout_name(const varve_heap *heap, varve_layout layout);

/** Give one slot, or `count` slots in a row, to the visitor. Only from trace functions and root callbacks. */
VARVE_API void varve_visit(varve_visitor *visitor, varve_word *slot);
VARVE_API void varve_visit_range(varve_visitor *visitor, varve_word *slots, size_t count);
/** The same for narrow slots in a row, or narrow Ref words; the heap was created with narrow=1. */
VARVE_API void varve_visit_narrow(varve_visitor *visitor, varve_narrow *slots, size_t count);
/** The same for a Ref word: the heap's ref-tags decide, and the word is rewritten atomically. */
VARVE_API void varve_visit_ref(varve_visitor *visitor, varve_word *slot);

VARVE_END
#endif
