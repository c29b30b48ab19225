/* SPDX-License-Identifier: MIT */
/* bed.h -- what the checks of placement share: expectations, a heap whose log is kept, and hands, which are mutators
 * that work on a node. All hands of a bed belong to one thread, which is in one place at a time; or one hand to each
 * thread.
 */
#ifndef VARVE_GUEST_BED_H
#define VARVE_GUEST_BED_H

#include <pthread.h>

#include "where.h"

/* ---- expectations: the first that is not met ends the process ---- */

#define STATUS_SKIPPED 77

void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
#define expect(truth, ...) ((truth) ? (void)0 : fail(__VA_ARGS__))

/* All pages are there, and on nodes of the set. */
void expect_on(struct counts counts, uint64_t set, const char *what);
/* Nothing is outside of the set; pages with nothing behind them do not matter. */
void expect_within(struct counts counts, uint64_t set, const char *what);
/* Between these nodes the numbers of pages differ by no more than a region. */
void expect_equal_shares(struct counts counts, uint64_t set, const char *what);

/* From now on every set of nodes that is expected is another one: what looks at nodes must fail. */
void turn_expectations(void);

/* ---- a heap ---- */

#define LOG_LINES 256u

struct bed {
  varve_heap *heap;
  varve_layout cell;
  pthread_mutex_t lock;
  unsigned lines;
  struct {
    int level;
    char text[240];
  } log[LOG_LINES];
};

/* Options of all beds: parallel collections of small heaps, and no spinning, for there may be more processors than the
 * host of a guest has. */
#define BED_OPTIONS "parallel-min=0,spin=50,log=1"

/* A heap with BED_OPTIONS and more. */
void bed_open(struct bed *bed, const char *format, ...) __attribute__((format(printf, 2, 3)));
void bed_close(struct bed *bed);
/* Lines of the log at levels 0 and 1, but for those about a collection, that contain both texts, in any case. */
unsigned bed_said(struct bed *bed, const char *text, const char *other);
/* Figures of a node by the system's number; false: it is not the heap's. */
bool bed_node(const struct bed *bed, unsigned node, varve_node_stats *out);

/* ---- hands ---- */

#define ANYWHERE NODES_MAX

struct hand {
  struct bed *bed;
  varve_mutator *me;
  unsigned node;                        /* ANYWHERE: not pinned */
  varve_handle *small, *medium, *large; /* chains of cells */
};

/* Objects of each size; the next one of the chain, then zeroes. */
struct cell {
  varve_object head;
  varve_word next;
};

/* Pin this thread to the node and attach. */
void hand_open(struct hand *hand, struct bed *bed, unsigned node);
void hand_close(struct hand *hand);
/* Leave for another hand of the same thread; come back. */
void hand_leave(struct hand *hand);
void hand_enter(struct hand *hand);

/* Put one more object in front of a chain. @return false: no memory. */
bool hand_grow(struct hand *hand, varve_handle *chain, size_t bytes);
/* So many of them; all must succeed. */
void hand_add(struct hand *hand, varve_handle *chain, size_t count, size_t bytes);
/* Garbage, `count` objects. */
void hand_waste(struct hand *hand, size_t count, size_t bytes);
/* Small, medium and large objects of about 3 MiB in all. */
void hand_fill(struct hand *hand);
/* Until the chain has so many bytes or there is no memory. @return the bytes. */
size_t hand_grow_to(struct hand *hand, varve_handle *chain, size_t limit, size_t bytes);

/* Those of the objects of a chain that begins with this word, at most `length` of them. */
void pages_of(struct pages *pages, varve_word first, size_t length);
/* Pages of the `length` newest objects of a chain. */
struct counts pages_of_chain(varve_handle *chain, size_t length);
#define ALL SIZE_MAX

/* Collect with all workers, so that they are started and pinned, and verify. */
void hand_collect(struct hand *hand);
void hand_verify(struct hand *hand);

#endif
