/* SPDX-License-Identifier: MIT */
/* fuzzer.c -- the entry for libFuzzer, which looks for programs that lead into new code. Built with -DVARVE_FUZZER=ON,
 * by clang. The library itself must be instrumented, too, or the fuzzer is blind. scripts/fuzz does it all:
 *
 *   ./scripts/fuzz programs 10       ten minutes; also options, cgroup, layout, machine: see parsers/parsers.h
 *
 * What it finds goes to build/corpus; corpus/ has a choice of that, which ctest replays.
 */
#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static struct counts counts;
  struct program program = {bytes, length};
  run_program(&program, "", 0, NULL, &counts);
  return 0;
}
