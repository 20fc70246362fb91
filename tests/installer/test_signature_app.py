"""Who signed an app: in a zip, in the payload of an unsigned package, in a disk image; and each way to tamper."""

from __future__ import annotations

import io
import plistlib
import re
import stat
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from asn1crypto import core

from kandji_uploader import installer
from kandji_uploader.installer import signature
from kandji_uploader.installer.choice import Wish
from kandji_uploader.installer.contents import read_contents
from kandji_uploader.installer.package import read_package
from kandji_uploader.installer.zips import Zip
from kandji_uploader.models import Settings
from kandji_uploader.publish import signers
from kandji_uploader.publish.signers import Looked
from tests.support import formats, signing
from tests.support.formats import FILE, FOLDER, bom, component, package_info, payload, xar
from tests.support.signing import Program, SignedXar, certify, developer_id, fat, root, stamper

pytestmark = pytest.mark.filterwarnings("ignore:Duplicate name")
CORPUS = Path(__file__).parent.parent / "fixtures" / "corpus"
INFO = formats.info_plist(CFBundleExecutable="Run")
SEAL = b"<plist><dict/></plist>"
ROOT = developer_id("app").root
PARTS = {1: INFO, 3: SEAL}
STORE = "1.2.840.113635.100.6.1.9"


def program(who=None, **options):
    return Program(who or developer_id("app"), dict(PARTS), **options).made()


def adhoc(**options):
    return Program(None, dict(PARTS), flags=2, stamp=None, **options).made()


def members(code, info=INFO, seal=SEAL, more=()):
    found = [
        ("A.app/", FOLDER, b""),
        ("A.app/Contents/Info.plist", FILE, info),
        ("A.app/Contents/MacOS/Run", FILE, code),
    ]
    found += [("A.app/Contents/_CodeSignature/CodeResources", FILE, seal)] if seal is not None else []
    return [*found, *more]


def zipped(listed):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, mode, data in listed:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return made.getvalue()


def in_zip(code, roots=ROOT, **options):
    data = zipped(members(code, **options))
    container = Zip(io.BytesIO(data), len(data))
    return signature.of_contents(container, read_contents(container, Wish()), Wish(), roots)


def in_package(listed, roots=ROOT, location="/Applications", wrap=payload):
    data = xar(component(info=package_info(location=location), payload=wrap(listed)))
    file = io.BytesIO(data)
    return signature.of_package(file, len(data), read_package(file, len(data), Wish()), Wish(), roots)


def test_a_signed_app_names_its_signer_and_what_was_looked_at():
    found = in_zip(program())

    assert str(found) == "signed by Jane Doe (ABCDE12345)"
    assert (found.authority, found.of, found.timestamp) == (
        "developer_id_application",
        "app",
        "2024-05-01T12:00:00+00:00",
    )
    assert "main executable, Info.plist and CodeResources" in found.verified[0]
    assert "revocation" in "; ".join(found.not_verified)


SHAPES = {
    "SHA-1 alone": lambda: program(algorithms=("sha1",)),
    "SHA-1 and SHA-256": lambda: program(algorithms=("sha1", "sha256")),
    "SHA-384": lambda: program(algorithms=("sha256", "sha384")),
    "pages of 16 KiB": lambda: program(page=14),
    "one page for all": lambda: program(page=0),
    "fat": lambda: fat(program(), program(code=b"arm " * 3000)),
    "larger than a block": lambda: program(code=b"large " * 100_000),
}


@pytest.mark.parametrize("make", list(SHAPES.values()), ids=list(SHAPES))
def test_every_shape_of_a_program_is_read(make):
    assert str(in_zip(make())) == "signed by Jane Doe (ABCDE12345)"


@pytest.mark.parametrize("wrap", [payload, lambda listed: formats.pbzx(formats.odc(listed), block=4096)])
def test_the_app_in_an_unsigned_package_stands_for_it(wrap):
    listed = [(f"./{name}", mode, data) for name, mode, data in members(program())]
    found = in_package(listed, wrap=wrap)

    assert (str(found), found.of) == ("signed by Jane Doe (ABCDE12345)", "app")
    assert "the package around the app: nobody signed its scripts" in "; ".join(found.not_verified)
    assert (in_package(listed[::-1], wrap=wrap)) == found


def test_the_payload_may_be_the_inside_of_the_app():
    listed = [(f"./{name}".replace("A.app/", ""), mode, data) for name, mode, data in members(program())[1:]]
    assert str(in_package(listed, location="/Applications/A.app")) == "signed by Jane Doe (ABCDE12345)"


def test_a_signed_package_speaks_for_itself():
    listed = [(f"./{name}", mode, data) for name, mode, data in members(adhoc())]
    data = SignedXar({"PackageInfo": package_info(), "Payload": payload(listed)}, developer_id()).made()
    file = io.BytesIO(data)
    found = signature.of_package(file, len(data), read_package(file, len(data), Wish()), Wish(), ROOT)

    assert (found.of, found.authority) == ("package", "developer_id_installer")


def test_a_package_whose_own_signature_was_taken_off_does_not_pass_by_the_app_in_it():
    """Whoever takes it off can put scripts into it that run as root, and leave the app as it was."""
    listed = [(f"./{name}", mode, data) for name, mode, data in members(program())]
    files = {"PackageInfo": package_info(location="/Applications"), "Payload": payload(listed)}
    data = SignedXar(files, developer_id()).made()
    whole = Looked.at(signature.of_package(io.BytesIO(data), len(data), roots=ROOT))
    bare, alone = Looked.at(in_package(listed)), Looked.at(in_zip(program()))
    settings = Settings("https://x.api.kandji.io")

    assert signers.problem(bare, whole.signer, settings) == (
        "the app in it is signed by Jane Doe (ABCDE12345), and nobody signed the package with its scripts, while the "
        "version before it was signed by Jane Doe (ABCDE12345). If that is right, set allow_signer_change to ABCDE12345"
    )
    assert not signers.problem(bare, whole.signer, replace(settings, allow_signer_change="ABCDE12345"))
    for looked, before in ((whole, whole), (whole, bare), (alone, whole), (bare, bare), (bare, alone)):
        assert not signers.problem(looked, before.signer, settings), "what nobody can have added scripts to goes on"


def test_a_package_in_a_zip_is_looked_at():
    inner = SignedXar({"PackageInfo": package_info()}, developer_id()).made()
    data = zipped([("One.pkg", FILE, inner), ("Two.pkg", FILE, inner)])
    container = Zip(io.BytesIO(data), len(data))
    found = signature.of_contents(container, read_contents(container, Wish()), Wish(), ROOT)

    assert (str(found), found.of) == ("signed by Jane Doe (ABCDE12345)", "package")
    assert "the other packages in it: Two.pkg" in found.not_verified


def test_of_several_packages_the_one_that_brings_the_app_counts():
    listed = [(f"./{name}", mode, data) for name, mode, data in members(adhoc())]
    files = {"PackageInfo": package_info("com.example.two", location="/Applications"), "Payload": payload(listed)}
    two = SignedXar(files, developer_id()).made()
    data = zipped([("One.pkg", FILE, SignedXar({"PackageInfo": package_info("one")}).made()), ("Two.pkg", FILE, two)])
    container = Zip(io.BytesIO(data), len(data))
    found = signature.of_contents(container, read_contents(container, Wish()), Wish(), ROOT)

    assert (found.status, found.of) == ("signed", "package")
    assert "the other packages in it: One.pkg" in found.not_verified


@pytest.mark.parametrize("make", [adhoc, lambda: fat(adhoc(), adhoc()), lambda: fat(adhoc(), bytes_of_no_signature())])
def test_an_ad_hoc_seal_names_nobody(make):
    found = in_zip(make())
    assert (str(found), found.name, found.team_id, found.authority) == ("ad hoc", None, None, None)


DRESSED = {
    "by the Team ID that it names": lambda: adhoc(team="43AQ936H96"),
    "by a CMS, while its flags say ad hoc": lambda: program(flags=2),
}


@pytest.mark.parametrize("make", list(DRESSED.values()), ids=list(DRESSED))
def test_an_ad_hoc_seal_dressed_as_developer_id_stays_ad_hoc(make):
    found = in_zip(make())
    assert (found.status, found.name, found.team_id) == ("adhoc", None, None)


def bytes_of_no_signature():
    return b"\xcf\xfa\xed\xfe" + struct.pack("<7I", 0x1000007, 3, 2, 0, 0, 0, 0) + bytes(5000)


def test_unsigned_apps_are_unsigned():
    for found in (
        in_zip(bytes_of_no_signature(), seal=None),
        in_zip(b"#!/bin/sh\n", seal=None),
        in_package([(f"./{name}", mode, data) for name, mode, data in members(bytes_of_no_signature())]),
    ):
        assert (found.status, found.of) == ("unsigned", "app")


def test_a_package_whose_own_list_has_no_seal_is_not_read_to_its_end():
    listed = [(f"./{name}", mode, data) for name, mode, data in members(program())]
    for paths, status in (([name for name, *_ in listed], "signed"), (["./A.app/Contents/Info.plist"], "unsigned")):
        files = component(info=package_info(location="/Applications"), payload=payload(listed), listing=bom(paths))
        data = xar(files)
        file = io.BytesIO(data)
        found = signature.of_package(file, len(data), read_package(file, len(data), Wish()), Wish(), ROOT)
        assert (found.status, found.of) == (status, "app")
        assert "the package around the app" in "; ".join(found.not_verified)


def test_a_script_with_a_seal_is_not_looked_at_and_said():
    found = in_zip(b"#!/bin/sh\n")
    assert str(found) == "not looked at: its main executable is a script, whose signature is beside it"


def test_two_equal_apps_are_not_guessed_between():
    data = zipped([*members(program()), *((name.replace("A", "B", 1), *rest) for name, *rest in members(program()))])
    container = Zip(io.BytesIO(data), len(data))
    found = signature.of_contents(container, read_contents(container, Wish()), Wish(), ROOT)
    assert str(found) == "not looked at: several apps have an equal claim"

    wish = Wish(app_name="B")
    assert signature.of_contents(container, read_contents(container, wish), wish, ROOT).status == "signed"


def changed(data, old, new, count=1):
    assert old in data
    return data.replace(old, new, count)


def doubled(name, data):
    """The app, then other things, then another file in the place of one of the app's own."""
    return [*members(program()), ("B/x", FILE, b"x"), (name, FILE, data)]


def in_payload(listed):
    return in_package([(f"./{name}", mode, data) for name, mode, data in listed])


def linked():
    link = ("A.app/Contents/MacOS/Run", stat.S_IFLNK | 0o755, b"/bin/sh")
    return [one for one in members(program()) if not one[0].endswith("Run")] + [link]


OTHER_ROOT = developer_id("app", root_name="Another Root CA", name="Evil")
NAMED_OTHERS = (
    "1.2.840.113635.100.9.1",
    core.OctetString(plistlib.dumps({"cdhashes": [b"1" * 20, b"2" * 20]})).dump(),
)
TAMPERED = {
    "a byte of code": (
        lambda: in_zip(changed(program(), b"code code", b"code c0de")),
        r"program was changed.*\(page 0",
    ),
    "a byte of the last page": (
        lambda: in_zip(changed(program(code=b"x" * 9000 + b"END"), b"END", b"DNE")),
        r"program was changed.*\(page 2",
    ),
    "a byte of one architecture": (
        lambda: in_zip(fat(program(), changed(program(), b"code code", b"code c0de"))),
        "program was changed",
    ),
    "a byte of code, in a payload": (
        lambda: in_package(
            [(f"./{name}", mode, data) for name, mode, data in members(changed(program(), b"code code", b"code c0de"))]
        ),
        "program was changed",
    ),
    "Info.plist": (lambda: in_zip(program(), info=INFO.replace(b"1.2.3", b"9.9.9")), "Info.plist was changed"),
    "CodeResources": (lambda: in_zip(program(), seal=SEAL + b" "), "CodeResources was changed"),
    "CodeResources taken away": (lambda: in_zip(program(), seal=None), "CodeResources is missing"),
    "Info.plist never sealed": (
        lambda: in_zip(Program(developer_id("app"), {3: SEAL}).made()),
        "does not cover Info.plist",
    ),
    "a second program in its place": (lambda: _of(doubled("A.app/Contents/MacOS/Run", b"evil")), "two files called"),
    "a second program in another case": (lambda: _of(doubled("A.app/Contents/macos/RUN", b"evil")), "two files called"),
    "a second program, in a payload": (
        lambda: in_payload(doubled("A.app/Contents/MacOS/Run", b"evil")),
        "two files called 'Contents/MacOS/Run'",
    ),
    "a second program in another case, in a payload": (
        lambda: in_payload(doubled("A.app/Contents/macOS/run", b"evil")),
        "two files called",
    ),
    "a second Info.plist": (lambda: in_payload(doubled("A.app/Contents/Info.plist", INFO)), "two files called"),
    "entitlements": (
        lambda: in_zip(changed(program(), b"<plist/>", b"<PLIST/>")),
        "entitlements was changed|entitlements",
    ),
    "entitlements added": (lambda: in_zip(program(blobs={7: signing.blob(0xFADE7172, b"x")})), "not cover"),
    "code directory": (
        lambda: in_zip(changed(program(), b"com.example.app", b"com.example.apq")),
        "changed afterwards",
    ),
    "a second code directory that nobody signed": (
        lambda: in_zip(program(algorithms=("sha1", "sha256"), cms_more=[])),
        "cannot be read|not signed",
    ),
    "a second code directory that is not among those named": (
        lambda: in_zip(program(algorithms=("sha1", "sha256"), cms_more=[NAMED_OTHERS])),
        "one of its code directories is not signed",
    ),
    "the signature taken from one architecture": (
        lambda: in_zip(fat(program(), bytes_of_no_signature())),
        "not all of its architectures",
    ),
    "one architecture ad hoc": (lambda: in_zip(fat(program(), adhoc())), "not all of its architectures"),
    "two signers": (lambda: in_zip(fat(program(), program(OTHER_ROOT))), "not all of its architectures"),
    "the main executable a link": (lambda: _of(linked()), "'Run' is missing"),
    "another team than the certificate's": (
        lambda: in_zip(program(team="43AQ936H96")),
        "team '43AQ936H96'.*ABCDE12345",
    ),
    "2^60 pages": (lambda: in_zip(program(limit=2**60)), "does not cover the program up to"),
    "2^32 pages": (lambda: in_zip(program(fields={7: 2**32 - 1})), "more pages than there is room"),
    "2^32 special slots": (lambda: in_zip(program(fields={6: 2**32 - 1})), "more pages than there is room"),
    "fewer pages": (lambda: in_zip(program(fields={7: 1})), "number of pages"),
    "covers less": (lambda: in_zip(program(fields={8: 4096, 7: 1})), "does not cover the program up to"),
    "covers itself": (lambda: in_zip(program(fields={8: 30_000, 7: 8})), "cover|pages"),
    "a page of 2^200 bytes": (lambda: in_zip(program(fields={12: 200})), "not known"),
    "an unknown hash": (lambda: in_zip(program(fields={10: 9})), "hash is not known"),
    "10,000 architectures": (lambda: in_zip(fat(program(), count=10_000)), "10,000 architectures; up to 16"),
    "architectures that overlap": (lambda: in_zip(fat(program(), program(), overlap=16)), "overlap"),
    "a fat header and no more": (lambda: in_zip(fat(program())[:10]), "cut off"),
    "a signature over the code": (lambda: in_zip(program(at=40)), "overlaps the code"),
    "a signature outside": (lambda: in_zip(program(at=2**31)), "beyond the end"),
    "a signature of 4 GiB": (lambda: in_zip(program(room=2**32 - 1)), "beyond all measure"),
    "bytes after the signature": (lambda: in_zip(program() + b"more"), "bytes follow it"),
    "load commands beyond the file": (lambda: in_zip(program(commands=5000)), "cut off"),
    "no signature in its place": (lambda: in_zip(program(room=0)), "cut off|bytes follow"),
    "a CMS that is none": (lambda: in_zip(program(cms_bytes=b"0\x80nonsense")), "cannot be read"),
    "a CMS of another program": (
        lambda: in_zip(program(cms_bytes=signing.cms_signed(developer_id("app"), b"another"))),
        "changed afterwards",
    ),
    "an expired certificate without a timestamp": (
        lambda: in_zip(program(developer_id("app", end="2022-01-01"), stamp=None)),
        "expired on 2022-01-01, and there is no secure timestamp",
    ),
}


def _of(listed):
    data = zipped(listed)
    container = Zip(io.BytesIO(data), len(data))
    return signature.of_contents(container, read_contents(container, Wish()), Wish(), ROOT)


@pytest.mark.parametrize(("look", "why"), list(TAMPERED.values()), ids=list(TAMPERED))
def test_tampering_is_found_and_said(look, why):
    found = look()

    assert found.status == "broken", found
    assert re.search(why, found.why)
    assert (found.name, found.team_id, found.authority, found.verified) == (None, None, None, ())


def test_a_certificate_that_has_expired_since_is_good_with_a_timestamp():
    who = developer_id("app", end="2024-06-01")
    assert str(in_zip(program(who, stamp=(stamper(), signing.SIGNED_AT)))) == "signed by Jane Doe (ABCDE12345)"


def test_what_does_not_lead_to_apple_never_passes_as_developer_id():
    found = in_zip(program(), signature.APPLE_ROOTS)

    assert (found.status, found.authority, found.team_id) == ("signed", "other", None)
    assert "for whom Apple does not vouch" in str(found)


AUTHORITIES = {
    "apple": (("Apple Code Signing Certification Authority", []), ("Software Signing", [], "Apple"), None),
    "mac_app_store": (
        ("WWDR", []),
        ("Apple Mac OS Application Signing", [STORE], "Apple"),
        signing.TEAM,
    ),
    "other": (
        ("WWDR", []),
        ("Apple Development: Jane (XYZ)", ["1.2.840.113635.100.6.1.12"], signing.TEAM),
        signing.TEAM,
    ),
}


@pytest.mark.parametrize("authority", AUTHORITIES)
def test_apple_the_store_and_developers_are_told_apart(authority):
    (issuer, marks), (name, leaf_marks, unit), team = AUTHORITIES[authority]
    above = certify(issuer, by=root(), ca=True, marks=marks)
    found = in_zip(program(certify(name, by=above, marks=leaf_marks, unit=unit)))

    assert (found.status, found.authority, found.team_id) == ("signed", authority, team)


def test_real_notarized_code_is_known_by_its_ticket():
    """Karabiner's ticket names the app in its payload, too: stapled to that app it counts, to another it does not."""
    whole = CORPUS / "karabiner-vhid-1.6.0.pkg"
    data = whole.read_bytes()
    length = struct.unpack("<4sHHII", data[-16:])[3]
    ticket = data[-16 - length : -16]
    listed = _payload_of(data, "Applications/.Karabiner-VirtualHIDDevice-Manager.app")
    assert len(listed) > 3

    found = _of_real([*listed, ("K.app/Contents/CodeResources", FILE, ticket)])
    assert (str(found), found.notarized) == ("signed by Fumihiko Takayama (G43BCU2T37)", True)
    assert found.authority == "developer_id_application"
    assert not _of_real(listed).notarized
    other = in_zip(program(), more=[("A.app/Contents/CodeResources", FILE, ticket)])
    assert (other.status, other.notarized) == ("signed", False)
    assert "the stapled notarization ticket: it is about something else" in other.not_verified


def _of_real(listed):
    data = zipped(listed)
    container = Zip(io.BytesIO(data), len(data))
    return signature.of_contents(container, read_contents(container, Wish()), Wish())


def _payload_of(data, path):
    from kandji_uploader.installer import xar as reader
    from kandji_uploader.installer.cpio import Cpio
    from kandji_uploader.installer.limits import Budget
    from kandji_uploader.installer.payload import decode

    archive = reader.open_archive(io.BytesIO(data), len(data), frozenset({"Payload"}))
    budget = Budget("Payload", len(data))
    found = Cpio(decode(archive.stream(archive.entries[0]), budget), budget)
    return [
        (one.name.decode().replace(path, "K.app"), one.mode, found.read(1 << 24))
        for one in found
        if one.name.decode().startswith(f"{path}/") and one.regular
    ]


def test_inspect_asks_for_it_only_when_told():
    path = CORPUS / "sparkle-DevSignedApp.zip"

    assert installer.inspect(path).signature is None
    assert str(installer.inspect(path, signature=True).signature) == "signed by Mayur Pawashe (ZCK58M894E)"


@pytest.mark.parametrize("first", [True, False], ids=["before the others", "between them"])
def test_a_zip_with_a_file_that_its_directory_does_not_list_is_broken(first):
    """A program that unpacks while it reads would unpack it, too."""
    listed = [("A.app/Contents/Resources/app/main.js", FILE, b"evil()"), *members(program())]
    data = zipped(listed if first else [listed[1], listed[0], *listed[2:]])
    at = data.index(b"PK\1\2")
    entries = data[at : data.index(b"PK\5\6")].split(b"PK\1\2")[1:]
    kept = b"".join(b"PK\1\2" + entry for entry in entries if b"main.js" not in entry)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(entries) - 1, len(entries) - 1, len(kept), at, 0)
    found = _of_archive(data[:at] + kept + end)
    assert found.why == "central directory: it leaves out a file that is between the others: the .zip is hostile"

    hidden = data[:at] + data[at:].replace(listed[0][0].encode(), b"r" * len(listed[0][0]))
    assert "its header says otherwise than the directory" in _of_archive(hidden).why, "another name in the directory"
    assert _of_archive(zipped([*members(program()), ("readme", FILE, b"PK\3\4" * 20)])).status == "signed"


def _renamed(name):
    """An extra field by which a file has another name."""
    return struct.pack("<2HBI", 0x7075, 5 + len(name), 1, 0) + name


LIES = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, 46, 0, 0)
ADDED = "A.app/Contents/Resources/app.js"
SEVERAL_ZIPS = {
    "a name with backslashes": ("readme", {"filename": ADDED.replace("/", "\\")}, "Info-ZIP makes folders"),
    "a second name": ("readme", {"extra": _renamed(ADDED.encode())}, "its extra field gives it another name"),
    "a link for some only": (ADDED, {"create_system": 0, "external_attr": 0o120755 << 16}, f"but for {ADDED[6:]}"),
    "a folder for some only": (ADDED, {"external_attr": 0o040755 << 16}, f"but for {ADDED[6:]}"),
}


@pytest.mark.parametrize(("name", "about", "why"), list(SEVERAL_ZIPS.values()), ids=list(SEVERAL_ZIPS))
def test_a_file_of_a_zip_is_what_it_is_for_each_program_that_unpacks_it(name, about, why):
    made = io.BytesIO(zipped(members(program())))
    with zipfile.ZipFile(made, "a") as archive:
        info = zipfile.ZipInfo(name)
        for key, value in about.items():
            setattr(info, key, value)
        archive.writestr(info, b"evil()")
    found = _of_archive(made.getvalue())

    assert found.team_id is None
    assert why in found.why


@pytest.mark.parametrize(
    "make",
    [
        lambda data, end: data + struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 0, 0, 0, 0, 0, 0, *end) + bytes(20) + LIES,
        lambda data, _: b"#!stub" + data + zipped(members(program()))[-22:],
        lambda data, _: data + zipped(members(program()))[-22:] + b"more",
    ],
    ids=["in a record that nothing points to", "behind something", "before something"],
)
def test_a_zip_has_one_directory_for_each_program_that_unpacks_it(make):
    whole = zipped(members(program()))
    start, end = whole.index(b"PK\1\2"), whole.index(b"PK\5\6")
    found = _of_archive(make(whole[:end], (end - start, start)))
    assert found.why == "central directory: where it is, is told in several ways: the .zip is hostile"


def test_two_teams_of_the_app_store_do_not_share_an_app():
    """Apple signs both, by the same certificate."""
    seller = certify(
        "Apple Mac OS Application Signing", by=certify("WWDR", by=root(), ca=True), marks=[STORE], unit="A"
    )
    assert in_zip(fat(program(seller), program(seller, code=b"arm " * 3000))).authority == "mac_app_store"
    found = in_zip(fat(program(seller), program(seller, code=b"arm " * 3000, team="ZZZZZ99999")))
    assert "not all of its architectures are signed by the same one" in found.why


def _of_archive(data, roots=ROOT, wish=None):
    container = Zip(io.BytesIO(data), len(data))
    wish = wish or Wish()
    return signature.of_contents(container, read_contents(container, wish), wish, roots)


def test_an_app_beside_a_package_speaks_for_itself_where_it_is_meant():
    """A signed package that brings no app must not lend its signer to an app of anybody's beside it."""
    package = (CORPUS / "rtrouton-disable-gatekeeper.pkg").read_bytes()
    data = zipped([("Good.pkg", FILE, package), *members(adhoc())])
    assert _of_archive(data, signature.APPLE_ROOTS, Wish(app_name="Another.app")).status == "adhoc"


@pytest.mark.parametrize(("at", "value"), [(18, 7), (22, 7), (30, ord("X"))], ids=["stored size", "size", "name"])
def test_a_zip_whose_headers_say_otherwise_than_its_directory_is_broken(tmp_path, at, value):
    """A program that goes by the headers would unpack another app than the one that was looked at."""
    path = tmp_path / "Hidden.zip"
    with zipfile.ZipFile(CORPUS / "sparkle-DevSignedApp.zip") as made, zipfile.ZipFile(path, "w") as copy:
        for info in made.infolist():
            copy.writestr(info, made.read(info))
    data = bytearray(path.read_bytes())
    program = data.index(b"DevSignedApp.app/Contents/MacOS/SignedApp") - 30
    assert data[program : program + 4] == b"PK\3\4"
    data[program + at] = value
    path.write_bytes(data)
    found = installer.inspect(path, signature=True).signature

    assert (found.status, found.team_id) == ("broken", None)
    assert "its header says otherwise than the directory of the .zip" in found.why
