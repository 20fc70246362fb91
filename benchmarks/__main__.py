"""Run the benchmarks: `python -m benchmarks`. They take some ten minutes and 10 GB of disk; `--small` a minute."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import report
from benchmarks.cases import BY_HAND, CASES, SMALL, Bench, Row, Scale

_DOCS = Path(__file__).resolve().parent.parent / "docs"


def main() -> int:
    """Measure, print and write; 1 if a promise was not kept. An aim that is not reached is told, and no failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--small", action="store_true", help="the sizes that CI uses; nothing is written")
    parser.add_argument("--only", action="append", choices=list(CASES), help="one case; may be repeated")
    parser.add_argument("--folder", type=Path, help="where large files are put (default: the temporary folder)")
    arguments = parser.parse_args()
    for program in ("curl", "openssl", "gzip", "xz"):
        if shutil.which(program) is None:
            print(f"{program} is what is measured against; install it", file=sys.stderr)
            return 2
    scale = SMALL if arguments.small else Scale()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        bench = Bench(Path(folder), scale)
        rows: list[Row] = []
        for name in arguments.only or [each for each in CASES if each not in BY_HAND]:
            os.sync()  # what one case has left to be written must not burden the next
            began, before = time.monotonic(), sum(os.times()[:4])
            for row in CASES[name](bench):
                rows.append(row)
                told = " | ".join((row.ours, row.limit, row.bar, row.aim or "-"))
                print(f"{'  ' if row.reached else '! '}{row.what}: {told}", flush=True)
            took, spent = time.monotonic() - began, sum(os.times()[:4]) - before
            print(f"  # {name}: {took:.0f} s, processor {spent:.0f} s", flush=True)
    if not arguments.small and not arguments.only:
        _write(rows, bench)
    return 0 if all(row.reached for row in rows) else 1


def _write(rows: list[Row], bench: Bench) -> None:
    (_DOCS / "performance.svg").write_text(report.plot(bench.points), "utf-8")
    tenants = report.plot(bench.tenant_points, report.TENANTS_PLOT)
    (_DOCS / "performance-tenants.svg").write_text(tenants, "utf-8")
    text = (
        f"{report.machine(bench.scale.rounds)} Load of the machine when it ended: {os.getloadavg()[0]:.1f}.\n\n"
        f"{report.table(rows)}\n\n![{report.PLOT}](performance.svg)\n\n"
        f"![{report.TENANTS_PLOT}](performance-tenants.svg)"
    )
    report.write(_DOCS / "performance.md", text)


if __name__ == "__main__":
    sys.exit(main())
