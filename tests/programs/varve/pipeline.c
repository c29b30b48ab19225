/* SPDX-License-Identifier: MIT */
/* pipeline.c -- four stages with queues between them: each makes new objects that keep a part of the old ones, and the
 * last updates a table that lives long. */
#include <string.h>

#include "channel.h"

#define BATCH 128
#define LAG 16

struct record {
  varve_object head;
  varve_word next, text;
  uint64_t id, key;
};

struct parsed {
  varve_object head;
  varve_word next, text;
  uint64_t key, hash;
};

struct result {
  varve_object head;
  varve_word next, text, words;
  uint64_t key, value;
};

struct word {
  varve_object head;
  varve_word next;
  uint64_t value;
};

struct counter {
  varve_object head;
  varve_word text, words;
  uint64_t count, sum;
};

/* One for each thread. The second has no table; the random numbers are those of the thread that reads. */
struct worker {
  varve_frame frame;
  varve_word table, from, to; /* the frame's slots; from: the old batch; to: the new one */
  varve_mutator *me;
  uint64_t records, keys;
  uint32_t c;
  struct random random;
};
#define WORKER_SLOTS 3

static struct channel records = CHANNEL_OF(32), parses = CHANNEL_OF(32), results = CHANNEL_OF(32);

static varve_layout RECORD, PARSED, RESULT, WORD, COUNTER;

void pipeline_prepare(varve_heap *heap) {
  register_struct(heap, "record", 2, true, &RECORD);
  register_struct(heap, "parsed", 2, true, &PARSED);
  register_struct(heap, "result", 3, true, &RESULT);
  register_struct(heap, "word", 1, true, &WORD);
  register_struct(heap, "counter", 2, false, &COUNTER);
  channel_prepare(heap, &records);
  channel_prepare(heap, &parses);
  channel_prepare(heap, &results);
}

static const struct record *record_of(varve_word word) { return (const struct record *)varve_untag(word); }
static const struct parsed *parsed_of(varve_word word) { return (const struct parsed *)varve_untag(word); }
static const struct result *result_of(varve_word word) { return (const struct result *)varve_untag(word); }
static const struct word *word_of(varve_word word) { return (const struct word *)varve_untag(word); }
static struct counter *counter_of(varve_word word) { return (struct counter *)varve_untag(word); }
static const struct payload *payload_of(varve_word word) { return (const struct payload *)varve_untag(word); }

/* Hand on the new batch. */
static void put(struct worker *worker, struct channel *channel) {
  channel_put(worker->me, channel, &worker->to);
  worker->to = 0;
}

/* Take over an old batch. */
static void get(struct worker *worker, struct channel *channel) { worker->from = channel_get(worker->me, channel); }

/* ---- first stage: read ---- */

static void read_one(struct worker *worker, uint64_t id) {
  VARVE_FRAME(f, worker->me, text);
  size_t length = 16 + random_below(&worker->random, 49);
  struct payload *text = take_payload(worker->me, length);
  memset(text->bytes, (int)(id & 255), length);
  f.text = varve_tag(text, 0);
  struct record *record = take(worker->me, RECORD, sizeof *record);
  varve_init(worker->me, record, &record->next, worker->to);
  varve_init(worker->me, record, &record->text, f.text);
  record->id = id;
  record->key = random_below(&worker->random, (uint32_t)worker->keys);
  worker->to = varve_tag(record, 0);
}

static void read_batch(struct worker *worker, uint64_t id) {
  for (uint64_t i = 0; i < BATCH; ++i) read_one(worker, id + i);
  put(worker, &records);
}

/* ---- second stage: parse ---- */

static uint32_t hash_of(const struct record *record) {
  const struct payload *text = payload_of(record->text);
  size_t length = payload_length(text);
  uint32_t hash = (uint32_t)record->id;
  for (size_t i = 0; i < length; ++i) hash = mix(hash, text->bytes[i]);
  return hash;
}

static void parse_batch(struct worker *worker) {
  for (get(worker, &records); worker->from; worker->from = record_of(worker->from)->next) {
    struct parsed *parsed = take(worker->me, PARSED, sizeof *parsed);
    const struct record *record = record_of(worker->from);
    varve_init(worker->me, parsed, &parsed->next, worker->to);
    varve_init(worker->me, parsed, &parsed->text, record->text);
    parsed->key = record->key;
    parsed->hash = hash_of(record);
    worker->to = varve_tag(parsed, 0);
  }
  put(worker, &parses);
}

/* ---- third stage: split into words ---- */

static uint64_t value_of(uint64_t hash, unsigned k) { return hash >> 8 * k & 255; }

static varve_word take_words(struct worker *worker, uint64_t hash) {
  VARVE_FRAME(f, worker->me, words);
  for (unsigned k = 0; k <= hash % 4; ++k) {
    struct word *word = take(worker->me, WORD, sizeof *word);
    varve_init(worker->me, word, &word->next, f.words);
    word->value = value_of(hash, k);
    f.words = varve_tag(word, 0);
  }
  return f.words;
}

static void split_one(struct worker *worker) {
  VARVE_FRAME(f, worker->me, words);
  f.words = take_words(worker, parsed_of(worker->from)->hash);
  struct result *result = take(worker->me, RESULT, sizeof *result);
  varve_init(worker->me, result, &result->next, worker->to);
  varve_init(worker->me, result, &result->text, parsed_of(worker->from)->text);
  varve_init(worker->me, result, &result->words, f.words);
  result->key = parsed_of(worker->from)->key;
  result->value = 0;
  for (varve_word word = f.words; word; word = word_of(word)->next) result->value += word_of(word)->value;
  worker->to = varve_tag(result, 0);
}

static void split_batch(struct worker *worker) {
  for (get(worker, &parses); worker->from; worker->from = parsed_of(worker->from)->next) split_one(worker);
  put(worker, &results);
}

/* ---- fourth stage: count ---- */

static struct counter *counter_for(struct worker *worker, uint64_t key) {
  varve_word found = array_of(worker->table)->at[key];
  if (found) return counter_of(found);
  struct counter *counter = take(worker->me, COUNTER, sizeof *counter);
  varve_init(worker->me, counter, &counter->text, 0);
  varve_init(worker->me, counter, &counter->words, 0);
  counter->count = counter->sum = 0;
  array_store(worker->me, worker->table, key, varve_tag(counter, 0));
  return counter;
}

static void count_one(struct worker *worker) {
  struct counter *counter = counter_for(worker, result_of(worker->from)->key);
  const struct result *result = result_of(worker->from);
  if (counter->count++ % 4 == 0) {
    varve_store(worker->me, counter, &counter->text, result->text);
    varve_store(worker->me, counter, &counter->words, result->words);
  }
  counter->sum += result->value;
  worker->c = mix(worker->c, counter->sum + payload_of(counter->text)->bytes[0]);
}

static void count_batch(struct worker *worker) {
  for (get(worker, &results); worker->from; worker->from = result_of(worker->from)->next) {
    count_one(worker);
    varve_poll(worker->me);
  }
}

static void sum_table(struct worker *worker) {
  for (uint64_t key = 0; key < worker->keys; ++key) {
    const struct counter *counter = counter_of(array_of(worker->table)->at[key]);
    if (counter) worker->c = mix(worker->c, counter->count + word_of(counter->words)->value);
    varve_poll(worker->me);
  }
}

/* ---- the threads ---- */

/* The second thread reads and splits, the first parses and counts; alone it does all four. */
static void run_stages(struct worker *worker, bool first, bool second) {
  for (uint64_t id = 0; id < worker->records + LAG * BATCH; id += BATCH) {
    if (second && id < worker->records) read_batch(worker, id);
    if (first && id < worker->records) parse_batch(worker);
    if (second && id >= LAG * BATCH) split_batch(worker);
    if (first && id >= LAG * BATCH) count_batch(worker);
  }
}

uint32_t pipeline(const struct job *job) {
  struct worker worker = {.me = job->me, .records = job->size, .keys = job->size / 8};
  worker.random = random_start(&(struct job){.thread = 0});
  varve_frame_push(worker.me, &worker.frame, WORKER_SLOTS);
  if (job->thread == 0) worker.table = take_array(worker.me, worker.keys);
  run_stages(&worker, job->thread == 0, job->thread == 1 || job->threads == 1);
  if (job->thread == 0) {
    peak(worker.me);
    sum_table(&worker);
  }
  varve_frame_pop(worker.me, &worker.frame);
  return worker.c;
}
