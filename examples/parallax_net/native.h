/* SPDX-License-Identifier: MIT */
/* native.h -- native functions: what %name calls.
 *
 * A native takes `arity` words, all of them values (a net under a constructor never reaches it), and gives one word.
 * It runs on a pool worker, or on an unpinned thread when it is slow and the host has such threads; always on a
 * running mutator. Its arguments and temporaries are slots of a frame, so they follow objects that move: a native
 * allocates first, then reads addresses out of `arg`, then computes, and never keeps an address across a safepoint.
 */
#ifndef PN_NATIVE_H
#define PN_NATIVE_H

#include "value.h"

#define PN_TEMPORARIES 2

struct pn_call {
  varve_mutator *mutator;
  const struct pn_layouts *layouts;
  const char *name;
  bool may_block;      /* this thread is not a pool worker: it may sleep in native state */
  varve_word *arg;     /* frame slots: the arguments, then PN_TEMPORARIES temporaries */
  varve_word *temporary;
  char error[256];     /* what went wrong, without the native's name */
};

/** @return the result (an immediate or a tagged reference), or 0 with call->error set. */
typedef varve_word pn_native_fn(struct pn_call *call);

struct pn_native {
  const char *name;
  unsigned arity;
  bool slow; /* may run beside the pool: its application makes an ASY node */
  pn_native_fn *run;
  const char *help;
};

extern const struct pn_native pn_natives[];
extern const unsigned pn_native_count;

/** The number of a native; -1 when there is none of that name. */
int pn_native_find(const char *name, size_t length);

/* ---- for the natives themselves: each sets call->error and returns NULL, 0 or false on failure ---------------- */

varve_word pn_call_fail(struct pn_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** "the heap is full" or "too large". */
varve_word pn_call_no_heap(struct pn_call *call);
varve_word pn_call_no_memory(struct pn_call *call);
struct pn_integer *pn_arg_integer(struct pn_call *call, unsigned i);
struct pn_string *pn_arg_string(struct pn_call *call, unsigned i);
struct pn_array *pn_arg_array(struct pn_call *call, unsigned i);
/** A number of 24 bits that is not negative. */
bool pn_arg_count(struct pn_call *call, unsigned i, size_t *out);

varve_word pn_word_u24(uint32_t value);
/** 0, 1 or 2: less, equal, greater. */
varve_word pn_word_order(int order);

#endif
