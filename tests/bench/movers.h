/* SPDX-License-Identifier: MIT */
/* movers.h -- a heap full of objects of 32 bytes without references, of which a share is live and will move. */
#ifndef VARVE_TESTS_BENCH_MOVERS_H
#define VARVE_TESTS_BENCH_MOVERS_H

#include "bench.h"

struct movers {
  struct host host;
  uint64_t bytes;     /* of the heap that is filled */
  varve_word *slots;  /* of the live objects */
  size_t slot_count;
  unsigned calls;     /* of the callback in this collection: first comes the marker, second the slide */
  bool fix;           /* give the slots to the slide too */
};

void movers_open(struct movers *movers, uint64_t bytes);
void movers_close(struct movers *movers);
/* Fill the heap; `percent` of the objects, at random, live. Each is in one slot, in order; or, with copies, there are
 * so many times as many slots, either in order again and again, or each for any of the objects. */
void movers_fill(struct movers *movers, unsigned percent, unsigned copies, bool random);
/* Let everything die and collect. */
void movers_drop(struct movers *movers);

#endif
