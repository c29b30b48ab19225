/* SPDX-License-Identifier: MIT */
/* layout.c -- registering layouts: what a description says is checked once, here, so that scanning need not check.
 *
 * Idea       A description is checked field by field, measured (the least object that has all its fixed slots), then
 *            copied into one block of metadata together with its name, and published by moving `count` on.
 * Invariants L1 every fixed slot, discriminant and item count lies inside every object of at least words_min words.
 *            L2 no description gives the same word twice (F1), nor a word that says where the slots are.
 *            L3 layouts refer only to layouts with a smaller id, so choosing a union's case ends.
 *            L4 an entry is complete before `count` covers it, and never changes after.
 * Called by  the host, on any thread, attached or not; takes the table's lock. The readers are all phases.
 */
#include "core/layout.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/bits.h"
#include "core/heap.h"
#include "core/weak.h"
#include "numa/place.h"
#include "varve/abi.h"

#define ENTRIES_BYTES (VARVE__LAYOUTS_MAX * sizeof(struct varve_layout_entry))
#define TABLE_BYTES (ENTRIES_BYTES + VARVE__LAYOUTS_MAX * sizeof(struct varve_layout_hook))
#define COMMIT_ENTRIES 1024u /* 64 KiB at a time */
#define WORDS_MAX (VARVE_OBJECT_MAX / 8)
_Static_assert(COMMIT_ENTRIES * sizeof(struct varve_layout_entry) % 4096 == 0, "committed in whole pages");
_Static_assert(COMMIT_ENTRIES * sizeof(struct varve_layout_hook) % 4096 == 0, "likewise");

/* One registration under way. */
struct draft {
  varve_heap *heap;
  const varve_layout_desc *desc;
  varve_error *error;
  varve_layout id;
  struct varve_layout_entry entry;
  uint64_t words; /* least object, as far as it is known */
};

bool varve__layouts_open(struct varve_layout_table *table) {
  memset(table, 0, sizeof *table);
  table->entries = varve__place_reserve(TABLE_BYTES, 0);
  if (table->entries) table->hooks = (struct varve_layout_hook *)((char *)table->entries + ENTRIES_BYTES);
  atomic_init(&table->count, 1);
  return table->entries != NULL;
}

/* Names and arrays go with the metadata arenas, which are returned as a whole. */
void varve__layouts_close(struct varve_layout_table *table, struct varve_meta *meta) {
  (void)meta;
  if (table->entries) varve__place_release(table->entries, TABLE_BYTES);
  table->entries = NULL;
}

/* Acquire: pairs with the release in publish(), so the entry is complete. */
static bool is_registered(const struct varve_layout_table *table, varve_layout layout) {
  return layout != 0 && layout < atomic_load_explicit(&table->count, memory_order_acquire);
}

bool varve__layout_fits(const struct varve_layout_table *table, varve_layout layout, uint64_t words) {
  return is_registered(table, layout) && words >= table->entries[layout].words_min && words <= WORDS_MAX;
}

const char *varve_layout_name(const varve_heap *heap, varve_layout layout) {
  return heap && is_registered(&heap->layouts, layout) ? heap->layouts.entries[layout].name : "?";
}

/* ---- refusing ---------------------------------------------------------------------------------------------- */

static varve_status refuse(const struct draft *draft, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static varve_status refuse(const struct draft *draft, const char *format, ...) {
  char text[180];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return varve__error(draft->error, VARVE_LAYOUT, "layout \"%.48s\": %s", draft->desc->name ? draft->desc->name : "",
                      text);
}

static void needs_words(struct draft *draft, uint64_t words) {
  if (draft->words < words) draft->words = words;
}

/* ---- offsets ----------------------------------------------------------------------------------------------- */

static int compare_words(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

/* Each offset is a word of [least, limit); `limit` 0: no limit. */
static varve_status check_offsets(const struct draft *draft, uint32_t least, uint32_t limit) {
  const varve_layout_desc *desc = draft->desc;
  if (desc->offset_count && !desc->offsets) return refuse(draft, "offset_count is not 0, offsets is null");
  if (desc->offset_count > WORDS_MAX) return refuse(draft, "%zu offsets are too many", desc->offset_count);
  for (size_t i = 0; i < desc->offset_count; ++i) {
    uint32_t offset = desc->offsets[i];
    if (offset % 8) return refuse(draft, "offsets[%zu] = %u is not a multiple of 8", i, offset);
    if (offset < least) return refuse(draft, "offsets[%zu] = %u is inside the header", i, offset);
    if (limit && offset >= limit) return refuse(draft, "offsets[%zu] = %u is not below stride = %u", i, offset, limit);
  }
  return VARVE_OK;
}

/* Copy the offsets as word indexes in rising order; the same word twice would be rewritten twice (F1). */
static varve_status take_offsets(struct draft *draft, uint32_t *words) {
  struct varve_layout_entry *entry = &draft->entry;
  uint32_t count = (uint32_t)draft->desc->offset_count;
  for (uint32_t i = 0; i < count; ++i) words[i] = draft->desc->offsets[i] / 8;
  qsort(words, count, sizeof *words, compare_words);
  for (uint32_t i = 1; i < count; ++i)
    if (words[i] == words[i - 1]) return refuse(draft, "offset %llu is given twice", (unsigned long long)words[i] * 8);
  entry->offsets = words;
  entry->offset_count = count;
  entry->masked = count == 0 || words[count - 1] < 64;
  for (uint32_t i = 0; i < count && entry->masked; ++i) entry->mask |= (uint64_t)1 << words[i];
  if (draft->desc->kind == VARVE_LAYOUT_OFFSETS && count) needs_words(draft, (uint64_t)words[count - 1] + 1);
  return VARVE_OK;
}

/* ---- narrow offsets ---------------------------------------------------------------------------------------- */

/* Does the description say that there are narrow slots? */
static bool is_narrow(const varve_layout_desc *desc) { return desc->narrow || desc->narrow_count; }

/* Narrow slots belong to some kinds only, and to heaps that ask for them. */
static varve_status check_narrow(struct draft *draft) {
  const varve_layout_desc *desc = draft->desc;
  bool offsets = desc->kind == VARVE_LAYOUT_OFFSETS || desc->kind == VARVE_LAYOUT_RECORDS;
  if (!is_narrow(desc)) return VARVE_OK;
  if (desc->narrow && desc->kind != VARVE_LAYOUT_REF_ARRAY)
    return refuse(draft, "narrow is set, and it is no REF_ARRAY");
  if (desc->narrow_count && !offsets) return refuse(draft, "narrow_count is not 0 in a kind without offsets");
  if (!draft->heap->narrow.on) return refuse(draft, "narrow slots, and the heap was created without narrow=1");
  draft->entry.kind += VARVE__LAYOUT_NARROW;
  return VARVE_OK;
}

/* Each is half a word of [least, limit); `limit` 0: no limit. */
static varve_status check_narrow_offsets(const struct draft *draft, uint32_t least, uint32_t limit) {
  const varve_layout_desc *desc = draft->desc;
  if (desc->narrow_count && !desc->narrow_offsets)
    return refuse(draft, "narrow_count is not 0, narrow_offsets is null");
  if (desc->narrow_count > WORDS_MAX) return refuse(draft, "%zu narrow offsets are too many", desc->narrow_count);
  for (size_t i = 0; i < desc->narrow_count; ++i) {
    uint32_t offset = desc->narrow_offsets[i];
    if (offset % 4) return refuse(draft, "narrow_offsets[%zu] = %u is not a multiple of 4", i, offset);
    if (offset < least) return refuse(draft, "narrow_offsets[%zu] = %u is inside the header", i, offset);
    if (limit && offset >= limit)
      return refuse(draft, "narrow_offsets[%zu] = %u is not below stride = %u", i, offset, limit);
  }
  return VARVE_OK;
}

static bool offsets_have(const struct varve_layout_entry *entry, uint32_t word) {
  return bsearch(&word, entry->offsets, entry->offset_count, sizeof word, compare_words) != NULL;
}

/* The same for them as take_offsets for words; nor may a narrow slot be part of a wide one (F1). */
static varve_status take_narrow_offsets(struct draft *draft, uint32_t *halves) {
  struct varve_layout_entry *entry = &draft->entry;
  uint32_t count = (uint32_t)draft->desc->narrow_count;
  for (uint32_t i = 0; i < count; ++i) halves[i] = draft->desc->narrow_offsets[i] / 4;
  qsort(halves, count, sizeof *halves, compare_words);
  for (uint32_t i = 0; i < count; ++i) {
    unsigned long long offset = (unsigned long long)halves[i] * 4;
    if (i && halves[i] == halves[i - 1]) return refuse(draft, "narrow offset %llu is given twice", offset);
    if (offsets_have(entry, halves[i] / 2)) return refuse(draft, "narrow offset %llu is inside a wide slot", offset);
  }
  entry->narrow_offsets = halves;
  entry->narrow_count = count;
  entry->narrow_masked = count == 0 || halves[count - 1] < 64;
  for (uint32_t i = 0; i < count && entry->narrow_masked; ++i) entry->narrow_mask |= (uint64_t)1 << halves[i];
  if (entry->kind == VARVE__LAYOUT_NARROW_OFFSETS) needs_words(draft, (uint64_t)halves[count - 1] / 2 + 1);
  return VARVE_OK;
}

/* ---- arrays and records ------------------------------------------------------------------------------------ */

static varve_status check_first(struct draft *draft) {
  uint32_t first = draft->desc->first ? draft->desc->first : 8;
  uint32_t unit = draft->desc->narrow ? 4 : 8;
  if (first % unit) return refuse(draft, "first = %u is not a multiple of %u", first, unit);
  if (first < 8) return refuse(draft, "first = %u is inside the header", first);
  draft->entry.first = first / unit;
  needs_words(draft, ((uint64_t)first + 7) / 8);
  return VARVE_OK;
}

static varve_status check_records(struct draft *draft) {
  uint32_t stride = draft->desc->stride;
  varve_status status = check_first(draft);
  if (status != VARVE_OK) return status;
  if (!stride || stride % 8) return refuse(draft, "stride = %u is not a positive multiple of 8", stride);
  draft->entry.stride = stride / 8;
  status = check_offsets(draft, 0, stride);
  return status == VARVE_OK ? check_narrow_offsets(draft, 0, stride) : status;
}

static varve_status check_fixed(struct draft *draft) {
  varve_status status = check_offsets(draft, 8, 0);
  return status == VARVE_OK ? check_narrow_offsets(draft, 8, 0) : status;
}

/* ---- closures ---------------------------------------------------------------------------------------------- */

/* Is byte `offset` in one of the words first, first + stride, ...? */
static bool in_words(uint64_t offset, uint64_t first, uint64_t stride) {
  return offset >= first && (offset - first) % stride < 8;
}

/* Tags in front of the values run into them when there are too many items: how many there are is the host's promise. */
static varve_status check_closure(struct draft *draft) {
  const uint32_t count = draft->desc->closure.count_offset, tag = draft->desc->closure.tag_offset;
  const uint32_t tag_stride = draft->desc->closure.tag_stride, value = draft->desc->closure.value_offset;
  const uint32_t stride = draft->desc->closure.value_stride;
  if (count && (count < 8 || count % 4))
    return refuse(draft, "count_offset = %u is not 0 or a multiple of 4 from 8 on", count);
  if (tag < 8) return refuse(draft, "tag_offset = %u is inside the header", tag);
  if (!tag_stride) return refuse(draft, "tag_stride is 0");
  if (value < 8 || value % 8) return refuse(draft, "value_offset = %u is not a multiple of 8 from 8 on", value);
  if (stride < 8 || stride % 8) return refuse(draft, "value_stride = %u is not a multiple of 8 from 8 on", stride);
  if (in_words(tag, value, stride)) return refuse(draft, "the first tag at %u lies in a value word", tag);
  if (count && in_words(count, value, stride)) return refuse(draft, "the count at %u lies in a value word", count);
  if (count) needs_words(draft, ((uint64_t)count + 4 + 7) / 8);
  return VARVE_OK;
}

/* ---- weak slots and ephemerons ----------------------------------------------------------------------------- */

static varve_status check_weak(struct draft *draft) {
  const varve_layout_desc *desc = draft->desc;
  uint32_t first = desc->first ? desc->first : 16;
  varve_status status = check_offsets(draft, 8, 0);
  if (status != VARVE_OK) return status;
  if (first % 8 || first < 16) return refuse(draft, "first = %u is not a multiple of 8 from 16 on", first);
  for (size_t i = 0; i < desc->offset_count; ++i)
    if (desc->offsets[i] < 16 || desc->offsets[i] >= first)
      return refuse(draft, "offsets[%zu] = %u is not from 16 to below first = %u", i, desc->offsets[i], first);
  if (heap_is_reference(draft->heap, desc->weak.cleared, draft->heap->slot_tags))
    return refuse(draft, "weak.cleared = %#llx is a reference", (unsigned long long)desc->weak.cleared);
  if (desc->weak.when != VARVE_WEAK_BEFORE && (desc->weak.when != VARVE_WEAK_AFTER || desc->kind != VARVE_LAYOUT_WEAK))
    return refuse(draft, "weak.when = %d is not possible", (int)desc->weak.when);
  draft->entry.first = first / 8;
  draft->entry.after = desc->weak.when == VARVE_WEAK_AFTER;
  draft->entry.cleared = desc->weak.cleared;
  needs_words(draft, draft->entry.first);
  if (varve__weak_open(draft->heap, desc->kind)) return VARVE_OK;
  return varve__error(draft->error, VARVE_METADATA, "no memory for an index of ephemerons");
}

/* ---- unions ------------------------------------------------------------------------------------------------ */

static bool has_slot(const struct varve_layout_table *table, varve_layout layout, uint32_t half);

static bool choice_has(const struct varve_layout_table *table, const struct varve_layout_choice *choice,
                       uint32_t half) {
  for (uint32_t i = 0; i < choice->count; ++i)
    if (has_slot(table, choice->cases[i].layout, half)) return true;
  return has_slot(table, choice->otherwise, half);
}

static bool narrow_offsets_have(const struct varve_layout_entry *entry, uint32_t half) {
  return bsearch(&half, entry->narrow_offsets, entry->narrow_count, sizeof half, compare_words) != NULL;
}

static bool narrow_record_has(const struct varve_layout_entry *entry, uint32_t half) {
  if (half / 2 < entry->first) return false;
  uint32_t word = (half / 2 - entry->first) % entry->stride;
  return offsets_have(entry, word) || narrow_offsets_have(entry, word * 2 + half % 2);
}

/* Can the half of a word of an object of this layout be in a slot? What a trace function visits is not known: no. */
static bool has_slot(const struct varve_layout_table *table, varve_layout layout, uint32_t half) {
  const struct varve_layout_entry *entry = &table->entries[layout];
  uint32_t word = half / 2;
  switch (layout ? entry->kind : VARVE_LAYOUT_DATA) {
    case VARVE_LAYOUT_OFFSETS: return offsets_have(entry, word);
    case VARVE_LAYOUT_REF_ARRAY: return word >= entry->first;
    case VARVE_LAYOUT_RECORDS:
      return word >= entry->first && offsets_have(entry, (word - entry->first) % entry->stride);
    case VARVE__LAYOUT_NARROW_OFFSETS: return offsets_have(entry, word) || narrow_offsets_have(entry, half);
    case VARVE__LAYOUT_NARROW_ARRAY: return half >= entry->first;
    case VARVE__LAYOUT_NARROW_RECORDS: return narrow_record_has(entry, half);
    case VARVE_LAYOUT_UNION: return choice_has(table, entry->choice, half);
    case VARVE_LAYOUT_CLOSURE:
      return in_words((uint64_t)word * 8, entry->closure->value_offset, entry->closure->value_stride);
    default: return false;
  }
}

/* A layout that a union refers to. Rewriting a slot must not change the discriminant (L2). */
static varve_status check_case_layout(struct draft *draft, varve_layout layout) {
  const struct varve_layout_table *table = &draft->heap->layouts;
  uint32_t discriminant = draft->desc->choice.offset, last = discriminant + draft->desc->choice.width - 1;
  if (!is_registered(table, layout)) return refuse(draft, "a case names layout %u, which is not registered", layout);
  if (layout_is_weak(&table->entries[layout]))
    return refuse(draft, "case layout \"%.40s\" is a weak one", table->entries[layout].name);
  if (has_slot(table, layout, discriminant / 4) || has_slot(table, layout, last / 4))
    return refuse(draft, "the discriminant at %u is inside a slot of case layout \"%.40s\"", discriminant,
                  table->entries[layout].name);
  needs_words(draft, table->entries[layout].words_min);
  return VARVE_OK;
}

static varve_status check_case(struct draft *draft, const varve_union_case *one) {
  uint32_t width = draft->desc->choice.width;
  if (width < 8 && one->value >> (8 * width))
    return refuse(draft, "case %llu does not fit in %u bytes", (unsigned long long)one->value, width);
  return check_case_layout(draft, one->layout);
}

static varve_status check_union(struct draft *draft) {
  const varve_layout_desc *desc = draft->desc;
  uint32_t offset = desc->choice.offset, width = desc->choice.width;
  if (width > 8 || !bits_power_of_two(width)) return refuse(draft, "a discriminant of %u bytes", width);
  if (offset < 8 || offset % width)
    return refuse(draft, "the discriminant at %u is not behind the header and aligned to its %u bytes", offset, width);
  if (desc->choice.case_count && !desc->choice.cases) return refuse(draft, "case_count is not 0, cases is null");
  if (desc->choice.case_count > UINT32_MAX / sizeof(varve_union_case)) return refuse(draft, "too many cases");
  needs_words(draft, ((uint64_t)offset + width + 7) / 8);
  for (size_t i = 0; i < desc->choice.case_count; ++i) {
    varve_status status = check_case(draft, &desc->choice.cases[i]);
    if (status != VARVE_OK) return status;
  }
  return desc->choice.otherwise ? check_case_layout(draft, desc->choice.otherwise) : VARVE_OK;
}

static int compare_cases(const void *a, const void *b) {
  const varve_union_case *x = a, *y = b;
  return x->value < y->value ? -1 : x->value > y->value;
}

static varve_status take_choice(struct draft *draft, struct varve_layout_choice *choice) {
  const varve_layout_desc *desc = draft->desc;
  choice->offset = desc->choice.offset;
  choice->width = desc->choice.width;
  choice->otherwise = desc->choice.otherwise;
  choice->count = (uint32_t)desc->choice.case_count;
  if (choice->count) memcpy(choice->cases, desc->choice.cases, choice->count * sizeof *choice->cases);
  qsort(choice->cases, choice->count, sizeof *choice->cases, compare_cases);
  for (uint32_t i = 1; i < choice->count; ++i)
    if (choice->cases[i].value == choice->cases[i - 1].value)
      return refuse(draft, "case %llu is given twice", (unsigned long long)choice->cases[i].value);
  draft->entry.choice = choice;
  return VARVE_OK;
}

static varve_status take_closure(struct draft *draft, struct varve_layout_closure *closure) {
  const varve_layout_desc *desc = draft->desc;
  closure->count_offset = desc->closure.count_offset;
  closure->tag_offset = desc->closure.tag_offset;
  closure->tag_stride = desc->closure.tag_stride;
  closure->value_offset = desc->closure.value_offset;
  closure->value_stride = desc->closure.value_stride;
  memcpy(closure->ref_tags, desc->closure.ref_tags, sizeof closure->ref_tags);
  draft->entry.closure = closure;
  return VARVE_OK;
}

/* ---- the whole --------------------------------------------------------------------------------------------- */

static varve_status check_trace(struct draft *draft) {
  if (!draft->desc->trace) return refuse(draft, "trace is null");
  draft->entry.trace = draft->desc->trace;
  draft->entry.context = draft->desc->context;
  return VARVE_OK;
}

static varve_status check_hook(struct draft *draft) {
  const varve_layout_desc *desc = draft->desc;
  if (desc->moved_survivors && !desc->moved) return refuse(draft, "moved_survivors is set, moved is null");
  if (desc->moved) draft->entry.hooked = desc->moved_survivors ? HOOKED_SURVIVORS : HOOKED_MOVED;
  return VARVE_OK;
}

static varve_status check_kind(struct draft *draft) {
  switch (draft->desc->kind) {
    case VARVE_LAYOUT_DATA: return VARVE_OK;
    case VARVE_LAYOUT_OFFSETS: return check_fixed(draft);
    case VARVE_LAYOUT_REF_ARRAY: return check_first(draft);
    case VARVE_LAYOUT_RECORDS: return check_records(draft);
    case VARVE_LAYOUT_UNION: return check_union(draft);
    case VARVE_LAYOUT_CLOSURE: return check_closure(draft);
    case VARVE_LAYOUT_TRACE: return check_trace(draft);
    case VARVE_LAYOUT_WEAK:
    case VARVE_LAYOUT_EPHEMERONS: return check_weak(draft);
    default: return refuse(draft, "%d is not a kind of layout", (int)draft->desc->kind);
  }
}

/* Bytes of the copies that the kind needs. */
static size_t copy_bytes(const varve_layout_desc *desc) {
  switch (desc->kind) {
    case VARVE_LAYOUT_OFFSETS:
    case VARVE_LAYOUT_WEAK:
    case VARVE_LAYOUT_EPHEMERONS:
    case VARVE_LAYOUT_RECORDS: return bits_round_up((desc->offset_count + desc->narrow_count) * sizeof(uint32_t), 8);
    case VARVE_LAYOUT_UNION:
      return sizeof(struct varve_layout_choice) + desc->choice.case_count * sizeof(varve_union_case);
    case VARVE_LAYOUT_CLOSURE: return sizeof(struct varve_layout_closure);
    default: return 0;
  }
}

static varve_status take_all_offsets(struct draft *draft, uint32_t *copies) {
  varve_status status = take_offsets(draft, copies);
  if (status != VARVE_OK || !draft->desc->narrow_count) return status;
  return take_narrow_offsets(draft, copies + draft->desc->offset_count);
}

static varve_status take_copies(struct draft *draft, void *copies) {
  switch (draft->desc->kind) {
    case VARVE_LAYOUT_OFFSETS:
    case VARVE_LAYOUT_WEAK:
    case VARVE_LAYOUT_EPHEMERONS:
    case VARVE_LAYOUT_RECORDS: return take_all_offsets(draft, copies);
    case VARVE_LAYOUT_UNION: return take_choice(draft, copies);
    case VARVE_LAYOUT_CLOSURE: return take_closure(draft, copies);
    default: return VARVE_OK;
  }
}

/* The fields need draft->words; the host may ask for more, not for less. */
static varve_status check_bytes(struct draft *draft) {
  uint64_t bytes = draft->desc->bytes;
  if (bytes > VARVE_OBJECT_MAX)
    return refuse(draft, "bytes = %llu: no object is that large", (unsigned long long)bytes);
  if (bytes && (bytes + 7) / 8 < draft->words)
    return refuse(draft, "bytes = %llu, but the fields need %llu", (unsigned long long)bytes,
                  (unsigned long long)draft->words * 8);
  needs_words(draft, (bytes + 7) / 8);
  draft->entry.words_min = (uint32_t)draft->words;
  return VARVE_OK;
}

/* Entries are committed COMMIT_ENTRIES at a time, when the first of them is wanted. */
static varve_status make_room(struct draft *draft) {
  struct varve_layout_table *table = &draft->heap->layouts;
  if (draft->id >= VARVE__LAYOUTS_MAX) return refuse(draft, "65535 layouts exist already");
  if (draft->id != 1 && draft->id % COMMIT_ENTRIES) return VARVE_OK;
  uint32_t from = draft->id / COMMIT_ENTRIES * COMMIT_ENTRIES;
  const struct varve_topology *topology = draft->heap->topology;
  unsigned home = heap_home(draft->heap);
  if (varve__place_commit(topology, table->entries + from, COMMIT_ENTRIES * sizeof *table->entries, home, 0) &&
      varve__place_commit(topology, table->hooks + from, COMMIT_ENTRIES * sizeof *table->hooks, home, 0))
    return VARVE_OK;
  return varve__error(draft->error, VARVE_METADATA, "the table of layouts, %u entries", draft->id);
}

static void publish(const struct draft *draft) {
  struct varve_layout_table *table = &draft->heap->layouts;
  uint8_t hooked = draft->entry.hooked;
  table->entries[draft->id] = draft->entry;
  if (hooked) table->hooks[draft->id] = (struct varve_layout_hook){draft->desc->moved, draft->desc->context};
  if (hooked > atomic_load_explicit(&table->hooked, memory_order_relaxed))
    atomic_store_explicit(&table->hooked, hooked, memory_order_relaxed);
  /* Release: pairs with the acquire in is_registered(); whoever sees the id sees the entry. */
  atomic_store_explicit(&table->count, draft->id + 1, memory_order_release);
}

/* Copies first, then the name, in one block. */
static varve_status take(struct draft *draft) {
  size_t copies = copy_bytes(draft->desc);
  const char *given = draft->desc->name;
  size_t name_bytes = given ? strlen(given) + 1 : sizeof "layout 65535";
  char *block = heap_meta_alloc(draft->heap, copies + name_bytes);
  if (!block) return varve__error(draft->error, VARVE_METADATA, "a layout of %zu bytes", copies + name_bytes);
  if (given) memcpy(block + copies, given, name_bytes);
  else snprintf(block + copies, name_bytes, "layout %u", draft->id);
  draft->entry.name = block + copies;
  varve_status status = take_copies(draft, block);
  if (status == VARVE_OK) status = check_bytes(draft);
  if (status != VARVE_OK) heap_meta_free(draft->heap, block, copies + name_bytes);
  return status;
}

static varve_status register_locked(struct draft *draft) {
  draft->id = atomic_load_explicit(&draft->heap->layouts.count, memory_order_relaxed); /* we hold the lock */
  varve_status status = check_kind(draft);
  if (status == VARVE_OK) status = check_hook(draft);
  if (status == VARVE_OK) status = check_narrow(draft);
  if (status == VARVE_OK) status = make_room(draft);
  if (status == VARVE_OK) status = take(draft);
  if (status == VARVE_OK) publish(draft);
  return status;
}

varve_status varve_layout_register(varve_heap *heap, const varve_layout_desc *desc, varve_layout *out,
                                   varve_error *error) {
  if (!heap || !desc || !out) return varve__error(error, VARVE_LAYOUT, "varve_layout_register: a null argument");
  struct draft draft = {.heap = heap, .desc = desc, .error = error, .words = 1};
  draft.entry.kind = (uint8_t)desc->kind;
  draft.entry.immutable = desc->immutable;
  varve__lock_take(&heap->layouts.lock);
  varve_status status = register_locked(&draft);
  varve__lock_release(&heap->layouts.lock);
  if (status == VARVE_OK) *out = draft.id;
  return status;
}
