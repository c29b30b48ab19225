/* SPDX-License-Identifier: MIT */
/* workers.pml -- orders to the heap's own threads (core/worker.c, W1), for the Spin model checker.
 *
 * PAUSES pauses of RUNS runs each, with THREADS slots of which any may be empty, be filled before a pause, or rest in
 * it.
 *
 *   assertions   each member of the team runs the function of this run once, under the index it has in this run, and
 *                nobody else runs it; a thread in a run sees what worker 0 wrote before.
 *   end states   nobody sleeps for ever, and all threads end when the heap does.
 *
 * Steps of the model <-> code
 *   order, asleep, left, waiting, fn   the fields of these names; fn is the number of the run
 *   take_order, serve, report, order_team, wait_for_reports, start_thread, close   the functions of these names
 *   park_quietly         varve__park_quietly (core/base/park.h)
 * A thread that sleeps through runs of others is every interleaving in which it does not move.
 *
 * What the model taught:
 *   A thread takes its order before it reports (-DBUG_FREE_AFTER_REPORT): worker 0 may give the next at once.
 *   A slot counts as existing when its thread is up, not before (-DBUG_NOT_UP): its first report is not one of a run.
 */

#ifndef THREADS
#define THREADS 2
#endif
#ifndef PAUSES
#define PAUSES 2
#endif
#ifndef RUNS
#define RUNS 2
#endif
#define NO_ORDER 0
#define LEAVE 9

byte order[THREADS] = NO_ORDER;
bit asleep[THREADS] = 0;
byte left = 0;
bit waiting = 0;
byte fn = 0;
bool exists[THREADS];

bool on_order[THREADS], on_left = false; /* in a futex wait */
byte index_of[THREADS] = 0;              /* ghost: in this run, 0: not in the team */
bool ran[THREADS];
byte ended = 0;

#ifdef BUG_LOOK_BEFORE_COUNT
#define PARK_QUIETLY(count, same, flag) \
  if :: same -> count++; flag = true; !flag; count-- :: else fi
#else
#define PARK_QUIETLY(count, same, flag) \
  count++; \
  atomic { if :: same -> flag = true :: else fi }; \
  !flag; \
  count--
#endif

inline wake(slot) {
  if
  :: asleep[slot] -> on_order[slot] = false
  :: else
  fi
}

inline report() {
  atomic { left--; last = (left == 0) };
  if
  :: last && waiting -> on_left = false
  :: else
  fi;
  last = false
}

inline take_order() {
  do
  :: order[me] != NO_ORDER -> break
  :: else -> PARK_QUIETLY(asleep[me], order[me] == NO_ORDER, on_order[me])
  od;
#ifdef BUG_FREE_AFTER_REPORT
  mine = order[me]
#else
  atomic { mine = order[me]; order[me] = NO_ORDER }
#endif
}

proctype thread(byte me) {
  byte mine = 0;
  bool last = false;
  report(); /* it is up */
  do
  :: take_order();
     if
     :: mine == LEAVE -> break
     :: else ->
        atomic { assert(index_of[me] == mine && !ran[me] && fn != 0); ran[me] = true };
        report();
#ifdef BUG_FREE_AFTER_REPORT
        order[me] = NO_ORDER
#endif
     fi
  od;
  ended++
}

inline wait_for_reports() {
  do
  :: seen = left;
     if
     :: seen == 0 -> break
     :: else -> PARK_QUIETLY(waiting, left == seen, on_left)
     fi
  od;
  seen = 0
}

/* Some of the slots that are empty; they are up when this returns. */
inline prepare() {
  left = 0;
  i = 0;
  do
  :: i < THREADS ->
     if
     :: !exists[i] -> left++; run thread(i); exists[i] = true
     :: true
     fi;
     i++
  :: else -> break
  od;
#ifndef BUG_NOT_UP
  wait_for_reports()
#endif
}

/* Some of those that exist, in any order: here, counted from either end. */
inline choose_team() {
  atomic {
    team = 0;
    for (i : 0 .. THREADS - 1) {
      index_of[i] = 0;
      ran[i] = false;
      if
      :: exists[i] -> team++; index_of[i] = team
      :: true
      fi
    }
    i = 0
  }
}

inline order_team() {
  fn = 1;
  left = team;
  i = 0;
  do
  :: i < THREADS ->
     if
     :: index_of[i] != 0 -> atomic { assert(order[i] == NO_ORDER); order[i] = index_of[i] }
     :: else
     fi;
     i++
  :: else -> break
  od;
  i = 0;
  do
  :: i < THREADS ->
#ifdef BUG_NO_WAKE
     i++
#else
     if
     :: index_of[i] != 0 -> wake(i)
     :: else
     fi;
     i++
#endif
  :: else -> break
  od
}

inline run_team() {
  if
  :: team > 0 -> order_team(); wait_for_reports()
  :: else
  fi;
  atomic {
    for (i : 0 .. THREADS - 1) { assert(ran[i] == (index_of[i] != 0)); ran[i] = false }
    i = 0;
    fn = 0
  }
}

inline close() {
  i = 0;
  do
  :: i < THREADS ->
     if
     :: exists[i] -> order[i] = LEAVE; wake(i); team++
     :: else
     fi;
     i++
  :: else -> break
  od;
  ended == team /* joined */
}

active proctype worker0() {
  byte seen = 0, i = 0, team = 0, pauses = 0, runs = 0;
  do
  :: pauses < PAUSES ->
     pauses++;
     prepare();
     choose_team();
     runs = 0;
     do
     :: runs < RUNS -> runs++; run_team()
     :: else -> break
     od
  :: else -> break
  od;
  team = 0;
  close()
}
