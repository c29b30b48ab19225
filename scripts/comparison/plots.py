# SPDX-License-Identifier: MIT
"""plots.py -- one SVG a program, time against heap size, drawn by scripts/peers.gnuplot."""
import pathlib
import subprocess
import tempfile

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "peers.gnuplot"
COLOURS = {
    "varve": "#000000", "varve-full": "#c0202a", "boehm": "#e69f00", "java-serial": "#56b4e9",
    "java-parallel": "#0072b2", "java-g1": "#24348c",
    "go": "#009e73", "ocaml": "#d55e00", "glibc": "#909090", "jemalloc": "#cc79a7", "mimalloc": "#8c6d31",
    "go-default": "#009e73", "ocaml-default": "#d55e00",
}


def edges(figures):
    """Of the x axis."""
    return figures.factors()[0] / 1.05, figures.factors()[-1] * 1.1


def points(figures, bench, contender):
    """(x, seconds) pairs; a contender without a bound has the same time everywhere."""
    factors = [None] if contender.bounded == "free" else figures.factors()
    cells = [(factor, figures.cell(bench, contender.name, factor)) for factor in factors]
    times = [(factor, cell.median()) for factor, cell in cells if cell and cell.ok]
    return [(edge, seconds) for _, seconds in times for edge in edges(figures)] if factors == [None] else times


def block(pairs):
    return "".join(f"{x} {y:.6g}\n" for x, y in pairs) or "NaN NaN\n"


def marks(values):
    return ", ".join(f"'{value:g}' {value:g}" for value in values)


def round_marks(least, most):
    """1, 2, 5, 10 .. that cover a range, with one beyond each end."""
    series = [digit * 10.0 ** power for power in range(-5, 5) for digit in (1, 2, 5)]
    below = [value for value in series if value <= least]
    above = [value for value in series if value >= most]
    return [value for value in series if below[-1] <= value <= above[0]]


def gnuplot(variables):
    settings = "; ".join(f"{name} = {value!r}" for name, value in variables.items())
    done = subprocess.run(["gnuplot", "-e", settings, str(SCRIPT)], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise OSError(done.stderr.strip())


def draw(figures, program, benches, path):
    """benches: the same program and size with different numbers of threads. False: nothing to draw."""
    shown = [contender for contender in figures.contenders()
             if any(points(figures, bench, contender) for bench in benches)]
    shown.sort(key=lambda contender: contender.bounded == "free")
    times = [y for bench in benches for contender in shown for _, y in points(figures, bench, contender)]
    if not times:
        return False
    left, right = edges(figures)
    ticks = round_marks(max(min(times), 1e-4), max(times))
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder) / f"{bench.threads}.dat" for bench in benches]
        for file, bench in zip(files, benches):
            file.write_text("\n\n".join(block(points(figures, bench, contender)) for contender in shown))
        gnuplot({
            "output": str(path), "heading": f"{program} {benches[0].size}", "files": " ".join(map(str, files)),
            "captions": " ".join(str(bench.threads) for bench in benches),
            "names": " ".join(contender.name for contender in shown),
            "colours": " ".join(COLOURS[contender.name] for contender in shown),
            "bounded": sum(contender.bounded != "free" for contender in shown),
            "xtics": marks(figures.factors()), "ytics": marks(ticks), "left": left, "right": right,
            "least": ticks[0], "most": ticks[-1],
        })
    return True
