"""The audit script, tried before upload: on a Mac with the very installer it must pass, or it would install for ever.

The script runs under zsh on a simulated Mac: a temporary folder with the apps and receipts in question and with small
stand-ins for the macOS tools. The folder is written into the line `PREFIX=''` of the text that runs here; the script
that goes to the Macs keeps it empty, and nothing in an agent's environment can set it.
"""

from __future__ import annotations

import errno
import os
import plistlib
import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from kandji_uploader._util import children, version
from kandji_uploader.audit.script import DEFAULT_VERSION_KEY, AuditReading, AuditValues
from kandji_uploader.errors import AuditScriptError
from kandji_uploader.models import AppFacts, InstallType

INSTALL, PASS = 1, 0
"""The exit codes of an audit script, in what the agent does about them."""

_SEAM = re.compile(r"^PREFIX=''$", re.MULTILINE)
_LOWEST, _HIGHEST = "0.dev", "9" * 20
_LONGEST_NAME = 255  # Bytes of a file's name, on macOS as on Linux.
_TIMEOUT = 20.0  # Seconds for one run, which takes some hundredths; a custom template may hang.

# Spotlight is off, nothing runs, macOS is new enough, and the clock stands just after the deadline. Data is read from
# files, never quoted. `date` and `plutil` are for templates that users bring: ours asks neither.
_TOOLS = {
    "bin/date": 'case $1 in +%s) exec cat "${0%/bin/date}/now" ;; *) echo deadline ;; esac',
    "bin/sleep": "exit 0",
    "usr/bin/lsappinfo": "exit 0",
    "usr/bin/mdfind": "exit 0",
    "usr/bin/osascript": "exit 1",
    "usr/bin/sw_vers": "echo 99999",
    "usr/bin/plutil": 'exec cat "${0%/usr/bin/plutil}/receipt.version"',
    "usr/libexec/PlistBuddy": """for at; do :; done
code=1
while test "$1" = -c; do
    if test -f "$at.${2#Print :}"; then
        while IFS= read -r line; do printf '%s\\n' "$line"; done <"$at.${2#Print :}"
        printf '%s\\n' "$line"
        code=0
    fi
    shift 2
done
exit $code""",
    "usr/sbin/pkgutil": 'at=${0%/usr/sbin/pkgutil}; test "$2" = "$(cat "$at/receipt.id" 2>/dev/null)" && '
    'cat "$at/receipt.plist"',
}
# Where everybody can write on a Mac as it is delivered: an app there does not count.
_OPEN_FOLDERS = ("Library/Caches", "Users/Shared", "private/tmp", "private/var/tmp", "tmp", "var/tmp")


@dataclass(frozen=True)
class _SimulatedApp:
    """An app of the simulated Mac: where it is, and what its Info.plist says."""

    path: str
    info: dict[str, str]


@dataclass(frozen=True)
class _Mac:
    """What a simulated Mac has; the receipt is a package id and its version."""

    what: str
    expected: int
    apps: tuple[_SimulatedApp, ...] = ()
    receipt: tuple[str, str] | None = None


def check(script: str, values: AuditValues | AuditReading, facts: AppFacts | None = None) -> tuple[str, ...]:
    """Check a rendered script for syntax, and simulate it for its own installer.

    Args:
        script: as `audit.render` gives it.
        values: what it was rendered from, or `audit.read` of it.
        facts: what the installer really holds; then the Mac that has just installed it is made of that, and of the
            values otherwise.

    Returns:
        A line for each check that could not be done on this machine.

    Raises:
        AuditScriptError: the script is no zsh, or would not do on a Mac what it is for; the text says which and why.
    """
    zsh = shutil.which("zsh")
    if zsh is None:
        return ("no zsh on this machine: the audit script was neither checked for syntax nor tried",)
    try:
        with TemporaryDirectory(prefix="kandji-uploader-") as folder:
            return _checked(script, zsh, Path(folder).resolve(), values, _macs(values, facts))
    except OSError as problem:
        raise _no_room(problem) from None


def _checked(
    script: str, zsh: str, root: Path, values: AuditValues | AuditReading, macs: Sequence[_Mac]
) -> tuple[str, ...]:
    _check_syntax(zsh, script, root)
    tried = with_prefix(script, root / "mac")
    if tried is None:
        return ("the audit template has no line PREFIX='': its script was checked for syntax, but not tried",)
    if not _tools_run(root):
        return (f"programs cannot be run in {root.parent}: the audit script was checked for syntax, but not tried",)
    (root / "script").write_text(tried, encoding="utf-8")
    _lay_out(root / "mac", root / "tools")
    bare = frozenset((root / "mac").rglob("*"))
    for mac in macs:
        _try(zsh, root, mac, values)
        for path in sorted({*(root / "mac").rglob("*")} - bare, reverse=True):  # what a folder holds comes before it
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    return ()


def _no_room(problem: OSError) -> AuditScriptError:
    """This machine, not the software, is why the script could not be tried."""
    try:
        place = gettempdir()
    except OSError:  # there is none that can be written
        place = "/tmp"  # noqa: S108 - named, not used
    return AuditScriptError(
        f"the audit script could not be tried: the temporary folder {place} cannot be used "
        f"({problem.strerror or problem}). Make room in it, or name another one with TMPDIR, and run again"
    )


def with_prefix(script: str, root: Path) -> str | None:
    """The script as it runs on a simulated Mac below `root`; None where it has no line for that."""
    if len(_SEAM.findall(script)) != 1:
        return None
    return _SEAM.sub(lambda _: f"PREFIX={shlex.quote(str(root))}", script)


def _check_syntax(zsh: str, script: str, root: Path) -> None:
    place = root / "audit.zsh"
    place.write_text(script, encoding="utf-8")
    done = _run([zsh, "-fn", str(place)], root)
    if done.returncode != 0:
        said = done.stderr.replace(f"{place}:", "line ").strip()
        raise AuditScriptError(f"the audit script is no valid zsh ({said}). Correct the template of `audit_template`")


def _tools_run(root: Path) -> bool:
    """Lay out the stand-ins; whether they can be run there (a temporary folder may be mounted without that right)."""
    for name, body in _TOOLS.items():
        place = root / "tools" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        place.chmod(0o700)
    try:
        return _run([str(root / "tools/bin/sleep")], root).returncode == 0
    except OSError:
        return False


def _macs(values: AuditValues | AuditReading, facts: AppFacts | None) -> list[_Mac]:
    """The Macs that a script must be right on."""
    enforced = values.version or ""
    missing = INSTALL if values.install_when_missing else PASS
    macs = [
        _Mac("without the software", missing),
        _mac(f"with version {enforced}", PASS, values, enforced),
    ]
    if version.compare(_LOWEST, enforced) < 0:
        macs.append(_mac("with an older version", INSTALL, values, _LOWEST))
    if version.compare(_HIGHEST, enforced) > 0:
        macs.append(_mac("with a newer version", PASS, values, _HIGHEST))
    if facts is not None and (facts.apps or facts.packages):
        macs.append(_installed(values, facts))
    return macs


def _app_folder(values: AuditValues | AuditReading) -> str:
    """Where apps go that bring no place of their own: those of a disk image or a zip."""
    return (values.unzip_location or "/Applications").rstrip("/")


def _mac(what: str, expected: int, values: AuditValues | AuditReading, version: str) -> _Mac:
    """A Mac with the software as the script's own values describe it."""
    if not values.app_name and not values.bundle_id:
        return _Mac(what, expected, receipt=(values.pkg_id or "", version))
    info = {values.version_key: version}
    if values.bundle_id:
        info["CFBundleIdentifier"] = values.bundle_id
    # Only a bundle id matters then; an app may be called anything.
    name = values.app_name or "Software.app"
    return _Mac(what, expected, (_SimulatedApp(f"{_app_folder(values)}/{_bundle_name(name)}", info),))


def _installed(values: AuditValues | AuditReading, facts: AppFacts) -> _Mac:
    """A Mac that has just installed this installer."""
    apps = []
    for record in facts.apps:
        info = {
            "CFBundleIdentifier": record.bundle_id,
            DEFAULT_VERSION_KEY: record.short_version,
            "CFBundleVersion": record.bundle_version,
        }
        # A zip is unpacked as it is; of a disk image the app is copied.
        inside = record.path if facts.type is InstallType.ZIP else record.name
        path = record.install_path or f"{_app_folder(values)}/{inside}"
        apps.append(_SimulatedApp(path, {key: value for key, value in info.items() if value}))
    receipts = [(record.id, record.version or "") for record in facts.packages if record.id == values.pkg_id]
    return _Mac("that has just installed this installer", PASS, tuple(apps), receipts[0] if receipts else None)


def _bundle_name(name: str) -> str:
    """How a file of that name is called on disk, where no name holds a slash."""
    return (name if name.endswith(".app") else f"{name}.app").replace("/", ":")


def _try(zsh: str, root: Path, mac: _Mac, values: AuditValues | AuditReading) -> None:
    try:
        _furnish(root / "mac", mac, now=(values.created_at or 0) + (values.days or 0) * 86_400 + 1)
        done = _run([zsh, "-f", str(root / "script")], root)
    except (OSError, ValueError) as problem:
        if not _is_about_names(problem, mac):
            raise
        raise AuditScriptError(f"no Mac can have an app of that name or place ({problem}). Correct it") from None
    if done.returncode == mac.expected:
        return
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines() or ["nothing"]
    said = [line for line in lines if line.startswith("Passed over")] + lines[-1:]
    effect = _effect(mac, done.returncode)
    raise AuditScriptError(
        f"the audit script is refused: on a Mac {mac.what} it exits {done.returncode} instead of {mac.expected}, so "
        f"the Mac would {effect}. It says: {said[0][:300]!r}. Compare app name, bundle id, package id and "
        "version with what `kandji-uploader inspect` shows of the installer"
    )


def _is_about_names(problem: OSError | ValueError, mac: _Mac) -> bool:
    """Whether no disk could hold the apps of a Mac; otherwise it is this one that cannot."""
    if isinstance(problem, (ValueError, FileExistsError, NotADirectoryError, IsADirectoryError)):
        return True
    parts = (part for app in mac.apps for part in app.path.split("/"))
    return problem.errno == errno.ENAMETOOLONG and any(len(os.fsencode(part)) > _LONGEST_NAME for part in parts)


def _effect(mac: _Mac, code: int) -> str:
    if mac.expected == INSTALL:
        return "never get the software"
    return "install it again and again" if code == INSTALL else "report an error"


def _lay_out(place: Path, tools: Path) -> None:
    """Make what each simulated Mac has: the tools, and the folders that a Mac is delivered with."""
    place.mkdir()
    place.chmod(0o755)
    for name in (*_TOOLS, "usr/bin/find"):  # the search of the disk is a real one
        _folder((place / name).parent)
        (place / name).symlink_to(tools / name if name in _TOOLS else "/usr/bin/find")
    _folder(place / "Library" / "Preferences")
    for name in _OPEN_FOLDERS:
        _folder(place / name)
        (place / name).chmod(0o1777)


def _furnish(place: Path, mac: _Mac, now: int) -> None:
    """Write the apps, the receipt and the clock of a simulated Mac."""
    (place / "now").write_text(str(now), encoding="utf-8")
    for app in mac.apps:
        bundle = _inside(place, app.path)
        _folder(bundle.parent)
        _write_app(bundle, app.info)
    if mac.receipt:
        (place / "receipt.id").write_text(mac.receipt[0], encoding="utf-8")
        (place / "receipt.version").write_text(mac.receipt[1], encoding="utf-8")
        (place / "receipt.plist").write_bytes(plistlib.dumps({"pkg-version": _plain(mac.receipt[1])}))


def _folder(folder: Path) -> None:
    """Make a folder of the Mac, writable for nobody else, whatever the umask here is: the script looks at that."""
    missing = takewhile(lambda each: not each.exists(), (folder, *folder.parents))
    for each in reversed([*missing]):
        each.mkdir()
        each.chmod(0o755)


def _inside(place: Path, path: str) -> Path:
    """A path of the Mac below its folder; an installer may call its parts anything, even `..`."""
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise ValueError(path)
    return place.joinpath(*parts)


def _write_app(bundle: Path, info: dict[str, str]) -> None:
    plist = bundle / "Contents" / "Info.plist"
    plist.parent.mkdir(parents=True, exist_ok=True)
    # The stand-in reads the values from files of their own.
    plist.write_bytes(plistlib.dumps({key: _plain(value) for key, value in info.items()}))
    for key, value in info.items():
        plist.with_name(f"{plist.name}.{key}").write_text(value, encoding="utf-8")


def _plain(value: str) -> str:
    """A value as a plist can hold it, which has no control characters in a text."""
    return re.sub(r"[\0-\x08\x0b\x0c\x0e-\x1f]", "?", value)


def _run(command: Sequence[str], folder: Path) -> children.Done:
    # zsh keeps the texts of here-documents where TMPPREFIX says.
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPPREFIX": str(folder / "zsh")}
    try:
        return children.run(command, bare, seconds=_TIMEOUT, folder=folder)
    except children.ProgramTooSlowError:
        raise AuditScriptError(
            f"the audit script does not end: it ran for {_TIMEOUT:.0f} s. Correct the template of `audit_template`"
        ) from None
