/* SPDX-License-Identifier: MIT */
/* ages.pml -- epochs, the store barrier and the remembered set (core/ages.h, core/remember.h), for the Spin model checker.
 *
 * OBJECTS objects with one slot each and a root, one mutator's steps in any order and number, collections of any cut that
 * the rules allow, making everything immortal. Checked after each step:
 *
 *   A1      what is older than a cut that may be chosen, and refers to what is not, is listed
 *   safety  nothing that the root reaches refers to what has been freed
 *
 * Collections stop the world and stores happen between safepoints, so every step is atomic here; that the flag of an
 * object which several mutators store to is set by one operation, by the one that lists it, is not modelled.
 *
 * Steps of the model <-> code
 *   allocate       alloc.h: born in the newest epoch, NO_LOG set; its first store needs no barrier (A2)
 *   store          varve_barrier, varve_remember
 *   collect        varve__ages_begin, the mark pass over lists, marking, the fix pass (`needed` in remember.c, with `past` of
 *                  immortal objects), varve__remembered_settle, varve__ages_end
 *   cut, next      what policy_ages.c may choose: any cut above `tenured`, or a full collection; `tenured` never goes
 *                  down but by a full one
 *   floor          varve_heap_make_immortal (A6)
 * Renumbering (varve__ages_merge) and sleep (A5) are left out.
 */
#ifndef OBJECTS
#define OBJECTS 3
#endif
#define EPOCHS 4
#define NONE OBJECTS /* what a slot holds that refers to nothing */

bool used[OBJECTS], flag[OBJECTS], listed[OBJECTS], marked[OBJECTS];
byte epoch[OBJECTS], slot[OBJECTS] = NONE;
byte root = NONE, newest = 1, tenured = 0, floor = 0;

/* ---- the mutator ------------------------------------------------------------------------------------------- */

inline allocate(o) {
  used[o] = true; flag[o] = true; listed[o] = false;
  epoch[o] = newest;
  slot[o] = root; /* varve_init: root is as old or older */
  root = o
}

inline store(o, to) {
#ifndef BUG_NO_BARRIER
  if
  :: !flag[o] -> flag[o] = true; listed[o] = true
  :: else
  fi;
#endif
  slot[o] = to
}

/* ---- a collection ------------------------------------------------------------------------------------------ */

inline visit(o) {
  if
  :: o != NONE && used[o] && epoch[o] >= cut -> marked[o] = true
  :: else
  fi
}

inline mark() {
  visit(root);
  for (i : 0 .. OBJECTS - 1) {
    if :: used[i] && listed[i] && epoch[i] < cut -> visit(slot[i]) :: else fi
  }
  for (n : 1 .. OBJECTS) {
    for (i : 0 .. OBJECTS - 1) { if :: marked[i] -> visit(slot[i]) :: else fi }
  }
}

/* What survives is of one epoch, and remembered no more. */
inline settle_range() {
  for (i : 0 .. OBJECTS - 1) {
    if
    :: used[i] && epoch[i] >= cut && marked[i] ->
       listed[i] = false;
#ifndef BUG_FLAG_NOT_CLEARED
       flag[i] = false;
#endif
#ifndef BUG_STALE_EPOCH
       epoch[i] = cut;
#endif
       marked[i] = false
    :: used[i] && epoch[i] >= cut && !marked[i] ->
       used[i] = false; listed[i] = false; flag[i] = false; epoch[i] = 0; slot[i] = NONE
    :: else
    fi
  }
}

/* Older objects stay listed if a later cut may need to know. */
inline settle_lists() {
  for (i : 0 .. OBJECTS - 1) {
    if
    :: used[i] && listed[i] && epoch[i] < cut ->
#ifdef BUG_IMMORTAL_FORGOTTEN
       past = next;
#else
       if :: epoch[i] < floor -> past = 0 :: else -> past = next fi;
#endif
#ifdef BUG_DROPPED_EARLY
       listed[i] = false; flag[i] = false
#else
       if
       :: slot[i] != NONE && epoch[slot[i]] > past
       :: else -> listed[i] = false; flag[i] = false
       fi
#endif
    :: else
    fi
  }
}

inline collect() {
  mark();
  settle_range();
  settle_lists();
  tenured = next;
  newest = cut + 1
}

/* ---- what must be true ------------------------------------------------------------------------------------- */

/* A cut in tenured + 1 .. newest, or the floor, may be chosen. */
#define PARTED(o, t) \
  ((epoch[t] > tenured && epoch[o] < epoch[t]) || (epoch[o] < floor && epoch[t] >= floor))

inline check() {
  at = root;
  for (i : 0 .. OBJECTS - 1) {
    if
    :: used[i] && slot[i] != NONE && used[slot[i]] -> assert(!PARTED(i, slot[i]) || listed[i])
    :: else
    fi;
    if
    :: at != NONE -> assert(used[at]); at = slot[at]
    :: else
    fi
  }
  at = 0
}

active proctype steps() {
  byte i = 0, n = 0, cut = 0, next = 0, past = 0, o = 0, at = 0;
  do
  :: atomic { /* allocate where nothing is */
       o = 0;
       do :: o < OBJECTS && used[o] -> o++ :: else -> break od;
       if :: o < OBJECTS -> allocate(o) :: else fi;
       o = 0; check()
     }
  :: atomic { /* the mutator can use what the root reaches: here the first two */
       o = root;
       if :: o != NONE && slot[o] != NONE -> o = slot[o] :: true fi;
       if
       :: o != NONE -> store(o, root)
       :: o != NONE -> store(o, NONE)
       :: o != NONE -> root = o
       :: root = NONE
       fi;
       o = 0;
       check()
     }
  :: atomic { /* a partial collection */
       if
       :: tenured < newest && newest < EPOCHS ->
          cut = newest;
          do :: cut > tenured + 1 -> cut-- :: break od;
#ifdef BUG_TENURED_DOWN
          next = floor;
#else
          next = tenured;
#endif
          do :: next < cut -> next++ :: break od;
          collect()
       :: else
       fi;
       cut = 0; next = 0; past = 0; check()
     }
  :: atomic { cut = floor; next = floor; collect(); cut = 0; next = 0; past = 0; check() }
  :: atomic { /* everything, and for the last time */
       floor = 0; cut = 0; next = 0; collect();
       floor = 1; tenured = 1; newest = 2; past = 0; check()
     }
  od
}
