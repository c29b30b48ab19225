/* SPDX-License-Identifier: MIT */
/* text.h -- a growing buffer of bytes in host memory. A failed append is remembered; check once, at the end. */
#ifndef PN_TEXT_H
#define PN_TEXT_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct pn_text {
  char *bytes; /* always followed by a zero byte once something was appended */
  size_t length, capacity;
  bool failed;
};

static inline void pn_text_append(struct pn_text *text, const char *bytes, size_t length) {
  if (text->length + length + 1 > text->capacity && !text->failed) {
    size_t capacity = (text->length + length + 1) * 2;
    char *larger = realloc(text->bytes, capacity);
    if (larger) text->bytes = larger, text->capacity = capacity;
    else text->failed = true;
  }
  if (text->failed) return;
  memcpy(text->bytes + text->length, bytes, length);
  text->bytes[text->length += length] = 0;
}

static inline void pn_text_add(struct pn_text *text, const char *string) {
  pn_text_append(text, string, strlen(string));
}

static inline void pn_text_free(struct pn_text *text) {
  free(text->bytes);
  *text = (struct pn_text){0};
}

#endif
