"""Look a cask up in the public cask API, or in the one that `HOMEBREW_API_DOMAIN` names."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from kandji_uploader.errors import CaskError
from kandji_uploader.homebrew.cask import ARM, INTEL, Cask, read
from kandji_uploader.homebrew.web import get_json
from kandji_uploader.http.tries import Policy

DEFAULT_API = "https://formulae.brew.sh/api"

_TOKEN = re.compile(r"[a-z0-9][a-z0-9@+._-]*")


def find(
    token: str,
    *,
    arch: str = ARM,
    allow_no_checksum: bool = False,
    environ: Mapping[str, str] | None = None,
    policy: Policy | None = None,
) -> Cask:
    """The cask of that name, as it is for the newest macOS; one small request.

    Args:
        token: its name, such as `google-chrome`.
        arch: `arm64` or `x86_64`.
        allow_no_checksum: accept a cask that has no sha256 (`no_check`).
        environ: the environment variables; the process's own by default.
        policy: time-outs and tries.

    Raises:
        CaskError: no such cask (with those that are meant perhaps), or one that cannot be published, and why.
        NetworkError: the API was not reached.
    """
    check_arch(arch)
    token = token.strip().removeprefix("homebrew/cask/")
    if "/" in token:
        raise CaskError(f"{token!r} is in a third-party tap, which the public cask API does not know; use `--use-brew`")
    api = api_address(os.environ if environ is None else environ)
    policy = policy or Policy()
    data = get_json(f"{api}/cask/{token}.json", policy) if _TOKEN.fullmatch(token) else None
    if data is not None:
        return _as_cask(data, arch, allow_no_checksum=allow_no_checksum)
    casks = _list(get_json(f"{api}/cask.json", policy), api)
    data = _renamed(token, casks)
    if data is None:
        raise _unknown(token, [str(cask.get("token", "")) for cask in casks])
    cask = _as_cask(data, arch, allow_no_checksum=allow_no_checksum)
    note = f"the cask {token!r} is now called {cask.token!r}; use that name"
    return replace(cask, notes=(note, *cask.notes))


def api_address(environ: Mapping[str, str]) -> str:
    """The API's address without a trailing slash; each request requires it to be https, or loopback."""
    return (environ.get("HOMEBREW_API_DOMAIN") or DEFAULT_API).strip().rstrip("/")


def check_arch(arch: str) -> None:
    """Refuse an architecture that Macs do not have.

    Raises:
        CaskError: it is neither `arm64` nor `x86_64`.
    """
    if arch not in (ARM, INTEL):
        raise CaskError(f"the architecture {arch!r} is unknown; use {ARM} (Apple silicon) or {INTEL} (Intel)")


def _as_cask(data: Any, arch: str, *, allow_no_checksum: bool) -> Cask:
    return read(data if isinstance(data, dict) else {}, arch=arch, allow_no_checksum=allow_no_checksum)


def _list(answer: Any, api: str) -> list[Mapping[str, Any]]:
    if not isinstance(answer, list):
        raise CaskError(f"{api}/cask.json is not a list of casks; is HOMEBREW_API_DOMAIN right?")
    return [cask for cask in answer if isinstance(cask, dict)]


def _renamed(token: str, casks: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((cask for cask in casks if token in (cask.get("old_tokens") or ())), None)


def _unknown(token: str, known: list[str]) -> CaskError:
    asked = re.sub(r"[^a-z0-9@+.]+", "-", token.lower()).strip("-")
    near = [asked] if asked in known else difflib.get_close_matches(asked, known, n=3, cutoff=0.6)
    meant = f"did you mean {' or '.join(near)}?" if near else "look its name up on https://formulae.brew.sh/cask/"
    return CaskError(f"there is no Homebrew cask {token!r}; {meant}")
