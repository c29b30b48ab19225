/* SPDX-License-Identifier: MIT */
/* consumer.c -- a stranger's first program: a list of a thousand cells survives three collections. */
#include <stdio.h>
#include <stdlib.h>
#include <varve/varve.h>

#define CELLS 1000

struct cell {
  varve_object head;
  varve_word next;
  uint64_t value;
};

static void need(int ok, const char *what, const varve_error *error) {
  if (ok) return;
  fprintf(stderr, "consumer: %s: %s %s\n", what, varve_status_sentence(error->status), error->detail);
  exit(1);
}

static uint64_t sum(varve_word list) {
  uint64_t total = 0;
  for (; list; list = ((struct cell *)varve_untag(list))->next) total += ((struct cell *)varve_untag(list))->value;
  return total;
}

static void build_and_check(varve_mutator *me, varve_layout layout, varve_error *error) {
  VARVE_FRAME(f, me, list);
  for (uint64_t i = 0; i < CELLS; i++) {
    struct cell *cell = (struct cell *)varve_alloc(me, layout, sizeof *cell);
    need(cell != NULL, "allocation", error);
    varve_init(me, cell, &cell->next, f.list);
    cell->value = i;
    f.list = varve_tag(cell, 0);
    if (i % 400 == 0) need(varve_collect(me) == VARVE_OK, "collection", error);
  }
  need(sum(f.list) == (uint64_t)CELLS * (CELLS - 1) / 2, "the list's sum", error);
  need(varve_verify(me, error) == VARVE_OK, "verification", error);
}

int main(void) {
  static const uint32_t slots[] = {offsetof(struct cell, next)};
  varve_layout_desc desc = {0};
  varve_error error = {VARVE_OK, ""};
  varve_options options;
  varve_heap *heap;
  varve_mutator *me;
  varve_layout layout;
  varve_options_init(&options);
  options.heap_max = 64u << 20;
  desc.name = "cell", desc.kind = VARVE_LAYOUT_OFFSETS, desc.offsets = slots, desc.offset_count = 1;
  need(varve_heap_create(&options, &heap, &error) == VARVE_OK, "heap", &error);
  need(varve_layout_register(heap, &desc, &layout, &error) == VARVE_OK, "layout", &error);
  need(varve_attach(heap, "main", &me, &error) == VARVE_OK, "attach", &error);
  build_and_check(me, layout, &error);
  need(varve_detach(me) == VARVE_OK, "detach", &error);
  need(varve_heap_destroy(heap) == VARVE_OK, "destroy", &error);
  return 0;
}
