/* SPDX-License-Identifier: MIT */
/* book.h -- a program: definitions as templates that the CALL rule copies, and the literals they mention.
 *
 * A template is a net in ports whose indices are local: node i of the template, wire i of the template. A literal is
 * a port of type PTR whose index is its number in the book; each instantiation makes a PTR node with the constant's
 * word. Immediates stand for themselves. The book owns no heap object: the host makes the literals in a heap and
 * keeps their words in a Ref slab (host.h).
 *
 * Invariants  every wire index occurs exactly twice in a template; every node exactly once.
 * Threads     built by one thread; read-only, and read by all workers, afterwards.
 */
#ifndef PN_BOOK_H
#define PN_BOOK_H

#include "port.h"

struct pn_def {
  char *name;
  uint32_t line, column;
  bool safe; /* neither it nor anything it refers to has a DUP: may be copied as a reference */
  uint32_t node_count, wire_count, redex_count;
  uint8_t *type;    /* per node */
  pn_port *slot;    /* two per node: left, right */
  pn_port *redex;   /* two per redex */
  pn_port root;
};

enum pn_literal_kind { PN_LITERAL_INTEGER, PN_LITERAL_STRING };

struct pn_literal {
  enum pn_literal_kind kind;
  char *bytes; /* decimal or 0x... digits with sign, as written after '#'; or the string's bytes */
  size_t length;
};

struct pn_book {
  struct pn_def *def;
  uint32_t def_count;
  struct pn_literal *literal;
  uint32_t literal_count;
  uint32_t main;           /* the definition that is run */
  uint32_t nodes_max;      /* most nodes, wires and literals in one template: what one CALL may need */
  uint32_t wires_max, literals_max;
};

struct pn_parse_error {
  char text[512]; /* file:line:column: message */
};

/** Read a program in HVM2's text form with the literals of this host.
 * @param name  of the file, for messages.
 * @return NULL on failure, with the message in `error`. */
struct pn_book *pn_book_parse(const char *name, const char *text, size_t length, struct pn_parse_error *error);

/** The same from a file. */
struct pn_book *pn_book_read(const char *path, struct pn_parse_error *error);

void pn_book_free(struct pn_book *book);

#endif
