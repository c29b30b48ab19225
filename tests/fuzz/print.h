/* SPDX-License-Identifier: MIT */
/* print.h -- a program that is carried out is written down as C: what each operation did, with the objects that it did
 * it to, by names. So the printed program needs no choosing, no shadow and no byte string; it needs varve/varve.h.
 *
 * Each thread's statements are written before they are carried out, so that the last ones of a run that fails are
 * there. What the shadow finds out about weak slots and queues is written as what must be found. print.c has the
 * beginnings and ends, and what new objects are; each operation says its own statements (SAY). printed/head.c is what
 * all printed programs begin with.
 */
#ifndef VARVE_FUZZ_PRINT_H
#define VARVE_FUZZ_PRINT_H

#include "world.h"

/** The variable of a node's thing. */
struct name {
  char chars[24];
};
struct name name_of(const struct node *node);
/** The C expression for a place that is a variable. */
struct place_name {
  char chars[64];
};
struct place_name name_of_place(const struct world *world, unsigned place);

/** A line for the thread that has the world now. The arguments are looked at only when the run is printed. */
#define SAY(world, ...) ((world)->run->print ? say((world), __VA_ARGS__) : (void)0)
__attribute__((format(printf, 2, 3))) void say(const struct world *world, const char *format, ...);

/** A layout was registered. */
void say_layout(const struct run *run, const varve_layout_desc *desc, varve_layout layout);
/** The shadow has cleared an edge. */
void say_cleared(const struct world *world, const struct node *node, const struct edge *edge);
/** A comparison of all, with what is `extra`. */
void say_compare(const struct world *world);
/** What a place holds from now on. */
void say_expected(const struct world *world, unsigned place, const struct place *holds);
/** What a new node's object begins as. */
void say_thing(const struct world *world, const struct node *node);
/** A store into the slot of an edge; what it is to hold stands in the edge. */
void say_store(const struct world *world, const struct node *node, const struct edge *edge, bool first);

/** Begin: files beside `name`, one for each thread and for what stands before them. */
void print_open(struct run *run, const char *name);
void print_close(struct run *run);

/** Carry out a program in a child process, and write it to a file as C. @return the child's wait status. */
int print_c(const struct program *program, const char *more_options, unsigned seconds, const char *name);

#endif
