/* SPDX-License-Identifier: MIT */
/* graph.c -- random references that change, and forced full collections. */
#include "programs.h"

#define EDGES 4
#define ROUNDS 10
#define STEPS 100000

struct node {
  varve_object head;
  uint64_t id;
  varve_word edge[EDGES];
};

struct net {
  varve_frame frame;
  varve_word all, at; /* the frame's slots; at: where the walk is */
  varve_mutator *me;
  uint32_t count;
  uint64_t made;
  struct random random;
};
#define NET_SLOTS 2

static varve_layout NODE;

void graph_prepare(varve_heap *heap) {
  static const uint32_t slots[] = {16, 24, 32, 40};
  register_layout(heap, &(varve_layout_desc){.name = "node", .kind = VARVE_LAYOUT_OFFSETS, .offsets = slots,
                                             .offset_count = EDGES}, &NODE);
}

static struct node *node_of(varve_word word) { return (struct node *)varve_untag(word); }

static varve_word any(struct net *net) { return array_of(net->all)->at[random_below(&net->random, net->count)]; }

static void build(struct net *net) {
  for (net->made = 0; net->made < net->count; ++net->made) {
    struct node *node = take(net->me, NODE, sizeof *node);
    node->id = net->made;
    for (int k = 0; k < EDGES; ++k) varve_init(net->me, node, &node->edge[k], 0);
    array_store(net->me, net->all, net->made, varve_tag(node, 0));
  }
  for (uint32_t i = 0; i < net->count; ++i) {
    struct node *node = node_of(array_of(net->all)->at[i]);
    for (int k = 0; k < EDGES; ++k) varve_store(net->me, node, &node->edge[k], any(net));
  }
}

static void replace_one(struct net *net) {
  uint32_t i = random_below(&net->random, net->count);
  struct node *node = take(net->me, NODE, sizeof *node);
  node->id = net->made++;
  for (int k = 0; k < EDGES; ++k) varve_init(net->me, node, &node->edge[k], any(net));
  array_store(net->me, net->all, i, varve_tag(node, 0));
}

static void turn_one(struct net *net) {
  struct node *node = node_of(any(net));
  uint32_t k = random_below(&net->random, EDGES);
  varve_store(net->me, node, &node->edge[k], any(net));
}

static uint32_t walk(struct net *net, uint32_t c) {
  net->at = any(net);
  for (int step = 0; step < STEPS; ++step) {
    net->at = node_of(net->at)->edge[random_below(&net->random, EDGES)];
    c = mix(c, node_of(net->at)->id);
    varve_poll(net->me);
  }
  return c;
}

uint32_t graph(const struct job *job) {
  struct net net = {.me = job->me, .count = (uint32_t)job->size, .random = random_start(job)};
  uint32_t c = 0;
  varve_frame_push(net.me, &net.frame, NET_SLOTS);
  net.all = take_array(net.me, net.count);
  build(&net);
  peak(net.me);
  for (int round = 0; round < ROUNDS; ++round) {
    for (uint32_t i = 0; i < net.count / 64; ++i) replace_one(&net);
    for (uint32_t i = 0; i < net.count / 64; ++i) turn_one(&net);
    (void)varve_collect(net.me);
    c = walk(&net, c);
  }
  varve_frame_pop(net.me, &net.frame);
  return c;
}
