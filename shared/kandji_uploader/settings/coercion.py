"""What each setting takes, and how the strings of the AutoPkg command line become it.

Each function here takes the value that was found and returns the value that holds, or raises `UnfitError`, which says
what it accepts.
`-k` and `AUTOPKG_*` can give strings only, and our YAML reader leaves all but plain whole numbers and `true`/`false`
as text, so every kind reads text.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from kandji_uploader._util.names import LONGEST_NAME, hidden_character
from kandji_uploader._util.secret import Secret
from kandji_uploader.audit import conditions
from kandji_uploader.models import Enforcement, Listener

Kind = Callable[[object], object]

LONGEST_DELAY = 3650
_SHOWN = 80
_NUMERAL = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TEAM = re.compile(r"[A-Z0-9]{10}", re.ASCII)
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")
# Controls, lone surrogates, line and paragraph separators. Format characters (Cf) stay: emoji are joined by them. The
# name of a Custom App is what one app is told from another by, so there they do not: see `app_name`.
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")
ENFORCEMENTS = {
    **{kind.value: kind for kind in Enforcement},
    "continuously_enforce": Enforcement.AUDIT_ENFORCE,
    "no_enforcement": Enforcement.SELF_SERVICE,
}
"""What a recipe or config file may call an enforcement: our words, and those of the API."""


class UnfitError(ValueError):
    """A value that a setting does not take.

    Attributes:
        accepted: what it takes, as a phrase that follows `KEY is VALUE: `.
        secret: whether the value may be a secret and must not be shown.
    """

    def __init__(self, accepted: str, *, secret: bool = False) -> None:
        self.accepted = accepted
        self.secret = secret
        super().__init__(accepted)


def shown(value: object) -> str:
    """A value as an error text shows it: quoted, one line, cut short.

    Never shown are the contents of a mapping or list, nor a text that looks like a token or webhook in the wrong place.
    """
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple | set):
        return "a list"
    if isinstance(value, bytes):
        return "binary data"
    text = repr(value) if isinstance(value, str) else str(value)
    if _looks_secret(text):
        return "something that looks like a secret (not shown)"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(str(value))} characters)"


def _looks_secret(text: str) -> bool:
    return bool(_UUID.search(text)) or "hooks.slack.com" in text


def boolean(value: object) -> bool:
    """True or false, also as text."""
    word = str(value).strip().lower()
    if not isinstance(value, str | bool | int) or word not in (*_TRUE, *_FALSE):
        raise UnfitError("must be true or false (also yes or no, 1 or 0)")
    return word in _TRUE


@dataclass(frozen=True)
class Number:
    """Reads a number from `low` to `high`, both accepted.

    Attributes:
        low: the lowest that is accepted.
        high: the highest.
        unit: what it counts, for error texts.
        whole: whether it must be a whole number.
    """

    low: float
    high: float
    unit: str
    whole: bool = False

    def __call__(self, value: object) -> float:
        """The number; an `int` where it must be whole. Raises UnfitError."""
        found = _numeral(value)
        if found is None or (self.whole and not found.is_integer()) or not self.low <= found <= self.high:
            kind = "a whole number" if self.whole else "a number"
            raise UnfitError(f"must be {kind} from {self.low:.15g} to {self.high:.15g} ({self.unit})")
        return int(found) if self.whole else found


def _numeral(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and _NUMERAL.fullmatch(value.strip()):
        value = float(value)
    if not isinstance(value, int | float) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def text(value: object) -> str:
    """One line of text that is not blank, without the blanks around it."""
    if isinstance(value, float):
        raise UnfitError("was read as a number, which can lose digits; put it in quotes")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UnfitError("must be text; put it in quotes")
    found = str(value).strip()
    if not found:
        raise UnfitError("must not be empty; write a value or leave the key out")
    if any(unicodedata.category(character) in _UNPRINTABLE for character in str(value)):
        raise UnfitError("must be one line without control characters")
    return found


def name(value: object) -> str:
    """The name of a Custom App or of a Self Service category."""
    found = text(value)
    if len(found) > LONGEST_NAME:
        raise UnfitError(f"has {len(found)} characters; a name has at most {LONGEST_NAME}")
    return found


def app_name(value: object) -> str:
    """The name of a Custom App: without characters that nobody can see, see `hidden_character`."""
    found = name(value)
    hidden = hidden_character(found)
    if hidden:
        raise UnfitError(f"holds {hidden}, which cannot be seen; take it out, or give the app another name")
    return found


def naming(value: object) -> str:
    """The pattern for the names of new apps."""
    found = app_name(value)
    if "APPNAME" not in found:
        raise UnfitError("must contain APPNAME, or all apps would share one name; write it like 'APPNAME (AutoPkg)'")
    return found


def secret_name(value: object) -> str:
    """The name under which a secret is kept; refuses the secret itself, which some put here, without showing it."""
    if isinstance(value, str) and ("://" in value or _looks_secret(value)):
        raise UnfitError(
            "holds the secret itself (not shown); write the name under which the environment or keychain keeps it, "
            "such as KANDJI_TOKEN, and revoke the secret if others could read this",
            secret=True,
        )
    found = name(value)
    if "=" in found:
        raise UnfitError("must be a name, without '='", secret=True)
    return found


def enforcement(value: object) -> Enforcement:
    """How an app is enforced, in our words or in those of the API."""
    found = ENFORCEMENTS.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise UnfitError(f"must be one of {', '.join(kind.value for kind in Enforcement)}")
    return found


HEARD = ("all", "failed", "promoted")
"""What somebody may hear of; see `Listener.on`."""
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#]\S*", re.ASCII | re.IGNORECASE)


def heard(value: object) -> tuple[str, ...]:
    """What somebody hears of; text is split at commas."""
    parts = value.split(",") if isinstance(value, str) else value
    words = [str(part).strip().lower() for part in parts] if isinstance(parts, list | tuple) else []
    if not words or not set(words) <= set(HEARD):
        raise UnfitError("must be all, failed or promoted, or a list of these")
    return tuple(word for word in HEARD if word in words)


def is_address(text: str) -> bool:
    """Whether a text is the address of a service, such as mailto://... or https://..."""
    return bool(_ADDRESS.fullmatch(text))


def listeners(value: object) -> tuple[Listener, ...]:
    """Who hears of runs: a list of mappings, each with `url` and maybe `on`. No address is ever shown."""
    if not isinstance(value, list | tuple):
        raise UnfitError("must be a list; write each as `- url: NAME`", secret=True)
    found = tuple(_listener(number, each) for number, each in enumerate(value, 1))
    names = [listener.name for listener in found]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise UnfitError(f"names {twice} twice; put all that it hears of into one `on`", secret=True)
    return found


def _listener(number: int, value: object) -> Listener:
    which = f"entry {number}"
    if not isinstance(value, Mapping):
        raise UnfitError(f"{which} must be a mapping; write it as `- url: NAME`", secret=True)
    odd = [key for key in value if key not in ("url", "on")]
    if odd:
        raise UnfitError(f"{which} has a key that is not known; known are url and on", secret=True)
    try:
        on = heard(value.get("on", "all"))
    except UnfitError as unfit:
        raise UnfitError(f"{which}: on is {shown(value['on'])}: {unfit.accepted}", secret=True) from None
    return _called(number, which, value.get("url"), on)


def _called(number: int, which: str, url: object, on: tuple[str, ...]) -> Listener:
    """A listener by its address, or by the name under which that is kept."""
    text = str(url).strip() if isinstance(url, str) else ""
    if is_address(text):
        scheme = text.partition(":")[0].lower()
        return Listener(f"notify {number} ({scheme})", on, url=Secret(text, "config file"))
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", text):
        raise UnfitError(
            f"{which}: url (not shown) must be an address such as mailto://... or https://..., or the name under which "
            "the environment or keychain keeps one, such as TEAMS_URL",
            secret=True,
        )
    return Listener(text, on, text)


@dataclass(frozen=True)
class Choice:
    """Reads one of a few words."""

    words: tuple[str, ...]

    def __call__(self, value: object) -> str:
        """The word, in lower case. Raises UnfitError."""
        found = str(value).strip().lower()
        if not isinstance(value, str) or found not in self.words:
            raise UnfitError(f"must be {' or '.join(self.words)}")
        return found


def names(value: object) -> tuple[str, ...]:
    """A list of names; text is split at commas."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not parts:
        raise UnfitError("must be a list of names, or text with commas between them")
    return tuple(dict.fromkeys(name(part) for part in parts))


def team_ids(value: object) -> tuple[str, ...]:
    """A list of Team IDs, or `apple` for Apple's own software; text is split at commas."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not parts:
        raise UnfitError("must be a Team ID, or a list of Team IDs")
    return tuple(dict.fromkeys(_team_id(part, ("apple",)) for part in parts))


def new_signer(value: object) -> str:
    """One Team ID; `apple` for Apple's own software, `unsigned` where nobody signs it any more."""
    return _team_id(value, ("apple", "unsigned"))


def _team_id(value: object, words: tuple[str, ...]) -> str:
    found = str(value).strip()
    if found.lower() in words:
        return found.lower()
    if not _TEAM.fullmatch(found.upper()):
        raise UnfitError(f"must be a Team ID (ten letters and digits, such as 43AQ936H96) or {' or '.join(words)}")
    return found.upper()


def tenants(value: object) -> tuple[str, ...]:
    """Names of tenants, `@` with that of a group, or `all`; text is split at commas."""
    try:
        return names(value)
    except UnfitError:
        raise UnfitError("must be the name of a tenant in tenants.yaml, @GROUP, all, or a list of these") from None


def app_names(value: object) -> tuple[str, ...]:
    """A list of apps as `conditions` takes them; text is split at commas, and `[]` is the empty list in a text, too."""
    parts = value
    if isinstance(value, str):
        parts = [] if value.strip() == "[]" else value.split(",")
    if not isinstance(parts, list | tuple):
        raise UnfitError("must be a list of apps, or text with commas between them; [] where nothing blocks")
    return conditions.app_names(_app_name(part) for part in parts)


def _app_name(value: object) -> str:
    if isinstance(value, str) and not value.strip():
        raise UnfitError("holds an empty name; write the apps' names, [] where nothing blocks, or leave the key out")
    found = text(value)
    if said := conditions.app_problem(found):
        advice = "write an app as Firefox.app or Firefox, or the absolute path of an app or its executable"
        raise UnfitError(f"holds {shown(found)}, which {said}; {advice}")
    return found


def macos_version(value: object) -> str:
    """A version of macOS."""
    found = text(value)
    if conditions.macos_problem(found):
        raise UnfitError("must be a version of macOS in digits and dots, such as 13 or 13.6.1")
    return found


def mac_folder(value: object) -> str:
    """An absolute path of a folder on a Mac."""
    found = text(value)
    if not found.startswith("/"):
        raise UnfitError("must be an absolute path on the Mac, such as /Applications")
    return found if found == "/" else found.rstrip("/")


def folder(value: object) -> str:
    """The absolute path of a folder on this machine; `~` is the user's home folder."""
    found = text(value)
    try:
        path = Path(found).expanduser()
    except RuntimeError:  # `~name` of nobody
        path = Path(found)
    if not path.is_absolute():
        raise UnfitError("must be an absolute path, such as /var/lib/kandji-uploader or ~/kandji-uploader")
    return str(path)


def moment(value: object) -> datetime:
    """A date and time with a time zone.

    The date of a plist arrives as a value without a zone and is UTC by that format's definition; text must say its
    zone, because the admin's clock, the CI machine's and the Mac's rarely agree.
    """
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    accepted = "must be a date and time with its zone, such as 2026-03-31T18:00:00+02:00 or 2026-03-31T16:00:00Z"
    if not isinstance(value, str):
        raise UnfitError(accepted)
    try:
        found = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", value.strip()))
    except ValueError:
        raise UnfitError(accepted) from None
    if found.tzinfo is None:
        raise UnfitError(accepted)
    return found
