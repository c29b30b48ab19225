/* SPDX-License-Identifier: MIT */
/* identity.c -- what it costs to hold on to an object: identity hashes, pins, stacks that are searched; a call each,
 * and what they add to a collection.
 */
#include "bench.h"


static varve_word array_of_pairs(struct host *host, size_t count) {
  VARVE_FRAME(f, host->me, array);
  f.array = varve_tag(host_alloc(host, host->array, 8 + count * 8), 0);
  for (size_t i = 0; i < count; ++i) {
    void *pair = host_alloc(host, host->pair, sizeof(struct pair));
    varve_word *slots = (varve_word *)varve_untag(f.array) + 1;
    varve_store(host->me, varve_untag(f.array), &slots[i], varve_tag(pair, 0));
  }
  return f.array;
}

static void *element(varve_word array, size_t i) { return varve_untag(((varve_word *)varve_untag(array))[1 + i]); }

static void open_heap(struct host *host, size_t count, const char *list) {
  uint64_t bytes = ((uint64_t)count * 120 + (64 << 20)) & ~UINT64_C(0xfffff);
  host_open(host, bytes, bytes, list);
}

/* ---- identity hashes ---- */

struct hash_figures {
  struct series first, again, full, unhashed;
};

/* In an order of its own, as tables ask. */
static double ask_ns(struct host *host, varve_word array, size_t bits) {
  uint64_t began = cpu_ns(), sum = 0;
  for (size_t i = 0; i < (size_t)1 << bits; ++i)
    sum += varve_identity_hash(host->me, element(array, scramble(i, (unsigned)bits)));
  if (!sum) die("no hashes");
  return (double)(cpu_ns() - began) / (double)((size_t)1 << bits);
}

static double collection_ms(struct host *host) {
  host_collect(host);
  return host_phase_ns(host, host->last.total_ns) / 1e6;
}

static void measure_hashes(size_t bits, struct hash_figures *figures) {
  struct host host;
  open_heap(&host, (size_t)1 << bits, "workers=1,ages=0");
  {
    VARVE_FRAME(f, host.me, array);
    f.array = array_of_pairs(&host, (size_t)1 << bits);
    host_collect(&host);
    series_add(&figures->unhashed, collection_ms(&host));
    series_add(&figures->first, ask_ns(&host, f.array, bits));
    series_add(&figures->again, ask_ns(&host, f.array, bits));
    series_add(&figures->full, collection_ms(&host));
  }
  host_close(&host);
}

static void report_hashes(struct bench *bench) {
  static struct hash_figures figures;
  size_t bits = bench_pick(bench, 10, 16, 20), count = (size_t)1 << bits;
  for (unsigned i = 0; bench_again(bench, i, 2, 5, 9); ++i) measure_hashes(bits, &figures);
  bench_report(bench, &(struct figure){bench_text("identity hash, the first time, of %zu objects", count), "ns",
                                       &figures.first, NULL, NULL, NOT_JUDGED, 0, 0});
  bench_report(bench, &(struct figure){bench_text("identity hash, again, of %zu objects", count), "ns", &figures.again,
                                       NULL, NULL, NOT_JUDGED, 0, 0});
  bench_report(bench, &(struct figure){bench_text("full collection, all of %zu objects hashed", count), "ms",
                                       &figures.full, "none hashed", &figures.unhashed, NOT_JUDGED, 0, 0});
}

/* ---- pins ---- */

struct pin_figures {
  struct series pair_ns, held, full, unpinned;
};

/* One object in 2^spread is pinned: a block in two or so, when they are far apart. */
static void measure_pins(size_t bits, unsigned spread, struct pin_figures *figures) {
  struct host host;
  size_t pins = (size_t)1 << (bits - spread);
  open_heap(&host, (size_t)1 << bits, "workers=1,ages=0,move-everything=1");
  {
    VARVE_FRAME(f, host.me, array);
    f.array = array_of_pairs(&host, (size_t)1 << bits);
    host_collect(&host);
    series_add(&figures->unpinned, collection_ms(&host));
    uint64_t began = cpu_ns();
    for (size_t i = 0; i < pins; ++i)
      if (varve_pin(host.me, element(f.array, i << spread)) != VARVE_OK) die("pin");
    uint64_t pinned = cpu_ns() - began;
    series_add(&figures->full, collection_ms(&host));
    series_add(&figures->held, (double)host.last.bytes_held / (double)(1 << 20));
    began = cpu_ns();
    for (size_t i = 0; i < pins; ++i)
      if (varve_unpin(host.me, element(f.array, i << spread)) != VARVE_OK) die("unpin");
    series_add(&figures->pair_ns, (double)(pinned + cpu_ns() - began) / (double)pins);
  }
  host_close(&host);
}

static void report_pins(struct bench *bench) {
  static struct pin_figures figures;
  size_t bits = bench_pick(bench, 12, 17, 20);
  unsigned spread = 6;
  for (unsigned i = 0; bench_again(bench, i, 2, 5, 9); ++i) measure_pins(bits, spread, &figures);
  size_t pins = (size_t)1 << (bits - spread);
  bench_report(bench, &(struct figure){bench_text("pin and unpin, of %zu", pins), "ns", &figures.pair_ns, NULL, NULL,
                                       NOT_JUDGED, 0, 0});
  bench_report(bench, &(struct figure){bench_text("collection that moves everything, %zu pins", pins), "ms",
                                       &figures.full, "no pins", &figures.unpinned, NOT_JUDGED, 0, 0});
}

/* ---- searched stacks ---- */

struct stack_figures {
  struct series searched, precise;
};

static __attribute__((noinline)) double with_deep_stack(struct host *host, varve_word array, size_t count) {
  volatile uintptr_t words[(size_t)1 << 15]; /* a quarter of a MiB, every fourth a reference */
  for (size_t i = 0; i < sizeof words / sizeof *words; ++i)
    words[i] = i % 4 ? i : (uintptr_t)element(array, i * 7 % count);
  double ms = collection_ms(host);
  escape((const void *)words);
  return ms;
}

static void measure_stack(size_t count, bool searched, struct series *times) {
  struct host host;
  open_heap(&host, count, searched ? "workers=1,ages=0,conservative-roots=1" : "workers=1,ages=0");
  {
    VARVE_FRAME(f, host.me, array);
    f.array = array_of_pairs(&host, count);
    host_collect(&host);
    series_add(times, with_deep_stack(&host, f.array, count));
  }
  host_close(&host);
}

static void report_stacks(struct bench *bench) {
  static struct stack_figures figures;
  size_t count = bench_pick(bench, 1000, 100000, 1000000);
  for (unsigned i = 0; bench_again(bench, i, 2, 5, 9); ++i) {
    measure_stack(count, true, &figures.searched);
    measure_stack(count, false, &figures.precise);
  }
  bench_report(bench, &(struct figure){bench_text("collection of %zu objects, 256 KiB of stack searched", count), "ms",
                                       &figures.searched, "none searched", &figures.precise, NOT_JUDGED, 0, 0});
}

void bench_identity(struct bench *bench) {
  report_hashes(bench);
  report_pins(bench);
  report_stacks(bench);
}
