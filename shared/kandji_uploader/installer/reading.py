"""From a file to its facts: the type decides the reader, and what a reader cannot take becomes one clear error."""

from __future__ import annotations

import os
from dataclasses import replace
from io import BufferedReader, FileIO
from pathlib import Path

from kandji_uploader import installer
from kandji_uploader.errors import InstallerError
from kandji_uploader.installer.choice import Wish
from kandji_uploader.installer.found import Found, settle
from kandji_uploader.installer.kinds import is_encrypted, kind_of, opened
from kandji_uploader.installer.limits import MalformedError
from kandji_uploader.installer.package import read_package
from kandji_uploader.models import AppFacts, InstallType


def read_facts(path: Path, app_name: str | None, bundle_id: str | None, digest: bool) -> AppFacts:
    """See `installer.inspect`."""
    wish = Wish(app_name or None, bundle_id or None)
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        kind = kind_of(path, file)
        try:
            found = _read(path, file, kind, wish)
        except MalformedError as problem:
            raise InstallerError(path, problem.reason, problem.place) from None
    facts = settle(found, wish, kind, size)
    return replace(facts, sha256=installer.sha256(path)) if digest else facts


def _read(path: Path, file: FileIO, kind: InstallType, wish: Wish) -> Found:
    size = os.fstat(file.fileno()).st_size
    if kind is InstallType.PACKAGE:
        return read_package(BufferedReader(file), size, wish)
    raise NotImplementedError
