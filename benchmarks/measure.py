"""Measuring whole processes: wall time by a monotonic clock, memory as the kernel counted it."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
GIB = 1 << 30
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""What `ru_maxrss` counts in: bytes on macOS, KiB on Linux."""


@dataclass(frozen=True)
class Run:
    """One run of a process.

    Attributes:
        wall: seconds from its start to its end.
        cpu: seconds of processor time, user and system.
        peak: its maximum resident size, in bytes.
        output: what it wrote to standard output.
    """

    wall: float
    cpu: float
    peak: int
    output: str


class FailedError(Exception):
    """A measured process failed; its text is what it wrote."""


_LAUNCHER = """
import os, sys, time
report, *words = sys.argv[1:]
began = time.perf_counter()
child = os.posix_spawnp(words[0], words, os.environ)
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - began
with open(report, "w") as file:
    print(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, file=file)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Starts the process that is measured. The kernel counts what a process was before its `exec` into its maximum
resident size, so it must not be started by us, who may be large."""


def process(
    words: Sequence[str | Path],
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    codes: Sequence[int] = (0,),
) -> Run:
    """Run a process to its end and measure it.

    Raises:
        FailedError: its exit code was none of `codes`.
    """
    with tempfile.NamedTemporaryFile("r") as report:
        launch = [sys.executable, "-I", "-S", "-c", _LAUNCHER, report.name, *map(str, words)]
        done = subprocess.run(
            launch, env=environ, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode not in codes:
            text = (done.stdout + done.stderr)[-2000:]
            raise FailedError(f"{words[0]} ended with {done.returncode}: {text}")
        wall, cpu, peak = report.read().split()
    return Run(float(wall), float(cpu), int(peak) * _RSS_UNIT, done.stdout)


@dataclass(frozen=True)
class Sample:
    """Several runs of the same thing.

    Attributes:
        runs: in the order in which they were made.
    """

    runs: tuple[Run, ...]

    @property
    def wall(self) -> float:
        """The median, in seconds."""
        return statistics.median(run.wall for run in self.runs)

    @property
    def cpu(self) -> float:
        """The median of the processor time, in seconds."""
        return statistics.median(run.cpu for run in self.runs)

    @property
    def peak(self) -> int:
        """The highest maximum resident size of all runs, in bytes."""
        return max(run.peak for run in self.runs)


def in_turns(count: int, *things: Callable[[], Run]) -> tuple[Sample, ...]:
    """Run several things in turns, so that what else the machine does meets all of them alike.

    The first round warms caches up and is not counted.
    """
    for thing in things:
        thing()
    rounds = [[thing() for thing in things] for _ in range(count)]
    return tuple(Sample(tuple(runs)) for runs in zip(*rounds, strict=True))


def ratio(ours: Sample, limit: Sample) -> float:
    """The median of the ratios of the runs that were made in the same round."""
    return statistics.median(one.wall / other.wall for one, other in zip(ours.runs, limit.runs, strict=True))
