"""What an installer brings to a Mac has one digest, however it is packaged; each change of it has another one."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from kandji_uploader import installer
from kandji_uploader.errors import InstallerError
from kandji_uploader.installer import content, limits, seven_zip, signature
from kandji_uploader.installer.choice import Wish
from kandji_uploader.installer.contents import read_contents
from kandji_uploader.installer.mounted import MountedImage
from kandji_uploader.installer.package import read_package
from kandji_uploader.installer.zips import Zip
from kandji_uploader.models import InstallType
from tests.support.formats import (
    COMPRESSIONS,
    FILE,
    FOLDER,
    LINK,
    SEALS,
    Stored,
    app,
    bom,
    distribution,
    info_plist,
    newc,
    odc,
    package_info,
    xar,
)
from tests.support.signing import Program, SignedXar, developer_id

CORPUS = Path(__file__).parent.parent / "fixtures" / "corpus"
SCRIPTS = [(".", FOLDER, b""), ("./postinstall", 0o100755, b"#!/bin/sh\nexit 0\n")]
FILES = [*app(), ("./Applications/Example.app/Contents/link", LINK, b"Resources"), ("./data", FILE, b"some bytes")]
INFO = package_info(
    more='<payload numberOfFiles="7" installKBytes="12"/><scripts><postinstall file="./post"/></scripts>'
)
PRODUCT = distribution([("com.example.pkg", "1.2.3", "#a.pkg")], ("com.example", "1.2.3"), "<choice id='a'/>")
RESOURCES = {"Resources/en.lproj/welcome.txt": b"Welcome"}


def made(
    files=FILES, *, scripts=SCRIPTS, info=INFO, product=PRODUCT, resources=RESOURCES, folder="a.pkg", **how
) -> bytes:
    """A product with one component; `how` it is packaged: the archives' spelling, compression, dates, and the xar's."""
    spelling, packed = how.pop("spelling", odc), how.pop("packed", COMPRESSIONS["gzip"])
    dates = {name: how.pop(name) for name in ("mtime", "first", "owner", "group", "links") if name in how}
    held = [Stored(f"{folder}/{name}", data) for name, data in (("PackageInfo", info), ("Bom", how.pop("bom", b"")))]
    held.append(Stored(f"{folder}/Payload", packed(spelling(files, **dates))))
    held.append(Stored(f"{folder}/Scripts", packed(spelling(scripts, **dates))))
    held += [Stored("Distribution", product), *(Stored(name, data) for name, data in resources.items())]
    return xar(held, **how)


def found(data: bytes, tmp_path: Path, name="Any.pkg", **asked):
    path = tmp_path / name
    path.write_bytes(data)
    return installer.inspect(path, digest=False, content=True, **asked)


def of(data: bytes, tmp_path: Path, **asked) -> str:
    facts = found(data, tmp_path, **asked)
    assert not facts.content_unknown
    assert len(facts.content) == 32
    return facts.content


def without_sizes(text: bytes) -> bytes:
    return text.replace(b'numberOfFiles="7" installKBytes="12"', b'numberOfFiles="8" installKBytes="999"')


PACKAGED_AGAIN = {
    "on another day": {"mtime": 1_800_000_000},
    "by another disk": {"first": 4711},
    "with counts of links that are those of folders": {"links": 2},
    "in another order": {"files": FILES[::-1], "scripts": SCRIPTS[::-1]},
    "by another gzip": {"packed": lambda data: gzip.compress(data, 1, mtime=99)},
    "as bzip2": {"packed": COMPRESSIONS["bzip2"]},
    "as xz": {"packed": COMPRESSIONS["xz"]},
    "as pbzx": {"packed": COMPRESSIONS["pbzx"]},
    "without compression": {"packed": bytes},
    "in the other cpio": {"spelling": newc},
    "with another heap": {"reverse": True},
    "with another checksum": {"checksum": "sha256"},
    "with other sizes": {"info": without_sizes(INFO)},
    "by another pkgbuild": {"info": INFO.replace(b"<pkg-info", b'<pkg-info generator-version="InstallCmds-830"')},
    "with another list of its files": {"bom": bom(["./data"])},
    "with sizes of archives": {"product": PRODUCT.replace(b"<pkg-ref", b'<pkg-ref installKBytes="9" updateKBytes="0"')},
    "with another layout": {"product": PRODUCT.replace(b"><", b">\n  <!-- made today -->\n  <")},
    "with attributes in another order": {
        "info": INFO.replace(
            b'format-version="2" identifier="com.example.pkg"', b'identifier="com.example.pkg" format-version="2"'
        )
    },
}


@pytest.mark.parametrize("how", list(PACKAGED_AGAIN.values()), ids=list(PACKAGED_AGAIN))
def test_what_was_only_packaged_again_is_the_same(tmp_path, how):
    assert made(**how) != made()
    assert of(made(**how), tmp_path) == of(made(), tmp_path)


def changed(old: str, new: tuple | None) -> list:
    at = next(number for number, member in enumerate(FILES) if member[0] == old)
    return [*FILES[:at], *([new] if new else []), *FILES[at + 1 :]]


ANOTHER = {
    "a byte": {"files": changed("./data", ("./data", FILE, b"some bytez"))},
    "a mode": {"files": changed("./data", ("./data", 0o100755, b"some bytes"))},
    "the mode of a folder": {"files": changed("./Applications", ("./Applications", 0o040700, b""))},
    "the owner": {"owner": 501},
    "the group": {"group": 80},
    "a link": {"files": changed("./Applications/Example.app/Contents/link", (FILES[-2][0], LINK, b"/tmp"))},
    "a file in place of a link": {"files": changed(FILES[-2][0], (FILES[-2][0], FILE, b"Resources"))},
    "a name": {"files": changed("./data", ("./data2", FILE, b"some bytes"))},
    "one file less": {"files": changed("./data", None)},
    "one folder more": {"files": [*FILES, ("./more", FOLDER, b"")]},
    "a script": {"scripts": [SCRIPTS[0], ("./postinstall", 0o100755, b"#!/bin/sh\nexit 1\n")]},
    "the mode of a script": {"scripts": [SCRIPTS[0], ("./postinstall", 0o100644, SCRIPTS[1][2])]},
    "a requirement": {"product": PRODUCT.replace(b"<choice id", b"<choice enabled='false' id")},
    "a check of the installer": {"product": PRODUCT.replace(b"<choice", b"<script>function a() {}</script><choice")},
    "the order of choices": {"product": PRODUCT.replace(b"<choice id='a'/>", b"<choice id='b'/><choice id='a'/>")},
    "where it is installed": {"info": INFO.replace(b'install-location="/"', b'install-location="/opt"')},
    "which script is run": {"info": INFO.replace(b"./post", b"./else")},
    "the version of its receipt": {"info": INFO.replace(b'version="1.2.3"', b'version="1.2.4"')},
    "a resource": {"resources": {"Resources/en.lproj/welcome.txt": b"Welcome!"}},
    "one resource more": {"resources": {**RESOURCES, "Resources/more.txt": b""}},
    "the name of a component": {"folder": "b.pkg"},
}


@pytest.mark.parametrize("how", list(ANOTHER.values()), ids=list(ANOTHER))
def test_whatever_reaches_a_mac_makes_another_one(tmp_path, how):
    assert of(made(**how), tmp_path) != of(made(), tmp_path)


def test_text_that_a_reader_of_facts_passes_over_counts(tmp_path):
    """A check may be longer than any value of metadata, and stand before an element."""
    long = "x" * 40_000
    checks = [f"<script>{text}<br/>b</script>" for text in ("a", "c", long + "1", long + "2", "a")]
    told = [of(made(product=PRODUCT.replace(b"<choice", check.encode() + b"<choice")), tmp_path) for check in checks]
    assert len(set(told)) == 4
    assert told[0] == told[-1]


def hard_linked(files, **_) -> bytes:
    """All files have one inode."""
    whole = odc([*files[:1], *(one for one in files if one[1] == FILE)], links=2)
    return re.sub(rb"(?<=070707000000)[0-7]{6}(?=1)", b"000007", whole)


HOSTILE = {
    "a file that is there twice": ({"files": [*FILES, ("./data", FILE, b"other")]}, "there twice"),
    "the same file in another case": ({"files": [*FILES, ("./DATA", FILE, b"other")]}, "there twice"),
    "the same file in another spelling": ({"files": [*FILES, ("./a/../data", FILE, b"")]}, "leads out"),
    "a file below a link": (
        {"files": [*FILES, ("./Applications/Example.app/Contents/link/x", FILE, b"")]},
        "below a link",
    ),
    "a link above a file that came before": (
        {"files": [("./a/b/c", FILE, b""), *FILES, ("./a", LINK, b"/")]},
        "below a link",
    ),
    "hard links": ({"spelling": hard_linked}, "hard links"),
    "a device": ({"files": [*FILES, ("./dev", 0o020666, b"")]}, "neither a file nor a folder"),
    "bytes after the end": ({"spelling": lambda files, **_: odc(files) + b"more"}, "follow the end"),
    "a DOCTYPE": ({"product": b"<!DOCTYPE installer-gui-script SYSTEM 'x'>" + PRODUCT}, "DOCTYPE"),
    "scripts that are none": (
        {"packed": lambda data: b"x" if b"postinstall" in data else gzip.compress(data)},
        "Scripts",
    ),
    "resources of one name": ({"resources": {"Resources/a": b"", "Resources/A": b""}}, "twice"),
}


@pytest.mark.parametrize(("how", "why"), list(HOSTILE.values()), ids=list(HOSTILE))
def test_what_a_mac_might_read_otherwise_has_none_and_says_why(tmp_path, how, why):
    path = tmp_path / "Hostile.pkg"
    path.write_bytes(made(**how))
    try:
        facts = installer.inspect(path, digest=False, signature=True, content=True, bundle_id="com.example.app")
    except InstallerError as problem:
        assert why in str(problem)  # noqa: PT017 - nothing of it can be read
        return
    assert facts.content == ""
    assert why in facts.content_unknown


def test_a_folder_that_is_there_twice_alike_is_one(tmp_path):
    assert of(made([*FILES, FILES[0]]), tmp_path) == of(made(), tmp_path)


def test_files_that_share_bytes_of_the_archive_have_none(tmp_path, monkeypatch):
    """Each byte is read once, whatever the table of contents says."""
    held = [Stored("PackageInfo", INFO), *(Stored(f"r{number}", b"x" * 4096) for number in range(9))]
    for one in held[2:]:
        one.offset = 20 + len(INFO)
    assert found(xar(held), tmp_path).content
    for one in held[1:]:
        one.offset, one.length = 20, len(INFO) + 4096 * 8
    assert "overlap" in found(xar(held), tmp_path).content_unknown
    monkeypatch.setattr(content, "SIGNED_FILES", 5)
    assert "too many" in found(xar(held[:1] + [Stored(f"r{n}", b"") for n in range(9)]), tmp_path).content_unknown


def test_what_unpacks_beyond_measure_has_none(tmp_path, monkeypatch):
    small = limits.Budget("", 0)
    small._bytes = 50_000
    monkeypatch.setattr(content, "Budget", lambda _place, _stored: small)
    bomb = made([*FILES, ("./bomb", FILE, bytes(900_000))])
    assert "bomb" in found(bomb, tmp_path).content_unknown


def test_more_files_than_are_kept_count_of_have_none(tmp_path, monkeypatch):
    monkeypatch.setattr(content, "FILES", 5)
    assert "more than 5 files" in found(made(), tmp_path).content_unknown


# Who signed it


def signed(who=None, files=None, more=b"", **options) -> bytes:
    held = {"PackageInfo": INFO, "Payload": gzip.compress(odc(FILES), mtime=0), "Scripts": gzip.compress(odc(SCRIPTS))}
    return SignedXar({**held, **(files or {})}, who, **options).made() + more


def content_of(data: bytes, roots: frozenset[str]) -> content.Content:
    file = io.BytesIO(data)
    gathered = content.PackageContent(file, len(data))
    looked = signature.of_package(file, len(data), read_package(file, len(data), Wish()), Wish(), roots, gathered)
    return gathered.finish(looked)


def test_a_package_that_the_same_team_has_signed_again_is_the_same_and_another_team_makes_another():
    ours, theirs = developer_id(), developer_id(team="ZYXWV98765", name="Eve")
    first = content_of(signed(ours), ours.root)
    assert first.digest
    again = signed(developer_id(end="2037-01-01"), stamp=None, plain=False)
    assert again != signed(ours)
    assert content_of(again, ours.root) == first
    assert content_of(signed(theirs), theirs.root).digest not in ("", first.digest)
    assert content_of(signed(), ours.root).digest not in ("", first.digest), "nobody"
    other = {"Payload": gzip.compress(odc(FILES[:-1]), mtime=0)}
    assert content_of(signed(ours, other), ours.root).digest not in ("", first.digest), "another payload"


def test_who_signed_it_without_apples_word_is_known_by_name():
    ours, theirs = developer_id(), developer_id(name="Eve")
    first = content_of(signed(ours), frozenset())
    assert first.digest not in ("", content_of(signed(ours), ours.root).digest)
    assert content_of(signed(theirs), frozenset()).digest not in ("", first.digest)
    assert content_of(signed(developer_id(end="2037-01-01")), frozenset()) == first


@pytest.mark.parametrize("name", ["karabiner-vhid-1.6.0.pkg", "rtrouton-disable-gatekeeper.pkg"])
def test_a_real_signed_package_has_one_only_if_who_signed_it_was_looked_at(name, tmp_path):
    whole = (CORPUS / name).read_bytes()
    facts = found(whole, tmp_path, signature=True)
    assert facts.content
    assert found(whole, tmp_path).content_unknown == "signature: who signed it is not known (nobody looked)"
    broken = bytearray(whole)
    broken[-len(whole) // 3] ^= 1
    assert found(bytes(broken), tmp_path, signature=True).content == ""
    if facts.signature.notarized:
        without = whole[: whole.rindex(b"s8ch") - 8] if b"s8ch" in whole else whole[:-1810]
        told = found(without, tmp_path, signature=True)
        assert not told.signature.notarized
        assert told.content not in ("", facts.content), "its ticket is judged"


def test_what_is_read_in_one_pass_with_the_signature_is_what_is_read_by_itself(tmp_path):
    plist = info_plist(CFBundleExecutable="Run")
    program = (
        "./Applications/Example.app/Contents/MacOS/Run",
        0o100755,
        Program(developer_id("app"), {1: plist}).made(),
    )
    whole = made([*app(plist=plist, signed=True), program, ("./data", FILE, b"some bytes")])
    assert of(whole, tmp_path, signature=True) == of(whole, tmp_path)
    for name in ("sparkle-DevSignedApp.zip", "brew-caffeine.zip"):
        data = (CORPUS / name).read_bytes()
        assert of(data, tmp_path, signature=True) == of(data, tmp_path)


def test_a_payload_is_read_once_for_both(tmp_path, monkeypatch):
    """Counted at the decompression, which is what a pass costs."""
    plist = info_plist(CFBundleExecutable="Run")
    program = (
        "./Applications/Example.app/Contents/MacOS/Run",
        0o100755,
        Program(developer_id("app"), {1: plist}).made(),
    )
    whole = made([*app(plist=plist), program], scripts=[])
    unpacked: list[int] = []
    make = limits.Budget.decoded

    def counted(budget, size):
        unpacked.append(size)
        make(budget, size)

    monkeypatch.setattr(limits.Budget, "decoded", counted)
    found(whole, tmp_path, signature=True, bundle_id="com.example.app")
    alone, both = sum(unpacked), len(unpacked)
    unpacked.clear()
    found(whole, tmp_path, signature=True, bundle_id="com.example.app")
    assert (sum(unpacked), len(unpacked)) == (alone, both)


# Archives and disk images


def zipped(members, *, when=(2024, 1, 1, 0, 0, 0), method=zipfile.ZIP_DEFLATED, note=b"") -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as archive:
        for name, mode, data in members:
            if name == ".":
                continue
            entry = zipfile.ZipInfo(name.removeprefix("./") + ("/" if mode == FOLDER else ""), when)
            entry.external_attr, entry.compress_type = mode << 16, method
            archive.writestr(entry, data)
        archive.comment = note
    return held.getvalue()


IN_ZIP = [
    *app(folder=".", before=[("a", b"1")]),
    ("Example.app/Contents/link", LINK, b"Resources"),
    ("readme", FILE, b"r"),
]


def test_a_zip_is_known_by_its_files(tmp_path):
    first = of(zipped(IN_ZIP), tmp_path)
    for same in (
        zipped(IN_ZIP, when=(2025, 6, 7, 8, 9, 10)),
        zipped(IN_ZIP[::-1]),
        zipped(IN_ZIP, method=zipfile.ZIP_STORED),
        zipped(IN_ZIP, note=b"made today"),
        b"a program that unpacks it" + zipped(IN_ZIP),
    ):
        assert of(same, tmp_path, signature=True) == first
    for other in (
        [*IN_ZIP[:-1], ("readme", FILE, b"R")],
        [*IN_ZIP[:-1], ("readme", 0o100755, b"r")],
        [*IN_ZIP[:-2], ("Example.app/Contents/link", LINK, b"/tmp"), IN_ZIP[-1]],
        [*IN_ZIP[:-2], ("Example.app/Contents/link", FILE, b"Resources"), IN_ZIP[-1]],
        IN_ZIP[:-1],
    ):
        assert of(zipped(other), tmp_path, signature=True) != first
    assert "there twice" in found(zipped([*IN_ZIP, ("README", FILE, b"x")]), tmp_path).content_unknown


def test_a_file_beside_the_app_that_cannot_be_read_is_nothing_to_its_signature():
    plist = info_plist(CFBundleExecutable="Run")
    code = ("Example.app/Contents/MacOS/Run", 0o100755, Program(developer_id("app"), {1: plist, 3: SEALS}).made())
    data = zipped(
        [*app(folder=".", plist=plist, signed=True), code, ("big", FILE, b"bytes" * 99)], method=zipfile.ZIP_STORED
    )
    damaged = bytearray(data.replace(b"bytesbytes", b"xxxxxxxxxx", 1))
    # Its compression, in its header and in the directory.
    for kind, place, name in ((b"PK\3\4", 8, data.index(b"big")), (b"PK\1\2", 10, data.rindex(b"big"))):
        damaged[data.rindex(kind, 0, name) + place] = 99
    archive = Zip(io.BytesIO(bytes(damaged)), len(damaged))
    gathered = content.ContainerContent(archive, InstallType.ZIP, len(damaged))
    looked = signature.of_contents(
        archive, read_contents(archive, Wish()), Wish(), developer_id("app").root, content=gathered
    )
    assert str(looked) == "signed by Jane Doe (ABCDE12345)"
    assert gathered.finish().why.startswith("big: it is compressed by method 99")


def test_a_disk_image_is_known_by_what_is_on_its_volume():
    """Two real images of one volume, each compressed in its way; and others."""
    names = ("dmgwiz-adc-apfs.dmg", "dmgwiz-lzfse-apfs.dmg", "relic-dummy.dmg", "brew-container.dmg")
    told = [installer.inspect(CORPUS / name, content=True) for name in names]
    assert all(facts.content for facts in told)
    assert len({facts.sha256 for facts in told}) == 4
    assert told[0].content == told[1].content
    assert len({facts.content for facts in told}) == 3
    signed = installer.inspect(CORPUS / "relic-dummy.dmg", signature=True, content=True)
    assert (signed.content, signed.signature.status) == (told[2].content, "adhoc")


def test_the_mode_of_a_file_on_a_volume_is_read_of_its_letters():
    told = {"-rwxr-xr-x": 0o755, "drwxr-xr-t": 0o1755, "-rwsr-Sr--": 0o6744, "": 0, "A": 0, "-r--------": 0o400}
    assert {text: seven_zip._mode(text) for text in told} == told


def test_a_mounted_volume_is_known_by_its_files_and_not_by_its_own(tmp_path):
    def mounted(place: Path) -> str:
        gathered = content.ContainerContent(MountedImage([place]), InstallType.IMAGE, 1 << 20)
        return gathered.finish().digest

    first, second = tmp_path / "first", tmp_path / "second"
    for place in (first, second):
        (place / "A.app" / "Contents").mkdir(parents=True)
        (place / "A.app" / "Contents" / "Run").write_bytes(b"code")
        (place / "Applications").symlink_to("/Applications")
        (place / ".fseventsd").mkdir()
        (place / ".fseventsd" / place.name).write_bytes(place.name.encode())
    told = mounted(first)
    assert told == mounted(second) != ""
    (second / "A.app" / "Contents" / "Run").chmod(0o755)
    assert mounted(second) not in ("", told)
    shutil.rmtree(second / ".fseventsd")
    (second / "A.app" / "Contents" / "Run").chmod((first / "A.app" / "Contents" / "Run").stat().st_mode)
    assert mounted(second) == told
    (second / "Applications").unlink()
    (second / "Applications").symlink_to("/tmp")
    assert mounted(second) not in ("", told)


def test_every_real_installer_has_one_or_says_why(tmp_path):
    folders = [CORPUS, *map(Path, filter(None, [os.environ.get("KANDJI_MORE_INSTALLERS")]))]
    known = {}
    for path in sorted(one for folder in folders for one in folder.iterdir() if one.suffix in (".pkg", ".zip", ".dmg")):
        with contextlib.suppress(InstallerError):
            facts = installer.inspect(path, digest=False, signature=True, content=True)
            assert bool(facts.content) is not bool(facts.content_unknown), path
            known[path.name] = facts.content or facts.content_unknown
    unknown = {name: told for name, told in known.items() if len(told) != 32}
    assert len(known) > 20
    assert set(unknown) <= {"wch-CH34x_Install_V1.4.pkg"}, "its signature is broken"


def test_a_digest_means_the_same_in_each_version_of_this_tool(tmp_path):
    """Notes in Kandji hold it. Who changes what it is made of changes its scheme, too, and each installer is news."""
    assert of(made(), tmp_path) == "96cfee7c41ed7af6290e1cd0fb1d9f4a"
