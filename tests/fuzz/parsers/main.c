/* SPDX-License-Identifier: MIT */
/* main.c -- parsers with random bytes and with bytes that mean something, changed at random; and with what is in a
 * folder of found inputs.
 *
 *   fuzz_parsers NAME [--seed S] [--seconds T] [FILE...]
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../support/random.h"
#include "parsers.h"

#define LENGTH_MAX 600u

static size_t pick(const struct parser *parser, struct random *random, uint8_t *bytes, size_t room) {
  size_t count = 0;
  while (parser->seeds[count]) ++count;
  const char *seed = parser->seeds[random_below(random, count)];
  size_t length = strlen(seed) < room ? strlen(seed) : room;
  memcpy(bytes, seed, length);
  return length;
}

/* A byte becomes another, goes, or comes; or a digit becomes many. */
static size_t change(struct random *random, uint8_t *bytes, size_t length) {
  size_t at = length ? random_below(random, length) : 0, much = 1 + random_below(random, 8);
  switch (random_below(random, 5)) {
    case 0:
      if (length) bytes[at] = (uint8_t)random_next(random);
      return length;
    case 1:
      if (length) bytes[at] ^= (uint8_t)(1u << random_below(random, 8));
      return length;
    case 2:
      if (at + much > length) return length;
      memmove(bytes + at, bytes + at + much, length - at - much);
      return length - much;
    default:
      if (length + much > LENGTH_MAX) return length;
      memmove(bytes + at + much, bytes + at, length - at);
      memset(bytes + at, (int)(random_one_in(random, 2) ? '0' + random_below(random, 10) : random_next(random)), much);
      return length + much;
  }
}

static size_t make(const struct parser *parser, struct random *random, uint8_t *bytes) {
  size_t length = random_one_in(random, 4) ? random_below(random, 120) : 0;
  for (size_t i = 0; i < length; ++i) bytes[i] = (uint8_t)random_next(random);
  if (length) return length;
  for (uint64_t parts = 1 + random_below(random, 3); parts && length + 2 < LENGTH_MAX; --parts) {
    if (length && parser->parse == parse_options) bytes[length++] = ',';
    length += pick(parser, random, bytes + length, LENGTH_MAX - length);
  }
  for (uint64_t changes = random_below(random, 6); changes; --changes) length = change(random, bytes, length);
  return length;
}

static void parse_file(const struct parser *parser, const char *name) {
  static uint8_t bytes[1u << 16];
  FILE *file = fopen(name, "rb");
  if (!file) parse_fail("cannot read %s", name);
  size_t length = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  parser->parse(bytes, length);
}

int main(int count, char **arguments) {
  const struct parser *parser = parsers;
  uint64_t seed = 1, done = 0;
  time_t seconds = 0, begin = time(NULL);
  uint8_t *bytes = malloc(LENGTH_MAX);
  while (parser->name && count > 1 && strcmp(parser->name, arguments[1])) ++parser;
  if (!parser->name || count < 2) parse_fail("which parser?");
  for (int i = 2; i < count; ++i) {
    if (!strcmp(arguments[i], "--seed")) seed = strtoull(arguments[++i], NULL, 0);
    else if (!strcmp(arguments[i], "--seconds")) seconds = (time_t)strtoul(arguments[++i], NULL, 0);
    else parse_file(parser, arguments[i]), ++done;
  }
  if (getenv("VARVE_TEST_SEED")) seed = strtoull(getenv("VARVE_TEST_SEED"), NULL, 0);
  for (; time(NULL) - begin < seconds; ++done) {
    struct random mixer = {seed + done}, random = {random_next(&mixer)};
    uint8_t *exact = NULL;
    size_t length = make(parser, &random, bytes);
    exact = malloc(length ? length : 1); /* so that a sanitizer sees its end */
    memcpy(exact, bytes, length);
    parser->parse(exact, length);
    free(exact);
  }
  printf("%s: %llu inputs\n", parser->name, (unsigned long long)done);
  free(bytes);
  return 0;
}
