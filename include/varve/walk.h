/* SPDX-License-Identifier: MIT */
/* walk.h -- looking at the heap: every live object, who refers to what, why something is alive, what there is of each
 * layout.
 *
 * All calls are the same in this: the calling mutator stops the world, traces from the roots, breadth first and alone,
 * and lets the world run again. What is reached is alive; what has died since the last collection is not met. Nothing
 * moves meanwhile and nothing is collected, but the calls are safepoints: before the world stands, objects may move.
 * Afterwards addresses hold until the caller's next safepoint. Memory: sixteen bytes for each live object and a 64th
 * of the heap, twice that with layouts of ephemerons, taken from the system and given back. Time: that of a full mark
 * by one thread that waits for each object to come from memory.
 *
 * What keeps nothing alive is not met: weak slots, and values of ephemerons whose keys are not alive otherwise. The
 * objects of queued finalizers are alive, their root is "queue of finalizers".
 *
 * Callbacks run on the calling thread while the world stands. They may read objects, and what the functions of alloc.h
 * say of them; they call no other function of the library but varve_layout_name, and change no slot.
 *
 * Statuses of all calls:
 *   VARVE_OK
 *   VARVE_ARGUMENT  no callback, or the slot holds no reference
 *   VARVE_THREAD    the mutator is native, or of another thread
 *   VARVE_METADATA  no memory to work with; callbacks may have been called before it ended
 * Threads of all calls: the mutator's own, running. They block until the world stands.
 */
#ifndef VARVE_WALK_H
#define VARVE_WALK_H

#include "varve/abi.h"
#include "varve/types.h"

VARVE_BEGIN

/** Receives an object and its size, header included. */
typedef void varve_object_fn(void *context, varve_object *object, size_t bytes);

/** Visit every live object once. */
VARVE_API varve_status varve_walk_objects(varve_mutator *mutator, varve_object_fn *visit, void *context,
                                          varve_error *error);

/** One slot that refers to an object. */
typedef struct varve_reference {
  const char *root;   /* the root table that the slot is in: "frames of mutator main", "Ref slab constants", ...; valid
                         during the call; NULL: it is in an object */
  varve_object *from; /* the object that it is in; NULL: a root */
  size_t offset;      /* of the slot in that object, in bytes; 0: a root */
  const void *slot;   /* a varve_word, or a varve_narrow */
  varve_word word;    /* what it holds, tag bits included; of a narrow slot its 32 bits */
  varve_object *to;   /* the object that it refers to */
} varve_reference;

typedef void varve_reference_fn(void *context, const varve_reference *reference);

/** Visit every slot, of roots and live objects, that refers to one object.
 * @param slot  a registered slot that refers to the object (an address of the object could be void when the world
 *              stands); it is visited, too. NULL: visit the references to all objects. */
VARVE_API varve_status varve_walk_references(varve_mutator *mutator, const varve_word *slot, varve_reference_fn *visit,
                                             void *context, varve_error *error);

/** Why is it alive? Visit the references of a shortest way to an object: the first is a root's, the last refers to the
 * object, each is in the object that the one before refers to.
 * @param slot  a registered slot that refers to the object. It does not count as a root here; when nothing else keeps
 *              the object alive, nothing is visited. */
VARVE_API varve_status varve_path_to(varve_mutator *mutator, const varve_word *slot, varve_reference_fn *visit,
                                     void *context, varve_error *error);

/** The same as text: one call of `line` for each reference, without a newline. */
VARVE_API varve_status varve_path_print(varve_mutator *mutator, const varve_word *slot,
                                        void (*line)(void *context, const char *text), void *context,
                                        varve_error *error);

/** What there is of one layout. */
typedef struct varve_census_row {
  varve_layout layout;
  const char *name;
  uint64_t objects, bytes; /* alive, headers included */
} varve_census_row;

/** Count live objects by layout. `row` is called for each layout that has any, the one with the most bytes first, when
 * the world runs again: it may call the library. */
VARVE_API varve_status varve_census(varve_mutator *mutator,
                                    void (*row)(void *context, const varve_census_row *row), void *context,
                                    varve_error *error);

/** The same as a table: a line of titles, a line for each layout, a line with the sums. */
VARVE_API varve_status varve_census_print(varve_mutator *mutator, void (*line)(void *context, const char *text),
                                          void *context, varve_error *error);

VARVE_END
#endif
