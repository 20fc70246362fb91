"""Installers made at random, true in structure and wrong in details, by the hundred thousand.

    python -m tests.support.fuzzing 200000 [SEED]

Each is inspected; anything but facts or an InstallerError, an input that takes longer than two seconds of processor
time, or memory that grows ends the run. What is said names the seed of the input, which makes it again.
"""

from __future__ import annotations

import io
import random
import re
import resource
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from pathlib import Path

from kandji_uploader import installer
from kandji_uploader.errors import InstallerError
from tests.support import formats
from tests.support.formats import COMPRESSIONS, FILE, FOLDER, LINK, Stored, newc, odc, xar

SECONDS = 2.0
GROWTH = 64 << 20

_PARTS = (
    "Applications",
    "Foo.app",
    "Contents",
    "Info.plist",
    "..",
    ".",
    "",
    "._x",
    "B.framework",
    "\u202e",
    "Cafe\u0301.app",
)
_NUMBERS = (-1, 0, 1, 27, 2**31, 2**32 - 1, 2**63, 2**64, "", "x", "1e3", "9" * 40)
_ENCODINGS = ("octet-stream", "x-gzip", "x-bzip2", "x-lzma", "x-xz", "x-nonsense")
_CORPUS = Path(__file__).parent.parent / "fixtures" / "corpus"


class Maker:
    """Makes one input.

    Args:
        seed: the same seed makes the same input.
    """

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def make(self) -> bytes:
        """A package, an archive, or a real installer with changes."""
        kind = self.dice.random()
        data = self.package() if kind < 0.6 else self.archive() if kind < 0.9 else self.real()
        data = self.damaged(data, 0.4)
        return data[: self.dice.randrange(len(data) + 1)] if self.dice.random() < 0.1 else data

    def damaged(self, data: bytes, chance: float) -> bytes:
        """Some bytes overwritten, doubled or left out."""
        held = bytearray(data)
        while held and self.dice.random() < chance:
            at = self.dice.randrange(len(held))
            size = self.dice.choice((1, 1, 2, 4, 8, 40))
            what = self.dice.randrange(4)
            if what == 0:
                held[at : at + size] = self.dice.randbytes(size)
            elif what == 1:
                held[at : at + size] = bytes([self.dice.choice((0, 0x7F, 0xFF))]) * size
            elif what == 2:
                held[at:at] = held[at : at + size]
            else:
                del held[at : at + size]
        return bytes(held)

    def path(self) -> str:
        if self.dice.random() < 0.4:
            return "./Applications/Foo.app/Contents/Info.plist"
        return "/".join(self.dice.choices(_PARTS, k=self.dice.randint(1, 6))) or "x"

    def plist(self) -> bytes:
        versions = self.dice.choice(("1.0", None, "", " 2 ", 3, 4.5, True, ["x"], {}))
        identifier = self.dice.choice(("com.example.a", "", None, "x" * 2000, "\ud7ff"))
        binary = self.dice.random() < 0.5
        return self.damaged(formats.info_plist(identifier, versions, versions, versions, binary=binary), 0.4)

    def members(self) -> list[formats.Member]:
        modes = (FILE, FILE, FILE, FOLDER, LINK, 0)
        content = (
            self.plist,
            lambda: b"",
            lambda: self.dice.randbytes(self.dice.randrange(3000)),
            lambda: bytes(70_000),
        )
        weights = (6, 2, 2, 1)
        return [
            (self.path(), self.dice.choice(modes), self.dice.choices(content, weights)[0]())
            for _ in range(self.dice.randrange(6))
        ]

    def payload(self) -> bytes:
        spelling = self.dice.choice((odc, newc))
        plain = self.damaged(spelling(self.members(), trailer=self.dice.random() < 0.9), 0.3)
        name = self.dice.choice(list(COMPRESSIONS))
        if name == "pbzx":
            packed = formats.pbzx(plain, block=self.dice.choice((64, 1000, 1 << 16)), raw={1})
        else:
            packed = COMPRESSIONS[name](plain)
        return self.damaged(packed, 0.3)

    def package(self) -> bytes:
        files: list[Stored] = []
        for folder in self.dice.sample(("", "a.pkg", "b.pkg", "deep/er.pkg"), self.dice.randint(0, 2)):
            listed = [formats.bundle(self.path().replace("\0", "")) for _ in range(self.dice.randrange(3))]
            location = self.dice.choice(("/", None, "/Applications", "/Applications/X.app", "../..", "x"))
            info = formats.package_info(location=location, bundles=listed)
            payload = self.payload() if self.dice.random() < 0.8 else None
            listing = formats.bom([self.path() or "x" for _ in range(5)], leaf=2) if self.dice.random() < 0.4 else None
            listing = self.damaged(listing, 0.5) if listing else None
            files += formats.component(folder, self.damaged(info, 0.2), payload, listing)
        if self.dice.random() < 0.5:
            text = formats.distribution([("com.example.pkg", "1", "#a.pkg")], ("p", "1"))
            files.append(Stored("Distribution", self.damaged(text, 0.3)))
        for one in files:
            self._lie(one)
        odd = self.dice.random() < 0.05
        return xar(
            files,
            names=self.dice.randint(1, 3),
            name_last=self.dice.random() < 0.5,
            encoded_names=self.dice.random() < 0.2,
            header_size=self.dice.choice((28, 64)),
            declared=self.dice.randrange(10_000) if odd else None,
            toc=self.damaged(b"<xar><toc><file><name>Payload</name></file></toc></xar>", 0.9) if odd else None,
        )

    def _lie(self, one: Stored) -> None:
        if self.dice.random() < 0.2:
            one.encoding = f"application/{self.dice.choice(_ENCODINGS)}"
        if self.dice.random() < 0.03:
            one.offset = self.dice.choice(_NUMBERS)
        if self.dice.random() < 0.03:
            one.length = self.dice.choice(_NUMBERS)
        if self.dice.random() < 0.03:
            one.says = f"application/{self.dice.choice(_ENCODINGS)}"

    def archive(self) -> bytes:
        made = io.BytesIO()
        method = self.dice.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
        with zipfile.ZipFile(made, "w", method) as archive:
            for name, mode, data in self.members():
                entry = zipfile.ZipInfo(name.removeprefix("./"))
                entry.external_attr = mode << 16
                archive.writestr(entry, data, compress_type=method)
            if self.dice.random() < 0.3:
                archive.writestr("In.pkg", self.damaged(self.package(), 0.3))
            if self.dice.random() < 0.3:
                archive.writestr("Old.pkg/Contents/Info.plist", self.plist())
                archive.writestr("Old.pkg/Contents/Archive.pax.gz", self.payload())
        return self.damaged(made.getvalue(), 0.3)

    def real(self) -> bytes:
        names = (
            "scriptworker-example.pkg",
            "sparkle-test.pkg",
            "rtrouton-disable-gatekeeper.pkg",
            "sparkle-DevSignedApp.zip",
        )
        return self.damaged((_CORPUS / self.dice.choice(names)).read_bytes(), 0.9)


def check(seed: int, path: Path) -> str:
    """Inspect the input of a seed; what came of it: `facts`, or the error's reason without names and numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path.write_bytes(Maker(seed).make())
    started = time.process_time()
    try:
        installer.inspect(path, digest=False, signature=True, content=True)
        said = "facts"
    except InstallerError as problem:
        assert not re.search("list index|Invalid argument", problem.reason), f"seed {seed}: {problem}"  # noqa: PT017 - ours
        said = re.sub(r"b?['\"].*|[0-9,]+", "_", problem.reason)[:50]
    except BaseException:
        print(f"seed {seed}", file=sys.stderr)
        raise
    assert time.process_time() - started < SECONDS, f"seed {seed} takes too long"
    return said


def main(count: int, first: int) -> None:
    """Check so many inputs and print what came of them."""
    outcomes: Counter[str] = Counter()
    base = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            outcomes[check(first + number, Path(folder) / "Fuzz.pkg")] += 1
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            base = max(base, peak) if number < count // 10 else base
            assert number < count // 10 or peak - base < GROWTH, f"memory grows; seed {first + number}"
        assert [path.name for path in Path(folder).iterdir()] == ["Fuzz.pkg"]
    for reason, times in outcomes.most_common():
        print(f"{times:8,}  {reason}")
    print(f"{count:,} inputs, {len(outcomes)} outcomes, {base >> 20} MiB at the beginning, {peak >> 20} MiB at the end")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
