// SPDX-License-Identifier: MIT
// Programs -- runs a whole program and prints its result and what it cost, as tests/programs/README.md has it.
// The heap limit is the virtual machine's, -Xmx.
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

public final class Programs {
    private interface Program {
        int run(int size, Job job);
    }

    /** A program and what it takes as SIZE: multiples of `step`, from `least` on. */
    private record Kind(Program program, int least, int step) {}

    private static final Map<String, Kind> KINDS = Map.ofEntries(
        Map.entry("binary_trees", new Kind(BinaryTrees::run, 6, 1)),
        Map.entry("gcbench", new Kind(GcBench::run, 9, 1)), // with 8 the array would have no a[1000]
        Map.entry("quad_trees", new Kind(QuadTrees::run, 5, 1)),
        Map.entry("lru", new Kind(Lru::run, 1, 1)),
        Map.entry("fragment", new Kind(Fragment::run, 1, 1)),
        Map.entry("graph", new Kind(Graph::run, 1, 1)),
        Map.entry("queue", new Kind(Queue::run, 32, 32)),
        Map.entry("sessions", new Kind(Sessions::run, 1, 1)),
        Map.entry("phases", new Kind(Phases::run, 1, 1)),
        Map.entry("rewire", new Kind(Rewire::run, 1, 1)),
        Map.entry("pipeline", new Kind(Pipeline::run, 128, 128)));

    private static final String USAGE = "arguments are PROGRAM SIZE THREADS [--warm N] [--heap BYTES]";

    // Made beforehand: there is no memory left when it is needed.
    private static final byte[] OUT_OF_MEMORY = "Programs: out of memory\n".getBytes();
    private static final FileOutputStream STDERR = new FileOutputStream(FileDescriptor.err);

    private Programs() {}

    public static void main(String[] args) throws InterruptedException {
        Thread.setDefaultUncaughtExceptionHandler((thread, thrown) -> die(thrown));
        if (args.length < 3) {
            refuse(USAGE);
        }
        String name = args[0];
        Kind kind = KINDS.get(name);
        if (kind == null) {
            refuse("no program " + name);
        }
        int size = number(args[1], kind.least, Integer.MAX_VALUE);
        if (size % kind.step != 0) {
            refuse("the size is a multiple of " + kind.step);
        }
        int threads = number(args[2], 1, 2);
        int warm = 0;
        for (int i = 3; i < args.length; i += 2) {
            if (i + 1 == args.length) {
                refuse(USAGE);
            }
            switch (args[i]) {
                case "--warm" -> warm = number(args[i + 1], 0, Integer.MAX_VALUE);
                case "--heap" -> number(args[i + 1], 1, Long.MAX_VALUE);
                default -> refuse(USAGE);
            }
        }
        // The two threads of these are one job, every other program gives each thread its own.
        int jobs = name.equals("queue") || name.equals("pipeline") ? 1 : threads;

        GcLog log = new GcLog();
        for (int i = 0; i < warm; i++) {
            together(kind.program, size, jobs(jobs, threads));
        }
        List<Job> last = jobs(jobs, threads);
        log.start();
        long start = System.nanoTime();
        int checksum = together(kind.program, size, last);
        double seconds = (System.nanoTime() - start) / 1e9;
        log.stop();
        List<Double> pauses = name.equals("graph")
            ? last.stream().flatMap(job -> job.forced.stream()).toList()
            : log.pauses();
        System.out.printf(Locale.ROOT,
            "{\"program\":\"%s\",\"size\":%d,\"threads\":%d,\"checksum\":%d,\"seconds\":%.6f,"
            + "\"gc_seconds\":%.6f,\"collections\":%d,\"pauses_ms\":[%s]}%n", name, size, threads,
            Integer.toUnsignedLong(checksum), seconds, log.seconds(), log.collections(),
            pauses.stream().map(pause -> String.format(Locale.ROOT, "%.3f", pause)).collect(Collectors.joining(",")));
    }

    private static List<Job> jobs(int count, int threads) {
        List<Job> jobs = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            jobs.add(new Job(i, threads));
        }
        return jobs;
    }

    /** Runs the program once for each job, at the same time. */
    private static int together(Program program, int size, List<Job> jobs) {
        int[] results = new int[jobs.size()];
        List<Thread> running = new ArrayList<>();
        for (int i = 0; i < results.length; i++) {
            int number = i;
            Thread thread = new Thread(() -> results[number] = program.run(size, jobs.get(number)));
            running.add(thread);
            thread.start();
        }
        running.forEach(Programs::join);
        int c = 0;
        for (int result : results) {
            c = Job.mix(c, Integer.toUnsignedLong(result));
        }
        return c;
    }

    static void join(Thread thread) {
        try {
            thread.join();
        } catch (InterruptedException e) {
            throw new IllegalStateException("nobody interrupts", e);
        }
    }

    private static int number(String text, int least, int most) {
        return (int) number(text, (long) least, most);
    }

    private static long number(String text, long least, long most) {
        try {
            long value = Long.parseLong(text);
            if (value >= least && value <= most) {
                return value;
            }
        } catch (NumberFormatException e) {
            // refused below
        }
        refuse(text + " is not a number from " + least + " to " + most);
        return 0;
    }

    private static void refuse(String why) {
        System.err.println("Programs: " + why);
        System.exit(2);
    }

    /** The end of the whole machine when any thread fails; of two, one. */
    private static synchronized void die(Throwable thrown) {
        if (!(thrown instanceof OutOfMemoryError)) {
            thrown.printStackTrace();
            Runtime.getRuntime().halt(1);
        }
        try {
            STDERR.write(OUT_OF_MEMORY);
        } catch (IOException e) {
            // the exit status says it as well
        }
        Runtime.getRuntime().halt(4);
    }
}
