/* SPDX-License-Identifier: MIT */
/* report.h -- figures of a run: gathered from the collector's statistics, shown as one row of a table. */
#ifndef PN_REPORT_H
#define PN_REPORT_H

#include <stdio.h>

#include "host.h"

struct pn_report {
  const char *name;
  const char *verdict; /* "right", "WRONG", "failed", "unchecked" */
  double seconds;
  uint64_t interactions, rule[PN_RULES];
  uint64_t live_max; /* bytes after a collection, the most */
  uint64_t emergencies;
  varve_heap_stats heap;
};

/** For varve_options.on_collection, with the report as context. The world is stopped: it only adds up. */
void pn_report_collection(void *report, const varve_collection_stats *stats);

void pn_report_take(struct pn_report *report, struct pn_host *host, double seconds);
void pn_report_row(FILE *out, const struct pn_report *report);
/** The counts of each rule. */
void pn_report_rules(FILE *out, const struct pn_report *report);

double pn_now(void);

/** A thread that writes a line to stderr about a run, twice a second, until it is stopped. */
struct pn_progress {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  bool running, stop;
  struct pn_host *host;
  const char *name;
};
void pn_progress_start(struct pn_progress *progress, struct pn_host *host, const char *name);
void pn_progress_stop(struct pn_progress *progress);

#endif
