/* SPDX-License-Identifier: MIT */
/* channel.h -- a bounded queue of references, from one thread to another. */
#ifndef VARVE_PROGRAMS_CHANNEL_H
#define VARVE_PROGRAMS_CHANNEL_H

#include <pthread.h>

#include "programs.h"

#define CHANNEL_MAX 256

struct channel {
  pthread_mutex_t lock;
  pthread_cond_t room, work;
  unsigned first, count, capacity;
  varve_word ring[CHANNEL_MAX]; /* roots */
};

/* At most CHANNEL_MAX. */
#define CHANNEL_OF(capacity_)                                                                              \
  {                                                                                                        \
    .lock = PTHREAD_MUTEX_INITIALIZER, .room = PTHREAD_COND_INITIALIZER, .work = PTHREAD_COND_INITIALIZER, \
    .capacity = capacity_                                                                                  \
  }

/* Once for a heap. */
void channel_prepare(varve_heap *heap, struct channel *channel);

/* Both wait while they must, and are safepoints; `word` is in a frame. */
void channel_put(varve_mutator *me, struct channel *channel, const varve_word *word);
varve_word channel_get(varve_mutator *me, struct channel *channel);

#endif
