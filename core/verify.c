/* SPDX-License-Identifier: MIT */
/* verify.c -- the verifier: trust nothing, look at everything, say what is wrong and where.
 *
 * Idea       Parse: walk every object that the tables say can be walked, check its header, and set its bit in a map of
 *            object starts. Trace: from the roots, serially, with a map of visited objects; a reference must hit a
 *            start. Everything else compares one of the two maps with what the collector says.
 *            Only headers are read while parsing: a dead object's payload may hold anything.
 * Digest     A running hash over the trace. What goes in is free of addresses: words that are no references, tags,
 *            whether an edge was seen before, and the contents of what it leads to. Equal before and after.
 * Independent of mark.c, plan.c, compact.c: own walks, own maps, own arithmetic. Shared: layouts, scan.h, root tasks.
 * Called by  collect.c, worker 0, world stopped, TLABs retired, root tasks listed.
 * Cost       a serial trace that hashes. Maps and stack are reserved with the heap, committed when first used; so the
 *            verifier makes system calls in a pause, which the collector never does.
 */
#include "core/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/bits.h"
#include "core/hash.h"
#include "core/heap.h"
#include "core/remember.h"
#include "core/root.h"
#include "core/scan.h"
#include "core/verifier.h"
#include "numa/place.h"

#define STACK_PIECE (VARVE__REGION_BYTES / sizeof(uint64_t)) /* entries committed at a time */
#define EDGE_WORDS 64u                                  /* larger objects go into an edge's hash by header only */
#define SMALL_WORDS (VARVE_SMALL_MAX / 8)

/* ---- open and close ---------------------------------------------------------------------------------------- */

static size_t maps_bytes(const struct varve_space *space) {
  return (size_t)space->region_count * MAPS * MAP_WORDS * sizeof(uint64_t);
}

static size_t tables_bytes(const struct varve_space *space) {
  return (size_t)space->region_count * (sizeof(uint64_t) + 2);
}

static void trace_range(struct varve_visitor *visitor, varve_word *base, size_t stride, size_t count,
                        const uint64_t *bitmap, bool ref);
static void trace_narrow(struct varve_visitor *visitor, varve_narrow *base, size_t stride, size_t count,
                         const uint64_t *bitmap);

struct varve_verifier *varve__verifier_open(varve_heap *heap) {
  struct varve_verifier *v = heap_meta_alloc(heap, sizeof *v);
  if (!v) return NULL;
  const struct varve_space *space = &heap->space;
  v->heap = heap;
  v->visitor = (struct varve_visitor){.range = trace_range, .narrow = trace_narrow, .heap = heap, .context = v};
  v->claimed = heap_meta_alloc(heap, tables_bytes(space));
  v->maps = varve__place_reserve(maps_bytes(space), 0);
  v->stack = varve__place_reserve(space->bytes, 0); /* one entry a word: no heap has more objects */
  v->holders = varve__place_reserve(space->bytes, 0);
  if (v->claimed && v->maps && v->stack && v->holders) {
    v->committed = (uint8_t *)(v->claimed + space->region_count);
    v->present = v->committed + space->region_count;
    return v;
  }
  varve__verifier_close(v);
  return NULL;
}

void varve__verifier_close(struct varve_verifier *v) {
  if (!v) return;
  varve_heap *heap = v->heap;
  if (v->stack) varve__place_release(v->stack, heap->space.bytes);
  if (v->holders) varve__place_release(v->holders, heap->space.bytes);
  if (v->maps) varve__place_release(v->maps, maps_bytes(&heap->space));
  heap_meta_free(heap, v->claimed, tables_bytes(&heap->space));
  heap_meta_free(heap, v, sizeof *v);
}

/* ---- saying what is wrong ---------------------------------------------------------------------------------- */

/* Only the first damage is told; later ones are mostly its consequences. */
static void tell(struct varve_verifier *v, bool starved, const char *format, va_list arguments) {
  char text[sizeof v->error->detail];
  if (v->failed) return;
  v->failed = true;
  v->starved = starved;
  vsnprintf(text, sizeof text, format, arguments);
  varve__error(v->error, result(v), "%s", text);
}

void varve__verify_damage(struct varve_verifier *v, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  tell(v, false, format, arguments);
  va_end(arguments);
}

void varve__verify_starve(struct varve_verifier *v, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  tell(v, true, format, arguments);
  va_end(arguments);
}

struct place varve__verify_place(const struct varve_verifier *v, const varve_object *object) {
  struct place place;
  snprintf(place.text, sizeof place.text, "object %p (layout %u \"%.40s\", %zu bytes)", (const void *)object,
           varve_object_layout(object), varve_layout_name(v->heap, varve_object_layout(object)),
           varve_object_bytes(object));
  return place;
}

/* Where the visited slot is: in an object, at an offset; or in a root table. */
static struct place slot_place(const struct varve_verifier *v, const void *slot) {
  struct place place = {""};
  char name[80];
  if (v->object) {
    place = varve__verify_place(v, v->object);
    size_t length = strlen(place.text);
    snprintf(place.text + length, sizeof place.text - length, " +%td", (const char *)slot - (char *)v->object);
  } else {
    if (v->queue) snprintf(name, sizeof name, "finalizers");
    else varve__roots_task_name(v->heap->roots, v->task, name, sizeof name);
    snprintf(place.text, sizeof place.text, "root %s, slot %p", name, (const void *)slot);
  }
  return place;
}

void varve__verify_begin(struct varve_verifier *v, varve_error *error) {
  v->error = error;
  v->failed = v->starved = false;
  v->object = NULL;
  v->queue = false;
  v->depth = 0;
}

/* ---- maps -------------------------------------------------------------------------------------------------- */

static void map_set(const struct varve_verifier *v, enum map map, uint64_t address) {
  size_t word = space_word(space_of(v), address) % VARVE__REGION_WORDS;
  map_of(v, map, space_region(space_of(v), address))[word / 64] |= (uint64_t)1 << word % 64;
}

static bool all_set(const uint64_t *bits, size_t from, size_t count) {
  for (size_t i = from; i < from + count; ++i)
    if (!(bits[i / 64] >> i % 64 & 1)) return false;
  return true;
}

static void set_range(uint64_t *bits, size_t from, size_t count) {
  for (size_t i = from; i < from + count; ++i) bits[i / 64] |= (uint64_t)1 << i % 64;
}

/* Give the region empty maps. */
static bool open_maps(struct varve_verifier *v, uint32_t region) {
  size_t bytes = MAPS * MAP_WORDS * sizeof(uint64_t);
  uint64_t *maps = map_of(v, STARTS, region);
  if (v->committed[region]) memset(maps, 0, 2 * MAP_WORDS * sizeof(uint64_t)); /* the others are written as a whole */
  else v->committed[region] = varve__place_commit(v->heap->topology, maps, bytes, heap_home(v->heap), 0);
  if (!v->committed[region]) varve__verify_starve(v, "the verifier has no memory for its maps of region %u", region);
  v->present[region] = v->committed[region];
  return v->present[region];
}

/* Every object of the map within words [from, to) of a region, in address order. */
static void each_in_region(struct varve_verifier *v, enum map map, uint32_t region, size_t from, size_t to,
                           object_fn *visit) {
  uint64_t base = space_region_address(space_of(v), region);
  const uint64_t *bits = map_of(v, map, region);
  for (size_t at = next_bit(bits, from, to); at < to && !v->failed; at = next_bit(bits, at + 1, to)) {
    varve_object *object = (varve_object *)(base + at * 8);
    visit(v, object, varve_object_bytes(object) / 8);
  }
}

void varve__verify_each(struct varve_verifier *v, enum map map, object_fn *visit) {
  for (uint32_t r = 0; r < space_of(v)->region_high && !v->failed; ++r)
    if (v->present[r]) each_in_region(v, map, r, 0, VARVE__REGION_WORDS, visit);
}

/* ---- parse ------------------------------------------------------------------------------------------------- */

/* Check the header at `address`, which has `room` words, and note the object. @return its words; 0: damage. */
static uint64_t take_object(struct varve_verifier *v, uint64_t address, uint64_t room, uint64_t least,
                            uint64_t most) {
  const varve_object *object = (const varve_object *)address;
  uint64_t words = varve_object_bytes(object) / 8;
  varve_layout layout = varve_object_layout(object);
  const char *wrong = NULL;
  if (!words || words > room) wrong = "its size runs out of its place";
  else if (words < least || words > most) wrong = "an object of its size does not belong into this kind of region";
  else if (!varve__layout_fits(&v->heap->layouts, layout, words)) wrong = "no such layout, or none of its size";
  else if (address % v->heap->options.granule || words * 8 % v->heap->options.granule) wrong = "not of the granule";
  if (wrong) {
    varve__verify_damage(v, "object %p: header %#llx (layout %u \"%.40s\", %llu words of %llu): %s",
                         (const void *)object, ull(object->header), layout, varve_layout_name(v->heap, layout),
                         ull(words), ull(room), wrong);
    return 0;
  }
  map_set(v, STARTS, address);
  return words;
}

/* Words [from, to) are objects from end to end. */
static void parse_linear(struct varve_verifier *v, uint64_t base, size_t from, size_t to, uint64_t most) {
  while (from < to) {
    uint64_t words = take_object(v, base + from * 8, to - from, 1, most);
    if (!words) return;
    from += words;
  }
}

/* The set bits of words [0, end) are objects from end to end. */
static void parse_bits(struct varve_verifier *v, uint64_t base, const uint64_t *bitmap, size_t end, uint64_t most) {
  for (size_t at = next_bit(bitmap, 0, end); at < end; at = next_bit(bitmap, at, end)) {
    uint64_t words = take_object(v, base + at * 8, end - at, 1, most);
    if (!words) return;
    if (!all_set(bitmap, at, words)) {
      varve__verify_damage(v, "%s: only part of its words are marked",
                           varve__verify_place(v, (varve_object *)(base + at * 8)).text);
      return;
    }
    at += words;
  }
}

static void parse_block(struct varve_verifier *v, uint32_t block) {
  const struct varve_space *space = space_of(v);
  const struct varve_block *b = &space->blocks[block];
  uint64_t base = space_block_address(space, block);
  if (b->top > VARVE__BLOCK_WORDS) varve__verify_damage(v, "block %u: top %u is outside", block, b->top);
  else if (b->kind == BLOCK_SMALL && space_is_fresh(space, block)) parse_linear(v, base, 0, b->top, SMALL_WORDS);
  else if (b->kind == BLOCK_SMALL) parse_bits(v, base, space_block_bitmap(space, block), b->top, SMALL_WORDS);
}

/* Below fresh_from the bitmap speaks; above, the objects lie end to end. */
static void parse_medium(struct varve_verifier *v, uint32_t region) {
  const struct varve_space *space = space_of(v);
  const struct varve_region *r = &space->regions[region];
  uint32_t top = atomic_load_explicit(&r->top, memory_order_relaxed);
  uint64_t base = space_region_address(space, region);
  if (top > VARVE__REGION_WORDS || r->fresh_from > top) {
    varve__verify_damage(v, "MEDIUM region %u: fresh from %u, top %u", region, r->fresh_from, top);
    return;
  }
  parse_bits(v, base, space_block_bitmap(space, region * VARVE__REGION_BLOCKS), r->fresh_from, MEDIUM_WORDS);
  parse_linear(v, base, r->fresh_from, top, MEDIUM_WORDS);
}

static void parse_large(struct varve_verifier *v, uint32_t block) {
  const struct varve_block *b = &space_of(v)->blocks[block];
  if (b->kind != BLOCK_LARGE_HEAD) return;
  uint64_t room = (uint64_t)b->age * VARVE__BLOCK_WORDS;
  take_object(v, space_block_address(space_of(v), block), room, MEDIUM_WORDS + 1, UINT32_MAX);
}

static void parse_region(struct varve_verifier *v, uint32_t region) {
  uint8_t kind = kind_of(v, region);
  if (kind == REGION_MEDIUM) parse_medium(v, region);
  if (!region_has_blocks(kind)) return;
  for (uint32_t b = region * VARVE__REGION_BLOCKS; b < (region + 1) * VARVE__REGION_BLOCKS && !v->failed; ++b)
    (space_of(v)->blocks[b].kind == BLOCK_SMALL ? parse_block : parse_large)(v, b);
}

static void parse(struct varve_verifier *v) {
  for (uint32_t r = 0; r < space_of(v)->region_high && !v->failed; ++r) {
    v->present[r] = 0;
    if (kind_of(v, r) >= REGION_SMALL && open_maps(v, r)) parse_region(v, r);
  }
}

/* ---- hashing ----------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
  return hash ^ hash >> 29;
}

/* Half of a word by its place in the object; summed up, so that references can be taken out again. */
static uint64_t half_hash(size_t index, uint32_t half) { return mix(mix(0, index + 1), half); }

static uint64_t word_hash(size_t index, uint64_t word) {
  return half_hash(2 * index, (uint32_t)word) + half_hash(2 * index + 1, (uint32_t)(word >> 32));
}

/* Of the flag byte, which belongs to the collector, the identity hash counts. */
static uint64_t header_hash(const varve_heap *heap, const varve_object *object) {
  uint64_t identity = hash_is_flagged(object) ? varve__hash_find(heap, object) : 0;
  return word_hash(0, (object->header & ~(uint64_t)0xff) ^ identity);
}

static uint64_t words_hash(const varve_heap *heap, const varve_object *object, uint64_t words) {
  const uint64_t *word = (const uint64_t *)object;
  uint64_t sum = header_hash(heap, object);
  for (size_t i = 1; i < words; ++i) sum += word_hash(i, word[i]);
  return sum;
}

/* K2: its data words may be changed in the pause. */
static bool is_hooked(const varve_heap *heap, const varve_object *object) {
  return heap->layouts.entries[varve_object_layout(object)].hooked;
}

static uint64_t reference_hash(size_t index, varve_word word) { return word_hash(index, word & 7) + 1; }

static uint64_t narrow_reference_hash(const varve_heap *heap, size_t index, varve_narrow word) {
  return half_hash(index, word & heap->narrow.tag_mask) + 1;
}

struct content {
  const varve_heap *heap;
  varve_word *object;
  uint64_t sum;
};

SCAN_INLINE void replace_references(void *context, varve_word *slots, size_t count) {
  struct content *content = context;
  for (size_t i = 0; i < count; ++i) {
    if (!heap_is_reference(content->heap, slots[i], content->heap->slot_tags)) continue;
    size_t index = (size_t)(&slots[i] - content->object);
    content->sum += reference_hash(index, slots[i]) - word_hash(index, slots[i]);
  }
}

SCAN_INLINE void replace_narrow(void *context, varve_narrow *slots, size_t count) {
  struct content *content = context;
  for (size_t i = 0; i < count; ++i) {
    if (!heap_is_narrow_reference(content->heap, slots[i])) continue;
    size_t index = (size_t)(&slots[i] - (varve_narrow *)content->object);
    content->sum += narrow_reference_hash(content->heap, index, slots[i]) - half_hash(index, slots[i]);
  }
}

/* The layout that describes the object's slots at this moment; NULL: it has none. */
static const struct varve_layout_entry *layout_in_force(const varve_heap *heap, const varve_object *object) {
  varve_layout layout = varve_object_layout(object);
  while (layout && heap->layouts.entries[layout].kind == VARVE_LAYOUT_UNION)
    layout = scan_choose(heap->layouts.entries[layout].choice, (const varve_word *)object);
  return layout ? &heap->layouts.entries[layout] : NULL;
}

/* What an edge leads to, free of addresses. */
static uint64_t edge_hash(const varve_heap *heap, varve_object *object) {
  uint64_t words = varve_object_bytes(object) / 8;
  const struct varve_layout_entry *layout = layout_in_force(heap, object);
  bool traced = layout && (layout->kind == VARVE_LAYOUT_TRACE || layout_is_weak(layout));
  if (words > EDGE_WORDS || traced || is_hooked(heap, object)) return header_hash(heap, object);
  struct content content = {heap, (varve_word *)object, words_hash(heap, object, words)};
  if (layout)
    scan_object(&heap->layouts, layout, (varve_word *)object, words, replace_references, replace_narrow, &content,
                NULL);
  return content.sum;
}

/* ---- trace ------------------------------------------------------------------------------------------------- */

/* Is there room for one more behind `count` words of a list? */
static bool make_room(struct varve_verifier *v, void *list, size_t count, size_t *room) {
  if (count < *room) return true;
  void *piece = (uint64_t *)list + *room;
  if (!varve__place_commit(v->heap->topology, piece, STACK_PIECE * sizeof(uint64_t), heap_home(v->heap), 0)) {
    varve__verify_starve(v, "the verifier has no memory for a list of %zu objects", count);
    return false;
  }
  *room += STACK_PIECE;
  return true;
}

static void push(struct varve_verifier *v, uint64_t address) {
  if (make_room(v, v->stack, v->depth, &v->room)) v->stack[v->depth++] = address;
}

static void note_holder(struct varve_verifier *v, varve_object *object) {
  if (make_room(v, v->holders, v->holder_count, &v->holder_room)) v->holders[v->holder_count++] = object;
}

static const char *what_is_at(const struct varve_verifier *v, uint64_t address) {
  static const char *const kinds[] = {"memory that is not committed", "a free region", "a region of small blocks",
                                      "a region of medium objects", "a region of large objects"};
  return kinds[kind_of(v, space_region(space_of(v), address))];
}

/* A1, and A2 for what is immutable. */
static void check_remembered(struct varve_verifier *v, const void *slot, uint64_t target) {
  const struct varve_space *space = space_of(v);
  uint8_t newer = space->epochs[space_block(space, target)];
  bool forever = v->object && space_is_immortal(space, space_block(space, (uintptr_t)v->object));
  if (!v->heap->ages.on || v->queue || atomic_load_explicit(&v->heap->remembered.lost, memory_order_relaxed)) return;
  if (!forever && (newer <= v->heap->ages.tenured || v->heap->ages.asleep)) return;
  if (!v->object) {
    if (!varve__roots_has_note(v->heap->roots, v->task, slot))
      varve__verify_damage(v, "%s: refers to %p of epoch %u, and no store was noted: written past the store interface?",
                           slot_place(v, slot).text, (void *)target, newer);
    return;
  }
  uint8_t older = space->epochs[space_block(space, (uintptr_t)v->object)];
  if (older >= newer || varve__remembered_has(v->heap, v->object, slot)) return;
  bool immutable = v->heap->layouts.entries[varve_object_layout(v->object)].immutable;
  varve__verify_damage(v, "%s of epoch %u refers to %s of epoch %u: %s", slot_place(v, slot).text, older,
                       varve__verify_place(v, (varve_object *)target).text, newer,
                       immutable ? "an immutable object was written late" : "a store without barrier");
}

bool varve__verify_sound(struct varve_verifier *v, const void *slot, uint64_t word, uint64_t address) {
  if (!map_test(v, STARTS, address)) {
    varve__verify_damage(v, "%s: word %#llx refers into %s, where no object starts", slot_place(v, slot).text,
                         ull(word), what_is_at(v, address));
    return false;
  }
  check_remembered(v, slot, address);
  return true;
}

static void visit_once(struct varve_verifier *v, uint64_t address) {
  if (map_test(v, VISITED, address)) return;
  map_set(v, VISITED, address);
  push(v, address);
}

void varve__verify_reach(struct varve_verifier *v, const varve_word *slot, varve_word word) {
  uint64_t address = word & ~(varve_word)7;
  if (varve__verify_sound(v, slot, word, address)) visit_once(v, address);
}

void varve__verify_mix_word(struct varve_verifier *v, varve_word word) { v->now.digest = mix(v->now.digest, word); }

void varve__verify_mix_edge(struct varve_verifier *v, varve_word word) {
  uint64_t address = word & ~(varve_word)7;
  v->now.digest = mix(mix(v->now.digest, word & 7), edge_hash(v->heap, (varve_object *)address));
}

static void follow(struct varve_verifier *v, const void *slot, uint64_t word, uint64_t address, unsigned tag) {
  if (!varve__verify_sound(v, slot, word, address)) return;
  bool seen = map_test(v, VISITED, address);
  v->now.digest = mix(mix(v->now.digest, tag | (uint64_t)seen << 6),
                      edge_hash(v->heap, (varve_object *)address));
  visit_once(v, address);
}

static void visit_slot(struct varve_verifier *v, varve_word *slot, uint32_t tags) {
  if (v->failed) return;
  varve_word word = __atomic_load_n(slot, __ATOMIC_RELAXED); /* the world is stopped; atomic as everywhere */
  ++v->now.slots;
  if (v->heap->options.poison && word == VARVE__POISON) {
    varve__verify_damage(v, "%s: word %#llx is the poison pattern: an uninitialised or stale slot",
                         slot_place(v, slot).text, ull(word));
    return;
  }
  if (!heap_is_reference(v->heap, word, tags)) {
    v->now.digest = mix(v->now.digest, word);
    return;
  }
  if (v->object) {
    size_t index = (size_t)(slot - (varve_word *)v->object);
    v->content += reference_hash(index, word) - (v->hooked ? 0 : word_hash(index, word));
  }
  follow(v, slot, word, word & ~(varve_word)7, word & 7);
}

/* The poison's half may be a reference to a sound object, if its tag is one of references. */
static bool is_narrow_poison(const struct varve_verifier *v, varve_narrow word, uint64_t address) {
  if (!v->heap->options.poison || word != (varve_narrow)VARVE__POISON) return false;
  return !heap_is_narrow_reference(v->heap, word) || !map_test(v, STARTS, address);
}

static void visit_narrow(struct varve_verifier *v, varve_narrow *slot) {
  if (v->failed) return;
  varve_narrow word = __atomic_load_n(slot, __ATOMIC_RELAXED);
  uint64_t address = space_of(v)->base + narrow_offset(&v->heap->narrow, word);
  ++v->now.slots;
  if (is_narrow_poison(v, word, address)) {
    varve__verify_damage(v, "%s: narrow word %#x is half of the poison pattern: an uninitialised or stale slot",
                         slot_place(v, slot).text, word);
    return;
  }
  if (!heap_is_narrow_reference(v->heap, word)) {
    v->now.digest = mix(v->now.digest, word);
    return;
  }
  if (v->object) {
    size_t index = (size_t)(slot - (varve_narrow *)v->object);
    v->content += narrow_reference_hash(v->heap, index, word) - (v->hooked ? 0 : half_hash(index, word));
  }
  follow(v, slot, word, address, word & v->heap->narrow.tag_mask);
}

SCAN_INLINE void trace_slots(void *context, varve_word *slots, size_t count) {
  struct varve_verifier *v = context;
  for (size_t i = 0; i < count; ++i) visit_slot(v, &slots[i], v->heap->slot_tags);
}

SCAN_INLINE void trace_narrow_slots(void *context, varve_narrow *slots, size_t count) {
  struct varve_verifier *v = context;
  for (size_t i = 0; i < count; ++i) visit_narrow(v, &slots[i]);
}

/* A trace function may give slots of its own object only. */
static bool is_own_slot(struct varve_verifier *v, const void *slot, size_t width) {
  const char *at = slot, *object = (const char *)v->object;
  if ((uintptr_t)slot % width == 0 && (!object || (at >= object + sizeof(varve_object) && at < object + v->words * 8)))
    return true;
  varve__verify_damage(v, "%s: not a slot of it", slot_place(v, slot).text);
  return false;
}

typedef void slot_fn(struct varve_verifier *v, varve_word *slot, uint32_t tags);

/* What the roots and trace functions give, slot by slot. */
static void each_slot(struct varve_verifier *v, varve_word *base, size_t stride, size_t count, const uint64_t *bitmap,
                      bool ref, slot_fn *visit) {
  uint32_t tags = ref ? v->heap->ref_tags : v->heap->slot_tags;
  for (size_t i = 0; i < count && !v->failed; ++i) {
    varve_word *slot = (varve_word *)((char *)base + i * stride);
    if (bitmap && !(__atomic_load_n(&bitmap[i / 64], __ATOMIC_RELAXED) >> i % 64 & 1)) continue;
    if (is_own_slot(v, slot, sizeof *slot)) visit(v, slot, tags);
  }
}

typedef void narrow_fn(struct varve_verifier *v, varve_narrow *slot);

static void each_narrow(struct varve_verifier *v, varve_narrow *base, size_t stride, size_t count,
                        const uint64_t *bitmap, narrow_fn *visit) {
  for (size_t i = 0; i < count && !v->failed; ++i) {
    varve_narrow *slot = (varve_narrow *)((char *)base + i * stride);
    if (bitmap && !(__atomic_load_n(&bitmap[i / 64], __ATOMIC_RELAXED) >> i % 64 & 1)) continue;
    if (is_own_slot(v, slot, sizeof *slot)) visit(v, slot);
  }
}

static void trace_narrow(struct varve_visitor *visitor, varve_narrow *base, size_t stride, size_t count,
                         const uint64_t *bitmap) {
  each_narrow(visitor->context, base, stride, count, bitmap, visit_narrow);
}

static void trace_range(struct varve_visitor *visitor, varve_word *base, size_t stride, size_t count,
                        const uint64_t *bitmap, bool ref) {
  each_slot(visitor->context, base, stride, count, bitmap, ref, visit_slot);
}

/* Of an object of a weak kind only the header, and what lies between the library's word and `first`, is content. */
static void trace_holder(struct varve_verifier *v, varve_object *object, const struct varve_layout_entry *layout) {
  const uint64_t *word = (const uint64_t *)object;
  v->content = header_hash(v->heap, object);
  for (size_t i = 2; i < layout->first && !v->hooked; ++i) v->content += word_hash(i, word[i]);
  scan_strong(layout, (varve_word *)object, trace_slots, v);
  note_holder(v, object);
}

static void trace_object(struct varve_verifier *v, varve_object *object) {
  const struct varve_layout_table *table = &v->heap->layouts;
  const struct varve_layout_entry *layout = &table->entries[varve_object_layout(object)];
  v->object = object;
  v->words = varve_object_bytes(object) / 8;
  v->hooked = is_hooked(v->heap, object);
  if (layout_is_weak(layout)) {
    trace_holder(v, object, layout);
  } else {
    v->content = v->hooked ? header_hash(v->heap, object) : words_hash(v->heap, object, v->words);
    scan_object(table, layout, (varve_word *)object, v->words, trace_slots, trace_narrow_slots, v, &v->visitor);
  }
  v->object = NULL;
  v->now.digest = mix(v->now.digest, v->content);
  v->now.words += v->words;
  ++v->now.objects;
}

void varve__verify_drain(struct varve_verifier *v) {
  while (v->depth && !v->failed) trace_object(v, (varve_object *)v->stack[--v->depth]);
}

void varve__verify_roots(struct varve_verifier *v) {
  memset(&v->now, 0, sizeof v->now);
  v->holder_count = 0;
  for (v->task = 0; v->task < v->heap->root_tasks && !v->failed; ++v->task) {
    varve__roots_visit(v->heap->roots, v->task, &v->visitor);
    varve__verify_drain(v);
  }
}

/* ---- remembered objects ------------------------------------------------------------------------------------ */

static bool is_flagged(const varve_object *object) { return *(const uint8_t *)object & VARVE__FLAGS_REMEMBERED; }

/* A3, and half of N1: how many older objects say that they are listed. What has no slots is never listed, and its flag
 * may stay as it was. */
static void count_flagged(struct varve_verifier *v, varve_object *object, uint64_t words) {
  if (words == 1) return;
  bool fresh = space_is_fresh(space_of(v), space_block(space_of(v), (uintptr_t)object));
  if (fresh && (*(const uint8_t *)object & VARVE__FLAGS_REMEMBERED) != VARVE_ABI_FLAG_NO_LOG)
    varve__verify_damage(v, "A3: %s is new, and its flags are %#x", varve__verify_place(v, object).text,
                         *(const uint8_t *)object);
  v->flagged += !fresh && is_flagged(object);
}

static bool is_listable(const struct varve_verifier *v, const varve_object *object) {
  return map_test(v, STARTS, (uintptr_t)object) && is_flagged(object) &&
         !space_is_fresh(space_of(v), space_block(space_of(v), (uintptr_t)object));
}

/* Every listed object is an older one that says so; and there are as many of the ones as of the others. */
static void check_lists(struct varve_verifier *v) {
  const struct varve_remembered *remembered = &v->heap->remembered;
  if (!v->heap->ages.on || v->lost) return;
  v->flagged = 0;
  varve__verify_each(v, STARTS, count_flagged);
  for (uint32_t i = 0; i < remembered->count; ++i)
    for (uint32_t k = 0; k < remembered->lists[i]->count && !v->failed; ++k)
      if (!is_listable(v, remembered->lists[i]->entries[k]))
        varve__verify_damage(v, "N1: %p is listed, and no older object that says so",
                             (void *)remembered->lists[i]->entries[k]);
  if (!v->failed && v->flagged != varve__remembered_count(v->heap))
    varve__verify_damage(v, "N1: %llu objects are listed, %llu say so", ull(varve__remembered_count(v->heap)),
                         ull(v->flagged));
}

/* What listed objects reach survives a collection that does not take them, be they dead themselves. Not in the
 * digest. */
void varve__verify_listed(struct varve_verifier *v) {
  const struct varve_remembered *remembered = &v->heap->remembered;
  for (uint32_t i = 0; i < remembered->count; ++i)
    for (uint32_t k = 0; k < remembered->lists[i]->count && !v->failed; ++k) {
      uint64_t address = (uintptr_t)remembered->lists[i]->entries[k];
      if (map_test(v, VISITED, address) || space_in_range(space_of(v), space_block(space_of(v), address))) continue;
      map_set(v, VISITED, address);
      push(v, address);
      varve__verify_drain(v);
    }
}

/* Parse, check the lists. */
static void open_trace(struct varve_verifier *v, enum trace_mode mode, varve_error *error) {
  varve__verify_begin(v, error);
  v->mode = mode;
  v->weak = v->heap->final.count || atomic_load_explicit(&v->heap->weak.present, memory_order_relaxed);
  v->lost = v->heap->ages.asleep || atomic_load_explicit(&v->heap->remembered.lost, memory_order_relaxed);
  parse(v);
  if (!v->failed) check_lists(v);
  if (!v->failed) varve__verify_hashes(v);
}

static void trace(struct varve_verifier *v) {
  if (!v->failed) varve__verify_roots(v);
  if (!v->failed && v->weak) varve__verify_weak(v);
}

varve_status varve__verify_trace(struct varve_verifier *v, struct varve_snapshot *out, varve_error *error) {
  open_trace(v, TRACE_HEAP, error);
  trace(v);
  if (!v->failed && out) *out = v->now;
  return result(v);
}

varve_status varve__verify_before(struct varve_verifier *v, struct varve_snapshot *out, varve_error *error) {
  open_trace(v, TRACE_BEFORE, error);
  uint64_t survivors = !v->failed && v->weak ? varve__verify_foretell(v) : 0;
  trace(v);
  *out = v->now;
  if (v->failed) return result(v);
  varve__verify_stacks(v);
  if (v->weak) varve__verify_copy(v, KEPT, VISITED);
  else if (space_of(v)->cut) varve__verify_listed(v);
  out->survivors = v->weak ? survivors : v->now.objects;
  return result(v);
}

/* ---- marks ------------------------------------------------------------------------------------------------- */

static void expect_marks(struct varve_verifier *v, varve_object *object, uint64_t words) {
  size_t at = space_word(space_of(v), (uintptr_t)object) % VARVE__REGION_WORDS;
  set_range(v->expected, at, words > MEDIUM_WORDS ? 1 : words);
  ++v->now.objects;
  v->now.words += words;
}

/* The visited object in which the word lies, or that is the last before it; NULL: none. */
static varve_object *object_before(const struct varve_verifier *v, uint32_t region, size_t word) {
  const uint64_t *visited = map_of(v, VISITED, region);
  for (size_t at = word + 1; at-- > 0;)
    if (visited[at / 64] >> at % 64 & 1) return (varve_object *)(space_region_address(space_of(v), region) + at * 8);
  return NULL;
}

static void report_mark(struct varve_verifier *v, uint32_t region, size_t line, uint64_t wrong) {
  size_t word = line * 64 + bits_lowest(wrong);
  bool expected = v->expected[line] & (wrong & -wrong);
  uint64_t address = space_region_address(space_of(v), region) + word * 8;
  varve_object *object = object_before(v, region, word);
  varve__verify_damage(v, "word %#llx is %s; reachable object before it: %s", ull(address),
         expected ? "part of a reachable object and not marked" : "marked and not part of a reachable object",
         object ? varve__verify_place(v, object).text : "none in the region");
}

/* What is wrong with the bits of a line. Older blocks hold objects that have died since; of a large object only the
 * first bit is a mark. */
static uint64_t wrong_bits(const struct varve_verifier *v, uint32_t block, size_t line, uint64_t bits) {
  uint64_t expected = v->expected[line], wrong = bits ^ expected;
  uint8_t kind = space_of(v)->blocks[block].kind;
  if (!v->exact || !space_in_range(space_of(v), block)) wrong &= expected;
  if (kind == BLOCK_LARGE_BODY || (kind == BLOCK_LARGE_HEAD && line % VARVE__BLOCK_LINES)) return 0;
  return kind == BLOCK_LARGE_HEAD ? wrong & 1 : wrong;
}

/* The region's bitmap is set for exactly the words of the visited objects. */
static void check_region_marks(struct varve_verifier *v, uint32_t region) {
  uint32_t first = region * VARVE__REGION_BLOCKS;
  const uint64_t *bitmap = space_block_bitmap(space_of(v), first);
  memset(v->expected, 0, sizeof v->expected);
  each_in_region(v, VISITED, region, 0, VARVE__REGION_WORDS, expect_marks);
  for (size_t line = 0; line < MAP_WORDS && !v->failed; ++line) {
    uint64_t wrong = wrong_bits(v, first + (uint32_t)(line / VARVE__BLOCK_LINES), line, bitmap[line]);
    if (wrong) report_mark(v, region, line, wrong);
  }
}

static void check_marks(struct varve_verifier *v) {
  for (uint32_t r = 0; r < space_of(v)->region_high && !v->failed; ++r)
    if (v->present[r]) check_region_marks(v, r);
}

varve_status varve__verify_marks(struct varve_verifier *v, const struct varve_snapshot *snapshot,
                                 varve_error *error) {
  varve__verify_begin(v, error);
  v->now = (struct varve_snapshot){0};
  v->exact = true;
  check_marks(v);
  if (!v->failed && v->now.objects != snapshot->survivors)
    varve__verify_damage(v, "%llu objects are marked, %llu were traced", ull(v->now.objects), ull(snapshot->survivors));
  return result(v);
}

/* ---- tables ------------------------------------------------------------------------------------------------ */

struct tally {
  uint64_t used_blocks, committed, free_regions;
};

/* No bit is set in words [from, to) of the piece that starts at the block. */
static void check_unmarked(struct varve_verifier *v, uint32_t block, size_t from, size_t to, const char *what) {
  size_t at = next_bit(space_block_bitmap(space_of(v), block), from, to);
  if (at < to) varve__verify_damage(v, "block %u: word %zu of %s is marked", block, at, what);
}

static void check_small_block(struct varve_verifier *v, uint32_t block, bool free, struct tally *tally) {
  const struct varve_block *b = &space_of(v)->blocks[block];
  if (free != (b->kind == BLOCK_FREE) || (!free && b->kind != BLOCK_SMALL)) {
    varve__verify_damage(v, "block %u of a SMALL region: kind %u, but it is %s in free_blocks", block, b->kind,
           free ? "free" : "taken");
    return;
  }
  tally->used_blocks += !free;
  if (free) check_unmarked(v, block, 0, VARVE__BLOCK_WORDS, "a free block");
  else if (space_is_fresh(space_of(v), block)) check_unmarked(v, block, 0, VARVE__BLOCK_WORDS, "a new block");
  else check_unmarked(v, block, b->top, VARVE__BLOCK_WORDS, "the space above top");
}

static void check_medium(struct varve_verifier *v, uint32_t region, struct tally *tally) {
  const struct varve_space *space = space_of(v);
  uint32_t first = region * VARVE__REGION_BLOCKS;
  tally->used_blocks += VARVE__REGION_BLOCKS;
  for (uint32_t b = first; b < first + VARVE__REGION_BLOCKS; ++b)
    if (space->blocks[b].kind != BLOCK_MEDIUM)
      varve__verify_damage(v, "block %u of a MEDIUM region: kind %u", b, space->blocks[b].kind);
  check_unmarked(v, first, space->regions[region].fresh_from, VARVE__REGION_WORDS, "new medium objects");
}

/* Does the block belong to a run, by what it and the run's head say? */
static bool is_body(const struct varve_space *space, uint32_t block) {
  uint32_t back = space->blocks[block].age;
  return space->blocks[block].kind == BLOCK_LARGE_BODY && back && back <= block &&
         space->blocks[block - back].kind == BLOCK_LARGE_HEAD && back < space->blocks[block - back].age;
}

/* Of a large run only the head's first bit is a mark; the others may be notes. */
static void check_noted(struct varve_verifier *v, uint32_t block, bool head) {
  const uint64_t notes = UINT64_C(0x0101010101010101) * VARVE__LINE_NOTED;
  const uint64_t *bitmap = space_block_bitmap(space_of(v), block);
  for (unsigned line = 0; line < VARVE__BLOCK_LINES; ++line)
    if (bitmap[line] & ~(notes | (head && !line)))
      varve__verify_damage(v, "block %u of a large run: bits %#llx in line %u", block, ull(bitmap[line]), line);
}

static void check_large_block(struct varve_verifier *v, uint32_t block, bool free, struct tally *tally) {
  const struct varve_space *space = space_of(v);
  uint8_t kind = space->blocks[block].kind;
  bool sound = free ? kind == BLOCK_FREE : kind == BLOCK_LARGE_HEAD || is_body(space, block);
  if (!sound)
    varve__verify_damage(v, "block %u of a LARGE region: kind %u, but it is %s in free_blocks, or its run is broken",
                         block, kind, free ? "free" : "taken");
  tally->used_blocks += !free;
  if (free) check_unmarked(v, block, 0, VARVE__BLOCK_WORDS, "a free block");
  else check_noted(v, block, kind == BLOCK_LARGE_HEAD);
}

static void check_region(struct varve_verifier *v, uint32_t region, struct tally *tally) {
  uint8_t kind = kind_of(v, region);
  uint32_t first = region * VARVE__REGION_BLOCKS;
  uint64_t free = atomic_load_explicit(&space_of(v)->regions[region].free_blocks, memory_order_relaxed);
  tally->committed += kind != REGION_UNCOMMITTED;
  tally->free_regions += kind == REGION_FREE;
  if (kind == REGION_FREE) check_unmarked(v, first, 0, VARVE__REGION_WORDS, "a free region");
  if (kind == REGION_MEDIUM) check_medium(v, region, tally);
  for (uint32_t b = 0; b < VARVE__REGION_BLOCKS && !v->failed; ++b) {
    if (kind == REGION_SMALL) check_small_block(v, first + b, free >> b & 1, tally);
    else if (kind == REGION_LARGE && space_of(v)->blocks[first + b].kind == BLOCK_SMALL)
      check_small_block(v, first + b, free >> b & 1, tally);
    else if (kind == REGION_LARGE) check_large_block(v, first + b, free >> b & 1, tally);
  }
}

static void check_counter(struct varve_verifier *v, const char *name, uint64_t counter, uint64_t counted) {
  if (counter != counted) varve__verify_damage(v, "%s is %llu, counted %llu", name, ull(counter), ull(counted));
}

static void check_tables(struct varve_verifier *v) {
  const struct varve_space *space = space_of(v);
  struct tally tally = {0};
  for (uint32_t r = 0; r < space->region_high && !v->failed; ++r) check_region(v, r, &tally);
  if (v->failed) return;
  check_counter(v, "used_blocks", atomic_load_explicit(&space->used_blocks, memory_order_relaxed), tally.used_blocks);
  check_counter(v, "committed", atomic_load_explicit(&space->committed, memory_order_relaxed), tally.committed);
  check_counter(v, "free_regions", atomic_load_explicit(&space->free_regions, memory_order_relaxed),
                tally.free_regions);
  if (tally.committed > space->limit_regions)
    varve__verify_damage(v, "R4: %llu regions are committed, the limit is %u", ull(tally.committed),
                         space->limit_regions);
  if (tally.used_blocks > space->limit_blocks)
    varve__verify_damage(v, "R4: %llu blocks are in use, the limit is %u", ull(tally.used_blocks), space->limit_blocks);
}

varve_status varve__verify_heap(struct varve_verifier *v, varve_error *error) {
  if (varve__verify_trace(v, NULL, error) == VARVE_OK) check_tables(v);
  if (!v->failed) varve__verify_stacks(v);
  return result(v);
}

static void compare(struct varve_verifier *v, const struct varve_snapshot *before) {
  const struct varve_snapshot *now = &v->now;
  if (before->objects == now->objects && before->words == now->words && before->slots == now->slots &&
      before->digest == now->digest)
    return;
  varve__verify_damage(v, "before: %llu objects, %llu words, %llu slots, digest %llx; after: %llu, %llu, %llu, %llx",
         ull(before->objects), ull(before->words), ull(before->slots), ull(before->digest), ull(now->objects),
         ull(now->words), ull(now->slots), ull(now->digest));
}

varve_status varve__verify_after(struct varve_verifier *v, const struct varve_snapshot *before, varve_error *error) {
  open_trace(v, TRACE_AFTER, error);
  trace(v);
  if (v->failed) return result(v);
  compare(v, before);
  if (!v->failed) varve__verify_derived(v);
  v->exact = !space_of(v)->cut;
  if (!v->failed) check_marks(v);
  if (!v->failed) check_tables(v);
  return result(v);
}

/* ---- the store log ----------------------------------------------------------------------------------------- */

static void check_stored(struct varve_verifier *v, varve_word *slot, uint32_t tags) {
  (void)tags;
  varve_word word = *slot, logged;
  memcpy(&logged, v->heap->store_log + ((uintptr_t)slot - space_of(v)->base), sizeof logged);
  if (word != logged)
    varve__verify_damage(v, "%s: word %#llx was written past the store interface; last stored: %#llx",
                         slot_place(v, slot).text, ull(word), ull(logged));
}

SCAN_INLINE void check_stored_slots(void *context, varve_word *slots, size_t count) {
  struct varve_verifier *v = context;
  for (size_t i = 0; i < count; ++i) check_stored(v, &slots[i], 0);
}

static void check_stored_narrow(struct varve_verifier *v, varve_narrow *slot) {
  varve_narrow word = *slot, logged;
  memcpy(&logged, v->heap->store_log + ((uintptr_t)slot - space_of(v)->base), sizeof logged);
  if (word != logged)
    varve__verify_damage(v, "%s: narrow word %#x was written past the store interface; last stored: %#x",
                         slot_place(v, slot).text, word, logged);
}

SCAN_INLINE void check_stored_narrow_slots(void *context, varve_narrow *slots, size_t count) {
  struct varve_verifier *v = context;
  for (size_t i = 0; i < count; ++i) check_stored_narrow(v, &slots[i]);
}

static void stored_narrow(struct varve_visitor *visitor, varve_narrow *base, size_t stride, size_t count,
                          const uint64_t *bitmap) {
  each_narrow(visitor->context, base, stride, count, bitmap, check_stored_narrow);
}

static void stored_range(struct varve_visitor *visitor, varve_word *base, size_t stride, size_t count,
                         const uint64_t *bitmap, bool ref) {
  each_slot(visitor->context, base, stride, count, bitmap, ref, check_stored);
}

static void check_object_stores(struct varve_verifier *v, varve_object *object, uint64_t words) {
  const struct varve_layout_table *table = &v->heap->layouts;
  struct varve_visitor visitor = {.range = stored_range, .narrow = stored_narrow, .heap = v->heap, .context = v};
  v->object = object;
  v->words = words;
  scan_object(table, &table->entries[varve_object_layout(object)], (varve_word *)object, words, check_stored_slots,
              check_stored_narrow_slots, v, &visitor);
  v->object = NULL;
}

varve_status varve__verify_stores(struct varve_verifier *v, varve_error *error) {
  varve__verify_begin(v, error);
  if (v->heap->store_log) varve__verify_each(v, VISITED, check_object_stores);
  return result(v);
}

static void copy_to_log(struct varve_verifier *v, varve_object *object, uint64_t words) {
  memcpy(v->heap->store_log + ((uintptr_t)object - space_of(v)->base), object, words * 8);
}

bool varve__verify_sync_stores(struct varve_verifier *v) {
  varve__verify_begin(v, NULL);
  if (!v->heap->store_log) return true;
  parse(v);
  varve__verify_each(v, STARTS, copy_to_log);
  return !v->failed;
}
