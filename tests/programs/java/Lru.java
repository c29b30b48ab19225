// SPDX-License-Identifier: MIT
// Lru -- a cache: a hash table with chains, and a list from the entry used last to the one used least recently.
// Everything dies old, in no order.
import java.util.Arrays;

final class Lru {
    private static final class Entry {
        Entry previous, next, chain;
        final byte[] payload;
        final long key;

        Entry(byte[] payload, long key, Entry chain) {
            this.payload = payload;
            this.key = key;
            this.chain = chain;
        }
    }

    private final Entry[] buckets;
    private final int capacity;
    private int entries;
    private Entry first, last;

    private Lru(int capacity) {
        this.capacity = capacity;
        int size = 1;
        while (size < capacity) {
            size *= 2;
        }
        buckets = new Entry[size];
    }

    static int run(int capacity, Job job) {
        Lru cache = new Lru(capacity);
        int c = 0;
        for (long times = 30L * capacity; times > 0; times--) {
            int key = job.below(2 * capacity);
            Entry entry = cache.find(key);
            if (entry != null) {
                cache.unlink(entry);
                cache.linkFirst(entry);
                c = Job.mix(c, entry.payload[entry.payload.length - 1] & 0xff);
            } else {
                int length = 16 + job.below(497);
                cache.add(key, length);
                c = Job.mix(c, 256 + length);
            }
        }
        return c;
    }

    private int bucket(long key) {
        return (int) (key * 40503) & (buckets.length - 1);
    }

    private Entry find(long key) {
        Entry entry = buckets[bucket(key)];
        while (entry != null && entry.key != key) {
            entry = entry.chain;
        }
        return entry;
    }

    private void add(long key, int length) {
        byte[] payload = new byte[length];
        Arrays.fill(payload, (byte) key);
        int bucket = bucket(key);
        Entry entry = new Entry(payload, key, buckets[bucket]);
        buckets[bucket] = entry;
        linkFirst(entry);
        if (++entries > capacity) {
            removeLast();
        }
    }

    private void removeLast() {
        entries--;
        Entry victim = last;
        unlink(victim);
        int bucket = bucket(victim.key);
        if (buckets[bucket] == victim) {
            buckets[bucket] = victim.chain;
        } else {
            Entry before = buckets[bucket];
            while (before.chain != victim) {
                before = before.chain;
            }
            before.chain = victim.chain;
        }
    }

    private void linkFirst(Entry entry) {
        entry.previous = null;
        entry.next = first;
        if (first == null) {
            last = entry;
        } else {
            first.previous = entry;
        }
        first = entry;
    }

    private void unlink(Entry entry) {
        if (entry.previous == null) {
            first = entry.next;
        } else {
            entry.previous.next = entry.next;
        }
        if (entry.next == null) {
            last = entry.previous;
        } else {
            entry.next.previous = entry.previous;
        }
    }
}
