/* SPDX-License-Identifier: MIT */
/* check.c -- the end of a process that has found its own corruption. */
#include "core/base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void varve__fatal(const char *file, int line, const char *format, ...) {
  char text[512];
  int length = snprintf(text, sizeof text, "varve: %s:%d: ", file, line);
  va_list arguments;
  va_start(arguments, format);
  length += vsnprintf(text + length, sizeof text - (size_t)length - 2, format, arguments);
  va_end(arguments);
  if (length > (int)sizeof text - 2) length = (int)sizeof text - 2;
  text[length++] = '\n';
  if (write(STDERR_FILENO, text, (size_t)length) < 0) abort();
  abort();
}
