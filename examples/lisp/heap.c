/* SPDX-License-Identifier: MIT */
/* heap.c -- layouts, roots, allocation and errors; see lisp.h for the rules. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lisp.h"

/* Layouts: where the references of each type are. */
#define AT(type, field) (uint32_t) offsetof(struct type, field)
#define OFFSETS(...) \
  .kind = VARVE_LAYOUT_OFFSETS, .offsets = (const uint32_t[]){__VA_ARGS__}, \
  .offset_count = sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)

/* Immutable ones have all slots set before the next safepoint and never again: the collector need not watch them. */
static const varve_layout_desc descriptions[TYPE_COUNT] = {
  [PAIR] = {.name = "pair", OFFSETS(AT(pair, car), AT(pair, cdr))},
  [SYMBOL] = {.name = "symbol", OFFSETS(AT(symbol, name), AT(symbol, value))},
  [CLOSURE] = {.name = "closure", .immutable = true, OFFSETS(AT(closure, code), AT(closure, environment))},
  [CONDITION] = {.name = "condition", .immutable = true, OFFSETS(AT(condition, message), AT(condition, irritants))},
  [STRING] = {.name = "string", .kind = VARVE_LAYOUT_DATA},
  [VECTOR] = {.name = "vector", .kind = VARVE_LAYOUT_REF_ARRAY, .first = AT(vector, item)},
  [ENVIRONMENT] = {.name = "environment", .kind = VARVE_LAYOUT_REF_ARRAY, .first = AT(environment, outer)},
  [CODE] = {.name = "code", .kind = VARVE_LAYOUT_REF_ARRAY, .first = AT(code, name)},
  [TABLE] = {.name = "table", OFFSETS(AT(table, entries))},
  [ENTRIES] = {.name = "entries", .kind = VARVE_LAYOUT_REF_ARRAY, .first = AT(entries, entry)},
  [WEAK_ENTRIES] = {.name = "weak entries", .kind = VARVE_LAYOUT_EPHEMERONS, .first = AT(entries, entry),
                    .weak = {.cleared = DEAD}},
  /* A weak box is empty as soon as nobody can reach its target, even if a finalizer brings the target back. */
  [WEAK_BOX] = {.name = "weak box", .kind = VARVE_LAYOUT_WEAK, .first = AT(weak_box, target),
                .weak = {.when = VARVE_WEAK_BEFORE, .cleared = DEAD}},
};

/* A root callback: the machine's stack is host memory that is written without any ceremony, and a collection visits the
 * part in use. It runs on a thread of the collector while this one stands still, so it may read sp. */
static void visit_stack(void *context, size_t part, varve_visitor *visitor) {
  struct lisp *l = context;
  (void)part;
  varve_visit_range(visitor, l->stack, (size_t)(l->sp - l->stack));
}

static varve_status set_up(struct lisp *l, varve_error *error) {
  varve_options options;
  varve_options_init(&options);
  options.slot_tags = SLOT_TAGS;
  varve_status status = varve_heap_create(&options, &l->heap, error); /* VARVE_OPTIONS has the last word */
  for (int i = 0; !status && i < TYPE_COUNT; ++i)
    status = varve_layout_register(l->heap, &descriptions[i], &l->layout[i], error);
  if (!status) status = varve_root_slots_add(l->heap, "interpreter", l->root, ROOT_COUNT, error);
  if (!status) status = varve_root_callback_add(l->heap, "stack", visit_stack, l, 1, error);
  return status ? status : varve_attach(l->heap, "lisp", &l->me, error);
}

static bool first_objects(struct lisp *l) {
  l->root[ROOT_GLOBALS] = NIL;
  fail(l, 0, "out of memory");
  l->root[ROOT_OUT_OF_MEMORY] = l->root[ROOT_ERROR], l->root[ROOT_ERROR] = 0;
  l->root[ROOT_SYMBOLS] = l->root[ROOT_OUT_OF_MEMORY] ? table_new(l, true, true) : 0;
  return l->root[ROOT_SYMBOLS] && special_forms(l) && primitives(l);
}

bool lisp_open(struct lisp *l) {
  varve_error error = {0};
  *l = (struct lisp){0};
  l->stack = l->sp = malloc(STACK_WORDS * sizeof *l->stack); /* the system gives what is touched */
  l->control = malloc(STACK_WORDS * sizeof *l->control);
  if (!l->stack || !l->control) return fputs("lisp: no memory\n", stderr), false;
  varve_status status = set_up(l, &error);
  if (status) return fprintf(stderr, "lisp: %s: %s\n", varve_status_sentence(status), error.detail), false;
  return first_objects(l) || (fputs("lisp: the heap is too small to start\n", stderr), false);
}

void lisp_close(struct lisp *l) {
  if (l->me) varve_detach(l->me); /* first the mutator, then the heap */
  if (l->heap) varve_heap_destroy(l->heap);
  free(l->stack), free(l->control);
}

void *allocate(struct lisp *l, enum type type, size_t bytes) {
  void *object = varve_alloc(l->me, l->layout[type], bytes);
  if (VARVE_UNLIKELY(!object)) out_of_memory(l);
  return object;
}

/* The pattern of all constructors: arguments into a frame, allocate, initialise from the frame. */
varve_word object_new(struct lisp *l, enum type type, size_t bytes, varve_word first, varve_word second) {
  VARVE_FRAME(f, l->me, first, second);
  f.first = first, f.second = second;
  varve_object *object = allocate(l, type, bytes); /* a safepoint: `first` is void from here */
  if (!object) return 0;
  varve_word *slot = (varve_word *)(object + 1);
  varve_init(l->me, object, &slot[0], f.first);
  varve_init(l->me, object, &slot[1], f.second);
  return varve_tag(object, type == PAIR ? TAG_PAIR : TAG_OBJECT);
}

varve_word string_new(struct lisp *l, const char *host_bytes, size_t length) {
  struct string *s = varve_alloc_uninit(l->me, l->layout[STRING], sizeof *s + length + 1);
  if (!s) return out_of_memory(l);
  s->length = length;
  if (host_bytes) memcpy(s->byte, host_bytes, length);
  s->byte[length] = 0;
  return varve_tag(s, TAG_OBJECT);
}

varve_word vector_new(struct lisp *l, size_t length, varve_word fill) {
  VARVE_FRAME(f, l->me, fill);
  f.fill = fill;
  struct vector *v = varve_alloc_uninit(l->me, l->layout[VECTOR], sizeof *v + length * sizeof(varve_word));
  if (!v) return out_of_memory(l);
  for (size_t i = 0; i < length; ++i) varve_init(l->me, v, &v->item[i], f.fill);
  return varve_tag(v, TAG_OBJECT);
}

varve_word list_to_vector(struct lisp *l, varve_word list) {
  VARVE_FRAME(f, l->me, list);
  f.list = list;
  long length = list_length(list), i = 0;
  if (length < 0) return fail(l, list, "expected a list, got");
  varve_word vector = vector_new(l, (size_t)length, NIL);
  struct vector *v = AS(vector, vector);
  for (list = f.list; v && is_pair(list); list = cdr(list)) varve_init(l->me, v, &v->item[i++], car(list));
  return vector;
}

long list_length(varve_word list) {
  long n = 0;
  for (; is_pair(list); list = cdr(list)) ++n;
  return list == NIL ? n : -1;
}

varve_word fail(struct lisp *l, varve_word irritant, const char *format, ...) {
  char text[256];
  va_list arguments;
  int at = l->who ? snprintf(text, sizeof text, "%s: ", l->who) : 0;
  va_start(arguments, format);
  vsnprintf(text + at, sizeof text - (size_t)at, format, arguments);
  va_end(arguments);
  VARVE_FRAME(f, l->me, irritants);
  f.irritants = irritant ? cons(l, irritant, NIL) : NIL;
  varve_word message = f.irritants ? string_new(l, text, strlen(text)) : 0;
  varve_word error = message ? object_new(l, CONDITION, sizeof(struct condition), message, f.irritants) : 0;
  if (error) l->root[ROOT_ERROR] = error; /* a root outside the heap: a plain store */
  return 0;
}

/* The collector has done what it could, and says no. Everything is still there; when the machine has unwound to a
 * handler, what only the abandoned work referred to is garbage, and allocation works again. */
varve_word out_of_memory(struct lisp *l) {
  l->root[ROOT_ERROR] = l->root[ROOT_OUT_OF_MEMORY];
  return 0;
}

bool deeper(struct lisp *l) {
  bool good = l->depth < DEPTH_MAX || fail(l, 0, "nested too deeply");
  l->depth += good;
  return good;
}
