/* SPDX-License-Identifier: MIT */
/* overflow.pml -- marking with a pool of segments that is too small (core/mark.c, mark_stack.c), for the Spin model
 * checker.
 *
 * WORKERS workers mark a graph of N objects in BLOCKS blocks, chosen from a few shapes. An object is white, grey (its
 * start bit is set: claimed, to be scanned) or black (scanned). A worker's entries lie in segments of SIZE entries,
 * which come from a pool of POOL. A claimed object that finds no room is deferred: listed in its block, or, when the
 * list is full, the block is noted as a whole. When all are through, and something was deferred, the workers give their
 * segments back, collect what is listed, each block by one of them, and mark again. How they find work of each other,
 * and the end of one round, is termination.pml.
 *
 *   here              there
 *   claim             fetch_or of the start bit in mark_loop.c, varve__mark_defer
 *   defer             varve__mark_defer: list_word, list_all
 *   collect           collect_deferred_worker: collect_listed, collect_all
 *   leader            varve__mark_finish
 *
 * Checked: every object that is reachable is scanned, none twice; each round scans something, so that there are no more
 * rounds than objects; when it is over nothing is listed.
 * Seeded bugs: BUG_LIST_TORN, BUG_ALL_LOST, BUG_CLEARED_LATE, BUG_KEEP_SEGMENTS, BUG_LEFT_FORGOTTEN, BUG_NO_CLAIM,
 * BUG_COLLECT_EARLY. Run it with tests/spin/run.
 */

#define WORKERS 2
#define N 6
#define BLOCKS 2
#define LIST 1
#define ALL 9
#ifndef POOL
#define POOL 1
#endif
#ifndef SIZE
#define SIZE 1
#endif
#define WHITE 0
#define GREY 1
#define BLACK 2

#define block(o) ((o) % BLOCKS)

byte state[N];
byte scanned = 0;       /* bit o: o has been */
byte kids[N];          /* bit k: a reference to k */
byte entries[WORKERS]; /* bit o: o is on the stack */
byte count[WORKERS];   /* entries */
byte held[WORKERS];    /* segments */
byte pool = POOL;
byte pending[BLOCKS];  /* entries of the list, or ALL */
byte listed[BLOCKS];   /* LIST being 1: the entry */
byte next_block = 0;
bool overflowed = false;
byte order = 0;        /* odd: mark; even, from 2 on: collect */
byte through = 0;
bool over = false;

/* `room`: there is a place for an entry, by taking a segment if need be. */
inline make_room() {
  atomic {
    room = count[me] < held[me] * SIZE;
    if
    :: !room && pool > 0 -> pool--; held[me]++; room = true
    :: else
    fi
  }
}

inline push(o) {
  entries[me] = entries[me] | (1 << o);
  count[me]++
}

inline defer(o) {
  d_step { at = pending[block(o)] };
  do
  :: at >= LIST ->
#ifndef BUG_ALL_LOST
     pending[block(o)] = ALL;
#endif
     break
#ifdef BUG_LIST_TORN
  :: at < LIST -> pending[block(o)] = at + 1; listed[block(o)] = o; break
#else
  :: atomic { at < LIST && pending[block(o)] == at -> pending[block(o)] = at + 1 }; listed[block(o)] = o; break
  :: atomic { at < LIST && pending[block(o)] != at -> at = pending[block(o)] }
#endif
  od;
  overflowed = true
}

inline enter(o) {
#ifdef BUG_NO_CLAIM
  claimed = (state[o] == WHITE);
  if :: claimed -> state[o] = GREY :: else fi;
#else
  atomic { claimed = (state[o] == WHITE); if :: claimed -> state[o] = GREY :: else fi };
#endif
  if
  :: claimed ->
     make_room();
     if
     :: room -> push(o)
     :: else -> defer(o)
     fi
  :: else
  fi
}

inline scan(o) {
  atomic {
    entries[me] = entries[me] & ~(1 << o);
    count[me]--;
    assert(state[o] == GREY && !(scanned & (1 << o)));
    scanned = scanned | (1 << o);
    state[o] = BLACK
  };
  kid = 0;
  do
  :: kid < N ->
     if
     :: kids[o] & (1 << kid) -> enter(kid)
     :: else
     fi;
     kid++
  :: else -> break
  od
}

inline drain() {
  do
  :: count[me] > 0 ->
     atomic { object = 0; do :: !(entries[me] & (1 << object)) -> object++ :: else -> break od };
     scan(object)
  :: else -> break
  od
}

inline try_push(o) {
  make_room();
  if
  :: room -> push(o)
  :: else -> left = true
  fi
}

inline collect_all(b) {
  object = b;
  left = false;
  do
  :: object < N && !left ->
     if
     :: state[object] == GREY -> try_push(object)
     :: else
     fi;
     object = object + BLOCKS
  :: else -> break
  od;
#ifdef BUG_LEFT_FORGOTTEN
  left = false;
#endif
  pending[b] = (left -> ALL : 0);
  if :: left -> overflowed = true :: else fi
}

inline collect_listed(b) {
  left = false;
  try_push(listed[b]);
  if
  :: left -> overflowed = true
  :: else -> pending[b] = 0
  fi
}

inline collect() {
  do
  :: atomic { next_block < BLOCKS -> taken = next_block; next_block++ };
     if
     :: pending[taken] == ALL -> collect_all(taken)
     :: pending[taken] == LIST -> collect_listed(taken)
     :: else
     fi
  :: next_block >= BLOCKS -> break
  od
}

proctype worker(byte me) {
  byte object = 0, kid = 0, at = 0, taken = 0, seen = 0;
  bool room = false, claimed = false, left = false;
  do
  :: order != seen ->
     seen = order;
     if
     :: seen % 2 == 1 ->
        if
        :: seen == 1 -> enter(me) /* a root each */
        :: else
        fi;
        drain()
     :: else -> collect()
     fi;
     through++
  :: over -> break
  od
}

inline run_workers() {
  through = 0;
  order++;
#ifdef BUG_COLLECT_EARLY
  through >= 1
#else
  through == WORKERS
#endif
}

inline give_segments() {
  atomic {
#ifndef BUG_KEEP_SEGMENTS
    pool = POOL;
    held[0] = 0;
    held[1] = 0
#else
    skip
#endif
  }
}

/* Both roots are objects 0 and 1; every object is reachable in every shape. */
inline choose_graph() {
  if
  :: kids[0] = 60; kids[1] = 60; kids[2] = 8               /* both to all others */
  :: kids[0] = 12; kids[1] = 48                            /* two each */
  :: kids[0] = 4; kids[1] = 8; kids[2] = 48; kids[3] = 48  /* two lists that meet twice */
  :: kids[0] = 60; kids[1] = 1; kids[5] = 3                /* one to all, and back */
  fi
}

init {
  byte rounds = 0, i = 0;
  atomic { choose_graph(); run worker(0); run worker(1) };
  run_workers();
  do
  :: overflowed ->
     rounds++;
     assert(rounds <= N);
     give_segments();
#ifndef BUG_CLEARED_LATE
     overflowed = false;
#endif
     next_block = 0;
     run_workers();
#ifdef BUG_CLEARED_LATE
     overflowed = false;
#endif
     run_workers()
  :: else -> break
  od;
  atomic {
    over = true;
    do
    :: i < N -> assert(state[i] == BLACK); i++
    :: else -> break
    od;
    assert(pending[0] == 0 && pending[1] == 0)
  }
}
