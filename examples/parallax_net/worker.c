/* SPDX-License-Identifier: MIT */
/* worker.c -- a worker's life: open, reduce in batches, close.
 *
 * Between two batches, and only there (and in allocations of heap objects), a worker is at a safepoint. It then also
 * makes sure that the next batch cannot run out of nodes, wires, words or redex room; so rules need no error path
 * for the host's memory.
 */
#include "host.h"

#include <stdio.h>
#include <string.h>

/* The most that `batch` interactions can take: a CALL of the largest definition, or a COMM, each time. */
static void measure_batch(struct pn_worker *w) {
  const struct pn_book *book = w->book;
  uint64_t redexes = 0;
  for (uint32_t i = 0; i < book->def_count; ++i)
    if (book->def[i].redex_count > redexes) redexes = book->def[i].redex_count;
  uint64_t largest = (uint64_t)book->nodes_max + book->wires_max + redexes + 8;
  uint64_t batch = ((uint64_t)1 << 20) / largest;
  w->batch = batch < 1 ? 1 : batch > PN_BATCH_MAX ? PN_BATCH_MAX : (unsigned)batch;
  w->room[PN_CLASS_NODE] = w->batch * (book->nodes_max + 4ull);
  w->room[PN_CLASS_WIRE] = w->batch * (book->wires_max + 4ull);
  w->room[PN_CLASS_REF] = w->batch * 2ull;
  w->room[PN_CLASS_PTR] = w->batch * (book->literals_max + 2ull);
  w->room[PN_CLASS_ASY] = w->batch;
  w->redex_room = w->batch * (redexes + 4) + sizeof w->offer.redex / sizeof *w->offer.redex;
}

bool pn_worker_open(struct pn_host *host, unsigned partition) {
  struct pn_worker *w = &host->worker[partition];
  w->host = host, w->book = host->book, w->partition = partition;
  w->order = host->options.order;
  w->random = (host->options.seed + 1) * 0x9e3779b97f4a7c15u + partition;
  w->alone = host->options.workers == 1;
  w->slab = host->net->partition[partition].slab;
  for (unsigned i = 0; i < PN_CLASSES; ++i) w->base[i] = host->net->base[i];
  pthread_mutex_init(&w->offer.lock, NULL);
  w->node_scratch = calloc(host->book->nodes_max + 1, sizeof *w->node_scratch);
  w->wire_scratch = calloc(host->book->wires_max + 1, sizeof *w->wire_scratch);
  w->homeward = calloc((size_t)host->options.workers * PN_CLASSES, sizeof *w->homeward);
  measure_batch(w);
  return w->node_scratch && w->wire_scratch && w->homeward && pn_deque_reserve(&w->deque, w->redex_room);
}

void pn_worker_close(struct pn_worker *w) {
  pthread_mutex_destroy(&w->offer.lock);
  free(w->node_scratch);
  free(w->wire_scratch);
  free(w->homeward);
  free(w->deque.ring);
}

static const char *why_not_grown(enum pn_grown grown) {
  switch (grown) {
    case PN_NO_MEMORY: return "the nodes of the net need more host memory than --memory allows";
    case PN_NO_ROOM: return "a partition has no more room for nodes of one class";
    default: return "the collector refused a larger Ref array";
  }
}

bool pn_worker_prepare(struct pn_worker *w) {
  enum pn_grown grown = pn_partition_reserve(w->host->net, w->partition, w->mutator, w->room);
  if (VARVE_UNLIKELY(grown != PN_GROWN)) return pn_host_fail(w->host, "%s", why_not_grown(grown)), false;
  if (VARVE_LIKELY(pn_deque_reserve(&w->deque, w->redex_room))) return true;
  pn_host_fail(w->host, "no host memory is left for redexes");
  return false;
}

static uint64_t next_random(struct pn_worker *w) { /* xorshift64* */
  w->random ^= w->random >> 12, w->random ^= w->random << 25, w->random ^= w->random >> 27;
  return w->random * 0x2545f4914f6cdd1du;
}

static inline struct pn_redex next_redex(struct pn_worker *w) {
  if (VARVE_LIKELY(w->order == PN_LIFO)) return pn_deque_pop_newest(&w->deque);
  if (w->order == PN_FIFO) return pn_deque_pop_oldest(&w->deque);
  return pn_deque_pop_any(&w->deque, next_random(w));
}

static void publish_count(struct pn_worker *w) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < PN_RULES; ++i) sum += w->rule[i];
  atomic_fetch_add_explicit(&w->host->interactions, sum - w->published, memory_order_relaxed);
  w->published = sum;
}

static void reduce_batch(struct pn_worker *w) {
  for (unsigned i = 0; i < w->batch && pn_deque_count(&w->deque); ++i) {
    struct pn_redex redex = next_redex(w);
    pn_reduce(w, redex.a, redex.b);
  }
}

/* W4: no heap word is held here. */
static void safepoint(struct pn_worker *w, uint64_t batches) {
  unsigned every = w->host->options.collect_every;
  if (every && batches % every == every - 1) varve_collect(w->mutator);
  else varve_poll(w->mutator);
}

static void reduce_all(struct pn_worker *w) {
  struct pn_host *host = w->host;
  for (uint64_t batches = 0; !atomic_load_explicit(&host->stop, memory_order_relaxed); ++batches) {
    if (pn_deque_count(&w->deque) == 0 && !pn_find_work(w)) break;
    safepoint(w, batches);
    if (!pn_worker_prepare(w)) break;
    if (atomic_load_explicit(&host->hungry, memory_order_relaxed)) pn_share(w);
    reduce_batch(w);
    if (batches % 1024 == 0) publish_count(w);
  }
  publish_count(w);
  pn_send_home(w);
}

void *pn_worker_main(void *argument) {
  struct pn_worker *w = argument;
  char name[32];
  varve_error error = {0};
  snprintf(name, sizeof name, "worker %u", w->partition);
  if (w->host->options.pin) pn_pin_worker(w);
  if (varve_attach(w->host->heap, name, &w->mutator, &error) != VARVE_OK) {
    pn_host_fail(w->host, "worker %u cannot attach: %s %s", w->partition, varve_status_sentence(error.status),
                 error.detail);
    return NULL;
  }
  w->mutator->host = w;
  reduce_all(w);
  varve_detach(w->mutator);
  w->mutator = NULL;
  return NULL;
}
