/* SPDX-License-Identifier: MIT */
/* ffi.c -- the inline functions, out of line. The allocating twins round to the heap's granule, which their callers'
 * VARVE_GRANULE need not match; a size that is rounded to 16 is rounded to 8 as well, so the inline path does the rest.
 */
#include "varve/ffi.h"

#include "core/heap.h"
#include "varve/alloc.h"
#include "varve/mutator.h"
#include "varve/narrow.h"
#include "varve/pin.h"
#include "varve/root.h"
#include "varve/store.h"

varve_status varve_ffi_attach(varve_heap *heap, const char *name, varve_mutator **out, varve_error *error) {
  return varve_mutator_attach(heap, name, 0, out, error);
}

void varve_ffi_poll(varve_mutator *mutator) { varve_poll(mutator); }

/* ---- allocation -------------------------------------------------------------------------------------------- */

/* Sizes that rounding could turn into 0 or take past the top of the address space go the slow way. */
static bool is_small(size_t bytes) { return bytes - 1 < VARVE_SMALL_MAX; }

static size_t round_to_granule(const varve_mutator *mutator, size_t bytes) {
  return bits_round_up(bytes, mutator->heap->options.granule);
}

void *varve_ffi_alloc(varve_mutator *mutator, varve_layout layout, size_t bytes) {
  if (VARVE_UNLIKELY(!is_small(bytes))) return varve_alloc_slow(mutator, layout, bytes);
  return varve_alloc(mutator, layout, round_to_granule(mutator, bytes));
}

void *varve_ffi_alloc_uninit(varve_mutator *mutator, varve_layout layout, size_t bytes) {
  if (VARVE_UNLIKELY(!is_small(bytes))) return varve_alloc_uninit_slow(mutator, layout, bytes);
  return varve_alloc_uninit(mutator, layout, round_to_granule(mutator, bytes));
}

/* ---- objects and words ------------------------------------------------------------------------------------- */

size_t varve_ffi_object_bytes(const varve_object *object) { return varve_object_bytes(object); }
varve_layout varve_ffi_object_layout(const varve_object *object) { return varve_object_layout(object); }
uint8_t varve_ffi_host_byte(const varve_object *object) { return varve_host_byte(object); }
void varve_ffi_set_host_byte(varve_object *object, uint8_t value) { varve_set_host_byte(object, value); }
varve_object *varve_ffi_untag(varve_word word) { return varve_untag(word); }
varve_word varve_ffi_tag(const void *object, unsigned tag) { return varve_tag(object, tag); }

/* ---- stores ------------------------------------------------------------------------------------------------ */

void varve_ffi_store(varve_mutator *mutator, void *object, varve_word *slot, varve_word word) {
  varve_store(mutator, object, slot, word);
}

void varve_ffi_remember(varve_mutator *mutator, void *object, varve_word *slot) {
  varve_barrier(mutator, object, slot);
}

void varve_ffi_ref_note(varve_refs *refs, const varve_word *slot) { varve_ref_note(refs, slot); }

void varve_ffi_init(varve_mutator *mutator, void *object, varve_word *slot, varve_word word) {
  varve_init(mutator, object, slot, word);
}

varve_word varve_ffi_load(const varve_word *slot) { return varve_load(slot); }
varve_word varve_ffi_ref_load(const varve_word *slot) { return varve_ref_load(slot); }

void varve_ffi_ref_store(varve_mutator *mutator, varve_refs *refs, varve_word *slot, varve_word word) {
  varve_ref_store(mutator, refs, slot, word);
}

varve_word varve_ffi_ref_exchange(varve_mutator *mutator, varve_refs *refs, varve_word *slot, varve_word word) {
  return varve_ref_exchange(mutator, refs, slot, word);
}

bool varve_ffi_ref_cas(varve_mutator *mutator, varve_refs *refs, varve_word *slot, varve_word *expected,
                       varve_word word) {
  return varve_ref_cas(mutator, refs, slot, expected, word);
}

/* ---- narrow words ------------------------------------------------------------------------------------------ */

varve_status varve_ffi_narrow_coding_get(const varve_heap *heap, varve_narrow_coding *out) {
  return varve_narrow_coding_of(heap, 0, out);
}

/* The granule is the coding's, not this file's. */
varve_narrow varve_ffi_narrow_tag(const varve_narrow_coding *coding, const void *object, unsigned tag) {
  return (varve_narrow)(((uintptr_t)object - coding->base) >> coding->shift) << coding->tag_bits | tag;
}

varve_object *varve_ffi_narrow_untag(const varve_narrow_coding *coding, varve_narrow word) {
  return (varve_object *)(uintptr_t)(coding->base + ((uint64_t)(word >> coding->tag_bits) << coding->shift));
}

unsigned varve_ffi_narrow_tag_of(const varve_narrow_coding *coding, varve_narrow word) {
  return varve_narrow_tag_of(coding, word);
}

void varve_ffi_store_narrow(varve_mutator *mutator, void *object, varve_narrow *slot, varve_narrow word) {
  varve_store_narrow(mutator, object, slot, word);
}

void varve_ffi_init_narrow(varve_mutator *mutator, void *object, varve_narrow *slot, varve_narrow word) {
  varve_init_narrow(mutator, object, slot, word);
}

varve_narrow varve_ffi_load_narrow(const varve_narrow *slot) { return varve_load_narrow(slot); }
varve_narrow varve_ffi_ref_load_narrow(const varve_narrow *slot) { return varve_ref_load_narrow(slot); }

void varve_ffi_ref_store_narrow(varve_mutator *mutator, varve_refs *refs, varve_narrow *slot, varve_narrow word) {
  varve_ref_store_narrow(mutator, refs, slot, word);
}

varve_narrow varve_ffi_ref_exchange_narrow(varve_mutator *mutator, varve_refs *refs, varve_narrow *slot,
                                           varve_narrow word) {
  return varve_ref_exchange_narrow(mutator, refs, slot, word);
}

bool varve_ffi_ref_cas_narrow(varve_mutator *mutator, varve_refs *refs, varve_narrow *slot, varve_narrow *expected,
                              varve_narrow word) {
  return varve_ref_cas_narrow(mutator, refs, slot, expected, word);
}

/* ---- frames ------------------------------------------------------------------------------------------------ */

void varve_ffi_frame_push(varve_mutator *mutator, varve_frame *frame, size_t count) {
  varve_frame_push(mutator, frame, count);
}

void varve_ffi_frame_pop(varve_mutator *mutator, varve_frame *frame) { varve_frame_pop(mutator, frame); }

void varve_ffi_pinned_push(varve_mutator *mutator, varve_frame *frame, size_t count) {
  varve_pinned_push(mutator, frame, count);
}

void varve_ffi_pinned_pop(varve_mutator *mutator, varve_frame *frame) { varve_pinned_pop(mutator, frame); }
void varve_ffi_derived_push(varve_mutator *mutator, varve_derived *pair) { varve_derived_push(mutator, pair); }
void varve_ffi_derived_pop(varve_mutator *mutator, varve_derived *pair) { varve_derived_pop(mutator, pair); }
