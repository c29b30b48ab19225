/* SPDX-License-Identifier: MIT */
/* fuzzer.c -- the entry for libFuzzer of one parser, which the build names (FUZZ_PARSER). See ../fuzzer.c. */
#include "parsers.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  FUZZ_PARSER(bytes, length);
  return 0;
}
