/* SPDX-License-Identifier: MIT */
/* memory.h -- where the memory comes from: malloc, whichever is linked, or Boehm's collector, for which what is dropped
 * is only forgotten. Nobody returns without memory. */
#ifndef VARVE_PROGRAMS_MEMORY_H
#define VARVE_PROGRAMS_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef BOEHM
#define GC_THREADS
#include <gc.h>
#endif

#include "../varve/harness.h"

struct payload {
  size_t length;
  unsigned char bytes[];
};

static inline void *checked(void *memory, size_t bytes) {
  if (__builtin_expect(!memory, 0)) harness_quit(EXIT_MEMORY, "out of memory: %zu bytes", bytes);
  return memory;
}

#ifdef BOEHM
enum { MUST_DROP = 0 };
static inline void *take(size_t bytes) { return checked(GC_MALLOC(bytes), bytes); }
static inline void *take_data(size_t bytes) { return checked(GC_MALLOC_ATOMIC(bytes), bytes); } /* no references */
static inline void *take_array(size_t count) { return take(count * sizeof(void *)); }
static inline void drop(void *memory) { (void)memory; }
#else
enum { MUST_DROP = 1 };
static inline void *take(size_t bytes) { return checked(malloc(bytes), bytes); }
static inline void *take_data(size_t bytes) { return take(bytes); }
static inline void *take_array(size_t count) {
  return checked(calloc(count, sizeof(void *)), count * sizeof(void *)); /* of nulls */
}
static inline void drop(void *memory) { free(memory); }
#endif

static inline struct payload *take_payload(size_t length) {
  struct payload *payload = take_data(sizeof *payload + length);
  payload->length = length;
  return payload;
}

#endif
