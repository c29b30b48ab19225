/* SPDX-License-Identifier: MIT */
/* reader.c -- from text to data: a recursive descent that keeps what it has read in frames.
 *
 * Waiting for input may take for ever, so it is done in native state: a collection of another thread does not wait for
 * us then, and we touch nothing of the heap. Text is gathered in host memory, never in an object.
 */
#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "lisp.h"

#define TOKEN_MAX 255

static bool next_line(struct lisp *l, struct source *s) {
  if (!s->file) return false;
  varve_native_enter(l->me); /* from here ... */
  if (s->prompt) fputs(s->prompt, stdout), fflush(stdout);
  ssize_t got = getline(&s->line, &s->capacity, s->file);
  varve_native_leave(l->me); /* ... to here no word of the heap is looked at; frames stay roots */
  if (got < 0) return false;
  s->length = (size_t)got, s->at = 0;
  ++s->number;
  return true;
}

/* The next byte, which stays; -1: the end. Everything in this file that calls it is a safepoint. */
static int peek(struct lisp *l, struct source *s) {
  if (s->at >= s->length && !next_line(l, s)) return -1;
  return (unsigned char)s->line[s->at];
}

static int blank(struct lisp *l, struct source *s) { /* skip spaces and comments, peek */
  int c;
  while ((c = peek(l, s)) >= 0 && (isspace(c) || c == ';')) {
    if (c != ';') ++s->at;
    else while (s->at < s->length && s->line[s->at] != '\n') ++s->at;
  }
  return c;
}

static varve_word bad(struct lisp *l, const struct source *s, const char *what) {
  return fail(l, 0, "%s:%d: %s", s->name, s->number, what);
}

static bool delimiter(int c) { return c < 0 || isspace(c) || (c && strchr("()\";'`,", c)); }

/* What comes up to the next delimiter, but at least `least` bytes. */
static bool token(struct lisp *l, struct source *s, char text[TOKEN_MAX + 1], size_t least) {
  size_t length = 0;
  for (int c; (c = peek(l, s)) >= 0 && (length < least || !delimiter(c)); ++s->at) {
    if (length == TOKEN_MAX) return bad(l, s, "a name is too long");
    text[length++] = (char)c;
  }
  return text[length] = 0, true;
}

static varve_word number_or_symbol(struct lisp *l, struct source *s) {
  char text[TOKEN_MAX + 1], *end;
  if (!token(l, s, text, 1)) return 0;
  long long n = strtoll(text, &end, 10);
  if (*end || !isdigit((unsigned char)end[-(end > text)])) return intern(l, string_new(l, text, strlen(text)));
  if (n > FIXNUM_MAX || n < FIXNUM_MIN) return bad(l, s, "a number does not fit 61 bits");
  return fixnum(n);
}

static varve_word string_or_error(struct lisp *l, struct source *s) {
  char *text = NULL;
  size_t length = 0, capacity = 0;
  FILE *out = open_memstream(&text, &capacity);
  int c, first = s->number;
  for (++s->at; (c = peek(l, s)) >= 0 && c != '"'; ++s->at, ++length) {
    if (c == '\\') {
      ++s->at;
      if ((c = peek(l, s)) < 0) break;
      c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
    }
    fputc(c, out);
  }
  fclose(out);
  ++s->at;
  varve_word w = c < 0 ? fail(l, 0, "%s:%d: a string that begins here has no end", s->name, first)
                         : string_new(l, text, length);
  free(text);
  return w;
}

static varve_word read_list(struct lisp *l, struct source *s) {
  VARVE_FRAME(f, l->me, head, tail, item);
  f.head = f.tail = NIL;
  int first = s->number;
  for (++s->at;;) {
    int c = blank(l, s);
    if (c < 0) return fail(l, 0, "%s:%d: ')' is missing for the list that begins here", s->name, first);
    if (c == ')') return ++s->at, f.head;
    if (c == '.' && f.tail != NIL && s->at + 1 < s->length && delimiter((unsigned char)s->line[s->at + 1])) {
      ++s->at;
      if (!(f.item = read_datum(l, s))) return 0;
      if (blank(l, s) != ')') return bad(l, s, "one datum and ')' must follow the dot");
      varve_store(l->me, pair(f.tail), &pair(f.tail)->cdr, f.item);
      continue;
    }
    if (!(f.item = read_datum(l, s)) || !(f.item = cons(l, f.item, NIL))) return 0;
    if (f.tail == NIL) f.head = f.item;
    else varve_store(l->me, pair(f.tail), &pair(f.tail)->cdr, f.item); /* the last pair may be old by now */
    f.tail = f.item;
  }
}

static varve_word quoted(struct lisp *l, struct source *s, size_t length, enum root symbol) {
  s->at += length;
  VARVE_FRAME(f, l->me, datum);
  if (!(f.datum = read_datum(l, s))) return 0;
  if (f.datum == END_OF_FILE) return bad(l, s, "a datum is missing at the end");
  if (!(f.datum = cons(l, f.datum, NIL))) return 0;
  return cons(l, l->root[symbol], f.datum);
}

static varve_word hash_syntax(struct lisp *l, struct source *s) {
  static const struct { const char *text; varve_word value; } names[] = {
    {"#t", TRUE}, {"#f", FALSE}, {"#\\space", CHARACTER(' ')}, {"#\\newline", CHARACTER('\n')}, {"#\\tab", CHARACTER('\t')},
  };
  char text[TOKEN_MAX + 1], next = s->at + 1 < s->length ? s->line[s->at + 1] : 0;
  if (next == '(') {
    ++s->at;
    varve_word list = read_list(l, s);
    return list ? list_to_vector(l, list) : 0;
  }
  if (!token(l, s, text, next == '\\' ? 3 : 1)) return 0;
  if (next == '\\' && strlen(text) == 3) return CHARACTER((unsigned char)text[2]);
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
    if (!strcmp(names[i].text, text)) return names[i].value;
  return bad(l, s, "after '#' comes t, f, a vector, or \\ and a character");
}

static varve_word datum(struct lisp *l, struct source *s) {
  int c = blank(l, s);
  s->start = s->number;
  switch (c) {
    case -1: return END_OF_FILE;
    case '(': return read_list(l, s);
    case ')': ++s->at; return bad(l, s, "a list ends here that has not begun");
    case '\'': return quoted(l, s, 1, ROOT_QUOTE);
    case '`': return quoted(l, s, 1, ROOT_QUASIQUOTE);
    case ',':
      if (s->at + 1 < s->length && s->line[s->at + 1] == '@') return quoted(l, s, 2, ROOT_SPLICING);
      return quoted(l, s, 1, ROOT_UNQUOTE);
    case '"': return string_or_error(l, s);
    case '#': return hash_syntax(l, s);
    default: return number_or_symbol(l, s);
  }
}

varve_word read_datum(struct lisp *l, struct source *s) {
  if (!deeper(l)) return 0;
  varve_word w = datum(l, s);
  --l->depth;
  return w;
}
