/* SPDX-License-Identifier: MIT */
/* inject.c -- see inject.h. */
#define _GNU_SOURCE 1
#include "fault/inject.h"

#include <errno.h>
#include <fcntl.h>
#include <hwloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/worker.h"
#include "numa/meta.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* ---- whose turn ---------------------------------------------------------------------------------------------- */

static const struct {
  const char *text;
  int error;
} faults[] = {
#define FAULT(name, text, error) {text ": " #error, error},
#include "fault/faults.def"
#undef FAULT
};

static _Atomic uint64_t calls[FAULT_COUNT], fired;
static _Atomic uint64_t first, behind; /* the armed kind's calls from `first` on and before `behind` fail */
static _Atomic int armed = FAULT_COUNT;

const char *fault_name(enum fault fault) { return faults[fault].text; }

void fault_arm(enum fault fault, uint64_t from, uint64_t length) {
  for (int f = 0; f < FAULT_COUNT; ++f) atomic_store(&calls[f], 0);
  atomic_store(&fired, 0);
  atomic_store(&first, from);
  atomic_store(&behind, length > UINT64_MAX - from ? UINT64_MAX : from + length);
  atomic_store(&armed, fault);
}

void fault_disarm(void) { atomic_store(&armed, FAULT_COUNT); }
uint64_t fault_fired(void) { return atomic_load(&fired); }
uint64_t fault_calls(enum fault fault) { return atomic_load(&calls[fault]); }
bool fault_lasts(void) { return atomic_load(&armed) != FAULT_COUNT && atomic_load(&behind) == UINT64_MAX; }

static bool turn(enum fault fault) {
  uint64_t call = atomic_fetch_add(&calls[fault], 1) + 1;
  if (atomic_load(&armed) != (int)fault || call < atomic_load(&first) || call >= atomic_load(&behind)) return false;
  atomic_fetch_add(&fired, 1);
  return true;
}

/* Is this call to fail? Rows of one call follow on each other, up to `last`; the first stands for it in "everything".
 * errno says how. */
static bool fails(enum fault from, enum fault last) {
  for (enum fault f = from; f <= last; ++f)
    if (turn(f)) return errno = faults[f].error, true;
  if (turn(FAULT_ANY)) return errno = faults[from].error, true;
  return false;
}

/* ---- what is held -------------------------------------------------------------------------------------------- */

/* Mappings that the library made, jemalloc's own, which no heap gives back, among them: they are told by flags. */
#define MAPPINGS 8192u
struct mapping {
  uintptr_t base, end;
};
static struct mapping mappings[MAPPINGS];
static unsigned mapping_count;
static int64_t mapped_bytes;
static pthread_mutex_t mapping_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int64_t files, threads, blocks, hwloc_things;

#define HUGE_SIZE (63 << 26) /* the flags that name one */
static bool has_pool;

void machine_pool(bool full) { has_pool = full; }

static uintptr_t page_up(uintptr_t value) { return (value + 4095) & ~(uintptr_t)4095; }

static void note_mapped(void *base, size_t bytes) {
  pthread_mutex_lock(&mapping_lock);
  if (mapping_count == MAPPINGS) abort();
  mappings[mapping_count++] = (struct mapping){(uintptr_t)base, page_up((uintptr_t)base + bytes)};
  mapped_bytes += (int64_t)page_up(bytes);
  pthread_mutex_unlock(&mapping_lock);
}

/* Take [base, end) off the mapping at `at`; what is left of it stays, in one place or two. */
static void cut(unsigned at, uintptr_t base, uintptr_t end) {
  struct mapping old = mappings[at];
  if (base < old.base) base = old.base;
  if (end > old.end) end = old.end;
  mapped_bytes -= (int64_t)(end - base);
  mappings[at] = mappings[--mapping_count];
  if (base > old.base) mappings[mapping_count++] = (struct mapping){old.base, base};
  if (end < old.end) mappings[mapping_count++] = (struct mapping){end, old.end};
}

static void note_unmapped(void *at, size_t bytes) {
  uintptr_t base = (uintptr_t)at, end = page_up(base + bytes);
  pthread_mutex_lock(&mapping_lock);
  for (unsigned i = mapping_count; i-- > 0;)
    if (mappings[i].base < end && mappings[i].end > base) cut(i, base, end);
  pthread_mutex_unlock(&mapping_lock);
}

struct held held_now(void) {
  pthread_mutex_lock(&mapping_lock);
  struct held held = {mapped_bytes, atomic_load(&files), atomic_load(&threads), atomic_load(&blocks),
                      atomic_load(&hwloc_things)};
  pthread_mutex_unlock(&mapping_lock);
  return held;
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

#define WRAP(type, name, ...)      \
  type __real_##name(__VA_ARGS__); \
  type __wrap_##name(__VA_ARGS__); \
  type __wrap_##name(__VA_ARGS__)

WRAP(void *, mmap, void *at, size_t bytes, int protection, int flags, int file, off_t offset) {
  bool own = (flags & MAP_NORESERVE) && (protection & PROT_WRITE); /* jemalloc's tables for all of its arenas */
  if (!own && fails(FAULT_MMAP, FAULT_MMAP)) return MAP_FAILED;
  if (has_pool && (flags & MAP_HUGETLB)) flags &= ~(MAP_HUGETLB | HUGE_SIZE);
  void *base = __real_mmap(at, bytes, protection, flags, file, offset);
  if (base != MAP_FAILED && !own && !(flags & MAP_FIXED)) note_mapped(base, bytes);
  return base;
}

/* What stays because of it is no fault of the library. */
WRAP(int, munmap, void *base, size_t bytes) {
  bool failing = fails(FAULT_MUNMAP, FAULT_MUNMAP);
  note_unmapped(base, bytes);
  return failing ? -1 : __real_munmap(base, bytes);
}

/* Before Linux 5.16 a refused move may have unmapped the target. */
static void *refuse_move(void *to, size_t bytes, int error) {
  if (error == EFAULT && __real_munmap(to, bytes) == 0) note_unmapped(to, bytes);
  errno = error;
  return MAP_FAILED;
}

void *__real_mremap(void *from, size_t bytes, size_t to_bytes, int flags, ...);
void *__wrap_mremap(void *from, size_t bytes, size_t to_bytes, int flags, ...);
void *__wrap_mremap(void *from, size_t bytes, size_t to_bytes, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  void *to = va_arg(arguments, void *);
  va_end(arguments);
  if (fails(FAULT_MREMAP, FAULT_MREMAP_HOLE)) return refuse_move(to, to_bytes, errno);
  void *at = __real_mremap(from, bytes, to_bytes, flags, to);
  if (at != MAP_FAILED) note_unmapped(from, bytes);
  return at;
}

WRAP(int, mprotect, void *base, size_t bytes, int protection) {
  return fails(FAULT_MPROTECT, FAULT_MPROTECT) ? -1 : __real_mprotect(base, bytes, protection);
}

WRAP(int, madvise, void *base, size_t bytes, int advice) {
  bool populate = advice == MADV_POPULATE_WRITE;
  bool failing = populate ? fails(FAULT_POPULATE, FAULT_POPULATE_SIGNAL) : fails(FAULT_ADVISE, FAULT_ADVISE_BUSY);
  return failing ? -1 : __real_madvise(base, bytes, advice);
}

WRAP(int, mlock, const void *base, size_t bytes) {
  return fails(FAULT_MLOCK, FAULT_MLOCK_MAY_NOT) ? -1 : __real_mlock(base, bytes);
}

WRAP(void *, calloc, size_t count, size_t bytes) {
  if (fails(FAULT_CALLOC, FAULT_CALLOC)) return NULL;
  void *p = __real_calloc(count, bytes);
  if (p) atomic_fetch_add(&blocks, 1);
  return p;
}

WRAP(void, free, void *p) {
  if (p) atomic_fetch_sub(&blocks, 1);
  __real_free(p);
}

WRAP(void *, varve__meta_alloc, struct varve_meta *meta, unsigned node, size_t bytes, size_t alignment) {
  return fails(FAULT_META, FAULT_META) ? NULL : __real_varve__meta_alloc(meta, node, bytes, alignment);
}

/* ---- the machine --------------------------------------------------------------------------------------------- */

static int policy = -1;
static unsigned astray;
static _Atomic unsigned located;
static _Thread_local unsigned bound_to; /* what the thread's last mbind named first */

void machine(int wanted) {
  policy = wanted;
  astray = 0;
  if (wanted < 0) {
    unsetenv("HWLOC_SYNTHETIC");
    unsetenv("HWLOC_THISSYSTEM");
  } else {
    setenv("HWLOC_SYNTHETIC", "numa:2 core:1 pu:1", 1);
    setenv("HWLOC_THISSYSTEM", "1", 1);
    setenv("HWLOC_PLUGINS_PATH", "/dev/null", 1); /* it would load them anew for each heap */
  }
}

void machine_astray(unsigned sixteenths) { astray = sixteenths; }

static long bind_memory(const unsigned long *mask) {
  bound_to = mask[0] & 1 ? 0 : 1;
  return 0;
}

static long locate_pages(long count, int *status) {
  unsigned elsewhere = atomic_fetch_add(&located, 1) % 16 < astray;
  for (long i = 0; i < count; ++i) status[i] = (int)(bound_to ^ elsewhere);
  return 0;
}

static long tell_policy(int *mode, unsigned long *mask, unsigned long what) {
  *mode = what == 0 ? policy : 0;
  mask[0] = what == 0 && policy == 1 ? 2 : 3;
  return 0;
}

static long ask_system(long number, const long *a) {
  long __real_syscall(long number, ...);
  return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static long call_system(long number, const long *a) {
  switch (number) {
    case SYS_mbind:
      if (fails(FAULT_MBIND, FAULT_MBIND_UNKNOWN)) return -1;
      return policy < 0 ? ask_system(number, a) : bind_memory((const unsigned long *)a[3]);
    case SYS_move_pages:
      if (fails(FAULT_MOVE_PAGES, FAULT_MOVE_PAGES_MEMORY)) return -1;
      return policy < 0 ? ask_system(number, a) : locate_pages(a[1], (int *)a[4]);
    case SYS_get_mempolicy:
      if (fails(FAULT_GET_MEMPOLICY, FAULT_GET_MEMPOLICY)) return -1;
      return policy < 0 ? ask_system(number, a) : tell_policy((int *)a[0], (unsigned long *)a[1], (unsigned long)a[4]);
    case SYS_futex:
      if ((a[1] & 127) == 0 && fails(FAULT_FUTEX_WAIT, FAULT_FUTEX_WAIT_EARLY)) return -1;
      return ask_system(number, a);
    default: return ask_system(number, a);
  }
}

long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  long a[6];
  va_list arguments;
  va_start(arguments, number);
  for (unsigned i = 0; i < 6; ++i) a[i] = va_arg(arguments, long);
  va_end(arguments);
  return call_system(number, a);
}

/* ---- files --------------------------------------------------------------------------------------------------- */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
  if (fails(FAULT_OPEN, FAULT_OPEN_FULL)) return -1;
  int file = __real_open(path, flags, 0);
  if (file >= 0) atomic_fetch_add(&files, 1);
  return file;
}

WRAP(int, close, int file) {
  atomic_fetch_sub(&files, 1);
  return __real_close(file);
}

WRAP(ssize_t, read, int file, void *buffer, size_t bytes) {
  return fails(FAULT_READ, FAULT_READ_SIGNAL) ? -1 : __real_read(file, buffer, bytes);
}

WRAP(ssize_t, write, int file, const void *buffer, size_t bytes) {
  return fails(FAULT_WRITE, FAULT_WRITE_CLOSED) ? -1 : __real_write(file, buffer, bytes);
}

WRAP(FILE *, fopen, const char *path, const char *how) {
  if (fails(FAULT_FOPEN, FAULT_FOPEN_FULL)) return NULL;
  FILE *file = __real_fopen(path, how);
  if (file) atomic_fetch_add(&files, 1);
  return file;
}

WRAP(int, fclose, FILE *file) {
  atomic_fetch_sub(&files, 1);
  return __real_fclose(file);
}

WRAP(char *, fgets, char *line, int capacity, FILE *file) {
  return fails(FAULT_FGETS, FAULT_FGETS) ? NULL : __real_fgets(line, capacity, file);
}

WRAP(int, fgetc, FILE *file) { return fails(FAULT_FGETC, FAULT_FGETC) ? EOF : __real_fgetc(file); }

/* ---- threads and processors ---------------------------------------------------------------------------------- */

WRAP(long, sysconf, int name) {
  return name != _SC_PAGESIZE && fails(FAULT_SYSCONF, FAULT_SYSCONF) ? -1 : __real_sysconf(name);
}

WRAP(int, pthread_create, pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument) {
  if (fails(FAULT_THREAD, FAULT_THREAD_MAY_NOT)) return errno;
  int error = __real_pthread_create(thread, attributes, body, argument);
  if (!error) atomic_fetch_add(&threads, 1);
  return error;
}

WRAP(int, pthread_join, pthread_t thread, void **result) {
  int error = __real_pthread_join(thread, result);
  if (!error) atomic_fetch_sub(&threads, 1);
  return error;
}

WRAP(int, pthread_getattr_np, pthread_t thread, pthread_attr_t *out) {
  return fails(FAULT_STACK_OF_THREAD, FAULT_STACK_OF_THREAD) ? errno : __real_pthread_getattr_np(thread, out);
}

WRAP(int, sched_setaffinity, pid_t thread, size_t bytes, const cpu_set_t *set) {
  return fails(FAULT_PIN_THREAD, FAULT_PIN_THREAD_MAY_NOT) ? -1 : __real_sched_setaffinity(thread, bytes, set);
}

WRAP(int, sched_getaffinity, pid_t thread, size_t bytes, cpu_set_t *set) {
  return fails(FAULT_GET_AFFINITY, FAULT_GET_AFFINITY) ? -1 : __real_sched_getaffinity(thread, bytes, set);
}

WRAP(int, sched_getcpu, void) { return fails(FAULT_GET_CPU, FAULT_GET_CPU) ? -1 : __real_sched_getcpu(); }

/* ---- hwloc --------------------------------------------------------------------------------------------------- */

static int hwloc_held(int result) {
  if (result == 0) atomic_fetch_add(&hwloc_things, 1);
  return result;
}

WRAP(int, hwloc_topology_init, hwloc_topology_t *out) {
  return fails(FAULT_HWLOC_INIT, FAULT_HWLOC_INIT) ? -1 : hwloc_held(__real_hwloc_topology_init(out));
}

WRAP(int, hwloc_topology_load, hwloc_topology_t topology) {
  return fails(FAULT_HWLOC_LOAD, FAULT_HWLOC_LOAD) ? -1 : __real_hwloc_topology_load(topology);
}

WRAP(void, hwloc_topology_destroy, hwloc_topology_t topology) {
  atomic_fetch_sub(&hwloc_things, 1);
  __real_hwloc_topology_destroy(topology);
}

WRAP(hwloc_bitmap_t, hwloc_bitmap_alloc, void) {
  hwloc_bitmap_t set = fails(FAULT_HWLOC_BITMAP, FAULT_HWLOC_BITMAP) ? NULL : __real_hwloc_bitmap_alloc();
  if (set) hwloc_held(0);
  return set;
}

WRAP(hwloc_bitmap_t, hwloc_bitmap_dup, hwloc_const_bitmap_t of) {
  hwloc_bitmap_t set = fails(FAULT_HWLOC_DUP, FAULT_HWLOC_DUP) ? NULL : __real_hwloc_bitmap_dup(of);
  if (set) hwloc_held(0);
  return set;
}

WRAP(void, hwloc_bitmap_free, hwloc_bitmap_t set) {
  if (set) atomic_fetch_sub(&hwloc_things, 1);
  __real_hwloc_bitmap_free(set);
}

WRAP(int, hwloc_get_cpubind, hwloc_topology_t topology, hwloc_cpuset_t set, int flags) {
  return fails(FAULT_HWLOC_BINDING, FAULT_HWLOC_BINDING) ? -1 : __real_hwloc_get_cpubind(topology, set, flags);
}

WRAP(int, hwloc_distances_get_by_name, hwloc_topology_t topology, const char *name, unsigned *count,
     struct hwloc_distances_s **out, unsigned long flags) {
  if (fails(FAULT_HWLOC_DISTANCES, FAULT_HWLOC_DISTANCES)) return -1;
  return __real_hwloc_distances_get_by_name(topology, name, count, out, flags);
}

WRAP(int, hwloc_get_local_numanode_objs, hwloc_topology_t topology, struct hwloc_location *where, unsigned *count,
     hwloc_obj_t *nodes, unsigned long flags) {
  if (fails(FAULT_HWLOC_LOCAL, FAULT_HWLOC_LOCAL)) return -1;
  return __real_hwloc_get_local_numanode_objs(topology, where, count, nodes, flags);
}

/* ---- delays -------------------------------------------------------------------------------------------------- */

static unsigned delay_period;
static _Atomic unsigned phases;
static varve_worker_fn *delayed; /* one heap collects at a time here */

void delay_workers(unsigned period) { delay_period = period; }

static void delay(uint32_t worker) {
  unsigned mixed = (atomic_fetch_add(&phases, 1) + worker) * 2654435761u >> 8;
  if (delay_period && mixed % delay_period == 0)
    nanosleep(&(struct timespec){.tv_nsec = (long)(mixed / delay_period % 16) * 50000}, NULL);
}

static void run_delayed(struct varve_heap *heap, uint32_t worker) {
  varve_worker_fn *fn = delayed;
  delay(worker);
  fn(heap, worker);
  delay(worker);
}

WRAP(void, varve__workers_run, struct varve_heap *heap, varve_worker_fn *fn) {
  if (!delay_period) {
    __real_varve__workers_run(heap, fn);
    return;
  }
  delayed = fn;
  __real_varve__workers_run(heap, run_delayed);
}
