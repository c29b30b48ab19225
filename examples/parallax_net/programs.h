/* SPDX-License-Identifier: MIT */
/* programs.h -- the programs of the demonstration, and where their texts are. */
#ifndef PN_PROGRAMS_H
#define PN_PROGRAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

struct pn_program {
  const char *name, *heap;
  unsigned collect_every; /* batches of a worker between two collections that it asks for; 0: none */
  uint64_t interactions, small_interactions; /* 0: not known */
  const char *what;
};

extern const struct pn_program pn_programs[];
extern const unsigned pn_program_count;

/** NULL when there is none of that name. */
const struct pn_program *pn_program_find(const char *name);
/** "DIRECTORY/nets/[small/]NAME.hvm" */
void pn_program_net(char *path, size_t size, const char *directory, const char *name, bool small);
/** The expected result, without a trailing newline. @return false when the file cannot be read. */
bool pn_program_expected(struct pn_text *text, const char *directory, const char *name, bool small);

#endif
