/* SPDX-License-Identifier: MIT */
/* test_api_heap.c -- heaps, options, layouts and mutators through the public interface: independence of heaps, every
 * refusal, and that destroy gives everything back. */
#include "../support/api.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

/* ---- heaps ---- */

static uint64_t sum_list(varve_word list) {
  uint64_t sum = 0;
  for (; list; list = pair_of(list)->right) sum += pair_of(list)->number;
  return sum;
}

static void grow_list(struct api *api, varve_word *list, uint64_t count) {
  for (uint64_t i = 1; i <= count; ++i) *list = api_pair(api, i, NULL, list);
}

static void two_heaps_are_independent(void **state) {
  struct api one, two;
  (void)state;
  api_open(&one, API_STRICT);
  api_open(&two, API_STRICT ",granule=8,slot-tags=3");
  {
    VARVE_FRAME(f, one.me, list);
    {
      VARVE_FRAME(g, two.me, list);
      grow_list(&one, &f.list, 20000);
      grow_list(&two, &g.list, 30000);
      api_collect(&one, NULL);
      api_collect(&two, NULL);
      assert_true(sum_list(f.list) == 20000ull * 20001 / 2);
      assert_true(sum_list(g.list) == 30000ull * 30001 / 2);
      assert_false(varve_heap_contains(one.heap, varve_untag(g.list)));
    }
    api_close(&two);
    grow_list(&one, &f.list, 20000);
    api_collect(&one, NULL);
    assert_true(sum_list(f.list) == 20000ull * 20001);
  }
  api_close(&one);
}

static size_t count_tasks(void) {
  DIR *tasks = opendir("/proc/self/task");
  size_t count = 0;
  assert_non_null(tasks);
  for (struct dirent *entry; (entry = readdir(tasks));) count += entry->d_name[0] != '.';
  closedir(tasks);
  return count;
}

/* Kilobytes of a line of /proc/self/status. */
static long status_kb(const char *name) {
  FILE *file = fopen("/proc/self/status", "r");
  char line[256];
  long kb = -1;
  assert_non_null(file);
  while (fgets(line, sizeof line, file))
    if (!strncmp(line, name, strlen(name))) sscanf(line + strlen(name), ": %ld", &kb);
  fclose(file);
  return kb;
}

static void use_and_destroy(void) {
  struct api api;
  varve_refs *slab;
  varve_slab_cursor cursor;
  api_open(&api, API_STRICT ",workers=3");
  slab = varve_slab_create(api.heap, "slab");
  varve_slab_cursor_open(&cursor, slab);
  for (int i = 0; i < 5000; ++i) {
    assert_non_null(varve_handle_new(api.me, api_pair(&api, (uint64_t)i, NULL, NULL)));
    assert_non_null(varve_slab_take(&cursor, api.me, 0));
  }
  api_collect(&api, NULL);
  api_close(&api);
}

/* Kilobytes that the process may grow by for the C library's own; a sanitizer keeps freed memory for a while. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLACK_KB (96 << 10) /* less than two of the heaps */
#else
#define SLACK_KB 1024
#endif

static void destroy_returns_everything(void **state) {
  long size;
  size_t tasks;
  (void)state;
  use_and_destroy(); /* what the process keeps for ever is kept now */
  size = status_kb("VmSize");
  tasks = count_tasks();
  for (int i = 0; i < 5; ++i) use_and_destroy();
  assert_int_equal(count_tasks(), tasks);
  assert_true(status_kb("VmSize") <= size + SLACK_KB);
}

static void destroy_refuses_while_attached(void **state) {
  struct api api;
  (void)state;
  api_open(&api, API_STRICT);
  assert_int_equal(varve_heap_destroy(api.heap), VARVE_BUSY);
  api_collect(&api, NULL);
  api_close(&api);
}

/* ---- options ---- */

static void wrong_options_are_named(void **state) {
  static const char *const wrong[][2] = {{"workers=257", "workers"},   {"heap-max=1", "heap-max"},
                                         {"slot-tags=0", "slot-tags"}, {"ref-tags=256", "ref-tags"},
                                         {"heap-max=12q", "heap-max"}, {"no-such=1", "no-such"},
                                         {"dense", "dense"}};
  varve_options options, before;
  varve_error error;
  (void)state;
  varve_options_init(&options);
  before = options;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; ++i) {
    memset(&error, 0, sizeof error);
    assert_int_equal(varve_options_parse(&options, wrong[i][0], &error), VARVE_OPTION);
    assert_int_equal(error.status, VARVE_OPTION);
    assert_non_null(strstr(error.detail, wrong[i][1]));
  }
  assert_int_equal(varve_options_parse(&options, "workers=2,verify=9", &error), VARVE_OPTION);
  assert_int_equal(options.workers, before.workers);
}

static void create_refuses_what_does_not_fit(void **state) {
  varve_options options;
  varve_error error = {0};
  varve_heap *heap = (varve_heap *)&options;
  (void)state;
  varve_options_init(&options);
  options.heap_max = 1;
  assert_int_equal(varve_heap_create(&options, &heap, &error), VARVE_OPTION);
  assert_non_null(strstr(error.detail, "heap-max"));
  varve_options_init(&options);
  options.granule = 12;
  assert_int_equal(varve_heap_create(&options, &heap, &error), VARVE_OPTION);
  varve_options_init(&options);
  options.heap_max = 16u << 20;
  options.heap_initial = 32u << 20;
  assert_int_equal(varve_heap_create(&options, &heap, &error), VARVE_OPTION);
  assert_ptr_equal(heap, (varve_heap *)&options);
  assert_int_equal(varve_heap_create(&options, &heap, NULL), VARVE_OPTION);
}

/* ---- layouts ---- */

static void wrong_layouts_are_refused(void **state) {
  static const uint32_t odd[] = {12}, header[] = {0}, twice[] = {16, 16}, far[] = {32}, fine[] = {8};
  struct api api;
  varve_union_case unknown = {1, 60000};
  const varve_layout_desc wrong[] = {
      {.name = "no kind"},
      {.name = "odd", .kind = VARVE_LAYOUT_OFFSETS, .offsets = odd, .offset_count = 1},
      {.name = "header", .kind = VARVE_LAYOUT_OFFSETS, .offsets = header, .offset_count = 1},
      {.name = "twice", .kind = VARVE_LAYOUT_OFFSETS, .offsets = twice, .offset_count = 2},
      {.name = "null offsets", .kind = VARVE_LAYOUT_OFFSETS, .offset_count = 1},
      {.name = "first 12", .kind = VARVE_LAYOUT_REF_ARRAY, .first = 12},
      {.name = "stride 0", .kind = VARVE_LAYOUT_RECORDS, .offsets = fine, .offset_count = 1, .first = 8},
      {.name = "beyond record", .kind = VARVE_LAYOUT_RECORDS, .offsets = far, .offset_count = 1, .first = 8,
       .stride = 16},
      {.name = "width 3", .kind = VARVE_LAYOUT_UNION, .choice = {.offset = 8, .width = 3}},
      {.name = "unknown case", .kind = VARVE_LAYOUT_UNION,
       .choice = {.offset = 8, .width = 8, .cases = &unknown, .case_count = 1}},
      {.name = "closure without strides", .kind = VARVE_LAYOUT_CLOSURE,
       .closure = {.tag_offset = 8, .value_offset = 16}},
      {.name = "no function", .kind = VARVE_LAYOUT_TRACE},
  };
  (void)state;
  api_open(&api, API_STRICT);
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; ++i) {
    varve_error error = {0};
    varve_layout layout = 4242;
    if (varve_layout_register(api.heap, &wrong[i], &layout, &error) != VARVE_LAYOUT) fail_msg("%s", wrong[i].name);
    assert_int_equal(layout, 4242);
    assert_true(error.detail[0] != 0);
  }
  assert_string_equal(varve_layout_name(api.heap, api.pair), "pair");
  assert_string_equal(varve_layout_name(api.heap, 65000), "?");
  api_close(&api);
}

static void unknown_layouts_and_sizes_are_refused(void **state) {
  struct api api;
  (void)state;
  api_open(&api, API_STRICT);
  assert_int_equal(varve_mutator_status(api.me), VARVE_OK);
  assert_null(varve_alloc(api.me, 65000, 4096));
  assert_int_equal(varve_mutator_status(api.me), VARVE_LAYOUT);
  assert_null(varve_alloc(api.me, api.data, 1ull << 40));
  assert_int_equal(varve_mutator_status(api.me), VARVE_TOO_LARGE);
  api_close(&api);
}

/* ---- mutators ---- */

struct stranger {
  struct api *api;
  varve_status enter, leave, detach;
};

static void *stranger_main(void *argument) {
  struct stranger *stranger = argument;
  stranger->enter = varve_native_enter(stranger->api->me);
  stranger->leave = varve_native_leave(stranger->api->me);
  stranger->detach = varve_detach(stranger->api->me);
  return NULL;
}

static void calls_from_another_thread_are_refused(void **state) {
  struct api api;
  struct stranger stranger = {.api = &api};
  pthread_t thread;
  (void)state;
  api_open(&api, API_STRICT);
  assert_int_equal(pthread_create(&thread, NULL, stranger_main, &stranger), 0);
  pthread_join(thread, NULL);
  assert_int_equal(stranger.enter, VARVE_THREAD);
  assert_int_equal(stranger.leave, VARVE_THREAD);
  assert_int_equal(stranger.detach, VARVE_THREAD);
  api_close(&api);
}

static void states_are_checked(void **state) {
  struct api api;
  (void)state;
  api_open(&api, API_STRICT);
  assert_int_equal(varve_native_leave(api.me), VARVE_THREAD);
  assert_int_equal(varve_native_enter(api.me), VARVE_OK);
  assert_int_equal(varve_native_enter(api.me), VARVE_THREAD);
  assert_int_equal(varve_collect(api.me), VARVE_THREAD);
  assert_int_equal(varve_native_leave(api.me), VARVE_OK);
  {
    VARVE_FRAME(f, api.me, slot);
    assert_int_equal(varve_detach(api.me), VARVE_BUSY);
  }
  assert_int_equal(varve_native_enter(api.me), VARVE_OK);
  api_close(&api); /* a native mutator may detach */
}

static void the_granule_is_checked(void **state) {
  struct api api;
  varve_mutator *mutator;
  varve_error error = {0};
  (void)state;
  api_open(&api, API_STRICT ",granule=16");
  assert_int_equal(varve_mutator_attach(api.heap, NULL, 8, &mutator, &error), VARVE_OPTION);
  assert_int_equal(varve_mutator_attach(api.heap, NULL, 16, &mutator, &error), VARVE_OK);
  assert_int_equal(varve_detach(mutator), VARVE_OK);
  for (size_t bytes = 8; bytes < 400; bytes += 8)
    assert_int_equal((uintptr_t)varve_ffi_alloc(api.me, api.data, bytes) % 16, 0);
  assert_int_equal(varve_object_bytes(varve_ffi_alloc(api.me, api.data, 24)), 32);
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(two_heaps_are_independent),
      cmocka_unit_test(destroy_returns_everything),
      cmocka_unit_test(destroy_refuses_while_attached),
      cmocka_unit_test(wrong_options_are_named),
      cmocka_unit_test(create_refuses_what_does_not_fit),
      cmocka_unit_test(wrong_layouts_are_refused),
      cmocka_unit_test(unknown_layouts_and_sizes_are_refused),
      cmocka_unit_test(calls_from_another_thread_are_refused),
      cmocka_unit_test(states_are_checked),
      cmocka_unit_test(the_granule_is_checked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
