/* SPDX-License-Identifier: MIT */
/* shade.h -- what a memory checker is told about heap memory.
 *
 * Built with the CMake option VARVE_SHADE=valgrind (for programs run under memcheck) or =address (for programs built
 * with AddressSanitizer). Otherwise nothing here makes an instruction.
 *
 *   Between pauses  an object is accessible from its allocation on; all other memory of the heap is not. Each
 *                   allocation takes the slow half, which shows the object: a host needs no definition of its own.
 *   In a pause      what was an object at its beginning stays accessible, also to a parser of dead ones. A place that
 *                   something is moved to is shown before. Moved words stay as defined as they were.
 *   At its end      what is not marked is hidden (core/shade.c). M1: all objects are marked then.
 */
#ifndef VARVE_BASE_SHADE_H
#define VARVE_BASE_SHADE_H

#include <stddef.h>
#include <stdint.h>

#if defined(VARVE_SHADE_VALGRIND)
#include <valgrind/memcheck.h>
#define VARVE_SHADED 1
#define SHADE_HIDE(at, bytes) (void)VALGRIND_MAKE_MEM_NOACCESS(at, bytes)
#define SHADE_SHOW(at, bytes) (void)VALGRIND_MAKE_MEM_UNDEFINED(at, bytes)
#define SHADE_KNOW(at, bytes) (void)VALGRIND_MAKE_MEM_DEFINED(at, bytes)
#elif defined(VARVE_SHADE_ADDRESS)
#include <sanitizer/asan_interface.h>
#define VARVE_SHADED 1
#define SHADE_HIDE(at, bytes) __asan_poison_memory_region((void *)(at), bytes)
#define SHADE_SHOW(at, bytes) __asan_unpoison_memory_region((void *)(at), bytes)
#define SHADE_KNOW(at, bytes) (void)(at), (void)(bytes)
#else
#define VARVE_SHADED 0
#define SHADE_HIDE(at, bytes) (void)(at), (void)(bytes)
#define SHADE_SHOW(at, bytes) (void)(at), (void)(bytes)
#define SHADE_KNOW(at, bytes) (void)(at), (void)(bytes)
#endif

/* No access from now on. */
static inline void shade_hide(uint64_t address, size_t bytes) {
  if (bytes) SHADE_HIDE(address, bytes);
}

/* Accessible, of no defined contents. */
static inline void shade_show(uint64_t address, size_t bytes) {
  if (bytes) SHADE_SHOW(address, bytes);
}

/* Of a local: whether it was defined does not matter. */
static inline void shade_know(uint64_t *local) { SHADE_KNOW(local, sizeof *local); }

/* Show where `bytes` from `from` are going to, without what they are still in. */
static inline void shade_show_target(uint64_t to, size_t bytes, uint64_t from) {
  uint64_t end = to + bytes;
  if (to < from) shade_show(to, (from < end ? from : end) - to);
  uint64_t behind = from + bytes > to ? from + bytes : to;
  if (end > behind) shade_show(behind, end - behind);
}

#endif
