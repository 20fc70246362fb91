"""One request as it came in and one answer as it goes out, without sockets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

NOT_FOUND = (
    '\n<!doctype html><html lang="en"><head><title>Not Found</title></head><body><h1>Not Found</h1>'
    "<p>The requested resource was not found on this server.</p></body></html>\n"
)
"""The service's 404 page, as its documentation shows it."""


@dataclass(frozen=True)
class Message:
    """A request without its body.

    Attributes:
        method: in capitals.
        side: `api` (the tenant's own host) or `outside` (the upload store and Slack, another port).
        path: without the query.
        query: the first value of each parameter.
        headers: by lower-case names.
        fault: the kind of the scripted fault that the service itself has to play; "" for none.
    """

    method: str
    side: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        status: HTTP's.
        body: its bytes.
        content_type: of the body.
        headers: those beside Content-Type and Content-Length.
        file: follows the body. It may be large, so it is never read into memory as a whole.
    """

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    file: Path | None = None


_BOUNDARY = re.compile(r'multipart/form-data\s*;.*\bboundary="?([^";]{1,70})"?', re.IGNORECASE)
_NAME = re.compile(rb'^content-disposition:\s*form-data\b.*?[;\s]name="([^"]*)"', re.IGNORECASE | re.MULTILINE)


def boundary_of(content_type: str) -> bytes | None:
    """What divides the parts of a multipart form; None where it is none."""
    found = _BOUNDARY.match(content_type)
    return None if found is None else found.group(1).encode()


def name_of(part: bytes) -> bytes | None:
    """The name of a part of a multipart form by its headers."""
    found = _NAME.search(part.lstrip(b"\r\n"))
    return None if found is None else found.group(1)


def form_fields(body: bytes, boundary: bytes) -> dict[str, str]:
    """The fields of a multipart form that is in memory, in their order; a part without a name is left out."""
    fields = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:]:
        head, _, value = part.partition(b"\r\n\r\n")
        name = name_of(head)
        if name is not None:
            fields[name.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
    return fields


def json_reply(status: int, data: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """An answer in JSON."""
    return Reply(status, json.dumps(data, ensure_ascii=False).encode(), headers=MappingProxyType(dict(headers or {})))


def html_reply(status: int, page: str) -> Reply:
    """An answer in HTML that may load nothing and run nothing."""
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Reply(status, page.encode(), "text/html; charset=utf-8", MappingProxyType(headers))


def console_reply(page: str) -> Reply:
    """A page of the console, which says itself what it may load and run; it stands in no other page."""
    headers = {"Content-Security-Policy": "frame-ancestors 'none'", "Cache-Control": "no-store"}
    return Reply(200, page.encode("utf-8"), "text/html; charset=utf-8", MappingProxyType(headers))


def detail(status: int, text: str, headers: Mapping[str, str] | None = None) -> Reply:
    """An error about the request as a whole, in the shape of the Django REST framework."""
    return json_reply(status, {"detail": text}, headers)


def not_found() -> Reply:
    """404 as the service answers it."""
    return html_reply(404, NOT_FOUND)
