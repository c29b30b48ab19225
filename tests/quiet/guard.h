/* SPDX-License-Identifier: MIT */
/* guard.h -- which system calls a section of code makes, on its own threads and on those of the library under test.
 *
 * Idea    Syscall User Dispatch (Linux 5.11): while a thread's selector byte says so, each of its calls raises SIGSYS.
 *         The handler counts the call with its stack, makes it, and puts the result where the caller expects it. The
 *         selectors lie in one table, so that a thread can arm others. Where the kernel has no such thing, a seccomp
 *         filter raises the same signal for every call of the process, and the same handler looks at the same bytes.
 * Threads Neither knows of threads that the library starts. The program is linked with --wrap=pthread_create, so that
 *         every thread takes part before its first instruction of the library; threads of the test use guard_start.
 * Limits  x86-64. In the section a change of the signal mask is undone when the call returns; a thread that starts
 *         another one is counted for that and then no further, until it is armed again.
 */
#ifndef VARVE_TESTS_GUARD_H
#define VARVE_TESTS_GUARD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define GUARD_NUMBERS 512 /* system calls have smaller numbers; what has not counts as the last */

/* `trap`: with the filter even where dispatch would do. @return NULL, or why calls cannot be caught here. */
const char *guard_open(bool trap);

/* A thread of the test; it takes part from guard_join to guard_leave. */
int guard_start(pthread_t *thread, void *(*run)(void *), void *argument);
void guard_join(void);
void guard_leave(void);

/* From here on the calls of the calling thread are counted, or no longer. */
void guard_self(bool on);
/* The same for the library's threads, whatever they do just now. */
void guard_workers(bool on);
/* Until the library's threads sleep. */
void guard_wait_for_workers(void);
bool guard_is_worker(void);

/* Forget what was counted. No thread is armed. */
void guard_reset(void);
/* What was counted on threads of the test (false) or of the library (true). */
uint64_t guard_count(bool workers, int number);
/* "futex", or "call 439". Void at the next call. */
const char *guard_name(int number);
int guard_number(const char *name); /* -1: not known */
/* Each place that calls were made from, with its stack. */
void guard_print_places(FILE *out);

#endif
