/* SPDX-License-Identifier: MIT */
/* print.c -- see print.h. */
#define _POSIX_C_SOURCE 200809L

#include "print.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define PATH_BYTES 512u

/* The text that all programs begin with. */
__asm__(
    ".pushsection .rodata\n"
    "fuzz_printed_head: .incbin \"" FUZZ_PRINTED_HEAD
    "\"\n"
    "fuzz_printed_head_end: .byte 0\n"
    ".popsection");
extern const char fuzz_printed_head[] __attribute__((visibility("hidden")));

struct print {
  FILE *threads[FUZZ_THREADS_MAX];
  FILE *names;   /* declarations: layouts and things */
  FILE *layouts; /* statements that register them */
};

/* ---- names ---- */

struct name name_of(const struct node *node) {
  struct name name;
  snprintf(name.chars, sizeof name.chars, "%c%" PRIu64, (char)('a' + (int)(node->id >> 40) - 1),
           node->id & (((uint64_t)1 << 40) - 1));
  return name;
}

/* layout_weak_table for "weak table". */
static struct name layout_name(const varve_heap *heap, varve_layout layout) {
  struct name name;
  snprintf(name.chars, sizeof name.chars, "layout_%.16s", varve_layout_name(heap, layout));
  for (char *c = name.chars; *c; ++c)
    if (*c == ' ') *c = '_';
  return name;
}

struct place_name name_of_place(const struct world *world, unsigned place) {
  static const char *const forms[] = {"frame.slot[%u]", "inner[%u].slot[%u]", "pinned[%u].slot[0]", "globals[%u]",
                                      "handle[%u]",     "array_words[%u]",    "slab_word[%u]",      "untracked[%u]",
                                      "callbacks[%u]",  "narrows[%u]"};
  struct place_name name;
  unsigned i;
  enum place_kind kind = place_kind(place, &i);
  int at = snprintf(name.chars, sizeof name.chars, "w[%u].", world->index);
  char *rest = name.chars + at;
  size_t room = sizeof name.chars - (size_t)at;
  if (kind <= PLACE_PINNED && world->parked) snprintf(rest, room, "bridge[%u]", place);
  else if (kind == PLACE_INNER) snprintf(rest, room, "inner[%u].slot[%u]", i / INNER_SLOTS, i % INNER_SLOTS);
  else if (kind == PLACE_ARRAY) snprintf(rest, room, "array_words[%zu]", i * (world->array_count / ARRAY_WORDS));
  else {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(rest, room, forms[kind], i);
#pragma GCC diagnostic pop
  }
  return name;
}

/* ---- statements ---- */

void say(const struct world *world, const char *format, ...) {
  FILE *file = world->run->print->threads[world->player->index];
  va_list list;
  va_start(list, format);
  fputs("  ", file);
  vfprintf(file, format, list);
  fputc('\n', file);
  va_end(list);
  fflush(file);
}

void say_cleared(const struct world *world, const struct node *node, const struct edge *edge) {
  SAY(world, "cleared(&%s, %u);", name_of(node).chars, edge->offset);
}

void say_store(const struct world *world, const struct node *node, const struct edge *edge, bool first) {
  const char *verb = first ? "init" : "store";
  if (!world->run->print) return;
  if (edge->to)
    say(world, "%s(me, &%s, %u, &%s, %u);", verb, name_of(node).chars, edge->offset, name_of(edge->to).chars,
        (unsigned)edge->word);
  else say(world, "%s_word(me, &%s, %u, %#" PRIx64 ");", verb, name_of(node).chars, edge->offset, edge->word);
}

void say_compare(const struct world *world) {
  if (!world->run->print) return;
  if (world->extra) say(world, "compare_with(me, &w[%u], &%s);", world->index, name_of(world->extra).chars);
  else say(world, "compare(me, &w[%u]);", world->index);
}

/* ---- things ---- */

static const char *slot_kind(const struct edge *edge) {
  return edge->kind == EDGE_WIDE ? "WIDE_SLOT" : edge->kind == EDGE_NARROW ? "NARROW_SLOT" : "WEAK_SLOT";
}

/* How many edges of one kind follow this one at even distances of so many edges; they are noted as said. */
static uint32_t progression(const struct node *node, uint32_t from, uint32_t stride, bool *said, bool note) {
  uint32_t count = 1, step = 0;
  if (note) said[from] = true;
  for (uint32_t i = from + stride; i < node->edge_count; i += stride, ++count) {
    uint32_t distance = node->edges[i].offset - node->edges[i - stride].offset;
    if (!step) step = distance;
    if (said[i] || distance != step || node->edges[i].kind != node->edges[from].kind) break;
    if (note) said[i] = true;
  }
  return count;
}

static void say_slots(const struct world *world, const struct node *node) {
  bool *said = calloc(node->edge_count + 1, sizeof *said);
  for (uint32_t i = 0; i < node->edge_count; ++i) {
    uint32_t best = 1;
    if (said[i]) continue;
    for (uint32_t stride = 2; stride <= 3; ++stride)
      if (progression(node, i, stride, said, false) > progression(node, i, best, said, false)) best = stride;
    uint32_t count = progression(node, i, best, said, true);
    uint32_t step = count > 1 ? node->edges[i + best].offset - node->edges[i].offset : 8;
    say(world, "thing_slots(&%s, %s, %u, %u, %u);", name_of(node).chars, slot_kind(&node->edges[i]),
        node->edges[i].offset, step, count);
    if (node->edges[i].kind == EDGE_VALUE) /* the library's word behind each */
      say(world, "thing_slots(&%s, UNKNOWN, %u, %u, %u);", name_of(node).chars, node->edges[i].offset + 8, step, count);
  }
  if (kind_is_weak((enum kind)node->kind)) say(world, "thing_slots(&%s, UNKNOWN, 8, 8, 1);", name_of(node).chars);
  free(said);
}

static bool is_pattern(const struct node *node, size_t offset) {
  uint32_t first = node_pattern(node, offset), second = node_pattern(node, offset + 4);
  return offset >= PATTERN_FROM && memcmp(node->image + offset, &first, 4) == 0 &&
         memcmp(node->image + offset + 4, &second, 4) == 0;
}

/* Is the word a slot, or two? These are said later. */
static bool is_slot(const struct node *node, size_t offset, uint32_t *next) {
  while (*next < node->edge_count && node->edges[*next].offset < offset) ++*next;
  if (*next == node->edge_count || node->edges[*next].offset != offset) return false;
  return node->edges[*next].kind != EDGE_NARROW ||
         (*next + 1 < node->edge_count && node->edges[*next + 1].offset == offset + 4);
}

/* Words that are neither the pattern nor slots, six a line. */
static void say_words(const struct world *world, const struct node *node) {
  char line[256];
  uint32_t next = 0;
  for (size_t at = 8; at < node->bytes;) {
    size_t count = 0, length = 0;
    uint64_t word;
    for (; count < 6 && at + count * 8 < node->bytes; ++count) {
      if (is_pattern(node, at + count * 8) || is_slot(node, at + count * 8, &next)) break;
      memcpy(&word, node->image + at + count * 8, 8);
      length += (size_t)snprintf(line + length, sizeof line - length, "%s%#" PRIx64, count ? ", " : "", word);
    }
    if (count) say(world, "thing_words(&%s, %zu, %zu, (uint64_t[]){%s});", name_of(node).chars, at, count, line);
    at += count ? count * 8 : 8;
  }
}

void say_thing(const struct world *world, const struct node *node) {
  const struct run *run = world->run;
  struct name name = name_of(node);
  if (!run->print) return;
  fprintf(run->print->names,
          "static struct thing %s = {.name = \"%s\", .id = %#" PRIx64
          ", .id_at = %zu, .bytes = %zu, .self_at = %zu, .hooked_bytes = %u, .layout = &%s};\n",
          name.chars, name.chars, node->id, id_offset((enum kind)node->kind), node->bytes,
          self_offset((enum kind)node->kind), node->kind == KIND_SURVIVOR ? 16 : 8,
          layout_name(run->heap, run->layout[node->kind]).chars);
  fflush(run->print->names);
  say(world, "thing_open(&%s, %u);", name.chars, PATTERN_FROM);
  say_words(world, node);
  say_slots(world, node);
}

/* ---- layouts ---- */

static void print_offsets(FILE *file, const char *field, const char *count_field, const uint32_t *offsets,
                          size_t count) {
  if (!count) return;
  fprintf(file, ", .%s = (const uint32_t[]){", field);
  for (size_t i = 0; i < count; ++i) fprintf(file, "%s%u", i ? ", " : "", offsets[i]);
  fprintf(file, "}, .%s = %zu", count_field, count);
}

static void print_layout_or_0(FILE *file, const varve_heap *heap, varve_layout layout) {
  fputs(layout ? layout_name(heap, layout).chars : "0", file);
}

static void print_union(FILE *file, const varve_heap *heap, const varve_layout_desc *desc) {
  fprintf(file, ", .choice = {.offset = %u, .width = %u, .case_count = %zu, .cases = (const varve_union_case[]){",
          desc->choice.offset, desc->choice.width, desc->choice.case_count);
  for (size_t i = 0; i < desc->choice.case_count; ++i) {
    fprintf(file, "{%#" PRIx64 ", ", desc->choice.cases[i].value);
    print_layout_or_0(file, heap, desc->choice.cases[i].layout);
    fputs("}, ", file);
  }
  fputs("}, .otherwise = ", file);
  print_layout_or_0(file, heap, desc->choice.otherwise);
  fputc('}', file);
}

static void print_closure(FILE *file, const varve_layout_desc *desc) {
  fprintf(file,
          ", .closure = {.count_offset = %u, .tag_offset = %u, .tag_stride = %u, .value_offset = %u, .value_stride = "
          "%u, .ref_tags = {%#" PRIx64 ", %#" PRIx64 ", %#" PRIx64 ", %#" PRIx64 "}}",
          desc->closure.count_offset, desc->closure.tag_offset, desc->closure.tag_stride, desc->closure.value_offset,
          desc->closure.value_stride, desc->closure.ref_tags[0], desc->closure.ref_tags[1], desc->closure.ref_tags[2],
          desc->closure.ref_tags[3]);
}

void say_layout(const struct run *run, const varve_layout_desc *desc, varve_layout layout) {
  static const char *const kinds[] = {"",      "DATA",    "OFFSETS", "REF_ARRAY", "RECORDS",
                                      "UNION", "CLOSURE", "TRACE",   "WEAK",      "EPHEMERONS"};
  if (!run->print) return;
  struct name name = layout_name(run->heap, layout);
  FILE *names = run->print->names, *file = run->print->layouts;
  fprintf(names, "static varve_layout %s;\n", name.chars);
  if (desc->moved)
    fprintf(names, "static struct hook hook_%s = {%u, %d};\n", name.chars,
            desc->kind == VARVE_LAYOUT_OFFSETS ? 16 : desc->first - 8, desc->moved_survivors);
  fprintf(file, "  EXPECT(!varve_layout_register(heap, &(varve_layout_desc){.name = \"%s\", .kind = VARVE_LAYOUT_%s",
          desc->name, kinds[desc->kind]);
  fprintf(file, ", .immutable = %d, .bytes = %zu, .narrow = %d, .first = %u, .stride = %u", desc->immutable,
          desc->bytes, desc->narrow, desc->first, desc->stride);
  print_offsets(file, "offsets", "offset_count", desc->offsets, desc->offset_count);
  print_offsets(file, "narrow_offsets", "narrow_count", desc->narrow_offsets, desc->narrow_count);
  if (desc->kind == VARVE_LAYOUT_UNION) print_union(file, run->heap, desc);
  if (desc->kind == VARVE_LAYOUT_CLOSURE) print_closure(file, desc);
  if (desc->kind == VARVE_LAYOUT_WEAK || desc->kind == VARVE_LAYOUT_EPHEMERONS)
    fprintf(file, ", .weak = {%d, CLEARED}", (int)desc->weak.when);
  if (desc->trace) fputs(", .trace = trace_masked", file);
  if (desc->moved)
    fprintf(file, ", .moved = moved, .context = &hook_%s, .moved_survivors = %d", name.chars, desc->moved_survivors);
  fprintf(file, "}, &%s, NULL));\n", name.chars);
  fflush(file);
  fflush(names);
}

/* ---- files ---- */

static FILE *open_part(const char *name, const char *part, const char *mode) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s.%s", name, part);
  FILE *file = fopen(path, mode);
  if (!file && *mode == 'w') fprintf(stderr, "fuzz: cannot write %s\n", path), exit(2);
  return file;
}

static const char *const thread_parts[] = {"0", "1", "2", "3"};

void print_open(struct run *run, const char *name) {
  struct print *print = run->print = calloc(1, sizeof *print);
  for (unsigned i = 0; i < run->threads; ++i) print->threads[i] = open_part(name, thread_parts[i], "w");
  print->names = open_part(name, "names", "w");
  print->layouts = open_part(name, "layouts", "w");
}

void print_close(struct run *run) {
  if (!run->print) return;
  for (unsigned i = 0; i < run->threads; ++i) fclose(run->print->threads[i]);
  fclose(run->print->names);
  fclose(run->print->layouts);
  free(run->print);
}

/* Copy a part to the whole, and remove it. */
static void append(FILE *to, const char *name, const char *part) {
  char bytes[4096], path[PATH_BYTES];
  size_t count;
  FILE *from = open_part(name, part, "r");
  if (!from) return;
  while ((count = fread(bytes, 1, sizeof bytes, from))) fwrite(bytes, 1, count, to);
  fclose(from);
  snprintf(path, sizeof path, "%s.%s", name, part);
  remove(path);
}

static void print_constants(FILE *to, const struct program *program, bool searches, bool narrow) {
  static const struct {
    const char *name;
    unsigned value;
  } sizes[] = {{"FRAME_SLOTS", FRAME_SLOTS},   {"INNER_FRAMES", INNER_FRAMES},
               {"INNER_SLOTS", INNER_SLOTS},   {"PINNED_FRAMES", PINNED_FRAMES},
               {"THREAD_SLOTS", THREAD_SLOTS}, {"GLOBALS", GLOBALS},
               {"HANDLES", HANDLES},           {"ARRAY_WORDS", ARRAY_WORDS},
               {"ARRAY_ROOM", ARRAY_ROOM},     {"SLAB_WORDS", SLAB_WORDS},
               {"UNTRACKED", UNTRACKED},       {"CALLBACKS", CALLBACKS},
               {"NARROWS", NARROWS},           {"DERIVED", DERIVED}};
  for (size_t i = 0; i < COUNT_OF(sizes); ++i) fprintf(to, "#define %s %uu\n", sizes[i].name, sizes[i].value);
  fprintf(to, "#define FINALIZERS %zu\n", program_ops(program) + 2);
  fprintf(to, "#define THREADS %uu\n#define IS_NARROW %d\n", program_threads(program), narrow);
  fprintf(to, "#define SOFT %d /* what is cleared and queued may be another in the next run */\n",
          searches || program_threads(program) > 1);
}

static void print_main(FILE *to, const struct program *program, const char *more_options) {
  char text[512];
  program_options(program, text, sizeof text);
  fprintf(to, "int main(void) {\n  pthread_t threads[THREADS];\n  varve_options options;\n");
  fprintf(to, "  varve_options_init(&options);\n  options.on_collection = on_collection;\n");
  if (program_contents(program) & 1) fprintf(to, "  options.after_collection = after_collection;\n");
  fprintf(to, "  EXPECT(!varve_options_parse(&options, \"%s\", NULL));\n", text);
  if (*more_options) fprintf(to, "  EXPECT(!varve_options_parse(&options, \"%s\", NULL));\n", more_options);
  fprintf(to,
          "  EXPECT(!varve_heap_create(&options, &heap, NULL));\n"
          "  if (IS_NARROW) EXPECT(!varve_narrow_coding_get(heap, &coding));\n"
          "  slab = varve_slab_create(heap, \"slab\");\n  pthread_barrier_init(&gate, NULL, THREADS);\n"
          "  register_layouts();\n  alarm(60);\n"
          "  void *(*const mains[])(void *) = {thread_0");
  for (unsigned i = 1; i < program_threads(program); ++i) fprintf(to, ", thread_%u", i);
  fprintf(to,
          "};\n"
          "  for (unsigned i = 0; i < THREADS; ++i) EXPECT(!pthread_create(&threads[i], NULL, mains[i], NULL));\n"
          "  for (unsigned i = 0; i < THREADS; ++i) pthread_join(threads[i], NULL);\n"
          "  varve_slab_destroy(slab);\n  EXPECT(!varve_heap_destroy(heap));\n  return 0;\n}\n");
}

static void print_thread(FILE *to, const char *name, unsigned index) {
  fprintf(to, "\nstatic void *thread_%u(void *unused) {\n", index);
  fprintf(to, "  volatile uintptr_t kept[%u] = {0}; /* what only the stack holds */\n", KEPT);
  fprintf(to,
          "  varve_mutator *me;\n  varve_slab_cursor cursor;\n  uint64_t count;\n  pid_t child;\n"
          "  (void)unused, (void)kept, (void)count, (void)child;\n");
  append(to, name, thread_parts[index]);
  fprintf(to, "  return NULL;\n}\n");
}

static void print_whole(const struct program *program, const char *more_options, const char *name, int status) {
  FILE *to = fopen(name, "w");
  varve_options options;
  char text[512];
  program_options(program, text, sizeof text);
  varve_options_init(&options);
  if (!to || varve_options_parse(&options, text, NULL) || varve_options_parse(&options, more_options, NULL))
    fprintf(stderr, "fuzz: cannot write %s\n", name), exit(2);
  fprintf(to,
          "/* A random program of tests/fuzz, %zu operations, written down as it was carried out%s.\n"
          " *   cc -std=gnu11 -g -O0 -I PREFIX/include THIS.c -o this -L PREFIX/lib -lvarve -lhwloc -lpthread -lm\n"
          " * Exit status: 0 well; by a signal: a check failed, or the library's own; 77: it went another way. */\n"
          "#define _GNU_SOURCE\n",
          program_ops(program), status ? ", which ended badly" : "");
  print_constants(to, program, program_searches(program) || options.conservative_roots, options.narrow);
  fputs(fuzz_printed_head, to);
  fputs("\n/* ---- this program: its layouts, its things ---- */\n\n", to);
  append(to, name, "names");
  fputs("\nstatic void register_layouts(void) {\n", to);
  append(to, name, "layouts");
  fputs("  after_layout = layout_data;\n}\n", to);
  for (unsigned i = 0; i < program_threads(program); ++i) print_thread(to, name, i);
  fputc('\n', to);
  print_main(to, program, more_options);
  if (fclose(to)) fprintf(stderr, "fuzz: cannot write %s\n", name), exit(2);
}

int print_c(const struct program *program, const char *more_options, unsigned seconds, const char *name) {
  int status = 0;
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    struct counts counts = {0};
    int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere >= 0) dup2(nowhere, STDERR_FILENO);
    alarm(seconds);
    run_program(program, more_options, 0, name, &counts);
    _exit(0);
  }
  if (child < 0 || waitpid(child, &status, 0) != child) abort();
  print_whole(program, more_options, name, status);
  return status;
}
