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
  s->length = (size_t)got, s->at = 0, ++s->number;
  return true;
}

/* The next byte, which stays; -1: the end. Everything in this file that calls it is a safepoint. */
static int peek(struct lisp *l, struct source *s) {
  return s->at < s->length || next_line(l, s) ? (unsigned char)s->line[s->at] : -1;
}

static char second(const struct source *s) { return s->at + 1 < s->length ? s->line[s->at + 1] : '\n'; }

static int blank(struct lisp *l, struct source *s) { /* skip spaces and comments, peek */
  int c;
  for (bool comment = false; (c = peek(l, s)) >= 0 && (comment || c == ';' || isspace(c)); ++s->at)
    comment = c == ';' || (comment && c != '\n');
  return c;
}

static varve_word bad(struct lisp *l, const struct source *s, int line, const char *what) {
  return fail(l, 0, "%s:%d: %s", s->name, line, what);
}

static bool delimiter(int c) { return c < 0 || isspace(c) || (c && strchr("()\";'`,", c)); }

static varve_word hash_token(struct lisp *l, const struct source *s, const char *text) {
  if (!strcmp(text, "#t") || !strcmp(text, "#f")) return boolean(text[1] == 't');
  if (!strcmp(text, "#\\space")) return CHARACTER(' ');
  if (!strcmp(text, "#\\newline")) return CHARACTER('\n');
  if (!strcmp(text, "#\\tab")) return CHARACTER('\t');
  if (text[1] == '\\' && strlen(text) == 3) return CHARACTER((unsigned char)text[2]);
  return bad(l, s, s->number, "after '#' comes t, f, a vector, or \\ and a character");
}

static varve_word token(struct lisp *l, struct source *s) {
  char text[TOKEN_MAX + 1], *end;
  size_t length = 0, least = peek(l, s) == '#' && second(s) == '\\' ? 3 : 1; /* the third byte may be a delimiter */
  for (int c; (c = peek(l, s)) >= 0 && (length < least || !delimiter(c)); ++s->at) {
    if (length == TOKEN_MAX) return bad(l, s, s->number, "a name is too long");
    text[length++] = (char)c;
  }
  text[length] = 0;
  if (*text == '#') return hash_token(l, s, text);
  long long n = strtoll(text, &end, 10);
  if (*end || !isdigit((unsigned char)end[-(end > text)])) return intern(l, string_new(l, text, length));
  return n <= FIXNUM_MAX && n >= FIXNUM_MIN ? fixnum(n) : bad(l, s, s->number, "a number does not fit 61 bits");
}

static varve_word read_string(struct lisp *l, struct source *s) {
  char *text = NULL;
  size_t length = 0;
  FILE *out = open_memstream(&text, &length);
  int c, first = s->number;
  if (!out) return out_of_memory(l);
  for (++s->at; (c = peek(l, s)) >= 0 && c != '"'; ++s->at) {
    if (c == '\\') ++s->at, c = peek(l, s), c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
    if (c >= 0) fputc(c, out);
  }
  ++s->at;
  fclose(out);
  varve_word w = c < 0 ? bad(l, s, first, "a string that begins here has no end") : string_new(l, text, length);
  free(text);
  return w;
}

static varve_word read_list(struct lisp *l, struct source *s) {
  VARVE_FRAME(f, l->me, head, tail, item);
  f.head = f.tail = NIL;
  int first = s->number, c;
  for (++s->at; (c = blank(l, s)) != ')';) {
    if (c < 0) return bad(l, s, first, "')' is missing for the list that begins here");
    bool dot = c == '.' && f.tail != NIL && delimiter((unsigned char)second(s));
    s->at += dot;
    if (!(f.item = read_datum(l, s)) || (!dot && !(f.item = cons(l, f.item, NIL)))) return 0;
    if (f.tail == NIL) f.head = f.item;
    else varve_store(l->me, pair(f.tail), &pair(f.tail)->cdr, f.item); /* the last pair may be old by now */
    f.tail = f.item;
    if (dot && blank(l, s) != ')') return bad(l, s, s->number, "one datum and ')' must follow the dot");
  }
  return ++s->at, f.head;
}

static varve_word quoted(struct lisp *l, struct source *s, size_t length, const char *symbol) {
  VARVE_FRAME(f, l->me, datum);
  s->at += length;
  if (!(f.datum = read_datum(l, s))) return 0;
  if (f.datum == END_OF_FILE) return bad(l, s, s->number, "a datum is missing at the end");
  if (!(f.datum = cons(l, f.datum, NIL))) return 0;
  varve_word head = intern(l, string_new(l, symbol, strlen(symbol)));
  return head ? cons(l, head, f.datum) : 0;
}

static varve_word datum(struct lisp *l, struct source *s) {
  int c = blank(l, s);
  s->start = s->number;
  if (c == '#' && second(s) == '(') {
    ++s->at;
    varve_word list = read_list(l, s);
    return list ? list_to_vector(l, list) : 0;
  }
  switch (c) {
    case -1: return END_OF_FILE;
    case '(': return read_list(l, s);
    case ')': return ++s->at, bad(l, s, s->number, "a list ends here that has not begun");
    case '\'': return quoted(l, s, 1, "quote");
    case '`': return quoted(l, s, 1, "quasiquote");
    case ',': return second(s) == '@' ? quoted(l, s, 2, "unquote-splicing") : quoted(l, s, 1, "unquote");
    case '"': return read_string(l, s);
    default: return token(l, s);
  }
}

varve_word read_datum(struct lisp *l, struct source *s) {
  if (!deeper(l)) return 0;
  varve_word w = datum(l, s);
  --l->depth;
  return w;
}
