/* SPDX-License-Identifier: MIT */
/* alloc.h -- allocation. The inline path is one add, one compare and two stores; gcc makes 8 instructions of it.
 *
 * `bytes` counts the header: sizeof the host's struct, or header plus payload. Objects never change size.
 * Both entries return the object's address (untagged), or NULL: then varve_mutator_status says VARVE_HEAP_FULL (the
 * limit stands after an emergency collection; everything reachable is still there, and dropping roots makes
 * allocation work again), VARVE_TOO_LARGE or VARVE_LAYOUT.
 *
 * A size of 0 is taken as that of a header alone.
 *
 * Both are safepoints: objects may move, so every address that is not in a registered root is void afterwards.
 */
#ifndef VARVE_ALLOC_H
#define VARVE_ALLOC_H

#include <string.h>

#include "varve/abi.h"
#include "varve/types.h"

VARVE_BEGIN

/** The slow halves: refill the TLAB, or take a medium or large object; collect when the heap is due. */
VARVE_API VARVE_MUST_USE void *varve_alloc_slow(varve_mutator *mutator, varve_layout layout, size_t bytes);
VARVE_API VARVE_MUST_USE void *varve_alloc_uninit_slow(varve_mutator *mutator, varve_layout layout, size_t bytes);

/** Allocate without initialising. The caller stores every slot of the object (varve_init) before its next
 *  safepoint; other payload bytes may stay as they are, and hold anything. */
static inline VARVE_MUST_USE void *varve_alloc_uninit(varve_mutator *mutator, varve_layout layout, size_t bytes) {
  size_t size = VARVE_ROUND(bytes);
  uintptr_t at = mutator->cursor;
  uintptr_t next = at + size;
  if (VARVE_UNLIKELY(size - 1 >= VARVE_SMALL_MAX || next > __atomic_load_n(&mutator->limit, __ATOMIC_RELAXED)))
    return varve_alloc_uninit_slow(mutator, layout, bytes);
  mutator->cursor = next;
  ((varve_object *)at)->header = VARVE_ABI_HEADER(layout, size);
  return (void *)at;
}

/** Allocate with a payload of zeroes. Zero is a word like others, and no reference: slots may be left as they are. */
static inline VARVE_MUST_USE void *varve_alloc(varve_mutator *mutator, varve_layout layout, size_t bytes) {
  size_t size = VARVE_ROUND(bytes);
  uintptr_t at = mutator->cursor;
  uintptr_t next = at + size;
  if (VARVE_UNLIKELY(size - 1 >= VARVE_SMALL_MAX || next > __atomic_load_n(&mutator->limit, __ATOMIC_RELAXED)))
    return varve_alloc_slow(mutator, layout, bytes);
  mutator->cursor = next;
  ((varve_object *)at)->header = VARVE_ABI_HEADER(layout, size);
  memset((char *)at + sizeof(varve_object), 0, size - sizeof(varve_object));
#ifdef VARVE_STORE_LOG
  if (mutator->store_log) memset((char *)at + mutator->store_log, 0, size);
#endif
  return (void *)at;
}

/** The object's size in bytes, header included, rounded up to the granule (8 unless the host says otherwise): for
 *  objects that are made of words it is exact, and may stand for an array's length. */
static inline size_t varve_object_bytes(const varve_object *object) {
  uint32_t words; /* a load of its own: the flags may be changing */
  memcpy(&words, (const char *)object + VARVE_ABI_HEADER_WORDS_SHIFT / 8, sizeof words);
  return (size_t)words << 3;
}

static inline varve_layout varve_object_layout(const varve_object *object) {
  uint16_t layout;
  memcpy(&layout, (const char *)object + VARVE_ABI_HEADER_LAYOUT_SHIFT / 8, sizeof layout);
  return layout;
}

/** The host byte: 0 at birth, carried along when the object moves. */
static inline uint8_t varve_host_byte(const varve_object *object) {
  return __atomic_load_n((const uint8_t *)object + 1, __ATOMIC_RELAXED);
}

static inline void varve_set_host_byte(varve_object *object, uint8_t value) {
  __atomic_store_n((uint8_t *)object + 1, value, __ATOMIC_RELAXED);
}

/** The object a reference word points to, for a word known to be a reference. */
static inline varve_object *varve_untag(varve_word word) {
  return (varve_object *)(uintptr_t)(word & ~(varve_word)7);
}

/** The reference word for an object, with tag bits (0..7). */
static inline varve_word varve_tag(const void *object, unsigned tag) {
  return (varve_word)(uintptr_t)object | tag;
}

VARVE_END
#endif
