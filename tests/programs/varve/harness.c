/* SPDX-License-Identifier: MIT */
/* harness.c -- see harness.h. The first thread of a run is the process's own, as in a program without threads. */
#include "harness.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef BOEHM
#define GC_THREADS /* its pthread_create tells the collector about the thread */
#include <gc.h>
#endif

#define THREADS_MAX 2
#define PAUSES_MAX (1u << 18) /* listed; what comes after them is only counted */

static const struct program {
  const char *name;
  program_fn *run;
  uint64_t least, most, multiple;
  bool one_result; /* the threads do one job; the first has its checksum */
} programs[] = {
  {"binary_trees", binary_trees, 6, 28, 1, false},
  {"gcbench", gcbench, 9, 28, 1, false},
  {"quad_trees", quad_trees, 5, 14, 1, false},
  {"lru", lru, 1, 1u << 29, 1, false},
  {"fragment", fragment, 1, 1u << 29, 1, false},
  {"graph", graph, 1, 1u << 29, 1, false},
  {"queue", queue, 32, 1u << 30, 32, true},
  {"sessions", sessions, 1, 1u << 29, 1, false},
  {"phases", phases, 1, 1u << 24, 1, false},
  {"rewire", rewire, 1, 1u << 28, 1, false},
  {"pipeline", pipeline, 128, 1u << 30, 128, true},
};
#define PROGRAMS (sizeof programs / sizeof *programs)

static struct {
  uint64_t collections, collection_ns, pauses;
  double *pause_ms;
} figures;

uint64_t harness_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void harness_quit(int status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  _Exit(status);
}

void harness_collection(uint64_t ns) {
  ++figures.collections;
  figures.collection_ns += ns;
}

void harness_pause(uint64_t ns) {
  if (figures.pauses < PAUSES_MAX) figures.pause_ms[figures.pauses++] = (double)ns / 1e6;
}

/* ---- arguments ---- */

static _Noreturn void usage(const char *wrong) {
  harness_quit(EXIT_ARGUMENTS, "%s; wanted: PROGRAM SIZE THREADS [--warm N] [--heap BYTES]%s", wrong,
               runtime_knows_live ? " [--live]" : "");
}

static uint64_t number(const char *text, uint64_t least, uint64_t most, const char *wrong) {
  char *end;
  uint64_t value = text && *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : UINT64_MAX;
  if (value == UINT64_MAX || *end || value < least || value > most) usage(wrong);
  return value;
}

static const struct program *find(const char *name) {
  for (size_t i = 0; i < PROGRAMS; ++i)
    if (strcmp(name, programs[i].name) == 0) return &programs[i];
  usage("no such program");
}

static void read_options(struct request *request, char **argv) {
  while (*argv) {
    const char *option = *argv++;
    if (strcmp(option, "--live") == 0 && runtime_knows_live) request->live = true;
    else if (strcmp(option, "--warm") == 0 && *argv) request->warm = (unsigned)number(*argv++, 0, 1000000, "--warm");
    else if (strcmp(option, "--heap") == 0 && *argv) request->heap = number(*argv++, 1, UINT64_MAX - 1, "--heap");
    else usage(option);
  }
}

static const struct program *read_request(struct request *request, int argc, char **argv) {
  if (argc < 4) usage("too few arguments");
  const struct program *program = find(argv[1]);
  *request = (struct request){.name = program->name, .run = program->run};
  request->size = number(argv[2], program->least, program->most, "SIZE out of range");
  if (request->size % program->multiple != 0) usage("SIZE not a multiple");
  request->threads = (unsigned)number(argv[3], 1, THREADS_MAX, "THREADS is 1 or 2");
  read_options(request, argv + 4);
  return program;
}

/* ---- a run ---- */

struct thread {
  struct job job;
  program_fn *run;
  uint32_t checksum;
  pthread_t id;
};

static void *run_thread(void *argument) {
  struct thread *thread = argument;
  thread->job.me = runtime_attach(thread->job.thread);
  thread->checksum = thread->run(&thread->job);
  runtime_detach(thread->job.me);
  return NULL;
}

static uint32_t run(const struct program *program, const struct request *request) {
  struct thread threads[THREADS_MAX];
  uint32_t checksum = 0;
  for (unsigned t = request->threads; t-- > 0;) {
    threads[t] = (struct thread){.run = program->run,
                                 .job = {.size = request->size, .thread = t, .threads = request->threads}};
    if (t == 0) run_thread(&threads[0]);
    else if (pthread_create(&threads[t].id, NULL, run_thread, &threads[t])) harness_quit(EXIT_BROKEN, "no thread");
  }
  for (unsigned t = 1; t < request->threads; ++t) pthread_join(threads[t].id, NULL);
  for (unsigned t = 0; t < (program->one_result ? 1 : request->threads); ++t)
    checksum = mix(checksum, threads[t].checksum);
  return checksum;
}

/* ---- the line ---- */

static void print_figures(void) {
  if (!runtime_collects) {
    printf("\"gc_seconds\":null,\"collections\":null,\"pauses_ms\":null");
    return;
  }
  printf("\"gc_seconds\":%.6f,\"collections\":%llu,\"pauses_ms\":[", (double)figures.collection_ns / 1e9,
         (unsigned long long)figures.collections);
  for (uint64_t i = 0; i < figures.pauses; ++i) printf("%s%.4f", i ? "," : "", figures.pause_ms[i]);
  printf("]");
}

static void print(const struct request *request, uint32_t checksum, double seconds) {
  printf("{\"program\":\"%s\",\"size\":%llu,\"threads\":%u,\"checksum\":%u,\"seconds\":%.6f,", request->name,
         (unsigned long long)request->size, request->threads, checksum, seconds);
  print_figures();
  if (request->live) printf(",\"live\":%llu", (unsigned long long)runtime_live());
  printf("}\n");
}

int main(int argc, char **argv) {
  struct request request;
  const struct program *program = read_request(&request, argc, argv);
  double *pause_ms = calloc(PAUSES_MAX, sizeof *pause_ms);
  if (!pause_ms) harness_quit(EXIT_MEMORY, "out of memory before the start");
  uint64_t began = harness_now_ns(); /* opening the heap is part of the first run */
  runtime_open(&request);
  for (unsigned k = 0; k <= request.warm; ++k) {
    memset(&figures, 0, sizeof figures);
    figures.pause_ms = pause_ms;
    if (k) began = harness_now_ns();
    uint32_t checksum = run(program, &request);
    double seconds = (double)(harness_now_ns() - began) / 1e9;
    if (k == request.warm) print(&request, checksum, seconds);
  }
  runtime_close();
  free(pause_ms);
  return fflush(stdout) == 0 ? 0 : EXIT_BROKEN;
}
