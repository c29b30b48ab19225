/* SPDX-License-Identifier: MIT */
/* phases.c -- a compiler: the trees of a module die together at its end, the symbols and the payloads stay. */
#include "programs.h"

#define MODULES 24
#define DEPTH 8
#define NAMES 48 /* for each function of a module */

enum { NUMBER, SUM, PRODUCT, LET, NAME, SYMBOL }; /* op; of a tree without SYMBOL */

struct tree {
  varve_object head;
  varve_word left, right;
  uint64_t op, value;
};

struct code {
  varve_object head;
  varve_word left, right, symbol;
  uint64_t op, value;
};

struct entry {
  varve_object head;
  varve_word next;
  uint64_t name;
};

struct function {
  varve_object head;
  varve_word next, body; /* body: a tree or code */
  uint64_t name;
};

struct symbol {
  varve_object head;
  varve_word chain, payload;
  uint64_t name, uses;
};

struct compiler {
  varve_frame frame;
  varve_word buckets, parsed, resolved, folded, at, scope; /* the frame's slots; scope: a list of entries */
  varve_mutator *me;
  uint64_t mask;
  uint32_t functions, module;
  struct random random;
};
#define COMPILER_SLOTS 6

typedef varve_word convert_fn(struct compiler *compiler, varve_word body);

static varve_layout TREE, CODE, ENTRY, FUNCTION, SYMBOL_LAYOUT;

void phases_prepare(varve_heap *heap) {
  register_struct(heap, "tree", 2, true, &TREE);
  register_struct(heap, "code", 3, true, &CODE);
  register_struct(heap, "entry", 1, true, &ENTRY);
  register_struct(heap, "function", 2, true, &FUNCTION);
  register_struct(heap, "symbol", 2, false, &SYMBOL_LAYOUT);
}

static const struct tree *tree_of(varve_word word) { return (const struct tree *)varve_untag(word); }
static const struct code *code_of(varve_word word) { return (const struct code *)varve_untag(word); }
static const struct entry *entry_of(varve_word word) { return (const struct entry *)varve_untag(word); }
static const struct function *function_of(varve_word word) { return (const struct function *)varve_untag(word); }
static struct symbol *symbol_of(varve_word word) { return (struct symbol *)varve_untag(word); }
static const struct payload *payload_of(varve_word word) { return (const struct payload *)varve_untag(word); }

/* ---- the table of symbols ---- */

static varve_word find_symbol(struct compiler *compiler, uint64_t name) {
  size_t bucket = name * 40503 & compiler->mask;
  varve_word word = array_of(compiler->buckets)->at[bucket];
  while (word && symbol_of(word)->name != name) word = symbol_of(word)->chain;
  if (word) return word;
  struct symbol *symbol = take(compiler->me, SYMBOL_LAYOUT, sizeof *symbol);
  varve_init(compiler->me, symbol, &symbol->chain, array_of(compiler->buckets)->at[bucket]);
  varve_init(compiler->me, symbol, &symbol->payload, 0);
  symbol->name = name;
  symbol->uses = 0;
  array_store(compiler->me, compiler->buckets, bucket, varve_tag(symbol, 0));
  return varve_tag(symbol, 0);
}

static uint32_t sum_symbols(struct compiler *compiler, uint32_t c) {
  for (uint64_t bucket = 0; bucket <= compiler->mask; ++bucket) {
    for (varve_word word = array_of(compiler->buckets)->at[bucket]; word; word = symbol_of(word)->chain) {
      const struct symbol *symbol = symbol_of(word);
      c = mix(c, symbol->uses + (symbol->payload ? payload_length(payload_of(symbol->payload)) : 0));
    }
    varve_poll(compiler->me);
  }
  return c;
}

/* ---- functions ---- */

static void push(struct compiler *compiler, varve_word *list, varve_word body, uint64_t name) {
  VARVE_FRAME(f, compiler->me, body);
  f.body = body;
  struct function *function = take(compiler->me, FUNCTION, sizeof *function);
  varve_init(compiler->me, function, &function->next, *list);
  varve_init(compiler->me, function, &function->body, f.body);
  function->name = name;
  *list = varve_tag(function, 0);
}

static void convert(struct compiler *compiler, varve_word *from, varve_word *to, convert_fn *body_of) {
  for (compiler->at = *from; compiler->at; compiler->at = function_of(compiler->at)->next) {
    varve_word body = body_of(compiler, function_of(compiler->at)->body);
    push(compiler, to, body, function_of(compiler->at)->name);
  }
}

/* ---- first form: trees ---- */

static varve_word take_tree(struct compiler *compiler, const varve_word *children, uint64_t op, uint64_t value) {
  struct tree *tree = take(compiler->me, TREE, sizeof *tree);
  varve_init(compiler->me, tree, &tree->left, children[0]);
  varve_init(compiler->me, tree, &tree->right, children[1]);
  tree->op = op;
  tree->value = value;
  return varve_tag(tree, 0);
}

static varve_word parse_leaf(struct compiler *compiler) {
  static const varve_word nothing[2];
  if (random_below(&compiler->random, 2) == 0)
    return take_tree(compiler, nothing, NUMBER, random_below(&compiler->random, 256));
  return take_tree(compiler, nothing, NAME, random_below(&compiler->random, NAMES * compiler->functions));
}

static varve_word parse(struct compiler *compiler, unsigned depth) {
  if (depth == 0 || random_below(&compiler->random, 8) == 0) return parse_leaf(compiler);
  VARVE_FRAME_ARRAY(f, compiler->me, 2);
  uint32_t op = SUM + random_below(&compiler->random, 3);
  uint32_t value = random_below(&compiler->random, 4);
  f.slot[0] = parse(compiler, depth - 1);
  f.slot[1] = parse(compiler, depth - 1);
  return take_tree(compiler, f.slot, op, value);
}

/* ---- second form: names are resolved ---- */

/* children: left, right and symbol, in a frame */
static varve_word take_code(struct compiler *compiler, const varve_word *children, uint64_t op, uint64_t value) {
  struct code *code = take(compiler->me, CODE, sizeof *code);
  varve_init(compiler->me, code, &code->left, children[0]);
  varve_init(compiler->me, code, &code->right, children[1]);
  varve_init(compiler->me, code, &code->symbol, children[2]);
  code->op = op;
  code->value = value;
  return varve_tag(code, 0);
}

static void enter(struct compiler *compiler, uint64_t name) {
  struct entry *entry = take(compiler->me, ENTRY, sizeof *entry);
  varve_init(compiler->me, entry, &entry->next, compiler->scope);
  entry->name = name;
  compiler->scope = varve_tag(entry, 0);
}

static varve_word resolve_name(struct compiler *compiler, uint64_t name) {
  VARVE_FRAME_ARRAY(f, compiler->me, 3);
  uint64_t distance = 0;
  for (varve_word word = compiler->scope; word; word = entry_of(word)->next, ++distance)
    if (entry_of(word)->name == name % 4) return take_code(compiler, f.slot, NAME, distance);
  f.slot[2] = find_symbol(compiler, name);
  return take_code(compiler, f.slot, SYMBOL, ++symbol_of(f.slot[2])->uses);
}

static varve_word resolve(struct compiler *compiler, varve_word word) {
  VARVE_FRAME_ARRAY(f, compiler->me, 4); /* the last: the tree */
  uint64_t op = tree_of(word)->op, value = tree_of(word)->value;
  if (op == NAME) return resolve_name(compiler, value);
  if (op == NUMBER) return take_code(compiler, f.slot, op, value);
  f.slot[3] = word;
  f.slot[0] = resolve(compiler, tree_of(word)->left);
  if (op == LET) enter(compiler, value);
  f.slot[1] = resolve(compiler, tree_of(f.slot[3])->right);
  if (op == LET) compiler->scope = entry_of(compiler->scope)->next;
  return take_code(compiler, f.slot, op, value);
}

/* ---- third form: constants are folded ---- */

static varve_word join(struct compiler *compiler, varve_word *children, uint64_t op, uint64_t value) {
  const struct code *left = code_of(children[0]), *right = code_of(children[1]);
  if (op == LET && right->op == NUMBER) return children[1];
  if (op == LET || left->op != NUMBER || right->op != NUMBER) return take_code(compiler, children, op, value);
  value = (op == SUM ? left->value + right->value : left->value * right->value) % 65536;
  children[0] = children[1] = 0;
  return take_code(compiler, children, NUMBER, value);
}

static varve_word fold(struct compiler *compiler, varve_word word) {
  VARVE_FRAME_ARRAY(f, compiler->me, 4); /* the last: the code of the second form */
  uint64_t op = code_of(word)->op, value = code_of(word)->value;
  f.slot[2] = code_of(word)->symbol;
  if (!code_of(word)->left) return take_code(compiler, f.slot, op, value);
  f.slot[3] = word;
  f.slot[0] = fold(compiler, code_of(word)->left);
  f.slot[1] = fold(compiler, code_of(f.slot[3])->right);
  return join(compiler, f.slot, op, value);
}

/* ---- payloads ---- */

static size_t count_code(varve_word word) {
  const struct code *code = code_of(word);
  return code->left ? 1 + count_code(code->left) + count_code(code->right) : 1;
}

static unsigned char *write_code(unsigned char *at, varve_word word) {
  const struct code *code = code_of(word);
  const struct symbol *symbol = symbol_of(code->symbol);
  if (code->left) at = write_code(write_code(at, code->left), code->right);
  *at++ = (unsigned char)code->op;
  *at++ = (unsigned char)code->value;
  *at++ = symbol ? (unsigned char)symbol->name : 0;
  *at++ = symbol ? (unsigned char)symbol->uses : 0;
  return at;
}

static uint32_t emit(struct compiler *compiler, uint32_t c) {
  VARVE_FRAME(f, compiler->me, payload);
  size_t length = 4 * count_code(function_of(compiler->at)->body);
  struct payload *payload = take_payload(compiler->me, length);
  write_code(payload->bytes, function_of(compiler->at)->body);
  for (size_t i = 0; i < length; ++i) c = mix(c, payload->bytes[i]);
  f.payload = varve_tag(payload, 0);
  struct symbol *own = symbol_of(find_symbol(compiler, function_of(compiler->at)->name));
  varve_store(compiler->me, own, &own->payload, f.payload);
  return c;
}

static uint32_t compile(struct compiler *compiler, uint32_t c) {
  for (uint64_t i = 0; i < compiler->functions; ++i) {
    varve_word body = parse(compiler, DEPTH);
    push(compiler, &compiler->parsed, body, compiler->module * compiler->functions + i);
  }
  convert(compiler, &compiler->parsed, &compiler->resolved, resolve);
  convert(compiler, &compiler->resolved, &compiler->folded, fold);
  for (compiler->at = compiler->folded; compiler->at; compiler->at = function_of(compiler->at)->next)
    c = emit(compiler, c);
  peak(compiler->me);
  compiler->parsed = compiler->resolved = compiler->folded = 0;
  return c;
}

uint32_t phases(const struct job *job) {
  struct compiler compiler = {.me = job->me, .functions = (uint32_t)job->size, .random = random_start(job)};
  uint64_t buckets = 1;
  uint32_t c = 0;
  while (buckets < 16 * job->size) buckets *= 2;
  compiler.mask = buckets - 1;
  varve_frame_push(compiler.me, &compiler.frame, COMPILER_SLOTS);
  compiler.buckets = take_array(compiler.me, buckets);
  for (; compiler.module < MODULES; ++compiler.module) c = compile(&compiler, c);
  c = sum_symbols(&compiler, c);
  varve_frame_pop(compiler.me, &compiler.frame);
  return c;
}
