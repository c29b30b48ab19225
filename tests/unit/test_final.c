/* SPDX-License-Identifier: MIT */
/* test_final.c -- finalizers and cleaners: order, resurrection, weak slots before and after, the hook, handles, young
 * collections; a million of them. */
#include "../support/api.h"

#include <stdio.h>

#define YOUNG "heap-max=64m,workers=2,parallel-min=0,verify=2,poison=1"

struct cell {
  varve_object header;
  uint64_t library;
  varve_word target;
};

struct log {
  size_t count;
  uint64_t number[64];
  varve_word *save; /* where a resurrected object goes */
};

static void note(varve_mutator *mutator, varve_object *object, void *context) {
  struct log *log = context;
  (void)mutator;
  log->number[log->count++] = object ? ((struct pair *)object)->number : 999;
  if (log->save && object) *log->save = varve_tag(object, 0);
}

static varve_finalizer attach(struct api *api, varve_word object, int32_t order, struct log *log) {
  varve_finalizer finalizer = varve_finalizer_attach(api->me, varve_untag(object), order, note, log);
  assert_true(finalizer);
  return finalizer;
}

static void ordered(void **state) {
  (void)state;
  struct api api;
  struct log log = {0};
  varve_collection_stats stats;
  api_open(&api, API_STRICT);
  {
    VARVE_FRAME(f, api.me, a, b, c);
    f.a = api_pair(&api, 1, NULL, NULL);
    f.b = api_pair(&api, 2, &f.a, NULL);
    f.c = api_pair(&api, 3, NULL, NULL);
    attach(&api, f.a, 5, &log);
    attach(&api, f.b, 5, &log);
    attach(&api, f.a, -1, &log);
    attach(&api, f.c, -1, &log);
    api_collect(&api, &stats);
    assert_int_equal(stats.finalizers_queued, 0);
    f.a = f.b = 0;
    api_collect(&api, &stats);
    assert_int_equal(stats.finalizers_queued, 3);
    f.c = 0;
    api_collect(&api, &stats);
    assert_int_equal(stats.finalizers_queued, 1);
    assert_int_equal(varve_finalizers_queued(api.heap), 4);
    api_collect_newest(&api, NULL);
    assert_int_equal(varve_finalizers_run(api.me, 1), 1);
    api_collect(&api, NULL);
    assert_int_equal(varve_finalizers_run(api.me, 100), 3);
    const uint64_t expected[] = {1, 3, 1, 2};
    assert_int_equal(log.count, 4);
    assert_memory_equal(log.number, expected, sizeof expected);
    assert_int_equal(varve_finalizers_queued(api.heap), 0);
    varve_finalization out;
    assert_false(varve_finalizer_next(api.me, &out));
    api_collect(&api, &stats);
    assert_int_equal(stats.objects_marked, 0);
  }
  api_close(&api);
}

static void resurrected(void **state) {
  (void)state;
  struct api api;
  api_open(&api, API_STRICT);
  {
    VARVE_FRAME(f, api.me, object, part);
    struct log log = {.save = &f.object};
    f.part = api_pair(&api, 7, NULL, NULL);
    f.object = api_pair(&api, 8, &f.part, NULL);
    attach(&api, f.object, 0, &log);
    f.object = f.part = 0;
    api_collect(&api, NULL);
    assert_int_equal(varve_finalizers_run(api.me, 10), 1);
    api_collect(&api, NULL);
    assert_int_equal(pair_of(pair_of(f.object)->left)->number, 7);
    attach(&api, f.object, 0, &log);
    f.object = 0;
    api_collect(&api, NULL);
    assert_int_equal(varve_finalizers_run(api.me, 10), 1);
  }
  api_close(&api);
}

/* What a finalizer reaches: weak slots say whether they are cleared; a cleaner comes when nothing reaches it. */
static void before_and_after(void **state) {
  (void)state;
  struct api api;
  struct log log = {0};
  varve_collection_stats stats;
  api_open(&api, API_STRICT);
  varve_layout before = api_layout(api.heap, &(varve_layout_desc){.kind = VARVE_LAYOUT_WEAK});
  varve_layout after = api_layout(
      api.heap, &(varve_layout_desc){.kind = VARVE_LAYOUT_WEAK, .weak = {.when = VARVE_WEAK_AFTER, .cleared = 1}});
  varve_layout table = api_layout(api.heap, &(varve_layout_desc){.kind = VARVE_LAYOUT_EPHEMERONS});
  {
    VARVE_FRAME(f, api.me, object, early, late, inner, table);
    f.object = api_pair(&api, 1, NULL, NULL);
    f.early = varve_tag(varve_alloc(api.me, before, 24), 0);
    f.late = varve_tag(varve_alloc(api.me, after, 24), 0);
    f.inner = varve_tag(varve_alloc(api.me, before, 24), 0); /* reached by the finalizer only */
    f.table = varve_tag(varve_alloc(api.me, table, 40), 0);
    struct cell *cells[] = {(struct cell *)varve_untag(f.early), (struct cell *)varve_untag(f.late),
                            (struct cell *)varve_untag(f.inner)};
    for (int i = 0; i < 3; ++i) varve_init(api.me, cells[i], &cells[i]->target, f.object);
    varve_init(api.me, varve_untag(f.table), (varve_word *)varve_untag(f.table) + 2, f.object);
    varve_init(api.me, varve_untag(f.table), (varve_word *)varve_untag(f.table) + 3, f.inner);
    varve_store(api.me, varve_untag(f.object), &pair_of(f.object)->left, f.inner);
    attach(&api, f.object, 0, &log);
    assert_true(varve_cleaner_attach(api.me, varve_untag(f.object), -9, note, &log));
    f.object = f.inner = 0;
    api_collect(&api, &stats);
    assert_int_equal(stats.finalizers_queued, 1);
    assert_int_equal(((struct cell *)varve_untag(f.early))->target, 0);
    f.object = ((struct cell *)varve_untag(f.late))->target;
    assert_int_equal(pair_of(f.object)->number, 1);
    assert_int_equal(((struct cell *)varve_untag(pair_of(f.object)->left))->target, f.object);
    assert_int_equal(((varve_word *)varve_untag(f.table))[2], f.object);
    assert_int_equal(((varve_word *)varve_untag(f.table))[3], pair_of(f.object)->left);
    f.object = 0;
    assert_int_equal(varve_finalizers_run(api.me, 10), 1);
    api_collect(&api, &stats);
    assert_int_equal(stats.finalizers_queued, 1);
    assert_int_equal(((struct cell *)varve_untag(f.late))->target, 1);
    assert_int_equal(((varve_word *)varve_untag(f.table))[3], 0);
    assert_int_equal(varve_finalizers_run(api.me, 10), 1);
    assert_int_equal(log.number[1], 999);
  }
  api_close(&api);
}

static void young(void **state) {
  (void)state;
  struct api api;
  struct log log = {0};
  varve_collection_stats stats;
  api_open(&api, YOUNG);
  {
    VARVE_FRAME(f, api.me, old, new, holder);
    f.old = api_pair(&api, 1, NULL, NULL);
    f.holder = api_pair(&api, 5, NULL, NULL);
    attach(&api, f.old, 0, &log);
    api_collect(&api, NULL);
    f.new = api_pair(&api, 2, NULL, NULL);
    attach(&api, f.new, 0, &log);
    attach(&api, f.holder, 0, &log);
    f.old = f.new = 0;
    api_collect_newest(&api, &stats);
    assert_int_equal(stats.finalizers_queued, 1);
    api_collect_newest(&api, &stats);
    assert_int_equal(stats.finalizers_queued, 0);
    api_collect(&api, &stats);
    assert_int_equal(stats.finalizers_queued, 1);
    assert_int_equal(varve_finalizers_run(api.me, 10), 2);
    assert_int_equal(log.number[0], 2);
    assert_int_equal(log.number[1], 1);
  }
  api_close(&api);
}

static void detached(void **state) {
  (void)state;
  struct api api;
  struct log log = {0};
  varve_finalization out;
  api_open(&api, API_STRICT);
  {
    VARVE_FRAME(f, api.me, a);
    f.a = api_pair(&api, 1, NULL, NULL);
    varve_finalizer one = attach(&api, f.a, 0, &log), two = attach(&api, f.a, 1, &log);
    varve_finalizer three = attach(&api, f.a, 2, &log);
    assert_true(varve_finalizer_detach(api.me, one));
    assert_false(varve_finalizer_detach(api.me, one));
    assert_false(varve_finalizer_detach(api.me, 0));
    assert_false(varve_finalizer_detach(api.me, UINT64_C(12345) << 32 | 77777));
    f.a = 0;
    api_collect(&api, NULL);
    assert_true(varve_finalizer_detach(api.me, two)); /* queued */
    assert_true(varve_finalizer_next(api.me, &out));
    assert_int_equal(out.finalizer, three);
    assert_int_equal(out.order, 2);
    assert_ptr_equal(out.context, &log);
    assert_false(varve_finalizer_detach(api.me, three));
    f.a = varve_tag(out.object, 0);
    attach(&api, f.a, 0, &log);
    attach(&api, f.a, 0, &log);
    attach(&api, f.a, 0, NULL);
    assert_int_equal(varve_finalizer_detach_all(api.me, varve_untag(f.a), note, &log), 2);
    f.a = 0;
    api_collect(&api, NULL);
    assert_true(varve_finalizer_next(api.me, &out));
    assert_null(out.context);
    assert_false(varve_finalizer_next(api.me, &out));
  }
  api_close(&api);
}

static void hook(void *context, size_t queued) { *(size_t *)context += queued; }

static void notified(void **state) {
  (void)state;
  struct api api;
  struct log log = {0};
  size_t told = 0;
  api_open(&api, API_STRICT);
  varve_finalizers_notify(api.me, hook, &told);
  api_collect(&api, NULL);
  attach(&api, api_pair(&api, 1, NULL, NULL), 0, &log);
  api_collect(&api, NULL);
  assert_int_equal(told, 1);
  api_collect(&api, NULL);
  assert_int_equal(told, 1);
  varve_finalizers_notify(api.me, NULL, NULL);
  attach(&api, api_pair(&api, 2, NULL, NULL), 0, &log);
  api_collect(&api, NULL);
  assert_int_equal(told, 1);
  api_close(&api); /* with some queued */
}

#define MILLION ((size_t)1000000)

static void million(void **state) {
  (void)state;
  struct api api;
  varve_collection_stats plain, stats;
  varve_finalization out;
  api_open(&api, "heap-max=512m");
  {
    VARVE_FRAME(f, api.me, array);
    f.array = varve_tag(varve_alloc(api.me, api.array, 8 + MILLION * 8), 0);
    for (size_t i = 0; i < MILLION; ++i) {
      varve_word pair = api_pair(&api, i, NULL, NULL);
      varve_store(api.me, varve_untag(f.array), (varve_word *)varve_untag(f.array) + 1 + i, pair);
      assert_true(varve_finalizer_attach(api.me, varve_untag(pair), (int32_t)(i * 7919 % 1000), NULL, NULL));
    }
    api_collect(&api, NULL);
    api_collect(&api, &plain);
    f.array = 0;
    api_collect(&api, &stats);
    assert_int_equal(stats.finalizers_queued, MILLION);
    printf("a million finalizers: plain %.1f ms, alive %.1f ms, dead %.1f ms\n", (double)plain.mark_ns / 1e6,
           (double)plain.weak_ns / 1e6, (double)stats.weak_ns / 1e6);
    if (stats.weak_ns > 50000000 + 20 * plain.mark_ns) fail_msg("it took too long");
    int32_t last = 0;
    for (size_t i = 0; i < MILLION; ++i) {
      assert_true(varve_finalizer_next(api.me, &out));
      assert_true(out.order >= last);
      last = out.order;
    }
    assert_false(varve_finalizer_next(api.me, &out));
  }
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(ordered),  cmocka_unit_test(resurrected),
                                     cmocka_unit_test(before_and_after), cmocka_unit_test(young),
                                     cmocka_unit_test(detached), cmocka_unit_test(notified),
                                     cmocka_unit_test(million)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
