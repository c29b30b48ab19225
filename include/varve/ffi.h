/* SPDX-License-Identifier: MIT */
/* ffi.h -- an out-of-line twin of every inline function, for callers that cannot use C inlines (foreign-function
 * interfaces, compiled code's slow calls). Same contracts; the twins take the heap's granule at run time. */
#ifndef VARVE_FFI_H
#define VARVE_FFI_H

#include "varve/abi.h"
#include "varve/narrow.h"
#include "varve/types.h"

VARVE_BEGIN

VARVE_API varve_status varve_ffi_attach(varve_heap *heap, const char *name, varve_mutator **out, varve_error *error);
VARVE_API void varve_ffi_poll(varve_mutator *mutator);
VARVE_API void *varve_ffi_alloc(varve_mutator *mutator, varve_layout layout, size_t bytes);
VARVE_API void *varve_ffi_alloc_uninit(varve_mutator *mutator, varve_layout layout, size_t bytes);
VARVE_API size_t varve_ffi_object_bytes(const varve_object *object);
VARVE_API varve_layout varve_ffi_object_layout(const varve_object *object);
VARVE_API uint8_t varve_ffi_host_byte(const varve_object *object);
VARVE_API void varve_ffi_set_host_byte(varve_object *object, uint8_t value);
VARVE_API varve_object *varve_ffi_untag(varve_word word);
VARVE_API varve_word varve_ffi_tag(const void *object, unsigned tag);
VARVE_API void varve_ffi_store(varve_mutator *mutator, void *object, varve_word *slot, varve_word word);
VARVE_API void varve_ffi_remember(varve_mutator *mutator, void *object, varve_word *slot);
VARVE_API void varve_ffi_ref_note(varve_refs *refs, const varve_word *slot);
VARVE_API void varve_ffi_init(varve_mutator *mutator, void *object, varve_word *slot, varve_word word);
VARVE_API varve_word varve_ffi_load(const varve_word *slot);
VARVE_API varve_word varve_ffi_ref_load(const varve_word *slot);
VARVE_API void varve_ffi_ref_store(varve_mutator *mutator, varve_refs *refs, varve_word *slot, varve_word word);
VARVE_API varve_word varve_ffi_ref_exchange(varve_mutator *mutator, varve_refs *refs, varve_word *slot,
                                            varve_word word);
VARVE_API bool varve_ffi_ref_cas(varve_mutator *mutator, varve_refs *refs, varve_word *slot, varve_word *expected,
                                 varve_word word);
VARVE_API varve_status varve_ffi_narrow_coding_get(const varve_heap *heap, varve_narrow_coding *out);
VARVE_API varve_narrow varve_ffi_narrow_tag(const varve_narrow_coding *coding, const void *object, unsigned tag);
VARVE_API varve_object *varve_ffi_narrow_untag(const varve_narrow_coding *coding, varve_narrow word);
VARVE_API unsigned varve_ffi_narrow_tag_of(const varve_narrow_coding *coding, varve_narrow word);
VARVE_API void varve_ffi_store_narrow(varve_mutator *mutator, void *object, varve_narrow *slot, varve_narrow word);
VARVE_API void varve_ffi_init_narrow(varve_mutator *mutator, void *object, varve_narrow *slot, varve_narrow word);
VARVE_API varve_narrow varve_ffi_load_narrow(const varve_narrow *slot);
VARVE_API varve_narrow varve_ffi_ref_load_narrow(const varve_narrow *slot);
VARVE_API void varve_ffi_ref_store_narrow(varve_mutator *mutator, varve_refs *refs, varve_narrow *slot,
                                          varve_narrow word);
VARVE_API varve_narrow varve_ffi_ref_exchange_narrow(varve_mutator *mutator, varve_refs *refs, varve_narrow *slot,
                                                     varve_narrow word);
VARVE_API bool varve_ffi_ref_cas_narrow(varve_mutator *mutator, varve_refs *refs, varve_narrow *slot,
                                        varve_narrow *expected, varve_narrow word);
VARVE_API void varve_ffi_frame_push(varve_mutator *mutator, varve_frame *frame, size_t count);
VARVE_API void varve_ffi_frame_pop(varve_mutator *mutator, varve_frame *frame);
VARVE_API void varve_ffi_pinned_push(varve_mutator *mutator, varve_frame *frame, size_t count);
VARVE_API void varve_ffi_pinned_pop(varve_mutator *mutator, varve_frame *frame);
VARVE_API void varve_ffi_derived_push(varve_mutator *mutator, struct varve_derived *pair);
VARVE_API void varve_ffi_derived_pop(varve_mutator *mutator, struct varve_derived *pair);

VARVE_END
#endif
