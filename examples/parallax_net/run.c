/* SPDX-License-Identifier: MIT */
/* run.c -- see run.h. */
#include "run.h"

#include "readback.h"

bool pn_settings_heap(const struct pn_settings *settings, const char *program_heap, varve_options *out, char *error,
                      size_t error_size) {
  char text[1200];
  varve_error problem = {0};
  *out = settings->run.heap;
  snprintf(text, sizeof text, "%s%s%s", program_heap, settings->heap_text[0] ? "," : "",
           settings->heap_text);
  varve_status status = varve_options_parse(out, text, &problem);
  if (status != VARVE_OK) snprintf(error, error_size, "%s: %s", varve_status_sentence(status), problem.detail);
  return status == VARVE_OK;
}

static bool run_host(const struct pn_settings *settings, struct pn_host *host, struct pn_report *report,
                     struct pn_text *result, char *error, size_t error_size) {
  struct pn_progress progress;
  if (settings->progress) pn_progress_start(&progress, host, report->name);
  double since = pn_now();
  bool done = pn_host_run(host);
  double seconds = pn_now() - since;
  if (settings->progress) pn_progress_stop(&progress);
  pn_report_take(report, host, seconds);
  if (!done) return snprintf(error, error_size, "%s", host->error), false;
  if (pn_readback(host, result)) return true;
  snprintf(error, error_size, "no host memory is left for the text of the result");
  return false;
}

bool pn_run_book(const struct pn_settings *settings, const struct pn_book *book, const char *name,
                 const char *program_heap, struct pn_report *report, struct pn_text *result, char *error,
                 size_t error_size) {
  struct pn_run_options options = settings->run;
  *report = (struct pn_report){.name = name, .verdict = "failed"};
  if (!pn_settings_heap(settings, program_heap, &options.heap, error, error_size)) return false;
  options.heap.on_collection = pn_report_collection;
  options.heap.context = report;
  struct pn_host *host = pn_host_create(book, &options, error, error_size);
  if (!host) return false;
  bool done = run_host(settings, host, report, result, error, error_size);
  pn_host_destroy(host);
  return done;
}
