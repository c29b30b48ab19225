/* SPDX-License-Identifier: MIT */
/* value.h -- what a word means: three tag bits, immediates, and the structs of everything that lives in the heap.
 *
 * Every value is one word. Two of the eight patterns of its low bits mean "reference" to the collector (heap.c tells it
 * by the option slot-tags), so a pair is known by its word alone, without a look at its header. All other words are
 * skipped by the collector. The word 0 is never a value: a C function that returns it has failed, see lisp.h.
 */
#ifndef LISP_VALUE_H
#define LISP_VALUE_H

#include <varve/varve.h>

enum tag { TAG_OBJECT = 0, TAG_FIXNUM = 1, TAG_IMMEDIATE = 2, TAG_PAIR = 3 };
#define SLOT_TAGS (1u << TAG_OBJECT | 1u << TAG_PAIR)

/* Immediates: fixnums of 61 bits, characters (bytes), primitives, constants. */
#define IMMEDIATE(kind, number) ((varve_word)(number) << 8 | (kind) << 3 | TAG_IMMEDIATE)
#define NIL IMMEDIATE(0, 0)
#define FALSE IMMEDIATE(0, 1)
#define TRUE IMMEDIATE(0, 2)
#define UNSPECIFIED IMMEDIATE(0, 3)
#define END_OF_FILE IMMEDIATE(0, 4)
#define UNBOUND IMMEDIATE(0, 5)   /* the value of a variable that has none */
#define DEAD IMMEDIATE(0, 6)      /* what the collector stores in a weak slot; a deleted entry of a table */
#define TAIL_CALL IMMEDIATE(0, 7) /* from a primitive: "call what I left on the stack instead", machine.c */

#define CHARACTER(byte) IMMEDIATE(1, byte)
#define PRIMITIVE(row) IMMEDIATE(2, row) /* of the table in primitives.c */
#define FIXNUM_MAX (INT64_MAX >> 3)
#define FIXNUM_MIN (INT64_MIN >> 3)

static inline varve_word fixnum(int64_t n) { return (varve_word)n << 3 | TAG_FIXNUM; }
static inline int64_t fixnum_value(varve_word w) { return (int64_t)w >> 3; }
static inline bool is_fixnum(varve_word w) { return (w & 7) == TAG_FIXNUM; }
static inline bool is_character(varve_word w) { return (w & 0xff) == CHARACTER(0); }
static inline bool is_primitive(varve_word w) { return (w & 0xff) == PRIMITIVE(0); }
static inline unsigned char character_value(varve_word w) { return (unsigned char)(w >> 8); }
static inline varve_word boolean(bool b) { return b ? TRUE : FALSE; }

/* Objects: the header is Varve's, all that follows is ours. */
enum type {
  PAIR, SYMBOL, CLOSURE, CONDITION, /* those that begin with two references: object_new in heap.c makes them */
  STRING, VECTOR, ENVIRONMENT, CODE, TABLE, ENTRIES, WEAK_ENTRIES, WEAK_BOX, TYPE_COUNT
};

struct pair {
  varve_object header;
  varve_word car, cdr;
};
struct symbol {
  varve_object header;
  varve_word name, value; /* a string; the global variable's value or UNBOUND */
  uint64_t role;          /* what it means as the head of a form: enum role, or a special form */
};
struct string { /* bytes, and one 0 behind them for C */
  varve_object header;
  uint64_t length;
  char byte[];
};
struct vector { /* no length: Varve knows an object's size, see vector_length */
  varve_object header;
  varve_word item[];
};
struct environment { /* the variables of a call, and a link to those around */
  varve_object header;
  varve_word outer, item[]; /* NIL: there is none */
};
struct closure {
  varve_object header;
  varve_word code, environment;
};
struct code {
  varve_object header;
  uint32_t required, rest, stack; /* arguments; 1: more become a list; words of stack that it needs */
  varve_word name, ops;           /* a symbol or FALSE; a string of 32-bit operations */
  varve_word constant[];
};
struct condition {
  varve_object header;
  varve_word message, irritants;
};
struct table {
  varve_object header;
  varve_word entries;
  uint64_t used;      /* entries that were ever taken, deleted ones too */
  bool equal, weak;
};
struct entries { /* of a table; weak ones are ephemerons, whose third words are Varve's, as is the one in front */
  varve_object header;
  uint64_t library;
  varve_ephemeron entry[];
};
struct weak_box {
  varve_object header;
  uint64_t library;
  varve_word target;
};

enum role { ROLE_VARIABLE, ROLE_MACRO, ROLE_SPECIAL };
/* The operations of the machine, 32 bits each: a number in the low 8, an argument n in the others. */
enum op {
  OP_CONSTANT, OP_LOCAL, OP_GLOBAL, /* push: item of the code; of an environment, see OUTER; of a symbol */
  OP_SET_LOCAL, OP_SET_GLOBAL,      /* put a value there, which becomes UNSPECIFIED */
  OP_POP, OP_JUMP, OP_JUMP_FALSE, OP_CALL, OP_TAIL_CALL, OP_RETURN,
  OP_CLOSURE                        /* push: of an item of code and the environment */
};
#define OUTER(levels, index) ((uint32_t)(levels) << 14 | (uint32_t)(index))
#define ITEMS_MAX 16000 /* variables in an environment; levels are fewer than DEPTH_MAX */

static inline bool is_reference(varve_word w) { return (w & 7) == TAG_OBJECT || (w & 7) == TAG_PAIR; }
static inline bool is_pair(varve_word w) { return (w & 7) == TAG_PAIR; }
static inline struct pair *pair(varve_word w) { return (struct pair *)(uintptr_t)(w - TAG_PAIR); }
static inline varve_word car(varve_word w) { return pair(w)->car; }
static inline varve_word cdr(varve_word w) { return pair(w)->cdr; }

/* The payload of a reference of TAG_OBJECT. The address is void after the next safepoint: use it and forget it. */
#define AS(type, word) ((struct type *)(uintptr_t)(word))

/* Exact because the granule is 8 bytes: nothing is rounded. */
static inline size_t vector_length(varve_word w) { return varve_object_bytes(&AS(vector, w)->header) / 8 - 1; }

#endif
