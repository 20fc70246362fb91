"""The type of a file by its content, and a clear word for each thing that is no installer."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import pathlib
import struct
import tempfile
import zipfile

import pytest

from kandji_uploader import installer
from kandji_uploader.errors import InstallerError
from kandji_uploader.models import InstallType
from tests.support import formats


def _koly() -> bytes:
    return (b"koly" + struct.pack(">II", 4, 512)).ljust(512, b"\0")


def _zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"x")
    return path.read_bytes()


@pytest.mark.parametrize("name", ["Right.pkg", "Wrong.dmg", "none"])
def test_a_package_is_told_by_its_content(tmp_path, name):
    path = formats.write(tmp_path / name, formats.xar([]))
    assert installer.identify(path) is InstallType.PACKAGE
    assert installer.identify(str(path)) is InstallType.PACKAGE


def test_a_disk_image_is_told_by_its_trailer(tmp_path):
    path = formats.write(tmp_path / "Wrong.zip", b"x" * 5000 + _koly())
    assert installer.identify(path) is InstallType.IMAGE


@pytest.mark.parametrize(
    ("at", "mark"), [(1024, b"H+"), (32, b"NXSB"), (512, b"EFI PART"), (32769, b"CD001"), (0, b"encrcdsa")]
)
def test_images_without_a_trailer(tmp_path, at, mark):
    path = formats.write(tmp_path / "raw", (bytes(at) + mark).ljust(40_000, b"\0"))
    assert installer.identify(path) is InstallType.IMAGE


def test_a_zip_with_something_before_it(tmp_path):
    data = _zip(tmp_path / "a.zip")
    assert installer.identify(tmp_path / "a.zip") is InstallType.ZIP
    assert installer.identify(formats.write(tmp_path / "b", b"#!/bin/sh\n" + data)) is InstallType.ZIP


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"<!DOCTYPE html><html>not found</html>", "web page"),
        (b"\n <HTML>", "web page"),
        (gzip.compress(b"x", mtime=0), "gzip"),
        (b"\xcf\xfa\xed\xfe" + bytes(100), "Mach-O"),
        (b"MZ\x90\0" + bytes(100), "Windows"),
        (b'{"error": "no"}', "text"),
        (formats.odc([]), "cpio"),
        (bytes(range(128, 256)), "something else"),
    ],
)
def test_what_is_no_installer_is_called_by_its_name(tmp_path, data, word):
    path = formats.write(tmp_path / "Some.pkg", data)
    with pytest.raises(InstallerError, match=word) as caught:
        installer.identify(path)
    assert str(path) in str(caught.value)


def test_a_disk_image_that_lost_its_end_says_so(tmp_path):
    with pytest.raises(InstallerError, match="broke off"):
        installer.identify(formats.write(tmp_path / "Cut.dmg", os.urandom(3000)))


@pytest.mark.parametrize(
    ("name", "word"),
    [("Foo.app", "is an app"), ("Foo.mpkg", "bundle-style"), ("Foo.pkg", "bundle-style"), ("x", "a folder")],
)
@pytest.mark.parametrize("ask", [installer.identify, installer.inspect, installer.sha256])
def test_folders(tmp_path, name, word, ask):
    (tmp_path / name).mkdir()
    with pytest.raises(InstallerError, match=word):
        ask(tmp_path / name)


@pytest.mark.parametrize("ask", [installer.identify, installer.inspect, installer.sha256])
def test_missing_empty_and_odd_files(tmp_path, ask):
    (tmp_path / "Empty.pkg").touch()
    os.mkfifo(tmp_path / "pipe")
    for name, word in [("Missing.pkg", "no such file"), ("Empty.pkg", "is empty"), ("pipe", "no regular file")]:
        with pytest.raises(InstallerError, match=word):
            ask(tmp_path / name)
    with pytest.raises(InstallerError, match="cannot be read"):
        ask(tmp_path / "Empty.pkg" / "below")


@contextlib.contextmanager
def another_user():
    """Root may read everything: be somebody else for the length of a block."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_file_that_may_not_be_read():
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to anybody else
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        path = formats.write(folder / "Secret.pkg", formats.xar([]))
        path.chmod(0o644)
        with another_user():
            path.stat()
            assert path.read_bytes()
        installer.sha256(path)
        path.chmod(0)
        with another_user(), pytest.raises(InstallerError, match=r"Secret\.pkg.*[Pp]ermission"):
            installer.identify(path)


@pytest.mark.parametrize("size", [1, 4 << 20, (4 << 20) + 1])
def test_the_digest_is_that_of_the_whole_file(tmp_path, size):
    data = os.urandom(size)
    assert installer.sha256(formats.write(tmp_path / "x", data)) == hashlib.sha256(data).hexdigest()
