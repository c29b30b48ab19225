/* SPDX-License-Identifier: MIT */
/* options.c -- the options table made into defaults, a parser, a help text and a printer.
 *
 * Idea       options.def becomes an array of rows; every function is one loop over it. Values are 64 bits wide in
 *            here, and are narrowed to the field's width only after they are known to be in range.
 *            A row whose default is 0 takes 0 for "choose for me", also when its least value is larger.
 * Called by  the host before it creates a heap, heap.c at creation, and settings.c. Any thread; no state.
 */
#define _GNU_SOURCE /* secure_getenv */
#include "core/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/heap.h"

enum when { HOST, ONCE, LATER };

struct row {
  const char *name;
  size_t offset;
  bool size; /* a 64-bit number of bytes; otherwise a 32-bit count */
  enum when when;
  const char *choices; /* "a|b|c", for values 0, 1, 2; NULL: a number */
  uint64_t initial, least, most;
  const char *help;
};

static const struct row rows[] = {
#define VARVE_SIZE(field, name, def, min, max, when, help) \
  {name, offsetof(varve_options, field), true, when, NULL, def, min, max, help},
#define VARVE_COUNT(field, name, def, min, max, when, help) \
  {name, offsetof(varve_options, field), false, when, NULL, def, min, max, help},
#define VARVE_CHOICE(field, name, def, choices, when, help) \
  {name, offsetof(varve_options, field), false, when, choices, def, 0, 0, help},
#include "varve/options.def"
#undef VARVE_SIZE
#undef VARVE_COUNT
#undef VARVE_CHOICE
};
#define ROWS (sizeof rows / sizeof *rows)

static uint64_t row_get(const struct row *row, const varve_options *options) {
  const char *at = (const char *)options + row->offset;
  uint64_t wide = 0;
  uint32_t narrow = 0;
  if (row->size) memcpy(&wide, at, sizeof wide);
  else memcpy(&narrow, at, sizeof narrow);
  return row->size ? wide : narrow;
}

static void row_set(const struct row *row, varve_options *options, uint64_t value) {
  char *at = (char *)options + row->offset;
  uint32_t narrow = (uint32_t)value;
  if (row->size) memcpy(at, &value, sizeof value);
  else memcpy(at, &narrow, sizeof narrow);
}

/* The value's name, and its length; NULL: there are not so many. */
static const char *choice_name(const struct row *row, uint64_t value, size_t *length) {
  /* analyzer-ok null-dereference: the names that this file asks for are in its table */
  const char *at = row->choices;
  for (; at && value; --value) at = (at = strchr(at, '|')) ? at + 1 : NULL;
  if (at) *length = strcspn(at, "|");
  return at;
}

static bool row_allows(const struct row *row, uint64_t value) {
  size_t length;
  if (row->choices) return choice_name(row, value, &length);
  return (value >= row->least && value <= row->most) || (value == 0 && row->initial == 0);
}

/* ---- numbers as text --------------------------------------------------------------------------------------- */

struct text {
  char chars[48];
};

/* The shortest exact form: 8m, not 8388608; a choice by its name. */
static struct text value_text(const struct row *row, uint64_t value) {
  static const char suffix[] = "\0kmgt";
  unsigned scale = 0;
  size_t named = 0;
  const char *name = choice_name(row, value, &named);
  /* analyzer-ok null-dereference: the names that this file asks for are in its table */
  while (row->size && value && scale < 4 && value % 1024 == 0) value /= 1024, ++scale;
  struct text text;
  if (name) snprintf(text.chars, sizeof text.chars, "%.*s", (int)named, name);
  else snprintf(text.chars, sizeof text.chars, "%llu%.1s", (unsigned long long)value, suffix + scale);
  return text;
}

static struct text range_text(const struct row *row) {
  struct text text, least = value_text(row, row->least), most = value_text(row, row->most);
  const char *or_zero = row->initial == 0 && row->least > 0 ? "0 or " : "";
  if (row->choices) snprintf(text.chars, sizeof text.chars, "%s", row->choices);
  else snprintf(text.chars, sizeof text.chars, "%s%.18s..%.18s", or_zero, least.chars, most.chars);
  return text;
}

/* Shift that a size suffix stands for; 0: not a suffix. */
static unsigned suffix_shift(char suffix) {
  switch (suffix) {
    case 'k': case 'K': return 10;
    case 'm': case 'M': return 20;
    case 'g': case 'G': return 30;
    case 't': case 'T': return 40;
    default: return 0;
  }
}

/* Digits, then a suffix if the row is a size; nothing else, no sign, no overflow. */
static bool number_parse(const struct row *row, const char *text, size_t length, uint64_t *out) {
  uint64_t value = 0;
  size_t i = 0;
  for (; i < length && text[i] >= '0' && text[i] <= '9'; ++i)
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, text[i] - '0', &value)) return false;
  if (i == 0) return false;
  if (i + 1 == length && row->size) {
    unsigned shift = suffix_shift(text[i++]);
    if (!shift || value > UINT64_MAX >> shift) return false;
    value <<= shift;
  }
  if (i != length) return false;
  *out = value;
  return true;
}

static bool choice_parse(const struct row *row, const char *text, size_t length, uint64_t *out) {
  size_t named = 0;
  const char *name;
  for (uint64_t value = 0; (name = choice_name(row, value, &named)); ++value)
    if (named == length && memcmp(name, text, length) == 0) return *out = value, true;
  return false;
}

static bool value_parse(const struct row *row, const char *text, size_t length, uint64_t *out) {
  return row->choices ? choice_parse(row, text, length, out) : number_parse(row, text, length, out);
}

static const char *kind_text(const struct row *row) {
  return row->choices ? "one of" : row->size ? "a size in" : "a number in";
}

/* ---- the public functions ---------------------------------------------------------------------------------- */

void varve_options_init(varve_options *options) {
  memset(options, 0, sizeof *options);
  options->size = sizeof *options;
  for (size_t i = 0; i < ROWS; ++i) row_set(&rows[i], options, rows[i].initial);
}

static const struct row *row_find(const char *name, size_t length) {
  for (size_t i = 0; i < ROWS; ++i)
    if (strlen(rows[i].name) == length && memcmp(rows[i].name, name, length) == 0) return &rows[i];
  return NULL;
}

static varve_status out_of_range(const struct row *row, uint64_t value, varve_error *error) {
  return varve__error(error, VARVE_OPTION, "%s=%s is out of range %s", row->name, value_text(row, value).chars,
                      range_text(row).chars);
}

static varve_status too_late(const struct row *row, const char *item, int shown, enum when when, varve_error *error) {
  if (when == ONCE)
    return varve__error(error, VARVE_OPTION, "\"%.*s\": %s is for the program to set, whose words depend on it", shown,
                        item, row->name);
  return varve__error(error, VARVE_OPTION, "\"%.*s\": %s is set at creation and cannot change", shown, item,
                      row->name);
}

/* One "name=value", of an option that may still be set: see options.def. */
static varve_status parse_item(varve_options *options, const char *item, size_t length, enum when when,
                               varve_error *error) {
  const char *equals = memchr(item, '=', length);
  int shown = length > 80 ? 80 : (int)length;
  if (!equals) return varve__error(error, VARVE_OPTION, "\"%.*s\" is not name=value", shown, item);
  size_t name_length = (size_t)(equals - item);
  const struct row *row = row_find(item, name_length);
  if (!row) return varve__error(error, VARVE_OPTION, "\"%.*s\": there is no such option", shown, item);
  if (row->when < when) return too_late(row, item, shown, when, error);
  uint64_t value;
  if (!value_parse(row, equals + 1, length - name_length - 1, &value))
    return varve__error(error, VARVE_OPTION, "\"%.*s\": expected %s %s", shown, item, kind_text(row),
                        range_text(row).chars);
  if (!row_allows(row, value)) return out_of_range(row, value, error);
  row_set(row, options, value);
  return VARVE_OK;
}

static varve_status parse_list(varve_options *options, const char *text, enum when when, varve_error *error) {
  varve_options changed = *options;
  while (*text) {
    size_t length = strcspn(text, ",");
    varve_status status = parse_item(&changed, text, length, when, error);
    if (status != VARVE_OK) return status;
    text += length;
    if (*text && !*++text) return varve__error(error, VARVE_OPTION, "the list ends in a comma");
  }
  *options = changed;
  return VARVE_OK;
}

varve_status varve_options_parse(varve_options *options, const char *text, varve_error *error) {
  if (!options || !text) return varve__error(error, VARVE_ARGUMENT, "varve_options_parse: a null argument");
  return parse_list(options, text, HOST, error);
}

void varve_options_help(void (*line)(void *context, const char *text), void *context) {
  char text[512];
  for (size_t i = 0; i < ROWS; ++i) {
    const struct row *row = &rows[i];
    snprintf(text, sizeof text, "%-15s %-6s %-21s %s%s", row->name, value_text(row, row->initial).chars,
             range_text(row).chars, row->help, row->when == LATER ? " (also later)" : "");
    line(context, text);
  }
}

size_t varve_options_print(const varve_options *options, char *buffer, size_t capacity) {
  size_t length = 0;
  if (capacity) buffer[0] = 0;
  for (size_t i = 0; i < ROWS; ++i) {
    struct text value = value_text(&rows[i], row_get(&rows[i], options));
    bool room = length < capacity;
    length += (size_t)snprintf(room ? buffer + length : NULL, room ? capacity - length : 0, "%s%s=%s", i ? "," : "",
                               rows[i].name, value.chars);
  }
  return length;
}

/* ---- heap creation ----------------------------------------------------------------------------------------- */

varve_status varve__options_environment(varve_options *options, varve_error *error) {
  const char *text = secure_getenv("VARVE_OPTIONS");
  if (!text) return VARVE_OK;
  varve_error inner = {0};
  varve_status status = parse_list(options, text, ONCE, &inner);
  if (status != VARVE_OK) return varve__error(error, status, "VARVE_OPTIONS: %.220s", inner.detail);
  return VARVE_OK;
}

static varve_status check_ranges(const varve_options *options, varve_error *error) {
  if (options->size != sizeof *options)
    return varve__error(error, VARVE_OPTION, "size is %zu, not %zu: not set by this varve_options_init",
                        options->size, sizeof *options);
  for (size_t i = 0; i < ROWS; ++i) {
    uint64_t value = row_get(&rows[i], options);
    if (!row_allows(&rows[i], value)) return out_of_range(&rows[i], value, error);
  }
  if (options->granule != 8 && options->granule != 16)
    return varve__error(error, VARVE_OPTION, "granule=%u is neither 8 nor 16", options->granule);
#ifndef VARVE_STORE_LOG
  if (options->check_stores)
    return varve__error(error, VARVE_OPTION, "check-stores=1: the library was built without VARVE_STORE_LOG");
#endif
  return VARVE_OK;
}

static uint64_t between(uint64_t least, uint64_t value, uint64_t most) {
  return value < least ? least : value > most ? most : value;
}

static uint64_t default_heap_max(const varve_options *options, const struct varve_topology *topology) {
  const struct row *row = row_find("heap-max", 8);
  const struct narrow narrow = narrow_open(options);
  return between(row->least, topology->memory_limit / 2, narrow.on ? narrow_heap_max(&narrow) : row->most);
}

/* The tags are tags, and the index reaches all of the heap (NW1). */
static varve_status check_narrow(const varve_options *options, varve_error *error) {
  const struct narrow narrow = narrow_open(options);
  if (!narrow.on) return VARVE_OK;
  if (narrow.tag_bits < 5 && narrow.tags >> (1u << narrow.tag_bits))
    return varve__error(error, VARVE_OPTION, "narrow-tags=%u has a tag that %u bits (narrow-tag-bits) cannot hold",
                        narrow.tags, narrow.tag_bits);
  if (options->heap_max <= narrow_heap_max(&narrow)) return VARVE_OK;
  return varve__error(error, VARVE_OPTION,
                      "heap-max=%llu: narrow=1, and %u bits of index reach %u-byte granules of a heap-max of "
                      "%llu at most",
                      (unsigned long long)options->heap_max, 32 - narrow.tag_bits, options->granule,
                      (unsigned long long)narrow_heap_max(&narrow));
}

static uint32_t default_segments(uint64_t heap_max) {
  return (uint32_t)between(0, 2048 + 24 * (heap_max >> 20), row_find("mark-segments", 13)->most);
}

/* Whole regions; a cache nobody knows is never stayed in. */
static uint64_t default_cache_budget(uint64_t heap_max, const struct varve_topology *topology) {
  if (!topology->cache_bytes) return heap_max;
  return between(VARVE__REGION_BYTES, topology->cache_bytes / 4, heap_max) & ~(uint64_t)(VARVE__REGION_BYTES - 1);
}

/* A limit that the system enforces sooner would be none. */
static varve_status resolve_soft(varve_options *options, const struct varve_topology *topology, bool given,
                                 varve_error *error) {
  if (options->heap_soft > options->heap_max)
    return varve__error(error, VARVE_OPTION, "heap-soft=%llu is more than heap-max=%llu%s",
                        (unsigned long long)options->heap_soft, (unsigned long long)options->heap_max,
                        given ? "" : " (half of the memory, because heap-max was not given)");
  options->heap_soft = between(0, options->heap_soft, topology->memory_limit);
  return VARVE_OK;
}

varve_status varve__options_resolve(varve_options *options, const struct varve_topology *topology,
                                    varve_error *error) {
  varve_status status = check_ranges(options, error);
  if (status != VARVE_OK) return status;
  bool given = options->heap_max != 0;
  if (!given) options->heap_max = default_heap_max(options, topology);
  status = check_narrow(options, error);
  if (status != VARVE_OK) return status;
  if (options->heap_initial > options->heap_max)
    return varve__error(error, VARVE_OPTION, "heap-initial=%llu is more than heap-max=%llu%s",
                        (unsigned long long)options->heap_initial, (unsigned long long)options->heap_max,
                        given ? "" : " (half of the memory, because heap-max was not given)");
  if (!options->heap_initial) options->heap_initial = between(0, options->heap_max, 8u << 20);
  if (!options->cache_budget) options->cache_budget = default_cache_budget(options->heap_max, topology);
  if (!options->workers) options->workers = (uint32_t)between(1, varve__topology_worker_count(topology), 256);
  if (!options->mark_segments) options->mark_segments = default_segments(options->heap_max);
  return resolve_soft(options, topology, given, error);
}

/* ---- a heap that lives ------------------------------------------------------------------------------------- */

static varve_status check_most(const char *name, uint64_t value, uint64_t most, varve_error *error) {
  const struct row *row = row_find(name, strlen(name));
  if (value <= most) return VARVE_OK;
  return varve__error(error, VARVE_OPTION, "%s=%s is more than %s, which it was created with", name,
                      value_text(row, value).chars, value_text(row, most).chars);
}

varve_status varve__options_change(varve_options *options, const char *text, const varve_options *created,
                                   const struct varve_topology *topology, varve_error *error) {
  varve_status status = parse_list(options, text, LATER, error);
  if (status == VARVE_OK) status = check_ranges(options, error);
  if (!options->heap_max) options->heap_max = created->heap_max;
  if (!options->workers) options->workers = created->workers;
  if (!options->cache_budget) options->cache_budget = default_cache_budget(options->heap_max, topology);
  if (status == VARVE_OK) status = check_most("heap-max", options->heap_max, created->heap_max, error);
  if (status == VARVE_OK) status = check_most("workers", options->workers, created->workers, error);
  return status == VARVE_OK ? resolve_soft(options, topology, true, error) : status;
}

void varve__options_store(varve_options *options, const varve_options *changed) {
  for (size_t i = 0; i < ROWS; ++i) {
    const struct row *row = &rows[i];
    uint64_t value = row_get(row, changed);
    void *at = (char *)options + row->offset;
    if (row->when != LATER || value == row_get(row, options)) continue;
    if (row->size) __atomic_store_n((uint64_t *)at, value, __ATOMIC_RELAXED);
    else __atomic_store_n((uint32_t *)at, (uint32_t)value, __ATOMIC_RELAXED);
  }
}
