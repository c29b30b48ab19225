/* SPDX-License-Identifier: MIT */
/* limits.h -- what the cases of tests/limits share: a heap with a few layouts, checks that end the process, figures.
 *
 * Idea       A case is a function that is run in a process of its own. It has a short form, which is part of the usual
 *            tests, and a long one with the largest numbers that a machine of 16 GiB has room for.
 * Called by  the cases; main.c runs them.
 */
#ifndef VARVE_TESTS_LIMITS_H
#define VARVE_TESTS_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "support/random.h"
#include "varve/varve.h"

struct world {
  varve_heap *heap;
  varve_mutator *me;
  varve_layout data, cell, array;
  varve_layout slim;  /* a cell whose `next` is narrow, in heaps with narrow words */
  varve_layout table; /* EPHEMERONS */
  varve_layout weak;  /* WEAK, one slot */
};

struct cell {
  varve_object header;
  uint64_t number;
  varve_word next;
};

struct slim_cell {
  varve_object header;
  uint32_t number;
  varve_narrow next;
};

struct limit_case {
  const char *name;
  void (*run)(bool longer);
  uint64_t needs, needs_long; /* MiB of memory */
};

extern const struct limit_case size_cases[], count_cases[], depth_cases[], thread_cases[], heap_cases[], system_cases[];

/* A check that ends the process. */
_Noreturn void limit_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define CHECK(condition) ((condition) ? (void)0 : limit_fail(__FILE__, __LINE__, "%s", #condition))
#define FAIL(...) limit_fail(__FILE__, __LINE__, __VA_ARGS__)
/* This cannot be tried here. */
_Noreturn void limit_skip(const char *why);
/* A figure of the case: seconds, bytes, how many. */
void limit_figure(const char *name, double value);
double limit_seconds(void);

/* From a list of options. Lines of the log go nowhere. */
varve_status world_try(struct world *world, const char *options, varve_error *error);
void world_open(struct world *world, const char *options);
void world_close(struct world *world);
/* Collect, and let the verifier look afterwards if `sound`. */
void world_collect(struct world *world, bool sound);
uint64_t world_live(const struct world *world);

static inline struct cell *cell_of(varve_word word) { return (struct cell *)varve_untag(word); }
/* A cell in front of `next`, which is a root. 0: the heap is full. */
varve_word world_cell(struct world *world, uint64_t number, const varve_word *next);

#endif
