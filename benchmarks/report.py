"""The results as a document: a table, a plot, and the machine that they come from."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.cases import Row

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
"""What is between these lines of the document is written by `make bench`; all else in it is written by hand."""

PLOT = "Milliseconds of processor time for an unchanged recipe, by the number of recipes in one process"
"""What the plot shows."""

TENANTS_PLOT = "Milliseconds for an unchanged app of a tenant, by the number of tenants"
"""What the second one shows."""

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 640, 320, 60, 20, 50


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| what | ours | held against | promised | kept | aim |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        kept = "-" if row.bar == "-" else "yes" if row.reached else "**no**"
        lines.append(f"| {row.what} | {row.ours} | {row.limit} | {row.bar} | {kept} | {row.aim or '-'} |")
    return "\n".join(lines)


def machine(rounds: int) -> str:
    """One paragraph about where and how it was measured."""
    python = f"Python {platform.python_version()}"
    curl = _first_line("curl", "--version").split(" (")[0]
    openssl = _first_line("openssl", "version").split(" (")[0]
    today = datetime.now(timezone.utc).date().isoformat()
    return (
        f"Measured on {today}: {_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"{python}, {curl}, {openssl}. Medians of {rounds} runs after one that is not counted; ratios are medians of "
        "the ratios of runs made right after each other."
    )


def write(document: Path, text: str) -> None:
    """Put the measured part into the document; the rest of it stays."""
    whole = document.read_text("utf-8")
    before, _, rest = whole.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{document} has no lines {BEGIN} and {END}")
    document.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")


def plot(points: Sequence[tuple[int, float]], title: str = PLOT) -> str:
    """Milliseconds over a number of things, as SVG with a logarithmic axis to the right."""
    highest = max(5.0, math.ceil(max(value for _, value in points) * 1.5))
    first, last = math.log10(points[0][0]), math.log10(points[-1][0])

    def across(count: int) -> float:
        return _LEFT + (math.log10(count) - first) / (last - first) * (_WIDTH - _LEFT - 30)

    def up(value: float) -> float:
        return _TOP + (1 - value / highest) * (_HEIGHT - _TOP - _BOTTOM)

    step = highest / 5
    parts = [
        f'<line x1="{_LEFT}" y1="{up(n * step):.1f}" x2="{_WIDTH - 30}" y2="{up(n * step):.1f}" stroke="#ccc"/>'
        f'<text x="{_LEFT - 8}" y="{up(n * step) + 4:.1f}" text-anchor="end">{n * step:g}</text>'
        for n in range(6)
    ]
    line = " ".join(f"{across(count):.1f},{up(value):.1f}" for count, value in points)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#0b62c4" stroke-width="2"/>')
    for count, value in points:
        parts.append(f'<circle cx="{across(count):.1f}" cy="{up(value):.1f}" r="4" fill="#0b62c4"/>')
        parts.append(f'<text x="{across(count):.1f}" y="{up(value) - 10:.1f}" text-anchor="middle">{value:.1f}</text>')
        parts.append(f'<text x="{across(count):.1f}" y="{_HEIGHT - 30}" text-anchor="middle">{count}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="12"><title>{title}</title>'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>{"".join(parts)}'
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{title}</text></svg>\n'
    )


def _first_line(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def _processor() -> str:
    if sys.platform == "darwin":
        return _first_line("sysctl", "-n", "machdep.cpu.brand_string")
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
