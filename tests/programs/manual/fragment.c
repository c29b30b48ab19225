/* SPDX-License-Identifier: MIT */
/* fragment.c -- payloads only: fill, drop three quarters at random, fill with others. */
#include "memory.h"

struct board {
  struct payload **slots;
  uint64_t count, live; /* live: bytes in payloads */
  struct random random;
};

static uint32_t random_size(struct random *random) {
  uint32_t base = 16u << random_below(random, 9);
  return base + random_below(random, base);
}

static void fill(struct board *board, size_t i, unsigned round, uint32_t bytes) {
  struct payload *payload = take_payload(bytes);
  payload->bytes[0] = (unsigned char)i;
  payload->bytes[bytes - 1] = (unsigned char)round;
  board->slots[i] = payload;
  board->live += bytes;
}

static void drop_most(struct board *board) {
  for (size_t i = 0; i < board->count; ++i) {
    if (random_below(&board->random, 4) == 0 || !board->slots[i]) continue;
    board->live -= board->slots[i]->length;
    drop(board->slots[i]);
    board->slots[i] = NULL;
  }
}

static uint32_t check(const struct board *board, uint32_t c) {
  for (size_t i = 0; i < board->count; ++i) {
    const struct payload *payload = board->slots[i];
    if (payload) c = mix(c, payload->bytes[0] + payload->bytes[payload->length - 1] + payload->length);
  }
  return c;
}

static uint32_t run_rounds(struct board *board) {
  uint64_t total = board->live;
  uint32_t c = 0;
  for (unsigned round = 1; round <= 4; ++round) {
    drop_most(board);
    for (size_t i = 0; i < board->count && board->live < total; ++i)
      if (!board->slots[i]) fill(board, i, round, (1 + round % 2) * random_size(&board->random));
    c = check(board, c);
  }
  return c;
}

uint32_t fragment(const struct job *job) {
  struct board board = {.count = job->size, .random = random_start(job)};
  board.slots = take_array(board.count);
  for (size_t i = 0; i < board.count; ++i) fill(&board, i, 0, random_size(&board.random));
  uint32_t c = run_rounds(&board);
  for (size_t i = 0; i < board.count; ++i) drop(board.slots[i]);
  drop(board.slots);
  return c;
}
