/* SPDX-License-Identifier: MIT */
/* types.h -- the words every other header uses.
 *
 *   word     64 bits in a slot: a tagged reference to an object, or anything else (null, an immediate, ...).
 *            Which of the eight patterns of the low three bits mean "reference" is set per heap (options.h).
 *   object   8-byte header, then the payload. A reference is the address of the header plus tag bits.
 *   slot     the address of a word that the collector reads and rewrites.
 *
 * Every function with external linkage starts with varve_, every macro with VARVE_.
 */
#ifndef VARVE_TYPES_H
#define VARVE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VARVE_VERSION_MAJOR 0
#define VARVE_VERSION_MINOR 1
#define VARVE_VERSION_PATCH 0

#if defined(__GNUC__)
#define VARVE_API __attribute__((visibility("default")))
#define VARVE_MUST_USE __attribute__((warn_unused_result))
#define VARVE_LIKELY(x) __builtin_expect(!!(x), 1)
#define VARVE_UNLIKELY(x) __builtin_expect(!!(x), 0)
#else
#error "Varve needs gcc or clang: it relies on their __atomic builtins and attributes"
#endif

#ifdef __cplusplus
#define VARVE_BEGIN extern "C" {
#define VARVE_END }
#else
#define VARVE_BEGIN
#define VARVE_END
#endif

VARVE_BEGIN

/** A reference word: a tagged reference, or a word that the collector leaves alone. */
typedef uint64_t varve_word;

/** The same in 32 bits, in heaps that ask for it: see narrow.h. */
typedef uint32_t varve_narrow;

/** Every object starts with this header; a host puts it first in its own structs.
 *
 *    bits  0..7   flags of the collector; changed only by byte-wide atomics after publication
 *    bits  8..15  the host byte: free for the host, never read by the collector
 *    bits 16..31  layout id
 *    bits 32..63  size in 8-byte words, header included
 *
 *  It is written once, by allocation. Afterwards nobody stores the whole word again. */
typedef struct varve_object {
  uint64_t header;
} varve_object;

typedef struct varve_heap varve_heap;         /* one heap; heaps share nothing */
typedef struct varve_mutator varve_mutator;   /* one attached thread; see mutator.h */
typedef struct varve_visitor varve_visitor;   /* given to trace functions and root callbacks */
typedef struct varve_refs varve_refs;         /* a set of Ref words: a Ref slab or a Ref array */
typedef struct varve_handle varve_handle;     /* one persistent handle */

/** A layout id of one heap, 1..65535. 0 is never a layout. */
typedef uint32_t varve_layout;

typedef enum varve_status {
#define VARVE_STATUS(name, sentence) VARVE_##name,
#include "varve/status.def"
#undef VARVE_STATUS
  VARVE_STATUS_COUNT
} varve_status;

/** What went wrong, in detail. Calls that can fail during set-up take a pointer to one; NULL is allowed. Need not be
 *  initialised: written when the call fails, and only then. */
typedef struct varve_error {
  varve_status status;
  char detail[248]; /* names the option, layout, slot or errno; empty when there is nothing to add */
} varve_error;

/** The sentence that belongs to a status. Never NULL. Any thread, any time. */
VARVE_API const char *varve_status_sentence(varve_status status);

VARVE_END
#endif
