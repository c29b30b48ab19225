/* SPDX-License-Identifier: MIT */
/* bed.h -- a heap whose objects are known, and calls that may fail only when something that they need did.
 *
 * Idea       Lists of cells hang from a frame; each cell has a number that follows from its list and place, and a
 *            payload of a size and content that follow from the number. So all of it can be checked without a copy.
 *            Every call of the library goes through may_fail: a status other than VARVE_OK must be one that the header
 *            names, must come with a detail, and only while a call to the system has failed. Then the call is tried
 *            again, and succeeds, unless failures last.
 * Called by  scenarios.c, driver.c. A failed check ends the process, with a message that names the call.
 */
#ifndef VARVE_TESTS_FAULT_BED_H
#define VARVE_TESTS_FAULT_BED_H

#include <stdbool.h>
#include <stdint.h>

#include "fault/inject.h"
#include "varve/varve.h"

#define LISTS 16u

struct cell {
  varve_object header;
  uint64_t number;
  varve_word next, payload;
};

struct bed {
  varve_heap *heap;
  varve_mutator *me;
  varve_layout cell, data;
  struct {
    varve_frame head;
    varve_word list[LISTS], scratch[4];
  } frame;
  uint64_t length[LISTS];
  uint64_t refused; /* calls that have failed as they may */
};

/* Print and end the process. */
_Noreturn void bed_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Statuses, as a set. */
#define ONLY(status) (1u << (status))

/* What a call that may fail is judged by. */
struct trial {
  struct bed *bed;
  const char *what;
  unsigned allowed;
  bool explains; /* it fills the error */
  unsigned tries;
  uint64_t fired;
  varve_error error;
};
struct trial trial_begin(struct bed *bed, const char *what, unsigned allowed, bool explains);
/* @return true: try again. */
bool trial_again(struct trial *trial, varve_status status);

/* Evaluate `call`, a status, until it is VARVE_OK or failures last. Its error, if it takes one, is `error`. The value:
 * did it succeed? */
#define MAY_FAIL(bed_, allowed_, call)                                                  \
  __extension__({                                                                                    \
    struct trial trial_ = trial_begin((bed_), #call, (allowed_), true);                 \
    varve_error *error = &trial_.error;                                                 \
    varve_status status_;                                                               \
    do status_ = (call);                                                                \
    while (trial_again(&trial_, status_));                                              \
    status_ == VARVE_OK;                                                                \
  })
/* The same for calls that say no more than whether they succeeded. */
#define MAY_REFUSE(bed_, call)                                                          \
  __extension__({                                                                                    \
    struct trial trial_ = trial_begin((bed_), #call, ONLY(VARVE_METADATA), false);      \
    bool done_;                                                                         \
    do done_ = (call);                                                                  \
    while (trial_again(&trial_, done_ ? VARVE_OK : VARVE_METADATA));                    \
    done_;                                                                              \
  })
/* A call that needs nothing of the system. */
#define MUST(condition) ((condition) ? (void)0 : bed_fail("%s", #condition))

/* A heap with options, a mutator, two layouts. @return false: one of them failed for good, and nothing is left. */
bool bed_open(struct bed *bed, const char *options);
bool bed_open_options(struct bed *bed, const varve_options *options);

/* An object with `bytes` in all. NULL: no memory, for good. Full heaps are allowed when `full`. */
void *bed_alloc(struct bed *bed, varve_layout layout, uint64_t bytes, bool full);
/* Put cells in front of a list; payloads of up to `bytes`. @return how many there was memory for. */
uint64_t bed_grow(struct bed *bed, unsigned list, uint64_t cells, uint64_t bytes, bool full);
void bed_drop(struct bed *bed, unsigned list);
/* Are all lists as they were made? */
void bed_check(struct bed *bed);
void bed_collect(struct bed *bed);

/* Failures are over: everything is as it was and works, and the heap ends. */
void bed_close(struct bed *bed);

/* ---- the scenarios ---- */

struct scenario {
  const char *name;
  void (*run)(void);
  bool quick; /* it is in the quick run */
};
extern const struct scenario scenarios[];
extern const unsigned scenario_count;

#endif
