/* SPDX-License-Identifier: MIT */
/* run.h -- one run from a book to a verdict: what main.c does for each program, and units.c for each unit net. */
#ifndef PN_RUN_H
#define PN_RUN_H

#include "book.h"
#include "report.h"
#include "text.h"

struct pn_settings {
  struct pn_run_options run; /* its heap options are the defaults; `heap_text` comes on top */
  char heap_text[1024];      /* "name=value,..." of the command line */
  const char *directory;     /* of nets/ and expected/ */
  bool small, progress, rules, collect_given;
};

/** Apply "name=value,..." to heap options; a message goes to `error` on failure. */
bool pn_settings_heap(const struct pn_settings *settings, const char *program_heap, varve_options *out, char *error,
                      size_t error_size);

/** Run a book and read its result back.
 * @param program_heap heap options "name=value,..."; those of the command line come on top.
 * @return false when it failed; `error` says why. The report is filled as far as it goes. */
bool pn_run_book(const struct pn_settings *settings, const struct pn_book *book, const char *name,
                 const char *program_heap, struct pn_report *report, struct pn_text *result, char *error,
                 size_t error_size);

/** Run every unit net of a file: lines "net text => result, interactions". @return the number that were wrong. */
unsigned pn_run_units(const struct pn_settings *settings, const char *path);

#endif
