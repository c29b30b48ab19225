/* SPDX-License-Identifier: MIT */
/* notes.c -- which lines of root tables were stored to, so that a young collection need not read the others.
 *
 * Idea       A byte stands for about eight words: of a slab for a line of its chunk, of an array for so many bytes of
 *            the host's memory. Stores set it (varve_ref_note, inline in store.h); a pause gives the words of noted
 *            lines to a sieve (remember.h), and clears notes that no later cut could need. A byte, not a bit, so that
 *            setting it is a plain store; eight words, so that a note is for one cache line.
 * Invariants NO1 lines of two tasks are different: stretches are cut where lines begin.
 * Called by  registration, under the roots lock; workers in a pause, each task once a pass.
 * Cost       one byte in 64 is read, and the lines that are noted; those are fetched ahead.
 * Memory     from the metadata arenas, with the registration.
 */
#include <string.h>

#include "core/base/check.h"
#include "core/remember.h"
#include "core/root_table.h"
#include "regions/filter.h"

#define LINE_WORDS 8u
#define SHIFT_MIN 6u  /* of eight narrow words in a row only half a line would be */
#define SHIFT_MAX 18u /* NO1: a stretch is a multiple of so many bytes, whatever its stride */
#define AHEAD 32u     /* lines fetched before they are read */
_Static_assert(ROOT_STRETCH_WORDS * sizeof(varve_narrow) % (1u << SHIFT_MAX) == 0, "NO1");

/* ---- opening, growing, closing ---- */

static void note_always(struct root_table *table) {
  table->always = VARVE__NOTED;
  table->notes = (varve_notes){.table = (uintptr_t)&table->always, .extent = 1};
}

/* A chunk begins at a multiple of its size. */
static void open_chunks(struct root_table *table) {
  table->notes = (varve_notes){.keep = ~(uintptr_t)(VARVE__CHUNK_BYTES - 1), .within = VARVE__CHUNK_BYTES - 1,
                               .shift = 6,
                               .base = offsetof(struct varve_slab_chunk, words),
                               .table = offsetof(struct varve_slab_chunk, notes),
                               .extent = sizeof(varve_word) * VARVE__CHUNK_WORDS};
}

static uint64_t line_shift(size_t stride) {
  uint64_t shift = bits_lowest(bits_next_power_of_two(stride * LINE_WORDS));
  return shift < SHIFT_MIN ? SHIFT_MIN : shift < SHIFT_MAX ? shift : SHIFT_MAX;
}

static void free_lines(varve_heap *heap, struct root_lines *lines) {
  if (lines) heap_meta_free(heap, lines, sizeof *lines + lines->capacity);
}

/* Those that were replaced before the last pause are in nobody's hands. */
static void free_replaced(varve_heap *heap) {
  struct root_lines **at = &heap->roots->replaced;
  while (*at) {
    struct root_lines *lines = *at;
    bool passed = lines->collections < atomic_load(&heap->collections);
    if (passed) *at = lines->next;
    else at = &lines->next;
    if (passed) free_lines(heap, lines);
  }
}

static void replace_lines(struct root_table *table, struct root_lines *fresh) {
  struct root_lines *old = table->lines;
  free_replaced(table->heap);
  table->lines = fresh;
  if (!old) return;
  old->collections = atomic_load(&table->heap->collections);
  old->next = table->heap->roots->replaced;
  table->heap->roots->replaced = old;
}

/* Where `count` lines have room. New ones are noted altogether, so nothing is lost that is noted in the old ones
 * meanwhile. */
static struct root_lines *have_lines(struct root_table *table, size_t count) {
  struct root_lines *lines = table->lines;
  if (lines && lines->capacity >= count) {
    if (count > lines->count) memset(lines->note + lines->count, VARVE__NOTED, count - lines->count);
    lines->count = count;
    return lines;
  }
  size_t capacity = lines && count < 2 * lines->capacity ? 2 * lines->capacity : count;
  if (!(lines = heap_meta_alloc(table->heap, sizeof *lines + capacity))) return NULL;
  lines->capacity = capacity;
  lines->count = count;
  memset(lines->note, VARVE__NOTED, count);
  return lines;
}

/* The table before the extent (release, paired with the acquire of varve_ref_note): who sees that the array is longer
 * sees where its lines are. */
static bool open_lines(struct root_table *table) {
  uint64_t shift = line_shift(table->stride);
  size_t last = (table->count - 1) * table->stride;
  struct root_lines *lines = have_lines(table, (last >> shift) + 1);
  if (!lines) return false;
  bool moved = table->notes.base != (uintptr_t)table->base;
  if (moved) {
    if (lines == table->lines) memset(lines->note, VARVE__NOTED, lines->count);
    table->notes = (varve_notes){.base = (uintptr_t)table->base, .within = UINTPTR_MAX, .shift = shift};
  }
  if (lines != table->lines) replace_lines(table, lines);
  __atomic_store_n(&table->notes.table, (uintptr_t)lines->note, __ATOMIC_RELAXED);
  __atomic_store_n(&table->notes.extent, last + root_table_width(table), __ATOMIC_RELEASE);
  return true;
}

bool varve__notes_open(struct root_table *table) {
  bool ages = table->heap->ages.on;
  if (ages && table->kind == ROOT_ARRAY && !table->untracked && table->count) return open_lines(table);
  if (ages && (table->kind == ROOT_SLAB || table->kind == ROOT_HANDLES)) open_chunks(table);
  else note_always(table);
  return true;
}

void varve__notes_close(struct root_table *table) {
  free_lines(table->heap, table->lines);
  table->lines = NULL;
}

void varve__notes_close_all(struct varve_roots *roots) {
  for (struct root_lines *lines = roots->replaced, *next; lines; lines = next) {
    next = lines->next;
    free_lines(roots->heap, lines);
  }
}

void varve_ref_note_slow(varve_refs *refs, const varve_word *slot) {
  varve__fatal(__FILE__, __LINE__, "a store into %p, which is no word of the Ref words \"%s\"", (const void *)slot,
               refs->table.name);
}

/* ---- lines on their way to the sieve ---- */

struct line {
  void *words;
  uint64_t which; /* words of it that are in use */
  uint8_t *note;
  bool whole;     /* eight neighbouring wide words: all may be read */
};

/* Those that were fetched last wait in a ring. */
struct lines {
  struct varve_sieve *sieve;
  struct filter filter;
  size_t stride;
  bool ref, narrow;
  unsigned first, end; /* of the ring, running */
  struct line ahead[AHEAD];
};

static void sift_line(struct lines *lines, const struct line *line) {
  struct varve_sieve *sieve = lines->sieve;
  uint64_t which = line->whole ? line->which & filter_eight(&lines->filter, line->words) : line->which;
  ++sieve->lines;
  sieve->found = sieve->needed = false;
  if (lines->narrow) varve__sieve_run_narrow(sieve, line->words, lines->stride, which);
  else varve__sieve_run(sieve, line->words, lines->stride, which, lines->ref);
  if (sieve_forgets(sieve)) *line->note = 0;
}

static void sift_lines(struct lines *lines) {
  while (lines->first != lines->end) sift_line(lines, &lines->ahead[lines->first++ % AHEAD]);
}

static void add_line(struct lines *lines, struct line line, size_t words) {
  size_t step = lines->stride < 64 ? 64 : lines->stride;
  for (size_t at = 0; at < words * lines->stride; at += step) __builtin_prefetch((const char *)line.words + at);
  if (lines->end - lines->first == AHEAD) sift_line(lines, &lines->ahead[lines->first++ % AHEAD]);
  lines->ahead[lines->end++ % AHEAD] = line;
}

/* ---- slabs ---- */

static void sift_chunk(struct lines *lines, struct varve_slab_chunk *chunk) {
  for (unsigned group = 0; group < VARVE__CHUNK_GROUPS; ++group) {
    uint64_t notes, used = __atomic_load_n(&chunk->used[group], __ATOMIC_RELAXED);
    memcpy(&notes, chunk->notes + group * 8, sizeof notes);
    for (; notes; notes &= notes - 1) {
      unsigned line = bits_lowest(notes) / 8;
      struct line one = {chunk->words + group * 64 + line * LINE_WORDS, used >> line * 8 & 0xff,
                         &chunk->notes[group * 8 + line], true};
      add_line(lines, one, LINE_WORDS);
    }
  }
  sift_lines(lines);
}

/* ---- arrays ---- */

/* Bits [from, from + count) of a bitmap; count is at most 64. */
static uint64_t cut_bits(const uint64_t *bitmap, size_t from, size_t count) {
  uint64_t bits = ~UINT64_C(0);
  if (bitmap) {
    bits = __atomic_load_n(&bitmap[from / 64], __ATOMIC_RELAXED) >> from % 64;
    if (from % 64 + count > 64) bits |= __atomic_load_n(&bitmap[from / 64 + 1], __ATOMIC_RELAXED) << (64 - from % 64);
  }
  return count < 64 ? bits & bits_below((unsigned)count) : bits;
}

/* The first word of the table's line. */
static size_t line_begin(const struct root_table *table, size_t line) {
  size_t word = ((line << table->notes.shift) + table->stride - 1) / table->stride;
  return word < table->count ? word : table->count;
}

/* A line of a large stride may have no word; one of a small stride has fewer than seventeen. */
static void add_array_line(struct lines *lines, struct root_table *table, size_t line) {
  size_t from = line_begin(table, line), count = line_begin(table, line + 1) - from;
  if (!count) return;
  struct line one = {(char *)table->base + from * table->stride, cut_bits(table->bitmap, from, count),
                     &table->lines->note[line], !table->narrow && table->stride == 8 && count == LINE_WORDS};
  add_line(lines, one, count);
}

static void sift_stretch(struct lines *lines, struct root_table *table, size_t from) {
  size_t to = table->count - from < ROOT_STRETCH_WORDS ? table->count : from + ROOT_STRETCH_WORDS;
  size_t line = (from * table->stride) >> table->notes.shift;
  size_t end = (((to - 1) * table->stride) >> table->notes.shift) + 1;
#ifdef VARVE_PLANT_LOST_NOTE
  --end;
#endif
  while (line < end) {
    const uint8_t *next = memchr(table->lines->note + line, VARVE__NOTED, end - line);
    if (!next) break;
    line = (size_t)(next - table->lines->note);
    add_array_line(lines, table, line++);
  }
  sift_lines(lines);
}

/* ---- in a pause ---- */

bool varve__roots_are_noted(const struct varve_roots *roots, size_t task) {
  const struct root_table *table = roots->tasks[task].table;
  return table && table->notes.within;
}

void varve__roots_sift(struct varve_roots *roots, size_t task, struct varve_sieve *sieve) {
  const struct root_task *one = &roots->tasks[task];
  const struct varve_space *space = &sieve->heap->space;
  struct lines lines = {.sieve = sieve, .stride = one->chunk ? 8 : one->table->stride};
  lines.filter = filter_open(space->base, space->bytes);
  lines.ref = root_table_is_ref(one->table);
  lines.narrow = one->table->narrow;
  if (one->chunk) sift_chunk(&lines, one->chunk);
  else sift_stretch(&lines, one->table, one->part);
}

void varve__roots_forget_notes(struct varve_roots *roots) {
  for (size_t i = 0; i < roots->task_count; ++i)
    if (roots->tasks[i].chunk) memset(roots->tasks[i].chunk->notes, 0, sizeof roots->tasks[i].chunk->notes);
  for (struct root_table *table = roots->tables; table; table = table->next)
    if (table->lines) memset(table->lines->note, 0, table->lines->count);
}

bool varve__roots_has_note(const struct varve_roots *roots, size_t task, const void *slot) {
  const struct root_table *table = roots->tasks[task].table;
  if (!table || !table->notes.within) return true;
  const varve_notes *notes = &table->notes;
  uintptr_t at = (uintptr_t)slot, offset = (at - notes->base) & notes->within;
  return *(const uint8_t *)((at & notes->keep) + notes->table + (offset >> notes->shift));
}
