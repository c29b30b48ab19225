// SPDX-License-Identifier: MIT
// Fragment -- payloads only: fill, drop three quarters at random, fill with bigger ones.
final class Fragment {
    private final byte[][] slots;
    private final Job job;
    private long live;

    private Fragment(int slots, Job job) {
        this.slots = new byte[slots][];
        this.job = job;
    }

    static int run(int slots, Job job) {
        return new Fragment(slots, job).run();
    }

    private int run() {
        for (int i = 0; i < slots.length; i++) {
            fill(i, 0, size());
        }
        long target = live;
        int c = 0;
        for (int round = 1; round <= 4; round++) {
            dropMost();
            int scale = round % 2 == 0 ? 1 : 2;
            for (int i = 0; i < slots.length && live < target; i++) {
                if (slots[i] == null) {
                    fill(i, round, scale * size());
                }
            }
            c = sum(c);
        }
        return c;
    }

    private int size() {
        int base = 16 << job.below(9);
        return base + job.below(base);
    }

    private void fill(int i, int round, int bytes) {
        byte[] payload = new byte[bytes];
        payload[0] = (byte) i;
        payload[bytes - 1] = (byte) round;
        slots[i] = payload;
        live += bytes;
    }

    private void dropMost() {
        for (int i = 0; i < slots.length; i++) {
            if (job.below(4) != 0 && slots[i] != null) {
                live -= slots[i].length;
                slots[i] = null;
            }
        }
    }

    private int sum(int c) {
        for (byte[] payload : slots) {
            if (payload != null) {
                c = Job.mix(c, (payload[0] & 0xff) + (payload[payload.length - 1] & 0xff) + payload.length);
            }
        }
        return c;
    }
}
