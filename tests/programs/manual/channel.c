/* SPDX-License-Identifier: MIT */
/* channel.c -- see channel.h. */
#include "channel.h"

#include <stddef.h>

void channel_put(struct channel *channel, void *pointer) {
  pthread_mutex_lock(&channel->lock);
  while (channel->count == channel->capacity) pthread_cond_wait(&channel->room, &channel->lock);
  channel->ring[(channel->first + channel->count++) % channel->capacity] = pointer;
  pthread_cond_signal(&channel->work);
  pthread_mutex_unlock(&channel->lock);
}

void *channel_get(struct channel *channel) {
  pthread_mutex_lock(&channel->lock);
  while (channel->count == 0) pthread_cond_wait(&channel->work, &channel->lock);
  void *pointer = channel->ring[channel->first];
  channel->ring[channel->first] = NULL;
  channel->first = (channel->first + 1) % channel->capacity;
  --channel->count;
  pthread_cond_signal(&channel->room);
  pthread_mutex_unlock(&channel->lock);
  return pointer;
}
