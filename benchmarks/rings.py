"""How many of 1,000 Macs get a release that breaks some of them: `python -m benchmarks.rings` writes docs/rings.svg.

The runs are real, against the embedded tenant, one a night. The Macs are made up: each one is switched on on some days,
checks in once on such a day, at an hour of its own, and then has what its Custom App asks for.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kandji_uploader.audit import script as audit
from kandji_uploader.rehearsal import RehearsalTenant
from tests.promotion.world import START, World, failing, passing

DAYS = 14
BROKEN_PERCENT = 30
SWITCHED_ON_PERCENT = 80
RINGS = {"Firefox (IT)": 10, "Firefox (Early)": 90, "Firefox": 900}
"""Macs in each ring."""

WATCHED: Sequence[Mapping[str, Any]] = (
    {"name": "Firefox (IT)"},
    {"name": "Firefox (Early)", "after_days": 2, "min_pass": 3, "max_error_percent": 5},
    {"name": "Firefox", "after_days": 5, "min_percent": 60, "max_error_percent": 2},
)
"""The rings of docs/rings.md."""

DATES = tuple({key: value for key, value in ring.items() if key in ("name", "after_days")} for ring in WATCHED)
STRATEGIES: Mapping[str, Mapping[str, Any]] = {
    "no rings": {"prod_name": "Firefox"},
    "rings by date only": {"rings": DATES},
    "rings with health": {"rings": WATCHED},
}
_COLOURS = ("#b3261e", "#a06a00", "#0b62c4")


@dataclass
class Mac:
    """One Mac: in which ring it is, whether the new version breaks on it, and what it has."""

    app: str
    breaks: bool
    hour: int
    has: str = "1.0"
    reported: datetime = START


def macs_that_got_it(keys: Mapping[str, Any], *, only_last_ring: bool = False, every: int = 24) -> list[int]:
    """At the end of each day, how many Macs have got the release.

    Args:
        keys: how the app is published.
        every: hours from one run to the next.
        only_last_ring: the release breaks no Mac of the rings before the last one, such as a kind that is only there.
    """
    dice = random.Random(2026)
    names = [ring["name"] for ring in keys.get("rings", [{"name": keys.get("prod_name")}])]
    fleet = [
        Mac(ring if ring in names else names[-1], dice.random() * 100 < BROKEN_PERCENT, dice.randrange(24))
        for ring, count in RINGS.items()
        for _ in range(count)
    ]
    for at, mac in enumerate(fleet):
        mac.breaks = mac.breaks and not (only_last_ring and at < sum(RINGS.values()) - RINGS["Firefox"])
    with tempfile.TemporaryDirectory() as folder, RehearsalTenant(Path(folder) / "tenant") as tenant:
        world = World(tenant, Path(folder), names=dict(keys))
        _settle(world, names, fleet)
        found = []
        for _ in range(DAYS):
            switched_on = [mac for mac in fleet if dice.random() * 100 < SWITCHED_ON_PERCENT]
            for hour in range(24):
                if hour % every == 0:
                    world.publish("2.0")
                    asked = _asked(world)
                world.wait(1 / 24)
                _check_in(world, asked, [mac for mac in switched_on if mac.hour == hour])
                if (hour + 1) % every == 0:
                    _report(world, fleet)
            found.append(sum(mac.has == "2.0" for mac in fleet))
        return found


def _settle(world: World, names: Sequence[str], fleet: Sequence[Mac]) -> None:
    """All rings, and all Macs, have version 1.0."""
    world.publish("1.0", **({"urgent": "the first one"} if len(names) > 1 else {}))
    assert [world.enforced(name) for name in names] == ["1.0"] * len(names)
    world.wait(30)
    _check_in(world, _asked(world), fleet)
    _report(world, fleet)


def _asked(world: World) -> Mapping[str, audit.AuditReading]:
    """What each Custom App asks its Macs for, until the next run."""
    return {app["name"]: audit.read(app["audit_script"]) for app in world.tenant.apps()}


def _check_in(world: World, asked: Mapping[str, audit.AuditReading], macs: Sequence[Mac]) -> None:
    for mac in macs:
        mac.has = mac.has if asked[mac.app].halted else asked[mac.app].version or mac.has
        mac.reported = world.now


def _report(world: World, fleet: Sequence[Mac]) -> None:
    for name in {mac.app for mac in fleet}:
        rows = [
            failing(mac.reported) if mac.breaks and mac.has == "2.0" else passing(mac.has, mac.reported)
            for mac in fleet
            if mac.app == name
        ]
        world.tenant.set_statuses(world.tenant.app(name)["id"], rows)


def plot(lines: Mapping[str, Sequence[int]]) -> str:
    """Macs that have got the release, by day, as SVG."""
    width, height, left, top, bottom = 640, 320, 60, 24, 44
    most = sum(RINGS.values())

    def at(day: int, macs: int) -> str:
        across = left + (day - 1) / (DAYS - 1) * (width - left - 150)
        return f"{across:.1f},{top + (1 - macs / most) * (height - top - bottom):.1f}"

    parts = []
    for step in range(0, most + 1, most // 5):
        (x1, y), x2 = at(1, step).split(","), at(DAYS, step).split(",")[0]
        parts.append(f'<line x1="{x1}" y1="{y}" x2="{x2}" y2="{y}" stroke="#ccc"/>')
        parts.append(f'<text x="{left - 8}" y="{float(y) + 4:.1f}" text-anchor="end">{step:,}</text>')
    parts += [
        f'<text x="{at(day, 0).split(",")[0]}" y="{height - 26}" text-anchor="middle">{day}</text>'
        for day in range(1, DAYS + 1)
    ]
    for (name, found), colour in zip(lines.items(), _COLOURS, strict=True):
        points = " ".join(at(day, macs) for day, macs in enumerate(found, start=1))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x, y = at(DAYS, found[-1]).split(",")
        shift = -8 if name == "rings by date only" else 4
        parts.append(f'<text x="{float(x) + 8}" y="{float(y) + shift}" fill="{colour}">{name}: {found[-1]:,}</text>')
    title = f"Macs of {most:,} that have got a release which breaks {BROKEN_PERCENT} % of them, by day"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" font-family="sans-serif" '
        f'font-size="12"><title>{title}</title><rect width="{width}" height="{height}" fill="#fff"/>{"".join(parts)}'
        f'<text x="{width / 2}" y="{height - 8}" text-anchor="middle">{title}</text></svg>\n'
    )


def figures() -> dict[str, list[int]]:
    """The Macs by day, for each way to publish."""
    return {name: macs_that_got_it(keys) for name, keys in STRATEGIES.items()}


def main() -> None:
    """Write the plot and print the figures."""
    lines = figures()
    (Path(__file__).resolve().parent.parent / "docs" / "rings.svg").write_text(plot(lines), "utf-8")
    for name, found in lines.items():
        print(f"{name}: {found}")
    for every in (24, 1):
        found = macs_that_got_it(STRATEGIES["rings with health"], only_last_ring=True, every=every)
        print(f"only Macs of the last ring break, a run every {every} hours: {found}")


if __name__ == "__main__":
    main()
