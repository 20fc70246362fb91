"""Scripted faults: what goes wrong, with which request, and at which of its turns.

A fault is chosen by method, path and turn; its `kind` names a plan (`Course`) of how the request then goes. The
kinds are listed in docs/rehearsal.md.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from kandji_uploader.errors import Problem, SettingsError
from kandji_uploader.rehearsal import store
from kandji_uploader.rehearsal.messages import Reply, html_reply, json_reply

Params = Mapping[str, Any]
End = Literal["", "reset", "stall", "close"]
FOREVER = 3600.0

_BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_S3 = {
    "SlowDown": (503, "Please reduce your request rate."),
    "InternalError": (500, "We encountered an internal error. Please try again."),
    "ServiceUnavailable": (503, "Service is unable to handle request."),
    "RequestTimeout": (400, "Your socket connection to the server was not read from or written to in time."),
    "ExpiredPolicy": (403, "Invalid according to Policy: Policy expired."),
    "AccessDenied": (403, "Access Denied"),
    "EntityTooLarge": (400, "Your proposed upload exceeds the maximum allowed size."),
}


@dataclass(frozen=True)
class Context:
    """What an altered answer may need.

    Attributes:
        api: the address of the API.
        outside: the address of the upload store and Slack.
        path: what was asked for, without the query.
        query: the parameters, as one text.
        no_cache: whether the client asked caches not to answer.
        cache: what the cache in front keeps: per path and query since when, and the answer.
    """

    api: str
    outside: str
    path: str
    query: str = ""
    no_cache: bool = False
    cache: dict[tuple[str, str], tuple[float, Reply]] = field(default_factory=dict)


@dataclass(frozen=True)
class Course:
    """How one request goes.

    Attributes:
        read: bytes of the request's body that are read before `broken`; None for all of it, -1 for the first half.
        broken: what happens instead of reading on.
        pace: bytes per second, of the body and of the answer; None for as fast as it goes.
        effect: whether the service acts on the request.
        unanswered: what happens after the effect instead of an answer.
        alter: makes the answer that is sent from the real one (a 500 where there was no effect).
        send: the part of the answer's body that is sent, 0 to 1, before `ending`.
        ending: what happens after that part.
        seconds: how long a stall lasts.
        delay: seconds before the answer.
        call: called first.
    """

    read: int | None = None
    broken: End = ""
    pace: float | None = None
    effect: bool = True
    unanswered: End = ""
    alter: Callable[[Reply, Context], Reply] | None = None
    send: float = 1.0
    ending: End = ""
    seconds: float = FOREVER
    delay: float = 0.0
    call: Callable[[], object] | None = None


@dataclass(frozen=True)
class Fault:
    """One scripted fault.

    Attributes:
        method: in capitals, or `*`.
        path: a pattern: `*` stands for one segment and `**` for anything; without a leading `/` it starts after
            `/api/v1/`.
        kind: see `KINDS`.
        nth: the first turn that it befalls, from 1; counted since the fault was added.
        times: how many turns it befalls from there; None for every one.
        params: what the kind takes.
    """

    method: str
    path: str
    kind: str
    nth: int = 1
    times: int | None = 1
    params: Params = field(default_factory=lambda: MappingProxyType({}))

    def befalls(self, turn: int) -> bool:
        """Whether it happens at this turn."""
        return turn >= self.nth and (self.times is None or turn < self.nth + self.times)

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is one that it is about."""
        return self.method in ("*", method) and _pattern(self.path).fullmatch(path) is not None

    def course(self) -> Course:
        """How the request goes."""
        kind = self.kind.removeprefix("effect_then_") if self.kind not in KINDS else self.kind
        course = KINDS[kind](self.params)
        return replace(course, effect=True) if kind != self.kind else course


class Faults:
    """The faults of a tenant; of several that befall one request, the one that was added first happens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._turns: list[int] = []
        self._hits: list[int] = []

    def add(
        self, method: str, path: str, *, kind: str, nth: int | str = 1, times: int | None = 1, **params: Any
    ) -> Fault:
        """Script a fault. See `Fault` for the arguments; `nth="every"` is every turn.

        Raises:
            ValueError: there is no such kind, or it does not take such a parameter.
        """
        first, count = (1, None) if nth == "every" else (int(nth), times)
        fault = Fault(str(method).upper(), path, kind, first, count, MappingProxyType(params))
        _check(fault)
        with self._lock:
            self._faults.append(fault)
            self._turns.append(0)
            self._hits.append(0)
        return fault

    def load(self, path: Path) -> None:
        """Add the faults of a JSON file: a list of objects with the arguments of `add`.

        Raises:
            SettingsError: the file cannot be read or is wrong; no fault was added.
        """
        rows = _rows(path)
        problems = []
        for number, row in enumerate(rows):
            try:
                Faults().add(**row)
            except (TypeError, ValueError) as problem:
                problems.append(Problem(str(path), f"[{number}]", None, f"not a fault: {problem}"))
        if problems:
            raise SettingsError(problems)
        for row in rows:
            self.add(**row)

    def clear(self) -> None:
        """From now on all goes well."""
        with self._lock:
            self._faults, self._turns, self._hits = [], [], []

    def take(self, method: str, path: str) -> Fault | None:
        """Count a request; the fault that befalls it, None for none."""
        taken: Fault | None = None
        with self._lock:
            for index, fault in enumerate(self._faults):
                if not fault.matches(method, path):
                    continue
                self._turns[index] += 1
                if taken is None and fault.befalls(self._turns[index]):
                    taken = fault
                    self._hits[index] += 1
        return taken

    def hits(self, fault: Fault) -> int:
        """How often a fault has happened."""
        with self._lock:
            return sum(hits for known, hits in zip(self._faults, self._hits, strict=True) if known is fault)


def _pattern(path: str) -> re.Pattern[str]:
    whole = path if path.startswith(("/", "**")) else f"/api/v1/{path}"
    parts = re.split(r"(\*\*|\*)", whole)
    return re.compile("".join({"**": ".*", "*": "[^/]+"}.get(part, re.escape(part)) for part in parts))


def _check(fault: Fault) -> None:
    if not all(isinstance(text, str) for text in (fault.method, fault.path, fault.kind)):
        raise ValueError("method, path and kind are texts")
    base = fault.kind.removeprefix("effect_then_")
    if fault.kind not in KINDS and base not in KINDS:
        raise ValueError(f"no fault is called {fault.kind!r}; there are {', '.join(sorted(KINDS))}")
    kind = fault.kind if fault.kind in KINDS else base
    unknown = set(fault.params) - set(_TAKES[kind])
    if unknown:
        raise ValueError(f"{fault.kind} takes {', '.join(_TAKES[kind]) or 'nothing'}, not {', '.join(sorted(unknown))}")
    if fault.nth < 1 or (fault.times is not None and fault.times < 1):
        raise ValueError("nth and times count from 1")
    try:
        fault.course()
    except KeyError as missing:
        raise ValueError(f"{fault.kind} needs {missing.args[0]}") from None


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    try:
        rows = json.loads(path.read_text("utf-8"))
    except OSError as problem:
        raise SettingsError([Problem(str(path), "", None, f"cannot be read: {problem.strerror}")]) from None
    except ValueError as problem:
        raise SettingsError([Problem(str(path), "", None, f"is not JSON: {problem}")]) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise SettingsError([Problem(str(path), "", None, "should be a list of objects, one for each fault")])
    return rows


# The kinds


def _status(params: Params) -> Course:
    code = int(params.get("code", 500))
    body = params.get("body", {"detail": f"Scripted fault: HTTP {code}."})
    headers = {name: str(value) for name, value in dict(params.get("headers", {})).items()}

    def instead(_: Reply, __: Context) -> Reply:
        if isinstance(body, str):
            return Reply(code, body.encode(), headers.get("Content-Type", "text/plain"), headers)
        return json_reply(code, body, headers)

    return Course(effect=False, alter=instead)


def _rate_limit(params: Params) -> Course:
    wait = str(params.get("retry_after", 1))
    body = {"detail": f"Request was throttled. Expected available in {wait} seconds."}
    return _status({"code": 429, "headers": {"Retry-After": wait}, "body": body})


def _html(params: Params) -> Course:
    reply = html_reply(int(params.get("code", 502)), str(params.get("body", _BAD_GATEWAY)))
    return Course(effect=False, alter=lambda _, __: reply)


def _redirect(params: Params) -> Course:
    def instead(_: Reply, context: Context) -> Reply:
        location = str(params.get("location", "{outside}{path}"))
        for name, value in (("api", context.api), ("outside", context.outside), ("path", context.path)):
            location = location.replace(f"{{{name}}}", value)
        return Reply(int(params.get("code", 302)), headers={"Location": location})

    return Course(effect=False, alter=instead)


def _s3_error(params: Params) -> Course:
    code = str(params.get("code", "SlowDown"))
    if code not in _S3:
        raise ValueError(f"no S3 error is called {code!r}; there are {', '.join(_S3)}")
    status, text = _S3[code]
    reply = store.error("AccessDenied" if code == "ExpiredPolicy" else code, status, text)
    return Course(effect=False, alter=lambda _, __: reply)


def _malformed(_: Params) -> Course:
    return Course(alter=lambda reply, _: replace(reply, body=reply.body[: len(reply.body) // 2] or b"{"))


def _stall(params: Params) -> Course:
    return Course(read=int(params.get("after", 0)), broken="stall", seconds=float(params.get("seconds", FOREVER)))


def _slow(params: Params) -> Course:
    pace = float(params["bytes_per_second"]) if "bytes_per_second" in params else None
    if pace is not None and pace <= 0:
        raise ValueError("bytes_per_second is above 0")
    return Course(pace=pace, delay=float(params.get("delay", 0.0)))


def _call(params: Params) -> Course:
    if not callable(params["do"]):
        raise ValueError("do is a function")  # noqa: TRY004 - all mistakes in a fault are told alike
    return Course(call=params["do"])


def _missing_field(params: Params) -> Course:
    name = params["field"]

    def drop(row: dict[str, Any]) -> None:
        row.pop(name, None)

    return Course(alter=lambda reply, _: _each(reply, name, drop))


def _wrong_type(params: Params) -> Course:
    name, value = params["field"], params.get("value", [1, 2, 3])

    def put(row: dict[str, Any]) -> None:
        row[name] = value

    return Course(alter=lambda reply, _: _each(reply, name, put))


def _wrong_sha256(_: Params) -> Course:
    return _wrong_type({"field": "sha256", "value": "0" * 64})


def _wrong_next(params: Params) -> Course:
    def elsewhere(reply: Reply, context: Context) -> Reply:
        host = str(params.get("host", context.outside))

        def put(page: dict[str, Any]) -> None:
            page["next"] = str(page["next"]).replace(context.api, host)

        return _each(reply, "next", put)

    return Course(alter=elsewhere)


def _stale(params: Params) -> Course:
    seconds, heeds = float(params.get("seconds", 30)), bool(params.get("heeds", False))

    def cached(reply: Reply, context: Context) -> Reply:
        key = (context.path, context.query)
        since, kept = context.cache.get(key, (0.0, None))
        age = time.monotonic() - since
        if kept is None or age >= seconds or (heeds and context.no_cache):
            context.cache[key] = (time.monotonic(), reply)
            return replace(reply, headers={**reply.headers, "X-Cache": "MISS"})
        return replace(kept, headers={**kept.headers, "X-Cache": "HIT", "Age": str(int(age))})

    return Course(alter=cached)


def _each(reply: Reply, name: str, change: Callable[[dict[str, Any]], None]) -> Reply:
    """Change the object of an answer that holds a field: the answer itself, or else each row of its list."""
    try:
        data = json.loads(reply.body)
    except ValueError:
        return reply
    rows = data.get("results", [data]) if isinstance(data, dict) else data
    for row in [data] if isinstance(data, dict) and name in data else rows:
        if isinstance(row, dict):
            change(row)
    return replace(reply, body=json.dumps(data).encode())


KINDS: Mapping[str, Callable[[Params], Course]] = {
    "status": _status,
    "rate_limit": _rate_limit,
    "html": _html,
    "redirect": _redirect,
    "s3_error": _s3_error,
    "reset_before_reading": lambda _: Course(read=0, broken="reset"),
    "reset_mid_body": lambda params: Course(read=int(params.get("after", -1)), broken="reset"),
    "reset_mid_answer": lambda _: Course(send=0.5, ending="reset"),
    "truncated": lambda _: Course(send=0.5, ending="close"),
    "stall": _stall,
    "stall_mid_answer": lambda params: Course(send=0.5, ending="stall", seconds=float(params.get("seconds", FOREVER))),
    "slow": _slow,
    "effect_then_reset": lambda _: Course(unanswered="reset"),
    "effect_then_timeout": lambda params: Course(unanswered="stall", seconds=float(params.get("seconds", FOREVER))),
    "malformed_json": _malformed,
    "missing_field": _missing_field,
    "wrong_type": _wrong_type,
    "wrong_sha256": _wrong_sha256,
    "wrong_next": _wrong_next,
    "stale": _stale,
    "expired_policy": lambda _: Course(),
    "call": _call,
}
"""Every kind of fault. `effect_then_` before one that answers instead of the service lets the service act first."""

_TAKES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(KINDS, ()),
    "status": ("code", "body", "headers"),
    "rate_limit": ("retry_after",),
    "html": ("code", "body"),
    "redirect": ("code", "location"),
    "s3_error": ("code",),
    "reset_mid_body": ("after",),
    "stall": ("after", "seconds"),
    "stall_mid_answer": ("seconds",),
    "slow": ("bytes_per_second", "delay"),
    "effect_then_timeout": ("seconds",),
    "missing_field": ("field",),
    "wrong_type": ("field", "value"),
    "wrong_next": ("host",),
    "stale": ("seconds", "heeds"),
    "call": ("do",),
}
