"""One request as it came in and one answer as it goes out, without sockets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
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
        twist: the kind of the scripted fault that the service itself has to play; "" for none.
    """

    method: str
    side: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    twist: str = ""


@dataclass(frozen=True)
class Reply:
    """An answer; `headers` are those beside Content-Type and Content-Length."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def json_reply(status: int, data: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """An answer in JSON."""
    return Reply(status, json.dumps(data, ensure_ascii=False).encode(), headers=MappingProxyType(dict(headers or {})))


def html_reply(status: int, page: str) -> Reply:
    """An answer in HTML that may load nothing and run nothing."""
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Reply(status, page.encode(), "text/html; charset=utf-8", MappingProxyType(headers))


def detail(status: int, text: str, headers: Mapping[str, str] | None = None) -> Reply:
    """An error about the request as a whole, in the shape of the Django REST framework."""
    return json_reply(status, {"detail": text}, headers)


def not_found() -> Reply:
    """404 as the service answers it."""
    return html_reply(404, NOT_FOUND)
