"""The audit script of a Custom App: rendered from a template, and read back from the script that is live in Kandji.

The Kandji agent runs the script as root on every Mac in scope. What an installer or a recipe calls itself is data
there: every value stands at the top of the script as one quoted literal on one line, from which zsh reads exactly the
value again, whatever it holds. Everything here is pure, in memory, but `load_template`.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kandji_uploader._util import files
from kandji_uploader.audit import conditions
from kandji_uploader.errors import AuditScriptError

DEFAULT_VERSION_KEY = "CFBundleShortVersionString"
VERSION_KEYS = (DEFAULT_VERSION_KEY, "CFBundleVersion")

TEMPLATE_NAME = "audit_app_and_version.zsh"
_MARK = "# kandji-uploader:"
_BODY_NOTE = "body"
_MEMORY_BODY = "memory"
_MEMORY = """#!/bin/zsh -f
#
# What this Custom App had before, noted by kandji-uploader for promotion and rollback.
# It checks nothing: Kandji runs the audit scripts of continuously enforced apps only.
#
"""

# The variables that the scripts of KAPPA and kpkg have, too, under the same names: what lacks one of them is no audit
# script of this family. Those scripts are read so that a tenant that moves here keeps its versions and deadlines.
_NEEDED = (
    "APP_NAME",
    "BUNDLE_ID",
    "PKG_ID",
    "MINIMUM_ENFORCED_VERSION",
    "CREATION_TIMESTAMP",
    "DAYS_UNTIL_ENFORCEMENT",
)
# A template may do without these as long as nobody asks for anything but the default.
_OPTIONAL = {
    "VERSION_KEY": DEFAULT_VERSION_KEY,
    "INSTALL_WHEN_MISSING": "true",
    "BLOCKING_APPLICATIONS": "",
    "MINIMUM_OS_VERSION": "",
    "UNZIP_LOCATION": "",
    "HALTED": "",
}

_ASSIGNMENT = re.compile(rf"^({'|'.join((*_NEEDED, *_OPTIONAL))})=(.*)$", re.MULTILINE)
# A note is a comment, which zsh passes over, on one line, which JSON makes of any text; its key must not end it early.
_NOTE = re.compile(rf"^{_MARK}([a-z][a-z0-9_-]*) (.*)\n?", re.MULTILINE)
_NOTE_KEY = re.compile(r"[a-z][a-z0-9_-]*\Z")
_LARGEST_TIME = 2**40  # Seconds; zsh and date of a Mac count further than that, and no calendar is meant.
_LARGEST_DELAY = 36_500  # Days, a hundred years.
# A script comes from the tenant, where anybody with the permission can put one; ours has some 40,000 characters.
_LONGEST_SCRIPT = 2_000_000


@dataclass(frozen=True)
class AuditValues:
    """What an audit script looks for and enforces.

    Attributes:
        app_name: bundle name, such as `Firefox.app`; None where it is not known.
        bundle_id: its `CFBundleIdentifier`.
        pkg_id: the id of the package receipt; counts only where there is neither bundle id nor name.
        version: the lowest version that passes once the deadline is over.
        created_at: when this version was published, in seconds since 1970; the delay counts from there.
        days: days until the version is enforced; 0 enforces at once.
        version_key: the Info.plist key that `version` is compared with.
        install_when_missing: whether a Mac without the app installs it; False only updates it.
        blocking_applications: the apps a user is asked to quit before an upgrade, in place of the app itself; empty
            where nobody is asked, None for the app itself.
        minimum_os_version: the lowest macOS that is asked for an install or upgrade; None for any.
        unzip_location: where a zip is unpacked on the Mac, which is one of the places where the app is looked for;
            None for `/Applications`, and where the installer is no zip.
        halted: why no Mac is asked for this version any more; None where Macs are.
    """

    app_name: str | None
    bundle_id: str | None
    pkg_id: str | None
    version: str
    created_at: int
    days: int
    version_key: str = DEFAULT_VERSION_KEY
    install_when_missing: bool = True
    blocking_applications: tuple[str, ...] | None = None
    minimum_os_version: str | None = None
    unzip_location: str | None = None
    halted: str | None = None


@dataclass(frozen=True)
class AuditReading:
    """What a live audit script says; the attributes are those of `AuditValues`, None where it does not say.

    Attributes:
        writer: `ours`, `kappa` or `kpkg` (irupkg, too), by the tool that rendered it; None where none of those did, and
            then nothing else is filled in.
        edited: whether a script of ours was changed after it was rendered, its values aside.
        notes: what `render` was given to carry along.
        is_memory: whether the script holds notes and checks nothing; see `memory`.
    """

    version: str | None = None
    created_at: int | None = None
    days: int | None = None
    app_name: str | None = None
    bundle_id: str | None = None
    pkg_id: str | None = None
    install_when_missing: bool = True
    version_key: str = DEFAULT_VERSION_KEY
    blocking_applications: tuple[str, ...] | None = None
    minimum_os_version: str | None = None
    unzip_location: str | None = None
    halted: str | None = None
    writer: str | None = None
    edited: bool = False
    notes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    is_memory: bool = False

    def values(self, **instead: Any) -> AuditValues:
        """What the script looks for and enforces, with some of it in place of what is there."""
        told = {each.name: getattr(self, each.name) for each in fields(AuditValues)}
        numbers = {"version": self.version or "", "created_at": self.created_at or 0, "days": self.days or 0}
        return AuditValues(**{**told, **numbers, **instead})

    @property
    def known(self) -> bool:
        """Whether this tool, KAPPA or kpkg wrote the script."""
        return self.writer is not None


def load_template(path: str | Path | None = None) -> str:
    """The text of a template; the bundled one where no path is given.

    Raises:
        AuditScriptError: it cannot be read, or lacks variables; the text names all that are missing.
    """
    place = files.shipped(TEMPLATE_NAME, "audit") if path is None else Path(path).expanduser()
    try:
        template = files.bundled(place) if path is None else place.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as problem:
        raise AuditScriptError(
            f"the audit template {str(place)!r} cannot be read ({problem}). Correct `audit_template`"
        ) from None
    _check_template(template, str(place))
    return template


def render(values: AuditValues, template: str, notes: Mapping[str, str] = MappingProxyType({})) -> str:
    """The audit script: the template with every variable set to its value, as a literal on one line.

    Args:
        values: what to enforce.
        template: as `load_template` gives it.
        notes: carried along as comment lines `# kandji-uploader:KEY VALUE`, the value as a JSON string.

    Raises:
        AuditScriptError: nothing identifies the app, a value cannot be in a script, or the template lacks a variable.
    """
    # Refused here, before anything is sent: the script runs as root on every Mac in scope.
    _check_values(values)
    _check_template(template, "in use")
    texts = _texts(values)
    assigned, digest = _of_template(template)
    for name, default in _OPTIONAL.items():
        if name not in assigned and texts[name] != default:
            raise AuditScriptError(
                f"the audit template lacks the variable {name}, which is needed for {name}={texts[name]}. "
                f"Add a line `{name}={_quote(default)}` at its top"
            )
    script = _ASSIGNMENT.sub(lambda found: f"{found[1]}={_quote(texts[found[1]])}", template)
    lines = _note_lines({**notes, _BODY_NOTE: digest})
    # Above the variables, which a template always has: below the head that an admin reads first.
    at = next(_ASSIGNMENT.finditer(script)).start()
    return script[:at] + lines + script[at:]


def memory(notes: Mapping[str, str]) -> str:
    """The audit script of an app that has none: it holds notes, and checks nothing; "" where there are no notes.

    Kandji keeps it, and runs no audit script of an app that is not continuously enforced. Were it run, it would pass.

    Raises:
        AuditScriptError: a note cannot be written.
    """
    return f"{_MEMORY}{_note_lines({**notes, _BODY_NOTE: _MEMORY_BODY})}exit 0\n" if notes else ""


def with_notes(script: str, notes: Mapping[str, str]) -> str:
    """A script of ours with other notes. Every other byte stays as it is, so no deadline and no check changes by it.

    Args:
        script: as it is in Kandji, also with the line ends of its editor.
        notes: what it is to carry along from now on, and nothing else.

    Raises:
        AuditScriptError: this tool did not write the script, or a note cannot be written.
    """
    found = [line for line in _NOTE.finditer(script) if line[1] != _BODY_NOTE]
    body = next((line for line in _NOTE.finditer(script) if line[1] == _BODY_NOTE), None)
    if body is None or read(script).writer != "ours":
        raise AuditScriptError("this tool did not write the audit script, so nothing is noted in it")
    at = min(line.start() for line in (body, *found))
    lines = _note_lines(notes)
    if body[0].endswith("\r\n"):
        lines = lines.replace("\n", "\r\n")
    kept = _NOTE.sub(lambda line: line[0] if line[1] == _BODY_NOTE else "", script[at:])
    return script[:at] + lines + kept


# A run looks at the same few scripts about ten times: for the plan, for promotion, and before each write.
@functools.lru_cache(maxsize=32)
def read(script: str) -> AuditReading:
    """Read a live script back, ours or an incumbent's. Any text is accepted; nothing of it is ever run."""
    return _read(script)


def _read(script: str) -> AuditReading:
    # The console's editor may send line ends back as CR LF; the script means the same, and was not edited by that.
    script = script[:_LONGEST_SCRIPT].replace("\r\n", "\n")
    literals = _first_of_each(script)
    notes = _read_notes(script)
    if not literals and notes.get(_BODY_NOTE) == _MEMORY_BODY:
        return AuditReading(writer="ours", notes=_without_body(notes), is_memory=True)
    if not all(name in literals for name in _NEEDED):
        return AuditReading()
    # A script that somebody else wrote may have such variables by chance, so its values are not believed.
    writer = _writer(script, notes)
    if writer is None:
        return AuditReading()
    unquote = _unquote if writer == "ours" else _bare
    texts = {name: unquote(literal.strip()) for name, literal in literals.items()}
    return AuditReading(
        version=texts["MINIMUM_ENFORCED_VERSION"] or None,
        created_at=_number(texts["CREATION_TIMESTAMP"]),
        days=_number(texts["DAYS_UNTIL_ENFORCEMENT"]),
        app_name=texts["APP_NAME"] or None,
        bundle_id=texts["BUNDLE_ID"] or None,
        pkg_id=texts["PKG_ID"] or None,
        install_when_missing=texts.get("INSTALL_WHEN_MISSING") != "false",
        version_key=texts.get("VERSION_KEY") or DEFAULT_VERSION_KEY,
        blocking_applications=_blocking(texts.get("BLOCKING_APPLICATIONS")),
        minimum_os_version=_macos(texts.get("MINIMUM_OS_VERSION")),
        unzip_location=texts.get("UNZIP_LOCATION") or None,
        halted=texts.get("HALTED") or None,
        writer=writer,
        edited=writer == "ours" and notes.get(_BODY_NOTE) != _digest(script),
        notes=_without_body(notes),
    )


def _without_body(notes: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({key: value for key, value in notes.items() if key != _BODY_NOTE})


def _texts(values: AuditValues) -> dict[str, str]:
    return {
        "APP_NAME": values.app_name or "",
        "BUNDLE_ID": values.bundle_id or "",
        "PKG_ID": values.pkg_id or "",
        "MINIMUM_ENFORCED_VERSION": values.version,
        "CREATION_TIMESTAMP": str(values.created_at),
        "DAYS_UNTIL_ENFORCEMENT": str(values.days),
        "VERSION_KEY": values.version_key,
        "INSTALL_WHEN_MISSING": "true" if values.install_when_missing else "false",
        "BLOCKING_APPLICATIONS": _joined(values.blocking_applications),
        "MINIMUM_OS_VERSION": values.minimum_os_version or "",
        "UNZIP_LOCATION": values.unzip_location or "",
        "HALTED": values.halted or "",
    }


def _joined(names: tuple[str, ...] | None) -> str:
    """Each name with a colon behind it; a colon alone where there is a list but nothing in it.

    A name that has an accent stands there composed and decomposed, too: macOS opens a file by either, but lists it as
    its maker wrote it. The zsh of a Mac cannot turn one into the other.
    """
    if names is None:
        return ""
    return "".join(f"{form}:" for name in names for form in _forms(name)) or ":"


def _forms(name: str) -> tuple[str, ...]:
    """A name as it was given, composed, and decomposed; each once."""
    return tuple(dict.fromkeys((name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD")))))


def _blocking(text: str | None) -> tuple[str, ...] | None:
    """The names that `_joined` made a text of; what someone wrote there by hand and is no name is left out."""
    if not text:
        return None
    return conditions.distinct(name for name in text.split(":") if not conditions.app_problem(name))


def _macos(text: str | None) -> str | None:
    return text if text and not conditions.macos_problem(text) else None


def _check_values(values: AuditValues) -> None:
    if not any((text or "").strip() for text in (values.app_name, values.bundle_id, values.pkg_id)):
        raise AuditScriptError(
            "nothing identifies the app: no app name, bundle id or package id is known, and an audit script without "
            "one would say nothing. Give `app_name` or `bundleid` in the recipe, or use another enforcement_type"
        )
    if not values.version.strip():
        raise AuditScriptError("there is no version to enforce. Give `version` in the recipe")
    if not 0 <= values.created_at <= _LARGEST_TIME:
        raise AuditScriptError(f"{values.created_at} is no time in seconds since 1970. Check the clock of this machine")
    if not 0 <= values.days <= _LARGEST_DELAY:
        raise AuditScriptError(f"a delay of {values.days} days is not accepted: 0 to {_LARGEST_DELAY} days are")
    if values.version_key not in VERSION_KEYS:
        raise AuditScriptError(f"the version key {values.version_key!r} is not one of {', '.join(VERSION_KEYS)}")
    _check_conditions(values)
    for name, text in _texts(values).items():
        if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            raise AuditScriptError(f"{name} is {text!r}, which holds characters that no file name or plist can hold")


def _check_conditions(values: AuditValues) -> None:
    for name in values.blocking_applications or ():
        if said := conditions.app_problem(name):
            raise AuditScriptError(f"the blocking application {name!r} {said}. Correct `blocking_applications`")
    if values.minimum_os_version and (said := conditions.macos_problem(values.minimum_os_version)):
        raise AuditScriptError(f"{values.minimum_os_version!r} {said}. Correct `minimum_os_version`")
    place = values.unzip_location
    if place is not None and (not place.startswith("/") or ".." in place.split("/")):
        raise AuditScriptError(f"{place!r} is no absolute path of a folder. Correct `unzip_location`")


@functools.lru_cache(maxsize=8)  # The scripts of a run come from one template, or a few.
def _of_template(template: str) -> tuple[tuple[str, ...], str]:
    """The variables that it assigns, in order, and its digest."""
    return tuple(name for name, _ in _ASSIGNMENT.findall(template)), _digest(template)


def _check_template(template: str, place: str) -> None:
    names, _ = _of_template(template)
    missing = [name for name in _NEEDED if name not in names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if missing:
        raise AuditScriptError(
            f"the audit template {place} lacks {', '.join(missing)}; it needs a line `NAME=''` for each of "
            f"{', '.join(_NEEDED)}"
        )
    if twice:
        raise AuditScriptError(f"the audit template {place} sets {', '.join(twice)} more than once; keep one line each")


def _quote(text: str) -> str:
    """A zsh literal for a text, on one line: '...', or $'...' where a character would break or disguise the line."""
    # zshmisc, "Quoting": between single quotes every character stands for itself, but the quote. It is closed, put in
    # behind a backslash, and opened again: zsh reads the parts as one word.
    if not any(_unprintable(letter) for letter in text):
        return "'" + text.replace("'", "'\\''") + "'"
    return "$'" + "".join(_escaped(letter) for letter in text) + "'"


def _unprintable(letter: str) -> bool:
    """Control and format characters, line and paragraph separators.

    Format characters can show a line in another order than zsh reads it in ("Trojan Source", CVE-2021-42574).
    """
    return unicodedata.category(letter) in {"Cc", "Cf", "Zl", "Zp"}


def _escaped(letter: str) -> str:
    if letter in "\\'":
        return "\\" + letter
    # Byte by byte: \u depends on the locale that zsh runs in, which an agent started by launchd does not have.
    if _unprintable(letter):
        return "".join(f"\\x{byte:02x}" for byte in letter.encode())
    return letter


# The forms that `_quote` writes: '...', $'...', and one character behind a backslash. By hand also "..." without
# anything that zsh would replace, or a bare word.
_PIECE = re.compile(r"'((?:[^'\n])*)'|\$'((?:[^'\\\n]|\\.)*)'|\\(.)")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))")
_BY_HAND = re.compile(r'"([^"$`\\]*)"|([\w.+-]*)')


def _unquote(literal: str) -> str:
    """What zsh reads from a literal of `_quote`, or from a plain one typed by hand; "" for anything else."""
    plain = _BY_HAND.fullmatch(literal)
    if plain:
        return plain[1] or plain[2] or ""
    text: list[str] = []
    at = 0
    while at < len(literal):
        piece = _PIECE.match(literal, at)
        if piece is None:
            return ""
        quoted, dollar, single = piece.groups()
        text.append(_unescape(dollar) if dollar is not None else quoted if quoted is not None else single)
        at = piece.end()
    return "".join(text)


def _unescape(text: str) -> str:
    def letter(found: re.Match[bytes]) -> bytes:
        return bytes([int(found[1], 16)]) if found[1] else found[2]

    return _ESCAPE.sub(letter, text.encode(errors="replace")).decode(errors="replace")


def _bare(literal: str) -> str:
    """What KAPPA and kpkg wrote between double quotes, without escapes of any kind, or as a bare number."""
    if len(literal) > 1 and literal[0] == literal[-1] and literal[0] in "\"'":
        return literal[1:-1]
    return literal


def _number(text: str) -> int | None:
    """A number that the script can mean; None for any other text. 13 digits count further than `_LARGEST_TIME`."""
    return int(text) if re.fullmatch(r"[0-9]{1,13}", text) else None


def _first_of_each(script: str) -> dict[str, str]:
    # The template sets each once, at its top. A later line was added by hand, and may stand where it is never run.
    found: dict[str, str] = {}
    for name, literal in _ASSIGNMENT.findall(script):
        found.setdefault(name, literal)
    return found


def _writer(script: str, notes: Mapping[str, str]) -> str | None:
    if _BODY_NOTE in notes:
        return "ours"
    # In comments only: an app may be called KAPPA. Both tools name themselves at the top of their scripts.
    comments = "\n".join(line for line in script.splitlines() if line.startswith("#"))
    if re.search(r"\bKAPPA\b", comments):
        return "kappa"
    if re.search(r"\b(kpkg|irupkg)\b", comments):
        return "kpkg"
    return None


def _digest(script: str) -> str:
    """Digest of a script or template without values and notes; the service may trim its end."""
    bare = _ASSIGNMENT.sub(lambda found: f"{found[1]}=", _NOTE.sub("", script))
    return hashlib.sha256(bare.strip().encode(errors="replace")).hexdigest()


def _note_lines(notes: Mapping[str, str]) -> str:
    for key in notes:
        if not _NOTE_KEY.match(key):
            raise AuditScriptError(f"the note {key!r} must be lower-case letters, digits, `-` and `_`")
    return "".join(f"{_MARK}{key} {json.dumps(value)}\n" for key, value in notes.items())


def _read_notes(script: str) -> dict[str, str]:
    """The notes of a script; those that are no JSON string are not ours."""
    notes = {}
    for key, text in _NOTE.findall(script):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, str):
            notes[key] = value
    return notes
