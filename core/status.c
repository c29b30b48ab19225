/* SPDX-License-Identifier: MIT */
/* status.c -- the sentence of a status, the filling of an error, and the heap's log.
 *
 * Called by  everybody; any thread, any phase. Nothing here allocates or takes a lock.
 */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "core/heap.h"

const char *varve_status_sentence(varve_status status) {
  static const char *const sentences[] = {
#define VARVE_STATUS(name, sentence) sentence,
#include "varve/status.def"
#undef VARVE_STATUS
  };
  return (unsigned)status < VARVE_STATUS_COUNT ? sentences[status] : "not a status";
}

varve_status varve__error(varve_error *error, varve_status status, const char *format, ...) {
  if (!error) return status;
  va_list arguments;
  va_start(arguments, format);
  error->status = status;
  vsnprintf(error->detail, sizeof error->detail, format, arguments);
  va_end(arguments);
  return status;
}

/* One write, so that lines of two threads do not mix. */
static void write_line(char *line, size_t length) {
  line[length] = '\n';
  if (write(STDERR_FILENO, line, length + 1) < 0) return; /* nobody is left to tell */
}

void varve__log(const struct varve_heap *heap, int level, const char *format, ...) {
  if (level > (int)heap_setting(&heap->options.log_level)) return;
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  if (length < 0) return;
  if ((size_t)length > sizeof line - 2) length = (int)sizeof line - 2;
  if (heap->options.log) heap->options.log(heap->options.context, level, line);
  else write_line(line, (size_t)length);
}
