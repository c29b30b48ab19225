/* SPDX-License-Identifier: MIT */
/* queue.c -- messages from one thread to another, in batches, through a bounded queue.
 *
 * The lock is taken by running mutators only, which reach no safepoint while they hold it. Who waits on a condition
 * variable is native until the lock is given back. So nobody waits for a lock whose holder is stopped.
 */
#include <pthread.h>
#include <string.h>

#include "programs.h"

#define BATCH 32
#define BATCHES 256
#define PAYLOAD 64

struct message {
  varve_object head;
  varve_word next;
  uint64_t id;
  varve_word payload;
};

static struct {
  pthread_mutex_t lock;
  pthread_cond_t room, work;
  unsigned first, count;
  varve_word ring[BATCHES]; /* roots */
} channel = {.lock = PTHREAD_MUTEX_INITIALIZER, .room = PTHREAD_COND_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};

static varve_layout MESSAGE;

void queue_prepare(varve_heap *heap) {
  static const uint32_t slots[] = {offsetof(struct message, next), offsetof(struct message, payload)};
  varve_error error = {0};
  register_layout(heap, &(varve_layout_desc){.name = "message", .kind = VARVE_LAYOUT_OFFSETS, .offsets = slots,
                                             .offset_count = 2}, &MESSAGE);
  if (varve_root_slots_add(heap, "ring", channel.ring, BATCHES, &error)) harness_quit(EXIT_BROKEN, "%s", error.detail);
}

static struct message *message_of(varve_word word) { return (struct message *)varve_untag(word); }

/* Wait with the lock held until `count` is no longer `unwanted`; hold the lock again. A safepoint. */
static void wait_while(varve_mutator *me, unsigned unwanted, pthread_cond_t *changed) {
  while (channel.count == unwanted) {
    (void)varve_native_enter(me);
    pthread_cond_wait(changed, &channel.lock);
    pthread_mutex_unlock(&channel.lock);
    (void)varve_native_leave(me);
    pthread_mutex_lock(&channel.lock);
  }
}

static void put(varve_mutator *me, const varve_word *batch) {
  pthread_mutex_lock(&channel.lock);
  wait_while(me, BATCHES, &channel.room);
  channel.ring[(channel.first + channel.count++) % BATCHES] = *batch;
  pthread_cond_signal(&channel.work);
  pthread_mutex_unlock(&channel.lock);
}

static varve_word get(varve_mutator *me) {
  pthread_mutex_lock(&channel.lock);
  wait_while(me, 0, &channel.work);
  varve_word batch = channel.ring[channel.first];
  channel.ring[channel.first] = 0;
  channel.first = (channel.first + 1) % BATCHES;
  --channel.count;
  pthread_cond_signal(&channel.room);
  pthread_mutex_unlock(&channel.lock);
  return batch;
}

/* ---- both ends ---- */

static varve_word take_message(varve_mutator *me, uint64_t id) {
  VARVE_FRAME(f, me, payload);
  struct payload *payload = take_payload(me, PAYLOAD);
  memset(payload->bytes, (int)(id & 255), PAYLOAD);
  f.payload = varve_tag(payload, 0);
  struct message *message = take(me, MESSAGE, sizeof *message);
  varve_init(me, message, &message->next, 0);
  message->id = id;
  varve_init(me, message, &message->payload, f.payload);
  return varve_tag(message, 0);
}

static void send_batch(varve_mutator *me, uint64_t id) {
  VARVE_FRAME(f, me, batch, last);
  f.batch = f.last = take_message(me, id);
  for (int i = 1; i < BATCH; ++i) {
    varve_word next = take_message(me, id + (uint64_t)i);
    varve_store(me, message_of(f.last), &message_of(f.last)->next, next);
    f.last = next;
  }
  put(me, &f.batch);
}

static uint32_t receive_batch(varve_mutator *me, uint32_t c, varve_word *keep, uint64_t kept) {
  varve_word batch = get(me);
  while (batch) {
    struct message *message = message_of(batch);
    varve_word follow = message->next;
    varve_store(me, message, &message->next, 0);
    c = mix(c, message->id + ((struct payload *)varve_untag(message->payload))->bytes[0]);
    array_store(me, *keep, message->id % kept, batch);
    batch = follow;
  }
  return c;
}

/* The first thread consumes; it makes as well when there is no second. */
uint32_t queue(const struct job *job) {
  varve_mutator *me = job->me;
  uint64_t kept = job->size / 16;
  uint32_t c = 0;
  VARVE_FRAME(f, me, keep);
  if (job->thread == 0) f.keep = take_array(me, kept);
  for (uint64_t id = 0; id < job->size; id += BATCH) {
    varve_poll(me);
    if (job->thread == 1 || job->threads == 1) send_batch(me, id);
    if (job->thread == 0) c = receive_batch(me, c, &f.keep, kept);
  }
  if (job->thread == 0) peak(me);
  return c;
}
