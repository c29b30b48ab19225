// SPDX-License-Identifier: MIT
// Phases -- a compiler: the trees of a module die together at its end, the symbols and the payloads stay.
final class Phases {
    private static final int MODULES = 24;
    private static final int DEPTH = 8;
    private static final int NAMES = 48; // for each function of a module

    // The values of op; no tree is a SYMBOL.
    private static final int NUMBER = 0;
    private static final int SUM = 1;
    private static final int LET = 3;
    private static final int NAME = 4;
    private static final int SYMBOL = 5;

    private record Tree(Tree left, Tree right, long op, long value) {}

    private record Code(Code left, Code right, Symbol symbol, long op, long value) {
        static Code number(long value) {
            return new Code(null, null, null, NUMBER, value);
        }

        int count() {
            return left == null ? 1 : 1 + left.count() + right.count();
        }

        /** Writes this into bytes, from `at` on; returns where it ends. */
        int write(byte[] bytes, int at) {
            if (left != null) {
                at = right.write(bytes, left.write(bytes, at));
            }
            bytes[at++] = (byte) op;
            bytes[at++] = (byte) value;
            bytes[at++] = symbol == null ? 0 : (byte) symbol.name;
            bytes[at++] = symbol == null ? 0 : (byte) symbol.uses;
            return at;
        }

        Code fold() {
            if (left == null) {
                return new Code(null, null, symbol, op, value);
            }
            Code l = left.fold();
            Code r = right.fold();
            if (op == LET) {
                return r.op == NUMBER ? r : new Code(l, r, null, op, value);
            }
            if (l.op != NUMBER || r.op != NUMBER) {
                return new Code(l, r, null, op, value);
            }
            return number((op == SUM ? l.value + r.value : l.value * r.value) % 65536);
        }
    }

    private record Entry(Entry next, long name) {}

    /** The body is a Tree or Code. */
    private record Function<B>(Function<B> next, B body, long name) {}

    private static final class Symbol {
        final Symbol chain;
        byte[] payload;
        final long name;
        long uses;

        Symbol(Symbol chain, long name) {
            this.chain = chain;
            this.name = name;
        }
    }

    private final Symbol[] buckets;
    private final int functions;
    private final Job job;
    private Function<Tree> parsed;
    private Function<Code> resolved, folded;
    private Entry scope;

    private Phases(int functions, Job job) {
        this.functions = functions;
        this.job = job;
        int size = 1;
        while (size < 16 * functions) {
            size *= 2;
        }
        buckets = new Symbol[size];
    }

    static int run(int functions, Job job) {
        Phases compiler = new Phases(functions, job);
        int c = 0;
        for (int module = 0; module < MODULES; module++) {
            c = compiler.compile(c, module);
        }
        return compiler.sum(c);
    }

    private int compile(int c, int module) {
        for (int i = 0; i < functions; i++) {
            parsed = new Function<>(parsed, parse(DEPTH), module * functions + i);
        }
        for (Function<Tree> f = parsed; f != null; f = f.next) {
            resolved = new Function<>(resolved, resolve(f.body), f.name);
        }
        for (Function<Code> f = resolved; f != null; f = f.next) {
            folded = new Function<>(folded, f.body.fold(), f.name);
        }
        for (Function<Code> f = folded; f != null; f = f.next) {
            c = emit(c, f);
        }
        parsed = null;
        resolved = folded = null;
        return c;
    }

    private Tree parse(int depth) {
        if (depth == 0 || job.below(8) == 0) {
            return job.below(2) == 0
                ? new Tree(null, null, NUMBER, job.below(256))
                : new Tree(null, null, NAME, job.below(NAMES * functions));
        }
        int op = SUM + job.below(3);
        int value = job.below(4);
        Tree left = parse(depth - 1);
        return new Tree(left, parse(depth - 1), op, value);
    }

    private Code resolve(Tree tree) {
        if (tree.op == NAME) {
            return resolveName(tree.value);
        }
        if (tree.op == NUMBER) {
            return Code.number(tree.value);
        }
        Code left = resolve(tree.left);
        Entry outer = scope;
        if (tree.op == LET) {
            scope = new Entry(outer, tree.value);
        }
        Code right = resolve(tree.right);
        scope = outer;
        return new Code(left, right, null, tree.op, tree.value);
    }

    private Code resolveName(long name) {
        long distance = 0;
        for (Entry entry = scope; entry != null; entry = entry.next) {
            if (entry.name == name % 4) {
                return new Code(null, null, null, NAME, distance);
            }
            distance++;
        }
        Symbol symbol = symbol(name);
        return new Code(null, null, symbol, SYMBOL, ++symbol.uses);
    }

    private Symbol symbol(long name) {
        int bucket = (int) (name * 40503) & (buckets.length - 1);
        Symbol symbol = buckets[bucket];
        while (symbol != null && symbol.name != name) {
            symbol = symbol.chain;
        }
        if (symbol == null) {
            symbol = new Symbol(buckets[bucket], name);
            buckets[bucket] = symbol;
        }
        return symbol;
    }

    private int emit(int c, Function<Code> function) {
        byte[] payload = new byte[4 * function.body.count()];
        function.body.write(payload, 0);
        for (byte one : payload) {
            c = Job.mix(c, one & 0xff);
        }
        symbol(function.name).payload = payload;
        return c;
    }

    private int sum(int c) {
        for (Symbol head : buckets) {
            for (Symbol symbol = head; symbol != null; symbol = symbol.chain) {
                c = Job.mix(c, symbol.uses + (symbol.payload == null ? 0 : symbol.payload.length));
            }
        }
        return c;
    }
}
