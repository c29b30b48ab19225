# SPDX-License-Identifier: MIT
"""machine.py -- what was measured on: the machine, the system, the compiler, the versions of everybody compared."""
import os
import pathlib
import platform
import re
import subprocess
import time

PACKAGES = ["libc6", "libjemalloc2", "libmimalloc2*", "libgc1", "openjdk-*-jre-headless", "golang-1.*-go", "ocaml-base"]
SHOWN = ["processor", "caches", "virtual", "frequency governor", "memory", "kernel", "libc", "compiler",
         "transparent huge pages", "NUMA balancing", "load when it began", "commit", "date"]
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def output(*command):
    """What a command prints; empty when it is not there or fails."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def read(path):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return "unknown"


def processor_rows():
    found = dict(re.findall(r"^([^:]+): +(.+)$", output("lscpu"), re.MULTILINE))
    caches = [f"L{level} {found[f'L{level} cache']}" for level in ("1d", "2", "3") if f"L{level} cache" in found]
    cores = len(os.sched_getaffinity(0))
    nodes = found.get("NUMA node(s)", "an unknown number of")
    return {
        "processor": f"{found.get('Model name', platform.machine())}, {cores} cores, {nodes} node(s)",
        "caches": ", ".join(caches) or "unknown",
        "virtual": found.get("Hypervisor vendor", "no"),
        "frequency governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
    }


def compiler_row(build):
    """The compiler of a build folder with the flags its cache tells."""
    cache = read(pathlib.Path(build) / "CMakeCache.txt")
    entries = dict(re.findall(r"^(\w+):\w+=(.*)$", cache, re.MULTILINE))
    kind = entries.get("CMAKE_BUILD_TYPE", "Release")
    flags = [entries.get("CMAKE_C_FLAGS", ""), entries.get(f"CMAKE_C_FLAGS_{kind.upper()}", "-O3 -DNDEBUG")]
    if entries.get("VARVE_NATIVE", "ON") == "ON":
        flags.append("-march=native (Varve and its programs)")
    version = output(entries.get("CMAKE_C_COMPILER", "cc"), "--version").splitlines()
    return ", ".join([version[0] if version else "unknown", " ".join(flag for flag in flags if flag)])


def commit():
    changed = " with changes" if output("git", "status", "--porcelain", "--untracked-files=no") else ""
    return (output("git", "rev-parse", "--short", "HEAD") or "unknown") + changed


def versions():
    listed = output("dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Package} ${Version}\n", *PACKAGES)
    return [line[3:].strip() for line in listed.splitlines() if line.startswith("ii")]


def record(build):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        **processor_rows(),
        "memory": f"{memory / 2 ** 30:.0f} GiB",
        "kernel": platform.release(),
        "libc": os.confstr("CS_GNU_LIBC_VERSION"),
        "compiler": compiler_row(build),
        "transparent huge pages": read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "NUMA balancing": read("/proc/sys/kernel/numa_balancing"),
        "load when it began": f"{os.getloadavg()[0]:.2f}",
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "versions": versions(),
    }
