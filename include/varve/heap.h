/* SPDX-License-Identifier: MIT */
/* heap.h -- the life of a heap. Heaps are independent: they share no memory, lock, thread or setting. */
#ifndef VARVE_HEAP_H
#define VARVE_HEAP_H

#include "varve/options.h"
#include "varve/stats.h"
#include "varve/types.h"

VARVE_BEGIN

/** Reserve a heap's address space and populate its initial size. Starts no thread.
 *
 * @param options  NULL: defaults. The environment variable VARVE_OPTIONS is applied on top (not in a set-uid
 *                 process). Copied; may be freed afterwards.
 * @param out      the new heap; written only on success.
 * @return VARVE_OK
 *         VARVE_OPTION    a value is out of range or does not fit another; the detail names it
 *         VARVE_RESERVE   no address space for heap-max
 *         VARVE_COMMIT    no memory for the initial size
 *         VARVE_METADATA  no memory for tables
 *         On failure nothing is left behind.
 * @threads any; may block; makes system calls. */
VARVE_API VARVE_MUST_USE varve_status varve_heap_create(const varve_options *options, varve_heap **out,
                                                        varve_error *error);

/** End the heap's worker threads and return every byte, including handles, Ref slabs and registrations.
 * @return VARVE_BUSY when a mutator is still attached; nothing happened then.
 * @threads any that is not attached to this heap. */
VARVE_API varve_status varve_heap_destroy(varve_heap *heap);

/** The options in force, with defaults resolved (workers, heap-max, ...). */
VARVE_API const varve_options *varve_heap_options(const varve_heap *heap);

/** Run a full collection now. Objects move: every address the caller holds outside registered roots is void.
 * When several threads ask at once, one collection serves them all.
 * @return VARVE_OK, or VARVE_THREAD when the mutator is in native state.
 * @threads the mutator's own; blocks. */
VARVE_API varve_status varve_collect(varve_mutator *mutator);

/** Collect what was allocated since the last collection, as far as older objects and roots do not refer to it; what
 * survives counts as older from now on. Cheap when little survives. A full collection without ages (options.def), and
 * while stores are not remembered, because in the last collections hardly anything had died young. Objects move, and
 * errors are, as above. */
VARVE_API varve_status varve_collect_newest(varve_mutator *mutator);

/** Stop the world and verify the whole heap: roots, objects, slots, tables. Works in every build.
 * @return VARVE_OK, or VARVE_CORRUPT with the first damage named in the detail (object, slot, target).
 * @threads the mutator's own; blocks; moves nothing. */
VARVE_API varve_status varve_verify(varve_mutator *mutator, varve_error *error);

/** Is this address inside the heap's reservation? Says nothing about an object being there. Any thread. */
VARVE_API bool varve_heap_contains(const varve_heap *heap, const void *address);

VARVE_END
#endif
