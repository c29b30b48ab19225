/* SPDX-License-Identifier: MIT */
/* turns.c -- see turns.h. Everything here belongs to the thread whose turn it is; a turn is handed over by `go`. */
#define _GNU_SOURCE
#include "turns.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../support/random.h"

#define LONG_RUN 20000u /* points after which a thread with the highest priority has it no more */
#define PLACES 5u
#define WEAK_PERIOD 16u /* a weak compare-and-swap fails at one in so many */

enum state { ABSENT, READY, ASLEEP, LEFT };

struct thread {
  _Alignas(64) _Atomic uint32_t go;
  enum state state;
  uint64_t priority;
  pthread_t id;
  const void *on;   /* asleep */
  const char *why;
  struct place {
    const char *file;
    int line;
  } place[PLACES]; /* its last points, the newest first; of neighbours at the same place one */
};

static struct {
  bool on, changed; /* changed: somebody may have a higher priority than who runs */
  struct turns_choice choice;
  struct turns_record *record;
  struct random random;
  unsigned ready, left; /* how many can go on; who has ended just now, or TURNS_THREADS */
  uint64_t lowest, since; /* the next priority below all; points since the last hand-over */
  struct thread thread[TURNS_THREADS];
} all;

static _Thread_local unsigned self = TURNS_THREADS;

bool turns_here(void) { return self != TURNS_THREADS; }
unsigned turns_self(void) { return self; }
uint64_t turns_now(void) { return all.record ? all.record->points : 0; }

/* ---- what is said when nothing goes on ---- */

static const char *base_name(const char *file) {
  const char *slash = strrchr(file, '/');
  return slash ? slash + 1 : file;
}

static _Noreturn void give_up(const char *what) {
  static const char *const states[] = {"", "can go on", "sleeps: ", "has ended"};
  fprintf(stderr, "turns: %s, after %llu points\n", what, (unsigned long long)all.record->points);
  for (unsigned i = 0; i < TURNS_THREADS; ++i) {
    const struct thread *t = &all.thread[i];
    if (t->state == ABSENT) continue;
    fprintf(stderr, "  thread %u %s%s; came from", i, states[t->state], t->state == ASLEEP ? t->why : "");
    for (unsigned p = 0; p < PLACES && t->place[p].file; ++p)
      fprintf(stderr, " %s:%d", base_name(t->place[p].file), t->place[p].line);
    fputc('\n', stderr);
  }
  fflush(NULL);
  abort();
}

/* ---- whose turn it is ---- */

static void set_ready(struct thread *t) {
  t->state = READY;
  ++all.ready;
  all.changed = true;
}

static void set_waiting(struct thread *t, enum state state) {
  t->state = state;
  --all.ready;
}

static unsigned nth_ready(unsigned n, unsigned except) {
  unsigned i = 0;
  for (;; ++i)
    if (all.thread[i].state == READY && i != except && n-- == 0) return i;
}

static unsigned highest(void) {
  unsigned best = TURNS_THREADS;
  for (unsigned i = 0; i < TURNS_THREADS; ++i)
    if (all.thread[i].state == READY &&
        (best == TURNS_THREADS || all.thread[i].priority > all.thread[best].priority))
      best = i;
  return best;
}

/* `except`, who can go on, only if there is nobody else. TURNS_THREADS: nobody can go on. */
static unsigned choose(unsigned except) {
  unsigned count = all.ready - (except < TURNS_THREADS);
  all.changed = false;
  if (all.choice.mode == TURNS_PRIORITY) return highest();
  if (count) return nth_ready((unsigned)random_below(&all.random, count), except);
  return except;
}

static void futex(_Atomic uint32_t *word, int operation, uint32_t value) {
  syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

/* Nothing runs beside a turn, so the end of a thread is waited for as well. */
static void await_turn(struct thread *t) {
  while (!atomic_load(&t->go)) futex(&t->go, FUTEX_WAIT_PRIVATE, 0);
  atomic_store(&t->go, 0);
  if (all.left == TURNS_THREADS) return;
  pthread_join(all.thread[all.left].id, NULL);
  all.thread[all.left].state = ABSENT;
  all.left = TURNS_THREADS;
}

static void hand_to(unsigned next) {
  ++all.record->switches;
  all.since = 0;
  atomic_store(&all.thread[next].go, 1);
  futex(&all.thread[next].go, FUTEX_WAKE_PRIVATE, 1);
}

static void pass(unsigned next) {
  if (next == self) return;
  hand_to(next);
  await_turn(&all.thread[self]);
}

static void lower(void) {
  all.thread[self].priority = --all.lowest;
  all.changed = true;
}

/* ---- points ---- */

static void wake_somebody(void) {
  unsigned from = (unsigned)random_below(&all.random, TURNS_THREADS);
  for (unsigned i = 0; i < TURNS_THREADS; ++i) {
    struct thread *t = &all.thread[(from + i) % TURNS_THREADS];
    if (t->state != ASLEEP || !t->why || strcmp(t->why, "futex")) continue;
    set_ready(t);
    return;
  }
}

static void note(const char *file, int line) {
  struct thread *t = &all.thread[self];
  struct turns_record *r = all.record;
  if (t->place[0].file != file || t->place[0].line != line) {
    memmove(&t->place[1], &t->place[0], sizeof t->place - sizeof t->place[0]);
    t->place[0] = (struct place){file, line};
  }
  r->hash = (r->hash ^ ((uint64_t)line << 8 | self)) * UINT64_C(0x100000001b3);
  if (all.choice.trace)
    fprintf(stderr, "%8llu  %u  %s:%d\n", (unsigned long long)r->points, self, base_name(file), line);
  if (++r->points > all.choice.most) give_up("no end");
  ++all.since;
  if (all.choice.spurious && random_one_in(&all.random, all.choice.spurious)) wake_somebody();
}

void turns_point(const char *file, int line);
void turns_pause(const char *file, int line);
int turns_weak_fails(void);
unsigned long long turns_cycles(void);

void turns_point(const char *file, int line) {
  if (!turns_here()) return;
  note(file, line);
  if (all.ready == 1) return;
  bool due = random_one_in(&all.random, all.choice.period);
  if (all.choice.mode == TURNS_UNIFORM) {
    if (due) pass(choose(TURNS_THREADS));
    return;
  }
  if (due || all.since > LONG_RUN) lower();
  if (all.changed) pass(choose(TURNS_THREADS));
}

void turns_pause(const char *file, int line) {
  if (!turns_here()) return;
  note(file, line);
  lower();
  pass(choose(self));
}

int turns_weak_fails(void) { return turns_here() && random_one_in(&all.random, WEAK_PERIOD); }
unsigned long long turns_cycles(void) { return turns_now(); }

/* ---- sleeping, and the others ---- */

void turns_sleep(const void *on, const char *why) {
  struct thread *t = &all.thread[self];
  set_waiting(t, ASLEEP);
  t->on = on;
  t->why = why;
  ++all.record->sleeps;
  unsigned next = choose(TURNS_THREADS);
  if (next == TURNS_THREADS) give_up("nobody can go on");
  pass(next);
}

void turns_wake(const void *on, unsigned count) {
  unsigned from = (unsigned)random_below(&all.random, TURNS_THREADS);
  for (unsigned i = 0; i < TURNS_THREADS && count; ++i) {
    struct thread *t = &all.thread[(from + i) % TURNS_THREADS];
    if (t->state != ASLEEP || t->on != on) continue;
    set_ready(t);
    --count;
  }
}

unsigned turns_enlist(void) {
  for (unsigned i = 0; i < TURNS_THREADS; ++i) {
    struct thread *t = &all.thread[i];
    if (t->state != ABSENT) continue;
    *t = (struct thread){.priority = UINT64_C(1) << 62 | random_next(&all.random) >> 2};
    set_ready(t);
    return i;
  }
  return TURNS_THREADS;
}

void turns_strike(unsigned thread) { set_waiting(&all.thread[thread], ABSENT); }

void turns_enter(unsigned thread) {
  self = thread;
  all.thread[thread].id = pthread_self();
  await_turn(&all.thread[thread]);
}

void turns_leave(void) {
  set_waiting(&all.thread[self], LEFT);
  all.left = self;
  unsigned next = choose(TURNS_THREADS);
  if (next == TURNS_THREADS) give_up("nobody can go on");
  self = TURNS_THREADS;
  hand_to(next);
}

void turns_alone(void) {
  static struct turns_record child;
  child = *all.record;
  all.record = &child;
  all.left = TURNS_THREADS;
  all.ready = 1;
  for (unsigned i = 0; i < TURNS_THREADS; ++i)
    if (i != self) all.thread[i].state = ABSENT;
}

void turns_begin(const struct turns_choice *choice, struct turns_record *record) {
  memset(&all, 0, sizeof all);
  all.choice = *choice;
  all.record = record;
  all.random.state = choice->seed;
  all.lowest = UINT64_C(1) << 62;
  all.left = TURNS_THREADS;
  *record = (struct turns_record){.hash = UINT64_C(0xcbf29ce484222325)};
  self = turns_enlist();
}

void turns_end(void) {
  if (all.ready > 1) give_up("the first thread has ended before others");
  self = TURNS_THREADS;
}
