/* SPDX-License-Identifier: MIT */
/* reduce.c -- the interaction rules.
 *
 *   nullary ~ nullary                 VOID  both vanish
 *   ERA ~ binary                      ERAS  an eraser for each of its slots
 *   NUM ~ CON, nullary ~ DUP          ERAS  a copy for each slot (a definition: only when it is safe)
 *   definition ~ CON SWI OPR APP      CALL  copy the definition's net; the other node stays
 *   binary ~ the same type            ANNI  left to left, right to right
 *   binary ~ another type             COMM  each passes through the other: four nodes, four wires
 *   NUM, exact integer ~ SWI          SWIT  choose the case; a non-zero one receives the predecessor
 *   NUM ~ OPR, then NUM ~ HALF        OPER  hold the first operand, then compute
 *   native ~ CON, value ~ APP         APPL, EXEC; ASY ~ anything that needs its value waits (apply.c)
 *
 * Each rule consumes the pair, and only it; what it joins, it joins once. Nodes are reused in place where a rule frees
 * one and makes one. The count of each rule does not depend on the order of reduction (README.md says why).
 *
 * Runs on pool workers. Only SWIT on an exact integer and the rules of apply.c may reach a safepoint.
 */
#include "apply.h"
#include "host.h"
#include "number.h"
#include "worker.h"

void pn_free_foreign(struct pn_worker *w, enum pn_class class, pn_port port) {
  struct pn_homeward *home = &w->homeward[pn_partition_of(port) * PN_CLASSES + class];
  uint64_t index = pn_index_of(port);
  uint64_t *word = pn_address(w->base[class], pn_class_stride[class], port);
  *word = home->count ? pn_link_of(home->first) : 0; /* N3 */
  if (home->count++ == 0) home->last = index;
  home->first = index;
  if (home->count < 64) return;
  pn_slab_send_home(&w->host->net->partition[pn_partition_of(port)].slab[class], home->first, home->last);
  home->count = 0;
}

void pn_send_home(struct pn_worker *w) {
  for (unsigned i = 0; i < w->host->net->partitions * PN_CLASSES; ++i) {
    struct pn_homeward *home = &w->homeward[i];
    if (home->count == 0) continue;
    struct pn_partition *partition = &w->host->net->partition[i / PN_CLASSES];
    pn_slab_send_home(&partition->slab[i % PN_CLASSES], home->first, home->last);
    home->count = 0;
  }
}

/* ---- CALL -------------------------------------------------------------------------------------------------- */

static inline pn_port adjust(struct pn_worker *w, pn_port code) {
  if (pn_kind_of(code) == PN_IMMEDIATE) return code;
  if (pn_type_of(code) == PN_WIRE) return w->wire_scratch[pn_index_of(code)];
  if (pn_type_of(code) == PN_PTR) return pn_word_new(w, varve_ref_load(w->host->literal[pn_index_of(code)]));
  return w->node_scratch[pn_index_of(code)];
}

pn_port pn_call(struct pn_worker *w, uint64_t id) {
  const struct pn_def *def = &w->book->def[id];
  for (uint32_t i = 0; i < def->node_count; ++i) w->node_scratch[i] = pn_node_new(w, def->type[i], 0, 0);
  for (uint32_t i = 0; i < def->wire_count; ++i) w->wire_scratch[i] = pn_wire_new(w);
  for (uint32_t i = 0; i < def->node_count; ++i) {
    struct pn_node *node = pn_node_at(w, w->node_scratch[i]);
    node->left = adjust(w, def->slot[2 * i]);
    node->right = adjust(w, def->slot[2 * i + 1]);
  }
  for (uint32_t i = 0; i < def->redex_count; ++i)
    pn_link(w, adjust(w, def->redex[2 * i]), adjust(w, def->redex[2 * i + 1]));
  return adjust(w, def->root);
}

static void rule_call(struct pn_worker *w, pn_port def, pn_port other) {
  ++w->rule[PN_RULE_CALL];
  pn_link(w, pn_call(w, pn_payload(def)), other);
}

/* ---- nullary nodes ----------------------------------------------------------------------------------------- */

static void drop(struct pn_worker *w, pn_port nullary) {
  unsigned type = pn_type_of(nullary);
  if (type == PN_ASY) pn_asy_release(w, nullary);
  else if (pn_has_word(type)) pn_free_word(w, nullary);
}

static void rule_void(struct pn_worker *w, pn_port a, pn_port b) {
  ++w->rule[PN_RULE_VOID];
  drop(w, a);
  drop(w, b);
}

/* The copy has a node of its own; the word is shared, and so is pending work. */
static pn_port copy(struct pn_worker *w, pn_port nullary) {
  if (pn_type_of(nullary) == PN_ASY) return pn_asy_share(w, nullary);
  return pn_port_of_word(w, pn_word_of_port(w, nullary));
}

static void rule_copy(struct pn_worker *w, pn_port nullary, pn_port binary) {
  ++w->rule[PN_RULE_ERAS];
  struct pn_node node = *pn_node_at(w, binary);
  pn_free(w, PN_CLASS_NODE, binary);
  pn_link(w, copy(w, nullary), node.left);
  pn_link(w, nullary, node.right);
}

static void rule_def(struct pn_worker *w, pn_port def, pn_port binary) {
  if (pn_type_of(binary) != PN_DUP) {
    rule_call(w, def, binary);
    return;
  }
  const struct pn_def *target = &w->book->def[pn_payload(def)];
  if (target->safe) rule_copy(w, def, binary);
  else pn_host_fail(w->host, "cannot clone the reference '@%s': it has duplicators (line %u)", target->name,
                    target->line);
}

/* ---- numbers ----------------------------------------------------------------------------------------------- */

/* The chosen case receives `rest` (the predecessor, or nothing at zero) and its result goes to the switch's. */
static void switch_to(struct pn_worker *w, pn_port swi, bool zero, pn_port rest) {
  struct pn_node *node = pn_node_at(w, swi);
  pn_port cases = node->left;
  if (zero)
    node->left = node->right, node->right = PN_ERASER;
  else
    node->right = pn_node_new(w, PN_CON, rest, node->right), node->left = PN_ERASER;
  pn_link(w, pn_retype(swi, PN_CON), cases);
}

static void rule_switch(struct pn_worker *w, pn_port num, pn_port swi) {
  ++w->rule[PN_RULE_SWIT];
  uint32_t value = pn_num_bits((pn_num)pn_payload(num));
  switch_to(w, swi, value == 0, value ? pn_immediate(PN_NUM, pn_num_u24(value - 1)) : 0);
}

static void rule_switch_value(struct pn_worker *w, pn_port ptr, pn_port swi) {
  ++w->rule[PN_RULE_SWIT];
  enum pn_sign sign = pn_predecessor(w, ptr);
  if (sign == PN_SIGN_FAILED) return;
  if (sign == PN_SIGN_ZERO) pn_free_word(w, ptr);
  switch_to(w, swi, sign == PN_SIGN_ZERO, ptr);
}

static void rule_operand(struct pn_worker *w, pn_port num, pn_port opr) {
  ++w->rule[PN_RULE_OPER];
  struct pn_node *node = pn_node_at(w, opr);
  pn_port other = node->left;
  node->left = num;
  pn_link(w, pn_retype(opr, PN_HALF), other);
}

static void rule_operate(struct pn_worker *w, pn_port num, pn_port half) {
  ++w->rule[PN_RULE_OPER];
  struct pn_node node = *pn_node_at(w, half);
  pn_free(w, PN_CLASS_NODE, half);
  pn_num result = pn_num_operate((pn_num)pn_payload(num), (pn_num)pn_payload(node.left));
  pn_link(w, pn_immediate(PN_NUM, result), node.right);
}

/* ---- binary nodes ------------------------------------------------------------------------------------------ */

static void rule_erase(struct pn_worker *w, pn_port binary) {
  ++w->rule[PN_RULE_ERAS];
  struct pn_node node = *pn_node_at(w, binary);
  pn_free(w, PN_CLASS_NODE, binary);
  pn_link(w, PN_ERASER, node.left);
  pn_link(w, PN_ERASER, node.right);
}

static void rule_annihilate(struct pn_worker *w, pn_port a, pn_port b) {
  ++w->rule[PN_RULE_ANNI];
  struct pn_node x = *pn_node_at(w, a), y = *pn_node_at(w, b);
  pn_free(w, PN_CLASS_NODE, a);
  pn_free(w, PN_CLASS_NODE, b);
  pn_link(w, x.left, y.left);
  pn_link(w, x.right, y.right);
}

/* A copy of a half operator is a whole one: what it held comes to its left slot through the other node. */
static unsigned fresh_type(pn_port port) {
  unsigned type = pn_type_of(port);
  return type == PN_HALF ? PN_OPR : type;
}

static void rule_commute(struct pn_worker *w, pn_port a, pn_port b) {
  ++w->rule[PN_RULE_COMM];
  struct pn_node x = *pn_node_at(w, a), y = *pn_node_at(w, b);
  unsigned a_type = fresh_type(a), b_type = fresh_type(b);
  pn_port ll = pn_wire_new(w), lr = pn_wire_new(w), rl = pn_wire_new(w), rr = pn_wire_new(w);
  pn_free(w, PN_CLASS_NODE, a);
  pn_free(w, PN_CLASS_NODE, b);
  pn_link(w, pn_node_new(w, b_type, ll, lr), x.left);
  pn_link(w, pn_node_new(w, b_type, rl, rr), x.right);
  pn_link(w, pn_node_new(w, a_type, ll, rl), y.left);
  pn_link(w, pn_node_new(w, a_type, lr, rr), y.right);
}

static void reduce_binary(struct pn_worker *w, pn_port a, pn_port b) {
  unsigned a_type = pn_type_of(a), b_type = pn_type_of(b);
  if (a_type == PN_APP) pn_apply_to_node(w, a, b);
  else if (b_type == PN_APP) pn_apply_to_node(w, b, a);
  else if (fresh_type(a) == fresh_type(b)) rule_annihilate(w, a, b);
  else rule_commute(w, a, b);
}

/* ---- choosing the rule ------------------------------------------------------------------------------------- */

static void reduce_number(struct pn_worker *w, pn_port num, pn_port binary) {
  switch (pn_type_of(binary)) {
    case PN_SWI: rule_switch(w, num, binary); break;
    case PN_OPR: rule_operand(w, num, binary); break;
    case PN_HALF: rule_operate(w, num, binary); break;
    case PN_APP: pn_apply_to_value(w, binary, num); break;
    default: rule_copy(w, num, binary); /* CON, DUP */
  }
}

/* A native without arguments, or with some: FUN, REF. */
static void reduce_function(struct pn_worker *w, pn_port function, pn_port binary) {
  switch (pn_type_of(binary)) {
    case PN_DUP: rule_copy(w, function, binary); break;
    case PN_CON: pn_apply(w, function, binary); break;
    case PN_APP: pn_apply_to_value(w, binary, function); break;
    default: pn_fail_meeting(w, function, binary); break;
  }
}

static void reduce_value(struct pn_worker *w, pn_port ptr, pn_port binary) {
  switch (pn_type_of(binary)) {
    case PN_DUP: rule_copy(w, ptr, binary); break;
    case PN_SWI: rule_switch_value(w, ptr, binary); break;
    case PN_APP: pn_apply_to_value(w, binary, ptr); break;
    default: pn_fail_meeting(w, ptr, binary); break;
  }
}

static void reduce_nullary(struct pn_worker *w, pn_port a, pn_port binary) {
  switch (pn_type_of(a)) {
    case PN_ERA: rule_erase(w, binary); break;
    case PN_NUM: reduce_number(w, a, binary); break;
    case PN_DEF: rule_def(w, a, binary); break;
    case PN_PTR: reduce_value(w, a, binary); break;
    case PN_ASY:
      if (pn_type_of(binary) == PN_DUP) rule_copy(w, a, binary);
      else pn_asy_wait(w, a, binary);
      break;
    default: reduce_function(w, a, binary); break;
  }
}

void pn_reduce(struct pn_worker *w, pn_port a, pn_port b) {
  bool a_binary = pn_is_binary(pn_type_of(a)), b_binary = pn_is_binary(pn_type_of(b));
  if (a_binary && b_binary) reduce_binary(w, a, b);
  else if (a_binary) reduce_nullary(w, b, a);
  else if (b_binary) reduce_nullary(w, a, b);
  else rule_void(w, a, b);
}
