/* SPDX-License-Identifier: MIT */
/* harness.h -- what the programs in C have in common, whatever memory they use: arguments, random numbers, threads, and
 * the line of JSON. ../README.md says what each program computes.
 *
 * An implementation is a folder with one function for each program, and the five runtime_ functions below.
 */
#ifndef VARVE_PROGRAMS_HARNESS_H
#define VARVE_PROGRAMS_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

/* One thread of a run. */
struct job {
  void *me; /* what runtime_attach gave */
  uint64_t size;
  unsigned thread, threads;
};

typedef uint32_t program_fn(const struct job *job); /* its checksum */
program_fn binary_trees, gcbench, quad_trees, lru, fragment, graph, queue, sessions, phases, rewire, pipeline;

struct request {
  const char *name;
  program_fn *run;
  uint64_t size, heap; /* heap: 0, not given */
  unsigned threads, warm;
  bool live;
};

/* ---- what an implementation gives ---- */

extern const bool runtime_collects, runtime_knows_live;

void runtime_open(const struct request *request);
void *runtime_attach(unsigned thread); /* on the thread itself, when a run begins */
void runtime_detach(void *me);
uint64_t runtime_live(void); /* the largest figure seen; asked only where runtime_knows_live */
void runtime_close(void);

/* ---- what it calls ---- */

/* A collection took this long, and one of the times that nobody ran this long. No two calls at once. */
void harness_collection(uint64_t ns);
void harness_pause(uint64_t ns);

uint64_t harness_now_ns(void);

enum { EXIT_ARGUMENTS = 2, EXIT_CANNOT = 3, EXIT_MEMORY = 4, EXIT_BROKEN = 5 };
/* One line on stderr, and out, whatever the other threads do. */
_Noreturn void harness_quit(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- the numbers of Park and Miller, and the checksum ---- */

struct random {
  uint64_t state;
};

static inline struct random random_start(const struct job *job) {
  return (struct random){12345 + UINT64_C(1000) * job->thread};
}

static inline uint32_t random_below(struct random *random, uint32_t limit) {
  random->state = random->state * 48271 % 2147483647;
  return (uint32_t)random->state % limit;
}

static inline uint32_t mix(uint32_t c, uint64_t value) { return 31 * c + (uint32_t)value; }

#endif
