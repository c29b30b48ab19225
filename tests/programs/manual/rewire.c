/* SPDX-License-Identifier: MIT */
/* rewire.c -- references of old nodes are overwritten all the time, half of them with nodes that soon die. */
#include "memory.h"

#define EDGES 4
#define WINDOW 256 /* steps that a new node lives */

struct node {
  uint64_t id;
  struct node *edge[EDGES];
};

struct net {
  struct node **all;
  uint32_t count, c;
  struct random random;
  struct {
    uint32_t slot[EDGES]; /* that lead to the new node */
    struct node *node;    /* null where nobody drops it */
  } turned[WINDOW];
};

static struct node *any(struct net *net) { return net->all[random_below(&net->random, net->count)]; }

static void build(struct net *net) {
  for (uint32_t i = 0; i < net->count; ++i) {
    net->all[i] = take(sizeof **net->all);
    *net->all[i] = (struct node){.id = i};
  }
  for (uint32_t i = 0; i < net->count; ++i)
    for (int k = 0; k < EDGES; ++k) net->all[i]->edge[k] = any(net);
}

static void turn(struct net *net, uint32_t slot, struct node *to) {
  struct node **edge = &net->all[slot / EDGES]->edge[slot % EDGES];
  net->c = mix(net->c, (*edge)->id);
  *edge = to;
}

/* No slot leads to the node of that step afterwards. */
static void turn_back(struct net *net, uint64_t step) {
  for (int j = 0; j < EDGES; ++j) turn(net, net->turned[step % WINDOW].slot[j], any(net));
  drop(net->turned[step % WINDOW].node);
}

static void turn_to_new(struct net *net, uint64_t step) {
  struct node *node = take(sizeof *node);
  node->id = net->count + step;
  for (int k = 0; k < EDGES; ++k) node->edge[k] = any(net);
  for (int j = 0; j < EDGES; ++j) {
    uint32_t slot = random_below(&net->random, EDGES * net->count);
    net->turned[step % WINDOW].slot[j] = slot;
    turn(net, slot, node);
  }
  net->turned[step % WINDOW].node = MUST_DROP ? node : NULL;
}

uint32_t rewire(const struct job *job) {
  struct net net = {.count = (uint32_t)job->size, .random = random_start(job)};
  uint64_t steps = 4 * job->size;
  net.all = take_array(net.count);
  build(&net);
  for (uint64_t step = 0; step < steps + WINDOW; ++step) {
    if (step >= WINDOW) turn_back(&net, step);
    if (step < steps) turn_to_new(&net, step);
  }
  for (uint32_t i = 0; MUST_DROP && i < net.count; ++i) drop(net.all[i]);
  drop(net.all);
  return net.c;
}
