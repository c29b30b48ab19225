/* SPDX-License-Identifier: MIT */
/* quiet.c -- system calls and page faults of an allocating thread in steady state, per million allocations.
 *
 * System calls are caught by Syscall User Dispatch (Linux 5.11): while `selector` says so, each raises SIGSYS; the
 * handler counts it and makes it. Page faults are those of getrusage(RUSAGE_THREAD).
 *
 *   between collections    the heap's budget is larger than what is allocated
 *   with collections       a small heap with live objects, two workers; futex (park and wake) is counted apart
 *
 * Negative control: seven calls and four first touches must be seen as such, or the run dies.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "bench.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
#define ALLOW 0
#define BLOCK 1
#define LIVE_OBJECTS ((size_t)1 << 16)

/* A thread that were started meanwhile would return into the middle of the handler: none may be. */
static bool starts_thread(int number) { return number == SYS_clone || number == SYS_clone3; }

/* The code that may always call: the handler's way to make a call, and its way back. */
__asm__(
  ".pushsection .text\n"
  ".globl quiet_begin, quiet_call, quiet_return, quiet_end\n"
  ".hidden quiet_begin, quiet_call, quiet_return, quiet_end\n"
  "quiet_begin:\n"
  "quiet_call:\n" /* number, then six arguments in an array: rdi, rsi */
  "  mov %rdi, %rax\n  mov %rsi, %r11\n"
  "  mov (%r11), %rdi\n  mov 8(%r11), %rsi\n  mov 16(%r11), %rdx\n"
  "  mov 24(%r11), %r10\n  mov 32(%r11), %r8\n  mov 40(%r11), %r9\n"
  "  syscall\n  ret\n"
  "quiet_return:\n  mov $15, %eax\n  syscall\n  nop\n" /* rt_sigreturn */
  "quiet_end:\n"
  ".popsection\n");
extern char quiet_begin[], quiet_return[], quiet_end[];
long quiet_call(long number, const long arguments[6]);

static volatile char selector = ALLOW;
static volatile unsigned long calls, futexes;

static void on_call(int number, siginfo_t *info, void *context) {
  greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
  const long arguments[6] = {regs[REG_RDI], regs[REG_RSI], regs[REG_RDX], regs[REG_R10], regs[REG_R8], regs[REG_R9]};
  (void)number;
  selector = ALLOW;
  if (starts_thread(info->si_syscall)) die("quiet: a thread was started in what is measured");
  if (info->si_syscall == SYS_futex) ++futexes;
  else ++calls;
  regs[REG_RAX] = quiet_call(info->si_syscall, arguments);
  selector = BLOCK;
}

/* The kernel's own form, since the C library would put its own way back. */
struct kernel_action {
  void (*handler)(int, siginfo_t *, void *);
  unsigned long flags;
  char *restorer;
  uint64_t mask;
};

static bool dispatch_open(void) {
  struct kernel_action action = {on_call, SA_SIGINFO | SA_NODEFER | 0x04000000 /* SA_RESTORER */, quiet_return, 0};
  if (syscall(SYS_rt_sigaction, SIGSYS, &action, NULL, 8) != 0) return false;
  return prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, quiet_begin, quiet_end - quiet_begin, &selector) == 0;
}

static void dispatch_close(void) { prctl(PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 0, 0); }

/* ---- counting ---- */

struct counts {
  unsigned long calls, futexes, faults;
};

static unsigned long faults_now(void) {
  struct rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  return (unsigned long)(usage.ru_minflt + usage.ru_majflt);
}

static struct counts count(void (*work)(void *), void *context) {
  calls = futexes = 0;
  unsigned long before = faults_now();
  selector = BLOCK;
  work(context);
  selector = ALLOW;
  unsigned long after = faults_now();
  return (struct counts){calls, futexes, after - before};
}

static void control_work(void *context) {
  char *pages = context;
  for (unsigned i = 0; i < 7; ++i) syscall(SYS_getppid);
  for (unsigned i = 0; i < 4; ++i) ((volatile char *)pages)[i * 4096] = 1;
}

static void control(void) {
  char *pages = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) die("no memory");
  madvise(pages, 1 << 16, MADV_NOHUGEPAGE);
  struct counts seen = count(control_work, pages);
  munmap(pages, 1 << 16);
  if (seen.calls != 7 || seen.faults < 4 || seen.faults > 6)
    die("quiet: 7 calls and 4 faults were seen as %lu and %lu", seen.calls, seen.faults);
}

/* ---- allocating ---- */

struct allocator {
  struct host *host;
  varve_word *live;
  size_t objects;
  bool keep;
};

static void allocate(void *context) {
  struct allocator *a = context;
  for (size_t i = 0; i < a->objects; ++i) {
    uint64_t *object = varve_alloc(a->host->me, a->host->data, 32);
    if (!object) return;
    escape(object);
    if (a->keep && i % 4 == 0) a->live[i / 4 % LIVE_OBJECTS] = varve_tag(object, 0);
  }
}

/* What must be none is judged by its worst sample. */
static void report(struct bench *bench, const char *what, const struct series *series, bool none) {
  struct series worst = {0};
  series_add(&worst, series_percentile(series, 100));
  enum bench_judge judge = none ? AT_MOST : NOT_JUDGED;
  bench_report(bench, &(struct figure){what, "", none ? &worst : series, NULL, NULL, judge, 0, 0});
}

static void between(struct bench *bench) {
  struct host host;
  struct series called = {0}, faulted = {0};
  size_t objects = bench_pick(bench, 10000, 1000000, 1000000);
  host_open(&host, (uint64_t)256 << 20, (uint64_t)96 << 20, "workers=2");
  machine_stay(); /* a requester that comes to another core would start the thread that belongs to this one */
  struct allocator a = {&host, NULL, objects, false};
  allocate(&a);
  for (unsigned i = 0; i < bench_pick(bench, 3, 10, 30); ++i) {
    host_collect(&host);
    struct counts seen = count(allocate, &a);
    series_add(&called, (double)(seen.calls + seen.futexes) * 1e6 / (double)objects);
    series_add(&faulted, (double)seen.faults * 1e6 / (double)objects);
  }
  machine_roam();
  host_close(&host);
  report(bench, "system calls, a million allocations", &called, true);
  report(bench, "page faults, a million allocations", &faulted, true);
}

static uint64_t collections(const struct host *host) {
  varve_heap_stats stats;
  varve_heap_stats_get(host->heap, &stats);
  return stats.collections;
}

static void report_with(struct bench *bench, const struct series *series, uint64_t per_million) {
  const char *what = bench_text("system calls but futex, %llu collections", (unsigned long long)per_million);
  report(bench, what, &series[0], true);
  report(bench, "page faults, the same", &series[1], true);
  report(bench, "park and wake, the same", &series[2], false);
}

static void with_collections(struct bench *bench) {
  struct host host;
  struct series series[3] = {{0}, {0}, {0}};
  varve_word *live = arena(ARENA_WORDS, LIVE_OBJECTS * sizeof *live);
  size_t objects = bench_pick(bench, 100000, 2000000, 2000000);
  memset(live, 0, LIVE_OBJECTS * sizeof *live);
  host_open(&host, (uint64_t)64 << 20, 0, "workers=2,parallel-min=0");
  machine_stay();
  struct allocator a = {&host, live, objects, true};
  if (varve_root_slots_add(host.heap, "live", live, LIVE_OBJECTS, NULL) != VARVE_OK) die("slots");
  for (unsigned i = 0; i < 10; ++i) allocate(&a); /* the heap and the stacks find their size */
  uint64_t before = collections(&host), rounds = bench_pick(bench, 2, 5, 20);
  for (unsigned i = 0; i < rounds; ++i) {
    struct counts seen = count(allocate, &a);
    series_add(&series[0], (double)seen.calls * 1e6 / (double)objects);
    series_add(&series[1], (double)seen.faults * 1e6 / (double)objects);
    series_add(&series[2], (double)seen.futexes * 1e6 / (double)objects);
  }
  report_with(bench, series, (collections(&host) - before) * 1000000 / (rounds * objects));
  machine_roam();
  host_close(&host);
}

void bench_quiet(struct bench *bench) {
  if (!dispatch_open()) {
    if (!bench->json) printf("  skipped: no Syscall User Dispatch here (%s)\n", strerror(errno));
    return;
  }
  control();
  between(bench);
  with_collections(bench);
  dispatch_close();
}
