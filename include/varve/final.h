/* SPDX-License-Identifier: MIT */
/* final.h -- finalizers: what the host wants to do with objects that nothing refers to any more.
 *
 *   finalizer  When a collection finds its object dead, the finalizer is queued, and the object and all it refers to
 *              stay as they are until the host takes it from the queue. Then the object is like any other: it lives
 *              on if the host stores a reference to it ("resurrection"), and it has lost this finalizer. The host
 *              may attach it again.
 *   cleaner    When its object is dead, after finalizers (it is not while a queued finalizer
 *              reaches it), the cleaner is queued without the object, which is gone. It carries `context` only, so
 *              it cannot bring anything back.
 *
 * Any number may be attached to an object, and to objects that refer to each other. One collection queues all whose
 * objects are dead when it has marked what is reachable (weak.h has the order of steps): who refers to whom plays no
 * part. A young collection finds those whose objects it takes.
 *
 * The queue is ordered: a lower `order` first; among equal ones those of an earlier collection; of the same
 * collection in the order in which they were attached. Nothing of the host's runs in a pause: varve_finalizer_next
 * and varve_finalizers_run are called when the host likes, by any of its mutators, several at once if it likes.
 *
 * Objects come back by their addresses: which tag bits the host's words for them have it must know itself.
 * `context` is not looked at. A host whose finalizers are objects (closures) keeps them in a table of ephemerons
 * (weak.h) with the object as key: the value stays as long as the object does, in the queue, too, and may refer to the
 * object.
 *
 * A heap that ends forgets its finalizers; they are not run.
 */
#ifndef VARVE_FINAL_H
#define VARVE_FINAL_H

#include "varve/types.h"

VARVE_BEGIN

/** Names one attached or queued finalizer or cleaner of a heap; never used again. 0: none. */
typedef uint64_t varve_finalizer;

/** Called by varve_finalizers_run on the calling thread, which holds no lock of the library's: it may do all that a
 *  running mutator may. `object` is void after its next safepoint, unless it is stored to a root; NULL for a
 *  cleaner. */
typedef void varve_finalizer_fn(varve_mutator *mutator, varve_object *object, void *context);

/** What was taken from the queue. */
typedef struct varve_finalization {
  varve_finalizer finalizer;
  varve_object *object; /* void after the caller's next safepoint; NULL: a cleaner */
  varve_finalizer_fn *fn;
  void *context;
  int32_t order;
} varve_finalization;

/** Attach a finalizer to an object.
 * @param object   untagged; not NULL.
 * @param order    when several are queued, lower ones come first.
 * @param fn       what varve_finalizers_run calls; NULL: nothing, for hosts that use varve_finalizer_next.
 * @param context  for the host; not looked at.
 * @return 0 when no memory was left, or nearly 2^32 are attached or queued.
 * @threads a running mutator. Takes memory for tables now and then, and a lock for some instructions. No safepoint:
 *          nothing moves. */
VARVE_API VARVE_MUST_USE varve_finalizer varve_finalizer_attach(varve_mutator *mutator, const void *object,
                                                                int32_t order, varve_finalizer_fn *fn,
                                                                void *context);
/** The same for a cleaner. */
VARVE_API VARVE_MUST_USE varve_finalizer varve_cleaner_attach(varve_mutator *mutator, const void *object, int32_t order,
                                                              varve_finalizer_fn *fn, void *context);

/** Detach one, attached or queued. @return false: there is no such one, or it has been taken from the queue.
 *  @threads a running mutator. No safepoint. */
VARVE_API bool varve_finalizer_detach(varve_mutator *mutator, varve_finalizer finalizer);

/** Detach all finalizers and cleaners with this object, function and context, attached or queued. Looks at all that
 *  the heap has: for hosts with few. @return how many there were. Threads as above. */
VARVE_API size_t varve_finalizer_detach_all(varve_mutator *mutator, const void *object, varve_finalizer_fn *fn,
                                            const void *context);

/** Take the first from the queue. @return false: the queue is empty. @threads a running mutator. No safepoint. The
 *  first call after a collection that has queued n costs time in proportion to n. */
VARVE_API bool varve_finalizer_next(varve_mutator *mutator, varve_finalization *out);

/** Take up to `most` from the queue, one after the other, and call their functions here. What they queue or
 *  resurrect counts like the rest. @return how many were taken. @threads a running mutator. A safepoint if the
 *  functions reach one. */
VARVE_API size_t varve_finalizers_run(varve_mutator *mutator, size_t most);

/** How many are queued. Any thread, attached or not; does not block: two instructions. */
VARVE_API size_t varve_finalizers_queued(const varve_heap *heap);

/** Tells the host that a collection has queued some; `queued`: how many are in the queue now. Called after the resume,
 *  while other mutators run, by the thread that asked for the collection, inside the call that did. It may wake a
 *  thread or set a flag; of the library it may call varve_finalizers_queued only. */
typedef void varve_finalizers_hook(void *context, size_t queued);

/** Set the hook; NULL: none. @threads a running mutator. */
VARVE_API void varve_finalizers_notify(varve_mutator *mutator, varve_finalizers_hook *hook, void *context);

VARVE_END
#endif
