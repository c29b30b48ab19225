/* SPDX-License-Identifier: MIT */
/* lisp.h -- the interpreter's state, its roots, and what each file offers to the others.
 *
 * The rules that all of them follow:
 *
 *   Safepoint  Everything that may allocate is one, and so is everything that may call such a thing. After it each
 *              address and each reference in a plain C variable is void.
 *   Roots      A C function that can reach a safepoint keeps the words it needs afterwards in a VARVE_FRAME, its own
 *              parameters included; so callers never root on behalf of callees. What waits on the machine's stack is
 *              rooted there. Never write f(cons(...), cons(...)): the first result waits in a register for the second.
 *   Stores     varve_init for a new object's slots until the next safepoint, varve_store for all later ones. Plain ones
 *              into frames, the stack and `root`, which are outside the heap.
 *   Failure    What cannot return a value returns 0 or false, with ROOT_ERROR saying why, and so do its callers, up to
 *              p_try in primitives.c. No longjmp, so frames are always left in order.
 */
#ifndef LISP_LISP_H
#define LISP_LISP_H

#include <stdio.h>

#include "value.h"

enum root {           /* words outside the heap that refer to objects */
  ROOT_ERROR,         /* the value that is raised; 0: none */
  ROOT_OUT_OF_MEMORY, /* the condition that needs no memory when it happens */
  ROOT_SYMBOLS,       /* a weak table: name to symbol */
  ROOT_GLOBALS,       /* a list of the symbols that are global variables: those may not vanish */
  ROOT_FINALIZER,     /* the procedure of the prelude that runs finalizers */
  ROOT_COUNT
};

struct control { uint32_t pc, fp; }; /* where to go on when a call returns */

struct lisp {
  varve_heap *heap;
  varve_mutator *me;
  varve_layout layout[TYPE_COUNT];
  varve_word root[ROOT_COUNT];
  const char *who;          /* the primitive that runs, for messages */
  unsigned depth;           /* of C's recursion */
  bool exiting;             /* (exit status) was called: no handler stops that */
  int status;
  varve_word *stack, *sp;   /* of the machine: values; roots up to sp */
  struct control *control;  /* and places to return to */
  uint32_t controls;
};
#define STACK_WORDS (1u << 20)
#define DEPTH_MAX 1000u

/* heap.c: everything there is, or a message on stderr and false; new objects, or 0; what is raised, and 0. */
bool lisp_open(struct lisp *l);
void lisp_close(struct lisp *l);
void *allocate(struct lisp *l, enum type type, size_t bytes); /* the slots are zero */
varve_word object_new(struct lisp *l, enum type type, size_t bytes, varve_word first, varve_word second);
varve_word string_new(struct lisp *l, const char *host_bytes, size_t length); /* NULL: any bytes */
varve_word vector_new(struct lisp *l, size_t length, varve_word fill);
varve_word list_to_vector(struct lisp *l, varve_word list);
long list_length(varve_word list); /* -1: no proper list */
varve_word fail(struct lisp *l, varve_word irritant, const char *format, ...) __attribute__((format(printf, 3, 4)));
varve_word out_of_memory(struct lisp *l);
bool deeper(struct lisp *l); /* one more C call, undone by --l->depth; false: they are too many */

static inline varve_word cons(struct lisp *l, varve_word first, varve_word rest) {
  return object_new(l, PAIR, sizeof(struct pair), first, rest);
}
static inline bool is(const struct lisp *l, varve_word w, enum type type) {
  return (w & 7) == TAG_OBJECT && varve_object_layout(varve_untag(w)) == l->layout[type];
}

/* symbol.c. The name is a string that nobody else has; 0: making it has failed, and so does this. */
varve_word intern(struct lisp *l, varve_word name);
bool define_global(struct lisp *l, varve_word symbol, varve_word value, uint64_t role);

/* table.c. What `get` returns is 0 if the key is not there. Only `new`, `put` and `to_list` are safepoints. */
varve_word table_new(struct lisp *l, bool equal, bool weak);
varve_word table_get(struct lisp *l, varve_word table, varve_word key);
bool table_put(struct lisp *l, varve_word table, varve_word key, varve_word value);
bool table_delete(struct lisp *l, varve_word table, varve_word key);
varve_word table_to_list(struct lisp *l, varve_word table); /* of (key . value) */
bool is_equal(struct lisp *l, varve_word a, varve_word b);

/* reader.c */
struct source {       /* where text comes from: a file line by line, or one string */
  const char *name;
  FILE *file;         /* NULL: only what `line` holds */
  const char *prompt; /* NULL: none, and values are not printed */
  char *line;         /* host memory */
  size_t length, capacity, at;
  int number, start;  /* of this line; of the line where the last datum began */
};
varve_word read_datum(struct lisp *l, struct source *s); /* END_OF_FILE at the end */

/* printer.c. Not a safepoint. `quoted`: strings and characters as the reader wants them. */
void print(struct lisp *l, FILE *out, varve_word w, bool quoted);

/* compile.c */
varve_word compile(struct lisp *l, varve_word form); /* a procedure without parameters */
bool special_forms(struct lisp *l);                  /* make their symbols */

/* machine.c. The second is for primitives that end in a call, which replaces theirs and costs no C stack. */
varve_word machine_call(struct lisp *l, varve_word procedure, varve_word arguments);
varve_word machine_tail_call(struct lisp *l, varve_word *argument, varve_word procedure, varve_word arguments);

/* primitives.c, main.c */
bool primitives(struct lisp *l);
varve_word call_primitive(struct lisp *l, varve_word primitive, size_t count); /* with what is on the stack */
const char *primitive_name(varve_word primitive);
bool load_file(struct lisp *l, const char *path, int *line); /* NULL, or for the line where its last form began */
void report(struct lisp *l); /* on stderr, what was raised; nothing is, then */

#endif
