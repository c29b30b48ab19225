/* SPDX-License-Identifier: MIT */
/* narrow.c -- binary trees with children of 64 bits and of 32: memory, marking, sliding, and the whole program.
 *
 * A node is a header and two children: 24 bytes, or 16. Each figure's limit is the same with wide children.
 */
#include "bench.h"

struct wide_node {
  varve_object header;
  varve_word left, right;
};

struct narrow_node {
  varve_object header;
  varve_narrow left, right;
};

struct grove {
  struct host host;
  varve_narrow_coding coding;
  varve_layout node;
  bool narrow;
  varve_handle *root;
};

static void open_grove(struct grove *grove, bool narrow, uint64_t bytes, const char *list) {
  static const uint32_t wide_slots[] = {8, 16}, narrow_slots[] = {8, 12};
  host_open(&grove->host, bytes, bytes, list);
  grove->narrow = narrow;
  varve_layout_desc desc = {.kind = VARVE_LAYOUT_OFFSETS, .immutable = true};
  if (narrow) desc.narrow_offsets = narrow_slots, desc.narrow_count = 2;
  else desc.offsets = wide_slots, desc.offset_count = 2;
  if (varve_layout_register(grove->host.heap, &desc, &grove->node, NULL) != VARVE_OK) die("no layout");
  if (narrow && varve_narrow_coding_get(grove->host.heap, &grove->coding) != VARVE_OK) die("no coding");
}

static varve_word make_wide(struct grove *grove, unsigned depth) {
  VARVE_FRAME(f, grove->host.me, left, right);
  if (depth) {
    f.left = make_wide(grove, depth - 1);
    f.right = make_wide(grove, depth - 1);
  }
  struct wide_node *node = varve_alloc_uninit(grove->host.me, grove->node, sizeof *node);
  if (!node) die("full");
  varve_init(grove->host.me, node, &node->left, f.left);
  varve_init(grove->host.me, node, &node->right, f.right);
  return varve_tag(node, 0);
}

/* Between safepoints children wait in wide frames. */
static varve_word make_narrow(struct grove *grove, unsigned depth) {
  VARVE_FRAME(f, grove->host.me, left, right);
  if (depth) {
    f.left = make_narrow(grove, depth - 1);
    f.right = make_narrow(grove, depth - 1);
  }
  struct narrow_node *node = varve_alloc_uninit(grove->host.me, grove->node, sizeof *node);
  if (!node) die("full");
  const varve_narrow_coding coding = grove->coding;
  varve_narrow left = depth ? varve_narrow_tag(&coding, varve_untag(f.left), 0) : 0;
  varve_narrow right = depth ? varve_narrow_tag(&coding, varve_untag(f.right), 0) : 0;
  varve_init_narrow(grove->host.me, node, &node->left, left);
  varve_init_narrow(grove->host.me, node, &node->right, right);
  return varve_tag(node, 0);
}

static varve_word make(struct grove *grove, unsigned depth) {
  return grove->narrow ? make_narrow(grove, depth) : make_wide(grove, depth);
}

static uint64_t count_wide(const struct wide_node *node) {
  if (!node->left) return 1;
  return 1 + count_wide((const struct wide_node *)varve_untag(node->left)) +
         count_wide((const struct wide_node *)varve_untag(node->right));
}

static uint64_t count_narrow(const varve_narrow_coding *coding, const struct narrow_node *node) {
  if (!node->left) return 1;
  return 1 + count_narrow(coding, (const struct narrow_node *)varve_narrow_untag(coding, node->left)) +
         count_narrow(coding, (const struct narrow_node *)varve_narrow_untag(coding, node->right));
}

static uint64_t count(const struct grove *grove, varve_word tree) {
  const void *node = varve_untag(tree);
  return grove->narrow ? count_narrow(&grove->coding, node) : count_wide(node);
}

/* ---- one large tree ---- */

struct figures {
  struct series live, mark, slide;
};

/* All blocks move once. */
static void measure_tree(bool narrow, unsigned depth, struct figures *figures) {
  struct grove grove;
  open_grove(&grove, narrow, ((uint64_t)128 << depth) + (8 << 20),
             narrow ? "workers=1,narrow=1,ages=0" : "workers=1,ages=0");
  {
    VARVE_FRAME(f, grove.host.me, tree);
    f.tree = make(&grove, depth);
    if (varve_heap_set(grove.host.heap, "move-everything=1", NULL) != VARVE_OK) die("options");
    host_collect(&grove.host);
    series_add(&figures->slide, host_phase_ns(&grove.host, grove.host.last.slide_ns) / 1e6);
    series_add(&figures->live, (double)grove.host.last.live_after / (1 << 20));
    if (varve_heap_set(grove.host.heap, "move-everything=0", NULL) != VARVE_OK) die("options");
    host_collect(&grove.host);
    series_add(&figures->mark, (double)grove.host.last.objects_marked * 1e3 /
                                 host_phase_ns(&grove.host, grove.host.last.mark_ns));
  }
  host_close(&grove.host);
}

/* ---- the program ---- */

/* Trees that die beside one that lives, in memory for so many bytes; seconds. */
static double run_program(bool narrow, unsigned depth, uint64_t bytes) {
  struct grove grove;
  uint64_t nodes = 0;
  open_grove(&grove, narrow, bytes, narrow ? "workers=1,narrow=1" : "workers=1");
  uint64_t began = now_ns();
  {
    VARVE_FRAME(f, grove.host.me, lives);
    f.lives = make(&grove, depth);
    for (unsigned d = 4; d <= depth; d += 2)
      for (uint64_t i = 0; i < UINT64_C(1) << (depth - d + 4); ++i) nodes += count(&grove, make(&grove, d));
    nodes += count(&grove, f.lives);
  }
  double seconds = (double)(now_ns() - began) / 1e9;
  host_close(&grove.host);
  if (!nodes) die("no nodes");
  return seconds;
}

static void report(struct bench *bench, const char *what, const char *unit, struct series figure[2]) {
  bench_report(bench, &(struct figure){bench_text("%s", what), unit, &figure[1], "wide children", &figure[0],
                                       NOT_JUDGED, 0, 0});
}

void bench_narrow(struct bench *bench) {
  static struct figures trees[2];
  static struct series live[2], mark[2], slide[2], program[2];
  unsigned depth = (unsigned)bench_pick(bench, 12, 21, 23), size = (unsigned)bench_pick(bench, 8, 17, 19);
  for (unsigned i = 0; bench_again(bench, i, 2, 5, 7); ++i)
    for (int narrow = 0; narrow < 2; ++narrow) {
      measure_tree(narrow, depth, &trees[narrow]);
      series_add(&program[narrow], run_program(narrow, size, ((uint64_t)80 << size) + (16 << 20)));
    }
  for (int narrow = 0; narrow < 2; ++narrow)
    live[narrow] = trees[narrow].live, mark[narrow] = trees[narrow].mark, slide[narrow] = trees[narrow].slide;
  report(bench, "narrow children: live, a tree", "MiB", live);
  report(bench, "narrow children: mark", "M/s", mark);
  report(bench, "narrow children: slide", "ms", slide);
  report(bench, "narrow children: binary trees", "s", program);
}
