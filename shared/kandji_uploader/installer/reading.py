"""From a file to its facts: the type decides the reader, and what a reader cannot take becomes one clear error."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from typing import NamedTuple

from kandji_uploader._util.dependencies import SIGNING, pip_line
from kandji_uploader.errors import InstallerError, ToolMissingError
from kandji_uploader.installer.choice import Wish
from kandji_uploader.installer.content import ContainerContent, PackageContent
from kandji_uploader.installer.contents import Container, read_contents
from kandji_uploader.installer.found import Found, settle
from kandji_uploader.installer.kinds import is_encrypted, kind_of, opened
from kandji_uploader.installer.limits import MalformedError
from kandji_uploader.installer.package import read_package
from kandji_uploader.installer.signature import of_contents, of_package
from kandji_uploader.models import AppFacts, InstallType


class Asked(NamedTuple):
    """What is asked for beside the facts: who signed it, and what it brings to a Mac. All of it is read for that."""

    signature: bool
    content: bool


def read_facts(path: Path, wish: Wish, *, signature: bool = False, content: bool = False) -> AppFacts:
    """What an installer holds; the sha256 left out.

    Raises:
        InstallerError: as `installer.inspect`.
        ToolMissingError: likewise; also where the packages that verify signatures are broken.
    """
    with opened(path) as file:
        kind = kind_of(path, file)
        size = os.fstat(file.fileno()).st_size
        try:
            found = _read(path, file, kind, wish, Asked(signature, content))
        except MalformedError as problem:
            raise InstallerError(path, problem.reason, problem.place) from None
        except ImportError as problem:
            said = f"the packages that verify signatures cannot be loaded ({problem}); install them again"
            raise ToolMissingError(path, f"{said}: {pip_line(SIGNING)}") from None
    return settle(found, wish, kind, size)


def _read(path: Path, file: FileIO, kind: InstallType, wish: Wish, asked: Asked) -> Found:
    size = os.fstat(file.fileno()).st_size
    if kind is InstallType.IMAGE:
        if is_encrypted(file, size):
            raise MalformedError("", "the disk image is encrypted; publish one without a password")
        with _image(path) as container:
            return _contents(container, kind, size, wish, asked)
    buffered = BufferedReader(file)
    if kind is InstallType.PACKAGE:
        found = read_package(buffered, size, wish)
        content = PackageContent(buffered, size) if asked.content else None
        if asked.signature:
            found.signature = of_package(buffered, size, found, wish, content=content)
        found.content = content.finish(found.signature) if content else None
        return found
    from kandji_uploader.installer.zips import Zip

    return _contents(Zip(buffered, size), kind, size, wish, asked)


def _contents(container: Container, kind: InstallType, size: int, wish: Wish, asked: Asked) -> Found:
    found = read_contents(container, wish)
    content = ContainerContent(container, kind, size) if asked.content else None
    if asked.signature:
        found.signature = of_contents(container, found, wish, content=content)
    found.content = content.finish() if content else None
    return found


@contextmanager
def _image(path: Path) -> Iterator[Container]:
    """A disk image, by the system's own means on macOS, else by 7-Zip."""
    if sys.platform == "darwin" and shutil.which("hdiutil"):
        from kandji_uploader.installer.mounted import attached

        with attached(path) as container:
            yield container
        return
    from kandji_uploader.installer.seven_zip import SevenZipImage, find_program

    yield SevenZipImage(find_program(path), path)
