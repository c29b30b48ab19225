// SPDX-License-Identifier: MIT
// BinaryTrees -- short-lived trees beside one that lives.
final class BinaryTrees {
    private static final class Node {
        final Node left, right;

        Node(Node left, Node right) {
            this.left = left;
            this.right = right;
        }

        static Node make(int depth) {
            return depth == 0 ? new Node(null, null) : new Node(make(depth - 1), make(depth - 1));
        }

        int count() { // a node has both children or none
            return left == null ? 1 : 1 + left.count() + right.count();
        }
    }

    private BinaryTrees() {}

    static int run(int n, Job job) {
        int c = Job.mix(0, Node.make(n + 1).count());
        Node longLived = Node.make(n);
        for (int depth = 4; depth <= n; depth += 2) {
            int sum = 0;
            for (long times = 1L << (n - depth + 4); times > 0; times--) {
                sum += Node.make(depth).count();
            }
            c = Job.mix(c, sum);
        }
        return Job.mix(c, longLived.count());
    }
}
