/* SPDX-License-Identifier: MIT */
/* names.c -- see names.h. */
#include "names.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static uint32_t hash(const char *text, size_t length) {
  uint32_t value = 2166136261u; /* FNV-1a */
  for (size_t i = 0; i < length; ++i) value = (value ^ (unsigned char)text[i]) * 16777619u;
  return value;
}

/* The place in the table that holds the name, or the empty one where it belongs. */
static uint32_t *find(const struct pn_names *names, const char *text, size_t length) {
  for (uint32_t at = hash(text, length);; ++at) {
    uint32_t *entry = &names->table[at & (names->table_size - 1)];
    if (*entry == 0) return entry;
    const struct pn_name *name = &names->name[*entry - 1];
    if (name->length == length && memcmp(name->text, text, length) == 0) return entry;
  }
}

static bool grow(struct pn_names *names) {
  uint32_t capacity = names->capacity ? names->capacity * 2 : 16;
  struct pn_name *name = realloc(names->name, capacity * sizeof *name);
  if (!name) return false;
  names->name = name;
  uint32_t *table = calloc(capacity * 2, sizeof *table);
  if (!table) return false;
  free(names->table);
  names->table = table, names->table_size = capacity * 2, names->capacity = capacity;
  for (uint32_t i = 0; i < names->count; ++i) *find(names, name[i].text, name[i].length) = i + 1;
  return true;
}

uint32_t pn_names_intern(struct pn_names *names, const char *text, size_t length) {
  if (names->count == names->capacity && !grow(names)) return PN_NO_NAME;
  uint32_t *entry = find(names, text, length);
  if (*entry) return *entry - 1;
  names->name[names->count] = (struct pn_name){text, (uint32_t)length};
  return (*entry = ++names->count) - 1;
}

void pn_names_clear(struct pn_names *names) {
  names->count = 0;
  if (names->table) memset(names->table, 0, names->table_size * sizeof *names->table);
}

void pn_names_free(struct pn_names *names) {
  free(names->name);
  free(names->table);
  *names = (struct pn_names){0};
}
