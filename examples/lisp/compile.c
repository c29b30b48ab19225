/* SPDX-License-Identifier: MIT */
/* compile.c -- from data to code for the machine, in one pass: macros are called, names become places.
 *
 * A scope is a list of parameter lists, the innermost first: the shape of the environments when the code will run.
 * Operations are gathered in host memory; forms, scopes and constants are in frames of the C functions that are active.
 * `struct program` has a pointer to such a slot and no word of its own: the collector would not know of it.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lisp.h"

struct program { /* the body of a lambda that is being compiled */
  varve_word *constants; /* a list, the newest first */
  uint32_t *ops;
  uint32_t count, capacity, constant_count, depth, deepest, required, rest; /* the last two: parameters */
};

static bool expression(struct lisp *l, struct program *p, varve_word form, varve_word scope, bool tail);

/* Append an operation that changes the height of the stack. Returns its place. */
static uint32_t op(struct program *p, enum op op, uint32_t argument, int change) {
  if (p->count == p->capacity) {
    p->capacity = p->capacity ? 2 * p->capacity : 64;
    if (!(p->ops = realloc(p->ops, p->capacity * sizeof *p->ops))) abort();
  }
  p->ops[p->count] = (uint32_t)op | argument << 8;
  p->depth += (uint32_t)change;
  if (p->depth > p->deepest) p->deepest = p->depth;
  return p->count++;
}

static bool with_constant(struct lisp *l, struct program *p, enum op which, varve_word constant, int change) {
  varve_word constants = cons(l, constant, *p->constants);
  if (constants) *p->constants = constants, op(p, which, p->constant_count++, change);
  return constants != 0;
}

static void land(struct program *p, uint32_t jump) { p->ops[jump] = (p->ops[jump] & 0xff) | p->count << 8; }

static bool done(struct program *p, bool tail) { return (tail ? op(p, OP_RETURN, 0, 0) : 0), true; }

/* The place of a lexical variable, see OUTER; -1: it is global. */
static int place(varve_word name, varve_word scope) {
  for (int levels = 0; is_pair(scope); scope = cdr(scope), ++levels) {
    int index = 0;
    varve_word w = car(scope);
    for (; is_pair(w) && car(w) != name; w = cdr(w)) ++index;
    if (is_pair(w) || w == name) return (int)OUTER(levels, index);
  }
  return -1;
}

/* What the head of a form means in this scope; ROLE_VARIABLE too for what is not a form. */
static uint64_t role(struct lisp *l, varve_word form, varve_word scope) {
  bool global = is_pair(form) && is(l, car(form), SYMBOL) && place(car(form), scope) < 0;
  return global ? AS(symbol, car(form))->role : ROLE_VARIABLE;
}

static varve_word expand(struct lisp *l, varve_word form, varve_word scope) {
  VARVE_FRAME(f, l->me, form, scope);
  f.form = form, f.scope = scope;
  while (role(l, f.form, f.scope) == ROLE_MACRO)
    if (!(f.form = machine_call(l, AS(symbol, car(f.form))->value, cdr(f.form)))) return 0;
  return f.form;
}

static bool sequence(struct lisp *l, struct program *p, varve_word forms, varve_word scope, bool tail) {
  VARVE_FRAME(f, l->me, forms, scope);
  f.forms = forms, f.scope = scope;
  if (forms == NIL) return with_constant(l, p, OP_CONSTANT, UNSPECIFIED, 1) && done(p, tail);
  for (; is_pair(f.forms); f.forms = cdr(f.forms)) {
    bool last = cdr(f.forms) == NIL;
    if (!expression(l, p, car(f.forms), f.scope, last && tail)) return false;
    if (!last) op(p, OP_POP, 0, -1);
  }
  return true;
}

static varve_word code_new(struct lisp *l, const struct program *p) {
  VARVE_FRAME(f, l->me, ops);
  uint32_t constants = p->constant_count;
  if (!(f.ops = string_new(l, (const char *)p->ops, p->count * sizeof *p->ops))) return 0;
  struct code *c = allocate(l, CODE, sizeof *c + constants * sizeof(varve_word));
  if (!c) return 0;
  c->required = p->required, c->rest = p->rest, c->stack = p->deepest + 1;
  varve_init(l->me, c, &c->name, FALSE);
  varve_init(l->me, c, &c->ops, f.ops);
  for (varve_word w = *p->constants; is_pair(w); w = cdr(w)) varve_init(l->me, c, &c->constant[--constants], car(w));
  return varve_tag(c, TAG_OBJECT);
}

/* The code of a lambda; 0: an error was raised. */
static varve_word lambda(struct lisp *l, varve_word parameters, varve_word forms, varve_word scope) {
  VARVE_FRAME(f, l->me, forms, scope, constants, code);
  f.forms = forms, f.constants = NIL;
  struct program p = {.constants = &f.constants};
  varve_word w = parameters;
  for (; is_pair(w) && is(l, car(w), SYMBOL) && p.required < ITEMS_MAX; w = cdr(w)) ++p.required;
  p.rest = is(l, w, SYMBOL);
  if (!p.rest && w != NIL) return fail(l, w, "parameters must be symbols, and not too many:");
  if (!(f.scope = cons(l, parameters, scope))) return 0;
  if (sequence(l, &p, f.forms, f.scope, true)) f.code = code_new(l, &p);
  free(p.ops);
  return f.code;
}

/* Special forms: (keyword . x), where x has as many items as the table below allows. */
static bool compile_quote(struct lisp *l, struct program *p, varve_word x, varve_word scope, bool tail) {
  (void)scope;
  return with_constant(l, p, OP_CONSTANT, car(x), 1) && done(p, tail);
}

static bool compile_if(struct lisp *l, struct program *p, varve_word x, varve_word scope, bool tail) {
  VARVE_FRAME(f, l->me, x, scope);
  f.x = x, f.scope = scope;
  if (!expression(l, p, car(f.x), f.scope, false)) return false;
  uint32_t otherwise = op(p, OP_JUMP_FALSE, 0, -1);
  if (!expression(l, p, car(cdr(f.x)), f.scope, tail)) return false;
  uint32_t end = op(p, OP_JUMP, 0, -1);
  land(p, otherwise);
  if (!sequence(l, p, cdr(cdr(f.x)), f.scope, tail)) return false;
  return land(p, end), true;
}

static bool compile_lambda(struct lisp *l, struct program *p, varve_word x, varve_word scope, bool tail) {
  varve_word code = lambda(l, car(x), cdr(x), scope);
  return code && with_constant(l, p, OP_CLOSURE, code, 1) && done(p, tail);
}

static bool compile_set(struct lisp *l, struct program *p, varve_word x, varve_word scope, bool tail) {
  VARVE_FRAME(f, l->me, name);
  f.name = car(x);
  int at = place(f.name, scope);
  if (!is(l, f.name, SYMBOL)) return fail(l, f.name, "a variable's name must be a symbol, not");
  if (!expression(l, p, car(cdr(x)), scope, false)) return false;
  if (at >= 0) op(p, OP_SET_LOCAL, (uint32_t)at, 0);
  return (at >= 0 || with_constant(l, p, OP_SET_GLOBAL, f.name, 0)) && done(p, tail);
}

static const struct {
  const char *name;
  bool (*compile)(struct lisp *l, struct program *p, varve_word x, varve_word scope, bool tail);
  long least, most;
} specials[] = {
  {"%lambda", compile_lambda, 2, LONG_MAX}, {"set!", compile_set, 2, 2}, {"quote", compile_quote, 1, 1},
  {"if", compile_if, 2, 3}, {"begin", sequence, 0, LONG_MAX},
};

bool special_forms(struct lisp *l) {
  for (size_t i = 0; i < sizeof specials / sizeof *specials; ++i) {
    varve_word symbol = intern(l, string_new(l, specials[i].name, strlen(specials[i].name)));
    if (!symbol || !define_global(l, symbol, UNSPECIFIED, ROLE_SPECIAL + i)) return false;
  }
  return true;
}

static bool variable(struct lisp *l, struct program *p, varve_word name, varve_word scope) {
  int at = place(name, scope);
  if (at >= 0) return op(p, OP_LOCAL, (uint32_t)at, 1), true;
  if (AS(symbol, name)->role != ROLE_VARIABLE) return fail(l, name, "not a variable, but syntax:");
  return with_constant(l, p, OP_GLOBAL, name, 1);
}

static bool call(struct lisp *l, struct program *p, varve_word form, varve_word scope, bool tail) {
  long count = list_length(form) - 1;
  VARVE_FRAME(f, l->me, list, scope);
  for (f.list = form, f.scope = scope; is_pair(f.list); f.list = cdr(f.list))
    if (!expression(l, p, car(f.list), f.scope, false)) return false;
  return op(p, tail ? OP_TAIL_CALL : OP_CALL, (uint32_t)count, (int)-count), true;
}

static bool expanded(struct lisp *l, struct program *p, varve_word form, varve_word scope, bool tail) {
  if (is(l, form, SYMBOL)) return variable(l, p, form, scope) && done(p, tail);
  if (!is_pair(form)) return with_constant(l, p, OP_CONSTANT, form, 1) && done(p, tail);
  long length = list_length(form) - 1;
  uint64_t which = role(l, form, scope);
  if (length < 0) return fail(l, form, "bad syntax:");
  if (which < ROLE_SPECIAL) return call(l, p, form, scope, tail);
  which -= ROLE_SPECIAL;
  if (length < specials[which].least || length > specials[which].most) return fail(l, form, "bad syntax:");
  return specials[which].compile(l, p, cdr(form), scope, tail);
}

static bool expression(struct lisp *l, struct program *p, varve_word form, varve_word scope, bool tail) {
  VARVE_FRAME(f, l->me, scope);
  f.scope = scope;
  if (!deeper(l)) return false;
  varve_word result = expand(l, form, scope);
  bool good = result && expanded(l, p, result, f.scope, tail);
  --l->depth;
  return good;
}

/* A program is the body of a lambda; its empty environment is where the chain of environments ends. */
varve_word compile(struct lisp *l, varve_word form) {
  varve_word forms = cons(l, form, NIL); /* straight into the next call, which roots it: no frame is needed */
  varve_word code = forms ? lambda(l, NIL, forms, NIL) : 0;
  return code ? object_new(l, CLOSURE, sizeof(struct closure), code, NIL) : 0;
}
