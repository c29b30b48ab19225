/* SPDX-License-Identifier: MIT */
/* cgroup.c -- see cgroup.h. Reads at most a few dozen tiny files; stack memory only. */
#define _GNU_SOURCE 1
#include "numa/cgroup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 4352

/* One hierarchy as this process sees it. */
struct hierarchy {
  const char *controller; /* "cpu", "memory"; "": the unified one of version 2 */
  char group[1024];       /* our group, as /proc/self/cgroup names it */
  char part[1024];        /* the group that is visible at the mount point */
  char mount[1024];
};

typedef void level_fn(const char *folder, struct varve_cgroup *out);

/* The first line of folder/name, without its newline. */
static bool read_line(const char *folder, const char *name, char *line, size_t capacity) {
  char path[PATH_BYTES + 64];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "re");
  if (!file) return false;
  bool found = fgets(line, (int)capacity, file) != NULL;
  fclose(file);
  if (found) line[strcspn(line, "\n")] = 0;
  return found;
}

/* "max", and "-1", are no limits. */
static void lower_memory(struct varve_cgroup *out, const char *text) {
  char *end;
  if (*text < '0' || *text > '9') return;
  uint64_t bytes = strtoull(text, &end, 10);
  if (end != text && bytes != 0 && bytes < out->memory_limit) out->memory_limit = bytes;
}

static void lower_quota(struct varve_cgroup *out, int64_t quota_us, int64_t period_us) {
  if (quota_us <= 0 || period_us <= 0) return;
  int64_t cpus = quota_us / period_us + (quota_us % period_us != 0);
  if (cpus > INT32_MAX) return;
  if (out->quota_cpus == 0 || (unsigned)cpus < out->quota_cpus) out->quota_cpus = (unsigned)cpus;
}

static void level_unified(const char *folder, struct varve_cgroup *out) {
  char line[128];
  int64_t quota, period;
  /* NOLINTNEXTLINE(cert-err34-c): the kernel's numbers; "max" is none and leaves out is as it was */
  if (read_line(folder, "cpu.max", line, sizeof line) && sscanf(line, "%" SCNd64 " %" SCNd64, &quota, &period) == 2)
    lower_quota(out, quota, period);
  if (read_line(folder, "memory.max", line, sizeof line)) lower_memory(out, line);
}

static void level_cpu(const char *folder, struct varve_cgroup *out) {
  char quota[64], period[64];
  if (read_line(folder, "cpu.cfs_quota_us", quota, sizeof quota) &&
      read_line(folder, "cpu.cfs_period_us", period, sizeof period))
    lower_quota(out, strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

static void level_memory(const char *folder, struct varve_cgroup *out) {
  char line[64];
  if (read_line(folder, "memory.limit_in_bytes", line, sizeof line)) lower_memory(out, line);
}

/* Is `word` one of the comma-separated words of `list`? The empty word only matches the empty list. */
static bool has_word(const char *list, const char *word) {
  size_t length = strlen(word);
  if (length == 0) return *list == 0;
  for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
    if ((at == list || at[-1] == ',') && (at[length] == 0 || at[length] == ',')) return true;
  return false;
}

/* Lines are "7:cpu,cpuacct:/a/b", and "0::/a/b" for version 2. */
static bool find_group(const char *root, struct hierarchy *h) {
  char path[PATH_BYTES], line[2048];
  bool found = false;
  snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
  FILE *file = fopen(path, "re");
  if (!file) return false;
  while (!found && fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = 0;
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) continue;
    *group++ = 0;
    found = has_word(controllers + 1, h->controller);
    if (found) snprintf(h->group, sizeof h->group, "%s", group);
  }
  fclose(file);
  return found;
}

/* "id parent dev part mount options [optional...] - type source super-options" */
static bool parse_mount(char *line, struct hierarchy *h) {
  char type[64], super[1024];
  const char *tail = strstr(line, " - ");
  if (!tail || sscanf(tail, " - %63s %*s %1023s", type, super) != 2) return false;
  if (sscanf(line, "%*s %*s %*s %1023s %1023s", h->part, h->mount) != 2) return false;
  if (*h->controller == 0) return strcmp(type, "cgroup2") == 0;
  return strcmp(type, "cgroup") == 0 && has_word(super, h->controller);
}

static bool find_mount(const char *root, struct hierarchy *h) {
  char path[PATH_BYTES], line[4096];
  bool found = false;
  snprintf(path, sizeof path, "%s/proc/self/mountinfo", root);
  FILE *file = fopen(path, "re");
  if (!file) return false;
  while (!found && fgets(line, sizeof line, file)) found = parse_mount(line, h);
  fclose(file);
  return found;
}

/* Our group below the mount point: what is left of its name when the visible part is taken off. */
static const char *below_mount(const struct hierarchy *h) {
  size_t length = strcmp(h->part, "/") == 0 ? 0 : strlen(h->part);
  const char *rest = strncmp(h->group, h->part, length) == 0 ? h->group + length : "";
  return *rest == '/' ? rest : "";
}

static void read_levels(const char *root, const char *controller, level_fn *level, struct varve_cgroup *out) {
  struct hierarchy h = {.controller = controller};
  if (!find_group(root, &h) || !find_mount(root, &h)) return;
  char folder[PATH_BYTES];
  size_t top = (size_t)snprintf(folder, sizeof folder, "%s%s", root, h.mount);
  if (top >= sizeof folder) return;
  snprintf(folder + top, sizeof folder - top, "%s", below_mount(&h));
  for (size_t end = strlen(folder); end >= top; end--) {
    if (end != top && folder[end] != 0 && folder[end] != '/') continue;
    folder[end] = 0;
    level(folder, out);
    if (end == 0) break;
  }
}

void varve__cgroup_read(const char *root, struct varve_cgroup *out) {
  out->memory_limit = UINT64_MAX;
  out->quota_cpus = 0;
  read_levels(root, "", level_unified, out);
  read_levels(root, "cpu", level_cpu, out);
  read_levels(root, "memory", level_memory, out);
}
