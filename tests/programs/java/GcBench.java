// SPDX-License-Identifier: MIT
// GcBench -- GCBench of Ellis, Kovac and Boehm: trees built from the bottom and from the top, a long-lived tree, a
// large array without references.
import java.util.function.IntFunction;

final class GcBench {
    private static final class Node {
        Node left, right;
        long i, j;

        Node(Node left, Node right, long i) {
            this.left = left;
            this.right = right;
            this.i = i;
        }

        /** A tree built from the bottom. */
        static Node make(int depth) {
            return depth == 0 ? new Node(null, null, 0) : new Node(make(depth - 1), make(depth - 1), depth);
        }

        /** A tree built from the top. */
        static Node top(int depth) {
            Node node = new Node(null, null, depth);
            node.populate(depth);
            return node;
        }

        void populate(int depth) {
            if (depth > 0) {
                left = new Node(null, null, depth - 1);
                right = new Node(null, null, depth - 1);
                left.populate(depth - 1);
                right.populate(depth - 1);
            }
        }

        int count() { // a node has both children or none
            return left == null ? 1 : 1 + left.count() + right.count();
        }
    }

    private GcBench() {}

    static int run(int n, Job job) {
        int c = Job.mix(0, Node.make(n).count());
        Node longLived = Node.top(n - 2);
        long[] array = new long[1 << (n + 1)];
        for (int k = 0; k < 1 << n; k++) {
            array[k] = (long) k * k % 2147483647;
        }
        for (int depth = 4; depth <= n - 2; depth += 2) {
            long times = 2 * ((1L << (n + 1)) - 1) / ((1L << (depth + 1)) - 1);
            c = Job.mix(c, lastOf(times, Node::top, depth).count());
            c = Job.mix(c, lastOf(times, Node::make, depth).count());
        }
        c = Job.mix(c, longLived.count());
        c = Job.mix(c, longLived.i);
        return Job.mix(c, array[1000]);
    }

    /** Builds that many trees and returns the last. */
    private static Node lastOf(long times, IntFunction<Node> build, int depth) {
        Node tree = null;
        for (long k = 0; k < times; k++) {
            tree = null; // the interpreter would hold it while the next one is built
            tree = build.apply(depth);
        }
        return tree;
    }
}
