/* SPDX-License-Identifier: MIT */
/* main.c -- the heap of the programs on Varve: it may grow to its limit at once, 1 GiB unless --heap says otherwise, and takes
 * memory as it grows. VARVE_OPTIONS applies as always. */
#include "programs.h"

#define DEFAULT_HEAP (UINT64_C(1) << 30)

const bool runtime_collects = true, runtime_knows_live = true;

varve_layout layout_payload, layout_array;

static varve_heap *heap;
static bool want_live;
static uint64_t most_live;

static const struct {
  program_fn *run;
  prepare_fn *prepare;
} preparations[] = {
  {binary_trees, binary_trees_prepare}, {gcbench, gcbench_prepare}, {quad_trees, quad_trees_prepare},
  {lru, lru_prepare},                   {graph, graph_prepare},     {queue, queue_prepare},
  {sessions, sessions_prepare},         {phases, phases_prepare},
  {rewire, rewire_prepare},             {pipeline, pipeline_prepare},
};

/* The world is stopped, so nobody else is here. */
static void on_collection(void *context, const varve_collection_stats *stats) {
  (void)context;
  harness_collection(stats->total_ns);
  harness_pause(stats->total_ns);
  if (stats->live_after > most_live) most_live = stats->live_after;
}

void register_layout(varve_heap *of, const varve_layout_desc *desc, varve_layout *out) {
  varve_error error = {0};
  if (varve_layout_register(of, desc, out, &error))
    harness_quit(EXIT_BROKEN, "layout %s: %s", desc->name, error.detail);
}

void register_struct(varve_heap *of, const char *name, size_t references, bool immutable, varve_layout *out) {
  static const uint32_t slots[] = {8, 16, 24, 32};
  register_layout(of, &(varve_layout_desc){.name = name, .kind = VARVE_LAYOUT_OFFSETS, .immutable = immutable,
                                           .offsets = slots, .offset_count = references}, out);
}

void runtime_open(const struct request *request) {
  varve_options options;
  varve_error error = {0};
  varve_options_init(&options);
  options.heap_max = request->heap ? request->heap : DEFAULT_HEAP;
  options.heap_growth = 1000;
  options.on_collection = on_collection;
  varve_status status = varve_heap_create(&options, &heap, &error);
  if (status)
    harness_quit(status == VARVE_OPTION ? EXIT_ARGUMENTS : EXIT_MEMORY, "heap: %s: %s", varve_status_sentence(status),
                 error.detail);
  want_live = request->live;
  register_layout(heap, &(varve_layout_desc){.name = "payload", .kind = VARVE_LAYOUT_DATA}, &layout_payload);
  register_layout(heap, &(varve_layout_desc){.name = "array", .kind = VARVE_LAYOUT_REF_ARRAY}, &layout_array);
  for (size_t i = 0; i < sizeof preparations / sizeof *preparations; ++i)
    if (preparations[i].run == request->run) preparations[i].prepare(heap);
}

void *runtime_attach(unsigned thread) {
  varve_mutator *me;
  varve_error error = {0};
  if (varve_attach(heap, thread ? "second" : "first", &me, &error))
    harness_quit(EXIT_BROKEN, "attach: %s", error.detail);
  return me;
}

void runtime_detach(void *me) {
  if (varve_detach(me)) harness_quit(EXIT_BROKEN, "detach");
}

uint64_t runtime_live(void) { return most_live; }

void runtime_close(void) {
  if (varve_heap_destroy(heap)) harness_quit(EXIT_BROKEN, "destroy");
}

void no_memory(varve_mutator *me, size_t bytes) {
  harness_quit(EXIT_MEMORY, "out of memory: %zu bytes: %s", bytes, varve_status_sentence(varve_mutator_status(me)));
}

void peak(varve_mutator *me) {
  if (want_live) (void)varve_collect(me);
}

varve_word take_array(varve_mutator *me, size_t count) {
  size_t bytes = sizeof(struct array) + count * sizeof(varve_word);
  struct array *array = varve_alloc(me, layout_array, bytes);
  if (!array) no_memory(me, bytes);
  return varve_tag(array, 0);
}
