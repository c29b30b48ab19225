/* SPDX-License-Identifier: MIT */
/* symbol.c -- the symbol table: a hash table in one weak array, so names that nobody uses any more go away.
 *
 * A slot is 0 (never used), a symbol, or DEAD: the collector puts that where a symbol was. A search passes over DEAD
 * and ends at 0. A symbol that is a global variable hangs in ROOT_GLOBALS as well, or (define x 1) could be forgotten.
 */
#include <string.h>

#include "lisp.h"

static struct weak *table(struct lisp *l) { return AS(weak, l->root[ROOT_SYMBOLS]); }
static size_t capacity(struct lisp *l) {
  return (varve_object_bytes(&table(l)->header) - sizeof(struct weak)) / sizeof(varve_word);
}

static uint32_t hash_bytes(const char *bytes, size_t length) {
  uint64_t h = 0xcbf29ce484222325u;
  for (size_t i = 0; i < length; ++i) h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3u;
  return (uint32_t)(h ^ h >> 32);
}

/* Put a symbol that is not there into the first slot that is free; allocates nothing. */
static void insert(struct lisp *l, varve_word symbol) {
  struct weak *t = table(l);
  size_t mask = capacity(l) - 1, i = AS(symbol, symbol)->hash & mask;
  while (t->target[i] && t->target[i] != DEAD) i = (i + 1) & mask;
  l->symbols_used += t->target[i] == 0;
  varve_store(l->me, t, &t->target[i], symbol); /* the table may be old and the symbol new: the store tells Varve */
}

bool symbols_grow(struct lisp *l, size_t size) {
  VARVE_FRAME(f, l->me, old);
  struct weak *fresh = allocate(l, WEAK_SYMBOLS, sizeof *fresh + size * sizeof(varve_word));
  if (!fresh) return false;
  f.old = l->root[ROOT_SYMBOLS];
  size_t count = f.old ? capacity(l) : 0;
  l->root[ROOT_SYMBOLS] = varve_tag(fresh, TAG_OBJECT);
  l->symbols_used = 0;
  for (size_t i = 0; i < count; ++i) {
    varve_word w = AS(weak, f.old)->target[i];
    if (w && w != DEAD) insert(l, w);
  }
  return true;
}

/* Twice as large if at least half of the slots are symbols; otherwise the same size without the dead. */
static bool make_room(struct lisp *l) {
  size_t size = capacity(l), live = 0;
  if (l->symbols_used < size / 4 * 3) return true;
  for (size_t i = 0; i < size; ++i) live += table(l)->target[i] != DEAD && table(l)->target[i];
  return symbols_grow(l, live > size / 2 ? size * 2 : size);
}

static varve_word find(struct lisp *l, const char *bytes, size_t length, uint32_t hash) {
  struct weak *t = table(l);
  for (size_t mask = capacity(l) - 1, i = hash & mask; t->target[i]; i = (i + 1) & mask) {
    if (t->target[i] == DEAD || AS(symbol, t->target[i])->hash != hash) continue;
    const struct string *name = AS(string, AS(symbol, t->target[i])->name);
    if (name->length == length && !memcmp(name->byte, bytes, length)) return t->target[i];
  }
  return 0;
}

varve_word symbol_new(struct lisp *l, const char *host_bytes, size_t length) {
  VARVE_FRAME(f, l->me, name);
  if (!(f.name = string_new(l, host_bytes, length))) return 0;
  struct symbol *s = allocate(l, SYMBOL, sizeof *s);
  if (!s) return 0;
  varve_init(l->me, s, &s->name, f.name);
  varve_init(l->me, s, &s->value, UNBOUND);
  s->hash = hash_bytes(host_bytes, length);
  return varve_tag(s, TAG_OBJECT);
}

varve_word intern(struct lisp *l, const char *host_bytes, size_t length) {
  VARVE_FRAME(f, l->me, symbol);
  f.symbol = find(l, host_bytes, length, hash_bytes(host_bytes, length));
  if (f.symbol) return f.symbol; /* read from a weak slot into a root: alive from here */
  if (!make_room(l) || !(f.symbol = symbol_new(l, host_bytes, length))) return 0;
  insert(l, f.symbol);
  return f.symbol;
}

bool define_global(struct lisp *l, varve_word symbol, varve_word value, uint32_t role) {
  VARVE_FRAME(f, l->me, symbol, value, list);
  f.symbol = symbol, f.value = value;
  if (AS(symbol, symbol)->value == UNBOUND) {
    if (!(f.list = cons(l, symbol, l->root[ROOT_GLOBALS]))) return false;
    l->root[ROOT_GLOBALS] = f.list;
  }
  struct symbol *s = AS(symbol, f.symbol);
  varve_store(l->me, s, &s->value, f.value);
  s->role = role; /* no reference: no barrier */
  return true;
}
