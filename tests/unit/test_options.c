/* SPDX-License-Identifier: MIT */
/* test_options.c -- the options table: parsing, refusing, printing, defaults for a machine, the environment. */
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/options.h"

static varve_options options;
static varve_error error;
static struct varve_topology machine;

static int setup(void **state) {
  (void)state;
  memset(&options, 0xa5, sizeof options);
  memset(&error, 0, sizeof error);
  varve_options_init(&options);
  memset(&machine, 0, sizeof machine);
  machine.cpu_count = 6;
  machine.node_count = 1;
  machine.memory_limit = UINT64_C(1) << 30;
  return 0;
}

static varve_status parse(const char *text) { return varve_options_parse(&options, text, &error); }

/* The list is refused, the detail names `about`, and nothing has changed. */
static void refuses(const char *text, const char *about) {
  varve_options before = options;
  memset(&error, 0, sizeof error);
  assert_int_equal(parse(text), VARVE_OPTION);
  assert_int_equal(error.status, VARVE_OPTION);
  if (!strstr(error.detail, about))
    fail_msg("\"%s\": the detail \"%s\" does not name \"%s\"", text, error.detail, about);
  assert_memory_equal(&before, &options, sizeof options);
}

static void defaults(void **state) {
  (void)state;
  assert_int_equal(options.size, sizeof options);
  assert_int_equal(options.heap_growth, 100);
  assert_int_equal(options.dense_percent, 87);
  assert_int_equal(options.granule, 8);
  assert_int_equal(options.parallel_min, 4 << 20);
  assert_null(options.log);
  assert_null(options.context);
}

static void sizes_and_counts(void **state) {
  (void)state;
  assert_int_equal(parse(""), VARVE_OK);
  assert_int_equal(parse("heap-max=512m,workers=2"), VARVE_OK);
  assert_int_equal(options.heap_max, 512u << 20);
  assert_int_equal(options.workers, 2);
  assert_int_equal(parse("heap-max=4t"), VARVE_OK);
  assert_true(options.heap_max == UINT64_C(1) << 42);
  assert_int_equal(parse("heap-initial=3K,parallel-min=1G"), VARVE_OK);
  assert_int_equal(options.heap_initial, 3072);
  assert_int_equal(options.parallel_min, 1 << 30);
  assert_int_equal(parse("heap-initial=12345"), VARVE_OK);
  assert_int_equal(options.heap_initial, 12345);
  assert_int_equal(parse("workers=1,workers=3"), VARVE_OK);
  assert_int_equal(options.workers, 3);
}

static void zero_asks_for_the_default(void **state) {
  (void)state;
  assert_int_equal(parse("heap-max=0,mark-segments=0,workers=0"), VARVE_OK);
  refuses("heap-growth=0", "heap-growth");
  refuses("granule=0", "granule");
}

static void choices(void **state) {
  (void)state;
  assert_int_equal(options.heap_sizing, VARVE_SIZING_GROWTH);
  assert_int_equal(parse("heap-sizing=adaptive"), VARVE_OK);
  assert_int_equal(options.heap_sizing, VARVE_SIZING_ADAPTIVE);
  assert_int_equal(parse("heap-sizing=fixed,heap-sizing=growth"), VARVE_OK);
  assert_int_equal(options.heap_sizing, VARVE_SIZING_GROWTH);
  refuses("heap-sizing=", "growth|adaptive|fixed");
  refuses("heap-sizing=1", "growth|adaptive|fixed");
  refuses("heap-sizing=Fixed", "heap-sizing=Fixed");
  refuses("heap-sizing=fixe", "heap-sizing=fixe");
  refuses("heap-sizing=fixed|growth", "heap-sizing=fixed|growth");
}

static void malformed(void **state) {
  (void)state;
  refuses("heap-max", "heap-max");
  refuses("heap-max=", "heap-max");
  refuses("heap-max=-8m", "heap-max");
  refuses("heap-max=+8m", "heap-max");
  refuses("heap-max= 8m", "heap-max");
  refuses("heap-max=8m ", "heap-max");
  refuses("heap-max=8mb", "heap-max");
  refuses("heap-max=8q", "heap-max");
  refuses("heap-max=m", "heap-max");
  refuses("heap-max=0x800000", "heap-max");
  refuses("workers=2k", "workers");
  refuses("workers=two", "workers");
  refuses("heap=8m", "heap=8m");
  refuses("heap-maximum=8m", "heap-maximum");
  refuses("=8m", "=8m");
  refuses("workers=2,,verify=1", "name=value");
  refuses("workers=2,", "comma");
  refuses(",", "name=value");
}

static void out_of_range(void **state) {
  (void)state;
  refuses("heap-max=4194303", "4m..4t");
  refuses("heap-max=4398046511105", "heap-max");
  refuses("heap-max=18446744073709551616", "heap-max"); /* 2^64 */
  refuses("heap-max=18446744073709551615k", "heap-max");
  refuses("heap-max=99999999999999999999999", "heap-max");
  refuses("heap-max=16777216t", "heap-max"); /* 2^64 */
  refuses("workers=257", "0..256");
  refuses("workers=4294967298", "workers"); /* 2 modulo 2^32 */
  refuses("dense=102", "dense");
  refuses("heap-soft=1000", "0 or 1m..4t");
  refuses("gc-cpu=0", "1..100");
  refuses("heap-thrift=0", "heap-thrift");
  refuses("slot-tags=256", "slot-tags");
}

static void all_or_nothing(void **state) {
  (void)state;
  refuses("workers=7,heap-max=1k", "heap-max");
  assert_int_equal(options.workers, 0);
}

static void printing_can_be_parsed(void **state) {
  (void)state;
  char text[1024], small[16];
  varve_options other;
  assert_int_equal(parse("heap-max=96m,heap-initial=1000,workers=5,poison=1,slot-tags=129,heap-sizing=fixed"), VARVE_OK);
  size_t length = varve_options_print(&options, text, sizeof text);
  assert_int_equal(length, strlen(text));
  assert_non_null(strstr(text, "heap-max=96m,heap-initial=1000,"));
  assert_non_null(strstr(text, ",heap-sizing=fixed,"));
  varve_options_init(&other);
  assert_int_equal(varve_options_parse(&other, text, &error), VARVE_OK);
  assert_memory_equal(&other, &options, sizeof options);
  assert_int_equal(varve_options_print(&options, small, sizeof small), length);
  assert_int_equal(strlen(small), sizeof small - 1);
  assert_memory_equal(small, text, sizeof small - 1);
  assert_int_equal(varve_options_print(&options, NULL, 0), length);
}

struct help {
  unsigned lines, later;
  bool named, chosen;
};

static void take_line(void *context, const char *text) {
  struct help *help = context;
  ++help->lines;
  if (strncmp(text, "heap-max ", 9) == 0) help->named = strstr(text, "0 or 4m..4t") != NULL;
  if (strncmp(text, "heap-sizing ", 12) == 0) help->chosen = strstr(text, " growth growth|adaptive|fixed ") != NULL;
  help->later += strstr(text, " (also later)") != NULL;
}

static void help_has_every_option(void **state) {
  (void)state;
  struct help help = {0};
  unsigned rows = 0;
#define VARVE_SIZE(field, name, def, min, max, when, help) ++rows;
#define VARVE_COUNT(field, name, def, min, max, when, help) ++rows;
#define VARVE_CHOICE(field, name, def, choices, when, help) ++rows;
#include "varve/options.def"
#undef VARVE_SIZE
#undef VARVE_COUNT
#undef VARVE_CHOICE
  varve_options_help(take_line, &help);
  assert_int_equal(help.lines, rows);
  assert_int_equal(help.later, rows - 17);
  assert_true(help.named && help.chosen);
}

static void resolves_defaults(void **state) {
  (void)state;
  assert_int_equal(varve__options_resolve(&options, &machine, &error), VARVE_OK);
  assert_int_equal(options.heap_max, 512u << 20);
  assert_int_equal(options.heap_initial, 8u << 20);
  assert_int_equal(options.workers, 6);
  assert_int_equal(options.mark_segments, 2048 + 12288);
  assert_int_equal(options.cache_budget, options.heap_max); /* nobody knows the cache */
}

static void resolves_for_a_cache(void **state) {
  (void)state;
  machine.cache_bytes = 34 << 20;
  assert_int_equal(varve__options_resolve(&options, &machine, &error), VARVE_OK);
  assert_int_equal(options.cache_budget, 8 << 20);
  options.cache_budget = 0;
  machine.cache_bytes = 1 << 20;
  assert_int_equal(varve__options_resolve(&options, &machine, &error), VARVE_OK);
  assert_int_equal(options.cache_budget, 2 << 20);
}

static void resolves_for_small_heaps(void **state) {
  (void)state;
  machine.quota_cpus = 2;
  assert_int_equal(parse("heap-max=4m"), VARVE_OK);
  assert_int_equal(varve__options_resolve(&options, &machine, &error), VARVE_OK);
  assert_int_equal(options.heap_initial, 4u << 20);
  assert_int_equal(options.workers, 2);
  assert_int_equal(options.mark_segments, 2048 + 96);
}

/* Half of the cgroup's memory is the limit, if none is given; the soft limit is below both. */
static void resolves_the_soft_limit(void **state) {
  (void)state;
  assert_int_equal(parse("heap-soft=512m"), VARVE_OK);
  assert_int_equal(varve__options_resolve(&options, &machine, &error), VARVE_OK);
  assert_int_equal(options.heap_soft, 512u << 20);
  varve_options_init(&options);
  assert_int_equal(parse("heap-soft=513m"), VARVE_OK);
  assert_int_equal(varve__options_resolve(&options, &machine, &error), VARVE_OPTION);
  assert_non_null(strstr(error.detail, "half of the memory"));
  varve_options_init(&options);
  assert_int_equal(parse("heap-soft=3g,heap-max=4g"), VARVE_OK);
  assert_int_equal(varve__options_resolve(&options, &machine, &error), VARVE_OK);
  assert_true(options.heap_max == UINT64_C(4) << 30);
  assert_int_equal(options.heap_soft, 1u << 30);
  varve_options_init(&options);
  assert_int_equal(parse("heap-max=4g"), VARVE_OK);
  assert_int_equal(varve__options_resolve(&options, &machine, &error), VARVE_OK);
  assert_int_equal(options.heap_soft, 0);
}

/* ---- later ---- */

static varve_options created;

static void created_with(const char *text) {
  assert_int_equal(parse(text), VARVE_OK);
  assert_int_equal(varve__options_resolve(&options, &machine, &error), VARVE_OK);
  created = options;
}

static varve_status change(const char *text) {
  memset(&error, 0, sizeof error);
  return varve__options_change(&options, text, &created, &machine, &error);
}

static void later(void **state) {
  (void)state;
  machine.cache_bytes = 32 << 20;
  created_with("heap-max=3g,workers=4,heap-soft=100m");
  assert_int_equal(change("heap-max=2g,workers=1,heap-soft=2g,cache-budget=64m,heap-sizing=fixed"), VARVE_OK);
  assert_int_equal(options.heap_soft, 1u << 30); /* the cgroup's memory */
  assert_int_equal(options.workers, 1);
  assert_int_equal(change("heap-max=0,workers=0,cache-budget=0"), VARVE_OK);
  assert_true(options.heap_max == UINT64_C(3) << 30);
  assert_int_equal(options.workers, 4);
  assert_int_equal(options.cache_budget, 8 << 20);
  varve_options now = created;
  now.spin = 7;
  varve__options_store(&now, &options);
  assert_int_equal(now.heap_sizing, VARVE_SIZING_FIXED);
  assert_int_equal(now.spin, 7); /* never again */
}

static void not_later(void **state) {
  (void)state;
  created_with("heap-max=512m,workers=4");
  assert_int_equal(change("workers=5"), VARVE_OPTION);
  assert_non_null(strstr(error.detail, "workers=5 is more than 4"));
  options = created;
  assert_int_equal(change("heap-max=513m"), VARVE_OPTION);
  assert_non_null(strstr(error.detail, "heap-max=513m is more than 512m"));
  options = created;
  assert_int_equal(change("heap-soft=200m,heap-max=100m"), VARVE_OPTION);
  assert_non_null(strstr(error.detail, "heap-soft"));
  options = created;
  assert_int_equal(change("granule=16"), VARVE_OPTION);
  assert_non_null(strstr(error.detail, "granule is set at creation and cannot change"));
}

static void extreme_machines(void **state) {
  (void)state;
  machine.memory_limit = 1 << 20;
  assert_int_equal(varve__options_resolve(&options, &machine, &error), VARVE_OK);
  assert_int_equal(options.heap_max, 4u << 20);
  varve_options_init(&options);
  machine.memory_limit = UINT64_MAX;
  machine.cpu_count = 1000;
  assert_int_equal(varve__options_resolve(&options, &machine, &error), VARVE_OK);
  assert_true(options.heap_max == UINT64_C(1) << 42);
  assert_int_equal(options.workers, 256);
  assert_int_equal(options.mark_segments, 1 << 22);
}

/* What was filled by hand is checked like what was parsed. */
static void unresolvable(const char *about) {
  memset(&error, 0, sizeof error);
  assert_int_equal(varve__options_resolve(&options, &machine, &error), VARVE_OPTION);
  if (!strstr(error.detail, about)) fail_msg("the detail \"%s\" does not name \"%s\"", error.detail, about);
  varve_options_init(&options);
}

static void checks_hand_filled_structs(void **state) {
  (void)state;
  options.size = 0;
  unresolvable("size");
  options.size = sizeof options + 8;
  unresolvable("size");
  options.granule = 12; /* in range, and no granule */
  unresolvable("granule");
  options.dense_percent = 0;
  unresolvable("dense");
  options.heap_max = 1;
  unresolvable("heap-max");
  options.heap_sizing = 3;
  unresolvable("heap-sizing");
  options.heap_max = 8u << 20;
  options.heap_initial = (8u << 20) + 1;
  unresolvable("heap-initial");
  options.heap_initial = UINT64_C(1) << 40; /* more than the default heap-max */
  unresolvable("heap-initial");
  options.granule = 16;
  assert_int_equal(varve__options_resolve(&options, &machine, NULL), VARVE_OK);
}

static void environment(void **state) {
  (void)state;
  unsetenv("VARVE_OPTIONS");
  assert_int_equal(varve__options_environment(&options, &error), VARVE_OK);
  assert_int_equal(options.workers, 0);
  setenv("VARVE_OPTIONS", "workers=9", 1);
  assert_int_equal(varve__options_environment(&options, &error), VARVE_OK);
  assert_int_equal(options.workers, 9);
  setenv("VARVE_OPTIONS", "workers=9x", 1);
  assert_int_equal(varve__options_environment(&options, &error), VARVE_OPTION);
  assert_non_null(strstr(error.detail, "VARVE_OPTIONS"));
  assert_non_null(strstr(error.detail, "workers=9x"));
  setenv("VARVE_OPTIONS", "slot-tags=3", 1);
  assert_int_equal(varve__options_environment(&options, &error), VARVE_OPTION);
  assert_non_null(strstr(error.detail, "slot-tags is for the program to set"));
  assert_int_equal(options.slot_tags, 1);
  assert_int_equal(parse("slot-tags=3"), VARVE_OK);
  unsetenv("VARVE_OPTIONS");
}

static void every_status_has_a_sentence(void **state) {
  (void)state;
  for (int s = 0; s < VARVE_STATUS_COUNT; ++s) assert_true(strlen(varve_status_sentence((varve_status)s)) > 4);
  assert_non_null(varve_status_sentence((varve_status)VARVE_STATUS_COUNT));
  assert_non_null(varve_status_sentence((varve_status)-1));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(defaults, setup),
      cmocka_unit_test_setup(sizes_and_counts, setup),
      cmocka_unit_test_setup(zero_asks_for_the_default, setup),
      cmocka_unit_test_setup(choices, setup),
      cmocka_unit_test_setup(malformed, setup),
      cmocka_unit_test_setup(out_of_range, setup),
      cmocka_unit_test_setup(all_or_nothing, setup),
      cmocka_unit_test_setup(printing_can_be_parsed, setup),
      cmocka_unit_test_setup(help_has_every_option, setup),
      cmocka_unit_test_setup(resolves_defaults, setup),
      cmocka_unit_test_setup(resolves_for_a_cache, setup),
      cmocka_unit_test_setup(resolves_for_small_heaps, setup),
      cmocka_unit_test_setup(resolves_the_soft_limit, setup),
      cmocka_unit_test_setup(later, setup),
      cmocka_unit_test_setup(not_later, setup),
      cmocka_unit_test_setup(extreme_machines, setup),
      cmocka_unit_test_setup(checks_hand_filled_structs, setup),
      cmocka_unit_test_setup(environment, setup),
      cmocka_unit_test_setup(every_status_has_a_sentence, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
