/* SPDX-License-Identifier: MIT */
/* op.h -- the operations of the machine, 32 bits each: a number in the low 8, an argument n in the others.
 *
 * Variables live in environments in the heap: one for each call, with a link to the one around. On the machine's stack
 * a call has its procedure, its environment (`fp` points there), and values that wait for an operation.
 */
#ifndef LISP_OP_H
#define LISP_OP_H

enum op {
  OP_CONSTANT, OP_LOCAL, OP_GLOBAL,           /* push: item of the code; of an environment, see OUTER; of a symbol */
  OP_SET_LOCAL, OP_SET_GLOBAL, OP_DEFINE,     /* put a value there, which becomes UNSPECIFIED */
  OP_POP, OP_JUMP, OP_JUMP_FALSE, OP_CALL, OP_TAIL_CALL, OP_RETURN,
  OP_CLOSURE                                  /* push: of an item of code and the environment */
};
#define OUTER(levels, index) ((uint32_t)(levels) << 14 | (uint32_t)(index))
#define ITEMS_MAX 16000 /* variables in an environment; levels are fewer than DEPTH_MAX */

#endif
