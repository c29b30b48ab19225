/* SPDX-License-Identifier: MIT */
/* fuzzer.c -- the entry for libFuzzer, which looks for programs that lead into new code. Built with -DVARVE_FUZZER=ON,
 * by clang. The library itself must be instrumented, too, or the fuzzer is blind:
 *
 *   cmake -B build/fuzzer -DCMAKE_C_COMPILER=clang -DCMAKE_C_FLAGS=-fsanitize=fuzzer-no-link -DVARVE_FUZZER=ON
 *   cmake --build build/fuzzer --target fuzz_coverage && build/fuzzer/tests/fuzz/fuzz_coverage -max_len=4000 corpus
 */
#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static struct counts counts;
  struct program program = {bytes, length};
  run_program(&program, "", 0, NULL, &counts);
  return 0;
}
