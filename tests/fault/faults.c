/* SPDX-License-Identifier: MIT */
/* faults.c -- the driver: each scenario with each call to the system failing, one after the other.
 *
 *   @test quick quick,timeout=60 quick
 *   @test each timeout=200 each
 *   @test pairs timeout=200 pairs
 *   @test lasting timeout=200 lasting
 *   @test delays timeout=200 delays
 *   @test signals timeout=200 signals
 *
 *   all      for each kind of call, the n-th fails, for all n to 200 and then some: minutes
 *   each     the same for few n, which VARVE_TEST_SEED changes
 *   quick    the same for the first call of some kinds in some scenarios
 *   pairs    two in a row fail; some kinds
 *   lasting  all from the n-th on fail; some kinds
 *   delays   nothing fails; workers are slow at random
 *   signals  nothing fails; a timer and another thread send signals whose handlers do not restart calls
 *
 *   faults WAY[-all] [SCENARIO [KIND [N]]]     one scenario, one kind (its number), one n; -all: all kinds and n
 *
 * Idea       A child process does many runs, one after the other, and notes on a shared page which it is in. When it
 *            dies, or makes no progress, the parent says so and a new child goes on behind that run. A run is over when
 *            the scenario is, and the library holds nothing any more.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fault/bed.h"
#include "support/random.h"

#define ALL_TO 200u
#define STUCK_SECONDS 30u

void *__real_mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset);
int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __real_pthread_join(pthread_t, void **);

enum way { EACH, PAIRS, LASTING, DELAYS, SIGNALS, WAYS };
static const char *const way_names[] = {"each", "pairs", "lasting", "delays", "signals"};

/* Where the child is, and what it has done. */
struct progress {
  _Atomic unsigned scenario, fault;
  _Atomic uint64_t n;
  _Atomic uint64_t runs, fired; /* runs in which something failed: pairs of kind and n */
  _Atomic bool done;
};

struct plan {
  enum way way;
  bool quick, all;
  uint64_t seed;
  int scenario, fault; /* -1: all */
  uint64_t n;          /* 0: all */
};

static struct progress *progress;

/* ---- one run ------------------------------------------------------------------------------------------------- */

static void check_held(const struct held *before) {
  struct held now = held_now();
  if (now.bytes != before->bytes) bed_fail("%lld bytes stay mapped", (long long)(now.bytes - before->bytes));
  if (now.files != before->files) bed_fail("%lld files stay open", (long long)(now.files - before->files));
  if (now.threads != before->threads) bed_fail("%lld threads stay", (long long)(now.threads - before->threads));
  if (now.blocks != before->blocks) bed_fail("%lld blocks of malloc stay", (long long)(now.blocks - before->blocks));
  if (now.hwloc != before->hwloc) bed_fail("%lld things of hwloc stay", (long long)(now.hwloc - before->hwloc));
}

static uint64_t length_of(enum way way) { return way == LASTING ? UINT64_MAX : way == PAIRS ? 2 : 1; }

/* @return did anything fail? */
static bool run(const struct plan *plan, unsigned scenario, unsigned fault, uint64_t n) {
  atomic_store(&progress->scenario, scenario);
  atomic_store(&progress->fault, fault);
  atomic_store(&progress->n, n);
  struct held before = held_now();
  machine(0);
  fault_arm((enum fault)fault, n, length_of(plan->way));
  scenarios[scenario].run();
  fault_disarm();
  check_held(&before);
  atomic_fetch_add(&progress->runs, 1);
  if (fault_fired()) atomic_fetch_add(&progress->fired, 1);
  return fault_fired();
}

/* All n for a kind, until there are no such calls. */
static uint64_t after(uint64_t n) { return n < ALL_TO ? n + 1 : n + n / 4; }

static void run_all_of(const struct plan *plan, unsigned scenario, unsigned fault, uint64_t from) {
  for (uint64_t n = from; run(plan, scenario, fault, n); n = after(n)) continue;
}

/* Some n for a kind of which there are `calls`: the first, and another; or, of a part of the kinds, one. */
static void run_some_of(const struct plan *plan, unsigned scenario, unsigned fault, uint64_t calls) {
  struct random random = {plan->seed * 1000003 + scenario * 97 + fault};
  unsigned part = plan->quick ? 4 : plan->way == EACH ? 1 : 3;
  if (!random_one_in(&random, part)) return;
  if (plan->way == EACH) run(plan, scenario, fault, 1);
  if (!plan->quick && calls > 1) run(plan, scenario, fault, 2 + random_below(&random, calls - 1));
}

static void run_kind(const struct plan *plan, unsigned scenario, unsigned fault, uint64_t from, const uint64_t *calls) {
  if (plan->n) run(plan, scenario, fault, plan->n);
  else if (!calls[fault]) return;
  else if (plan->all) run_all_of(plan, scenario, fault, from);
  else run_some_of(plan, scenario, fault, calls[fault]);
}

/* A run in which nothing fails tells how many calls there are. */
static void count_calls(const struct plan *plan, unsigned scenario, uint64_t *calls) {
  run(plan, scenario, FAULT_COUNT, 0);
  for (unsigned f = 0; f < FAULT_COUNT; ++f) calls[f] = fault_calls((enum fault)f);
}

static bool wants(const struct plan *plan, unsigned scenario) {
  if (plan->scenario >= 0) return (unsigned)plan->scenario == scenario;
  return !plan->quick || scenarios[scenario].quick;
}

/* From where the child before has ended. */
static void run_faults(const struct plan *plan, unsigned scenario, unsigned fault, uint64_t n) {
  uint64_t calls[FAULT_COUNT];
  for (; scenario < scenario_count; ++scenario, fault = 0) {
    if (!wants(plan, scenario)) continue;
    count_calls(plan, scenario, calls);
    for (; fault < FAULT_COUNT; ++fault, n = 1)
      if (plan->fault < 0 || (unsigned)plan->fault == fault)
        run_kind(plan, scenario, fault, n, calls);
  }
}

/* ---- delays and signals -------------------------------------------------------------------------------------- */

static _Atomic uint64_t handled;
static _Atomic bool quiet;

static void handle(int number) {
  (void)number;
  atomic_fetch_add(&handled, 1);
}

static void catch_signals(void) {
  struct sigaction action = {.sa_handler = handle}; /* no SA_RESTART */
  sigaction(SIGALRM, &action, NULL);
  sigaction(SIGUSR1, &action, NULL);
}

static void *send_signals(void *context) {
  while (!atomic_load(&quiet)) {
    pthread_kill(*(pthread_t *)context, SIGUSR1);
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
  }
  return NULL;
}

static void run_all(const struct plan *plan, unsigned from) {
  for (unsigned scenario = from; scenario < scenario_count; ++scenario)
    for (unsigned times = 0; wants(plan, scenario) && times < 5; ++times) run(plan, scenario, FAULT_COUNT, times + 1);
}

static void run_signalled(const struct plan *plan, unsigned from) {
  pthread_t sender, self = pthread_self();
  struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
  catch_signals();
  if (__real_pthread_create(&sender, NULL, send_signals, &self)) bed_fail("no thread that sends signals");
  setitimer(ITIMER_REAL, &often, NULL);
  run_all(plan, from);
  setitimer(ITIMER_REAL, &never, NULL);
  atomic_store(&quiet, true);
  __real_pthread_join(sender, NULL);
  if (!atomic_load(&handled)) bed_fail("no signal came");
}

/* ---- children ------------------------------------------------------------------------------------------------ */

/* Tables that the library's allocator never gives back are made before anything is counted. */
static void warm_up(void) {
  for (unsigned i = 0; i < 2; ++i) scenarios[1].run();
}

static void child(const struct plan *plan, unsigned scenario, unsigned fault, uint64_t n) {
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* who watches may be ended by a time limit */
  warm_up();
  if (plan->way == DELAYS) delay_workers(8), run_all(plan, scenario);
  else if (plan->way == SIGNALS) run_signalled(plan, scenario);
  else run_faults(plan, scenario, fault, n);
  atomic_store(&progress->done, true);
  exit(0);
}

static void say(const char *what, int number) {
  unsigned fault = atomic_load(&progress->fault);
  fprintf(stderr, "^^ %s %d: scenario %s, %s (kind %u), n %llu\n", what, number,
          scenarios[atomic_load(&progress->scenario)].name,
              fault < FAULT_COUNT ? fault_name((enum fault)fault) : "nothing fails",
          fault, (unsigned long long)atomic_load(&progress->n));
}

/* @return true: it ended as it should. */
static bool watch(pid_t pid) {
  uint64_t seen = 0;
  int state;
  for (unsigned idle = 0; waitpid(pid, &state, WNOHANG) == 0; ++idle) {
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    uint64_t runs = atomic_load(&progress->runs);
    if (runs != seen) seen = runs, idle = 0;
    if (idle == STUCK_SECONDS * 200) kill(pid, SIGKILL);
  }
  if (WIFEXITED(state) && WEXITSTATUS(state) == 0 && atomic_load(&progress->done)) return true;
  say(WIFSIGNALED(state) ? "ended by signal" : "ended with status",
      WIFSIGNALED(state) ? WTERMSIG(state) : WEXITSTATUS(state));
  return false;
}

/* ---- the plan ------------------------------------------------------------------------------------------------ */

static int find_scenario(const char *name) {
  for (unsigned i = 0; i < scenario_count; ++i)
    if (strcmp(scenarios[i].name, name) == 0) return (int)i;
  return -1;
}

static struct plan read_plan(int count, char **arguments) {
  struct plan plan = {.scenario = -1, .fault = -1};
  const char *way = count > 1 ? arguments[1] : "quick";
  const char *seed = getenv("VARVE_TEST_SEED");
  plan.quick = strcmp(way, "quick") == 0;
  plan.all = strstr(way, "all") != NULL;
  plan.seed = seed ? strtoull(seed, NULL, 10) : 1;
  for (unsigned w = 0; w < WAYS; ++w)
    if (strncmp(way, way_names[w], strlen(way_names[w])) == 0) plan.way = (enum way)w;
  if (count > 2) plan.scenario = find_scenario(arguments[2]);
  if (count > 3) plan.fault = atoi(arguments[3]);
  if (count > 4) plan.n = strtoull(arguments[4], NULL, 10);
  return plan;
}

int main(int count, char **arguments) {
  struct plan plan = read_plan(count, arguments);
  unsigned failures = 0, scenario = 0, fault = 0;
  uint64_t n = 1;
  progress = __real_mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  while (failures < 20) {
    pid_t pid = fork();
    if (pid == 0) child(&plan, scenario, fault, n);
    if (watch(pid)) break;
    ++failures;
    scenario = atomic_load(&progress->scenario), fault = atomic_load(&progress->fault);
    n = after(atomic_load(&progress->n));
    if (!plan.all) ++fault, n = 1;
    if (plan.n || plan.way >= DELAYS) break;
  }
  printf("%llu runs, something failed in %llu, %u bad\n", (unsigned long long)atomic_load(&progress->runs),
         (unsigned long long)atomic_load(&progress->fired), failures);
  return failures != 0;
}
