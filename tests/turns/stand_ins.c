/* SPDX-License-Identifier: MIT */
/* stand_ins.c -- what threads ask of the system, by turns (points.h leads them here). Those who take no turns get the
 * system itself.
 *
 *   futexes, mutexes, barriers, joins   turns_sleep and turns_wake
 *   time      ten nanoseconds a point
 *   the core  one of CORES, another one now and then
 *   mappings  large ones at the same addresses in each run, for some tables are hashed by address
 *   forks     the child is alone
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "turns.h"

#define CORES 4u
#define STAY_POINTS 4096u /* on a core */
#define POINT_NS 10u
#define FIRST_ADDRESS UINT64_C(0x100000000000)
#define LARGE (1u << 20)

long turns_syscall(long number, ...);
int turns_clock_gettime(clockid_t clock, struct timespec *now);
int turns_sched_getcpu(void);
void *turns_mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset);
pid_t turns_fork(void);
int turns_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*fn)(void *), void *argument);
int turns_pthread_join(pthread_t id, void **result);
int turns_pthread_mutex_lock(pthread_mutex_t *mutex);
int turns_pthread_mutex_unlock(pthread_mutex_t *mutex);
int turns_pthread_barrier_init(pthread_barrier_t *barrier, const pthread_barrierattr_t *attributes, unsigned count);
int turns_pthread_barrier_wait(pthread_barrier_t *barrier);
int turns_pthread_barrier_destroy(pthread_barrier_t *barrier);
void turns_point(const char *file, int line);

/* ---- futexes, and other calls ---- */

/* Between the look and the sleep there is no point, as in the kernel. */
static long futex(uint32_t *word, int operation, uint32_t value) {
  turns_point("futex", operation);
  if (operation == FUTEX_WAKE_PRIVATE) return turns_wake(word, value), 0;
  if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != value) return errno = EAGAIN, -1;
  turns_sleep(word, "futex");
  return 0;
}

long turns_syscall(long number, ...) {
  long a[6];
  va_list list;
  va_start(list, number);
  for (unsigned i = 0; i < 6; ++i) a[i] = va_arg(list, long);
  va_end(list);
  if (number == SYS_futex && turns_here()) return futex((uint32_t *)a[0], (int)a[1], (uint32_t)a[2]);
  return syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int turns_clock_gettime(clockid_t clock, struct timespec *now) {
  uint64_t ns = turns_now() * POINT_NS + 1000000000u;
  if (!turns_here()) return clock_gettime(clock, now);
  *now = (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
  return 0;
}

int turns_sched_getcpu(void) {
  return turns_here() ? (int)((turns_self() + turns_now() / STAY_POINTS) % CORES) : sched_getcpu();
}

/* ---- mappings ---- */

static uint64_t next_address;

void *turns_mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset) {
  if (at || !turns_here() || bytes < LARGE) return mmap(at, bytes, protection, flags, file, offset);
  void *wanted = (void *)(uintptr_t)(FIRST_ADDRESS + next_address);
  void *got = mmap(wanted, bytes, protection, flags | MAP_FIXED_NOREPLACE, file, offset);
  next_address += (bytes + (UINT64_C(1) << 30)) >> 21 << 21;
  return got;
}

/* ---- forks ---- */

pid_t turns_fork(void) {
  bool here = turns_here();
  pid_t child = fork();
  if (child == 0 && here) turns_alone();
  return child;
}

/* ---- threads ---- */

struct started {
  struct started *next;
  void *(*fn)(void *);
  void *argument, *result;
  unsigned number;
  bool ended;
  pthread_t id; /* the system's */
};

static void *begin(void *argument) {
  struct started *thread = argument;
  turns_enter(thread->number);
  thread->result = thread->fn(thread->argument);
  thread->ended = true;
  turns_wake(thread, 1);
  turns_leave();
  return NULL;
}

/* Its id is where it is noted, for the system gives the same number to others as soon as the thread has ended. */
int turns_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*fn)(void *), void *argument) {
  if (!turns_here()) return pthread_create(id, attributes, fn, argument);
  struct started *thread = malloc(sizeof *thread);
  *thread = (struct started){.fn = fn, .argument = argument, .number = turns_enlist()};
  int failed = thread->number == TURNS_THREADS ? EAGAIN : pthread_create(&thread->id, attributes, begin, thread);
  if (failed) {
    if (thread->number != TURNS_THREADS) turns_strike(thread->number);
    free(thread);
    return failed;
  }
  *id = (pthread_t)thread;
  turns_point("thread starts", 0);
  return 0;
}

int turns_pthread_join(pthread_t id, void **result) {
  if (!turns_here()) return pthread_join(id, result);
  struct started *thread = (struct started *)id;
  turns_point("join", 0);
  while (!thread->ended) turns_sleep(thread, "join");
  if (result) *result = thread->result;
  free(thread);
  return 0;
}

/* ---- mutexes and barriers ---- */

int turns_pthread_mutex_lock(pthread_mutex_t *mutex) {
  if (!turns_here()) return pthread_mutex_lock(mutex);
  turns_point("mutex", 0);
  while (pthread_mutex_trylock(mutex)) turns_sleep(mutex, "mutex");
  return 0;
}

int turns_pthread_mutex_unlock(pthread_mutex_t *mutex) {
  int failed = pthread_mutex_unlock(mutex);
  if (turns_here()) turns_wake(mutex, TURNS_THREADS);
  return failed;
}

struct barrier {
  unsigned count, waiting, round;
};
_Static_assert(sizeof(struct barrier) <= sizeof(pthread_barrier_t), "a barrier lies in the caller's");

int turns_pthread_barrier_init(pthread_barrier_t *barrier, const pthread_barrierattr_t *attributes, unsigned count) {
  if (!turns_here()) return pthread_barrier_init(barrier, attributes, count);
  *(struct barrier *)(void *)barrier = (struct barrier){.count = count};
  return 0;
}

int turns_pthread_barrier_wait(pthread_barrier_t *barrier) {
  if (!turns_here()) return pthread_barrier_wait(barrier);
  struct barrier *b = (void *)barrier;
  unsigned round = b->round;
  turns_point("barrier", 0);
  if (++b->waiting == b->count) {
    b->waiting = 0;
    ++b->round;
    turns_wake(b, TURNS_THREADS);
    return PTHREAD_BARRIER_SERIAL_THREAD;
  }
  while (b->round == round) turns_sleep(b, "barrier");
  return 0;
}

int turns_pthread_barrier_destroy(pthread_barrier_t *barrier) {
  return turns_here() ? 0 : pthread_barrier_destroy(barrier);
}
