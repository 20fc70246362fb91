"""Who signed a package: real ones, and each known way to tamper with one."""

from __future__ import annotations

import io
import json
import re
import struct
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from kandji_uploader import installer
from kandji_uploader.cli import main
from kandji_uploader.installer import signature
from kandji_uploader.installer.limits import MalformedError
from kandji_uploader.installer.signature_cms import read_cms
from tests.support import formats, signing
from tests.support.signing import SIGNED_AT, SignedXar, certify, developer_id, root, stamper

CORPUS = Path(__file__).parent.parent / "fixtures" / "corpus"
FILES = {"PackageInfo": formats.package_info(), "Payload": b"payload " * 100, "Scripts": b"#!/bin/sh\n"}
ROOT = developer_id().root
EARLIER = signing.day("2023-05-05")


def looked_at(data: bytes, roots=ROOT):
    return signature.of_package(io.BytesIO(data), len(data), roots=roots)


def signed(who=None, **options):
    return SignedXar(dict(FILES), who or developer_id(), **options).made()


def test_a_signed_package_names_its_signer_and_what_was_verified():
    found = looked_at(signed())

    assert str(found) == "signed by Jane Doe (ABCDE12345)"
    assert (found.status, found.authority, found.of) == ("signed", "developer_id_installer", "package")
    assert found.timestamp == "2024-05-01T12:00:00+00:00"
    assert not found.notarized
    for word in ("RSA and CMS", "certificates", "all 3 files", "timestamp"):
        assert word in "; ".join(found.verified)
    assert "revocation" in "; ".join(found.not_verified)


@pytest.mark.parametrize("options", [{"cms": False}, {"plain": False}, {"hashed_twice": True}], ids=str)
def test_one_of_the_two_signatures_is_enough(options):
    found = looked_at(signed(**options))

    assert str(found) == "signed by Jane Doe (ABCDE12345)"
    assert bool(found.timestamp) is options.get("cms", True)


def test_an_unsigned_package_is_unsigned():
    found = looked_at(SignedXar(dict(FILES)).made())
    assert (str(found), found.name, found.team_id, found.authority) == ("unsigned", None, None, None)


def changed(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new, 1)


def toc(old, new):
    """A change of the TOC's text."""

    def edit(text):
        assert re.search(old, text, re.DOTALL)
        return re.sub(old, new, text, count=1, flags=re.DOTALL)

    return edit


FILE_SUM = r'(<archived-checksum style="sha1">)[0-9a-f]'
SIGNATURE = r'(<signature style="RSA">)<offset>\d+</offset><size>\d+</size>'
CMS = r'(<x-signature style="CMS">)<offset>\d+</offset><size>\d+</size>'
TAMPERED = {
    "a byte of the payload": (lambda: changed(signed(), b"payload ", b"pAyload "), "'Payload'.*changed after signing"),
    "a byte of a script": (lambda: changed(signed(), b"#!/bin/sh", b"#!/bin/zs"), "'Scripts'.*changed after signing"),
    "the TOC rewritten": (
        lambda: signed(edit_later=lambda text: text.replace("Scripts", "Skripts")),
        "does not fit what it signs",
    ),
    "the TOC rewritten, CMS only": (
        lambda: signed(plain=False, edit_later=lambda text: text.replace("Scripts", "Skripts")),
        "what it signs was changed afterwards",
    ),
    "the signature is right while a file's checksum is not": (
        lambda: signed(edit=toc(FILE_SUM, r"\1x")),
        "changed after signing",
    ),
    "a file without a checksum": (
        lambda: signed(edit=toc("<archived-checksum.*?</archived-checksum>", "")),
        "no checksum",
    ),
    "a checksum in MD5": (lambda: signed(edit=toc(FILE_SUM, '<archived-checksum style="md5">a')), "no checksum"),
    "files that overlap": (
        lambda: signed(edit=toc(r"</toc>", "".join(_overlapping(count) for count in range(40)) + "</toc>")),
        "files overlap",
    ),
    "a file outside the archive": (
        lambda: signed(edit=toc(r"<length>\d+</length><offset>\d+", f"<length>1</length><offset>{2**40}")),
        "outside the file",
    ),
    "a signature outside the archive": (
        lambda: signed(edit=toc(SIGNATURE, rf"\1<offset>{2**62}</offset><size>256</size>")),
        "outside the file",
    ),
    "a CMS outside the archive": (
        lambda: signed(edit=toc(CMS, rf"\1<offset>276</offset><size>{2**40}</size>")),
        "outside the file",
    ),
    "a CMS of nothing": (lambda: signed(edit=toc(CMS, r"\1<offset>276</offset><size>0</size>")), "are sane"),
    "a CMS of zeros": (lambda: signed(cms_bytes=bytes(9000)), "cannot be read"),
    "a CMS that breaks off": (
        lambda: signed(cms_bytes=signing.cms_signed(developer_id(), b"x")[:800]),
        "cannot be read|changed",
    ),
    "a plain signature that is too short": (
        lambda: signed(edit=toc(SIGNATURE, r"\1<offset>20</offset><size>255</size>")),
        "does not fit",
    ),
    "a plain signature that is too long": (
        lambda: signed(edit=toc(SIGNATURE, r"\1<offset>20</offset><size>257</size>")),
        "does not fit",
    ),
    "several signatures": (lambda: signed(edit=toc(r"(<signature style.*?</signature>)", r"\1\1")), "several"),
    "two signers": (lambda: signed(plain_by=signing.certify("Other", by=root())), "two signers"),
    "no certificate": (
        lambda: signed(cms=False, edit=toc(r"<X509Certificate>.*</X509Certificate>", "")),
        "no certificate",
    ),
    "a certificate that is none": (
        lambda: signed(edit=toc(r"<X509Certificate>.*?</X509Certificate>", "<X509Certificate>!</X509Certificate>")),
        "certificate.*broken",
    ),
    "a certificate of 15 KiB": (
        lambda: signed(
            edit=toc(r"<X509Certificate>.*?</X509Certificate>", f"<X509Certificate>{'A' * 20_000}</X509Certificate>")
        ),
        "broken|larger than 12 KiB|cannot be read",
    ),
    "the signer's certificate left out of the CMS": (
        lambda: signed(plain=False, cms_options={"bring": [root().certificate]}),
        "certificate is not in it",
    ),
    "the hash in the CMS is another": (lambda: signed(cms_options={"hashed": b"1" * 32}), "changed afterwards"),
    "no checksum of the TOC": (
        lambda: signed(edit=toc('<checksum style="sha1"><offset>0</offset><size>20</size></checksum>', "")),
        "proves nothing",
    ),
    "another checksum than the header says": (
        lambda: signed(edit=toc('<checksum style="sha1">', '<checksum style="md5">')),
        "proves nothing",
    ),
    "a timestamp of another signature": (
        lambda: signed(cms_options={"stamped_over": b"another"}),
        "belongs to another signature",
    ),
    "a timestamp after the certificate had expired": (
        lambda: signed(developer_id(end="2022-01-01")),
        r"expired on 2022-01-01, and the secure timestamp is of 2024-05-01",
    ),
    "an expired certificate without a timestamp": (
        lambda: signed(developer_id(end="2022-01-01"), stamp=None),
        "expired on 2022-01-01, and there is no secure timestamp",
    ),
    "an expired certificate and a timestamp from anybody": (
        lambda: signed(developer_id(end="2022-01-01"), stamp=(stamper("Somebody"), signing.day("2021-01-01"))),
        "expired on 2022-01-01, and there is no secure timestamp",
    ),
    "an expired certificate and a timestamp by a certificate for code": (
        lambda: signed(developer_id(end="2022-01-01"), stamp=(stamper(stamps="code"), signing.day("2021-01-01"))),
        "there is no secure timestamp",
    ),
    "a timestamp by an authority that had expired": (
        lambda: signed(stamp=(stamper(end="2022-01-01"), SIGNED_AT)),
        "'Timestamp Signer' expired on 2022-01-01",
    ),
    "an expired certificate and a timestamp from one who may give none": (
        lambda: signed(developer_id(end="2022-01-01"), stamp=(stamper(stamps=False), signing.day("2021-01-01"))),
        "there is no secure timestamp",
    ),
}


def _overlapping(count):
    return (
        f'<file id="9{count}"><name>{count}</name><data><offset>{count}</offset><length>9000</length>'
        '<archived-checksum style="sha1">00</archived-checksum></data></file>'
    )


@pytest.mark.parametrize(("make", "why"), list(TAMPERED.values()), ids=list(TAMPERED))
def test_tampering_is_found_and_said(make, why):
    found = looked_at(make())

    assert found.status == "broken"
    assert re.search(why, found.why)
    assert (found.name, found.team_id, found.authority, found.verified) == (None, None, None, ())


def test_a_certificate_that_has_expired_since_is_good_with_a_timestamp():
    found = looked_at(signed(developer_id(end="2024-06-01"), stamp=(stamper(), SIGNED_AT)))
    assert str(found) == "signed by Jane Doe (ABCDE12345)"


def test_a_timestamp_that_does_not_count_is_not_told_as_one():
    found = looked_at(signed(stamp=(stamper("Somebody"), EARLIER)))

    assert (found.status, found.timestamp) == ("signed", None)
    assert "the timestamp: it comes from Somebody, which is not Apple's" in "; ".join(found.not_verified)


FOREIGN = {
    "a root of one's own with Apple's marks": lambda: developer_id(name="Mozilla Corporation", team="43AQ936H96"),
    "a root that is called Apple's": lambda: developer_id(root_name="Apple Root CA"),
    "no chain at all": lambda: certify("Developer ID Installer: Jane Doe (ABCDE12345)", marks=[signing.INSTALLER]),
}


@pytest.mark.parametrize("make", list(FOREIGN.values()), ids=list(FOREIGN))
def test_what_does_not_lead_to_apple_never_passes_as_developer_id(make):
    found = looked_at(signed(make()), signature.APPLE_ROOTS)

    assert (found.status, found.authority, found.team_id) == ("signed", "other", None)
    assert "for whom Apple does not vouch" in str(found)
    assert "not Apple's" in "; ".join(found.verified)


def test_an_authority_that_is_none_vouches_for_nobody():
    """The holder of an ordinary certificate cannot issue others with it, nor one whose authority ends before."""
    ordinary = developer_id()
    below = certify("Developer ID Installer: Evil (EVIL123456)", by=ordinary, marks=[signing.INSTALLER])
    short = certify("Short", by=root(), ca=True, path_length=0, marks=[signing.DEVELOPER_ID_CA])
    deep = certify("Deep", by=short, ca=True, marks=[signing.DEVELOPER_ID_CA])

    for who in (below, certify("Evil", by=deep, marks=[signing.INSTALLER])):
        found = looked_at(signed(who))
        assert (found.authority, found.team_id) == ("other", None)


def test_a_chain_that_only_bears_the_names_of_a_root_does_not_lead_to_it():
    """The real root is brought along, but it has issued nothing of this."""
    forged = certify("Example Root CA", ca=True, key_name="ca forged")
    above = certify("Developer ID Certification Authority", by=forged, ca=True, marks=[signing.DEVELOPER_ID_CA])
    who = certify("Developer ID Installer: Jane Doe (ABCDE12345)", by=above, marks=[signing.INSTALLER])
    brought = {"bring": [who.certificate, above.certificate, root().certificate]}
    found = looked_at(signed(who, plain=False, cms_options=brought))

    assert (found.status, found.authority, found.team_id) == ("signed", "other", None)


def test_developer_id_comes_only_from_its_own_authority():
    above = certify("Apple Worldwide Developer Relations", by=root(), ca=True)
    found = looked_at(signed(certify("Developer ID Installer: Jane Doe", by=above, marks=[signing.INSTALLER])))

    assert (found.status, found.authority) == ("signed", "other")


def test_developer_id_application_is_none_for_a_package():
    found = looked_at(signed(developer_id("app")))
    assert (found.status, found.authority) == ("signed", "other")


def test_a_cms_of_100_mb_is_refused_without_being_read(tmp_path):
    size = 100 << 20
    data = signed(edit=toc(CMS, rf"\1<offset>276</offset><size>{size}</size>"))
    path = tmp_path / "Big.pkg"
    path.write_bytes(data)
    with path.open("r+b") as file:
        file.truncate(size + len(data))
        tracemalloc.start()
        found = signature.of_package(file, size + len(data), roots=ROOT)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert "104,857,600 bytes; up to 192 KiB" in found.why
    assert peak < 4 << 20


def _crowded(certificates, signers):
    """A CMS of 190 KiB whose parts are many and tiny."""

    def part(tag, data):
        return bytes([tag, 0x83]) + len(data).to_bytes(3, "big") + data

    data_type, signed_type = (bytes.fromhex(f"06092a864886f70d01070{number}") for number in (1, 2))
    body = b"\2\1\1" + part(0x31, b"") + part(0x30, data_type) + part(0xA0, certificates) + part(0x31, signers)
    return part(0x30, signed_type + part(0xA0, part(0x30, body)))


@pytest.mark.parametrize(
    "parts", [(b"\x30\0" * 95_000, b"\x30\0"), (b"", b"\x30\0" * 95_000)], ids=["certificates", "signers"]
)
def test_a_crowded_cms_costs_little(parts):
    before = time.process_time()
    with pytest.raises(MalformedError):
        read_cms(_crowded(*parts), b"content", ROOT)
    assert time.process_time() - before < 2


def test_names_in_certificates_cannot_play_with_the_terminal(capsys, tmp_path):
    who = certify("Developer ID Installer: A\x1b[2J\u202eB (ABCDE12345)", unit="\x1b[31mTEAM")
    path = tmp_path / "Evil.pkg"
    path.write_bytes(SignedXar({"PackageInfo": FILES["PackageInfo"]}, who, stamp=None).made())

    assert main(["inspect", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "Signature " in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_inspect_shows_the_signer_and_json_has_the_whole_value(capsys):
    path = str(CORPUS / "rtrouton-disable-gatekeeper.pkg")
    assert main(["inspect", path]) == 0
    assert "Signature       signed by Rich Trouton (XF95CST45F) (of the package)" in capsys.readouterr().out

    assert main(["inspect", "--json", path]) == 0
    told = json.loads(capsys.readouterr().out)["signature"]
    words = "status name team_id authority timestamp notarized of why verified not_verified"
    assert list(told) == words.split()
    assert (told["status"], told["authority"], told["of"]) == ("signed", "developer_id_installer", "package")


@pytest.mark.parametrize("module", ["cryptography", "asn1crypto"])
def test_without_the_libraries_nothing_is_looked_at_and_the_pip_line_is_told(module):
    program = f"import sys; sys.modules[{module!r}] = None; from kandji_uploader.cli import main; main(sys.argv[1:])"
    words = [sys.executable, "-c", program, "inspect", str(CORPUS / "rtrouton-disable-gatekeeper.pkg")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)

    assert f"not looked at: install {module}" in done.stdout
    assert "-m pip install" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_no_run_that_does_not_ask_imports_them():
    program = (
        "import sys; from kandji_uploader import installer; installer.inspect(sys.argv[1]);"
        "print([name for name in ('cryptography', 'asn1crypto') if name in sys.modules])"
    )
    words = [sys.executable, "-c", program, str(CORPUS / "rtrouton-disable-gatekeeper.pkg")]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == "[]"


KARABINER = (CORPUS / "karabiner-vhid-1.6.0.pkg").read_bytes()


def test_a_stapled_ticket_counts_where_apple_signed_it_for_this_package():
    found = looked_at(KARABINER, signature.APPLE_ROOTS)

    assert (str(found), found.notarized) == ("signed by Fumihiko Takayama (G43BCU2T37)", True)
    assert "the notarization ticket" in found.verified
    assert found.timestamp == "2020-10-03T01:04:36+00:00"


def test_the_pinned_root_is_the_one_in_real_signatures():
    facts = installer.inspect(CORPUS / "karabiner-vhid-1.6.0.pkg", signature=True)
    assert "the certificates up to Apple Root CA" in facts.signature.verified


def _ticket():
    length = struct.unpack("<4sHHII", KARABINER[-16:])[3]
    return KARABINER[-16 - length :]


def _with_hash():
    """A ticket made to name this package: only Apple's signature over it gives it away."""
    data = signed()
    at = _ticket().index(b"g8tk") + 25
    _, size, _, stored, _, _ = struct.unpack(">4sHHQQI", data[:28])
    checksum = data[size + stored : size + stored + 20]
    return data + _ticket()[:at] + checksum + _ticket()[at + 20 :]


def _forged():
    """A ticket that fits and names this package, from somebody with Apple's mark but not from Apple."""
    data, mark = signed(), "1.2.840.113635.100.6.1.30"
    who = certify("Software Ticket Signing", by=root(), marks=[mark], key_name="ca ticket")
    _, size, _, stored, _, _ = struct.unpack(">4sHHQQI", data[:28])
    return data + signing.ticket(who, [data[size + stored : size + stored + 20]])


TICKETS = {
    "by somebody else": (_forged, "not signed by Apple"),
    "of another package": (lambda: signed() + _ticket(), "about something else"),
    "changed": (lambda: signed() + changed(_ticket(), b"g8tk", b"g9tk"), "cannot be read|does not fit"),
    "with another hash in it": (_with_hash, "does not fit"),
    "that breaks off": (lambda: signed() + _ticket()[:100] + struct.pack("<4sHHII", b"t8lr", 1, 2, 100, 0), "read"),
    "of three bytes": (lambda: signed() + b"abc" + struct.pack("<4sHHII", b"t8lr", 1, 2, 3, 0), "cannot be read"),
    "of zeros": (lambda: signed() + bytes(100) + struct.pack("<4sHHII", b"t8lr", 1, 2, 100, 0), "cannot be read"),
}


@pytest.mark.parametrize(("make", "why"), list(TICKETS.values()), ids=list(TICKETS))
def test_a_ticket_that_is_not_this_packages_makes_nothing_notarized(make, why):
    found = looked_at(make())

    assert (found.status, found.notarized) == ("signed", False)
    assert re.search("the stapled notarization ticket: .*(" + why + ")", "; ".join(found.not_verified))
