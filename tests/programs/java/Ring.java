// SPDX-License-Identifier: MIT
// Ring -- a bounded queue from one thread to another.
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

final class Ring<T> {
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition notEmpty = lock.newCondition();
    private final Condition notFull = lock.newCondition();
    private final T[] slots;
    private int head;
    private int count;

    @SuppressWarnings("unchecked")
    Ring(int length) {
        slots = (T[]) new Object[length];
    }

    void put(T batch) {
        lock.lock();
        try {
            while (count == slots.length) {
                notFull.awaitUninterruptibly();
            }
            slots[(head + count++) % slots.length] = batch;
            notEmpty.signal();
        } finally {
            lock.unlock();
        }
    }

    T take() {
        lock.lock();
        try {
            while (count == 0) {
                notEmpty.awaitUninterruptibly();
            }
            T batch = slots[head];
            slots[head] = null;
            head = (head + 1) % slots.length;
            count--;
            notFull.signal();
            return batch;
        } finally {
            lock.unlock();
        }
    }
}
