/* SPDX-License-Identifier: MIT */
/* root.h -- where references come from outside the heap. Everything here gives the collector slots, never values:
 * each slot is read while marking and rewritten in place when its object moved. A slot belongs to one table only.
 *
 *   frame       named locals on the C stack of one mutator
 *   handle      one slot that lives until it is freed
 *   slots       global variables and arrays of the host
 *   Ref slab    atomic words that the library hands out, with an occupancy bitmap
 *   Ref array   atomic words inside the host's own structs: base, stride, count, optional bitmap
 *   callback    a host function that visits slots, in parts, from several threads at once
 *   derived     an address that is kept at its distance from what a slot refers to
 */
#ifndef VARVE_ROOT_H
#define VARVE_ROOT_H

#include "varve/abi.h"
#include "varve/types.h"

VARVE_BEGIN

/* ---- frames ------------------------------------------------------------------------------------------------ */

static inline void varve_frame_push(varve_mutator *mutator, varve_frame *frame, size_t count) {
  frame->previous = mutator->frames;
  frame->count = count;
  mutator->frames = frame;
}

/** Unlinks the frame; frames are left in the reverse order of entering, as scopes do by themselves. */
static inline void varve_frame_pop(varve_mutator *mutator, varve_frame *frame) { mutator->frames = frame->previous; }

struct varve_frame_scope {
  varve_mutator *mutator;
  varve_frame *frame;
};
static inline void varve_frame_scope_end(struct varve_frame_scope *scope) {
  varve_frame_pop(scope->mutator, scope->frame);
}

/* Rules for C code that holds references:
 *
 *   Whatever may allocate or poll is a safepoint, and so is every function that calls such a thing. After it every
 *   address and every word in a plain variable is void; what is in a frame is up to date.
 *   A function that reaches a safepoint keeps what it needs afterwards in a frame of its own, its parameters included:
 *   they are copied in first. So nobody has to root anything for those whom he calls.
 *   f(cons(...), cons(...)) is wrong: the first result waits in a register while the second is made.
 *   Derive addresses (varve_untag) anew after each safepoint, or see VARVE_DERIVED. */

/** Named local slots, null at first, unlinked when the enclosing scope is left by any way but longjmp:
 *
 *      VARVE_FRAME(f, mutator, list, cell);
 *      f.list = varve_tag(varve_alloc(mutator, CONS, sizeof(struct cons)), 0);
 *      f.cell = ...;                   // an allocation: f.list is up to date afterwards
 */
#define VARVE_FRAME(name, mutator, ...)                                                                               \
  struct {                                                                                                            \
    varve_frame varve_head_;                                                                                          \
    varve_word __VA_ARGS__;                                                                                           \
  } name;                                                                                                             \
  VARVE_FRAME_LINK_(name, mutator)

/** The same with an array of `count` (a constant) slots: name.slot[i]. */
#define VARVE_FRAME_ARRAY(name, mutator, count)                                                                       \
  struct {                                                                                                            \
    varve_frame varve_head_;                                                                                          \
    varve_word slot[count];                                                                                           \
  } name;                                                                                                             \
  VARVE_FRAME_LINK_(name, mutator)

#define VARVE_FRAME_LINK_(name, mutator_)                                                                             \
  for (size_t name##_i = 0; name##_i < (sizeof(name) - sizeof(varve_frame)) / sizeof(varve_word); ++name##_i)         \
    ((varve_word *)(&name.varve_head_ + 1))[name##_i] = 0;                                                            \
  varve_frame_push((mutator_), &name.varve_head_, (sizeof(name) - sizeof(varve_frame)) / sizeof(varve_word));         \
  __attribute__((cleanup(varve_frame_scope_end), unused)) struct varve_frame_scope name##_scope = {(mutator_),        \
                                                                                                   &name.varve_head_}

/* ---- derived pointers -------------------------------------------------------------------------------------- */

/** A pair: `base`, a slot of any root table, and `derived`, an address that follows it: into the object, to its end,
 *  or at any distance from it. */
typedef struct varve_derived {
  struct varve_derived *previous;
  const varve_word *base;
  void *derived;     /* of the address: a pointer, or an integer of its size */
  uint64_t distance; /* the library's, in a pause */
} varve_derived;

static inline void varve_derived_push(varve_mutator *mutator, varve_derived *pair) {
  pair->previous = mutator->derived;
  mutator->derived = pair;
}

/** Unlinks the pair; pairs are left in the reverse order of entering, as scopes do by themselves. */
static inline void varve_derived_pop(varve_mutator *mutator, varve_derived *pair) { mutator->derived = pair->previous; }

struct varve_derived_scope {
  varve_mutator *mutator;
  varve_derived *pair;
};
static inline void varve_derived_scope_end(struct varve_derived_scope *scope) {
  varve_derived_pop(scope->mutator, scope->pair);
}

/** From here to the end of the scope, when the object that the slot `*base` refers to moves, the address in `*derived`
 *  moves as far. All distances are taken before any slot changes, so pairs may share bases. The base may have tag
 *  bits, and may be stored to together with the address between safepoints; while it holds no reference the address is
 *  left as it is. `base` points to a slot in a frame or another root table, which keeps the object alive; it is not
 *  itself a derived address. `*derived` is in no root table.
 *
 *      VARVE_FRAME(f, mutator, text);
 *      char *at = (char *)varve_untag(f.text) + 8;
 *      VARVE_DERIVED(d, mutator, &f.text, &at);
 *
 *  @threads the mutator's own, running. */
#define VARVE_DERIVED(name, mutator_, base_, derived_)                                                                \
  varve_derived name = {NULL, (base_), (derived_), 0};                                                                \
  varve_derived_push((mutator_), &name);                                                                              \
  __attribute__((cleanup(varve_derived_scope_end), unused)) struct varve_derived_scope name##_scope = {(mutator_),    \
                                                                                                       &name}

/* ---- handles ----------------------------------------------------------------------------------------------- */

/** A persistent slot holding `word`. NULL when no memory was left. Freed by varve_handle_free or with the heap.
 *  @threads a running mutator; any mutator of the heap may read, set and free it; no system call when warm. */
VARVE_API VARVE_MUST_USE varve_handle *varve_handle_new(varve_mutator *mutator, varve_word word);
VARVE_API varve_word varve_handle_get(const varve_handle *handle);
VARVE_API void varve_handle_set(varve_mutator *mutator, varve_handle *handle, varve_word word);
VARVE_API void varve_handle_free(varve_mutator *mutator, varve_handle *handle);

/* ---- global slots ------------------------------------------------------------------------------------------ */

/** Register `count` consecutive slots in host memory. They must stay readable and writable until removed.
 * @return VARVE_OK; VARVE_ROOT when misaligned or count is 0; VARVE_OVERLAP when a slot is registered already (the
 *         detail names both); VARVE_METADATA.
 * @threads any; waits for a running collection. So do all registrations below. */
VARVE_API VARVE_MUST_USE varve_status varve_root_slots_add(varve_heap *heap, const char *name, varve_word *slots,
                                                           size_t count, varve_error *error);
/** Remove what was added at `slots`. VARVE_ROOT when nothing was. */
VARVE_API varve_status varve_root_slots_remove(varve_heap *heap, varve_word *slots);

/* ---- Ref slabs --------------------------------------------------------------------------------------------- */

/** A slab of atomic words that grows in chunks. @return NULL when no memory was left. Any thread. */
VARVE_API VARVE_MUST_USE varve_refs *varve_slab_create(varve_heap *heap, const char *name);
/** Return the slab's memory. No word of it may be in use by any thread. Not while cursors on it are used. */
VARVE_API void varve_slab_destroy(varve_refs *slab);

/** One worker's place in a slab: it has taken the free words of one bitmap word (at most 64) for itself. */
typedef struct varve_slab_cursor {
  varve_refs *slab;
  varve_word *words; /* the 64 words the mask speaks about */
  uint64_t free;     /* bit i set: words[i] is taken by this cursor and unused */
} varve_slab_cursor;

VARVE_API void varve_slab_cursor_open(varve_slab_cursor *cursor, varve_refs *slab);
/** Give the unused words back. */
VARVE_API void varve_slab_cursor_close(varve_slab_cursor *cursor);

/** Take a word and store `word` in it. Takes no lock; no system call unless the slab grows.
 *  @return NULL when the slab would have to grow and no memory was left. @threads the cursor's own, running. */
VARVE_API VARVE_MUST_USE varve_word *varve_slab_take(varve_slab_cursor *cursor, varve_mutator *mutator,
                                                     varve_word word);
/** Give a word back, from any running mutator. The word must not be read or written afterwards. */
VARVE_API void varve_slab_give(varve_refs *slab, varve_word *slot);
/** Words in use. Any thread; exact only while nobody takes or gives. */
VARVE_API size_t varve_slab_count(const varve_refs *slab);

/* ---- Ref arrays -------------------------------------------------------------------------------------------- */

typedef struct varve_ref_array {
  const char *name;       /* for reports; copied */
  varve_word *base;       /* the first word */
  varve_narrow *narrow;   /* instead of base: the words are narrow ones (narrow.h), whatever slot_tags says; of an array
                             that has no words yet any address but NULL */
  size_t stride;          /* bytes from one word to the next, a multiple of 8, at least 8; of narrow ones of 4, at least
                             4 */
  size_t count;           /* words */
  const uint64_t *bitmap; /* bit i set: word i is in use; NULL: all are; in host memory, read only in pauses */
  bool untracked;         /* true: written past the store interface as well, so always scanned */
  bool slot_tags;         /* true: the words are roots of the host rather than Ref words: slot-tags says what refers */
} varve_ref_array;

/** Register a Ref array. Arrays of different strides or bases may interleave as long as no word is in two tables.
 * @return VARVE_OK; VARVE_ROOT when base, bitmap or stride are misaligned, base and narrow are both given, the words
 *         lie in the heap, or they are narrow and the heap was created without narrow=1; VARVE_OVERLAP;
 *         VARVE_METADATA. */
VARVE_API VARVE_MUST_USE varve_status varve_ref_array_add(varve_heap *heap, const varve_ref_array *array,
                                                          varve_refs **out, varve_error *error);
/** The array moved or grew in host memory: replace base, count and bitmap at once. The words keep their values.
 *  A running mutator may call it, before its next safepoint after the change; it waits for no other mutator. Others
 *  may meanwhile store into the array's old words if it stays where it is. Growing costs time for the words that are
 *  new, now and then for all. */
VARVE_API varve_status varve_ref_array_update(varve_refs *refs, varve_word *base, size_t count,
                                              const uint64_t *bitmap, varve_error *error);
/** The same for an array of narrow words. Either is VARVE_ARGUMENT for an array of the other width. */
VARVE_API varve_status varve_ref_array_update_narrow(varve_refs *refs, varve_narrow *base, size_t count,
                                                     const uint64_t *bitmap, varve_error *error);
VARVE_API void varve_ref_array_remove(varve_refs *refs);

/* ---- callbacks --------------------------------------------------------------------------------------------- */

/** Visit part `part` of the host's roots: each slot once per pass, over all parts. Same rules as a trace function
 *  (layout.h). Called twice or more per collection for every part, and looked at as a whole by each: a young
 *  collection does not know which slots have changed since the last one. What mutators wrote before their safepoints is
 *  seen, in plain memory of the host, too. */
typedef void varve_root_fn(void *context, size_t part, varve_visitor *visitor);

/** @return VARVE_OK; VARVE_ROOT when parts is 0 or the pair (fn, context) is registered already; VARVE_METADATA. */
VARVE_API VARVE_MUST_USE varve_status varve_root_callback_add(varve_heap *heap, const char *name, varve_root_fn *fn,
                                                              void *context, size_t parts, varve_error *error);
VARVE_API varve_status varve_root_callback_remove(varve_heap *heap, varve_root_fn *fn, void *context);

VARVE_END
#endif
