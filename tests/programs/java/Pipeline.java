// SPDX-License-Identifier: MIT
// Pipeline -- four stages with queues between them: each makes new objects that keep a part of the old ones, and the
// last updates a table that lives long.
import java.util.Arrays;

final class Pipeline {
    private static final int BATCH = 128;
    private static final int LAG = 16;

    private record Input(Input next, byte[] text, long id, long key) {
        int hash() {
            int hash = (int) id;
            for (byte one : text) {
                hash = Job.mix(hash, one & 0xff);
            }
            return hash;
        }
    }

    private record Parsed(Parsed next, byte[] text, long key, long hash) {}

    private record Word(Word next, long value) {
        static Word list(long hash) {
            Word words = null;
            for (int k = 0; k <= hash % 4; k++) {
                words = new Word(words, hash >> 8 * k & 255);
            }
            return words;
        }

        static long sum(Word word) {
            long sum = 0;
            for (; word != null; word = word.next) {
                sum += word.value;
            }
            return sum;
        }
    }

    private record Result(Result next, byte[] text, Word words, long key, long value) {}

    private static final class Counter {
        byte[] text;
        Word words;
        long count, sum;

        void add(Result result) {
            if (count++ % 4 == 0) {
                text = result.text;
                words = result.words;
            }
            sum += result.value;
        }
    }

    private final Ring<Input> inputs = new Ring<>(32);
    private final Ring<Parsed> parses = new Ring<>(32);
    private final Ring<Result> results = new Ring<>(32);
    private final Counter[] table;
    private final int records;
    private final Job job; // the thread that reads asks it for random numbers
    private int c;

    private Pipeline(int records, Job job) {
        this.records = records;
        this.job = job;
        table = new Counter[records / 8];
    }

    static int run(int records, Job job) {
        Pipeline pipeline = new Pipeline(records, job);
        if (job.threads == 1) {
            pipeline.runStages(true, true);
        } else {
            Thread second = new Thread(() -> pipeline.runStages(false, true));
            second.start();
            pipeline.runStages(true, false);
            Programs.join(second);
        }
        return pipeline.sum();
    }

    /** The second thread reads and splits, the first parses and counts; alone it does all four. */
    private void runStages(boolean first, boolean second) {
        int batches = records / BATCH;
        for (int batch = 0; batch < batches + LAG; batch++) {
            if (second && batch < batches) {
                inputs.put(read((long) batch * BATCH));
            }
            if (first && batch < batches) {
                parses.put(parse(inputs.take()));
            }
            if (second && batch >= LAG) {
                results.put(split(parses.take()));
            }
            if (first && batch >= LAG) {
                count(results.take());
            }
        }
    }

    private Input read(long id) {
        Input batch = null;
        for (int i = 0; i < BATCH; i++) {
            byte[] text = new byte[16 + job.below(49)];
            Arrays.fill(text, (byte) (id + i));
            batch = new Input(batch, text, id + i, job.below(table.length));
        }
        return batch;
    }

    private static Parsed parse(Input input) {
        Parsed batch = null;
        for (; input != null; input = input.next) {
            batch = new Parsed(batch, input.text, input.key, Integer.toUnsignedLong(input.hash()));
        }
        return batch;
    }

    private static Result split(Parsed parsed) {
        Result batch = null;
        for (; parsed != null; parsed = parsed.next) {
            Word words = Word.list(parsed.hash);
            batch = new Result(batch, parsed.text, words, parsed.key, Word.sum(words));
        }
        return batch;
    }

    private void count(Result result) {
        for (; result != null; result = result.next) {
            int key = (int) result.key;
            if (table[key] == null) {
                table[key] = new Counter();
            }
            table[key].add(result);
            c = Job.mix(c, table[key].sum + (table[key].text[0] & 0xff));
        }
    }

    private int sum() {
        for (Counter counter : table) {
            if (counter != null) {
                c = Job.mix(c, counter.count + counter.words.value);
            }
        }
        return c;
    }
}
