"""Broken and hostile installers: one clean error that names file, place and reason, quickly and in little memory."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zipfile

import pytest

from kandji_uploader import installer
from kandji_uploader.errors import InstallerError
from kandji_uploader.installer import limits
from tests.support import formats, measured
from tests.support.formats import FILE, LINK, Stored, app, component, odc, package_info, payload, xar

MIB = 1 << 20
# What a bomb takes is minutes and gigabytes; a machine that does something else takes three times as long, too.
SECONDS, PEAK = 6.0, 128 * MIB

TOC_START = b'<?xml version="1.0"?><xar><toc>'
TOC_END = b"</toc></xar>"


def _entities() -> bytes:
    named = "".join(f'<!ENTITY a{number} "{f"&a{number - 1};" * 10}">' for number in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "lol">{named}]><xar><toc>&a9;</toc></xar>'.encode()


def _file(offset, length) -> bytes:
    return (
        f"<file><name>Payload</name><type>file</type><data><offset>{offset}</offset><length>{length}</length>"
        f'<size>1</size><encoding style="application/octet-stream"/></data></file>'
    ).encode()


def _toc(content: bytes, **options) -> bytes:
    return xar([], toc=TOC_START + content + TOC_END, **options)


TOCS = {
    "bomb of spaces": lambda: _toc(b" " * (64 * MIB)),
    "bomb with a false length": lambda: _toc(b" " * (64 * MIB), declared=1000),
    "bomb of a name": lambda: _toc(b"<file><name>" + b"a" * (17 * MIB) + b"</name></file>"),
    "longer than said": lambda: _toc(b"   ", declared=10),
    "shorter than said": lambda: _toc(b"   ", declared=10_000),
    "very long when said": lambda: _toc(b"   ", declared=2**64 - 1),
    "entities": lambda: xar([], toc=_entities()),
    "external entity": lambda: xar(
        [], toc=b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><xar><toc>&e;</toc></xar>'
    ),
    "20,000 deep": lambda: _toc(b"<file>" * 20_000 + b"</file>" * 20_000),
    "deep and not closed": lambda: _toc(b"<file>" * 20_000),
    "a million files": lambda: _toc(b"<file></file>" * 1_000_000),
    "four million elements": lambda: _toc(b"<a/>" * 4_000_000),
    "an endless tag": lambda: _toc(b"<file " + b'a="" ' * (3 * MIB)),
    "an endless comment": lambda: _toc(b"<!--" + b"a" * (15 * MIB)),
    "huge offset": lambda: _toc(_file(2**62, 1)),
    "an offset of twenty digits": lambda: _toc(_file("9" * 20, 1)),
    "a thousand digits": lambda: _toc(_file("9" * 1000, 1)),
    "negative offset": lambda: _toc(_file(-1, 1)),
    "negative length": lambda: _toc(_file(0, -1)),
    "no number": lambda: _toc(_file("0x10", 1)),
    "an offset in Arabic digits": lambda: _toc(_file("٣", 1)),
    "data beyond the end": lambda: _toc(_file(0, 10**6)),
    "a file where none belongs": lambda: xar(
        [], toc=b"<xar><x><file><name>a</name><data><offset>1</offset></data></file></x></xar>"
    ),
    "not XML": lambda: xar([], toc=b"hello"),
    "another XML": lambda: xar([], toc=b"<html/>"),
    "no text encoding": lambda: xar([], toc=b'<?xml version="1.0" encoding="nonsense"?><xar><toc/></xar>'),
    "a codec that is none for text": lambda: xar([], toc=b'<?xml version="1.0" encoding="zlib"?><xar><toc/></xar>'),
    "UTF-16 cut": lambda: xar([], toc=b"\xff\xfe<\0x"),
    "no zlib": lambda: struct.pack(">4sHHQQI", b"xar!", 28, 1, 100, 100, 1) + b"x" * 100,
    "stored length beyond the end": lambda: struct.pack(">4sHHQQI", b"xar!", 28, 1, 2**63, 100, 1) + b"x" * 100,
    "header longer than the file": lambda: struct.pack(">4sHHQQI", b"xar!", 65535, 1, 1, 100, 1) + b"x" * 100,
    "header shorter than a header": lambda: struct.pack(">4sHHQQI", b"xar!", 4, 1, 10, 100, 1) + b"x" * 100,
    "only the magic": lambda: b"xar!",
}


@pytest.mark.parametrize("make", TOCS.values(), ids=TOCS)
def test_tables_of_contents(tmp_path, make):
    _refused(formats.write(tmp_path / "Hostile.pkg", make()))


METADATA = {
    "PackageInfo of 200 MiB": lambda: [Stored("PackageInfo", b" " * (64 * MIB), "application/x-gzip")],
    "PackageInfo of a million elements": lambda: [
        Stored("PackageInfo", package_info(more="<a/>" * 1_000_000), "application/x-gzip")
    ],
    "PackageInfo with entities": lambda: [Stored("PackageInfo", _entities())],
    "Distribution with entities": lambda: [Stored("Distribution", _entities())],
    "PackageInfo that is another XML": lambda: [Stored("PackageInfo", b"<plist/>")],
    "Distribution that is another XML": lambda: [Stored("Distribution", b"<plist/>")],
    "PackageInfo that is empty": lambda: [Stored("PackageInfo", b"")],
    "PackageInfo 20,000 deep": lambda: [Stored("PackageInfo", b"<pkg-info>" * 20_000)],
    "an encoding nobody knows": lambda: [Stored("PackageInfo", package_info(), "application/x-secret")],
    "data that is not what its encoding says": lambda: [
        Stored("PackageInfo", package_info(), says="application/x-gzip")
    ],
}


@pytest.mark.parametrize("make", METADATA.values(), ids=METADATA)
def test_metadata(tmp_path, make):
    _refused(formats.write(tmp_path / "Hostile.pkg", xar(make())))


def _chunk(decoded, stored, data=b"") -> bytes:
    return b"pbzx" + struct.pack(">Q", 1 << 24) + struct.pack(">QQ", decoded, stored) + data


def _header(name=b"./a\0", size=0, name_size=None, mode=FILE) -> bytes:
    return (
        b"070707%06o%06o%06o%06o%06o%06o%06o%011o%06o%011o"
        % (*(0, 1, mode, 0, 0, 1, 0, 0, len(name) if name_size is None else name_size, size),)
        + name
    )


PAYLOADS = {
    "of no known kind": lambda: b"hello, this is not a payload",
    "of one byte": lambda: b"\x1f",
    "pbzx by another algorithm": lambda: b"pbze" + bytes(100),
    "pbzx header cut": lambda: b"pbzx\0\0",
    "pbzx chunk header cut": lambda: b"pbzx" + bytes(8) + bytes(9),
    "pbzx chunk of 2**63": lambda: _chunk(2**63, 2**63),
    "pbzx chunk of 0": lambda: _chunk(0, 0, bytes(100)),
    "pbzx chunks of 0 stored in 0, many": lambda: b"pbzx" + bytes(8) + bytes(16) * 500_000,
    "pbzx chunk of 65 MiB": lambda: _chunk(65 * MIB, 100, lzma.compress(bytes(65 * MIB), preset=0)),
    "pbzx chunk shorter than said": lambda: _chunk(1000, len(lzma.compress(b"0" * 10)), lzma.compress(b"0" * 10)),
    "pbzx chunk longer than said": lambda: _chunk(10, len(lzma.compress(bytes(900))), lzma.compress(bytes(900))),
    "pbzx chunk cut": lambda: formats.pbzx(odc(app()))[:-50],
    "pbzx chunk that is no xz": lambda: _chunk(1000, 100, b"x" * 100),
    "xz that wants much memory": lambda: lzma.compress(
        odc(app()), filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 512 * MIB}]
    ),
    "gzip bomb": lambda: gzip.compress(bytes(400 * MIB), 1),
    "gzip bomb in an archive": lambda: gzip.compress(_header(size=8 * 1024 * MIB - 1) + bytes(400 * MIB), 1),
    "xz bomb": lambda: (
        lzma.compress(_header(size=8 * 1024 * MIB - 1), preset=0) + lzma.compress(bytes(64 * MIB), preset=0) * 6
    ),
    "many small files": lambda: gzip.compress(_header() * 1_500_000, 1),
    "many empty streams": lambda: gzip.compress(b"0707") + gzip.compress(b"") * 300_000,
    "cpio header cut": lambda: odc(app())[:40],
    "cpio without a trailer": lambda: odc([("./a", FILE, b"x")], trailer=False),
    "cpio name of 100 KiB": lambda: _header(b"a" * 100_000 + b"\0"),
    "cpio name of nothing": lambda: _header(b"", name_size=0),
    "cpio name beyond the end": lambda: _header(b"./a\0", name_size=4000),
    "cpio numbers with signs": lambda: _header().replace(b"000000000000", b"-00000000001", 1),
    "cpio numbers with underscores": lambda: b"070707" + b"1_0000" * 6 + bytes(100),
    "cpio name that climbs": lambda: odc([("./a/../../../etc/passwd", FILE, b"x")]),
    "cpio name that is absolute": lambda: odc([("/etc/passwd", FILE, b"x")]),
    "cpio size beyond the end": lambda: _header(size=10**9),
    "cpio of another kind after a good member": lambda: odc([("./a", FILE, b"x")], trailer=False) + b"garbage" * 30,
    "Info.plist of 3 MiB": lambda: odc([("./Applications/A.app/Contents/Info.plist", FILE, b" " * (3 * MIB))]),
    "bzip2 cut": lambda: bz2.compress(odc(app()))[:-20],
    "newc with odd numbers": lambda: b"070701" + b"zz" * 60,
}


@pytest.mark.parametrize("make", PAYLOADS.values(), ids=PAYLOADS)
def test_payloads(tmp_path, make):
    answer = _refused(formats.write(tmp_path / "Hostile.pkg", xar(component(payload=make()))))

    assert answer.place == "Payload"


def test_reading_a_payload_ends_after_its_time(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "PAYLOAD_SECONDS", -1.0)
    path = formats.write(tmp_path / "Slow.pkg", xar(component(payload=payload(app()))))
    with pytest.raises(InstallerError, match="took longer"):
        installer.inspect(path)


def test_nothing_is_written_under_a_members_name(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    target = tmp_path / "outside"
    members = [
        ("./link", LINK, str(target).encode()),
        ("./link/file", FILE, b"through a link"),
        ("./written", FILE, b"x"),
        *app(),
    ]
    path = formats.write(tmp_path / "Links.pkg", xar(component(payload=payload(members))))
    before = sorted(tmp_path.rglob("*"))

    assert installer.inspect(path).app_name == "Example.app"
    assert sorted(tmp_path.rglob("*")) == before


def _central(count, name=b"a") -> bytes:
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0) + name
    return entry * count + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0, 0, len(entry) * count, 0, 0)


def _zip(path, members, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_zip_with_300000_files(tmp_path):
    _refused(formats.write(tmp_path / "Hostile.zip", b"PK\3\4" + _central(300_000)))


def test_a_zip_with_a_plist_of_4_gib(tmp_path):
    path = _zip(tmp_path / "Hostile.zip", {"A.app/Contents/Info.plist": bytes(64 * MIB)})
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\1\2")
    for lie in (None, 2**32 - 2, 100):
        if lie is not None:
            struct.pack_into("<I", data, at + 24, lie)
            path.write_bytes(data)
        assert _refused(path).place == "A.app/Contents/Info.plist"


@pytest.mark.parametrize("name", ["../evil", "A.app/../../evil", "/etc/evil", "\\evil"])
def test_a_zip_that_leads_out_of_its_folder(tmp_path, name):
    answer = _refused(_zip(tmp_path / "Hostile.zip", {name: b"x"}))

    assert "leads out of the folder" in answer.error


def _patched(path, mark, offset, layout, value):
    data = bytearray(path.read_bytes())
    struct.pack_into(layout, data, data.rindex(mark) + offset, value)
    path.write_bytes(data)
    return path


ZIPS = {
    "encrypted": (b"PK\1\2", 8, "<H", 1),
    "by an odd method": (b"PK\1\2", 10, "<H", 14),
    "with a false checksum": (b"PK\1\2", 16, "<I", 7),
    "with a member far away": (b"PK\1\2", 42, "<I", 2**31),
    "with a member that is longer than the file": (b"PK\1\2", 20, "<I", 2**31),
    "with a member before the file": (b"PK\5\6", 16, "<I", 2**31),
    "with a directory before the file": (b"PK\5\6", 12, "<I", 2**31),
    "with a directory that is too short": (b"PK\5\6", 12, "<I", 30),
    "with a name that is too long": (b"PK\1\2", 28, "<H", 65535),
    "with another method before the data": (b"PK\3\4", 8, "<H", 0),
    "with another checksum before the data": (b"PK\3\4", 14, "<I", 7),
    "with another stored size before the data": (b"PK\3\4", 18, "<I", 7),
    "with another size before the data": (b"PK\3\4", 22, "<I", 7),
    "with another name before the data": (b"PK\3\4", 30, "<c", b"B"),
}


@pytest.mark.parametrize("patch", ZIPS.values(), ids=ZIPS)
def test_zips(tmp_path, patch):
    path = _zip(tmp_path / "Broken.zip", {"A.app/Contents/Info.plist": formats.info_plist()})

    assert _refused(_patched(path, *patch)).place


def test_a_plist_nobody_can_read_is_a_warning_and_not_an_error(tmp_path):
    deep = b"<plist>" + b"<array>" * 200_000
    bombs = {
        "deep": deep,
        "entities": _entities(),
        "date": b"<plist><dict><key>a</key><date>never</date></dict></plist>",
        "integer": b"<plist><dict><key>a</key><integer>x</integer></dict></plist>",
        "binary": b"bplist00" + bytes(24) + struct.pack(">6xBBQQQ", 8, 8, 2**60, 0, 8),
        "binary in a circle": b"bplist00\xa1\x00" + b"\x08" + struct.pack(">6xBBQQQ", 1, 1, 1, 0, 10),
        "a list": b"<plist><array/></plist>",
        "a key that is missing": b"<plist><dict><string>a</string></dict></plist>",
        "much nothing": b"<plist><array>" + b"<array/>" * 200_000 + b"</array></plist>",
        "an encoding": b'<?xml version="1.0" encoding="zlib"?><plist/>',
    }
    for name, data in bombs.items():
        path = _zip(tmp_path / f"{name}.zip", {"A.app/Contents/Info.plist": data})
        answer = measured.inspect(path)
        assert answer.app == ["A.app", None, None], name
        assert answer.seconds < SECONDS, name
        assert answer.peak < PEAK, name


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "xz", "plain", "pbzx"])
def test_a_package_cut_anywhere_is_refused(tmp_path, compression):
    files = component(payload=payload(app(), compression))
    whole = xar([files[1], files[0]], signatures=("signature",))
    path = tmp_path / "Cut.pkg"
    for length in [*range(1, len(whole) - 256, 7)]:
        path.write_bytes(whole[:length])
        with pytest.raises(InstallerError) as caught:
            installer.inspect(path, digest=False)
        assert str(path) in str(caught.value)


def test_a_payload_cut_anywhere_is_refused(tmp_path):
    whole = odc(app(after=[("last", b"x" * 50)]))
    for compression in formats.COMPRESSIONS.values():
        for length in range(1, len(whole) - 11, 13):
            path = formats.write(tmp_path / "Cut.pkg", xar(component(payload=compression(whole[:length]))))
            with pytest.raises(InstallerError):
                installer.inspect(path, digest=False)


def test_a_zip_cut_anywhere_is_refused(tmp_path):
    whole = _zip(
        tmp_path / "Whole.zip", {"A.app/Contents/Info.plist": formats.info_plist(), "b": b"x" * 99}
    ).read_bytes()
    path = tmp_path / "Cut.zip"
    for length in range(1, len(whole) - 1, 3):
        path.write_bytes(whole[:length])
        with pytest.raises(InstallerError):
            installer.inspect(path, digest=False)


def test_a_bill_of_materials_in_circles_is_given_up(tmp_path):
    listing = bytearray(formats.bom([f"./a/{number}" for number in range(40)], leaf=16))
    for at in range(512, len(listing) - 12):
        kind, count, following, _ = struct.unpack_from(">HHII", listing, at)
        if kind == 1 and 0 < count <= 16 and 0 < following < 300:
            struct.pack_into(">I", listing, at + 4, following - 1)
    path = formats.write(tmp_path / "Circle.pkg", xar(component(payload=payload(app()), listing=bytes(listing))))

    answer = measured.inspect(path)

    assert answer.app == ["Example.app", "com.example.app", "1.2.3"]
    assert answer.seconds < SECONDS


def test_errors_show_no_more_than_the_beginning_of_what_they_quote(tmp_path):
    path = formats.write(
        tmp_path / "Long.pkg", _toc(b"<file><name>" + b"n" * 5000 + b"</name>" + _file(0, "9" * 4000)[6:])
    )
    with pytest.raises(InstallerError) as caught:
        installer.inspect(path)
    assert len(str(caught.value)) < 500


def test_the_caps_are_those_that_the_documentation_names():
    held = (limits.TOC_BYTES, limits.METADATA_BYTES, limits.PLIST_BYTES, limits.CHUNK_BYTES, limits.NAME_BYTES)
    assert held == (16 * MIB, 4 * MIB, 2 * MIB, 64 * MIB, 4096)
    assert (limits.DEPTH, limits.FILES) == (64, 200_000)
    assert limits.LZMA_MEMORY <= 128 * MIB


def _refused(path) -> measured.Measured:
    answer = measured.inspect(path)
    assert answer.error is not None, answer.app
    assert answer.error.startswith(str(path))
    assert answer.seconds < SECONDS
    assert answer.peak < PEAK
    return answer
