/* SPDX-License-Identifier: MIT */
/* scene.h -- what is done in a guarded section: one scene is one sort of operation, done by one or two mutators. */
#ifndef VARVE_TESTS_SCENE_H
#define VARVE_TESTS_SCENE_H

#include <stdatomic.h>

#include <varve/varve.h>

#define SCENE_TABLE ((size_t)1 << 15) /* words of a mutator's table */
#define SCENE_MUTATORS 4

/* One mutator's part of a scene. */
struct part {
  struct team *team;
  unsigned index; /* 0 asks for collections when only one does */
  varve_mutator *me;
  varve_word *table; /* roots: SCENE_TABLE words */
  varve_handle **handles;
  varve_refs *slab, *array;
  varve_slab_cursor cursor;
  varve_word **words; /* taken from the slab */
  varve_word *array_words;
  char *pages; /* never touched */
};

struct team {
  const struct scene *scene;
  varve_heap *heap;
  varve_layout data, pair, list;
  unsigned mutators;
  atomic_uint busy;     /* mutators that have not done their work of this round */
  atomic_uint went;     /* parts of a root callback that a worker has run in this round */
  struct part parts[SCENE_MUTATORS];
};

struct scene {
  const char *group, *name;
  uint64_t operations;            /* of one mutator in one round */
  void (*prepare)(struct part *); /* once, running; NULL: nothing */
  void (*reset)(struct part *);   /* before each round, running; before the collection that begins it */
  void (*work)(struct part *);    /* guarded, running */
  unsigned collections;           /* of one round, at least; 0: none may come */
  const char *options;
  uint64_t barriers;              /* of all mutators in a round, at least: stores that the library was called for */
};

extern const struct scene SCENES[]; /* ends with a name of NULL */

void die(const char *what) __attribute__((noreturn));

#endif
