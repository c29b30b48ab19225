/* SPDX-License-Identifier: MIT */
/* turns.h -- one thread runs at a time, and a seed says which. What happens is the same whenever it is done again.
 *
 * The running thread comes to points (points.h). There another may go on instead; one that sleeps, or waits for the end
 * of a thread, hands over in any case. It wakes the next one and waits for its own turn: between two points nothing
 * else runs. If nobody can go on, a wake-up was lost or threads wait for each other: that ends the process, with a list
 * of who waits where.
 *
 * Two ways to choose:
 *   uniform   at one point in `period` anybody goes on, each as likely. Only points where another can go on count
 *   priority  each thread has a priority, random when it begins, and the highest one of those that can go on runs. At
 *             one point in `period` the running thread becomes the lowest. So a thread may be left behind for a long
 *             time just where that matters, which evenly chosen turns hardly ever do. After Burckhardt, Kothari,
 *             Musuvathi and Nagarakatti, "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs"
 *             (ASPLOS 2010).
 * A thread that polls lets another one go on; in the second way it becomes the lowest.
 *
 * A sleep with a time limit does not end by itself: what goes on only because of that has lost a wake-up. */
#ifndef VARVE_TESTS_TURNS_H
#define VARVE_TESTS_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TURNS_THREADS 64u

enum turns_mode { TURNS_UNIFORM, TURNS_PRIORITY, TURNS_MODES };

struct turns_choice {
  uint64_t seed;
  enum turns_mode mode;
  uint32_t period;   /* points; at least 1 */
  uint32_t spurious; /* at one point in so many a sleeper wakes for no reason; 0: never */
  uint64_t most;     /* points; a run that has more has no end */
  bool trace;        /* print each point */
};

/** What a run has come to; in memory that another process sees, so that it is known when the run crashes, too. */
struct turns_record {
  uint64_t points, switches, sleeps;
  uint64_t hash; /* of the threads and places of all points, in order */
};

/** The calling thread is the first one. Others are those that it and its followers start. */
void turns_begin(const struct turns_choice *choice, struct turns_record *record);
/** All others have ended. */
void turns_end(void);

/* ---- for stand_ins.c ---- */

/** Is the caller a thread that takes turns? */
bool turns_here(void);
unsigned turns_self(void);
uint64_t turns_now(void);
/** Wait for turns_wake. The caller has looked at what it waits for since it got its turn. */
void turns_sleep(const void *on, const char *why);
void turns_wake(const void *on, unsigned count);
/** A new thread, which can go on. @return its number; TURNS_THREADS: there are too many. */
unsigned turns_enlist(void);
/** It could not be started. */
void turns_strike(unsigned thread);
/** A started thread: begin, when it is its turn. */
void turns_enter(unsigned thread);
/** End: another one goes on, as soon as the system's thread has ended. The caller just returns from its function. */
void turns_leave(void);
/** In the child of a fork: the caller is alone, and `record` is no longer written. */
void turns_alone(void);

#endif
