/* SPDX-License-Identifier: MIT */
/* rewire.c -- references of old nodes are overwritten all the time, half of them with nodes that soon die. */
#include "programs.h"

#define EDGES 4
#define WINDOW 256 /* steps that a new node lives */

struct node {
  varve_object head;
  uint64_t id;
  varve_word edge[EDGES];
};

struct net {
  varve_frame frame;
  varve_word all; /* the frame's slot */
  varve_mutator *me;
  uint32_t count, c;
  struct random random;
  uint32_t turned[WINDOW][EDGES]; /* the slots that lead to the new nodes */
};

static varve_layout NODE;

void rewire_prepare(varve_heap *heap) {
  static const uint32_t slots[] = {16, 24, 32, 40};
  register_layout(heap, &(varve_layout_desc){.name = "node", .kind = VARVE_LAYOUT_OFFSETS, .offsets = slots,
                                             .offset_count = EDGES}, &NODE);
}

static struct node *node_of(varve_word word) { return (struct node *)varve_untag(word); }

static varve_word any(struct net *net) { return array_of(net->all)->at[random_below(&net->random, net->count)]; }

static void build(struct net *net) {
  for (uint32_t i = 0; i < net->count; ++i) {
    struct node *node = take(net->me, NODE, sizeof *node);
    node->id = i;
    for (int k = 0; k < EDGES; ++k) varve_init(net->me, node, &node->edge[k], 0);
    array_store(net->me, net->all, i, varve_tag(node, 0));
  }
  for (uint32_t i = 0; i < net->count; ++i) {
    struct node *node = node_of(array_of(net->all)->at[i]);
    for (int k = 0; k < EDGES; ++k) varve_store(net->me, node, &node->edge[k], any(net));
    varve_poll(net->me);
  }
}

static void turn(struct net *net, uint32_t slot, varve_word to) {
  struct node *node = node_of(array_of(net->all)->at[slot / EDGES]);
  net->c = mix(net->c, node_of(node->edge[slot % EDGES])->id);
  varve_store(net->me, node, &node->edge[slot % EDGES], to);
}

/* No slot leads to the node of that step afterwards. */
static void turn_back(struct net *net, const uint32_t *turned) {
  for (int j = 0; j < EDGES; ++j) turn(net, turned[j], any(net));
}

static void turn_to_new(struct net *net, uint32_t *turned, uint64_t id) {
  struct node *node = take(net->me, NODE, sizeof *node);
  node->id = id;
  for (int k = 0; k < EDGES; ++k) varve_init(net->me, node, &node->edge[k], any(net));
  for (int j = 0; j < EDGES; ++j) {
    turned[j] = random_below(&net->random, EDGES * net->count);
    turn(net, turned[j], varve_tag(node, 0));
  }
}

uint32_t rewire(const struct job *job) {
  struct net net = {.me = job->me, .count = (uint32_t)job->size, .random = random_start(job)};
  uint64_t steps = 4 * job->size;
  varve_frame_push(net.me, &net.frame, 1);
  net.all = take_array(net.me, net.count);
  build(&net);
  for (uint64_t step = 0; step < steps + WINDOW; ++step) {
    if (step >= WINDOW) turn_back(&net, net.turned[step % WINDOW]);
    if (step < steps) turn_to_new(&net, net.turned[step % WINDOW], net.count + step);
    varve_poll(net.me);
  }
  peak(net.me);
  varve_frame_pop(net.me, &net.frame);
  return net.c;
}
