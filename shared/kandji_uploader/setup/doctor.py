"""What `kandji-uploader doctor` looks at: the tenant, the token, the settings and this machine; nothing is changed.

Each check is one line that ends in the advice. A check that cannot be made because an earlier one failed is left out.
"""

from __future__ import annotations

import inspect
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from kandji_uploader import settings
from kandji_uploader._util import children, dependencies
from kandji_uploader._util.secret import Secret
from kandji_uploader.errors import (
    AuthenticationError,
    CredentialError,
    KandjiUploaderError,
    PlaintextError,
    SettingsError,
    ToolMissingError,
)
from kandji_uploader.kandji.probe import State
from kandji_uploader.kandji.transport import Transport
from kandji_uploader.models import Listener, Settings, Tenant
from kandji_uploader.report import notify
from kandji_uploader.settings import credentials, freezing
from kandji_uploader.setup import wizard
from kandji_uploader.state import store_of

_OLDEST_AUTOPKG = (2, 3)
_SKEW = 120.0
"""Seconds that a clock may be off: the service's own answer takes its time, too."""
_PATIENCE = 30.0
"""Seconds for a program of this machine."""
_AUTOPKG_PYTHONS = (
    dependencies.AUTOPKG_PYTHON,
    "/Library/AutoPkg/Python3/Python.framework/Versions/Current/bin/python3",
)


class Severity(str, Enum):
    """How serious the result of a check is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Check:
    """One check of the doctor, and its result.

    Attributes:
        subject: what.
        severity: whether it is fine.
        text: what was found, and what to do about it.
        tenant: the name of the tenant that it is about, where several could be; "" for all else.
    """

    subject: str
    severity: Severity
    text: str
    tenant: str = ""


def examine(environ: Mapping[str, str], tenants: Sequence[Tenant | None] = (None,)) -> Iterator[Check]:
    """Look at everything, and tell one thing after the other.

    Args:
        environ: the environment variables.
        tenants: which tenants to look at; None for the one of the settings.
    """
    yield from _settings(settings.config_folder(environ), environ, tenants[0])
    heard = False
    for tenant in tenants:
        name = tenant.name if tenant else ""
        try:
            loaded = settings.load({}, given_origin="doctor", caller="autopkg", environ=environ, tenant=tenant).settle()
        except SettingsError:
            text = "not looked at, for the settings must be corrected first"
            yield Check("tenant", Severity.WARNING, text, name)
            continue
        yield from (replace(check, tenant=name) for check in _there(loaded, environ))
        if not heard:  # Those who hear of runs are the same for all tenants.
            yield from _listeners(loaded, environ)
        heard = True
    yield from _machine(settings.early(environ).state_folder)
    yield from _autopkg(environ)


def _there(loaded: Settings, environ: Mapping[str, str]) -> Iterator[Check]:
    """All that is about one tenant."""
    yield from (Check("freeze", Severity.WARNING, text) for text in freezing.told(loaded, time.time()))
    yield _keychain(loaded, environ)
    yield from _tenant(loaded, environ)
    yield _pending(loaded)


def _settings(folder: Path, environ: Mapping[str, str], tenant: Tenant | None) -> Iterator[Check]:
    """The config file and the maps, with every problem in them."""
    try:
        files = [path for stem in ("config", *wizard.MAPS) if (path := settings.find_file(folder, stem))]
    except SettingsError as problem:
        yield Check("settings", Severity.PROBLEM, str(problem))
        return
    problems = wizard.problems_in(folder, environ, tenant)
    for text in problems:
        yield Check("settings", Severity.PROBLEM, text)
    named = ", ".join(path.name for path in files) or "no file; the environment and the defaults hold"
    if not problems:
        yield Check("settings", Severity.OK, f"{folder}: {named}")


def _keychain(settings: Settings, environ: Mapping[str, str]) -> Check:
    """The keychain, as grave as it is for a run: it is no problem where the token is found without it."""
    if not settings.keystore_keychain:
        return Check("keychain", Severity.OK, "not in use (token_keystore.keychain is off)")
    if os.geteuid() == 0:
        return Check("keychain", Severity.OK, "not asked as root: the token is taken from the environment only")
    try:
        return Check("keychain", Severity.OK, credentials.keychain_name(settings))
    except PlaintextError as problem:
        return Check("keychain", Severity.PROBLEM, str(problem))
    except CredentialError as problem:
        text = str(problem)
    try:
        found = credentials.api_token(replace(settings, keystore_keychain=False), environ)
    except CredentialError:
        return Check("keychain", Severity.PROBLEM, text)
    return Check("keychain", Severity.WARNING, f"{text} (the token is found in the {found.origin})")


def _tenant(settings: Settings, environ: Mapping[str, str]) -> Iterator[Check]:
    """The URL, the clock, the token and what it may do."""
    try:
        wizard.check_address(settings.api_url)
    except KandjiUploaderError as problem:
        yield Check("API URL", Severity.PROBLEM, str(problem))
        return
    yield Check("API URL", Severity.OK, f"{settings.api_url} answers")
    try:
        token = credentials.api_token_of_a_run(settings, environ)
    except CredentialError as problem:
        yield Check("token", Severity.PROBLEM, str(problem))
        return
    try:
        transport = Transport(settings.api_url, token, wizard.PATIENCE)
        transport.request("GET", "library/custom-apps")
        yield Check("token", Severity.OK, f"{settings.token_name} is accepted; found in the {token.origin}")
        yield from _clock(transport.clock_skew)
        yield _permissions(settings, token)
    except KandjiUploaderError as problem:
        subject = "token" if isinstance(problem, AuthenticationError) else "permissions"
        yield Check(subject, Severity.PROBLEM, str(problem))


def _clock(skew: float | None) -> Iterator[Check]:
    """This machine's clock beside the service's: deadlines are counted from it, and uploads are signed by the hour."""
    if skew is None:
        return
    if abs(skew) <= _SKEW:
        yield Check("clock", Severity.OK, f"within {_SKEW:.0f} seconds of the service's")
        return
    way = "behind" if skew > 0 else "ahead of"
    advice = "set it, or deadlines are wrong (macOS: `sudo sntp -sS time.apple.com`)"
    text = f"{abs(skew):.0f} seconds {way} the service's; {advice}"
    yield Check("clock", Severity.PROBLEM, text)


def _permissions(settings: Settings, token: Secret) -> Check:
    states = list(wizard.check_token(settings.api_url, token))
    missing = [permission for permission, state in states if state is State.MISSING]
    if missing:
        named = ", ".join(f"{permission.name} ({permission.purpose})" for permission in missing)
        grave = any(permission.always for permission in missing)
        text = f"missing: {named}. Add what you need in Kandji under Settings > Access"
        return Check("permissions", Severity.PROBLEM if grave else Severity.WARNING, text)
    unsure = [permission.name for permission, state in states if state is State.UNKNOWN]
    if unsure:
        text = f"not known, for the service gave an unusual answer: {', '.join(unsure)}. Try a dry run"
        return Check("permissions", Severity.WARNING, text)
    return Check("permissions", Severity.OK, f"all {len(states)} are there")


def _pending(settings: Settings) -> Check:
    """Publishes that a failed or interrupted run left to do."""
    # A doctor changes nothing: a former version's state folder is left where it is.
    entries = store_of(replace(settings, dry_run=True)).pending()
    if not entries:
        return Check("pending", Severity.OK, "nothing; all that was begun on this machine was done")
    listed = "; ".join(f"{entry.title} ({_clock_time(entry.at)}: {entry.reason})" for entry in entries)
    count = "1 publish is" if len(entries) == 1 else f"{len(entries)} publishes are"
    text = f"{count} pending: {listed}. `kandji-uploader retry` publishes them, `--forget NAME` gives one up"
    return Check("pending", Severity.WARNING, text)


def _listeners(loaded: Settings, environ: Mapping[str, str]) -> Iterator[Check]:
    """Whether each of those who hear of runs can be told; nothing is sent."""
    for listener in loaded.listeners:
        try:
            found = credentials.address_of(listener, loaded, environ)
            if not listener.is_slack:
                notify.check(found.reveal())
        except KandjiUploaderError as problem:
            yield Check(listener.name, Severity.PROBLEM, str(problem))
        else:
            yield _kept(listener, found, loaded.config_folder)


def _kept(listener: Listener, found: Secret, folder: Path) -> Check:
    """Where an address was found; the config file is no place for it where others can read that."""
    if listener.is_slack:
        text = f"on; {listener.secret} is found in the {found.origin}. `kandji-uploader setup --slack-test` tries it"
        return Check(listener.name, Severity.OK, text)
    path = settings.find_file(folder, "config") if listener.url else None
    if path is not None and path.stat().st_mode & 0o077:
        text = f"others on this machine can read its address; run: chmod 600 {shlex.quote(str(path))}"
        return Check(listener.name, Severity.WARNING, text)
    return Check(listener.name, Severity.OK, f"hears of {', '.join(listener.on)}; found in the {found.origin}")


def _machine(state_folder: Path) -> Iterator[Check]:
    """This Python, the state folder, and the programs that are of use."""
    missing = dependencies.missing()
    python = f"Python {sys.version.split()[0]}"
    if missing:
        text = f"{python} lacks {', '.join(missing)}; run: {dependencies.pip_line(missing)}"
        yield Check("Python", Severity.PROBLEM, text)
    else:
        yield Check("Python", Severity.OK, f"{python} has all packages")
    yield _state(state_folder)
    if shutil.which("zsh"):
        yield Check("zsh", Severity.OK, "audit scripts are tried before they are published")
    else:
        text = "there is none, so audit scripts are not tried before they are published; install it (`apt install zsh`)"
        yield Check("zsh", Severity.WARNING, text)
    if sys.platform != "darwin":
        yield _seven_zip()


def _state(folder: Path) -> Check:
    """Whether the state folder can be written; of one that is not there yet, whether it can be made."""
    # `exists` of a Path may raise where a folder above may not be entered; that of `os.path` does not.
    place = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return Check(
            "state", Severity.OK, f"{folder}{'' if place == folder else ' (made when it is first written to)'}"
        )
    advice = "correct its permissions, or name another folder as KANDJI_UPLOADER_STATE_DIR"
    return Check("state", Severity.PROBLEM, f"{place} cannot be written; {advice}")


def _clock_time(epoch: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(epoch))


def _seven_zip() -> Check:
    from kandji_uploader.installer.seven_zip import find_program

    try:
        return Check("7-Zip", Severity.OK, f"{find_program(Path('any.dmg'))}: disk images can be read")
    except ToolMissingError as problem:
        return Check("7-Zip", Severity.WARNING, problem.reason)


def _autopkg(environ: Mapping[str, str]) -> Iterator[Check]:
    """AutoPkg's version, and whether its own Python has what the processor needs."""
    program = shutil.which("autopkg", path=environ.get("PATH", os.defpath))
    if program is None:
        yield Check("AutoPkg", Severity.OK, "not on PATH; it is needed for recipes only")
        return
    said = (_output([program, "version"]) or "").strip().splitlines()
    version = said[-1].strip() if said else ""
    numbers = tuple(int(part) for part in version.split(".") if part.isdecimal())
    if not numbers:
        yield Check("AutoPkg", Severity.WARNING, f"{program} does not tell its version; run `autopkg version`")
    elif numbers < _OLDEST_AUTOPKG:
        yield Check("AutoPkg", Severity.PROBLEM, f"version {version} is too old; install 2.3 or newer")
    else:
        yield Check("AutoPkg", Severity.OK, f"version {version}")
    yield from _autopkg_python(Path(program))


def _autopkg_python(program: Path) -> Iterator[Check]:
    python = _python_of(program)
    if python is None:
        text = "which Python it runs in is not known; if a recipe says that a package is missing, run the line it gives"
        yield Check("AutoPkg's Python", Severity.OK, text)
        return
    # The module with the list of packages is run there as a text, for nothing of ours is installed in that Python.
    script = (
        f"{inspect.getsource(dependencies)}\n__file__ = {dependencies.__file__!r}\n"
        "lacking = missing()\nprint(pip_line(lacking) if lacking else 'ok')\n"
    )
    said = (_output([python, "-c", script]) or "").strip()
    if said == "ok":
        yield Check("AutoPkg's Python", Severity.OK, f"{python} has all packages")
    elif said:
        yield Check("AutoPkg's Python", Severity.PROBLEM, f"packages are missing; run: {said}")
    else:
        yield Check("AutoPkg's Python", Severity.PROBLEM, f"{python} does not run; install AutoPkg again")


def _python_of(program: Path) -> str | None:
    """The Python that runs AutoPkg: its own, or the one that its first line names."""
    own = next((path for path in _AUTOPKG_PYTHONS if os.access(path, os.X_OK)), None)
    if own is not None:
        return own
    try:
        with program.open("rb") as file:
            first = file.readline(500).decode("utf-8", "replace")
    except OSError:
        return None
    words = first[2:].split() if first.startswith("#!") else []
    named = words[-1] if words and Path(words[0]).name == "env" else words[0] if words else ""
    return named if "python" in Path(named).name else None


def _output(words: Sequence[str]) -> str | None:
    """What a program prints; None where it fails."""
    try:
        done = children.run(words, children.surroundings(), seconds=_PATIENCE)
    except (OSError, children.ProgramTooSlowError):
        return None
    return done.stdout if done.returncode == 0 else None
