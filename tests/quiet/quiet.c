/* SPDX-License-Identifier: MIT */
/* quiet.c -- proves that hot paths make no system call and take no page fault.
 *
 *   quiet GROUP|SCENE [option...]     the scenes are in scenes.c
 *     --mutators N --workers N        threads; mutators are pinned, each to a core of its own if there are enough
 *     --options LIST                  more options of the heap
 *     --warm N --rounds N             rounds before counting, counted rounds
 *     --allow NAME                    calls of this name are no failure
 *     --caught NAME[@worker] N        a control: passes if so many of them a round were seen (NAME may be `fault`)
 *     --own-cores                     skipped unless every thread has a core
 *     --trap                          catch by seccomp
 *
 * A round begins with a full collection, outside the section; collecting threads then sleep, unless they spin for long.
 * The section is what all mutators do until the last is done. Page faults are those of the process. Between collections
 * there are none; a collection may now and then reach a page of its tables for the first time.
 *
 * Two mutators may meet at the lock that one opens a region under. If its holder loses its core meanwhile, the other one
 * sleeps: a few times in all rounds at most, where a call made for each region would be seen hundreds of times.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "quiet/guard.h"
#include "quiet/scene.h"

struct plan {
  const char *what, *allow, *caught;
  char options[256]; /* each with a comma before it */
  unsigned mutators, workers, warm, rounds;
  uint64_t times;
  bool at_worker, own_cores, trap;
};

struct result {
  uint64_t calls[2][GUARD_NUMBERS]; /* of mutators, of workers */
  uint64_t faults, own_faults;      /* of the process, of its mutators */
  uint64_t collections;
  uint64_t barriers; /* in the last round */
};

#define FAULTS_OF_COLLECTIONS 8 /* in all rounds */
#define FUTEXES_OF_LOST_CORES 9 /* likewise: to sleep, to wake, and to wake again are three */

static struct plan plan = {.warm = 3, .rounds = 3, .mutators = 1, .workers = 1};
static struct team team;
static struct result result;
static pthread_barrier_t barrier;
static bool faults_count = true;

void die(const char *what) {
  fprintf(stderr, "quiet: failed: %s\n", what);
  exit(2);
}

static void skip(const char *why) {
  printf("skipped: %s\n", why);
  exit(77);
}

/* ---- one mutator ---- */

static uint64_t faults_of(int who) {
  struct rusage usage;
  getrusage(who, &usage);
  return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

static uint64_t collections(void) {
  varve_heap_stats stats;
  varve_heap_stats_get(team.heap, &stats);
  return stats.collections;
}

static void pin(unsigned index) {
  cpu_set_t allowed, one;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) die("sched_getaffinity");
  unsigned left = index % (unsigned)CPU_COUNT(&allowed), cpu = 0;
  while (!CPU_ISSET(cpu, &allowed) || left--) ++cpu;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  sched_setaffinity(0, sizeof one, &one);
}

/* The first mutator, all others being native. */
static void open_section(struct part *part, bool counted) {
  varve_options options = *varve_heap_options(team.heap);
  if (varve_collect(part->me) != VARVE_OK) die("collection");
  if (options.spin < 1000000) guard_wait_for_workers();
  atomic_store(&team.busy, team.mutators);
  if (counted) result.collections -= collections();
  guard_reset();
  guard_workers(true);
}

static void close_section(bool counted) {
  guard_workers(false);
  if (!counted) return;
  result.collections += collections();
  for (int number = 0; number < GUARD_NUMBERS; ++number)
    for (int who = 0; who < 2; ++who) result.calls[who][number] += guard_count(who, number);
}

static void wait_for_all(struct part *part) {
  if (varve_native_enter(part->me) != VARVE_OK) die("native_enter");
  pthread_barrier_wait(&barrier);
  if (varve_native_leave(part->me) != VARVE_OK) die("native_leave");
}

/* The others wait, native, while the first mutator opens the section. */
static void begin_round(struct part *part, bool counted) {
  if (team.scene->reset) team.scene->reset(part);
  wait_for_all(part);
  if (part->index == 0) open_section(part, counted);
  wait_for_all(part);
  if (counted && part->index == 0) result.faults -= faults_of(RUSAGE_SELF);
}

static void run_round(struct part *part, bool counted) {
  begin_round(part, counted);
  uint64_t faults = faults_of(RUSAGE_THREAD);
  guard_self(true);
  team.scene->work(part);
  guard_self(false);
  faults = faults_of(RUSAGE_THREAD) - faults;
  atomic_fetch_sub(&team.busy, 1);
  if (counted) __atomic_fetch_add(&result.own_faults, faults, __ATOMIC_RELAXED);
  wait_for_all(part);
  if (counted && part->index == 0) result.faults += faults_of(RUSAGE_SELF);
  if (part->index == 0) close_section(counted);
}

/* A collection tells how many stores before it took the slow half of the barrier. */
static void look_at_barriers(struct part *part) {
  varve_collection_stats stats;
  if (varve_collect(part->me) != VARVE_OK || !varve_collection_stats_get(team.heap, &stats)) die("collection");
  result.barriers = stats.barriers;
}

static void *run_part(void *argument) {
  struct part *part = argument;
  pin(part->index);
  guard_join();
  if (varve_attach(team.heap, NULL, &part->me, NULL) != VARVE_OK) die("attach");
  if (team.scene->prepare) team.scene->prepare(part);
  for (unsigned i = 0; i < plan.warm + plan.rounds; ++i) run_round(part, i >= plan.warm);
  wait_for_all(part);
  if (part->index == 0) look_at_barriers(part);
  wait_for_all(part);
  guard_leave();
  if (varve_detach(part->me) != VARVE_OK) die("detach");
  return NULL;
}

/* ---- one scene ---- */

static void register_layouts(void) {
  static const uint32_t offsets[] = {8, 16};
  const varve_layout_desc data = {.kind = VARVE_LAYOUT_DATA}, list = {.kind = VARVE_LAYOUT_REF_ARRAY};
  const varve_layout_desc pair = {.kind = VARVE_LAYOUT_OFFSETS, .offsets = offsets, .offset_count = 2};
  if (varve_layout_register(team.heap, &data, &team.data, NULL) != VARVE_OK ||
      varve_layout_register(team.heap, &pair, &team.pair, NULL) != VARVE_OK ||
      varve_layout_register(team.heap, &list, &team.list, NULL) != VARVE_OK)
    die("layouts");
}

static void open_team(const struct scene *scene) {
  varve_options options;
  varve_error error = {0};
  char text[512];
  memset(&team, 0, sizeof team);
  memset(&result, 0, sizeof result);
  team.scene = scene;
  team.mutators = plan.mutators;
  snprintf(text, sizeof text, "%s,workers=%u%s", scene->options, plan.workers, plan.options);
  varve_options_init(&options);
  if (varve_options_parse(&options, text, &error) != VARVE_OK) die(error.detail);
  if (varve_heap_create(&options, &team.heap, &error) != VARVE_OK) die(error.detail);
  register_layouts();
}

static void open_part(unsigned index) {
  struct part *part = &team.parts[index];
  part->team = &team;
  part->index = index;
  part->table = calloc(SCENE_TABLE, sizeof *part->table);
  if (!part->table) die("table");
  if (varve_root_slots_add(team.heap, "table", part->table, SCENE_TABLE, NULL) != VARVE_OK) die("table");
}

/* What the slab's words and handles were is the heap's, and goes with it. */
static void close_team(void) {
  if (varve_heap_destroy(team.heap) != VARVE_OK) die("destroy");
  for (unsigned i = 0; i < team.mutators; ++i) {
    struct part *part = &team.parts[i];
    free(part->table), free(part->words), free(part->array_words), free(part->handles);
  }
}

static void run_scene(const struct scene *scene) {
  pthread_t threads[SCENE_MUTATORS];
  open_team(scene);
  pthread_barrier_init(&barrier, NULL, team.mutators);
  for (unsigned i = 0; i < team.mutators; ++i) open_part(i);
  for (unsigned i = 0; i < team.mutators; ++i)
    if (guard_start(&threads[i], run_part, &team.parts[i]) != 0) die("no thread");
  for (unsigned i = 0; i < team.mutators; ++i) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&barrier);
  close_team();
}

/* ---- the verdict ---- */

static bool allowed(int number) { return plan.allow && number == guard_number(plan.allow); }

/* Calls of this number that only a lost core explains. */
static uint64_t unlucky(int number) {
  uint64_t count = result.calls[0][number];
  if (number != guard_number("futex") || plan.mutators < 2 || plan.caught) return 0;
  return count <= FUTEXES_OF_LOST_CORES ? count : 0;
}

static bool forbidden_call(void) {
  for (int number = 0; number < GUARD_NUMBERS; ++number)
    if (result.calls[0][number] + result.calls[1][number] > unlucky(number) && !allowed(number)) return true;
  return false;
}

/* The guard's own handler may touch a page when it first looks at a stack. */
static uint64_t faults_allowed(const struct scene *scene) {
  return (scene->collections ? FAULTS_OF_COLLECTIONS : 0) + (unlucky(guard_number("futex")) ? 1 : 0);
}

static const char *complaint(const struct scene *scene) {
  if (forbidden_call()) return "system calls";
  if (faults_count && result.faults > faults_allowed(scene)) return "page faults";
  if (!scene->collections && result.collections) return "a collection came";
  if (result.collections < scene->collections * plan.rounds) return "too few collections";
  if (result.barriers < scene->barriers * plan.mutators) return "the library was not called for first stores";
  return NULL;
}

static void print_calls(void) {
  uint64_t sum = 0;
  bool any = false;
  for (int who = 0; who < 2; ++who) {
    for (int number = 0; number < GUARD_NUMBERS; ++number) {
      uint64_t count = result.calls[who][number];
      if (!count) continue;
      printf("%s %llu %s%s", any ? "," : "", (unsigned long long)count, guard_name(number), who ? " of workers" : "");
      any = true;
      sum += count;
    }
  }
  if (!any) printf(" none");
  else if (result.collections) printf(" (%.1f a collection)", (double)sum / (double)result.collections);
}

static void print_row(const struct scene *scene, const char *wrong) {
  printf("%-15s %9llu operations, %3llu collections; system calls:", scene->name,
         (unsigned long long)(scene->operations * plan.rounds * plan.mutators), (unsigned long long)result.collections);
  print_calls();
  printf("; page faults: %llu", (unsigned long long)result.faults);
  if (result.faults) printf(" (%llu of mutators)", (unsigned long long)result.own_faults);
  printf("; %s\n", wrong ? wrong : "quiet");
}

static bool control_is_caught(const char *wrong) {
  uint64_t seen = result.faults;
  if (strcmp(plan.caught, "fault") != 0) seen = result.calls[plan.at_worker][guard_number(plan.caught)];
  bool caught = wrong && seen >= plan.times * plan.rounds;
  printf("control: %llu of %s seen, at least %llu wanted: %s\n", (unsigned long long)seen, plan.caught,
         (unsigned long long)(plan.times * plan.rounds), caught ? "caught" : "NOT CAUGHT");
  return caught;
}

/* @return whether it is as it should be. */
static bool judge_scene(const struct scene *scene) {
  run_scene(scene);
  const char *wrong = complaint(scene);
  print_row(scene, wrong);
  if (plan.caught) return control_is_caught(wrong);
  if (wrong) guard_print_places(stdout);
  return !wrong;
}

/* ---- the command line ---- */

static bool read_flag(const char *word) {
  if (strcmp(word, "--own-cores") == 0) return plan.own_cores = true;
  if (strcmp(word, "--trap") == 0) return plan.trap = true;
  return false;
}

static void read_caught(char *name, const char *times) {
  char *at = strchr(name, '@');
  if (at) *at = 0;
  plan.at_worker = at != NULL;
  plan.caught = name;
  plan.times = strtoull(times, NULL, 10);
  if (strcmp(name, "fault") != 0 && guard_number(name) < 0) die("a call of this name is not known");
}

static void read_value(const char *word, const char *value) {
  unsigned number = (unsigned)strtoul(value, NULL, 10);
  if (strcmp(word, "--mutators") == 0) plan.mutators = number;
  else if (strcmp(word, "--workers") == 0) plan.workers = number;
  else if (strcmp(word, "--warm") == 0) plan.warm = number;
  else if (strcmp(word, "--rounds") == 0) plan.rounds = number;
  else if (strcmp(word, "--options") == 0) snprintf(plan.options, sizeof plan.options, ",%s", value);
  else if (strcmp(word, "--allow") == 0) plan.allow = value;
  else die(word);
}

/* @return how many words belong to the option. */
static int read_option(char **words) {
  if (read_flag(words[0])) return 1;
  if (!words[1]) die(words[0]);
  if (strcmp(words[0], "--caught") != 0) return read_value(words[0], words[1]), 2;
  if (!words[2]) die(words[0]);
  return read_caught(words[1], words[2]), 3;
}

static bool one_node(void) {
  char text[32] = "";
  FILE *file = fopen("/sys/devices/system/node/online", "r");
  if (!file) return true;
  bool one = fgets(text, sizeof text, file) && strcmp(text, "0\n") == 0;
  fclose(file);
  return one;
}

/* Balancing takes pages away now and then, to see who uses them. */
static void look_for_balancing(void) {
  FILE *file = fopen("/proc/sys/kernel/numa_balancing", "r");
  int on = file ? fgetc(file) : '0';
  if (file) fclose(file);
  faults_count = on == '0' || one_node();
  if (!faults_count) printf("the kernel balances memory between nodes: page faults are not judged\n");
}

static void look_for_cores(void) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) die("sched_getaffinity");
  if (plan.own_cores && (unsigned)CPU_COUNT(&allowed) < plan.mutators + plan.workers - 1) skip("too few cores");
}

static bool run_scenes(void) {
  bool good = true, any = false;
  for (const struct scene *scene = SCENES; scene->name; ++scene) {
    if (strcmp(scene->name, plan.what) != 0 && strcmp(scene->group, plan.what) != 0) continue;
    any = true;
    good &= judge_scene(scene);
  }
  if (!any) die("no such scene");
  return good;
}

int main(int argc, char **argv) {
  if (argc < 2) die("no scene");
  plan.what = argv[1];
  for (int i = 2; i < argc;) i += read_option(argv + i);
  if (plan.mutators < 1 || plan.mutators > SCENE_MUTATORS) die("--mutators");
  look_for_cores();
  look_for_balancing();
  const char *missing = guard_open(plan.trap);
  if (missing) skip(missing);
  printf("%s: %u mutator%s, %u worker%s\n", plan.what, plan.mutators, plan.mutators == 1 ? "" : "s", plan.workers,
         plan.workers == 1 ? "" : "s");
  return run_scenes() ? 0 : 1;
}
