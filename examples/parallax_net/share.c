/* SPDX-License-Identifier: MIT */
/* share.c -- how work gets from worker to worker, how idle workers sleep, and how the run ends.
 *
 * A worker keeps its redexes to itself and offers some only when somebody is hungry: between two batches it moves the
 * oldest half (at most what its offer holds) into its offer. A hungry worker takes half of an offer. So reduction
 * itself touches no shared queue.
 *
 * No wake-up is lost: a worker counts itself in `sleepers` and then looks at all offers once more before it waits;
 * a worker that offers looks at `sleepers` after it has raised its offer's count. Both are sequentially consistent, so
 * one of the two sees the other. An offer is always taken back by its owner before that falls asleep; so when all
 * sleep, no redex is left anywhere but in parked pairs, and `pending` counts what those wait for.
 */
#include "host.h"

#define SPIN 200 /* rounds of looking everywhere before a worker sleeps */

static void wake_one(struct pn_host *host) {
  pthread_mutex_lock(&host->lock);
  pthread_cond_signal(&host->wake);
  pthread_mutex_unlock(&host->lock);
}

/* ---- offering ---------------------------------------------------------------------------------------------- */

static void fill_offer(struct pn_worker *w) {
  struct pn_offer *offer = &w->offer;
  uint32_t half = (uint32_t)(pn_deque_count(&w->deque) / 2), most = sizeof offer->redex / sizeof *offer->redex;
  if (pn_deque_count(&w->deque) / 2 > most) half = most;
  pthread_mutex_lock(&offer->lock);
  for (uint32_t i = 0; i < half; ++i) offer->redex[i] = pn_deque_pop_oldest(&w->deque);
  atomic_store(&offer->count, half);
  pthread_mutex_unlock(&offer->lock);
}

void pn_share(struct pn_worker *w) {
  bool empty = atomic_load_explicit(&w->offer.count, memory_order_relaxed) == 0;
  if (empty && pn_deque_count(&w->deque) >= 2) fill_offer(w), empty = false;
  if (!empty && atomic_load(&w->host->sleepers)) wake_one(w->host);
}

/* ---- taking ------------------------------------------------------------------------------------------------ */

/* Half of a foreign offer, the oldest first; all of one's own. The deque has room for a whole offer (worker.c). */
static bool take_offer(struct pn_worker *w, struct pn_offer *offer) {
  if (atomic_load(&offer->count) == 0) return false;
  pthread_mutex_lock(&offer->lock);
  uint32_t count = atomic_load_explicit(&offer->count, memory_order_relaxed);
  uint32_t taken = offer == &w->offer ? count : (count + 1) / 2, rest = count - taken;
  for (uint32_t i = 0; i < taken; ++i) pn_deque_push(&w->deque, offer->redex[i].a, offer->redex[i].b);
  for (uint32_t i = 0; i < rest; ++i) offer->redex[i] = offer->redex[taken + i];
  atomic_store(&offer->count, rest);
  pthread_mutex_unlock(&offer->lock);
  return taken > 0;
}

static bool steal(struct pn_worker *w) {
  struct pn_host *host = w->host;
  unsigned workers = host->options.workers;
  for (unsigned i = 1; i < workers; ++i)
    if (take_offer(w, &host->worker[(w->partition + i) % workers].offer)) return true;
  return false;
}

/* Under the lock. The list is as long as it is: the deque grows here. */
static bool take_injected_locked(struct pn_worker *w) {
  struct pn_host *host = w->host;
  while (host->injected && pn_deque_reserve(&w->deque, 1 + w->redex_room)) {
    struct pn_parked *parked = host->injected;
    host->injected = parked->next;
    pn_deque_push(&w->deque, parked->asy, parked->other);
    free(parked);
  }
  atomic_store_explicit(&host->has_injected, host->injected != NULL, memory_order_relaxed);
  return pn_deque_count(&w->deque) > 0;
}

static bool take_injected(struct pn_worker *w) {
  if (!atomic_load_explicit(&w->host->has_injected, memory_order_relaxed)) return false;
  pthread_mutex_lock(&w->host->lock);
  bool taken = take_injected_locked(w), left = w->host->injected != NULL;
  pthread_mutex_unlock(&w->host->lock);
  if (left) pn_host_fail(w->host, "no host memory is left for redexes");
  return taken;
}

void pn_inject(struct pn_host *host, struct pn_parked *list) {
  struct pn_parked *last = list;
  while (last && last->next) last = last->next;
  pthread_mutex_lock(&host->lock);
  if (last) last->next = host->injected, host->injected = list;
  atomic_store_explicit(&host->has_injected, host->injected != NULL, memory_order_relaxed);
  --host->pending;
  pthread_cond_broadcast(&host->wake); /* also when the list is empty: it may have been the last pending work */
  pthread_mutex_unlock(&host->lock);
}

/* ---- sleeping and the end ---------------------------------------------------------------------------------- */

void pn_stop(struct pn_host *host) {
  pthread_mutex_lock(&host->lock);
  atomic_store(&host->stop, true);
  pthread_cond_broadcast(&host->wake);
  pthread_cond_broadcast(&host->jobs_wake);
  pthread_mutex_unlock(&host->lock);
}

static bool somebody_offers(const struct pn_host *host) {
  for (unsigned i = 0; i < host->options.workers; ++i)
    if (atomic_load(&host->worker[i].offer.count)) return true;
  return false;
}

/* Under the lock, in native state. */
static void sleep_locked(struct pn_worker *w) {
  struct pn_host *host = w->host;
  ++host->asleep;
  atomic_store(&host->sleepers, host->asleep);
  if (host->asleep == host->options.workers && host->pending == 0 && !host->injected) {
    atomic_store(&host->stop, true);
    pthread_cond_broadcast(&host->wake);
  }
  if (!atomic_load(&host->stop) && !host->injected && !somebody_offers(host))
    pthread_cond_wait(&host->wake, &host->lock);
  --host->asleep;
  atomic_store(&host->sleepers, host->asleep);
}

/* Native state, so that collections do not wait for this worker. */
static void sleep_native(struct pn_worker *w) {
  pn_send_home(w);
  varve_native_enter(w->mutator);
  pthread_mutex_lock(&w->host->lock);
  sleep_locked(w);
  pthread_mutex_unlock(&w->host->lock);
  varve_native_leave(w->mutator);
}

static void pause_cpu(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

static bool look_everywhere(struct pn_worker *w) {
  for (unsigned round = 0; round < SPIN; ++round) {
    if (take_injected(w) || steal(w)) return true;
    if (atomic_load_explicit(&w->host->stop, memory_order_relaxed)) return false;
    varve_poll(w->mutator);
    for (unsigned i = 0; i < 32; ++i) pause_cpu();
  }
  return false;
}

bool pn_find_work(struct pn_worker *w) {
  if (take_offer(w, &w->offer)) return true;
  struct pn_host *host = w->host;
  atomic_fetch_add(&host->hungry, 1);
  bool found = false;
  while (!found && !atomic_load(&host->stop)) {
    found = look_everywhere(w);
    if (!found && !atomic_load(&host->stop)) sleep_native(w);
  }
  atomic_fetch_sub(&host->hungry, 1);
  return found;
}
