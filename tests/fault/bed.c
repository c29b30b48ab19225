/* SPDX-License-Identifier: MIT */
/* bed.c -- see bed.h. */
#include "fault/bed.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRIES 6u

void bed_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fault_disarm();
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  fflush(stderr);
  abort();
}

/* ---- calls that may fail ------------------------------------------------------------------------------------- */

struct trial trial_begin(struct bed *bed, const char *what, unsigned allowed, bool explains) {
  return (struct trial){.bed = bed, .what = what, .allowed = allowed, .explains = explains, .fired = fault_fired()};
}

bool trial_again(struct trial *t, varve_status status) {
  if (status == VARVE_OK) return false;
  if (!(t->allowed & ONLY(status)))
    bed_fail("%s: returned %d (%s), which it may not: %s", t->what, status, varve_status_sentence(status),
             t->error.detail);
  if (fault_fired() == t->fired)
    bed_fail("%s: failed (%d) though nothing else has: %s", t->what, status, t->error.detail);
  if (t->explains && t->error.status != status)
    bed_fail("%s: returned %d, and filled in %d", t->what, status, t->error.status);
  if (t->explains && !*t->error.detail) bed_fail("%s: failed without a detail", t->what);
  t->error = (varve_error){0};
  t->bed->refused += t->tries == 0;
  if (fault_lasts()) return false;
  t->fired = fault_fired();
  if (++t->tries > TRIES) bed_fail("%s: does not recover", t->what);
  return true;
}

/* ---- open ---------------------------------------------------------------------------------------------------- */

static void link_frame(struct bed *bed) {
  varve_frame_push(bed->me, &bed->frame.head, sizeof bed->frame.list / sizeof(varve_word) +
                                                  sizeof bed->frame.scratch / sizeof(varve_word));
}

static bool open_layouts(struct bed *bed) {
  static const uint32_t offsets[] = {offsetof(struct cell, next), offsetof(struct cell, payload)};
  varve_layout_desc cell = {.name = "cell", .kind = VARVE_LAYOUT_OFFSETS, .offsets = offsets, .offset_count = 2};
  varve_layout_desc data = {.name = "data", .kind = VARVE_LAYOUT_DATA};
  return MAY_FAIL(bed, ONLY(VARVE_METADATA), varve_layout_register(bed->heap, &cell, &bed->cell, error)) &&
         MAY_FAIL(bed, ONLY(VARVE_METADATA), varve_layout_register(bed->heap, &data, &bed->data, error));
}

bool bed_open_options(struct bed *bed, const varve_options *options) {
  memset(bed, 0, sizeof *bed);
  unsigned may = ONLY(VARVE_RESERVE) | ONLY(VARVE_COMMIT) | ONLY(VARVE_METADATA);
  if (!MAY_FAIL(bed, may, varve_heap_create(options, &bed->heap, error))) return false;
  if (!MAY_FAIL(bed, ONLY(VARVE_METADATA), varve_mutator_attach(bed->heap, "bed", 0, &bed->me, error))) {
    MUST(varve_heap_destroy(bed->heap) == VARVE_OK);
    return false;
  }
  link_frame(bed);
  if (open_layouts(bed)) return true;
  fault_disarm();
  bed_close(bed);
  return false;
}

static void swallow(void *context, int level, const char *line) { (void)context, (void)level, (void)line; }

bool bed_open(struct bed *bed, const char *text) {
  varve_options options;
  varve_error error = {0};
  varve_options_init(&options);
  if (varve_options_parse(&options, text, &error) != VARVE_OK) bed_fail("%s: %s", text, error.detail);
  options.log = swallow;
  return bed_open_options(bed, &options);
}

/* ---- objects ------------------------------------------------------------------------------------------------- */

void *bed_alloc(struct bed *bed, varve_layout layout, uint64_t bytes, bool full) {
  for (unsigned tries = 0;; ++tries) {
    uint64_t fired = fault_fired();
    void *object = varve_alloc(bed->me, layout, bytes);
    if (object) return object;
    varve_status status = varve_mutator_status(bed->me);
    if (status != VARVE_HEAP_FULL) bed_fail("allocation of %llu: status %d", (unsigned long long)bytes, status);
    if (fault_fired() == fired && !full) bed_fail("allocation of %llu failed", (unsigned long long)bytes);
    ++bed->refused;
    if (fault_lasts() || fault_fired() == fired) return NULL;
    if (tries > TRIES) bed_fail("allocation does not recover");
  }
}

static uint64_t mix(uint64_t value) {
  value = (value ^ value >> 31) * UINT64_C(0x7fb5d329728ea185);
  return value ^ value >> 29;
}

static uint64_t number_of(unsigned list, uint64_t place) { return mix((uint64_t)(list + 1) << 40 | place); }
static uint64_t payload_words(uint64_t number, uint64_t bytes) { return bytes < 16 ? 1 : 1 + number % (bytes / 8); }

/* The first word of a payload is its number of words. */
static bool add_payload(struct bed *bed, uint64_t number, uint64_t bytes, bool full) {
  uint64_t words = payload_words(number, bytes);
  uint64_t *payload = bed_alloc(bed, bed->data, 8 + 8 * words, full);
  if (!payload) return false;
  payload[1] = words;
  for (uint64_t i = 2; i <= words; ++i) payload[i] = number + i;
  bed->frame.scratch[0] = varve_tag(payload, 0);
  return true;
}

static bool add_cell(struct bed *bed, unsigned list, uint64_t bytes, bool full) {
  uint64_t number = number_of(list, bed->length[list]);
  if (!add_payload(bed, number, bytes, full)) return false;
  struct cell *cell = bed_alloc(bed, bed->cell, sizeof *cell, full);
  if (!cell) return false;
  cell->number = number;
  varve_init(bed->me, cell, &cell->next, bed->frame.list[list]);
  varve_init(bed->me, cell, &cell->payload, bed->frame.scratch[0]);
  bed->frame.list[list] = varve_tag(cell, 0);
  ++bed->length[list];
  return true;
}

uint64_t bed_grow(struct bed *bed, unsigned list, uint64_t cells, uint64_t bytes, bool full) {
  uint64_t done = 0;
  while (done < cells && add_cell(bed, list, bytes, full)) ++done;
  bed->frame.scratch[0] = 0;
  return done;
}

void bed_drop(struct bed *bed, unsigned list) {
  bed->frame.list[list] = 0;
  bed->length[list] = 0;
}

static void check_payload(const uint64_t *payload, uint64_t number) {
  MUST(payload[1] * 8 + 8 <= varve_object_bytes((const varve_object *)payload));
  for (uint64_t i = 2; i <= payload[1]; ++i)
    if (payload[i] != number + i) bed_fail("payload of %llx: word %llu is damaged", (unsigned long long)number,
                                           (unsigned long long)i);
}

static void check_list(struct bed *bed, unsigned list) {
  uint64_t place = bed->length[list];
  for (varve_word word = bed->frame.list[list]; word; --place) {
    const struct cell *cell = (const struct cell *)varve_untag(word);
    if (!place) bed_fail("list %u is too long", list);
    if (cell->number != number_of(list, place - 1))
      bed_fail("list %u: cell %llu is damaged", list, (unsigned long long)place);
    check_payload((const uint64_t *)varve_untag(cell->payload), cell->number);
    word = cell->next;
  }
  if (place) bed_fail("list %u: %llu cells are missing", list, (unsigned long long)place);
}

void bed_check(struct bed *bed) {
  for (unsigned list = 0; list < LISTS; ++list) check_list(bed, list);
}

void bed_collect(struct bed *bed) { MUST(varve_collect(bed->me) == VARVE_OK); }

/* ---- close --------------------------------------------------------------------------------------------------- */

static void verify(struct bed *bed) {
  varve_error error = {0};
  if (varve_verify(bed->me, &error) != VARVE_OK) bed_fail("verify: %s", error.detail);
}

void bed_close(struct bed *bed) {
  fault_disarm();
  verify(bed);
  bed_check(bed);
  if (bed->cell && bed->data) {
    bed_drop(bed, LISTS - 1);
    bed_grow(bed, LISTS - 1, 300, 600, true);
  }
  bed_collect(bed);
  verify(bed);
  bed_check(bed);
  varve_frame_pop(bed->me, &bed->frame.head);
  MUST(varve_detach(bed->me) == VARVE_OK);
  MUST(varve_heap_destroy(bed->heap) == VARVE_OK);
}
