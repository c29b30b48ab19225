/* SPDX-License-Identifier: MIT */
/* symbol.c -- symbols, which are unique by their names, and global variables, which are slots of symbols.
 *
 * The symbol table is a weak table from names to symbols, so names that nobody uses any more go away: a symbol refers
 * to its name, and the entry, an ephemeron, keeps neither. It stays while a finalizer's object refers to the symbol, or
 * the same name could get a second one. A symbol that is a global variable hangs in ROOT_GLOBALS as well, or
 * (define x 1) could be forgotten.
 */
#include "lisp.h"

varve_word intern(struct lisp *l, varve_word name) {
  if (!name) return 0;
  VARVE_FRAME(f, l->me, name, symbol);
  f.name = name, f.symbol = table_get(l, l->root[ROOT_SYMBOLS], name);
  if (f.symbol) return f.symbol; /* read from a weak entry into a root: alive from here */
  f.symbol = object_new(l, SYMBOL, sizeof(struct symbol), f.name, UNBOUND);
  return f.symbol && table_put(l, l->root[ROOT_SYMBOLS], f.name, f.symbol) ? f.symbol : 0;
}

bool define_global(struct lisp *l, varve_word symbol, varve_word value, uint64_t role) {
  VARVE_FRAME(f, l->me, symbol, value);
  f.symbol = symbol, f.value = value;
  if (AS(symbol, symbol)->value == UNBOUND) {
    varve_word globals = cons(l, symbol, l->root[ROOT_GLOBALS]);
    if (!globals) return false;
    l->root[ROOT_GLOBALS] = globals;
  }
  struct symbol *s = AS(symbol, f.symbol);
  varve_store(l->me, s, &s->value, f.value);
  struct code *code = is(l, f.value, CLOSURE) ? AS(code, AS(closure, f.value)->code) : NULL;
  if (code && code->name == FALSE) varve_store(l->me, code, &code->name, f.symbol); /* for messages */
  s->role = role; /* no reference: no barrier */
  return true;
}
