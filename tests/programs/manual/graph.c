/* SPDX-License-Identifier: MIT */
/* graph.c -- random references that change, and forced full collections. With explicit free nobody could say when a
 * node is no longer reachable, short of writing a collector. */
#include "memory.h"

#ifndef BOEHM

uint32_t graph(const struct job *job) {
  (void)job;
  harness_quit(EXIT_CANNOT, "graph cannot be written with explicit free");
}

#else

#define EDGES 4
#define ROUNDS 10
#define STEPS 100000

struct node {
  uint64_t id;
  struct node *edge[EDGES];
};

struct net {
  struct node **all;
  uint32_t count;
  uint64_t made;
  struct random random;
};

static struct node *any(struct net *net) { return net->all[random_below(&net->random, net->count)]; }

static void build(struct net *net) {
  for (net->made = 0; net->made < net->count; ++net->made) {
    struct node *node = take(sizeof *node);
    *node = (struct node){.id = net->made};
    net->all[net->made] = node;
  }
  for (uint32_t i = 0; i < net->count; ++i)
    for (int k = 0; k < EDGES; ++k) net->all[i]->edge[k] = any(net);
}

static void replace_one(struct net *net) {
  uint32_t i = random_below(&net->random, net->count);
  struct node *node = take(sizeof *node);
  node->id = net->made++;
  for (int k = 0; k < EDGES; ++k) node->edge[k] = any(net);
  net->all[i] = node;
}

static void turn_one(struct net *net) {
  struct node *node = any(net);
  uint32_t k = random_below(&net->random, EDGES);
  node->edge[k] = any(net);
}

static uint32_t walk(struct net *net, uint32_t c) {
  const struct node *at = any(net);
  for (int step = 0; step < STEPS; ++step) {
    at = at->edge[random_below(&net->random, EDGES)];
    c = mix(c, at->id);
  }
  return c;
}

uint32_t graph(const struct job *job) {
  struct net net = {.count = (uint32_t)job->size, .random = random_start(job)};
  uint32_t c = 0;
  net.all = take_array(net.count);
  build(&net);
  for (int round = 0; round < ROUNDS; ++round) {
    for (uint32_t i = 0; i < net.count / 64; ++i) replace_one(&net);
    for (uint32_t i = 0; i < net.count / 64; ++i) turn_one(&net);
    GC_gcollect();
    c = walk(&net, c);
  }
  return c;
}

#endif
