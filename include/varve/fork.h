/* SPDX-License-Identifier: MIT */
/* fork.h -- fork with a heap: the child has one mutator and collects alone, the parent does not notice.
 *
 *     varve_fork_prepare(mutator);
 *     pid_t child = fork();
 *     if (child == 0) varve_fork_child(mutator);
 *     else varve_fork_parent(mutator);          // also when fork failed
 *
 * The library installs no handlers: a fork without these calls is for exec and _exit only, and a child that uses the
 * heap all the same may wait for ever. Between prepare and its counterpart the world stands; the caller may fork there,
 * prepare other heaps, and do nothing else with this one. A program that prepares several heaps does so in the same
 * order in all threads.
 *
 * In the child
 *   the calling mutator goes on as it was. The others are detached: their threads do not exist, their frames are no
 *   roots any more. Their handles, registered slots, Ref slabs and tables stay; Ref words that a slab cursor of theirs
 *   had taken and not used are lost.
 *   there are no workers, and none are started: the option workers is 1. varve_heap_set may raise it again, where the
 *   host may have threads in a child.
 *   memory is shared with the parent until one of the two writes to it. It is not locked (lock-memory). Pages of
 *   huge-pages=explicit come from the administrator's pool once more when written to; when it is empty the kernel ends
 *   the child.
 *   what was being registered by a thread without a mutator is registered or not; memory it had may be lost. Mutexes of
 *   the host are the host's matter. The private jemalloc takes care of itself, by the handlers that it has.
 */
#ifndef VARVE_FORK_H
#define VARVE_FORK_H

#include "varve/types.h"

VARVE_BEGIN

/** Stop the world and hold every lock of the heap that a thread might be in.
 * @return VARVE_OK; VARVE_THREAD when the mutator is native, or of another thread: nothing happened then.
 * @threads the mutator's own, running; blocks. A safepoint: objects may move before the world stands. */
VARVE_API VARVE_MUST_USE varve_status varve_fork_prepare(varve_mutator *mutator);

/** In the parent, after a prepare that returned VARVE_OK: let the world run. Nothing has moved since. */
VARVE_API void varve_fork_parent(varve_mutator *mutator);

/** In the child, on the thread that forked: make the heap one of this mutator alone, and go on. Nothing has moved
 * since. */
VARVE_API void varve_fork_child(varve_mutator *mutator);

VARVE_END
#endif
