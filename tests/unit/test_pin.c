/* SPDX-License-Identifier: MIT */
/* test_pin.c -- pins, conservative mutators, derived pointers, and the object that an address lies in. */
#include "../support/api.h"

#define STRICT API_STRICT ",ages=1"

static void *object_of(struct api *api, const void *address) {
  return varve_object_of(api->me, (varve_word)(uintptr_t)address);
}

/* ---- pins ---- */

static void pin_in_a_scope(struct api *api) {
  VARVE_FRAME(f, api->me, pair, other);
  f.pair = api_pair(api, 1, NULL, NULL);
  f.other = api_pair(api, 2, &f.pair, NULL);
  varve_word pair = f.pair, other = f.other;
  for (int i = 0; i < 64 * 128; ++i) assert_non_null(varve_alloc(api->me, api->data, 512)); /* other blocks */
  VARVE_FRAME(g, api->me, far);
  g.far = api_pair(api, 3, NULL, NULL);
  varve_word far = g.far;
  {
    VARVE_PINNED(pin, api->me, f.pair);
    api_collect(api, NULL);
    api_collect_newest(api, NULL);
    api_collect(api, NULL);
    assert_int_equal(f.pair, pair);
    assert_int_equal(f.other, other); /* in the same block */
    assert_int_equal(pair_of(f.other)->left, pair);
    assert_int_not_equal(g.far, far);
    f.pair = f.other = 0;
    varve_collection_stats stats;
    api_collect(api, &stats);
    assert_int_equal(pin.slot, pair);
    assert_int_equal(pair_of(pin.slot)->number, 1); /* alive */
    assert_int_equal(stats.blocks_pinned, 1);
    assert_int_equal(stats.bytes_held, 32768 - sizeof(struct pair));
    assert_int_equal(varve_detach(api->me), VARVE_BUSY);
  }
  varve_collection_stats stats;
  api_collect(api, &stats);
  assert_int_equal(stats.blocks_pinned, 0);
  assert_null(object_of(api, varve_untag(pair)));
}

static void a_scope_pins(void **state) {
  (void)state;
  struct api api;
  api_open(&api, STRICT);
  pin_in_a_scope(&api);
  api_close(&api);
}

static void pins_are_counted(void **state) {
  (void)state;
  struct api api;
  api_open(&api, STRICT);
  const void *object = varve_untag(api_pair(&api, 7, NULL, NULL));
  assert_int_equal(varve_unpin(api.me, object), VARVE_ROOT);
  assert_int_equal(varve_pin(api.me, object), VARVE_OK);
  assert_int_equal(varve_pin(api.me, object), VARVE_OK);
  assert_int_equal(varve_unpin(api.me, object), VARVE_OK);
  api_collect(&api, NULL);
  assert_int_equal(pair_of((varve_word)(uintptr_t)object)->number, 7);
  assert_int_equal(varve_unpin(api.me, object), VARVE_OK);
  assert_int_equal(varve_unpin(api.me, object), VARVE_ROOT);
  api_collect(&api, NULL);
  assert_null(object_of(&api, object));
  api_close(&api);
}

static void wrong_pins_are_refused(void **state) {
  (void)state;
  struct api api;
  api_open(&api, STRICT);
  int elsewhere;
  char *object = (char *)varve_untag(api_pair(&api, 7, NULL, NULL));
  assert_int_equal(varve_pin(api.me, NULL), VARVE_ARGUMENT);
  assert_int_equal(varve_pin(api.me, &elsewhere), VARVE_ARGUMENT);
  assert_int_equal(varve_pin(api.me, object + 4), VARVE_ARGUMENT);
  assert_int_equal(varve_native_enter(api.me), VARVE_OK);
  assert_int_equal(varve_pin(api.me, object), VARVE_THREAD);
  assert_int_equal(varve_unpin(api.me, object), VARVE_THREAD);
  assert_int_equal(varve_native_leave(api.me), VARVE_OK);
  api_close(&api);
}

/* More than the table has room for at first, taken back in another order. */
static void many_pins(void **state) {
  (void)state;
  enum { COUNT = 5000 };
  static void *object[COUNT];
  struct api api;
  api_open(&api, "heap-max=64m,workers=2,parallel-min=0,move-everything=1");
  for (uintptr_t i = 0; i < COUNT; ++i) {
    object[i] = varve_untag(api_pair(&api, i, NULL, NULL));
    assert_int_equal(varve_pin(api.me, object[i]), VARVE_OK);
  }
  for (size_t step = 1; step <= 7; step += 3) {
    api_collect(&api, NULL);
    for (size_t i = step == 1 ? 0 : step; i < COUNT; i += step == 1 ? 2 : 7)
      if (object[i]) {
        assert_int_equal(((struct pair *)object[i])->number, i);
        assert_int_equal(varve_unpin(api.me, object[i]), VARVE_OK);
        object[i] = NULL;
      }
  }
  api_collect(&api, NULL);
  for (size_t i = 0; i < COUNT; ++i)
    if (object[i]) {
      assert_int_equal(((struct pair *)object[i])->number, i);
      assert_int_equal(varve_unpin(api.me, object[i]), VARVE_OK);
    }
  varve_collection_stats stats;
  api_collect(&api, &stats);
  assert_int_equal(stats.objects_pinned, 0);
  assert_int_equal(stats.live_after, 0);
  api_close(&api);
}

/* Medium and large ones; and everything is full, so that the large ones slide together. */
static void fill_the_heap(struct api *api) {
  void *pinned[2] = {varve_alloc(api->me, api->data, 60000), NULL};
  assert_int_equal(varve_pin(api->me, pinned[0]), VARVE_OK);
  VARVE_FRAME_ARRAY(f, api->me, 12);
  for (int i = 0; i < 12; ++i) {
    f.slot[i] = varve_tag(varve_alloc(api->me, api->data, 1000000), 0);
    assert_int_not_equal(f.slot[i], 0);
    if (i == 5) pinned[1] = varve_untag(f.slot[i]);
  }
  assert_int_equal(varve_pin(api->me, pinned[1]), VARVE_OK);
  for (int i = 0; i < 12; i += 2) f.slot[i] = 0;
  varve_word large = varve_tag(varve_alloc(api->me, api->data, 3500000), 0);
  varve_heap_stats stats;
  varve_heap_stats_get(api->heap, &stats);
  assert_true(stats.emergencies > 0);
  assert_int_not_equal(large, 0);
  assert_ptr_equal(varve_untag(f.slot[5]), pinned[1]);
  assert_ptr_equal(object_of(api, (char *)pinned[0] + 59999), pinned[0]);
}

static void pins_hold_in_emergencies(void **state) {
  (void)state;
  struct api api;
  api_open(&api, "heap-max=16m,workers=2,parallel-min=0,verify=2,poison=1");
  fill_the_heap(&api);
  api_close(&api);
}

/* The whole heap full of small objects, of which one in each block is pinned. @return the pinned ones, linked. */
static varve_word pin_each_block(struct api *api) {
  enum { BYTES = 1024 };
  VARVE_FRAME(f, api->me, all, kept);
  uint64_t count = 0;
  for (struct pair *pair; (pair = varve_alloc(api->me, api->pair, BYTES)); f.all = varve_tag(pair, 0)) {
    pair->left = f.all;
    pair->number = count++;
  }
  assert_int_equal(varve_mutator_status(api->me), VARVE_HEAP_FULL);
  uintptr_t block = 0;
  for (varve_word word = f.all, next; word; word = next) {
    struct pair *pair = pair_of(word);
    next = pair->left;
    if ((uintptr_t)pair >> 15 == block) continue;
    block = (uintptr_t)pair >> 15;
    assert_int_equal(varve_pin(api->me, pair), VARVE_OK);
    varve_store(api->me, pair, &pair->left, 0);
    varve_store(api->me, pair, &pair->right, f.kept);
    f.kept = word;
  }
  f.all = 0;
  return f.kept;
}

static void use_the_holes(struct api *api) {
  VARVE_FRAME(f, api->me, kept, list);
  f.kept = pin_each_block(api);
  varve_collection_stats one;
  api_collect(api, &one);
  assert_true(one.blocks_pinned > 200 && one.bytes_held > 200 * 30000);
  uint64_t count = 0, bytes = 0, numbers = 0;
  for (; bytes < 5u << 20; ++count) { /* more than could be had otherwise */
    size_t size = count % 10 ? sizeof(struct pair) + count % 300 * 8 % 1500 : 2048;
    struct pair *pair = varve_alloc(api->me, api->pair, size);
    if (!pair) fail_msg("%llu bytes could be allocated", (unsigned long long)bytes);
    pair->number = count;
    varve_init(api->me, pair, &pair->left, f.list);
    f.list = varve_tag(pair, 0);
    bytes += size;
    if (count % 3000 == 0) api_sound(api);
    assert_ptr_equal(object_of(api, (char *)pair + size - 1), pair);
  }
  for (int i = 0; i < 3; ++i) {
    numbers = 0;
    for (struct pair *pair = pair_of(f.list); pair; pair = pair_of(pair->left)) numbers += pair->number;
    assert_int_equal(numbers, count * (count - 1) / 2);
    api_collect_newest(api, NULL);
  }
  varve_heap_stats stats;
  varve_heap_stats_get(api->heap, &stats);
  assert_true(stats.bytes_refilled >= 4u << 20);
  for (struct pair *pair = pair_of(f.kept), *next; pair; pair = next) {
    next = pair_of(pair->right);
    assert_int_equal(varve_unpin(api->me, pair), VARVE_OK);
  }
}

static void holes_are_used_when_pressed(void **state) {
  (void)state;
  struct api api;
  api_open(&api, "heap-max=8m,workers=2,parallel-min=0,verify=2,poison=1");
  use_the_holes(&api);
  api_close(&api);
  api_open(&api, "heap-max=8m,workers=2,parallel-min=0,verify=2,ages=0");
  use_the_holes(&api);
  api_close(&api);
}

/* ---- conservative mutators ---- */

/* The only references are in this frame, or in registers. */
static __attribute__((noinline)) void keep_on_the_stack(struct api *api) {
  struct pair *pair = pair_of(api_pair(api, 1, NULL, NULL));
  varve_word inner = api_pair(api, 2, NULL, NULL) + 19; /* within, and with tag bits */
  char *medium = varve_alloc(api->me, api->data, 20000), *large = varve_alloc(api->me, api->data, 200000);
  medium[19999] = 3;
  large[199999] = 4;
  varve_word left = api_pair(api, 5, NULL, NULL);
  varve_store(api->me, pair, &pair->left, left); /* found through the pair only */
  left ^= UINT64_MAX;
  __asm__ volatile("" : "+r"(left), "+r"(pair), "+r"(medium), "+r"(large), "+r"(inner));
  for (int i = 0; i < 3; ++i) {
    medium += 15000, large += 150000;
    __asm__ volatile("" : "+r"(medium), "+r"(large));
    api_collect_newest(api, NULL);
    api_collect(api, NULL);
    __asm__ volatile("" : "+r"(left), "+r"(pair), "+r"(medium), "+r"(large), "+r"(inner));
    medium -= 15000, large -= 150000;
    assert_int_equal(pair->number, 1);
    assert_int_equal(pair_of(pair->left)->number, 5);
    assert_int_equal(pair_of(inner - 19)->number, 2);
    assert_int_equal(medium[19999], 3);
    assert_int_equal(large[199999], 4);
  }
}

static void stacks_are_searched(void **state) {
  (void)state;
  struct api api;
  api_open(&api, STRICT ",conservative-roots=1");
  keep_on_the_stack(&api);
  api_close(&api);
  api_open(&api, STRICT);
  varve_error error;
  assert_int_equal(varve_mutator_conservative(api.me, NULL, NULL, &error), VARVE_OK);
  keep_on_the_stack(&api);
  api_close(&api);
}

/* Nobody asks for this one's stack. */
static __attribute__((noinline)) void keep_nothing(struct api *api) {
  varve_word hidden = ~api_pair(api, 1, NULL, NULL);
  api_collect(api, NULL);
  assert_null(object_of(api, varve_untag(~hidden)));
}

static void precise_stacks_are_not_searched(void **state) {
  (void)state;
  struct api api;
  api_open(&api, STRICT);
  volatile varve_word kept = api_pair(&api, 1, NULL, NULL);
  api_collect(&api, NULL);
  assert_null(object_of(&api, varve_untag(kept)));
  keep_nothing(&api);
  api_close(&api);
}

static void collect_for(void *context) {
  api_collect(context, NULL);
}

struct native_job {
  struct api *other;
  volatile int done;
};

/* Native: the heap of `other`, of which this thread is a mutator as well, is another one. */
static void collect_elsewhere(void *context) {
  struct native_job *job = context;
  collect_for(job->other);
  job->done = 1;
}

static void native_calls(void **state) {
  (void)state;
  struct api api, other;
  api_open(&api, STRICT ",conservative-roots=1");
  api_open(&other, STRICT);
  struct native_job job = {&other, 0};
  struct pair *pair = pair_of(api_pair(&api, 4, NULL, NULL));
  assert_int_equal(varve_native_call(api.me, collect_elsewhere, &job), VARVE_OK);
  assert_true(job.done);
  assert_int_equal(pair->number, 4);
  assert_int_equal(varve_native_enter(api.me), VARVE_OK);
  assert_int_equal(varve_native_call(api.me, collect_elsewhere, &job), VARVE_THREAD);
  varve_error error;
  assert_int_equal(varve_mutator_conservative(api.me, NULL, NULL, &error), VARVE_THREAD);
  assert_int_equal(varve_native_leave(api.me), VARVE_OK);
  assert_int_equal(varve_mutator_conservative(api.me, &api, &api + 1, &error), VARVE_ARGUMENT);
  api_close(&other);
  api_close(&api);
}

/* ---- addresses ---- */

static void check_object(struct api *api, const char *object, size_t bytes) {
  for (size_t at = 0; at < bytes; at += bytes < 4096 ? 1 : 1021) assert_ptr_equal(object_of(api, object + at), object);
  assert_ptr_equal(object_of(api, object + bytes - 1), object);
  assert_true(object_of(api, object + bytes) != object);
}

static void addresses_lead_to_objects(void **state) {
  (void)state;
  static const size_t bytes[] = {8, 16, 24, 600, 2048, 2056, 5000, 131072, 131080, 3000000};
  enum { COUNT = sizeof bytes / sizeof *bytes };
  struct api api;
  api_open(&api, STRICT);
  int elsewhere;
  assert_null(object_of(&api, &elsewhere));
  assert_null(object_of(&api, NULL));
  {
    VARVE_FRAME_ARRAY(f, api.me, 10);
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < COUNT; ++i) {
        f.slot[i] = varve_tag(varve_alloc(api.me, api.data, bytes[i]), 0);
        assert_non_null(varve_alloc(api.me, api.data, bytes[i])); /* dies */
      }
      for (int old = 0; old < 3; ++old) {
        for (int i = 0; i < COUNT; ++i) check_object(&api, (char *)varve_untag(f.slot[i]), bytes[i]);
        if (old == 0) api_collect_newest(&api, NULL);
        else api_collect(&api, NULL);
      }
    }
  }
  api_close(&api);
}

/* ---- derived pointers ---- */

static void derived_pointers_follow(void **state) {
  (void)state;
  struct api api;
  api_open(&api, STRICT ",slot-tags=33");
  {
    VARVE_FRAME(f, api.me, small, large, none);
    f.small = varve_tag(varve_alloc(api.me, api.data, 100), 5);
    f.large = varve_tag(varve_alloc(api.me, api.data, 200000), 0);
    f.none = 77;
    char *small = (char *)varve_untag(f.small), *middle = small + 50, *end = small + 100, *large;
    uintptr_t before = (uintptr_t)small - 4096, odd = 1234;
    large = (char *)varve_untag(f.large) + 199999;
    VARVE_DERIVED(a, api.me, &f.small, &middle);
    VARVE_DERIVED(b, api.me, &f.small, &end);
    VARVE_DERIVED(c, api.me, &f.small, &before);
    VARVE_DERIVED(d, api.me, &f.large, &large);
    VARVE_DERIVED(e, api.me, &f.none, &odd);
    for (int i = 0; i < 4; ++i) {
      varve_word old = f.small;
      if (i % 2) api_collect_newest(&api, NULL);
      else api_collect(&api, NULL);
      if (i % 2 == 0) assert_int_not_equal(f.small, old);
      small = (char *)varve_untag(f.small);
      assert_ptr_equal(middle, small + 50);
      assert_ptr_equal(end, small + 100);
      assert_int_equal(before, (uintptr_t)small - 4096);
      assert_ptr_equal(large, (char *)varve_untag(f.large) + 199999);
      assert_int_equal(odd, 1234);
    }
    assert_int_equal(varve_detach(api.me), VARVE_BUSY);
  }
  assert_null(api.me->derived);
  api_close(&api);
}

/* ---- hooks ---- */

struct self {
  varve_object header;
  char *text; /* of its own */
  varve_word next;
  char payload[24];
};

struct hook_counts {
  _Atomic unsigned moved, stayed, wrong;
};

static void point_into_self(void *context, varve_object *object, const void *old, size_t bytes) {
  struct hook_counts *counts = context;
  struct self *self = (struct self *)object;
  counts->moved += old != object;
  counts->stayed += old == object;
  counts->wrong += bytes < sizeof *self || self->text - (const char *)old != (ptrdiff_t)offsetof(struct self, payload);
  self->text = self->payload;
}

static varve_word make_self(struct api *api, varve_layout layout, size_t bytes, const varve_word *next) {
  struct self *self = varve_alloc(api->me, layout, bytes);
  assert_non_null(self);
  self->text = self->payload;
  strcpy(self->payload, "text");
  varve_init(api->me, self, &self->next, *next);
  return varve_tag(self, 0);
}

static void hooks_are_called(struct api *api, bool survivors) {
  static const uint32_t next = offsetof(struct self, next);
  struct hook_counts counts = {0};
  varve_layout layout = api_layout(api->heap, &(varve_layout_desc){.name = "self", .kind = VARVE_LAYOUT_OFFSETS,
      .offsets = &next, .offset_count = 1, .context = &counts, .moved = point_into_self, .moved_survivors = survivors});
  VARVE_FRAME(f, api->me, list);
  static const size_t bytes[] = {sizeof(struct self), 1000, 3000, 140000};
  for (int i = 0; i < 400; ++i) f.list = make_self(api, layout, bytes[i % 100 ? 0 : i / 100], &f.list);
  for (int i = 0; i < 3; ++i) {
    counts.moved = counts.stayed = 0;
    if (i == 0) api_collect_newest(api, NULL);
    else api_collect(api, NULL);
    unsigned met = 0;
    for (struct self *self = (void *)varve_untag(f.list); self; self = (void *)varve_untag(self->next), ++met)
      assert_string_equal(self->text, "text");
    assert_int_equal(met, 400);
    assert_int_equal(counts.wrong, 0);
    unsigned told = counts.moved + counts.stayed;
    assert_true(told == 400 || (!survivors && told == 399)); /* the large one may stay */
    assert_true(survivors || !counts.stayed);
  }
  counts.moved = counts.stayed = 0;
  api_collect_newest(api, NULL); /* they are older */
  assert_int_equal(counts.moved + counts.stayed, 0);
}

static void moved_objects_are_told(void **state) {
  (void)state;
  struct api api;
  api_open(&api, STRICT);
  hooks_are_called(&api, false);
  api_close(&api);
  api_open(&api, STRICT);
  hooks_are_called(&api, true);
  api_close(&api);
  api_open(&api, "heap-max=64m,verify=2");
  hooks_are_called(&api, true);
  api_close(&api);
}

static unsigned after_calls;

static void allocate_after(void *context, varve_mutator *mutator, const varve_collection_stats *stats) {
  struct api *api = context;
  ++after_calls;
  assert_int_equal(stats->number, after_calls * 2 - 1);
  VARVE_FRAME(f, mutator, data);
  f.data = varve_tag(varve_alloc(mutator, api->data, 4000), 0);
  assert_int_equal(varve_collect(mutator), VARVE_OK); /* not told */
  assert_ptr_equal(varve_object_of(mutator, f.data + 3999), varve_untag(f.data));
}

static void hosts_are_told_after(void **state) {
  (void)state;
  struct api api;
  varve_options options;
  varve_options_init(&options);
  assert_int_equal(varve_options_parse(&options, STRICT, NULL), VARVE_OK);
  options.after_collection = allocate_after;
  options.context = &api;
  after_calls = 0;
  api_open_options(&api, &options);
  api_collect(&api, NULL);
  api_collect(&api, NULL);
  assert_int_equal(after_calls, 2);
  api_close(&api);
}

static void wrong_hooks_are_refused(void **state) {
  (void)state;
  struct api api;
  varve_layout layout;
  api_open(&api, STRICT);
  varve_layout_desc desc = {.kind = VARVE_LAYOUT_DATA, .moved_survivors = true};
  assert_int_equal(varve_layout_register(api.heap, &desc, &layout, NULL), VARVE_LAYOUT);
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_scope_pins),          cmocka_unit_test(pins_are_counted),
      cmocka_unit_test(wrong_pins_are_refused), cmocka_unit_test(many_pins),
      cmocka_unit_test(pins_hold_in_emergencies), cmocka_unit_test(holes_are_used_when_pressed),
      cmocka_unit_test(stacks_are_searched),
      cmocka_unit_test(precise_stacks_are_not_searched), cmocka_unit_test(native_calls),
      cmocka_unit_test(addresses_lead_to_objects), cmocka_unit_test(derived_pointers_follow),
      cmocka_unit_test(moved_objects_are_told), cmocka_unit_test(hosts_are_told_after),
      cmocka_unit_test(wrong_hooks_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
