/* SPDX-License-Identifier: MIT */
/* primitives.c -- procedures written in C; the table at the end says what arguments each of them takes.
 *
 * Arguments are slots of the machine's stack: rooted, and corrected when objects move. So a[0] may be read after a
 * safepoint, and an address that was read out of it before may not be used.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>

#include "lisp.h"

#define FUNCTION(name) static varve_word name(struct lisp *l, varve_word *a, size_t n)
#define SIMPLE(name, ...) FUNCTION(name) { return (void)l, (void)a, (void)n, __VA_ARGS__; }

static char *bytes(varve_word string) { return AS(string, string)->byte; }
static size_t length_of(varve_word string) { return AS(string, string)->length; }

/* What arguments there may be: a letter each; | before optional ones, * after one that may come again. */
static const char *mismatch(struct lisp *l, char kind, varve_word w) {
  switch (kind) {
    case 'p': return is_pair(w) ? NULL : "a pair";
    case 'l': return list_length(w) >= 0 ? NULL : "a list";
    case 'y': return is(l, w, SYMBOL) ? NULL : "a symbol";
    case 's': return is(l, w, STRING) ? NULL : "a string";
    case 'v': return is(l, w, VECTOR) ? NULL : "a vector";
    case 't': return is(l, w, TABLE) ? NULL : "a table";
    case 'w': return is(l, w, WEAK_BOX) ? NULL : "a weak box";
    case 'e': return is(l, w, CONDITION) ? NULL : "an error";
    case 'c': return is_character(w) ? NULL : "a character";
    case 'n': return is_fixnum(w) ? NULL : "a fixnum";
    case 'i': return is_fixnum(w) && fixnum_value(w) >= 0 ? NULL : "an index";
    case 'o': return is_reference(w) ? NULL : "an object";
    default: return NULL;
  }
}

/* Pairs, symbols, procedures. */
SIMPLE(p_cons, cons(l, a[0], a[1]))
SIMPLE(p_car, car(a[0]))
SIMPLE(p_cdr, cdr(a[0]))
SIMPLE(p_set_car, varve_store(l->me, pair(a[0]), &pair(a[0])->car, a[1]), UNSPECIFIED)
SIMPLE(p_set_cdr, varve_store(l->me, pair(a[0]), &pair(a[0])->cdr, a[1]), UNSPECIFIED)
SIMPLE(p_eq, boolean(a[0] == a[1]))
SIMPLE(p_equal, boolean(is_equal(l, a[0], a[1])))
SIMPLE(p_is_null, boolean(a[0] == NIL))
SIMPLE(p_is_pair, boolean(is_pair(a[0])))
SIMPLE(p_length, fixnum(list_length(a[0])))
SIMPLE(p_define, define_global(l, a[0], a[1], ROLE_VARIABLE) ? a[0] : 0)
SIMPLE(p_define_macro, define_global(l, a[0], a[1], ROLE_MACRO) ? a[0] : 0)
SIMPLE(p_apply, machine_tail_call(l, a, a[0], a[1]))

FUNCTION(p_eval) {
  l->who = NULL; /* what is wrong with the form is not eval's matter */
  varve_word procedure = compile(l, a[0]);
  return (void)n, procedure ? machine_tail_call(l, a, procedure, NIL) : 0;
}

/* What is raised unwinds the machine up to here, and C with it: each frame is left in order. */
FUNCTION(p_try) {
  l->who = NULL;
  varve_word result = machine_call(l, a[1], NIL), error = l->root[ROOT_ERROR];
  if (result || l->exiting) return result;
  l->root[ROOT_ERROR] = 0;
  return (void)n, (error = cons(l, error, NIL)) ? machine_tail_call(l, a, a[0], error) : 0;
}

FUNCTION(p_type_of) {
  const char *name = is_fixnum(a[0])                     ? "fixnum"
                     : is_character(a[0])                ? "character"
                     : is_primitive(a[0])                ? "primitive"
                     : !is_reference(a[0])               ? "constant"
                     : varve_layout_name(l->heap, varve_object_layout(varve_untag(a[0])));
  return (void)n, intern(l, string_new(l, name, strlen(name)));
}

/* Numbers: fixnums of 61 bits; what does not fit raises an error. */
static varve_word in_range(struct lisp *l, bool overflow, int64_t n) {
  return overflow || n > FIXNUM_MAX || n < FIXNUM_MIN ? fail(l, 0, "integer overflow") : fixnum(n);
}

#define FOLD(name, first, start, builtin)                                                        \
  FUNCTION(name) {                                                                               \
    int64_t result = first;                                                                      \
    bool overflow = false;                                                                       \
    for (size_t i = start; i < n; ++i) overflow |= builtin(result, fixnum_value(a[i]), &result); \
    return in_range(l, overflow, result);                                                        \
  }
FOLD(p_add, 0, 0, __builtin_add_overflow)
FOLD(p_multiply, 1, 0, __builtin_mul_overflow)
FOLD(p_subtract, n > 1 ? fixnum_value(a[0]) : 0, n > 1, __builtin_sub_overflow)

SIMPLE(p_less, boolean((int64_t)a[0] < (int64_t)a[1]))
SIMPLE(p_greater, boolean((int64_t)a[0] > (int64_t)a[1]))
SIMPLE(p_equals, boolean(a[0] == a[1]))

#define DIVIDE(x, operator) a[1] == fixnum(0) ? fail(l, a[0], "division by zero:") \
                                              : in_range(l, false, fixnum_value(a[0]) operator fixnum_value(a[1]))
SIMPLE(p_quotient, DIVIDE(x, /))
SIMPLE(p_remainder, DIVIDE(x, %))

/* Strings, characters, vectors. */
static bool in_bounds(struct lisp *l, varve_word index, size_t end) {
  return (uint64_t)fixnum_value(index) < end || fail(l, index, "an index is out of range:");
}

FUNCTION(p_make_string) {
  varve_word s = string_new(l, NULL, (size_t)fixnum_value(a[0]));
  if (s) memset(bytes(s), n < 2 ? ' ' : character_value(a[1]), length_of(s));
  return s;
}

FUNCTION(p_string_append) {
  size_t length = 0, at = 0;
  for (size_t i = 0; i < n; ++i) length += length_of(a[i]);
  varve_word s = string_new(l, NULL, length); /* first the safepoint, then the addresses */
  for (size_t i = 0; s && i < n; at += length_of(a[i++])) memcpy(bytes(s) + at, bytes(a[i]), length_of(a[i]));
  return s;
}

FUNCTION(p_substring) {
  size_t end = n > 2 ? (size_t)fixnum_value(a[2]) : length_of(a[0]), start = (size_t)fixnum_value(a[1]);
  if (!in_bounds(l, fixnum((int64_t)end), length_of(a[0]) + 1) || !in_bounds(l, a[1], end + 1)) return 0;
  varve_word s = string_new(l, NULL, end - start);
  if (s) memcpy(bytes(s), bytes(a[0]) + start, end - start);
  return s;
}

/* A symbol's name is a copy that nobody can write to. That of (%symbol ...) is in no table: no reader can find it. */
SIMPLE(p_string_to_symbol, intern(l, p_string_append(l, a, 1)))
SIMPLE(p_symbol, object_new(l, SYMBOL, sizeof(struct symbol), a[0], UNBOUND))

#define BYTE(string, index) bytes(string)[fixnum_value(index)]
#define ITEM(vector_, index) AS(vector, vector_)->item[fixnum_value(index)]
SIMPLE(p_string_length, fixnum((int64_t)length_of(a[0])))
SIMPLE(p_string_ref, in_bounds(l, a[1], length_of(a[0])) ? CHARACTER((unsigned char)BYTE(a[0], a[1])) : 0)
SIMPLE(p_string_set, in_bounds(l, a[1], length_of(a[0]))
                       ? BYTE(a[0], a[1]) = (char)character_value(a[2]), UNSPECIFIED : 0)
SIMPLE(p_char_to_integer, fixnum(character_value(a[0])))
SIMPLE(p_integer_to_char, in_bounds(l, a[0], 256) ? CHARACTER((unsigned char)fixnum_value(a[0])) : 0)
SIMPLE(p_make_vector, vector_new(l, (size_t)fixnum_value(a[0]), n > 1 ? a[1] : UNSPECIFIED))
SIMPLE(p_list_to_vector, list_to_vector(l, a[0]))
SIMPLE(p_vector_length, fixnum((int64_t)vector_length(a[0])))
SIMPLE(p_vector_ref, in_bounds(l, a[1], vector_length(a[0])) ? ITEM(a[0], a[1]) : 0)
SIMPLE(p_vector_set, in_bounds(l, a[1], vector_length(a[0]))
                       ? varve_store(l->me, AS(vector, a[0]), &ITEM(a[0], a[1]), a[2]), UNSPECIFIED : 0)

/* Tables, weakness, finalizers. */
SIMPLE(p_make_table, table_new(l, a[0] != FALSE, a[1] != FALSE))
SIMPLE(p_table_set, table_put(l, a[0], a[1], a[2]) ? UNSPECIFIED : 0)
SIMPLE(p_table_delete, boolean(table_delete(l, a[0], a[1])))
SIMPLE(p_table_to_list, table_to_list(l, a[0]))
FUNCTION(p_table_ref) {
  varve_word value = table_get(l, a[0], a[1]);
  return value ? value : l->root[ROOT_ERROR] ? 0 : n > 2 ? a[2] : FALSE;
}

/* A weak slot is stored as any other. It holds an immediate for ever, and an object until that is dead. */
FUNCTION(p_weak_box) {
  struct weak_box *w = allocate(l, WEAK_BOX, sizeof *w);
  if (!w) return 0;
  varve_init(l->me, w, &w->target, a[0]);
  return (void)n, varve_tag(w, TAG_OBJECT);
}
SIMPLE(p_weak_value, AS(weak_box, a[0])->target == DEAD ? FALSE : AS(weak_box, a[0])->target)

/* Called between two evaluations, by varve_finalizers_run: never in a collection, so it may do what it likes. */
static void finalize(varve_mutator *me, varve_object *object, void *context) {
  struct lisp *l = context;
  varve_word w = varve_tag(object, varve_object_layout(object) == l->layout[PAIR] ? TAG_PAIR : TAG_OBJECT);
  (void)me, w = cons(l, w, NIL);
  if ((w && machine_call(l, l->root[ROOT_FINALIZER], w)) || l->exiting) return;
  fputs("in a finalizer: ", stderr), report(l);
}

/* (%finalize object run): `run` is the same each time. It finds what is to be done in a weak table of the prelude. */
FUNCTION(p_finalize) {
  l->root[ROOT_FINALIZER] = a[1];
  return (void)n, varve_finalizer_attach(l->me, varve_untag(a[0]), 0, finalize, l) ? UNSPECIFIED : out_of_memory(l);
}

/* The collector, errors. */
SIMPLE(p_gc, varve_collect(l->me), UNSPECIFIED)

FUNCTION(p_gc_stats) { /* the figures, for the prelude to put names to them */
  varve_heap_stats s;
  varve_heap_stats_get(l->heap, &s);
  const uint64_t figures[] = {s.collections, s.bytes_in_use, s.bytes_moved, s.pause_ns_max};
  varve_word list = NIL;
  for (size_t i = sizeof figures / sizeof *figures; list && i--;) list = cons(l, fixnum((int64_t)figures[i]), list);
  return (void)a, (void)n, list;
}

SIMPLE(p_make_error, object_new(l, CONDITION, sizeof(struct condition), a[0], a[1]))
SIMPLE(p_raise, l->root[ROOT_ERROR] = a[0], 0)
SIMPLE(p_error_message, AS(condition, a[0])->message)
SIMPLE(p_error_irritants, AS(condition, a[0])->irritants)
SIMPLE(p_exit, l->exiting = true, l->status = n ? (int)fixnum_value(a[0]) : 0, 0)

/* Text. Writing may block, so it is done in native state; and the string is pinned, so its bytes stay where they are
 * while other threads collect. Without a pin they would have to be copied out first. */
FUNCTION(p_print) {
  VARVE_PINNED(held, l->me, a[0]);
  const struct string *s = AS(string, held.slot);
  varve_native_enter(l->me);
  fwrite(s->byte, 1, s->length, stdout);
  varve_native_leave(l->me);
  return (void)n, UNSPECIFIED;
}

FUNCTION(p_to_string) { /* as for people, or with a second argument as the reader wants it */
  char *text = NULL;
  size_t length = 0;
  FILE *out = open_memstream(&text, &length); /* host memory, since printing wants no address to move */
  if (!out) return out_of_memory(l);
  print(l, out, a[0], n > 1);
  fclose(out);
  varve_word s = string_new(l, text, length);
  free(text);
  return s;
}

FUNCTION(p_read_from_string) {
  struct source s = {.name = "string", .length = length_of(a[0]), .number = 1};
  if (!(s.line = malloc(s.length + 1))) return out_of_memory(l);
  memcpy(s.line, bytes(a[0]), s.length); /* reading allocates, so the text must not be in an object */
  varve_word w = read_datum(l, &s);
  free(s.line);
  return (void)n, w;
}
SIMPLE(p_load, load_file(l, bytes(a[0]), NULL) ? UNSPECIFIED : 0)

static const struct primitive {
  const char *name, *arguments;
  varve_word (*function)(struct lisp *l, varve_word *a, size_t n);
} table[] = {
  {"cons", "..", p_cons}, {"car", "p", p_car}, {"cdr", "p", p_cdr}, {"set-car!", "p.", p_set_car},
  {"set-cdr!", "p.", p_set_cdr}, {"eq?", "..", p_eq}, {"equal?", "..", p_equal}, {"null?", ".", p_is_null},
  {"pair?", ".", p_is_pair}, {"length", "l", p_length}, {"%symbol", "s", p_symbol}, {"type-of", ".", p_type_of},
  {"%define", "y.", p_define}, {"%macro", "y.", p_define_macro}, {"%apply", ".l", p_apply}, {"eval", ".", p_eval},
  {"%try", "..", p_try}, {"+", "n*", p_add}, {"-", "nn*", p_subtract}, {"*", "n*", p_multiply}, {"<", "nn", p_less},
  {">", "nn", p_greater}, {"=", "nn", p_equals}, {"quotient", "nn", p_quotient}, {"remainder", "nn", p_remainder},
  {"make-string", "i|c", p_make_string}, {"string-append", "s*", p_string_append}, {"substring", "si|i", p_substring},
  {"string->symbol", "s", p_string_to_symbol}, {"string-length", "s", p_string_length},
  {"string-ref", "si", p_string_ref}, {"string-set!", "sic", p_string_set}, {"char->integer", "c", p_char_to_integer},
  {"integer->char", "i", p_integer_to_char}, {"make-vector", "i|.", p_make_vector},
  {"list->vector", "l", p_list_to_vector}, {"vector-length", "v", p_vector_length},
  {"vector-ref", "vi", p_vector_ref}, {"vector-set!", "vi.", p_vector_set}, {"%make-table", "..", p_make_table},
  {"table-ref", "t.|.", p_table_ref}, {"table-set!", "t..", p_table_set}, {"table-delete!", "t.", p_table_delete},
  {"table->list", "t", p_table_to_list}, {"weak-box", ".", p_weak_box}, {"weak-box-value", "w", p_weak_value},
  {"%finalize", "o.", p_finalize}, {"gc", "", p_gc}, {"%gc-stats", "", p_gc_stats},
  {"%make-error", "sl", p_make_error}, {"error-message", "e", p_error_message},
  {"error-irritants", "e", p_error_irritants}, {"raise", ".", p_raise}, {"exit", "|n", p_exit},
  {"%print", "s", p_print}, {"->string", ".|.", p_to_string}, {"read-from-string", "s", p_read_from_string},
  {"load", "s", p_load},
};

varve_word call_primitive(struct lisp *l, varve_word primitive, size_t count) {
  const struct primitive *is = &table[primitive >> 8];
  varve_word *a = l->sp - count;
  const char *kind = is->arguments, *wanted;
  l->who = is->name;
  for (size_t i = 0; i < count; ++i) {
    kind += *kind == '|';
    if (!*kind) return fail(l, 0, "too many arguments: %zu", count);
    if ((wanted = mismatch(l, *kind, a[i]))) return fail(l, a[i], "expected %s, got", wanted);
    kind += kind[1] == '*' ? 0 : 1;
  }
  if (*kind && *kind != '|' && kind[1] != '*') return fail(l, 0, "too few arguments: %zu", count);
  varve_word result = is->function(l, a, count);
  l->who = NULL;
  return result;
}

const char *primitive_name(varve_word primitive) { return table[primitive >> 8].name; }

bool primitives(struct lisp *l) {
  for (size_t i = 0; i < sizeof table / sizeof *table; ++i) {
    varve_word symbol = intern(l, string_new(l, table[i].name, strlen(table[i].name)));
    if (!symbol || !define_global(l, symbol, PRIMITIVE(i), ROLE_VARIABLE)) return false;
  }
  return true;
}
