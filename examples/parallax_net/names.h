/* SPDX-License-Identifier: MIT */
/* names.h -- a table that gives each different name the next number: 0, 1, 2, ...
 *
 * Open addressing, at most half full; names are kept as pointer and length into the source text, which must outlive
 * the table. Used by the parser only (definitions of a book, wires of one definition); one thread.
 */
#ifndef PN_NAMES_H
#define PN_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct pn_name {
  const char *text;
  uint32_t length;
};

struct pn_names {
  struct pn_name *name; /* by number */
  uint32_t count, capacity;
  uint32_t *table; /* number + 1, 0: empty */
  uint32_t table_size; /* a power of two */
};

#define PN_NO_NAME UINT32_MAX

/** The number of a name, new or old. PN_NO_NAME when no memory was left. */
uint32_t pn_names_intern(struct pn_names *names, const char *text, size_t length);
/** Forget all names, keep the memory. */
void pn_names_clear(struct pn_names *names);
void pn_names_free(struct pn_names *names);

#endif
