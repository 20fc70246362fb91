#!/usr/bin/env python3
"""Write SHA256SUMS, and its digest into KandjiUploader.py: `make seal`, after each change of what is sealed.

Needs nothing but Python. What is sealed is asked of KandjiUploader.py itself, so that both mean the same files.
"""

from __future__ import annotations

import re
import sys
import types
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

_LINE = re.compile(r'^_SEAL = "[0-9a-f]*"$', re.MULTILINE)


def seal(root: Path) -> bool:
    """Seal a checkout.

    Returns:
        Whether it was not sealed before.

    Raises:
        SystemExit: something there is a link, or no ordinary file; or KandjiUploader.py has no place for the seal.
    """
    processor = root / "KandjiUploader.py"
    defined = _defined(processor)
    found = defined["_found"]()
    odd = [place for place, is_file in found.items() if not is_file]
    if odd:
        raise SystemExit(f"neither a file nor a folder, so it cannot be sealed: {', '.join(sorted(odd))}")
    rows = [f"{sha256((root / place).read_bytes()).hexdigest()}  {place}\n" for place in sorted(found)]
    names = "".join(rows).encode()
    text, lines = _LINE.subn(f'_SEAL = "{sha256(names).hexdigest()}"', processor.read_text("utf-8"))
    if lines != 1:
        raise SystemExit(f"KandjiUploader.py holds {lines} lines with a seal instead of one")
    news = [_write(root / defined["_LIST"], names), _write(processor, text.encode())]
    return any(news)


def _defined(processor: Path) -> dict[str, Any]:
    """What KandjiUploader.py defines, without AutoPkg."""
    defined: dict[str, Any] = {"__name__": "processor", "__file__": str(processor)}
    autopkglib = types.SimpleNamespace(Processor=object, ProcessorError=RuntimeError)
    with patch.dict(sys.modules, autopkglib=autopkglib):
        exec(compile(processor.read_text("utf-8"), str(processor), "exec"), defined)  # noqa: S102 - it is our own
    return defined


def _write(path: Path, content: bytes) -> bool:
    """Write a file, if that changes it; whether it did."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.write_bytes(content)
    return True


if __name__ == "__main__":
    print("sealed" if seal(Path(__file__).resolve().parents[1]) else "it was sealed already")
