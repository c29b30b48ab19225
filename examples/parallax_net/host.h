/* SPDX-License-Identifier: MIT */
/* host.h -- one run of one program: the heap, the node memory, the pool, and what they share.
 *
 *   create  heap, layouts, node memory, literals        host.c
 *   run     start workers and helpers, wait, join       host.c, worker.c, async.c
 *   share   offers, stealing, sleeping, the end         share.c
 *   destroy
 *
 * States of a worker:
 *
 *     reducing --(no redex)--> searching --(spun in vain)--> asleep (native state, on `wake`)
 *        ^------(got some)--------'  ^------(woken)------------'
 *
 * The run is over when every worker is asleep, no host work is pending and nothing is injected (decided under
 * `lock` by the last to fall asleep), or when `stop` is set by a failure.
 */
#ifndef PN_HOST_H
#define PN_HOST_H

#include "native.h"
#include "worker.h"

/** A redex that waits for host work, or one that comes back from it. Allocated by malloc. */
struct pn_parked {
  struct pn_parked *next;
  pn_port asy, other;
};

/** A call for the threads beside the pool. */
struct pn_job {
  struct pn_job *next;
  pn_port asy;
};

struct pn_run_options {
  unsigned workers, helpers; /* helpers: attached threads beside the pool; 0: slow natives run in the pool */
  enum pn_order order;
  uint64_t seed;
  uint64_t memory_limit; /* of nodes, bytes */
  bool pin;
  unsigned collect_every; /* batches of a worker between two collections that it asks for; 0: none */
  varve_options heap;
};

struct pn_host {
  varve_heap *heap;
  varve_mutator *mutator; /* of the thread that created the host */
  struct pn_layouts layouts;
  struct pn_net *net;
  const struct pn_book *book;
  varve_refs *literal_slab;
  varve_word **literal; /* per literal of the book: its Ref word */
  pn_port root;         /* the wire cell of main's root end */
  struct pn_worker *worker;
  struct pn_run_options options;

  pthread_mutex_t lock; /* rank 2: never taken before an offer's lock is given back */
  pthread_cond_t wake;  /* for workers */
  pthread_cond_t jobs_wake; /* for helpers */
  unsigned asleep;          /* under lock */
  _Atomic uint32_t sleepers;  /* = asleep, read without the lock by those who might wake somebody */
  _Atomic uint32_t hungry;  /* workers that search or sleep: a reason to offer */
  uint64_t pending;         /* host work not yet done; under lock */
  struct pn_parked *injected; /* redexes that came back; under lock */
  struct pn_job *jobs, **jobs_end; /* under lock */
  bool jobs_closed;
  _Atomic bool has_injected;
  _Atomic bool stop;
  bool failed; /* under lock */
  char error[512];
  pthread_t *helper;
  unsigned helpers_started;
  _Atomic uint64_t interactions; /* published now and then, for the progress line */
};

/** Create a host for a book; the calling thread becomes a mutator of its heap.
 * @return NULL on failure, with the message in `error`. */
struct pn_host *pn_host_create(const struct pn_book *book, const struct pn_run_options *options, char *error,
                               size_t error_size);
/** Reduce @main to normal form. @return false when the run failed; host->error says why. */
bool pn_host_run(struct pn_host *host);
void pn_host_destroy(struct pn_host *host);

void pn_rules_sum(const struct pn_host *host, uint64_t rule[PN_RULES]);

/* worker.c */
bool pn_worker_open(struct pn_host *host, unsigned partition);
void pn_worker_close(struct pn_worker *w);
void *pn_worker_main(void *worker);
bool pn_worker_prepare(struct pn_worker *w);

/* share.c: work between workers */
void pn_share(struct pn_worker *w);
/** Get redexes from anywhere. @return false when the run is over. The worker holds no heap word. */
bool pn_find_work(struct pn_worker *w);
void pn_inject(struct pn_host *host, struct pn_parked *list);
void pn_stop(struct pn_host *host);

/* async.c: host work beside the pool */
bool pn_helpers_start(struct pn_host *host);
void pn_helpers_stop(struct pn_host *host);
bool pn_job_submit(struct pn_host *host, pn_port asy);

/* pin.c: where threads and node memory go */
void pn_pin_worker(struct pn_worker *w);

/** Run a native on words that are in the frame slots of `call`; failures go to the host. 0 then. */
varve_word pn_native_run(struct pn_host *host, const struct pn_native *native, struct pn_call *call);

#endif
