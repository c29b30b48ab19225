/* SPDX-License-Identifier: MIT */
/* main.c -- lisp [FILE ...]: run the files, or standard input, with a prompt if that is a terminal.
 * Options of the collector are in the environment: VARVE_OPTIONS=heap-max=16m,log=1 lisp FILE. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lisp.h"

static varve_word evaluate(struct lisp *l, varve_word form) {
  varve_word procedure = compile(l, form); /* straight into the next call, which roots it: no frame is needed */
  return procedure ? machine_call(l, procedure, NIL) : 0;
}

static bool run_source(struct lisp *l, struct source *s, bool echo) {
  for (varve_word w; (w = read_datum(l, s)) != END_OF_FILE;) {
    if (!w || !(w = evaluate(l, w))) return false;
    if (echo && w != UNSPECIFIED) print(l, stdout, w, true), putchar('\n');
    /* Between two evaluations is where finalizers may run: their objects are dead, and nothing is half done. */
    if (varve_finalizers_queued(l->heap)) varve_finalizers_run(l->me, SIZE_MAX);
    if (l->exiting) return false;
  }
  return true;
}

varve_word load_file(struct lisp *l, const char *path, int *line) {
  char *name = strdup(path); /* `path` may be in an object */
  struct source s = {.name = name, .file = fopen(name, "r")};
  bool good = s.file && deeper(l);
  if (!s.file) {
    fail(l, 0, "%s: %s", name, strerror(errno));
  } else if (good) {
    l->who = NULL; /* what is wrong in the file is not load's matter */
    good = run_source(l, &s, false);
    --l->depth;
  }
  if (s.file) fclose(s.file);
  free(s.line), free(name);
  *line = s.start;
  return good ? UNSPECIFIED : 0;
}

void report(struct lisp *l) {
  if (!is(l, l->root[ROOT_ERROR], CONDITION)) fputs("raised: ", stderr);
  print(l, stderr, l->root[ROOT_ERROR], true), fputc('\n', stderr);
  l->root[ROOT_ERROR] = 0;
}

/* The exit status of a file. */
static int run_file(struct lisp *l, const char *path) {
  int line;
  if (load_file(l, path, &line)) return 0;
  if (l->exiting) return l->status;
  fprintf(stderr, "%s:%d: ", path, line), report(l);
  return 1;
}

static int interact(struct lisp *l) {
  bool terminal = isatty(STDIN_FILENO);
  struct source s = {.name = "stdin", .file = stdin, .prompt = terminal ? "> " : NULL};
  int status = 0;
  while (!run_source(l, &s, terminal)) {
    status = l->exiting ? l->status : 1;
    if (!l->exiting) report(l);
    if (l->exiting || !terminal) break;
    s.at = s.length; /* forget the rest of the line */
  }
  free(s.line);
  return status;
}

int main(int count, char **arguments) {
  struct lisp l;
  int status = 1;
  if (lisp_open(&l) && !(status = run_file(&l, LISP_PRELUDE))) {
    varve_heap_make_immortal(l.me, NULL); /* the prelude: no collection looks at it again (needs ages=1) */
    if (count == 1) status = interact(&l);
    for (int i = 1; i < count && !status && !l.exiting; ++i) status = run_file(&l, arguments[i]);
  }
  lisp_close(&l);
  return status;
}
