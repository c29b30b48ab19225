/* SPDX-License-Identifier: MIT */
/* net.h -- where nodes live: partitions, their slabs, and what they cost.
 *
 * A class is a size of node: binary nodes (left, right), wire cells, REF words, PTR words, ASY nodes. For each class
 * one range of address space is reserved for good, and partition p owns the p-th segment of it; so a port's address
 * is base + (partition * segment + index) * stride, no table is read, and nothing ever moves. A slab commits memory
 * in chunks, at batch boundaries only: a rule in the middle of a batch always finds room and never meets a safepoint.
 *
 *       class PTR   |partition 0: ######..........|partition 1: ####............|   '#' committed (`ready`)
 *
 * REF, PTR and ASY slabs are registered with the heap as Ref arrays (stride 8, 8 and 32) with an occupancy bitmap.
 *
 * Who writes what
 *   N1 Free lists, `next`, `ready` and bitmaps belong to the partition's owner (one worker); no atomics.
 *   N2 A node that a foreign worker consumed goes home through the slab's erase queue: the foreigner links freed
 *      nodes into a chain and pushes the chain (compare-and-swap, release); the owner takes all (exchange, acquire).
 *   N3 A free node's first word holds a link whose tag bits are 0 ("null"): so a freed Ref word holds no reference
 *      from the moment it is freed, even before its owner has cleared its bit.
 *   N4 A bit is set before the node's port is stored anywhere; the collector reads bitmaps in pauses only.
 */
#ifndef PN_NET_H
#define PN_NET_H

#include <stdatomic.h>
#include <varve/varve.h>

#include "port.h"

enum pn_class { PN_CLASS_NODE, PN_CLASS_WIRE, PN_CLASS_REF, PN_CLASS_PTR, PN_CLASS_ASY, PN_CLASSES };

#define PN_SEGMENT_BITS 28 /* entries per partition and class: 268 million */
#define PN_SEGMENT ((uint64_t)1 << PN_SEGMENT_BITS)
#define PN_PARTITIONS_MAX 256

struct pn_node {
  pn_port left, right;
};

/** Handle of pending host work. `word` is a Ref word: the call (a saturated closure) until it is done, the result
 *  after. Shared by every port that names it. */
struct pn_asy {
  varve_word word;
  _Atomic uintptr_t waiters; /* list of parked redexes; PN_ASY_DONE once the result stands in `word` */
  _Atomic uint32_t users;    /* ports that name the node, and the job */
  uint32_t unused;
  uint64_t spare;
};
#define PN_ASY_DONE ((uintptr_t)1)

static const size_t pn_class_stride[PN_CLASSES] = {sizeof(struct pn_node), 8, 8, 8, sizeof(struct pn_asy)};

struct pn_slab {
  char *base;         /* of the partition's segment */
  size_t stride;
  uint64_t free;      /* link of the first free node; 0: none */
  uint64_t next;      /* entries below have been handed out at least once */
  uint64_t ready;     /* entries below are committed, and registered */
  uint64_t *bitmap;   /* word classes: bit i set: entry i is in use */
  varve_refs *refs;   /* word classes: the registration */
  _Alignas(64) _Atomic uint64_t erase; /* N2: link of the first node that comes home */
};

struct pn_partition {
  struct pn_slab slab[PN_CLASSES];
};

/** All node memory of one run. */
struct pn_net {
  char *base[PN_CLASSES];
  uint64_t *bitmaps[PN_CLASSES];
  unsigned partitions;
  struct pn_partition *partition;
  varve_heap *heap;
  uint64_t memory_limit;       /* bytes that all slabs together may commit */
  _Atomic uint64_t committed;
  char error[200];             /* why creation failed */
};

/** Reserve address space and register the word slabs. NULL on failure, with the reason in `error`. */
struct pn_net *pn_net_create(varve_heap *heap, unsigned partitions, uint64_t memory_limit, char *error,
                             size_t error_size);
void pn_net_destroy(struct pn_net *net);

enum pn_grown { PN_GROWN, PN_NO_MEMORY, PN_NO_ROOM, PN_NOT_REGISTERED };

/** Make sure that each class of the partition has `room[class]` entries that were never handed out.
 *  Called by the owner between batches. A safepoint when something grows: updating a registration waits for a
 *  running collection, so it is done in native state. */
enum pn_grown pn_partition_reserve(struct pn_net *net, unsigned partition, varve_mutator *mutator,
                                   const uint64_t room[PN_CLASSES]);

/** Takes what foreign workers sent home; the slow half of pn_slab_take. @return an index. */
uint64_t pn_slab_take_slow(struct pn_slab *slab);
/** Push a chain of freed nodes, first to last, on a foreign slab's erase queue. */
void pn_slab_send_home(struct pn_slab *slab, uint64_t first, uint64_t last);
/** Entries in use: handed out, not on the free list. For reports, after the run. */
uint64_t pn_net_live(struct pn_net *net, enum pn_class class);

static inline uint64_t pn_link_of(uint64_t index) { return (index + 1) << 8; } /* tag bits 0, never 0 */
static inline uint64_t pn_link_index(uint64_t link) { return (link >> 8) - 1; }

static inline void *pn_slab_at(const struct pn_slab *slab, uint64_t index) {
  return slab->base + index * slab->stride;
}

/** The address of a port's node, given the base of its class. */
static inline void *pn_address(char *base, size_t stride, pn_port port) {
  return base + (((uint64_t)pn_partition_of(port) << PN_SEGMENT_BITS) + pn_index_of(port)) * stride;
}

/** Take an entry. Owner only. Its content is undefined; the bit of a word class is set by the caller. */
static inline uint64_t pn_slab_take(struct pn_slab *slab) {
  if (VARVE_UNLIKELY(slab->free == 0)) return pn_slab_take_slow(slab);
  uint64_t index = pn_link_index(slab->free);
  slab->free = *(uint64_t *)pn_slab_at(slab, index);
  return index;
}

/** Put an entry on its owner's free list. */
static inline void pn_slab_give(struct pn_slab *slab, uint64_t index) {
  *(uint64_t *)pn_slab_at(slab, index) = slab->free;
  slab->free = pn_link_of(index);
}

static inline void pn_bit_set(struct pn_slab *slab, uint64_t index) {
  slab->bitmap[index >> 6] |= (uint64_t)1 << (index & 63);
}
static inline void pn_bit_clear(struct pn_slab *slab, uint64_t index) {
  slab->bitmap[index >> 6] &= ~((uint64_t)1 << (index & 63));
}

#endif
