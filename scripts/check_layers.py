#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_layers.py -- who may include whom, as a table that runs.

    check_layers.py [ROOT]      check the tree; prints each violation as file:line, exits 1 when there is one
    check_layers.py --selftest  plant violations in a small tree of its own and see that each is caught

include -> core/base -> numa -> regions -> core, one way: a layer may use itself and what stands left of it.
Benchmarks, examples and the package test are users: public headers only, and their own files. Within the library
hwloc.h stays in numa/.
A file belongs to the longest folder of the table that it lies in.
"""

import pathlib
import re
import sys
import tempfile

MAY_INCLUDE = {
    "include": set(),
    "core/base": {"include"},
    "numa": {"include", "core/base"},
    "regions": {"include", "core/base", "numa"},
    "core": {"include", "core/base", "numa", "regions"},
    "tests": {"include", "core/base", "numa", "regions", "core"},
    "tests/bench": {"include"},
    "tests/package": {"include"},
    "examples": {"include"},
}

# Headers of others that only one layer of the library may use; everything else of the system is free.
ONLY_IN = {"hwloc.h": "numa", "numa.h": "numa", "numaif.h": "numa", "jemalloc/jemalloc.h": "numa"}

SUFFIXES = {".c", ".h", ".def", ".cpp", ".hpp", ".cc"}
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


def layer_of(path):
    """The layer of a path relative to the root; None: none of them."""
    parts = path.parts
    for length in range(len(parts) - 1, 0, -1):
        folder = "/".join(parts[:length])
        if folder in MAY_INCLUDE:
            return folder
    return None


def target_layer(root, source, name):
    """The layer an #include names, as the compiler would find it; None: a header of the system or unknown."""
    for base in (source.parent, pathlib.PurePosixPath("."), pathlib.PurePosixPath("include")):
        candidate = root / base / name
        if candidate.is_file():
            return layer_of(candidate.resolve().relative_to(root))
    first = pathlib.PurePosixPath(name)
    return "include" if first.parts[0] == "varve" else layer_of(first)


def violation(root, source, layer, name):
    """What is wrong with `source` including `name`; None: nothing."""
    if name in ONLY_IN and layer != ONLY_IN[name] and layer.split("/")[0] not in ("tests", "examples"):
        return f"{name} is for {ONLY_IN[name]}/ only"
    target = target_layer(root, source, name)
    if target is None or target == layer or target in MAY_INCLUDE[layer]:
        return None
    return f"{layer} may not include {target}: {name}"


def check_file(root, source):
    layer = layer_of(source)
    if layer is None:
        return
    for number, line in enumerate((root / source).read_text(errors="replace").splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            wrong = violation(root, source, layer, match.group(1) or match.group(2))
            if wrong:
                yield f"{source}:{number}: {wrong}"


def check_tree(root):
    root = root.resolve()
    for top in sorted({folder.split("/")[0] for folder in MAY_INCLUDE}):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in SUFFIXES and path.is_file():
                yield from check_file(root, path.relative_to(root))


GOOD = {
    "include/varve/a.h": "#include <stdint.h>\n",
    "core/base/b.h": '#include "varve/a.h"\n',
    "numa/n.h": '#include <hwloc.h>\n#include "core/base/b.h"\n',
    "regions/r.h": '#include "numa/n.h"\n',
    "core/c.c": '#include "c.h"\n#include "regions/r.h"\n#include <sys/mman.h>\n',
    "core/c.h": '#include "varve/a.h"\n',
    "tests/unit/t.c": '#include "core/c.h"\n#include <hwloc.h>\n',
    "tests/bench/t.c": '#include <varve/a.h>\n#include "own.h"\n',
    "tests/bench/own.h": "\n",
    "examples/x/x.c": '#include <varve/a.h>\n#include <hwloc.h>\n',
}
BAD = {
    "include/varve/bad.h": '#include "core/c.h"\n',
    "core/base/bad.c": '#include "core/c.h"\n',
    "core/base/worse.c": '#include "../c.h"\n',
    "numa/bad.c": '#include "regions/r.h"\n',
    "regions/bad.c": "  #  include <core/c.h>\n",
    "regions/missing.c": '#include "core/not_there.h"\n',
    "core/bad.c": "#include <hwloc.h>\n",
    "tests/bench/bad.c": '#include "core/c.h"\n',
    "examples/x/bad.c": '#include "../../regions/r.h"\n',
}


def selftest():
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for path, text in {**GOOD, **BAD}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        caught = {line.split(":")[0] for line in check_tree(root)}
    for path in sorted(set(BAD) - caught):
        print(f"check_layers: not caught: {path}: {BAD[path].strip()}")
    for path in sorted(caught - set(BAD)):
        print(f"check_layers: wrongly caught: {path}: {GOOD[path].strip()}")
    return caught == set(BAD)


def main():
    if sys.argv[1:] == ["--selftest"]:
        return 0 if selftest() else 1
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent
    wrong = list(check_tree(root))
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
