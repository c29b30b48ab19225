/* SPDX-License-Identifier: MIT */
/* keyed.pml -- who fires an ephemeron (core/ephemeron.c, Races): its registrar, or whoever marks its key, for the Spin
 * model checker.
 *
 * Entry e has key KEY(e), and its value is the object e + 1; key 0 is marked or not. What is checked, over every
 * interleaving of a registrar for each entry and of a marker: when all are done, the value of each entry whose key is
 * marked is marked, and nothing else is.
 *
 * Steps of the model <-> code
 *   marked    the start bit of an object            flag   VARVE_ABI_FLAG_KEYED in its first byte
 *   list      the entries pushed onto a key's list; a push is one compare-and-swap
 *   mark      claim, then survive_keyed (mark_loop.c), whoever has the object on its stack
 *   enter     wait_for_key and what varve__ephemerons_enter does when it returns false
 *   todo      the worker's mark stack
 * A flag may stand from an earlier pause (X5). Every shared access is one step and sequentially consistent; that the
 * code's weaker orders suffice is argued in ephemeron.c.
 */
#define ENTRIES 3
#define OBJECTS (ENTRIES + 1)
#define KEY(e) (e == 2 -> 1 : e) /* two entries wait for object 1 */

bool marked[OBJECTS], flag[OBJECTS];
byte list[OBJECTS];  /* bit e: entry e is in it */
byte running = 0;

inline mark(o) {
#ifdef BUG_FLAG_TAKEN_FIRST
  atomic { waits = flag[o]; flag[o] = false };
  atomic { if :: !marked[o] -> marked[o] = true :: else -> waits = false fi };
#else
  atomic { won = !marked[o]; marked[o] = true };
  if
  :: won -> atomic { waits = flag[o]; flag[o] = false }
  :: else -> waits = false
  fi;
#endif
  if
  :: waits ->
     walk = list[o];
     e = 0;
     do
     :: e < ENTRIES -> if :: walk & (1 << e) -> todo = todo | (1 << (e + 1)) :: else fi; e++
     :: else -> break
     od
  :: else
  fi;
  won = false; waits = false; walk = 0; e = 0
}

inline drain() {
  o = 0;
  do
  :: todo == 0 -> break
  :: todo & (1 << o) -> todo = todo - (1 << o); mark(o); o = 0
  :: todo != 0 && !(todo & (1 << o)) -> o++
  od;
  o = 0
}

/* One worker that has come to an entry. */
proctype registrar(byte mine) {
  byte todo = 0, o = 0, e = 0, walk = 0;
  bool won = false, waits = false, late = false;
  if
  :: marked[KEY(mine)] -> todo = 1 << (mine + 1)
  :: else ->
#ifdef BUG_LOOK_FIRST
     late = marked[KEY(mine)];
#endif
#ifdef BUG_FLAG_BEFORE_PUSH
     flag[KEY(mine)] = true;
     late = marked[KEY(mine)];
     list[KEY(mine)] = list[KEY(mine)] | (1 << mine);
#else
     list[KEY(mine)] = list[KEY(mine)] | (1 << mine);
     flag[KEY(mine)] = true;
#endif
#if !defined(BUG_LOOK_FIRST) && !defined(BUG_NO_SECOND_LOOK) && !defined(BUG_FLAG_BEFORE_PUSH)
     late = marked[KEY(mine)];
#endif
     if
     :: late -> todo = 1 << (mine + 1)
     :: else
     fi
  fi;
  drain();
  running--
}

proctype marker() {
  byte todo = 0, o = 0, e = 0, walk = 0;
  bool won = false, waits = false;
  if
  :: todo = 1
  :: skip
  fi;
  drain();
  running--
}

init {
  byte i = 0;
  atomic {
    if :: flag[0] = true :: flag[1] = true :: skip fi;
    running = ENTRIES + 1;
    run marker();
    do :: i < ENTRIES -> run registrar(i); i++ :: else -> break od;
    i = 0
  };
  running == 0;
  do
  :: i < ENTRIES -> assert(marked[i + 1] == marked[KEY(i)]); i++
  :: else -> break
  od
}
