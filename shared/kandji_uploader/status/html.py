"""The fleet's status as one HTML page that needs nothing but itself, whose size does not grow with the fleet."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from kandji_uploader._util import version
from kandji_uploader._util.page import (
    BAR,
    HATCH,
    NARROWEST,
    bar,
    beside,
    data,
    document,
    escaped,
    in_order,
    isolated,
    kind,
    legend,
    percent,
    plural,
    printable,
)
from kandji_uploader.models import Candidate, Reported
from kandji_uploader.status.models import AppStatus, MacState, StatusFigures

ROWS = 1000
"""Macs that one page holds; of a larger fleet those in trouble, and the page says how many it does not hold."""

_TOP = 5
_LONGEST_NAME = 300
_HEADINGS = ("Mac", "App", "Blueprint", "Status", "Version", "Last report", "Reason")
_COLUMNS = ("app", "mac", "blueprint", "status", "version", "seconds", "moment", "ago", "reason")
_NEWER = functools.cmp_to_key(version.compare)
_RANK = {"error": 0, "pass": 2, "fixed": 2}


def render(apps: Sequence[AppStatus], now: datetime) -> str:
    """The page, with the apps that have most Macs in trouble first.

    Args:
        apps: in any order.
        now: the present, with a time zone; ages are counted from it, and the page says so.
    """
    apps = sorted(apps, key=_trouble, reverse=True)
    here = Path(__file__)
    body = (
        _header(apps, now),
        '<main>\n<h2 id="apps">Apps</h2>\n<div class="cards">\n',
        *(_card(app, now) for app in apps),
        "</div>\n",
        _table(apps, now),
        "</main>\n",
    )
    return document("Custom Apps: fleet status", body, css=beside(here, "page.css"), script=beside(here, "page.js"))


def _trouble(app: AppStatus) -> tuple[int, float]:
    """How bad it is: Macs in error, then their share."""
    macs = _failing(app.figures)
    return macs, macs / app.figures.macs if macs else 0.0


def _failing(figures: StatusFigures) -> int:
    return sum(macs for status, macs in figures.statuses.items() if kind(status) == "error")


def _header(apps: Sequence[AppStatus], now: datetime) -> str:
    moment = now.astimezone(timezone.utc)
    return (
        f'{HATCH}<header>\n<h1>Fleet status</h1>\n<p class="soft">{plural(len(apps), "Custom App")}, as of '
        f'<time datetime="{moment.isoformat()}">{moment:%Y-%m-%d %H:%M} UTC</time></p>\n</header>\n'
    )


def _card(app: AppStatus, now: datetime) -> str:
    figures = app.figures
    name = isolated(app.name)
    if app.link.startswith("https://"):
        name = f'<a href="{escaped(app.link)}" rel="noreferrer">{name}</a>'
    stage = f'<span class="stage">{app.stage.value}</span>' if app.stage else ""
    enforces = f'<span class="soft">enforces {isolated(app.version)}</span>' if app.version else ""
    enforces += "".join(f' <span class="soft">{isolated(said)}</span>' for said in app.news_of_signers)
    enforces += f" <strong>halted: {isolated(app.halted)}</strong>" if app.halted else ""
    count = f'<span class="count">{plural(figures.macs, "Mac")}</span>'
    title = f'<div class="title"><h3>{name}</h3>{stage}{enforces}{count}</div>'
    facts = "".join(
        (
            _candidates(app.candidates, now),
            _adoption(app),
            _spread(app.samples),
            _fact("Top reasons of failure", figures.reasons, wide=True),
            _fact("Last report", {age: count for age, count in figures.ages.items() if count}, _newest(figures, now)),
            _fact("Blueprints", figures.blueprints),
        )
    )
    parts = (title, bar(figures.statuses), legend(figures.statuses), f'<div class="facts">{facts}</div>')
    return '<section class="card">\n{}\n</section>\n'.format("\n".join(parts))


def _candidates(candidates: Sequence[Candidate], now: datetime) -> str:
    """The releases that may move on to the prod app, each with what holds it."""
    lines = "".join(
        f"<li><strong>{isolated(each.version or 'no version')}</strong> "
        f'<span class="soft">came {_moment(each.since, now)}</span>: '
        f"{isolated(each.held) or 'nothing holds it; the next run promotes it'}</li>"
        for each in candidates
    )
    return f'<div class="wide"><h4>Candidates for production</h4><ul class="steps">{lines}</ul></div>' if lines else ""


def _adoption(app: AppStatus) -> str:
    """Macs by installed version, the newest first, each with its share of those whose audit tells one."""
    counts = app.figures.versions
    if not counts:
        return ""
    told = sum(counts.values())
    absent = {word: macs for word, macs in counts.items() if not any(char.isdecimal() for char in word)}
    newest = sorted((word for word in counts if word not in absent), key=_NEWER, reverse=True)
    shown = {word: counts[word] for word in newest[:_TOP]}
    older = sum(counts[word] for word in newest[_TOP:])
    rest = {f"{len(newest) - _TOP} older": older} if older else {}
    lines = "".join(_share(word, macs, told) for word, macs in {**shown, **rest, **absent}.items())
    return f'<div class="wide adoption"><h4>Installed version</h4><ul>{lines}</ul>{_reached(app, newest, told)}</div>'


def _spread(samples: Sequence[Reported]) -> str:
    """How many of the Macs in scope had it, a bar for each day; nothing for a single one."""
    if len(samples) < 2:  # noqa: PLR2004 - a line has two ends
        return ""
    shares = [each.passed / max(each.passed + each.errors + each.pending, 1) for each in samples]
    bars = "".join(
        f'<rect class="busy" x="{at * 10}" y="{40 - share * 40:.1f}" width="8" height="{share * 40:.1f}"/>'
        for at, share in enumerate(shares)
    )
    ends = ((shares[0], samples[0]), (shares[-1], samples[-1]))
    told = ", ".join(f"{share:.0%} on {each.at:%Y-%m-%d}" for share, each in ends)
    chart = f'<svg viewBox="0 0 {len(shares) * 10} 40" width="100%" height="40" aria-hidden="true">{bars}</svg>'
    return f'<div class="wide"><h4>Adoption over time</h4>{chart}<p class="soft">{told}</p></div>'


def _share(word: str, macs: int, told: int) -> str:
    part = max(macs / told * BAR, NARROWEST)
    shown = (
        f'<svg viewBox="0 0 {BAR:.0f} 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="busy" width="{part:.1f}" height="10"/></svg>'
    )
    share = f'<span class="soft">{escaped(percent(macs, told))}</span>'
    return f'<li><span>{isolated(word)}</span>{shown}<span class="number">{macs:,} {share}</span></li>'


def _reached(app: AppStatus, versions: Iterable[str], told: int) -> str:
    """How many Macs have the enforced version, or a newer one."""
    if not app.version:
        return ""
    there = sum(app.figures.versions[word] for word in versions if version.compare(word, app.version) >= 0)
    of = f"{there:,} of {plural(told, 'Mac')} that tell"
    return f'<p class="soft">{isolated(app.version)} or newer: {escaped(percent(there, told))} ({of})</p>'


def _fact(title: str, counts: Mapping[str, int], note: str = "", *, wide: bool = False) -> str:
    if not counts:
        return ""
    shown = list(counts.items())[:_TOP]
    lines = [f'<li><span>{isolated(word)}</span><span class="number">{count}</span></li>' for word, count in shown]
    if len(counts) > len(shown):
        rest = sum(counts.values()) - sum(count for _, count in shown)
        lines.append(f'<li class="soft"><span>{len(counts) - len(shown)} more</span><span>{rest}</span></li>')
    said = f'<p class="soft">{note}</p>' if note else ""
    return f"<div{' class=wide' if wide else ''}><h4>{title}</h4><ul>{''.join(lines)}</ul>{said}</div>"


def _moment(moment: datetime, now: datetime) -> str:
    return f'<time datetime="{moment.isoformat()}">{_ago(moment, now)}</time>'


def _newest(figures: StatusFigures, now: datetime) -> str:
    return f"newest: {_ago(figures.newest_report, now)}" if figures.newest_report else ""


def _table(apps: Sequence[AppStatus], now: datetime) -> str:
    rows = _worst(apps)
    if not rows:
        return ""
    held = Counter(number for number, _ in rows)
    statuses = sorted({mac.status for _, mac in rows})
    names = [(str(number), _called(app)) for number, app in enumerate(apps) if number in held]
    head = "".join(f'<th scope="col"><button type="button">{heading}</button></th>' for heading in _HEADINGS)
    embedded = {
        "apps": [
            {"name": printable(_called(app)), "left": app.figures.macs - held[number]}
            for number, app in enumerate(apps)
        ],
        "kinds": {printable(status): kind(status) for status in statuses},
        "columns": _COLUMNS,
        "rows": [_row(number, mac, now) for number, mac in rows],
    }
    return (
        '<h2 id="list">Macs</h2>\n<div class="filters" id="filters" hidden>\n'
        '<label>Find<input id="text" type="search" placeholder="Mac, Blueprint, reason…" autocomplete="off"></label>\n'
        f'<label>App<select id="app"><option value="">All apps</option>{_options(names)}</select></label>\n'
        f'<label>Status<select id="status"><option value="">Every status</option>'
        f"{_options((status, status) for status in statuses)}</select></label>\n"
        '<output id="shown" aria-live="polite"></output>\n</div>\n'
        '<div class="scroll" tabindex="0" role="region" aria-labelledby="list"><table id="macs">'
        f'<caption class="sr">Macs with their status; the headings sort</caption>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody></tbody>\n</table></div>\n"
        "<noscript><p>The list of Macs needs JavaScript.</p></noscript>\n"
        f'<footer class="soft" id="end">{_left_out(apps, rows)}</footer>\n{data("rows", embedded)}'
    )


def _worst(apps: Sequence[AppStatus]) -> list[tuple[int, MacState]]:
    """The Macs of the page, each with the number of its app: those in trouble first, passing ones last.

    Where they are too many, each app gives as many as the others as long as it has any: an app that fails on each Mac
    does not hide what fails elsewhere.
    """
    ranked = []
    for number, app in enumerate(apps):
        nth: Counter[int] = Counter()
        for mac in app.figures.listed:
            rank = _RANK.get(kind(mac.status), 1)
            nth[rank] += 1
            ranked.append((rank, nth[rank], number, mac))
    worst = sorted(ranked, key=lambda each: each[:3])[:ROWS]
    return [(number, mac) for _, _, number, mac in sorted(worst, key=lambda each: (each[0], each[2], each[1]))]


def _left_out(apps: Sequence[AppStatus], rows: Sequence[tuple[int, MacState]]) -> str:
    """What the page holds of the fleet, and what it does not."""
    total: Counter[str] = Counter()
    for app in apps:
        total.update(app.figures.statuses)
    total.subtract(mac.status for _, mac in rows)
    rest = sum(total.values())
    if rest <= 0:
        return "One row per Mac and app."
    statuses = ", ".join(f"{macs:,} {isolated(status)}" for status, macs in reversed(in_order(total)) if macs > 0)
    return f"The worst {len(rows):,} of {len(rows) + rest:,} rows. Not in this page: {statuses}."


def _row(number: int, mac: MacState, now: datetime) -> list[Any]:
    """A Mac as the page's script reads it, in the order of `_COLUMNS`."""
    reported = mac.reported_at
    return [
        number,
        printable(mac.name.strip() or mac.mac_id)[:_LONGEST_NAME],
        printable(mac.blueprint),
        printable(mac.status),
        printable(mac.version),
        max(0, int((now - reported).total_seconds())) if reported else None,
        reported.isoformat() if reported else "",
        _ago(reported, now),
        printable(mac.reason),
    ]


def _options(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(f'<option value="{escaped(value)}">{escaped(text)}</option>' for value, text in pairs)


def _called(app: AppStatus) -> str:
    return f"{app.name} ({app.stage.value})" if app.stage else app.name


def _ago(moment: datetime | None, now: datetime) -> str:
    """How long ago, in the largest unit that is not zero; a moment to come is `just now`, since clocks disagree."""
    if moment is None:
        return "never"
    seconds = (now - moment).total_seconds()
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return f"{plural(int(seconds // length), unit)} ago"
    return "just now"
