/* SPDX-License-Identifier: MIT */
/* host.c -- making, running and ending one run of a program. See host.h for the states. */
#include "host.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void pn_host_fail(struct pn_host *host, const char *format, ...) {
  pthread_mutex_lock(&host->lock);
  if (!host->failed) {
    host->failed = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(host->error, sizeof host->error, format, arguments);
    va_end(arguments);
  }
  pthread_mutex_unlock(&host->lock);
  pn_stop(host);
}

/* ---- creation ---------------------------------------------------------------------------------------------- */

static varve_word make_literal(struct pn_host *host, const struct pn_literal *literal) {
  bool no_memory = false;
  if (literal->kind == PN_LITERAL_STRING)
    return pn_string_from(host->mutator, &host->layouts, literal->bytes, literal->length);
  return pn_integer_from_text(host->mutator, &host->layouts, literal->bytes, literal->length, &no_memory);
}

static bool take_literals(struct pn_host *host, varve_slab_cursor *cursor) {
  for (uint32_t i = 0; i < host->book->literal_count; ++i) {
    varve_word word = make_literal(host, &host->book->literal[i]);
    host->literal[i] = word ? varve_slab_take(cursor, host->mutator, word) : NULL;
    if (!host->literal[i]) return false;
  }
  return true;
}

/* Constants live in one of the library's own Ref slabs for the whole run. */
static bool make_literals(struct pn_host *host) {
  host->literal = calloc(host->book->literal_count + 1, sizeof *host->literal);
  host->literal_slab = varve_slab_create(host->heap, "literals");
  if (!host->literal || !host->literal_slab) return false;
  varve_slab_cursor cursor;
  varve_slab_cursor_open(&cursor, host->literal_slab);
  bool made = take_literals(host, &cursor);
  varve_slab_cursor_close(&cursor);
  return made;
}

static bool open_heap(struct pn_host *host) {
  varve_error error = {0};
  varve_status status = varve_heap_create(&host->options.heap, &host->heap, &error);
  if (status == VARVE_OK) status = pn_layouts_register(host->heap, &host->layouts, &error);
  if (status == VARVE_OK) status = varve_attach(host->heap, "main", &host->mutator, &error);
  if (status != VARVE_OK)
    snprintf(host->error, sizeof host->error, "no heap: %s %s", varve_status_sentence(status), error.detail);
  return status == VARVE_OK;
}

static bool open_workers(struct pn_host *host) {
  size_t bytes = host->options.workers * sizeof *host->worker;
  host->worker = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
  if (!host->worker) return false;
  memset(host->worker, 0, bytes);
  for (unsigned i = 0; i < host->options.workers; ++i)
    if (!pn_worker_open(host, i)) return false;
  return true;
}

static bool open_parts(struct pn_host *host) {
  if (!open_heap(host)) return false;
  host->net = pn_net_create(host->heap, host->options.workers, host->options.memory_limit, host->error,
                            sizeof host->error);
  if (!host->net) return false;
  if (!open_workers(host)) return snprintf(host->error, sizeof host->error, "no host memory for the pool"), false;
  if (make_literals(host)) return true;
  snprintf(host->error, sizeof host->error, "the literals of the program do not fit: %s",
           varve_status_sentence(varve_mutator_status(host->mutator)));
  return false;
}

struct pn_host *pn_host_create(const struct pn_book *book, const struct pn_run_options *options, char *error,
                               size_t error_size) {
  struct pn_host *host = calloc(1, sizeof *host);
  if (!host) return snprintf(error, error_size, "no host memory is left"), NULL;
  host->book = book, host->options = *options;
  host->options.heap.ref_tags = host->options.heap.slot_tags = PN_REFERENCE_TAGS;
  host->jobs_end = &host->jobs;
  pthread_mutex_init(&host->lock, NULL);
  pthread_cond_init(&host->wake, NULL);
  pthread_cond_init(&host->jobs_wake, NULL);
  if (open_parts(host)) return host;
  snprintf(error, error_size, "%s", host->error);
  pn_host_destroy(host);
  return NULL;
}

static void free_parked(struct pn_parked *list) {
  for (struct pn_parked *next; list; list = next) next = list->next, free(list);
}

/* After a failure pairs may still be parked. The threads have ended. */
static void free_all_parked(struct pn_net *net) {
  for (unsigned p = 0; p < net->partitions; ++p) {
    const struct pn_slab *slab = &net->partition[p].slab[PN_CLASS_ASY];
    for (uint64_t i = 0; i < slab->next; ++i) {
      uintptr_t waiters = atomic_load(&((struct pn_asy *)pn_slab_at(slab, i))->waiters);
      bool used = slab->bitmap[i >> 6] >> (i & 63) & 1;
      if (used && waiters != PN_ASY_DONE) free_parked((struct pn_parked *)waiters);
    }
  }
}

void pn_host_destroy(struct pn_host *host) {
  for (unsigned i = 0; host->worker && i < host->options.workers; ++i) pn_worker_close(&host->worker[i]);
  free(host->worker);
  if (host->net) free_all_parked(host->net);
  pn_net_destroy(host->net);
  if (host->mutator) varve_detach(host->mutator);
  if (host->heap) varve_heap_destroy(host->heap);
  free(host->literal);
  free(host->helper);
  free_parked(host->injected);
  pthread_mutex_destroy(&host->lock);
  pthread_cond_destroy(&host->wake);
  pthread_cond_destroy(&host->jobs_wake);
  free(host);
}

/* ---- running ----------------------------------------------------------------------------------------------- */

/* The creator acts as worker 0 for a moment: it owns partition 0 until the threads start. */
static bool call_root(struct pn_host *host, uint64_t def) {
  struct pn_worker *w = &host->worker[0];
  w->mutator = host->mutator;
  bool prepared = pn_worker_prepare(w);
  if (prepared) {
    host->root = pn_wire_new(w);
    ++w->rule[PN_RULE_CALL];
    pn_link(w, pn_call(w, def), host->root);
  }
  w->mutator = NULL;
  return prepared;
}

static bool start_threads(struct pn_host *host) {
  for (unsigned i = 0; i < host->options.workers; ++i) {
    struct pn_worker *w = &host->worker[i];
    w->started = pthread_create(&w->thread, NULL, pn_worker_main, w) == 0;
    if (!w->started) return pn_host_fail(host, "thread %u of the pool cannot be started", i), false;
  }
  if (pn_helpers_start(host)) return true;
  pn_host_fail(host, "a thread beside the pool cannot be started");
  return false;
}

static void join_threads(struct pn_host *host) {
  for (unsigned i = 0; i < host->options.workers; ++i)
    if (host->worker[i].started) pthread_join(host->worker[i].thread, NULL), host->worker[i].started = false;
  pn_helpers_stop(host);
  free(host->helper);
  host->helper = NULL;
}

/* Native state while the pool works: collections do not wait for this thread. */
static void run_pool(struct pn_host *host) {
  atomic_store(&host->stop, false);
  host->jobs_closed = false;
  varve_native_enter(host->mutator);
  start_threads(host);
  join_threads(host);
  varve_native_leave(host->mutator);
}

/* A definition at the root is called, and the pool runs again. */
bool pn_host_run(struct pn_host *host) {
  for (uint64_t def = host->book->main;;) {
    if (!call_root(host, def)) return false;
    run_pool(host);
    if (host->failed) return false;
    pn_port root = atomic_load(pn_wire_at(&host->worker[0], host->root));
    if (pn_type_of(root) != PN_DEF) return true;
    def = pn_payload(root);
  }
}

void pn_rules_sum(const struct pn_host *host, uint64_t rule[PN_RULES]) {
  for (unsigned r = 0; r < PN_RULES; ++r) {
    rule[r] = 0;
    for (unsigned i = 0; i < host->options.workers; ++i) rule[r] += host->worker[i].rule[r];
  }
}
