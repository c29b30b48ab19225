/* SPDX-License-Identifier: MIT */
/* parsers.h -- whatever the library reads that others wrote, fed with bytes: each function takes any string of bytes
 * and ends the process when the library answers it wrongly. Run with seeds by main.c, by coverage by fuzzer.c. */
#ifndef VARVE_FUZZ_PARSERS_H
#define VARVE_FUZZ_PARSERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void parse_fn(const uint8_t *bytes, size_t length);

parse_fn parse_options; /* option lists: by the host, by the environment, and of a heap that lives */
parse_fn parse_cgroup;  /* files of control groups: five texts, each ended by a byte 0 */
parse_fn parse_layout;  /* a layout's description; then objects of it are moved */
parse_fn parse_machine; /* a machine that hwloc describes; the bytes choose its shape */

struct parser {
  const char *name;
  parse_fn *parse;
  const char *const *seeds; /* what random strings are made from; NULL at the end */
};
extern const struct parser parsers[];

/** Say what is wrong, and end. */
__attribute__((format(printf, 1, 2), noreturn)) void parse_fail(const char *format, ...);

/** Bytes, one number after another; at the end all are 0. */
struct reader {
  const uint8_t *bytes;
  size_t left;
};
uint64_t read_number(struct reader *reader, unsigned width);

#endif
