/* SPDX-License-Identifier: MIT */
/* table.c -- hash tables with open addressing. An entry's key is 0 (never used), DEAD (deleted, or cleared by the
 * collector) or a key.
 *
 * Objects move, so an address is no hash. varve_identity_hash gives an object a number that stays: tables need not be
 * rehashed when objects moved. The entries of a weak table are an object of another layout, ephemerons: a value lives
 * as long as its key does, even if it refers to the key. Nothing else in here knows of weakness.
 */
#include <string.h>

#include "lisp.h"

static struct entries *entries(varve_word table) { return AS(entries, AS(table, table)->entries); }
static size_t capacity(varve_word table) {
  if (!entries(table)) return 0;
  return (varve_object_bytes(&entries(table)->header) - sizeof(struct entries)) / sizeof(varve_ephemeron);
}

/* What is nested more deeply than C's stack allows is not equal. No safepoint in here. */
bool is_equal(struct lisp *l, varve_word a, varve_word b) {
  bool same = false;
  if (l->depth >= DEPTH_MAX) return a == b;
  ++l->depth;
  while (is_pair(a) && is_pair(b) && a != b && is_equal(l, car(a), car(b))) a = cdr(a), b = cdr(b);
  if (is(l, a, STRING) && is(l, b, STRING))
    same = AS(string, a)->length == AS(string, b)->length &&
           !memcmp(AS(string, a)->byte, AS(string, b)->byte, AS(string, a)->length);
  if (is(l, a, VECTOR) && is(l, b, VECTOR) && (same = vector_length(a) == vector_length(b)))
    for (size_t i = 0; same && i < vector_length(a); ++i)
      same = is_equal(l, AS(vector, a)->item[i], AS(vector, b)->item[i]);
  --l->depth;
  return same || a == b;
}

static uint64_t mix(uint64_t h, uint64_t more) {
  h = (h ^ more) * 0x9e3779b97f4a7c15u;
  return h ^ h >> 29;
}

/* 0: no memory for the collector's table of hashes. Neither allocates in the heap nor moves anything. */
static uint64_t hash_identity(struct lisp *l, varve_word key) {
  return is_reference(key) ? varve_identity_hash(l->me, varve_untag(key)) : mix(key, 1) | 1;
}

/* Of contents: strings, vectors' lengths, and the first few items of lists. */
static uint64_t hash_equal(struct lisp *l, varve_word key, int budget) {
  uint64_t h = 1;
  for (; is_pair(key) && budget; key = cdr(key)) h = mix(h, hash_equal(l, car(key), budget /= 2));
  if (is(l, key, STRING))
    for (size_t i = 0; i < AS(string, key)->length; ++i) h = mix(h, (unsigned char)AS(string, key)->byte[i]);
  else if (is(l, key, VECTOR)) h = mix(h, vector_length(key));
  else if (!is_pair(key)) h = mix(h, hash_identity(l, key));
  return h | 1;
}

/* The entry of a key, or a free one for it; NULL: out of memory, or no entries. There is always a free one. */
static varve_ephemeron *find(struct lisp *l, varve_word table, varve_word key) {
  bool equal = AS(table, table)->equal;
  uint64_t hash = equal ? hash_equal(l, key, 32) : hash_identity(l, key);
  if (!hash) return out_of_memory(l), NULL;
  if (!entries(table)) return NULL;
  varve_ephemeron *entry = entries(table)->entry, *free = NULL;
  size_t mask = capacity(table) - 1, i = hash & mask;
  for (; entry[i].key; i = (i + 1) & mask) {
    if (entry[i].key == key || (equal && entry[i].key != DEAD && is_equal(l, entry[i].key, key))) return &entry[i];
    if (entry[i].key == DEAD && !free) free = &entry[i];
  }
  return free ? free : &entry[i];
}

static bool taken(const varve_ephemeron *entry) { return entry->key && entry->key != DEAD; }

varve_word table_get(struct lisp *l, varve_word table, varve_word key) {
  varve_ephemeron *entry = find(l, table, key);
  return entry && taken(entry) ? entry->value : 0;
}

/* The entries come with the first key. */
varve_word table_new(struct lisp *l, bool equal, bool weak) {
  struct table *t = allocate(l, TABLE, sizeof *t);
  if (!t) return 0;
  t->equal = equal, t->weak = weak;
  return varve_tag(t, TAG_OBJECT);
}

static bool put_in_room(struct lisp *l, varve_word table, varve_word key, varve_word value) {
  varve_ephemeron *entry = find(l, table, key);
  if (!entry) return false;
  AS(table, table)->used += !entry->key;
  varve_store(l->me, entries(table), &entry->key, key);
  varve_store(l->me, entries(table), &entry->value, value);
  return true;
}

/* Room for one more: as many entries as four times those that live, so that dead ones go as well. */
static bool make_room(struct lisp *l, varve_word table) {
  size_t size = capacity(table), live = 0, fresh = 8;
  if (AS(table, table)->used < size / 4 * 3) return true;
  for (size_t i = 0; i < size; ++i) live += taken(&entries(table)->entry[i]);
  while (fresh < live * 2 + 2) fresh *= 2;
  VARVE_FRAME(f, l->me, table, old);
  f.table = table, f.old = AS(table, table)->entries;
  enum type type = AS(table, table)->weak ? WEAK_ENTRIES : ENTRIES;
  struct entries *e = allocate(l, type, sizeof *e + fresh * sizeof *e->entry);
  if (!e) return false;
  struct table *t = AS(table, f.table);
  varve_store(l->me, t, &t->entries, varve_tag(e, TAG_OBJECT));
  t->used = 0;
  for (size_t i = 0; i < size; ++i) { /* no safepoint from here, so addresses hold */
    varve_ephemeron *entry = &AS(entries, f.old)->entry[i];
    if (taken(entry) && !put_in_room(l, f.table, entry->key, entry->value)) return false;
  }
  return true;
}

bool table_put(struct lisp *l, varve_word table, varve_word key, varve_word value) {
  VARVE_FRAME(f, l->me, table, key, value);
  f.table = table, f.key = key, f.value = value;
  return make_room(l, table) && put_in_room(l, f.table, f.key, f.value);
}

bool table_delete(struct lisp *l, varve_word table, varve_word key) {
  varve_ephemeron *entry = find(l, table, key);
  if (!entry || !taken(entry)) return false;
  varve_store(l->me, entries(table), &entry->key, DEAD);
  varve_store(l->me, entries(table), &entry->value, DEAD);
  return true;
}

varve_word table_to_list(struct lisp *l, varve_word table) {
  VARVE_FRAME(f, l->me, table, list, item);
  f.table = table, f.list = NIL;
  for (size_t i = 0; i < capacity(f.table); ++i) {
    const varve_ephemeron *entry = &entries(f.table)->entry[i];
    if (!taken(entry)) continue; /* a weak entry may die at any cons below */
    if (!(f.item = cons(l, entry->key, entry->value)) || !(f.list = cons(l, f.item, f.list))) return 0;
  }
  return f.list;
}
