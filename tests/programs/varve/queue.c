/* SPDX-License-Identifier: MIT */
/* queue.c -- messages from one thread to another, in batches, through a bounded queue. */
#include <string.h>

#include "channel.h"

#define BATCH 32
#define PAYLOAD 64

struct message {
  varve_object head;
  varve_word next;
  uint64_t id;
  varve_word payload;
};

static struct channel batches = CHANNEL_OF(256);

static varve_layout MESSAGE;

void queue_prepare(varve_heap *heap) {
  static const uint32_t slots[] = {offsetof(struct message, next), offsetof(struct message, payload)};
  register_layout(heap, &(varve_layout_desc){.name = "message", .kind = VARVE_LAYOUT_OFFSETS, .offsets = slots,
                                             .offset_count = 2}, &MESSAGE);
  channel_prepare(heap, &batches);
}

static struct message *message_of(varve_word word) { return (struct message *)varve_untag(word); }

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
  channel_put(me, &batches, &f.batch);
}

static uint32_t receive_batch(varve_mutator *me, uint32_t c, varve_word *keep, uint64_t kept) {
  varve_word batch = channel_get(me, &batches);
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
