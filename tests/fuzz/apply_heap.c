/* SPDX-License-Identifier: MIT */
/* apply_heap.c -- operations on the heap as a whole: collections, options, verifying, forks. */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "print.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define OF_SMALL_HEAPS 4u /* the last ones */
static const char *const settings[] = {
    "stress=0",
    "stress=60",
    "stress=200",
    "workers=1",
    "workers=0",
    "workers=2",
    "dense=101",
    "dense=50",
    "move-everything=0",
    "move-everything=1",
    "slide-budget=32k",
    "slide-budget=0",
    "slide-budget=1g",
    "parallel-min=0",
    "parallel-min=4m",
    "heap-growth=10",
    "heap-growth=300",
    "heap-sizing=fixed",
    "heap-sizing=adaptive",
    "heap-sizing=growth",
    "cache-budget=2m",
    "give-back=1",
    "give-back=0",
    "heap-soft=4m",
    "heap-soft=0",
    "verify=2,stress=100",
    "heap-max=5m",
    "heap-max=6m",
    "heap-max=8m",
    "heap-max=0",
};

void apply_set(struct world *world, const struct op *op) {
  varve_error error = {0};
  size_t count = COUNT_OF(settings) - (world->run->small ? 0 : OF_SMALL_HEAPS);
  const char *setting = settings[op->a % count];
  SAY(world, "set(\"%s\");", setting);
  varve_status status = varve_heap_set(world->run->heap, setting, &error);
  bool too_many = status == VARVE_OPTION &&
                  (!strcmp(setting, "workers=2") || !strncmp(setting, "heap-max", 8)); /* than at creation */
  if (status != VARVE_OK && !too_many) fail(world, "%s", error.detail);
  settle(world);
}

void apply_external(struct world *world, const struct op *op) {
  int64_t bytes = (int64_t)op->a << op->b % 12;
  SAY(world, "EXPECT(!varve_external_add(me, %lld));", (long long)(op->c & 1 ? -bytes : bytes));
  if (varve_external_add(mutator_of(world), op->c & 1 ? -bytes : bytes) != VARVE_OK) fail(world, "external bytes");
}

void apply_newest(struct world *world, const struct op *op) {
  (void)op;
  SAY(world, "EXPECT(!varve_collect_newest(me));");
  if (varve_collect_newest(mutator_of(world)) != VARVE_OK) fail(world, "no collection");
  settle(world);
}

void apply_collect(struct world *world, const struct op *op) {
  (void)op;
  SAY(world, "EXPECT(!varve_collect(me));");
  if (varve_collect(mutator_of(world)) != VARVE_OK) fail(world, "no collection");
  settle(world);
}

void apply_verify(struct world *world, const struct op *op) {
  varve_error error = {0};
  (void)op;
  SAY(world, "EXPECT(!varve_verify(me, NULL));");
  if (varve_verify(mutator_of(world), &error) != VARVE_OK) fail(world, "verify: %s", error.detail);
  settle(world);
}

/* ---- fork ---- */

#if defined(__SANITIZE_THREAD__)
#define FORKS false /* its runtime does not survive a fork among several threads */
#else
#define FORKS true
#endif

/* The child goes on alone with this world. */
static void live_on(struct world *world, const struct op *op) {
  world->next_id += (world->counts.forks + 1) << 24; /* names that the parent will not give */
  alarm(60);
  varve_fork_child(mutator_of(world));
  settle(world);
  compare(world);
  for (unsigned i = op->a % 8; i; --i) {
    apply_garbage(world, &(struct op){.a = 20, .b = op->b, .c = op->c});
    if (op->c >> i & 1) apply_new(world, &(struct op){.a = (uint16_t)(op->a + i), .b = op->b, .c = op->c});
    else apply_newest(world, op);
  }
  if (op->b & 1) apply_collect(world, op);
  apply_verify(world, op);
  while (world->run->threads == 1 && take_one(world, op->b % (2 * PLACES))) continue;
  apply_collect(world, op);
}

void apply_fork(struct world *world, const struct op *op) {
  int status = 0;
  if (!FORKS || op->c & 3) return; /* they are slow */
  SAY(world, "EXPECT(!varve_fork_prepare(me));");
  SAY(world, "if ((child = fork()) == 0) {");
  SAY(world, "alarm(60);");
  SAY(world, "varve_fork_child(me);");
  if (varve_fork_prepare(mutator_of(world)) != VARVE_OK) fail(world, "fork was not prepared");
  pid_t child = fork();
  if (child == 0) {
    live_on(world, op);
    _exit(0);
  }
  varve_fork_parent(mutator_of(world));
  bool ended = child > 0 && waitpid(child, &status, 0) == child && status == 0;
  SAY(world, "_exit(0);");
  SAY(world, "}");
  SAY(world, "varve_fork_parent(me);");
  SAY(world, "child_ended(child);");
  settle(world);
  if (!ended) fail(world, "the child ended with %#x", status);
  ++world->counts.forks;
}
