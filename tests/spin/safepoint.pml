/* SPDX-License-Identifier: MIT */
/* safepoint.pml -- the safepoint protocol of core/safepoint.c, for the Spin model checker.
 *
 * What is checked, over every interleaving of MUTATORS threads that do up to OPS operations each, one of which
 * attaches in the middle, and which all detach in the end:
 *
 *   assertions       nobody touches the heap or takes memory while the collector is in its collect section (S2);
 *                    no fast path succeeds after the poke of a stop (S1); no allocation in a retired TLAB (A1);
 *                    a request is served by a collection that began after it, and collapses with others.
 *   end states       nobody sleeps for ever: futexes are modelled as compare-and-sleep and wake-all.
 *   LTL (-DLIVE)     a wanted stop comes although the others allocate for ever (weak fairness).
 *
 * Steps of the model <-> code
 *   stop, sleepers       the heap's stop word: odd while a stop is wanted or in force; the futex of the parked, and
 *                        how many may sleep on it
 *   arrivals, stopper_sleeps  the futex word of the stopper, and whether it may sleep
 *   collector, losers    the collector word, here 0 or HELD (help.pml has the rest), and how many may sleep on it
 *   registry             the lock of the list of mutators
 *   state, limit, cursor, tlab_end   fields of a mutator; limit is the only one that others write while it runs
 *   wait_for_resume, notify (notify_arrival), leave_running, return_to_running, restore_limit, park, native_enter,
 *   native_leave, stop_world, take_collector, release_collector    the functions of these names in safepoint.c
 *   wait_for_mutators    wait_for_arrivals
 *   resume_world         varve__safepoint_resume
 *   request              varve__safepoint_stop, and varve__collect around it
 *   collect              what collect.c does between stop and resume: every TLAB is retired first
 *   allocate, refill     the inline path of alloc.h, and the refill of alloc.c; the block pool stands for the heap
 *   attach, detach       the functions of mutator.c
 * Bounded spinning before a sleep is left out: it adds looks, no transitions.
 *
 * Every shared access here is one step and sequentially consistent, as in the code. The one relaxed access is the
 * fast path's load of limit: it may be old, so the assertion about the poke stands at the load itself, and what
 * follows the load counts as before the stop. -DBUG_NO_FENCE shows what a relaxed store of limit would do.
 *
 * What the model taught:
 *   A thread that waits for the registry lock must not count as RUNNING (-DBUG_DETACH_RUNNING). The same holds for
 *   every other lock that the collector holds while it waits for mutators.
 *   A loser waits for the collector word in PARKED (-DBUG_LOSER_RUNNING), and looks at the collection count also after
 *   the word is its own (-DBUG_NO_COLLAPSE): since its last look a collection may have served it.
 *   restore_limit need not park when it finds stop odd: its thread is RUNNING, so the stop cannot be complete, and the
 *   limit that it leaves at 0 makes the next allocation or poll park.
 *
 * Run it with tests/spin/run; every -DBUG_x below must be found.
 */

#ifndef MUTATORS
#define MUTATORS 3
#endif
#ifndef OPS
#define OPS 2
#endif

#define EMPTY 8           /* the limit of a mutator without a TLAB */
#define TLAB_START 10
#define TLAB_END 11       /* room for one object */
#define ODD(word) ((word) % 2 == 1)
#define NEXT(word) (((word) + 1) % 8)     /* of a word that is only compared for equality */
#define NEXT_STOP(word) (1 - (word))      /* only the parity matters: who compares an old odd value sleeps as well */

mtype = { ABSENT, RUNNING, NATIVE, PARKED };

byte stop = 0;
byte arrivals = 0;
bit collector = 0;
bit registry = 0;
byte sleepers = 0, losers = 0;
bit stopper_sleeps = 0;
byte collections = 0;

mtype state[MUTATORS] = ABSENT;
byte limit[MUTATORS] = EMPTY;
byte tlab_end[MUTATORS] = EMPTY;
byte cursor[MUTATORS] = TLAB_START;

/* Ghosts: what the assertions are about. */
bool collecting = false;
bool in_heap[MUTATORS];
bool fresh[MUTATORS];        /* the TLAB was taken after the last collection */
bool poked[MUTATORS];        /* the stop in force has written this limit */
bool asleep[MUTATORS];       /* in futex_wait on stop */
bool losing[MUTATORS];       /* in futex_wait on collector */
bool stopper_asleep = false; /* in futex_wait on arrivals */

inline lock(word) { atomic { word == 0 -> word = 1 } }
inline unlock(word) { word = 0 }

inline touch() {
  atomic { in_heap[me] = true; assert(!collecting) }
  in_heap[me] = false
}

/* ---- sleeping ---------------------------------------------------------------------------------------------- */

/* Tell the stopper that a state changed; wake it if it may sleep. */
inline notify() {
#ifdef BUG_NOTIFY_LOOKS_FIRST
  if
  :: stopper_sleeps -> arrivals = NEXT(arrivals); stopper_asleep = false
  :: else -> arrivals = NEXT(arrivals)
  fi
#else
#ifndef BUG_NOTIFY_NO_COUNT
  arrivals = NEXT(arrivals);
#endif
  if
  :: stopper_sleeps -> stopper_asleep = false
  :: else
  fi
#endif
}

/* Sleep until stop is even. A sleeper counts itself, then compares; resume changes stop, then looks at the count. */
inline wait_for_resume() {
  do
  :: seen = stop;
     if
     :: !ODD(seen) -> break
     :: else ->
        sleepers++;
#ifdef BUG_FUTEX_NO_COMPARE
        asleep[me] = true;
#else
        atomic { if :: stop == seen -> asleep[me] = true :: else fi }
#endif
        !asleep[me];
        sleepers--
     fi
  od
}

/* ---- the owner --------------------------------------------------------------------------------------------- */

inline leave_running(how) {
#ifdef BUG_NOTIFY_EARLY
  if
  :: ODD(stop) -> notify()
  :: else
  fi;
  state[me] = how
#else
  state[me] = how;
  if
  :: ODD(stop) -> notify()
  :: else
  fi
#endif
}

inline return_to_running(how) {
  do
  :: wait_for_resume();
     state[me] = RUNNING;
#ifdef BUG_RESUME_NO_RECHECK
     break
#else
     if
     :: !ODD(stop) -> break
     :: else -> leave_running(how)
     fi
#endif
  od
}

/* It may leave the limit poked: then the next allocation or poll parks. */
inline restore_limit() {
#ifdef BUG_NO_FENCE
  seen = stop;
  mine = tlab_end[me];
  limit[me] = mine;
#else
  mine = tlab_end[me];
  limit[me] = mine;
  seen = stop;
#endif
#ifndef BUG_LOST_POKE
  if
  :: ODD(seen) -> limit[me] = 0
  :: else
  fi
#endif
}

inline park() {
  if
  :: ODD(stop) ->
     leave_running(PARKED);
     return_to_running(PARKED)
  :: else
  fi;
  restore_limit()
}

/* Take a block from the pool; the first object comes with it. */
inline refill() {
  touch();
  atomic { fresh[me] = true; cursor[me] = TLAB_START; tlab_end[me] = TLAB_END };
  restore_limit()
}

inline allocate() {
  atomic { mine = limit[me]; assert(!(poked[me] && cursor[me] + 1 <= mine)) };
  if
  :: cursor[me] + 1 <= mine ->
     atomic { assert(fresh[me]); cursor[me] = cursor[me] + 1 }
  :: else ->
     park();
     refill()
  fi;
  touch()
}

inline poll() {
  if
  :: limit[me] == 0 -> park()
  :: else
  fi
}

inline native_enter() { leave_running(NATIVE) }

inline native_leave() {
  state[me] = RUNNING;
#ifndef BUG_NATIVE_LEAVE_NO_RECHECK
  if
  :: ODD(stop) ->
#ifdef BUG_NATIVE_LEAVE_NO_NOTIFY
     state[me] = NATIVE;
#else
     leave_running(NATIVE);
#endif
     return_to_running(NATIVE)
  :: else
  fi;
#endif
  restore_limit()
}

inline attach() {
#ifndef BUG_ATTACH_NO_LOCK
  lock(registry);
#endif
  tlab_end[me] = EMPTY;
  limit[me] = EMPTY;
  state[me] = RUNNING;
#ifndef BUG_ATTACH_NO_LOCK
  unlock(registry)
#endif
}

inline detach() {
#ifndef BUG_DETACH_RUNNING
  native_enter();
#endif
  lock(registry);
  tlab_end[me] = EMPTY;
  state[me] = ABSENT;
  unlock(registry)
}

/* ---- the stopper ------------------------------------------------------------------------------------------- */

/* Wait until every other mutator has stopped; `each` walks the list. */
inline wait_for_mutators() {
  do
  :: mine = arrivals;
     each = 0;
     do
     :: each == MUTATORS -> break
     :: each < MUTATORS ->
        if
        :: each != me && state[each] == RUNNING -> break
        :: else -> each++
        fi
     od;
     if
     :: each == MUTATORS -> break
     :: else ->
#ifdef BUG_SLEEP_UNCOUNTED
        atomic { if :: arrivals == mine -> stopper_asleep = true :: else fi };
        stopper_sleeps = 1;
#else
        stopper_sleeps = 1;
        atomic { if :: arrivals == mine -> stopper_asleep = true :: else fi };
#endif
        !stopper_asleep;
        stopper_sleeps = 0
     fi
  od;
  each = 0;
  mine = 0;
  arrivals = 0 /* the count itself means nothing between stops: fewer states */
}

inline stop_world() {
  state[me] = PARKED;
  lock(registry);
#ifndef BUG_POKE_BEFORE_STOP
  stop = NEXT_STOP(stop);
#endif
  each = 0;
  do
  :: each < MUTATORS ->
     atomic {
       if
       :: each != me && state[each] != ABSENT -> limit[each] = 0; poked[each] = true
       :: else
       fi
     };
     each++
  :: else -> break
  od;
#ifdef BUG_POKE_BEFORE_STOP
  stop = NEXT_STOP(stop);
#endif
  wait_for_mutators()
}

/* The collect section: others are still, every TLAB is retired. */
inline collect() {
  atomic {
    collecting = true;
    for (each : 0 .. MUTATORS - 1) { assert(!in_heap[each]) }
    each = 0
  };
  do
  :: each < MUTATORS ->
     atomic {
       if :: state[each] != ABSENT -> tlab_end[each] = EMPTY; fresh[each] = false :: else fi;
       each++
     }
  :: else -> break
  od;
  atomic {
    for (each : 0 .. MUTATORS - 1) { assert(!in_heap[each]) }
    each = 0;
    collections++;
    collecting = false
  }
}

inline wake_sleepers() {
  if
  :: sleepers > 0 ->
     atomic {
       for (each : 0 .. MUTATORS - 1) { asleep[each] = false }
       each = 0
     }
  :: else
  fi
}

inline resume_world() {
#ifdef BUG_WAKE_BEFORE_STOP
  wake_sleepers();
#endif
  atomic {
    for (each : 0 .. MUTATORS - 1) { poked[each] = false }
    each = 0;
    stop = NEXT_STOP(stop)
  };
#ifndef BUG_WAKE_BEFORE_STOP
  wake_sleepers();
#endif
  state[me] = RUNNING;
  unlock(registry);
  release_collector();
  restore_limit()
}

inline release_collector() {
  collector = 0;
  if
#ifdef BUG_RELEASE_NO_WAKE
  :: true
#else
  :: losers > 0 -> atomic { for (each : 0 .. MUTATORS - 1) { losing[each] = false } each = 0 }
  :: else
#endif
  fi
}

/* Until the collector word is ours, `got`, or a collection has served us. */
inline wait_for_collector() {
  do
  :: collections != wanted -> break
  :: else ->
     if
     :: atomic { collector == 0 -> collector = 1; got = true }; break
     :: atomic { collector == 1 -> losers++ };
        atomic { if :: collector == 1 -> losing[me] = true :: else fi };
        !losing[me];
        losers--
     fi
  od
}

/* Losers wait in PARKED, so that the winner does not wait for them. */
inline take_collector() {
  if
  :: atomic { collector == 0 -> collector = 1; got = true }
  :: atomic { collector == 1 -> got = false };
#ifndef BUG_LOSER_RUNNING
     leave_running(PARKED);
#endif
     wait_for_collector();
     return_to_running(PARKED)
  fi
}

/* Ask for a collection; come back when one has begun and ended after the request. */
inline request() {
  wanted = collections;
  take_collector();
  if
#ifndef BUG_NO_COLLAPSE
  :: !got || collections != wanted ->
     if
     :: got -> release_collector()
     :: else
     fi;
     park()
  :: else ->
#else
  :: !got -> park()
  :: else ->
#endif
     stop_world();
     assert(collections == wanted);
     collect();
     resume_world()
  fi;
  assert(collections != wanted);
  wanted = 0;
  got = false
}

/* ---- the threads ------------------------------------------------------------------------------------------- */

#ifndef LIVE

proctype mutator(byte me) {
  byte seen = 0, mine = 0, each = 0, wanted = 0, ops = 0;
  bool got = false;
  if
  :: state[me] == ABSENT -> attach()
  :: else
  fi;
  do
  :: ops < OPS ->
     ops++;
     if /* "true", because an else that stands first in a branch would weigh all branches */
     :: true -> allocate()
     :: true -> poll(); touch()
     :: true -> native_enter(); native_leave(); touch()
     :: true -> request(); touch()
     fi;
     seen = 0; mine = 0
  :: true -> break
  od;
  detach()
}

init {
  byte i = 0;
  atomic {
    do
    :: i < MUTATORS - 1 -> state[i] = RUNNING; i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < MUTATORS -> run mutator(i); i++
    :: else -> break
    od
  }
}

#else /* one thread allocates for ever, one goes in and out of native state, one asks once */

proctype allocator(byte me) {
  byte seen = 0, mine = 0;
end:
  do
  :: allocate(); cursor[me] = TLAB_START /* an endless TLAB: nothing but the poke ends the fast path */
  od
}

proctype requester(byte me) {
  byte seen = 0, mine = 0, each = 0, wanted = 0;
  bool got = false;
  request();
  detach()
}

proctype native(byte me) {
  byte seen = 0, mine = 0;
end:
  do
  :: native_enter(); native_leave()
  od
}

init {
  atomic {
    state[0] = RUNNING; state[1] = RUNNING; state[2] = RUNNING;
    run allocator(0); run requester(1); run native(2)
  }
}

ltl stops { [] (ODD(stop) -> <> !ODD(stop)) }

#endif
