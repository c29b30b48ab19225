/* SPDX-License-Identifier: MIT */
/* report.c -- figures as a table, as JSON, and against their targets. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

#define LINES_MAX 96u
#define TEXTS 16u
#define QUICK_NS UINT64_C(38000000000) /* after so long a quick run hurries */
#define GROUP_NS UINT64_C(5000000000)  /* the same within one benchmark */

static char lines[LINES_MAX][240]; /* of targets, printed together at the end */
static unsigned line_count;

uint64_t bench_pick(const struct bench *bench, uint64_t tiny, uint64_t quick, uint64_t full) {
  return bench->scale == SCALE_TINY ? tiny : bench->scale == SCALE_QUICK ? quick : full;
}

bool bench_again(const struct bench *bench, unsigned done, unsigned tiny, unsigned quick, unsigned full) {
  uint64_t now = now_ns();
  bool late = now - bench->began > QUICK_NS || now - bench->group_began > GROUP_NS;
  if (bench->scale == SCALE_QUICK && late) quick = quick < 2 ? quick : 2;
  return done < bench_pick(bench, tiny, quick, full);
}

const char *bench_text(const char *format, ...) {
  static char texts[TEXTS][128];
  static unsigned next;
  char *text = texts[next++ % TEXTS];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof texts[0], format, args);
  va_end(args);
  return text;
}

const char *bench_size(uint64_t bytes) {
  if (bytes % (1u << 20) == 0) return bench_text("%llu MiB", (unsigned long long)bytes >> 20);
  if (bytes % (1u << 10) == 0) return bench_text("%llu KiB", (unsigned long long)bytes >> 10);
  return bench_text("%llu B", (unsigned long long)bytes);
}

/* ---- one figure ---- */

static bool is_ratio(const struct figure *f) { return f->judge == AT_MOST_TIMES || f->judge == AT_LEAST_TIMES; }
static bool is_most(const struct figure *f) { return f->judge == AT_MOST || f->judge == AT_MOST_TIMES; }

static double ratio_of(const struct figure *f) {
  struct series ratio;
  if (!f->limit) return 0;
  series_divide(&ratio, f->measured, f->limit);
  return series_median(&ratio);
}

static double low(const struct series *series) { return series_percentile(series, 0); }
static double high(const struct series *series) { return series_percentile(series, 100); }

static void print_json(const struct bench *bench, const struct figure *f) {
  printf("{\"bench\":\"%s\",\"what\":\"%s\",\"unit\":\"%s\",\"value\":%.6g,\"min\":%.6g,\"max\":%.6g,\"samples\":%u",
         bench->group, f->what, f->unit, series_median(f->measured), low(f->measured), high(f->measured),
         f->measured->count);
  if (f->limit)
    printf(",\"limit_name\":\"%s\",\"limit\":%.6g,\"ratio\":%.6g", f->limit_name, series_median(f->limit), ratio_of(f));
  if (f->judge) printf(",\"must\":%.6g,\"reach\":%.6g,\"sense\":\"%s\"", f->must, f->reach, is_most(f) ? "<=" : ">=");
  printf("}\n");
}

static const char *limit_text(const struct figure *f) {
  return f->limit ? bench_text("%.4g %s", series_median(f->limit), f->limit_name) : "-";
}

static void print_row(const struct figure *f) {
  const char *ratio = f->limit ? bench_text("%.2fx", ratio_of(f)) : "";
  const char *spread = bench_text("(%.3g..%.3g)", low(f->measured), high(f->measured));
  printf("  %-46s %9.4g %-5s %-18s %-34s %s\n", f->what, series_median(f->measured), f->unit, spread, limit_text(f),
         ratio);
}

/* ---- targets ---- */

static bool is_met(const struct figure *f, double bound) {
  double value = is_ratio(f) ? ratio_of(f) : series_median(f->measured);
  return is_most(f) ? value <= bound : value >= bound;
}

static void note_target(struct bench *bench, const struct figure *f, bool must) {
  double bound = must ? f->must : f->reach;
  bool met = is_met(f, bound);
  const char *spread = bench_text("(%.3g..%.3g)", low(f->measured), high(f->measured));
  const char *value = bench_text("%.4g %s", series_median(f->measured), f->unit);
  const char *limit = f->limit ? bench_text("limit %s (%.2fx)", limit_text(f), ratio_of(f)) : "limit -";
  const char *demand = bench_text("%s %.4g%s%s", is_most(f) ? "<=" : ">=", bound, is_ratio(f) ? "x" : " ",
                                  is_ratio(f) ? "" : f->unit);
  if (must && !met) ++bench->missed;
  if (line_count == LINES_MAX) die("more than %u lines of targets", LINES_MAX);
  snprintf(lines[line_count++], sizeof lines[0], "%-5s %-44s %-14s %-18s %-46s %-14s %s", must ? "MUST" : "REACH",
           f->what, value, spread, limit, demand, met ? "MET" : "MISSED");
  if (bench->json)
    printf("{\"target\":\"%s\",\"bench\":\"%s\",\"what\":\"%s\",\"bound\":%.6g,\"met\":%s}\n", must ? "MUST" : "REACH",
           bench->group, f->what, bound, met ? "true" : "false");
}

void bench_report(struct bench *bench, const struct figure *figure) {
  if (bench->json) print_json(bench, figure);
  else print_row(figure);
  if (figure->judge) {
    note_target(bench, figure, true);
    note_target(bench, figure, false);
  }
  fflush(stdout);
}

void bench_print_targets(const struct bench *bench) {
  if (bench->json) return;
  if (line_count) printf("\n");
  for (unsigned i = 0; i < line_count; ++i) printf("%s\n", lines[i]);
}
