/* SPDX-License-Identifier: MIT */
/* parse.c -- text to book.
 *
 *   book  = ("@" name "=" tree ("&" "!"? tree "~" tree)*)*
 *   tree  = "(" tree tree ")" | "{" tree tree "}" | "$(" tree tree ")" | "?(" tree tree ")"
 *         | "*" | "@" name | "%" name | "#" integer | string | number | wire name
 *   "//" begins a comment. A name is made of letters, digits and _ . - / $, and begins with a letter or _.
 *
 * Trees are read with a stack of open nodes in the heap, not by recursion, so their depth is limited by memory only.
 * Every message gives file, line, column and what was expected. Wires are checked at the end of their definition,
 * names of definitions at the end of the text. One thread; nothing of the Varve heap.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "book.h"
#include "names.h"
#include "native.h"
#include "number.h"

struct open_node { /* a node whose slots are being read */
  uint32_t node;
  uint8_t which; /* 0: left is next, 1: right is next */
  char close;
};

struct parser {
  const char *file, *text, *end, *at;
  struct pn_parse_error *error;
  const char *counted; /* line and column are those of this byte */
  unsigned line, column;
  bool failed;
  struct pn_book *book;
  struct pn_names defs, wires;
  const char **mention; /* per definition: where it was named first */
  uint32_t mention_capacity, def_capacity, literal_capacity;
  uint32_t *use; /* per wire of the current definition: how often it was named */
  uint32_t use_capacity;
  struct open_node *open;
  uint32_t open_count, open_capacity;
  uint32_t node_capacity, redex_capacity, literals_before;
};

/* ---- messages ---------------------------------------------------------------------------------------------- */

/* Counts on from the place asked for last, so that a book of many definitions is read in linear time. */
static void position(struct parser *p, const char *where, unsigned *line, unsigned *column) {
  if (!p->counted || where < p->counted) p->counted = p->text, p->line = p->column = 1;
  for (; p->counted < where; ++p->counted) p->column = *p->counted == '\n' ? (++p->line, 1) : p->column + 1;
  *line = p->line, *column = p->column;
}

__attribute__((format(printf, 3, 4))) static void fail(struct parser *p, const char *where, const char *format, ...) {
  if (p->failed) return;
  p->failed = true;
  unsigned line, column;
  position(p, where, &line, &column);
  char *text = p->error->text;
  size_t size = sizeof p->error->text;
  int used = snprintf(text, size, "%.200s:%u:%u: ", p->file, line, column);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text + used, size - (size_t)used, format, arguments);
  va_end(arguments);
}

static void fail_expected(struct parser *p, const char *what) {
  if (p->at >= p->end) fail(p, p->end, "expected %s, found the end of the text", what);
  else if ((unsigned char)*p->at < 32) fail(p, p->at, "expected %s, found byte 0x%02x", what, *p->at);
  else fail(p, p->at, "expected %s, found '%c'", what, *p->at);
}

/* Room for one more element; on failure the message is set and the array is as it was. */
static bool reserve(struct parser *p, void *array, uint32_t count, uint32_t *capacity, size_t size) {
  if (count < *capacity) return true;
  uint32_t wanted = *capacity ? *capacity * 2 : 16;
  void *old, *larger = NULL;
  memcpy(&old, array, sizeof old);
  if (wanted > count) larger = realloc(old, wanted * size);
  if (!larger) return fail(p, p->at, "no host memory is left for the program"), false;
  memcpy(array, &larger, sizeof larger);
  *capacity = wanted;
  return true;
}

/* ---- characters and names ---------------------------------------------------------------------------------- */

static void skip_trivia(struct parser *p) {
  while (p->at < p->end) {
    char c = *p->at;
    if (c == '/' && p->at + 1 < p->end && p->at[1] == '/')
      while (p->at < p->end && *p->at != '\n') ++p->at;
    else if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
      ++p->at;
    else
      break;
  }
}

static char peek(const struct parser *p) { return p->at < p->end ? *p->at : 0; }

static bool take(struct parser *p, char c, const char *what) {
  skip_trivia(p);
  if (peek(p) == c && p->at < p->end) return ++p->at, true;
  fail_expected(p, what);
  return false;
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* '$' and '/' belong to names, but "$(" begins a node and "//" a comment. */
static bool is_name_byte(const struct parser *p, const char *at) {
  char c = *at, next = at + 1 < p->end ? at[1] : 0;
  if (c == '$') return next != '(';
  if (c == '/') return next != '/';
  return is_letter(c) || is_digit(c) || c == '.' || c == '-';
}

static size_t take_name(struct parser *p, const char *what) {
  const char *start = p->at;
  if (p->at < p->end && (is_letter(*start) || is_digit(*start)))
    while (p->at < p->end && is_name_byte(p, p->at)) ++p->at;
  if (p->at == start) fail_expected(p, what);
  return (size_t)(p->at - start);
}

/* ---- leaves ------------------------------------------------------------------------------------------------ */

static uint32_t intern_def(struct parser *p, const char *name, size_t length) {
  uint32_t id = pn_names_intern(&p->defs, name, length);
  if (id == PN_NO_NAME) return fail(p, name, "no host memory is left for the program"), 0;
  if (id < p->book->def_count) return id;
  if (!reserve(p, &p->book->def, id, &p->def_capacity, sizeof *p->book->def)) return 0;
  if (!reserve(p, &p->mention, id, &p->mention_capacity, sizeof *p->mention)) return 0;
  p->book->def[id] = (struct pn_def){0};
  p->mention[id] = name;
  ++p->book->def_count;
  return id;
}

static pn_port leaf_def(struct parser *p) {
  const char *name = ++p->at;
  size_t length = take_name(p, "the name of a definition after '@'");
  return p->failed ? 0 : pn_immediate(PN_DEF, intern_def(p, name, length));
}

static pn_port leaf_native(struct parser *p) {
  const char *name = ++p->at;
  size_t length = take_name(p, "the name of a native function after '%'");
  if (p->failed) return 0;
  int id = pn_native_find(name, length);
  if (id < 0) return fail(p, name - 1, "no native function is called '%%%.*s'", (int)length, name), 0;
  return pn_immediate(PN_FUN, (uint64_t)id);
}

static pn_port new_literal(struct parser *p, enum pn_literal_kind kind, char *bytes, size_t length) {
  struct pn_book *book = p->book;
  if (!bytes || !reserve(p, &book->literal, book->literal_count, &p->literal_capacity, sizeof *book->literal)) {
    free(bytes);
    return fail(p, p->at, "no host memory is left for the program"), 0;
  }
  book->literal[book->literal_count] = (struct pn_literal){kind, bytes, length};
  return pn_make(PN_PRINCIPAL, PN_PTR, 0, book->literal_count++);
}

static bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

static pn_port leaf_integer(struct parser *p) {
  const char *start = ++p->at;
  if (peek(p) == '-' || peek(p) == '+') ++p->at;
  bool hex = p->end - p->at > 2 && p->at[0] == '0' && p->at[1] == 'x';
  if (hex) p->at += 2;
  const char *digits = p->at;
  while (p->at < p->end && (hex ? is_hex(*p->at) : is_digit(*p->at))) ++p->at;
  if (p->at == digits) return fail_expected(p, "the digits of an exact integer after '#'"), 0;
  size_t length = (size_t)(p->at - start);
  char *bytes = malloc(length + 1);
  if (bytes) memcpy(bytes, start, length), bytes[length] = 0;
  return new_literal(p, PN_LITERAL_INTEGER, bytes, length);
}

/* One escape after the backslash; -1 and a message when it is none of C's. */
static int escape(struct parser *p) {
  static const char codes[] = "n\nt\tr\r0\0a\ab\bf\fv\v\\\\\"\"''";
  char c = peek(p);
  if (c == 'x') {
    char digits[3] = {0};
    for (int i = 0; i < 2 && p->at + 1 < p->end && is_hex(p->at[1]); ++i) digits[i] = *++p->at;
    if (digits[0]) return ++p->at, (int)strtol(digits, NULL, 16);
  } else if (p->at < p->end && c) {
    for (size_t i = 0; i + 1 < sizeof codes; i += 2)
      if (codes[i] == c) return ++p->at, (unsigned char)codes[i + 1];
  }
  fail_expected(p, "one of C's escapes (n t r 0 a b f v \\ \" ' xHH) after '\\'");
  return -1;
}

static pn_port leaf_string(struct parser *p) {
  const char *start = p->at++;
  size_t length = 0, capacity = 64;
  char *bytes = malloc(capacity);
  while (bytes && peek(p) != '"') {
    if (p->at >= p->end) {
      fail(p, start, "expected '\"' at the end of the string that begins here, found the end of the text");
      break;
    }
    int c = (unsigned char)*p->at++;
    if (c == '\\' && (c = escape(p)) < 0) break;
    if (length + 1 == capacity) {
      char *larger = realloc(bytes, capacity *= 2);
      if (!larger) free(bytes);
      if (!(bytes = larger)) break;
    }
    bytes[length++] = (char)c;
  }
  if (p->failed) return free(bytes), 0;
  ++p->at;
  return new_literal(p, PN_LITERAL_STRING, bytes, length);
}

static pn_port leaf_number(struct parser *p) {
  pn_num number;
  const char *expected, *where = p->at;
  const char *after = pn_num_parse(p->at, p->end, &number, &expected, &where);
  if (!after) return p->at = where, fail_expected(p, expected), 0;
  p->at = after;
  return pn_immediate(PN_NUM, number);
}

static pn_port leaf_wire(struct parser *p) {
  const char *name = p->at;
  size_t length = take_name(p, "a tree: ( { $( ?( * @name %name #integer \"string\" number or a wire's name");
  if (p->failed) return 0;
  uint32_t known = p->wires.count, id = pn_names_intern(&p->wires, name, length);
  if (id == PN_NO_NAME || !reserve(p, &p->use, id, &p->use_capacity, sizeof *p->use))
    return fail(p, name, "no host memory is left for the program"), 0;
  if (id == known) p->use[id] = 0;
  if (++p->use[id] > 2) fail(p, name, "wire '%.*s' is used a third time; a wire has two ends", (int)length, name);
  return pn_make(PN_LEFT, PN_WIRE, 0, id);
}

static pn_port parse_leaf(struct parser *p) {
  char c = peek(p);
  if (c == '*') return ++p->at, PN_ERASER;
  if (c == '@') return leaf_def(p);
  if (c == '%') return leaf_native(p);
  if (c == '#') return leaf_integer(p);
  if (c == '"') return leaf_string(p);
  if (is_digit(c) || c == '+' || c == '-' || c == '[') return leaf_number(p);
  return leaf_wire(p);
}

/* ---- trees ------------------------------------------------------------------------------------------------- */

/* Is this the beginning of a binary node? Then it is read past and its type and closing character are given. */
static bool take_opening(struct parser *p, unsigned *type, char *close) {
  char c = peek(p), next = p->at + 1 < p->end ? p->at[1] : 0;
  *close = c == '{' ? '}' : ')';
  if (c == '(') *type = PN_CON;
  else if (c == '{') *type = PN_DUP;
  else if (c == '$' && next == '(') *type = PN_OPR;
  else if (c == '?' && next == '(') *type = PN_SWI;
  else return false;
  p->at += c == '$' || c == '?' ? 2 : 1;
  return true;
}

static bool open_node(struct parser *p, struct pn_def *def, unsigned type, char close) {
  uint32_t node = def->node_count, capacity = p->node_capacity, slots = p->node_capacity;
  if (!reserve(p, &def->type, node, &capacity, sizeof *def->type)) return false;
  if (!reserve(p, &def->slot, node, &slots, 2 * sizeof *def->slot)) return false;
  p->node_capacity = capacity;
  if (!reserve(p, &p->open, p->open_count, &p->open_capacity, sizeof *p->open)) return false;
  def->type[node] = (uint8_t)type;
  p->open[p->open_count++] = (struct open_node){node, 0, close};
  ++def->node_count;
  return true;
}

/* Put a finished tree into the node that waits for it; finished nodes are trees in turn.
 * @return true when nothing is open any more, with the whole tree in *tree. */
static bool close_nodes(struct parser *p, struct pn_def *def, pn_port *tree) {
  while (p->open_count) {
    struct open_node *top = &p->open[p->open_count - 1];
    def->slot[2 * top->node + top->which] = *tree;
    if (top->which++ == 0) return false;
    if (!take(p, top->close, top->close == ')' ? "')' after the node's two trees" : "'}' after the node's two trees"))
      return true;
    *tree = pn_make(PN_PRINCIPAL, def->type[top->node], 0, top->node);
    --p->open_count;
  }
  return true;
}

static pn_port parse_tree(struct parser *p, struct pn_def *def) {
  pn_port tree = 0;
  unsigned type;
  char close;
  p->open_count = 0;
  for (;;) {
    skip_trivia(p);
    if (take_opening(p, &type, &close)) {
      if (!open_node(p, def, type, close)) return 0;
      continue;
    }
    tree = parse_leaf(p);
    if (p->failed || close_nodes(p, def, &tree)) return tree;
  }
}

/* ---- definitions ------------------------------------------------------------------------------------------- */

static void parse_redexes(struct parser *p, struct pn_def *def) {
  skip_trivia(p);
  while (!p->failed && peek(p) == '&') {
    ++p->at;
    skip_trivia(p);
    if (peek(p) == '!') ++p->at;
    if (!reserve(p, &def->redex, def->redex_count, &p->redex_capacity, 2 * sizeof *def->redex)) return;
    pn_port left = parse_tree(p, def);
    if (p->failed || !take(p, '~', "'~' between the two trees of a redex")) return;
    pn_port right = parse_tree(p, def);
    def->redex[2 * def->redex_count] = left;
    def->redex[2 * def->redex_count++ + 1] = right;
    skip_trivia(p);
  }
}

static void check_wires(struct parser *p, struct pn_def *def) {
  def->wire_count = p->wires.count;
  for (uint32_t i = 0; i < p->wires.count && !p->failed; ++i) {
    const struct pn_name *name = &p->wires.name[i];
    if (p->use[i] == 1)
      fail(p, name->text, "wire '%.*s' is used once; a wire has two ends", (int)name->length, name->text);
  }
}

static uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }

static void note_sizes(struct parser *p, const struct pn_def *def) {
  struct pn_book *book = p->book;
  book->nodes_max = larger(book->nodes_max, def->node_count);
  book->wires_max = larger(book->wires_max, def->wire_count);
  book->literals_max = larger(book->literals_max, book->literal_count - p->literals_before);
}

/* The template is built in a local: the table of definitions may move while the trees are read. */
static void parse_body(struct parser *p, struct pn_def *def) {
  pn_names_clear(&p->wires);
  p->node_capacity = p->redex_capacity = 0;
  p->literals_before = p->book->literal_count;
  def->root = parse_tree(p, def);
  if (!p->failed) parse_redexes(p, def);
  if (!p->failed) check_wires(p, def);
  if (!p->failed) note_sizes(p, def);
}

static void parse_def(struct parser *p) {
  if (!take(p, '@', "'@' and the name of a definition")) return;
  const char *name = p->at;
  size_t length = take_name(p, "the name of a definition after '@'");
  if (p->failed) return;
  uint32_t id = intern_def(p, name, length);
  if (p->failed) return;
  if (p->book->def[id].name) {
    fail(p, name, "'@%.*s' is defined a second time; the first is in line %u", (int)length, name,
         p->book->def[id].line);
    return;
  }
  struct pn_def def = {.name = malloc(length + 1)};
  if (!def.name) fail(p, name, "no host memory is left for the program");
  else memcpy(def.name, name, length), def.name[length] = 0;
  position(p, name, &def.line, &def.column);
  if (!p->failed && take(p, '=', "'=' after the name of the definition")) parse_body(p, &def);
  p->book->def[id] = def;
}

static void check_names(struct parser *p) {
  for (uint32_t i = 0; i < p->book->def_count && !p->failed; ++i) {
    const struct pn_name *name = &p->defs.name[i];
    if (!p->book->def[i].name)
      fail(p, p->mention[i] - 1, "'@%.*s' is not defined", (int)name->length, name->text);
  }
}

/* ---- safe definitions -------------------------------------------------------------------------------------- */

static bool port_is_unsafe(const struct pn_book *book, pn_port port) {
  return pn_type_of(port) == PN_DEF && !book->def[pn_payload(port)].safe;
}

static bool def_is_unsafe(const struct pn_book *book, const struct pn_def *def) {
  for (uint32_t i = 0; i < def->node_count; ++i)
    if (def->type[i] == PN_DUP) return true;
  for (uint32_t i = 0; i < 2 * def->node_count; ++i)
    if (port_is_unsafe(book, def->slot[i])) return true;
  for (uint32_t i = 0; i < 2 * def->redex_count; ++i)
    if (port_is_unsafe(book, def->redex[i])) return true;
  return port_is_unsafe(book, def->root);
}

/* Greatest fixpoint: all are safe until something shows otherwise. */
static void mark_safe(struct pn_book *book) {
  for (uint32_t i = 0; i < book->def_count; ++i) book->def[i].safe = true;
  for (bool changed = true; changed;) {
    changed = false;
    for (uint32_t i = 0; i < book->def_count; ++i)
      if (book->def[i].safe && def_is_unsafe(book, &book->def[i])) book->def[i].safe = false, changed = true;
  }
}

/* ---- entry ------------------------------------------------------------------------------------------------- */

static void parse_book(struct parser *p) {
  for (skip_trivia(p); p->at < p->end && !p->failed; skip_trivia(p)) parse_def(p);
  if (!p->failed) check_names(p);
  if (p->failed) return;
  for (p->book->main = 0; p->book->main < p->book->def_count; ++p->book->main)
    if (strcmp(p->book->def[p->book->main].name, "main") == 0) {
      mark_safe(p->book);
      return;
    }
  fail(p, p->end, "expected a definition of '@main', where the program begins");
}

static void parser_free(struct parser *p) {
  pn_names_free(&p->defs);
  pn_names_free(&p->wires);
  free(p->mention);
  free(p->use);
  free(p->open);
}

struct pn_book *pn_book_parse(const char *name, const char *text, size_t length, struct pn_parse_error *error) {
  struct parser p = {.file = name, .text = text, .end = text + length, .at = text, .error = error};
  p.book = calloc(1, sizeof *p.book);
  if (p.book) parse_book(&p);
  else fail(&p, text, "no host memory is left for the program");
  parser_free(&p);
  if (!p.failed) return p.book;
  pn_book_free(p.book);
  return NULL;
}
