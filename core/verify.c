/* SPDX-License-Identifier: MIT */
/* verify.c -- the verifier: trust nothing, look at everything, say what is wrong and where.
 *
 * Idea       Parse (verify_parse.c): a map of object starts. Trace (verify_trace.c): a map of visited objects, and a
 *            digest that a collection does not change. Everything else compares one of the two maps with what the
 *            collector says: verify_tables.c, verify_plan.c, verify_weak.c, verify_pin.c, verify_hash.c.
 * Independent of mark.c, plan.c, compact.c: own walks, own maps, own arithmetic. Shared: layouts, scan.h, root tasks.
 * Called by  collect.c, worker 0, world stopped, TLABs retired, root tasks listed.
 * Cost       a serial trace that hashes. Maps and stack are reserved with the heap, committed when first used; so the
 *            verifier makes system calls in a pause, which the collector never does.
 */
#include "core/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/heap.h"
#include "core/root.h"
#include "core/verifier.h"
#include "numa/place.h"

/* ---- open and close ---------------------------------------------------------------------------------------- */

static size_t maps_bytes(const struct varve_space *space) {
  return (size_t)space->region_count * MAPS * MAP_WORDS * sizeof(uint64_t);
}

static size_t tables_bytes(const struct varve_space *space) {
  return (size_t)space->region_count * (sizeof(uint64_t) + 2);
}

struct varve_verifier *varve__verifier_open(varve_heap *heap) {
  struct varve_verifier *v = heap_meta_alloc(heap, sizeof *v);
  if (!v) return NULL;
  const struct varve_space *space = &heap->space;
  v->heap = heap;
  v->visitor = varve__verify_visitor(v);
  v->claimed = heap_meta_alloc(heap, tables_bytes(space));
  v->maps = varve__place_reserve(maps_bytes(space), 0);
  v->stack = varve__place_reserve(space->bytes, 0); /* one entry a word: no heap has more objects */
  v->holders = varve__place_reserve(space->bytes, 0);
  if (v->claimed && v->maps && v->stack && v->holders) {
    v->committed = (uint8_t *)(v->claimed + space->region_count);
    v->present = v->committed + space->region_count;
    return v;
  }
  varve__verifier_close(v);
  return NULL;
}

void varve__verifier_close(struct varve_verifier *v) {
  if (!v) return;
  varve_heap *heap = v->heap;
  if (v->stack) varve__place_release(v->stack, heap->space.bytes);
  if (v->holders) varve__place_release(v->holders, heap->space.bytes);
  if (v->maps) varve__place_release(v->maps, maps_bytes(&heap->space));
  heap_meta_free(heap, v->claimed, tables_bytes(&heap->space));
  heap_meta_free(heap, v, sizeof *v);
}

/* ---- saying what is wrong ---------------------------------------------------------------------------------- */

/* Only the first damage is told; later ones are mostly its consequences. */
static void tell(struct varve_verifier *v, bool starved, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));
static void tell(struct varve_verifier *v, bool starved, const char *format, va_list arguments) {
  char text[sizeof v->error->detail];
  if (v->failed) return;
  v->failed = true;
  v->starved = starved;
  vsnprintf(text, sizeof text, format, arguments);
  varve__error(v->error, result(v), "%s", text);
}

void varve__verify_damage(struct varve_verifier *v, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  tell(v, false, format, arguments);
  va_end(arguments);
}

void varve__verify_starve(struct varve_verifier *v, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  tell(v, true, format, arguments);
  va_end(arguments);
}

struct place varve__verify_place(const struct varve_verifier *v, const varve_object *object) {
  struct place place;
  snprintf(place.text, sizeof place.text, "object %p (layout %u \"%.40s\", %zu bytes)", (const void *)object,
           varve_object_layout(object), varve_layout_name(v->heap, varve_object_layout(object)),
           varve_object_bytes(object));
  return place;
}

struct place varve__verify_slot_place(const struct varve_verifier *v, const void *slot) {
  struct place place = {""};
  char name[80];
  if (v->object) {
    place = varve__verify_place(v, v->object);
    size_t length = strlen(place.text);
    snprintf(place.text + length, sizeof place.text - length, " +%td", (const char *)slot - (char *)v->object);
  } else {
    if (v->queue) snprintf(name, sizeof name, "finalizers");
    else varve__roots_task_name(v->heap->roots, v->task, name, sizeof name);
    snprintf(place.text, sizeof place.text, "root %s, slot %p", name, (const void *)slot);
  }
  return place;
}

void varve__verify_begin(struct varve_verifier *v, varve_error *error) {
  v->error = error;
  v->failed = v->starved = false;
  v->object = NULL;
  v->queue = false;
  v->depth = 0;
}

/* ---- what is asked ----------------------------------------------------------------------------------------- */

/* Parse, check the lists. */
static void open_trace(struct varve_verifier *v, enum trace_mode mode, varve_error *error) {
  varve__verify_begin(v, error);
  v->mode = mode;
  v->weak = v->heap->final.count || atomic_load_explicit(&v->heap->weak.present, memory_order_relaxed);
  v->lost = v->heap->ages.asleep || atomic_load_explicit(&v->heap->remembered.lost, memory_order_relaxed);
  varve__verify_parse(v);
  if (!v->failed) varve__verify_lists(v);
  if (!v->failed) varve__verify_hashes(v);
}

static void trace(struct varve_verifier *v) {
  if (!v->failed) varve__verify_roots(v);
  if (!v->failed && v->weak) varve__verify_weak(v);
}

varve_status varve__verify_trace(struct varve_verifier *v, struct varve_snapshot *out, varve_error *error) {
  open_trace(v, TRACE_HEAP, error);
  trace(v);
  if (!v->failed && out) *out = v->now;
  return result(v);
}

varve_status varve__verify_before(struct varve_verifier *v, struct varve_snapshot *out, varve_error *error) {
  open_trace(v, TRACE_BEFORE, error);
  uint64_t survivors = !v->failed && v->weak ? varve__verify_foretell(v) : 0;
  trace(v);
  *out = v->now;
  if (v->failed) return result(v);
  varve__verify_stacks(v);
  if (v->weak) varve__verify_copy(v, KEPT, VISITED);
  else if (space_of(v)->cut) varve__verify_listed(v);
  out->survivors = v->weak ? survivors : v->now.objects;
  return result(v);
}

varve_status varve__verify_marks(struct varve_verifier *v, const struct varve_snapshot *snapshot,
                                 varve_error *error) {
  varve__verify_begin(v, error);
  v->now = (struct varve_snapshot){0};
  v->exact = true;
  varve__verify_all_marks(v);
  if (!v->failed && v->now.objects != snapshot->survivors)
    varve__verify_damage(v, "%llu objects are marked, %llu were traced", ull(v->now.objects), ull(snapshot->survivors));
  return result(v);
}

varve_status varve__verify_heap(struct varve_verifier *v, varve_error *error) {
  if (varve__verify_trace(v, NULL, error) == VARVE_OK) varve__verify_tables(v);
  if (!v->failed) varve__verify_stacks(v);
  return result(v);
}

static void compare(struct varve_verifier *v, const struct varve_snapshot *before) {
  const struct varve_snapshot *now = &v->now;
  uint64_t digest_before = before->digest, digest = now->digest;
  shade_know(&digest_before);
  shade_know(&digest);
  if (before->objects == now->objects && before->words == now->words && before->slots == now->slots &&
      digest_before == digest)
    return;
  varve__verify_damage(v, "before: %llu objects, %llu words, %llu slots, digest %llx; after: %llu, %llu, %llu, %llx",
         ull(before->objects), ull(before->words), ull(before->slots), ull(before->digest), ull(now->objects),
         ull(now->words), ull(now->slots), ull(now->digest));
}

varve_status varve__verify_after(struct varve_verifier *v, const struct varve_snapshot *before, varve_error *error) {
  open_trace(v, TRACE_AFTER, error);
  trace(v);
  if (v->failed) return result(v);
  compare(v, before);
  if (!v->failed) varve__verify_derived(v);
  v->exact = !space_of(v)->cut;
  if (!v->failed) varve__verify_all_marks(v);
  if (!v->failed) varve__verify_tables(v);
  return result(v);
}
