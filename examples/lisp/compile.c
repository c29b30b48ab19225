/* SPDX-License-Identifier: MIT */
/* compile.c -- from data to code for the machine, in one pass: macros are called, names become places.
 *
 * A scope is a list of lists of names, the innermost first: the shape of the environments when the code will run.
 * Operations are gathered in host memory; forms, scopes and constants are in frames of the C functions that are active.
 * `struct program` has a pointer to such a slot and no word of its own: the collector would not know of it.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lisp.h"
#include "op.h"

struct program { /* the body of a lambda that is being compiled */
  varve_word *constants; /* a list, the newest first */
  uint32_t *ops;
  uint32_t count, capacity, depth, deepest;
};

static bool expression(struct lisp *l, struct program *p, varve_word form, varve_word scope, bool tail);
static bool body(struct lisp *l, struct program *p, varve_word forms, varve_word scope, bool tail);
static bool sequence(struct lisp *l, struct program *p, varve_word forms, varve_word scope, bool tail);

/* ---- operations ------------------------------------------------------------------------------------------------ */

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
  long after = 0, length = list_length(*p->constants);
  varve_word w = *p->constants;
  for (; is_pair(w) && car(w) != constant; w = cdr(w)) ++after;
  if (w == NIL) {
    if (!(w = cons(l, constant, *p->constants))) return false;
    *p->constants = w, after = 0, ++length;
  }
  return op(p, which, (uint32_t)(length - 1 - after), change), true;
}

static void land(struct program *p, uint32_t jump) { p->ops[jump] = (p->ops[jump] & 0xff) | p->count << 8; }

static bool done(struct program *p, bool tail) { return (tail ? op(p, OP_RETURN, 0, 0) : 0), true; }

/* ---- names ----------------------------------------------------------------------------------------------------- */

/* The place of a lexical variable, see OUTER; -1: it is global. */
static int place(varve_word name, varve_word scope) {
  for (int levels = 0; is_pair(scope); scope = cdr(scope), ++levels) {
    int index = 0;
    for (varve_word w = car(scope); is_pair(w); w = cdr(w), ++index)
      if (car(w) == name) return (int)OUTER(levels, index);
  }
  return -1;
}

/* A scope with one more level, of names that have been checked. 0: an error was raised. */
static varve_word inner(struct lisp *l, varve_word names, varve_word scope) {
  long count = list_length(names), levels = list_length(scope);
  if (count < 0 || count > ITEMS_MAX || levels >= LEVELS_MAX) return fail(l, 0, "too many variables");
  for (varve_word w = names; is_pair(w); w = cdr(w))
    if (!is(l, car(w), SYMBOL)) return fail(l, car(w), "a variable's name must be a symbol, not");
  return cons(l, names, scope);
}

static bool is_syntax(struct lisp *l, varve_word form, varve_word scope, uint32_t least) {
  return is_pair(form) && is(l, car(form), SYMBOL) && AS(symbol, car(form))->role >= least &&
         place(car(form), scope) < 0;
}

static varve_word expand(struct lisp *l, varve_word form, varve_word scope) {
  VARVE_FRAME(f, l->me, form, scope);
  f.form = form, f.scope = scope;
  while (is_syntax(l, f.form, f.scope, ROLE_MACRO) && AS(symbol, car(f.form))->role == ROLE_MACRO)
    if (!(f.form = machine_call(l, AS(symbol, car(f.form))->value, cdr(f.form)))) return 0;
  return f.form;
}

/* ---- procedures ------------------------------------------------------------------------------------------------ */

static varve_word code_new(struct lisp *l, const struct program *p, varve_word name, uint32_t required, bool rest) {
  VARVE_FRAME(f, l->me, name, ops);
  f.name = name;
  long constants = list_length(*p->constants);
  if (!(f.ops = string_new(l, (const char *)p->ops, p->count * sizeof *p->ops))) return 0;
  struct code *c = allocate(l, CODE, sizeof *c + (size_t)constants * sizeof(varve_word));
  if (!c) return 0;
  c->required = required, c->rest = rest, c->stack = p->deepest + 1;
  varve_init(l->me, c, &c->name, f.name);
  varve_init(l->me, c, &c->ops, f.ops);
  for (varve_word w = *p->constants; is_pair(w); w = cdr(w)) varve_init(l->me, c, &c->constant[--constants], car(w));
  return varve_tag(c, TAG_OBJECT);
}

/* The code of a lambda; 0: an error was raised. */
static varve_word lambda(struct lisp *l, varve_word parameters, varve_word forms, varve_word scope, varve_word name) {
  VARVE_FRAME(f, l->me, parameters, names, forms, scope, name, constants, code);
  f.parameters = parameters, f.names = f.constants = NIL, f.forms = forms, f.scope = scope, f.name = name;
  uint32_t required = 0;
  for (; is_pair(f.parameters); f.parameters = cdr(f.parameters), ++required)
    if (!(f.names = cons(l, car(f.parameters), f.names))) return 0;
  bool rest = f.parameters != NIL;
  if (rest && !(f.names = cons(l, f.parameters, f.names))) return 0;
  if (!(f.names = list_reverse(l, f.names)) || !(f.scope = inner(l, f.names, f.scope))) return 0;
  struct program p = {.constants = &f.constants};
  bool program = cdr(f.scope) == NIL; /* whose definitions are global */
  if ((program ? sequence : body)(l, &p, f.forms, f.scope, true)) f.code = code_new(l, &p, f.name, required, rest);
  free(p.ops);
  return f.code;
}

/* The value of a variable: if that is a lambda, it gets the variable's name, for messages. */
static bool named(struct lisp *l, struct program *p, varve_word form, varve_word name, varve_word scope) {
  if (list_length(form) < 3 || car(form) != l->root[ROOT_LAMBDA] || place(car(form), scope) >= 0)
    return expression(l, p, form, scope, false);
  varve_word code = lambda(l, car(cdr(form)), cdr(cdr(form)), scope, name);
  return code && with_constant(l, p, OP_CLOSURE, code, 1);
}

/* ---- bodies ---------------------------------------------------------------------------------------------------- */

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

/* Variables without a value, which then get theirs in order and see each other. */
static bool letrec(struct lisp *l, struct program *p, varve_word names, varve_word values, varve_word forms,
                   varve_word scope, bool tail) {
  VARVE_FRAME(f, l->me, values, forms, scope, name);
  f.values = values, f.forms = forms;
  int count = (int)list_length(names);
  if (!(f.scope = inner(l, names, scope))) return false;
  for (int i = 0; i < count; ++i)
    if (!with_constant(l, p, OP_CONSTANT, UNBOUND, 1)) return false;
  op(p, OP_LET, (uint32_t)count, -count);
  f.name = car(f.scope);
  for (uint32_t i = 0; is_pair(f.values); f.values = cdr(f.values), f.name = cdr(f.name)) {
    if (!named(l, p, car(f.values), car(f.name), f.scope)) return false;
    op(p, OP_SET_LOCAL, OUTER(0, i++), 0), op(p, OP_POP, 0, -1);
  }
  if (!sequence(l, p, f.forms, f.scope, tail)) return false;
  return (tail ? 0 : op(p, OP_LEAVE, 0, 0)), true;
}

/* Leading definitions, (%define name value) after expansion, are a letrec around the rest. */
static bool body(struct lisp *l, struct program *p, varve_word forms, varve_word scope, bool tail) {
  VARVE_FRAME(f, l->me, forms, scope, form, names, values);
  f.forms = forms, f.scope = scope, f.names = f.values = NIL;
  for (; is_pair(f.forms); f.forms = cdr(f.forms)) {
    if (!(f.form = expand(l, car(f.forms), f.scope))) return false;
    if (!is_syntax(l, f.form, f.scope, ROLE_SPECIAL) || car(f.form) != l->root[ROOT_DEFINE]) break;
    if (list_length(f.form) != 3) return fail(l, f.form, "bad syntax:");
    if (!(f.names = cons(l, car(cdr(f.form)), f.names))) return false;
    if (!(f.values = cons(l, car(cdr(cdr(f.form))), f.values))) return false;
  }
  if (f.names == NIL) return sequence(l, p, f.forms, f.scope, tail);
  if (!(f.names = list_reverse(l, f.names)) || !(f.values = list_reverse(l, f.values))) return false;
  return letrec(l, p, f.names, f.values, f.forms, f.scope, tail);
}

/* ---- special forms: (keyword . x), where x has as many items as the table below allows -------------------------- */

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
  varve_word code = lambda(l, car(x), cdr(x), scope, FALSE);
  return code && with_constant(l, p, OP_CLOSURE, code, 1) && done(p, tail);
}

static bool compile_define(struct lisp *l, struct program *p, varve_word x, varve_word scope, bool tail) {
  VARVE_FRAME(f, l->me, name);
  f.name = car(x);
  if (cdr(scope) != NIL) return fail(l, f.name, "a definition must be first in a body, or at top level:");
  if (!is(l, f.name, SYMBOL)) return fail(l, f.name, "a variable's name must be a symbol, not");
  return named(l, p, car(cdr(x)), f.name, scope) && with_constant(l, p, OP_DEFINE, f.name, 0) && done(p, tail);
}

static bool compile_set(struct lisp *l, struct program *p, varve_word x, varve_word scope, bool tail) {
  VARVE_FRAME(f, l->me, name);
  f.name = car(x);
  int at = place(f.name, scope);
  if (!is(l, f.name, SYMBOL)) return fail(l, f.name, "a variable's name must be a symbol, not");
  if (!expression(l, p, car(cdr(x)), scope, false)) return false;
  if (at < 0) return with_constant(l, p, OP_SET_GLOBAL, f.name, 0) && done(p, tail);
  return op(p, OP_SET_LOCAL, (uint32_t)at, 0), done(p, tail);
}

/* (%let (name ...) (value ...) form ...), which the prelude's let becomes. */
static bool compile_let(struct lisp *l, struct program *p, varve_word x, varve_word scope, bool tail) {
  VARVE_FRAME(f, l->me, x, list, scope);
  f.x = x, f.scope = scope;
  int count = (int)list_length(car(x));
  for (f.list = car(cdr(x)); is_pair(f.list); f.list = cdr(f.list))
    if (!expression(l, p, car(f.list), f.scope, false)) return false;
  if (!(f.scope = inner(l, car(f.x), f.scope))) return false;
  op(p, OP_LET, (uint32_t)count, -count);
  if (!body(l, p, cdr(cdr(f.x)), f.scope, tail)) return false;
  return (tail ? 0 : op(p, OP_LEAVE, 0, 0)), true;
}

/* (%try handler form): the form's value; if it raises something, the handler's value for that. */
static bool compile_try(struct lisp *l, struct program *p, varve_word x, varve_word scope, bool tail) {
  VARVE_FRAME(f, l->me, x, scope);
  f.x = x, f.scope = scope;
  if (!expression(l, p, car(f.x), f.scope, false)) return false;
  uint32_t begin = op(p, OP_TRY, 0, 1); /* pushes the environment */
  if (!expression(l, p, car(cdr(f.x)), f.scope, false)) return false;
  uint32_t end = op(p, OP_END_TRY, 0, -1); /* drops it and the handler from below the value, and jumps */
  land(p, begin);                          /* here the machine has pushed what was raised */
  op(p, OP_CALL, 1, -1);
  return land(p, end), done(p, tail);
}

static const struct {
  const char *name;
  bool (*compile)(struct lisp *l, struct program *p, varve_word x, varve_word scope, bool tail);
  long least, most;
} specials[] = {
  {"quote", compile_quote, 1, 1},     {"if", compile_if, 2, 3},      {"begin", sequence, 0, LONG_MAX},
  {"lambda", compile_lambda, 2, LONG_MAX}, {"%define", compile_define, 2, 2}, {"set!", compile_set, 2, 2},
  {"%let", compile_let, 3, LONG_MAX}, {"%try", compile_try, 2, 2},
};

bool special_forms(struct lisp *l) {
  VARVE_FRAME(f, l->me, symbol);
  for (uint32_t i = 0; i < sizeof specials / sizeof *specials; ++i) {
    f.symbol = intern(l, specials[i].name, strlen(specials[i].name));
    if (!f.symbol || !define_global(l, f.symbol, UNSPECIFIED, ROLE_SPECIAL + i)) return false;
  }
  return true;
}

/* ---- expressions ----------------------------------------------------------------------------------------------- */

static bool name_or_constant(struct lisp *l, struct program *p, varve_word w, varve_word scope, bool tail) {
  if (!is(l, w, SYMBOL)) return with_constant(l, p, OP_CONSTANT, w, 1) && done(p, tail);
  int at = place(w, scope);
  if (at >= 0) return op(p, at <= (int)ITEMS_MAX ? OP_LOCAL : OP_OUTER, (uint32_t)at, 1), done(p, tail);
  if (AS(symbol, w)->role != ROLE_VARIABLE) return fail(l, w, "not a variable, but syntax:");
  return with_constant(l, p, OP_GLOBAL, w, 1) && done(p, tail);
}

/* A global procedure that is, now, a primitive with an operation of its own: later definitions do not matter here. */
static enum op inlined(struct lisp *l, varve_word form, varve_word scope, long count) {
  if (!is(l, car(form), SYMBOL) || place(car(form), scope) >= 0) return OP_NONE;
  varve_word value = AS(symbol, car(form))->value;
  if (!is(l, value, PRIMITIVE) || AS(primitive_object, value)->is->op_arguments != count) return OP_NONE;
  return (enum op)AS(primitive_object, value)->is->op;
}

static bool call(struct lisp *l, struct program *p, varve_word form, varve_word scope, bool tail) {
  VARVE_FRAME(f, l->me, list, scope);
  f.list = cdr(form), f.scope = scope;
  int count = (int)list_length(f.list);
  enum op inline_op = inlined(l, form, scope, count);
  if (!inline_op && !expression(l, p, car(form), scope, false)) return false;
  for (; is_pair(f.list); f.list = cdr(f.list))
    if (!expression(l, p, car(f.list), f.scope, false)) return false;
  if (inline_op) return op(p, inline_op, 0, 1 - count), done(p, tail);
  return op(p, tail ? OP_TAIL_CALL : OP_CALL, (uint32_t)count, -count), true;
}

static bool expanded(struct lisp *l, struct program *p, varve_word form, varve_word scope, bool tail) {
  if (!is_pair(form)) return name_or_constant(l, p, form, scope, tail);
  long length = list_length(form) - 1;
  if (length < 0) return fail(l, form, "bad syntax:");
  if (!is_syntax(l, form, scope, ROLE_SPECIAL)) return call(l, p, form, scope, tail);
  uint32_t i = AS(symbol, car(form))->role - ROLE_SPECIAL;
  if (length < specials[i].least || length > specials[i].most) return fail(l, form, "bad syntax:");
  return specials[i].compile(l, p, cdr(form), scope, tail);
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
  VARVE_FRAME(f, l->me, code);
  if (!(f.code = cons(l, form, NIL)) || !(f.code = lambda(l, NIL, f.code, NIL, FALSE))) return 0;
  return closure_new(l, f.code, NIL);
}
