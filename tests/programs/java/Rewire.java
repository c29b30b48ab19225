// SPDX-License-Identifier: MIT
// Rewire -- references of old nodes are overwritten all the time, half of them with nodes that soon die.
final class Rewire {
    private static final int WINDOW = 256; // steps that a new node lives

    private static final class Node {
        final long id;
        Node e0, e1, e2, e3;

        Node(long id, Node e0, Node e1, Node e2, Node e3) {
            this.id = id;
            this.e0 = e0;
            this.e1 = e1;
            this.e2 = e2;
            this.e3 = e3;
        }

        /** Overwrites an edge; returns where it led before. */
        Node turn(int k, Node to) {
            Node before;
            switch (k) {
                case 0: before = e0; e0 = to; break;
                case 1: before = e1; e1 = to; break;
                case 2: before = e2; e2 = to; break;
                default: before = e3; e3 = to;
            }
            return before;
        }
    }

    private final Node[] all;
    private final int[] turned = new int[4 * WINDOW]; // the slots that lead to the new nodes
    private final Job job;
    private int c;

    private Rewire(int n, Job job) {
        all = new Node[n];
        this.job = job;
    }

    static int run(int n, Job job) {
        return new Rewire(n, job).run();
    }

    private int run() {
        int n = all.length;
        for (int i = 0; i < n; i++) {
            all[i] = new Node(i, null, null, null, null);
        }
        for (Node node : all) {
            for (int k = 0; k < 4; k++) {
                node.turn(k, any());
            }
        }
        long steps = 4L * n;
        for (long step = 0; step < steps + WINDOW; step++) {
            int at = 4 * (int) (step % WINDOW);
            if (step >= WINDOW) {
                turnBack(at);
            }
            if (step < steps) {
                turnToNew(at, n + step);
            }
        }
        return c;
    }

    private Node any() {
        return all[job.below(all.length)];
    }

    private void turn(int slot, Node to) {
        c = Job.mix(c, all[slot / 4].turn(slot % 4, to).id);
    }

    /** No slot leads to the node of that step afterwards. */
    private void turnBack(int at) {
        for (int j = at; j < at + 4; j++) {
            turn(turned[j], any());
        }
    }

    private void turnToNew(int at, long id) {
        Node node = new Node(id, any(), any(), any(), any());
        for (int j = at; j < at + 4; j++) {
            turned[j] = job.below(4 * all.length);
            turn(turned[j], node);
        }
    }
}
