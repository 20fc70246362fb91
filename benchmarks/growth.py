"""How costs grow: processor time over apps, Macs, recipes, bytes and jobs, each with the exponent that fits.

    python -m benchmarks.growth            # some minutes; writes docs/growth.svg
    python -m benchmarks.growth --most 1000

An exponent of 1 is twice the time for twice as many. What a start of Python takes is not in it. `--most` leaves out the
larger ones (of bytes: those of as many MiB) and writes nothing.

A machine that does something else makes a run dearer, never cheaper; so of short ones the cheapest of three counts.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import cases, pages
from benchmarks.cases import Bench
from benchmarks.measure import MIB, process
from benchmarks.tenant import ROOT, Tenant

_SHA256 = """
import sys
from pathlib import Path
from kandji_uploader import installer
print(installer.sha256(Path(sys.argv[1])))
"""
_DOCS = ROOT / "docs"
_SHORT, _NOISE = 2.0, 0.005
"""Seconds of processor time: what is measured again, and what is no more than the start of Python varies by."""


def apps(bench: Bench, count: int) -> float:
    """To list so many Custom Apps."""
    pages.write(bench.folder, "library/custom-apps", pages.apps(count, scripts=False), count, pages.APPS_PAGE)
    with pages.Server(bench.folder) as server:
        start = bench.python_run(cases.LIST_APPS, server.url, "0").cpu
        return bench.python_run(cases.LIST_APPS, server.url).cpu - start


def macs(bench: Bench, count: int) -> float:
    """`status` of an app that so many Macs report on."""
    (app,) = listed = [*pages.apps(1, scripts=False)]
    pages.write(bench.folder, "library/custom-apps", listed, 1, pages.APPS_PAGE)
    pages.write(
        bench.folder, f"library/library-items/{app['id']}/status", pages.statuses(count), count, pages.MACS_PAGE
    )
    words = [bench.python, "-m", "kandji_uploader", "status", "--json", str(app["name"])]
    with pages.Server(bench.folder) as server:
        environ = {**os.environ, "KANDJI_API_URL": server.url, "KANDJI_TOKEN": "5ecret-" * 5, "HOME": str(bench.folder)}
        environ |= {"KANDJI_UPLOADER_DIR": str(bench.config), "PYTHONPATH": str(ROOT / "shared")}
        start = process([*words[:3], "status", "-h"], environ, bench.folder).cpu
        return process(words, environ, bench.folder).cpu - start


def recipes(bench: Bench, count: int) -> float:
    """So many unchanged recipes in one process."""
    with Tenant(bench.python) as tenant:
        tenant.seed(cases.published(bench.folder, count, count))
        return sum(took for took, _ in cases.run_recipes(bench, tenant, bench.folder, count)[1:])


def size(bench: Bench, mebibytes: int) -> float:
    """The digest of a sparse file."""
    path = bench.folder / "sparse"
    path.touch()
    os.truncate(path, mebibytes * MIB)
    start = bench.python_run("from kandji_uploader import installer").cpu
    return bench.python_run(_SHA256, path).cpu - start


def jobs(bench: Bench, count: int) -> float:
    """So many installers of 64 MiB (sparse), all at a time."""
    with Tenant(bench.python, keep_files=False) as tenant:
        start = bench.python_run("import requests").cpu
        return cases.publish_sparse(bench, tenant, count, 64 * MIB).cpu - start


GROWN: dict[str, tuple[Callable[[Bench, int], float], tuple[int, ...]]] = {
    "Custom Apps, listed": (apps, (100, 1000, 10_000, 100_000)),
    "Macs of an app, status": (macs, (100, 1000, 10_000, 100_000)),
    "recipes, unchanged": (recipes, (10, 100, 1000, 10_000)),
    "MiB, digest": (size, (1, 16, 256, 4096, 16_384)),
    "jobs at a time": (jobs, (1, 2, 4, 8, 16)),
}


def _cheapest(measure: Callable[[Bench, int], float], count: int) -> float:
    """Seconds of processor time: of one run, or of the cheapest of three where one is short."""
    found: list[float] = []
    while not found or (max(found) < _SHORT and len(found) < 3):
        with tempfile.TemporaryDirectory() as folder:
            found.append(measure(Bench(Path(folder)), count))
    return min(found)


def exponent(points: list[tuple[int, float]]) -> float:
    """That of the power which fits best: the slope of a line through the logarithms."""
    logs = [(math.log(many), math.log(max(seconds, 1e-4))) for many, seconds in points]
    across, up = (sum(values) / len(logs) for values in zip(*logs, strict=True))
    return sum((x - across) * (y - up) for x, y in logs) / sum((x - across) ** 2 for x, _ in logs)


def main() -> int:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--most", type=int, default=100_000)
    most = parser.parse_args().most
    lines = {}
    for name, (measure, counts) in GROWN.items():
        points = [(count, _cheapest(measure, count)) for count in counts if count <= max(most, counts[1])]
        # Of the two largest: smaller ones are mostly what it costs to begin.
        title = f"{name}: exponent {exponent(points[-2:]):.2f}"
        lines[title] = points
        print(title, " ".join(f"{count:,}: {seconds:.3f} s" for count, seconds in points), sep="; ", flush=True)
    if most >= 100_000:
        (_DOCS / "growth.svg").write_text(_drawn(lines), "utf-8")
    return 0


def _drawn(lines: dict[str, list[tuple[int, float]]]) -> str:
    """Seconds over how many, both logarithmic: ten to the right, ten up."""
    colours = ("#0b62c4", "#c4460b", "#2a8a2a", "#8a2a8a", "#8a6a0b")
    parts = []
    for at, (title, points) in enumerate(lines.items()):
        told = [(count, took) for count, took in points if took >= _NOISE]
        spots = [(60 + 110 * math.log10(count), 200 - 55 * math.log10(took)) for count, took in told]
        path = " ".join(f"{x:.0f},{y:.0f}" for x, y in spots)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colours[at]}" stroke-width="2"/>')
        parts.append(f'<text x="70" y="{30 + 18 * at}" fill="{colours[at]}">{title}</text>')
    parts += [f'<text x="52" y="{204 - 55 * each}" text-anchor="end">{10.0**each:g} s</text>' for each in range(-3, 3)]
    parts += [f'<text x="{60 + 110 * each}" y="390" text-anchor="middle">{10**each:,}</text>' for each in range(6)]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 660 400" role="img" font-family="sans-serif" '
        f'font-size="12"><title>How costs grow</title><rect width="660" height="400" fill="#fff"/>{"".join(parts)}'
        "</svg>\n"
    )


if __name__ == "__main__":
    sys.exit(main())
