/* SPDX-License-Identifier: MIT */
/* placement.c -- where the memory of a heap is, on the machine that this runs on.
 *
 *   placement                 every check (checks.def); those that do not fit the machine are skipped, with a reason
 *   placement [--not] NAME... some of them; all but those
 *   placement --list          names and what must be true
 *   placement --picture       the machine, as a heap sees it
 *   --turned                  expect every page on another node than the right one: checks of nodes must fail
 *
 * Each check runs in a process of its own, some of them under numactl. Exits 1 when one failed, 77 when none could be
 * made.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bed.h"
#include "checks.h"

#define SECONDS 60u /* for one check */
#define INSIDE "--inside"

struct check {
  void (*run)(void);
  const char *name;
  under_fn *under;
  const char *what;
};

static const struct check checks[] = {
#define CHECK(function, name, under, what) {function, name, under, what},
#include "checks.def"
#undef CHECK
};
#define CHECK_COUNT (sizeof checks / sizeof *checks)

static bool turned;

static const struct check *find(const char *name) {
  for (size_t i = 0; i < CHECK_COUNT; ++i)
    if (strcmp(checks[i].name, name) == 0) return &checks[i];
  fprintf(stderr, "placement: no check %s; --list has them\n", name);
  exit(2);
}

static void run_here(const struct check *check) {
  if (turned) turn_expectations();
  check->run();
  fflush(stdout);
  _exit(0);
}

/* The same program under numactl, which runs the one check. */
static void run_under(const struct check *check) {
  char own[4096], policy[512];
  char *words[16] = {"numactl"};
  unsigned count = 1;
  ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
  own[length > 0 ? length : 0] = 0;
  check->under(policy, sizeof policy);
  for (char *word = strtok(policy, " "); word; word = strtok(NULL, " ")) words[count++] = word;
  words[count++] = own;
  if (turned) words[count++] = "--turned";
  words[count++] = INSIDE;
  words[count++] = (char *)check->name;
  execvp("numactl", words);
  skip("numactl: %s", strerror(errno));
}

/* When memory runs out it is the check that is killed. */
static void begin(const struct check *check, int out) {
  int file = open("/proc/self/oom_score_adj", O_WRONLY);
  if (file >= 0 && write(file, "1000", 4) < 0) errno = 0;
  if (file >= 0) close(file);
  dup2(out, STDOUT_FILENO);
  close(out);
  alarm(SECONDS);
  if (check->under) run_under(check);
  else run_here(check);
}

static void read_all(int from, char *text, size_t room) {
  size_t length = 0;
  ssize_t some;
  while (length + 1 < room && (some = read(from, text + length, room - 1 - length)) > 0) length += (size_t)some;
  text[length] = 0;
  while (length && text[length - 1] == '\n') text[--length] = 0;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int report(const struct check *check, int status, const char *text, double seconds) {
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  if (code == 0) printf("pass %s (%.1f s)\n", check->name, seconds);
  else if (code == STATUS_SKIPPED) printf("skip %s: %s\n", check->name, text);
  else if (WIFSIGNALED(status)) printf("FAIL %s: signal %d. %s\n", check->name, WTERMSIG(status), text);
  else printf("FAIL %s: %s (that %s)\n", check->name, text, check->what);
  fflush(stdout);
  return code;
}

/* @return the exit status of the check's process. */
static int run(const struct check *check) {
  char text[8192];
  int ends[2], status;
  double start = now();
  if (pipe(ends) != 0) perror("pipe"), exit(1);
  fflush(stdout);
  pid_t child = fork();
  if (child < 0) perror("fork"), exit(1);
  if (child == 0) {
    close(ends[0]);
    begin(check, ends[1]);
  }
  close(ends[1]);
  read_all(ends[0], text, sizeof text);
  close(ends[0]);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return report(check, status, text, now() - start);
}

static bool named(const struct check *check, char **names, int count) {
  for (int i = 0; i < count; ++i)
    if (find(names[i]) == check) return true;
  return false;
}

static int run_those(char **names, int count, bool all_but) {
  unsigned passed = 0, failed = 0, skipped = 0;
  for (int i = 0; i < count; ++i) find(names[i]);
  for (size_t i = 0; i < CHECK_COUNT; ++i) {
    if (count && named(&checks[i], names, count) == all_but) continue;
    int code = run(&checks[i]);
    passed += code == 0;
    skipped += code == STATUS_SKIPPED;
    failed += code != 0 && code != STATUS_SKIPPED;
  }
  printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
  return failed ? 1 : passed ? 0 : STATUS_SKIPPED;
}

static void list(void) {
  for (size_t i = 0; i < CHECK_COUNT; ++i) printf("%-18s %s\n", checks[i].name, checks[i].what);
}

static void say(void *context, const char *text) { (void)context, puts(text); }

int main(int argc, char **argv) {
  int at = 1;
  bool all_but = false;
  for (; at < argc && strncmp(argv[at], "--", 2) == 0; ++at) {
    if (strcmp(argv[at], "--turned") == 0) turned = true;
    else if (strcmp(argv[at], "--not") == 0) all_but = true;
    else if (strcmp(argv[at], INSIDE) == 0 && at + 1 < argc) run_here(find(argv[at + 1]));
    else if (strcmp(argv[at], "--list") == 0) return list(), 0;
    else if (strcmp(argv[at], "--picture") == 0) return varve_topology_print(NULL, say, NULL) != VARVE_OK;
    else return fprintf(stderr, "placement: no option %s\n", argv[at]), 2;
  }
  return run_those(argv + at, argc - at, all_but);
}
