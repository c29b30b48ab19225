/* SPDX-License-Identifier: MIT */
/* machine.h -- the compiler and the machine it compiles for.
 *
 * An operation is 32 bits: its number in the low 8, an argument in the others. Variables live in environments in the
 * heap: one for each call and each let, with a link to the one around. On the machine's stack a call has its procedure,
 * its environment (`fp` points there), and the values that wait for an operation.
 */
#ifndef LISP_MACHINE_H
#define LISP_MACHINE_H

#include "heap.h"

enum op {
  OP_NONE,
  OP_CONSTANT, OP_LOCAL, OP_OUTER, OP_GLOBAL,   /* push: item of code; of environment; the same, n out; of a symbol */
  OP_SET_LOCAL, OP_SET_GLOBAL, OP_DEFINE,       /* pop a value, push UNSPECIFIED (DEFINE: the symbol) */
  OP_LET, OP_LEAVE,                             /* pop n values into a new environment; back to the one around */
  OP_POP, OP_JUMP, OP_JUMP_FALSE, OP_CALL, OP_TAIL_CALL, OP_RETURN,
  OP_CLOSURE,                                   /* push: of an item of code and the environment */
  OP_TRY, OP_END_TRY,                           /* what is raised between them is pushed, and the machine goes on at n */
  OP_CONS, OP_CAR, OP_CDR, OP_EQ, OP_NULL, OP_IS_PAIR, OP_NOT, OP_ADD, OP_SUBTRACT, OP_LESS, OP_GREATER, OP_EQUALS,
  OP_VECTOR_REF                                 /* primitives that need no call */
};
#define OUTER(levels, index) ((uint32_t)(levels) << 14 | (uint32_t)(index))
#define LEVELS_MAX 1000u /* of environments around an expression, and: */
#define ITEMS_MAX 16000u /* variables in an environment */

varve_word compile(struct lisp *l, varve_word form); /* a procedure without parameters */
bool special_forms(struct lisp *l);                  /* make their symbols; false: no memory */
bool primitives(struct lisp *l);                     /* the same for the primitives */

/* Call a procedure with a list of arguments. 0: something was raised. */
varve_word machine_call(struct lisp *l, varve_word procedure, varve_word arguments);
/* For primitives that end in a call, which replaces theirs and costs no C stack: their result. */
varve_word machine_tail_call(struct lisp *l, varve_word *argument, varve_word procedure, varve_word arguments);

#endif
