/* SPDX-License-Identifier: MIT */
/* channel.c -- see channel.h.
 *
 * The lock is taken by running mutators only, which reach no safepoint while they hold it. Who waits on a condition
 * variable is native until the lock is given back. So nobody waits for a lock whose holder is stopped.
 */
#include "channel.h"

void channel_prepare(varve_heap *heap, struct channel *channel) {
  varve_error error = {0};
  if (varve_root_slots_add(heap, "ring", channel->ring, channel->capacity, &error))
    harness_quit(EXIT_BROKEN, "%s", error.detail);
}

/* Wait with the lock held until the count is no longer `unwanted`; hold the lock again. A safepoint. */
static void wait_while(varve_mutator *me, struct channel *channel, unsigned unwanted, pthread_cond_t *changed) {
  while (channel->count == unwanted) {
    (void)varve_native_enter(me);
    pthread_cond_wait(changed, &channel->lock);
    pthread_mutex_unlock(&channel->lock);
    (void)varve_native_leave(me);
    pthread_mutex_lock(&channel->lock);
  }
}

void channel_put(varve_mutator *me, struct channel *channel, const varve_word *word) {
  pthread_mutex_lock(&channel->lock);
  wait_while(me, channel, channel->capacity, &channel->room);
  channel->ring[(channel->first + channel->count++) % channel->capacity] = *word;
  pthread_cond_signal(&channel->work);
  pthread_mutex_unlock(&channel->lock);
}

varve_word channel_get(varve_mutator *me, struct channel *channel) {
  pthread_mutex_lock(&channel->lock);
  wait_while(me, channel, 0, &channel->work);
  varve_word word = channel->ring[channel->first];
  channel->ring[channel->first] = 0;
  channel->first = (channel->first + 1) % channel->capacity;
  --channel->count;
  pthread_cond_signal(&channel->room);
  pthread_mutex_unlock(&channel->lock);
  return word;
}
