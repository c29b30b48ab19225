/* SPDX-License-Identifier: MIT */
/* system.c -- the limits of a process: address space, data, locked memory, threads, files; what reservations are charged.
 *
 * Each limit is set in this process, which is one of its own. A call then succeeds or returns what its header says, and
 * what was there stays as it is. */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "limits/limits.h"

#define MIB ((uint64_t)1 << 20)

static uint64_t figure_of(const char *path, const char *name) {
  char line[256], form[64];
  unsigned long long kib = 0;
  FILE *file = fopen(path, "re");
  CHECK(file);
  snprintf(form, sizeof form, "%s %%llu", name);
  while (fgets(line, sizeof line, file))
    if (sscanf(line, form, &kib) == 1) break;
  fclose(file);
  return kib * 1024;
}

static void limit(int what, uint64_t most) {
  struct rlimit now;
  CHECK(getrlimit((__rlimit_resource_t)what, &now) == 0);
  now.rlim_cur = most < now.rlim_max ? most : now.rlim_max;
  CHECK(setrlimit((__rlimit_resource_t)what, &now) == 0);
}

/* A list that grows until the heap says no. @return its length. */
static uint64_t grow(struct world *w, varve_word *list, uint64_t most) {
  uint64_t count = 0;
  varve_word cell;
  for (; count < most && (cell = world_cell(w, count, list)); ++count) *list = cell;
  if (count < most) CHECK(varve_mutator_status(w->me) == VARVE_HEAP_FULL);
  return count;
}

static void check(const varve_word *list, uint64_t count) {
  for (varve_word at = *list; at; at = cell_of(at)->next) CHECK(cell_of(at)->number == --count);
  CHECK(count == 0);
}

/* Growth is refused long before heap-max; what was there is there, and room that comes free is used. */
static void grow_under(int what, uint64_t more) {
  struct world w;
  varve_word list = 0;
  world_open(&w, "heap-max=160m,heap-initial=4m,workers=2,parallel-min=0,huge-pages=off");
  CHECK(varve_root_slots_add(w.heap, "list", &list, 1, NULL) == VARVE_OK);
  uint64_t now = figure_of("/proc/self/status", what == RLIMIT_AS ? "VmSize:" : "VmData:");
  limit(what, now + more);
  uint64_t count = grow(&w, &list, 40u << 20); /* more than heap-max has room for */
  limit_figure(what == RLIMIT_AS ? "as_cells" : "data_cells", (double)count);
  check(&list, count);
  world_collect(&w, false);
  check(&list, count);
  list = 0;
  world_collect(&w, false);
  CHECK(world_live(&w) == 0);
  count = grow(&w, &list, 100000);
  CHECK(count == 100000);
  check(&list, count);
  world_close(&w);
}

/* At creation: it works or is refused by name, whatever the limit; and refused at the lowest. */
static void create_under(int what, uint64_t first) {
  unsigned refused = 0, made = 0;
  for (uint64_t most = first; most < 16384 * MIB; most += most / 6) {
    varve_options options;
    varve_heap *heap;
    varve_error error = {0};
    varve_options_init(&options);
    options.heap_max = 512 * MIB, options.heap_initial = 64 * MIB, options.workers = 2;
    limit(what, figure_of("/proc/self/status", what == RLIMIT_AS ? "VmSize:" : "VmData:") + most);
    varve_status status = varve_heap_create(&options, &heap, &error);
    limit(what, RLIM_INFINITY);
    if (status == VARVE_OK) ++made, CHECK(varve_heap_destroy(heap) == VARVE_OK);
    else ++refused, CHECK((status == VARVE_RESERVE || status == VARVE_COMMIT || status == VARVE_METADATA) && *error.detail);
  }
  CHECK(refused && made);
}

static void address_space(bool longer) {
  (void)longer;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  limit_skip("sanitizers take terabytes of addresses");
#endif
  create_under(RLIMIT_AS, 1 * MIB);
  grow_under(RLIMIT_AS, 4 * MIB);
}

static void data(bool longer) {
  (void)longer;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  limit_skip("sanitizers take terabytes of addresses");
#endif
  create_under(RLIMIT_DATA, 64 << 10);
  grow_under(RLIMIT_DATA, 24 * MIB);
}

static unsigned told;
static void note_line(void *context, int level, const char *line) {
  (void)context, (void)level;
  told += strstr(line, "lock-memory=1: the limit") != NULL;
}

/* Rights that make limits of no effect are given up. */
static void become_nobody(void) {
  if (geteuid() == 0 && (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))) limit_skip("rights cannot be given up");
}

static void locked(bool longer) {
  varve_options options;
  varve_heap *heap;
  (void)longer;
  become_nobody();
  for (uint64_t most = 0; most <= 16 * MIB; most += 8 * MIB) {
    limit(RLIMIT_MEMLOCK, most);
    told = 0;
    varve_options_init(&options);
    options.heap_max = 64 * MIB, options.heap_initial = 32 * MIB, options.lock_memory = 1, options.log = note_line;
    CHECK(varve_heap_create(&options, &heap, NULL) == VARVE_OK);
    CHECK(told == 1);
    CHECK(figure_of("/proc/self/status", "VmLck:") <= most);
    CHECK(varve_heap_destroy(heap) == VARVE_OK);
  }
}

static void many_threads(bool longer) {
  struct world w;
  varve_word list = 0;
  varve_collection_stats stats;
  (void)longer;
  become_nobody();
  limit(RLIMIT_NPROC, 0); /* of the user, this process has one already */
  world_open(&w, "heap-max=64m,heap-initial=8m,workers=4,parallel-min=0");
  CHECK(varve_root_slots_add(w.heap, "list", &list, 1, NULL) == VARVE_OK);
  uint64_t count = grow(&w, &list, 300000);
  world_collect(&w, true);
  check(&list, count);
  CHECK(varve_collection_stats_get(w.heap, &stats) && stats.workers == 1);
  world_close(&w);
}

static void many_files(bool longer) {
  struct world w;
  varve_word list = 0;
  (void)longer;
  int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
  CHECK(next >= 0);
  close(next);
  limit(RLIMIT_NOFILE, (uint64_t)next); /* not one more */
  CHECK(open("/dev/null", O_RDONLY | O_CLOEXEC) < 0);
  world_open(&w, "heap-max=64m,heap-initial=8m,workers=2,parallel-min=0");
  CHECK(varve_root_slots_add(w.heap, "list", &list, 1, NULL) == VARVE_OK);
  uint64_t count = grow(&w, &list, 300000);
  world_collect(&w, true);
  check(&list, count);
  world_close(&w);
}

/* Bytes of private mappings that can be written to: what a system without overcommit charges. */
static uint64_t writable_bytes(void) {
  char line[512], rights[8];
  unsigned long long low, high;
  uint64_t bytes = 0;
  FILE *file = fopen("/proc/self/maps", "re");
  CHECK(file);
  while (fgets(line, sizeof line, file))
    if (sscanf(line, "%llx-%llx %7s", &low, &high, rights) == 3 && rights[1] == 'w' && rights[3] == 'p') bytes += high - low;
  fclose(file);
  return bytes;
}

/* Reservations are addresses, not memory: a system without overcommit charges what is in use, block descriptors (32
 * bytes for 32 KiB of twice heap-max), and tables. */
static void overcommit(bool longer) {
  struct world w;
  (void)longer;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  limit_skip("sanitizers take terabytes of addresses");
#endif
  uint64_t size = figure_of("/proc/self/status", "VmSize:"), rss = figure_of("/proc/self/status", "VmRSS:");
  uint64_t charged = writable_bytes();
  world_open(&w, "heap-max=64g,heap-initial=8m,workers=1,mark-segments=2048");
  size = figure_of("/proc/self/status", "VmSize:") - size;
  rss = figure_of("/proc/self/status", "VmRSS:") - rss;
  charged = writable_bytes() - charged;
  limit_figure("reserved_bytes", (double)size);
  limit_figure("resident_bytes", (double)rss);
  limit_figure("charged_bytes", (double)charged);
  CHECK(size >= UINT64_C(128) << 30);
  CHECK(rss < 64 * MIB);
  CHECK(charged < UINT64_C(8) << 30);
  world_close(&w);
}

const struct limit_case system_cases[] = {
    {"address_space", address_space, 1200, 0}, {"data", data, 300, 0},   {"locked", locked, 100, 0},
    {"many_threads", many_threads, 100, 0},    {"many_files", many_files, 100, 0},
    {"overcommit", overcommit, 100, 0},        {0}};
