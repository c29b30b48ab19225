/* SPDX-License-Identifier: MIT */
/* bed.c -- see bed.h. */
#include "bed.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- expectations -------------------------------------------------------------------------------------------- */

static bool turned;

void turn_expectations(void) { turned = true; }

/* The first thread that comes here ends the process. */
static void end(int status, const char *format, va_list list) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&lock);
  vprintf(format, list);
  printf("\n");
  fflush(stdout);
  _exit(status);
}

void fail(const char *format, ...) {
  va_list list;
  va_start(list, format);
  end(1, format, list);
  va_end(list);
  abort();
}

void skip(const char *format, ...) {
  va_list list;
  va_start(list, format);
  end(STATUS_SKIPPED, format, list);
  va_end(list);
  abort();
}

static uint64_t wanted(uint64_t set) {
  unsigned count = machine()->count > 1 ? machine()->count : 2;
  return turned ? ((set << 1) | (set >> (count - 1))) & (bit(count) - 1) : set;
}

static const char *text_of(const struct counts *counts) {
  static _Thread_local char text[512];
  size_t at = 0;
  text[0] = 0;
  for (unsigned i = 0; i < NODES_MAX && at < sizeof text - 64; ++i)
    if (counts->on[i])
      at += (size_t)snprintf(text + at, sizeof text - at, " %u: %llu", i, (unsigned long long)counts->on[i]);
  snprintf(text + at, sizeof text - at, ", nowhere: %llu", (unsigned long long)counts->missing);
  return text;
}

void expect_within(struct counts counts, uint64_t set, const char *what) {
  uint64_t outside = nodes_of(&counts) & ~wanted(set);
  expect(!outside, "%s: pages by node%s; wanted in the set %#llx", what, text_of(&counts),
         (unsigned long long)wanted(set));
}

void expect_on(struct counts counts, uint64_t set, const char *what) {
  expect(counts.total > 0, "%s: no pages at all", what);
  expect(counts.missing == 0, "%s: pages by node%s", what, text_of(&counts));
  expect_within(counts, set, what);
}

void expect_equal_shares(struct counts counts, uint64_t set, const char *what) {
  uint64_t least = UINT64_MAX, most = 0;
  for (unsigned i = 0; i < NODES_MAX; ++i) {
    if (!(wanted(set) & bit(i))) continue;
    if (counts.on[i] < least) least = counts.on[i];
    if (counts.on[i] > most) most = counts.on[i];
  }
  expect(most - least <= REGION_PAGES, "%s: unequal shares, pages by node%s", what, text_of(&counts));
}

/* ---- a heap -------------------------------------------------------------------------------------------------- */

static void keep_line(void *context, int level, const char *line) {
  struct bed *bed = context;
  pthread_mutex_lock(&bed->lock);
  if (bed->lines < LOG_LINES) {
    bed->log[bed->lines].level = level;
    snprintf(bed->log[bed->lines].text, sizeof bed->log[0].text, "%s", line);
    ++bed->lines;
  }
  pthread_mutex_unlock(&bed->lock);
}

void bed_open(struct bed *bed, const char *format, ...) {
  static const uint32_t next = offsetof(struct cell, next);
  char more[256], text[384];
  va_list list;
  va_start(list, format);
  vsnprintf(more, sizeof more, format, list);
  va_end(list);
  snprintf(text, sizeof text, BED_OPTIONS "%s%s", *more ? "," : "", more);
  varve_options options;
  varve_error error = {0};
  *bed = (struct bed){.lock = PTHREAD_MUTEX_INITIALIZER};
  varve_options_init(&options);
  expect(varve_options_parse(&options, text, &error) == VARVE_OK, "options %s: %s", text, error.detail);
  options.log = keep_line;
  options.context = bed;
  expect(varve_heap_create(&options, &bed->heap, &error) == VARVE_OK, "no heap: %s", error.detail);
  varve_layout_desc cell = {
      .name = "cell", .kind = VARVE_LAYOUT_OFFSETS, .immutable = true, .offsets = &next, .offset_count = 1};
  expect(varve_layout_register(bed->heap, &cell, &bed->cell, &error) == VARVE_OK, "layout: %s", error.detail);
}

void bed_close(struct bed *bed) { expect(varve_heap_destroy(bed->heap) == VARVE_OK, "the heap is busy"); }

unsigned bed_said(struct bed *bed, const char *text, const char *other) {
  unsigned count = 0;
  pthread_mutex_lock(&bed->lock);
  for (unsigned i = 0; i < bed->lines; ++i) {
    const char *line = bed->log[i].text;
    if (bed->log[i].level <= 1 && *line != '#' && strcasestr(line, text) && strcasestr(line, other)) ++count;
  }
  pthread_mutex_unlock(&bed->lock);
  return count;
}

bool bed_node(const struct bed *bed, unsigned node, varve_node_stats *out) {
  for (uint32_t i = 0; varve_node_stats_get(bed->heap, i, out); ++i)
    if (out->os_index == node) return true;
  return false;
}

/* ---- hands --------------------------------------------------------------------------------------------------- */

static varve_handle *new_chain(struct hand *hand) {
  varve_handle *chain = varve_handle_new(hand->me, 0);
  expect(chain != NULL, "no handle");
  return chain;
}

void hand_open(struct hand *hand, struct bed *bed, unsigned node) {
  varve_error error = {0};
  *hand = (struct hand){.bed = bed, .node = node};
  if (node != ANYWHERE) pin_to(node);
  expect(varve_attach(bed->heap, "hand", &hand->me, &error) == VARVE_OK, "attach: %s", error.detail);
  hand->small = new_chain(hand);
  hand->medium = new_chain(hand);
  hand->large = new_chain(hand);
}

void hand_close(struct hand *hand) { expect(varve_detach(hand->me) == VARVE_OK, "detach"); }

void hand_leave(struct hand *hand) { expect(varve_native_enter(hand->me) == VARVE_OK, "to native state"); }

void hand_enter(struct hand *hand) {
  if (hand->node != ANYWHERE) pin_to(hand->node);
  expect(varve_native_leave(hand->me) == VARVE_OK, "from native state");
}

bool hand_grow(struct hand *hand, varve_handle *chain, size_t bytes) {
  struct cell *cell = varve_alloc(hand->me, hand->bed->cell, bytes);
  if (!cell) return false;
  varve_init(hand->me, cell, &cell->next, varve_handle_get(chain));
  varve_handle_set(hand->me, chain, varve_tag(cell, 0));
  return true;
}

void hand_add(struct hand *hand, varve_handle *chain, size_t count, size_t bytes) {
  for (size_t i = 0; i < count; ++i)
    expect(hand_grow(hand, chain, bytes), "no memory for object %zu of %zu bytes", i, bytes);
}

void hand_waste(struct hand *hand, size_t count, size_t bytes) {
  for (size_t i = 0; i < count; ++i)
    expect(varve_alloc(hand->me, hand->bed->cell, bytes) != NULL, "no memory for garbage of %zu bytes", bytes);
}

void hand_fill(struct hand *hand) {
  hand_add(hand, hand->small, 16000, 64);
  hand_add(hand, hand->medium, 32, 24 << 10);
  hand_add(hand, hand->large, 4, 300 << 10);
}

size_t hand_grow_to(struct hand *hand, varve_handle *chain, size_t limit, size_t bytes) {
  size_t done = 0;
  while (done < limit && hand_grow(hand, chain, bytes)) done += bytes;
  return done;
}

void pages_of(struct pages *pages, varve_word first, size_t length) {
  for (varve_word at = first; at && length; --length) {
    const struct cell *cell = (const struct cell *)varve_untag(at);
    pages_add(pages, cell, varve_object_bytes(&cell->head));
    at = cell->next;
  }
}

struct counts pages_of_chain(varve_handle *chain, size_t length) {
  struct pages pages = {0};
  pages_of(&pages, varve_handle_get(chain), length);
  return pages_count(&pages);
}

void hand_collect(struct hand *hand) {
  expect(varve_collect(hand->me) == VARVE_OK, "collect");
  hand_verify(hand);
}

void hand_verify(struct hand *hand) {
  varve_error error = {0};
  expect(varve_verify(hand->me, &error) == VARVE_OK, "the heap is damaged: %s", error.detail);
}
