/* SPDX-License-Identifier: MIT */
/* test_verify.c -- the verifier finds damage that is planted, names it, and is content when it is repaired. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/heap.h"
#include "core/verify.h"
#include "varve/varve.h"

struct pair {
  varve_object object;
  varve_word left, right;
};

static varve_heap *heap;
static varve_mutator *mutator;
static varve_layout pair, text;
static varve_word root[2];
static varve_error error;

static struct pair *make(varve_word left, varve_word right) {
  struct pair *p = varve_alloc_uninit(mutator, pair, sizeof *p);
  assert_non_null(p);
  varve_init(mutator, p, &p->left, left);
  varve_init(mutator, p, &p->right, right);
  return p;
}

static struct pair *at(varve_word word) { return (struct pair *)varve_untag(word); }

static int open_heap(const char *list) {
  varve_options options;
  varve_options_init(&options);
  if (varve_options_parse(&options, list, NULL) != VARVE_OK) return -1;
  if (varve_heap_create(&options, &heap, NULL) != VARVE_OK) return -1;
  if (varve_attach(heap, "tester", &mutator, NULL) != VARVE_OK) return -1;
  const varve_layout_desc pairs = {.name = "pair", .kind = VARVE_LAYOUT_OFFSETS,
                                   .offsets = (const uint32_t[]){8, 16}, .offset_count = 2};
  const varve_layout_desc texts = {.name = "text", .kind = VARVE_LAYOUT_DATA};
  root[0] = root[1] = 0;
  return varve_layout_register(heap, &pairs, &pair, NULL) || varve_layout_register(heap, &texts, &text, NULL) ||
                 varve_root_slots_add(heap, "globals", root, 2, NULL)
             ? -1
             : 0;
}

static int setup(void **state) {
  (void)state;
  return open_heap("heap-max=16m,workers=1,poison=1");
}

static int teardown(void **state) {
  (void)state;
  return varve_detach(mutator) == VARVE_OK && varve_heap_destroy(heap) == VARVE_OK ? 0 : -1;
}

static void sound(void) {
  memset(&error, 0, sizeof error);
  if (varve_verify(mutator, &error) != VARVE_OK) fail_msg("sound, but: %s", error.detail);
}

/* Found, and both texts are in the detail. */
static void found(const char *one, const char *two) {
  memset(&error, 0, sizeof error);
  assert_int_equal(varve_verify(mutator, &error), VARVE_CORRUPT);
  assert_int_equal(error.status, VARVE_CORRUPT);
  if (!strstr(error.detail, one) || !strstr(error.detail, two))
    fail_msg("the detail \"%s\" does not name \"%s\" and \"%s\"", error.detail, one, two);
}

/* Change a word, let it be found, change it back. */
static void plant(uint64_t *word, uint64_t damaged, const char *one, const char *two) {
  uint64_t good = *word;
  *word = damaged;
  found(one, two);
  *word = good;
  sound();
}

/* A few objects of every kind of region, some garbage between them, before and after they were moved. */
static void fill(void) {
  root[0] = varve_tag(make(1, 3), 0);
  for (unsigned i = 0; i < 5000; ++i) {
    struct pair *p = make(root[0], 7);
    if (i % 3 == 0) root[0] = varve_tag(p, 0);
    if (i % 1000 == 0) root[1] = varve_tag(varve_alloc(mutator, text, i * 50 + 8), 0);
  }
}

static void sound_heaps(void **state) {
  (void)state;
  sound();
  fill();
  sound();
  assert_int_equal(varve_collect(mutator), VARVE_OK);
  sound();
  fill();
  sound();
}

static void roots(void **state) {
  (void)state;
  fill();
  plant(&root[0], root[0] + 8, "root slots globals", "no object starts");
  plant(&root[0], heap->space.base + heap->space.bytes / 2, "root slots globals", "not committed");
  plant(&root[1], VARVE__POISON, "root slots globals", "poison");
  assert_int_equal(varve_collect(mutator), VARVE_OK);
  plant(&root[0], root[0] + 8, "root slots globals", "no object starts");
}

static void slots(void **state) {
  (void)state;
  fill();
  struct pair *p = at(at(root[0])->left);
  plant(&p->right, (uintptr_t)p + 16, "\"pair\", 24 bytes) +16", "no object starts");
  plant(&p->left, VARVE__POISON, "\"pair\", 24 bytes) +8", "poison");
  assert_int_equal(varve_collect(mutator), VARVE_OK);
  p = at(at(root[0])->left);
  plant(&p->left, (uintptr_t)p + 16, "\"pair\", 24 bytes) +8", "no object starts");
}

/* An address from before a collection is the classic mistake. */
static void stale_references(void **state) {
  (void)state;
  root[0] = varve_tag(make(1, 1), 0);
  varve_word stale = varve_tag(make(5, 5), 0);
  assert_int_equal(varve_collect(mutator), VARVE_OK);
  plant(&root[1], stale, "root slots globals", "no object starts");
}

static void headers(void **state) {
  (void)state;
  fill();
  struct pair *p = at(root[0]);
  uint64_t good = p->object.header;
  plant(&p->object.header, good & UINT32_MAX, "header", "size");
  plant(&p->object.header, good | UINT64_C(1) << 60, "header", "size");
  plant(&p->object.header, good | UINT64_C(0x4000) << 16, "header", "layout");
  assert_int_equal(varve_collect(mutator), VARVE_OK);
  p = at(root[0]);
  plant(&p->object.header, good & UINT32_MAX, "header", "size");
}

static void tables(void **state) {
  (void)state;
  fill();
  assert_int_equal(varve_collect(mutator), VARVE_OK);
  struct varve_space *space = &heap->space;
  uint32_t block = space_block(space, root[0]), region = space_region(space, root[0]);
  plant((uint64_t *)&space->used_blocks, space->used_blocks + 1, "used_blocks", "counted");
  plant((uint64_t *)&space->regions[region].free_blocks,
        space->regions[region].free_blocks | UINT64_C(1) << block % VARVE__REGION_BLOCKS, "block", "free_blocks");
  unsigned free = bits_lowest(space->regions[region].free_blocks);
  plant(space_block_bitmap(space, region * VARVE__REGION_BLOCKS + free) + 5, 1, "word 320", "free block");
  plant(space_block_bitmap(space, block) + 63, UINT64_C(1) << 63, "word 4095", "above top");
}

/* Marks that are missing or too many, after a trace. */
static void marks(void **state) {
  (void)state;
  fill();
  assert_int_equal(varve_collect(mutator), VARVE_OK);
  sound(); /* leaves its trace in the verifier */
  struct varve_snapshot snapshot;
  uint64_t *line = &heap->space.bitmap[space_word(&heap->space, root[0]) / 64];
  uint64_t bit = UINT64_C(1) << space_word(&heap->space, root[0]) % 64, good = *line;
  memset(&snapshot, 0, sizeof snapshot);
  assert_int_equal(varve__verify_marks(heap->verifier, &snapshot, &error), VARVE_CORRUPT);
  assert_non_null(strstr(error.detail, "were traced"));
  *line = good & ~bit;
  assert_int_equal(varve__verify_marks(heap->verifier, &snapshot, &error), VARVE_CORRUPT);
  assert_non_null(strstr(error.detail, "not marked"));
  *line = good;
}

static int setup_with_log(void **state) {
  (void)state;
#ifdef VARVE_STORE_LOG
  return open_heap("heap-max=16m,workers=1,check-stores=1");
#else
  return open_heap("heap-max=16m,workers=1");
#endif
}

static void stores_past_the_interface(void **state) {
  (void)state;
  if (!heap->store_log) skip();
  fill();
  for (unsigned round = 0; round < 2; ++round) {
    sound();
    assert_int_equal(varve__verify_stores(heap->verifier, &error), VARVE_OK);
    struct pair *p = at(at(root[0])->left);
    varve_word good = p->right;
    p->right = 99; /* no reference: nobody has to know */
    sound();
    assert_int_equal(varve__verify_stores(heap->verifier, &error), VARVE_OK);
    p->right = root[0];
    sound();
    assert_int_equal(varve__verify_stores(heap->verifier, &error), VARVE_CORRUPT);
    assert_non_null(strstr(error.detail, "\"pair\", 24 bytes) +16: word 0x"));
    varve_store(mutator, p, &p->right, 99);
    assert_int_equal(varve__verify_stores(heap->verifier, &error), VARVE_OK);
    varve_store(mutator, p, &p->right, good);
    assert_int_equal(varve_collect(mutator), VARVE_OK); /* and again after the objects have moved */
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(sound_heaps, setup, teardown),
      cmocka_unit_test_setup_teardown(roots, setup, teardown),
      cmocka_unit_test_setup_teardown(slots, setup, teardown),
      cmocka_unit_test_setup_teardown(stale_references, setup, teardown),
      cmocka_unit_test_setup_teardown(headers, setup, teardown),
      cmocka_unit_test_setup_teardown(tables, setup, teardown),
      cmocka_unit_test_setup_teardown(marks, setup, teardown),
      cmocka_unit_test_setup_teardown(stores_past_the_interface, setup_with_log, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
