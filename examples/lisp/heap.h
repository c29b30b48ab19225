/* SPDX-License-Identifier: MIT */
/* heap.h -- the interpreter's state, its roots, and how objects are made.
 *
 * The rules that all files follow:
 *
 *   Safepoint  Everything that may allocate is one, and so is everything that may call such a thing. After it each
 *              address and each reference in a plain C variable is void.
 *   Roots      A C function that can reach a safepoint keeps the words it needs afterwards in a VARVE_FRAME, its own
 *              parameters included; so callers never root on behalf of callees. What waits on the machine's stack, as the
 *              arguments of primitives do, is rooted there. Never write f(cons(...), cons(...)): the first result waits
 *              in a register for the second call.
 *   Stores     varve_init for a new object's slots until the next safepoint, varve_store for all later ones.
 *   Failure    A function that cannot return a value returns 0, with ROOT_ERROR saying why; its caller returns 0, too,
 *              up to a handler of the machine. No longjmp, so frames are always left in order.
 */
#ifndef LISP_HEAP_H
#define LISP_HEAP_H

#include "value.h"

enum root { /* words outside the heap that refer to objects */
  ROOT_ERROR,         /* the value that is raised; 0: none */
  ROOT_OUT_OF_MEMORY, /* the condition that needs no memory when it happens */
  ROOT_SYMBOLS,       /* the weak array of all symbols */
  ROOT_GLOBALS,       /* a list of the symbols that are global variables: those may not vanish */
  ROOT_FINALIZERS,    /* a weak table: object to list of procedures */
  ROOT_QUOTE, ROOT_QUASIQUOTE, ROOT_UNQUOTE, ROOT_SPLICING, ROOT_LAMBDA, ROOT_DEFINE,
  ROOT_COUNT
};

struct control { /* who called: where to go on */
  uint32_t pc, fp;
};
struct handler { /* an active (try ...) */
  uint32_t pc, fp, sp, control;
};

struct lisp {
  varve_heap *heap;
  varve_mutator *me;
  varve_layout layout[TYPE_COUNT];
  varve_word root[ROOT_COUNT];
  uint64_t symbols_used, gensyms;
  struct source *input;    /* the file that is being loaded, see text.h */
  const struct primitive *quick[64]; /* those that are operations of the machine, by operation */
  const char *who;         /* the primitive that runs, for messages */
  unsigned depth;          /* of C's recursion */
  bool exiting;            /* (exit status) was called: no handler stops that */
  int status;
  varve_word *stack, *sp;  /* of the machine: values; roots up to sp */
  struct control *control; /* and places to return to */
  struct handler *handler;
  uint32_t controls, handlers;
};

#define STACK_WORDS (1u << 20)
#define HANDLERS 10000u
#define DEPTH_MAX 1500u

/* Everything the interpreter has, or a message on stderr and false. */
bool lisp_open(struct lisp *l);
void lisp_close(struct lisp *l);

/* New objects; 0 or NULL when memory ran out. Safepoints. What `allocate` returns has slots of zero. */
void *allocate(struct lisp *l, enum type type, size_t bytes);
varve_word cons(struct lisp *l, varve_word first, varve_word rest);
varve_word string_new(struct lisp *l, const char *host_bytes, size_t length); /* NULL: any bytes */
varve_word vector_new(struct lisp *l, size_t length, varve_word fill);
varve_word list_to_vector(struct lisp *l, varve_word list);
varve_word list_reverse(struct lisp *l, varve_word list);
varve_word closure_new(struct lisp *l, varve_word code, varve_word environment);
varve_word weak_box_new(struct lisp *l, varve_word target);

/* Raise: put a condition in ROOT_ERROR and return 0. `irritant` 0: none. Safepoints, as all allocation. */
varve_word fail(struct lisp *l, varve_word irritant, const char *format, ...) __attribute__((format(printf, 3, 4)));
varve_word wrong_type(struct lisp *l, varve_word irritant, const char *wanted);
varve_word out_of_memory(struct lisp *l);
bool deeper(struct lisp *l); /* one more C call; false: too many, an error is raised. Undone by --l->depth. */

static inline bool is(const struct lisp *l, varve_word w, enum type type) {
  return (w & 7) == TAG_OBJECT && varve_object_layout(varve_untag(w)) == l->layout[type];
}
enum type type_of(const struct lisp *l, varve_word w); /* TYPE_COUNT: an immediate */
long list_length(varve_word list);                     /* -1: no proper list */

/* symbol.c */
varve_word intern(struct lisp *l, const char *host_bytes, size_t length);
varve_word symbol_new(struct lisp *l, const char *host_bytes, size_t length); /* one that no reader can name */
bool define_global(struct lisp *l, varve_word symbol, varve_word value);
bool symbols_grow(struct lisp *l, size_t capacity);

#endif
