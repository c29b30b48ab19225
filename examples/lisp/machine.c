/* SPDX-License-Identifier: MIT */
/* machine.c -- the loop that runs code.
 *
 * The stack is host memory and a root (heap.c), so pushing is a plain store, and operands are rooted where they lie.
 * But `ops` and `constant` point into the heap and are void after a safepoint. So before one SAVE tells the collector
 * how high the stack is, and after one LOAD derives them anew from the stack. On it a call has its procedure, its
 * environment (`fp` points there) and values that wait for an operation. Every call makes an environment, so each loop
 * of a program reaches a safepoint; code that did not allocate would have to varve_poll.
 */
#include <string.h>

#include "lisp.h"

#define SAVE() (l->sp = sp)
#define LOAD() \
  (code = AS(code, AS(closure, fp[-1])->code), constant = code->constant, \
   ops = (const uint32_t *)(void *)AS(string, code->ops)->byte)

/* The slot of a variable that may be some environments out. */
static varve_word *variable(struct environment **e, uint32_t at) {
  for (uint32_t levels = at >> 14; levels; --levels) *e = AS(environment, (*e)->outer);
  return &(*e)->item[at & OUTER(0, 0x3fff)];
}

/* The arguments that are too many for (lambda (a . rest) ...): from the stack into a list. */
static bool gather(struct lisp *l, size_t count) {
  VARVE_FRAME(f, l->me, rest);
  for (f.rest = NIL; count--; --l->sp)
    if (!(f.rest = cons(l, l->sp[-1], f.rest))) return false;
  *l->sp++ = f.rest;
  return true;
}

/* Make the environment of a call whose arguments are on top of the stack: rooted there, so no frame is needed. */
static bool enter(struct lisp *l, size_t count) {
  const struct code *code = AS(code, AS(closure, l->sp[-1 - (ptrdiff_t)count])->code);
  if (VARVE_UNLIKELY(count != code->required || code->rest)) {
    if (count < code->required || !code->rest)
      return fail(l, l->sp[-1 - (ptrdiff_t)count], "expected %u%s arguments, got %zu:", code->required,
                  code->rest ? " or more" : "", count);
    size_t required = code->required;
    if (!gather(l, count - required)) return false; /* a safepoint: `code` is void from here */
    count = required + 1;
    code = AS(code, AS(closure, l->sp[-1 - (ptrdiff_t)count])->code);
  }
  if (VARVE_UNLIKELY(l->sp + code->stack > l->stack + STACK_WORDS - 64)) return fail(l, 0, "stack overflow");
  struct environment *e = varve_alloc_uninit(l->me, l->layout[ENVIRONMENT], sizeof *e + count * sizeof(varve_word));
  if (VARVE_UNLIKELY(!e)) return out_of_memory(l);
  varve_word *argument = l->sp - count;
  varve_init(l->me, e, &e->outer, AS(closure, argument[-1])->environment);
  for (size_t i = 0; i < count; ++i) varve_init(l->me, e, &e->item[i], argument[i]);
  argument[0] = varve_tag(e, TAG_OBJECT);
  l->sp = argument + 1;
  return true;
}

/* Call what is on the stack below `count` arguments. 0: something was raised that no handler in here wanted. */
static varve_word run(struct lisp *l, size_t count) {
  varve_word *sp = l->sp, *bottom = sp - count - 1, *fp = sp, result;
  const struct code *code;
  const varve_word *constant;
  const uint32_t *ops;
  const uint32_t controls = l->controls;
  uint32_t pc = 0, word;
  bool tail = true; /* the first call returns to C */

call:
  result = sp[-1 - (ptrdiff_t)count];
  SAVE();
  if (is(l, result, CLOSURE)) {
    if (!tail) l->control[l->controls++] = (struct control){pc, (uint32_t)(fp - l->stack)};
    if (!enter(l, count)) goto raise;
    sp = l->sp, fp = sp - 1, pc = 0;
    LOAD();
  } else {
    if (VARVE_UNLIKELY(!is_primitive(result))) { fail(l, result, "not a procedure:"); goto raise; }
    result = call_primitive(l, result, count);
    if (VARVE_UNLIKELY(!result)) goto raise;
    if (result == TAIL_CALL) {
      count = (size_t)(l->sp - sp) + count, sp = l->sp;
      goto call;
    }
    if (tail) goto returned;
    sp -= count, sp[-1] = result;
    LOAD();
  }
  for (;;) {
    word = ops[pc++];
    switch ((enum op)(word & 0xff)) {
      case OP_CONSTANT: *sp++ = constant[word >> 8]; break;
      case OP_LOCAL: {
        struct environment *e = AS(environment, *fp);
        *sp++ = *variable(&e, word >> 8);
        break;
      }
      case OP_GLOBAL:
        *sp = AS(symbol, constant[word >> 8])->value;
        if (VARVE_UNLIKELY(*sp++ == UNBOUND)) { SAVE(), fail(l, constant[word >> 8], "unbound variable:"); goto raise; }
        break;
      case OP_SET_LOCAL: {
        struct environment *e = AS(environment, *fp);
        varve_word *slot = variable(&e, word >> 8);
        varve_store(l->me, e, slot, sp[-1]); /* the environment may be old and the value new: never a plain store */
        sp[-1] = UNSPECIFIED;
        break;
      }
      case OP_SET_GLOBAL: {
        struct symbol *s = AS(symbol, constant[word >> 8]);
        if (s->value == UNBOUND) { SAVE(), fail(l, constant[word >> 8], "set!: unbound variable:"); goto raise; }
        varve_store(l->me, s, &s->value, sp[-1]);
        sp[-1] = UNSPECIFIED;
        break;
      }
      case OP_POP: --sp; break;
      case OP_JUMP: pc = word >> 8; break;
      case OP_JUMP_FALSE: if (*--sp == FALSE) pc = word >> 8; break;
      case OP_CALL: count = word >> 8, tail = false; goto call;
      case OP_TAIL_CALL: /* over the frame that is done with */
        count = word >> 8, tail = true;
        memmove(fp - 1, sp - count - 1, (count + 1) * sizeof *sp);
        sp = fp + count;
        goto call;
      case OP_RETURN:
        result = sp[-1];
      returned:
        if (l->controls == controls) return l->sp = bottom, result;
        sp = fp - 1;
        pc = l->control[--l->controls].pc, fp = l->stack + l->control[l->controls].fp;
        *sp++ = result;
        LOAD();
        break;
      case OP_CLOSURE:
        SAVE();
        result = object_new(l, CLOSURE, sizeof(struct closure), constant[word >> 8], *fp);
        if (!result) goto raise;
        *sp++ = result;
        LOAD();
        break;
    }
  }
raise: /* nobody in this run handles it: a primitive that called the machine may, see p_try */
  l->who = NULL;
  return l->sp = bottom, l->controls = controls, 0;
}

static bool push(struct lisp *l, varve_word procedure, varve_word arguments, size_t *count) {
  *l->sp++ = procedure;
  for (*count = 0; is_pair(arguments); arguments = cdr(arguments), ++*count) {
    if (l->sp == l->stack + STACK_WORDS) return fail(l, 0, "stack overflow");
    *l->sp++ = car(arguments);
  }
  return true;
}

varve_word machine_call(struct lisp *l, varve_word procedure, varve_word arguments) {
  varve_word *bottom = l->sp;
  size_t count;
  if (!deeper(l)) return 0;
  varve_word result = push(l, procedure, arguments, &count) ? run(l, count) : 0;
  return --l->depth, l->sp = bottom, result;
}

varve_word machine_tail_call(struct lisp *l, varve_word *argument, varve_word procedure, varve_word arguments) {
  size_t count;
  l->sp = argument - 1;
  return push(l, procedure, arguments, &count) ? TAIL_CALL : 0;
}
