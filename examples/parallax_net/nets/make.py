#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make.py -- writes the nets of this folder from functional sources (programs.lisp).

    ./make.py            write *.hvm at full size and small/*.hvm at reduced size
    ./make.py --check    write nothing; fail when a file is not what would be written
    ./make.py FILE       compile one file of sources to standard output

The source language is a lambda calculus with supercombinators:

    (def name (x y ...) body)      a definition; @name refers to it
    x  @name  %native  12  +3  2.5  #123  "text"  *      leaves; * is "nothing"
    (f a b ...)                    application
    (lam (x y ...) body)
    (let x e body)
    (pair a b)   (split x y e body)      CON as data, and taking it apart
    (op + a b)                     an operator node; a literal b is folded into the operator
    (if n (x ...) zero (p) succ)   a switch; the cases are lifted out as functions of the captured x ...
    (NAME)                         with NAME in the table of sizes below: a number

A variable used k times is bound to a chain of k - 1 duplicators, an unused one to an eraser. A redex with a wire is
substituted away, and a constructor that only rebuilds what another one took apart is dropped (eta), so that
tail calls cost nothing. That is all the optimisation there is.
"""
import os
import re
import sys

SIZES = {  # name: (full, small)
    "SUM_REC": (20, 10), "SUM_TREE": (20, 8), "STRESS": (8, 3), "STRESS_LOOP": (65536, 64), "TUPLES": (1234, 20),
    "BITONIC": (12, 6), "RADIX": (12, 6), "INVERT": (18, 6), "FACTORIAL": (3000, 200), "FIBONACCI": (20000, 500),
    "PI_DIGITS": (1015, 65), "PI_GUARD": (15, 15), "PI_5": (740, 60), "PI_239": (220, 30),
    "SORT": (12, 5), "COPIES": (20, 9), "COPIES_OUTER": (12, 4), "COPIES_INNER": (8, 5),
    "COPIES_LIVE": (10485760, 5120),
    "SIEVE": (4000, 100), "NAPS": (6, 3), "WORDS": (0, 1), "CLOSURES": (20000, 50),
}


# ---- reading ------------------------------------------------------------------------------------------------
TOKEN = re.compile(r'\s+|;[^\n]*|([()]|"(?:\\.|[^"\\])*"|[^\s()"]+)')


def read(text):
    tokens = [m.group(1) for m in TOKEN.finditer(text) if m.group(1)]
    at = 0

    def term():
        nonlocal at
        token = tokens[at]
        at += 1
        if token != "(":
            return token
        items = []
        while tokens[at] != ")":
            items.append(term())
        at += 1
        return items

    forms = []
    while at < len(tokens):
        forms.append(term())
    return forms


# ---- nets: a tree is ["con"|"dup"|"opr"|"swi", left, right], ("wire", number) or ("leaf", text) ----------------
class Net:
    def __init__(self):
        self.redexes, self.joined, self.wires = [], {}, 0

    def wire(self):
        self.wires += 1
        return ("wire", self.wires)

    def link(self, a, b):
        """Join two trees: a wire's other end becomes what the wire was joined to."""
        for x, y in ((a, b), (b, a)):
            if x[0] == "wire":
                if x[1] in self.joined:
                    self.link(self.joined.pop(x[1]), y)
                else:
                    self.joined[x[1]] = y
                return
        self.redexes.append([a, b])

    def resolve(self, tree):
        if tree[0] == "wire" and tree[1] in self.joined:
            return self.resolve(self.joined.pop(tree[1]))
        if tree[0] in ("wire", "leaf"):
            return tree
        return [tree[0], self.resolve(tree[1]), self.resolve(tree[2])]

    def finish(self, root):
        box = ["root", root, ("leaf", "")]
        while True:
            box = self.resolve(box)
            self.redexes = [[self.resolve(a), self.resolve(b)] for a, b in self.redexes]
            if not self.eta(box) and not self.joined:
                return box[1], self.redexes

    def eta(self, box):
        """Two constructors on the same pair of wires are one wire."""
        seen, places = {}, [box] + self.redexes
        stack = list(places)
        while stack:
            node = stack.pop()
            for i, child in enumerate(node):
                if not isinstance(child, list):
                    continue
                key = (child[1], child[2])
                if child[0] == "con" and child[1][0] == child[2][0] == "wire":
                    if key in seen and seen[key][0] is not node:
                        other, j = seen[key]
                        node[i] = other[j] = self.wire()
                        loose = [r for r in self.redexes if r[0][0] == "wire" or r[1][0] == "wire"]
                        self.redexes = [r for r in self.redexes if r not in loose]
                        for a, b in loose:
                            self.link(a, b)
                        return True
                    seen[key] = (node, i)
                stack.append(child)
        return False


def show(tree, names):
    if tree[0] == "leaf":
        return tree[1]
    if tree[0] == "wire":
        if tree[1] not in names:
            n = len(names)
            names[tree[1]] = chr(97 + n % 26) + (str(n // 26) if n >= 26 else "")
        return names[tree[1]]
    opening = {"con": "(", "dup": "{", "opr": "$(", "swi": "?("}[tree[0]]
    return opening + show(tree[1], names) + " " + show(tree[2], names) + ("}" if tree[0] == "dup" else ")")


def refers(tree):
    return tree[0] == "leaf" and tree[1][0] == "@" or tree[0] not in ("leaf", "wire") and any(map(refers, tree[1:]))


def size(tree):
    return 0 if tree[0] in ("wire", "leaf") else 1 + size(tree[1]) + size(tree[2])


# ---- compiling ----------------------------------------------------------------------------------------------
FLIPPED = {"-": ":-", "/": ":/", "%": ":%", "<<": ":<<", ">>": ":>>"}


class NeedsSwitch(Exception):
    """A body on trial contains a switch: it is lifted out without further ado."""


class Def:
    def __init__(self, name, book, sizes):
        self.name, self.book, self.sizes, self.net, self.lifted = name, book, sizes, Net(), 0

    def bind(self, uses):
        """The tree that feeds all uses of a variable."""
        if not uses:
            return ("leaf", "*")
        tree = uses[-1]
        for use in reversed(uses[:-1]):
            tree = ["dup", use, tree]
        return tree

    def scoped(self, names, body, env):
        inner = dict(env)
        for name in names:
            inner[name] = []
        tree = self.term(body, inner)
        return [self.bind(inner[name]) for name in names], tree

    def lam(self, names, body, env):
        binders, tree = self.scoped(names, body, env)
        for binder in reversed(binders):
            tree = ["con", binder, tree]
        return tree

    def apply(self, function, arguments):
        result = self.net.wire()
        tree = result
        for argument in reversed(arguments):
            tree = ["con", argument, tree]
        self.net.link(function, tree)
        return result

    def operate(self, operator, a, b, env):
        left = self.term(a, env)
        result = self.net.wire()
        if isinstance(b, str) and re.fullmatch(r"[+-]?[0-9][0-9.]*", b):
            # the carrier stands left of the operator: the other way round for those that do not commute
            flip = {"<": ">", ">": "<"}.get(operator, FLIPPED.get(operator, operator))
            node = ["opr", ("leaf", "[%s%s]" % (flip, b)), result]
        else:
            right = self.term(b, env)
            node = ["opr", ("leaf", "[%s]" % operator), ["opr", right, result]]
        self.net.link(left, node)
        return result

    def case(self, names, body):
        """A closed function: in place when it is small and computes nothing, a definition of its own otherwise."""
        trial = Def("trial", None, self.sizes)
        try:
            tree, redexes = trial.net.finish(trial.lam(names, body, {}))
            if not redexes and size(tree) <= 2 and not refers(tree):
                return tree
        except NeedsSwitch:
            pass
        self.lifted += 1
        name = "%s__C%d" % (self.name, self.lifted)
        compile_def(name, names, body, self.book, self.sizes)
        return ("leaf", "@" + name)

    def rename(self, tree, table):
        if tree[0] == "wire":
            if tree[1] not in table:
                table[tree[1]] = self.net.wire()
            return table[tree[1]]
        return tree if tree[0] == "leaf" else [tree[0], self.rename(tree[1], table), self.rename(tree[2], table)]

    def switch(self, number, captured, zero, predecessor, succ, env):
        if self.book is None:
            raise NeedsSwitch()
        zero_tree = self.case(captured, zero)
        succ_tree = self.case(predecessor + captured, succ)
        cases = ["con", self.rename(zero_tree, {}), self.rename(succ_tree, {})]
        result = self.net.wire()
        self.net.link(self.term(number, env), ["swi", cases, result])
        arguments = [self.term(name, env) for name in captured]
        return self.apply(result, arguments) if arguments else result

    def leaf(self, token, env):
        if token in env:
            use = self.net.wire()
            env[token].append(use)
            return use
        if token == "*" or token[0] in '@%#"+-' or token[0].isdigit():
            return ("leaf", token)
        raise SystemExit("%s: unbound %s" % (self.name, token))

    def term(self, term, env):
        if isinstance(term, str):
            return self.leaf(term, env)
        head = term[0]
        if len(term) == 1 and head in self.sizes:
            return ("leaf", str(self.sizes[head]))
        if head == "exactly":
            return ("leaf", "#" + str(self.sizes[term[1]]))
        if head == "lam":
            return self.lam(term[1], term[2], env)
        if head == "let":
            value = self.term(term[2], env)
            binders, tree = self.scoped([term[1]], term[3], env)
            self.net.link(binders[0], value)
            return tree
        if head == "pair":
            return ["con", self.term(term[1], env), self.term(term[2], env)]
        if head == "split":
            value = self.term(term[3], env)
            binders, tree = self.scoped(term[1:3], term[4], env)
            self.net.link(["con"] + binders, value)
            return tree
        if head == "op":
            return self.operate(term[1], term[2], term[3], env)
        if head == "if":
            return self.switch(term[1], term[2], term[3], term[4], term[5], env)
        function = self.term(head, env)
        return self.apply(function, [self.term(a, env) for a in term[1:]])


def compile_def(name, names, body, book, sizes):
    place = len(book)
    book.append(None)
    d = Def(name, book, sizes)
    root, redexes = d.net.finish(d.lam(names, body, {}))
    table = {}
    lines = ["@%s = %s" % (name, show(root, table))]
    for a, b in redexes:
        if b[0] == "leaf" and a[0] != "leaf":
            a, b = b, a
        lines.append("  & %s ~ %s" % (show(a, table), show(b, table)))
    book[place] = "\n".join(lines)


def compile_forms(forms, sizes):
    book = []
    for form in forms:
        compile_def(form[1], form[2], form[3], book, sizes)
    return "\n\n".join(book) + "\n"


def programs(text):
    """(program name "what it does" def ...) forms; `library` is a program whose definitions others include."""
    found = {}
    for form in read(text):
        found[form[1]] = (form[2].strip('"'), form[3:])
    return found


def expand(name, table):
    forms = []
    for form in table[name][1]:
        forms += expand(form[1], table) if form[0] == "include" else [form]
    return forms


def put(path, text):
    """Write a file, or with --check compare it."""
    if sys.argv[1:] != ["--check"]:
        with open(path, "w") as out:
            out.write(text)
    elif not os.path.exists(path) or open(path).read() != text:
        raise SystemExit(path + " is not what the script makes of its sources")


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    if len(sys.argv) > 1 and sys.argv[1] != "--check":
        sys.stdout.write(compile_forms(read(open(sys.argv[1]).read()), {k: v[0] for k, v in SIZES.items()}))
        return
    table = programs(open(os.path.join(here, "programs.lisp")).read())
    for which, folder in ((0, here), (1, os.path.join(here, "small"))):
        os.makedirs(folder, exist_ok=True)
        sizes = {k: v[which] for k, v in SIZES.items()}
        for name, (what, _) in table.items():
            if name.startswith("lib_"):
                continue
            head = "// SPDX-License-Identifier: MIT\n// %s: %s\n// Made by make.py from programs.lisp.\n\n"
            put(os.path.join(folder, name + ".hvm"), head % (name, what) + compile_forms(expand(name, table), sizes))


if __name__ == "__main__":
    sys.setrecursionlimit(100000)
    main()
