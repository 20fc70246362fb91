"""What an installer is: a .pkg, .dmg or .zip, read with constant memory and no further than needed.

`inspect` tells the app, its bundle id and version, the packages and their ids; `identify` only the type;
`sha256` the digest. Whatever is wrong with a file is an `InstallerError` that names the file, the place in it and
the reason.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from kandji_uploader.installer.kinds import identify
from kandji_uploader.models import AppFacts

__all__ = ["identify", "inspect", "sha256"]

_BLOCK = 4 << 20


def inspect(
    path: str | os.PathLike[str],
    *,
    app_name: str | None = None,
    bundle_id: str | None = None,
    digest: bool = True,
    signature: bool = False,
    content: bool = False,
) -> AppFacts:
    """What an installer holds, and which app of it is meant.

    Args:
        path: the .pkg, .mpkg, .dmg or .zip; told by its content, not by its suffix.
        app_name: the bundle name of the app that is meant, where the caller knows it; with or without `.app`.
        bundle_id: its bundle id, likewise. A value that fits no app is passed over.
        digest: whether to compute the sha256 of the file.
        signature: whether to verify who signed it; all of a signed package is read for it.
        content: whether to work out the digest of what it brings to a Mac; all of it is read for it, in the same pass.

    Returns:
        The facts. Where two apps have an equal claim, `ambiguous` names them and no app is chosen.

    Raises:
        InstallerError: the file is missing, empty, a folder, unreadable, encrypted, broken, hostile or no installer.
        ToolMissingError: the program that opens disk images is not on this machine.
    """
    from kandji_uploader.installer.choice import Wish
    from kandji_uploader.installer.reading import read_facts

    facts = read_facts(Path(path), Wish(app_name or None, bundle_id or None), signature=signature, content=content)
    return replace(facts, sha256=sha256(path)) if digest else facts


def sha256(path: str | os.PathLike[str]) -> str:
    """The sha256 of a file as hex digits, read in blocks.

    Raises:
        InstallerError: it is missing, a folder or unreadable.
    """
    import hashlib

    from kandji_uploader.installer.kinds import opened

    digest = hashlib.sha256()
    block = memoryview(bytearray(_BLOCK))
    with opened(Path(path)) as file:
        while size := file.readinto(block):
            digest.update(block[:size])
    return digest.hexdigest()
