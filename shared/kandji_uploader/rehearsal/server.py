"""An HTTP/1.1 server on loopback, without any knowledge of Kandji.

Connections stay open, bodies are read in large blocks, and the scripted faults of networks are real ones: a TCP reset,
silence, half an answer.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any, BinaryIO, Protocol, cast
from urllib.parse import parse_qsl

from kandji_uploader.rehearsal.clock import Clock
from kandji_uploader.rehearsal.faults import Context, Course, Fault
from kandji_uploader.rehearsal.messages import Message, Reply, detail

LOOPBACK = "127.0.0.1"
_BLOCK = 1 << 20
_NO_BODY = (204, 304)
_INSTEAD = detail(500, "A scripted fault answers instead.")
_CUT = len("HTTP/")
_LINGER = 2.0
"""Seconds in which a client that is still sending may come to read its refusal."""
_ON_THE_WAY = 0.2
"""Seconds of a slow connection for which there is room in buffers, while nobody reads."""


class BrokenOffError(Exception):
    """A scripted fault ends the request here, with `end` (`reset`, `stall` or `close`)."""

    def __init__(self, end: str) -> None:
        self.end = end
        super().__init__(end)


class Body:
    """The body of a request while it arrives.

    Attributes:
        length: bytes, as its Content-Length says.
        remaining: bytes that have not been read yet.
        fields: the fields that were read from it, for the record; the reader puts them here.
    """

    def __init__(self, stream: BinaryIO, length: int, course: Course) -> None:
        self._stream = stream
        self._course = course
        self._due = 0.0
        self.length = length
        self.remaining = length
        limit = length if course.read is None else length // 2 if course.read < 0 else course.read
        self._limit = min(limit, length) if course.broken else length
        self.fields: Mapping[str, Any] = {}

    @property
    def received(self) -> int:
        """Bytes that were read."""
        return self.length - self.remaining

    def read_into(self, buffer: memoryview) -> int:
        """Read some bytes; 0 at the end.

        Raises:
            ConnectionError: the client stopped before the end.
            BrokenOffError: a scripted fault.
        """
        self._break_off()
        wanted = min(len(buffer), self._limit - self.received)
        if not wanted:
            return 0
        if self._course.pace:
            wanted = max(1, min(wanted, int(self._course.pace / 10)))
            self._wait_for(wanted / self._course.pace)
        count = cast("int", self._stream.readinto(buffer[:wanted]))  # type: ignore[attr-defined]
        if not count:
            raise ConnectionError("the client stopped before the end of the body")
        self.remaining -= count
        self._break_off()
        return count

    def _wait_for(self, seconds: float) -> None:
        """Wait until a connection of this pace has brought what takes so long.

        It goes on bringing while we do something else, as much as there is room for on the way.
        """
        now = time.monotonic()
        self._due = max(self._due, now - _ON_THE_WAY if self._due else now) + seconds
        time.sleep(max(0.0, self._due - now))

    def _break_off(self) -> None:
        if self._course.broken and self.received >= self._limit:
            raise BrokenOffError(self._course.broken)

    def read(self) -> bytes:
        """All of it."""
        whole = bytearray()
        buffer = memoryview(bytearray(min(_BLOCK, max(self.remaining, 1))))
        while count := self.read_into(buffer):
            whole += buffer[:count]
        return bytes(whole)

    def drain(self) -> None:
        """Read the rest and forget it."""
        buffer = memoryview(bytearray(min(_BLOCK, max(self.remaining, 1))))
        while self.read_into(buffer):
            pass


class Service(Protocol):
    """What the listeners serve."""

    clock: Clock
    released: threading.Event

    def fault_for(self, method: str, path: str) -> Fault | None:
        """The scripted fault that befalls a request."""

    def context(self, message: Message) -> Context:
        """What an altered answer may need."""

    def act(self, message: Message, body: Body) -> Reply:
        """Act on a request."""

    def record(self, message: Message, body: Body, status: int, fault: Fault | None) -> None:
        """Note a request; status 0 where it gets no answer."""


class Listener:
    """One port on loopback; each connection has a thread."""

    def __init__(self, service: Service, side: str, port: int) -> None:
        self.service = service
        self.side = side
        self._stopping = False
        self._conversations: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()
        self._socket = socket.create_server((LOOPBACK, port), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name=f"rehearsal-{side}", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://{LOOPBACK}:{self.port}"

    def close(self) -> None:
        """Stop, and end every connection."""
        self._stopping = True
        with socket.socket() as waker:  # accept() is woken by a last connection; closing a socket does not do so
            waker.connect((LOOPBACK, self.port))
        self._thread.join()
        self._socket.close()
        with self._lock:
            conversations = list(self._conversations.items())
        for _, connection in conversations:
            _shut(connection, socket.SHUT_RDWR)
        for thread, _ in conversations:
            if thread is not threading.current_thread():
                thread.join(_LINGER)

    def _accept(self) -> None:
        while True:
            connection, address = self._socket.accept()
            if self._stopping:
                connection.close()
                return
            thread = threading.Thread(target=self._talk, args=(connection, address), daemon=True)
            with self._lock:
                self._conversations[thread] = connection
            thread.start()

    def _talk(self, connection: socket.socket, address: object) -> None:
        try:
            with contextlib.suppress(ConnectionError, TimeoutError):  # the client has closed the connection
                _Conversation(connection, address, self)  # type: ignore[arg-type]
        finally:
            with self._lock:
                self._conversations.pop(threading.current_thread())
            connection.close()


class _Conversation(BaseHTTPRequestHandler):
    """The requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    server_version = "KandjiUploaderRehearsal"
    sys_version = ""
    disable_nagle_algorithm = True
    server: Listener  # type: ignore[assignment]
    _headers_buffer: list[bytes]

    def serve(self) -> None:
        """One request."""
        service = self.server.service
        message, fault = self._message()
        course = fault.course() if fault else Course()
        body = Body(cast("BinaryIO", self.rfile), self._length(), course)
        if course.call:
            course.call()
        try:
            reply = self._reply(message, body, course)
        except BrokenOffError as broken:
            service.record(message, body, 0, fault)
            self._end(broken.end, course)
            return
        service.record(message, body, reply.status, fault)
        self._send(reply, course)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = serve  # noqa: N815 - named by http.server

    def _message(self) -> tuple[Message, Fault | None]:
        path, _, query = self.path.partition("?")
        fault = self.server.service.fault_for(self.command, path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        kind = fault.kind if fault else ""
        return Message(self.command, self.server.side, path, dict(parse_qsl(query)), headers, kind), fault

    def _length(self) -> int:
        """The length of the body; 0 where it is not told, and then the connection ends with the answer."""
        text = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not text.isdecimal():
            self.close_connection = self.close_connection or self.command in ("POST", "PATCH", "PUT")
            return 0
        return int(text)

    def _reply(self, message: Message, body: Body, course: Course) -> Reply:
        reply = self.server.service.act(message, body) if course.effect else _INSTEAD
        body.drain()
        if course.unanswered:
            raise BrokenOffError(course.unanswered)
        context = self.server.service.context(message)
        return course.alter(reply, context) if course.alter else reply

    def _send(self, reply: Reply, course: Course) -> None:
        if course.delay:
            self.server.service.released.wait(course.delay)
        if reply.file and (course.send < 1 or course.pace):  # a fault befalls it, which is for bytes in memory
            reply = replace(reply, body=reply.file.read_bytes(), file=None)
        self._head(reply)
        bodiless = self.command == "HEAD" or reply.status in _NO_BODY
        self._write(b"" if bodiless else reply.body, course)
        if reply.file and not bodiless:
            with reply.file.open("rb") as file:
                self.connection.sendfile(file)
        if course.ending:
            self._end(course.ending, course)
        elif self.close_connection:
            self._linger()

    def _head(self, reply: Reply) -> None:
        self.send_response_only(reply.status)
        for name, value in {"Date": self.date_time_string(), **reply.headers}.items():
            self.send_header(name, value)
        if reply.status not in _NO_BODY:
            size = reply.file.stat().st_size if reply.file else 0
            self.send_header("Content-Length", str(len(reply.body) + size))
            if "Content-Type" not in reply.headers:
                self.send_header("Content-Type", reply.content_type)
        if self.close_connection:
            self.send_header("Connection", "close")

    def _write(self, body: bytes, course: Course) -> None:
        """Headers and body, in as few packets as possible.

        An answer that is cut loses a part of its body. One without a body is cut in its status line: many clients take
        headers that break off for whole ones.
        """
        head = b"".join(self._headers_buffer) + b"\r\n"
        self._headers_buffer = []
        whole = head + body
        if course.send < 1:
            whole = whole[: len(head) + int(len(body) * course.send) if body else _CUT]
        if not course.pace:
            self.connection.sendall(whole)
            return
        step = max(1, int(course.pace / 10))
        for start in range(0, len(whole), step):
            self.connection.sendall(whole[start : start + step])
            time.sleep(step / course.pace)

    def _end(self, end: str, course: Course) -> None:
        """End the connection as a scripted fault wants it."""
        self.close_connection = True
        if end == "stall":
            self.server.service.released.wait(course.seconds)
        if end in ("reset", "stall"):
            # With a linger time of 0, closing sends RST instead of FIN, and drops what was not sent.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            _shut(self.connection, socket.SHUT_WR)
        os.close(self.connection.detach())

    def _linger(self) -> None:
        """Let a client that is still sending read its answer: closing at once would reset the connection."""
        _shut(self.connection, socket.SHUT_WR)
        self.connection.settimeout(_LINGER)
        until = time.monotonic() + _LINGER
        while time.monotonic() < until and self.connection.recv(_BLOCK):
            pass

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header tells the tenant's time, so that clients can be tried with clocks that disagree."""
        del timestamp
        return format_datetime(self.server.service.clock.now(), usegmt=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
        """Say nothing: the tenant keeps a record."""


def _shut(connection: socket.socket, how: int) -> None:
    """Shut a connection down, if the other side has not done so already."""
    with contextlib.suppress(OSError):
        connection.shutdown(how)
