/* SPDX-License-Identifier: MIT */
/* weak.c -- what weak references, ephemerons, finalizers and cleaners add to a collection: the time of its weak steps,
 * by one worker, for so many of them. Each figure's limit is the time to mark as many ordinary objects, which lie in
 * memory in the order in which an array refers to them.
 */
#include "bench.h"

struct scene {
  struct host host;
  varve_layout cell, table;
  size_t count;
};

struct cell {
  varve_object header;
  uint64_t library;
  varve_word target;
};

struct table {
  varve_object header;
  uint64_t library;
  varve_ephemeron entry[];
};

static void open_scene(struct scene *scene, size_t count) {
  const varve_layout_desc cell = {.kind = VARVE_LAYOUT_WEAK}, table = {.kind = VARVE_LAYOUT_EPHEMERONS};
  uint64_t bytes = ((uint64_t)count * 200 + (64 << 20)) & ~UINT64_C(0xfffff);
  host_open(&scene->host, bytes, bytes, "workers=1,ages=0");
  scene->count = count;
  if (varve_layout_register(scene->host.heap, &cell, &scene->cell, NULL) != VARVE_OK ||
      varve_layout_register(scene->host.heap, &table, &scene->table, NULL) != VARVE_OK)
    die("no layout");
}

static varve_word array_of_pairs(struct scene *scene) {
  struct host *host = &scene->host;
  VARVE_FRAME(f, host->me, array);
  f.array = varve_tag(host_alloc(host, host->array, 8 + scene->count * 8), 0);
  for (size_t i = 0; i < scene->count; ++i) {
    void *pair = host_alloc(host, host->pair, sizeof(struct pair));
    varve_word *slots = (varve_word *)varve_untag(f.array) + 1;
    varve_store(host->me, varve_untag(f.array), &slots[i], varve_tag(pair, 0));
  }
  return f.array;
}

static varve_word element(varve_word array, size_t i) { return ((varve_word *)varve_untag(array))[1 + i]; }

static double weak_ms(struct scene *scene) {
  host_collect(&scene->host);
  return host_phase_ns(&scene->host, scene->host.last.weak_ns) / 1e6;
}

/* What a cell, or the entries of a table, hold dies before the second sample. */
struct lives {
  struct series alive, dead;
};

static void measure_cells(struct scene *scene, struct lives *times) {
  struct host *host = &scene->host;
  VARVE_FRAME(f, host->me, targets, cells);
  f.targets = array_of_pairs(scene);
  f.cells = varve_tag(host_alloc(host, host->array, 8 + scene->count * 8), 0);
  for (size_t i = 0; i < scene->count; ++i) {
    struct cell *cell = host_alloc(host, scene->cell, sizeof *cell);
    varve_init(host->me, cell, &cell->target, element(f.targets, i));
    varve_store(host->me, varve_untag(f.cells), (varve_word *)varve_untag(f.cells) + 1 + i, varve_tag(cell, 0));
  }
  series_add(&times->alive, weak_ms(scene));
  f.targets = 0;
  series_add(&times->dead, weak_ms(scene));
  if (host->last.weak_cleared != scene->count) die("weak: %zu cells, not all cleared", scene->count);
}

static void set_entry(struct scene *scene, varve_word table, size_t i, varve_word key, varve_word value) {
  struct table *at = (struct table *)varve_untag(table);
  varve_store(scene->host.me, at, &at->entry[i].key, key);
  varve_store(scene->host.me, at, &at->entry[i].value, value);
}

static varve_word new_table(struct scene *scene) {
  size_t bytes = sizeof(struct table) + scene->count * sizeof(varve_ephemeron);
  return varve_tag(host_alloc(&scene->host, scene->table, bytes), 0);
}

static void measure_table(struct scene *scene, struct lives *times) {
  VARVE_FRAME(f, scene->host.me, keys, values, table);
  f.keys = array_of_pairs(scene);
  f.values = array_of_pairs(scene);
  f.table = new_table(scene);
  for (size_t i = 0; i < scene->count; ++i) set_entry(scene, f.table, i, element(f.keys, i), element(f.values, i));
  f.values = 0;
  series_add(&times->alive, weak_ms(scene));
  f.keys = 0;
  series_add(&times->dead, weak_ms(scene));
  if (scene->host.last.ephemerons_cleared != scene->count) die("weak: %zu entries, not all cleared", scene->count);
}

/* Each value is another entry's key: the next one's, or the one's before. */
static double measure_chain(struct scene *scene, bool backwards) {
  VARVE_FRAME(f, scene->host.me, links, table);
  f.links = array_of_pairs(scene);
  f.table = new_table(scene);
  size_t last = scene->count - 1;
  for (size_t i = 0; i < last; ++i) {
    size_t entry = backwards ? last - i : i;
    set_entry(scene, f.table, entry, element(f.links, i), element(f.links, i + 1));
  }
  f.links = element(f.links, 0);
  double ms = weak_ms(scene);
  if (scene->host.last.ephemerons_cleared) die("weak: a chain was cut");
  return ms;
}

static void measure_finalizers(struct scene *scene, bool cleaners, struct lives *times) {
  struct host *host = &scene->host;
  VARVE_FRAME(f, host->me, objects);
  f.objects = array_of_pairs(scene);
  for (size_t i = 0; i < scene->count; ++i) {
    void *object = varve_untag(element(f.objects, i));
    varve_finalizer one = cleaners ? varve_cleaner_attach(host->me, object, 0, NULL, NULL)
                                   : varve_finalizer_attach(host->me, object, 0, NULL, NULL);
    if (!one) die("no memory for finalizers");
  }
  series_add(&times->alive, weak_ms(scene));
  f.objects = 0;
  series_add(&times->dead, weak_ms(scene));
  if (host->last.finalizers_queued != scene->count) die("weak: %zu finalizers, not all queued", scene->count);
}

static double measure_marking(struct scene *scene) {
  VARVE_FRAME(f, scene->host.me, array);
  f.array = array_of_pairs(scene);
  host_collect(&scene->host);
  return host_phase_ns(&scene->host, scene->host.last.mark_ns) / 1e6;
}

struct figures {
  struct lives cells, table, finalizers, cleaners;
  struct series forwards, backwards, marking;
};

static void measure(size_t count, struct figures *figures) {
  struct scene scene;
#define IN_A_HEAP(work) (open_scene(&scene, count), (work), host_close(&scene.host))
  IN_A_HEAP(series_add(&figures->marking, measure_marking(&scene)));
  IN_A_HEAP(measure_cells(&scene, &figures->cells));
  IN_A_HEAP(measure_table(&scene, &figures->table));
  IN_A_HEAP(series_add(&figures->forwards, measure_chain(&scene, false)));
  IN_A_HEAP(series_add(&figures->backwards, measure_chain(&scene, true)));
  IN_A_HEAP(measure_finalizers(&scene, false, &figures->finalizers));
  IN_A_HEAP(measure_finalizers(&scene, true, &figures->cleaners));
#undef IN_A_HEAP
}

void bench_weak(struct bench *bench) {
  static struct figures figures;
  size_t count = bench_pick(bench, 1000, 200000, 1000000);
  for (unsigned i = 0; bench_again(bench, i, 2, 5, 7); ++i) measure(count, &figures);
  const struct {
    const char *what;
    const struct series *times;
  } rows[] = {{"weak cells, targets alive", &figures.cells.alive},
              {"weak cells, targets dead", &figures.cells.dead},
              {"ephemerons of a table, keys alive", &figures.table.alive},
              {"ephemerons of a table, keys dead", &figures.table.dead},
              {"ephemerons in a chain, as they lie", &figures.forwards},
              {"ephemerons in a chain, the other way", &figures.backwards},
              {"finalizers, objects alive", &figures.finalizers.alive},
              {"finalizers, objects dead", &figures.finalizers.dead},
              {"cleaners, objects dead", &figures.cleaners.dead}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i)
    bench_report(bench, &(struct figure){bench_text("%zu %s", count, rows[i].what), "ms", rows[i].times,
                                         "marking as many objects", &figures.marking, NOT_JUDGED, 0, 0});
}
