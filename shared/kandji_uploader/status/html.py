"""The fleet's status as one HTML page that needs nothing but itself: no requests, no fonts, no library.

Names of Macs, Blueprints and apps, logs and versions come from others: each is escaped, isolated from the direction of
the text around it, and the page's content policy allows no script or style but the page's own.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from kandji_uploader.status.models import AppStatus, MacState, StatusFigures

# The colour of a status; any other gets `other`. Reading order of bars, too.
_CLASSES = {
    "PASS": "pass",
    "PASSED": "pass",
    "SUCCESS": "pass",
    "REMEDIATED": "fixed",
    "AVAILABLE": "available",
    "INSTALLING": "busy",
    "DOWNLOADING": "busy",
    "CACHED": "busy",
    "PENDING": "pending",
    "WAITING": "error",
    "INCOMPATIBLE": "excluded",
    "EXCLUDED": "excluded",
    "ERROR": "error",
    "FAIL": "error",
    "FAILED": "error",
    "FAILURE": "error",
}
_ORDER = ("pass", "fixed", "available", "busy", "pending", "excluded", "other", "error")
# Embeddings, overrides and isolates; names in Hebrew or Arabic do without them.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_BAR = 1000.0
_NARROWEST = 6.0
_TOP = 5
_HEADINGS = ("Mac", "App", "Blueprint", "Status", "Version", "Last report", "Reason")


def render(apps: Sequence[AppStatus], now: datetime) -> str:
    """The page.

    Args:
        apps: in the order of the page.
        now: the present, with a time zone; ages are counted from it, and the page says so.
    """
    css, script = _beside("page.css"), _beside("page.js")
    rows = [_row(number, app, mac, now) for number, app in enumerate(apps) for mac in app.figures.listed]
    policy = (
        f"default-src 'none'; style-src '{_digest(css)}'; script-src '{_digest(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return "".join(
        (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n',
            f"<title>Custom Apps: fleet status</title>\n<style>{css}</style>\n</head>\n<body>\n",
            _header(apps, now),
            '<main>\n<h2 id="apps">Apps</h2>\n<div class="cards">\n',
            *(_card(app, now) for app in apps),
            "</div>\n",
            _table(apps, rows),
            f"</main>\n<script>{script}</script>\n</body>\n</html>\n",
        )
    )


def _header(apps: Sequence[AppStatus], now: datetime) -> str:
    moment = now.astimezone(timezone.utc)
    hatch = (
        '<svg class="defs" aria-hidden="true"><defs><pattern id="hatch" width="10" height="10" '
        'patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<line class="stripe" x1="0" y1="0" x2="0" y2="10"/></pattern></defs></svg>'
    )
    return (
        f'{hatch}<header>\n<h1>Fleet status</h1>\n<p class="soft">{_plural(len(apps), "Custom App")}, as of '
        f'<time datetime="{moment.isoformat()}">{moment:%Y-%m-%d %H:%M} UTC</time></p>\n</header>\n'
    )


def _card(app: AppStatus, now: datetime) -> str:
    figures = app.figures
    name = _isolated(app.name)
    if app.link.startswith("https://"):
        name = f'<a href="{_attribute(app.link)}" rel="noreferrer">{name}</a>'
    stage = f'<span class="stage">{app.stage.value}</span>' if app.stage else ""
    version = f'<span class="soft">enforces {_isolated(app.version)}</span>' if app.version else ""
    count = f'<span class="count">{_plural(figures.macs, "Mac")}</span>'
    title = f'<div class="title"><h3>{name}</h3>{stage}{version}{count}</div>'
    facts = "".join(
        (
            _fact("Installed version", figures.versions),
            _fact("Last report", {age: count for age, count in figures.ages.items() if count}, _newest(figures, now)),
            _fact("Blueprints", figures.blueprints),
            _fact("Top reasons of failure", figures.reasons, wide=True),
        )
    )
    parts = (title, _bar(figures), _legend(figures), f'<div class="facts">{facts}</div>')
    return '<section class="card">\n{}\n</section>\n'.format("\n".join(parts))


def _bar(figures: StatusFigures) -> str:
    """One segment per status, as wide as its share; a small one is still seen."""
    said = ", ".join(f"{count} {_printable(status)}" for status, count in _in_order(figures.statuses)) or "no Macs"
    widths = [max(count / figures.macs * _BAR, _NARROWEST) for _, count in _in_order(figures.statuses)]
    scale = _BAR / sum(widths) if widths else 1.0
    parts, left = [], 0.0
    for (status, count), width in zip(_in_order(figures.statuses), widths, strict=True):
        place = f'x="{left:.1f}" y="0" width="{max(width * scale - 2, 1):.1f}" height="22"'
        kind = _kind(status)
        title = f"<title>{_escaped(status)}: {count}</title>"
        parts.append(f'<rect class="{kind}" {place}>{title}</rect>')
        if kind == "error":
            parts.append(f'<rect class="hatch" {place}>{title}</rect>')
        left += width * scale
    return (
        f'<svg class="bar" viewBox="0 0 {_BAR:.0f} 22" preserveAspectRatio="none" role="img" '
        f'aria-label="{_attribute(said)}">{"".join(parts)}</svg>'
    )


def _legend(figures: StatusFigures) -> str:
    items = "".join(
        f'<li><span class="dot {_kind(status)}"></span>{_isolated(status)} <span class="number">{count} '
        f'<span class="soft">{_escaped(_percent(count, figures.macs))}</span></span></li>'
        for status, count in _in_order(figures.statuses)
    )
    return f'<ul class="legend">{items or "<li>No Macs in scope</li>"}</ul>'


def _fact(title: str, counts: Mapping[str, int], note: str = "", *, wide: bool = False) -> str:
    if not counts:
        return ""
    shown = list(counts.items())[:_TOP]
    lines = [f'<li><span>{_isolated(word)}</span><span class="number">{count}</span></li>' for word, count in shown]
    if len(counts) > len(shown):
        rest = sum(counts.values()) - sum(count for _, count in shown)
        lines.append(f'<li class="soft"><span>{len(counts) - len(shown)} more</span><span>{rest}</span></li>')
    said = f'<p class="soft">{note}</p>' if note else ""
    return f"<div{' class=wide' if wide else ''}><h4>{title}</h4><ul>{''.join(lines)}</ul>{said}</div>"


def _newest(figures: StatusFigures, now: datetime) -> str:
    return f"newest: {_ago(figures.newest_report, now)}" if figures.newest_report else ""


def _table(apps: Sequence[AppStatus], rows: Sequence[str]) -> str:
    if not rows:
        return ""
    left_out = sum(app.figures.unlisted for app in apps)
    note = (
        f"{_plural(left_out, 'more row')} left out to keep the page small; Macs in trouble come first."
        if left_out
        else "One row per Mac and app."
    )
    statuses = sorted({mac.status for app in apps for mac in app.figures.listed})
    names = [(str(number), _called(app)) for number, app in enumerate(apps) if app.figures.listed]
    head = "".join(f'<th scope="col"><button type="button">{heading}</button></th>' for heading in _HEADINGS)
    return (
        '<h2 id="list">Macs</h2>\n<div class="filters" id="filters" hidden>\n'
        '<label>Find<input id="text" type="search" placeholder="Mac, Blueprint, reason…" autocomplete="off"></label>\n'
        f'<label>App<select id="app"><option value="">All apps</option>{_options(names)}</select></label>\n'
        f'<label>Status<select id="status"><option value="">Every status</option>'
        f"{_options((status, status) for status in statuses)}</select></label>\n"
        '<output id="shown" aria-live="polite"></output>\n</div>\n'
        '<div class="scroll" tabindex="0" role="region" aria-labelledby="list"><table id="macs">'
        f'<caption class="sr">Macs with their status; the headings sort</caption>\n<thead><tr>{head}</tr></thead>\n'
        f'<tbody>\n{"".join(rows)}</tbody>\n</table></div>\n<footer class="soft">{note}</footer>\n'
    )


def _row(number: int, app: AppStatus, mac: MacState, now: datetime) -> str:
    reported = mac.reported_at
    key = f"{max(0, int((now - reported).total_seconds()))}" if reported else ""
    moment = f'<time datetime="{reported.isoformat()}">{_ago(reported, now)}</time>' if reported else "never"
    cells = (
        f'<td class="name">{_isolated(mac.name.strip() or mac.mac_id)}</td>',
        f"<td>{_isolated(_called(app))}</td>",
        f"<td>{_isolated(mac.blueprint)}</td>",
        f'<td><span class="dot {_kind(mac.status)}"></span>{_isolated(mac.status)}</td>',
        f"<td>{_isolated(mac.version)}</td>",
        f'<td class="keep" data-key="{key}">{moment}</td>',
        f'<td class="reason">{_isolated(mac.reason)}</td>',
    )
    return f'<tr data-app="{number}" data-status="{_attribute(mac.status)}">{"".join(cells)}</tr>\n'


def _options(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(f'<option value="{_attribute(value)}">{_escaped(text)}</option>' for value, text in pairs)


def _called(app: AppStatus) -> str:
    return f"{app.name} ({app.stage.value})" if app.stage else app.name


def _in_order(statuses: Mapping[str, int]) -> list[tuple[str, int]]:
    """Statuses from good to bad, as a bar shows them."""
    return sorted(statuses.items(), key=lambda item: (_ORDER.index(_kind(item[0])), item[0]))


def _kind(status: str) -> str:
    return _CLASSES.get(status, "other")


def _ago(moment: datetime | None, now: datetime) -> str:
    """How long ago, in the largest unit that is not zero; a moment to come is `just now`, since clocks disagree."""
    if moment is None:
        return "never"
    seconds = (now - moment).total_seconds()
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return f"{_plural(int(seconds // length), unit)} ago"
    return "just now"


def _percent(part: int, whole: int) -> str:
    """A share in whole per cent, which is never 0 or 100 unless it is none or all."""
    share = part / whole * 100 if whole else 0.0
    if 0 < share < 1:
        return "<1 %"
    return "99 %" if 99 < share < 100 else f"{share:.0f} %"  # noqa: PLR2004 - per cent


def _plural(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _printable(text: str) -> str:
    """A text without what a page cannot hold (controls, lone surrogates) or what turns the direction of a line."""
    return "".join(
        "\ufffd" if unicodedata.category(each) in ("Cc", "Cs") or each in _TURNING else each for each in text
    )


def _escaped(text: str) -> str:
    return html.escape(_printable(text), quote=True)


_attribute = _escaped


def _isolated(text: str) -> str:
    """A text of others, which cannot turn the direction of the text around it."""
    return f"<bdi>{_escaped(text)}</bdi>" if text else ""


@functools.cache
def _beside(name: str) -> str:
    """A style or script of the page, from its file; with a line break in front, as it stands in the page."""
    return "\n" + Path(__file__).with_name(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """A script or style as the content policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
