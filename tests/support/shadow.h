/* SPDX-License-Identifier: MIT */
/* shadow.h -- a graph in ordinary memory that knows what the heap must hold.
 *
 * A shadow node stands for one object: its words as they must be (the image) and, for each slot, the node it refers
 * to. The object carries the node's id in its first payload word, so that the two can be told apart by content. A
 * comparison walks both graphs together from the roots, and every word of every reachable object is compared.
 *
 * Shapes are the layouts that the tests use: every kind of layout, with the word at offset 8 never a slot.
 *
 * Nodes belong to one thread, or are `shared`: then only the holder of the host's lock reads or writes their slots.
 * A shared node refers to shared nodes only. Nothing here allocates in the heap or is a safepoint, and nothing here
 * depends on the granule.
 */
#ifndef VARVE_TESTS_SHADOW_H
#define VARVE_TESTS_SHADOW_H

#include <varve/varve.h>

#include "random.h"

enum shadow_shape {
  SHAPE_DATA,
  SHAPE_PAIR,             /* OFFSETS, the smallest */
  SHAPE_SCATTERED,        /* OFFSETS, wide apart */
  SHAPE_FROZEN,           /* OFFSETS, immutable */
  SHAPE_ARRAY,            /* REF_ARRAY */
  SHAPE_FROZEN_ARRAY,     /* REF_ARRAY, immutable */
  SHAPE_RECORDS,          /* RECORDS of three words */
  SHAPE_WIDE_RECORDS,     /* RECORDS of five words */
  SHAPE_LONG_RECORDS,     /* RECORDS of more than 64 words, with slots near both ends of the first 64 */
  SHAPE_UNION_1,          /* UNION: a byte chooses; unknown values hold no references */
  SHAPE_UNION_2,          /* UNION: two bytes in the middle of a word */
  SHAPE_UNION_4,          /* UNION: four bytes; a case is a union itself; unknown values are an array */
  SHAPE_UNION_8,          /* UNION: a whole word with values above 32 bits */
  SHAPE_CLOSURE,          /* CLOSURE: tag word and value word take turns; counted */
  SHAPE_PACKED_CLOSURE,   /* CLOSURE: sixteen tag bytes, then the values; counted */
  SHAPE_ENDLESS_CLOSURE,  /* CLOSURE: items reach to the object's end */
  SHAPE_TRACE,            /* TRACE: a bit mask tells the slots, visited one by one and in ranges */
  SHAPE_COUNT
};

struct shadow_edge {
  uint32_t word;              /* the slot's index in the object */
  struct shadow_node *target; /* NULL: the slot holds the image's word, no reference */
};

struct shadow_node {
  struct shadow_node *next; /* of its graph */
  uint64_t id;
  uint64_t *words; /* the image; words[0] is unused; a slot with a target has its tag here */
  struct shadow_edge *edges;
  uint32_t edge_count;
  uint32_t word_count; /* header included */
  uint64_t stamp;      /* of the comparison that saw it last */
  uintptr_t address;   /* where that comparison saw it */
  uint8_t shape;
  uint8_t host_byte;
  bool shared;
};

/** What a heap needs to know about shapes. */
struct shadow_shapes {
  varve_heap *heap;
  unsigned slot_tags, ref_tags;
  varve_layout layout[SHAPE_COUNT];
  /* Called for each layout that was registered; NULL: nothing is. */
  void (*registered)(void *context, const varve_layout_desc *desc, varve_layout layout);
  void *context;
};

/** Nodes of one owner, and what a failed check says. */
struct shadow_graph {
  const struct shadow_shapes *shapes;
  struct shadow_node *nodes;
  uint64_t next_id;
  uintptr_t bait; /* address of some object, for data words that look like references; 0: none */
  uint64_t count, bytes; /* of nodes in the list: an upper bound of what is live */
  void (*fail)(void *context); /* prints what is needed to repeat the run, then aborts */
  void *context;
};

/** One walk over both graphs. */
struct shadow_walk {
  struct shadow_graph *graph;
  uint64_t stamp;
  struct shadow_node **stack;
  size_t depth, capacity;
  uint64_t private_seen;
};

/** Register every shape. Aborts when the library refuses. */
void shadow_shapes_register(struct shadow_shapes *shapes, varve_heap *heap);

/** The number of words, at least `wanted` where that can be, that an object of the shape may have. */
size_t shadow_shape_fit(enum shadow_shape shape, size_t wanted);
bool shadow_shape_immutable(enum shadow_shape shape);

/** A node with a random image and all slots null. `word_count` is the object's real size. */
struct shadow_node *shadow_node_new(struct shadow_graph *graph, enum shadow_shape shape, size_t word_count,
                                    struct random *random);

/** A word that is no reference in a place where `tags` says which low bits are; `address`: some object, or 0. */
varve_word shadow_random_word(struct random *random, unsigned tags, uintptr_t address);
/** One of the tags in the set. */
unsigned shadow_random_tag(struct random *random, unsigned tags);

/** Check that the object at `address` is the node's: header and id. Cheap; done at every step of a random walk. */
void shadow_check_identity(struct shadow_graph *graph, const struct shadow_node *node, uintptr_t address);
/** Check a word that must refer to `target` (or be `expected` when target is NULL), and give the address. */
uintptr_t shadow_check_word(struct shadow_graph *graph, varve_word found, const struct shadow_node *target,
                            varve_word expected, const char *where);

void shadow_walk_begin(struct shadow_walk *walk, struct shadow_graph *graph, uint64_t stamp);
/** Note that the word in a root was seen, and queue its target. */
void shadow_walk_root(struct shadow_walk *walk, varve_word found, struct shadow_node *target, varve_word expected,
                      const char *where);
/** Compare everything that was queued and what it reaches. */
void shadow_walk_finish(struct shadow_walk *walk);

/** Free the nodes of the graph that the walk did not see. */
void shadow_graph_sweep(struct shadow_graph *graph, uint64_t stamp);
void shadow_graph_free(struct shadow_graph *graph);

/** Say what is wrong, then call the graph's fail. */
__attribute__((format(printf, 2, 3), noreturn)) void shadow_fail(struct shadow_graph *graph, const char *format, ...);

#endif
