"""Mutated and lying installers of every kind: facts or an InstallerError, never anything else.

`KANDJI_FUZZ_EXAMPLES` sets how many of each; `python -m tests.support.fuzzing` makes them by the hundred thousand.
"""

from __future__ import annotations

import hashlib
import io
import os
import plistlib
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kandji_uploader import installer
from kandji_uploader.errors import InstallerError
from kandji_uploader.installer import bom, plists, signature
from kandji_uploader.installer.choice import Wish
from kandji_uploader.installer.contents import read_contents
from kandji_uploader.installer.limits import MalformedError
from kandji_uploader.installer.signature_files import Files
from kandji_uploader.installer.signature_seals import Seals
from kandji_uploader.installer.zips import Zip
from kandji_uploader.models import AppFacts
from tests.support import formats, fuzzing, signing
from tests.support.formats import (
    COMPRESSIONS,
    Stored,
    bundle,
    component,
    distribution,
    newc,
    odc,
    package_info,
    xar,
)

CORPUS = Path(__file__).parent.parent / "fixtures" / "corpus"
TICKET = (CORPUS / "karabiner-vhid-1.6.0.pkg").read_bytes()[-1810:]
EXAMPLES = int(os.environ.get("KANDJI_FUZZ_EXAMPLES", "40"))
EVERY = max(10, 120 * 97 // EXAMPLES)
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Duplicate name")]
many = settings(
    max_examples=EXAMPLES, deadline=30_000, suppress_health_check=list(HealthCheck), database=None, print_blob=True
)

numbers = st.one_of(st.integers(-5, 2**65), st.sampled_from(["", "x", "1e9", "-0", "٣", "9" * 30, " 5 "]))
words = st.one_of(st.text(max_size=12), st.sampled_from(["..", "/", "a/../b", "Foo.app", "._Foo.app", "\u202e", "é"]))
paths = st.lists(words, min_size=1, max_size=6).map("/".join).map(lambda path: path.replace("\0", ""))
plist_data = st.one_of(
    st.binary(max_size=200),
    st.builds(formats.info_plist, binary=st.booleans()),
    st.binary(max_size=80).map(lambda tail: b"bplist00" + tail),
    st.text(max_size=80).map(lambda text: f"<plist><dict>{text}</dict></plist>".encode("utf-8", "replace")),
)
places = st.sampled_from(["./Applications/A.app/Contents/Info.plist", "B.app/Contents/Info.plist", "TRAILER!!!"])
modes = st.sampled_from([formats.FILE, formats.FOLDER, formats.LINK, 0])
members = st.lists(st.tuples(st.one_of(paths, places), modes, plist_data), max_size=6)
cuts = st.lists(st.tuples(st.floats(0, 1), st.one_of(st.binary(max_size=9), st.just(b"\xff" * 8))), max_size=4)


def mutated(data: bytes, changes) -> bytes:
    """Bytes overwritten at places given as a share of the length."""
    held = bytearray(data)
    for share, patch in changes:
        at = int(share * max(len(held) - 1, 0))
        held[at : at + len(patch)] = patch
    return bytes(held)


@st.composite
def payloads(draw):
    spelling = draw(st.sampled_from([odc, newc]))
    plain = mutated(spelling(draw(members), trailer=draw(st.booleans())), draw(cuts))
    return mutated(COMPRESSIONS[draw(st.sampled_from(list(COMPRESSIONS)))](plain), draw(cuts))


@st.composite
def packages(draw):
    listed = [bundle(draw(paths)) for _ in range(draw(st.integers(0, 2)))]
    listed = [{key: _xml(value) for key, value in one.items()} for one in listed]
    info = package_info(
        location=draw(st.sampled_from(["/", None, "/Applications", "/Applications/X.app"])), bundles=listed
    )
    listing = mutated(formats.bom(["./Applications/A.app/Contents/Info.plist", "./x/y"], leaf=2), draw(cuts))
    files = component(
        draw(st.sampled_from(["", "a.pkg"])),
        mutated(info, draw(cuts)),
        draw(st.one_of(st.none(), payloads())),
        draw(st.one_of(st.none(), st.just(listing))),
    )
    if draw(st.booleans()):
        files.append(Stored("Distribution", mutated(distribution([("a", "1", "#a.pkg")], ("p", "1")), draw(cuts))))
    for one in files:
        one.offset = draw(st.one_of(st.none(), st.none(), st.none(), numbers))
        one.length = draw(st.one_of(st.none(), st.none(), st.none(), numbers))
    whole = xar(files, names=draw(st.integers(1, 3)), name_last=draw(st.booleans()))
    return mutated(whole, draw(cuts))[: draw(st.one_of(st.none(), st.integers(0, len(whole))))]


@st.composite
def zips(draw):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))) as archive:
        for name, _, data in draw(members):
            archive.writestr(zipfile.ZipInfo(name or "x"), data)
        if draw(st.booleans()):
            archive.writestr("In.pkg", draw(packages()))
    whole = mutated(made.getvalue(), draw(cuts))
    return whole[: draw(st.one_of(st.none(), st.integers(0, len(whole))))]


def _xml(text: str) -> str:
    return "".join(char for char in text if char.isprintable())


def _inspected(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "Fuzz.pkg"
        path.write_bytes(data)
        before = sorted(Path(folder).rglob("*"))
        try:
            facts = installer.inspect(path, digest=False, signature=True, content=True)
        except InstallerError as problem:
            assert str(path) in str(problem)  # noqa: PT017 - either is right
            assert problem.reason  # noqa: PT017
        else:
            assert isinstance(facts, AppFacts)
            assert all(isinstance(one, str) and one for one in (facts.app_name, facts.bundle_id) if one is not None)
            assert bool(facts.content) is not bool(facts.content_unknown)
        assert sorted(Path(folder).rglob("*")) == before


@many
@given(packages())
def test_packages(data):
    _inspected(data)


@many
@given(zips())
def test_zips(data):
    _inspected(data)


@many
@given(payloads())
def test_payloads(data):
    _inspected(xar(component(payload=data)))


@many
@given(plist_data, cuts)
def test_info_plists(data, changes):
    info = plists.read_info(mutated(data, changes))
    assert info is None or all(value is None or value.strip() == value != "" for value in vars(info).values())


@many
@given(st.lists(paths, max_size=8), cuts, st.integers(1, 4))
def test_bills_of_materials(listed, changes, leaf):
    data = formats.bom([path for path in listed if path.isprintable() and path.strip("/.")] or ["a"], leaf=leaf)
    try:
        found = bom.app_paths(mutated(data, changes))
    except MalformedError:
        return
    assert all(isinstance(path, str) for path in found)


@many
@given(st.sampled_from(["package", "cms", "timestamp", "ticket"]), cuts)
def test_signatures_of_packages(part, changes):
    """A signer is told only where the bytes that were changed are none that anybody signed."""
    who, stamp = signing.developer_id(), (signing.stamper(), signing.SIGNED_AT)
    options = {}
    if part == "cms":
        options = {"cms_bytes": mutated(signing.cms_signed(who, b"1" * 20, stamp=stamp), changes), "plain": False}
    elif part == "timestamp":
        options = {"stamp": (who, stamp[1]), "cms_options": {"stamped_over": mutated(b"x" * 256, changes) + b"y"}}
    data = signing.SignedXar({"PackageInfo": package_info(), "Payload": b"x" * 500}, who, **options).made()
    if part == "package":
        data = mutated(data, changes)
    elif part == "ticket":
        data += mutated(TICKET, changes)
    found = signature.of_package(io.BytesIO(data), len(data), roots=who.root)
    assert found.status in ("signed", "unsigned", "broken")
    assert bool(found.why) is (found.status == "broken")
    assert found.name == {"developer_id_application": "Jane Doe", "developer_id_installer": "Jane Doe"}.get(
        found.authority, found.name if found.authority == "other" else None
    )
    assert found.team_id is None or found.status == "signed"
    if part in ("cms", "timestamp"):
        assert found.status == "broken"
    assert not found.notarized


@many
@given(st.sampled_from(["program", "signature", "fat", "cms", "zip"]), cuts, st.lists(st.integers(0, 13), max_size=2))
def test_signatures_of_apps(part, changes, fields):
    """Lying code directories, and programs with bytes changed: a signer is told only of what was not changed."""
    who, info = signing.developer_id("app"), formats.info_plist(CFBundleExecutable="Run")
    lies = {number: 0x01010101 * (number + 1) if number < 9 else 200 for number in fields}
    made = signing.Program(who, {1: info}, fields=lies if part == "signature" else {}, code=b"c" * 9000).made()
    if part == "cms":
        cms = mutated(signing.cms_signed(who, b"x"), changes)
        made = signing.Program(who, {1: info}, cms_bytes=cms, code=b"c" * 9000).made()
    made = signing.fat(made, made) if part == "fat" else made
    made = mutated(made, changes) if part in ("program", "signature", "fat") else made
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("A.app/Contents/Info.plist", info)
        archive.writestr("A.app/Contents/MacOS/Run", made)
    data = mutated(packed.getvalue(), changes) if part == "zip" else packed.getvalue()
    try:
        container = Zip(io.BytesIO(data), len(data))
        found = signature.of_contents(container, read_contents(container, Wish()), Wish(), who.root)
    except MalformedError:
        assert part == "zip"
        return
    assert found.status in ("signed", "unsigned", "broken", "adhoc", "not_looked_at")
    assert found.name == {"developer_id_application": "Jane Doe", "developer_id_installer": "Jane Doe"}.get(
        found.authority, found.name if found.authority == "other" else None
    )
    assert found.team_id is None or found.status == "signed"
    assert part != "cms" or found.status == "broken"


@many
@given(cuts)
def test_lists_of_seals(changes):
    """A list that lies: it is broken, or what it does not seal is named."""
    listed = {f"Resources/{name}": {"hash2": hashlib.sha256(name.encode()).digest()} for name in ("a", "b")}
    listed["Frameworks/F.framework"] = {"cdhash": b"1" * 20, "requirement": 'cdhash H"00"', "optional": True}
    data = mutated(plistlib.dumps({"files2": listed}), changes)
    with tempfile.TemporaryFile() as spool:
        files = Files("A.app", spool)
        for name in ("Resources/a", "Resources/b", "Frameworks/F.framework/Versions/A/F", "MacOS/Run"):
            files.take(f"Contents/{name}", [name[-1].encode()])
        seals = Seals(files, frozenset(), frozenset())
        try:
            seals.check("Contents", "Contents/MacOS/Run", data)
        except MalformedError:
            return
        assert seals.look_for_more()
    assert not seals.nested
    assert bool(seals.told()) is bool(seals.checked)


def test_each_byte_of_real_code_counts():
    with zipfile.ZipFile(CORPUS / "sparkle-DevSignedApp.zip") as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    (place,) = (name for name in held if "/MacOS/" in name and held[name])
    whole = held[place]
    for at in range(0, 50016 + 2000, EVERY * 4):
        held[place] = mutated(whole, [(at / (len(whole) - 1), bytes([whole[at] ^ 0x5A]))])
        assert held[place] != whole
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, data in held.items():
                archive.writestr(name, data)
        container = Zip(packed, len(packed.getvalue()))
        found = signature.of_contents(container, read_contents(container, Wish()), Wish())
        assert found.team_id is None, at


def test_each_byte_of_a_real_signature_counts():
    """Every so many bytes of the signed parts are changed in turn: the signer is never told of what was changed."""
    whole = (CORPUS / "rtrouton-disable-gatekeeper.pkg").read_bytes()
    heap = 28 + 4034
    for at in [*range(28, heap + 276, EVERY), *range(heap + 9492, len(whole), EVERY // 10)]:
        data = mutated(whole, [(at / (len(whole) - 1), bytes([whole[at] ^ 0x5A]))])
        assert data != whole
        assert signature.of_package(io.BytesIO(data), len(data)).status == "broken", at


def test_inputs_made_by_seed(tmp_path):
    outcomes = [fuzzing.check(seed, tmp_path / "Fuzz.pkg") for seed in range(10 * EXAMPLES)]

    assert 0.1 < outcomes.count("facts") / len(outcomes) < 0.9
    assert len(set(outcomes)) > 20


def test_real_packages_with_bytes_changed():
    """Bytes of real installers, changed in turn."""
    folder = Path(__file__).parent.parent / "fixtures" / "corpus"
    for name in ("scriptworker-example.pkg", "sparkle-test.pkg", "fastlane-MacAppOnly.pkg", "brew-caffeine-suite.zip"):
        whole = (folder / name).read_bytes()
        for at in range(0, len(whole), 23):
            _inspected(mutated(whole, [(at / max(len(whole) - 1, 1), bytes([whole[at] ^ 0x5A]))]))
