/* SPDX-License-Identifier: MIT */
/* guard.c -- see guard.h. The handler makes calls from a piece of code that both ways of catching let through. */
#define _GNU_SOURCE
#include "quiet/guard.h"

#include <errno.h>
#include <string.h>

#if defined(__x86_64__)

#include <dlfcn.h>
#include <execinfo.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
#define ALLOW 0
#define BLOCK 1
#define THREADS 64
#define PLACES 48
#define DEPTH 16
#define RESTORER 0x04000000
#define STACK_WARM ((size_t)128 << 10) /* touched at the start, so that handlers take no page fault */

/* guard_call: a number, then six arguments in an array. guard_return: rt_sigreturn, in the form unwinders know. */
__asm__(
    ".pushsection .text\n"
    ".globl guard_begin, guard_call, guard_return, guard_end\n"
    ".hidden guard_begin, guard_call, guard_return, guard_end\n"
    "guard_begin:\n"
    "guard_call:\n"
    "  mov %rdi, %rax\n  mov %rsi, %r11\n"
    "  mov (%r11), %rdi\n  mov 8(%r11), %rsi\n  mov 16(%r11), %rdx\n"
    "  mov 24(%r11), %r10\n  mov 32(%r11), %r8\n  mov 40(%r11), %r9\n"
    "  syscall\n  ret\n  nop\n"
    "guard_return:\n  mov $15, %rax\n  syscall\n  nop\n"
    "guard_end:\n"
    ".popsection\n");
extern char guard_begin[], guard_return[], guard_end[];
long guard_call(long number, const long arguments[6]);

struct place {
  int number, depth;
  uint64_t count;
  void *stack[DEPTH];
};

struct thread {
  _Alignas(64) volatile char selector;
  bool used; /* atomic */
  bool worker, inside;
  pid_t id;
  uint64_t counts[GUARD_NUMBERS];
  int places;
  struct place place[PLACES];
};

static struct thread threads[THREADS];
static __thread struct thread *self;
static bool trapping;

/* ---- counting ---- */

/* The stack from the call on, without the handler's own frames. */
static int stack_of(const void *call, void *stack[DEPTH]) {
  void *all[DEPTH + 8];
  int depth = backtrace(all, DEPTH + 8), first = 0;
  while (first < depth && all[first] != call) ++first;
  if (first == depth) {
    stack[0] = (void *)(uintptr_t)call;
    return 1;
  }
  depth = depth - first < DEPTH ? depth - first : DEPTH;
  memcpy(stack, all + first, (size_t)depth * sizeof *stack);
  return depth;
}

static void note_place(struct thread *thread, int number, const void *call) {
  struct place place = {.number = number, .count = 1};
  place.depth = stack_of(call, place.stack);
  for (int i = 0; i < thread->places; ++i) {
    struct place *old = &thread->place[i];
    if (old->number != number || old->depth != place.depth) continue;
    if (memcmp(old->stack, place.stack, (size_t)place.depth * sizeof place.stack[0]) != 0) continue;
    ++old->count;
    return;
  }
  if (thread->places < PLACES) thread->place[thread->places++] = place;
}

static void count(struct thread *thread, const siginfo_t *info) {
  int number = info->si_syscall;
  ++thread->counts[number >= 0 && number < GUARD_NUMBERS ? number : GUARD_NUMBERS - 1];
  note_place(thread, number, info->si_call_addr);
}

/* A new thread would return into the middle of the handler: the caller makes this call again itself, with the guard
 * off. The filter lets such calls through, so only dispatch comes here. */
static bool starts_thread(int number) { return number == SYS_clone || number == SYS_clone3; }

static void call_again(struct thread *thread, greg_t *regs, int number) {
  thread->selector = ALLOW;
  regs[REG_RAX] = number;
  regs[REG_RIP] -= 2;
}

static void count_if_armed(struct thread *thread, const siginfo_t *info) {
  if (!thread || thread->selector == ALLOW || thread->inside) return;
  thread->inside = true;
  count(thread, info);
  thread->inside = false;
}

static void on_call(int signal, siginfo_t *info, void *context) {
  int error = errno, number = info->si_syscall;
  greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
  const long arguments[6] = {regs[REG_RDI], regs[REG_RSI], regs[REG_RDX], regs[REG_R10], regs[REG_R8], regs[REG_R9]};
  (void)signal;
  count_if_armed(self, info);
  if (starts_thread(number)) call_again(self, regs, number);
  else regs[REG_RAX] = guard_call(number, arguments);
  errno = error;
}

/* ---- the two ways of catching ---- */

/* The kernel's own form, since the C library would put its own way back. */
struct kernel_action {
  void (*handler)(int, siginfo_t *, void *);
  unsigned long flags;
  char *restorer;
  uint64_t mask;
};

static bool handle_signal(void) {
  struct kernel_action action = {on_call, SA_SIGINFO | SA_NODEFER | RESTORER, guard_return, 0};
  return syscall(SYS_rt_sigaction, SIGSYS, &action, NULL, sizeof action.mask) == 0;
}

static bool dispatch(volatile char *selector) {
  return prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, guard_begin, guard_end - guard_begin, selector) == 0;
}

/* Let through: calls from guard_call and guard_return, those that start and end threads. All others: SIGSYS. */
static bool filter(void) {
  uint64_t begin = (uintptr_t)guard_begin, end = (uintptr_t)guard_end;
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 8, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 7, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 6, 0),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(begin >> 32), 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)begin, 0, 1),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)end, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {sizeof code / sizeof code[0], code};
  if (begin >> 32 != end >> 32 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

/* Unwinding reads tables that nobody else reads: touch every page that comes from a file. */
static void touch_files(void) {
  char line[512], access[8], name[256];
  unsigned long from, to;
  FILE *file = fopen("/proc/self/maps", "r");
  while (file && fgets(line, sizeof line, file)) {
    if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &from, &to, access, name) != 4) continue;
    if (access[0] != 'r' || name[0] != '/') continue;
    for (; from < to; from += 4096) (void)*(volatile char *)from;
  }
  if (file) fclose(file);
}

const char *guard_open(bool trap) {
  static volatile char allowed = ALLOW;
  void *stack[4];
  backtrace(stack, 4);                 /* it loads a library when first called */
  memset(threads, 0, sizeof threads); /* the guard's own page faults come before any section */
  touch_files();
  if (!handle_signal()) return "no handler for SIGSYS";
  if (!trap && dispatch(&allowed)) return NULL;
  trapping = true;
  return filter() ? NULL : "neither Syscall User Dispatch nor seccomp";
}

/* ---- threads ---- */

static void touch_stack(void) {
  volatile char stack[STACK_WARM];
  for (size_t i = 0; i < sizeof stack; i += 4096) stack[i] = 1;
}

static struct thread *take_slot(void) {
  for (struct thread *thread = threads; thread < threads + THREADS; ++thread)
    if (!__atomic_exchange_n(&thread->used, true, __ATOMIC_ACQ_REL)) return thread;
  abort();
}

/* The library's threads may be born with every signal blocked; a blocked SIGSYS would end the process. */
static void let_signal_through(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGSYS);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void join_as(bool worker) {
  struct thread *thread = take_slot();
  let_signal_through();
  touch_stack();
  thread->selector = ALLOW;
  thread->worker = worker;
  thread->id = gettid();
  self = thread;
  if (!trapping && !dispatch(&thread->selector)) abort();
}

void guard_join(void) { join_as(false); }

void guard_leave(void) {
  struct thread *thread = self;
  thread->selector = ALLOW;
  if (!trapping) prctl(PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 0, 0);
  self = NULL;
  __atomic_store_n(&thread->used, false, __ATOMIC_RELEASE);
}

static void leave(void *unused) {
  (void)unused;
  guard_leave();
}

/* What pthread_create was asked for. */
struct start {
  void *(*run)(void *);
  void *argument;
};

static void *run_worker(void *argument) {
  struct start start = *(struct start *)argument;
  void *result;
  free(argument);
  join_as(true);
  pthread_cleanup_push(leave, NULL);
  result = start.run(start.argument);
  pthread_cleanup_pop(1);
  return result;
}

int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *argument) {
  struct start *start = malloc(sizeof *start);
  if (!start) return EAGAIN;
  *start = (struct start){run, argument};
  if (trapping && self && self->selector == BLOCK) ++self->counts[SYS_clone]; /* the filter lets it through */
  int failed = __real_pthread_create(thread, attr, run_worker, start);
  if (failed) free(start);
  return failed;
}

int guard_start(pthread_t *thread, void *(*run)(void *), void *argument) {
  return __real_pthread_create(thread, NULL, run, argument);
}

/* ---- arming and reading ---- */

void guard_self(bool on) { self->selector = on ? BLOCK : ALLOW; }

void guard_workers(bool on) {
  for (int i = 0; i < THREADS; ++i)
    if (threads[i].worker) threads[i].selector = on ? BLOCK : ALLOW;
}

/* The third field of the file, behind the name in brackets: S, it sleeps. */
static bool sleeps(pid_t thread) {
  char path[64], text[128] = "";
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
  FILE *file = fopen(path, "r");
  if (!file) return true;
  size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  const char *bracket = memrchr(text, ')', length);
  return bracket && bracket[1] == ' ' && bracket[2] == 'S';
}

void guard_wait_for_workers(void) {
  for (struct thread *thread = threads; thread < threads + THREADS; ++thread)
    while (__atomic_load_n(&thread->used, __ATOMIC_ACQUIRE) && thread->worker && !sleeps(thread->id)) usleep(100);
}

bool guard_is_worker(void) { return self && self->worker; }

void guard_reset(void) {
  for (int i = 0; i < THREADS; ++i) {
    memset(threads[i].counts, 0, sizeof threads[i].counts);
    threads[i].places = 0;
  }
}

uint64_t guard_count(bool workers, int number) {
  uint64_t sum = 0;
  for (int i = 0; i < THREADS; ++i)
    if (threads[i].worker == workers) sum += threads[i].counts[number];
  return sum;
}

/* The function at an offset of this program; static ones need addr2line, which the filter would not let start. */
static bool name_own(size_t offset, char *name, int size) {
  char command[128];
  snprintf(command, sizeof command, "addr2line -fe /proc/%d/exe %#zx 2>/dev/null", (int)getpid(), offset - 1);
  FILE *pipe = trapping ? NULL : popen(command, "r");
  bool known = pipe && fgets(name, size, pipe) && name[0] != '?';
  if (pipe) pclose(pipe);
  name[strcspn(name, "\n")] = 0;
  return known;
}

static void print_frame(FILE *out, const char *address) {
  char name[256] = "";
  Dl_info own = {0}, found = {0};
  dladdr(guard_begin, &own);
  dladdr(address, &found);
  size_t offset = (size_t)(address - (const char *)found.dli_fbase);
  bool known = found.dli_fbase == own.dli_fbase && name_own(offset, name, sizeof name);
  fprintf(out, " < %s (%#zx)", known ? name : found.dli_sname ? found.dli_sname : "?", offset);
}

void guard_print_places(FILE *out) {
  for (int i = 0; i < THREADS; ++i) {
    for (int p = 0; p < threads[i].places; ++p) {
      const struct place *place = &threads[i].place[p];
      fprintf(out, "  %-7s %6llu %s:", threads[i].worker ? "worker" : "mutator", (unsigned long long)place->count,
              guard_name(place->number));
      for (int d = 0; d < place->depth; ++d) print_frame(out, place->stack[d]);
      fputc('\n', out);
    }
  }
}

/* ---- names ---- */

static const struct {
  const char *name;
  int number;
} NAMES[] = {{"futex", SYS_futex}, {"mmap", SYS_mmap}, {"munmap", SYS_munmap}, {"mprotect", SYS_mprotect},
             {"madvise", SYS_madvise}, {"mbind", SYS_mbind}, {"mremap", SYS_mremap}, {"brk", SYS_brk},
             {"mlock", SYS_mlock}, {"sched_setaffinity", SYS_sched_setaffinity}, {"sched_yield", SYS_sched_yield},
             {"sched_getaffinity", SYS_sched_getaffinity}, {"getcpu", SYS_getcpu}, {"clock_gettime", SYS_clock_gettime},
             {"nanosleep", SYS_nanosleep}, {"clone", SYS_clone}, {"clone3", SYS_clone3}, {"getpid", SYS_getpid},
             {"openat", SYS_openat}, {"read", SYS_read}, {"write", SYS_write}, {"close", SYS_close},
             {"rt_sigprocmask", SYS_rt_sigprocmask}, {"gettid", SYS_gettid}, {"move_pages", SYS_move_pages}};
#define NAME_COUNT (sizeof NAMES / sizeof NAMES[0])

const char *guard_name(int number) {
  static char text[32];
  for (size_t i = 0; i < NAME_COUNT; ++i)
    if (NAMES[i].number == number) return NAMES[i].name;
  snprintf(text, sizeof text, "call %d", number);
  return text;
}

int guard_number(const char *name) {
  for (size_t i = 0; i < NAME_COUNT; ++i)
    if (strcmp(NAMES[i].name, name) == 0) return NAMES[i].number;
  return -1;
}

#else

#error "guard.c counts system calls in the ways of x86-64"

#endif
