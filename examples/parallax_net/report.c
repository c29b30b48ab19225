/* SPDX-License-Identifier: MIT */
/* report.c -- see report.h. Pauses and times to stop come from the heap's histograms, within 12.5 % of the truth. */
#include "report.h"

#include <string.h>
#include <time.h>

double pn_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void pn_report_collection(void *context, const varve_collection_stats *stats) {
  struct pn_report *report = context;
  if (stats->live_after > report->live_max) report->live_max = stats->live_after;
  report->emergencies += stats->emergency;
}

void pn_report_take(struct pn_report *report, struct pn_host *host, double seconds) {
  report->seconds = seconds;
  pn_rules_sum(host, report->rule);
  report->interactions = 0;
  for (unsigned i = 0; i < PN_RULES; ++i) report->interactions += report->rule[i];
  varve_heap_stats_get(host->heap, &report->heap);
}

static const char *bytes_text(char buffer[16], uint64_t bytes) {
  static const char units[] = "BKMGT";
  unsigned unit = 0;
  double value = (double)bytes;
  while (value >= 1024 && units[unit + 1]) value /= 1024, ++unit;
  snprintf(buffer, 16, unit && value < 10 ? "%.1f%c" : "%.0f%c", value, units[unit]);
  return buffer;
}

static const char *time_text(char buffer[16], uint64_t ns) {
  if (ns < 10000) snprintf(buffer, 16, "%.1fus", (double)ns * 1e-3);
  else if (ns < 1000000) snprintf(buffer, 16, "%.0fus", (double)ns * 1e-3);
  else snprintf(buffer, 16, "%.1fms", (double)ns * 1e-6);
  return buffer;
}

static void print_heading(FILE *out) {
  fprintf(out, "%-13s %-9s %7s %11s %7s %6s | %7s %7s %7s | %7s %7s | %6s %6s %6s\n", "program", "result", "wall s",
          "interact.", "M/s", "GCs", "pause50", "p99", "max", "stop50", "max", "alloc", "live", "moved");
}

/* The heading comes with the first row. */
void pn_report_row(FILE *out, const struct pn_report *report) {
  static bool headed;
  char b[8][16];
  if (!headed) print_heading(out);
  headed = true;
  const varve_heap_stats *heap = &report->heap;
  fprintf(out, "%-13s %-9s %7.2f %11llu %7.1f %6llu | %7s %7s %7s | %7s %7s | %6s %6s %6s\n", report->name,
          report->verdict, report->seconds, (unsigned long long)report->interactions,
          report->seconds > 0 ? (double)report->interactions / report->seconds * 1e-6 : 0.0,
          (unsigned long long)heap->collections, time_text(b[0], varve_stats_percentile(heap->pauses, 50)),
          time_text(b[1], varve_stats_percentile(heap->pauses, 99)), time_text(b[2], heap->pause_ns_max),
          time_text(b[3], varve_stats_percentile(heap->stops, 50)), time_text(b[4], heap->stop_ns_max),
          bytes_text(b[5], heap->bytes_allocated), bytes_text(b[6], report->live_max),
          bytes_text(b[7], heap->bytes_moved));
}

void pn_report_rules(FILE *out, const struct pn_report *report) {
  static const char *const names[PN_RULES] = {"CALL", "VOID", "ERAS", "ANNI", "COMM", "OPER", "SWIT", "APPL", "EXEC"};
  fprintf(out, "  rules:");
  for (unsigned i = 0; i < PN_RULES; ++i) fprintf(out, " %s %llu", names[i], (unsigned long long)report->rule[i]);
  fputc('\n', out);
}

/* ---- progress ----------------------------------------------------------------------------------------------- */

static void progress_line(const struct pn_progress *progress, double since) {
  varve_heap_stats heap;
  varve_heap_stats_get(progress->host->heap, &heap);
  double millions = (double)atomic_load_explicit(&progress->host->interactions, memory_order_relaxed) * 1e-6;
  double seconds = pn_now() - since;
  fprintf(stderr, "\r%-13s %6.1f s  %9.1f M interactions  %6.1f M/s  %llu collections\033[K", progress->name,
          seconds, millions, millions / seconds, (unsigned long long)heap.collections);
}

static void *progress_main(void *argument) {
  struct pn_progress *progress = argument;
  double since = pn_now();
  bool written = false;
  pthread_mutex_lock(&progress->lock);
  while (!progress->stop) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 500000000;
    if (until.tv_nsec >= 1000000000) ++until.tv_sec, until.tv_nsec -= 1000000000;
    pthread_cond_timedwait(&progress->wake, &progress->lock, &until);
    if (!progress->stop) progress_line(progress, since), written = true;
  }
  pthread_mutex_unlock(&progress->lock);
  if (written) fprintf(stderr, "\r\033[K");
  return NULL;
}

void pn_progress_start(struct pn_progress *progress, struct pn_host *host, const char *name) {
  *progress = (struct pn_progress){.host = host, .name = name};
  pthread_mutex_init(&progress->lock, NULL);
  pthread_cond_init(&progress->wake, NULL);
  progress->running = pthread_create(&progress->thread, NULL, progress_main, progress) == 0;
}

void pn_progress_stop(struct pn_progress *progress) {
  pthread_mutex_lock(&progress->lock);
  progress->stop = true;
  pthread_cond_signal(&progress->wake);
  pthread_mutex_unlock(&progress->lock);
  if (progress->running) pthread_join(progress->thread, NULL);
  pthread_mutex_destroy(&progress->lock);
  pthread_cond_destroy(&progress->wake);
}
