/* SPDX-License-Identifier: MIT */
/* table.h -- hash tables by identity (eq) and by contents (equal), and weak ones by identity. */
#ifndef LISP_TABLE_H
#define LISP_TABLE_H

#include "heap.h"

varve_word table_new(struct lisp *l, bool equal, bool weak);
/* The value of a key; 0: it is not there, or an error was raised (ROOT_ERROR tells). Not a safepoint. */
varve_word table_get(struct lisp *l, varve_word table, varve_word key);
bool table_put(struct lisp *l, varve_word table, varve_word key, varve_word value);
bool table_delete(struct lisp *l, varve_word table, varve_word key);
varve_word table_to_list(struct lisp *l, varve_word table); /* of (key . value) */

bool is_equal(struct lisp *l, varve_word a, varve_word b);

#endif
