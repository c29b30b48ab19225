/* SPDX-License-Identifier: MIT */
/* runtime_boehm.c -- Boehm's collector, set up as well as its documentation lets these programs: all of the heap from
 * the start, parallel marking, and inside the heap only pointers to an object's start count, which saves the extra byte
 * that would double a node of 16 bytes. (From a stack or a register, pointers into an object count all the same.)
 *
 * A collection is timed from its start to its end, and a pause while the world is stopped. Sweeping is lazy: it is done
 * later, by who allocates, and not in these figures. */
#define GC_THREADS
#include <gc.h>

#include "../varve/harness.h"

const bool runtime_collects = true;

static uint64_t collection_began, pause_began;

/* The collector's lock is held. */
static void GC_CALLBACK on_event(GC_EventType event) {
  uint64_t now = harness_now_ns();
  if (event == GC_EVENT_START) collection_began = now;
  else if (event == GC_EVENT_PRE_STOP_WORLD) pause_began = now;
  else if (event == GC_EVENT_POST_START_WORLD) harness_pause(now - pause_began);
  else if (event == GC_EVENT_END) harness_collection(now - collection_began);
}

void runtime_open(const struct request *request) {
  GC_set_all_interior_pointers(0);
  GC_set_warn_proc(GC_ignore_warn_proc);
  if (request->heap) GC_set_max_heap_size(request->heap);
  GC_INIT();
  GC_start_mark_threads();
  size_t now = GC_get_heap_size();
  if (request->heap > now && !GC_expand_hp(request->heap - now))
    harness_quit(EXIT_MEMORY, "out of memory at the start");
  GC_set_on_collection_event(on_event);
}
