// SPDX-License-Identifier: MIT
// Job -- what a thread of a program has of its own: its random numbers, and the times of the collections it forced.
import java.util.ArrayList;
import java.util.List;

final class Job {
    /** How many threads the program may use; only the queue and the pipeline ask. */
    final int threads;
    /** Milliseconds of each call of {@link #collect}. */
    final List<Double> forced = new ArrayList<>();
    private long state;

    Job(int number, int threads) {
        this.threads = threads;
        state = 12345 + 1000L * number;
    }

    /** The checksum c with v added. An int holds it modulo 2^32, so every sum that only goes in here may wrap, too. */
    static int mix(int c, long v) {
        return 31 * c + (int) v;
    }

    /** The next random number, modulo n. */
    int below(int n) {
        state = state * 48271 % 2147483647;
        return (int) state % n;
    }

    /** Collects everything, now. */
    void collect() {
        long start = System.nanoTime();
        System.gc();
        forced.add((System.nanoTime() - start) / 1e6);
    }
}
