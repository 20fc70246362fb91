"""The console: pages that show the tenant's content and the requests to it, as they come.

For a person with a browser on this machine. The page at `/` asks for its sections again each second.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from kandji_uploader._util.page import HATCH, bar, beside, document, escaped, isolated, kind, legend, plural
from kandji_uploader.rehearsal.rules import enforced_version

NOW = "/now"
"""Where the page asks for its sections, as JSON; such a request is not recorded."""

APP_PAGE = "/library/custom-apps/"
_APPS, _FILES, _REQUESTS, _MACS = 60, 12, 100, 200
"""How many of each a page shows; the latest ones, and of how many."""

_ERRORS = 400


@dataclass(frozen=True)
class Asked:
    """One request, as the page shows it.

    Attributes:
        number: its place among all requests; the first is 1.
        time: `HH:MM:SS`.
        name: what the documentation calls it; "" where it is no request of the API.
        line: its method and path.
        status: of the answer; 0 where there was none.
        received: bytes of its body.
        fault: the kind of the scripted fault; "" for none.
    """

    number: int
    time: str
    name: str
    line: str
    status: int
    received: int
    fault: str


@dataclass(frozen=True)
class View:
    """What the tenant holds.

    Attributes:
        apps: the documents of the Custom Apps (`app`, and `files`: what each had since when), the latest change first.
        uploads: those of the files in the store, the latest first.
        macs: what the Macs report on a Custom App, by its id.
        categories: the Self Service categories by their ids.
        asked: the requests, the latest first.
        count: how many requests there were in all.
    """

    apps: Sequence[Mapping[str, Any]]
    uploads: Sequence[Mapping[str, Any]]
    macs: Callable[[str], Sequence[Mapping[str, Any]]]
    categories: Mapping[str, str]
    asked: Iterable[Asked] = ()
    count: int = 0


def page(view: View) -> str:
    """The page at `/`."""
    parts = sections(view)
    titles = {"releases": "Releases", "apps": "Custom Apps", "requests": "Requests"}
    body = "".join(f'<h2>{titles[name]}</h2>\n<section id="{name}">{parts[name]}</section>\n' for name in parts)
    lead = 'Nothing here is a real Mac, and nothing leaves this computer. <output id="live" class="stage"></output>'
    return _document("Embedded tenant", lead, body, live=True)


def sections(view: View) -> dict[str, str]:
    """What of the page at `/` changes: HTML by the id of its section."""
    return {"releases": _releases(view), "apps": _apps(view), "requests": _requests(view)}


def app_page(app: Mapping[str, Any], view: View) -> str:
    """The page of one Custom App: its Macs, and all of its fields."""
    shown = {**app, "install_enforcement": _enforcement(app, view.categories)}
    parts = [f"<dt>{escape(name)}</dt><dd>{_value(value)}</dd>" for name, value in shown.items() if name != "file_url"]
    rows = view.macs(str(app["id"]))
    macs = f"<h2>Macs</h2>\n<div class='card'>{_macs(rows)}</div>\n{_each_mac(rows)}" if rows else ""
    body = f'{macs}<h2>Fields</h2>\n<div class="card"><dl>{"".join(parts)}</dl></div>\n'
    return _document(str(app["name"]), '<a href="/">All Custom Apps</a> of the embedded tenant', body)


# The way of a file through the apps


def _releases(view: View) -> str:
    if not view.uploads:
        return (
            '<p class="soft">Nothing was uploaded yet. What is published appears here, and which apps it reaches.</p>'
        )
    cards = "".join(_release(upload, view) for upload in view.uploads[:_FILES])
    return f'<div class="cards">{cards}</div>{_more(len(view.uploads), _FILES, "file")}'


def _release(upload: Mapping[str, Any], view: View) -> str:
    """A file, and each app that has it or had it, in the order in which they got it."""
    key = upload["file_key"]
    stays = sorted(
        (
            (stay["since"], document["app"], following["since"] if following else "")
            for document in view.apps
            for stay, following in _with_next(document.get("files", ()))
            if stay["file_key"] == key
        ),
        key=lambda each: each[0],
    )
    steps = "".join(_stay(since, app, until, view) for since, app, until in stays)
    none = "" if stays else '<li class="soft">in no Custom App yet</li>'
    return (
        f'<div class="card"><div class="title"><h3>{isolated(_file_name(key))}</h3>'
        f'<code>{escaped(str(upload["sha256"] or "")[:12])}</code><span class="count">{upload["size"]:,} bytes</span>'
        f'</div><ol class="way"><li class="done">uploaded {_clock(upload["uploaded_at"])}</li>{steps}{none}</ol></div>'
    )


def _with_next(stays: Sequence[Mapping[str, Any]]) -> Iterable[tuple[Mapping[str, Any], Mapping[str, Any] | None]]:
    return zip(stays, [*stays[1:], None], strict=True)


def _stay(since: str, app: Mapping[str, Any], until: str, view: View) -> str:
    if until:
        return f'<li class="soft">{_link(app)} from {_clock(since)} to {_clock(until)}</li>'
    rows = view.macs(str(app["id"]))
    passed = sum(kind(row["status"]) in ("pass", "fixed") for row in rows)
    said = f": {passed:,} of {plural(len(rows), 'Mac')} PASS" if rows else ""
    return f'<li class="done">{_link(app)} since {_clock(since)}{said}</li>'


# The apps


def _apps(view: View) -> str:
    if not view.apps:
        return '<p class="soft">No Custom Apps yet.</p>'
    cards = "".join(_card(document["app"], view) for document in view.apps[:_APPS])
    return f'<div class="cards">{cards}</div>{_more(len(view.apps), _APPS, "Custom App")}'


def _card(app: Mapping[str, Any], view: View) -> str:
    version = enforced_version(str(app["audit_script"]))
    enforces = f'<span class="stage">enforces {isolated(version)}</span>' if version else ""
    facts = (
        escaped(_enforcement(app, view.categories)),
        f"{isolated(str(app['file_key']).rsplit('/', 1)[-1])} <code>{escaped(str(app['sha256'] or '')[:12])}</code>",
        f"changed {escaped(str(app['updated_at'])[:19].replace('T', ' '))}",
    )
    told = "".join(f'<p class="soft">{fact}</p>' for fact in facts)
    return (
        f'<div class="card"><div class="title"><h3>{_link(app)}</h3>{enforces}</div>{told}'
        f"{_macs(view.macs(str(app['id'])))}</div>"
    )


def _macs(rows: Sequence[Mapping[str, Any]]) -> str:
    statuses = Counter(str(row["status"]) for row in rows)
    return f"{bar(statuses)}{legend(statuses)}" if rows else '<p class="soft">No Mac has reported on it.</p>'


def _each_mac(rows: Sequence[Mapping[str, Any]]) -> str:
    worst = sorted(rows, key=lambda row: (kind(row["status"]) != "error", row["status"]))[:_MACS]
    lines = "".join(map(_mac, worst))
    heads = "".join(f"<th>{head}</th>" for head in ("Mac", "Blueprint", "Status", "Reported", "Audit log"))
    return f'<div class="scroll"><table><tr>{heads}</tr>{lines}</table></div>{_more(len(rows), _MACS, "Mac")}'


def _mac(row: Mapping[str, Any]) -> str:
    cells = (
        f"<td>{isolated(row['computer']['name'])}</td>",
        f"<td>{isolated(row['blueprint']['name'])}</td>",
        f'<td><span class="dot {kind(row["status"])}"></span>{isolated(row["status"])}</td>',
        f'<td class="keep">{_clock(row["reported_at"] or "")}</td>',
        f"<td>{_value((row['last_audit_log'] or '').strip())}</td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


# The requests


def _requests(view: View) -> str:
    rows = "".join(_request(asked) for asked, _ in zip(view.asked, range(_REQUESTS), strict=False))
    if not rows:
        return '<p class="soft">None yet. Each request appears here as it comes, the latest first.</p>'
    heads = "".join(f"<th>{head}</th>" for head in ("Time", "Request", "", "Answer", "Bytes"))
    return f'<div class="scroll"><table><tr>{heads}</tr>{rows}</table></div>{_more(view.count, _REQUESTS, "request")}'


def _request(asked: Asked) -> str:
    state = "error" if asked.fault or not asked.status or asked.status >= _ERRORS else "pass"
    fault = f' <span class="stage">fault: {escaped(asked.fault)}</span>' if asked.fault else ""
    cells = (
        f'<td class="keep">{asked.time}</td>',
        f'<td class="keep">{escaped(asked.name)}</td>',
        f"<td><code>{isolated(asked.line)}</code></td>",
        f'<td class="keep"><span class="dot {state}"></span>{asked.status or "none"}{fault}</td>',
        f'<td class="number">{asked.received:,}</td>',
    )
    return f'<tr data-number="{asked.number}">{"".join(cells)}</tr>'


# Words


def _link(app: Mapping[str, Any]) -> str:
    return f'<a href="{APP_PAGE}{escaped(str(app["id"]))}">{isolated(str(app["name"])) or "(no name)"}</a>'


def _more(count: int, shown: int, word: str) -> str:
    return f'<p class="soft">The latest {shown} of {plural(count, word)}.</p>' if count > shown else ""


def _file_name(file_key: str) -> str:
    """What the file was called before Kandji put 8 hex digits into its name."""
    return re.sub(r"_[0-9a-f]{8}(?=\.[A-Za-z0-9]{1,10}$|$)", "", file_key.rsplit("/", 1)[-1])


def _clock(moment: str) -> str:
    return f'<time datetime="{escaped(moment)}">{escaped(moment[11:19])}</time>' if moment else "never"


def _enforcement(app: Mapping[str, Any], categories: Mapping[str, str]) -> str:
    enforcement = str(app["install_enforcement"])
    if not app["show_in_self_service"]:
        return enforcement
    category = categories.get(str(app["self_service_category_id"]), "")
    return f"{enforcement}, Self Service: {category}"


def _value(value: Any) -> str:
    text = escape(str(value))
    return f"<pre>{text}</pre>" if "\n" in text else text or "&nbsp;"


def _document(title: str, lead: str, body: str, *, live: bool = False) -> str:
    here = Path(__file__)
    script = beside(here, "console.js") if live else ""
    whole = f'{HATCH}<header><h1>{isolated(title)}</h1><p class="soft">{lead}</p></header>\n<main>\n{body}</main>\n'
    return document(title, [whole], css=beside(here, "console.css"), script=script, asks=live)
