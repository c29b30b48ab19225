/* SPDX-License-Identifier: MIT */
/* native_string.c -- strings of bytes. Same discipline as native_int.c: allocate, then read addresses, then copy. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "native.h"

static varve_word new_string(struct pn_call *call, const char *bytes, size_t length) {
  varve_word word = pn_string_from(call->mutator, call->layouts, bytes, length);
  return word ? word : pn_call_no_heap(call);
}

varve_word pn_string_cat(struct pn_call *call) {
  const struct pn_string *a = pn_arg_string(call, 0), *b = a ? pn_arg_string(call, 1) : NULL;
  if (!b) return 0;
  size_t a_length = a->length, b_length = b->length;
  struct pn_string *result = pn_string_new(call->mutator, call->layouts, a_length + b_length);
  if (!result) return pn_call_no_heap(call);
  a = pn_as_string(call->layouts, call->arg[0]), b = pn_as_string(call->layouts, call->arg[1]);
  memcpy(result->byte, a->byte, a_length);
  memcpy(result->byte + a_length, b->byte, b_length);
  return varve_tag(result, PN_VALUE);
}

varve_word pn_string_slice(struct pn_call *call) {
  const struct pn_string *string = pn_arg_string(call, 0);
  size_t from, count;
  if (!string || !pn_arg_count(call, 1, &from) || !pn_arg_count(call, 2, &count)) return 0;
  if (from > string->length) from = string->length;
  if (count > string->length - from) count = string->length - from;
  struct pn_string *result = pn_string_new(call->mutator, call->layouts, count);
  if (!result) return pn_call_no_heap(call);
  memcpy(result->byte, pn_as_string(call->layouts, call->arg[0])->byte + from, count);
  return varve_tag(result, PN_VALUE);
}

/* A length beyond 24 bits is an error and not a wrong number. */
static varve_word count_word(struct pn_call *call, uint64_t count) {
  if (count > 0xffffff) return pn_call_fail(call, "%llu does not fit 24 bits", (unsigned long long)count);
  return pn_word_u24((uint32_t)count);
}

varve_word pn_string_length(struct pn_call *call) {
  const struct pn_string *string = pn_arg_string(call, 0);
  return string ? count_word(call, string->length) : 0;
}

varve_word pn_string_byte(struct pn_call *call) {
  const struct pn_string *string = pn_arg_string(call, 0);
  size_t at;
  if (!string || !pn_arg_count(call, 1, &at)) return 0;
  if (at >= string->length)
    return pn_call_fail(call, "byte %zu of a string of %zu", at, (size_t)string->length);
  return pn_word_u24((unsigned char)string->byte[at]);
}

/* -1, 0, 1; 2: wrong kind. */
static int compare(struct pn_call *call) {
  const struct pn_string *a = pn_arg_string(call, 0), *b = a ? pn_arg_string(call, 1) : NULL;
  if (!b) return 2;
  size_t shorter = a->length < b->length ? a->length : b->length;
  int order = memcmp(a->byte, b->byte, shorter);
  if (order) return order < 0 ? -1 : 1;
  return a->length < b->length ? -1 : a->length > b->length;
}

varve_word pn_string_cmp(struct pn_call *call) {
  int order = compare(call);
  return order == 2 ? 0 : pn_word_order(order);
}

varve_word pn_string_eq(struct pn_call *call) {
  int order = compare(call);
  return order == 2 ? 0 : pn_word_u24(order == 0);
}

/* ---- cutting a string into an array ------------------------------------------------------------------------- */

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_word_byte(char c) { return is_letter(c); }
static bool is_line_byte(char c) { return c != '\n'; }
static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }
static char same(char c) { return c; }

struct cut {
  bool (*inside)(char);
  char (*map)(char);
};

/* The next run of inside bytes at or after *at, as [*start, *at). */
static bool next_piece(const char *text, size_t length, const struct cut *cut, size_t *start, size_t *at) {
  while (*at < length && !cut->inside(text[*at])) ++*at;
  *start = *at;
  while (*at < length && cut->inside(text[*at])) ++*at;
  return *at > *start;
}

static size_t count_pieces(const char *text, size_t length, const struct cut *cut) {
  size_t start, at = 0, count = 0;
  while (next_piece(text, length, cut, &start, &at)) ++count;
  return count;
}

/* The text is the host's copy: the loop allocates. The array is in temporary 0 and is published already, so its
 * items are stored, not initialised. */
static bool fill_pieces(struct pn_call *call, char *text, size_t length, const struct cut *cut) {
  size_t start, at = 0;
  for (size_t i = 0; next_piece(text, length, cut, &start, &at); ++i) {
    for (size_t j = start; j < at; ++j) text[j] = cut->map(text[j]);
    varve_word piece = new_string(call, text + start, at - start);
    if (!piece) return false;
    struct pn_array *array = pn_as_array(call->layouts, call->temporary[0]);
    varve_store(call->mutator, array, &array->item[i], piece);
  }
  return true;
}

static varve_word cut_string(struct pn_call *call, const struct cut *cut) {
  const struct pn_string *string = pn_arg_string(call, 0);
  if (!string) return 0;
  size_t length = string->length;
  char *text = malloc(length + 1);
  if (!text) return pn_call_no_memory(call);
  memcpy(text, string->byte, length);
  struct pn_array *array = pn_array_new(call->mutator, call->layouts, count_pieces(text, length, cut));
  if (array) call->temporary[0] = varve_tag(array, PN_VALUE);
  else pn_call_no_heap(call);
  bool done = array && fill_pieces(call, text, length, cut);
  free(text);
  return done ? call->temporary[0] : 0;
}

varve_word pn_string_words(struct pn_call *call) {
  return cut_string(call, &(struct cut){is_word_byte, lower});
}

varve_word pn_string_lines(struct pn_call *call) {
  return cut_string(call, &(struct cut){is_line_byte, same});
}

/* ---- files ------------------------------------------------------------------------------------------------- */

static char *read_whole(FILE *file, size_t *length) {
  size_t capacity = 4096;
  char *text = malloc(capacity);
  for (*length = 0; text;) {
    *length += fread(text + *length, 1, capacity - *length, file);
    if (*length < capacity) break;
    char *larger = realloc(text, capacity *= 2);
    if (!larger) free(text);
    text = larger;
  }
  return text;
}

/* The file is read in native state: a collection does not wait for the disk. */
static char *read_native(struct pn_call *call, const char *path, size_t *length, int *reason) {
  varve_native_enter(call->mutator);
  FILE *file = fopen(path, "rb");
  *reason = file ? 0 : errno;
  char *text = file ? read_whole(file, length) : NULL;
  if (file && ferror(file)) *reason = EIO;
  if (file) fclose(file);
  varve_native_leave(call->mutator);
  return text;
}

varve_word pn_string_load(struct pn_call *call) {
  const struct pn_string *string = pn_arg_string(call, 0);
  if (!string) return 0;
  char path[1024];
  if (string->length >= sizeof path) return pn_call_fail(call, "the path is too long");
  memcpy(path, string->byte, string->length);
  path[string->length] = 0;
  size_t length = 0;
  int reason;
  char *text = read_native(call, path, &length, &reason);
  varve_word result = 0;
  if (reason) pn_call_fail(call, "%.120s: %s", path, strerror(reason));
  else if (!text) pn_call_no_memory(call);
  else result = new_string(call, text, length);
  free(text);
  return result;
}
