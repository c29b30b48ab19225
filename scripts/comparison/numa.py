# SPDX-License-Identifier: MIT
"""numa.py -- policies of numactl: on which nodes the pages of a heap are under each, and how long programs take.

Pages are those of tests/guest/census.c, counted with move_pages: a mutator on each node that it may use, collections
that move everything. Times are of whole programs. scripts/numa measures, scripts/report.py shows.
"""
import json
import pathlib
import shlex
import statistics
import subprocess

from comparison import process, tables

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LAB = ROOT / "scripts/numa-lab"
SECONDS = 300  # for one program

# Virtual machines: what they are, the lab's options, the nodes with processors and memory.
GUESTS = [
    ("two nodes", ["-t", "2x2"], [0, 1]),
    ("four nodes in a ring", ["-t", "4x1", "-d", "ring"], [0, 1, 2, 3]),
    ("two nodes, and node 2 without processors", ["-t", "1,1,0:192M"], [0, 1]),
    ("two nodes, and node 1 without memory", ["-t", "1,1:0,1", "-d", "10 21 30/21 10 16/30 16 10"], [0, 2]),
]

# What is timed: a name, the program in the build folder, its arguments.
TIMED = [
    ("census", "tests/guest/census", ["30"]),
    ("binary_trees", "tests/programs/programs_varve", ["binary_trees", "18", "2", "--heap", str(256 << 20)]),
    ("lru", "tests/programs/programs_varve", ["lru", "100000", "2", "--heap", str(128 << 20)]),
    ("sort_strings", "examples/parallax_net/parallax_net", ["--program", "sort_strings", "--heap", "64m"]),
    ("copies", "examples/parallax_net/parallax_net", ["--program", "copies", "--heap", "64m"]),
]


def numbers(text):
    """Of a list such as 0-3,8."""
    found = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1) if first else []
    return found


def nodes_here():
    """The nodes with processors and memory."""
    folder = pathlib.Path("/sys/devices/system/node")
    try:
        sets = [set(numbers((folder / name).read_text())) for name in ("has_memory", "has_cpu")]
    except OSError:
        return [0]
    return sorted(sets[0] & sets[1])


def policies(nodes):
    """Arguments of numactl, from none at all to all that make a difference with these nodes."""
    first, last, several = nodes[0], nodes[-1], len(nodes) > 1
    second = nodes[1] if several else first
    found = ["", f"--membind={second}", "--interleave=all", f"--preferred={last}", f"--cpunodebind={second}"]
    if several:
        found += [f"--cpunodebind={second} --membind={first}", "--localalloc"]
    if len(nodes) > 2:
        found.append(f"--interleave={first},{last}")
    return list(dict.fromkeys(found))


def under(policy, command):
    return ["numactl", *policy.split(), *command] if policy else list(command)


# ---- pages -----------------------------------------------------------------------------------------------------------

def row(where, policy, line):
    """One row of what census printed, which may be nothing."""
    try:
        figures = json.loads(line)
    except ValueError:
        return {"machine": where, "policy": policy, "failed": line.strip() or "no output"}
    return {"machine": where, "policy": policy, "failed": None, **figures}


def rows_here(build, say):
    rows = []
    for policy in policies(nodes_here()):
        say(f"pages: {policy or 'no policy'}")
        command = under(policy, [build / "tests/guest/census"])
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        rows.append(row("this machine", policy, done.stdout or done.stderr))
    return rows


def run_lab(words):
    return subprocess.run([LAB, *words], stdout=subprocess.PIPE, text=True, check=False)


def rows_of_guest(build, guest, say):
    """One boot for all policies; each says one line."""
    where, options, nodes = guest
    census, found = str((build / "tests/guest/census").resolve()), policies(nodes)
    say(f"pages: {where}, {len(found)} policies")
    lines = [shlex.join(under(policy, [census])) + " || echo failed" for policy in found]
    done = run_lab([*options, "-p", "numactl", "-p", census, "sh", "-c", "; ".join(lines)])
    printed = done.stdout.splitlines()
    printed += ["the virtual machine ended early"] * (len(found) - len(printed))
    return [row(where, policy, line) for policy, line in zip(found, printed)]


def rows_of_guests(build, say):
    return [one for guest in GUESTS for one in rows_of_guest(build, guest, say)]


# ---- times -----------------------------------------------------------------------------------------------------------

def time_of(command, environment):
    """Seconds, or None when it failed."""
    finished = process.run([str(word) for word in command], environment, SECONDS)
    return finished.wall if finished.status == 0 and not finished.timed_out else None


def times_here(build, runs, say):
    """Each program under each policy; the policies take turns, so that a slower hour is one for all."""
    rows = []
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    for name, program, words in TIMED:
        if not (build / program).exists():
            continue
        say(f"times: {name}")
        seconds = {policy: [] for policy in policies(nodes_here())}
        for _ in range(runs):
            for policy, samples in seconds.items():
                samples.append(time_of(under(policy, [build / program, *words]), environment))
        rows += [{"program": name, "policy": policy, "seconds": samples} for policy, samples in seconds.items()]
    return rows


# ---- what is shown ---------------------------------------------------------------------------------------------------

TEXT = """## Several nodes

Where the pages of a heap are, counted with `move_pages`. A mutator pinned to each node that the policy leaves allocates
small, medium and large objects, half of them garbage; then everything that lives is moved, three times. *At home* are
pages on the node of the mutator that allocated them, or on the nearest with memory; a policy that names nodes comes
first. The last column is of objects, one in 64; in a virtual machine it also says which processors its host let run.

{pages}

{times}"""

NO_TIMES = "This machine has one node; those of the table are emulated, their memory is all equally near: no times."
TIMES = """Seconds, the medians of {runs} runs under each policy, in turns. **Bold**: the fastest.

{table}"""


def shown_policy(policy):
    return f"`{policy}`" if policy else "none"


def percent(part, whole):
    return f"{100 * part / whole:.0f} %" if whole else "-"


def page_cells(one):
    if one["failed"]:
        return [one["machine"], shown_policy(one["policy"]), f"**{one['failed']}**", "-", "-"]
    return [one["machine"], shown_policy(one["policy"]), " / ".join(str(count) for count in one["pages"].values()),
            percent(one["home"], one["total"]), percent(one["sampled_local"], one["sampled"])]


def pages_table(rows):
    header = ["machine", "policy", "pages on node 0 / 1 / ...", "at home", "marked by a worker of their node"]
    return tables.markdown(header, [page_cells(one) for one in rows])


def median(samples):
    return None if None in samples else statistics.median(samples)


def times_table(times):
    programs = list(dict.fromkeys(one["program"] for one in times))
    found = {(one["policy"], one["program"]): median(one["seconds"]) for one in times}
    best = {name: min((v for (_, n), v in found.items() if n == name and v is not None), default=None)
            for name in programs}
    rows = []
    for policy in dict.fromkeys(one["policy"] for one in times):
        cells = [(found[policy, name], best[name]) for name in programs]
        rows.append([shown_policy(policy)] + ["failed" if value is None else f"**{value:.3f}**" if value == least else
                                              f"{value:.3f}" for value, least in cells])
    return tables.markdown(["policy", *programs], rows)


def section(figures):
    times = figures["times"]
    shown = TIMES.format(runs=len(times[0]["seconds"]), table=times_table(times)) if times else NO_TIMES
    return TEXT.format(pages=pages_table(figures["rows"]), times=shown)


def load(path):
    return json.loads(pathlib.Path(path).read_text())
