/* SPDX-License-Identifier: MIT */
/* primitives.c -- procedures written in C. Arguments are slots of the machine's stack: rooted, and corrected when objects
 * move, so `a[0]` may be read after a safepoint, and what was read out of it before may not be used.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "machine.h"
#include "table.h"
#include "text.h"

#define PRIMITIVE(name) static varve_word name(struct lisp *l, varve_word *a, size_t n)
#define NEED(condition, index, wanted) \
  if (VARVE_UNLIKELY(!(condition))) return wrong_type(l, a[index], wanted)
#define UNUSED (void)l, (void)a, (void)n

static char *bytes(varve_word string) { return AS(string, string)->byte; }
static size_t length_of(varve_word string) { return AS(string, string)->length; }
static bool is_index(varve_word w, size_t end) { return is_fixnum(w) && (uint64_t)fixnum_value(w) < end; }

/* ---- pairs, symbols, procedures -------------------------------------------------------------------------------- */

PRIMITIVE(p_cons) { return UNUSED, cons(l, a[0], a[1]); }
PRIMITIVE(p_car) { UNUSED; NEED(is_pair(a[0]), 0, "a pair"); return car(a[0]); }
PRIMITIVE(p_cdr) { UNUSED; NEED(is_pair(a[0]), 0, "a pair"); return cdr(a[0]); }
PRIMITIVE(p_eq) { return UNUSED, boolean(a[0] == a[1]); }
PRIMITIVE(p_equal) { return UNUSED, boolean(is_equal(l, a[0], a[1])); }
PRIMITIVE(p_is_null) { return UNUSED, boolean(a[0] == NIL); }
PRIMITIVE(p_not) { return UNUSED, boolean(a[0] == FALSE); }
PRIMITIVE(p_reverse) { UNUSED; NEED(list_length(a[0]) >= 0, 0, "a list"); return list_reverse(l, a[0]); }
PRIMITIVE(p_length) { UNUSED; NEED(list_length(a[0]) >= 0, 0, "a list"); return fixnum(list_length(a[0])); }

PRIMITIVE(p_set_car) {
  UNUSED;
  NEED(is_pair(a[0]), 0, "a pair");
  return varve_store(l->me, pair(a[0]), &pair(a[0])->car, a[1]), UNSPECIFIED;
}
PRIMITIVE(p_set_cdr) {
  UNUSED;
  NEED(is_pair(a[0]), 0, "a pair");
  return varve_store(l->me, pair(a[0]), &pair(a[0])->cdr, a[1]), UNSPECIFIED;
}

/* The name of a value's type as Varve knows it from the layout, or of an immediate. */
PRIMITIVE(p_type_of) {
  UNUSED;
  const char *name = is_fixnum(a[0])                    ? "fixnum"
                     : is_character(a[0])               ? "character"
                     : a[0] == TRUE || a[0] == FALSE    ? "boolean"
                     : type_of(l, a[0]) == TYPE_COUNT   ? "constant"
                     : varve_layout_name(l->heap, varve_object_layout(varve_untag(a[0])));
  return intern(l, name, strlen(name));
}

PRIMITIVE(p_symbol_to_string) { UNUSED; NEED(is(l, a[0], SYMBOL), 0, "a symbol"); return AS(symbol, a[0])->name; }

/* The bytes of an object may move while intern allocates: they are copied out first. */
PRIMITIVE(p_string_to_symbol) {
  UNUSED;
  NEED(is(l, a[0], STRING) && length_of(a[0]) < 256, 0, "a string of at most 255 bytes");
  char name[256];
  memcpy(name, bytes(a[0]), length_of(a[0]));
  return intern(l, name, length_of(a[0]));
}

PRIMITIVE(p_gensym) {
  UNUSED;
  char name[32];
  int length = snprintf(name, sizeof name, "g%llu", (unsigned long long)++l->gensyms);
  return symbol_new(l, name, (size_t)length);
}

PRIMITIVE(p_make_macro) { /* (%macro! name expander) */
  UNUSED;
  NEED(is(l, a[0], SYMBOL), 0, "a symbol");
  if (!define_global(l, a[0], a[1])) return 0;
  AS(symbol, a[0])->role = ROLE_MACRO;
  return a[0];
}

PRIMITIVE(p_apply) { UNUSED; NEED(list_length(a[1]) >= 0, 1, "a list"); return machine_tail_call(l, a, a[0], a[1]); }
PRIMITIVE(p_eval) {
  UNUSED;
  varve_word procedure = compile(l, a[0]);
  return procedure ? machine_tail_call(l, a, procedure, NIL) : 0;
}

/* ---- numbers --------------------------------------------------------------------------------------------------- */

/* Fixnums of 61 bits; what does not fit raises an error. */
static varve_word in_range(struct lisp *l, bool overflow, int64_t n) {
  return overflow || n > FIXNUM_MAX || n < FIXNUM_MIN ? fail(l, 0, "integer overflow") : fixnum(n);
}

#define FOLD(name, first, builtin)                                        \
  PRIMITIVE(name) {                                                       \
    int64_t sum = first;                                                  \
    bool overflow = false;                                                \
    for (size_t i = 0; i < n; ++i) {                                      \
      NEED(is_fixnum(a[i]), i, "a fixnum");                               \
      overflow |= builtin(sum, fixnum_value(a[i]), &sum);                 \
    }                                                                     \
    return in_range(l, overflow, sum);                                    \
  }
FOLD(p_add, 0, __builtin_add_overflow)
FOLD(p_multiply, 1, __builtin_mul_overflow)

PRIMITIVE(p_subtract) {
  for (size_t i = 0; i < n; ++i) NEED(is_fixnum(a[i]), i, "a fixnum");
  int64_t rest = n == 1 ? 0 : fixnum_value(a[0]);
  bool overflow = false;
  for (size_t i = n > 1; i < n; ++i) overflow |= __builtin_sub_overflow(rest, fixnum_value(a[i]), &rest);
  return in_range(l, overflow, rest);
}

#define COMPARE(name, relation)                                           \
  PRIMITIVE(name) {                                                       \
    for (size_t i = 0; i < n; ++i) NEED(is_fixnum(a[i]), i, "a fixnum");  \
    for (size_t i = 1; i < n; ++i)                                        \
      if (!((int64_t)a[i - 1] relation (int64_t)a[i])) return FALSE;      \
    return TRUE;                                                          \
  }
COMPARE(p_less, <)
COMPARE(p_greater, >)
COMPARE(p_equals, ==)

#define DIVIDE(name, operator)                                                               \
  PRIMITIVE(name) {                                                                          \
    UNUSED;                                                                                  \
    for (size_t i = 0; i < 2; ++i) NEED(is_fixnum(a[i]), i, "a fixnum");                     \
    if (a[1] == fixnum(0)) return fail(l, a[0], "division by zero:");                        \
    return in_range(l, false, fixnum_value(a[0]) operator fixnum_value(a[1]));               \
  }
DIVIDE(p_quotient, /)
DIVIDE(p_remainder, %)

/* ---- strings and characters ------------------------------------------------------------------------------------ */

PRIMITIVE(p_make_string) {
  NEED(is_fixnum(a[0]) && fixnum_value(a[0]) >= 0, 0, "a length");
  NEED(n < 2 || is_character(a[1]), 1, "a character");
  varve_word s = string_new(l, NULL, (size_t)fixnum_value(a[0]));
  if (s) memset(bytes(s), n < 2 ? ' ' : character_value(a[1]), length_of(s));
  return s;
}

PRIMITIVE(p_string_append) {
  size_t length = 0, at = 0;
  for (size_t i = 0; i < n; ++i) {
    NEED(is(l, a[i], STRING), i, "a string");
    length += length_of(a[i]);
  }
  varve_word s = string_new(l, NULL, length); /* first the safepoint, then the addresses */
  for (size_t i = 0; s && i < n; at += length_of(a[i++])) memcpy(bytes(s) + at, bytes(a[i]), length_of(a[i]));
  return s;
}

PRIMITIVE(p_substring) {
  NEED(is(l, a[0], STRING), 0, "a string");
  size_t end = length_of(a[0]);
  NEED(n < 3 || is_index(a[2], end + 1), 2, "an index");
  if (n == 3) end = (size_t)fixnum_value(a[2]);
  NEED(is_index(a[1], end + 1), 1, "an index");
  size_t start = (size_t)fixnum_value(a[1]);
  varve_word s = string_new(l, NULL, end - start);
  if (s) memcpy(bytes(s), bytes(a[0]) + start, end - start);
  return s;
}

PRIMITIVE(p_string_length) { UNUSED; NEED(is(l, a[0], STRING), 0, "a string"); return fixnum((int64_t)length_of(a[0])); }
PRIMITIVE(p_string_ref) {
  UNUSED;
  NEED(is(l, a[0], STRING), 0, "a string");
  NEED(is_index(a[1], length_of(a[0])), 1, "an index");
  return character((unsigned char)bytes(a[0])[fixnum_value(a[1])]);
}
PRIMITIVE(p_string_set) {
  UNUSED;
  NEED(is(l, a[0], STRING), 0, "a string");
  NEED(is_index(a[1], length_of(a[0])), 1, "an index");
  NEED(is_character(a[2]), 2, "a character");
  return bytes(a[0])[fixnum_value(a[1])] = (char)character_value(a[2]), UNSPECIFIED; /* no reference: a plain store */
}
PRIMITIVE(p_string_less) {
  UNUSED;
  for (size_t i = 0; i < 2; ++i) NEED(is(l, a[i], STRING), i, "a string");
  size_t x = length_of(a[0]), y = length_of(a[1]);
  int order = memcmp(bytes(a[0]), bytes(a[1]), x < y ? x : y);
  return boolean(order < 0 || (!order && x < y));
}
PRIMITIVE(p_string_to_number) {
  UNUSED;
  NEED(is(l, a[0], STRING), 0, "a string");
  char *end;
  long long value = strtoll(bytes(a[0]), &end, 10);
  return length_of(a[0]) && end == bytes(a[0]) + length_of(a[0]) ? in_range(l, false, value) : FALSE;
}
PRIMITIVE(p_char_to_integer) { UNUSED; NEED(is_character(a[0]), 0, "a character"); return fixnum(character_value(a[0])); }
PRIMITIVE(p_integer_to_char) {
  UNUSED;
  NEED(is_index(a[0], 256), 0, "a number below 256");
  return character((unsigned char)fixnum_value(a[0]));
}

/* ---- vectors --------------------------------------------------------------------------------------------------- */

PRIMITIVE(p_make_vector) {
  NEED(is_fixnum(a[0]) && fixnum_value(a[0]) >= 0, 0, "a length");
  return vector_new(l, (size_t)fixnum_value(a[0]), n > 1 ? a[1] : UNSPECIFIED);
}
PRIMITIVE(p_list_to_vector) { UNUSED; NEED(list_length(a[0]) >= 0, 0, "a list"); return list_to_vector(l, a[0]); }
PRIMITIVE(p_vector_length) { UNUSED; NEED(is(l, a[0], VECTOR), 0, "a vector"); return fixnum((int64_t)vector_length(a[0])); }
PRIMITIVE(p_vector_ref) {
  UNUSED;
  NEED(is(l, a[0], VECTOR), 0, "a vector");
  NEED(is_index(a[1], vector_length(a[0])), 1, "an index");
  return AS(vector, a[0])->item[fixnum_value(a[1])];
}
PRIMITIVE(p_vector_set) {
  UNUSED;
  NEED(is(l, a[0], VECTOR), 0, "a vector");
  NEED(is_index(a[1], vector_length(a[0])), 1, "an index");
  struct vector *v = AS(vector, a[0]);
  return varve_store(l->me, v, &v->item[fixnum_value(a[1])], a[2]), UNSPECIFIED;
}

/* ---- tables, weakness, finalizers ------------------------------------------------------------------------------ */

PRIMITIVE(p_eq_table) { return UNUSED, table_new(l, false, false); }
PRIMITIVE(p_equal_table) { return UNUSED, table_new(l, true, false); }
PRIMITIVE(p_weak_table) { return UNUSED, table_new(l, false, true); }
PRIMITIVE(p_table_ref) {
  NEED(is(l, a[0], TABLE), 0, "a table");
  varve_word value = table_get(l, a[0], a[1]);
  return value ? value : l->root[ROOT_ERROR] ? 0 : n > 2 ? a[2] : FALSE;
}
PRIMITIVE(p_table_set) {
  UNUSED;
  NEED(is(l, a[0], TABLE), 0, "a table");
  return table_put(l, a[0], a[1], a[2]) ? UNSPECIFIED : 0;
}
PRIMITIVE(p_table_delete) { UNUSED; NEED(is(l, a[0], TABLE), 0, "a table"); return boolean(table_delete(l, a[0], a[1])); }
PRIMITIVE(p_table_to_list) { UNUSED; NEED(is(l, a[0], TABLE), 0, "a table"); return table_to_list(l, a[0]); }
PRIMITIVE(p_weak_box) { return UNUSED, weak_box_new(l, a[0]); }
PRIMITIVE(p_weak_value) {
  UNUSED;
  NEED(is(l, a[0], WEAK_BOX), 0, "a weak box");
  return AS(weak, a[0])->target[0] == DEAD ? FALSE : AS(weak, a[0])->target[0];
}
PRIMITIVE(p_identity_hash) {
  UNUSED;
  NEED((a[0] & 7) == TAG_OBJECT || is_pair(a[0]), 0, "an object");
  uint64_t hash = varve_identity_hash(l->me, varve_untag(a[0]));
  return hash ? fixnum((int64_t)(hash >> 4)) : out_of_memory(l);
}

/* Called between two evaluations, by varve_finalizers_run: never in a collection, so it may do what it likes. */
static void finalize(varve_mutator *me, varve_object *object, void *context) {
  struct lisp *l = context;
  VARVE_FRAME(f, me, object, procedures, arguments);
  f.object = varve_tag(object, varve_object_layout(object) == l->layout[PAIR] ? TAG_PAIR : TAG_OBJECT);
  f.procedures = table_get(l, l->root[ROOT_FINALIZERS], f.object);
  table_delete(l, l->root[ROOT_FINALIZERS], f.object);
  for (; f.procedures && is_pair(f.procedures); f.procedures = cdr(f.procedures)) {
    f.arguments = cons(l, f.object, NIL);
    if (f.arguments && machine_call(l, car(f.procedures), f.arguments)) continue;
    fputs("in a finalizer: ", stderr), print_error(l, stderr, l->root[ROOT_ERROR]), fputc('\n', stderr);
    l->root[ROOT_ERROR] = 0;
  }
}

/* The procedures are in a weak table, not in handles: one that refers to the object does not keep it alive. The entry is
 * still there when the finalizer runs, because the queue keeps the object, its key. */
PRIMITIVE(p_finalize) {
  NEED((a[0] & 7) == TAG_OBJECT || is_pair(a[0]), 0, "an object");
  varve_word others = table_get(l, l->root[ROOT_FINALIZERS], a[0]);
  if (!others && !varve_finalizer_attach(l->me, varve_untag(a[0]), 0, finalize, l)) return out_of_memory(l);
  (void)n, others = cons(l, a[1], others ? others : NIL);
  return others && table_put(l, l->root[ROOT_FINALIZERS], a[0], others) ? UNSPECIFIED : 0;
}

/* ---- the collector --------------------------------------------------------------------------------------------- */

PRIMITIVE(p_gc) { return UNUSED, varve_collect(l->me), UNSPECIFIED; }

PRIMITIVE(p_gc_stats) {
  UNUSED;
  varve_heap_stats s;
  varve_heap_stats_get(l->heap, &s);
  const struct { const char *name; uint64_t value; } rows[] = {
    {"pause-max-ns", s.pause_ns_max}, {"pause-total-ns", s.pause_ns_total}, {"bytes-moved", s.bytes_moved},
    {"bytes-in-use", s.bytes_in_use}, {"bytes-allocated", s.bytes_allocated}, {"collections", s.collections}};
  VARVE_FRAME(f, l->me, list, item);
  f.list = NIL;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i)
    if (!(f.item = intern(l, rows[i].name, strlen(rows[i].name))) ||
        !(f.item = cons(l, f.item, fixnum((int64_t)rows[i].value))) || !(f.list = cons(l, f.item, f.list)))
      return 0;
  return f.list;
}

/* ---- errors ---------------------------------------------------------------------------------------------------- */

PRIMITIVE(p_raise) { return UNUSED, l->root[ROOT_ERROR] = a[0], 0; }
PRIMITIVE(p_make_error) {
  UNUSED;
  NEED(is(l, a[0], STRING), 0, "a string");
  struct condition *c = allocate(l, CONDITION, sizeof *c);
  if (!c) return 0;
  varve_init(l->me, c, &c->message, a[0]);
  varve_init(l->me, c, &c->irritants, a[1]);
  return varve_tag(c, TAG_OBJECT);
}
PRIMITIVE(p_error_message) { UNUSED; NEED(is(l, a[0], CONDITION), 0, "an error"); return AS(condition, a[0])->message; }
PRIMITIVE(p_error_irritants) { UNUSED; NEED(is(l, a[0], CONDITION), 0, "an error"); return AS(condition, a[0])->irritants; }
PRIMITIVE(p_exit) { return l->exiting = true, l->status = n && is_fixnum(a[0]) ? (int)fixnum_value(a[0]) : 0, 0; }

/* ---- text ------------------------------------------------------------------------------------------------------ */

static varve_word show(struct lisp *l, varve_word w, bool quoted) {
  if (is(l, w, STRING) && !quoted) print_bytes(l, stdout, w);
  else print(l, stdout, w, quoted);
  return UNSPECIFIED;
}
PRIMITIVE(p_display) { return UNUSED, show(l, a[0], false); }
PRIMITIVE(p_write) { return UNUSED, show(l, a[0], true); }

static varve_word to_string(struct lisp *l, varve_word w, void (*printer)(struct lisp *, FILE *, varve_word)) {
  char *text = NULL;
  size_t length = 0;
  FILE *out = open_memstream(&text, &length);
  printer(l, out, w);
  fclose(out);
  w = string_new(l, text, length);
  free(text);
  return w;
}
static void print_plain(struct lisp *l, FILE *out, varve_word w) { print(l, out, w, false); }
static void print_quoted(struct lisp *l, FILE *out, varve_word w) { print(l, out, w, true); }
PRIMITIVE(p_display_string) { return UNUSED, to_string(l, a[0], print_plain); }
PRIMITIVE(p_write_string) { return UNUSED, to_string(l, a[0], print_quoted); }
PRIMITIVE(p_error_string) { return UNUSED, to_string(l, a[0], print_error); }

PRIMITIVE(p_read) { return UNUSED, read_datum(l, l->input); }
PRIMITIVE(p_read_line) { return UNUSED, read_line(l, l->input); }
PRIMITIVE(p_read_from_string) {
  UNUSED;
  NEED(is(l, a[0], STRING), 0, "a string");
  struct source s = {.name = "string", .length = length_of(a[0]), .number = 1};
  if (!(s.line = malloc(s.length + 1))) return out_of_memory(l);
  memcpy(s.line, bytes(a[0]), s.length); /* reading allocates, so the text must not be in an object */
  varve_word w = read_datum(l, &s);
  free(s.line);
  return w;
}
PRIMITIVE(p_load) { UNUSED; NEED(is(l, a[0], STRING), 0, "a string"); return load_file(l, bytes(a[0])); }

PRIMITIVE(p_clock) {
  UNUSED;
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return fixnum(t.tv_sec * 1000000 + t.tv_nsec / 1000);
}

/* ---- the table ------------------------------------------------------------------------------------------------- */

#define ANY SIZE_MAX
static const struct primitive table[] = {
  {"cons", p_cons, 2, 2, OP_CONS, 2}, {"car", p_car, 1, 1, OP_CAR, 1}, {"cdr", p_cdr, 1, 1, OP_CDR, 1},
  {"set-car!", p_set_car, 2, 2, 0, 0}, {"set-cdr!", p_set_cdr, 2, 2, 0, 0}, {"eq?", p_eq, 2, 2, OP_EQ, 2},
  {"equal?", p_equal, 2, 2, 0, 0}, {"null?", p_is_null, 1, 1, OP_NULL, 1}, {"not", p_not, 1, 1, OP_NOT, 1},
  {"reverse", p_reverse, 1, 1, 0, 0}, {"length", p_length, 1, 1, 0, 0}, {"type-of", p_type_of, 1, 1, 0, 0},
  {"symbol->string", p_symbol_to_string, 1, 1, 0, 0}, {"string->symbol", p_string_to_symbol, 1, 1, 0, 0},
  {"gensym", p_gensym, 0, 0, 0, 0}, {"%macro!", p_make_macro, 2, 2, 0, 0}, {"%apply", p_apply, 2, 2, 0, 0},
  {"eval", p_eval, 1, 1, 0, 0}, {"+", p_add, 0, ANY, OP_ADD, 2}, {"*", p_multiply, 0, ANY, 0, 0},
  {"-", p_subtract, 1, ANY, OP_SUBTRACT, 2}, {"<", p_less, 1, ANY, OP_LESS, 2}, {">", p_greater, 1, ANY, OP_GREATER, 2},
  {"=", p_equals, 1, ANY, OP_EQUALS, 2}, {"quotient", p_quotient, 2, 2, 0, 0}, {"remainder", p_remainder, 2, 2, 0, 0},
  {"make-string", p_make_string, 1, 2, 0, 0}, {"string-append", p_string_append, 0, ANY, 0, 0},
  {"substring", p_substring, 2, 3, 0, 0}, {"string-length", p_string_length, 1, 1, 0, 0},
  {"string-ref", p_string_ref, 2, 2, 0, 0}, {"string-set!", p_string_set, 3, 3, 0, 0},
  {"string<?", p_string_less, 2, 2, 0, 0}, {"string->number", p_string_to_number, 1, 1, 0, 0},
  {"char->integer", p_char_to_integer, 1, 1, 0, 0}, {"integer->char", p_integer_to_char, 1, 1, 0, 0},
  {"make-vector", p_make_vector, 1, 2, 0, 0}, {"list->vector", p_list_to_vector, 1, 1, 0, 0},
  {"vector-length", p_vector_length, 1, 1, 0, 0}, {"vector-ref", p_vector_ref, 2, 2, OP_VECTOR_REF, 2},
  {"vector-set!", p_vector_set, 3, 3, 0, 0}, {"make-eq-table", p_eq_table, 0, 0, 0, 0},
  {"make-equal-table", p_equal_table, 0, 0, 0, 0}, {"make-weak-table", p_weak_table, 0, 0, 0, 0},
  {"table-ref", p_table_ref, 2, 3, 0, 0}, {"table-set!", p_table_set, 3, 3, 0, 0},
  {"table-delete!", p_table_delete, 2, 2, 0, 0}, {"table->list", p_table_to_list, 1, 1, 0, 0},
  {"weak-box", p_weak_box, 1, 1, 0, 0}, {"weak-box-value", p_weak_value, 1, 1, 0, 0},
  {"identity-hash", p_identity_hash, 1, 1, 0, 0}, {"finalize", p_finalize, 2, 2, 0, 0}, {"gc", p_gc, 0, 0, 0, 0},
  {"gc-stats", p_gc_stats, 0, 0, 0, 0}, {"raise", p_raise, 1, 1, 0, 0}, {"make-error", p_make_error, 2, 2, 0, 0},
  {"error-message", p_error_message, 1, 1, 0, 0}, {"error-irritants", p_error_irritants, 1, 1, 0, 0},
  {"exit", p_exit, 0, 1, 0, 0}, {"display", p_display, 1, 1, 0, 0}, {"write", p_write, 1, 1, 0, 0},
  {"display->string", p_display_string, 1, 1, 0, 0}, {"write->string", p_write_string, 1, 1, 0, 0},
  {"error->string", p_error_string, 1, 1, 0, 0}, {"read", p_read, 0, 0, 0, 0}, {"read-line", p_read_line, 0, 0, 0, 0},
  {"read-from-string", p_read_from_string, 1, 1, 0, 0}, {"load", p_load, 1, 1, 0, 0}, {"clock", p_clock, 0, 0, 0, 0},
};

bool primitives(struct lisp *l) {
  VARVE_FRAME(f, l->me, symbol);
  for (size_t i = 0; i < sizeof table / sizeof *table; ++i) {
    if (!(f.symbol = intern(l, table[i].name, strlen(table[i].name)))) return false;
    struct primitive_object *p = allocate(l, PRIMITIVE, sizeof *p);
    if (!p) return false;
    p->is = &table[i]; /* host memory: the collector has nothing to do with it */
    l->quick[table[i].op] = &table[i];
    if (!define_global(l, f.symbol, varve_tag(p, TAG_OBJECT))) return false;
  }
  return true;
}
