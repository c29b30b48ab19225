/* SPDX-License-Identifier: MIT */
/* apply.c -- native functions and heap values in the net.
 *
 *   f ~ (arg ret)          APPL   f is %name, or a heap closure: %name with some arguments. An APP node holds f at
 *                                 left and ret at right, and its principal port goes to meet arg. (CON is reused.)
 *   APP(f ret) ~ value     EXEC   fewer values than the native takes: a new closure, with this one, goes to ret.
 *                                 Enough: the native runs and its result goes to ret; or, when it is slow and there
 *                                 are helpers, an ASY node goes to ret and the call to the helpers.
 *   APP(f ret) ~ {x y}     COMM   APP(f w1) to x, APP(f w2) to y, {w1 w2} to ret: f is a value, so it is copied.
 *   ASY ~ SWI, OPR, APP    --     not counted: when the work is done the value takes ASY's place and the pair is
 *                                 reduced as what it then is; until then it is parked in the ASY node.
 *
 * Words and safepoints: the words of the two nodes of a redex stay in their Ref words while something is allocated
 * and are read again afterwards; the nodes are freed when the result has a root of its own.
 */
#include "apply.h"

#include "host.h"
#include "number.h"

static const char *type_name(unsigned type) {
  static const char *const names[PN_TYPES] = {
    [PN_CON] = "a constructor", [PN_DUP] = "a duplicator",   [PN_SWI] = "a switch",
    [PN_OPR] = "an operator",   [PN_HALF] = "an operator",   [PN_APP] = "a native function's application",
    [PN_ERA] = "an eraser",     [PN_DEF] = "a definition",   [PN_ASY] = "pending work"};
  return type < PN_TYPES && names[type] ? names[type] : "a node";
}

void pn_fail_meeting(struct pn_worker *w, pn_port nullary, pn_port binary) {
  const char *kind = pn_word_kind(&w->host->layouts, pn_word_of_port(w, nullary));
  switch (pn_type_of(binary)) {
    case PN_CON: pn_host_fail(w->host, "%s is not a function and cannot be applied or taken apart", kind); break;
    case PN_SWI: pn_host_fail(w->host, "a switch needs a number or an exact integer, not %s", kind); break;
    default:
      pn_host_fail(w->host, "an operator node computes with numbers of 24 bits, not with %s "
                            "(use %%add and its kin for exact integers)", kind);
  }
}

/* ---- a function value: which native, and how many arguments it has ------------------------------------------ */

static struct pn_closure *closure_of(struct pn_worker *w, pn_port function) {
  return pn_type_of(function) == PN_REF ? pn_as_closure(pn_word_of_port(w, function)) : NULL;
}

static uint32_t native_of(struct pn_worker *w, pn_port function) {
  const struct pn_closure *closure = closure_of(w, function);
  return closure ? closure->native : (uint32_t)pn_payload(function);
}

static void drop_value(struct pn_worker *w, pn_port port) {
  if (pn_has_word(pn_type_of(port))) pn_free_word(w, port);
}

/* A closure with one more item than the function has. @return its word, 0 when the heap is full. */
static varve_word extend(struct pn_worker *w, pn_port function, pn_port value) {
  const struct pn_closure *before = closure_of(w, function);
  uint32_t count = before ? before->count : 0;
  struct pn_closure *closure =
    pn_closure_new(w->mutator, &w->host->layouts, native_of(w, function), count + 1); /* safepoint */
  if (!closure) {
    pn_host_fail(w->host, "the heap is too small: %s", varve_status_sentence(varve_mutator_status(w->mutator)));
    return 0;
  }
  before = closure_of(w, function);
  for (uint32_t i = 0; i < count; ++i) pn_closure_init(w->mutator, closure, i, before->item[i]);
  pn_closure_init(w->mutator, closure, count, pn_word_of_port(w, value));
  return varve_tag(closure, PN_CLOSURE);
}

/* ---- running a native --------------------------------------------------------------------------------------- */

varve_word pn_native_run(struct pn_host *host, const struct pn_native *native, struct pn_call *call) {
  call->layouts = &host->layouts;
  call->name = native->name;
  call->temporary = call->arg + PN_ARITY_MAX;
  call->error[0] = 0;
  varve_word result = native->run(call);
  if (!result) pn_host_fail(host, "%%%s: %s", native->name, call->error[0] ? call->error : "failed");
  return result;
}

static void run_here(struct pn_worker *w, const struct pn_native *native, pn_port function, pn_port value,
                     pn_port ret) {
  VARVE_FRAME_ARRAY(frame, w->mutator, PN_ARITY_MAX + PN_TEMPORARIES);
  const struct pn_closure *closure = closure_of(w, function);
  uint32_t count = closure ? closure->count : 0;
  for (uint32_t i = 0; i < count; ++i) frame.slot[i] = closure->item[i];
  frame.slot[count] = pn_word_of_port(w, value);
  drop_value(w, function);
  drop_value(w, value);
  struct pn_call call = {.mutator = w->mutator, .arg = frame.slot, .may_block = false};
  varve_word result = pn_native_run(w->host, native, &call);
  if (result) pn_link(w, pn_port_of_word(w, result), ret);
}

/* ---- ASY nodes ---------------------------------------------------------------------------------------------- */

static struct pn_asy *asy_at(struct pn_worker *w, pn_port asy) {
  return pn_address(w->base[PN_CLASS_ASY], sizeof(struct pn_asy), asy);
}

static pn_port asy_new(struct pn_worker *w, varve_word call) {
  struct pn_slab *slab = &w->slab[PN_CLASS_ASY];
  uint64_t index = pn_slab_take(slab);
  struct pn_asy *asy = pn_slab_at(slab, index);
  atomic_store_explicit(&asy->waiters, 0, memory_order_relaxed);
  atomic_store_explicit(&asy->users, 2, memory_order_relaxed); /* the port and the job */
  varve_ref_store(w->mutator, slab->refs, &asy->word, call);
  pn_bit_set(slab, index);
  return pn_make(PN_PRINCIPAL, PN_ASY, w->partition, index);
}

pn_port pn_asy_share(struct pn_worker *w, pn_port asy) {
  atomic_fetch_add_explicit(&asy_at(w, asy)->users, 1, memory_order_relaxed); /* we hold a use already */
  return asy;
}

/* Release our reads of the node, acquire the others': the last one frees it. */
void pn_asy_release(struct pn_worker *w, pn_port asy) {
  if (atomic_fetch_sub_explicit(&asy_at(w, asy)->users, 1, memory_order_acq_rel) == 1) pn_free_word(w, asy);
}

/* The job names the node by its port; parked redexes and duplicates do, too. */
static void run_beside(struct pn_worker *w, pn_port function, pn_port value, pn_port ret) {
  varve_word call = extend(w, function, value);
  if (!call) return;
  drop_value(w, function);
  drop_value(w, value);
  pn_port asy = asy_new(w, call);
  if (pn_job_submit(w->host, asy)) pn_link(w, asy, ret);
  else pn_host_fail(w->host, "no host memory is left for a job");
}

/* Acquire: pairs with the exchange in async.c that marks the node done, so the word is the result. */
static bool asy_is_done(const struct pn_asy *asy) {
  return atomic_load_explicit(&asy->waiters, memory_order_acquire) == PN_ASY_DONE;
}

/* @return false when the work was done meanwhile. */
static bool park(struct pn_asy *asy, struct pn_parked *parked) {
  uintptr_t head = atomic_load_explicit(&asy->waiters, memory_order_acquire);
  do {
    if (head == PN_ASY_DONE) return false;
    parked->next = (struct pn_parked *)head;
  } while (!atomic_compare_exchange_weak_explicit(&asy->waiters, &head, (uintptr_t)parked, memory_order_acq_rel,
                                                  memory_order_acquire));
  return true;
}

static void resolve(struct pn_worker *w, pn_port port, pn_port binary) {
  pn_port value = pn_port_of_word(w, varve_ref_load(&asy_at(w, port)->word));
  pn_asy_release(w, port);
  pn_reduce(w, value, binary);
}

void pn_asy_wait(struct pn_worker *w, pn_port port, pn_port binary) {
  struct pn_asy *asy = asy_at(w, port);
  if (asy_is_done(asy)) {
    resolve(w, port, binary);
    return;
  }
  struct pn_parked *parked = malloc(sizeof *parked);
  if (!parked) {
    pn_host_fail(w->host, "no host memory is left for a waiting pair");
    return;
  }
  *parked = (struct pn_parked){NULL, port, binary};
  if (park(asy, parked)) return;
  free(parked);
  resolve(w, port, binary);
}

/* ---- the rules ---------------------------------------------------------------------------------------------- */

void pn_apply(struct pn_worker *w, pn_port function, pn_port con) {
  ++w->rule[PN_RULE_APPL];
  struct pn_node *node = pn_node_at(w, con);
  pn_port argument = node->left;
  node->left = function;
  pn_link(w, pn_retype(con, PN_APP), argument);
}

void pn_apply_to_value(struct pn_worker *w, pn_port app, pn_port value) {
  ++w->rule[PN_RULE_EXEC];
  struct pn_node node = *pn_node_at(w, app);
  pn_free(w, PN_CLASS_NODE, app);
  const struct pn_closure *closure = closure_of(w, node.left);
  const struct pn_native *native = &pn_natives[native_of(w, node.left)];
  if ((closure ? closure->count : 0) + 1 >= native->arity) {
    bool beside = native->slow && w->host->options.helpers;
    if (beside) run_beside(w, node.left, value, node.right);
    else run_here(w, native, node.left, value, node.right);
    return;
  }
  varve_word word = extend(w, node.left, value);
  if (!word) return;
  drop_value(w, node.left);
  drop_value(w, value);
  pn_link(w, pn_word_new(w, word), node.right);
}

static void duplicate(struct pn_worker *w, pn_port app, pn_port dup) {
  ++w->rule[PN_RULE_COMM];
  struct pn_node *call = pn_node_at(w, app), *pair = pn_node_at(w, dup);
  pn_port function = call->left, ret = call->right, x = pair->left, y = pair->right;
  pn_port twin = pn_port_of_word(w, pn_word_of_port(w, function));
  pn_port first = pn_wire_new(w), second = pn_wire_new(w);
  call->right = first;
  pair->left = first, pair->right = second;
  pn_link(w, pn_node_new(w, PN_APP, twin, second), y);
  pn_link(w, app, x);
  pn_link(w, dup, ret);
}

void pn_apply_to_node(struct pn_worker *w, pn_port app, pn_port binary) {
  if (pn_type_of(binary) == PN_DUP) {
    duplicate(w, app, binary);
    return;
  }
  const struct pn_native *native = &pn_natives[native_of(w, pn_node_at(w, app)->left)];
  pn_host_fail(w->host, "%%%s: an argument must be a value, not %s", native->name, type_name(pn_type_of(binary)));
}

/* ---- exact integers in a switch ------------------------------------------------------------------------------ */

static varve_word predecessor(struct pn_worker *w, pn_port ptr) {
  const struct pn_layouts *layouts = &w->host->layouts;
  size_t limbs = pn_limbs(pn_as_integer(layouts, pn_word_of_port(w, ptr)));
  struct pn_integer *result = pn_integer_new(w->mutator, layouts, limbs + 1); /* safepoint */
  if (!result) return 0;
  const struct pn_integer *integer = pn_as_integer(layouts, pn_word_of_port(w, ptr));
  bool negative = integer->size < 0;
  result->limb[limbs] = 0;
  if (negative) result->limb[limbs] = mpn_add_1(result->limb, integer->limb, (mp_size_t)limbs, 1);
  else mpn_sub_1(result->limb, integer->limb, (mp_size_t)limbs, 1);
  pn_integer_normalize(result, limbs + 1, negative);
  return varve_tag(result, PN_VALUE);
}

enum pn_sign pn_predecessor(struct pn_worker *w, pn_port ptr) {
  const struct pn_integer *integer = pn_as_integer(&w->host->layouts, pn_word_of_port(w, ptr));
  if (!integer) {
    const char *kind = pn_word_kind(&w->host->layouts, pn_word_of_port(w, ptr));
    pn_host_fail(w->host, "a switch needs a number or an exact integer, not %s", kind);
    return PN_SIGN_FAILED;
  }
  if (integer->size == 0) return PN_SIGN_ZERO;
  varve_word word = predecessor(w, ptr);
  if (word) {
    varve_refs *words = w->host->net->partition[pn_partition_of(ptr)].slab[PN_CLASS_PTR].refs;
    varve_ref_store(w->mutator, words, pn_word_at(w, ptr), word);
    return PN_SIGN_OTHER;
  }
  pn_host_fail(w->host, "the heap is too small: %s", varve_status_sentence(varve_mutator_status(w->mutator)));
  return PN_SIGN_FAILED;
}
