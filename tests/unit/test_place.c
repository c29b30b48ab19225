/* SPDX-License-Identifier: MIT */
/* test_place.c -- reserve, commit, decommit, release, on this machine. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "numa/place.h"

#define MIB ((size_t)1 << 20)

static struct varve_topology t;

static int setup(void **state) {
  (void)state;
  return varve__topology_load(&t, false, NULL) == VARVE_OK ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  varve__topology_unload(&t);
  return 0;
}

/* Can the kernel read this byte for us? A write to a pipe answers EFAULT for inaccessible memory. */
static bool readable(const void *at) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  ssize_t got = write(ends[1], at, 1);
  bool fault = got < 0 && errno == EFAULT;
  close(ends[0]), close(ends[1]);
  return !fault;
}

static size_t resident_pages(void *base, size_t bytes) {
  static unsigned char in[64 << 8];
  size_t pages = bytes / (size_t)sysconf(_SC_PAGESIZE), count = 0;
  assert_true(pages <= sizeof in);
  assert_int_equal(mincore(base, bytes, in), 0);
  for (size_t i = 0; i < pages; i++) count += in[i] & 1;
  return count;
}

static void test_reserve(void **state) {
  (void)state;
  for (size_t alignment = 0; alignment <= 64 * MIB; alignment = alignment ? alignment * 4 : 4096) {
    char *base = varve__place_reserve(3 * MIB, alignment);
    assert_non_null(base);
    if (alignment) assert_int_equal((uintptr_t)base % alignment, 0);
    assert_false(readable(base));
    assert_false(readable(base + 3 * MIB - 1));
    varve__place_release(base, 3 * MIB);
  }
}

static void test_reserve_too_much(void **state) {
  (void)state;
  assert_null(varve__place_reserve(SIZE_MAX - 4095, 2 * MIB));
  assert_null(varve__place_reserve((size_t)1 << 60, 0));
  assert_null(varve__place_reserve(0, 0));
}

/* Address space costs nothing. (Sixteen times as much works too, but not under a thread sanitizer.) */
static void test_reserve_is_free(void **state) {
  (void)state;
  char *base = varve__place_reserve(64 * 1024 * MIB, 2 * MIB);
  assert_non_null(base);
  varve__place_release(base, 64 * 1024 * MIB);
}

static void commit_cycle(unsigned how) {
  size_t bytes = 8 * MIB;
  char *base = varve__place_reserve(bytes, 2 * MIB);
  assert_true(varve__place_commit(&t, base + 2 * MIB, 4 * MIB, 0, how));
  assert_false(readable(base + 2 * MIB - 1));
  assert_false(readable(base + 6 * MIB));
  if (how & PLACE_POPULATE) assert_int_equal(resident_pages(base + 2 * MIB, 4 * MIB), 4 * MIB / (size_t)sysconf(_SC_PAGESIZE));
  for (size_t i = 2 * MIB; i < 6 * MIB; i += 512) assert_int_equal(base[i], 0);
  memset(base + 2 * MIB, 1, 4 * MIB);
  varve__place_decommit(base + 4 * MIB, 2 * MIB);
  assert_false(readable(base + 4 * MIB));
  assert_int_equal(base[4 * MIB - 1], 1);
  assert_true(varve__place_commit(&t, base + 4 * MIB, 2 * MIB, 0, how));
  for (size_t i = 4 * MIB; i < 6 * MIB; i += 512) assert_int_equal(base[i], 0);
  varve__place_release(base, bytes);
}

static void test_commit(void **state) {
  (void)state;
  for (unsigned how = 0; how < 32; how++)
    if (!(how & PLACE_EXPLICIT) || (how & PLACE_POPULATE)) commit_cycle(how);
  assert_int_equal(t.place->refused, 0);
}

/* Every node there is: the pages are where they should be, as far as the machine has room. */
static void test_commit_on_each_node(void **state) {
  (void)state;
  for (unsigned node = 0; node < t.node_count; node++) {
    char *base = varve__place_reserve(2 * MIB, 2 * MIB);
    assert_true(varve__place_commit(&t, base, 2 * MIB, node, PLACE_POPULATE));
    void *page = base;
    int where = -1;
    if (syscall(SYS_move_pages, 0, 1ul, &page, NULL, &where, 0) == 0 && t.real)
      assert_int_equal(where, (int)t.nodes[node].os_index);
    varve__place_release(base, 2 * MIB);
  }
}

/* A node the system will not bind to is counted, and the memory works. */
static void test_refused_bind(void **state) {
  (void)state;
  struct varve_topology odd = t;
  struct varve_place_counters counters = {0};
  odd.place = &counters;
  odd.placed = odd.hwloc != NULL;
  odd.nodes[0].os_index = 999;
  char *base = varve__place_reserve(2 * MIB, 0);
  assert_true(varve__place_commit(&odd, base, 2 * MIB, 0, PLACE_POPULATE));
  assert_int_equal(counters.refused, odd.placed ? 1 : 0);
  base[0] = 1;
  varve__place_release(base, 2 * MIB);
}

/* What is outside every mapping cannot be committed: false, and still nothing is there. */
static void test_refused_commit(void **state) {
  (void)state;
  char *base = varve__place_reserve(2 * MIB, 0);
  munmap(base, 2 * MIB);
  assert_false(varve__place_commit(&t, base, 2 * MIB, 0, 0));
  assert_false(readable(base));
  varve__place_release(base, 2 * MIB);
}

static void test_map(void **state) {
  (void)state;
  char *base = varve__place_map(&t, 5 * MIB, MIB, 0);
  assert_non_null(base);
  assert_int_equal((uintptr_t)base % MIB, 0);
  assert_int_equal(base[5 * MIB - 1], 0);
  base[5 * MIB - 1] = 1;
  varve__place_release(base, 5 * MIB);
  varve__place_release(NULL, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reserve),
      cmocka_unit_test(test_reserve_too_much),
      cmocka_unit_test(test_reserve_is_free),
      cmocka_unit_test(test_commit),
      cmocka_unit_test(test_commit_on_each_node),
      cmocka_unit_test(test_refused_bind),
      cmocka_unit_test(test_refused_commit),
      cmocka_unit_test(test_map),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
