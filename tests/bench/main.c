/* SPDX-License-Identifier: MIT */
/* main.c -- the benchmark programs by name.
 *
 *   bench [--quick|--tiny] [--json] NAME...    one table a name; all: everything
 *   bench [--quick|--tiny] [--json] targets    what has a target; ends with a line for each, MUST and REACH
 *
 * --quick uses smaller heaps and fewer samples. --tiny only shows that everything runs; its figures mean nothing.
 * With targets the exit status is the number of MUST lines missed.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"

static const struct {
  const char *name, *text;
  void (*run)(struct bench *bench);
} benches[] = {
  {"alloc", "allocate and initialise", bench_alloc},
  {"quiet", "system calls and page faults in steady state", bench_quiet},
  {"mark", "marking", bench_mark},
  {"slide", "sliding objects without references", bench_slide},
  {"fixup", "rewriting references", bench_fixup},
  {"plan", "planning, and clearing the bitmap", bench_plan},
  {"refs", "scanning Ref words", bench_refs},
  {"stop", "stopping the world", bench_stop},
  {"poll", "polls", bench_poll},
  {"full", "a whole collection", bench_full},
  {"young", "collecting the newest objects beside a large old part", bench_young},
  {"barrier", "stores", bench_barrier},
  {"notes", "Ref words of which few change", bench_notes},
  {"metadata", "side tables and other memory beside the heap", bench_metadata},
  {"sizes", "footprint and smallest limit", bench_sizes},
  {"narrow", "trees with narrow children", bench_narrow},
  {"weak", "weak references, ephemerons, finalizers", bench_weak},
  {"identity", "identity hashes, pins, searched stacks", bench_identity},
};
#define BENCHES (sizeof benches / sizeof *benches)

static void run_one(struct bench *bench, size_t index) {
  uint64_t began = bench->group_began = now_ns();
  bench->group = benches[index].name;
  if (!bench->json) printf("\n%s: %s\n", benches[index].name, benches[index].text);
  benches[index].run(bench);
  if (!bench->json) printf("  %.1f s\n", (double)(now_ns() - began) / 1e9);
}

static bool run_named(struct bench *bench, const char *name) {
  bool all = strcmp(name, "all") == 0, found = false;
  bench->targets = strcmp(name, "targets") == 0;
  for (size_t i = 0; i < BENCHES; ++i)
    if (all || bench->targets || strcmp(name, benches[i].name) == 0) {
      run_one(bench, i);
      found = true;
    }
  return found;
}

static int usage(void) {
  fprintf(stderr, "usage: bench [--quick|--tiny] [--json] NAME...\n  targets, all");
  for (size_t i = 0; i < BENCHES; ++i) fprintf(stderr, ", %s", benches[i].name);
  fprintf(stderr, "\n");
  return 120;
}

static bool read_option(struct bench *bench, const char *text) {
  if (strcmp(text, "--json") == 0) bench->json = true;
  else if (strcmp(text, "--quick") == 0) bench->scale = SCALE_QUICK;
  else if (strcmp(text, "--tiny") == 0) bench->scale = SCALE_TINY;
  else return false;
  return true;
}

int main(int argc, char **argv) {
  struct bench bench = {.scale = SCALE_FULL, .began = now_ns()};
  int first = 1;
  while (first < argc && argv[first][0] == '-')
    if (!read_option(&bench, argv[first++])) return usage();
  if (first == argc) return usage();
  machine_print(&bench);
  for (int i = first; i < argc; ++i)
    if (!run_named(&bench, argv[i])) return usage();
  bench_print_targets(&bench);
  return bench.targets ? (int)bench.missed : 0;
}
