/* SPDX-License-Identifier: MIT */
/* termination.pml -- the end of marking (core/mark.c), for the Spin model checker.
 *
 * WORKERS workers share ITEMS pieces of work. A worker holds work in two places: in private (its stack and its
 * prefetch ring) and in its public deque, from which others steal. Working on a piece may make new ones (SPAWNS in
 * all). A worker with neither counts itself idle; marking is over when all are idle.
 *
 * Why `idle == WORKERS` is enough: only the owner pushes on a deque and it is empty when the owner becomes idle; a
 * thief stops being idle BEFORE it steals, so a stolen piece is never in the hands of an idle worker.
 *
 * Sleeping: read epoch; sleepers + 1; look at idle and all deques once more; sleep while epoch is unchanged.
 * Whoever publishes work, or is the last to become idle, looks at sleepers afterwards: one of the two sees the other.
 *
 * Checked: nobody ends while work is left anywhere; nobody sleeps for ever; a publisher wakes who slept.
 * Seeded bugs: BUG_STEAL_FIRST, BUG_RING_FORGOTTEN, BUG_NO_WAKE, BUG_NO_LAST_WAKE, BUG_SLEEP_NO_RECHECK,
 * BUG_EPOCH_LATE. Run it with tests/spin/run.
 */

#ifndef WORKERS
#define WORKERS 3
#endif
#ifndef SPAWNS
#define SPAWNS 3
#endif

byte private[WORKERS];
byte deque[WORKERS];
byte idle = 0;
byte sleepers = 0;
byte epoch = 0;
byte spawns = SPAWNS;
bool asleep[WORKERS];
byte owed[WORKERS]; /* bit p: slept when worker p published work, and has not been woken since */

inline wake_all() {
  atomic {
    for (each : 0 .. WORKERS - 1) { asleep[each] = false; owed[each] = 0 }
    each = 0
  }
}

inline wake_sleepers() {
  if
  :: sleepers > 0 -> epoch = (epoch + 1) % 16; wake_all()
  :: else
  fi
}

/* One piece of private work: it may make a private piece or publish one. */
inline work() {
  atomic { private[me] > 0 -> private[me]-- };
  if
  :: atomic { spawns > 0 -> spawns--; private[me]++ }
  :: atomic { spawns > 0 -> spawns--; deque[me]++;
              for (each : 0 .. WORKERS - 1) { owed[each] = owed[each] | (asleep[each] << me) }
              each = 0 };
#ifndef BUG_NO_WAKE
     wake_sleepers();
#endif
     atomic { for (each : 0 .. WORKERS - 1) { assert((owed[each] & (1 << me)) == 0) } each = 0 }
  :: true -> skip
  fi
}

inline become_idle() {
  atomic { idle++; last = (idle == WORKERS) };
#ifndef BUG_NO_LAST_WAKE
  if
  :: last -> wake_sleepers()
  :: else
  fi;
#endif
  last = false
}

/* Sets `victim` to a worker whose deque is not empty, or to WORKERS. */
inline peek() {
  victim = 0;
  do
  :: victim < WORKERS ->
     if
     :: deque[victim] > 0 -> break
     :: else -> victim++
     fi
  :: else -> break
  od
}

inline steal() {
#ifdef BUG_STEAL_FIRST
  atomic { if :: deque[victim] > 0 -> deque[victim]--; private[me]++; got = true :: else fi };
  if
  :: got -> idle--
  :: else
  fi
#else
  idle--;
  atomic { if :: deque[victim] > 0 -> deque[victim]--; private[me]++; got = true :: else fi };
  if
  :: !got -> become_idle()
  :: else
  fi
#endif
}

inline sleep() {
#ifndef BUG_EPOCH_LATE
  seen = epoch;
#endif
  sleepers++;
#ifdef BUG_SLEEP_NO_RECHECK
  victim = WORKERS;
#else
  peek();
#endif
  if
#ifndef BUG_SLEEP_NO_RECHECK
  :: victim < WORKERS || idle == WORKERS -> skip
  :: else ->
#else
  :: true ->
#endif
#ifdef BUG_EPOCH_LATE
     seen = epoch;
#endif
     atomic { if :: epoch == seen -> asleep[me] = true :: else fi };
     !asleep[me]
  fi;
  sleepers--;
  seen = 0
}

/* Idle: until work was stolen (got) or all are idle. */
inline look_for_work() {
  got = false;
  become_idle();
  do
  :: got -> break
  :: !got && idle == WORKERS -> break
  :: else ->
     peek();
     if
     :: victim < WORKERS -> steal()
     :: else -> sleep()
     fi;
     victim = 0
  od
}

proctype worker(byte me) {
  byte victim = 0, each = 0, seen = 0;
  bool got = false, last = false;
  do
#ifdef BUG_RING_FORGOTTEN
  :: private[me] > 0 -> work()
  :: private[me] < 2 && deque[me] == 0 ->
#else
  :: private[me] > 0 -> work()
  :: private[me] == 0 && deque[me] > 0 ->
     atomic { if :: deque[me] > 0 -> deque[me]--; private[me]++ :: else fi }
  :: private[me] == 0 && deque[me] == 0 ->
#endif
     look_for_work();
     if
     :: !got -> break
     :: else
     fi
#ifdef BUG_RING_FORGOTTEN
  :: deque[me] > 0 -> atomic { if :: deque[me] > 0 -> deque[me]--; private[me]++ :: else fi }
#endif
  od;
  atomic {
    for (each : 0 .. WORKERS - 1) { assert(private[each] == 0 && deque[each] == 0) }
    each = 0
  }
}

init {
  byte i = 0;
  atomic {
    private[0] = 1;
    do
    :: i < WORKERS -> run worker(i); i++
    :: else -> break
    od
  }
}
