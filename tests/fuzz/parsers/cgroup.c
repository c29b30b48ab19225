/* SPDX-License-Identifier: MIT */
/* cgroup.c -- files of control groups, in a directory that plays the file system. A limit that is found must stand as a
 * number in one of the files. */
#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "numa/cgroup.h"
#include "parsers.h"

#define FILES 5

/* Where each text goes: to one or several files. */
static const char *const paths[FILES][4] = {
    {"/proc/self/cgroup"},
    {"/proc/self/mountinfo"},
    {"/cg/cpu.max", "/cg/a/cpu.cfs_quota_us", "/cg/cpu.cfs_period_us"},
    {"/cg/memory.max", "/cg/a/memory.limit_in_bytes"},
    {"/cg/a/memory.max", "/cg/memory.limit_in_bytes", "/cg/cpu.cfs_quota_us", "/cg/a/cpu.cfs_period_us"}};

static char root[64];

static void remove_root(void) {
  static const char *const folders[] = {"/cg/a", "/cg", "/proc/self", "/proc", ""};
  char path[128];
  for (size_t i = 0; i < FILES * 4; ++i) {
    if (!paths[i / 4][i % 4]) continue;
    snprintf(path, sizeof path, "%s%s", root, paths[i / 4][i % 4]);
    unlink(path);
  }
  for (size_t i = 0; i < sizeof folders / sizeof *folders; ++i) {
    snprintf(path, sizeof path, "%s%s", root, folders[i]);
    rmdir(path);
  }
}

static void make_root(void) {
  static const char *const folders[] = {"/proc", "/proc/self", "/cg", "/cg/a"};
  char path[128];
  if (*root) return;
  snprintf(root, sizeof root, "%s/varve_fuzz_XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  if (!mkdtemp(root)) parse_fail("no directory");
  for (size_t i = 0; i < sizeof folders / sizeof *folders; ++i) {
    snprintf(path, sizeof path, "%s%s", root, folders[i]);
    if (mkdir(path, 0700)) parse_fail("no directory");
  }
  atexit(remove_root);
}

static void put(const char *name, const uint8_t *text, size_t length) {
  char path[128];
  snprintf(path, sizeof path, "%s%s", root, name);
  FILE *file = fopen(path, "w");
  if (!file || fwrite(text, 1, length, file) != length || fclose(file)) parse_fail("no file %s", path);
}

static bool stands_in(const uint8_t *text, size_t length, uint64_t number) {
  char digits[24];
  snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
  return memmem(text, length, digits, strlen(digits)) != NULL;
}

/* Texts end with a byte 0, or with '|', which no file of the kernel has. */
static size_t length_of(const uint8_t *bytes, size_t left) {
  size_t length = 0;
  while (length < left && bytes[length] && bytes[length] != '|') ++length;
  return length;
}

void parse_cgroup(const uint8_t *bytes, size_t length) {
  struct varve_cgroup found, again;
  const uint8_t *at = bytes, *end = bytes + length;
  make_root();
  for (size_t i = 0; i < FILES; ++i) {
    size_t size = length_of(at, (size_t)(end - at));
    for (size_t k = 0; k < 4 && paths[i][k]; ++k) put(paths[i][k], at, size);
    at += size + (at + size < end);
  }
  varve__cgroup_read(root, &found);
  varve__cgroup_read(root, &again);
  if (found.memory_limit != again.memory_limit || found.quota_cpus != again.quota_cpus)
    parse_fail("another limit at the second reading");
  bool stands = found.memory_limit == UINT64_MAX || stands_in(bytes, length, found.memory_limit);
  if (!stands || !found.memory_limit)
    parse_fail("memory_limit %llu is in no file", (unsigned long long)found.memory_limit);
  if (found.quota_cpus > INT32_MAX) parse_fail("a quota of %u processors", found.quota_cpus);
}
