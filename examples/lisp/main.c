/* SPDX-License-Identifier: MIT */
/* main.c -- lisp [FILE ...]: run the files, or standard input, with a prompt if that is a terminal.
 * Options of the collector are in the environment: VARVE_OPTIONS=heap-max=16m,log=1 lisp FILE. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lisp.h"

static bool run_source(struct lisp *l, struct source *s) {
  for (varve_word w; (w = read_datum(l, s)) != END_OF_FILE;) {
    if (!w || !(w = compile(l, w)) || !(w = machine_call(l, w, NIL))) return false;
    if (s->prompt && w != UNSPECIFIED) print(l, stdout, w, true), putchar('\n');
    /* Between two evaluations is where finalizers may run: their objects are dead, and nothing is half done. */
    if (varve_finalizers_queued(l->heap)) varve_finalizers_run(l->me, SIZE_MAX);
    if (l->exiting) return false;
  }
  return true;
}

bool load_file(struct lisp *l, const char *path, int *line) {
  struct source s = {.name = strdup(path)}; /* `path` may be in an object */
  bool good = (s.file = fopen(s.name, "r")) || fail(l, 0, "%s: %s", s.name, strerror(errno));
  if (good && (good = deeper(l))) {
    l->who = NULL; /* what is wrong in the file is not load's matter */
    good = run_source(l, &s);
    --l->depth;
  }
  if (s.file) fclose(s.file);
  free(s.line), free((char *)s.name);
  if (line) *line = s.start;
  return good;
}

void report(struct lisp *l) {
  if (!is(l, l->root[ROOT_ERROR], CONDITION)) fputs("raised: ", stderr);
  print(l, stderr, l->root[ROOT_ERROR], true), fputc('\n', stderr);
  l->root[ROOT_ERROR] = 0;
}

/* The exit status. */
static int run_file(struct lisp *l, const char *path) {
  int line;
  if (load_file(l, path, &line)) return 0;
  if (!l->exiting) fprintf(stderr, "%s:%d: ", path, line), report(l);
  return l->exiting ? l->status : 1;
}

static int interact(struct lisp *l) {
  struct source s = {.name = "stdin", .file = stdin, .prompt = isatty(STDIN_FILENO) ? "> " : NULL};
  bool good;
  while (!(good = run_source(l, &s)) && !l->exiting) {
    report(l);
    if (!s.prompt) break;
    s.at = s.length; /* forget the rest of the line */
  }
  free(s.line);
  return l->exiting ? l->status : !good;
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
