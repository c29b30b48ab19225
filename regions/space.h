/* SPDX-License-Identifier: MIT */
/* space.h -- where objects live: one reserved address range, cut into regions, blocks and lines, and the side
 * tables that run beside it.
 *
 *   region  2 MiB, on one node; the unit of memory taken from the system. A region is of one kind.
 *   block   32 KiB, 64 to a region; a TLAB. Small objects never straddle blocks.
 *   line    512 bytes, 64 to a block; one word of the mark bitmap and one rank.
 *
 *      address - base  >> 21 region   >> 15 block   >> 9 line   >> 3 word
 *
 * Kinds of region:
 *   SMALL   blocks are taken and freed one by one (free_blocks says which are free)
 *   MEDIUM  one bump space of 2 MiB; objects may cross blocks; [0, top) is parsable
 *   LARGE   runs of blocks, one object each; a run may cross into the next region. When there is no other memory,
 *           single free blocks are taken for small objects too.
 *
 * Side tables, 2.05 % of the heap: bitmap (1 bit a word), ranks (u16 a line), descriptors (32 bytes a block), epochs
 * (a byte a block).
 *
 * Invariants
 *   R1 a region's side tables are committed before its kind leaves UNCOMMITTED, and zero then.
 *   R2 kinds change under `lock`, or in a pause by worker 0.
 *   R3 in a SMALL region a block is free (bit in free_blocks, kind FREE, bitmap zero) or owned by one mutator or
 *      holds objects; taking a block is one atomic AND on free_blocks. In a LARGE region blocks are taken under `lock`.
 *   R4 used_blocks never exceed limit_blocks between pauses, nor committed regions limit_regions, which is limit_blocks
 *      in whole regions: of the last region a part may be of no use.
 *   R5 a CHANGING region belongs to the running thread that gives it memory or takes it away (commit.h), which finishes
 *      before its next safepoint.
 *   R6 all objects that start in a block were allocated in, or survived into, the same epoch: that of the block. Every
 *      block that is allocated into is of the newest epoch, is fresh: until the next pause its bitmap is zero and its
 *      objects lie end to end. Of a free block the epoch says nothing.
 *   R7 ranks of a MEDIUM region's lines from fresh_from on: 1 and the place in the line of the object that starts
 *      there, 0: none does (they are longer than a line). From the end of a pause to the next one's marking.
 *   R8 holes between the objects of an old block may be allocated into, too, by the mutator that has taken its bit in
 *      holes. Their words are marked when it goes on, and when the world has stopped: then set bits are objects from
 *      end to end, as in any old block. Until then the word behind the last object is no header. The new objects count
 *      as old, and nobody remembers what they refer to: so the next collection is full.
 */
#ifndef VARVE_REGIONS_SPACE_H
#define VARVE_REGIONS_SPACE_H

#include <stdatomic.h>

#include "core/base/bits.h"
#include "core/base/park.h"
#include "numa/topology.h"
#include "varve/types.h"

#define VARVE__REGION_SHIFT 21
#define VARVE__BLOCK_SHIFT 15
#define VARVE__LINE_SHIFT 9
#define VARVE__REGION_BYTES ((size_t)1 << VARVE__REGION_SHIFT)
#define VARVE__BLOCK_BYTES ((size_t)1 << VARVE__BLOCK_SHIFT)
#define VARVE__REGION_BLOCKS 64u
#define VARVE__BLOCK_LINES 64u
#define VARVE__BLOCK_WORDS 4096u
#define VARVE__REGION_WORDS (VARVE__BLOCK_WORDS * VARVE__REGION_BLOCKS)
#define VARVE__SIDE_BYTES (VARVE__REGION_BYTES / 64 + VARVE__REGION_BLOCKS * VARVE__BLOCK_LINES * 2 + \
                           VARVE__REGION_BLOCKS * sizeof(struct varve_block))
#define VARVE__NO_REGION UINT32_MAX
#define VARVE__NO_BLOCK UINT32_MAX
#define VARVE__NO_SPLIT UINT16_MAX
#define VARVE__EPOCHS 128u /* epochs are below; epoch numbers are reused, so that few are in use at a time */

enum varve_region_kind {
  REGION_UNCOMMITTED,
  REGION_FREE, /* committed, empty, bitmap zero */
  REGION_SMALL,
  REGION_MEDIUM,
  REGION_LARGE,
  REGION_CHANGING /* between UNCOMMITTED and FREE, one way or the other; no pause ever sees it */
};

enum varve_block_kind {
  BLOCK_FREE,
  BLOCK_SMALL,
  BLOCK_MEDIUM,
  BLOCK_LARGE_HEAD, /* a large object starts here */
  BLOCK_LARGE_BODY
};

enum varve_block_flag {
  BLOCK_MOVES = 1,  /* MEDIUM regions as a whole; for blocks see varve_space.moves */
  BLOCK_TARGET = 2, /* in a group, and receives objects */
  BLOCK_DENSE = 4,  /* skipped: too full */
  BLOCK_PINNED = 8, /* skipped: must stay */
  BLOCK_FREE_LATER = 16, /* a MEDIUM region that the release has emptied */
  BLOCK_SPARE = 32, /* was free; the plan has taken it as a destination */
  BLOCK_HOLES = 64  /* between pauses: a mutator allocates into its holes */
};

/* One block's descriptor. dst1, dst2, split and flags (but one) are meaningful from the plan to the release of one
 * pause. */
struct varve_block {
  uint64_t dst1;  /* where rank 0 goes; an object of rank r goes to dst1 + 8r ... */
  uint64_t dst2;  /* ... or, from rank `split` on, to dst2 + 8r */
  uint16_t split; /* VARVE__NO_SPLIT: everything goes by dst1 */
  uint16_t live;  /* live words in the block, from the bitmap, set by the plan */
  uint16_t top;   /* SMALL: words allocated; [0, top) is parsable when the block is fresh */
  uint16_t new_top; /* in a pause, TARGET blocks: top after the slide */
  uint32_t age;   /* SMALL: order of allocation, unique among blocks and MEDIUM regions in use;
                     LARGE_HEAD: blocks in the run; LARGE_BODY: blocks back to the head */
  uint8_t kind;   /* enum varve_block_kind */
  uint8_t flags;  /* enum varve_block_flag */
  _Atomic uint8_t pending; /* while marking: how many of its objects were left to a later round (core/marker.h) */
  uint8_t unused;
};
_Static_assert(sizeof(struct varve_block) == 32, "a descriptor is half a cache line");

struct varve_region {
  _Atomic uint64_t free_blocks; /* SMALL, LARGE: bit b set: block b is free */
  _Atomic uint32_t top;         /* MEDIUM: words allocated; [0, top) is parsable when fresh */
  _Atomic uint8_t kind;         /* enum varve_region_kind */
  uint8_t node;
  uint8_t flags;                /* MEDIUM: BLOCK_MOVES and so on, for the region as a whole */
  uint32_t live;                /* words, set by the plan */
  uint32_t fresh_from;          /* MEDIUM: words below are described by the bitmap, [fresh_from, top) is parsable */
  uint32_t new_top;             /* MEDIUM target: top after the slide */
  uint32_t age;                 /* MEDIUM: order of taking; SMALL, in an emergency plan: blocks with live words */
};

/* What one node's mutators share. */
struct varve_node_space {
  uint32_t *broken;               /* SMALL regions with free blocks, in age order: single blocks come from here */
  _Atomic uint32_t broken_count;  /* release, paired with the acquire in take_block: entries below are set */
  _Atomic uint32_t broken_cursor; /* regions before it have no free block */
  _Atomic uint32_t medium_open;   /* the region that mediums are bumped from; VARVE__NO_REGION: none */
  struct varve_lock opening;      /* held by who opens a region for others: a medium one, or one for single blocks */
  uint32_t free_hint;             /* no FREE region of the node below; under the space's lock */
  uint32_t commit_hint;           /* no UNCOMMITTED region in the node's stripes below; likewise */
  _Atomic uint64_t spilled;       /* ever: regions that were wanted here and are, at least in part, elsewhere */
  _Atomic uint32_t spilled_to;    /* where the last of them is; VARVE__NODES_MAX: on a node that is not ours */
  _Atomic uint64_t refused;       /* ever: regions that came from elsewhere although we are bound, and went back */
};

struct varve_space {
  uintptr_t base;       /* 2 MiB aligned; object addresses are in [base, base + bytes) */
  size_t bytes;         /* reserved */
  uint64_t *bitmap;     /* one word a line */
  uint16_t *ranks;      /* one a line: live words of the block before this line */
  struct varve_block *blocks;
  uint64_t *moves;      /* a bit a block, for it is looked at for every slot: the block's objects are forwarded by dst1,
                           dst2, split; meaningful from the plan to the release of one pause */
  uint64_t *holes;      /* R8, a bit a block */
  uint8_t *epochs;      /* R6, a byte a block */
  uint8_t epoch;        /* the newest; changes in pauses only */
  uint8_t cut;          /* in a pause: blocks of this epoch and newer ones are the range that is collected; 0: all */
  uint8_t floor;        /* epochs below are immortal: see core/ages.h; changes in pauses only */
  struct varve_region *regions;
  uint32_t region_count;  /* reserved */
  uint32_t region_high;   /* regions from here on have never been committed; grows under lock */
  uint32_t limit_blocks, limit_regions; /* R4 */
  _Atomic uint32_t committed;
  _Atomic uint32_t free_regions;
  _Atomic uint32_t commits;     /* regions ever committed, each time anew */
  _Atomic uint64_t used_blocks;   /* blocks in use: owned or holding objects, 64 for a MEDIUM region */
  _Atomic int64_t budget_blocks;  /* blocks that may still be taken before the next collection */
  _Atomic uint32_t hole_cursor;     /* regions before it have no bit in holes, */
  uint32_t hole_end;                /* nor have those from here on; changes in pauses only */
  _Atomic uint64_t refilled_bytes;  /* ever: holes of blocks that stay, allocated into */
  _Atomic uint64_t allocated_bytes; /* ever: blocks opened, mediums, large runs; for statistics */
  _Atomic uint32_t next_age;

  struct varve_lock lock;         /* region kinds, large runs, growth of broken[] */
  struct varve_node_space node[VARVE__NODES_MAX]; /* under an interleaving policy all nodes share the first */
  uint8_t *stripes;               /* see commit.h: node + 1 of the owner; 0: nobody's; under lock */
  unsigned stripe_log;            /* regions in a stripe, as a power of two */

  const struct varve_topology *topology;
  unsigned how;         /* flags of place.h for regions */
};

/* Reserve; commits nothing. limit_bytes counts blocks and their share of the side tables; no more than most_bytes are
 * reserved, which has room for the limit and some regions; `how`: flags of place.h for regions. False: no address
 * space. */
bool varve__space_open(struct varve_space *space, const struct varve_topology *topology, uint64_t limit_bytes,
                       uint64_t most_bytes, unsigned how);
void varve__space_close(struct varve_space *space);
/* How long its locks are polled (park.h). */
void varve__space_set_spin(struct varve_space *space, uint32_t spin);
/* commit.c. Commit one region ahead, preferably on the node. Any number of threads at a time. False: no memory. */
bool varve__space_populate(struct varve_space *space, unsigned node);

/* commit.c. Give back the highest FREE region below `below`, unless no more than `keep` are committed. By a running
 * mutator; system calls are made outside the lock. @return the region; NO_REGION: nothing to give. */
uint32_t varve__space_give_back(struct varve_space *space, uint32_t below, uint32_t keep);

/* Take a whole region, preferably of the node; commits one when the node has none free. NO_REGION: the limit, or the
 * system refused. Any running mutator. The caller accounts for blocks. */
uint32_t varve__space_take_region(struct varve_space *space, unsigned node, enum varve_region_kind kind);
/* Take one free block of a SMALL region, in age order over the broken regions, then from a fresh one.
 * NO_BLOCK: none. The block's descriptor is set up. */
uint32_t varve__space_take_block(struct varve_space *space, unsigned node);
/* The same, from the broken regions of the node only. */
uint32_t varve__space_take_listed(struct varve_space *space, unsigned node);
/* R8: take an old block with holes. NO_BLOCK: none is offered. */
uint32_t varve__space_take_holes(struct varve_space *space);
/* World stopped: no block is offered any more. */
void varve__space_forget_holes(struct varve_space *space);
/* A mutator gives up its open region: let single blocks be taken from what it left free. Once per region and cycle. */
void varve__space_list_region(struct varve_space *space, uint32_t region);
/* Set up the descriptor of a block just taken from a SMALL region. */
void varve__space_block_taken(struct varve_space *space, uint32_t block);
/* Take `blocks` from the budget. False: it is exhausted and a collection is due (nothing was taken). */
bool varve__space_spend(struct varve_space *space, uint32_t blocks);
void varve__space_unspend(struct varve_space *space, uint32_t blocks);

/* R7: no object starts from fresh_from on. */
void varve__space_clear_starts(struct varve_space *space, uint32_t region);
/* Bump `words` from the node's open MEDIUM region, opening another when it is full. 0: no memory. */
uintptr_t varve__space_take_medium(struct varve_space *space, unsigned node, size_t words);

/* large.c: runs of blocks. 0: no memory. */
uintptr_t varve__large_take(struct varve_space *space, unsigned node, uint32_t blocks);
/* Take one free block of a LARGE region, the lowest, so that it is far from where runs are taken. NO_BLOCK: none. */
uint32_t varve__large_take_block(struct varve_space *space);
/* Free the run that starts at the block; in a pause. */
void varve__large_free(struct varve_space *space, uint32_t block);
/* Mark a run as taken, for objects that were slid there; in a pause. */
void varve__large_place(struct varve_space *space, uint32_t block, uint32_t blocks);
/* Set LARGE regions without objects free; in a pause. @return how many. */
uint32_t varve__large_release_regions(struct varve_space *space);
/* The first fitting free run in regions that are LARGE already, all on the node, or any. NO_BLOCK: none. */
uint32_t varve__large_find(const struct varve_space *space, unsigned node, uint32_t blocks);

/* In a pause: make a region with no object FREE (bitmap already zero). */
void varve__space_release_region(struct varve_space *space, uint32_t region);
/* In a pause: rebuild the broken lists from `count` regions in age order. */
void varve__space_list_broken(struct varve_space *space, const uint32_t *regions, uint32_t count);

/* The index in `node` for what concerns the node: where its regions are listed. */
static inline unsigned space_list(const struct varve_space *space, unsigned node) {
  return space->topology->policy == VARVE__POLICY_INTERLEAVE ? 0 : node;
}
/* Is it for the caller's node that memory is taken? */
static inline bool space_follows_callers(const struct varve_space *space) {
  return space->topology->node_count > 1 && space->topology->policy != VARVE__POLICY_INTERLEAVE;
}
static inline bool space_contains(const struct varve_space *space, uint64_t address) {
  return address - space->base < space->bytes;
}
static inline size_t space_word(const struct varve_space *space, uint64_t address) {
  return (address - space->base) >> 3;
}
static inline uint32_t space_block(const struct varve_space *space, uint64_t address) {
  return (uint32_t)((address - space->base) >> VARVE__BLOCK_SHIFT);
}
static inline uint32_t space_region(const struct varve_space *space, uint64_t address) {
  return (uint32_t)((address - space->base) >> VARVE__REGION_SHIFT);
}
static inline uint64_t space_block_address(const struct varve_space *space, uint32_t block) {
  return space->base + ((uint64_t)block << VARVE__BLOCK_SHIFT);
}
static inline uint64_t space_region_address(const struct varve_space *space, uint32_t region) {
  return space->base + ((uint64_t)region << VARVE__REGION_SHIFT);
}
static inline uint64_t *space_block_bitmap(const struct varve_space *space, uint32_t block) {
  return space->bitmap + (size_t)block * VARVE__BLOCK_LINES;
}
static inline bool space_moves(const struct varve_space *space, uint32_t block) {
  return space->moves[block / VARVE__REGION_BLOCKS] >> (block % VARVE__REGION_BLOCKS) & 1;
}
/* Of what others may be changing; who must be sure holds the lock, or the world. */
static inline uint8_t space_kind(const struct varve_space *space, uint32_t region) {
  return atomic_load_explicit(&space->regions[region].kind, memory_order_relaxed);
}
#define VARVE__ANY_NODE VARVE__NODES_MAX
static inline bool region_is_on(const struct varve_region *region, unsigned node) {
  return node == VARVE__ANY_NODE || region->node == node;
}
/* Is the region made of blocks that are free, small or of large runs? */
static inline bool region_has_blocks(uint8_t kind) { return kind == REGION_SMALL || kind == REGION_LARGE; }
static inline void space_set_moves(struct varve_space *space, uint32_t block) {
  space->moves[block / VARVE__REGION_BLOCKS] |= UINT64_C(1) << (block % VARVE__REGION_BLOCKS);
}
static inline bool space_is_fresh(const struct varve_space *space, uint32_t block) {
  return space->epochs[block] == space->epoch;
}
/* In a pause: is the block in the range that is collected? */
static inline bool space_in_range(const struct varve_space *space, uint32_t block) {
  return space->epochs[block] >= space->cut;
}
/* In a pause: is the collection not a full one? */
static inline bool space_is_partial(const struct varve_space *space) { return space->cut > space->floor; }
/* Of a block in use: does no collection take it any more? */
static inline bool space_is_immortal(const struct varve_space *space, uint32_t block) {
  return space->epochs[block] < space->floor;
}
/* The blocks of a region that are in the range, a bit each; free blocks may be. */
uint64_t varve__space_range(const struct varve_space *space, uint32_t region);
static inline bool space_marked(const struct varve_space *space, uint64_t address) {
  size_t word = space_word(space, address);
  return __atomic_load_n(&space->bitmap[word >> 6], __ATOMIC_RELAXED) >> (word & 63) & 1;
}

#endif
