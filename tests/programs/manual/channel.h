/* SPDX-License-Identifier: MIT */
/* channel.h -- a bounded queue of pointers, from one thread to another. */
#ifndef VARVE_PROGRAMS_CHANNEL_H
#define VARVE_PROGRAMS_CHANNEL_H

#include <pthread.h>

#define CHANNEL_MAX 256

struct channel {
  pthread_mutex_t lock;
  pthread_cond_t room, work;
  unsigned first, count, capacity;
  void *ring[CHANNEL_MAX];
};

/* At most CHANNEL_MAX. */
#define CHANNEL_OF(capacity_)                                                                              \
  {                                                                                                        \
    .lock = PTHREAD_MUTEX_INITIALIZER, .room = PTHREAD_COND_INITIALIZER, .work = PTHREAD_COND_INITIALIZER, \
    .capacity = capacity_                                                                                  \
  }

/* Both wait while they must. */
void channel_put(struct channel *channel, void *pointer);
void *channel_get(struct channel *channel);

#endif
