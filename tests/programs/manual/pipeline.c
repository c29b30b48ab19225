/* SPDX-License-Identifier: MIT */
/* pipeline.c -- four stages with queues between them: each makes new objects that keep a part of the old ones, and the
 * last updates a table that lives long. */
#include <string.h>

#include "channel.h"
#include "memory.h"

#define BATCH 128
#define LAG 16

struct record {
  struct record *next;
  struct payload *text;
  uint64_t id, key;
};

struct parsed {
  struct parsed *next;
  struct payload *text;
  uint64_t key, hash;
};

struct word {
  struct word *next;
  uint64_t value;
};

struct result {
  struct result *next;
  struct payload *text;
  struct word *words;
  uint64_t key, value;
};

struct counter {
  struct payload *text;
  struct word *words;
  uint64_t count, sum;
};

/* One for each thread. The second has no table; the random numbers are those of the thread that reads. */
struct worker {
  struct counter **table;
  uint64_t records, keys;
  uint32_t c;
  struct random random;
};

static struct channel records = CHANNEL_OF(32), parses = CHANNEL_OF(32), results = CHANNEL_OF(32);

/* ---- first stage: read ---- */

static struct record *read_one(struct worker *worker, struct record *next, uint64_t id) {
  struct payload *text = take_payload(16 + random_below(&worker->random, 49));
  memset(text->bytes, (int)(id & 255), text->length);
  struct record *record = take(sizeof *record);
  *record = (struct record){next, text, id, random_below(&worker->random, (uint32_t)worker->keys)};
  return record;
}

static void read_batch(struct worker *worker, uint64_t id) {
  struct record *batch = NULL;
  for (uint64_t i = 0; i < BATCH; ++i) batch = read_one(worker, batch, id + i);
  channel_put(&records, batch);
}

/* ---- second stage: parse ---- */

static uint32_t hash_of(const struct record *record) {
  uint32_t hash = (uint32_t)record->id;
  for (size_t i = 0; i < record->text->length; ++i) hash = mix(hash, record->text->bytes[i]);
  return hash;
}

static void parse_batch(void) {
  struct parsed *batch = NULL;
  for (struct record *record = channel_get(&records), *next; record; record = next) {
    next = record->next;
    struct parsed *parsed = take(sizeof *parsed);
    *parsed = (struct parsed){batch, record->text, record->key, hash_of(record)};
    drop(record);
    batch = parsed;
  }
  channel_put(&parses, batch);
}

/* ---- third stage: split into words ---- */

static uint64_t value_of(uint64_t hash, unsigned k) { return hash >> 8 * k & 255; }

static struct word *take_words(uint64_t hash) {
  struct word *words = NULL;
  for (unsigned k = 0; k <= hash % 4; ++k) {
    struct word *word = take(sizeof *word);
    *word = (struct word){words, value_of(hash, k)};
    words = word;
  }
  return words;
}

static void drop_words(struct word *word) {
  while (MUST_DROP && word) {
    struct word *next = word->next;
    drop(word);
    word = next;
  }
}

static struct result *split_one(const struct parsed *parsed, struct result *next) {
  struct word *words = take_words(parsed->hash);
  struct result *result = take(sizeof *result);
  *result = (struct result){next, parsed->text, words, parsed->key, 0};
  for (const struct word *word = words; word; word = word->next) result->value += word->value;
  return result;
}

static void split_batch(void) {
  struct result *batch = NULL;
  for (struct parsed *parsed = channel_get(&parses), *next; parsed; parsed = next) {
    next = parsed->next;
    batch = split_one(parsed, batch);
    drop(parsed);
  }
  channel_put(&results, batch);
}

/* ---- fourth stage: count ---- */

static struct counter *counter_for(struct worker *worker, uint64_t key) {
  if (worker->table[key]) return worker->table[key];
  struct counter *counter = take(sizeof *counter);
  *counter = (struct counter){0};
  worker->table[key] = counter;
  return counter;
}

static void drop_parts(struct payload *text, struct word *words) {
  drop(text);
  drop_words(words);
}

static void count_one(struct worker *worker, const struct result *result) {
  struct counter *counter = counter_for(worker, result->key);
  if (counter->count++ % 4 == 0) {
    drop_parts(counter->text, counter->words);
    counter->text = result->text;
    counter->words = result->words;
  } else {
    drop_parts(result->text, result->words);
  }
  counter->sum += result->value;
  worker->c = mix(worker->c, counter->sum + counter->text->bytes[0]);
}

static void count_batch(struct worker *worker) {
  for (struct result *result = channel_get(&results), *next; result; result = next) {
    next = result->next;
    count_one(worker, result);
    drop(result);
  }
}

static void sum_table(struct worker *worker) {
  for (uint64_t key = 0; key < worker->keys; ++key) {
    const struct counter *counter = worker->table[key];
    if (counter) worker->c = mix(worker->c, counter->count + counter->words->value);
  }
}

static void drop_table(struct worker *worker) {
  for (uint64_t key = 0; MUST_DROP && key < worker->keys; ++key) {
    struct counter *counter = worker->table[key];
    if (counter) drop_parts(counter->text, counter->words);
    drop(counter);
  }
  drop(worker->table);
}

/* ---- the threads ---- */

/* The second thread reads and splits, the first parses and counts; alone it does all four. */
static void run_stages(struct worker *worker, bool first, bool second) {
  for (uint64_t id = 0; id < worker->records + LAG * BATCH; id += BATCH) {
    if (second && id < worker->records) read_batch(worker, id);
    if (first && id < worker->records) parse_batch();
    if (second && id >= LAG * BATCH) split_batch();
    if (first && id >= LAG * BATCH) count_batch(worker);
  }
}

uint32_t pipeline(const struct job *job) {
  struct worker worker = {.records = job->size, .keys = job->size / 8};
  worker.random = random_start(&(struct job){.thread = 0});
  if (job->thread == 0) worker.table = take_array(worker.keys);
  run_stages(&worker, job->thread == 0, job->thread == 1 || job->threads == 1);
  if (job->thread == 0) {
    sum_table(&worker);
    drop_table(&worker);
  }
  return worker.c;
}
