/* SPDX-License-Identifier: MIT */
/* heap.h -- the life of a heap. Heaps are independent: they share no memory, lock, thread or setting. */
#ifndef VARVE_HEAP_H
#define VARVE_HEAP_H

#include "varve/options.h"
#include "varve/stats.h"
#include "varve/types.h"

VARVE_BEGIN

/** Reserve a heap's address space and populate its initial size: from 128 MiB on with all workers, for which threads
 * are started; otherwise it starts none.
 *
 * @param options  NULL: defaults. The environment variable VARVE_OPTIONS is applied on top (not in a set-uid process),
 *                 but for what options.def leaves to the program. Copied; may be freed afterwards.
 * @param out      the new heap; written only on success.
 * @return VARVE_OK
 *         VARVE_OPTION    a value is out of range or does not fit another; the detail names it
 *         VARVE_RESERVE   no address space for heap-max, or for the log of check-stores
 *         VARVE_COMMIT    no memory for the initial size, or for that log
 *         VARVE_METADATA  no memory for tables
 *         On failure nothing is left behind.
 * @threads any; may block; makes system calls. */
VARVE_API VARVE_MUST_USE varve_status varve_heap_create(const varve_options *options, varve_heap **out,
                                                        varve_error *error);

/** End the heap's worker threads and return every byte, including handles, Ref slabs and registrations.
 * @return VARVE_BUSY when a mutator is still attached; nothing happened then.
 * @threads any that is not attached to this heap. */
VARVE_API varve_status varve_heap_destroy(varve_heap *heap);

/** The options in force, with defaults resolved (workers, heap-max, ...). varve_heap_set changes them in place, so
 * nobody reads them while another thread is in it. Any thread. */
VARVE_API const varve_options *varve_heap_options(const varve_heap *heap);

/** Draw the machine as the heap sees it: nodes with their cores, memory and distances, what the heap has on them, what
 * policy and limits were found. Plain ASCII, at most 100 columns; one call of `line` for each line of text, without a
 * newline.
 * @param heap  NULL: as a heap created by the calling thread would see it.
 * @return VARVE_OK; VARVE_ARGUMENT: no `line`; VARVE_METADATA: no memory to find out; VARVE_OPTION: heap is NULL and
 *         VARVE_OPTIONS, which may ask for hardware threads, is malformed.
 * @threads any; reads files of the system when heap is NULL. `line` must not call the library. */
VARVE_API varve_status varve_topology_print(const varve_heap *heap, void (*line)(void *context, const char *text),
                                            void *context);

/** Change options while the heap lives, such as "heap-growth=50,heap-soft=100m": those that options.def marks LATER.
 * All or nothing. Waits for a running collection, so every collection has one set of options; after that they are in
 * force, and what the heap may still take before the next collection follows from them at once.
 *
 *   heap-max   from 4 MiB to what it was at creation (0: that). If more is in use, the next allocation that needs
 *              memory collects, and the limit is what is in use until a collection leaves less. Memory above it goes
 *              back to the system.
 *   workers    from 1 to what they were at creation (0: that).
 *   stress     for each mutator from its next slow allocation on.
 *
 * VARVE_OPTIONS has no say here: what the environment set at creation can be changed.
 *
 * @return VARVE_OK; VARVE_ARGUMENT for a null pointer; VARVE_OPTION when an option is unknown, cannot change, is out of
 *         range or does not fit another; the detail names it, and nothing changed.
 * @threads any, attached (running or native) or not; not from a callback of the heap. May make system calls. Moves no
 *          objects. */
VARVE_API VARVE_MUST_USE varve_status varve_heap_set(varve_heap *heap, const char *list, varve_error *error);

/** Tell the heap that its objects hold so many bytes more outside it: buffers, files mapped, memory of a device.
 * Negative: so many fewer, when such memory is freed. They count as in use towards heap-growth, heap-sizing and
 * heap-soft, and as allocated towards the next collection, which this may bring forward to the next allocation that
 * needs memory, but does not run itself. They do not count towards heap-max. Whatever their total is, 2 MiB and a
 * sixteenth of it may always be allocated between two collections, as far as heap-max has room for it.
 *
 * The total never goes below 0, nor above 2^60 bytes.
 * Cheap: two or three atomic operations, no lock, no system call.
 * @return VARVE_OK, or VARVE_THREAD when the mutator is in native state or of another thread; nothing was counted then.
 * @threads the mutator's own, running. Which mutator tells is the same. */
VARVE_API varve_status varve_external_add(varve_mutator *mutator, int64_t bytes);

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

/** Run a full collection; what it finds alive is immortal: no later collection marks, moves or frees it, or looks at it
 * unless it was written to. For what a program builds once, at its start: full collections then cost what was made
 * since. It is packed tightly first; what is pinned just then stays where it is for ever, so unpin before what you can.
 * It may be written to like everything else; what only an immortal object refers to stays alive with it, also
 * when nobody refers to that any more. Weak slots and ephemerons of immortal objects are cleared like others, when what
 * they refer to is not immortal and dies. Finalizers of immortal objects are never queued.
 *
 * Called again, it collects the immortal part once more, with what was made since, and all that is alive is immortal
 * then. When the system has no memory for noting stores into immortal objects, or a heap that is nearly full
 * allocates between pinned ones, all of them become ordinary old ones; the figure bytes_immortal tells.
 *
 * @return VARVE_OK; VARVE_OPTION: the heap has ages=0, so nobody notes what is written to; VARVE_THREAD: the mutator is
 *         native, or of another thread.
 * @threads the mutator's own, running; blocks. Objects move. */
VARVE_API varve_status varve_heap_make_immortal(varve_mutator *mutator, varve_error *error);

/** Stop the world and verify the whole heap: roots, objects, slots, tables. Works in every build.
 * @return VARVE_OK; VARVE_CORRUPT with the first damage named in the detail (object, slot, target); VARVE_METADATA when
 *         there was no memory to find out; VARVE_THREAD when the mutator is native, or of another thread.
 * @threads the mutator's own; blocks; moves nothing. */
VARVE_API varve_status varve_verify(varve_mutator *mutator, varve_error *error);

/** Can this word, as a slot of an object holds it, be used as a reference now? For debuggers and assertions of a host,
 * after it has read a word that looks wrong. A word that once was a reference and was not in a registered root or slot
 * when a collection ran mostly leads to nothing, or into the middle of something; it may also lead to another object by
 * now.
 *
 * The detail says what is wrong: "null"; "poison", what freed memory holds in heaps with poison=1; "an immediate", the
 * tag being none of slot-tags; "outside the heap"; "misaligned" for the heap's granule; "in free memory"; "dead": no
 * object that the last collection found alive; or "inside" of an object, of which it names address, layout and size;
 * "damaged": an object whose header has a layout or size that cannot be.
 *
 * For a narrow word, ask for that of varve_narrow_untag. What another mutator has allocated since this one's last
 * safepoint may seem to be free memory, or the other way round.
 * @return VARVE_OK; VARVE_CORRUPT with the detail; VARVE_THREAD when the mutator is native, or of another thread.
 * @threads the mutator's own, running. Stops nobody, moves nothing; takes as long as varve_object_of (pin.h). */
VARVE_API varve_status varve_check(varve_mutator *mutator, varve_word word, varve_error *error);

/** Is this address inside the heap's reservation? Says nothing about an object being there. Any thread. */
VARVE_API bool varve_heap_contains(const varve_heap *heap, const void *address);

VARVE_END
#endif
