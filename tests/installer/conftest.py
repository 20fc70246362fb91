"""What the tests of installers share: a package on disk, made of its parts."""

from __future__ import annotations

import pytest

from tests.support import formats


@pytest.fixture
def package(tmp_path):
    """Write a flat package of these files and return its path."""

    def write(files, name="Example.pkg", **options):
        return formats.write(tmp_path / name, formats.xar(files, **options))

    return write
