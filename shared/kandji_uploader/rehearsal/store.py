"""The upload store: takes a form as S3's POST does, and believes only the bytes that really arrived.

Files are large. They go from the socket through one buffer to the digest and to the disk, never as a whole into memory.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol
from urllib.parse import unquote
from xml.sax.saxutils import escape

from kandji_uploader.rehearsal import presigned
from kandji_uploader.rehearsal.messages import Message, Reply, boundary_of, name_of
from kandji_uploader.rehearsal.state import TenantState

BLOCK = 1 << 20
_TAIL = 1 << 16
"""Bytes at the end of a form in which its last boundary, and any field after the file, is looked for."""
_LONGEST_HEAD = 1 << 20


class Incoming(Protocol):
    """The body of a request while it arrives."""

    @property
    def remaining(self) -> int:
        """Bytes that have not been read yet."""

    def read_into(self, buffer: memoryview) -> int:
        """Read some bytes; 0 at the end. Raises ConnectionError where the client stops before the end."""


class _RefusedError(Exception):
    """The form is not taken; `reply` says why."""

    def __init__(self, status: int, code: str, text: str) -> None:
        self.reply = error(code, status, text)
        super().__init__(text)


class UploadStore:
    """The upload store of a tenant: takes forms at `/store`, gives the files out at `/store/FILE_KEY`.

    Args:
        state: where uploads are kept.
        keep_files: asked at each upload whether to keep its bytes.
    """

    def __init__(self, state: TenantState, keep_files: Callable[[], bool]) -> None:
        self._state = state
        self._keep_files = keep_files

    def answer(self, message: Message, body: Incoming) -> Reply:
        """Take a form or refuse it; the caller reads the rest of a refused body."""
        try:
            return self._take(message, body)
        except _RefusedError as refused:
            return refused.reply

    def _take(self, message: Message, body: Incoming) -> Reply:
        file_key = unquote(message.path.removeprefix("/store")).lstrip("/")
        if message.method not in (("GET", "HEAD") if file_key else ("POST",)):
            raise _RefusedError(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        if "authorization" in message.headers:
            raise _RefusedError(
                400, "InvalidArgument", "Only one auth mechanism allowed; the address is signed, and a header too."
            )
        if file_key:
            return self._give(file_key)
        if "content-length" not in message.headers or "transfer-encoding" in message.headers:
            raise _RefusedError(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        boundary = boundary_of(message.headers.get("content-type", ""))
        if boundary is None:
            raise _RefusedError(
                412, "PreconditionFailed", "Bucket POST must be of the enclosure-type multipart/form-data."
            )
        form = _Form(body, boundary)
        fields = form.fields()
        refusal = presigned.refusal(self._state, fields)
        if refusal is not None:
            raise _RefusedError(*refusal)
        with _Sink(self._state.files, keep=self._keep_files()) as sink:
            form.file_into(sink)
            sink.keep_as(self._state.file_of(fields["key"]))
            digest = sink.digest if message.fault != "wrong_sha256" else hashlib.sha256(b"not it").hexdigest()
            self._state.put_upload(fields["key"], sink.size, digest)
        return Reply(204, content_type="")

    def _give(self, file_key: str) -> Reply:
        """A file, as the `file_url` of an app leads to it."""
        path = self._state.file_of(file_key)
        if self._state.upload(file_key) is None or not path.is_file():
            raise _RefusedError(404, "NoSuchKey", "The specified key does not exist.")
        return Reply(200, content_type="binary/octet-stream", file=path)


class _Form:
    """A multipart form whose last part is the file, read as it arrives."""

    def __init__(self, body: Incoming, boundary: bytes) -> None:
        self._body = body
        self._delimiter = b"\r\n--" + boundary
        self._head = bytearray(b"\r\n")

    def fields(self) -> dict[str, str]:
        """Every field before the file; leaves the form at the file's first byte.

        Raises:
            _RefusedError: there is no file, or the fields are too long.
        """
        while True:
            fields = self._parsed()
            if fields is not None:
                return fields
            block = bytearray(BLOCK // 16)
            count = self._body.read_into(memoryview(block))
            if not count or len(self._head) > _LONGEST_HEAD:
                raise _RefusedError(400, "InvalidArgument", "POST requires exactly one file upload per request.")
            self._head += block[:count]

    def _parsed(self) -> dict[str, str] | None:
        """The fields, if what has arrived reaches to the file."""
        fields: dict[str, str] = {}
        at = self._head.find(self._delimiter)
        while at >= 0:
            start = at + len(self._delimiter)
            end = self._head.find(b"\r\n\r\n", start)
            name = name_of(bytes(self._head[start:end])) if end >= 0 else None
            if name is None:
                return None
            if name == b"file":
                del self._head[: end + 4]
                return fields
            at = self._head.find(self._delimiter, end + 2)
            fields[name.decode("utf-8", "replace")] = self._head[end + 4 : at].decode("utf-8", "replace")
        return None

    def file_into(self, sink: _Sink) -> None:
        """Read the file and the end of the form.

        Raises:
            _RefusedError: the form does not end as it should, or something follows the file.
        """
        buffer = memoryview(bytearray(BLOCK))
        bulk = len(self._head) + self._body.remaining - _TAIL
        while bulk > 0:
            block = self._next(buffer[: min(BLOCK, bulk)])
            sink.take(block)
            bulk -= len(block)
        tail = bytearray()
        while self._head or self._body.remaining:
            tail += self._next(buffer)
        end = tail.find(self._delimiter)
        if end < 0 or not tail.startswith(b"--", end + len(self._delimiter)):
            raise _RefusedError(
                400, "MalformedPOSTRequest", "The form is not well-formed, or the file is not its last field."
            )
        sink.take(memoryview(tail)[:end])

    def _next(self, buffer: memoryview) -> memoryview:
        """Some bytes: first those that were read together with the fields, then from the body."""
        if self._head:
            count = min(len(buffer), len(self._head))
            buffer[:count] = self._head[:count]
            del self._head[:count]
        else:
            count = self._body.read_into(buffer)
        return buffer[:count]


class _Sink(AbstractContextManager["_Sink"]):
    """Where the bytes of a file go: to a digest and, if they are kept, to a draft that becomes the file at the end."""

    def __init__(self, folder: Path, *, keep: bool) -> None:
        self.size = 0
        self._digest = hashlib.sha256()
        self._draft = folder / f".{uuid.uuid4().hex}.draft"
        self._file: BinaryIO | None = self._draft.open("wb") if keep else None

    @property
    def digest(self) -> str:
        """Hex sha256 of what has arrived."""
        return self._digest.hexdigest()

    def take(self, block: memoryview) -> None:
        """Some more bytes."""
        self.size += len(block)
        self._digest.update(block)
        if self._file is not None:
            self._file.write(block)

    def keep_as(self, path: Path) -> None:
        """The file is whole."""
        if self._file is not None:
            self._file.close()
            self._draft.replace(path)

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
            self._draft.unlink(missing_ok=True)


def error(code: str, status: int, text: str) -> Reply:
    """An error as S3 answers it, in XML."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(code)}</Code><Message>{escape(text)}</Message><RequestId>REHEARSAL</RequestId></Error>"
    )
    return Reply(status, body.encode(), "application/xml")
