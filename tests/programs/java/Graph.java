// SPDX-License-Identifier: MIT
// Graph -- random references, forced full collections.
final class Graph {
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

        Node edge(int k) {
            switch (k) {
                case 0: return e0;
                case 1: return e1;
                case 2: return e2;
                default: return e3;
            }
        }

        void setEdge(int k, Node to) {
            switch (k) {
                case 0: e0 = to; break;
                case 1: e1 = to; break;
                case 2: e2 = to; break;
                default: e3 = to;
            }
        }
    }

    private final Node[] all;
    private final Job job;

    private Graph(int n, Job job) {
        all = new Node[n];
        this.job = job;
    }

    static int run(int n, Job job) {
        return new Graph(n, job).run();
    }

    private int run() {
        int n = all.length;
        for (int i = 0; i < n; i++) {
            all[i] = new Node(i, null, null, null, null);
        }
        for (Node node : all) {
            for (int k = 0; k < 4; k++) {
                node.setEdge(k, any());
            }
        }
        int c = 0;
        long id = n;
        for (int round = 0; round < 10; round++) {
            for (int times = n / 64; times > 0; times--) {
                int i = job.below(n);
                all[i] = new Node(id++, any(), any(), any(), any());
            }
            for (int times = n / 64; times > 0; times--) {
                int i = job.below(n);
                int k = job.below(4);
                all[i].setEdge(k, any());
            }
            job.collect();
            c = walk(c);
        }
        return c;
    }

    private Node any() {
        return all[job.below(all.length)];
    }

    private int walk(int c) {
        Node p = any();
        for (int step = 0; step < 100000; step++) {
            p = p.edge(job.below(4));
            c = Job.mix(c, p.id);
        }
        return c;
    }
}
