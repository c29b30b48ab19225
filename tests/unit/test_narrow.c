/* SPDX-License-Identifier: MIT */
/* test_narrow.c -- narrow words: what the index reaches, what is refused and what the refusal says, tags across moves,
 * objects with slots of both widths, records, arrays of all sizes, Ref arrays, and young collections that find what old
 * narrow slots refer to. */
#include "support/api.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/heap.h"
#include "core/verify.h"
#include "regions/filter.h"

#define STRICT API_STRICT ",narrow=1,narrow-tags=546" /* tags 1, 5 and 9 */
enum { TAG = 5 };
static const unsigned tags[] = {1, 5, 9};

static uint64_t state = 88172645463325252u;

static uint64_t random_below(uint64_t limit) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (state >> 16) % limit;
}

/* ---- the encoding ------------------------------------------------------------------------------------------------ */

/* Creation with the options succeeds, or fails with a detail that says `about`. */
static void create(const char *list, const char *about) {
  varve_options options;
  varve_heap *heap = NULL;
  varve_error error = {0};
  varve_options_init(&options);
  assert_int_equal(varve_options_parse(&options, list, NULL), VARVE_OK);
  varve_status status = varve_heap_create(&options, &heap, &error);
  if (!about) {
    if (status != VARVE_OK) fail_msg("%s: %s", list, error.detail);
    assert_int_equal(varve_heap_destroy(heap), VARVE_OK);
    return;
  }
  assert_int_equal(status, VARVE_OPTION);
  if (!strstr(error.detail, about)) fail_msg("%s: the detail \"%s\" does not say \"%s\"", list, error.detail, about);
}

/* 2^(32 - bits) granules, less the first, in whole regions, less sixteen; each with its side tables. */
static uint64_t largest(unsigned bits, unsigned granule) {
  uint64_t regions = (((UINT64_C(1) << (32 - bits)) - 1) * granule >> 21) - 16;
  return regions * ((2u << 20) + (2u << 20) / 64 + 64 * 64 * 2 + 64 * 32);
}

static void a_heap_beyond_the_index_is_refused(void **unused) {
  (void)unused;
  for (unsigned bits = 0; bits <= 5; ++bits)
    for (unsigned granule = 8; granule <= 16; granule += 8) {
      char list[120], about[40];
      uint64_t most = largest(bits, granule);
      const char *form = "heap-initial=4m,narrow=1,narrow-tag-bits=%u,granule=%u,heap-max=%llu";
      snprintf(about, sizeof about, "heap-max of %llu at most", (unsigned long long)most);
      snprintf(list, sizeof list, form, bits, granule, (unsigned long long)most);
      create(list, NULL);
      snprintf(list, sizeof list, form, bits, granule, (unsigned long long)most + 1);
      create(list, about);
    }
  create("heap-max=8g,heap-initial=4m", NULL);
  create("narrow=1,heap-initial=4m", NULL); /* the default is never too large */
}

static void tags_fit_their_bits(void **unused) {
  (void)unused;
  create("heap-max=8m,narrow=1,narrow-tag-bits=0,narrow-tags=2", "narrow-tags=2 has a tag that 0 bits");
  create("heap-max=8m,narrow=1,narrow-tag-bits=2,narrow-tags=16", "narrow-tags=16 has a tag that 2 bits");
  create("heap-max=8m,narrow=1,narrow-tag-bits=2,narrow-tags=15", NULL);
  create("heap-max=8m,narrow=1,narrow-tag-bits=5,narrow-tags=4294967295", NULL);
  create("heap-max=8m,narrow-tag-bits=0,narrow-tags=2", NULL); /* nobody asked for narrow words */
}

/* Every granule of the reservation has a word, and the word leads back to it. */
static void all_addresses_are_reached(void **unused) {
  (void)unused;
  for (unsigned bits = 0; bits <= 5; ++bits) {
    char list[120];
    struct api api;
    varve_narrow_coding coding;
    snprintf(list, sizeof list, "heap-initial=4m,narrow=1,narrow-tag-bits=%u,heap-max=%llu", bits,
             (unsigned long long)largest(bits, 8));
    api_open(&api, list);
    assert_int_equal(varve_ffi_narrow_coding_get(api.heap, &coding), VARVE_OK);
    uint64_t base = api.heap->space.base, bytes = api.heap->space.bytes;
    const uint64_t offsets[] = {0, 8, bytes / 2, bytes - 16, bytes - 8};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; ++i) {
      unsigned tag = (1u << bits) - 1;
      varve_narrow word = varve_ffi_narrow_tag(&coding, (void *)(base + offsets[i]), tag);
      assert_ptr_equal(varve_ffi_narrow_untag(&coding, word), base + offsets[i]);
      assert_int_equal(varve_narrow_tag_of(&coding, word), tag);
      assert_int_equal(narrow_offset(&api.heap->narrow, word), offsets[i]);
      assert_int_equal(narrow_word(&api.heap->narrow, offsets[i], tag), word);
      assert_int_not_equal(word >> bits, 0);
      assert_int_equal(varve_narrow_tag(&coding, (void *)(base + offsets[i]), tag), word);
      assert_ptr_equal(varve_narrow_untag(&coding, word), base + offsets[i]);
    }
    for (unsigned tag = 0; tag < 1u << bits; ++tag) assert_false(heap_is_narrow_reference(api.heap, tag));
    api_close(&api);
  }
}

/* What inline functions were compiled for is checked. */
static void codings_for_other_hosts_are_refused(void **unused) {
  (void)unused;
  struct api api;
  varve_narrow_coding coding = {7, 7, 7};
  api_open(&api, "heap-max=8m,narrow=1,granule=16,narrow-tag-bits=0");
  assert_int_equal(varve_narrow_coding_get(api.heap, &coding), VARVE_OPTION);
  assert_int_equal(varve_narrow_coding_of(api.heap, 16 | 5 << 8, &coding), VARVE_OPTION);
  assert_int_equal(coding.base, 7);
  assert_int_equal(varve_narrow_coding_of(api.heap, 16 | 1 << 8, &coding), VARVE_OK);
  assert_int_equal(coding.shift, 4);
  api_close(&api);
}

static void without_the_option_nothing_is_narrow(void **unused) {
  (void)unused;
  struct api api;
  varve_narrow_coding coding = {7, 7, 7};
  varve_refs *refs = NULL;
  varve_layout layout = 0;
  varve_error error = {0};
  varve_narrow words[4] = {0};
  api_open(&api, "heap-max=8m");
  assert_int_equal(varve_ffi_narrow_coding_get(api.heap, &coding), VARVE_OPTION);
  assert_int_equal(coding.base, 7);
  varve_layout_desc array = {.kind = VARVE_LAYOUT_REF_ARRAY, .narrow = true};
  assert_int_equal(varve_layout_register(api.heap, &array, &layout, &error), VARVE_LAYOUT);
  assert_non_null(strstr(error.detail, "created without narrow=1"));
  assert_int_equal(varve_ref_array_add(api.heap, &(varve_ref_array){.narrow = words, .stride = 4, .count = 4}, &refs, &error),
                   VARVE_ROOT);
  assert_non_null(strstr(error.detail, "created without narrow=1"));
  api_close(&api);
}

/* ---- layouts ----------------------------------------------------------------------------------------------------- */

static void refuse(struct api *api, varve_layout_desc desc, const char *about) {
  varve_layout layout = 99;
  varve_error error = {0};
  assert_int_equal(varve_layout_register(api->heap, &desc, &layout, &error), VARVE_LAYOUT);
  assert_int_equal(layout, 99);
  if (!strstr(error.detail, about)) fail_msg("the detail \"%s\" does not say \"%s\"", error.detail, about);
}

#define NARROW(...) .narrow_offsets = (const uint32_t[]){__VA_ARGS__}, \
                    .narrow_count = sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)
#define WIDE(...) .offsets = (const uint32_t[]){__VA_ARGS__}, \
                  .offset_count = sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)

static void malformed_layouts_are_refused(void **unused) {
  (void)unused;
  struct api api;
  api_open(&api, "heap-max=8m,narrow=1");
  refuse(&api, (varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, NARROW(10)}, "10 is not a multiple of 4");
  refuse(&api, (varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, NARROW(12, 4)}, "4 is inside the header");
  refuse(&api, (varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, NARROW(12, 12)}, "12 is given twice");
  refuse(&api, (varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, WIDE(16), NARROW(20)}, "20 is inside a wide slot");
  refuse(&api, (varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, .narrow_count = 1}, "narrow_offsets is null");
  refuse(&api, (varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, .narrow = true}, "no REF_ARRAY");
  refuse(&api, (varve_layout_desc){.kind = VARVE_LAYOUT_REF_ARRAY, NARROW(8)}, "a kind without offsets");
  refuse(&api, (varve_layout_desc){.kind = VARVE_LAYOUT_DATA, NARROW(8)}, "a kind without offsets");
  refuse(&api, (varve_layout_desc){.kind = VARVE_LAYOUT_REF_ARRAY, .narrow = true, .first = 10}, "not a multiple of 4");
  refuse(&api, (varve_layout_desc){.kind = VARVE_LAYOUT_REF_ARRAY, .narrow = true, .first = 4}, "inside the header");
  refuse(&api, (varve_layout_desc){.kind = VARVE_LAYOUT_RECORDS, .stride = 16, NARROW(16)}, "not below stride");
  refuse(&api, (varve_layout_desc){.kind = VARVE_LAYOUT_OFFSETS, NARROW(20), .bytes = 16}, "the fields need 24");
  varve_layout half = api_layout(api.heap, &(varve_layout_desc){.name = "half", .kind = VARVE_LAYOUT_OFFSETS, NARROW(12)});
  const varve_union_case cases[] = {{1, half}};
  varve_layout_desc choice = {.kind = VARVE_LAYOUT_UNION, .choice = {.offset = 12, .width = 4, .cases = cases, .case_count = 1}};
  refuse(&api, choice, "inside a slot of case layout");
  choice.choice.offset = 8; /* the other half of the word */
  api_layout(api.heap, &choice);
  choice.choice.width = 8;
  refuse(&api, choice, "inside a slot of case layout");
  api_close(&api);
}

/* ---- objects ----------------------------------------------------------------------------------------------------- */

/* Slots of both widths, and words of both widths that are none. */
struct mixed {
  varve_object header;
  uint32_t number;
  varve_narrow left;
  varve_word middle;
  varve_narrow right;
  uint32_t bait; /* looks like a reference */
};

struct world {
  struct api api;
  varve_narrow_coding coding;
  varve_layout mixed, array, records;
};

static void open_world(struct world *world, const char *options) {
  api_open(&world->api, options);
  assert_int_equal(varve_ffi_narrow_coding_get(world->api.heap, &world->coding), VARVE_OK);
  world->mixed = api_layout(world->api.heap, &(varve_layout_desc){
    .name = "mixed", .kind = VARVE_LAYOUT_OFFSETS, WIDE(offsetof(struct mixed, middle)),
    NARROW(offsetof(struct mixed, right), offsetof(struct mixed, left))});
  world->array = api_layout(world->api.heap, &(varve_layout_desc){.name = "narrow array", .kind = VARVE_LAYOUT_REF_ARRAY,
                                                                  .narrow = true, .first = 12});
  world->records = api_layout(world->api.heap, &(varve_layout_desc){
    .name = "records", .kind = VARVE_LAYOUT_RECORDS, .stride = 24, WIDE(8), NARROW(4, 16)});
}

static varve_narrow narrow_of(const struct world *world, varve_word word, unsigned tag) {
  return word ? varve_ffi_narrow_tag(&world->coding, varve_untag(word), tag) : 0;
}

static varve_object *object_at(const struct world *world, varve_narrow word) {
  return varve_ffi_narrow_untag(&world->coding, word);
}

static varve_word new_mixed(struct world *world, uint32_t number, const varve_word *left, const varve_word *middle,
                            const varve_word *right) {
  struct mixed *mixed = varve_alloc_uninit(world->api.me, world->mixed, sizeof *mixed);
  assert_non_null(mixed);
  mixed->number = number;
  mixed->bait = varve_ffi_narrow_tag(&world->coding, mixed, TAG) - 16; /* the granule before it */
  varve_init_narrow(world->api.me, mixed, &mixed->left, narrow_of(world, *left, tags[number % 3]));
  varve_init(world->api.me, mixed, &mixed->middle, *middle);
  varve_init_narrow(world->api.me, mixed, &mixed->right, narrow_of(world, *right, 3)); /* 3 means no reference */
  return varve_tag(mixed, 0);
}

static struct mixed *mixed_at(varve_word word) { return (struct mixed *)varve_untag(word); }

static void both_widths_and_tags_across_moves(void **unused) {
  (void)unused;
  struct world world;
  open_world(&world, STRICT);
  {
    VARVE_FRAME(f, world.api.me, head, leaf);
    for (uint32_t i = 0; i < 3000; ++i) {
      f.leaf = api_pair(&world.api, i, NULL, NULL);
      f.head = new_mixed(&world, i, &f.head, &f.leaf, &f.leaf);
      if (i % 100 == 0) api_collect(&world.api, NULL);
    }
    uint32_t right = mixed_at(f.head)->right, bait = mixed_at(f.head)->bait;
    uintptr_t before = (uintptr_t)mixed_at(f.head);
    f.leaf = 0;
    for (int i = 0; i < 3; ++i) api_collect(&world.api, NULL);
    assert_int_not_equal(before, (uintptr_t)mixed_at(f.head));
    assert_int_equal(mixed_at(f.head)->right, right);
    assert_int_equal(mixed_at(f.head)->bait, bait);
    varve_word at = f.head;
    for (uint32_t i = 3000; i--;) {
      struct mixed *mixed = mixed_at(at);
      assert_int_equal(mixed->number, i);
      assert_int_equal(pair_of(mixed->middle)->number, i);
      if (i) assert_int_equal(varve_narrow_tag_of(&world.coding, mixed->left), tags[i % 3]);
      else assert_int_equal(mixed->left, 0);
      at = varve_tag(object_at(&world, mixed->left), 0);
    }
  }
  api_close(&world.api);
}

/* An array of so many bytes: every third slot refers to a pair with its number, one in nine to the array, others hold
 * immediates that look like references but for their tag. */
static void fill_array(struct world *world, varve_word *array, size_t slots) {
  VARVE_FRAME(f, world->api.me, pair);
  for (size_t i = 0; i < slots; ++i) {
    if (i % 3 == 0) f.pair = api_pair(&world->api, i, NULL, NULL);
    varve_narrow *slot = (varve_narrow *)((char *)varve_untag(*array) + 12) + i;
    varve_narrow word = i % 3 == 0 ? narrow_of(world, f.pair, tags[i % 9 / 3]) : i % 9 == 1 ? narrow_of(world, *array, TAG)
                                                                               : (varve_narrow)i << 4 | 2;
    varve_store_narrow(world->api.me, varve_untag(*array), slot, word);
  }
}

static void check_array(const struct world *world, varve_word array, size_t slots) {
  const varve_narrow *slot = (const varve_narrow *)((const char *)varve_untag(array) + 12);
  for (size_t i = 0; i < slots; ++i) {
    if (i % 3 == 0) {
      assert_int_equal(((struct pair *)object_at(world, slot[i]))->number, i);
      assert_int_equal(varve_narrow_tag_of(&world->coding, slot[i]), tags[i % 9 / 3]);
    } else if (i % 9 == 1) {
      assert_ptr_equal(object_at(world, slot[i]), varve_untag(array));
    } else {
      assert_int_equal(slot[i], (varve_narrow)i << 4 | 2);
    }
  }
}

static size_t array_slots(varve_word array) { return (varve_object_bytes(varve_untag(array)) - 12) / 4; }

static void some_arrays(struct world *world) {
  static const size_t bytes[] = {16, 24, 72, 1000, 2048, 2056, 30000, 131072, 131080, 700000};
  VARVE_FRAME_ARRAY(f, world->api.me, 10);
  for (size_t i = 0; i < 10; ++i) {
    void *array = varve_ffi_alloc(world->api.me, world->array, bytes[i]);
    assert_non_null(array);
    f.slot[i] = varve_tag(array, 0);
    fill_array(world, &f.slot[i], array_slots(f.slot[i]));
  }
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < 10; ++i) check_array(world, f.slot[i], array_slots(f.slot[i]));
    api_collect(&world->api, NULL);
    api_sound(&world->api);
  }
}

static void arrays_of_all_sizes(void **unused) {
  (void)unused;
  const char *options[] = {STRICT, STRICT ",ages=0", STRICT ",granule=16,workers=4,mark-segments=2"};
  for (size_t o = 0; o < 3; ++o) {
    struct world world;
    open_world(&world, options[o]);
    some_arrays(&world);
    api_close(&world.api);
  }
}

struct record {
  uint32_t number;
  varve_narrow narrow;
  varve_word wide;
  varve_narrow other;
  uint32_t more;
};

static struct record *record_at(varve_word records, size_t i) { return (struct record *)(varve_untag(records) + 1) + i; }

static void records_with_both_widths(void **unused) {
  (void)unused;
  const size_t counts[] = {1, 50, 3000, 20000};
  struct world world;
  open_world(&world, STRICT);
  for (size_t c = 0; c < 4; ++c) {
    VARVE_FRAME(f, world.api.me, records, pair);
    f.records = varve_tag(varve_alloc(world.api.me, world.records, 8 + counts[c] * sizeof(struct record)), 0);
    api_collect(&world.api, NULL); /* now it is old */
    for (size_t i = 0; i < counts[c]; i += 1 + random_below(20)) {
      f.pair = api_pair(&world.api, i, NULL, NULL);
      struct record *record = record_at(f.records, i);
      varve_store_narrow(world.api.me, varve_untag(f.records), &record->narrow, narrow_of(&world, f.pair, TAG));
      varve_store(world.api.me, varve_untag(f.records), &record->wide, f.pair);
      varve_store_narrow(world.api.me, varve_untag(f.records), &record->other, narrow_of(&world, f.pair, 9));
    }
    f.pair = 0;
    for (int round = 0; round < 4; ++round) {
      if (round % 2) api_collect(&world.api, NULL);
      else api_collect_newest(&world.api, NULL);
      for (size_t i = 0; i < counts[c]; ++i) {
        struct record *record = record_at(f.records, i);
        if (!record->wide) continue;
        assert_int_equal(pair_of(record->wide)->number, i);
        assert_ptr_equal(object_at(&world, record->narrow), varve_untag(record->wide));
        assert_ptr_equal(object_at(&world, record->other), varve_untag(record->wide));
      }
    }
  }
  api_close(&world.api);
}

/* ---- trace functions --------------------------------------------------------------------------------------------- */

/* A counted object: so many narrow slots, given one by one or together. */
struct traced {
  varve_object header;
  uint32_t count;
  varve_narrow slots[];
};

static void trace(void *context, varve_object *object, size_t bytes, varve_visitor *visitor) {
  struct traced *traced = (struct traced *)object;
  (void)context, (void)bytes;
  uint32_t half = traced->count / 2;
  for (uint32_t i = 0; i < half; ++i) varve_visit_narrow(visitor, &traced->slots[i], 1);
  varve_visit_narrow(visitor, traced->slots + half, traced->count - half);
}

static void traced_narrow_slots(void **unused) {
  (void)unused;
  struct world world;
  open_world(&world, STRICT);
  varve_layout layout = api_layout(world.api.heap, &(varve_layout_desc){.name = "traced", .kind = VARVE_LAYOUT_TRACE,
                                                                        .trace = trace, .bytes = 16});
  {
    VARVE_FRAME(f, world.api.me, traced, pair);
    const uint32_t counts[] = {0, 1, 7, 400, 20000};
    for (size_t c = 0; c < 5; ++c) {
      f.traced = varve_tag(varve_alloc(world.api.me, layout, sizeof(struct traced) + counts[c] * 4), 0);
      ((struct traced *)varve_untag(f.traced))->count = counts[c];
      api_collect(&world.api, NULL);
      for (uint32_t i = 0; i < counts[c]; ++i) {
        f.pair = api_pair(&world.api, i, NULL, NULL);
        struct traced *traced = (struct traced *)varve_untag(f.traced);
        varve_store_narrow(world.api.me, traced, &traced->slots[i], narrow_of(&world, f.pair, TAG));
      }
      api_collect_newest(&world.api, NULL);
      api_collect(&world.api, NULL);
      struct traced *traced = (struct traced *)varve_untag(f.traced);
      for (uint32_t i = 0; i < counts[c]; ++i)
        assert_int_equal(((struct pair *)object_at(&world, traced->slots[i]))->number, i);
    }
  }
  api_close(&world.api);
}

/* ---- young collections ------------------------------------------------------------------------------------------- */

/* Young objects that only an old narrow array refers to. */
static void old_arrays_are_remembered(void **unused) {
  (void)unused;
  const size_t slots[] = {5, 400, 20000, 150000};
  struct world world;
  varve_collection_stats stats;
  open_world(&world, API_STRICT ",narrow=1,narrow-tags=546,move-everything=0");
  for (size_t s = 0; s < 4; ++s) {
    VARVE_FRAME(f, world.api.me, array, pair);
    f.array = varve_tag(varve_alloc(world.api.me, world.array, 12 + 4 * slots[s]), 0);
    varve_narrow *words = (varve_narrow *)((char *)varve_untag(f.array) + 12);
    api_collect(&world.api, NULL);
    for (unsigned round = 0; round < 20; ++round) {
      size_t i = random_below(slots[s]);
      f.pair = api_pair(&world.api, round, NULL, NULL);
      words = (varve_narrow *)((char *)varve_untag(f.array) + 12);
      varve_store_narrow(world.api.me, varve_untag(f.array), &words[i], narrow_of(&world, f.pair, TAG));
      f.pair = 0;
      for (unsigned j = 0; j < 2000; ++j) (void)api_pair(&world.api, j, NULL, NULL);
      api_collect_newest(&world.api, &stats);
      assert_true(stats.epochs_taken < stats.epochs);
      words = (varve_narrow *)((char *)varve_untag(f.array) + 12);
      assert_int_equal(((struct pair *)object_at(&world, words[i]))->number, round);
      assert_true(stats.survived < 2000 * sizeof(struct pair));
    }
  }
  api_close(&world.api);
}

/* ---- Ref arrays -------------------------------------------------------------------------------------------------- */

static void ref_arrays_keep_what_they_hold(void **unused) {
  (void)unused;
  const size_t strides[] = {4, 8, 12, 40, 4096 + 4};
  struct world world;
  open_world(&world, STRICT);
  for (size_t s = 0; s < 5; ++s)
    for (int with = 0; with < 2; ++with) {
      enum { COUNT = 700 };
      uint64_t bitmap[(COUNT + 63) / 64];
      memset(bitmap, with ? 0x55 : 0xff, sizeof bitmap);
      char *memory = calloc(COUNT, strides[s]), *base = memory + 4;
      assert_non_null(memory);
      varve_refs *refs;
      varve_ref_array array = {.name = "narrow", .narrow = (varve_narrow *)base, .stride = strides[s], .count = COUNT - 1,
                               .bitmap = with ? bitmap : NULL};
      assert_int_equal(varve_ref_array_add(world.api.heap, &array, &refs, NULL), VARVE_OK);
      VARVE_FRAME(f, world.api.me, pair);
      for (uint32_t i = 0; i + 1 < COUNT; ++i) {
        varve_narrow *slot = (varve_narrow *)(base + i * strides[s]), found = 0;
        f.pair = api_pair(&world.api, i, NULL, NULL);
        varve_narrow word = narrow_of(&world, f.pair, TAG);
        if (i % 3 == 0) varve_ref_store_narrow(world.api.me, refs, slot, word);
        if (i % 3 == 1) assert_int_equal(varve_ref_exchange_narrow(world.api.me, refs, slot, word), 0);
        if (i % 3 == 2) assert_true(varve_ref_cas_narrow(world.api.me, refs, slot, &found, word));
        if (i % 3 == 2) assert_false(varve_ref_cas_narrow(world.api.me, refs, slot, &found, word));
        if (i % 100 == 0) api_collect_newest(&world.api, NULL);
      }
      f.pair = 0;
      api_collect_newest(&world.api, NULL);
      api_collect(&world.api, NULL);
      for (uint32_t i = 0; i + 1 < COUNT; ++i) {
        varve_narrow word = varve_ref_load_narrow((varve_narrow *)(base + i * strides[s]));
        if (with && i % 2) continue;
        assert_int_equal(((struct pair *)object_at(&world, word))->number, i);
        assert_int_equal(varve_narrow_tag_of(&world.coding, word), TAG);
      }
      varve_ref_array_remove(refs);
      free(memory);
    }
  api_close(&world.api);
}

static varve_status try_array(struct world *world, varve_ref_array array, varve_refs **refs, const char *about) {
  varve_error error = {0};
  varve_status status = varve_ref_array_add(world->api.heap, &array, refs, &error);
  if (about && !strstr(error.detail, about)) fail_msg("the detail \"%s\" does not say \"%s\"", error.detail, about);
  return status;
}

static void malformed_ref_arrays_are_refused(void **unused) {
  (void)unused;
  static _Alignas(8) varve_narrow words[64];
  varve_word *wide = (varve_word *)(void *)words;
  varve_narrow *odd = (varve_narrow *)(void *)((char *)words + 2);
  struct world world;
  varve_refs *refs, *other;
  varve_error error;
  open_world(&world, STRICT);
  struct world *w = &world;
  assert_int_equal(try_array(w, (varve_ref_array){.narrow = words, .base = wide, .stride = 8, .count = 1}, &refs, "both given"),
                   VARVE_ROOT);
  assert_int_equal(try_array(w, (varve_ref_array){.narrow = odd, .stride = 4, .count = 4}, &refs, "aligned to 4"), VARVE_ROOT);
  assert_int_equal(try_array(w, (varve_ref_array){.narrow = words, .stride = 6, .count = 4}, &refs, "multiple of 4"), VARVE_ROOT);
  assert_int_equal(try_array(w, (varve_ref_array){.narrow = words, .stride = 0, .count = 4}, &refs, "multiple of 4"), VARVE_ROOT);
  assert_int_equal(try_array(w, (varve_ref_array){.base = wide, .stride = 12, .count = 2}, &refs, "multiple of 8"), VARVE_ROOT);
  /* the upper halves of words, then the lower ones; wide words meet both */
  assert_int_equal(try_array(w, (varve_ref_array){.narrow = words + 1, .stride = 8, .count = 10}, &refs, NULL), VARVE_OK);
  assert_int_equal(try_array(w, (varve_ref_array){.narrow = words, .stride = 8, .count = 10}, &other, NULL), VARVE_OK);
  varve_ref_array_remove(other);
  assert_int_equal(try_array(w, (varve_ref_array){.base = wide + 9, .stride = 8, .count = 1}, &other, "share"), VARVE_OVERLAP);
  assert_int_equal(try_array(w, (varve_ref_array){.base = wide + 10, .stride = 8, .count = 1}, &other, NULL), VARVE_OK);
  varve_ref_array_remove(other);
  assert_int_equal(varve_ref_array_update(refs, wide, 2, NULL, &error), VARVE_ARGUMENT);
  assert_int_equal(varve_ref_array_update_narrow(refs, words, 20, NULL, &error), VARVE_OK);
  assert_int_equal(try_array(w, (varve_ref_array){.base = wide, .stride = 16, .count = 2}, &other, "share"), VARVE_OVERLAP);
  varve_ref_array_remove(refs);
  api_close(&world.api);
}

/* ---- what the verifier finds ------------------------------------------------------------------------------------- */

static void damage_is_found(void **unused) {
  (void)unused;
  struct world world;
  varve_error error = {0};
  open_world(&world, "heap-max=32m,narrow=1,narrow-tags=546,poison=1");
  {
    VARVE_FRAME(f, world.api.me, head, none);
    f.head = api_pair(&world.api, 1, NULL, NULL);
    f.head = new_mixed(&world, 1, &f.head, &f.none, &f.none);
    struct mixed *mixed = mixed_at(f.head);
    varve_narrow good = mixed->left;
    api_sound(&world.api);
    mixed->left = good + 16; /* the next granule: inside the pair */
    assert_int_equal(varve_verify(world.api.me, &error), VARVE_CORRUPT);
    assert_non_null(strstr(error.detail, "no object starts"));
    mixed->left = 0xdeadbeef;
    assert_int_equal(varve_verify(world.api.me, &error), VARVE_CORRUPT);
    assert_non_null(strstr(error.detail, "poison"));
    mixed->left = good;
    api_sound(&world.api);
    f.none = f.head;
    api_collect(&world.api, NULL);
    varve_word young = api_pair(&world.api, 2, NULL, NULL);
    mixed_at(f.head)->right = narrow_of(&world, young, TAG); /* past the interface: an old object refers to a new one */
    assert_int_equal(varve_verify(world.api.me, &error), VARVE_CORRUPT);
    assert_non_null(strstr(error.detail, "without barrier"));
    mixed_at(f.head)->right = 0;
    api_sound(&world.api);
  }
  api_close(&world.api);
}

/* Only builds with a store log can tell. */
static void stores_past_the_interface_are_found(void **unused) {
  (void)unused;
#ifdef VARVE_STORE_LOG
  struct world world;
  varve_error error = {0};
  open_world(&world, "heap-max=32m,narrow=1,narrow-tags=546,check-stores=1");
  {
    VARVE_FRAME(f, world.api.me, head, none);
    f.head = new_mixed(&world, 1, &f.none, &f.none, &f.none);
    api_sound(&world.api);
    assert_int_equal(varve__verify_stores(world.api.heap->verifier, &error), VARVE_OK);
    mixed_at(f.head)->right = 99 << 4; /* no reference */
    api_sound(&world.api);
    assert_int_equal(varve__verify_stores(world.api.heap->verifier, &error), VARVE_OK);
    mixed_at(f.head)->right = narrow_of(&world, f.head, 1);
    api_sound(&world.api);
    assert_int_equal(varve__verify_stores(world.api.heap->verifier, &error), VARVE_CORRUPT);
    assert_non_null(strstr(error.detail, "was written past the store interface"));
    varve_store_narrow(world.api.me, mixed_at(f.head), &mixed_at(f.head)->right, 99 << 4);
    assert_int_equal(varve__verify_stores(world.api.heap->verifier, &error), VARVE_OK);
  }
  api_close(&world.api);
#else
  skip();
#endif
}

/* ---- the filter -------------------------------------------------------------------------------------------------- */

static void the_filter_is_exact(void **unused) {
  (void)unused;
  for (unsigned bits = 0; bits <= 5; ++bits)
    for (int round = 0; round < 2000; ++round) {
      uint64_t most = (UINT64_C(1) << (32 - bits)) - 1, granules = round % 5 ? 1 + random_below(most) : most;
      struct filter_narrow filter = filter_narrow_open(granules, bits);
      varve_narrow words[FILTER_WORDS];
      uint64_t expected = 0;
      for (unsigned k = 0; k < FILTER_WORDS; ++k) {
        uint64_t near[] = {0, 1, granules, granules + 1, most, random_below(most + 1)}, index = near[random_below(6)];
        if (index > most) index = most;
        words[k] = (varve_narrow)(index << bits | random_below(UINT64_C(1) << bits));
        expected |= (uint64_t)(index >= 1 && index <= granules) << k;
      }
      assert_true(filter_narrow_words(&filter, words) == expected);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_heap_beyond_the_index_is_refused),
      cmocka_unit_test(tags_fit_their_bits),
      cmocka_unit_test(all_addresses_are_reached),
      cmocka_unit_test(codings_for_other_hosts_are_refused),
      cmocka_unit_test(without_the_option_nothing_is_narrow),
      cmocka_unit_test(malformed_layouts_are_refused),
      cmocka_unit_test(both_widths_and_tags_across_moves),
      cmocka_unit_test(arrays_of_all_sizes),
      cmocka_unit_test(records_with_both_widths),
      cmocka_unit_test(traced_narrow_slots),
      cmocka_unit_test(old_arrays_are_remembered),
      cmocka_unit_test(ref_arrays_keep_what_they_hold),
      cmocka_unit_test(malformed_ref_arrays_are_refused),
      cmocka_unit_test(damage_is_found),
      cmocka_unit_test(stores_past_the_interface_are_found),
      cmocka_unit_test(the_filter_is_exact),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
