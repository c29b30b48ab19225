/* SPDX-License-Identifier: MIT */
/* layout.c -- descriptions of layouts, whatever they say. One that is accepted gets an object, each word of which
 * refers to the object itself; the collector moves it. Where the description says plainly which words are slots, exactly
 * these must have been rewritten. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <varve/varve.h>

#include "parsers.h"

#define OFFSETS 12u
#define CASES 6u
#define BYTES_MOST 65536u

struct described {
  varve_layout_desc desc;
  uint32_t offsets[OFFSETS], narrow_offsets[OFFSETS];
  varve_union_case cases[CASES];
};

static varve_heap *heap;
static varve_mutator *me;
static varve_layout count;
static uint64_t moves;

static void close_heap(void) {
  if (!heap) return;
  if (count > 1000 && moves < count / 10)
    parse_fail("of %u layouts %llu objects were moved", count, (unsigned long long)moves);
  if (varve_detach(me) != VARVE_OK || varve_heap_destroy(heap) != VARVE_OK) parse_fail("the heap does not end");
  heap = NULL;
}

static void open_heap(void) {
  varve_options options;
  static bool once;
  if (!once) atexit(close_heap);
  once = true;
  varve_options_init(&options);
  if (varve_options_parse(&options, "heap-max=16m,workers=1,verify=2,poison=1,move-everything=1,narrow=1", NULL) ||
      varve_heap_create(&options, &heap, NULL) || varve_attach(heap, "fuzz", &me, NULL))
    parse_fail("no heap");
  if (varve_layout_register(heap, &(varve_layout_desc){.kind = VARVE_LAYOUT_DATA}, &count, NULL))
    parse_fail("no layout");
}

/* Small multiples of 8 nearly always, then of 4, other numbers, and the largest. */
static uint32_t read_field(struct reader *reader) {
  uint8_t byte = (uint8_t)read_number(reader, 1);
  if (byte < 224) return byte % 32 * 8u;
  if (byte < 240) return byte % 16 * 4u;
  if (byte < 248) return byte % 8;
  if (byte < 252) return (uint32_t)read_number(reader, 4);
  return UINT32_MAX - (byte - 252u);
}

static size_t read_count(struct reader *reader, size_t most) {
  uint8_t byte = (uint8_t)read_number(reader, 1);
  return byte == 255 ? SIZE_MAX / 16 + 1 : byte < 96 ? 0 : byte % (most + 1);
}

static void trace_nothing(void *context, varve_object *object, size_t bytes, varve_visitor *visitor) {
  (void)context, (void)object, (void)bytes, (void)visitor;
}

static void moved(void *context, varve_object *object, const void *old, size_t bytes) {
  (void)context, (void)old;
  if (bytes != varve_object_bytes(object)) parse_fail("told of other bytes");
}

static void describe(struct reader *r, struct described *d) {
  varve_layout_desc *desc = &d->desc;
  desc->kind = (varve_layout_kind)(read_number(r, 1) % 16);
  uint8_t flags = (uint8_t)read_number(r, 1);
  desc->name =
      flags & 1 ? "a name that is longer than what the text of an error can hold of it, and has %s and %n" : NULL;
  desc->immutable = flags & 2;
  desc->narrow = (flags & 5) == 5;
  desc->trace = flags & 9 ? trace_nothing : NULL;
  desc->moved = flags & 16 ? moved : NULL;
  desc->moved_survivors = (flags & 34) == 34;
  desc->bytes = (flags & 72) == 72 ? (size_t)read_number(r, 8) : 0;
  desc->offset_count = read_count(r, OFFSETS);
  desc->offsets = desc->offset_count > OFFSETS ? ((flags & 130) == 130 ? NULL : d->offsets) : d->offsets;
  for (size_t i = 0; i < desc->offset_count && i < OFFSETS; ++i) d->offsets[i] = read_field(r);
  desc->narrow_count = desc->offset_count > OFFSETS ? 0 : read_count(r, OFFSETS);
  desc->narrow_offsets = (flags & 130) == 130 ? NULL : d->narrow_offsets;
  for (size_t i = 0; i < desc->narrow_count && i < OFFSETS; ++i) d->narrow_offsets[i] = read_field(r);
  desc->first = read_field(r);
  desc->stride = read_field(r);
}

static void describe_rest(struct reader *r, struct described *d) {
  varve_layout_desc *desc = &d->desc;
  desc->choice.offset = read_field(r);
  desc->choice.width = read_field(r);
  desc->choice.case_count = read_count(r, CASES);
  desc->choice.cases = d->cases;
  for (size_t i = 0; i < desc->choice.case_count && i < CASES; ++i)
    d->cases[i] = (varve_union_case){read_number(r, 1), read_field(r)};
  desc->choice.otherwise = read_field(r);
  desc->closure.count_offset = read_field(r);
  desc->closure.tag_offset = read_field(r);
  desc->closure.tag_stride = read_field(r);
  desc->closure.value_offset = read_field(r);
  desc->closure.value_stride = read_field(r);
  for (size_t i = 0; i < 4; ++i) desc->closure.ref_tags[i] = read_number(r, 8);
  desc->weak.when = (varve_weak_when)(read_number(r, 1) % 4);
  desc->weak.cleared = read_number(r, 8);
}

static bool listed(const uint32_t *offsets, size_t number, size_t offset) {
  for (size_t i = 0; i < number; ++i)
    if (offsets[i] == offset) return true;
  return false;
}

/* Of the kinds that are asked for: is the word at the offset a wide slot? */
static bool is_slot(const varve_layout_desc *desc, size_t offset, size_t bytes) {
  size_t first = desc->first ? desc->first : 8;
  if (desc->kind == VARVE_LAYOUT_OFFSETS) return listed(desc->offsets, desc->offset_count, offset);
  if (desc->kind == VARVE_LAYOUT_REF_ARRAY) return offset >= first;
  if (desc->kind != VARVE_LAYOUT_RECORDS || offset < first) return false;
  size_t record = (offset - first) / desc->stride;
  return first + (record + 1) * desc->stride <= bytes &&
         listed(desc->offsets, desc->offset_count, (offset - first) % desc->stride);
}

static bool is_plain(const varve_layout_desc *desc) {
  return (desc->kind == VARVE_LAYOUT_DATA || desc->kind == VARVE_LAYOUT_OFFSETS ||
          desc->kind == VARVE_LAYOUT_REF_ARRAY || desc->kind == VARVE_LAYOUT_RECORDS) &&
         !desc->narrow && !desc->narrow_count;
}

static void move_one(const varve_layout_desc *desc, varve_layout layout, size_t bytes) {
  VARVE_FRAME(frame, me, root);
  if (!varve_alloc(me, 1, 200)) parse_fail("no memory"); /* garbage in front of it, so that it moves */
  varve_word *object = varve_alloc(me, layout, bytes);
  if (!object) return; /* that large it cannot be */
  varve_word word = varve_tag(object, 0);
  bytes = varve_object_bytes((varve_object *)object);
  for (size_t at = 8; at < bytes && is_plain(desc); at += 8)
    if (is_slot(desc, at, bytes)) varve_init(me, object, object + at / 8, word);
    else object[at / 8] = word;
  frame.root = word;
  if (varve_collect(me) != VARVE_OK) parse_fail("no collection");
  object = (varve_word *)varve_untag(frame.root);
  if (frame.root == word) return; /* it has stayed; nothing can be told */
  ++moves;
  for (size_t at = 8; at < bytes && is_plain(desc); at += 8)
    if (object[at / 8] != (is_slot(desc, at, bytes) ? varve_tag(object, 0) : word))
      parse_fail("the word at %zu of %zu bytes is wrong", at, bytes);
}

/* Of so many bytes an object may be, by the description alone; 0: that is not said. */
static size_t least(const varve_layout_desc *desc) {
  size_t bytes = desc->bytes > 8 ? desc->bytes : 8;
  if (desc->kind == VARVE_LAYOUT_OFFSETS)
    for (size_t i = 0; i < desc->offset_count; ++i)
      if (desc->offsets[i] + (size_t)8 > bytes) bytes = desc->offsets[i] + (size_t)8;
  if (desc->kind == VARVE_LAYOUT_OFFSETS)
    for (size_t i = 0; i < desc->narrow_count; ++i)
      if (desc->narrow_offsets[i] + (size_t)4 > bytes) bytes = desc->narrow_offsets[i] + (size_t)4;
  if (desc->first > bytes) bytes = desc->first;
  if (desc->kind >= VARVE_LAYOUT_WEAK && bytes < 16) bytes = 16;
  if (desc->kind == VARVE_LAYOUT_UNION || desc->kind == VARVE_LAYOUT_CLOSURE) return bytes < 4096 ? 4096 : bytes;
  return (bytes + 7) / 8 * 8;
}

void parse_layout(const uint8_t *bytes, size_t length) {
  struct reader reader = {bytes, length};
  if (!heap || count > 60000) close_heap(), open_heap();
  do {
    struct described described = {0};
    varve_layout layout = 0;
    varve_error error = {0};
    describe(&reader, &described);
    describe_rest(&reader, &described);
    varve_status status = varve_layout_register(heap, &described.desc, &layout, &error);
    if (status == VARVE_OK) {
      if (layout != ++count) parse_fail("layout %u after %u", layout, count - 1);
      size_t size = least(&described.desc);
      if (size <= BYTES_MOST) move_one(&described.desc, layout, size), move_one(&described.desc, layout, size + 80);
    } else {
      if (status != VARVE_LAYOUT || error.status != status || layout) parse_fail("status %d", (int)status);
      if (!memchr(error.detail, 0, sizeof error.detail) || !*error.detail) parse_fail("a refusal without a text");
    }
  } while (reader.left);
}
