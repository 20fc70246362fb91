"""Measuring whole processes: wall time by a monotonic clock, memory as the kernel counted it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
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


def process(words: Sequence[str | Path], environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> Run:
    """Run a process to its end and measure it.

    Raises:
        FailedError: its exit code was not 0.
    """
    import tempfile

    with tempfile.TemporaryFile("w+b") as output:
        started = time.perf_counter()
        child = subprocess.Popen(
            [str(word) for word in words], env=environ, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    if child.returncode:
        raise FailedError(f"{words[0]} ended with {child.returncode}: {text[-2000:]}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _RSS_UNIT, text)


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
    def spread(self) -> tuple[float, float]:
        """The fastest and the slowest, in seconds."""
        walls = [run.wall for run in self.runs]
        return min(walls), max(walls)

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


def median(values: Iterable[float]) -> float:
    """The median."""
    return statistics.median(values)
