/* SPDX-License-Identifier: MIT */
/* native.c -- the table of natives, their way of reading arguments and of failing, and the ones of no other kind. */
#include "native.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "number.h"

#define PN_NATIVE(name, arity, slow, function, help) pn_native_fn function;
#include "natives.def"
#undef PN_NATIVE

const struct pn_native pn_natives[] = {
#define PN_NATIVE(name, arity, slow, function, help) {name, arity, slow, function, help},
#include "natives.def"
#undef PN_NATIVE
};
const unsigned pn_native_count = sizeof pn_natives / sizeof *pn_natives;

int pn_native_find(const char *name, size_t length) {
  for (unsigned i = 0; i < pn_native_count; ++i)
    if (strlen(pn_natives[i].name) == length && memcmp(pn_natives[i].name, name, length) == 0) return (int)i;
  return -1;
}

/* The first message stands: later ones are consequences. */
varve_word pn_call_fail(struct pn_call *call, const char *format, ...) {
  if (call->error[0]) return 0;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(call->error, sizeof call->error, format, arguments);
  va_end(arguments);
  return 0;
}

varve_word pn_call_no_heap(struct pn_call *call) {
  return pn_call_fail(call, "the heap is too small: %s",
                      varve_status_sentence(varve_mutator_status(call->mutator)));
}

varve_word pn_call_no_memory(struct pn_call *call) {
  return pn_call_fail(call, "no host memory was left for scratch space");
}

static void *wrong_kind(struct pn_call *call, unsigned i, const char *wanted) {
  pn_call_fail(call, "argument %u must be %s, not %s", i + 1, wanted, pn_word_kind(call->layouts, call->arg[i]));
  return NULL;
}

struct pn_integer *pn_arg_integer(struct pn_call *call, unsigned i) {
  struct pn_integer *integer = pn_as_integer(call->layouts, call->arg[i]);
  return integer ? integer : wrong_kind(call, i, "an exact integer");
}

struct pn_string *pn_arg_string(struct pn_call *call, unsigned i) {
  struct pn_string *string = pn_as_string(call->layouts, call->arg[i]);
  return string ? string : wrong_kind(call, i, "a string");
}

struct pn_array *pn_arg_array(struct pn_call *call, unsigned i) {
  struct pn_array *array = pn_as_array(call->layouts, call->arg[i]);
  return array ? array : wrong_kind(call, i, "an array");
}

bool pn_arg_count(struct pn_call *call, unsigned i, size_t *out) {
  varve_word word = call->arg[i];
  bool number = pn_kind_of(word) == PN_IMMEDIATE && pn_type_of(word) == PN_NUM;
  pn_num value = (pn_num)pn_payload(word);
  if (!number || (pn_num_type(value) != PN_U24 && pn_num_type(value) != PN_I24))
    return wrong_kind(call, i, "a number of 24 bits") != NULL;
  if (pn_num_type(value) == PN_I24 && pn_num_signed(value) < 0)
    return pn_call_fail(call, "argument %u must not be negative, but is %d", i + 1, pn_num_signed(value)), false;
  *out = pn_num_bits(value);
  return true;
}

varve_word pn_word_u24(uint32_t value) { return pn_immediate(PN_NUM, pn_num_u24(value)); }

varve_word pn_word_order(int order) { return pn_word_u24(order < 0 ? 0 : order == 0 ? 1 : 2); }

varve_word pn_first(struct pn_call *call) { return call->arg[0]; }

/* On an unpinned thread the sleep is in native state, so collections go on without it; a pool worker does not sleep. */
varve_word pn_nap(struct pn_call *call) {
  size_t milliseconds;
  if (!pn_arg_count(call, 0, &milliseconds)) return 0;
  if (!call->may_block) return call->arg[1];
  struct timespec time = {(time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000};
  varve_native_enter(call->mutator);
  nanosleep(&time, NULL);
  varve_native_leave(call->mutator);
  return call->arg[1];
}
