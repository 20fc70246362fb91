"""Installers of any size, written quickly and in little memory."""

from __future__ import annotations

import functools
import hashlib
import lzma
import plistlib
import random
import shutil
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.formats import bom

_CHUNK = 1 << 24
"""Bytes that large contents are repetitions of."""
_NO_CHECKSUM = struct.pack(">II", 0, 0) + bytes(128)


def info_plist(name: str, version: str) -> bytes:
    """An app's Info.plist."""
    return plistlib.dumps(
        {
            "CFBundleName": name,
            "CFBundleExecutable": name,
            "CFBundlePackageType": "APPL",
            "CFBundleIdentifier": f"com.example.{name.replace(' ', '-')}",
            "CFBundleShortVersionString": version,
        }
    )


def app_zip(path: Path, name: str, version: str, size: int = 0) -> Path:
    """A zip with an app; `size` bytes of it cannot be compressed, and are stored."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        archive.writestr(f"{name}.app/Contents/Info.plist", info_plist(name, version))
        with archive.open(f"{name}.app/Contents/MacOS/{name}", "w", force_zip64=size > 1 << 31) as file:
            for block in _repeated(_noise(min(size, _CHUNK)), size):
                file.write(block)
    return path


def crowded_zip(path: Path, names: Sequence[str]) -> Path:
    """A zip of empty files of these names; all of them share the one header before their data."""
    first = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    members = [
        struct.pack("<4s6H3I5H2I", b"PK\1\2", 788, 20, 0, 0, 0, 0, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0) + name
        for name in (each.encode() for each in names)
    ]
    directory = b"".join(members)
    count = min(len(members), 0xFFFF)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), len(first), 0)
    path.write_bytes(first + directory + end)
    return path


def flat_package(path: Path, name: str, size: int, *, late: bool, packed: bool) -> Path:
    """A flat package with one app whose executable has `size` bytes.

    Its bill of materials names the app, as every real package's does; only the payload says what its version is.

    Args:
        path: where to write it.
        name: of the app.
        size: bytes of the executable, a multiple of 16 MiB.
        late: whether Info.plist comes last in the payload instead of first.
        packed: whether the executable compresses to about a half, as programs do, or not at all.
    """
    before, after = _around(name, size, late=late)
    payload = _Gzip(before, _compressible() if packed else _noise(_CHUNK), size // _CHUNK, after)
    _xar(path, [("PackageInfo", _package_info(name)), ("Bom", _listed(name)), ("Payload", payload)])
    return path


def _around(name: str, size: int, *, late: bool) -> tuple[bytes, bytes]:
    """The payload's cpio archive before the bytes of the executable, and after them."""
    folder = f"./Applications/{name}.app"
    folders = b"".join(_entry(each, 0o040755, 0) for each in (".", "./Applications", folder, f"{folder}/Contents"))
    plist = info_plist(name, "1.0")
    plist = _entry(f"{folder}/Contents/Info.plist", 0o100644, len(plist)) + plist
    program = _entry(f"{folder}/Contents/MacOS", 0o040755, 0) + _entry(
        f"{folder}/Contents/MacOS/{name}", 0o100755, size
    )
    end = _entry("TRAILER!!!", 0, 0)
    return (folders + program, plist + end) if late else (folders + plist + program, end)


def _listed(name: str) -> bytes:
    folder = f"./Applications/{name}.app/Contents"
    return bom([f"{folder}/Info.plist", f"{folder}/MacOS/{name}"])


def chunked_package(path: Path, name: str, size: int) -> tuple[Path, Path]:
    """The same with its payload as pbzx and Info.plist last; and the chunks of that as .xz, one after the other.

    A chunk has 16 MiB, as `pkgbuild` writes it, or a sixteenth of a smaller package.

    Returns:
        The package, and a file beside it for `xz -dc`.
    """
    before, after = _around(name, size, late=True)
    length = min(_CHUNK, size // 16)
    chunk = _compressible()[:length]
    cut = length - len(before)
    whole = [before + chunk[:cut], *[chunk[cut:] + chunk[:cut]] * (size // length - 1), chunk[cut:] + after]
    stored = {block: lzma.compress(block, preset=1, check=lzma.CHECK_CRC32) for block in set(whole)}
    parts = [struct.pack(">QQ", len(block), len(stored[block])) + stored[block] for block in whole]
    payload = _Parts([b"pbzx" + struct.pack(">Q", length), *parts])
    _xar(path, [("PackageInfo", _package_info(name)), ("Bom", _listed(name)), ("Payload", payload)])
    plain = path.with_suffix(".xz")
    with plain.open("wb") as file:
        for block in whole:
            file.write(stored[block])
    return path, plain


def disk_image(path: Path, name: str, size: int) -> Path | None:
    """An uncompressed disk image (UDIF) with an app; None where no program here (xorriso) makes a volume."""
    if shutil.which("xorrisofs") is None:
        return None
    folder = path.with_suffix(".folder")
    program = folder / f"{name}.app" / "Contents" / "MacOS" / name
    program.parent.mkdir(parents=True)
    file_of(program, size)
    program.parents[1].joinpath("Info.plist").write_bytes(info_plist(name, "1.0"))
    subprocess.run(["xorrisofs", "-quiet", "-hfsplus", "-V", name, "-o", path, folder], check=True)
    shutil.rmtree(folder)
    data = path.stat().st_size
    described = _whole_disk(data // 512)
    with path.open("ab") as file:
        file.write(described)
        file.write(_udif_trailer(data, len(described)))
    return path


def _whole_disk(sectors: int) -> bytes:
    """The property list of a disk image with one run of bytes that are stored as they are (type 1)."""
    runs = struct.pack(">IIQQQQ", 1, 0, 0, sectors, 0, sectors * 512)
    runs += struct.pack(">IIQQQQ", 0xFFFFFFFF, 0, sectors, 0, sectors * 512, 0)
    head = b"mish" + struct.pack(">IQQQII", 1, 0, sectors, 0, 0, 0xFFFFFFFE)
    table = head + bytes(24) + _NO_CHECKSUM + struct.pack(">I", 2) + runs
    row = {"Attributes": "0x0050", "CFName": "whole disk", "Name": "whole disk", "ID": "0", "Data": table}
    return plistlib.dumps({"resource-fork": {"blkx": [row]}})


def _udif_trailer(data: int, described: int) -> bytes:
    """The last 512 bytes: where the data and the property list are."""
    start = struct.pack(">4sIIIQQQQQII", b"koly", 4, 512, 1, 0, 0, data, 0, 0, 1, 1) + bytes(16) + _NO_CHECKSUM
    end = struct.pack(">QQ", data, described) + bytes(120) + _NO_CHECKSUM + struct.pack(">IQ", 1, data // 512)
    return (start + end).ljust(512, b"\0")


def file_of(path: Path, size: int) -> Path:
    """A file of noise."""
    with path.open("wb") as file:
        for block in _repeated(_noise(min(size, _CHUNK)), size):
            file.write(block)
    return path


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def payload_of(package: Path, into: Path) -> Path:
    """The compressed payload of a package that `flat_package` has written, as a file of its own."""
    with package.open("rb") as file:
        header = struct.unpack(">4sHHQQI", file.read(28))
        toc = zlib.decompress(file.read(header[3])).decode()
        heap = 28 + header[3]
        at = toc.index("<name>Payload</name>")
        offset = int(toc[toc.index("<offset>", at) + 8 : toc.index("</offset>", at)])
        length = int(toc[toc.index("<length>", at) + 8 : toc.index("</length>", at)])
        file.seek(heap + offset)
        with into.open("wb") as out:
            while length:
                length -= out.write(file.read(min(length, _CHUNK)))
    return into


class _Parts:
    """Bytes in parts, some of which are the same object many times."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)


class _Gzip:
    """A gzip stream of some bytes, a chunk many times, and some bytes; compressed once, whatever its length."""

    def __init__(self, before: bytes, chunk: bytes, times: int, after: bytes) -> None:
        crc = zlib.crc32(before)
        for _ in range(times):
            crc = zlib.crc32(chunk, crc)
        total = len(before) + times * len(chunk) + len(after)
        self._times = times
        self._head = b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + _deflated(before)
        self._chunk = _deflated(chunk)
        self._tail = _deflated(after, last=True) + struct.pack("<II", zlib.crc32(after, crc), total & 0xFFFFFFFF)

    def __len__(self) -> int:
        return len(self._head) + self._times * len(self._chunk) + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        for _ in range(self._times):
            yield self._chunk
        yield self._tail


@functools.lru_cache(maxsize=8)
def _deflated(data: bytes, *, last: bool = False) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush(zlib.Z_FINISH if last else zlib.Z_FULL_FLUSH)


def _entry(name: str, mode: int, size: int) -> bytes:
    raw = name.encode() + b"\0"
    return b"070707000000%06o%06o%06o%06o000001000000%011o%06o%011o" % (1, mode, 0, 0, 0, len(raw), size) + raw


def _package_info(name: str) -> bytes:
    return (
        f'<?xml version="1.0"?><pkg-info identifier="com.example.pkg.{name}" version="1.0" install-location="/" '
        'format-version="2" auth="root"><payload installKBytes="1" numberOfFiles="6"/></pkg-info>'
    ).encode()


def _xar(path: Path, files: list[tuple[str, bytes | _Gzip | _Parts]]) -> None:
    offset, entries = 20, []
    for number, (name, data) in enumerate(files, start=1):
        entries.append(
            f'<file id="{number}"><name>{name}</name><type>file</type><data><length>{len(data)}</length>'
            f"<offset>{offset}</offset><size>{len(data)}</size>"
            '<encoding style="application/octet-stream"/></data></file>'
        )
        offset += len(data)
    toc = (
        '<?xml version="1.0" encoding="UTF-8"?><xar><toc><checksum style="sha1"><offset>0</offset><size>20</size>'
        f"</checksum>{''.join(entries)}</toc></xar>"
    ).encode()
    packed = zlib.compress(toc)
    with path.open("wb") as file:
        file.write(struct.pack(">4sHHQQI", b"xar!", 28, 1, len(packed), len(toc), 1) + packed)
        file.write(hashlib.sha1(packed).digest())
        for _, data in files:
            for block in [data] if isinstance(data, bytes) else data:
                file.write(block)


def _noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@functools.cache
def _compressible() -> bytes:
    """A chunk that deflate makes about half as large, in matches of mixed lengths as in programs."""
    chance = random.Random(1)
    words = [chance.randbytes(chance.randrange(3, 40)) for _ in range(4096)]
    out = bytearray()
    while len(out) < _CHUNK:
        out += chance.choice(words) if chance.random() < 0.6 else chance.randbytes(10)
    return bytes(out[:_CHUNK])


def _repeated(chunk: bytes, size: int) -> Iterator[bytes]:
    while size > 0:
        yield chunk[:size]
        size -= len(chunk)
