/* SPDX-License-Identifier: MIT */
/* shrink.c -- see shrink.h. What fails is tried in child processes, so that it may crash or hang. */
#define _POSIX_C_SOURCE 200809L

#include "shrink.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

struct shrinking {
  uint8_t *bytes, *trial;
  size_t length;
  const char *more_options;
  unsigned seconds, tried;
};

int run_apart(const struct program *program, const char *more_options, unsigned seconds, bool quiet) {
  int status = 0;
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    struct counts counts = {0};
    int nowhere = quiet ? open("/dev/null", O_WRONLY) : -1;
    if (nowhere >= 0) dup2(nowhere, STDERR_FILENO), dup2(nowhere, STDOUT_FILENO);
    alarm(seconds);
    run_program(program, more_options, 0, NULL, &counts);
    _exit(0);
  }
  if (child < 0 || waitpid(child, &status, 0) != child) abort();
  return status;
}

/* Keep the trial if it fails. With several threads it is given some chances to. */
static bool keep_if_bad(struct shrinking *s, size_t length) {
  struct program program = {s->trial, length};
  unsigned chances = program_threads(&program) > 1 ? 4 : 1;
  for (unsigned i = 0; i < chances; ++i) {
    ++s->tried;
    if (run_apart(&program, s->more_options, s->seconds, true) == 0) continue;
    memcpy(s->bytes, s->trial, length);
    s->length = length;
    return true;
  }
  return false;
}

/* Take out pieces of so many operations wherever that can be. */
static bool take_out(struct shrinking *s, size_t ops) {
  bool any = false;
  size_t piece = ops * FUZZ_OP_BYTES, at = FUZZ_HEAD;
  while (at < s->length) {
    size_t end = at + piece < s->length ? at + piece : s->length;
    memcpy(s->trial, s->bytes, at);
    memcpy(s->trial + at, s->bytes + end, s->length - end);
    if (keep_if_bad(s, s->length - (end - at))) any = true;
    else at = end;
  }
  return any;
}

static bool try_byte(struct shrinking *s, size_t at, uint8_t value) {
  if (s->bytes[at] == value) return false;
  memcpy(s->trial, s->bytes, s->length);
  s->trial[at] = value;
  return keep_if_bad(s, s->length);
}

static void make_smaller(struct shrinking *s) {
  for (size_t at = 0; at < s->length; ++at) {
    if (at >= FUZZ_HEAD && (at - FUZZ_HEAD) % FUZZ_OP_BYTES == 0) continue; /* which operation it is */
    if (try_byte(s, at, 0)) continue;
    while (s->bytes[at] > 1 && try_byte(s, at, s->bytes[at] / 2)) continue;
  }
}

size_t shrink(uint8_t *bytes, size_t length, const char *more_options, unsigned seconds) {
  struct shrinking s = {
      .bytes = bytes, .trial = malloc(length), .length = length, .more_options = more_options, .seconds = seconds};
  for (unsigned round = 0; round < 3; ++round) {
    size_t before = s.length;
    struct program program = {s.bytes, s.length};
    for (size_t ops = program_ops(&program) / 2; ops; ops /= 2) {
      while (take_out(&s, ops) && ops == 1) continue;
      fprintf(stderr, "fuzz: %zu operations left, %u programs tried\n", (s.length - FUZZ_HEAD) / FUZZ_OP_BYTES,
              s.tried);
    }
    make_smaller(&s);
    if (s.length == before && round) break;
  }
  free(s.trial);
  return s.length;
}

void print_program(const struct program *program) {
  char text[512];
  program_options(program, text, sizeof text);
  printf("options %s; %u threads; contents %u\n", text, program_threads(program), (unsigned)program_contents(program));
  for (size_t i = 0; i < program_ops(program); ++i) {
    struct op op = program_op(program, i);
    printf("%4zu  thread %u  %-16s %5u %5u %5u\n", i, op.who % program_threads(program), op_name(op.code), op.a, op.b,
           op.c);
  }
}
