/* SPDX-License-Identifier: MIT */
/* phases.c -- a compiler: the trees of a module die together at its end, the symbols and the payloads stay. */
#include "memory.h"

#define MODULES 24
#define DEPTH 8
#define NAMES 48 /* for each function of a module */

enum { NUMBER, SUM, PRODUCT, LET, NAME, SYMBOL }; /* op; of a tree without SYMBOL */

struct tree {
  struct tree *left, *right;
  uint64_t op, value;
};

struct code {
  struct code *left, *right;
  struct symbol *symbol;
  uint64_t op, value;
};

struct entry {
  struct entry *next;
  uint64_t name;
};

struct function {
  struct function *next;
  void *body; /* a tree or code */
  uint64_t name;
};

struct symbol {
  struct symbol *chain;
  struct payload *payload;
  uint64_t name, uses;
};

struct compiler {
  struct symbol **buckets;
  struct function *parsed, *resolved, *folded;
  struct entry *scope;
  uint64_t mask;
  uint32_t functions, module;
  struct random random;
};

/* ---- the table of symbols ---- */

static struct symbol *find_symbol(struct compiler *compiler, uint64_t name) {
  struct symbol **bucket = &compiler->buckets[name * 40503 & compiler->mask], *symbol = *bucket;
  while (symbol && symbol->name != name) symbol = symbol->chain;
  if (symbol) return symbol;
  symbol = take(sizeof *symbol);
  *symbol = (struct symbol){*bucket, NULL, name, 0};
  *bucket = symbol;
  return symbol;
}

static uint32_t sum_symbols(const struct compiler *compiler, uint32_t c) {
  for (uint64_t bucket = 0; bucket <= compiler->mask; ++bucket)
    for (const struct symbol *symbol = compiler->buckets[bucket]; symbol; symbol = symbol->chain)
      c = mix(c, symbol->uses + (symbol->payload ? symbol->payload->length : 0));
  return c;
}

static void drop_symbols(struct compiler *compiler) {
  for (uint64_t bucket = 0; MUST_DROP && bucket <= compiler->mask; ++bucket)
    for (struct symbol *symbol = compiler->buckets[bucket], *chain; symbol; symbol = chain) {
      chain = symbol->chain;
      drop(symbol->payload);
      drop(symbol);
    }
  drop(compiler->buckets);
}

/* ---- functions ---- */

static struct function *take_function(struct function *next, void *body, uint64_t name) {
  struct function *function = take(sizeof *function);
  *function = (struct function){next, body, name};
  return function;
}

static void drop_functions(struct function *function, void (*drop_body)(void *)) {
  while (MUST_DROP && function) {
    struct function *next = function->next;
    drop_body(function->body);
    drop(function);
    function = next;
  }
}

/* ---- first form: trees ---- */

static struct tree *take_tree(struct tree *left, struct tree *right, uint64_t op, uint64_t value) {
  struct tree *tree = take(sizeof *tree);
  *tree = (struct tree){left, right, op, value};
  return tree;
}

static void drop_tree(void *body) {
  struct tree *tree = body;
  if (!tree) return;
  drop_tree(tree->left);
  drop_tree(tree->right);
  drop(tree);
}

static struct tree *parse_leaf(struct compiler *compiler) {
  if (random_below(&compiler->random, 2) == 0)
    return take_tree(NULL, NULL, NUMBER, random_below(&compiler->random, 256));
  return take_tree(NULL, NULL, NAME, random_below(&compiler->random, NAMES * compiler->functions));
}

static struct tree *parse(struct compiler *compiler, unsigned depth) {
  if (depth == 0 || random_below(&compiler->random, 8) == 0) return parse_leaf(compiler);
  uint32_t op = SUM + random_below(&compiler->random, 3);
  uint32_t value = random_below(&compiler->random, 4);
  struct tree *left = parse(compiler, depth - 1);
  return take_tree(left, parse(compiler, depth - 1), op, value);
}

static struct function *parse_all(struct compiler *compiler) {
  struct function *list = NULL;
  for (uint64_t i = 0; i < compiler->functions; ++i)
    list = take_function(list, parse(compiler, DEPTH), compiler->module * compiler->functions + i);
  return list;
}

/* ---- second form: names are resolved ---- */

static struct code *take_code(struct code code) {
  struct code *copy = take(sizeof *copy);
  *copy = code;
  return copy;
}

static void drop_code(void *body) {
  struct code *code = body;
  if (!MUST_DROP || !code) return;
  drop_code(code->left);
  drop_code(code->right);
  drop(code);
}

static void enter(struct compiler *compiler, uint64_t name) {
  struct entry *entry = take(sizeof *entry);
  *entry = (struct entry){compiler->scope, name};
  compiler->scope = entry;
}

static void leave(struct compiler *compiler) {
  struct entry *entry = compiler->scope;
  compiler->scope = entry->next;
  drop(entry);
}

static struct code *resolve_name(struct compiler *compiler, uint64_t name) {
  uint64_t distance = 0;
  for (const struct entry *entry = compiler->scope; entry; entry = entry->next, ++distance)
    if (entry->name == name % 4) return take_code((struct code){.op = NAME, .value = distance});
  struct symbol *found = find_symbol(compiler, name);
  ++found->uses;
  return take_code((struct code){.symbol = found, .op = SYMBOL, .value = found->uses});
}

static struct code *resolve(struct compiler *compiler, const struct tree *tree) {
  if (tree->op == NAME) return resolve_name(compiler, tree->value);
  if (tree->op == NUMBER) return take_code((struct code){.op = NUMBER, .value = tree->value});
  struct code *left = resolve(compiler, tree->left);
  if (tree->op == LET) enter(compiler, tree->value);
  struct code *right = resolve(compiler, tree->right);
  if (tree->op == LET) leave(compiler);
  return take_code((struct code){left, right, NULL, tree->op, tree->value});
}

static struct function *resolve_all(struct compiler *compiler, const struct function *from) {
  struct function *list = NULL;
  for (; from; from = from->next) list = take_function(list, resolve(compiler, from->body), from->name);
  return list;
}

/* ---- third form: constants are folded ---- */

static struct code *join(struct code code) {
  struct code *left = code.left, *right = code.right;
  if (code.op == LET && right->op == NUMBER) {
    drop_code(left);
    return right;
  }
  if (code.op == LET || left->op != NUMBER || right->op != NUMBER) return take_code(code);
  uint64_t value = (code.op == SUM ? left->value + right->value : left->value * right->value) % 65536;
  drop(left);
  drop(right);
  return take_code((struct code){.op = NUMBER, .value = value});
}

static struct code *fold(const struct code *code) {
  if (!code->left) return take_code(*code);
  struct code *left = fold(code->left);
  return join((struct code){left, fold(code->right), NULL, code->op, code->value});
}

static struct function *fold_all(const struct function *from) {
  struct function *list = NULL;
  for (; from; from = from->next) list = take_function(list, fold(from->body), from->name);
  return list;
}

/* ---- payloads ---- */

static size_t count_code(const struct code *code) {
  return code->left ? 1 + count_code(code->left) + count_code(code->right) : 1;
}

static unsigned char *write_code(unsigned char *at, const struct code *code) {
  if (code->left) at = write_code(write_code(at, code->left), code->right);
  *at++ = (unsigned char)code->op;
  *at++ = (unsigned char)code->value;
  *at++ = code->symbol ? (unsigned char)code->symbol->name : 0;
  *at++ = code->symbol ? (unsigned char)code->symbol->uses : 0;
  return at;
}

static uint32_t emit(struct compiler *compiler, const struct function *function, uint32_t c) {
  struct payload *payload = take_payload(4 * count_code(function->body));
  write_code(payload->bytes, function->body);
  for (size_t i = 0; i < payload->length; ++i) c = mix(c, payload->bytes[i]);
  find_symbol(compiler, function->name)->payload = payload;
  return c;
}

static uint32_t compile(struct compiler *compiler, uint32_t c) {
  compiler->parsed = parse_all(compiler);
  compiler->resolved = resolve_all(compiler, compiler->parsed);
  compiler->folded = fold_all(compiler->resolved);
  for (const struct function *function = compiler->folded; function; function = function->next)
    c = emit(compiler, function, c);
  drop_functions(compiler->parsed, drop_tree);
  drop_functions(compiler->resolved, drop_code);
  drop_functions(compiler->folded, drop_code);
  compiler->parsed = compiler->resolved = compiler->folded = NULL;
  return c;
}

uint32_t phases(const struct job *job) {
  struct compiler compiler = {.functions = (uint32_t)job->size, .random = random_start(job)};
  uint64_t buckets = 1;
  uint32_t c = 0;
  while (buckets < 16 * job->size) buckets *= 2;
  compiler.mask = buckets - 1;
  compiler.buckets = take_array(buckets);
  for (; compiler.module < MODULES; ++compiler.module) c = compile(&compiler, c);
  c = sum_symbols(&compiler, c);
  drop_symbols(&compiler);
  return c;
}
