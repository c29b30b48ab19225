/* SPDX-License-Identifier: MIT */
/* units.c -- unit nets: one line each, "net text => result, interactions"; '#' in column one begins a comment.
 * The text stands behind "@main = "; further definitions may follow in the same line. */
#include "run.h"

struct unit {
  char text[1024], result[512];
  unsigned long long interactions;
};

static bool read_unit(char *line, struct unit *unit) {
  char *arrow = strstr(line, "=>"), *comma = arrow ? strrchr(arrow, ',') : NULL;
  if (line[0] == '#' || !comma || sscanf(comma + 1, "%llu", &unit->interactions) != 1) return false;
  *arrow = *comma = 0;
  for (arrow += 2; *arrow == ' '; ++arrow) {}
  snprintf(unit->text, sizeof unit->text, "@main = %.1000s", line);
  snprintf(unit->result, sizeof unit->result, "%.500s", arrow);
  return true;
}

static bool unit_is_right(const struct pn_settings *settings, const struct unit *unit) {
  struct pn_parse_error parse_error = {{0}};
  char error[512] = "";
  struct pn_report report = {0};
  struct pn_text result = {0};
  struct pn_book *book = pn_book_parse("unit", unit->text, strlen(unit->text), &parse_error);
  bool done = book && pn_run_book(settings, book, "unit", "heap-max=4m", &report, &result, error, sizeof error);
  bool right = done && strcmp(result.bytes, unit->result) == 0 && report.interactions == unit->interactions;
  if (!right)
    printf("WRONG: %s\n  wanted %s, %llu; got %s, %llu %s%s\n", unit->text, unit->result, unit->interactions,
           result.bytes ? result.bytes : "nothing", (unsigned long long)report.interactions, parse_error.text, error);
  pn_text_free(&result);
  pn_book_free(book);
  return right;
}

unsigned pn_run_units(const struct pn_settings *settings, const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) return fprintf(stderr, "%s: cannot be read\n", path), 1;
  char line[2048];
  struct unit unit;
  unsigned count = 0, wrong = 0;
  double since = pn_now();
  while (fgets(line, sizeof line, file))
    if (read_unit(line, &unit)) ++count, wrong += !unit_is_right(settings, &unit);
  fclose(file);
  printf("%u unit nets, %u wrong, %.2f s\n", count, wrong, pn_now() - since);
  return wrong + (count == 0);
}
