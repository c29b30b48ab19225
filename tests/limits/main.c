/* SPDX-License-Identifier: MIT */
/* main.c -- runs the cases, each in a process of its own, and tells what they took.
 *
 *   limits [--long] [--json FILE] [CASE...]     all cases, if none is named
 *
 * A case fails when its process does not end with 0 in ten minutes. It is skipped where memory is short of what it
 * needs. With one case, 77 is the exit status of a skip.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "limits/limits.h"

#define SKIPPED 77
#define SPARE_MIB 2048u /* for others */
#define FIGURES 24u
#define SECONDS_MOST 600u

static const struct limit_case *const groups[] = {size_cases,   count_cases, depth_cases,
                                                  thread_cases, heap_cases,  system_cases};

/* What a case tells, in memory that the parent shares. */
struct told {
  char skipped[120];
  unsigned count;
  struct {
    char name[40];
    double value;
  } figure[FIGURES];
};

static struct told *told;

/* ---- for the cases ----------------------------------------------------------------------------------------------- */

void limit_fail(const char *file, int line, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "%s:%d: ", file, line);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  abort();
}

void limit_skip(const char *why) {
  snprintf(told->skipped, sizeof told->skipped, "%s", why);
  exit(SKIPPED);
}

void limit_figure(const char *name, double value) {
  if (told->count == FIGURES) FAIL("too many figures");
  snprintf(told->figure[told->count].name, sizeof told->figure->name, "%s", name);
  told->figure[told->count++].value = value;
}

double limit_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void swallow(void *context, int level, const char *line) { (void)context, (void)level, (void)line; }

static void add_layout(struct world *w, const varve_layout_desc *desc, varve_layout *out) {
  varve_error error = {0};
  if (varve_layout_register(w->heap, desc, out, &error) != VARVE_OK) FAIL("%s", error.detail);
}

static void add_layouts(struct world *w) {
  static const uint32_t next[] = {offsetof(struct cell, next)}, slim[] = {offsetof(struct slim_cell, next)};
  add_layout(w, &(varve_layout_desc){.name = "data", .kind = VARVE_LAYOUT_DATA}, &w->data);
  add_layout(w, &(varve_layout_desc){.name = "cell", .kind = VARVE_LAYOUT_OFFSETS, .offsets = next, .offset_count = 1},
             &w->cell);
  add_layout(w, &(varve_layout_desc){.name = "array", .kind = VARVE_LAYOUT_REF_ARRAY}, &w->array);
  add_layout(w, &(varve_layout_desc){.name = "table", .kind = VARVE_LAYOUT_EPHEMERONS}, &w->table);
  add_layout(w, &(varve_layout_desc){.name = "weak", .kind = VARVE_LAYOUT_WEAK}, &w->weak);
  if (varve_heap_options(w->heap)->narrow)
    add_layout(w, &(varve_layout_desc){.name = "slim", .kind = VARVE_LAYOUT_OFFSETS, .narrow_offsets = slim,
                                       .narrow_count = 1}, &w->slim);
}

varve_status world_try(struct world *w, const char *text, varve_error *error) {
  varve_options options;
  memset(w, 0, sizeof *w);
  varve_options_init(&options);
  if (varve_options_parse(&options, text, error) != VARVE_OK) FAIL("%s: %s", text, error->detail);
  options.log = swallow;
  varve_status status = varve_heap_create(&options, &w->heap, error);
  if (status != VARVE_OK) return status;
  if (varve_attach(w->heap, "limits", &w->me, error) != VARVE_OK) FAIL("attach: %s", error->detail);
  add_layouts(w);
  return VARVE_OK;
}

void world_open(struct world *w, const char *options) {
  varve_error error = {0};
  if (world_try(w, options, &error) != VARVE_OK) FAIL("%s: %s", options, error.detail);
}

void world_close(struct world *w) {
  CHECK(varve_detach(w->me) == VARVE_OK);
  CHECK(varve_heap_destroy(w->heap) == VARVE_OK);
}

void world_collect(struct world *w, bool sound) {
  varve_error error = {0};
  CHECK(varve_collect(w->me) == VARVE_OK);
  if (sound && varve_verify(w->me, &error) != VARVE_OK) FAIL("%s", error.detail);
}

uint64_t world_live(const struct world *w) {
  varve_collection_stats stats;
  CHECK(varve_collection_stats_get(w->heap, &stats));
  return stats.live_after;
}

varve_word world_cell(struct world *w, uint64_t number, const varve_word *next) {
  struct cell *cell = varve_alloc_uninit(w->me, w->cell, sizeof *cell);
  if (!cell) return 0;
  cell->number = number;
  varve_init(w->me, cell, &cell->next, next ? *next : 0);
  return varve_tag(cell, 0);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static uint64_t available_mib(void) {
  char line[128];
  unsigned long long kib = 0;
  FILE *file = fopen("/proc/meminfo", "re");
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "MemAvailable: %llu", &kib) == 1) break;
  if (file) fclose(file);
  return kib / 1024;
}

static void be_child(const struct limit_case *c, bool longer) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  alarm(SECONDS_MOST);
  uint64_t needs = longer && c->needs_long ? c->needs_long : c->needs;
  if (available_mib() < needs + SPARE_MIB) limit_skip("memory is short");
  c->run(longer);
  exit(0);
}

static void print_json(FILE *json, const struct limit_case *c, bool longer, double seconds, long peak_kib) {
  fprintf(json, "{\"case\": \"%s\", \"form\": \"%s\", \"seconds\": %.2f, \"peak_mib\": %ld", c->name,
          longer ? "long" : "short", seconds, peak_kib / 1024);
  for (unsigned i = 0; i < told->count; ++i)
    fprintf(json, ", \"%s\": %.6g", told->figure[i].name, told->figure[i].value);
  fprintf(json, "}\n");
  fflush(json);
}

/* @return 0, SKIPPED, or 1. */
static int run(const struct limit_case *c, bool longer, FILE *json) {
  struct rusage usage;
  int state = 0;
  memset(told, 0, sizeof *told);
  double began = limit_seconds();
  pid_t pid = fork();
  if (pid == 0) be_child(c, longer);
  while (wait4(pid, &state, 0, &usage) < 0 && errno == EINTR) continue;
  double seconds = limit_seconds() - began;
  bool skipped = WIFEXITED(state) && WEXITSTATUS(state) == SKIPPED;
  bool passed = WIFEXITED(state) && WEXITSTATUS(state) == 0;
  printf("%-24s %-7s %7.2f s %6ld MiB", c->name, skipped ? "skipped" : passed ? "ok" : "FAILED", seconds,
         usage.ru_maxrss / 1024);
  if (skipped) printf("  %s", told->skipped);
  for (unsigned i = 0; i < told->count; ++i) printf("  %s %.6g", told->figure[i].name, told->figure[i].value);
  printf("\n");
  fflush(stdout);
  if (json && passed) print_json(json, c, longer, seconds, usage.ru_maxrss);
  return passed ? 0 : skipped ? SKIPPED : 1;
}

static bool is_named(int count, char **names, const char *name) {
  bool any = false;
  for (int i = 1; i < count; ++i) {
    if (strcmp(names[i], "--json") == 0) ++i;
    else if (names[i][0] != '-' && strcmp(names[i], name) == 0) return true;
    else if (names[i][0] != '-') any = true;
  }
  return !any;
}

int main(int count, char **arguments) {
  bool longer = false;
  FILE *json = NULL;
  unsigned failed = 0, skipped = 0, ran = 0;
  for (int i = 1; i < count; ++i) {
    longer |= strcmp(arguments[i], "--long") == 0;
    if (strcmp(arguments[i], "--json") == 0 && i + 1 < count) json = fopen(arguments[i + 1], "we");
  }
  told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  for (unsigned g = 0; g < sizeof groups / sizeof *groups; ++g)
    for (const struct limit_case *c = groups[g]; c->name; ++c) {
      if (!is_named(count, arguments, c->name)) continue;
      int rc = run(c, longer, json);
      ++ran, failed += rc == 1, skipped += rc == SKIPPED;
    }
  if (json) fclose(json);
  if (!ran) fprintf(stderr, "limits: there is no such case\n");
  return failed || !ran ? 1 : skipped == ran ? SKIPPED : 0;
}
