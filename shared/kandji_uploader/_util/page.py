"""A page of HTML: its frame, its content policy, how texts of others get into it, and Macs by status as a bar.

Names of Macs, Blueprints and apps, logs and versions come from others: each is escaped, isolated from the direction of
the text around it, and the content policy allows no script or style but the page's own.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import json
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kandji_uploader._util import files

# Embeddings, overrides and isolates; names in Hebrew or Arabic do without them.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
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
BAR = 1000.0
"""The width of a bar, in units of its own."""
NARROWEST = 6.0
"""The width of the smallest part of a bar that is still seen."""
HATCH = (
    '<svg class="defs" aria-hidden="true"><defs><pattern id="hatch" width="10" height="10" '
    'patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<line class="stripe" x1="0" y1="0" x2="0" y2="10"/></pattern></defs></svg>'
)
"""What the bars mark errors with, beside the colour; once in a page."""


def document(title: str, body: Iterable[str], *, css: str, script: str = "", asks: bool = False) -> str:
    """A whole page that needs nothing but itself: no fonts, no library.

    Args:
        title: of the window.
        body: HTML.
        css: the page's own style; what all pages share stands in front of it.
        script: JavaScript, which runs when the body is there.
        asks: whether the script may ask the server that the page came from.
    """
    style = f"{beside(Path(__file__), 'page.css')}{css}"
    own = " connect-src 'self';" if asks else ""
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; img-src data:;{own} "
        "base-uri 'none'; form-action 'none'"
    )
    return "".join(
        (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n',
            f"<title>{escaped(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n",
            *body,
            f"<script>{script}</script>\n" if script else "",
            "</body>\n</html>\n",
        )
    )


def data(name: str, value: Any) -> str:
    """Values for the page's script, which reads them by the id `name`; they are no code, and cannot become any."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>\n'


@functools.cache
def beside(module: Path, name: str) -> str:
    """A style or script from a file beside a module; with a line break in front, as it stands in the page."""
    return "\n" + files.bundled(module.with_name(name))


def printable(text: str) -> str:
    """A text without what a page cannot hold (controls, lone surrogates) or what turns the direction of a line."""
    return "".join(
        "\ufffd" if unicodedata.category(each) in ("Cc", "Cs") or each in _TURNING else each for each in text
    )


def escaped(text: str) -> str:
    """A text of others as text, also within quotes."""
    return html.escape(printable(text), quote=True)


def isolated(text: str) -> str:
    """A text of others, which cannot turn the direction of the text around it."""
    return f"<bdi>{escaped(text)}</bdi>" if text else ""


def plural(number: int, word: str) -> str:
    """A count with its word: `1 Mac`, `1,200 Macs`."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


# Macs by status


def bar(statuses: Mapping[str, int]) -> str:
    """Macs by status: one segment per status, as wide as its share; a small one is still seen."""
    macs = sum(statuses.values())
    said = ", ".join(f"{count} {printable(status)}" for status, count in in_order(statuses)) or "no Macs"
    widths = [max(count / macs * BAR, NARROWEST) for _, count in in_order(statuses)]
    scale = BAR / sum(widths) if widths else 1.0
    parts, left = [], 0.0
    for (status, count), width in zip(in_order(statuses), widths, strict=True):
        place = f'x="{left:.1f}" y="0" width="{max(width * scale - 2, 1):.1f}" height="22"'
        colour = kind(status)
        title = f"<title>{escaped(status)}: {count}</title>"
        parts.append(f'<rect class="{colour}" {place}>{title}</rect>')
        if colour == "error":
            parts.append(f'<rect class="hatch" {place}>{title}</rect>')
        left += width * scale
    return (
        f'<svg class="bar" viewBox="0 0 {BAR:.0f} 22" preserveAspectRatio="none" role="img" '
        f'aria-label="{escaped(said)}">{"".join(parts)}</svg>'
    )


def legend(statuses: Mapping[str, int]) -> str:
    """Macs by status, with their shares."""
    macs = sum(statuses.values())
    items = "".join(
        f'<li><span class="dot {kind(status)}"></span>{isolated(status)} <span class="number">{count} '
        f'<span class="soft">{escaped(percent(count, macs))}</span></span></li>'
        for status, count in in_order(statuses)
    )
    return f'<ul class="legend">{items or "<li>No Macs in scope</li>"}</ul>'


def in_order(statuses: Mapping[str, int]) -> list[tuple[str, int]]:
    """Statuses from good to bad, as a bar shows them."""
    return sorted(statuses.items(), key=lambda item: (_ORDER.index(kind(item[0])), item[0]))


def kind(status: str) -> str:
    """The colour of a status, as the class of the pages' style is called."""
    return _CLASSES.get(status, "other")


def percent(part: int, whole: int) -> str:
    """A share in whole per cent, which is never 0 or 100 unless it is none or all."""
    share = part / whole * 100 if whole else 0.0
    if 0 < share < 1:
        return "<1 %"
    return "99 %" if 99 < share < 100 else f"{share:.0f} %"  # noqa: PLR2004 - per cent


def _digest(text: str) -> str:
    """A script or style as the content policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
