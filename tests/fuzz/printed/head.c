/* What follows is the same in every printed program; the program itself is at the end: thread_0 and so on.
 *
 * A thing is what one object must be: its bytes, and for each slot the thing that it refers to. A world is a graph of
 * things with its roots. Statements below change objects and things alike; settle compares them after collections. */
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <varve/varve.h>

#define HELPER __attribute__((unused)) static
#define EXPECT(condition) ((condition) ? (void)0 : broken(__LINE__, #condition))
#define SLOT(thing, offset) ((varve_word *)((char *)(thing).at + (offset)))
#define NARROW(thing, offset) ((varve_narrow *)((char *)(thing).at + (offset)))
#define PLACES (THREAD_SLOTS + GLOBALS + HANDLES + ARRAY_WORDS + SLAB_WORDS + UNTRACKED + CALLBACKS + NARROWS)
#define CLEARED ((varve_word)7)

enum slot_kind { DATA, WIDE_SLOT, NARROW_SLOT, WEAK_SLOT, UNKNOWN };

/* What a slot, or a root, must hold: a reference with a tag, or a word. */
struct expected {
  struct thing *to;
  varve_word word;
};

struct thing {
  const char *name;
  uint64_t id;
  size_t id_at, bytes, self_at, hooked_bytes;
  varve_layout *layout;
  void *at;                     /* the object, as it was seen last */
  unsigned char *image, *kinds; /* of each four bytes, enum slot_kind */
  struct expected *slots;       /* likewise */
  uint64_t hash;
  uint8_t host_byte;
  unsigned seen;
  struct thing *next_to_see;
};

struct frame {
  varve_frame frame;
  varve_word slot[FRAME_SLOTS];
};
struct inner_frame {
  varve_frame frame;
  varve_word slot[INNER_SLOTS];
};
struct pinned_frame {
  varve_frame frame;
  varve_word slot[1];
};

struct world {
  struct frame frame;
  struct inner_frame inner[INNER_FRAMES];
  struct pinned_frame pinned[PINNED_FRAMES];
  unsigned inner_depth, pinned_depth;
  int parked; /* what is in frames is in the bridge */
  varve_word bridge[THREAD_SLOTS], globals[GLOBALS];
  varve_handle *handle[HANDLES];
  varve_refs *array, *narrow_array, *untracked_array;
  varve_word *array_words;
  size_t array_count;
  varve_word *slab_word[SLAB_WORDS], untracked[UNTRACKED], callbacks[CALLBACKS];
  varve_narrow narrows[NARROWS];
  varve_derived pair[DERIVED];
  uintptr_t derived[DERIVED], distance[DERIVED];
  struct expected expected[PLACES]; /* of frames first, then in the order above, without the bridge */
  struct thing *to_see;
  unsigned stamp;
  uint64_t settled;
  varve_finalizer finalizer[FINALIZERS];
};

HELPER varve_heap *heap;
HELPER varve_refs *slab;
HELPER varve_narrow_coding coding;
HELPER struct world w[THREADS];
HELPER pthread_barrier_t gate;
HELPER _Atomic uint64_t collections, wrong;
HELPER varve_layout after_layout;

HELPER void __attribute__((noreturn)) broken(int line, const char *what) {
  fprintf(stderr, "line %d: %s\n", line, what);
  abort();
}

HELPER void __attribute__((noreturn)) wrong_thing(const struct thing *thing, const char *what, size_t at) {
  fprintf(stderr, "%s at %p: %s %zu\n", thing->name, thing->at, what, at);
  abort();
}

/* When collections came is not the same in each run of several threads, nor what seems alive to a search of stacks. */
HELPER void __attribute__((noreturn)) another_way(void) {
  fprintf(stderr, "this run went another way than the one that was printed: it proves nothing\n");
  _exit(77);
}

/* ---- things and objects ---- */

HELPER uint32_t pattern(uint64_t id, size_t offset) {
  uint64_t z = (id << 20 ^ offset) * 0x9e3779b97f4a7c15u;
  return (uint32_t)((z ^ z >> 29) * 0xbf58476d1ce4e5b9u >> 32);
}

/* A new thing, all data; from `from` on the pattern. */
HELPER void thing_open(struct thing *thing, size_t from) {
  thing->image = calloc(1, thing->bytes);
  thing->kinds = calloc(1, thing->bytes / 4);
  thing->slots = calloc(thing->bytes / 4, sizeof *thing->slots);
  for (size_t at = from; at < thing->bytes; at += 4) {
    uint32_t data = pattern(thing->id, at);
    memcpy(thing->image + at, &data, 4);
  }
  memcpy(thing->image + thing->id_at, &thing->id, 8);
}

HELPER void thing_words(struct thing *thing, size_t offset, size_t count, const uint64_t *words) {
  memcpy(thing->image + offset, words, count * 8);
}

HELPER void thing_slots(struct thing *thing, enum slot_kind kind, size_t first, size_t step, size_t count) {
  size_t bytes = kind == NARROW_SLOT ? 4 : 8;
  for (size_t at = first; count; --count, at += step) {
    thing->kinds[at / 4] = (unsigned char)kind;
    if (bytes == 8) thing->kinds[at / 4 + 1] = UNKNOWN;
    if (kind != UNKNOWN) memset(thing->image + at, 0, bytes);
  }
}

/* Into the object, which was allocated just now. */
HELPER void thing_write(varve_mutator *me, struct thing *thing, int zeroed) {
  EXPECT(varve_object_bytes(thing->at) == thing->bytes);
  memcpy((char *)thing->at + 8, thing->image + 8, thing->bytes - 8);
  if (thing->self_at) memcpy((char *)thing->at + thing->self_at, &thing->at, 8);
  for (size_t at = 8; at < thing->bytes; at += 4) {
    if (thing->kinds[at / 4] == NARROW_SLOT) varve_init_narrow(me, thing->at, NARROW(*thing, at), 0);
    else if (!zeroed && thing->kinds[at / 4] != DATA && thing->kinds[at / 4] != UNKNOWN)
      varve_init(me, thing->at, SLOT(*thing, at), 0);
  }
}

/* The thing is there. */
HELPER void is_there(struct thing *thing, const void *at) {
  const varve_object *object = at;
  thing->at = (void *)(uintptr_t)at;
  if ((uintptr_t)at % 8 || !varve_heap_contains(heap, at)) wrong_thing(thing, "no object", 0);
  if (varve_object_layout(object) != *thing->layout) wrong_thing(thing, "layout", varve_object_layout(object));
  if (varve_object_bytes(object) != thing->bytes) wrong_thing(thing, "bytes", varve_object_bytes(object));
  if (memcmp((const char *)at + thing->id_at, &thing->id, 8) != 0) wrong_thing(thing, "another object's id", 0);
}

HELPER varve_word plain_word(const struct thing *holder, size_t offset) {
  return holder->kinds[offset / 4] == NARROW_SLOT ? varve_load_narrow(NARROW(*holder, offset))
                                                  : varve_load(SLOT(*holder, offset));
}

/* A word refers to what is expected, or is the word that is expected. */
HELPER void is_right(varve_word word, const struct expected *expected, int narrow) {
  if (!expected->to) {
    EXPECT(word == expected->word);
  } else if (narrow) {
    EXPECT(varve_narrow_tag_of(&coding, (varve_narrow)word) == expected->word);
    is_there(expected->to, varve_narrow_untag(&coding, (varve_narrow)word));
  } else {
    EXPECT((word & 7) == expected->word);
    is_there(expected->to, varve_untag(word));
  }
}

/* Find the thing that a slot of the holder refers to. */
HELPER void step(struct thing *holder, size_t offset, struct thing *to) {
  struct expected *expected = &holder->slots[offset / 4];
  varve_word word = plain_word(holder, offset);
  if (SOFT && holder->kinds[offset / 4] == WEAK_SLOT && word == CLEARED) another_way();
  EXPECT(expected->to == to);
  is_right(word, expected, holder->kinds[offset / 4] == NARROW_SLOT);
}

HELPER void put(varve_mutator *me, struct thing *holder, size_t offset, struct thing *to, varve_word word, int first) {
  varve_narrow narrow = (varve_narrow)word;
  holder->slots[offset / 4] = (struct expected){to, word};
  if (holder->kinds[offset / 4] == NARROW_SLOT) {
    if (to) narrow = varve_narrow_tag(&coding, to->at, (unsigned)word);
    (first ? varve_init_narrow : varve_store_narrow)(me, holder->at, NARROW(*holder, offset), narrow);
  } else {
    if (to) word = varve_tag(to->at, (unsigned)word);
    (first ? varve_init : varve_store)(me, holder->at, SLOT(*holder, offset), word);
  }
}

/* Slots of things, by their offsets. `init`: the first into a new object. */
#define store(me, holder, offset, to, tag) put(me, holder, offset, to, tag, 0)
#define init(me, holder, offset, to, tag) put(me, holder, offset, to, tag, 1)
#define store_word(me, holder, offset, word) put(me, holder, offset, NULL, word, 0)
#define init_word(me, holder, offset, word) put(me, holder, offset, NULL, word, 1)

HELPER void store_bulk(varve_mutator *me, struct thing *to, size_t to_at, struct thing *from, size_t from_at,
                       size_t n) {
  varve_store_bulk(me, to->at, SLOT(*to, to_at), SLOT(*from, from_at), n);
  struct expected *copy = malloc(n * 2 * sizeof *copy);
  memcpy(copy, from->slots + from_at / 4, n * 2 * sizeof *copy);
  memcpy(to->slots + to_at / 4, copy, n * 2 * sizeof *copy);
  free(copy);
}

/* A collection has cleared a weak slot, or an entry's key or value. */
HELPER void cleared(struct thing *holder, size_t offset) {
  holder->slots[offset / 4] = (struct expected){NULL, CLEARED};
}

/* ---- roots ---- */

HELPER varve_word place_word(struct world *world, unsigned place) {
  if (place < THREAD_SLOTS && world->parked) return world->bridge[place];
  if (place < FRAME_SLOTS) return world->frame.slot[place];
  place -= FRAME_SLOTS;
  if (place < INNER_FRAMES * INNER_SLOTS) return world->inner[place / INNER_SLOTS].slot[place % INNER_SLOTS];
  place -= INNER_FRAMES * INNER_SLOTS;
  if (place < PINNED_FRAMES) return world->pinned[place].slot[0];
  place -= PINNED_FRAMES;
  if (place < GLOBALS) return world->globals[place];
  place -= GLOBALS;
  if (place < HANDLES) return world->handle[place] ? varve_handle_get(world->handle[place]) : 0;
  place -= HANDLES;
  if (place < ARRAY_WORDS) return world->array_words[place * (world->array_count / ARRAY_WORDS)];
  place -= ARRAY_WORDS;
  if (place < SLAB_WORDS) return world->slab_word[place] ? *world->slab_word[place] : 0;
  place -= SLAB_WORDS;
  if (place < UNTRACKED) return world->untracked[place];
  place -= UNTRACKED;
  return place < CALLBACKS ? world->callbacks[place] : varve_ref_load_narrow(&world->narrows[place - CALLBACKS]);
}

HELPER int is_place_there(const struct world *world, unsigned place) {
  if (place >= FRAME_SLOTS && place < FRAME_SLOTS + INNER_FRAMES * INNER_SLOTS)
    return place < FRAME_SLOTS + world->inner_depth * INNER_SLOTS;
  return place < FRAME_SLOTS || place >= THREAD_SLOTS || place < THREAD_SLOTS - PINNED_FRAMES + world->pinned_depth;
}

/* Find the thing that a root refers to. */
HELPER void look(struct world *world, unsigned place, struct thing *thing) {
  EXPECT(world->expected[place].to == thing);
  is_right(place_word(world, place), &world->expected[place], place >= PLACES - NARROWS);
}

/* From now on the root holds this. Of the first slots of the frame derived addresses are kept. */
HELPER void expect(struct world *world, unsigned place, struct thing *thing, varve_word word) {
  world->expected[place] = (struct expected){thing, word};
  if (place < DERIVED)
    world->derived[place] = (uintptr_t)(world->frame.slot[place] & ~(varve_word)7) + world->distance[place];
}

HELPER void visit_callbacks(void *context, size_t part, varve_visitor *visitor) {
  struct world *world = context;
  if (part < CALLBACKS) varve_visit(visitor, &world->callbacks[part]);
}

HELPER void world_open(struct world *world, varve_mutator *me) {
  world->array_count = ARRAY_WORDS;
  world->array_words = calloc(ARRAY_ROOM, sizeof *world->array_words);
  EXPECT(!varve_root_slots_add(heap, "globals", world->globals, GLOBALS, NULL));
  EXPECT(!varve_root_slots_add(heap, "bridge", world->bridge, THREAD_SLOTS, NULL));
  EXPECT(!varve_root_callback_add(heap, "callbacks", visit_callbacks, world, CALLBACKS + 1, NULL));
  varve_ref_array array = {.name = "array", .base = world->array_words, .stride = 8, .count = ARRAY_WORDS};
  EXPECT(!varve_ref_array_add(heap, &array, &world->array, NULL));
  varve_ref_array untracked = {.name = "untracked",
                               .base = world->untracked,
                               .stride = 8,
                               .count = UNTRACKED,
                               .untracked = true,
                               .slot_tags = true};
  EXPECT(!varve_ref_array_add(heap, &untracked, &world->untracked_array, NULL));
  varve_ref_array narrow = {.name = "narrow", .narrow = world->narrows, .stride = 4, .count = NARROWS};
  if (IS_NARROW) EXPECT(!varve_ref_array_add(heap, &narrow, &world->narrow_array, NULL));
  for (unsigned i = 0; i < HANDLES; ++i) world->handle[i] = varve_handle_new(me, 0);
  world->parked = 1;
  world->settled = collections;
}

HELPER void world_close(struct world *world, varve_mutator *me) {
  EXPECT(!varve_root_slots_remove(heap, world->globals));
  EXPECT(!varve_root_slots_remove(heap, world->bridge));
  EXPECT(!varve_root_callback_remove(heap, visit_callbacks, world));
  varve_ref_array_remove(world->array);
  varve_ref_array_remove(world->untracked_array);
  if (world->narrow_array) varve_ref_array_remove(world->narrow_array);
  for (unsigned i = 0; i < HANDLES; ++i)
    if (world->handle[i]) varve_handle_free(me, world->handle[i]);
  for (unsigned i = 0; i < SLAB_WORDS; ++i)
    if (world->slab_word[i]) varve_slab_give(slab, world->slab_word[i]);
  free(world->array_words);
}

/* Put what is in the thread's frames elsewhere, and bring it back, on another thread perhaps. */
HELPER void park(struct world *world, varve_mutator *me) {
  for (unsigned i = 0; i < THREAD_SLOTS; ++i) world->bridge[i] = is_place_there(world, i) ? place_word(world, i) : 0;
  for (unsigned i = DERIVED; i-- > 0;) varve_derived_pop(me, &world->pair[i]);
  for (unsigned i = world->pinned_depth; i-- > 0;) varve_pinned_pop(me, &world->pinned[i].frame);
  for (unsigned i = world->inner_depth; i-- > 0;) varve_frame_pop(me, &world->inner[i].frame);
  varve_frame_pop(me, &world->frame.frame);
  world->parked = 1;
}

HELPER void unpark(struct world *world, varve_mutator *me) {
  world->parked = 0;
  memcpy(world->frame.slot, world->bridge, sizeof world->frame.slot);
  for (unsigned i = 0; i < INNER_FRAMES; ++i)
    memcpy(world->inner[i].slot, world->bridge + FRAME_SLOTS + i * INNER_SLOTS, sizeof world->inner[i].slot);
  for (unsigned i = 0; i < PINNED_FRAMES; ++i)
    world->pinned[i].slot[0] = world->bridge[THREAD_SLOTS - PINNED_FRAMES + i];
  varve_frame_push(me, &world->frame.frame, FRAME_SLOTS);
  for (unsigned i = 0; i < world->inner_depth; ++i) varve_frame_push(me, &world->inner[i].frame, INNER_SLOTS);
  for (unsigned i = 0; i < world->pinned_depth; ++i) varve_pinned_push(me, &world->pinned[i].frame, 1);
  for (unsigned i = 0; i < DERIVED; ++i) {
    world->derived[i] = (uintptr_t)(world->frame.slot[i] & ~(varve_word)7) + world->distance[i];
    world->pair[i] = (varve_derived){.base = &world->frame.slot[i], .derived = &world->derived[i]};
    varve_derived_push(me, &world->pair[i]);
  }
  memset(world->bridge, 0, sizeof world->bridge);
}

HELPER void array_update(struct world *world, size_t count) {
  size_t step_before = world->array_count / ARRAY_WORDS;
  varve_word *words = calloc(ARRAY_ROOM, sizeof *words), *old = world->array_words;
  for (size_t i = 0; i < ARRAY_WORDS; ++i) words[i * (count / ARRAY_WORDS)] = old[i * step_before];
  EXPECT(!varve_ref_array_update(world->array, words, count, NULL, NULL));
  world->array_words = words;
  world->array_count = count;
  free(old);
}

/* ---- comparing ---- */

HELPER void meet(struct world *world, struct thing *thing) {
  if (thing->seen == world->stamp) return;
  thing->seen = world->stamp;
  thing->next_to_see = world->to_see;
  world->to_see = thing;
}

HELPER void compare_slot(struct world *world, struct thing *thing, size_t at) {
  struct expected *expected = &thing->slots[at / 4];
  void *before = expected->to ? expected->to->at : NULL;
  varve_word word = plain_word(thing, at);
  if (SOFT && thing->kinds[at / 4] == WEAK_SLOT && (word == CLEARED) != (!expected->to && expected->word == CLEARED))
    another_way();
  is_right(word, expected, thing->kinds[at / 4] == NARROW_SLOT);
  if (!expected->to) return;
  if (expected->to->seen == world->stamp && expected->to->at != before) wrong_thing(expected->to, "at two places", at);
  meet(world, expected->to);
}

HELPER void compare_thing(varve_mutator *me, struct world *world, struct thing *thing) {
  is_there(thing, thing->at);
  if (varve_host_byte(thing->at) != thing->host_byte) wrong_thing(thing, "host byte", varve_host_byte(thing->at));
  for (size_t at = 8; at < thing->bytes; at += 4) {
    if (thing->kinds[at / 4] == DATA && (!thing->self_at || at - thing->self_at >= thing->hooked_bytes)) {
      if (memcmp((char *)thing->at + at, thing->image + at, 4) != 0) wrong_thing(thing, "data", at);
    } else if (thing->kinds[at / 4] != UNKNOWN && thing->kinds[at / 4] != DATA) {
      compare_slot(world, thing, at);
    }
  }
  if (thing->self_at && *SLOT(*thing, thing->self_at) != (uintptr_t)thing->at) wrong_thing(thing, "not told", 0);
  if (thing->hash && varve_identity_hash(me, thing->at) != thing->hash) wrong_thing(thing, "hash", 0);
}

/* All that the world's roots lead to, and one thing more, or NULL. */
HELPER void compare_with(varve_mutator *me, struct world *world, struct thing *more) {
  ++world->stamp;
  world->to_see = NULL;
  for (unsigned place = 0; place < PLACES; ++place) {
    if (!is_place_there(world, place)) continue;
    struct expected *expected = &world->expected[place];
    void *before = expected->to ? expected->to->at : NULL;
    is_right(place_word(world, place), expected, place >= PLACES - NARROWS);
    if (expected->to && expected->to->seen == world->stamp && expected->to->at != before)
      wrong_thing(expected->to, "at two places, of which one is root", place);
    if (expected->to) meet(world, expected->to);
  }
  if (more) meet(world, more);
  while (world->to_see) {
    struct thing *thing = world->to_see;
    world->to_see = thing->next_to_see;
    compare_thing(me, world, thing);
  }
  for (unsigned i = 0; i < DERIVED && !world->parked; ++i)
    EXPECT(world->derived[i] == (uintptr_t)(world->frame.slot[i] & ~(varve_word)7) + world->distance[i]);
  EXPECT(!wrong);
}

/* If there was a collection. */
HELPER void settle_with(varve_mutator *me, struct world *world, struct thing *more) {
  if (world->settled == collections) return;
  world->settled = collections;
  compare_with(me, world, more);
}

#define compare(me, world) compare_with(me, world, NULL)
#define settle(me, world) settle_with(me, world, NULL)

/* ---- what the heap calls ---- */

struct hook {
  size_t self_at;
  int counts;
};

HELPER void moved(void *context, varve_object *object, const void *old, size_t bytes) {
  const struct hook *hook = context;
  uint64_t *self = (uint64_t *)((char *)object + hook->self_at);
  if (bytes != varve_object_bytes(object) || *self != (uint64_t)(uintptr_t)old) wrong += 1;
  *self = (uint64_t)(uintptr_t)object;
  if (hook->counts) ++self[1];
}

/* Word 2 is a mask, bit i says that word 3 + i is a slot. Runs of slots go as ranges. */
HELPER void trace_masked(void *context, varve_object *object, size_t bytes, varve_visitor *visitor) {
  varve_word *words = (varve_word *)object;
  uint64_t mask = words[2];
  size_t room = bytes / 8 - 3;
  (void)context;
  for (size_t i = 0; i < room && i < 64; ++i) {
    size_t run = 0;
    while (i + run < room && i + run < 64 && mask >> (i + run) & 1) ++run;
    if (run == 1) varve_visit(visitor, &words[3 + i]);
    if (run > 1) varve_visit_range(visitor, &words[3 + i], run);
    i += run;
  }
}

HELPER void on_collection(void *context, const varve_collection_stats *stats) {
  (void)context;
  collections = stats->number;
}

/* Garbage, a hash, a pin that is taken back. */
HELPER void after_collection(void *context, varve_mutator *me, const varve_collection_stats *stats) {
  (void)context;
  void *object = varve_alloc(me, after_layout, stats->number % 8 ? 24 : 2500);
  if (!object) return; /* the heap is full */
  if (stats->number % 3 == 0 && !varve_identity_hash(me, object)) wrong += 1;
  if (varve_pin(me, object) || varve_object_of(me, (uintptr_t)object + 17) != object) wrong += 1;
  if (stats->number % 5 == 0 && varve_collect_newest(me)) wrong += 1;
  if (varve_unpin(me, object)) wrong += 1;
}

/* What varve_finalizers_run has called, in order. */
struct ran {
  varve_object *object;
  void *context;
};
HELPER struct ran ran[8];
HELPER unsigned ran_count;

HELPER void run_record(varve_mutator *me, varve_object *object, void *context) {
  (void)me;
  ran[ran_count++] = (struct ran){object, context};
}

/* The next of the queue is that one; NULL: a cleaner, without an object. */
HELPER void take(varve_mutator *me, uint64_t serial, struct thing *thing) {
  varve_finalization out;
  bool is = varve_finalizer_next(me, &out);
  if (SOFT && (!is || out.context != (void *)(uintptr_t)serial)) another_way();
  EXPECT(is && out.context == (void *)(uintptr_t)serial && !out.object == !thing);
  if (thing) is_there(thing, out.object);
}

HELPER void queue_is_empty(varve_mutator *me) {
  varve_finalization out;
  bool is = varve_finalizer_next(me, &out);
  if (SOFT && is) another_way();
  EXPECT(!is);
}

HELPER void has_run(unsigned index, uint64_t serial, struct thing *thing) {
  if (SOFT && (index >= ran_count || ran[index].context != (void *)(uintptr_t)serial)) another_way();
  EXPECT(index < ran_count && ran[index].context == (void *)(uintptr_t)serial && !ran[index].object == !thing);
  if (thing) is_there(thing, ran[index].object);
}

/* More workers or a larger heap than at creation are refused. */
HELPER void set(const char *options) {
  varve_status status = varve_heap_set(heap, options, NULL);
  EXPECT(status == VARVE_OK || status == VARVE_OPTION);
}

HELPER void nothing(void *context) { (void)context; }
HELPER void count_object(void *context, varve_object *object, size_t bytes) {
  (void)object, (void)bytes;
  ++*(uint64_t *)context;
}
HELPER void count_reference(void *context, const varve_reference *reference) {
  *(uint64_t *)context += reference->from != NULL;
}
HELPER void count_row(void *context, const varve_census_row *row) { *(uint64_t *)context += row->objects; }

/* An allocation that found the heap full, or did not. */
HELPER void allocated(const void *object, int expected) {
  if (!object != !expected) another_way();
}

HELPER void child_ended(pid_t child) {
  int status = 0;
  EXPECT(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}
