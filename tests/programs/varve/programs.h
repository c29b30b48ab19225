/* SPDX-License-Identifier: MIT */
/* programs.h -- what the programs on Varve share: allocation that does not return without an object, payloads, arrays.
 * They see the public headers only.
 *
 * Both allocating functions are safepoints. What a program needs afterwards is in a frame; an object's address is used
 * up to the next safepoint and not beyond.
 */
#ifndef VARVE_PROGRAMS_PROGRAMS_H
#define VARVE_PROGRAMS_PROGRAMS_H

#include <varve/varve.h>

#include "harness.h"

struct payload {
  varve_object head; /* its host byte: how many bytes of the last word are not used */
  unsigned char bytes[];
};

struct array {
  varve_object head;
  varve_word at[];
};

/* A binary tree of less depth is read between two safepoints: some 20 microseconds. */
#define POLL_DEPTH 12

extern varve_layout layout_payload, layout_array;

/* Each program has one of these: it registers its layouts and shared roots, once for a heap. */
typedef void prepare_fn(varve_heap *heap);
prepare_fn binary_trees_prepare, gcbench_prepare, quad_trees_prepare, lru_prepare, graph_prepare, queue_prepare,
  sessions_prepare, phases_prepare, rewire_prepare, pipeline_prepare;

void register_layout(varve_heap *heap, const varve_layout_desc *desc, varve_layout *out);
/* Of a struct whose references come first, at most four of them. */
void register_struct(varve_heap *heap, const char *name, size_t references, bool immutable, varve_layout *out);
_Noreturn void no_memory(varve_mutator *me, size_t bytes);

/* With --live: collect, now that most is live. */
void peak(varve_mutator *me);

/* The caller initialises every slot before its next safepoint. */
static inline void *take(varve_mutator *me, varve_layout layout, size_t bytes) {
  void *object = varve_alloc_uninit(me, layout, bytes);
  if (VARVE_UNLIKELY(!object)) no_memory(me, bytes);
  return object;
}

static inline struct payload *take_payload(varve_mutator *me, size_t length) {
  struct payload *payload = take(me, layout_payload, sizeof *payload + length);
  varve_set_host_byte(&payload->head, (uint8_t)(-length & 7));
  return payload;
}

static inline size_t payload_length(const struct payload *payload) {
  return varve_object_bytes(&payload->head) - sizeof *payload - varve_host_byte(&payload->head);
}

/* An array of nulls. */
varve_word take_array(varve_mutator *me, size_t count);

static inline struct array *array_of(varve_word word) { return (struct array *)varve_untag(word); }

static inline void array_store(varve_mutator *me, varve_word array, size_t index, varve_word word) {
  varve_store(me, array_of(array), &array_of(array)->at[index], word);
}

#endif
