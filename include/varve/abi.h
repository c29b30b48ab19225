/* SPDX-License-Identifier: MIT */
/* abi.h -- what compiled code may depend on: the head of the mutator, the header word, the fast paths.
 *
 * Allocation, in the terms of a code generator, for `size` a multiple of the granule, 8 <= size <= 2048:
 *
 *     at   = load64 [mutator + VARVE_ABI_CURSOR]
 *     next = at + size
 *     if next > load64 [mutator + VARVE_ABI_LIMIT] (unsigned): call varve_ffi_alloc_uninit(mutator, layout, size)
 *     store64 [mutator + VARVE_ABI_CURSOR], next
 *     store64 [at], VARVE_ABI_HEADER(layout, size)
 *     initialise every slot before the next safepoint; the object is at `at`
 *
 * Poll:  if load64 [mutator + VARVE_ABI_LIMIT] == 0: call varve_ffi_poll(mutator)
 *
 * Store into a slot of a published object, with ages (without, a plain store will do):
 *     if not (load8 [object] & VARVE_ABI_FLAG_NO_LOG): call varve_ffi_remember(mutator, object, slot)
 *     store64 [slot], word
 *
 * Narrow words (narrow.h), with constants from varve_narrow_coding_of:
 *     object = base + (zero-extended word >> tag_bits << shift)
 * Stores are store32 behind the same test.
 *
 * Only the mutator's own thread touches the cursor. The limit is also written by a thread that stops the world:
 * it becomes 0 ("the poke"), so that the next allocation or poll goes the slow way. Compiled code reads it with
 * one relaxed 64-bit load and never writes it.
 */
#ifndef VARVE_ABI_H
#define VARVE_ABI_H

#include "varve/types.h"

VARVE_BEGIN

/** A linked set of slots on the C stack; see root.h for the macros that make one. */
typedef struct varve_frame {
  struct varve_frame *previous;
  size_t count;              /* words that follow this struct directly */
} varve_frame;

/** The head of a mutator. What follows it is private. */
struct varve_mutator {
  uintptr_t cursor;     /* next free byte of the TLAB */
  uintptr_t limit;      /* end of the TLAB; 0: stop requested; never another value below a real address but 8 */
  varve_frame *frames;  /* innermost frame; NULL: none */
  varve_heap *heap;
  void *host;           /* for the host; NULL at attach */
  ptrdiff_t store_log;  /* distance from a slot to its entry in the store log; 0: no log */
  varve_frame *pinned;  /* innermost frame whose objects stay in place (pin.h); NULL: none */
  struct varve_derived *derived; /* innermost derived pointer (root.h); NULL: none */
};

#define VARVE_ABI_CURSOR 0
#define VARVE_ABI_LIMIT 8
#define VARVE_ABI_FRAMES 16
#define VARVE_ABI_HOST 32

#define VARVE_ABI_HEADER_LAYOUT_SHIFT 16
#define VARVE_ABI_HEADER_WORDS_SHIFT 32
#define VARVE_ABI_FLAG_NO_LOG 0x01u /* "need not be remembered": every object is born with it */
#define VARVE_ABI_FLAG_LISTED 0x02u /* the library's: an old large array that is remembered, and noted by lines */
#define VARVE_ABI_FLAG_HASHED 0x04u /* the library's: varve_identity_hash was asked for it */

#define VARVE_ABI_FLAG_KEYED 0x80u  /* the library's, in pauses: an ephemeron waits for it; means nothing afterwards */

/** The header of a new object; `bytes` is already a multiple of the granule. */
#define VARVE_ABI_HEADER(layout, bytes)                                                       \
  (((uint64_t)(bytes) >> 3 << VARVE_ABI_HEADER_WORDS_SHIFT) |                                 \
   ((uint64_t)(layout) << VARVE_ABI_HEADER_LAYOUT_SHIFT) | VARVE_ABI_FLAG_NO_LOG)

/** Objects of at most this many bytes are small: the inline path serves them. */
#define VARVE_SMALL_MAX 2048u
/** Objects of at most this many bytes are medium; larger ones live in the large-object space. */
#define VARVE_MEDIUM_MAX (128u * 1024u)
/** No object is larger than this. */
#define VARVE_OBJECT_MAX ((uint64_t)UINT32_MAX * 8u)

/* A host that creates its heaps with granule=16 compiles with -DVARVE_GRANULE=16. */
#ifndef VARVE_GRANULE
#define VARVE_GRANULE 8
#endif
/* A host whose heaps all have ages=0 may compile with -DVARVE_AGES=0: then stores are plain ones. */
#ifndef VARVE_AGES
#define VARVE_AGES 1
#endif
#define VARVE_ROUND(bytes) (((size_t)(bytes) + (VARVE_GRANULE - 1)) & ~(size_t)(VARVE_GRANULE - 1))

#ifdef __cplusplus
#define VARVE_STATIC_ASSERT(x, text) static_assert(x, text)
#else
#define VARVE_STATIC_ASSERT(x, text) _Static_assert(x, text)
#endif

/** The head of a set of Ref words: where a store into one is noted, a byte for about eight words. What follows is
 *  private. The byte of a slot is at  (slot & keep) + table + (offset >> shift)  with  offset = (slot - base) & within;
 *  it is set, if it is not, by a store of 1, before the next safepoint. With an offset of `extent` or more,
 *  varve_ref_note_slow is called instead. */
typedef struct varve_notes {
  uintptr_t keep, base, within;
  uint64_t shift;
  uintptr_t table;
  uintptr_t extent; /* read (acquire) before the table: both grow together */
} varve_notes;

VARVE_STATIC_ASSERT(VARVE_GRANULE == 8 || VARVE_GRANULE == 16, "VARVE_GRANULE is 8 or 16");
VARVE_STATIC_ASSERT(offsetof(varve_mutator, cursor) == VARVE_ABI_CURSOR, "abi: cursor");
VARVE_STATIC_ASSERT(offsetof(varve_mutator, limit) == VARVE_ABI_LIMIT, "abi: limit");
VARVE_STATIC_ASSERT(offsetof(varve_mutator, frames) == VARVE_ABI_FRAMES, "abi: frames");
VARVE_STATIC_ASSERT(offsetof(varve_mutator, host) == VARVE_ABI_HOST, "abi: host");
VARVE_STATIC_ASSERT(sizeof(varve_frame) == 16, "abi: frame");

VARVE_END
#endif
