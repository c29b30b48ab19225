# SPDX-License-Identifier: MIT
"""process.py -- one process from start to end: its output, its wall and CPU time, its peak resident memory.

A process that runs too long is killed with all that it started. The peak is the kernel's ru_maxrss, which a child takes
over from the process that starts it: a peak that is not above this interpreter's own, some 20 MiB, is not known.

A virtual machine may give memory that nobody uses back to its host after a second or two, whole huge pages first, and
then pays 2 ms for touching a MiB of it again: forty times what the touch itself costs, and mostly at the expense of who
asks for huge pages. So memory can be touched, in huge pages, right before a run, for all alike.
"""
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass


@dataclass
class Finished:
    status: int       # exit status; negative: the signal that ended it
    timed_out: bool
    wall: float
    cpu: float        # user and system, of the process and the children it waited for
    rss: int | None   # bytes
    out: str
    err: str


def wait(pid, seconds):
    """Wait for a child, which leads a process group; returns (wait status, resource usage, killed for time)."""
    descriptor = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    late = True
    try:
        late = not poll.poll(seconds * 1000)
    finally:  # also when the user interrupts
        if late:
            os.killpg(pid, signal.SIGKILL)
        os.close(descriptor)
        _, status, usage = os.wait4(pid, 0)
    return status, usage, late


def text_of(file):
    file.seek(0)
    return file.read().decode(errors="replace")


def peak_of(usage):
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage.ru_maxrss * 1024 if usage.ru_maxrss > own else None


def touch_memory(size):
    """Touch so many bytes and free them, in another process, so that our own peak stays small."""
    code = (f"import mmap\nwith mmap.mmap(-1, {size}, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:\n"
            f"    memory.madvise(mmap.MADV_HUGEPAGE)\n"
            f"    memory[::4096] = bytes({size // 4096})")
    subprocess.run([sys.executable, "-c", code], check=True)


def run(argv, environment, seconds):
    """Run argv and wait for it; OSError: it could not be started."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                   (os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, err.fileno(), 2)]
        start = time.monotonic()
        pid = os.posix_spawnp(argv[0], argv, environment, file_actions=actions, setsid=True)
        status, usage, late = wait(pid, seconds)
        wall = time.monotonic() - start
        return Finished(os.waitstatus_to_exitcode(status), late, wall, usage.ru_utime + usage.ru_stime,
                        peak_of(usage), text_of(out), text_of(err))
