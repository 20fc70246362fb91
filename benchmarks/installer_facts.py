"""How fast the facts of a package of 1 GiB are read, beside what decompressing its payload takes.

    python -m benchmarks.installer_facts [ROUNDS]

Makes the packages in a temporary folder (about 4 GiB), measures each case in turns with its limit, and prints the
table of docs/performance.md.
"""

from __future__ import annotations

import gzip
import lzma
import multiprocessing
import os
import random
import struct
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support import formats
from tests.support.formats import Stored, bundle, info_plist, package_info, xar

from benchmarks.measure import MIB, Run, Sample, in_turns, process, ratio

FILE_SIZE, FILES = 200 * MIB, 5
BLOCK = 16 * MIB
XAR_CHECKSUM = 20

INSPECT = """
import sys, time
from kandji_uploader import installer
import kandji_uploader.installer.reading
began = time.perf_counter()
facts = installer.inspect(sys.argv[1], digest=sys.argv[2:] == ["digest"])
print(time.perf_counter() - began)
assert (facts.bundle_id, facts.version) == ("com.example.app", "1.2.3"), facts
"""


@dataclass(frozen=True)
class Case:
    """One package and what its reading is compared with.

    Attributes:
        name: in the table.
        package: the package.
        limit: a shell command that does no more than decompress; "" for none.
        goal: in words.
        digest: whether the sha256 is computed too.
    """

    name: str
    package: Path
    limit: str
    goal: str
    digest: bool = False


def content(number: int) -> bytes:
    """A MiB that compresses about as well as programs do, and is like no other."""
    dice = random.Random(number)
    words = [dice.randbytes(dice.randint(3, 12)) for _ in range(3000)]
    text = b"".join(dice.choices(words, k=70_000))
    return (text + dice.randbytes(MIB))[:MIB]


def cpio(*, plist_first: bool) -> Iterator[bytes]:
    """The payload, in pieces."""
    plist = formats.odc([("./Applications/Example.app/Contents/Info.plist", formats.FILE, info_plist())], trailer=False)
    if plist_first:
        yield plist
    for file in range(FILES):
        head = formats.odc(
            [(f"./Applications/Example.app/Contents/Resources/{file}", formats.FILE, b"")], trailer=False
        )
        size = b"%011o" % FILE_SIZE
        at = head.index(b"./Applications") - len(size)
        yield head[:at] + size + head[at + len(size) :]
        for number in range(FILE_SIZE // MIB):
            yield content(file * 1000 + number)
    if not plist_first:
        yield plist
    yield formats.odc([])


def blocks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of 16 MiB, as pbzx has them."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= BLOCK:
            yield bytes(held[:BLOCK])
            del held[:BLOCK]
    if held:
        yield bytes(held)


def squeeze(block: bytes) -> tuple[int, bytes]:
    """A block as an .xz stream."""
    return len(block), lzma.compress(block, preset=1, check=lzma.CHECK_CRC32)


def write_gzip(path: Path, *, plist_first: bool) -> Path:
    """The payload as gzip."""
    with gzip.GzipFile(path, "wb", compresslevel=1) as file:
        for piece in cpio(plist_first=plist_first):
            file.write(piece)
    return path


def write_pbzx(path: Path, plain_xz: Path) -> Path:
    """The payload as pbzx, and its chunks one after the other as .xz, for `xz -dc`."""
    with path.open("wb") as file, plain_xz.open("wb") as other, multiprocessing.Pool() as pool:
        file.write(b"pbzx" + struct.pack(">Q", BLOCK))
        for size, stored in pool.imap(squeeze, blocks(cpio(plist_first=False))):
            file.write(struct.pack(">QQ", size, len(stored)) + stored)
            other.write(stored)
    return path


def write_package(path: Path, payload: Path, *, listed: bool) -> Path:
    """A package around a payload; `listed`: its PackageInfo says all of the app, else not its version."""
    info = package_info(bundles=[bundle(short="1.2.3" if listed else None)])
    files = [
        Stored("PackageInfo", info),
        Stored("Payload", b"", offset=XAR_CHECKSUM + len(info), length=payload.stat().st_size),
    ]
    with path.open("wb") as file, payload.open("rb") as source:
        file.write(xar(files))
        while data := source.read(BLOCK):
            file.write(data)
    return path


def cases(folder: Path) -> list[Case]:
    """Make the packages."""
    first = write_gzip(folder / "first.gz", plist_first=True)
    last = write_gzip(folder / "last.gz", plist_first=False)
    chunks = write_pbzx(folder / "last.pbzx", folder / "last.xz")
    named = write_package(folder / "named.pkg", last, listed=True)
    return [
        Case("facts from the metadata", named, "", "0.05 s"),
        Case("the same, and the sha256", named, f"sha256sum {named}", "-", digest=True),
        Case("gzip, Info.plist first", write_package(folder / "first.pkg", first, listed=False), "", "0.2 s"),
        Case(
            "gzip, Info.plist last",
            write_package(folder / "last.pkg", last, listed=False),
            f"gzip -dc {last}",
            "1.3 x `gzip -dc`",
        ),
        Case(
            "pbzx of large files, Info.plist last",
            write_package(folder / "chunks.pkg", chunks, listed=False),
            f"xz -dc {folder / 'last.xz'}",
            "0.2 x `xz -dc`",
        ),
    ]


def measure(case: Case, rounds: int, environ: dict[str, str]) -> str:
    """One row of the table."""

    def ours() -> Run:
        words = [sys.executable, "-c", INSPECT, case.package, *(["digest"] if case.digest else [])]
        return process(words, environ)

    def limit() -> Run:
        return process(["sh", "-c", f"{case.limit} >/dev/null"])

    both = in_turns(rounds, ours, *([limit] if case.limit else []))
    sample = both[0]
    inside = Sample(tuple(Run(float(run.output), run.cpu, run.peak, "") for run in sample.runs))
    beside = f"{both[1].wall:.2f} s ({ratio(inside, both[1]):.2f} x)" if case.limit else "-"
    fastest, slowest = inside.spread
    digits = 2 if inside.wall >= 1 else 4
    shown = f"{inside.wall:.{digits}f} s ({fastest:.{digits}f} to {slowest:.{digits}f})"
    return f"| {case.name} | {shown} | {beside} | {case.goal} | {sample.peak / MIB:.0f} MiB |"


def main(rounds: int) -> None:
    """Make, measure, print; nothing is left."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spare = folder / "tmp"
        spare.mkdir()
        made = cases(folder)
        print("| Case | `inspect` (median; range) | beside | goal | peak memory |")
        print("|---|---|---|---|---|")
        for case in made:
            print(measure(case, rounds, {**os.environ, "TMPDIR": str(spare)}), flush=True)
        left = list(spare.iterdir())
    print(f"\nTemporary files left behind: {len(left)}.")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
