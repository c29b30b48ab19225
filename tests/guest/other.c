/* SPDX-License-Identifier: MIT */
/* other.c -- figures, the drawing, and a system that forbids placement. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bed.h"
#include "checks.h"

/* ---- figures ------------------------------------------------------------------------------------------------- */

struct totals {
  uint64_t committed, sampled, sampled_local, steals, moved, moved_local;
};

static struct totals totals_of_nodes(const varve_heap *heap) {
  struct totals sum = {0};
  varve_node_stats node;
  for (uint32_t i = 0; varve_node_stats_get(heap, i, &node); ++i) {
    sum.committed += node.bytes_committed;
    sum.sampled += node.sampled;
    sum.sampled_local += node.sampled_local;
    sum.moved += node.words_moved;
    sum.moved_local += node.words_moved_local;
    for (unsigned step = 0; step < VARVE_STATS_STEPS; ++step) sum.steals += node.steals_by_steps[step];
  }
  return sum;
}

/* Adds one collection's figures of its workers. */
static void add_workers(struct totals *sum, const varve_collection_stats *stats) {
  for (unsigned i = 0; i < stats->workers && i < VARVE_STATS_WORKERS; ++i) {
    const varve_worker_stats *worker = &stats->worker[i];
    uint64_t steals = 0;
    for (unsigned step = 0; step < VARVE_STATS_STEPS; ++step) steals += worker->steals_by_steps[step];
    expect(steals == worker->steals, "worker %u: steals by distance do not add up", i);
    sum->steals += steals;
    sum->sampled += worker->sampled;
    sum->sampled_local += worker->sampled_local;
    sum->moved += worker->words_moved;
    sum->moved_local += worker->words_moved_local;
  }
}

static void expect_same(uint64_t nodes, uint64_t whole, const char *what) {
  expect(nodes == whole, "%s: the nodes say %llu in all, the heap %llu", what, (unsigned long long)nodes,
         (unsigned long long)whole);
}

static void grow_everywhere(struct bed *bed) {
  struct hand hand;
  for (unsigned i = 0; i < machine()->count; ++i) {
    if (!(machine()->near & bit(i))) continue;
    hand_open(&hand, bed, i);
    hand_fill(&hand);
    hand_close(&hand);
  }
}

/* The share of local objects in a collection by this hand alone. */
static double local_share(struct hand *hand) {
  struct totals before = totals_of_nodes(hand->bed->heap), after;
  hand_enter(hand);
  hand_collect(hand);
  hand_leave(hand);
  after = totals_of_nodes(hand->bed->heap);
  expect(after.sampled - before.sampled >= 100, "hardly an object was sampled");
  return (double)(after.sampled_local - before.sampled_local) / (double)(after.sampled - before.sampled);
}

/* All objects are of one node: for a worker there they are local, for a worker elsewhere they are not. */
void check_local_share(void) {
  struct bed bed;
  struct hand here, there;
  bool same = home_of(first_of(machine()->near)) == home_of(last_of(machine()->near));
  bed_open(&bed, "heap-max=256m,workers=1,move-everything=1");
  hand_open(&here, &bed, first_of(machine()->near));
  hand_fill(&here);
  hand_leave(&here);
  hand_open(&there, &bed, last_of(machine()->near));
  hand_leave(&there);
  double near = local_share(&here), far = local_share(&there);
  expect(near > 0.95, "a share of %.2f was local, for a worker on their node", near);
  expect(same ? far > 0.95 : far < 0.05, "a share of %.2f was local, for a worker on another node", far);
  hand_enter(&here);
  hand_close(&here);
  hand_enter(&there);
  hand_close(&there);
  bed_close(&bed);
}

void check_statistics(void) {
  struct bed bed;
  struct hand hand;
  struct totals collected = {0};
  varve_heap_stats heap;
  varve_collection_stats collection;
  bed_open(&bed, "heap-max=512m,heap-sizing=fixed,cache-budget=512m,move-everything=1");
  grow_everywhere(&bed); /* no collection yet: there is room */
  hand_open(&hand, &bed, first_of(machine()->near));
  for (unsigned i = 0; i < 3; ++i) {
    hand_waste(&hand, 1000, 64);
    expect(varve_collect(hand.me) == VARVE_OK && varve_collection_stats_get(bed.heap, &collection), "no figures");
    expect(collection.number == i + 1, "a collection that was not asked for");
    add_workers(&collected, &collection);
  }
  struct totals nodes = totals_of_nodes(bed.heap);
  varve_heap_stats_get(bed.heap, &heap);
  expect_same(nodes.committed, heap.bytes_committed, "committed");
  expect_same(nodes.sampled, collected.sampled, "sampled");
  expect_same(nodes.sampled_local, collected.sampled_local, "sampled on their own node");
  expect_same(nodes.steals, collected.steals, "steals");
  expect_same(nodes.moved, collected.moved, "words moved");
  expect_same(nodes.moved_local, collected.moved_local, "words moved from their own node");
  expect(nodes.sampled > 0 && nodes.sampled_local <= nodes.sampled, "%llu of %llu objects were local",
         (unsigned long long)nodes.sampled_local, (unsigned long long)nodes.sampled);
  hand_close(&hand);
  bed_close(&bed);
}

/* ---- the drawing --------------------------------------------------------------------------------------------- */

static void add_line(void *context, const char *line) {
  char *text = context;
  size_t length = strlen(text);
  snprintf(text + length, 16384 - length, "%s\n", line);
}

/* A line for the node begins with its number and tells its memory. */
static bool names_node(const char *text, unsigned node) {
  for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
    unsigned number;
    char unit[8];
    if (sscanf(line, "%u %*f %7s", &number, unit) == 2 && number == node && strcmp(unit + 1, "iB") == 0) return true;
  }
  return false;
}

static void expect_drawing(const varve_heap *heap) {
  static char text[16384];
  text[0] = 0;
  expect(varve_topology_print(heap, add_line, text) == VARVE_OK, "no drawing");
  for (unsigned i = 0; i < machine()->count; ++i)
    if (machine()->memory & bit(i)) expect(names_node(text, i), "node %u is missing in:\n%s", i, text);
}

void check_picture(void) {
  struct bed bed;
  expect_drawing(NULL);
  bed_open(&bed, "heap-max=64m");
  expect_drawing(bed.heap);
  bed_close(&bed);
}

/* ---- forbidden system calls ---------------------------------------------------------------------------------- */

#define NUMBER BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define FORBID(call) \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

/* As many containers do. */
static void forbid_placement(void) {
  struct sock_filter code[] = {NUMBER,
                               FORBID(mbind),
                               FORBID(set_mempolicy),
                               FORBID(move_pages),
                               FORBID(get_mempolicy),
                               BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
  expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no new privileges");
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) skip("no filter of system calls here");
  expect(syscall(SYS_get_mempolicy, NULL, NULL, 0ul, NULL, 0ul) == -1 && errno == EPERM, "the filter does nothing");
}

void check_denied(void) {
  struct bed bed;
  struct hand hand;
  machine();
  forbid_placement();
  bed_open(&bed, "heap-max=128m,heap-initial=16m");
  grow_everywhere(&bed);
  hand_open(&hand, &bed, first_of(machine()->near));
  hand_fill(&hand);
  hand_collect(&hand);
  unsigned refused = bed_said(&bed, "refuse", "place"), unknown = bed_said(&bed, "not say", "node");
  expect(refused == (count_of(machine()->memory) > 1), "%u lines of the log about refusals", refused);
  expect(unknown <= 1, "%u lines of the log about places that are not known", unknown);
  hand_close(&hand);
  bed_close(&bed);
}
