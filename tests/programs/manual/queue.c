/* SPDX-License-Identifier: MIT */
/* queue.c -- messages from one thread to another, in batches, through a bounded queue. */
#include <string.h>

#include "channel.h"
#include "memory.h"

#define BATCH 32
#define PAYLOAD 64

struct message {
  struct message *next;
  uint64_t id;
  unsigned char *payload;
};

static struct channel batches = CHANNEL_OF(256);

static struct message *take_message(uint64_t id) {
  unsigned char *payload = take_data(PAYLOAD);
  memset(payload, (int)(id & 255), PAYLOAD);
  struct message *message = take(sizeof *message);
  *message = (struct message){NULL, id, payload};
  return message;
}

static void drop_message(struct message *message) {
  if (!MUST_DROP || !message) return;
  drop(message->payload);
  drop(message);
}

static void send_batch(uint64_t id) {
  struct message *batch = take_message(id), *last = batch;
  for (int i = 1; i < BATCH; ++i) last = last->next = take_message(id + (uint64_t)i);
  channel_put(&batches, batch);
}

static uint32_t receive_batch(uint32_t c, struct message **keep, uint64_t kept) {
  struct message *message = channel_get(&batches);
  while (message) {
    struct message *follow = message->next, **place = &keep[message->id % kept];
    message->next = NULL;
    c = mix(c, message->id + message->payload[0]);
    drop_message(*place);
    *place = message;
    message = follow;
  }
  return c;
}

/* The first thread consumes; it makes as well when there is no second. */
uint32_t queue(const struct job *job) {
  uint64_t kept = job->size / 16;
  uint32_t c = 0;
  struct message **keep = job->thread == 0 ? take_array(kept) : NULL;
  for (uint64_t id = 0; id < job->size; id += BATCH) {
    if (job->thread == 1 || job->threads == 1) send_batch(id);
    if (job->thread == 0) c = receive_batch(c, keep, kept);
  }
  for (uint64_t k = 0; keep && k < kept; ++k) drop_message(keep[k]);
  drop(keep);
  return c;
}
