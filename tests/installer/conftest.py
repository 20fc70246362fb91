"""What the tests of installers share: a package on disk, made of its parts."""

from __future__ import annotations

import shutil

import pytest

from tests.support import formats

collect_ignore = [] if shutil.which("pkgutil") and shutil.which("codesign") else ["test_signature_on_macos.py"]


@pytest.fixture
def package(tmp_path):
    """Write a flat package of these files and return its path."""

    def write(files, name="Example.pkg", **options):
        return formats.write(tmp_path / name, formats.xar(files, **options))

    return write
