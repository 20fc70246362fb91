"""Connections that know their time: a slow line that moves is waited for, an answer that never ends is not.

Loaded when the first session is opened, since `requests` and urllib3 cost time that not every run has to spend.
"""

from __future__ import annotations

import contextlib
import io
import socket
import sys
import time
from http.client import HTTPResponse
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from kandji_uploader._util import signals
from kandji_uploader.http import BLOCK
from kandji_uploader.http.tries import Policy

_RECORD = 1 << 14
"""Bytes that are given to TLS at a time: one record, so that a slow line is seen to move."""
_UNSENT = (socket.IPPROTO_TCP, getattr(socket, "TCP_NOTSENT_LOWAT", 0x201 if sys.platform == "darwin" else 25), 1 << 17)
"""The system takes no more than 128 KiB ahead of the network: it would count as sent, and the minutes that a slow line
needs for it as silence."""


class AnswerTooSlowError(TimeoutError):
    """The time for an answer is over, although bytes of it still come."""


def adapter(policy: Policy, *, body_timed: bool) -> Any:
    """What `requests` sends with: it tries once, and reads bodies in large blocks.

    At 16 KiB, urllib3's own block, Python is slower than the network.
    """

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, blocksize=BLOCK, **options)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
            manager = super().proxy_manager_for(proxy, blocksize=BLOCK, **options)
            if not proxy.lower().startswith("socks"):  # which has pools of its own
                manager.pool_classes_by_scheme = pools
            return manager

    pools = _pools(policy, body_timed=body_timed)
    return Adapter(max_retries=0)


def _pools(policy: Policy, *, body_timed: bool) -> dict[str, Any]:
    """urllib3's pools, with connections that give up sending only where nothing moves for `idle_timeout` seconds.

    urllib3 sends a block under the time-out for connecting, and `sendall` counts that for the block as a whole: a
    slow line that moves would be given up, and one that stands still told apart from it by chance.
    """

    def timed_answer(sock: socket.socket, *args: Any, **options: Any) -> HTTPResponse:
        return _TimedAnswer(sock, policy.answer_time, *args, body_timed=body_timed, **options)

    class Steady:
        sock: socket.socket
        piece = BLOCK  # a socket takes what there is room for
        response_class = staticmethod(timed_answer)

        def connect(self) -> None:
            super().connect()  # type: ignore[misc]
            with contextlib.suppress(OSError):  # a system that does not know the option
                self.sock.setsockopt(*_UNSENT)

        def send(self, data: Any) -> None:
            if self.sock is None:
                self.connect()
            self.sock.settimeout(policy.idle_timeout)
            rest = memoryview(data)
            while rest:
                signals.check()
                rest = rest[self.sock.send(rest[: self.piece]) :]

    plain = type("Plain", (Steady, HTTPConnection), {})
    secure = type("Secure", (Steady, HTTPSConnection), {"piece": _RECORD})  # TLS takes all that it is given, or nothing
    return {
        "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
    }


class _TimedAnswer(HTTPResponse):
    """An answer whose reading has an end, however steadily its bytes come."""

    def __init__(self, sock: socket.socket, seconds: float, *args: Any, body_timed: bool, **options: Any) -> None:
        self._body_timed = body_timed
        self._reader = _Reader(sock, time.monotonic() + seconds)
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        """Read the head of the answer."""
        super().begin()
        if not self._body_timed:
            self._reader.until = None


class _Reader(io.RawIOBase):
    """The bytes of a socket, until a time."""

    def __init__(self, sock: socket.socket, until: float | None) -> None:
        self._sock, self._idle = sock, sock.gettimeout()
        self._raw = sock.makefile("rb", buffering=0)
        self.until = until

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read some bytes; 0 at the end.

        Raises:
            TimeoutError: silence (`AnswerTooSlowError`: the time is over).
        """
        signals.check()
        if self.until is None:
            return self._raw.readinto(buffer)
        left = self.until - time.monotonic()
        if left <= 0:
            raise AnswerTooSlowError
        self._sock.settimeout(left if self._idle is None else min(left, self._idle))
        try:
            return self._raw.readinto(buffer)
        except TimeoutError:
            if self._idle is None or left < self._idle:
                raise AnswerTooSlowError from None
            raise

    def close(self) -> None:
        """Let the socket go."""
        self._raw.close()
        super().close()
