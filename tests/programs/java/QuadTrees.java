// SPDX-License-Identifier: MIT
// QuadTrees -- one big live tree, many short-lived small ones.
final class QuadTrees {
    private static final class Node {
        final Node k0, k1, k2, k3;

        Node(Node k0, Node k1, Node k2, Node k3) {
            this.k0 = k0;
            this.k1 = k1;
            this.k2 = k2;
            this.k3 = k3;
        }

        static Node make(int depth) {
            return depth == 0
                ? new Node(null, null, null, null)
                : new Node(make(depth - 1), make(depth - 1), make(depth - 1), make(depth - 1));
        }

        int count() { // a node has all children or none
            return k0 == null ? 1 : 1 + k0.count() + k1.count() + k2.count() + k3.count();
        }
    }

    private QuadTrees() {}

    static int run(int n, Job job) {
        int c = 0;
        Node longLived = Node.make(n);
        for (long times = 8L << 2 * (n - 4); times > 0; times--) {
            c = Job.mix(c, Node.make(4).count());
        }
        return Job.mix(c, longLived.count());
    }
}
