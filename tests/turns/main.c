/* SPDX-License-Identifier: MIT */
/* main.c -- the programs of tests/fuzz, or crowds (crowd.c), by turns. A seed makes the program, the machine and the
 * turns; each runs in a process of its own.
 *
 *   turns [--crowd] [--seed S] [--seeds N] [--seconds T] [--program P] [--length OPS] [--threads T]
 *         [--mode uniform|priority] [--period POINTS]
 *         [--spurious POINTS] [--most POINTS] [--options LIST] [--print] [--trace] [--expect-failure]
 *
 * --program: this one, whatever the seed of the turns. --print: a line for each seed, with the hash of all points.
 * --trace: each point, on standard error. --expect-failure: succeed when a seed fails, and then again each time,
 * with the same points. Exit status: 0, or 1 when a seed has failed; that is named, and fails whenever it is run.
 */
#define _GNU_SOURCE
#include "turns.h"

#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../fuzz/world.h"
#include "crowd.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define PROCESSOR_SECONDS 60u /* for one seed */
#define PROGRAM_MOST 200000000u /* points; the verifier comes to many */
#define CROWD_MOST 30000000u
#define AGAIN 3u              /* how often a failure is repeated */

struct wish {
  uint64_t seed, seeds, program, most;
  size_t length;
  unsigned seconds, threads;
  uint32_t period, spurious;
  int mode; /* -1: the seed says */
  const char *options;
  bool crowd, has_program, print, trace, expects_failure;
};

/** What a seed has become. */
struct setting {
  struct turns_choice choice;
  uint64_t program;
  unsigned threads;
  const char *machine;
  char options[256];
};

static struct setting set_up(const struct wish *wish, uint64_t seed) {
  static const uint32_t periods[TURNS_MODES][5] = {{2, 5, 20, 80, 400}, {20, 50, 100, 400, 2000}};
  static const char *const machines[] = {"node:1 l3:1 core:4 pu:1", "node:2 l3:1 core:2 pu:1"};
  static const unsigned spins[] = {0, 1, 5, 50};
  struct random mixer = {seed}, random = {random_next(&mixer)};
  struct setting s = {.choice = {.trace = wish->trace, .most = wish->crowd ? CROWD_MOST : PROGRAM_MOST}};
  s.program = random_next(&random);
  s.choice.seed = random_next(&random);
  s.choice.mode = (enum turns_mode)random_below(&random, TURNS_MODES);
  if (wish->mode >= 0) s.choice.mode = (enum turns_mode)wish->mode;
  s.choice.period = periods[s.choice.mode][random_below(&random, 5)];
  s.choice.spurious = random_one_in(&random, 4) ? 300 : 0;
  s.threads = 2 + (unsigned)random_below(&random, 3);
  s.machine = machines[random_one_in(&random, 4)];
  snprintf(s.options, sizeof s.options, "spin=%u,verify=%u%s%s", spins[random_below(&random, COUNT_OF(spins))],
           (unsigned)random_below(&random, 3),
           *wish->options ? "," : "", wish->options);
  if (wish->has_program) s.program = wish->program;
  if (wish->most) s.choice.most = wish->most;
  if (wish->period) s.choice.period = wish->period;
  if (wish->spurious) s.choice.spurious = wish->spurious;
  if (wish->threads) s.threads = wish->threads;
  return s;
}

/* ---- one seed, in a process of its own ---- */

static void quiet(void) {
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  if (!freopen("/dev/null", "w", stderr)) _exit(3);
}

static void run_random_program(const struct wish *wish, const struct setting *setting, uint64_t seed) {
  struct counts counts = {0};
  size_t length = FUZZ_HEAD + wish->length * FUZZ_OP_BYTES;
  uint8_t *bytes = malloc(length);
  program_random(setting->program, setting->threads, bytes, length);
  run_program(&(struct program){bytes, length}, setting->options, seed, NULL, &counts);
  free(bytes);
}

/* A turn is handed over faster where nobody has to be sent for. */
static void stay_here(void) {
  cpu_set_t here;
  CPU_ZERO(&here);
  CPU_SET((unsigned)sched_getcpu() % CPU_SETSIZE, &here);
  sched_setaffinity(0, sizeof here, &here);
}

static _Noreturn void run_here(const struct wish *wish, uint64_t seed, struct turns_record *record) {
  struct setting setting = set_up(wish, seed);
  struct rlimit most = {PROCESSOR_SECONDS, PROCESSOR_SECONDS};
  setenv("HWLOC_SYNTHETIC", setting.machine, 1);
  setrlimit(RLIMIT_CPU, &most);
  stay_here();
  turns_begin(&setting.choice, record);
  if (wish->crowd) run_crowd(setting.program, setting.threads, setting.options);
  else run_random_program(wish, &setting, seed);
  turns_end();
  fflush(NULL);
  _exit(0);
}

/* @return as waitpid. */
static int run_apart(const struct wish *wish, uint64_t seed, bool silent, struct turns_record *record) {
  int status = 0;
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    if (silent) quiet();
    run_here(wish, seed, record);
  }
  if (child < 0 || waitpid(child, &status, 0) != child) abort();
  return status;
}

/* ---- many ---- */

static void say(const struct wish *wish, uint64_t seed, const struct turns_record *r) {
  struct setting s = set_up(wish, seed);
  printf("seed %" PRIu64 " %s %u, %u threads, %s, %s: %" PRIu64 " points, %" PRIu64 " turns, %" PRIu64
         " sleeps, hash %016" PRIx64 "\n",
         seed, s.choice.mode == TURNS_UNIFORM ? "uniform" : "priority", s.choice.period, s.threads, s.options,
         s.machine, r->points, r->switches, r->sleeps, r->hash);
}

/* @return whether it failed in the same way each time. */
static bool fails_again(const struct wish *wish, uint64_t seed, int status, struct turns_record *record) {
  struct turns_record first = *record;
  for (unsigned i = 0; i < AGAIN; ++i)
    if (run_apart(wish, seed, true, record) != status || record->hash != first.hash) return false;
  return true;
}

static int end_with_failure(const struct wish *wish, uint64_t seed, uint64_t tried, int status,
                            struct turns_record *record) {
  say(wish, seed, record);
  bool again = fails_again(wish, seed, status, record);
  printf("turns: seed %" PRIu64 ", the %" PRIu64 ". of them, failed (%s %d)%s\n", seed, tried,
         WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
         again ? ", and each time again at the same point" : ", but NOT THE SAME WAY EACH TIME");
  return again && wish->expects_failure ? 0 : 1;
}

static int run_all(const struct wish *wish, struct turns_record *record) {
  time_t begin = time(NULL);
  uint64_t points = 0, turns = 0, sleeps = 0, done = 0;
  for (; done < wish->seeds && !(wish->seconds && time(NULL) - begin >= (time_t)wish->seconds); ++done) {
    int status = run_apart(wish, wish->seed + done, false, record);
    if (status) return end_with_failure(wish, wish->seed + done, done + 1, status, record);
    if (wish->print) say(wish, wish->seed + done, record);
    points += record->points, turns += record->switches, sleeps += record->sleeps;
  }
  printf("turns: %" PRIu64 " seeds, %" PRIu64 " points, %" PRIu64 " turns, %" PRIu64 " sleeps, no failure\n", done,
         points, turns, sleeps);
  return wish->expects_failure;
}

static bool read_flag(struct wish *wish, const char *name) {
  if (!strcmp(name, "--crowd")) wish->crowd = true;
  else if (!strcmp(name, "--print")) wish->print = true;
  else if (!strcmp(name, "--trace")) wish->trace = true;
  else if (!strcmp(name, "--expect-failure")) wish->expects_failure = true;
  else return false;
  return true;
}

static bool read_option(struct wish *wish, const char *name, const char *value) {
  if (!strcmp(name, "--seed")) wish->seed = strtoull(value, NULL, 0);
  else if (!strcmp(name, "--seeds")) wish->seeds = strtoull(value, NULL, 0);
  else if (!strcmp(name, "--seconds")) wish->seconds = (unsigned)strtoul(value, NULL, 0);
  else if (!strcmp(name, "--program")) wish->program = strtoull(value, NULL, 0), wish->has_program = true;
  else if (!strcmp(name, "--length")) wish->length = strtoull(value, NULL, 0);
  else if (!strcmp(name, "--threads")) wish->threads = (unsigned)strtoul(value, NULL, 0);
  else if (!strcmp(name, "--mode")) wish->mode = strcmp(value, "uniform") ? TURNS_PRIORITY : TURNS_UNIFORM;
  else if (!strcmp(name, "--period")) wish->period = (uint32_t)strtoul(value, NULL, 0);
  else if (!strcmp(name, "--spurious")) wish->spurious = (uint32_t)strtoul(value, NULL, 0);
  else if (!strcmp(name, "--most")) wish->most = strtoull(value, NULL, 0);
  else if (!strcmp(name, "--options")) wish->options = value;
  else return false;
  return true;
}

int main(int count, char **arguments) {
  struct wish wish = {.seed = 1, .length = 40, .mode = -1, .options = ""};
  const char *seed = getenv("VARVE_TEST_SEED");
  struct turns_record *record =
      mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  for (int i = 1; i < count; ++i) {
    if (read_flag(&wish, arguments[i])) continue;
    if (i + 1 == count || !read_option(&wish, arguments[i], arguments[i + 1])) {
      fprintf(stderr, "turns: what is %s?\n", arguments[i]);
      return 2;
    }
    ++i;
  }
  if (seed) wish.seed = strtoull(seed, NULL, 0);
  if (!wish.seeds) wish.seeds = wish.seconds ? UINT64_MAX : 1;
  return run_all(&wish, record);
}
