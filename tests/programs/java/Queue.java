// SPDX-License-Identifier: MIT
// Queue -- batches of messages go from a producer to a consumer through a bounded queue; the consumer keeps the last
// ones.
import java.util.Arrays;

final class Queue {
    private static final int BATCH = 32;

    private static final class Message {
        Message next;
        final long id;
        final byte[] payload;

        Message(long id) {
            this.id = id;
            payload = new byte[64];
            Arrays.fill(payload, (byte) id);
        }

        /** The messages from id on, linked in this order. */
        static Message batch(long id) {
            Message first = new Message(id);
            Message last = first;
            for (int i = 1; i < BATCH; i++) {
                last.next = new Message(id + i);
                last = last.next;
            }
            return first;
        }
    }

    private final Ring<Message> ring = new Ring<>(256);
    private final Message[] keep;
    private final int messages;
    private int c;

    private Queue(int messages) {
        this.messages = messages;
        keep = new Message[messages / 16];
    }

    static int run(int messages, Job job) {
        Queue queue = new Queue(messages);
        if (job.threads == 1) {
            queue.alternate();
        } else {
            Thread producer = new Thread(queue::produce);
            producer.start();
            queue.consume();
            Programs.join(producer);
        }
        return queue.c;
    }

    private void alternate() {
        for (int id = 0; id < messages; id += BATCH) {
            ring.put(Message.batch(id));
            consume(ring.take());
        }
    }

    private void produce() {
        for (int id = 0; id < messages; id += BATCH) {
            ring.put(Message.batch(id));
        }
    }

    private void consume() {
        for (int id = 0; id < messages; id += BATCH) {
            consume(ring.take());
        }
    }

    private void consume(Message batch) {
        Message m = batch;
        while (m != null) {
            Message follow = m.next;
            m.next = null;
            c = Job.mix(c, m.id + (m.payload[0] & 0xff));
            keep[(int) m.id % keep.length] = m;
            m = follow;
        }
    }
}
