#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make.py -- writes what each program must give: *.txt here at full size, small/*.txt at reduced size.

With --check it writes nothing and fails when a file is not what would be written.
Nothing of the runtime is used: Python's integers, coreutils' tr, sort and uniq, and other formulas than the nets'.
The sizes are those of ../nets/make.py. Texts are in the form of the runtime's readback.
"""
import importlib.util
import math
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("nets", os.path.join(HERE, "..", "nets", "make.py"))
nets = importlib.util.module_from_spec(spec)
spec.loader.exec_module(nets)
MASK = (1 << 24) - 1
GPL = "/usr/share/common-licenses/GPL-3"


def quoted(text):
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def shell(command, text):
    return subprocess.run(["sh", "-c", command], input=text, capture_output=True, text=True, check=True).stdout


def tuples(n):
    items = [1 + (i + n) % 8 for i in range(8)]
    text = "x0"
    for item in reversed(items):
        text = "(%d %s)" % (item, text)
    return "(%s x0)" % text


def radix(n):
    keys = []
    for i in range(1 << n, 2 << n):
        keys.append(((i * 2654 & MASK) ^ ((i * 40503 & MASK) >> 7)) & 4095)
    keys.sort()
    return sum(key * (place + 1) for place, key in enumerate(keys)) & MASK


def invert(n):
    """Leaf number i of the inverted tree holds 2^n - 1 - i; its weight comes from the path to place i."""
    total = 0
    for place in range(1 << n):
        weight = 1
        for bit in range(n - 1, -1, -1):
            weight = (weight * 5 + 1 if place >> bit & 1 else weight * 3) & MASK
        total += weight * ((1 << n) - 1 - place)
    return total & MASK


def pi(digits):
    """Gauss and Legendre's mean, in integers with a wide guard."""
    guard = digits + 40
    one = 10 ** guard
    a, b, t, p = one, math.isqrt(one * one // 2), one // 4, 1
    while abs(a - b) > 1:
        mean = (a + b) // 2
        b = math.isqrt(a * b)
        t -= p * (a - mean) ** 2 // one
        a, p = mean, 2 * p
    return (a + b) ** 2 // (4 * t) // 10 ** (guard - digits)


def fibonacci(n):
    """By doubling, not by n additions."""
    a, b = 0, 1
    for bit in bin(n)[2:]:
        a, b = a * (2 * b - a), a * a + b * b
        if bit == "1":
            a, b = b, a + b
    return a


def sort_strings(n):
    keys = "".join("%d\n" % (i * i * 2654435761 % 4294967291) for i in range(1 << n, 2 << n))
    return quoted(shell("LC_ALL=C sort", keys))


def words(small):
    text = "the cat saw the dog and The Dog saw a cat; the end." if small else open(GPL).read()
    counts = shell("LC_ALL=C tr -cs A-Za-z '\\n' | LC_ALL=C tr A-Z a-z | grep . | LC_ALL=C sort | uniq -c", text)
    return quoted("".join("%s %s\n" % tuple(reversed(line.split())) for line in counts.splitlines()))


def sieve(n):
    return quoted("".join("%d " % i for i in range(2, n) if all(i % d for d in range(2, math.isqrt(i) + 1))))


def closures(n):
    total, text = 1, ""
    for p in range(n - 1, -1, -1):
        slot = p & 15
        total += slot * p
        text = ("abcdefghijklmnopqrstuvwxyz"[slot:slot + 3] + text)[:40]
    return quoted("%d %s" % (total, text))


def naps(d):
    return "#%d" % sum(i + pow(3, 37 * i, 1000003) for i in range(1 << d, 2 << d))


def expected(size):
    total = lambda n: ((1 << n) - 1 << n) // 2 & MASK
    return {
        "sum_rec": total(size["SUM_REC"]), "sum_tree": 1 << size["SUM_TREE"], "stress": 0,
        "tuples": tuples(size["TUPLES"]), "bitonic": total(size["BITONIC"]), "radix": radix(size["RADIX"]),
        "tree_invert": invert(size["INVERT"]), "factorial": "#%d" % math.factorial(size["FACTORIAL"]),
        "fibonacci": "#%d" % fibonacci(size["FIBONACCI"]),
        "pi": "#%d" % pi(size["PI_DIGITS"] - size["PI_GUARD"]), "sort_strings": sort_strings(size["SORT"]),
        "words": words(size["WORDS"]), "sieve": sieve(size["SIEVE"]), "closures": closures(size["CLOSURES"]),
        "naps": naps(size["NAPS"]), "copies": 10 << size["COPIES"],
    }


def main():
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)
    for which, folder in ((0, HERE), (1, os.path.join(HERE, "small"))):
        os.makedirs(folder, exist_ok=True)
        for name, text in expected({k: v[which] for k, v in nets.SIZES.items()}).items():
            nets.put(os.path.join(folder, name + ".txt"), "%s\n" % text)


if __name__ == "__main__":
    main()
