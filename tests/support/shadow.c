/* SPDX-License-Identifier: MIT */
/* shadow.c -- see shadow.h. First the shapes, then nodes, then comparing. */
#include "shadow.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

static const uint32_t pair_offsets[] = {16, 24};
static const uint32_t scattered_offsets[] = {16, 40, 48, 120, 248};
static const uint32_t frozen_offsets[] = {16, 24, 32};
static const uint32_t record_offsets[] = {8, 16};
static const uint32_t wide_record_offsets[] = {16, 32};
static const uint32_t long_record_offsets[] = {8, 472, 504};
static const uint32_t part_offsets[] = {24, 40};

/* Item tags of closures that mean "reference": one in each of the four words of the set. */
static const uint8_t closure_tags[] = {3, 64, 150, 255};
#define CLOSURE_REF_TAGS {1ull << 3, 1ull << 0, 1ull << (150 - 128), 1ull << 63}

/* What the cases of the unions describe: never the word at 16, where the discriminants are. */
enum part { PART_NONE, PART_OFFSETS, PART_ARRAY, PART_RECORDS, PART_UNION_1 };

struct choice {
  uint64_t value;
  enum part part;
};

#define OTHER 77 /* a discriminant value without a case, in every union */

static const struct choice choices_1[] = {{0, PART_OFFSETS}, {1, PART_ARRAY}, {200, PART_NONE}, {OTHER, PART_NONE}};
static const struct choice choices_2[] = {{0x102, PART_RECORDS}, {0xffff, PART_ARRAY}, {OTHER, PART_NONE}};
static const struct choice choices_4[] = {{0x80000001, PART_OFFSETS}, {5, PART_UNION_1}, {OTHER, PART_ARRAY}};
static const struct choice choices_8[] = {{1ull << 40, PART_ARRAY}, {~0ull, PART_RECORDS}, {0, PART_OFFSETS},
                                          {OTHER, PART_NONE}};

struct chooser {
  uint32_t offset, width;
  const struct choice *choices;
  size_t count;
};

static const struct chooser chooser_1 = {16, 1, choices_1, COUNT_OF(choices_1)};
static const struct chooser chooser_2 = {18, 2, choices_2, COUNT_OF(choices_2)};
static const struct chooser chooser_4 = {20, 4, choices_4, COUNT_OF(choices_4)};
static const struct chooser chooser_8 = {16, 8, choices_8, COUNT_OF(choices_8)};

static const struct chooser *shape_chooser(enum shadow_shape shape) {
  switch (shape) {
    case SHAPE_UNION_1: return &chooser_1;
    case SHAPE_UNION_2: return &chooser_2;
    case SHAPE_UNION_4: return &chooser_4;
    case SHAPE_UNION_8: return &chooser_8;
    default: return NULL;
  }
}

/* The host's trace function: word 2 is a mask, bit i says that word 3 + i is a slot. Runs of slots go as ranges. */
static void trace_masked(void *context, varve_object *object, size_t bytes, varve_visitor *visitor) {
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

static varve_layout register_one(struct shadow_shapes *shapes, const varve_layout_desc *desc) {
  varve_layout layout = 0;
  varve_error error;
  if (varve_layout_register(shapes->heap, desc, &layout, &error) != VARVE_OK) {
    fprintf(stderr, "layout %s was refused: %s\n", desc->name, error.detail);
    abort();
  }
  if (shapes->registered) shapes->registered(shapes->context, desc, layout);
  return layout;
}

static void register_plain_shapes(struct shadow_shapes *s) {
  s->layout[SHAPE_DATA] = register_one(s, &(varve_layout_desc){.name = "data", .kind = VARVE_LAYOUT_DATA});
  s->layout[SHAPE_PAIR] = register_one(
      s, &(varve_layout_desc){.name = "pair", .kind = VARVE_LAYOUT_OFFSETS, .offsets = pair_offsets,
                              .offset_count = COUNT_OF(pair_offsets)});
  s->layout[SHAPE_SCATTERED] =
      register_one(s, &(varve_layout_desc){.name = "scattered", .kind = VARVE_LAYOUT_OFFSETS,
                                           .offsets = scattered_offsets, .offset_count = COUNT_OF(scattered_offsets)});
  s->layout[SHAPE_FROZEN] = register_one(
      s, &(varve_layout_desc){.name = "frozen", .kind = VARVE_LAYOUT_OFFSETS, .immutable = true,
                              .offsets = frozen_offsets, .offset_count = COUNT_OF(frozen_offsets)});
  s->layout[SHAPE_ARRAY] =
      register_one(s, &(varve_layout_desc){.name = "array", .kind = VARVE_LAYOUT_REF_ARRAY, .first = 16});
  s->layout[SHAPE_FROZEN_ARRAY] = register_one(
      s, &(varve_layout_desc){.name = "frozen array", .kind = VARVE_LAYOUT_REF_ARRAY, .immutable = true, .first = 24});
  s->layout[SHAPE_RECORDS] =
      register_one(s, &(varve_layout_desc){.name = "records", .kind = VARVE_LAYOUT_RECORDS, .offsets = record_offsets,
                                           .offset_count = 2, .first = 16, .stride = 24});
  s->layout[SHAPE_WIDE_RECORDS] =
      register_one(s, &(varve_layout_desc){.name = "wide records", .kind = VARVE_LAYOUT_RECORDS,
                                           .offsets = wide_record_offsets, .offset_count = 2, .first = 24,
                                           .stride = 40});
  s->layout[SHAPE_LONG_RECORDS] =
      register_one(s, &(varve_layout_desc){.name = "long records", .kind = VARVE_LAYOUT_RECORDS,
                                           .offsets = long_record_offsets, .offset_count = 3, .first = 16,
                                           .stride = 67 * 8});
  s->layout[SHAPE_TRACE] =
      register_one(s, &(varve_layout_desc){.name = "traced", .kind = VARVE_LAYOUT_TRACE, .bytes = 32,
                                           .trace = trace_masked});
}

static void register_closures(struct shadow_shapes *s) {
  varve_layout_desc desc = {.name = "closure", .kind = VARVE_LAYOUT_CLOSURE,
                            .closure = {.count_offset = 16, .tag_offset = 24, .tag_stride = 16, .value_offset = 32,
                                        .value_stride = 16, .ref_tags = CLOSURE_REF_TAGS}};
  s->layout[SHAPE_CLOSURE] = register_one(s, &desc);
  desc.name = "endless closure";
  desc.closure.count_offset = 0;
  desc.closure.tag_offset = 16;
  desc.closure.value_offset = 24;
  s->layout[SHAPE_ENDLESS_CLOSURE] = register_one(s, &desc);
  desc.name = "packed closure";
  desc.closure.count_offset = 20;
  desc.closure.tag_offset = 24;
  desc.closure.tag_stride = 1;
  desc.closure.value_offset = 40;
  desc.closure.value_stride = 8;
  s->layout[SHAPE_PACKED_CLOSURE] = register_one(s, &desc);
}

static varve_layout register_union(struct shadow_shapes *shapes, const char *name, const struct chooser *chooser,
                                   const varve_layout *parts) {
  varve_union_case cases[8];
  size_t count = 0;
  varve_layout otherwise = 0;
  for (size_t i = 0; i < chooser->count; ++i) {
    if (chooser->choices[i].value == OTHER) otherwise = parts[chooser->choices[i].part];
    else if (parts[chooser->choices[i].part])
      cases[count++] = (varve_union_case){chooser->choices[i].value, parts[chooser->choices[i].part]};
    else cases[count++] = (varve_union_case){chooser->choices[i].value, shapes->layout[SHAPE_DATA]};
  }
  return register_one(shapes, &(varve_layout_desc){.name = name, .kind = VARVE_LAYOUT_UNION, .bytes = 48,
                                                   .choice = {.offset = chooser->offset, .width = chooser->width,
                                                              .cases = cases, .case_count = count,
                                                              .otherwise = otherwise}});
}

static void register_unions(struct shadow_shapes *s) {
  varve_layout parts[5] = {0};
  parts[PART_OFFSETS] = register_one(
      s, &(varve_layout_desc){.name = "part", .kind = VARVE_LAYOUT_OFFSETS, .offsets = part_offsets,
                              .offset_count = COUNT_OF(part_offsets)});
  parts[PART_ARRAY] =
      register_one(s, &(varve_layout_desc){.name = "part array", .kind = VARVE_LAYOUT_REF_ARRAY, .first = 24});
  parts[PART_RECORDS] =
      register_one(s, &(varve_layout_desc){.name = "part records", .kind = VARVE_LAYOUT_RECORDS, .first = 24,
                                           .stride = 24, .offsets = record_offsets, .offset_count = 2});
  s->layout[SHAPE_UNION_1] = register_union(s, "union of a byte", &chooser_1, parts);
  parts[PART_UNION_1] = s->layout[SHAPE_UNION_1];
  s->layout[SHAPE_UNION_2] = register_union(s, "union of two bytes", &chooser_2, parts);
  s->layout[SHAPE_UNION_4] = register_union(s, "union of four bytes", &chooser_4, parts);
  s->layout[SHAPE_UNION_8] = register_union(s, "union of a word", &chooser_8, parts);
}

void shadow_shapes_register(struct shadow_shapes *shapes, varve_heap *heap) {
  const varve_options *options = varve_heap_options(heap);
  shapes->heap = heap;
  shapes->slot_tags = options->slot_tags;
  shapes->ref_tags = options->ref_tags;
  register_plain_shapes(shapes);
  register_closures(shapes);
  register_unions(shapes);
}

bool shadow_shape_immutable(enum shadow_shape shape) { return shape == SHAPE_FROZEN || shape == SHAPE_FROZEN_ARRAY; }

/* The least value of first + n * step, n >= 1, that is not below wanted. */
static size_t fit_steps(size_t wanted, size_t first, size_t step) {
  size_t n = wanted > first ? (wanted - first + step - 1) / step : 1;
  return first + (n ? n : 1) * step;
}

static size_t at_least(size_t wanted, size_t least) { return wanted < least ? least : wanted; }

size_t shadow_shape_fit(enum shadow_shape shape, size_t wanted) {
  switch (shape) {
    case SHAPE_DATA: return at_least(wanted, 2);
    case SHAPE_PAIR: return at_least(wanted < 64 ? wanted : 64, 4);
    case SHAPE_SCATTERED: return at_least(wanted, 32);
    case SHAPE_FROZEN: return at_least(wanted, 5);
    case SHAPE_RECORDS: return fit_steps(wanted, 2, 3);
    case SHAPE_WIDE_RECORDS: return fit_steps(wanted, 3, 5);
    case SHAPE_LONG_RECORDS: return fit_steps(wanted, 2, 67);
    case SHAPE_UNION_1:
    case SHAPE_UNION_2:
    case SHAPE_UNION_4:
    case SHAPE_UNION_8: return fit_steps(wanted, 3, 3);
    case SHAPE_CLOSURE: return fit_steps(wanted, 3, 2);
    case SHAPE_ENDLESS_CLOSURE: return fit_steps(wanted, 2, 2);
    case SHAPE_PACKED_CLOSURE: return at_least(wanted < 21 ? wanted : 21, 6);
    default: return at_least(wanted, 4);
  }
}

/* ---- which words of an image are slots --------------------------------------------------------------------------- */

static void add_edge(struct shadow_node *node, size_t word) {
  if (word < node->word_count) node->edges[node->edge_count++].word = (uint32_t)word;
}

static void add_offsets(struct shadow_node *node, const uint32_t *offsets, size_t count) {
  for (size_t i = 0; i < count; ++i) add_edge(node, offsets[i] / 8);
}

static void add_array(struct shadow_node *node, size_t first) {
  for (size_t i = first; i < node->word_count; ++i) add_edge(node, i);
}

static void add_records(struct shadow_node *node, size_t first, size_t stride, const uint32_t *offsets, size_t count) {
  for (size_t at = first; at + stride <= node->word_count; at += stride)
    for (size_t i = 0; i < count; ++i) add_edge(node, at + offsets[i] / 8);
}

static void add_union(struct shadow_node *node, const struct chooser *chooser) {
  uint64_t value = 0;
  enum part part = PART_NONE;
  memcpy(&value, (char *)node->words + chooser->offset, chooser->width);
  for (size_t i = 0; i < chooser->count; ++i)
    if (chooser->choices[i].value == value) part = chooser->choices[i].part;
  switch (part) {
    case PART_NONE: break;
    case PART_OFFSETS: add_offsets(node, part_offsets, 2); break;
    case PART_ARRAY: add_array(node, 3); break;
    case PART_RECORDS: add_records(node, 3, 3, record_offsets, 2); break;
    case PART_UNION_1: add_union(node, &chooser_1); break;
  }
}

static bool closure_tag_is_ref(uint8_t tag) { return memchr(closure_tags, tag, sizeof closure_tags) != NULL; }

static void add_closure(struct shadow_node *node, size_t count, size_t tag_offset, size_t tag_stride, size_t value,
                        size_t value_stride) {
  for (size_t i = 0; i < count; ++i)
    if (closure_tag_is_ref(((uint8_t *)node->words)[tag_offset + i * tag_stride]))
      add_edge(node, value + i * value_stride);
}

static void add_masked(struct shadow_node *node) {
  for (size_t i = 0; i < 64; ++i)
    if (node->words[2] >> i & 1) add_edge(node, 3 + i);
}

static uint32_t image_u32(const struct shadow_node *node, size_t offset) {
  uint32_t value;
  memcpy(&value, (const char *)node->words + offset, sizeof value);
  return value;
}

static void add_edges(struct shadow_node *node) {
  switch (node->shape) {
    case SHAPE_PAIR: add_offsets(node, pair_offsets, COUNT_OF(pair_offsets)); break;
    case SHAPE_SCATTERED: add_offsets(node, scattered_offsets, COUNT_OF(scattered_offsets)); break;
    case SHAPE_FROZEN: add_offsets(node, frozen_offsets, COUNT_OF(frozen_offsets)); break;
    case SHAPE_ARRAY: add_array(node, 2); break;
    case SHAPE_FROZEN_ARRAY: add_array(node, 3); break;
    case SHAPE_RECORDS: add_records(node, 2, 3, record_offsets, 2); break;
    case SHAPE_WIDE_RECORDS: add_records(node, 3, 5, wide_record_offsets, 2); break;
    case SHAPE_LONG_RECORDS: add_records(node, 2, 67, long_record_offsets, 3); break;
    case SHAPE_CLOSURE: add_closure(node, image_u32(node, 16), 24, 16, 4, 2); break;
    case SHAPE_PACKED_CLOSURE: add_closure(node, image_u32(node, 20), 24, 1, 5, 1); break;
    case SHAPE_ENDLESS_CLOSURE: add_closure(node, (node->word_count - 2) / 2, 16, 16, 3, 2); break;
    case SHAPE_TRACE: add_masked(node); break;
    default:
      if (shape_chooser(node->shape)) add_union(node, shape_chooser(node->shape));
  }
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static void set_tags(struct shadow_node *node, size_t count, size_t offset, size_t stride, struct random *random) {
  uint8_t *tag = (uint8_t *)node->words + offset;
  for (size_t i = 0; i < count; ++i)
    tag[i * stride] = random_one_in(random, 2) ? closure_tags[random_below(random, COUNT_OF(closure_tags))]
                                               : (uint8_t)random_next(random);
}

static void set_u32(struct shadow_node *node, size_t offset, size_t value) {
  uint32_t narrow = (uint32_t)value;
  memcpy((char *)node->words + offset, &narrow, sizeof narrow);
}

/* Give the words that say where the slots are a value that makes sense. */
static void set_special_words(struct shadow_node *node, struct random *random) {
  const struct chooser *chooser = shape_chooser(node->shape);
  size_t items;
  if (chooser)
    memcpy((char *)node->words + chooser->offset, &chooser->choices[random_below(random, chooser->count)].value,
           chooser->width);
  switch (node->shape) {
    case SHAPE_CLOSURE:
      items = random_below(random, (node->word_count - 3) / 2 + 1);
      set_u32(node, 16, items);
      set_tags(node, items, 24, 16, random);
      break;
    case SHAPE_PACKED_CLOSURE:
      items = random_below(random, (node->word_count < 21 ? node->word_count : 21) - 5 + 1);
      set_u32(node, 20, items);
      set_tags(node, items, 24, 1, random);
      break;
    case SHAPE_TRACE: node->words[2] = random_next(random); break; /* not an address: runs must replay */
    case SHAPE_ENDLESS_CLOSURE: set_tags(node, (node->word_count - 2) / 2, 16, 16, random); break;
    default: break;
  }
}

/* A nested union: its inner discriminant is random data, so give it one of the known values half of the time. */
static void set_nested_choice(struct shadow_node *node, struct random *random) {
  if (node->shape == SHAPE_UNION_4)
    ((uint8_t *)node->words)[16] = (uint8_t)choices_1[random_below(random, COUNT_OF(choices_1))].value;
}

/* A data word; sometimes it looks exactly like a reference, and must be left alone all the same. */
static uint64_t random_data(const struct shadow_graph *graph, struct random *random) {
  uint64_t word = random_next(random);
  return graph->bait && word % 8 == 0 ? graph->bait | (word >> 32 & 7) : word;
}

struct shadow_node *shadow_node_new(struct shadow_graph *graph, enum shadow_shape shape, size_t word_count,
                                    struct random *random) {
  struct shadow_node *node = calloc(1, sizeof *node);
  node->shape = (uint8_t)shape;
  node->word_count = (uint32_t)word_count;
  node->words = malloc(word_count * sizeof *node->words);
  node->words[0] = 0;
  node->words[1] = node->id = graph->next_id++;
  for (size_t i = 2; i < word_count; ++i) node->words[i] = random_data(graph, random);
  set_special_words(node, random);
  set_nested_choice(node, random);
  if (shape != SHAPE_DATA) {
    node->edges = calloc(word_count, sizeof *node->edges);
    add_edges(node);
  }
  for (size_t i = 0; i < node->edge_count; ++i) node->words[node->edges[i].word] = 0;
  node->next = graph->nodes;
  graph->nodes = node;
  ++graph->count;
  graph->bytes += word_count * 8;
  return node;
}

static void node_free(struct shadow_graph *graph, struct shadow_node *node) {
  --graph->count;
  graph->bytes -= (uint64_t)node->word_count * 8;
  free(node->words);
  free(node->edges);
  free(node);
}

void shadow_graph_sweep(struct shadow_graph *graph, uint64_t stamp) {
  struct shadow_node **link = &graph->nodes;
  while (*link) {
    struct shadow_node *node = *link;
    if (node->stamp == stamp) {
      link = &node->next;
    } else {
      *link = node->next;
      node_free(graph, node);
    }
  }
}

void shadow_graph_free(struct shadow_graph *graph) { shadow_graph_sweep(graph, UINT64_MAX); }

/* ---- words ------------------------------------------------------------------------------------------------------- */

unsigned shadow_random_tag(struct random *random, unsigned tags) {
  unsigned tag;
  do tag = (unsigned)random_below(random, 8);
  while (!(tags >> tag & 1));
  return tag;
}

varve_word shadow_random_word(struct random *random, unsigned tags, uintptr_t address) {
  static _Alignas(64) char outside[4096];
  unsigned kind = (unsigned)random_below(random, 4);
  if (kind == 0) return 0;
  if (kind == 1 || (tags & 0xff) == 0xff)
    return ((uintptr_t)outside + 8 * random_below(random, sizeof outside / 8)) | shadow_random_tag(random, 0xff);
  if (kind == 2 && address) return address | shadow_random_tag(random, ~tags & 0xff);
  return (random_next(random) & ~(varve_word)7) | shadow_random_tag(random, ~tags & 0xff);
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

void shadow_fail(struct shadow_graph *graph, const char *format, ...) {
  va_list list;
  va_start(list, format);
  fputs("MISMATCH: ", stderr);
  vfprintf(stderr, format, list);
  fputc('\n', stderr);
  va_end(list);
  graph->fail(graph->context);
  abort();
}

static void describe(const struct shadow_node *node, uintptr_t address) {
  fprintf(stderr, "  object %#zx: node id %#llx, shape %u, %u words, host byte %u%s\n", (size_t)address,
          (unsigned long long)node->id, node->shape, node->word_count, node->host_byte, node->shared ? ", shared" : "");
  if (!address) return;
  fprintf(stderr, "  found:");
  for (size_t i = 0; i < node->word_count && i < 8; ++i)
    fprintf(stderr, " %016llx", (unsigned long long)((const uint64_t *)address)[i]);
  fprintf(stderr, "\n");
}

void shadow_check_identity(struct shadow_graph *graph, const struct shadow_node *node, uintptr_t address) {
  const varve_object *object = (const varve_object *)address;
  bool right = address % 8 == 0 && varve_heap_contains(graph->shapes->heap, object) &&
               ((const uint64_t *)address)[1] == node->id &&
               varve_object_layout(object) == graph->shapes->layout[node->shape] &&
               varve_object_bytes(object) == (size_t)node->word_count * 8;
  if (right) return;
  describe(node, varve_heap_contains(graph->shapes->heap, object) ? address : 0);
  shadow_fail(graph, "not the object that should be at %#zx", (size_t)address);
}

uintptr_t shadow_check_word(struct shadow_graph *graph, varve_word found, const struct shadow_node *target,
                            varve_word expected, const char *where) {
  uintptr_t address = (uintptr_t)(found & ~(varve_word)7);
  if (!target) {
    if (found == expected) return 0;
    shadow_fail(graph, "%s: word %#llx, expected %#llx, which is no reference", where, (unsigned long long)found,
                (unsigned long long)expected);
  }
  if ((found & 7) != expected) {
    describe(target, 0);
    shadow_fail(graph, "%s: word %#llx, expected a reference with tag %u", where, (unsigned long long)found,
                (unsigned)expected);
  }
  shadow_check_identity(graph, target, address);
  return address;
}

void shadow_walk_begin(struct shadow_walk *walk, struct shadow_graph *graph, uint64_t stamp) {
  *walk = (struct shadow_walk){.graph = graph, .stamp = stamp};
}

static void walk_push(struct shadow_walk *walk, struct shadow_node *node, uintptr_t address) {
  if (node->stamp == walk->stamp) {
    if (node->address == address) return;
    describe(node, address);
    shadow_fail(walk->graph, "one object at two places: %#zx and %#zx", (size_t)node->address, (size_t)address);
  }
  node->stamp = walk->stamp;
  node->address = address;
  walk->private_seen += !node->shared;
  if (walk->depth == walk->capacity) {
    walk->capacity = walk->capacity ? walk->capacity * 2 : 1024;
    walk->stack = realloc(walk->stack, walk->capacity * sizeof *walk->stack);
  }
  walk->stack[walk->depth++] = node;
}

void shadow_walk_root(struct shadow_walk *walk, varve_word found, struct shadow_node *target, varve_word expected,
                      const char *where) {
  uintptr_t address = shadow_check_word(walk->graph, found, target, expected, where);
  if (target) walk_push(walk, target, address);
}

static void compare_words(struct shadow_walk *walk, const struct shadow_node *node, size_t from, size_t to) {
  const uint64_t *words = (const uint64_t *)node->address;
  if (from >= to || memcmp(words + from, node->words + from, (to - from) * 8) == 0) return;
  while (words[from] == node->words[from]) ++from;
  describe(node, node->address);
  shadow_fail(walk->graph, "word %zu: %#llx, expected %#llx (not a slot)", from, (unsigned long long)words[from],
              (unsigned long long)node->words[from]);
}

static void compare_slot(struct shadow_walk *walk, const struct shadow_node *node, const struct shadow_edge *edge) {
  varve_word found = varve_load((const varve_word *)node->address + edge->word);
  varve_word expected = node->words[edge->word];
  char where[96];
  bool right = edge->target ? (found & 7) == expected : found == expected;
  uintptr_t address = (uintptr_t)(found & ~(varve_word)7);
  if (!right) {
    describe(node, node->address);
    snprintf(where, sizeof where, "slot at word %u of object %#zx", edge->word, (size_t)node->address);
    shadow_check_word(walk->graph, found, edge->target, expected, where);
  }
  if (!edge->target) return;
  if (edge->target->stamp != walk->stamp) shadow_check_identity(walk->graph, edge->target, address);
  walk_push(walk, edge->target, address);
}

static void compare_object(struct shadow_walk *walk, struct shadow_node *node) {
  size_t next = 1;
  if (varve_host_byte((const varve_object *)node->address) != node->host_byte) {
    describe(node, node->address);
    shadow_fail(walk->graph, "host byte %u, expected %u", varve_host_byte((const varve_object *)node->address),
                node->host_byte);
  }
  for (size_t i = 0; i < node->edge_count; ++i) {
    compare_words(walk, node, next, node->edges[i].word);
    compare_slot(walk, node, &node->edges[i]);
    next = node->edges[i].word + 1;
  }
  compare_words(walk, node, next, node->word_count);
}

void shadow_walk_finish(struct shadow_walk *walk) {
  while (walk->depth) compare_object(walk, walk->stack[--walk->depth]);
  free(walk->stack);
  walk->stack = NULL;
  walk->capacity = 0;
}
