"""The fleet's status as one HTML page that needs nothing but itself: no requests, no fonts, no library.

Names of Macs, Blueprints and apps, logs and versions come from others: each is escaped, isolated from the direction of
the text around it, and the page's content policy allows no script or style but the page's own.
"""

from __future__ import annotations

import base64
import hashlib
import html
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone

from kandji_uploader.status.models import FleetApp, FleetFigures, MacState

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

_CSS = """
:root { color-scheme: light dark; --ground: #f4f5f7; --card: #fff; --text: #1c2330; --soft: #566072; --line: #d8dce3;
  --link: #0b57b0; --pass: #1f8a53; --fixed: #6fb98f; --available: #7b61c4; --busy: #3d7fd9; --pending: #9aa3b2;
  --excluded: #b78b1d; --other: #5a8f99; --error: #c7352c; --mark: #fff; }
@media (prefers-color-scheme: dark) { :root { --ground: #12151b; --card: #1b2029; --text: #e6e9ef; --soft: #a3adbd;
  --line: #323a47; --link: #7db4ff; --pass: #36ab6d; --fixed: #23744a; --available: #9a86de; --busy: #5b98ea;
  --pending: #69748a; --excluded: #cda63c; --other: #6fa9b4; --error: #ef6a60; --mark: #12151b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text);
  font: 15px/1.45 -apple-system, system-ui, "Segoe UI", "Liberation Sans", sans-serif; }
main, header { max-width: 1240px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 28px; }
h1 { font-size: 1.6rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 32px 0 12px; }
h3 { font-size: 1.05rem; margin: 0; }
p { margin: 4px 0; }
.soft { color: var(--soft); }
a { color: var(--link); }
.cards { display: grid; gap: 14px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 540px), 1fr));
  align-items: start; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px 18px; }
.title { display: flex; flex-wrap: wrap; gap: 4px 10px; align-items: baseline; overflow-wrap: anywhere; }
.title .count { margin-left: auto; white-space: nowrap; }
.stage { border: 1px solid var(--line); border-radius: 99px; padding: 0 9px; font-size: .8rem; color: var(--soft); }
.bar { display: block; width: 100%; height: 22px; margin: 12px 0 10px; border-radius: 5px; background: var(--line); }
.legend, .facts ul { list-style: none; margin: 0; padding: 0; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 18px; }
.dot { display: inline-block; width: .7em; height: .7em; margin-right: .45em; border-radius: 3px; }
.facts { display: grid; gap: 12px 22px; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); margin-top: 14px; }
.facts p { font-size: .85rem; }
.facts h4 { margin: 0 0 2px; font-size: .8rem; font-weight: 600; color: var(--soft); }
.facts li { display: flex; gap: 12px; justify-content: space-between; overflow-wrap: anywhere; font-size: .9rem; }
.facts .wide { grid-column: 1 / -1; }
.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.pass { fill: var(--pass); background: var(--pass); } .fixed { fill: var(--fixed); background: var(--fixed); }
.available { fill: var(--available); background: var(--available); }
.busy { fill: var(--busy); background: var(--busy); } .pending { fill: var(--pending); background: var(--pending); }
.excluded { fill: var(--excluded); background: var(--excluded); }
.other { fill: var(--other); background: var(--other); } .error { fill: var(--error); background: var(--error); }
.hatch { fill: url(#hatch); } .stripe { stroke: var(--mark); stroke-opacity: .45; stroke-width: 5; }
.defs { position: absolute; width: 0; height: 0; }
.filters { display: flex; flex-wrap: wrap; gap: 10px 14px; align-items: end; margin-bottom: 12px; }
.filters label { display: grid; gap: 3px; font-size: .8rem; color: var(--soft); }
.filters input { min-width: 240px; }
input, select, button { font: inherit; color: inherit; }
input, select { height: 36px; max-width: 260px; padding: 0 9px; border: 1px solid var(--line);
  border-radius: 7px; background: var(--card); }
.filters output { margin-left: auto; color: var(--soft); }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; padding: 7px 12px; vertical-align: top; }
td { border-top: 1px solid var(--line); overflow-wrap: anywhere; min-width: 125px;
  max-width: 220px; }
td.name { min-width: 150px; max-width: 300px; } td.reason { min-width: 240px; max-width: 380px; }
td.keep { white-space: nowrap; overflow-wrap: normal; }
th { white-space: nowrap; font-size: .82rem; }
th button { all: unset; cursor: pointer; font-weight: 600; color: var(--soft); }
th button::after { content: "\\2195"; opacity: .35; margin-left: .35em; }
th[aria-sort] button { color: var(--text); }
th[aria-sort=ascending] button::after { content: "\\2191"; opacity: 1; }
th[aria-sort=descending] button::after { content: "\\2193"; opacity: 1; }
th button:focus-visible, input:focus-visible, select:focus-visible, a:focus-visible, .scroll:focus-visible {
  outline: 2px solid var(--link); outline-offset: 2px; border-radius: 4px; }
footer { padding: 18px 0 40px; }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media print { .filters { display: none; } .card { break-inside: avoid; } }
"""

_JS = """
"use strict";
(() => {
  const table = document.getElementById("macs");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows].map(row => ({
    row, text: row.textContent.toLowerCase(), app: row.dataset.app, status: row.dataset.status,
    keys: [...row.cells].map(cell => cell.dataset.key ?? cell.textContent)
  }));
  const field = name => document.getElementById(name);
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const filter = () => {
    const words = field("text").value.toLowerCase().split(/\\s+/).filter(Boolean);
    const [app, status] = [field("app").value, field("status").value];
    let shown = 0;
    for (const each of rows) {
      const fits = (!app || each.app === app) && (!status || each.status === status)
        && words.every(word => each.text.includes(word));
      each.row.hidden = !fits;
      shown += fits;
    }
    field("shown").value = `${shown} of ${rows.length} rows`;
  };
  const sort = (column, heading) => {
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    rows.sort((one, two) => {
      const [a, b] = [one.keys[column], two.keys[column]];
      if (!a || !b) return (a ? 0 : 1) - (b ? 0 : 1);
      return collator.compare(a, b) * (up ? 1 : -1);
    });
    body.append(...rows.map(each => each.row));
  };
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => sort(column, heading));
  });
  for (const name of ["text", "app", "status"]) field(name).addEventListener("input", filter);
  field("filters").hidden = false;
  addEventListener("pageshow", filter);  // also after a reload, which keeps what was typed
})();
"""

_HEADINGS = ("Mac", "App", "Blueprint", "Status", "Version", "Last report", "Reason")


def render(apps: Sequence[FleetApp], now: datetime) -> str:
    """The page.

    Args:
        apps: in the order of the page.
        now: the present, with a time zone; ages are counted from it, and the page says so.
    """
    rows = [_row(number, app, mac, now) for number, app in enumerate(apps) for mac in app.figures.listed]
    policy = (
        f"default-src 'none'; style-src '{_digest(_CSS)}'; script-src '{_digest(_JS)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return "".join(
        (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n',
            f"<title>Custom Apps: fleet status</title>\n<style>{_CSS}</style>\n</head>\n<body>\n",
            _header(apps, now),
            '<main>\n<h2 id="apps">Apps</h2>\n<div class="cards">\n',
            *(_card(app, now) for app in apps),
            "</div>\n",
            _table(apps, rows),
            f"</main>\n<script>{_JS}</script>\n</body>\n</html>\n",
        )
    )


def _header(apps: Sequence[FleetApp], now: datetime) -> str:
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


def _card(app: FleetApp, now: datetime) -> str:
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


def _bar(figures: FleetFigures) -> str:
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


def _legend(figures: FleetFigures) -> str:
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


def _newest(figures: FleetFigures, now: datetime) -> str:
    return f"newest: {_ago(figures.newest_report, now)}" if figures.newest_report else ""


def _table(apps: Sequence[FleetApp], rows: Sequence[str]) -> str:
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


def _row(number: int, app: FleetApp, mac: MacState, now: datetime) -> str:
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


def _called(app: FleetApp) -> str:
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
    """A text of others, which cannot turn the direction of what is around it."""
    return f"<bdi>{_escaped(text)}</bdi>" if text else ""


def _digest(text: str) -> str:
    """A script or style as the content policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
