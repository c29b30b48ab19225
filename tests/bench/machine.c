/* SPDX-License-Identifier: MIT */
/* machine.c -- time, cores, caches, memory. */
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

static uint64_t read_clock(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t now_ns(void) { return read_clock(CLOCK_MONOTONIC); }
uint64_t cpu_ns(void) { return read_clock(CLOCK_THREAD_CPUTIME_ID); }

void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fflush(stdout);
  fputs("bench: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  exit(120); /* not a count of missed targets */
}

unsigned machine_cores(void) {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

int machine_core(void) { return sched_getcpu(); }

void machine_leave_core(int core) {
  cpu_set_t set;
  if (core < 0 || machine_cores() < 2 || sched_getaffinity(0, sizeof set, &set) != 0) return;
  CPU_CLR((unsigned)core, &set);
  sched_setaffinity(0, sizeof set, &set);
}

static cpu_set_t roamed;

void machine_stay(void) {
  cpu_set_t here;
  int core = machine_core();
  CPU_ZERO(&here);
  if (core < 0 || sched_getaffinity(0, sizeof roamed, &roamed) != 0) return;
  CPU_SET((unsigned)core, &here);
  sched_setaffinity(0, sizeof here, &here);
}

void machine_roam(void) { sched_setaffinity(0, sizeof roamed, &roamed); }

size_t machine_l2_bytes(void) {
  long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return bytes >= 1 << 18 ? (size_t)bytes : (size_t)1 << 18;
}

static void read_line(const char *path, const char *key, char *out, size_t capacity) {
  char line[256];
  FILE *file = fopen(path, "r");
  snprintf(out, capacity, "?");
  while (file && fgets(line, sizeof line, file)) {
    if (strncmp(line, key, strlen(key)) != 0) continue;
    const char *value = *key ? strchr(line, ':') : NULL;
    snprintf(out, capacity, "%.*s", (int)strcspn(value ? value + 2 : line, "\n"), value ? value + 2 : line);
    break;
  }
  if (file) fclose(file);
}

void machine_print(const struct bench *bench) {
  char model[128], huge[128], load[128];
  struct utsname name;
  if (bench->json || uname(&name) != 0) return;
  read_line("/proc/cpuinfo", "model name", model, sizeof model);
  read_line("/sys/kernel/mm/transparent_hugepage/enabled", "", huge, sizeof huge);
  read_line("/proc/loadavg", "", load, sizeof load);
  printf("machine: %s, %u cores allowed, L2 %s, %s %s, huge pages %s, load %s\n", model, machine_cores(),
         bench_size(machine_l2_bytes()), name.sysname, name.release, huge, load);
}

/* ---- arenas ---- */

#define HUGE ((size_t)2 << 20)

static struct {
  char *base;
  size_t bytes;
} arenas[ARENAS];

static char *map_populated(size_t bytes) {
  char *raw = mmap(NULL, bytes + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) die("no memory: %zu bytes", bytes);
  char *base = (char *)(((uintptr_t)raw + HUGE - 1) & ~(HUGE - 1));
  madvise(base, bytes, MADV_HUGEPAGE);
  memset(base, 1, bytes);
  return base; /* never unmapped as a whole: what lies before and behind costs no memory */
}

void *arena(unsigned slot, size_t bytes) {
  bytes = (bytes + HUGE - 1) & ~(HUGE - 1);
  if (arenas[slot].bytes < bytes) {
    if (arenas[slot].base) munmap(arenas[slot].base, arenas[slot].bytes);
    arenas[slot].base = map_populated(bytes);
    arenas[slot].bytes = bytes;
  }
  return arenas[slot].base;
}
