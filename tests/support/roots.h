/* SPDX-License-Identifier: MIT */
/* roots.h -- groups of root slots of every kind, each slot with the value that it must hold.
 *
 * A group is one registration: a frame, an array of slots, the words taken from a slab, a Ref array in host structs,
 * the slots of a callback, some handles. A place that is NULL is not in use at the moment.
 */
#ifndef VARVE_TESTS_ROOTS_H
#define VARVE_TESTS_ROOTS_H

#include "shadow.h"

enum root_kind {
  ROOT_FRAME,         /* on the C stack; the caller owns the memory */
  ROOT_HANDLES,
  ROOT_SLOTS,
  ROOT_SLAB,          /* words of a Ref slab */
  ROOT_REF_ARRAY,     /* tracked */
  ROOT_UNTRACKED,     /* a Ref array written past the store interface */
  ROOT_SLOT_ARRAY,    /* a tracked Ref array of ordinary roots: slot-tags */
  ROOT_CALLBACK,
  ROOT_CALLBACK_REFS, /* a callback that visits Ref words */
  ROOT_KIND_COUNT
};

struct root {
  void *place;                /* the word's address, or the handle; NULL: not in use */
  struct shadow_node *target; /* NULL: the slot holds `word`, no reference */
  varve_word word;            /* with a target: the tag */
};

struct root_group {
  enum root_kind kind;
  size_t count;
  struct root *roots;
  const struct shadow_shapes *shapes;
  varve_slab_cursor *cursor; /* SLAB: the owner's */
  varve_refs *refs;          /* SLAB, Ref arrays of all three kinds */
  varve_word *memory;        /* SLOTS, Ref arrays, CALLBACK */
  size_t stride_words;       /* Ref arrays: words from one Ref word to the next */
  size_t capacity;           /* Ref arrays: words for which there is memory */
  uint64_t *bitmap;          /* Ref arrays: NULL or which words are in use */
  size_t parts;              /* CALLBACK */
};

extern const char *const root_kind_name[ROOT_KIND_COUNT];

/** Which tags mean "reference" in this group. */
unsigned root_tags(const struct root_group *group);

varve_word root_load(const struct root_group *group, const struct root *root);
/** Store a reference to `target`, whose object is at `address` now; the tag is random. */
void root_set_target(struct root_group *group, struct root *root, varve_mutator *mutator, struct random *random,
                     struct shadow_node *target, uintptr_t address);
/** Store a word that is no reference. */
void root_set_word(struct root_group *group, struct root *root, varve_mutator *mutator, struct random *random,
                   varve_word word);

/** Start using an unused place of a HANDLES or SLAB group, or of a Ref array with a bitmap; it holds `word`, which is
 *  no reference. @return false when the library had no memory. */
bool root_open(struct root_group *group, struct root *root, varve_mutator *mutator, varve_word word);
/** The reverse. For a Ref array the word becomes garbage that the collector must not look at. */
void root_close(struct root_group *group, struct root *root, varve_mutator *mutator, varve_word garbage);

/** Is it a Ref array, of whatever kind? */
bool root_group_is_array(const struct root_group *group);

/** New groups, registered, all places holding null or unused. NULL when the library refused for lack of memory. */
struct root_group *root_group_handles(const struct shadow_shapes *shapes, size_t count);
struct root_group *root_group_slab(const struct shadow_shapes *shapes, size_t count, varve_refs *slab,
                                   varve_slab_cursor *cursor);
struct root_group *root_group_slots(const struct shadow_shapes *shapes, size_t count);
struct root_group *root_group_ref_array(const struct shadow_shapes *shapes, size_t count, size_t stride_words,
                                        bool bitmap, enum root_kind kind);
struct root_group *root_group_callback(const struct shadow_shapes *shapes, size_t count, size_t parts, bool refs);

/** Give a Ref array more words: where it is, if there is room, else in new memory with room for some more. */
void root_group_grow(struct root_group *group, size_t count);
/** Unregister and free; handles and slab words are given back. Not for frames. */
void root_group_free(struct root_group *group, varve_mutator *mutator);

/** Hand all roots of the group to a walk. Unused words of Ref arrays are checked too. */
void root_group_walk(const struct root_group *group, struct shadow_walk *walk);

#endif
