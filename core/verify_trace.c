/* SPDX-License-Identifier: MIT */
/* verify_trace.c -- the verifier traces from the roots, serially, with a map of visited objects. A reference must hit
 * an object's start, and what is older must remember what is newer (A1).
 *
 * Digest     A running hash over the trace. What goes in is free of addresses: words that are no references, tags,
 *            whether an edge was seen before, and the contents of what it leads to. Equal before and after.
 * Called by  verify.c and verify_weak.c, world stopped, all objects parsed.
 */
#include "core/base/bits.h"
#include "core/hash.h"
#include "core/remember.h"
#include "core/scan.h"
#include "core/verifier.h"
#include "numa/place.h"

#define STACK_PIECE (VARVE__REGION_BYTES / sizeof(uint64_t)) /* entries committed at a time */
#define EDGE_WORDS 64u                                  /* larger objects go into an edge's hash by header only */

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
      varve__verify_damage(v,
                           "%s: refers to %p of epoch %u, and no store was noted: written past the store interface?",
                           varve__verify_slot_place(v, slot).text, (void *)target, newer);
    return;
  }
  uint8_t older = space->epochs[space_block(space, (uintptr_t)v->object)];
  if (older >= newer || varve__remembered_has(v->heap, v->object, slot)) return;
  bool immutable = v->heap->layouts.entries[varve_object_layout(v->object)].immutable;
  varve__verify_damage(v, "%s of epoch %u refers to %s of epoch %u: %s", varve__verify_slot_place(v, slot).text, older,
                       varve__verify_place(v, (varve_object *)target).text, newer,
                       immutable ? "an immutable object was written late" : "a store without barrier");
}

bool varve__verify_sound(struct varve_verifier *v, const void *slot, uint64_t word, uint64_t address) {
  if (!map_test(v, STARTS, address)) {
    varve__verify_damage(v, "%s: word %#llx refers into %s, where no object starts",
                         varve__verify_slot_place(v, slot).text, ull(word), what_is_at(v, address));
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
  if (heap_has_pattern(v->heap) && word == VARVE__POISON) {
    varve__verify_damage(v, "%s: word %#llx is the poison pattern: an uninitialised or stale slot",
                         varve__verify_slot_place(v, slot).text, ull(word));
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
  if (!heap_has_pattern(v->heap) || word != (varve_narrow)VARVE__POISON) return false;
  return !heap_is_narrow_reference(v->heap, word) || !map_test(v, STARTS, address);
}

static void visit_narrow(struct varve_verifier *v, varve_narrow *slot) {
  if (v->failed) return;
  varve_narrow word = __atomic_load_n(slot, __ATOMIC_RELAXED);
  uint64_t address = space_of(v)->base + narrow_offset(&v->heap->narrow, word);
  ++v->now.slots;
  if (is_narrow_poison(v, word, address)) {
    varve__verify_damage(v, "%s: narrow word %#x is half of the poison pattern: an uninitialised or stale slot",
                         varve__verify_slot_place(v, slot).text, word);
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
  varve__verify_damage(v, "%s: not a slot of it", varve__verify_slot_place(v, slot).text);
  return false;
}

void varve__verify_each_slot(struct varve_verifier *v, varve_word *base, size_t stride, size_t count,
                             const uint64_t *bitmap, bool ref, slot_fn *visit) {
  uint32_t tags = ref ? v->heap->ref_tags : v->heap->slot_tags;
  for (size_t i = 0; i < count && !v->failed; ++i) {
    varve_word *slot = (varve_word *)((char *)base + i * stride);
    if (bitmap && !(__atomic_load_n(&bitmap[i / 64], __ATOMIC_RELAXED) >> i % 64 & 1)) continue;
    if (is_own_slot(v, slot, sizeof *slot)) visit(v, slot, tags);
  }
}

void varve__verify_each_narrow(struct varve_verifier *v, varve_narrow *base, size_t stride, size_t count,
                               const uint64_t *bitmap, narrow_fn *visit) {
  for (size_t i = 0; i < count && !v->failed; ++i) {
    varve_narrow *slot = (varve_narrow *)((char *)base + i * stride);
    if (bitmap && !(__atomic_load_n(&bitmap[i / 64], __ATOMIC_RELAXED) >> i % 64 & 1)) continue;
    if (is_own_slot(v, slot, sizeof *slot)) visit(v, slot);
  }
}

static void trace_narrow(struct varve_visitor *visitor, varve_narrow *base, size_t stride, size_t count,
                         const uint64_t *bitmap) {
  varve__verify_each_narrow(visitor->context, base, stride, count, bitmap, visit_narrow);
}

static void trace_range(struct varve_visitor *visitor, varve_word *base, size_t stride, size_t count,
                        const uint64_t *bitmap, bool ref) {
  varve__verify_each_slot(visitor->context, base, stride, count, bitmap, ref, visit_slot);
}

struct varve_visitor varve__verify_visitor(struct varve_verifier *v) {
  return (struct varve_visitor){.range = trace_range, .narrow = trace_narrow, .heap = v->heap, .context = v};
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
