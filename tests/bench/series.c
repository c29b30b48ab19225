/* SPDX-License-Identifier: MIT */
/* series.c -- samples, their percentiles and ratios. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

void series_add(struct series *series, double value) {
  if (series->count < SERIES_MAX) series->value[series->count++] = value;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double series_percentile(const struct series *series, double percent) {
  double sorted[SERIES_MAX];
  if (!series->count) return 0;
  memcpy(sorted, series->value, series->count * sizeof *sorted);
  qsort(sorted, series->count, sizeof *sorted, compare);
  double place = percent / 100 * (series->count - 1);
  unsigned low = (unsigned)place, high = low + 1 < series->count ? low + 1 : low;
  return sorted[low] + (sorted[high] - sorted[low]) * (place - low);
}

double series_median(const struct series *series) { return series_percentile(series, 50); }

void series_divide(struct series *out, const struct series *a, const struct series *b) {
  out->count = 0;
  for (unsigned i = 0; i < a->count && i < b->count; ++i)
    series_add(out, b->value[i] != 0 ? a->value[i] / b->value[i] : 0);
}
