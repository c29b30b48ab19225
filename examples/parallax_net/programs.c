/* SPDX-License-Identifier: MIT */
/* programs.c -- see programs.h. */
#include "programs.h"

#include <stdio.h>

const struct pn_program pn_programs[] = {
#define PN_PROGRAM(...) PN_ROW(__VA_ARGS__)
#define PN_ROW(name, heap, every, interactions, small, what) {name, heap, every, interactions, small, what},
#include "programs.def"
#undef PN_PROGRAM
#undef PN_ROW
};
const unsigned pn_program_count = sizeof pn_programs / sizeof *pn_programs;

const struct pn_program *pn_program_find(const char *name) {
  for (unsigned i = 0; i < pn_program_count; ++i)
    if (strcmp(pn_programs[i].name, name) == 0) return &pn_programs[i];
  return NULL;
}

void pn_program_net(char *path, size_t size, const char *directory, const char *name, bool small) {
  snprintf(path, size, "%s/nets/%s%s.hvm", directory, small ? "small/" : "", name);
}

bool pn_program_expected(struct pn_text *text, const char *directory, const char *name, bool small) {
  char path[1024], buffer[4096];
  snprintf(path, sizeof path, "%s/expected/%s%s.txt", directory, small ? "small/" : "", name);
  FILE *file = fopen(path, "rb");
  if (!file) return false;
  for (size_t length; (length = fread(buffer, 1, sizeof buffer, file)) > 0;) pn_text_append(text, buffer, length);
  fclose(file);
  if (text->length && text->bytes[text->length - 1] == '\n') text->bytes[--text->length] = 0;
  return !text->failed && text->length > 0;
}
