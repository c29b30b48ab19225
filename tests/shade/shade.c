/* SPDX-License-Identifier: MIT */
/* shade.c -- a host with one mistake, of which a memory checker must tell (core/base/shade.h); tests/shade/expect runs it.
 *
 *   shade fine            none: everything is read that may be; must be clean
 *   shade freed|medium|large   reads an object that a collection has freed
 *   shade stale           reads an object where it was before a collection moved it
 *   shade beyond|beyond-medium   writes behind an object's end
 *   shade tlab            reads memory that has not been allocated yet
 *   shade undefined       decides by contents that were never stored
 *   shade undefined-moved the same, after the object has moved
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <varve/varve.h>

#define SMALL 64
#define MEDIUM 20000
#define LARGE 300000

struct data {
  varve_object head;
  uint64_t value[1];
};

static varve_heap *heap;
static varve_mutator *me;
static varve_layout layout;
static volatile uint64_t sink;

static void need(int ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "shade: %s failed\n", what);
  exit(2);
}

static struct data *make(size_t bytes) {
  struct data *data = (struct data *)varve_alloc(me, layout, bytes);
  need(data != NULL, "allocation");
  return data;
}

static void collect(void) { need(varve_collect(me) == VARVE_OK, "collection"); }

static struct data *at(varve_word word) { return (struct data *)varve_untag(word); }

static void read_freed(size_t bytes) {
  const struct data *data = make(bytes);
  collect();
  sink = data->value[0];
}

static void read_stale(void) {
  VARVE_FRAME(f, me, object);
  for (int i = 0; i < 100; ++i) f.object = varve_tag(make(SMALL), 0);
  const struct data *before = at(f.object);
  collect();
  need(before != at(f.object), "moving");
  sink = before->value[0];
}

static void write_beyond(size_t bytes) { *(volatile char *)((char *)make(bytes) + bytes) = 1; }

static void read_tlab(void) { sink = make(SMALL)->value[SMALL]; }

static void decide(bool moved) {
  VARVE_FRAME(f, me, object);
  for (int i = 0; i < 100; ++i) make(SMALL);
  struct data *data = (struct data *)varve_alloc_uninit(me, layout, SMALL);
  need(data != NULL, "allocation");
  f.object = varve_tag(data, 0);
  if (moved) collect();
  need(!moved || data != at(f.object), "moving");
  if (at(f.object)->value[0] == 7) puts("seven");
}

/* Objects of all sizes, some of which live on, written and read throughout, while they move. */
static void be_fine(void) {
  static const size_t sizes[] = {8, SMALL, 1000, MEDIUM, LARGE};
  VARVE_FRAME_ARRAY(f, me, 40);
  for (size_t i = 0; i < 600; ++i) {
    size_t bytes = sizes[i % 5], words = bytes / 8 - 1;
    struct data *data = (struct data *)varve_alloc_uninit(me, layout, bytes);
    need(data != NULL, "allocation");
    for (size_t w = 0; w < words; ++w) data->value[w] = i;
    if (i % 3 == 0) f.slot[i / 3 % 40] = varve_tag(data, 0);
    if (i % 50 == 49) collect();
    for (size_t s = 0; s < 40; ++s)
      for (size_t w = 0; f.slot[s] && w < varve_object_bytes(&at(f.slot[s])->head) / 8 - 1; w += 97)
        need(at(f.slot[s])->value[w] == at(f.slot[s])->value[0], "comparing");
  }
}

static void run(const char *what) {
  if (strcmp(what, "fine") == 0) be_fine();
  else if (strcmp(what, "freed") == 0) read_freed(SMALL);
  else if (strcmp(what, "medium") == 0) read_freed(MEDIUM);
  else if (strcmp(what, "large") == 0) read_freed(LARGE);
  else if (strcmp(what, "stale") == 0) read_stale();
  else if (strcmp(what, "beyond") == 0) write_beyond(SMALL);
  else if (strcmp(what, "beyond-medium") == 0) write_beyond(MEDIUM);
  else if (strcmp(what, "tlab") == 0) read_tlab();
  else if (strcmp(what, "undefined") == 0) decide(false);
  else if (strcmp(what, "undefined-moved") == 0) decide(true);
  else need(0, "finding the case");
}

int main(int count, char **arguments) {
  varve_error error = {VARVE_OK, ""};
  varve_options options;
  varve_layout_desc desc = {.name = "data", .kind = VARVE_LAYOUT_DATA};
  varve_options_init(&options);
  options.heap_max = 64u << 20;
  options.move_everything = 1;
  need(varve_heap_create(&options, &heap, &error) == VARVE_OK, error.detail);
  need(varve_layout_register(heap, &desc, &layout, &error) == VARVE_OK, error.detail);
  need(varve_attach(heap, "main", &me, &error) == VARVE_OK, error.detail);
  run(count > 1 ? arguments[1] : "");
  need(varve_detach(me) == VARVE_OK, "detach");
  need(varve_heap_destroy(heap) == VARVE_OK, "destroy");
  return 0;
}
