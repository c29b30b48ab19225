/* SPDX-License-Identifier: MIT */
/* fragment.c -- payloads only: fill, drop three quarters at random, fill with others. It has no layout of its own. */
#include "programs.h"

struct board {
  varve_frame frame;
  varve_word slots; /* the frame's slot */
  varve_mutator *me;
  uint64_t count, live; /* live: bytes in payloads */
  struct random random;
};

static struct payload *payload_at(const struct board *board, size_t i) {
  return (struct payload *)varve_untag(array_of(board->slots)->at[i]);
}

static uint32_t random_size(struct random *random) {
  uint32_t base = 16u << random_below(random, 9);
  return base + random_below(random, base);
}

static void fill(struct board *board, size_t i, unsigned round, uint32_t bytes) {
  struct payload *payload = take_payload(board->me, bytes);
  payload->bytes[0] = (unsigned char)i;
  payload->bytes[bytes - 1] = (unsigned char)round;
  array_store(board->me, board->slots, i, varve_tag(payload, 0));
  board->live += bytes;
}

static void drop_most(struct board *board) {
  for (size_t i = 0; i < board->count; ++i) {
    bool drop = random_below(&board->random, 4) != 0;
    struct payload *payload = payload_at(board, i);
    if (!drop || !payload) continue;
    board->live -= payload_length(payload);
    array_store(board->me, board->slots, i, 0);
  }
}

static uint32_t check(const struct board *board, uint32_t c) {
  for (size_t i = 0; i < board->count; ++i) {
    const struct payload *payload = payload_at(board, i);
    if (!payload) continue;
    size_t length = payload_length(payload);
    c = mix(c, payload->bytes[0] + payload->bytes[length - 1] + length);
  }
  return c;
}

static uint32_t run_rounds(struct board *board) {
  uint64_t total = board->live;
  uint32_t c = 0;
  for (unsigned round = 1; round <= 4; ++round) {
    drop_most(board);
    for (size_t i = 0; i < board->count && board->live < total; ++i)
      if (!payload_at(board, i)) fill(board, i, round, (1 + round % 2) * random_size(&board->random));
    peak(board->me);
    c = check(board, c);
  }
  return c;
}

uint32_t fragment(const struct job *job) {
  struct board board = {.me = job->me, .count = job->size, .random = random_start(job)};
  varve_frame_push(board.me, &board.frame, 1);
  board.slots = take_array(board.me, board.count);
  for (size_t i = 0; i < board.count; ++i) fill(&board, i, 0, random_size(&board.random));
  peak(board.me);
  uint32_t c = run_rounds(&board);
  varve_frame_pop(board.me, &board.frame);
  return c;
}
