/* SPDX-License-Identifier: MIT */
/* printer.c -- from data to text. Nothing in print() allocates in the heap, so it is no safepoint, and plain words and
 * addresses hold throughout. */
#include <ctype.h>

#include "lisp.h"

static void print_string(FILE *out, const struct string *s, bool quoted) {
  if (quoted) fputc('"', out);
  for (size_t i = 0; i < s->length; ++i) {
    char c = s->byte[i];
    if (quoted && (c == '\n' || c == '\t')) fputs(c == '\n' ? "\\n" : "\\t", out);
    else fprintf(out, quoted && (c == '"' || c == '\\') ? "\\%c" : "%c", c);
  }
  if (quoted) fputc('"', out);
}

static void print_immediate(FILE *out, varve_word w, bool quoted) {
  static const char *const names[] = {"()", "#f", "#t", "#<unspecified>", "#<eof>", "#<unbound>", "#<dead>"};
  unsigned char c = character_value(w);
  if (is_fixnum(w)) fprintf(out, "%lld", (long long)fixnum_value(w));
  else if (is_primitive(w)) fprintf(out, "#<primitive %s>", primitive_name(w));
  else if (!is_character(w)) fputs(names[w >> 8], out);
  else if (!quoted || isgraph(c)) fprintf(out, quoted ? "#\\%c" : "%c", c);
  else fputs(c == ' ' ? "#\\space" : c == '\t' ? "#\\tab" : "#\\newline", out);
}

static void print_list(struct lisp *l, FILE *out, varve_word w, bool quoted) {
  varve_word hare = w; /* two steps ahead: meets us again in a circle */
  for (const char *between = "("; is_pair(w); w = cdr(w), between = " ") {
    fputs(between, out);
    print(l, out, car(w), quoted);
    for (int i = 0; i < 2; ++i) hare = is_pair(hare) ? cdr(hare) : NIL;
    if (!is_pair(hare) || hare != cdr(w)) continue;
    fputs(" ...)", out);
    return;
  }
  if (w != NIL) fputs(" . ", out), print(l, out, w, quoted);
  fputc(')', out);
}

static void print_object(struct lisp *l, FILE *out, varve_word w, bool quoted) {
  if (is_pair(w)) {
    print_list(l, out, w, quoted);
  } else if (is(l, w, VECTOR)) {
    fputs("#(", out);
    for (size_t i = 0; i < vector_length(w); ++i)
      fputs(i ? " " : "", out), print(l, out, AS(vector, w)->item[i], quoted);
    fputc(')', out);
  } else if (is(l, w, SYMBOL)) {
    print(l, out, AS(symbol, w)->name, false);
  } else if (is(l, w, STRING)) {
    print_string(out, AS(string, w), quoted);
  } else if (is(l, w, CONDITION)) {
    print(l, out, AS(condition, w)->message, false);
    for (w = AS(condition, w)->irritants; is_pair(w); w = cdr(w)) fputc(' ', out), print(l, out, car(w), true);
  } else { /* the name of its type is the layout's */
    fprintf(out, "#<%s", varve_layout_name(l->heap, varve_object_layout(varve_untag(w))));
    if (is(l, w, CLOSURE)) fputc(' ', out), print(l, out, AS(code, AS(closure, w)->code)->name, false);
    fputc('>', out);
  }
}

void print(struct lisp *l, FILE *out, varve_word w, bool quoted) {
  ++l->depth;
  if (!is_reference(w)) print_immediate(out, w, quoted);
  else if (l->depth > DEPTH_MAX) fputs("...", out);
  else print_object(l, out, w, quoted);
  --l->depth;
}
