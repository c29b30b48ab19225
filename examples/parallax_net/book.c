/* SPDX-License-Identifier: MIT */
/* book.c -- the life of a book: reading its file, and freeing it. */
#include "book.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_stream(FILE *file, size_t *length) {
  size_t capacity = 1 << 16, used = 0;
  char *text = malloc(capacity);
  while (text) {
    used += fread(text + used, 1, capacity - used, file);
    if (used < capacity) break;
    char *larger = realloc(text, capacity *= 2);
    if (!larger) free(text);
    text = larger;
  }
  *length = used;
  return text;
}

struct pn_book *pn_book_read(const char *path, struct pn_parse_error *error) {
  FILE *file = fopen(path, "rb");
  size_t length = 0;
  char *text = file ? read_stream(file, &length) : NULL;
  bool failed = !text || ferror(file);
  int reason = errno;
  if (file) fclose(file);
  struct pn_book *book = NULL;
  if (failed)
    snprintf(error->text, sizeof error->text, "%.200s: cannot be read: %s", path, strerror(reason));
  else
    book = pn_book_parse(path, text, length, error);
  free(text);
  return book;
}

void pn_book_free(struct pn_book *book) {
  if (!book) return;
  for (uint32_t i = 0; i < book->def_count; ++i) {
    free(book->def[i].name);
    free(book->def[i].type);
    free(book->def[i].slot);
    free(book->def[i].redex);
  }
  for (uint32_t i = 0; i < book->literal_count; ++i) free(book->literal[i].bytes);
  free(book->def);
  free(book->literal);
  free(book);
}
