"""Notarization tickets: Apple's word, stapled to an installer, that it has looked at code with these hashes.

Their format is not documented. What is used here was found in real ones: a header (`s8ch`, version, bytes of the
certificates, bytes of the body), the certificates, the body (`g8tk`, bytes of a hash, number of hashes, time, and the
hashes, each with its kind before it), and an ECDSA signature with SHA-256 over all that is before it.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from datetime import datetime, timezone
from typing import BinaryIO

from asn1crypto import core

from kandji_uploader.installer.limits import TICKET_BYTES, MalformedError
from kandji_uploader.installer.signature import APPLE_ROOTS
from kandji_uploader.installer.signature_trust import apple_root_g3, chain, load, reading, verify

_TRAILER = struct.Struct("<4sHHII")
_TICKET_TRAILER = 2
_HEAD = struct.Struct("<4sIII")
_BODY = struct.Struct("<4sHHIIQ")
_HASH_BYTES = 20
_SIGNING_MARK = "1.2.840.113635.100.6.1.30"
_PLACE = "notarization ticket"


def stapled_to(file: BinaryIO, size: int) -> bytes | None:
    """The ticket at the end of a package; None where there is none."""
    if size < _TRAILER.size:
        return None
    file.seek(size - _TRAILER.size)
    mark, _, kind, length, _ = _TRAILER.unpack(file.read(_TRAILER.size))
    if mark != b"t8lr" or kind != _TICKET_TRAILER or not 0 < length <= min(TICKET_BYTES, size - _TRAILER.size):
        return None
    file.seek(size - _TRAILER.size - length)
    return file.read(length)


def check_ticket(ticket: bytes, wanted: Collection[bytes]) -> datetime:
    """Verify a ticket.

    Args:
        ticket: the ticket.
        wanted: what it has to name, all of it: hashes of a package's table of contents, or of code directories.

    Returns:
        When Apple issued it.

    Raises:
        MalformedError: it is broken, not signed by Apple, or is about something else.
    """
    with reading(_PLACE):
        mark, _, length, more = _HEAD.unpack_from(ticket)
        end = _HEAD.size + length + more
        if mark != b"s8ch" or end > len(ticket):
            raise ValueError("no ticket")
        listed = core.Sequence.load(ticket[_HEAD.size : _HEAD.size + length])
        ders = [listed[at].dump() for at in range(len(listed))]
        signature = core.Sequence.load(ticket[end:]).dump()
        when, hashes = _named(ticket[_HEAD.size + length : end])
    certificates = load(ders, _PLACE)
    if not certificates:
        raise MalformedError(_PLACE, "it brings no certificate")
    leaf = certificates[0]
    verify(leaf, signature, ticket[:end], "sha256", _PLACE)
    way = chain(leaf, [*certificates, apple_root_g3()], APPLE_ROOTS, _PLACE)
    with reading(_PLACE):
        marked = _SIGNING_MARK in {one.oid.dotted_string for one in leaf.extensions}
    if not way.apple or not marked:
        raise MalformedError(_PLACE, "it is not signed by Apple")
    way.check_validity(when, stamped=True)
    if not wanted or not {one[:_HASH_BYTES] for one in wanted} <= hashes:
        raise MalformedError(_PLACE, "it is about something else")
    return when


def _named(body: bytes) -> tuple[datetime, set[bytes]]:
    mark, _, size, count, _, seconds = _BODY.unpack_from(body)
    if mark != b"g8tk" or size != _HASH_BYTES or _BODY.size + count * (size + 1) > len(body):
        raise ValueError("no list of hashes")
    hashes = {body[at + 1 : at + 1 + size] for at in range(_BODY.size, _BODY.size + count * (size + 1), size + 1)}
    return datetime.fromtimestamp(seconds, timezone.utc), hashes
