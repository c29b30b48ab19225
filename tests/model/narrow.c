/* SPDX-License-Identifier: MIT */
/* narrow.c -- random programs on objects and Ref arrays with narrow slots, beside a shadow that knows the truth.
 *
 * @test default quick --ops 10000
 * @test stress quick --ops 4000 --seed 2 --options stress=100
 * @test every timeout=300 --threads 1 --ops 3000 --seed 3 --options stress=1
 * @test young quick --ops 6000 --seed 4 --options move-everything=0,stress=60
 * @test old timeout=300 --threads 3 --ops 20000 --seed 5 --workers 3 --options move-everything=0,stress=1000
 * @test overflow timeout=300 --ops 15000 --seed 6 --workers 4 --options mark-segments=1
 * @test ageless timeout=300 --ops 15000 --seed 7 --options ages=0
 * @test wide16 quick --ops 6000 --seed 8 --options granule=16,narrow-tag-bits=0,narrow-tags=1
 * @test full timeout=300 --threads 1 --ops 15000 --seed 9 --heap 12m
 *
 *   narrow [--seed S] [--ops N] [--threads T] [--workers W] [--heap SIZE] [--options "a=1,b=2"]
 *
 * The seed, which may also come from VARVE_TEST_SEED, chooses tag bits and tags as well. Every thread has a graph of
 * its own, reached from a frame, from narrow Ref arrays of two kinds and from a callback; a shadow node for each object
 * holds its slots, as targets and tags or as words that are no reference. Objects carry the node's number. Now and then
 * all of what is reachable is compared. Besides, the threads pass notes, small objects that can be checked by
 * themselves, through a narrow Ref array of all.
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <varve/varve.h>

#include "../support/random.h"

enum shape {
  MIXED,          /* OFFSETS of both widths */
  SCATTERED,      /* the same, too far apart for masks */
  ARRAY,          /* from the upper half of a word on */
  FROZEN,         /* the same, immutable */
  RECORDS,        /* of both widths */
  SHORT_RECORDS,  /* a number and a narrow slot */
  LONG_RECORDS,   /* too long for masks */
  TRACED,
  CHOICE,         /* a union of the next two, or of nothing */
  WORDS,          /* narrow array from 16 */
  PAIR,           /* wide */
  DATA,
  SHAPES
};

enum { FRAME = 12, TABLE = 300, CALLED = 40, SHARED = 64, WALK = 12 };

struct edge {
  struct node *target; /* NULL: the slot holds `word` */
  uint64_t word;       /* with a target: the tag */
};

struct node {
  struct node *next;
  uint32_t id, shape, inside, count; /* inside: what describes the slots */
  uint64_t stamp;
  uintptr_t address;
  struct edge edges[];
};

struct model {
  varve_heap *heap;
  varve_narrow_coding coding;
  varve_options options;
  varve_layout layout[SHAPES], note;
  uint64_t seed, ops;
  unsigned threads;
  varve_narrow shared[SHARED];
  varve_refs *shared_refs;
};

/* A root word of either width. */
struct root {
  void *place;
  struct edge holds;
};

struct player {
  struct model *model;
  unsigned index;
  struct random random;
  varve_mutator *me;
  struct node *nodes;
  uint32_t ids;
  uint64_t stamp, op, fulls;
  struct node **stack;
  size_t depth, room;
  char *table[2], *called;  /* memory of the Ref arrays, tracked or not, and of the callback's words */
  size_t stride[2];
  varve_refs *refs[2];
  varve_word *frame;
  struct root roots[FRAME + 2 * TABLE + CALLED];
};

static __attribute__((noreturn, format(printf, 2, 3))) void die(struct player *player, const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  varve_options_print(&player->model->options, text, sizeof text);
  fprintf(stderr, "\n  --seed %" PRIu64 " --threads %u --ops %" PRIu64 ", thread %u, operation %" PRIu64 "\n  options: %s\n",
          player->model->seed, player->model->threads, player->model->ops, player->index, player->op, text);
  abort();
}

static uint64_t below(struct player *player, uint64_t bound) { return random_below(&player->random, bound); }
static bool one_in(struct player *player, uint64_t period) { return random_one_in(&player->random, period); }

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

static const uint32_t mixed_wide[] = {16, 32}, mixed_narrow[] = {24, 12, 28};
static const uint32_t scattered_wide[] = {600}, scattered_narrow[] = {12, 300, 1004};
static const uint32_t record_wide[] = {8}, record_narrow[] = {0, 20}, short_narrow[] = {4};
static const uint32_t long_wide[] = {304}, long_narrow[] = {0, 4, 596}, pair_wide[] = {16, 24};

static const struct fixed {
  uint32_t first, stride; /* of records; 0: once */
  const uint32_t *wide, *narrow;
  uint32_t wide_count, narrow_count;
} fixed[SHAPES] = {
  [MIXED] = {0, 0, mixed_wide, mixed_narrow, 2, 3},
  [SCATTERED] = {0, 0, scattered_wide, scattered_narrow, 1, 3},
  [RECORDS] = {16, 24, record_wide, record_narrow, 1, 2},
  [SHORT_RECORDS] = {16, 8, NULL, short_narrow, 0, 1},
  [LONG_RECORDS] = {16, 600, long_wide, long_narrow, 1, 3},
  [PAIR] = {0, 0, pair_wide, NULL, 2, 0},
};
static const uint32_t array_first[SHAPES] = {[ARRAY] = 12, [FROZEN] = 12, [TRACED] = 16, [WORDS] = 16};
static const uint32_t least_bytes[SHAPES] = {[MIXED] = 40, [SCATTERED] = 1008, [CHOICE] = 32, [PAIR] = 32};

/* How many slots an object of so many bytes has. */
static uint32_t slot_count(uint32_t shape, size_t bytes) {
  const struct fixed *f = &fixed[shape];
  if (array_first[shape]) return (uint32_t)((bytes - array_first[shape]) / 4);
  uint32_t each = f->wide_count + f->narrow_count;
  return f->stride ? (uint32_t)((bytes - f->first) / f->stride) * each : each;
}

/* Where the i-th is, and how wide. */
static uint32_t slot_offset(uint32_t shape, uint32_t i, bool *narrow) {
  const struct fixed *f = &fixed[shape];
  uint32_t each = f->wide_count + f->narrow_count, within = each ? i % each : 0;
  *narrow = array_first[shape] || within >= f->wide_count;
  if (array_first[shape]) return array_first[shape] + 4 * i;
  uint32_t start = f->stride ? f->first + i / each * f->stride : 0;
  return start + (*narrow ? f->narrow[within - f->wide_count] : f->wide[within]);
}

static void trace(void *context, varve_object *object, size_t bytes, varve_visitor *visitor) {
  varve_narrow *slots = (varve_narrow *)((char *)object + array_first[TRACED]);
  size_t count = (bytes - array_first[TRACED]) / 4;
  (void)context;
  for (size_t i = 0; i < count / 3; ++i) varve_visit_narrow(visitor, slots + i, 1);
  varve_visit_narrow(visitor, slots + count / 3, count - count / 3);
}

static varve_layout add_layout(struct model *model, const varve_layout_desc *desc) {
  varve_layout layout = 0;
  varve_error error;
  if (varve_layout_register(model->heap, desc, &layout, &error) == VARVE_OK) return layout;
  fprintf(stderr, "%s\n", error.detail);
  exit(2);
}

static varve_layout add_fixed(struct model *model, enum shape shape, varve_layout_kind kind) {
  const struct fixed *f = &fixed[shape];
  return add_layout(model, &(varve_layout_desc){
    .kind = kind, .bytes = least_bytes[shape] ? least_bytes[shape] : 16, .offsets = f->wide, .offset_count = f->wide_count,
    .narrow_offsets = f->narrow, .narrow_count = f->narrow_count, .first = f->first, .stride = f->stride});
}

static varve_layout add_array(struct model *model, enum shape shape, bool immutable) {
  return add_layout(model, &(varve_layout_desc){.kind = VARVE_LAYOUT_REF_ARRAY, .narrow = true, .immutable = immutable,
                                                .bytes = 16, .first = array_first[shape]});
}

static void add_layouts(struct model *model) {
  varve_layout *layout = model->layout;
  for (enum shape s = MIXED; s < SHAPES; ++s)
    if (fixed[s].wide || fixed[s].narrow)
      layout[s] = add_fixed(model, s, fixed[s].stride ? VARVE_LAYOUT_RECORDS : VARVE_LAYOUT_OFFSETS);
  layout[ARRAY] = add_array(model, ARRAY, false);
  layout[FROZEN] = add_array(model, FROZEN, true);
  layout[WORDS] = add_array(model, WORDS, false);
  layout[DATA] = add_layout(model, &(varve_layout_desc){.kind = VARVE_LAYOUT_DATA, .bytes = 16});
  layout[TRACED] = add_layout(model, &(varve_layout_desc){.kind = VARVE_LAYOUT_TRACE, .trace = trace, .bytes = 16});
  const varve_union_case cases[] = {{1, layout[WORDS]}, {2, layout[PAIR]}};
  layout[CHOICE] = add_layout(model, &(varve_layout_desc){
    .kind = VARVE_LAYOUT_UNION, .choice = {.offset = 12, .width = 4, .cases = cases, .case_count = 2}});
  model->note = add_layout(model, &(varve_layout_desc){.kind = VARVE_LAYOUT_DATA, .bytes = 24});
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static bool is_tag(const struct model *model, unsigned tag) { return model->options.narrow_tags >> tag & 1; }

static unsigned some_tag(struct player *player) {
  for (;;) {
    unsigned tag = (unsigned)below(player, UINT64_C(1) << player->model->coding.tag_bits);
    if (is_tag(player->model, tag)) return tag;
  }
}

/* A narrow word that is no reference: null, index 0, another tag, an index beyond the heap. */
static varve_narrow some_narrow(struct player *player) {
  const struct model *model = player->model;
  varve_narrow word = (varve_narrow)random_next(&player->random);
  unsigned bits = model->coding.tag_bits, tag = varve_narrow_tag_of(&model->coding, word);
  if (one_in(player, 2)) return 0;
  if (!is_tag(model, tag)) return word == (varve_narrow)UINT64_C(0xdeadbeef) ? 0 : word;
  return one_in(player, 2) ? tag : (varve_narrow)(UINT32_MAX >> bits << bits) | tag;
}

static struct edge some_word(struct player *player, bool narrow) {
  if (narrow) return (struct edge){NULL, some_narrow(player)};
  return (struct edge){NULL, one_in(player, 2) ? 0 : random_next(&player->random) | 1};
}

/* The address that a word with this edge refers to. */
static uintptr_t check_word(struct player *player, const void *slot, bool narrow, const struct edge *edge, const char *where) {
  const varve_narrow_coding *coding = &player->model->coding;
  uint64_t word = narrow ? __atomic_load_n((const varve_narrow *)slot, __ATOMIC_RELAXED) : varve_load(slot);
  uint64_t tag = narrow ? varve_narrow_tag_of(coding, (varve_narrow)word) : word & 7;
  if (!edge->target) {
    if (word != edge->word) die(player, "%s holds %#" PRIx64 ", not %#" PRIx64, where, word, edge->word);
    return 0;
  }
  if (tag != edge->word) die(player, "%s has tag %" PRIu64 ", not %" PRIu64, where, tag, edge->word);
  uintptr_t at = (uintptr_t)(narrow ? varve_ffi_narrow_untag(coding, (varve_narrow)word) : varve_untag(word));
  uint32_t id = *(const uint32_t *)(at + 8);
  if (id != edge->target->id) die(player, "%s leads to object %u, not %u", where, id, edge->target->id);
  return at;
}

/* A new edge to the target at the address, and the word for it. */
static uint64_t encode(struct player *player, bool narrow, struct edge *edge, uintptr_t address) {
  if (!edge->target) return edge->word;
  edge->word = narrow ? some_tag(player) : 0;
  return narrow ? varve_ffi_narrow_tag(&player->model->coding, (void *)address, (unsigned)edge->word) : address;
}

/* ---- roots ------------------------------------------------------------------------------------------------------- */

static bool root_is_narrow(const struct player *player, const struct root *root) { return root >= player->roots + FRAME; }

/* The first root is for a large array that is kept. */
static struct root *some_root(struct player *player) {
  if (one_in(player, 2)) return &player->roots[1 + below(player, FRAME - 1)];
  return &player->roots[1 + below(player, sizeof player->roots / sizeof *player->roots - 1)];
}

static uintptr_t check_root(struct player *player, struct root *root) {
  return check_word(player, root->place, root_is_narrow(player, root), &root->holds, "a root");
}

static void put_narrow_root(struct player *player, const struct root *root, varve_narrow word) {
  size_t i = (size_t)(root - player->roots) - FRAME, table = i / TABLE;
  varve_narrow old;
  if (table != 0) {
    __atomic_store_n((varve_narrow *)root->place, word, __ATOMIC_RELAXED);
    return;
  }
  switch (below(player, 3)) {
    case 0: varve_ref_store_narrow(player->me, player->refs[0], root->place, word); break;
    case 1: (void)varve_ref_exchange_narrow(player->me, player->refs[0], root->place, word); break;
    default:
      old = varve_ref_load_narrow(root->place);
      if (!varve_ref_cas_narrow(player->me, player->refs[0], root->place, &old, word)) die(player, "nobody else writes here");
  }
}

static void put_root(struct player *player, struct root *root, struct node *target, uintptr_t address) {
  bool narrow = root_is_narrow(player, root);
  root->holds = target ? (struct edge){.target = target} : some_word(player, narrow);
  uint64_t word = encode(player, narrow, &root->holds, address);
  if (narrow) put_narrow_root(player, root, (varve_narrow)word);
  else *(varve_word *)root->place = word;
}

static void call_roots(void *context, size_t part, varve_visitor *visitor) {
  struct player *player = context;
  varve_narrow *words = (varve_narrow *)(void *)player->called;
  varve_visit_narrow(visitor, words + part * (CALLED / 2), CALLED / 2);
}

static void open_table(struct player *player, unsigned i) {
  static const size_t strides[] = {4, 8, 12, 100};
  size_t stride = player->stride[i] = strides[below(player, 4)];
  player->table[i] = calloc(TABLE + 1, stride);
  varve_ref_array array = {.name = i ? "untracked" : "tracked", .narrow = (varve_narrow *)(void *)(player->table[i] + 4),
                           .stride = stride, .count = TABLE, .untracked = i};
  varve_error error;
  if (varve_ref_array_add(player->model->heap, &array, &player->refs[i], &error) != VARVE_OK) die(player, "%s", error.detail);
  for (size_t k = 0; k < TABLE; ++k)
    player->roots[FRAME + i * TABLE + k].place = player->table[i] + 4 + k * stride;
}

static void open_roots(struct player *player) {
  for (size_t k = 0; k < FRAME; ++k) player->roots[k].place = &player->frame[k];
  open_table(player, 0);
  open_table(player, 1);
  player->called = calloc(CALLED, sizeof(varve_narrow));
  for (size_t k = 0; k < CALLED; ++k)
    player->roots[FRAME + 2 * TABLE + k].place = player->called + k * sizeof(varve_narrow);
  if (varve_root_callback_add(player->model->heap, "called", call_roots, player, 2, NULL) != VARVE_OK) die(player, "callback");
}

static void close_roots(struct player *player) {
  varve_root_callback_remove(player->model->heap, call_roots, player);
  free(player->called);
  for (unsigned i = 0; i < 2; ++i) {
    varve_ref_array_remove(player->refs[i]);
    free(player->table[i]);
  }
}

/* A table moves to other memory. */
static void move_table(struct player *player) {
  unsigned i = (unsigned)below(player, 2);
  size_t bytes = (TABLE + 1) * player->stride[i];
  char *fresh = malloc(bytes);
  memcpy(fresh, player->table[i], bytes);
  if (varve_ref_array_update_narrow(player->refs[i], (varve_narrow *)(void *)(fresh + 4), TABLE, NULL, NULL) != VARVE_OK)
    die(player, "a table did not move");
  free(player->table[i]);
  player->table[i] = fresh;
  for (size_t k = 0; k < TABLE; ++k)
    player->roots[FRAME + i * TABLE + k].place = fresh + 4 + k * player->stride[i];
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

static void reach(struct player *player, struct node *node, uintptr_t address) {
  if (node->stamp == player->stamp) {
    if (node->address != address) die(player, "object %u is in two places", node->id);
    return;
  }
  node->stamp = player->stamp;
  node->address = address;
  if (player->depth == player->room)
    player->stack = realloc(player->stack, (player->room = player->room * 2 + 64) * sizeof *player->stack);
  player->stack[player->depth++] = node;
}

static void compare_node(struct player *player, struct node *node) {
  char where[64];
  if (varve_object_layout((varve_object *)node->address) != player->model->layout[node->shape])
    die(player, "object %u has layout %u", node->id, varve_object_layout((varve_object *)node->address));
  for (uint32_t i = 0; i < node->count; ++i) {
    bool narrow;
    uint32_t offset = slot_offset(node->inside, i, &narrow);
    snprintf(where, sizeof where, "object %u of shape %u, slot at %u", node->id, node->shape, offset);
    uintptr_t at = check_word(player, (char *)node->address + offset, narrow, &node->edges[i], where);
    if (at) reach(player, node->edges[i].target, at);
  }
}

static void sweep(struct player *player) {
  for (struct node **at = &player->nodes; *at;) {
    struct node *node = *at;
    if (node->stamp == player->stamp) {
      at = &node->next;
    } else {
      *at = node->next;
      free(node);
    }
  }
}

static void compare(struct player *player) {
  ++player->stamp;
  for (size_t i = 0; i < sizeof player->roots / sizeof *player->roots; ++i) {
    uintptr_t at = check_root(player, &player->roots[i]);
    if (at) reach(player, player->roots[i].holds.target, at);
  }
  while (player->depth) compare_node(player, player->stack[--player->depth]);
  sweep(player);
}

/* ---- operations -------------------------------------------------------------------------------------------------- */

/* Some steps from a root. Void after the next safepoint. */
static struct node *walk(struct player *player, uintptr_t *address) {
  struct root *root = one_in(player, 10) ? &player->roots[0] : some_root(player);
  struct node *node = root->holds.target;
  *address = check_root(player, root);
  for (uint64_t steps = below(player, WALK); node && node->count && steps; --steps) {
    uint32_t i = (uint32_t)below(player, node->count);
    bool narrow;
    uint32_t offset = slot_offset(node->inside, i, &narrow);
    uintptr_t at = check_word(player, (char *)*address + offset, narrow, &node->edges[i], "a slot on the way");
    if (!at) continue;
    *address = at;
    node = node->edges[i].target;
  }
  return node;
}

static void put_slot(struct player *player, uintptr_t object, uint32_t offset, bool narrow, uint64_t word, bool first) {
  void *slot = (void *)(object + offset), *at = (void *)object;
  if (narrow && first) varve_init_narrow(player->me, at, slot, (varve_narrow)word);
  else if (narrow) varve_store_narrow(player->me, at, slot, (varve_narrow)word);
  else if (first) varve_init(player->me, at, slot, word);
  else varve_store(player->me, at, slot, word);
}

/* A random target, or none; or some other word. */
static void fill_slot(struct player *player, struct node *node, uintptr_t object, uint32_t i, bool first, uint64_t sparse) {
  bool narrow;
  uint32_t offset = slot_offset(node->inside, i, &narrow);
  uintptr_t address = 0;
  struct node *target = one_in(player, sparse) ? walk(player, &address) : NULL;
  struct edge edge = target ? (struct edge){.target = target} : some_word(player, narrow);
  uint64_t word = encode(player, narrow, &edge, address);
  put_slot(player, object, offset, narrow, word, first);
  node->edges[i] = edge;
}

static size_t some_bytes(struct player *player, uint32_t shape) {
  size_t bytes = 16 + 4 * below(player, 30);
  if (one_in(player, 30)) bytes = 16 + 4 * below(player, 2000);
  if (one_in(player, 300)) bytes = 16 + 4 * below(player, 100000);
  return bytes < least_bytes[shape] ? least_bytes[shape] : bytes;
}

/* What describes the slots of a new object, and the number that says so. */
static uint32_t some_inside(struct player *player, uint32_t shape, uint32_t *choice) {
  static const uint32_t cases[] = {DATA, WORDS, PAIR};
  *choice = (uint32_t)random_next(&player->random) | 4;
  if (shape != CHOICE) return shape;
  if (one_in(player, 3)) return DATA;
  *choice = 1 + (uint32_t)below(player, 2);
  return cases[*choice];
}

/* Not initialised: the first stores say which objects it refers to. */
static void allocate_as(struct player *player, uint32_t shape, size_t bytes, struct root *root) {
  uint32_t choice, inside = some_inside(player, shape, &choice);
  void *object = varve_ffi_alloc_uninit(player->me, player->model->layout[shape], bytes);
  if (!object) {
    ++player->fulls;
    for (int i = 0; i < 100; ++i) put_root(player, some_root(player), NULL, 0);
    return;
  }
  uint32_t count = slot_count(inside, varve_object_bytes(object));
  struct node *node = calloc(1, sizeof *node + count * sizeof *node->edges);
  *node = (struct node){.next = player->nodes, .id = ++player->ids << 4 | player->index, .shape = shape, .inside = inside,
                        .count = count};
  player->nodes = node;
  memcpy((char *)object + 8, &node->id, 4);
  if (shape == CHOICE) memcpy((char *)object + 12, &choice, 4);
  for (uint32_t i = 0; i < count; ++i) fill_slot(player, node, (uintptr_t)object, i, true, count > 50 ? 40 : 2);
  put_root(player, root, node, (uintptr_t)object);
}

static void allocate(struct player *player) {
  uint32_t shape = (uint32_t)below(player, SHAPES);
  allocate_as(player, shape, some_bytes(player, shape), some_root(player));
}

/* Stores into a large array that is mostly old, for its lines. */
static void store_large(struct player *player) {
  struct root *root = &player->roots[0];
  struct node *node = root->holds.target;
  uintptr_t address = check_root(player, root);
  if (node && !one_in(player, 1000)) fill_slot(player, node, address, (uint32_t)below(player, node->count), false, 1);
  else allocate_as(player, below(player, 2) ? ARRAY : RECORDS, VARVE_MEDIUM_MAX + 8 + 4 * below(player, 20000), root);
}

static void store(struct player *player) {
  uintptr_t address;
  struct node *node = walk(player, &address);
  if (!node || !node->count || node->shape == FROZEN) return;
  fill_slot(player, node, address, (uint32_t)below(player, node->count), false, 2);
}

static void set_root(struct player *player) {
  uintptr_t address = 0;
  struct node *target = one_in(player, 2) ? walk(player, &address) : NULL;
  put_root(player, some_root(player), target, address);
}

/* ---- notes passed between threads -------------------------------------------------------------------------------- */

struct note {
  varve_object header;
  uint64_t number;
  uint32_t check, tag;
};

static void read_note(struct player *player, varve_narrow word) {
  const struct model *model = player->model;
  if (!word) return;
  const struct note *note = (const struct note *)varve_ffi_narrow_untag(&model->coding, word);
  if (note->check != (uint32_t)(note->number * 2654435761u) || note->tag != varve_narrow_tag_of(&model->coding, word))
    die(player, "note %#x: number %" PRIu64 ", check %u, tag %u", word, note->number, note->check, note->tag);
}

static void pass_note(struct player *player) {
  struct model *model = player->model;
  varve_narrow *slot = &model->shared[below(player, SHARED)], word = 0, old;
  struct note *note = one_in(player, 3) ? NULL : varve_ffi_alloc(player->me, model->note, sizeof *note);
  if (note) {
    *note = (struct note){note->header, random_next(&player->random), 0, some_tag(player)};
    note->check = (uint32_t)(note->number * 2654435761u);
    word = varve_ffi_narrow_tag(&model->coding, note, note->tag);
  }
  old = varve_ref_load_narrow(slot);
  read_note(player, old);
  if (one_in(player, 2)) read_note(player, varve_ref_exchange_narrow(player->me, model->shared_refs, slot, word));
  else if (!varve_ref_cas_narrow(player->me, model->shared_refs, slot, &old, word)) read_note(player, old);
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

static void play_one(struct player *player) {
  uint64_t choice = below(player, 1000);
  if (choice < 400) allocate(player);
  else if (choice < 600) store(player);
  else if (choice < 700) store_large(player);
  else if (choice < 850) set_root(player);
  else if (choice < 980) pass_note(player);
  else if (choice < 990) varve_poll(player->me);
  else if (choice < 996) compare(player);
  else if (choice < 998) move_table(player);
  else if (choice < 999) (void)varve_collect_newest(player->me);
  else (void)varve_collect(player->me);
}

static void play(struct player *player) {
  VARVE_FRAME_ARRAY(frame, player->me, FRAME);
  player->frame = frame.slot;
  open_roots(player);
  for (player->op = 0; player->op < player->model->ops / player->model->threads; ++player->op) play_one(player);
  compare(player);
  close_roots(player);
}

static void *thread(void *argument) {
  struct player *player = argument;
  varve_error error;
  if (varve_ffi_attach(player->model->heap, NULL, &player->me, &error) != VARVE_OK) die(player, "attach: %s", error.detail);
  play(player);
  if (varve_detach(player->me) != VARVE_OK) die(player, "detach");
  ++player->stamp;
  sweep(player);
  free(player->stack);
  return NULL;
}

/* Tag bits and tags by the seed; options given later win. */
static void open_heap(struct model *model, const char *heap, const char *workers, const char *options) {
  struct random random = {model->seed};
  char list[1024];
  uint64_t bits = random_below(&random, 6), tags = random_next(&random) & ((UINT64_C(1) << (1u << bits)) - 1);
  snprintf(list, sizeof list, "verify=2,poison=1,move-everything=1,parallel-min=0,heap-max=%s,workers=%s,narrow=1,"
           "narrow-tag-bits=%" PRIu64 ",narrow-tags=%" PRIu64 "%s%s", heap, workers, bits, tags ? tags : 1, *options ? "," : "",
           options);
  varve_error error;
  varve_options_init(&model->options);
  if (varve_options_parse(&model->options, list, &error) != VARVE_OK ||
      varve_heap_create(&model->options, &model->heap, &error) != VARVE_OK ||
      varve_ffi_narrow_coding_get(model->heap, &model->coding) != VARVE_OK) {
    fprintf(stderr, "%s: %s\n", list, error.detail);
    exit(2);
  }
}

static void share(struct model *model) {
  varve_ref_array array = {.name = "shared", .narrow = model->shared, .stride = 4, .count = SHARED};
  varve_error error;
  if (varve_ref_array_add(model->heap, &array, &model->shared_refs, &error) == VARVE_OK) return;
  fprintf(stderr, "%s\n", error.detail);
  exit(2);
}

static const char *argument(int count, char **given, const char *name, const char *otherwise) {
  for (int i = 1; i + 1 < count; i += 2)
    if (strcmp(given[i], name) == 0) return given[i + 1];
  return otherwise;
}

static uint64_t run(struct model *model) {
  struct player *players = calloc(model->threads, sizeof *players);
  pthread_t *threads = calloc(model->threads, sizeof *threads);
  uint64_t fulls = 0;
  for (unsigned i = 0; i < model->threads; ++i) {
    players[i].model = model;
    players[i].index = i;
    players[i].random.state = model->seed * 1000 + i;
    if (pthread_create(&threads[i], NULL, thread, &players[i]) != 0) abort();
  }
  for (unsigned i = 0; i < model->threads; ++i) {
    pthread_join(threads[i], NULL);
    fulls += players[i].fulls;
  }
  free(threads);
  free(players);
  return fulls;
}

int main(int count, char **given) {
  static struct model model;
  varve_heap_stats totals;
  const char *seed = getenv("VARVE_TEST_SEED");
  model.seed = strtoull(seed ? seed : argument(count, given, "--seed", "1"), NULL, 0);
  model.ops = strtoull(argument(count, given, "--ops", "100000"), NULL, 0);
  model.threads = (unsigned)strtoul(argument(count, given, "--threads", "2"), NULL, 0);
  open_heap(&model, argument(count, given, "--heap", "64m"), argument(count, given, "--workers", "2"),
            argument(count, given, "--options", ""));
  add_layouts(&model);
  share(&model);
  uint64_t fulls = run(&model);
  varve_heap_stats_get(model.heap, &totals);
  printf("seed %" PRIu64 ", %u tag bits, tags %#x: %" PRIu64 " collections, %" PRIu64 " times full\n", model.seed,
         model.options.narrow_tag_bits, model.options.narrow_tags, totals.collections, fulls);
  varve_ref_array_remove(model.shared_refs);
  return varve_heap_destroy(model.heap) == VARVE_OK ? 0 : 1;
}
