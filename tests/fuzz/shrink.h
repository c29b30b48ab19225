/* SPDX-License-Identifier: MIT */
/* shrink.h -- from a program that fails to the shortest that still does. */
#ifndef VARVE_FUZZ_SHRINK_H
#define VARVE_FUZZ_SHRINK_H

#include "program.h"

/** Run the program in a child process. @return its wait status, which is not 0 when it fails or takes too long.
 *  `quiet`: nobody hears what it says. The caller has no threads. */
int run_apart(const struct program *program, const char *more_options, unsigned seconds, bool quiet);

/** Take operations out, then make operands smaller, as long as the program still fails. Changes the bytes in place.
 * @return the new length. */
size_t shrink(uint8_t *bytes, size_t length, const char *more_options, unsigned seconds);

/** Print the operations of a program, one a line, as text to read. */
void print_program(const struct program *program);

#endif
