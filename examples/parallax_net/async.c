/* SPDX-License-Identifier: MIT */
/* async.c -- helpers: attached, unpinned threads that run slow natives beside the pool and fulfil ASY nodes.
 *
 * A job is an ASY node whose word is a saturated closure. A helper copies the closure's items to a frame, runs the
 * native, stores the result in the word, marks the node done and gives the parked pairs back to the pool.
 *
 * Between jobs, and while a native sleeps or reads a file, a helper is in native state; otherwise it runs as any
 * mutator does: so pinned workers and unpinned threads meet in every collection.
 */
#include "host.h"

bool pn_job_submit(struct pn_host *host, pn_port asy) {
  struct pn_job *job = malloc(sizeof *job);
  if (!job) return false;
  *job = (struct pn_job){NULL, asy};
  pthread_mutex_lock(&host->lock);
  *host->jobs_end = job;
  host->jobs_end = &job->next;
  ++host->pending;
  pthread_cond_signal(&host->jobs_wake);
  pthread_mutex_unlock(&host->lock);
  return true;
}

static struct pn_job *wait_locked(struct pn_host *host) {
  while (!host->jobs && !host->jobs_closed && !atomic_load(&host->stop))
    pthread_cond_wait(&host->jobs_wake, &host->lock);
  struct pn_job *job = atomic_load(&host->stop) ? NULL : host->jobs;
  if (!job) return NULL;
  host->jobs = job->next;
  if (!host->jobs) host->jobs_end = &host->jobs;
  return job;
}

static struct pn_job *next_job(struct pn_host *host, varve_mutator *mutator) {
  varve_native_enter(mutator);
  pthread_mutex_lock(&host->lock);
  struct pn_job *job = wait_locked(host);
  pthread_mutex_unlock(&host->lock);
  varve_native_leave(mutator);
  return job;
}

static bool call_native(struct pn_host *host, varve_mutator *mutator, struct pn_asy *asy, varve_refs *words) {
  VARVE_FRAME_ARRAY(frame, mutator, PN_ARITY_MAX + PN_TEMPORARIES);
  const struct pn_closure *closure = pn_as_closure(varve_ref_load(&asy->word));
  const struct pn_native *native = &pn_natives[closure->native];
  for (uint32_t i = 0; i < closure->count; ++i) frame.slot[i] = closure->item[i];
  struct pn_call call = {.mutator = mutator, .arg = frame.slot, .may_block = true};
  varve_word result = pn_native_run(host, native, &call);
  if (result) varve_ref_store(mutator, words, &asy->word, result);
  return result != 0;
}

/* The job's own use of the node: as pn_asy_release, from a thread that owns no partition. */
static void release(struct pn_host *host, struct pn_asy *asy, pn_port port) {
  if (atomic_fetch_sub_explicit(&asy->users, 1, memory_order_acq_rel) != 1) return;
  struct pn_slab *slab = &host->net->partition[pn_partition_of(port)].slab[PN_CLASS_ASY];
  pn_slab_send_home(slab, pn_index_of(port), pn_index_of(port));
}

static void run_job(struct pn_host *host, varve_mutator *mutator, pn_port port) {
  struct pn_asy *asy = pn_address(host->net->base[PN_CLASS_ASY], sizeof *asy, port);
  varve_refs *words = host->net->partition[pn_partition_of(port)].slab[PN_CLASS_ASY].refs;
  if (!call_native(host, mutator, asy, words)) return; /* the run has failed: nobody waits any more */
  /* Release: the result is in the word. Acquire: the parked pairs are seen whole. Pairs with park() in apply.c. */
  uintptr_t waiters = atomic_exchange_explicit(&asy->waiters, PN_ASY_DONE, memory_order_acq_rel);
  release(host, asy, port);
  pn_inject(host, (struct pn_parked *)waiters);
}

static void *helper_main(void *argument) {
  struct pn_host *host = argument;
  varve_mutator *mutator;
  if (varve_attach(host->heap, "helper", &mutator, NULL) != VARVE_OK)
    return pn_host_fail(host, "a helper cannot attach to the heap"), NULL;
  for (struct pn_job *job; (job = next_job(host, mutator));) {
    run_job(host, mutator, job->asy);
    free(job);
  }
  varve_detach(mutator);
  return NULL;
}

bool pn_helpers_start(struct pn_host *host) {
  host->helper = calloc(host->options.helpers + 1, sizeof *host->helper);
  if (!host->helper) return false;
  for (; host->helpers_started < host->options.helpers; ++host->helpers_started)
    if (pthread_create(&host->helper[host->helpers_started], NULL, helper_main, host) != 0) return false;
  return true;
}

/* After the workers: jobs that nobody asked for any more are dropped. */
void pn_helpers_stop(struct pn_host *host) {
  pthread_mutex_lock(&host->lock);
  host->jobs_closed = true;
  pthread_cond_broadcast(&host->jobs_wake);
  pthread_mutex_unlock(&host->lock);
  for (unsigned i = 0; i < host->helpers_started; ++i) pthread_join(host->helper[i], NULL);
  host->helpers_started = 0;
  for (struct pn_job *job = host->jobs, *next; job; job = next) next = job->next, free(job);
  host->jobs = NULL;
}
