// SPDX-License-Identifier: MIT
// Sessions -- a table of sessions that live long and change seldom; each request builds lists and a tree and drops
// them.
final class Sessions {
    private static final class Item {
        final Item next;
        final long key, value;

        Item(Item next, long key, long value) {
            this.next = next;
            this.key = key;
            this.value = value;
        }

        static int sum(Item item, int v) {
            for (; item != null; item = item.next) {
                v = Job.mix(v, item.key + item.value);
            }
            return v;
        }
    }

    private static final class Session {
        Item items;
        final long id;
        long hits;

        Session(Item items, long id) {
            this.items = items;
            this.id = id;
        }

        Item answer() {
            hits++;
            Item answer = null;
            for (Item item = items; item != null; item = item.next) {
                answer = new Item(answer, item.key, item.value + hits);
            }
            return answer;
        }
    }

    private static final class Node {
        Node left, right;
        final long key;

        Node(long key) {
            this.key = key;
        }

        void insert(long other) {
            Node node = this;
            while (true) {
                Node child = other < node.key ? node.left : node.right;
                if (child == null) {
                    break;
                }
                node = child;
            }
            if (other < node.key) {
                node.left = new Node(other);
            } else {
                node.right = new Node(other);
            }
        }

        int sum(int v) {
            v = left == null ? v : left.sum(v);
            v = Job.mix(v, key);
            return right == null ? v : right.sum(v);
        }
    }

    private final Session[] table;
    private final Job job;
    private long made;

    private Sessions(int n, Job job) {
        table = new Session[n];
        this.job = job;
    }

    static int run(int n, Job job) {
        return new Sessions(n, job).run();
    }

    private int run() {
        for (int i = 0; i < table.length; i++) {
            table[i] = session();
        }
        int c = 0;
        for (long times = 8L * table.length; times > 0; times--) {
            c = Job.mix(c, serve());
            if (job.below(64) == 0) {
                change();
            }
        }
        return c;
    }

    private Item list(int length) {
        Item list = null;
        for (; length > 0; length--) {
            list = new Item(list, job.below(65536), job.below(256));
        }
        return list;
    }

    private Item items() {
        return list(4 + job.below(9));
    }

    private Session session() {
        return new Session(items(), made++);
    }

    private int serve() {
        Item asked = list(8 + job.below(17)); // at least 8
        Node tree = new Node(asked.key);
        for (Item item = asked.next; item != null; item = item.next) {
            tree.insert(item.key);
        }
        Session session = table[job.below(table.length)];
        Item answer = session.answer();
        return Item.sum(answer, tree.sum((int) session.id));
    }

    private void change() {
        int i = job.below(table.length);
        if (job.below(4) == 0) {
            table[i] = session();
        } else {
            table[i].items = items();
        }
    }
}
