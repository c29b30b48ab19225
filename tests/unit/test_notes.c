/* SPDX-License-Identifier: MIT */
/* test_notes.c -- stores into Ref words are noted by lines: arrays of all strides, with and without a bitmap, that grow
 * elsewhere, and in place while another thread stores; slabs and handles; a store into what is no word of the set. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/api.h"

#include "core/heap.h"
#include "core/root_table.h"

static void collect_young(struct api *api) {
  varve_collection_stats stats;
  api_collect_newest(api, &stats);
  assert_true(stats.epochs_taken < stats.epochs);
}

static size_t noted(const varve_refs *refs) {
  const struct root_lines *lines = refs->table.lines;
  size_t count = 0;
  for (size_t i = 0; i < lines->count; ++i) count += lines->note[i] == 1;
  return count;
}

/* ---- arrays ---- */

struct words {
  char *memory;
  size_t stride, count;
  uint64_t *bitmap; /* NULL: all */
  varve_refs *refs;
  unsigned tag;
};

static varve_word *word_at(const struct words *w, size_t i) { return (varve_word *)(w->memory + i * w->stride); }
static bool in_use(const struct words *w, size_t i) { return !w->bitmap || w->bitmap[i / 64] >> i % 64 & 1; }

/* A third of the words is not in use; the bitmap begins anywhere in a line. */
static void open_words(struct api *api, struct words *w, bool bitmap, bool slot_tags) {
  varve_error error = {0};
  w->memory = calloc(w->count, w->stride);
  assert_non_null(w->memory);
  w->bitmap = bitmap ? calloc(w->count / 64 + 1, 8) : NULL;
  for (size_t i = 0; bitmap && i < w->count; ++i) w->bitmap[i / 64] |= (uint64_t)(i % 3 != 1) << i % 64;
  for (size_t i = 0; bitmap && i < w->count; ++i)
    if (!in_use(w, i)) *word_at(w, i) = VARVE__POISON; /* whoever looks at it is told */
  varve_ref_array array = {.name = "words", .base = (varve_word *)w->memory, .stride = w->stride, .count = w->count,
                           .bitmap = w->bitmap, .slot_tags = slot_tags};
  if (varve_ref_array_add(api->heap, &array, &w->refs, &error) != VARVE_OK) fail_msg("%s", error.detail);
}

static void close_words(struct words *w) {
  varve_ref_array_remove(w->refs);
  free(w->memory);
  free(w->bitmap);
}

/* By store, exchange and compare-and-swap in turn. */
static void write_word(struct api *api, const struct words *w, size_t i, varve_word word) {
  varve_word expected = varve_ref_load(word_at(w, i));
  if (i % 3 == 0) varve_ref_store(api->me, w->refs, word_at(w, i), word);
  else if (i % 3 == 1) varve_ref_exchange(api->me, w->refs, word_at(w, i), word);
  else assert_true(varve_ref_cas(api->me, w->refs, word_at(w, i), &expected, word));
}

static bool chosen(const struct words *w, size_t i) {
  return in_use(w, i) && (i % 17 < 2 || i == w->count - 1 || (i > 60 && i < 68));
}

static void write_chosen(struct api *api, const struct words *w, bool null) {
  for (size_t i = 0; i < w->count; ++i)
    if (chosen(w, i)) write_word(api, w, i, null ? 0 : api_pair(api, i, NULL, NULL) | w->tag);
}

static void check_chosen(const struct words *w) {
  for (size_t i = 0; i < w->count; ++i) {
    if (chosen(w, i)) assert_int_equal(*word_at(w, i) & 7, w->tag);
    if (chosen(w, i)) assert_int_equal(pair_of(*word_at(w, i))->number, i);
    else assert_int_equal(*word_at(w, i), in_use(w, i) ? 0 : VARVE__POISON);
  }
}

static void one_array(struct api *api, size_t stride, size_t count, bool bitmap, bool slot_tags) {
  struct words w = {.stride = stride, .count = count, .tag = slot_tags};
  varve_collection_stats stats;
  open_words(api, &w, bitmap, slot_tags);
  api_collect(api, NULL);
  assert_int_equal(noted(w.refs), 0);
  write_chosen(api, &w, false);
  api_sound(api);
  collect_young(api);
  check_chosen(&w);
  api_sound(api);
  write_chosen(api, &w, false); /* again, over old ones */
  collect_young(api);
  check_chosen(&w);
  write_chosen(api, &w, true);
  collect_young(api);
  collect_young(api);
  assert_int_equal(noted(w.refs), 0);
  api_collect(api, &stats);
  assert_int_equal(stats.live_after, 0);
  close_words(&w);
}

/* Words in slots and roots refer with tag 1, Ref words with tag 0. */
#define TAGS ",slot-tags=2,ref-tags=1"

static void arrays_of_all_strides(void **state) {
  const size_t strides[] = {8, 24, 40, 4096, 100000};
  struct api api;
  (void)state;
  api_open(&api, API_STRICT TAGS);
  for (size_t s = 0; s < 5; ++s)
    for (unsigned way = 0; way < 4; ++way)
      one_array(&api, strides[s], strides[s] < 4096 ? 1000 : 150, way & 1, way & 2);
  one_array(&api, 8, 1, false, false);
  one_array(&api, 24, 200000, true, false); /* several stretches */
  api_close(&api);
}

/* In an array with slot-tags, a word with another tag is no reference, whatever it looks like; or the other way
 * about. */
static void tags_say_what_refers(void **state) {
  struct api api;
  (void)state;
  api_open(&api, API_STRICT TAGS);
  for (unsigned slot_tags = 0; slot_tags < 2; ++slot_tags) {
    struct words w = {.stride = 8, .count = 20, .tag = slot_tags};
    open_words(&api, &w, false, slot_tags);
    api_collect(&api, NULL);
    varve_word young = api_pair(&api, 5, NULL, NULL), other = young | !slot_tags;
    write_word(&api, &w, 3, young | slot_tags);
    write_word(&api, &w, 4, other);
    collect_young(&api);
    assert_int_not_equal(*word_at(&w, 3), young | slot_tags);
    assert_int_equal(pair_of(*word_at(&w, 3))->number, 5);
    assert_int_equal(*word_at(&w, 4), other);
    api_sound(&api);
    close_words(&w);
  }
  api_close(&api);
}

/* A word beside a noted line is not looked at: what was written past the interface stays as it was. */
static void only_noted_lines_are_looked_at(void **state) {
  struct api api;
  (void)state;
  api_open(&api, "heap-max=64m,workers=1,move-everything=1");
  const size_t strides[] = {8, 24, 4096};
  for (unsigned s = 0; s < 3; ++s) {
    struct words w = {.stride = strides[s], .count = 100};
    open_words(&api, &w, false, false);
    api_collect(&api, NULL);
    varve_word seen = api_pair(&api, 1, NULL, NULL), unseen = api_pair(&api, 2, NULL, NULL);
    write_word(&api, &w, 32, seen);
    *word_at(&w, 64) = unseen;
    assert_int_equal(noted(w.refs), 1);
    collect_young(&api);
    assert_int_equal(pair_of(*word_at(&w, 32))->number, 1);
    assert_int_not_equal(*word_at(&w, 32), seen);
    assert_int_equal(*word_at(&w, 64), unseen);
    *word_at(&w, 64) = 0;
    api_sound(&api);
    close_words(&w);
  }
  api_close(&api);
}

/* ---- growth ---- */

static void grow(struct words *w, char *memory, size_t count) {
  varve_error error = {0};
  if (varve_ref_array_update(w->refs, (varve_word *)memory, count, NULL, &error) != VARVE_OK)
    fail_msg("%s", error.detail);
  w->memory = memory;
  w->count = count;
}

/* Young references are in old words and in new ones, whose lines are noted or not. */
static void grow_elsewhere(struct api *api, struct words *w, size_t count) {
  char *old = w->memory, *memory = calloc(count, w->stride);
  write_chosen(api, w, false);
  for (size_t i = 0; i < w->count; ++i) memcpy(memory + i * w->stride, old + i * w->stride, 8);
  grow(w, memory, count);
  free(old);
  api_sound(api);
  write_chosen(api, w, true);
  write_chosen(api, w, false);
  collect_young(api);
  for (size_t i = 0; i < count; ++i)
    if (chosen(w, i)) assert_int_equal(pair_of(*word_at(w, i))->number, i);
  api_sound(api);
  memset(memory, 0, count * w->stride);
}

/* Fewer words, then more where they are, then none. */
static void shrink_and_grow(struct api *api, struct words *w) {
  grow(w, w->memory, 10);
  write_word(api, w, 9, api_pair(api, 9, NULL, NULL));
  grow(w, w->memory, 500);
  write_word(api, w, 499, api_pair(api, 499, NULL, NULL));
  collect_young(api);
  assert_int_equal(pair_of(*word_at(w, 9))->number, 9);
  assert_int_equal(pair_of(*word_at(w, 499))->number, 499);
  grow(w, w->memory, 0);
  collect_young(api);
}

static void arrays_grow_elsewhere(void **state) {
  struct api api;
  (void)state;
  api_open(&api, API_STRICT);
  for (size_t stride = 8; stride <= 4096; stride = stride * 3 + 16) {
    struct words w = {.stride = stride, .count = 50};
    open_words(&api, &w, false, false);
    api_collect(&api, NULL);
    for (size_t count = 80; count < 2000; count += count / 2) grow_elsewhere(&api, &w, count);
    shrink_and_grow(&api, &w);
    close_words(&w);
  }
  api_close(&api);
}

struct second {
  struct api *api;
  struct words *words;
  _Atomic bool ready, stop;
  uint64_t stores;
};

#define OLD_WORDS 64

/* Store into the words that were there at first, one after the other. */
static void *second_main(void *argument) {
  struct second *second = argument;
  struct api mine = *second->api;
  if (varve_attach(mine.heap, "second", &mine.me, NULL) != VARVE_OK) abort();
  atomic_store(&second->ready, true);
  for (uint64_t i = 0; !atomic_load(&second->stop); ++i) {
    varve_word young = api_pair(&mine, i, NULL, NULL); /* the only safepoint */
    varve_word *word = (varve_word *)(second->words->memory + i % OLD_WORDS * second->words->stride);
    varve_word old = varve_ref_exchange(mine.me, second->words->refs, word, young);
    if (old && pair_of(old)->number % OLD_WORDS != i % OLD_WORDS) abort();
    second->stores = i + 1;
  }
  if (varve_detach(mine.me) != VARVE_OK) abort();
  return NULL;
}

static void grow_in_place(struct api *api, const struct words *w, struct second *second) {
  while (!atomic_load(&second->ready)) varve_poll(api->me);
  for (size_t count = OLD_WORDS + 1; count < w->count; count += 1 + count / 16) {
    assert_int_equal(varve_ref_array_update(w->refs, (varve_word *)w->memory, count, NULL, NULL), VARVE_OK);
    varve_ref_store(api->me, w->refs, word_at(w, count - 1), api_pair(api, count - 1, NULL, NULL));
    assert_int_equal(count % 3 ? varve_collect_newest(api->me) : varve_collect(api->me), VARVE_OK);
    assert_int_equal(pair_of(*word_at(w, count - 1))->number, count - 1);
  }
  atomic_store(&second->stop, true);
}

/* While a second thread stores into the old words: nothing that it stores is lost. */
static void arrays_grow_under_stores(void **state) {
  struct api api;
  (void)state;
  api_open(&api, API_STRICT);
  for (size_t stride = 8; stride <= 40; stride += 16) {
    struct words w = {.stride = stride, .count = 1 << 14};
    struct second second = {.api = &api, .words = &w};
    pthread_t thread;
    open_words(&api, &w, false, false);
    assert_int_equal(varve_ref_array_update(w.refs, (varve_word *)w.memory, OLD_WORDS, NULL, NULL), VARVE_OK);
    assert_int_equal(pthread_create(&thread, NULL, second_main, &second), 0);
    grow_in_place(&api, &w, &second);
    assert_int_equal(varve_native_enter(api.me), VARVE_OK);
    pthread_join(thread, NULL);
    assert_int_equal(varve_native_leave(api.me), VARVE_OK);
    api_sound(&api);
    for (size_t i = 0; i < OLD_WORDS && i < second.stores; ++i)
      assert_int_equal(pair_of(*word_at(&w, i))->number % OLD_WORDS, i);
    close_words(&w);
  }
  api_close(&api);
}

/* ---- words of other sets ---- */

/* In a child: store through `refs` into `word`; what it says before it ends. */
static void ends_with(struct api *api, varve_refs *refs, varve_word *word, const char *text) {
  int ends[2], status;
  char said[512] = "";
  size_t length = 0;
  ssize_t got;
  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    varve_ref_store(api->me, refs, word, 0);
    _exit(0);
  }
  close(ends[1]);
  while (length < sizeof said - 1 && (got = read(ends[0], said + length, sizeof said - 1 - length)) > 0)
    length += (size_t)got;
  close(ends[0]);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  if (!strstr(said, text)) fail_msg("\"%s\" is not in \"%s\"", text, said);
}

static void words_of_other_sets_end_the_process(void **state) {
  struct api api;
  struct words one = {.stride = 24, .count = 100}, two = {.stride = 8, .count = 100};
  varve_refs *slab;
  varve_slab_cursor cursor;
  const char *text = "which is no word of the Ref words \"words\"";
  (void)state;
  api_open(&api, "heap-max=64m");
  open_words(&api, &one, false, false);
  open_words(&api, &two, false, false);
  slab = varve_slab_create(api.heap, "slab");
  varve_slab_cursor_open(&cursor, slab);
  varve_word *cell = varve_slab_take(&cursor, api.me, 0);
  ends_with(&api, one.refs, word_at(&two, 0), text);
  ends_with(&api, two.refs, word_at(&one, 99), text);
  ends_with(&api, one.refs, cell, text);
  char *memory = one.memory; /* now its words are those from the second to the fiftieth */
  grow(&one, memory + one.stride, 49);
  ends_with(&api, one.refs, (varve_word *)memory, text);
  ends_with(&api, one.refs, word_at(&one, 49), text);
  one.memory = memory;
  varve_slab_give(slab, cell);
  varve_slab_cursor_close(&cursor);
  varve_slab_destroy(slab);
  close_words(&one);
  close_words(&two);
  api_close(&api);
}

/* ---- slabs and handles ---- */

#define CELLS 20000 /* three chunks */

static size_t noted_in_chunks(const struct varve_slab *slab) {
  size_t count = 0;
  for (uint32_t c = 0; c < atomic_load(&slab->chunk_count); ++c)
    for (size_t i = 0; i < VARVE__CHUNK_WORDS / 8; ++i) count += varve__slab_chunk(slab, c)->notes[i];
  return count;
}

static void slabs(void **state) {
  static varve_word *cells[CELLS];
  struct api api;
  varve_slab_cursor cursor;
  (void)state;
  api_open(&api, API_STRICT TAGS);
  varve_refs *slab = varve_slab_create(api.heap, "slab");
  varve_slab_cursor_open(&cursor, slab);
  for (size_t i = 0; i < CELLS; ++i) assert_non_null(cells[i] = varve_slab_take(&cursor, api.me, 0));
  assert_int_equal(atomic_load(&slab->table.slab.chunk_count), 3);
  api_collect(&api, NULL);
  assert_int_equal(noted_in_chunks(&slab->table.slab), 0);
  for (size_t i = 5; i < CELLS; i += 1000) varve_ref_store(api.me, slab, cells[i], api_pair(&api, i, NULL, NULL));
  assert_int_equal(noted_in_chunks(&slab->table.slab), 20);
  varve_slab_give(slab, cells[5]);
  collect_young(&api);
  assert_int_equal(noted_in_chunks(&slab->table.slab), 19);
  for (size_t i = 1005; i < CELLS; i += 1000) assert_int_equal(pair_of(*cells[i])->number, i);
  cells[5] = varve_slab_take(&cursor, api.me, api_pair(&api, 5, NULL, NULL)); /* with a reference at once */
  api_sound(&api);
  collect_young(&api);
  assert_int_equal(pair_of(*cells[5])->number, 5);
  for (size_t i = 0; i < CELLS; ++i) varve_slab_give(slab, cells[i]);
  varve_slab_cursor_close(&cursor);
  collect_young(&api);
  assert_int_equal(noted_in_chunks(&slab->table.slab), 0);
  varve_slab_destroy(slab);
  api_close(&api);
}

static void handles(void **state) {
  static varve_handle *all[CELLS];
  struct api api;
  (void)state;
  api_open(&api, API_STRICT TAGS);
  for (size_t i = 0; i < CELLS; ++i) assert_non_null(all[i] = varve_handle_new(api.me, 0));
  api_collect(&api, NULL);
  for (size_t i = 5; i < CELLS; i += 1000) varve_handle_set(api.me, all[i], api_pair(&api, i, NULL, NULL) | 1);
  varve_handle_free(api.me, all[0]);
  all[0] = varve_handle_new(api.me, api_pair(&api, 0, NULL, NULL) | 1);
  api_sound(&api);
  for (unsigned round = 0; round < 3; ++round) {
    collect_young(&api);
    assert_int_equal(pair_of(varve_handle_get(all[0]))->number, 0);
    for (size_t i = 5; i < CELLS; i += 1000) assert_int_equal(pair_of(varve_handle_get(all[i]))->number, i);
    api_sound(&api);
  }
  for (size_t i = 0; i < CELLS; ++i) varve_handle_free(api.me, all[i]);
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arrays_of_all_strides),
      cmocka_unit_test(tags_say_what_refers),
      cmocka_unit_test(only_noted_lines_are_looked_at),
      cmocka_unit_test(arrays_grow_elsewhere),
      cmocka_unit_test(arrays_grow_under_stores),
      cmocka_unit_test(words_of_other_sets_end_the_process),
      cmocka_unit_test(slabs),
      cmocka_unit_test(handles),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
