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

static bool delimiter(int c) { return c < 0 || isspace(c) || (c && strchr("()[]\";'`,", c)); }

static varve_word number_or_symbol(struct lisp *l, struct source *s) {
  char text[TOKEN_MAX + 1], *end;
  size_t length = 0;
  for (int c; !delimiter(c = peek(l, s)); ++s->at) {
    if (length == TOKEN_MAX) return bad(l, s, "a name is too long");
    text[length++] = (char)c;
  }
  text[length] = 0;
  long long n = strtoll(text, &end, 10);
  if (*end || !(isdigit((unsigned char)end[-(end > text)]))) return intern(l, text, length);
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
      c = peek(l, s);
      c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c == '0' ? 0 : c;
      if (c < 0) break;
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

static varve_word read_list(struct lisp *l, struct source *s, char close) {
  VARVE_FRAME(f, l->me, head, tail, item);
  f.head = f.tail = NIL;
  int first = s->number;
  for (++s->at;;) {
    int c = blank(l, s);
    if (c < 0) return fail(l, 0, "%s:%d: '%c' is missing for the list that begins here", s->name, first, close);
    if (c == close) return ++s->at, f.head;
    if (c == '.' && f.tail != NIL && s->at + 1 < s->length && delimiter((unsigned char)s->line[s->at + 1])) {
      ++s->at;
      if (!(f.item = read_datum(l, s))) return 0;
      if (blank(l, s) != close) return bad(l, s, "one datum and ')' must follow the dot");
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
  static const struct { const char *name; char c; } names[] = {{"space", ' '}, {"newline", '\n'}, {"tab", '\t'}};
  const char *text = s->line + s->at + 1;
  size_t left = s->length - s->at - 1, length = 1;
  if (left && *text == '(') {
    VARVE_FRAME(f, l->me, list);
    ++s->at;
    return (f.list = read_list(l, s, ')')) ? list_to_vector(l, f.list) : 0;
  }
  while (length < left && (!delimiter((unsigned char)text[length]) || (*text == '\\' && length == 1))) ++length;
  s->at += 1 + length;
  if (length == 1 && (*text == 't' || *text == 'f')) return boolean(*text == 't');
  if (length == 2 && *text == '\\') return character((unsigned char)text[1]);
  for (size_t i = 0; left && *text == '\\' && i < sizeof names / sizeof *names; ++i)
    if (strlen(names[i].name) == length - 1 && !memcmp(names[i].name, text + 1, length - 1))
      return character((unsigned char)names[i].c);
  return bad(l, s, "after '#' comes t, f, a vector, or \\ and a character");
}

static varve_word datum(struct lisp *l, struct source *s) {
  int c = blank(l, s);
  s->start = s->number;
  switch (c) {
    case -1: return END_OF_FILE;
    case '(': return read_list(l, s, ')');
    case '[': return read_list(l, s, ']');
    case ')': case ']': ++s->at; return bad(l, s, "a list ends here that has not begun");
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

varve_word read_line(struct lisp *l, struct source *s) {
  if (peek(l, s) < 0) return END_OF_FILE;
  size_t at = s->at, length = s->length - at;
  s->at = s->length;
  return string_new(l, s->line + at, length - (s->line[s->length - 1] == '\n'));
}
