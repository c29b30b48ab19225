/* SPDX-License-Identifier: MIT */
/* program.c -- see program.h. Bytes to operations, and the tables of options. */
#include "program.h"

#include <stdio.h>

#include "../support/random.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Byte 0: how the heap collects. */
static const char *const rows[] = {
    "heap-max=64m,move-everything=1,workers=2",
    "heap-max=64m,stress=40,workers=2",
    "heap-max=64m,ages=0,move-everything=1,workers=2",
    "heap-max=64m,stress=9,workers=1",
    "heap-max=64m,workers=4,mark-segments=1,move-everything=1",
    "heap-max=8m,workers=2,mark-segments=2",
    "heap-max=64m,mutators-help=1,workers=3,stress=60",
    "heap-max=64m,stress=1,workers=1",
    "heap-max=64m,slide-budget=64k,dense=101,workers=2,stress=80",
    "heap-max=6m,workers=1,stress=200",
    "heap-max=64m,workers=2,cache-budget=2m,heap-growth=10,heap-initial=2m",
    "heap-max=64m,workers=3,dense=101,move-everything=1,stress=25",
    "heap-max=5m,workers=2,move-everything=1,mark-segments=1",
    "heap-max=64m,workers=2,stress=15,slide-budget=2m",
    "heap-max=6m,workers=2,heap-sizing=adaptive",
    "heap-max=64m,workers=4,heap-sizing=fixed,move-everything=1,stress=100",
};

/* Byte 1, by bits: variations. */
static const char *const narrow_rows[] = {"", ",narrow=1", "", ",narrow=1,narrow-tag-bits=2,narrow-tags=5"};
static const char *const tag_rows[] = {"", ",slot-tags=51,ref-tags=21", "", ""};

static uint8_t byte_at(const struct program *program, size_t at) {
  return at < program->length ? program->bytes[at] : 0;
}

static uint16_t pair_at(const struct program *program, size_t at) {
  return (uint16_t)(byte_at(program, at) | byte_at(program, at + 1) << 8);
}

static enum op_code code_of(uint8_t byte) {
  static const uint8_t weights[] = {
#define FUZZ_OP(code, name, weight) weight,
#include "ops.def"
#undef FUZZ_OP
  };
  unsigned sum = 0;
  for (size_t i = 0; i < COUNT_OF(weights); ++i) {
    sum += weights[i];
    if (byte < sum) return (enum op_code)i;
  }
  return OP_NEW;
}

size_t program_ops(const struct program *program) {
  return program->length <= FUZZ_HEAD ? 0 : (program->length - FUZZ_HEAD + FUZZ_OP_BYTES - 1) / FUZZ_OP_BYTES;
}

struct op program_op(const struct program *program, size_t index) {
  size_t at = FUZZ_HEAD + index * FUZZ_OP_BYTES;
  return (struct op){code_of(byte_at(program, at)), byte_at(program, at + 1), pair_at(program, at + 2),
                     pair_at(program, at + 4), pair_at(program, at + 6)};
}

const char *op_name(enum op_code code) {
  static const char *const names[] = {
#define FUZZ_OP(code, name, weight) #name,
#include "ops.def"
#undef FUZZ_OP
  };
  return names[code];
}

bool op_is_for_all(enum op_code code) { return code == OP_BARRIER || code == OP_IMMORTAL; }

unsigned program_threads(const struct program *program) { return 1 + byte_at(program, 2) % FUZZ_THREADS_MAX; }
bool program_searches(const struct program *program) { return (byte_at(program, 1) & 0x30) == 0x30; }
uint64_t program_contents(const struct program *program) { return byte_at(program, 3); }

size_t program_options(const struct program *program, char *text, size_t capacity) {
  uint8_t variation = byte_at(program, 1);
  return (size_t)snprintf(text, capacity, "%s,verify=2,poison=1,spin=100,log=0%s%s%s%s",
                          rows[byte_at(program, 0) % COUNT_OF(rows)], narrow_rows[variation & 3],
                          tag_rows[variation >> 2 & 3], variation & 0x40 ? "" : ",parallel-min=0",
                          program_searches(program) && variation & 0x80 ? ",conservative-roots=1" : "");
}

void program_random(uint64_t seed, unsigned threads, uint8_t *bytes, size_t length) {
  struct random mixer = {seed}, random = {random_next(&mixer)}; /* neighbours have nothing in common */
  for (size_t i = 0; i < length; ++i) bytes[i] = (uint8_t)(random_next(&random) >> 40);
  if (threads && length > 2) bytes[2] = (uint8_t)(threads - 1);
}
