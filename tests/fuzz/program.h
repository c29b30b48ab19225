/* SPDX-License-Identifier: MIT */
/* program.h -- a random program is a string of bytes, and every string is one: four bytes of options, then eight for
 * each operation. What is missing at the end is 0.
 *
 *   0 which row of options   1 which variations   2 threads   3 what the contents of objects begin with; odd:
 *                                                                  something is done after each collection, too
 *
 * Operands choose among what is there, modulo; so operations may be taken out of a program and the rest goes on.
 */
#ifndef VARVE_FUZZ_PROGRAM_H
#define VARVE_FUZZ_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUZZ_HEAD 4u
#define FUZZ_OP_BYTES 8u
#define FUZZ_THREADS_MAX 4u

enum op_code {
#define FUZZ_OP(code, name, weight) OP_##code,
#include "ops.def"
#undef FUZZ_OP
  OP_COUNT
};

/** One operation: who carries it out, modulo the threads, and three operands. */
struct op {
  enum op_code code;
  uint8_t who;
  uint16_t a, b, c;
};

struct program {
  const uint8_t *bytes;
  size_t length;
};

size_t program_ops(const struct program *program);
struct op program_op(const struct program *program, size_t index);
const char *op_name(enum op_code code);
/** All threads meet for it. */
bool op_is_for_all(enum op_code code);

unsigned program_threads(const struct program *program);
/** May threads ask for their stacks to be searched? Then what is dead may seem alive. */
bool program_searches(const struct program *program);
uint64_t program_contents(const struct program *program);
/** The options of the heap, as a list. @return the length. */
size_t program_options(const struct program *program, char *text, size_t capacity);

/** Fill `bytes` with a random program. `threads`, 0: any. */
void program_random(uint64_t seed, unsigned threads, uint8_t *bytes, size_t length);

#endif
