"""The console: plain pages that show what the tenant holds, for a person with a browser on this machine."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

_VERSION = re.compile(
    r"""^\s*(?:readonly\s+|typeset\s+(?:-\w+\s+)*)?\w*VERSION=(['"]?)([^'"\n]+)\1\s*$""", re.MULTILINE
)


def app_list(apps: Iterable[Mapping[str, Any]], categories: Mapping[str, str]) -> str:
    """The page at `/`: one row for each Custom App, by name."""
    rows = "".join(_row(app, categories) for app in sorted(apps, key=lambda app: str(app["name"]).casefold()))
    heads = "".join(
        f"<th>{title}</th>" for title in ("Name", "Enforcement", "Version", "Installer", "SHA-256", "Bytes", "Updated")
    )
    none = "" if rows else "<p>No Custom Apps yet.</p>"
    return _page("Custom Apps", f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{none}")


def app_page(app: Mapping[str, Any], categories: Mapping[str, str]) -> str:
    """The page of one Custom App."""
    shown = {**app, "install_enforcement": _enforcement(app, categories)}
    parts = [f"<dt>{escape(name)}</dt><dd>{_value(value)}</dd>" for name, value in shown.items() if name != "file_url"]
    return _page(str(app["name"]), f'<p><a href="/">All Custom Apps</a></p><dl>{"".join(parts)}</dl>')


def enforced_version(script: str) -> str:
    """The version that an audit script enforces, as far as it can be told from its first `...VERSION=` line."""
    found = _VERSION.search(script)
    return found.group(2) if found else ""


def _row(app: Mapping[str, Any], categories: Mapping[str, str]) -> str:
    link = f'<a href="/library/custom-apps/{escape(str(app["id"]))}">{escape(str(app["name"]))}</a>'
    cells = (
        link,
        escape(_enforcement(app, categories)),
        escape(enforced_version(str(app["audit_script"]))),
        escape(str(app["file_key"]).rsplit("/", 1)[-1]),
        f"<code>{escape(str(app['sha256'] or '')[:12])}</code>",
        escape(str(app["file_size"] or "")),
        escape(str(app["updated_at"])[:19].replace("T", " ")),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _enforcement(app: Mapping[str, Any], categories: Mapping[str, str]) -> str:
    enforcement = str(app["install_enforcement"])
    if not app["show_in_self_service"]:
        return enforcement
    category = categories.get(str(app["self_service_category_id"]), "")
    return f"{enforcement}, Self Service: {category}"


def _value(value: Any) -> str:
    text = escape(str(value))
    return f"<pre>{text}</pre>" if "\n" in text else text or "&nbsp;"


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_style()}</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}<p>An embedded tenant; nothing here is a real Mac.</p></body></html>"
    )


@functools.cache
def _style() -> str:
    return Path(__file__).with_name("console.css").read_text(encoding="utf-8")
