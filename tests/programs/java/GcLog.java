// SPDX-License-Identifier: MIT
// GcLog -- what the collectors of this virtual machine did between start() and stop().
//
// A collector that works beside the program has two beans, "... Cycles" for its collections and "... Pauses" for what
// stops the world; the others have beans for pauses only, and one pause is one collection. Pauses come as
// notifications, in whole milliseconds: that is their resolution. G1 does not report those of its concurrent marking.
import com.sun.management.GarbageCollectionNotificationInfo;
import com.sun.management.GcInfo;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import javax.management.Notification;
import javax.management.NotificationEmitter;
import javax.management.openmbean.CompositeData;

final class GcLog {
    private static final long PATIENCE_MS = 2000;

    private static final class Collector {
        final boolean concurrent;
        private final GarbageCollectorMXBean bean;
        private final List<Double> notified = new ArrayList<>();
        private long firstId; // the collector's collections are numbered from 1
        private long lastId;
        private long notifiedId;
        private long milliseconds;

        Collector(GarbageCollectorMXBean bean) {
            this.bean = bean;
            concurrent = bean.getName().endsWith("Cycles");
            ((NotificationEmitter) bean).addNotificationListener((notification, key) -> hear(notification), null, null);
        }

        private synchronized void hear(Notification notification) {
            CompositeData data = (CompositeData) notification.getUserData();
            GcInfo gc = GarbageCollectionNotificationInfo.from(data).getGcInfo();
            notifiedId = gc.getId();
            if (notifiedId >= firstId) {
                notified.add((double) gc.getDuration());
            }
            notifyAll();
        }

        synchronized void start() {
            firstId = bean.getCollectionCount() + 1;
            milliseconds = bean.getCollectionTime();
            notified.clear();
        }

        synchronized void stop() {
            lastId = bean.getCollectionCount();
            milliseconds = bean.getCollectionTime() - milliseconds;
        }

        long collections() {
            return lastId - firstId + 1;
        }

        /** The pauses between start and stop; the notifications of the last ones may still be on their way. */
        synchronized List<Double> pauses() throws InterruptedException {
            long deadline = System.currentTimeMillis() + PATIENCE_MS;
            long rest = PATIENCE_MS;
            while (notifiedId < lastId && rest > 0) {
                wait(rest);
                rest = deadline - System.currentTimeMillis();
            }
            return notified.subList(0, (int) Math.min(notified.size(), collections()));
        }
    }

    private final List<Collector> collectors = new ArrayList<>();

    GcLog() {
        for (GarbageCollectorMXBean bean : ManagementFactory.getGarbageCollectorMXBeans()) {
            collectors.add(new Collector(bean));
        }
    }

    void start() {
        collectors.forEach(Collector::start);
    }

    void stop() {
        collectors.forEach(Collector::stop);
    }

    /** How long the world stood still. */
    double seconds() {
        return collectors.stream().filter(one -> !one.concurrent).mapToLong(one -> one.milliseconds).sum() / 1e3;
    }

    long collections() {
        boolean cycles = collectors.stream().anyMatch(one -> one.concurrent);
        return collectors.stream().filter(one -> one.concurrent == cycles).mapToLong(Collector::collections).sum();
    }

    /** The milliseconds of each time the world stood still. */
    List<Double> pauses() throws InterruptedException {
        List<Double> pauses = new ArrayList<>();
        for (Collector one : collectors) {
            if (!one.concurrent) {
                pauses.addAll(one.pauses());
            }
        }
        return pauses;
    }
}
