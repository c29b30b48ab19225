/* SPDX-License-Identifier: MIT */
/* port.h -- the 64-bit word that everything in the net is made of.
 *
 *   bits 0..2    kind: 0 null, 1 principal, 2 left, 3 right, 4 immediate, 5 heap closure, 6 heap value, 7 reserved
 *   bits 3..7    node type
 *   bits 8..23   partition, bits 24..63 index in that partition's slab of the type        (kinds 1, 2, 3)
 *   bits 8..63   payload: an HVM2 number, a definition id, the id of a native function      (kind 4)
 *   bits 3..63   the address of an object in the Varve heap                                 (kinds 5, 6)
 *
 * A slot of a node, a wire cell and a redex hold kinds 1, 2 and 4 only. Kinds 5 and 6 stand in the words of REF, PTR
 * and ASY nodes (Ref arrays: the collector scans and rewrites them) and inside heap objects, nowhere else; so queues
 * and wires are never scanned. A wire cell's port has kind 2: it is a place on a wire, not a node's principal.
 *
 * Used by every file of this example. No state, no threads.
 */
#ifndef PN_PORT_H
#define PN_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t pn_port;

enum pn_kind {
  PN_NULL = 0, PN_PRINCIPAL = 1, PN_LEFT = 2, PN_RIGHT = 3, PN_IMMEDIATE = 4, PN_CLOSURE = 5, PN_VALUE = 6
};

/* The order matters to the dispatcher: WIRE first, then nullary types, then binary ones. */
enum pn_type {
  PN_WIRE, /* cell   used from exactly two places */
  PN_ERA,  /* immediate, no payload */
  PN_NUM,  /* immediate, HVM2 number */
  PN_DEF,  /* immediate, definition id (REF of a definition) */
  PN_FUN,  /* immediate, native function (REF of a native without arguments) */
  PN_REF,  /* node   one word, a heap closure */
  PN_PTR,  /* node   one word, a heap value */
  PN_ASY,  /* node   one word and the state of pending host work */
  PN_CON,  /* node   left, right */
  PN_DUP,
  PN_SWI,  /* left: cases, right: result */
  PN_OPR,  /* left: other operand, right: result */
  PN_HALF, /* an OPR that holds its first operand at left and waits for the other */
  PN_APP,  /* a native's application: left: the function value, right: result; waits for the argument */
  PN_TYPES
};

static inline unsigned pn_kind_of(pn_port port) { return (unsigned)port & 7; }
static inline unsigned pn_type_of(pn_port port) { return (unsigned)(port >> 3) & 31; }
static inline unsigned pn_partition_of(pn_port port) { return (unsigned)(port >> 8) & 0xffff; }
static inline uint64_t pn_index_of(pn_port port) { return port >> 24; }
static inline uint64_t pn_payload(pn_port port) { return port >> 8; }

static inline pn_port pn_make(unsigned kind, unsigned type, unsigned partition, uint64_t index) {
  return index << 24 | (uint64_t)partition << 8 | type << 3 | kind;
}
static inline pn_port pn_immediate(unsigned type, uint64_t payload) {
  return payload << 8 | type << 3 | PN_IMMEDIATE;
}
/** The same node under another type: a node changes its type when a rule reuses it. */
static inline pn_port pn_retype(pn_port port, unsigned type) { return (port & ~(uint64_t)0xf8) | type << 3; }

#define PN_ERASER (pn_immediate(PN_ERA, 0))

static inline bool pn_is_binary(unsigned type) { return type >= PN_CON; }
/** Nullary nodes that live in a slab and so have to be freed. */
static inline bool pn_has_word(unsigned type) { return type >= PN_REF && type <= PN_ASY; }

#endif
