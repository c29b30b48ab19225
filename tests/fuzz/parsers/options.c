/* SPDX-License-Identifier: MIT */
/* options.c -- lists of options. What is accepted is printed and read again, and must be the same; what is refused
 * changes nothing and names itself. */
#define _POSIX_C_SOURCE 200809L

#include <stdlib.h>
#include <string.h>

#include "core/options.h"
#include "parsers.h"

static void check_error(varve_status status, const varve_error *error) {
  if (status != VARVE_OPTION || error->status != status) parse_fail("status %d of a refused list", (int)status);
  if (!memchr(error->detail, 0, sizeof error->detail) || !*error->detail) parse_fail("a refusal without a text");
}

static bool same(const varve_options *a, const varve_options *b) {
#define VARVE_SIZE(field, name, def, min, max, when, help) \
  if (a->field != b->field) return false;
#define VARVE_COUNT VARVE_SIZE
#define VARVE_CHOICE(field, name, def, choices, when, help) \
  if (a->field != b->field) return false;
#include "varve/options.def"
#undef VARVE_SIZE
#undef VARVE_COUNT
#undef VARVE_CHOICE
  return true;
}

/* No value is outside its bounds, but for 0 where that is the default. */
static void check_bounds(const varve_options *options) {
#define VARVE_SIZE(field, name, def, min, max, when, help)                                        \
  if ((options->field < (min) && !(options->field == 0 && (def) == 0)) || options->field > (max)) \
    parse_fail("%s is out of bounds", name);
#define VARVE_COUNT VARVE_SIZE
#define VARVE_CHOICE(field, name, def, choices, when, help) \
  if (options->field > 2) parse_fail("%s has no such choice", name);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtype-limits"
#include "varve/options.def"
#pragma GCC diagnostic pop
#undef VARVE_SIZE
#undef VARVE_COUNT
#undef VARVE_CHOICE
}

/* No bound is that high; so no number may be, whatever its length and its suffix. */
static void check_numbers(const char *text) {
  for (const char *equals = text; (equals = strchr(equals, '=')) != NULL; ++equals) {
    char *end;
    double number = strtod(equals + 1, &end);
    const char *suffix = *end ? strchr("kmgt", *end | 32) : NULL;
    for (; suffix; suffix = *suffix == 'k' ? NULL : suffix - 1) number *= 1024;
    if (equals[1] >= '0' && equals[1] <= '9' && number > 0x1p42) parse_fail("%s was accepted", text);
  }
}

static void print_and_read(const varve_options *options) {
  char text[4096];
  varve_options again;
  varve_error error = {0};
  size_t length = varve_options_print(options, text, sizeof text);
  if (length >= sizeof text || strlen(text) != length) parse_fail("printed %zu bytes", length);
  varve_options_init(&again);
  if (varve_options_parse(&again, text, &error) != VARVE_OK) parse_fail("%s: %s", text, error.detail);
  if (!same(options, &again)) parse_fail("read again, another: %s", text);
  for (size_t room = 0; room < 40; ++room) { /* too short: cut, and ended */
    char small[40];
    memset(small, 'x', sizeof small);
    if (varve_options_print(options, small, room) != length) parse_fail("another length in %zu bytes", room);
    if (room && memcmp(small, text, room - 1) != 0) parse_fail("another beginning in %zu bytes", room);
    if (room && small[room - 1]) parse_fail("no end in %zu bytes", room);
  }
}

/* A machine of sixteen processors. */
static const struct varve_topology *machine(void) {
  static struct varve_topology topology;
  topology.cpu_count = 16;
  topology.node_count = 1;
  topology.memory_limit = (uint64_t)1 << 34;
  topology.cache_bytes = 32u << 20;
  return &topology;
}

static void resolve(const varve_options *given, const char *more) {
  varve_options options = *given, changed;
  varve_error error = {0};
  varve_status status = varve__options_resolve(&options, machine(), &error);
  if (status != VARVE_OK) {
    check_error(status, &error);
    return;
  }
  check_bounds(&options);
  if (!options.heap_max || !options.workers || options.heap_initial > options.heap_max ||
      options.heap_soft > options.heap_max)
    parse_fail("resolved to what contradicts itself");
  changed = options;
  status = varve__options_change(&changed, more, &options, machine(), &error);
  if (status != VARVE_OK) check_error(status, &error);
  else if (changed.heap_max > options.heap_max || changed.workers > options.workers || changed.ages != options.ages)
    parse_fail("a heap that lives was given more than it has");
}

static void environment(const char *text) {
  varve_options options, before;
  varve_error error = {0};
  varve_options_init(&options);
  before = options;
  if (setenv("VARVE_OPTIONS", text, 1)) return;
  varve_status status = varve__options_environment(&options, &error);
  unsetenv("VARVE_OPTIONS");
  if (status != VARVE_OK) check_error(status, &error);
  if (status != VARVE_OK && !same(&options, &before)) parse_fail("a refused list has changed something");
  if (options.slot_tags != before.slot_tags || options.narrow != before.narrow || options.granule != before.granule)
    parse_fail("the environment has set what the program's words depend on");
}

void parse_options(const uint8_t *bytes, size_t length) {
  char *text = malloc(length + 1);
  varve_options options, before;
  varve_error error = {0};
  memcpy(text, bytes, length);
  text[length] = 0;
  varve_options_init(&options);
  before = options;
  varve_status status = varve_options_parse(&options, text, &error);
  if (status == VARVE_OK) {
    check_bounds(&options);
    check_numbers(text);
    print_and_read(&options);
    resolve(&options, text);
  } else {
    check_error(status, &error);
    if (memcmp(&options, &before, sizeof options) != 0) parse_fail("a refused list has changed something");
  }
  environment(text);
  free(text);
}
