/* SPDX-License-Identifier: MIT */
/* native_array.c -- arrays of words. An update copies the array: objects do not change once they are published. */
#include "native.h"

varve_word pn_array_make(struct pn_call *call) {
  size_t count;
  if (!pn_arg_count(call, 0, &count)) return 0;
  struct pn_array *array = pn_array_new(call->mutator, call->layouts, count);
  if (!array) return pn_call_no_heap(call);
  for (size_t i = 0; i < count; ++i) varve_init(call->mutator, array, &array->item[i], call->arg[1]);
  return varve_tag(array, PN_VALUE);
}

static bool item_index(struct pn_call *call, size_t *index) {
  const struct pn_array *array = pn_arg_array(call, 0);
  if (!array || !pn_arg_count(call, 1, index)) return false;
  if (*index < array->length) return true;
  pn_call_fail(call, "item %zu of an array of %zu", *index, (size_t)array->length);
  return false;
}

varve_word pn_array_get(struct pn_call *call) {
  size_t index;
  if (!item_index(call, &index)) return 0;
  return varve_load(&pn_as_array(call->layouts, call->arg[0])->item[index]);
}

varve_word pn_array_set(struct pn_call *call) {
  size_t index;
  if (!item_index(call, &index)) return 0;
  size_t length = pn_as_array(call->layouts, call->arg[0])->length;
  struct pn_array *copy = pn_array_new(call->mutator, call->layouts, length);
  if (!copy) return pn_call_no_heap(call);
  const struct pn_array *array = pn_as_array(call->layouts, call->arg[0]);
  varve_init_bulk(call->mutator, copy, copy->item, array->item, length);
  varve_init(call->mutator, copy, &copy->item[index], call->arg[2]);
  return varve_tag(copy, PN_VALUE);
}

varve_word pn_array_size(struct pn_call *call) {
  const struct pn_array *array = pn_arg_array(call, 0);
  if (!array) return 0;
  if (array->length > 0xffffff) return pn_call_fail(call, "the size does not fit 24 bits");
  return pn_word_u24((uint32_t)array->length);
}
