/* SPDX-License-Identifier: MIT */
/* options.h -- what a heap can be told at creation, and part of it later (varve_heap_set). The table is options.def. */
#ifndef VARVE_OPTIONS_H
#define VARVE_OPTIONS_H

#include "varve/stats.h"
#include "varve/types.h"

VARVE_BEGIN

/** Receives one line of text without a newline. Called by any thread of the heap; must not touch the heap.
 *  level: 0 error, 1 collection, 2 phase, 3 detail. May be called in a pause: takes no lock that a mutator can hold
 *  at a safepoint. */
typedef void varve_log_fn(void *context, int level, const char *line);

/** Called at the end of every collection by the thread that requested it, with the world still stopped.
 *  May read the figures and memory outside the heap; must not call the library. */
typedef void varve_collection_fn(void *context, const varve_collection_stats *stats);

/** Called after a collection by the thread that requested it, as a running mutator, at the place that has collected: an
 *  allocation or varve_collect. The world runs. May do what a running mutator may at a safepoint: load and store,
 *  allocate, pin, collect; collections that it causes itself do not call it again. Other threads may be in it at the
 *  same time, and other collections may have followed; a place to rebuild tables by address needs to ask no more often
 *  than the number in the figures changes. Cannot detach (VARVE_BUSY), and does not return in native state. */
typedef void varve_after_fn(void *context, varve_mutator *mutator, const varve_collection_stats *stats);

/** The values of huge_pages, in the order of their names in options.def. */
enum varve_huge_pages { VARVE_HUGE_OFF, VARVE_HUGE_TRANSPARENT, VARVE_HUGE_EXPLICIT };

/** The values of heap_sizing, in the order of their names in options.def. */
enum varve_heap_sizing { VARVE_SIZING_GROWTH, VARVE_SIZING_ADAPTIVE, VARVE_SIZING_FIXED };

typedef struct varve_options {
  size_t size; /* sizeof(varve_options), set by varve_options_init */
#define VARVE_SIZE(field, name, def, min, max, when, help) uint64_t field;
#define VARVE_COUNT(field, name, def, min, max, when, help) uint32_t field;
#define VARVE_CHOICE(field, name, def, choices, when, help) uint32_t field;
#include "varve/options.def"
#undef VARVE_SIZE
#undef VARVE_COUNT
#undef VARVE_CHOICE
  varve_log_fn *log;                  /* NULL: lines go to stderr */
  varve_collection_fn *on_collection; /* NULL: nobody is told */
  varve_after_fn *after_collection;   /* NULL: nobody is called */
  void *context;                      /* handed to all three */
} varve_options;

/** Set every option to its default. */
VARVE_API void varve_options_init(varve_options *options);

/** Apply a list such as "heap-max=512m,workers=2". Nothing is changed unless the whole list is right.
 *  @return VARVE_OPTION when a name is unknown or a value malformed or out of range; the detail names it. */
VARVE_API varve_status varve_options_parse(varve_options *options, const char *text, varve_error *error);

/** Write the table of options: name, default, range, meaning; one line each, through `line`. */
VARVE_API void varve_options_help(void (*line)(void *context, const char *text), void *context);

/** Write "name=value,..." for the options as they stand. @return the length the whole text needs. */
VARVE_API size_t varve_options_print(const varve_options *options, char *buffer, size_t capacity);

VARVE_END
#endif
