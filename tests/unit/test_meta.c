/* SPDX-License-Identifier: MIT */
/* test_meta.c -- metadata memory: zeroed, aligned, counted, all returned; and the host's malloc stays the host's.
 * The program starts itself a second time with a MALLOC_CONF that would end it if anybody listened. */
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "numa/meta.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

static struct varve_topology t;

static int setup(void **state) {
  (void)state;
  setenv("HWLOC_SYNTHETIC", "pack:4 [numa(memory=1GB)] core:2 pu:1", 1);
  return varve__topology_load(&t, false, NULL) == VARVE_OK ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  varve__topology_unload(&t);
  return 0;
}

/* The first byte is zero and each one equals the next: a form that memcmp makes fast. */
static bool is_zero(const unsigned char *p, size_t bytes) {
  return bytes == 0 || (p[0] == 0 && memcmp(p, p + 1, bytes - 1) == 0);
}

/* The second round reuses dirty memory, which has to come zeroed all the same. */
static void test_zeroed_and_aligned(void **state) {
  (void)state;
  static const size_t sizes[] = {0, 1, 16, 24, 100, 4096, 70000, 3u << 20, 9u << 20};
  struct varve_meta *meta = varve__meta_open(&t);
  assert_non_null(meta);
  for (unsigned round = 0; round < 2; round++)
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
      for (size_t alignment = 0; alignment <= 1u << 21; alignment = alignment ? alignment * 64 : 8) {
        unsigned char *p = varve__meta_alloc(meta, i % 4, sizes[i], alignment);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % (alignment ? alignment : 16), 0);
        assert_true(is_zero(p, sizes[i]));
        memset(p, 0xa5, sizes[i]);
        varve__meta_free(meta, i % 4, p, sizes[i], alignment);
      }
  varve__meta_close(meta);
}

static void test_counted_by_node(void **state) {
  (void)state;
  struct varve_meta *meta = varve__meta_open(&t);
  uint64_t before[4];
  for (unsigned i = 0; i < 4; i++) before[i] = varve__meta_bytes(meta, i);
  void *p = varve__meta_alloc(meta, 2, 32u << 20, 64);
  assert_true(varve__meta_bytes(meta, 2) >= before[2] + (30u << 20));
  assert_int_equal(varve__meta_bytes(meta, 0), before[0]);
  assert_int_equal(varve__meta_bytes(meta, 3), before[3]);
  varve__meta_free(meta, 2, p, 32u << 20, 64);
  varve__meta_close(meta);
}

static void test_too_much(void **state) {
  (void)state;
#ifndef SANITIZED /* their malloc ends the process instead */
  struct varve_meta *meta = varve__meta_open(&t);
  assert_null(varve__meta_alloc(meta, 0, (size_t)1 << 60, 16));
  assert_null(varve__meta_alloc(meta, 0, SIZE_MAX - 8, 16));
  void *p = varve__meta_alloc(meta, 0, 64, 16);
  assert_non_null(p);
  varve__meta_close(meta);
#endif
}

/* Address space of the process, in pages. */
static long mapped_pages(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  assert_non_null(file);
  assert_int_equal(fscanf(file, "%ld", &pages), 1);
  fclose(file);
  return pages;
}

static void cycle(void) {
  struct varve_meta *meta = varve__meta_open(&t);
  assert_non_null(meta);
  for (unsigned i = 0; i < 400; i++) {
    void *p = varve__meta_alloc(meta, i % 4, 64 + i * 512, 16);
    assert_non_null(p);
    if (i % 3 == 0) varve__meta_free(meta, i % 4, p, 64 + i * 512, 16);
  }
  varve__meta_close(meta);
}

/* Two thirds of what was taken is never freed, and all of it is gone after close. */
static void test_returned_by_close(void **state) {
  (void)state;
  for (unsigned i = 0; i < 4; i++) cycle();
  long before = mapped_pages();
  for (unsigned i = 0; i < 20; i++) cycle();
#ifdef SANITIZED
  (void)before; /* the sanitizer's own leak check speaks here */
#elif defined(VARVE_META_MALLOC)
  assert_in_range(mapped_pages(), 0, before + 2048);
#else
  assert_int_equal(mapped_pages(), before);
#endif
}

/* Two metas are independent: closing one leaves the other's blocks alone. */
static void test_two(void **state) {
  (void)state;
  struct varve_meta *a = varve__meta_open(&t), *b = varve__meta_open(&t);
  unsigned char *p = varve__meta_alloc(a, 1, 100000, 16), *q = varve__meta_alloc(b, 1, 100000, 16);
  memset(p, 1, 100000), memset(q, 2, 100000);
  varve__meta_close(a);
  for (size_t i = 0; i < 100000; i++) assert_int_equal(q[i], 2);
  varve__meta_free(b, 1, q, 100000, 16);
  varve__meta_close(b);
  varve__meta_close(NULL);
}

/* One block is handed from thread to thread. */
struct job {
  struct varve_meta *meta;
  unsigned seed;
  bool ok;
};

static void *churn(void *context) {
  struct job *job = context;
  void *kept[32] = {0};
  size_t bytes[32] = {0};
  job->ok = true;
  for (unsigned i = 0, x = job->seed; i < 4000; i++) {
    x = x * 1664525u + 1013904223u;
    unsigned at = x >> 27;
    varve__meta_free(job->meta, at % 4, kept[at], bytes[at], 32);
    bytes[at] = (x >> 8) % 5000 + 1;
    kept[at] = varve__meta_alloc(job->meta, at % 4, bytes[at], 32);
    if (!kept[at] || !is_zero(kept[at], bytes[at])) job->ok = false;
    if (kept[at]) memset(kept[at], 0xff, bytes[at]);
  }
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  struct varve_meta *meta = varve__meta_open(&t);
  struct job jobs[4];
  pthread_t threads[4];
  for (unsigned i = 0; i < 4; i++) {
    jobs[i] = (struct job){.meta = meta, .seed = i + 1};
    assert_int_equal(pthread_create(&threads[i], NULL, churn, &jobs[i]), 0);
  }
  for (unsigned i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
    assert_true(jobs[i].ok);
  }
  varve__meta_close(meta);
}

/* Metas come and go while others are in use: address space of the one becomes the other's. */
static void *come_and_go(void *context) {
  struct job *job = context;
  job->ok = true;
  for (unsigned i = 0; i < 10; i++) {
    struct varve_meta *meta = varve__meta_open(&t);
    unsigned seed = job->seed * 100 + i;
    for (unsigned n = 0; n < 20; n++) {
      size_t bytes = (size_t)seed * (n + 1) * 7919 % 3000000;
      unsigned char *p = varve__meta_alloc(meta, n % 4, bytes, (size_t)16 << n % 10);
      if (!p || !is_zero(p, bytes)) job->ok = false;
      if (n % 2) varve__meta_free(meta, n % 4, p, bytes, (size_t)16 << n % 10);
    }
    varve__meta_close(meta);
  }
  return NULL;
}

static void test_metas_in_parallel(void **state) {
  (void)state;
  struct job jobs[3];
  pthread_t threads[3];
  for (unsigned i = 0; i < 3; i++) {
    jobs[i] = (struct job){.seed = i + 1};
    assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &jobs[i]), 0);
  }
  for (unsigned i = 0; i < 3; i++) {
    pthread_join(threads[i], NULL);
    assert_true(jobs[i].ok);
  }
}

static void expect_from_libc(const char *name) {
  Dl_info info = {0};
  void *address = dlsym(RTLD_DEFAULT, name);
  assert_non_null(address);
  assert_true(dladdr(address, &info) != 0);
  assert_non_null(strstr(info.dli_fname, "libc.so"));
}

static void test_host_malloc_is_not_ours(void **state) {
  (void)state;
#ifndef SANITIZED
  expect_from_libc("malloc");
  expect_from_libc("free");
  expect_from_libc("calloc");
  expect_from_libc("posix_memalign");
  assert_null(dlsym(RTLD_DEFAULT, "mallocx"));
#else
  (void)expect_from_libc;
#endif
}

static void test_environment_is_not_heard(void **state) {
  (void)state;
  assert_non_null(getenv("MALLOC_CONF"));
#if !defined(SANITIZED) && !defined(VARVE_META_MALLOC)
  int varve_je_mallctl(const char *name, void *old, size_t *old_bytes, void *new, size_t new_bytes);
  unsigned arenas = 0;
  bool cache = true;
  size_t bytes = sizeof arenas;
  assert_int_equal(varve_je_mallctl("opt.narenas", &arenas, &bytes, NULL, 0), 0);
  assert_int_equal(arenas, 1);
  bytes = sizeof cache;
  assert_int_equal(varve_je_mallctl("opt.tcache", &cache, &bytes, NULL, 0), 0);
  assert_false(cache);
#endif
}

int main(int argc, char **argv) {
  (void)argc;
  if (!getenv("MALLOC_CONF")) {
    setenv("MALLOC_CONF", "narenas:3,tcache:true,abort_conf:true,no_such_key:1", 1);
    execv("/proc/self/exe", argv);
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_zeroed_and_aligned),
      cmocka_unit_test(test_counted_by_node),
      cmocka_unit_test(test_too_much),
      cmocka_unit_test(test_returned_by_close),
      cmocka_unit_test(test_two),
      cmocka_unit_test(test_threads),
      cmocka_unit_test(test_metas_in_parallel),
      cmocka_unit_test(test_host_malloc_is_not_ours),
      cmocka_unit_test(test_environment_is_not_heard),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
