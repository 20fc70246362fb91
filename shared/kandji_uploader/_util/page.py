"""A page of HTML: its frame, its content policy, and how texts of others get into it.

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
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# Embeddings, overrides and isolates; names in Hebrew or Arabic do without them.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


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
    return "\n" + module.with_name(name).read_text(encoding="utf-8")


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


def _digest(text: str) -> str:
    """A script or style as the content policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
