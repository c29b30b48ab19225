/* SPDX-License-Identifier: MIT */
/* help.pml -- mutators that help the collector (core/safepoint.c, core/worker.c), for the Spin model checker.
 *
 * What is checked, over every interleaving of MUTATORS threads that each ask for a collection once, with room for
 * HELPERS helpers. Before that, the first may verify, and the second may poll or be native for a while:
 *
 *   assertions   a helper is not RUNNING, and there is none when the world runs (S4, S5); two never hold the same
 *                ticket; a pause's team carries out each order once; nobody's order is of another pause; a request is
 *                served.
 *   end states   nobody sleeps for ever: futexes are modelled as compare-and-sleep and wake-all (S6).
 *
 * Steps of the model <-> code
 *   held, room, taken    the collector word, WORD; what the code does to it in one operation is one atomic step here
 *   losers, sleepers, stopper_sleeps, order_sleeps, waiting   counts of sleepers beside the quiet words
 *   park_quietly, wake   varve__park_quietly and park_wake_quietly (core/base/park.h)
 *   help, wait_for_resume, notify (notify_arrival), make_room, close_roll, take_collector, resume_world
 *                        the functions of these names in safepoint.c
 *   serve                varve__worker_help and serve of worker.c, for one ticket
 *   run_team, dismiss    varve__workers_run and varve__workers_dismiss
 * TLABs and limits are in safepoint.pml; here every mutator comes to its safepoint by itself. Bounded spinning is left
 * out. Every shared access is one step and sequentially consistent.
 *
 * What the model taught:
 *   Helpers must have said that they leave before the word is 0 (-DBUG_NO_LEAVE_REPORT): a straggler would take the
 *   order of the next pause's holder of the same ticket.
 *   The roll is closed and counted in one operation (-DBUG_CLOSE_LATE), also where no team is wanted
 *   (-DBUG_VERIFY_FORGETS), and all who enlisted are dismissed, not the team only (-DBUG_DISMISS_TEAM_ONLY).
 *   A holder that finds itself served must wake the losers though it stopped nobody (-DBUG_SERVED_NO_WAKE).
 * That room is made before `stop` is odd, and losers are woken for it, only makes more helpers come: nothing here can
 * miss it.
 */

#ifndef MUTATORS
#define MUTATORS 3
#endif
#ifndef HELPERS
#define HELPERS 2
#endif
#define ODD(word) ((word) % 2 == 1)
#define NEXT(word) (((word) + 1) % 8)     /* of a word that is only compared; fewer than 8 arrive in a stop */
#define WORD (held + 2 * room + 16 * taken)
#define NO_ORDER 0
#define LEAVE 9

mtype = { RUNNING, NATIVE, PARKED };

bit stop = 0;
byte arrivals = 0, collections = 0;
bit held = 0, registry = 0;
byte room = 0, taken = 0;
byte losers = 0, sleepers = 0;
bit stopper_sleeps = 0, waiting = 0;
byte order[HELPERS + 1] = NO_ORDER;  /* by ticket */
bit order_sleeps[HELPERS + 1] = 0;
byte left = 0;
mtype state[MUTATORS] = RUNNING;

/* Who is in a futex wait. */
bool on_stop[MUTATORS], on_word[MUTATORS], on_order[HELPERS + 1];
bool on_arrivals = false, on_left = false;

/* Ghosts. */
bool collecting = false;
bool enlisted[MUTATORS];
byte done[HELPERS + 1] = 0;          /* orders carried out in this run, by index */

/* ---- sleeping ---------------------------------------------------------------------------------------------- */

#ifdef BUG_LOOK_BEFORE_COUNT
/* The second look before the count goes up; the kernel's compare is left out, it would hide this. */
#define PARK_QUIETLY(count, same, flag) \
  if :: same -> count++; flag = true; !flag; count-- :: else fi
#else
#define PARK_QUIETLY(count, same, flag) \
  count++; \
  atomic { if :: same -> flag = true :: else fi }; \
  !flag; \
  count--
#endif

inline wake_word() {
  if
  :: losers > 0 -> atomic { for (each : 0 .. MUTATORS - 1) { on_word[each] = false } each = 0 }
  :: else
  fi
}

inline wake_stop() {
  if
  :: sleepers > 0 -> atomic { for (each : 0 .. MUTATORS - 1) { on_stop[each] = false } each = 0 }
  :: else
  fi
}

inline notify() {
  arrivals = NEXT(arrivals);
  if
  :: stopper_sleeps -> on_arrivals = false
  :: else
  fi
}

/* ---- helping ----------------------------------------------------------------------------------------------- */

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
  :: order[ticket] != NO_ORDER -> break
  :: else -> PARK_QUIETLY(order_sleeps[ticket], order[ticket] == NO_ORDER, on_order[ticket])
  od;
  atomic { mine = order[ticket]; order[ticket] = NO_ORDER }
}

inline serve() {
  do
  :: take_order();
     if
     :: mine == LEAVE -> break
     :: else ->
        atomic { assert(collecting && state[me] != RUNNING); done[mine]++; assert(done[mine] == 1) };
        report()
     fi
  od;
#ifndef BUG_NO_LEAVE_REPORT
  atomic { enlisted[me] = false; assert(ODD(stop)) };
  report()
#else
  enlisted[me] = false
#endif
}

/* One compare-and-swap; `helped` says whether there was room. */
inline help() {
  helped = false;
#ifdef BUG_NO_SWAP /* the ticket is what was read before */
  mine = taken;
  if
  :: room > 0 ->
     atomic {
       if :: room > 0 -> room-- :: else fi;
       taken = mine + 1; ticket = taken; helped = true; enlisted[me] = true
     }
  :: else
  fi;
#else
  atomic {
    if
    :: room > 0 ->
       room--; taken++; ticket = taken;
       helped = true;
       assert(state[me] != RUNNING && !enlisted[me]);
       enlisted[me] = true
    :: else
    fi
  };
#endif
  if
  :: helped -> serve(); ticket = 0
  :: else
  fi
}

/* ---- the owner --------------------------------------------------------------------------------------------- */

inline leave_running(how) {
  state[me] = how;
  if
  :: ODD(stop) -> notify()
  :: else
  fi
}

inline wait_for_resume() {
  do
  :: !ODD(stop) -> break
  :: else ->
     help();
     if
     :: helped
     :: else -> PARK_QUIETLY(sleepers, ODD(stop), on_stop[me])
     fi
  od
}

inline return_to_running(how) {
  do
  :: wait_for_resume();
     atomic { state[me] = RUNNING; assert(!enlisted[me]) };
     if
     :: !ODD(stop) -> break
     :: else -> leave_running(how)
     fi
  od
}

inline park() {
  if
  :: ODD(stop) -> leave_running(PARKED); return_to_running(PARKED)
  :: else
  fi
}

inline touch() { assert(!collecting && state[me] == RUNNING) }

/* ---- the collector word ------------------------------------------------------------------------------------ */

inline make_room() {
  atomic { room = HELPERS; taken = 0 };
  wake_word()
}

/* `helpers`: the tickets given until now. */
inline close_roll() {
#ifdef BUG_CLOSE_LATE
  helpers = taken;
  room = 0
#else
  atomic { room = 0; helpers = taken }
#endif
}

inline release_collector() {
  atomic { assert(held); held = 0; room = 0; taken = 0 };
  wake_word()
}

/* `got`: the word is ours. A loser is PARKED. */
inline try_collector() {
  atomic { if :: !held -> held = 1; got = true :: else fi }
}

inline wait_for_collector() {
  do
  :: word = WORD;
     if
     :: collections != wanted -> break
     :: else
     fi;
     help();
     if
     :: helped
     :: else ->
        if
        :: word == 0 -> try_collector(); if :: got -> break :: else fi
        :: word != 0 -> PARK_QUIETLY(losers, word == WORD, on_word[me])
        fi
     fi
  od;
  word = 0
}

inline take_collector() {
  got = false;
  try_collector();
  if
  :: got
  :: else -> leave_running(PARKED); wait_for_collector(); return_to_running(PARKED)
  fi
}

/* ---- a pause ----------------------------------------------------------------------------------------------- */

inline wait_for_mutators() {
  do
  :: mine = arrivals;
     each = 0;
     do
     :: each < MUTATORS && (each == me || state[each] != RUNNING) -> each++
     :: else -> break
     od;
     if
     :: each == MUTATORS -> break
     :: else -> PARK_QUIETLY(stopper_sleeps, arrivals == mine, on_arrivals)
     fi
  od;
  atomic { each = 0; mine = 0; arrivals = 0 }
}

inline wait_for_reports() {
  do
  :: mine = left;
     if
     :: mine == 0 -> break
     :: else -> PARK_QUIETLY(waiting, left == mine, on_left)
     fi
  od;
  mine = 0
}

inline give(what) {
  each = 1;
  do
  :: each <= team ->
     atomic {
       assert(order[each] == NO_ORDER);
       if :: what == LEAVE -> order[each] = LEAVE :: else -> order[each] = each fi
     };
     if
     :: order_sleeps[each] -> on_order[each] = false
     :: else
     fi;
     each++
  :: else -> break
  od;
  each = 0
}

inline run_team() {
  if
  :: team > 0 -> left = team; give(1); wait_for_reports()
  :: else
  fi;
  atomic {
    for (each : 1 .. HELPERS) { assert(done[each] == (each <= team -> 1 : 0)); done[each] = 0 }
    each = 0
  }
}

inline stop_world() {
  state[me] = PARKED;
  make_room();
  stop = 1;
  wait_for_mutators();
  collecting = true
}

inline resume_world() {
#ifdef BUG_VERIFY_FORGETS
  if :: verifying -> helpers = 0 :: else -> close_roll() fi;
#else
#ifdef BUG_DISMISS_TEAM_ONLY
  helpers = team;
#else
  close_roll();
#endif
#endif
  if
  :: helpers > 0 -> team = helpers;
#ifdef BUG_NO_LEAVE_REPORT
     give(LEAVE)
#else
     left = helpers; give(LEAVE); wait_for_reports()
#endif
  :: else
  fi;
  atomic {
    collecting = false; stop = 0; team = 0; helpers = 0;
#ifndef BUG_NO_LEAVE_REPORT
    for (each : 0 .. MUTATORS - 1) { assert(!enlisted[each]) }
#endif
    each = 0
  };
  wake_stop();
  state[me] = RUNNING;
  release_collector()
}

/* The policy wants at most `most`; more may have enlisted. */
inline collect() {
  close_roll();
  if
  :: team = helpers
  :: helpers > 1 -> team = 1
  fi;
  run_team();
  collections++
}

inline request() {
  wanted = collections;
  take_collector();
  if
  :: got && collections == wanted ->
     stop_world();
     if
     :: verifying
     :: else -> collect()
     fi;
     resume_world();
     assert(verifying || collections != wanted)
  :: else ->
     assert(collections != wanted);
     if
#ifdef BUG_SERVED_NO_WAKE
     :: got -> atomic { held = 0 }
#else
     :: got -> release_collector()
#endif
     :: else
     fi;
     park()
  fi;
  wanted = 0; got = false
}

/* ---- the threads ------------------------------------------------------------------------------------------- */

proctype mutator(byte me) {
  byte mine = 0, each = 0, wanted = 0, ticket = 0, team = 0, helpers = 0, word = 0;
  bool helped = false, got = false, last = false, verifying = false;
  if
  :: me == 1 -> park(); touch()
  :: me == 1 -> leave_running(NATIVE); state[me] = RUNNING;
     if
     :: ODD(stop) -> leave_running(NATIVE); return_to_running(NATIVE)
     :: else
     fi;
     touch()
  :: me == 0 -> verifying = true; request(); verifying = false; touch()
  :: true
  fi;
  helped = false;
  request();
  touch();
  helped = false;
  leave_running(NATIVE) /* detached */
}

init {
  byte i = 0;
  atomic { do :: i < MUTATORS -> run mutator(i); i++ :: else -> break od }
}
