/* SPDX-License-Identifier: MIT */
/* deque.h -- a worker's own redexes: a ring that its owner pushes and pops, and takes halves from to share.
 *
 * Not shared: no atomics. It grows between batches only, so a push in the middle of a rule never fails.
 */
#ifndef PN_DEQUE_H
#define PN_DEQUE_H

#include <stdlib.h>

#include "port.h"

struct pn_redex {
  pn_port a, b;
};

struct pn_deque {
  struct pn_redex *ring;
  uint64_t oldest, newest; /* count up for ever; newest is one past the last */
  uint64_t mask;           /* ring size - 1 */
};

static inline uint64_t pn_deque_count(const struct pn_deque *deque) { return deque->newest - deque->oldest; }

static inline void pn_deque_push(struct pn_deque *deque, pn_port a, pn_port b) {
  deque->ring[deque->newest++ & deque->mask] = (struct pn_redex){a, b};
}
static inline struct pn_redex pn_deque_pop_newest(struct pn_deque *deque) {
  return deque->ring[--deque->newest & deque->mask];
}
static inline struct pn_redex pn_deque_pop_oldest(struct pn_deque *deque) {
  return deque->ring[deque->oldest++ & deque->mask];
}
/** Any one: it changes places with the newest. */
static inline struct pn_redex pn_deque_pop_any(struct pn_deque *deque, uint64_t random) {
  struct pn_redex *any = &deque->ring[(deque->oldest + random % pn_deque_count(deque)) & deque->mask];
  struct pn_redex taken = *any;
  *any = deque->ring[(deque->newest - 1) & deque->mask];
  --deque->newest;
  return taken;
}

/** Make room for `more` pushes. @return false when no memory was left; the deque is as it was. */
static inline bool pn_deque_reserve(struct pn_deque *deque, uint64_t more) {
  uint64_t size = deque->ring ? deque->mask + 1 : 0, wanted = size ? size : 1024;
  if (pn_deque_count(deque) + more <= size) return true;
  while (wanted < pn_deque_count(deque) + more) wanted *= 2;
  struct pn_redex *ring = malloc(wanted * sizeof *ring);
  if (!ring) return false;
  for (uint64_t i = deque->oldest; i != deque->newest; ++i) ring[i & (wanted - 1)] = deque->ring[i & deque->mask];
  free(deque->ring);
  deque->ring = ring, deque->mask = wanted - 1;
  return true;
}

#endif
