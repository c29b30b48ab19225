/* SPDX-License-Identifier: MIT */
/* worker.h -- one worker of the pool: its partition, its redexes, its counters, and the few operations from which
 * every reduction rule is made: take a node, free a node, link two ports.
 *
 * Ownership (why there are no locks on nodes)
 *   W1 A node is owned by whoever holds its principal port: the slot of another node, a wire cell, or a redex. Ports
 *      are handed on, never copied; so the worker that pops a redex owns both nodes of it and their slots.
 *   W2 Two trees are joined only through wire cells. A cell is used from exactly two places. The first to arrive
 *      stores its port there and leaves; the second finds it, frees the cell and goes on with what it found.
 *   W3 A cell's exchange is acquire-release: what the first wrote to the node behind its port is seen by the second.
 *      Redexes change hands under a lock (share.c), which says the same for them.
 *   W4 Between batches no word of the heap is in a local variable: all are in Ref words.
 */
#ifndef PN_WORKER_H
#define PN_WORKER_H

#include <pthread.h>

#include "book.h"
#include "deque.h"
#include "net.h"
#include "value.h"

#define PN_BATCH_MAX 64 /* interactions between two safepoints: some microseconds */

enum pn_rule {
  PN_RULE_CALL, PN_RULE_VOID, PN_RULE_ERAS, PN_RULE_ANNI, PN_RULE_COMM, PN_RULE_OPER, PN_RULE_SWIT,
  PN_RULE_APPL, /* a native meets its argument's place */
  PN_RULE_EXEC, /* a native captures its argument, or runs */
  PN_RULES
};

enum pn_order { PN_LIFO, PN_FIFO, PN_RANDOM };

/** Redexes that a worker offers to others; see share.c. */
struct pn_offer {
  pthread_mutex_t lock;      /* rank 1: taken alone */
  _Atomic uint32_t count;    /* written under the lock; read without it as a hint */
  struct pn_redex redex[256];
};

/** Freed nodes of one foreign slab on their way home. */
struct pn_homeward {
  uint64_t first, last; /* index; valid when count > 0 */
  uint32_t count;
};

struct pn_host;

struct pn_worker {
  char *base[PN_CLASSES];
  struct pn_slab *slab; /* of the own partition, by class */
  unsigned partition;
  bool alone; /* one worker and no threads beside it: a wire cell needs no atomic exchange */
  enum pn_order order;
  uint64_t random;
  struct pn_deque deque;
  uint64_t rule[PN_RULES], published; /* published: of the sum, in host->interactions */
  varve_mutator *mutator;
  struct pn_host *host;
  const struct pn_book *book;
  pn_port *node_scratch, *wire_scratch; /* local index to port while a definition is copied */
  uint64_t room[PN_CLASSES];            /* what one batch may take */
  uint64_t redex_room;
  unsigned batch;
  struct pn_homeward *homeward; /* [partition * PN_CLASSES + class] */
  pthread_t thread;
  bool started;
  _Alignas(64) struct pn_offer offer;
};

/** Stop the run with a message; the first one stands. Any thread. */
void pn_host_fail(struct pn_host *host, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Reduce one active pair. */
void pn_reduce(struct pn_worker *w, pn_port a, pn_port b);
/** Copy a definition's net into the worker's partition. @return its root end. */
pn_port pn_call(struct pn_worker *w, uint64_t def);
/** Give freed foreign nodes back to their partitions. */
void pn_send_home(struct pn_worker *w);
void pn_free_foreign(struct pn_worker *w, enum pn_class class, pn_port port);

static inline enum pn_class pn_class_of(unsigned type) {
  return type >= PN_CON    ? PN_CLASS_NODE
         : type == PN_WIRE ? PN_CLASS_WIRE
                           : (enum pn_class)(PN_CLASS_REF + type - PN_REF);
}

static inline struct pn_node *pn_node_at(struct pn_worker *w, pn_port port) {
  return pn_address(w->base[PN_CLASS_NODE], sizeof(struct pn_node), port);
}
static inline _Atomic pn_port *pn_wire_at(struct pn_worker *w, pn_port port) {
  return pn_address(w->base[PN_CLASS_WIRE], sizeof(pn_port), port);
}
/** The Ref word of a REF, PTR or ASY node. */
static inline varve_word *pn_word_at(struct pn_worker *w, pn_port port) {
  enum pn_class class = pn_class_of(pn_type_of(port));
  return pn_address(w->base[class], pn_class_stride[class], port);
}

static inline void pn_free(struct pn_worker *w, enum pn_class class, pn_port port) {
  if (VARVE_LIKELY(pn_partition_of(port) == w->partition)) pn_slab_give(&w->slab[class], pn_index_of(port));
  else pn_free_foreign(w, class, port);
}

static inline pn_port pn_node_new(struct pn_worker *w, unsigned type, pn_port left, pn_port right) {
  uint64_t index = pn_slab_take(&w->slab[PN_CLASS_NODE]);
  struct pn_node *node = pn_slab_at(&w->slab[PN_CLASS_NODE], index);
  node->left = left, node->right = right;
  return pn_make(PN_PRINCIPAL, type, w->partition, index);
}

static inline pn_port pn_wire_new(struct pn_worker *w) {
  uint64_t index = pn_slab_take(&w->slab[PN_CLASS_WIRE]);
  _Atomic pn_port *cell = pn_slab_at(&w->slab[PN_CLASS_WIRE], index);
  atomic_store_explicit(cell, PN_NULL, memory_order_relaxed); /* published with the port, by W3 */
  return pn_make(PN_LEFT, PN_WIRE, w->partition, index);
}

/** A REF or PTR node for a word. No safepoint: the word may be a local. */
static inline pn_port pn_word_new(struct pn_worker *w, varve_word word) {
  unsigned type = (word & 7) == PN_CLOSURE ? PN_REF : PN_PTR;
  struct pn_slab *slab = &w->slab[pn_class_of(type)];
  uint64_t index = pn_slab_take(slab);
  varve_ref_store(w->mutator, slab->refs, pn_slab_at(slab, index), word);
  pn_bit_set(slab, index); /* N4 */
  return pn_make(PN_PRINCIPAL, type, w->partition, index);
}

/** A word of the host as a port: immediates stand for themselves. */
static inline pn_port pn_port_of_word(struct pn_worker *w, varve_word word) {
  return pn_is_reference(word) ? pn_word_new(w, word) : word;
}
/** The word of a nullary port. Void after the next safepoint when it is a reference. */
static inline varve_word pn_word_of_port(struct pn_worker *w, pn_port port) {
  return pn_has_word(pn_type_of(port)) ? varve_ref_load(pn_word_at(w, port)) : port;
}

static inline void pn_free_word(struct pn_worker *w, pn_port port) {
  enum pn_class class = pn_class_of(pn_type_of(port));
  if (pn_partition_of(port) == w->partition) pn_bit_clear(&w->slab[class], pn_index_of(port));
  pn_free(w, class, port);
}

/** What the first to arrive at a cell left there, or null when that is us. */
static inline pn_port pn_wire_meet(struct pn_worker *w, pn_port wire, pn_port other) {
  _Atomic pn_port *cell = pn_wire_at(w, wire);
  /* Acquire: pairs with the release half of the exchange below, by the first to arrive. */
  pn_port found = atomic_load_explicit(cell, memory_order_acquire);
  if (found == PN_NULL) {
    if (w->alone) return atomic_store_explicit(cell, other, memory_order_relaxed), PN_NULL;
    found = atomic_exchange_explicit(cell, other, memory_order_acq_rel);
    if (found == PN_NULL) return PN_NULL;
  }
  pn_free(w, PN_CLASS_WIRE, wire);
  return found;
}

/** Join two ports: wires are followed and used up; two principal ports are an active pair. */
static inline void pn_link(struct pn_worker *w, pn_port a, pn_port b) {
  for (;;) {
    if (pn_type_of(b) != PN_WIRE) {
      if (pn_type_of(a) != PN_WIRE) {
        pn_deque_push(&w->deque, a, b);
        return;
      }
      pn_port swap = a;
      a = b, b = swap;
    }
    pn_port found = pn_wire_meet(w, b, a);
    if (found == PN_NULL) return;
    b = found;
  }
}

#endif
