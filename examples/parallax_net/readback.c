/* SPDX-License-Identifier: MIT */
/* readback.c -- from the root end down to text, in the form that the parser reads.
 *
 * What is reachable from the root is a tree: every node is owned by one place, and a wire cell that holds something
 * is entered from its one unused end. An empty cell is a free wire: it is entered twice, gets a name (x0, x1, ...) the
 * first time, and the name is left in the cell for the second. So no cycle guard is needed and nothing is printed
 * twice, except heap values that several words share.
 *
 * The walk keeps its own stack in host memory: results may be as deep as they like. It allocates nothing in the heap,
 * so addresses of heap objects stay good while it prints them.
 * What has no text form: a closure is <%name item ...>, an array [item ...], a waiting application <function result>.
 */
#include "readback.h"

#include <stdio.h>

#include "number.h"

#define NAME_TYPE 31 /* an immediate of this type in a cell: the wire's name */

struct item {
  enum { ITEM_PORT, ITEM_TEXT } kind;
  union {
    pn_port port; /* a port, or a heap word: the kind bits tell */
    const char *text;
  };
};

struct walk {
  struct pn_host *host;
  struct pn_worker *w; /* for addresses only */
  struct pn_text *out;
  struct item *stack;
  size_t count, capacity;
  uint64_t names;
  bool failed;
};

static void push(struct walk *walk, struct item item) {
  if (walk->count == walk->capacity) {
    size_t capacity = walk->capacity ? walk->capacity * 2 : 256;
    struct item *larger = realloc(walk->stack, capacity * sizeof *larger);
    if (!larger) {
      walk->failed = true;
      return;
    }
    walk->stack = larger, walk->capacity = capacity;
  }
  walk->stack[walk->count++] = item;
}
static void push_port(struct walk *walk, pn_port port) {
  push(walk, (struct item){.kind = ITEM_PORT, .port = port});
}
static void push_text(struct walk *walk, const char *text) {
  push(walk, (struct item){.kind = ITEM_TEXT, .text = text});
}

/* ---- heap words --------------------------------------------------------------------------------------------- */

static void print_integer(struct walk *walk, const struct pn_integer *integer) {
  size_t length;
  char *digits = pn_integer_to_text(integer, &length);
  if (!digits) {
    walk->failed = true;
    return;
  }
  pn_text_add(walk->out, "#");
  pn_text_append(walk->out, digits, length);
  free(digits);
}

static void print_byte(struct walk *walk, unsigned char c) {
  static const char plain[] = "\n\t\r\\\"", code[] = "ntr\\\"";
  char buffer[8];
  const char *known = c ? strchr(plain, c) : NULL;
  if (known) snprintf(buffer, sizeof buffer, "\\%c", code[known - plain]);
  else if (c < 32 || c == 127) snprintf(buffer, sizeof buffer, "\\x%02x", c);
  else snprintf(buffer, sizeof buffer, "%c", c);
  pn_text_add(walk->out, buffer);
}

static void print_string(struct walk *walk, const struct pn_string *string) {
  pn_text_add(walk->out, "\"");
  for (uint64_t i = 0; i < string->length; ++i) print_byte(walk, (unsigned char)string->byte[i]);
  pn_text_add(walk->out, "\"");
}

/* The items, last first, so that they come off the stack in order. */
static void push_items(struct walk *walk, const varve_word *item, uint64_t count, const char *close, bool lead) {
  push_text(walk, close);
  for (uint64_t i = count; i-- > 0;) {
    push_port(walk, item[i]);
    if (i || lead) push_text(walk, " ");
  }
}

static void print_word(struct walk *walk, varve_word word) {
  const struct pn_layouts *layouts = &walk->host->layouts;
  const struct pn_closure *closure = pn_as_closure(word);
  if (closure) {
    pn_text_add(walk->out, "<%");
    pn_text_add(walk->out, pn_natives[closure->native].name);
    push_items(walk, closure->item, closure->count, ">", true);
    return;
  }
  const struct pn_array *array = pn_as_array(layouts, word);
  if (array) {
    pn_text_add(walk->out, "[");
    push_items(walk, array->item, array->length, "]", false);
    return;
  }
  const struct pn_string *string = pn_as_string(layouts, word);
  if (string) print_string(walk, string);
  else print_integer(walk, pn_as_integer(layouts, word));
}

/* ---- ports -------------------------------------------------------------------------------------------------- */

static void print_binary(struct walk *walk, pn_port port) {
  static const char *const open[] = {"(", "{", "?(", "$(", "$(", "<"}, *const close[] = {")", "}", ")", ")", ")", ">"};
  const struct pn_node *node = pn_node_at(walk->w, port);
  unsigned shape = pn_type_of(port) - PN_CON;
  pn_text_add(walk->out, open[shape]);
  push_text(walk, close[shape]);
  push_port(walk, node->right);
  push_text(walk, " ");
  push_port(walk, node->left);
}

static void print_wire(struct walk *walk, pn_port wire) {
  _Atomic pn_port *cell = pn_wire_at(walk->w, wire);
  pn_port found = atomic_load(cell);
  if (found && pn_type_of(found) != NAME_TYPE) {
    push_port(walk, found);
    return;
  }
  if (!found) atomic_store(cell, found = pn_immediate(NAME_TYPE, walk->names++));
  char name[32];
  snprintf(name, sizeof name, "x%llu", (unsigned long long)pn_payload(found));
  pn_text_add(walk->out, name);
}

static void print_number(struct walk *walk, pn_port port) {
  char digits[48];
  pn_num_print((pn_num)pn_payload(port), digits, sizeof digits);
  pn_text_add(walk->out, digits);
}

static void print_named(struct walk *walk, const char *prefix, const char *name) {
  pn_text_add(walk->out, prefix);
  pn_text_add(walk->out, name);
}

static void print_port(struct walk *walk, pn_port port) {
  if (pn_is_reference(port)) {
    print_word(walk, port);
    return;
  }
  switch (pn_type_of(port)) {
    case PN_WIRE: print_wire(walk, port); break;
    case PN_ERA: pn_text_add(walk->out, "*"); break;
    case PN_NUM: print_number(walk, port); break;
    case PN_DEF: print_named(walk, "@", walk->host->book->def[pn_payload(port)].name); break;
    case PN_FUN: print_named(walk, "%", pn_natives[pn_payload(port)].name); break;
    case PN_REF:
    case PN_PTR:
    case PN_ASY: push_port(walk, pn_word_of_port(walk->w, port)); break;
    default: print_binary(walk, port); break;
  }
}

bool pn_readback(struct pn_host *host, struct pn_text *text) {
  struct walk walk = {.host = host, .w = &host->worker[0], .out = text};
  push_port(&walk, host->root);
  while (walk.count && !walk.failed && !text->failed) {
    struct item item = walk.stack[--walk.count];
    if (item.kind == ITEM_TEXT) pn_text_add(text, item.text);
    else print_port(&walk, item.port);
  }
  free(walk.stack);
  return !walk.failed && !text->failed;
}
