/* SPDX-License-Identifier: MIT */
/* young.c -- collecting the newest objects only: pauses, by what survives of them, beside a large old part.
 *
 * The old part is a tree. A nursery is a tree of objects of 32 bytes, allocated in the order of a depth-first walk,
 * with sixteen objects on average before each of them that nothing refers to; its leaves refer to old objects. "At
 * random" it is linked anew, so that neighbours in the graph are none in memory. The nurseries of some samples stay
 * alive; then a full collection makes room.
 * Limit: a raw loop, prefetching, that marks the same objects and then copies them together. One thread finds them,
 * from the root on; two divide them, and know beforehand where they are. Neither fixes references. It has every other
 * nursery for itself, so that both find the memory as the allocation left it.
 */
#include <stdio.h>

#include "bench.h"
#include "graphs.h"

#define GARBAGE 16u
#define KEPT 8u /* nurseries between two full collections */
#define OLD_OBJECTS 4096u

struct young {
  struct host host;
  unsigned workers, kept;
  varve_handle *old, *nurseries[KEPT];
  varve_word old_objects[OLD_OBJECTS]; /* some, anywhere */
  uint64_t *at, *order;                /* the survivors of a nursery: as allocated, and as a walk meets them */
  size_t count;
  uint64_t seed;
};

struct pauses {
  struct series total, mark, plan, slide, release, limit;
};

/* ---- the old part ---- */

static void find_old_objects(struct young *y) {
  for (size_t i = 0; i < OLD_OBJECTS; ++i) {
    varve_word word = varve_handle_get(y->old), next = word;
    for (uint64_t turns = random_next(&y->seed); next; turns >>= 1) {
      const struct pair *pair = (const struct pair *)varve_untag(word = next);
      next = turns & 1 ? pair->left : pair->right;
    }
    y->old_objects[i] = word;
  }
}

/* Everything but the old part dies. */
static void clear_nurseries(struct young *y) {
  while (y->kept) varve_handle_free(y->host.me, y->nurseries[--y->kept]);
  host_collect(&y->host);
  find_old_objects(y);
}

static void keep(struct young *y, varve_word root) {
  varve_handle *handle = varve_handle_new(y->host.me, root);
  if (!handle) die("no handle");
  y->nurseries[y->kept++] = handle;
}

static void open_young(struct young *y, unsigned workers, unsigned old_bits, uint64_t most) {
  uint64_t room = ((uint64_t)32 << old_bits) + most * (GARBAGE + 2 + KEPT) + ((uint64_t)48 << 20);
  *y = (struct young){.workers = workers, .seed = 19};
  host_open(&y->host, room * 2, room, bench_text("workers=%u,parallel-min=0", workers));
  void *root = graph_tree(&y->host, old_bits);
  if (!(y->old = varve_handle_new(y->host.me, varve_tag(root, 0)))) die("no handle");
  clear_nurseries(y);
}

static void close_young(struct young *y) {
  clear_nurseries(y);
  varve_handle_free(y->host.me, y->old);
  host_close(&y->host);
}

/* ---- a nursery ---- */

static void make_garbage(struct young *y, uint64_t objects) {
  for (uint64_t i = 0; i < objects; ++i) escape(host_alloc(&y->host, y->host.pair, sizeof(struct pair)));
}

static varve_word grow(struct young *y, unsigned bits) {
  make_garbage(y, random_next(&y->seed) % (2 * GARBAGE + 1));
  struct pair *pair = host_alloc(&y->host, y->host.pair, sizeof *pair);
  y->at[y->count++] = varve_tag(pair, 0);
  varve_word left = bits > 1 ? grow(y, bits - 1) : y->old_objects[random_next(&y->seed) % OLD_OBJECTS];
  varve_word right = bits > 1 ? grow(y, bits - 1) : 0;
  varve_store(y->host.me, pair, &pair->left, left);
  varve_store(y->host.me, pair, &pair->right, right);
  return varve_tag(pair, 0);
}

/* Link what was grown anew: a cycle through all in random order, and a random reference from each. */
static void link_at_random(struct young *y) {
  for (size_t k = 0; k < y->count; ++k) y->order[k] = y->at[k];
  for (size_t k = y->count - 1; k > 0; --k) {
    size_t other = random_next(&y->seed) % k;
    uint64_t word = y->order[k];
    y->order[k] = y->order[other], y->order[other] = word;
  }
  for (size_t k = 0; k < y->count; ++k) {
    struct pair *pair = (struct pair *)varve_untag(y->order[k]);
    varve_store(y->host.me, pair, &pair->left, y->order[(k + 1) % y->count]);
    varve_store(y->host.me, pair, &pair->right, y->order[random_next(&y->seed) % y->count]);
  }
}

static void make_nursery(struct young *y, unsigned bits, bool random) {
  y->at = arena(ARENA_ADDRESSES, sizeof *y->at << bits);
  y->order = random ? arena(ARENA_ORDER, sizeof *y->at << bits) : y->at;
  y->count = 0;
  if (y->kept == KEPT) clear_nurseries(y);
  varve_word root = grow(y, bits);
  if (random) link_at_random(y);
  keep(y, root);
}

/* ---- samples ---- */

/* With one worker in processor time. False: older objects were taken again, too. */
static bool collect_young(struct young *y, struct pauses *p) {
  host_collect_newest(&y->host);
  const varve_collection_stats *last = &y->host.last;
  if (last->epochs_taken == last->epochs) die("a full collection");
  if (last->epochs_taken != 1) return false;
  double share = y->workers == 1 ? host_phase_ns(&y->host, last->total_ns) / (double)last->total_ns : 1;
  series_add(&p->total, (double)last->total_ns * share / 1e6);
  series_add(&p->mark, (double)last->mark_ns * share / 1e6);
  series_add(&p->plan, (double)last->plan_ns * share / 1e6);
  series_add(&p->slide, (double)last->slide_ns * share / 1e6);
  series_add(&p->release, (double)last->release_ns * share / 1e6);
  return true;
}

static void sample(struct young *y, unsigned bits, bool random, struct pauses *p) {
  make_nursery(y, bits, random);
  double limit = limit_trace_ns(y->order, y->at, y->count, y->workers);
  host_collect_newest(&y->host);
  make_nursery(y, bits, random);
  if (collect_young(y, p)) series_add(&p->limit, limit / 1e6);
}

/* ---- reports ---- */

static void report_one(struct bench *bench, const char *what, const char *case_text, const struct series *series) {
  what = bench_text("young %s, %s", what, case_text);
  bench_report(bench, &(struct figure){what, "ms", series, NULL, NULL, NOT_JUDGED, 0, 0});
}

static void report_parts(struct bench *bench, const char *case_text, const struct pauses *p) {
  struct series high = {0};
  series_add(&high, series_percentile(&p->total, 99));
  report_one(bench, "pause p99", case_text, &high);
  report_one(bench, "mark", case_text, &p->mark);
  report_one(bench, "plan", case_text, &p->plan);
  report_one(bench, "slide", case_text, &p->slide);
  report_one(bench, "release", case_text, &p->release);
}

struct text {
  char is[64];
};

static struct text case_of(const struct young *y, const char *what) {
  struct text text;
  snprintf(text.is, sizeof text.is, "%s, %u worker%s", what, y->workers, y->workers == 1 ? "" : "s");
  return text;
}

/* Judged against the raw loop and, where there are bounds, as it is. */
static void report(struct bench *bench, const char *case_text, const struct pauses *p, bool judged, double must,
                   double reach) {
  bench_report(bench, &(struct figure){bench_text("young pause, %s", case_text), "ms", &p->total, "raw mark and copy",
                                       &p->limit, judged ? AT_MOST_TIMES : NOT_JUDGED, 1.5, 1.2});
  if (must > 0)
    bench_report(bench, &(struct figure){bench_text("young time, %s", case_text), "ms", &p->total, NULL, NULL,
                                         judged ? AT_MOST : NOT_JUDGED, must, reach});
  if (!bench->targets) report_parts(bench, case_text, p);
}

static void surviving(struct bench *bench, struct young *y, unsigned bits, bool random) {
  struct pauses p = {.total = {0}};
  const char *what = bench_text("%s survive%s", bench_size((uint64_t)32 << bits), random ? " at random" : "");
  struct text text = case_of(y, what);
  bool target = bits == 17 && y->workers == 2 && !random;
  clear_nurseries(y);
  for (unsigned i = 0; bench_again(bench, i, 2, bits > 17 ? 8 : 40, bits > 17 ? 24 : 120); ++i)
    sample(y, bits, random, &p);
  report(bench, text.is, &p, bench->scale > SCALE_TINY && !random, target ? 2 : 0, target ? 1.5 : 0);
}

static void nothing_survives(struct bench *bench, struct young *y) {
  struct pauses p = {.total = {0}};
  uint64_t bytes = bench_pick(bench, 1 << 20, 32 << 20, 32 << 20);
  struct text text = case_of(y, bench_text("nothing of %s", bench_size(bytes)));
  clear_nurseries(y);
  for (unsigned i = 0; bench_again(bench, i, 2, 60, 200); ++i) {
    make_garbage(y, bytes / sizeof(struct pair));
    collect_young(y, &p);
  }
  report_one(bench, "pause", text.is, &p.total);
  if (!bench->targets) report_parts(bench, text.is, &p);
}

void bench_young(struct bench *bench) {
  struct young y;
  unsigned old_bits = (unsigned)bench_pick(bench, 12, 20, 23), least = (unsigned)bench_pick(bench, 8, 15, 15);
  unsigned most = least + (bench->targets ? 2 : 4);
  for (unsigned workers = 1; workers <= 2; ++workers) {
    open_young(&y, workers, old_bits, (uint64_t)32 << most);
    for (unsigned bits = bench->targets ? most : least; bits <= most; bits += 2) surviving(bench, &y, bits, false);
    if (!bench->targets) surviving(bench, &y, least + 2, true);
    nothing_survives(bench, &y);
    close_young(&y);
  }
}
