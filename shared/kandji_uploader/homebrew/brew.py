"""Casks through an installed `brew`: what it knows of one, and its own download.

`brew` knows third-party taps and downloads that need more than a GET. It only warns of a wrong sha256 when it fetches,
so the file is checked here all the same. It is started without a shell and without our secrets, a proxy's password
among them: behind such a proxy, leave `--use-brew` out.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from kandji_uploader._util import children, files
from kandji_uploader.errors import CaskError
from kandji_uploader.homebrew.cache import cached, keep, prune
from kandji_uploader.homebrew.cask import ARM, INTEL, LAST_INTEL_MACOS, SUFFIXES, Cask, read, suffix_of, tidy
from kandji_uploader.homebrew.catalogue import api_address, check_arch
from kandji_uploader.homebrew.download import Progress
from kandji_uploader.homebrew.web import get_json
from kandji_uploader.http.addresses import way_out
from kandji_uploader.http.tries import Policy

_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9@+._/-]*")
_PASSED_ON = ("HOMEBREW_*", "XDG_*")
_CACHE_NAME = re.compile(r"^[0-9a-f]{64}--")


def find_with_brew(
    token: str,
    *,
    arch: str = ARM,
    allow_no_checksum: bool = False,
    environ: Mapping[str, str] | None = None,
    platform: str = sys.platform,
) -> Cask:
    """What `brew info` says of a cask; as `find`, but third-party taps (`user/tap/cask`) are known too.

    Raises:
        CaskError: there is no `brew`, it does not know the cask, or the cask cannot be published.
        NetworkError: on Linux, the newest macOS could not be asked for.
    """
    check_arch(arch)
    environ = os.environ if environ is None else environ
    token = token.strip()
    if not _TOKEN.fullmatch(token):
        raise CaskError(f"there is no Homebrew cask {token!r}; look its name up on https://formulae.brew.sh/cask/")
    answer = _brew(["info", "--cask", "--json=v2", token], environ)
    try:
        data = json.loads(answer)["casks"][0]
    except (ValueError, KeyError, IndexError, TypeError):
        raise CaskError(f"`brew info --cask --json=v2 {token}` did not describe a cask; run it to see why") from None
    system = _newest_macos(arch, environ) if platform != "darwin" or arch == INTEL else None
    tag = None if system is None else system if arch == INTEL else f"arm64_{system}"
    return read(data, arch=arch, allow_no_checksum=allow_no_checksum, tag=tag)


def fetch_with_brew(
    cask: Cask,
    folder: Path,
    on_progress: Progress | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    platform: str = sys.platform,
) -> Path:
    """The installer of a cask, downloaded by `brew fetch`; its sha256 is the cask's.

    Args:
        cask: the cask.
        folder: the cache; the file ends up at `FOLDER/SHA256/FILE NAME`, a hard link where that is possible.
        on_progress: told once, when the file is there.
        environ: the environment variables; the process's own by default.
        platform: as `sys.platform`.

    Raises:
        CaskError: `brew` failed, or the file is not the cask's.
        NetworkError: on Linux, the newest macOS could not be asked for.
    """
    environ = os.environ if environ is None else environ
    path = cached(cask, folder)
    if path is None:
        options = ["--cask", f"--arch={'arm' if cask.arch == ARM else 'intel'}"]
        if platform != "darwin":
            options.append(f"--os={_newest_macos(cask.arch, environ)}")
        _brew(["fetch", *options, cask.token], environ)
        fetched = Path(_last_line(_brew(["--cache", *options, cask.token], environ)))
        path = _adopt(cask, fetched, folder)
    if on_progress:
        size = path.stat().st_size
        on_progress(size, size)
    return path


def _adopt(cask: Cask, fetched: Path, folder: Path) -> Path:
    """Brew's file in our own cache, under the name that the vendor gave it, after a check."""
    if not fetched.is_file():
        raise CaskError(f"`brew fetch` of the cask {cask.token!r} left no file at {fetched}; run it to see why")
    sha256 = files.sha256(fetched)
    if cask.sha256 not in (None, sha256):
        raise CaskError(
            f"brew's download of the cask {cask.token!r} has the sha256 {sha256}, but the cask says {cask.sha256}. "
            "It is not published; run `brew update`, then `brew fetch --force --cask` for it, and try again"
        )
    name = tidy(_CACHE_NAME.sub("", fetched.resolve().name))
    arrived = folder / f"{sha256}.part"
    try:
        files.private_folder(folder)
        arrived.unlink(missing_ok=True)
        _link_or_copy(fetched.resolve(), arrived)
        path = keep(arrived, folder, sha256, name if suffix_of(name) in SUFFIXES else cask.file_name)
        prune(folder, spare=path)
    except OSError as problem:
        with contextlib.suppress(OSError):
            arrived.unlink(missing_ok=True)
        raise CaskError(
            f"{folder} cannot take the cask {cask.token!r} ({problem.strerror}); make room, or correct its permissions"
        ) from None
    return path


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def _newest_macos(arch: str, environ: Mapping[str, str]) -> str:
    """The codename of the newest macOS that Homebrew builds for, as the bottles of a formula tell it."""
    if arch == INTEL:
        return LAST_INTEL_MACOS
    answer = get_json(f"{api_address(environ)}/formula/curl.json", Policy())
    try:
        tags = [str(tag) for tag in answer["bottle"]["stable"]["files"]]
        return next(tag for tag in tags if tag.startswith("arm64_") and tag != "arm64_linux").removeprefix("arm64_")
    except (KeyError, TypeError, StopIteration):
        raise CaskError("the formula API does not tell the newest macOS; leave out `--use-brew`") from None


def _brew(words: list[str], environ: Mapping[str, str]) -> str:
    """The standard output of `brew`."""
    brew = shutil.which("brew", path=environ.get("PATH", os.defpath))
    if brew is None:
        raise CaskError(
            "`brew` is not on PATH; install Homebrew, or leave out `--use-brew` (it is not needed for casks)"
        )
    done = children.run([brew, *words], children.surroundings(environ, _PASSED_ON) | way_out(environ))
    if done.returncode:
        said = " ".join(done.stderr.split()[-60:]) or "nothing"
        raise CaskError(f"`brew {' '.join(words)}` failed (exit code {done.returncode}). It said: {said}")
    return done.stdout


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]
