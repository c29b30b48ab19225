/* SPDX-License-Identifier: MIT */
/* main.c -- random programs from seeds, or one from a file.
 *
 *   fuzz [--seed S] [--seeds N] [--seconds T] [--length OPS] [--threads T] [--options LIST] [--file F] [--save F]
 *        [--shrink] [--print] [--c] [--save-c F] [--json] [FILE...]
 *
 * @test quick   quick --seeds 15 --length 400
 * @test lone    model --seed 1000 --threads 1 --seconds 6
 * @test threads model --seed 2000 --threads 3 --seconds 6
 * @test long    long --seed 3000 --length 5000 --seconds 8
 *
 * FILEs are programs that are carried out before, and if nothing else is asked for, instead. --save writes the program
 * to a file. --shrink looks, for a program that fails, for the shortest that still does,
 * prints its operations and saves it; --print prints the operations of each program. --c prints the program as C, as
 * carried out, in place of carrying it out here, and --save-c writes that to a file; what was shrunk, too. Exit
 * status: 0 when all is well; a failure ends the process by a signal, or with 1 when it was shrunk.
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "print.h"
#include "shrink.h"

#define LOOK_SECONDS 50u     /* between two looks at what it has done */
#define PROGRAM_SECONDS 300u /* of processor time, of all threads */
#define SHRINK_SECONDS 20u

struct choice {
  uint64_t seed, seeds;
  size_t length;
  unsigned threads, seconds;
  const char *options, *file, *save, *save_c;
  bool shrink, print, c, json;
};

static char doing[96];                  /* what a signal says */
static volatile clock_t began, worked; /* processor time when the program began, at the last look */

static void report(int number) {
  if (write(STDERR_FILENO, doing, strlen(doing)) < 0) _exit(3);
  signal(number, SIG_DFL);
  raise(number == SIGALRM ? SIGABRT : number);
}

/* On a busy machine a program may take its time: it hangs when it does nothing, or does not come to an end. */
static void look(int number) {
  clock_t now = clock(), most = (clock_t)(PROGRAM_SECONDS * (unsigned)CLOCKS_PER_SEC);
  if (now - worked < CLOCKS_PER_SEC || now - began > most) report(number);
  worked = now;
  alarm(LOOK_SECONDS);
}

static void watch(const struct choice *choice, uint64_t seed) {
  static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL};
  snprintf(doing, sizeof doing, "fuzz: that was --seed %" PRIu64 " --length %zu --threads %u\n", seed, choice->length,
           choice->threads);
  for (size_t i = 0; i < sizeof signals / sizeof *signals; ++i) signal(signals[i], report);
  signal(SIGALRM, look);
  began = worked = clock();
  alarm(LOOK_SECONDS);
}

static uint8_t *read_file(const char *name, size_t *length) {
  FILE *file = fopen(name, "rb");
  uint8_t *bytes = malloc(1u << 24);
  if (!file) return fprintf(stderr, "fuzz: cannot read %s\n", name), exit(2), NULL;
  *length = fread(bytes, 1, 1u << 24, file);
  fclose(file);
  return bytes;
}

static uint8_t *random_bytes(const struct choice *choice, uint64_t seed, size_t *length) {
  *length = FUZZ_HEAD + choice->length * FUZZ_OP_BYTES;
  uint8_t *bytes = malloc(*length);
  program_random(seed, choice->threads, bytes, *length);
  return bytes;
}

static void save(const struct program *program, const char *name) {
  FILE *file = fopen(name, "wb");
  if (!file || fwrite(program->bytes, 1, program->length, file) != program->length || fclose(file)) {
    fprintf(stderr, "fuzz: cannot write %s\n", name);
    exit(2);
  }
}

/* As C, to a file, or by a file to the output. */
static void write_c(const struct choice *choice, const struct program *program) {
  char name[] = "/tmp/varve_fuzz_XXXXXX", line[4096];
  int file = choice->save_c ? -1 : mkstemp(name);
  if (!choice->save_c && file < 0) fprintf(stderr, "fuzz: no file for a while\n"), exit(2);
  print_c(program, choice->options, PROGRAM_SECONDS, choice->save_c ? choice->save_c : name);
  if (choice->save_c) return;
  FILE *text = fdopen(file, "r");
  while (text && fgets(line, sizeof line, text)) fputs(line, stdout);
  fclose(text);
  remove(name);
}

/* Make it shorter, print what is left and let it fail once more. */
static void shrink_one(const struct choice *choice, uint8_t *bytes, size_t length) {
  struct program program = {bytes, length};
  if (run_apart(&program, choice->options, SHRINK_SECONDS, true) == 0) return;
  program.length = shrink(bytes, length, choice->options, SHRINK_SECONDS);
  print_program(&program);
  if (choice->save) save(&program, choice->save);
  if (choice->c || choice->save_c) write_c(choice, &program);
  run_apart(&program, choice->options, SHRINK_SECONDS, false);
  exit(1);
}

static void run_one(const struct choice *choice, uint64_t seed, struct counts *counts) {
  size_t length;
  uint8_t *bytes = choice->file ? read_file(choice->file, &length) : random_bytes(choice, seed, &length);
  struct program program = {bytes, length};
  if (choice->print) print_program(&program);
  if (choice->shrink) shrink_one(choice, bytes, length);
  if (choice->save) save(&program, choice->save);
  if (choice->c || choice->save_c) {
    write_c(choice, &program);
  } else {
    watch(choice, seed);
    run_program(&program, choice->options, seed, NULL, counts);
    alarm(0);
  }
  free(bytes);
}

static void print_counts(const struct choice *choice, const struct counts *counts) {
  const char *before = choice->json ? "{" : "";
#define FUZZ_COUNT(name) \
  printf(choice->json ? "%s\"%s\": %" PRIu64 : "%s%s %" PRIu64, before, #name, counts->name), before = ", ";
#include "counts.def"
#undef FUZZ_COUNT
  puts(choice->json ? "}" : "");
}

static void run_file(struct choice *choice, const char *name, struct counts *counts) {
  choice->file = name;
  run_one(choice, choice->seed, counts);
  choice->file = NULL;
}

static bool read_flag(struct choice *choice, const char *name) {
  if (!strcmp(name, "--shrink")) choice->shrink = true;
  else if (!strcmp(name, "--print")) choice->print = true;
  else if (!strcmp(name, "--c")) choice->c = true;
  else if (!strcmp(name, "--json")) choice->json = true;
  else return false;
  return true;
}

static bool read_option(struct choice *choice, const char *name, const char *value) {
  if (!strcmp(name, "--seed")) choice->seed = strtoull(value, NULL, 0);
  else if (!strcmp(name, "--seeds")) choice->seeds = strtoull(value, NULL, 0);
  else if (!strcmp(name, "--length")) choice->length = strtoull(value, NULL, 0);
  else if (!strcmp(name, "--threads")) choice->threads = (unsigned)strtoul(value, NULL, 0);
  else if (!strcmp(name, "--seconds")) choice->seconds = (unsigned)strtoul(value, NULL, 0);
  else if (!strcmp(name, "--options")) choice->options = value;
  else if (!strcmp(name, "--file")) choice->file = value;
  else if (!strcmp(name, "--save")) choice->save = value;
  else if (!strcmp(name, "--save-c")) choice->save_c = value;
  else return false;
  return true;
}

int main(int count, char **arguments) {
  struct choice choice = {.seed = 1, .length = 1500, .options = ""};
  struct counts counts = {0};
  const char *seed = getenv("VARVE_TEST_SEED");
  time_t begin = time(NULL), said = begin;
  for (int i = 1; i < count; ++i) {
    if (*arguments[i] != '-') {
      run_file(&choice, arguments[i], &counts);
      continue;
    }
    if (read_flag(&choice, arguments[i])) continue;
    if (i + 1 == count || !read_option(&choice, arguments[i], arguments[i + 1])) {
      fprintf(stderr, "fuzz: what is %s?\n", arguments[i]);
      return 2;
    }
    ++i;
  }
  if (seed) choice.seed = strtoull(seed, NULL, 0);
  if (!choice.seeds) choice.seeds = choice.seconds ? UINT64_MAX : !counts.programs;
  for (uint64_t i = 0; i < choice.seeds; ++i) {
    time_t now = time(NULL);
    if (choice.seconds && now - begin >= choice.seconds) break;
    if (now - said >= 30 && !choice.json) print_counts(&choice, &counts), fflush(stdout), said = now;
    run_one(&choice, choice.seed + i, &counts);
  }
  if (!choice.c && !choice.save_c) print_counts(&choice, &counts);
  return 0;
}
