/* SPDX-License-Identifier: MIT */
/* main.c -- the command line. Without arguments: the demonstration, every program checked.
 *
 * Exit status: 0 when everything was right, 1 when a program failed or gave something else, 2 for a wrong call. */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <unistd.h>

#include "programs.h"
#include "run.h"

#ifndef PN_DIRECTORY
#define PN_DIRECTORY "."
#endif

static const char usage[] =
  "usage: parallax_net [option ...]\n"
  "\n"
  "Without --program and --units: the whole demonstration, each result checked.\n"
  "\n"
  "  [--program] NAME|FILE one program of --list, or a net in HVM2's text form (its result goes to stdout)\n"
  "  --list                the programs and the native functions\n"
  "  --units FILE          unit nets, one per line: net => result, interactions\n"
  "  --small               the programs at reduced size\n"
  "  --workers N           threads that reduce, pinned (default: one per allowed core)\n"
  "  --async N             threads beside the pool for slow natives (default 2 in the demonstration, otherwise 0)\n"
  "  --order lifo|fifo|random   which redex a worker takes next; --seed N for random\n"
  "  --memory SIZE         what nodes may take of the host's memory (default: three quarters of what is free)\n"
  "  --heap SIZE           heap-max (default: small, so that the collector is busy)\n"
  "  --collect N           each worker asks for a collection every N batches; 0: never (default: by program)\n"
  "  --stress N            collect at every N-th slow allocation\n"
  "  --verify [LEVEL]      verify the heap around each collection; 2: at every phase edge\n"
  "  --move-everything     each collection moves all it can\n"
  "  --varve \"a=b,...\"     any of the collector's options; --varve help lists them\n"
  "  --rules               how often each rule was used\n"
  "  --progress            a line on stderr during long runs (default: when that is a terminal)\n"
  "  --no-pin              do not bind workers to cores\n"
  "  --directory DIR       where nets/ and expected/ are\n";

enum action { ACTION_DEMO, ACTION_PROGRAM, ACTION_UNITS, ACTION_LIST };

struct command {
  enum action action;
  const char *target;
  struct pn_settings settings;
  bool async_given;
};

/* ---- reading the command line -------------------------------------------------------------------------------- */

__attribute__((noreturn, format(printf, 1, 2))) static void refuse(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "parallax_net: ");
  vfprintf(stderr, format, arguments);
  fprintf(stderr, " (--help shows the options)\n");
  va_end(arguments);
  exit(2);
}

static unsigned long long number(const char *option, const char *text, unsigned long long low,
                                 unsigned long long high) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 0);
  if (*end || end == text || errno || *text == '-' || value < low || value > high)
    refuse("--%s must be a number from %llu to %llu, not '%s'", option, low, high, text);
  return value;
}

static uint64_t size_of(const char *option, const char *text) {
  char *end;
  unsigned long long value = strtoull(text, &end, 10);
  const char *units = "kmgt", *unit = *end ? strchr(units, *end | 0x20) : NULL;
  if (end == text || *text == '-' || (*end && (!unit || end[1])) || value >> 24 >> 10)
    refuse("--%s must be a size such as 512m, not '%s'", option, text);
  return unit ? value << (10 * (unit - units + 1)) : value;
}

static void add_heap_option(struct command *command, const char *name, const char *value) {
  char *text = command->settings.heap_text;
  size_t used = strlen(text), size = sizeof command->settings.heap_text;
  int length = snprintf(text + used, size - used, "%s%s%s%s", used ? "," : "", name, *name ? "=" : "", value);
  if ((size_t)length >= size - used) refuse("the list of heap options is too long");
}

static void print_line(void *context, const char *text) {
  (void)context;
  puts(text);
}

static void add_raw(struct command *command, const char *text) {
  if (strcmp(text, "help") != 0) {
    add_heap_option(command, "", text);
    return;
  }
  varve_options_help(print_line, NULL);
  exit(0);
}

static enum pn_order order_of(const char *text) {
  if (strcmp(text, "lifo") == 0) return PN_LIFO;
  if (strcmp(text, "fifo") == 0) return PN_FIFO;
  if (strcmp(text, "random") == 0) return PN_RANDOM;
  refuse("--order must be lifo, fifo or random, not '%s'", text);
}

enum { OPT_PROGRAM = 256, OPT_LIST, OPT_UNITS, OPT_SMALL, OPT_WORKERS, OPT_ASYNC, OPT_ORDER, OPT_SEED, OPT_MEMORY,
       OPT_HEAP, OPT_COLLECT, OPT_STRESS, OPT_VERIFY, OPT_MOVE, OPT_VARVE, OPT_RULES, OPT_PROGRESS, OPT_NO_PIN,
       OPT_DIRECTORY, OPT_HELP };

static const struct option long_options[] = {
  {"program", required_argument, NULL, OPT_PROGRAM}, {"list", no_argument, NULL, OPT_LIST},
  {"units", required_argument, NULL, OPT_UNITS},     {"small", no_argument, NULL, OPT_SMALL},
  {"workers", required_argument, NULL, OPT_WORKERS}, {"async", required_argument, NULL, OPT_ASYNC},
  {"order", required_argument, NULL, OPT_ORDER},     {"seed", required_argument, NULL, OPT_SEED},
  {"memory", required_argument, NULL, OPT_MEMORY},   {"heap", required_argument, NULL, OPT_HEAP},
  {"collect", required_argument, NULL, OPT_COLLECT},
  {"stress", required_argument, NULL, OPT_STRESS},   {"verify", optional_argument, NULL, OPT_VERIFY},
  {"move-everything", no_argument, NULL, OPT_MOVE},  {"varve", required_argument, NULL, OPT_VARVE},
  {"rules", no_argument, NULL, OPT_RULES},           {"progress", no_argument, NULL, OPT_PROGRESS},
  {"no-pin", no_argument, NULL, OPT_NO_PIN},         {"directory", required_argument, NULL, OPT_DIRECTORY},
  {"help", no_argument, NULL, OPT_HELP},             {NULL, 0, NULL, 0}};

static void apply_option(struct command *command, int option, const char *value, char **argv) {
  struct pn_run_options *run = &command->settings.run;
  switch (option) {
    case OPT_PROGRAM: command->action = ACTION_PROGRAM, command->target = value; return;
    case OPT_UNITS: command->action = ACTION_UNITS, command->target = value; return;
    case OPT_LIST: command->action = ACTION_LIST; return;
    case OPT_SMALL: command->settings.small = true; return;
    case OPT_RULES: command->settings.rules = true; return;
    case OPT_PROGRESS: command->settings.progress = true; return;
    case OPT_NO_PIN: run->pin = false; return;
    case OPT_DIRECTORY: command->settings.directory = value; return;
    case OPT_WORKERS: run->workers = (unsigned)number("workers", value, 1, PN_PARTITIONS_MAX); return;
    case OPT_ASYNC: run->helpers = (unsigned)number("async", value, 0, 64), command->async_given = true; return;
    case OPT_ORDER: run->order = order_of(value); return;
    case OPT_SEED: run->seed = number("seed", value, 0, UINT64_MAX); return;
    case OPT_MEMORY: run->memory_limit = size_of("memory", value); return;
    case OPT_HEAP: add_heap_option(command, "heap-max", value); return;
    case OPT_COLLECT:
      run->collect_every = (unsigned)number("collect", value, 0, 1000000000), command->settings.collect_given = true;
      return;
    case OPT_STRESS: add_heap_option(command, "stress", value); return;
    case OPT_MOVE: add_heap_option(command, "move-everything", "1"); return;
    case OPT_VARVE: add_raw(command, value); return;
    case OPT_HELP: fputs(usage, stdout), exit(0);
    case OPT_VERIFY: /* "--verify 2" as well as "--verify=2" */
      if (!value && argv[optind] && strspn(argv[optind], "012") == 1 && !argv[optind][1]) value = argv[optind++];
      add_heap_option(command, "verify", value ? value : "1");
      return;
    default: refuse("a wrong option");
  }
}

static uint64_t free_memory(void) {
  unsigned long long kib = 0;
  char line[128];
  FILE *file = fopen("/proc/meminfo", "r");
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "MemAvailable: %llu", &kib) == 1) break;
  if (file) fclose(file);
  return kib ? (uint64_t)kib * 1024 : (uint64_t)4 << 30;
}

static unsigned allowed_cores(void) {
  cpu_set_t set;
  int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return count < 1 ? 1 : (unsigned)count;
}

static void read_command(struct command *command, int argc, char **argv) {
  *command = (struct command){.settings = {.directory = PN_DIRECTORY, .progress = isatty(2)}};
  struct pn_run_options *run = &command->settings.run;
  *run = (struct pn_run_options){.workers = allowed_cores(), .pin = true, .memory_limit = free_memory() / 4 * 3};
  varve_options_init(&run->heap);
  for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;)
    apply_option(command, option, optarg, argv);
  if (optind < argc) apply_option(command, OPT_PROGRAM, argv[optind++], argv);
  if (optind < argc) refuse("'%s': one program at a time", argv[optind]);
  if (command->action == ACTION_DEMO && !command->async_given) run->helpers = 2;
  varve_options scratch;
  char error[400];
  if (!pn_settings_heap(&command->settings, "heap-max=64m", &scratch, error, sizeof error)) refuse("%s", error);
}

/* ---- doing what it says --------------------------------------------------------------------------------------- */

static void list(void) {
  printf("programs:\n");
  for (unsigned i = 0; i < pn_program_count; ++i) printf("  %-14s %s\n", pn_programs[i].name, pn_programs[i].what);
  printf("\nnative functions:\n");
  for (unsigned i = 0; i < pn_native_count; ++i)
    printf("  %%%-8s %u argument%s  %s\n", pn_natives[i].name, pn_natives[i].arity,
           pn_natives[i].arity == 1 ? " " : "s", pn_natives[i].help);
}

static bool counted_right(const struct pn_settings *settings, const struct pn_program *program,
                          uint64_t interactions) {
  uint64_t wanted = settings->small ? program->small_interactions : program->interactions;
  if (!wanted || wanted == interactions) return true;
  printf("%s: %llu interactions, expected %llu\n", program->name, (unsigned long long)interactions,
         (unsigned long long)wanted);
  return false;
}

static bool gave_right(const struct pn_settings *settings, const struct pn_program *program,
                       const struct pn_text *result) {
  struct pn_text expected = {0};
  bool known = pn_program_expected(&expected, settings->directory, program->name, settings->small);
  bool right = known && strcmp(expected.bytes, result->bytes) == 0;
  if (!known) printf("%s: no expected result in %s\n", program->name, settings->directory);
  else if (!right) printf("%s: gave %.120s, expected %.120s\n", program->name, result->bytes, expected.bytes);
  pn_text_free(&expected);
  return right;
}

static struct pn_book *read_program(const struct pn_settings *settings, const struct pn_program *program,
                                    const char *file) {
  char path[1024];
  struct pn_parse_error error;
  if (program) pn_program_net(path, sizeof path, settings->directory, program->name, settings->small), file = path;
  struct pn_book *book = pn_book_read(file, &error);
  if (!book) fprintf(stderr, "%s\n", error.text);
  return book;
}

/* A program of the table is checked; of a file, the result is printed. */
static bool run_one(const struct pn_settings *given, const struct pn_program *program, const char *file) {
  struct pn_settings own = *given, *settings = &own;
  if (program && !own.collect_given) own.run.collect_every = program->collect_every;
  const char *name = program ? program->name : file;
  struct pn_report report = {.name = name, .verdict = "failed"};
  struct pn_text result = {0};
  char error[600] = "";
  struct pn_book *book = read_program(settings, program, file);
  const char *heap = program ? program->heap : "heap-max=64m";
  bool done = book && pn_run_book(settings, book, name, heap, &report, &result, error, sizeof error);
  if (book && !done) fprintf(stderr, "%s: %s\n", name, error);
  bool right = done;
  if (done && program)
    right = counted_right(settings, program, report.interactions) && gave_right(settings, program, &result);
  if (done) report.verdict = !program ? "unchecked" : right ? "right" : "WRONG";
  if (done && !program) printf("%s\n", result.bytes);
  if (book) pn_report_row(program ? stdout : stderr, &report);
  if (book && settings->rules) pn_report_rules(program ? stdout : stderr, &report);
  fflush(stdout);
  pn_text_free(&result);
  pn_book_free(book);
  return right;
}

static bool run_target(const struct command *command) {
  const struct pn_program *program = pn_program_find(command->target);
  if (!program && access(command->target, R_OK) != 0)
    refuse("'%s' is neither a program of --list nor a file that can be read", command->target);
  return run_one(&command->settings, program, command->target);
}

static bool run_demo(const struct command *command) {
  char path[1024];
  snprintf(path, sizeof path, "%s/nets/units.txt", command->settings.directory);
  printf("%u workers, %u threads beside them\n", command->settings.run.workers, command->settings.run.helpers);
  double since = pn_now();
  bool right = pn_run_units(&command->settings, path) == 0;
  for (unsigned i = 0; i < pn_program_count; ++i) right &= run_one(&command->settings, &pn_programs[i], NULL);
  printf("%s, %.1f s\n", right ? "everything is right" : "SOMETHING IS WRONG", pn_now() - since);
  return right;
}

int main(int argc, char **argv) {
  struct command command;
  read_command(&command, argc, argv);
  switch (command.action) {
    case ACTION_LIST: return list(), 0;
    case ACTION_UNITS: return pn_run_units(&command.settings, command.target) != 0;
    case ACTION_PROGRAM: return !run_target(&command);
    default: return !run_demo(&command);
  }
}
