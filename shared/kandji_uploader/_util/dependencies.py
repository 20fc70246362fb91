"""Whether the Python that runs us has what we need, and the one line that puts it there.

AutoPkg brings a Python of its own, without `requests` and `keyring`, and each AutoPkg upgrade wipes what was added.
"""

from __future__ import annotations

import os
import shlex
import sys
from functools import cache
from importlib import metadata, util
from pathlib import Path

AUTOPKG_PYTHON = "/usr/local/autopkg/python"

_INTEL_MAC = sys.platform == "darwin" and os.uname().machine == "x86_64"
"""For which 48 is the last cryptography that comes ready to use, as pyproject.toml says."""
_NEEDED = {"requests": "requests>=2.33.0", "urllib3": "urllib3>=2.8.0", "yaml": "pyyaml", "keyring": "keyring"}
_SIGNING = {"cryptography": f"cryptography>={'48.0.1' if _INTEL_MAC else '50.0.0'}", "asn1crypto": "asn1crypto>=1.5.1"}
"""The extra `signing`, which verifies signatures."""
SIGNING = tuple(_SIGNING.values())
_NOTIFY = {"apprise": "apprise>=2.2.0", "markdown": "markdown>=3.8.1"}
"""The extra `notify`, which sends messages to others than Slack."""


def missing() -> tuple[str, ...]:
    """The packages that are not there, or too old, as pip names them."""
    return _lacking(_NEEDED)


def missing_for_signing() -> tuple[str, ...]:
    """The packages of the extra `signing` that are not there, or too old, as pip names them."""
    return _lacking(_SIGNING)


def missing_for_notify() -> tuple[str, ...]:
    """The packages of the extra `notify` that are not there, or too old, as pip names them."""
    return _lacking(_NOTIFY)


def pip_line(packages: tuple[str, ...], name: str = "autopkg.txt") -> str:
    """The command that installs packages into the Python that runs now.

    Beside a checkout it is a list of versions and hashes there: `autopkg.txt` has all that AutoPkg's Python lacks,
    `notify.txt` has the extra `notify` beside it.
    """
    locked = Path(__file__).resolve().parents[3] / "requirements" / name
    what = f"--upgrade {' '.join(map(shlex.quote, packages))}"
    if locked.is_file():
        what = f"--require-hashes -r {shlex.quote(str(locked))}"
    if sys.platform == "darwin" and "autopkg" in sys.prefix.lower() + sys.executable.lower():
        return f"sudo -H {AUTOPKG_PYTHON} -m pip install {what}"
    return f"{sys.executable} -m pip install {what}"


def _lacking(needed: dict[str, str]) -> tuple[str, ...]:
    """By the module that is imported: what pip calls it, with the lowest version that will do."""
    return tuple(wanted for module, wanted in needed.items() if util.find_spec(module) is None or _too_old(wanted))


@cache
def _too_old(wanted: str) -> bool:
    """Looked up once: what is imported stays as it is until the process ends, and a run asks for each app."""
    package, _, lowest = wanted.partition(">=")
    try:
        return bool(lowest) and _numbers(metadata.version(package)) < _numbers(lowest)
    except metadata.PackageNotFoundError:
        return False


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
