/* SPDX-License-Identifier: MIT */
/* text.h -- values from text and to text: reader.c, printer.c. */
#ifndef LISP_TEXT_H
#define LISP_TEXT_H

#include <stdio.h>

#include "heap.h"

struct source { /* where text comes from: a file line by line, or one string */
  const char *name;
  FILE *file;         /* NULL: only what `line` holds */
  const char *prompt; /* NULL: none */
  char *line;         /* host memory */
  size_t length, capacity, at;
  int number, start;  /* of this line; of the line where the last datum began */
};

varve_word read_datum(struct lisp *l, struct source *s); /* END_OF_FILE at the end */
varve_word read_line(struct lisp *l, struct source *s);  /* the rest of the line as a string */
void source_close(struct source *s);
varve_word run_source(struct lisp *l, struct source *s, bool echo); /* all of it; 0: something was raised */

varve_word load_file(struct lisp *l, const char *path);

/* Not a safepoint. `quoted`: strings and characters as the reader wants them. */
void print(struct lisp *l, FILE *out, varve_word w, bool quoted);
void print_error(struct lisp *l, FILE *out, varve_word error);
void print_bytes(struct lisp *l, FILE *out, varve_word string); /* may wait: others may collect meanwhile */

#endif
