"""Whether the Python that runs us has what we need, and the one line that puts it there.

AutoPkg brings a Python of its own, without `requests` and `keyring`, and each AutoPkg upgrade wipes what was added.
"""

from __future__ import annotations

import sys
from importlib import metadata, util

AUTOPKG_PYTHON = "/usr/local/autopkg/python"

_NEEDED = {"requests": "requests", "urllib3": "urllib3>=2.6.3", "yaml": "pyyaml", "keyring": "keyring"}
_SIGNING = {"cryptography": "cryptography>=46.0.5", "asn1crypto": "asn1crypto>=1.5.1"}
"""The extra `signing`, which verifies signatures."""
_LOWEST = {"urllib3": (2, 6, 3), "cryptography": (46, 0, 5), "asn1crypto": (1, 5, 1)}


def missing() -> tuple[str, ...]:
    """The packages that are not there, or too old, as pip names them."""
    return tuple(wanted for module, wanted in _NEEDED.items() if util.find_spec(module) is None or _too_old(module))


def missing_for_signing() -> tuple[str, ...]:
    """The packages of the extra `signing` that are not there, as pip names them."""
    return tuple(wanted for module, wanted in _SIGNING.items() if util.find_spec(module) is None or _too_old(module))


def pip_line(packages: tuple[str, ...]) -> str:
    """The command that installs packages into the Python that runs now."""
    quoted = " ".join(f"'{item}'" if ">" in item else item for item in packages)
    if sys.platform == "darwin" and "autopkg" in sys.prefix.lower() + sys.executable.lower():
        return f"sudo -H {AUTOPKG_PYTHON} -m pip install --upgrade {quoted}"
    return f"{sys.executable} -m pip install --upgrade {quoted}"


def _too_old(module: str) -> bool:
    lowest = _LOWEST.get(module)
    if lowest is None:
        return False
    try:
        found = metadata.version(module)
    except metadata.PackageNotFoundError:
        return False
    numbers = tuple(int(part) for part in found.split(".")[:3] if part.isdigit())
    return numbers < lowest
