/* SPDX-License-Identifier: MIT */
/* picture.c -- the machine as a heap sees it, as text of at most a hundred columns in plain ASCII.
 *
 * Idea       One table of nodes, one of what the heap has on them, the distances, then what was found out, a line each.
 *            Nodes and processors have the system's numbers. Text goes to a page that breaks lines between words.
 * Invariants No line is longer than COLUMNS, whatever the machine; a page in the making is on the stack.
 * Called by  hosts, on any thread; reads what is constant in a topology, and figures by relaxed loads.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/heap.h"
#include "core/options.h"

#define COLUMNS 100
#define BAR 32
#define MATRIX_NODES 20 /* more are listed by distance instead */

struct page {
  void (*line)(void *context, const char *text);
  void *context;
  const struct varve_topology *t;
  char text[COLUMNS + 1];
  size_t used;
};

/* ---- text ---------------------------------------------------------------------------------------------------- */

static void end_line(struct page *p) {
  while (p->used > 0 && p->text[p->used - 1] == ' ') p->used--;
  p->text[p->used] = 0;
  p->line(p->context, p->text);
  p->used = 0;
}

/* What is too long for the line is cut. */
static void put(struct page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct page *p, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(p->text + p->used, sizeof p->text - p->used, format, arguments);
  va_end(arguments);
  if (length > 0) p->used += (size_t)length;
  if (p->used > COLUMNS) p->used = COLUMNS;
}

static void fill_to(struct page *p, size_t column) {
  while (p->used < column && p->used < COLUMNS) p->text[p->used++] = ' ';
}

/* A word that must not be parted; one that does not fit starts a line, at column `margin`. */
static void put_word(struct page *p, size_t margin, const char *word) {
  if (p->used > margin && p->used + strlen(word) > COLUMNS) end_line(p), fill_to(p, margin);
  put(p, "%s", word);
}

static int by_value(const void *a, const void *b) {
  unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
  return x < y ? -1 : x > y;
}

/* How many of the sorted numbers, from the first on, are equally far from each other. */
static unsigned run_length(const unsigned *numbers, unsigned count) {
  unsigned run = count < 2 ? count : 2;
  while (run > 1 && run < count && numbers[run] - numbers[run - 1] == numbers[1] - numbers[0]) run++;
  return run;
}

/* Numbers in order, as "0-3,8,16-22:2"; the last is every second one. Sorts them. */
static void put_numbers(struct page *p, size_t margin, unsigned *numbers, unsigned count) {
  /* cppcheck-suppress uninitvar ; it takes a count of 0 for a reading of the first */
  qsort(numbers, count, sizeof *numbers, by_value);
  for (unsigned i = 0, run; i < count; i += run) {
    run = run_length(numbers + i, count - i);
    unsigned step = run > 1 ? numbers[i + 1] - numbers[i] : 0, last = numbers[i + run - 1];
    char word[48], comma[2] = "";
    if (step > 1 && run < 4) run = 1;
    if (i + run < count) comma[0] = ',';
    if (run == 1) snprintf(word, sizeof word, "%u%s", numbers[i], comma);
    else if (step == 1) snprintf(word, sizeof word, "%u-%u%s", numbers[i], last, comma);
    else snprintf(word, sizeof word, "%u-%u:%u%s", numbers[i], last, step, comma);
    put_word(p, margin, word);
  }
}

struct size_text {
  char chars[32];
};

static struct size_text size_text(uint64_t bytes) {
  static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
  struct size_text text;
  double value = (double)bytes / 1024;
  unsigned unit = 0;
  for (; value >= 1000 && unit < 3; unit++) value /= 1024;
  snprintf(text.chars, sizeof text.chars, "%.1f %s", value, units[unit]);
  return text;
}

/* ---- the tables ---------------------------------------------------------------------------------------------- */

static void draw_node(struct page *p, unsigned index) {
  const struct varve_node *node = &p->t->nodes[index];
  unsigned numbers[VARVE__CPUS_MAX], count = 0;
  put(p, "%4u %11s %6u  ", node->os_index, size_text(node->memory_bytes).chars, node->cpu_count);
  size_t margin = p->used;
  for (unsigned i = 0; i < p->t->cpu_count; i++)
    if (p->t->cpus[i].node == index) numbers[count++] = p->t->cpus[i].os_index;
  if (node->last_resort) put(p, "(last resort)");
  else if (count == 0) put(p, "(none nearest to it)");
  put_numbers(p, margin, numbers, count);
  end_line(p);
}

static void draw_nodes(struct page *p) {
  put(p, "node      memory  cores  their processors");
  end_line(p);
  for (unsigned i = 0; i < p->t->node_count; i++) draw_node(p, i);
}

static void put_bar(struct page *p, uint64_t in_use, uint64_t committed, uint64_t most) {
  char bar[BAR + 1];
  for (unsigned i = 0; i < BAR; i++) {
    uint64_t middle = (2 * i + 1) * (most / (2 * BAR));
    bar[i] = (char)(middle < in_use ? '#' : middle < committed ? '=' : '.');
  }
  bar[BAR] = 0;
  put(p, "[%s]", bar);
}

static void put_percent(struct page *p, uint64_t part, uint64_t whole) {
  if (whole) put(p, "%7.0f %%", 100.0 * (double)part / (double)whole);
  else put(p, "%9s", "-");
}

static void draw_use(struct page *p, const varve_node_stats *s, uint64_t most) {
  put(p, "%4u  ", s->os_index);
  put_bar(p, s->bytes_in_use, s->bytes_committed, most);
  put(p, "%11s", size_text(s->bytes_in_use).chars);
  put(p, "%11s", size_text(s->bytes_committed).chars);
  put(p, "%11s%9llu", size_text(s->bytes_metadata).chars, (unsigned long long)s->regions_spilled);
  put_percent(p, s->sampled_local, s->sampled);
  put_percent(p, s->words_moved_local, s->words_moved);
  end_line(p);
}

static void draw_heap(struct page *p, const struct varve_heap *heap) {
  varve_node_stats s;
  uint64_t most = 1;
  for (uint32_t i = 0; varve_node_stats_get(heap, i, &s); i++)
    if (s.bytes_committed > most) most = s.bytes_committed;
  end_line(p);
  fill_to(p, 6 + BAR + 2);
  put(p, "%11s%11s%11s%9s%9s%9s", "", "", "", "regions", "locally", "locally");
  end_line(p);
  put(p, "node  # in use, = committed");
  fill_to(p, 6 + BAR + 2);
  put(p, "%11s%11s%11s%9s%9s%9s", "in use", "committed", "tables", "spilled", "marked", "copied");
  end_line(p);
  for (uint32_t i = 0; varve_node_stats_get(heap, i, &s); i++) draw_use(p, &s, most);
}

/* ---- distances ----------------------------------------------------------------------------------------------- */

static void draw_matrix(struct page *p) {
  const struct varve_topology *t = p->t;
  put(p, "distance  to");
  for (unsigned i = 0; i < t->node_count; i++) put(p, "%4u", t->nodes[i].os_index);
  end_line(p);
  for (unsigned i = 0; i < t->node_count; i++) {
    put(p, "%7s%5u", i == 0 ? "from" : "", t->nodes[i].os_index);
    for (unsigned j = 0; j < t->node_count; j++) put(p, "%4u", t->nodes[i].distance[j]);
    end_line(p);
  }
}

/* Are all nodes equally far from each other? */
static bool all_equal(const struct varve_topology *t) {
  for (unsigned i = 0; i < t->node_count; i++)
    for (unsigned j = 0; j < t->node_count; j++)
      if (i != j && t->nodes[i].distance[j] != t->nodes[0].distance[1]) return false;
  return true;
}

/* The least distance from `node` that is more than `than`; 0: there is none. */
static unsigned next_distance(const struct varve_topology *t, unsigned node, unsigned than) {
  unsigned least = 0;
  for (unsigned i = 0; i < t->node_count; i++) {
    unsigned d = t->nodes[node].distance[i];
    if (i != node && d > than && (least == 0 || d < least)) least = d;
  }
  return least;
}

static void draw_levels(struct page *p, unsigned from) {
  const struct varve_topology *t = p->t;
  put(p, "distance from%5u: ", t->nodes[from].os_index);
  size_t margin = p->used;
  for (unsigned d = next_distance(t, from, 0); d != 0; d = next_distance(t, from, d)) {
    unsigned numbers[VARVE__NODES_MAX], count = 0;
    char word[16];
    for (unsigned i = 0; i < t->node_count; i++)
      if (i != from && t->nodes[from].distance[i] == d) numbers[count++] = t->nodes[i].os_index;
    snprintf(word, sizeof word, "%u to ", d);
    put_word(p, margin, word);
    put_numbers(p, margin, numbers, count);
    put(p, "  ");
  }
  end_line(p);
}

static void draw_distances(struct page *p) {
  unsigned count = p->t->node_count;
  if (count < 2) return;
  end_line(p);
  if (count <= MATRIX_NODES) {
    draw_matrix(p);
  } else if (all_equal(p->t)) {
    put(p, "distance: %u from any to any other", p->t->nodes[0].distance[1]);
    end_line(p);
  } else {
    for (unsigned i = 0; i < count; i++) draw_levels(p, i);
  }
}

/* ---- what was found ------------------------------------------------------------------------------------------ */

static void put_nodes(struct page *p, bool last_resorts) {
  unsigned numbers[VARVE__NODES_MAX], count = 0;
  for (unsigned i = 0; i < p->t->node_count; i++)
    if (!last_resorts || p->t->nodes[i].last_resort) numbers[count++] = p->t->nodes[i].os_index;
  put(p, count == 1 ? "node " : "nodes ");
  put_numbers(p, p->used, numbers, count);
}

static void draw_machine(struct page *p) {
  const struct varve_topology *t = p->t;
  put(p, "machine: %s", t->real ? "this one" : t->hwloc ? "described, not this one: nothing is placed or pinned"
      : "unknown, for hwloc failed: nothing is placed or pinned");
  end_line(p);
  put(p, "processors: %u of %u allowed%s; %u count%s", t->allowed_cpus, t->machine_cpus,
      t->allowed_cpus < t->machine_cpus ? " (cpuset, taskset or numactl)" : "", t->cpu_count,
      t->cpu_count < t->allowed_cpus ? ", one a core" : "");
  end_line(p);
  put(p, "nodes with memory: %u of %u allowed%s; %u used", t->allowed_nodes, t->machine_nodes,
      t->allowed_nodes < t->machine_nodes ? " (cpuset)" : "", t->node_count);
  end_line(p);
}

static void draw_policy(struct page *p) {
  static const char *const before[] = {
    [VARVE__POLICY_LOCAL] = "none, or local: memory near to whoever needs it, from ",
    [VARVE__POLICY_PREFERRED] = "preferred (numactl --preferred): memory from ",
    [VARVE__POLICY_BIND] = "bind (numactl --membind): memory from ",
    [VARVE__POLICY_INTERLEAVE] = "interleave (numactl --interleave): memory in turn from ",
  };
  static const char *const after[] = {
    [VARVE__POLICY_LOCAL] = "",
    [VARVE__POLICY_PREFERRED] = ", and others when full",
    [VARVE__POLICY_BIND] = " only",
    [VARVE__POLICY_INTERLEAVE] = "",
  };
  put(p, "policy: %s", before[p->t->policy]), put_nodes(p, false);
  put_word(p, 8, after[p->t->policy]);
  end_line(p);
}

static void draw_last_resorts(struct page *p) {
  bool any = false;
  for (unsigned i = 0; i < p->t->node_count; i++) any = any || p->t->nodes[i].last_resort;
  if (!any) return;
  put(p, "last resort: ");
  put_nodes(p, true);
  put_word(p, 13, ", which no processor is near to, when the others are full");
  end_line(p);
}

static void draw_limits(struct page *p) {
  if (p->t->quota_cpus) put(p, "quota: the time of %u processors (control group)", p->t->quota_cpus);
  else put(p, "quota: none");
  end_line(p);
  put(p, "memory limit: %s, the least of machine, control group and usable nodes", size_text(p->t->memory_limit).chars);
  end_line(p);
}

static void draw_met(struct page *p, const uint64_t *counter, const char *what) {
  uint64_t count = __atomic_load_n(counter, __ATOMIC_RELAXED);
  if (count == 0) return;
  put(p, "met: %llu ranges %s", (unsigned long long)count, what);
  end_line(p);
}

static void draw_placing(struct page *p) {
  const struct varve_place_counters *place = p->t->place;
  put(p, "placing: %s", p->t->placed ? "every range prefers its node" : p->t->machine_nodes > 1
      ? "nothing, on a described machine" : "one node: nothing to place");
  end_line(p);
  draw_met(p, &place->refused, "were refused a preference for their node");
  draw_met(p, &place->unlocated, "whose place the system would not tell");
  draw_met(p, &place->unadvised, "could not be advised to be huge");
  draw_met(p, &place->unhuge, "found no explicit huge page");
  draw_met(p, &place->unlocked, "could not be locked in memory");
  draw_met(p, &place->touched, "were populated by touching, for the system is old");
}

static void draw(struct page *p, const struct varve_heap *heap) {
  draw_nodes(p);
  if (heap) draw_heap(p, heap);
  draw_distances(p);
  end_line(p);
  draw_machine(p);
  draw_policy(p);
  draw_last_resorts(p);
  draw_limits(p);
  draw_placing(p);
}

varve_status varve_topology_print(const varve_heap *heap, void (*line)(void *context, const char *text),
                                  void *context) {
  if (!line) return VARVE_ARGUMENT;
  struct page p = {.line = line, .context = context};
  struct varve_topology t;
  varve_options options;
  if (!heap) {
    varve_options_init(&options);
    varve_status status = varve__options_environment(&options, NULL);
    if (status == VARVE_OK) status = varve__topology_load(&t, options.smt, NULL);
    if (status != VARVE_OK) return status;
  }
  p.t = heap ? heap->topology : &t;
  draw(&p, heap);
  if (!heap) varve__topology_unload(&t);
  return VARVE_OK;
}
