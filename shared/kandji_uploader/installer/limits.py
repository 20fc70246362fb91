"""How much of an installer is believed: caps far above what real installers hold, and the one internal exception.

An installer is made by others and may be broken or hostile. Each cap is at least ten times what was seen in real
ones, so that a refusal means that something is wrong with the file and not with the cap.
"""

from __future__ import annotations

import time

KIB = 1 << 10
MIB = 1 << 20

BLOCK = 256 * KIB
"""Bytes that are read or decoded at a time."""

TOC_BYTES = 16 * MIB
METADATA_BYTES = 4 * MIB
PLIST_BYTES = 2 * MIB
BOM_BYTES = 16 * MIB
TAG_BYTES = 1 * MIB
"""One XML tag with its attributes, or one comment."""

DEPTH = 64
FILES = 200_000
ELEMENTS = 500_000
NAME_BYTES = 4 * KIB
VALUE_CHARACTERS = 1024
"""A bundle id, a version or a path in metadata."""

CHUNK_BYTES = 64 * MIB
"""One pbzx chunk; Apple's tools write 16 MiB."""
CHUNKS = 200_000
STREAMS = 10_000
"""Compressed streams that follow each other in one payload."""
LZMA_MEMORY = 96 * MIB
"""What an xz stream may ask for; `xz -9` asks for 65 MiB."""

PAYLOAD_SECONDS = 600.0
INNER_PACKAGES = 10

CMS_BYTES = 192 * KIB
"""One signature with its certificates; Apple's tools reserve 9 to 18 KiB."""
CMS_ATTRIBUTES = 64
CERTIFICATES = 16
CERTIFICATE_BYTES = 12 * KIB
SIGNED_FILES = 10_000
"""Files in a signed package; a payload, however large, is one of them."""
SEALED_FILES = 100_000
"""Files of an app whose digests are kept; each costs some hundred bytes of memory."""
SEALS_DEPTH = 8
"""Apps and frameworks inside of each other."""
TICKET_BYTES = 1 * MIB
SLICES = 16
"""Architectures in one executable; there have been five."""
LOAD_COMMAND_BYTES = 1 * MIB
CODE_SIGNATURE_BYTES = 16 * MIB
"""Of one architecture; 16 MiB hold the hashes of 2 GiB of code."""
INNER_APPS = 32
"""Apps whose Info.plist is read, those with the best claim first."""
LISTED = 1000
"""Apps, and packages, of an archive or a disk image that are kept, those with the best claim first."""


class MalformedError(Exception):
    """Something in the installer is broken, or beyond a cap; `inspect` turns it into an `InstallerError`.

    Attributes:
        place: what part of the installer, such as `TOC` or `Payload of Foo.pkg`; "" for the file as a whole.
        reason: the defect.
    """

    def __init__(self, place: str, reason: str) -> None:
        self.place = place
        self.reason = reason
        super().__init__(f"{place}: {reason}")


class Budget:
    """What may be decoded of one payload: bytes, members and seconds.

    Bytes and members grow with the stored size, so that a small file cannot cost much and a large one is not refused.

    Args:
        place: named in the error.
        stored: bytes of the payload as stored.
    """

    def __init__(self, place: str, stored: int) -> None:
        self.place = place
        self._bytes = 256 * MIB + 100 * stored
        self._members = FILES + stored // 16
        self._deadline = time.monotonic() + PAYLOAD_SECONDS

    def decoded(self, size: int) -> None:
        """Count decoded bytes.

        Raises:
            MalformedError: more than a sane payload of this stored size holds, or it takes too long.
        """
        self._bytes -= size
        if self._bytes < 0:
            raise MalformedError(self.place, "it decodes to more than a hundred times its size: a decompression bomb")
        if time.monotonic() > self._deadline:
            raise MalformedError(self.place, f"reading it took longer than {PAYLOAD_SECONDS:.0f} seconds")

    def member(self) -> None:
        """Count one member.

        Raises:
            MalformedError: more than a sane payload of this stored size holds.
        """
        self._members -= 1
        if self._members < 0:
            raise MalformedError(self.place, "it holds more files than a payload of this size can")
