"""The releases of a Custom App: what it holds, what it held before, and how that is remembered.

A release is all that reaches a Mac: an installer, as a Custom App holds it or once did, with the scripts and settings
that came with it; one digest of all of it names it. What an app held is remembered in the state folder and in comment
lines (notes) of its audit script, so that a machine that forgets everything after a run knows it, too. (An app that is
not enforced has a script with nothing else in it, which Kandji keeps and does not run.)

- `current`: what this tool put there, and when; the file key of what is there is the app's own
- `former`: what was there before. Of the test app these are candidates (see `promotion`): a release that a newer one
  has replaced there still counts, with the health that its Macs reported last
- `rolled_back`: what an admin took back; neither it nor anything older is published again
- `signer`: who signed what is there, and whom an admin has let that one take the place of (see `signers`)

The notes are written only together with a new release, so that a nightly run without news writes nothing.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any

from kandji_uploader._util import version
from kandji_uploader.models import AppFacts, CustomApp, InstallType, Target
from kandji_uploader.publish import signers

KEPT_CANDIDATES = 20
KEPT_FORMER = 5

_LATEST = 1e11


@dataclass(frozen=True)
class Health:
    """What the Macs of the test app said of one release.

    Attributes:
        passed: Macs that have it (or a later version) and said so after it came.
        errors: Macs that failed since.
        pending: Macs that have said nothing since, or nothing that tells.
        at: when they were asked, epoch seconds.
    """

    passed: int = 0
    errors: int = 0
    pending: int = 0
    at: float = 0.0

    @property
    def reported(self) -> int:
        """Macs whose report tells something."""
        return self.passed + self.errors

    def __str__(self) -> str:
        return f"{self.passed} of {self.reported + self.pending} Macs PASS, {self.errors} in ERROR"


class Verdict(str, Enum):
    """What a sample of the Macs' health says by the rules of the app that is to take a release."""

    HOLDS = "h"
    UNKNOWN = "u"
    """Too few Macs have reported to tell."""
    UNHEALTHY = "e"


@dataclass(frozen=True)
class Soak:
    """How a release has soaked up to the last sample of its Macs' health, which is its `health`.

    Attributes:
        healthy: seconds between samples of which both held; that it came counts as one that held.
        verdict: of the last sample.
        samples: one a day, the oldest first: how it has spread.
    """

    healthy: float = 0.0
    verdict: Verdict = Verdict.HOLDS
    samples: tuple[Health, ...] = ()


@dataclass(frozen=True)
class Contents:
    """What reaches a Mac with a release, beside the installer. None: no setting gave it, and it is left as it is.

    Attributes:
        preinstall_script: the script's text.
        postinstall_script: likewise.
        restart: whether a Mac restarts after the install.
        unzip_location: where a .zip is unpacked.
        blocking_applications: see `AuditValues`.
        minimum_os_version: likewise.
    """

    preinstall_script: str | None = None
    postinstall_script: str | None = None
    restart: bool | None = None
    unzip_location: str | None = None
    blocking_applications: tuple[str, ...] | None = None
    minimum_os_version: str | None = None

    @staticmethod
    def of(target: Target, kind: InstallType) -> Contents:
        """The contents that the settings give to an app. `kind` is that of the installer; only a .zip is unpacked."""
        given = Contents(**{each.name: getattr(target, each.name) for each in fields(Contents)})
        return given if kind is InstallType.ZIP else replace(given, unzip_location=None)

    @property
    def given(self) -> str:
        """Which of them settings gave: a letter for each, `a` for the first."""
        return "".join(chr(ord("a") + at) for at, value in enumerate(self.values()) if value is not None)

    def only(self, given: str) -> Contents:
        """These, as far as they are among the `given` ones; None for the others."""
        names = [field.name for at, field in enumerate(fields(self)) if chr(ord("a") + at) not in given]
        return replace(self, **dict.fromkeys(names))

    def same(self, other: Contents) -> bool:
        """Whether both say the same."""
        return self.values() == other.values()

    def values(self) -> list[object]:
        """All of them, in their order, as they are compared."""
        return [_plain(getattr(self, field.name)) for field in fields(self)]


def _plain(value: object) -> object:
    """A value as it is compared: the service may trim a script's end and write its line ends otherwise."""
    return value.replace("\r\n", "\n").strip() if isinstance(value, str) else value


def digest_of(installer: str, test: Contents, prod: Contents) -> str:
    """The digest that names a release: of the installer, and of all that goes to Macs with it.

    It includes what only the prod app is given; otherwise that would reach production without a soak.

    Args:
        installer: what identifies the installer, see `Release.installer`; "" where it is not known, and then there is
            no digest of the release either.
        test: what is given to the test app.
        prod: what is given to the prod app.
    """
    if not installer:
        return ""
    everything = [installer, test.values(), prod.values()]
    return hashlib.sha256(_json(everything).encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True)
class Release:
    """One installer as a Custom App holds it, or once did, with what else came with it.

    Attributes:
        version: what is enforced or published; "" where it is not known.
        sha256: hex digest of the installer; "" where it is not known.
        at: since when the app has (or had) it, epoch seconds.
        until: when another took its place, epoch seconds; 0 for what the app has, and where that is not known.
        digest: of all of it, see `digest_of`; "" where it is not known (older versions did not note it).
        given: which contents it came with, see `Contents.given`.
        urgent: why it went to every stage without a soak; "" where it was not urgent.
        signer: who signed it, see `signers`; where nobody looked, who signed what the app had before; "" for unknown.
        instead_of: whom that signer has taken the place of, because an admin let it; "" for nobody.
        content: digest of what the installer brings to a Mac, which one that was only packaged again shares; "" where
            nobody has read it (older versions did not).
        file_key: its key in the store; "" where it is not known.
        install_type: what kind of file it is.
        app_name: what its audit script looks for, and so the following; None where there is no such thing.
        bundle_id: see `AppFacts`.
        package_id: see `AppFacts`.
        version_key: see `AppFacts`.
        health: what the Macs said of it; None where they were not asked.
        soak: how it has soaked; None where that is not counted.
        approved: when somebody approved that it moves on from here, epoch seconds; 0 where nobody did.
        halted: of a former one, when it was halted here, epoch seconds; 0 where it was not. It never moves on.
    """

    version: str
    sha256: str
    at: float
    file_key: str = ""
    install_type: InstallType = InstallType.PACKAGE
    app_name: str | None = None
    bundle_id: str | None = None
    package_id: str | None = None
    version_key: str | None = None
    health: Health | None = None
    until: float = 0.0
    digest: str = ""
    given: str = ""
    urgent: str = ""
    signer: str = ""
    instead_of: str = ""
    content: str = ""
    approved: float = 0.0
    soak: Soak | None = None
    halted: float = 0.0

    @property
    def installer(self) -> str:
        """What its digest says of its installer: what that brings to a Mac, else its bytes; "" where neither is known.

        A digest that was noted before anybody read the content names the bytes, and goes on to do so.
        """
        return self.content or self.sha256

    @property
    def mark(self) -> str:
        """What identifies its file: its sha256, else its `file_key`."""
        return self.sha256 or self.file_key

    @property
    def key(self) -> str:
        """What identifies it: its digest, else its installer."""
        return self.digest or self.mark

    def is_also(self, other: Release) -> bool:
        """Whether both are the same release. If their digests do not compare, the files do."""
        if self.compares(other):
            return self.digest == other.digest
        return self.mark == other.mark

    def compares(self, other: Release) -> bool:
        """Whether both have a digest, and of the same thing: of what the installer brings, or of its bytes."""
        return bool(self.digest and other.digest) and bool(self.content) == bool(other.content)

    def brings_the_same(self, other: Release) -> bool:
        """Whether both are of one version and bring the same to a Mac, so that one was only packaged again."""
        return bool(self.content) and self.content == other.content and self.version == other.version

    def held_by(self, sha256: str | None, file_key: str) -> bool:
        """Whether an app with that installer still has this release; assumed if neither side tells.

        Assuming it does no harm: the answer to each update is compared with the sha256 that was meant.
        """
        if sha256 and self.sha256:
            return sha256 == self.sha256
        return not self.file_key or file_key == self.file_key

    def surely_in(self, app: CustomApp) -> bool:
        """Whether an app is known to have this release; unlike `held_by`, nothing is assumed."""
        if app.sha256 and self.sha256:
            return app.sha256 == self.sha256
        return bool(self.file_key) and self.file_key == app.file_key

    @property
    def identified(self) -> bool:
        """Whether an audit script could look for it."""
        return bool(self.app_name or self.bundle_id or self.package_id)

    def facts(self, size: int = 0) -> AppFacts | None:
        """What its installer is, as far as that is known here; None where nothing identifies it."""
        if not self.identified:
            return None
        has_app, told = bool(self.app_name or self.bundle_id), self.version or None
        return AppFacts(
            type=self.install_type,
            size=size,
            app_name=self.app_name,
            bundle_id=self.bundle_id,
            version=told if has_app else None,
            version_key=self.version_key if has_app else None,
            package_id=self.package_id,
            package_version=None if has_app else told,
        )

    def __str__(self) -> str:
        return self.version or "of unknown version"


@dataclass(frozen=True)
class Halt:
    """A release that is asked for no more where it is, and goes nowhere from there.

    Attributes:
        release: the release.
        why: what its Macs said, with the figures.
        at: since when, epoch seconds.
        inactive: whether the app was made inactive for it, since it has no audit script of ours.
    """

    release: Release
    why: str
    at: float
    inactive: bool = False


@dataclass(frozen=True)
class Ledger:
    """What is remembered of the releases of one Custom App.

    Attributes:
        current: what this tool put there last; None where it does not know.
        former: what was there before, the oldest first.
        rolled_back: what was taken back; None where nothing was since a newer release came.
        signer: who signed what this tool put there last, as far as somebody looked; see `Release`.
        instead_of: likewise.
        halted: the release that it has, if that is halted.
    """

    current: Release | None = None
    former: tuple[Release, ...] = ()
    rolled_back: Release | None = None
    signer: str = ""
    instead_of: str = ""
    halted: Halt | None = None

    def signed(self, signer: str) -> Ledger:
        """The ledger of an app that gets a release by a signer; "" where nobody looked, then it stays as it was.

        That nobody signs an app is noted only of one that somebody signed before.
        """
        if signer == signers.UNSIGNED and not self.signer:
            return self
        if not signer or signers.identity(signer) == signers.identity(self.signer):
            return replace(self, signer=signer or self.signer)
        return replace(self, signer=signer, instead_of=self.signer)


# Which is newer


def above_pin(release: str, pin: str | None) -> bool:
    """Whether a version is above `pin_version`."""
    return bool(pin) and bool(release) and version.compare(release, pin or "") > 0


def excluded(release: str, patterns: Iterable[str]) -> str:
    """By which of `exclude_versions` a version is excluded; "" where none does. `129.*` is 129 and all below it."""
    for pattern in patterns:
        stem = pattern.removesuffix(".*")
        if version.compare(release, stem) == 0 or (stem != pattern and release.startswith(f"{stem}.")):
            return pattern
    return ""


def taken_back(release: str, sha256: str, rolled_back: Release | None) -> bool:
    """Whether a release was rolled back, or is older than the one that was. Only a newer version lifts this."""
    if rolled_back is None:
        return False
    if sha256 and sha256 == rolled_back.sha256:
        return True
    return bool(release and rolled_back.version) and version.compare(release, rolled_back.version) <= 0


def compare_known(one: str, other: str) -> int:
    """Compare two versions. An unknown version is lower than every known one."""
    if not one or not other:
        return bool(one) - bool(other)
    return version.compare(one, other)


def highest_version(versions: Iterable[str]) -> str:
    """The highest of the versions that are known; "" where none is."""
    return max(versions, key=functools.cmp_to_key(compare_known), default="")


def order(one: Release, other: Release) -> int:
    """Compare two releases, by version and then by when they came."""
    return compare_known(one.version, other.version) or (one.at > other.at) - (one.at < other.at)


# What is remembered


def merge(script: Ledger, state: Ledger, *, stale: bool = False) -> Ledger:
    """One ledger from what the audit script says and what this machine remembers; the script is the newer of the two.

    If both know a release, the earlier time and the later health count. If the script names another current release
    than this machine, or this machine's is known to be `stale`, this machine's is a former one. A note without a digest
    (of an older version, or of the history) is dropped if the same installer was noted with one.
    """
    known: dict[str, Release] = {}
    stray = (state.current,) if state.current is not None and (stale or script.current is not None) else ()
    for release in (*script.former, *state.former, *stray):
        other = known.get(release.key)
        known[release.key] = release if other is None else _both(other, release)
    current = script.current or (None if stale else state.current)
    if current is not None and current.key in known:
        there = known.pop(current.key)
        current = current if current.file_key else replace(current, file_key=there.file_key)
        # The script is not written with each sample.
        if there.health is not None and there.health.at > current.at:  # one that was resumed counts as come then
            current = _with_later_health(current, there)
    named = {item.mark for item in (*known.values(), *filter(None, [current])) if item.digest}
    former = [item for item in known.values() if item.file_key and (item.digest or item.mark not in named)]
    former.sort(key=lambda item: item.at)
    said = script if script.signer else state
    mark = _highest(script.rolled_back, state.rolled_back)
    return Ledger(current, tuple(former), mark, said.signer, said.instead_of, script.halted or state.halted)


def _highest(*marks: Release | None) -> Release | None:
    known = [mark for mark in marks if mark is not None]
    return max(known, key=functools.cmp_to_key(order)) if known else None


def former_release(live: Release, ledger: Ledger, to: str | None, *, foreign: bool = False) -> Release | None:
    """The release to go back to: the given version, or by default the last one that is not higher; None for none.

    Args:
        live: what the app has.
        ledger: what is remembered.
        to: the version to go back to.
        foreign: somebody else has put the present file there; then the last one counts even if it is higher.
    """
    former = [item for item in ended(ledger.former, live.at) if item.mark != live.mark]
    former = [item for item in former if item.file_key != live.file_key]
    if to is not None:
        fitting = [item for item in former if item.version and version.compare(item.version, to) == 0]
    else:
        given_up = ledger.rolled_back.mark if ledger.rolled_back else ""
        fitting = [item for item in former if item.mark != given_up and not item.halted]
        fitting = [item for item in fitting if foreign or compare_known(item.version, live.version) <= 0]
    return max(fitting, key=lambda item: (item.until, item.at), default=None)


def ended(former: Iterable[Release], last: float) -> list[Release]:
    """Former releases, each with the time when it was replaced; if that was not noted, when the next one came.

    Args:
        former: the releases.
        last: when the present release came, epoch seconds; 0 where that is not known.
    """
    known = sorted(former, key=lambda item: item.at)
    times = sorted([*(item.at for item in known), last])
    return [
        item if item.until else replace(item, until=next((at for at in times if at > item.at), last)) for item in known
    ]


def displaced(ledger: Ledger, live: Release) -> Ledger:
    """The ledger. If the app has somebody else's file now, the release of this tool becomes a former one."""
    current = ledger.current
    if current is None or not current.file_key or current.held_by(live.sha256, live.file_key):
        return ledger
    return replace(ledger, current=None, former=(*ledger.former, replace(current, until=live.at)))


def taken(ledger: Ledger, live: Release, back_to: Release) -> Ledger:
    """The ledger after an admin has put `back_to` in the place of `live`, which is marked as rolled back.

    Going forward again to a release that was rolled back lifts its mark.
    """
    after = replaced(ledger, live, back_to, keep=KEPT_CANDIDATES)
    given_up = live if compare_known(back_to.version, live.version) <= 0 else None
    before = ledger.rolled_back
    if before is not None and compare_known(before.version, back_to.version) <= 0:
        before = None
    return replace(after, rolled_back=_highest(before, given_up))


def _both(one: Release, other: Release) -> Release:
    one = _with_later_health(one, other)
    key, until = one.file_key or other.file_key, max(one.until, other.until)
    content, approved = one.content or other.content, max(one.approved, other.approved)
    one = replace(one, content=content, approved=approved, halted=max(one.halted, other.halted))
    return replace(one, at=min(one.at, other.at), until=until, file_key=key)


def _with_later_health(one: Release, other: Release) -> Release:
    later = other.health is not None and (one.health is None or other.health.at > one.health.at)
    return replace(one, health=other.health, soak=other.soak) if later else one


def with_sample(ledger: Ledger, sampled: Release) -> Ledger:
    """The ledger with what the Macs said of its current release; what else has been noted of that meanwhile stays."""
    current = ledger.current
    if current is None or current.key != sampled.key:
        return ledger
    return replace(ledger, current=replace(current, health=sampled.health, soak=sampled.soak))


def replaced(
    ledger: Ledger, live: Release | None, coming: Release, *, keep: int, above: str = "", back: bool = False
) -> Ledger:
    """The ledger after `coming` has taken the place of `live`. A newer release lifts the mark of a rollback.

    Args:
        ledger: what is remembered.
        live: what the app has now; None for an app that is created.
        coming: what it is to have.
        keep: how many former releases are kept.
        above: forget former ones that are not above this version ("" forgets none).
        back: but not what `coming` takes the place of, so that every machine knows what to go back to.
    """
    if live is not None:
        ledger = displaced(ledger, live)
    former = {item.key: item for item in ledger.former}
    if live is not None and live.file_key:
        soak = replace(live.soak, samples=()) if live.soak else None
        halt = ledger.halted.at if ledger.halted is not None and ledger.halted.release.is_also(live) else live.halted
        former[live.key] = replace(live, until=coming.at, soak=soak, halted=halt)
    former.pop(coming.key, None)
    known = live.key if live is not None and back else None
    kept = [item for item in former.values() if _candidate(item, above) or item.key == known]
    mark = ledger.rolled_back if taken_back(coming.version, coming.sha256, ledger.rolled_back) else None
    after = ledger.signed(coming.signer)
    # What was approved is that it left the app before this one.
    coming = replace(coming, signer=after.signer, instead_of=after.instead_of, approved=0.0, soak=None, halted=0.0)
    return replace(after, current=coming, former=_thinned(kept, keep), rolled_back=mark, halted=None)


def with_later_word(notes: Mapping[str, str], there: Ledger) -> dict[str, str]:
    """Notes that were made a while ago, with what was noted in the app since: who approved of what, what was halted."""
    word = {item.key: item for item in (*there.former, *filter(None, [there.current]))}
    if there.halted is not None:
        halt = there.halted.release
        word[halt.key] = replace(word.get(halt.key, halt), halted=there.halted.at)
    after = from_notes(notes)
    former = (replace(_both(row, word[row.key]), at=row.at) if row.key in word else row for row in after.former)
    return to_notes(replace(after, former=tuple(former)))


def _candidate(release: Release, above: str) -> bool:
    return not above or not release.version or compare_known(release.version, above) > 0


def _thinned(releases: Iterable[Release], keep: int) -> tuple[Release, ...]:
    """At most `keep` of them, the oldest first.

    The oldest one has soaked first, and the newest one is wanted most. So those between are dropped, where they lie
    closest: however often the test app is updated, one release is always close to the end of its soak.
    """
    left = sorted(releases, key=lambda item: item.at)
    while len(left) > max(keep, 2):
        gaps = [(left[place + 1].at - left[place - 1].at, place) for place in range(1, len(left) - 1)]
        del left[min(gaps)[1]]
    return tuple(left)


# As notes: one line of JSON each

_SHORT = {
    "v": "version",
    "s": "sha256",
    "t": "at",
    "k": "file_key",
    "i": "install_type",
    "a": "app_name",
    "b": "bundle_id",
    "p": "package_id",
    "y": "version_key",
    "d": "digest",
    "g": "given",
    "w": "urgent",
    "n": "signer",
    "o": "instead_of",
    "c": "content",
}


def to_notes(ledger: Ledger) -> dict[str, str]:
    """A ledger as the notes of an audit script, or of the state folder."""
    notes = {}
    if ledger.current is not None:
        notes["current"] = _json(_row(ledger.current))
    if ledger.former:
        notes["former"] = _json([_row(item) for item in ledger.former])
    if ledger.rolled_back is not None:
        notes["rolled_back"] = _json(_row(ledger.rolled_back))
    if ledger.halted is not None:
        halt = ledger.halted
        notes["halted"] = _json([_row(replace(halt.release, soak=None)), halt.why, int(halt.at), int(halt.inactive)])
    if ledger.signer and (ledger.current is None or ledger.current.signer != ledger.signer):
        notes["signer"] = _json([ledger.signer, ledger.instead_of])
    return notes


def with_key(notes: Mapping[str, str], file_key: str) -> dict[str, str]:
    """The notes for the state folder, with the `file_key` that the current release has got."""
    known = from_notes(notes)
    return to_notes(replace(known, current=known.current and replace(known.current, file_key=file_key)))


def from_notes(notes: Mapping[str, str]) -> Ledger:
    """The ledger that the notes hold. A note that cannot be read is left out."""
    former = _parsed(notes.get("former", ""))
    rows = [_release(row) for row in former] if isinstance(former, list) else []
    current = _release(_parsed(notes.get("current", "")))
    signer, instead_of = _signer(_parsed(notes.get("signer", "")), current)
    return Ledger(
        current=current,
        former=tuple(item for item in rows if item is not None),
        rolled_back=_release(_parsed(notes.get("rolled_back", ""))),
        signer=signer,
        instead_of=instead_of,
        halted=_halt(_parsed(notes.get("halted", ""))),
    )


def _halt(noted: object) -> Halt | None:
    if not isinstance(noted, list) or len(noted) != 4:  # noqa: PLR2004
        return None
    release, why, at, inactive = _release(noted[0]), *noted[1:]
    if release is None or not isinstance(why, str) or not isinstance(at, int) or not 0 <= at <= _LATEST:
        return None
    return Halt(release, why, float(at), inactive == 1)


def _signer(noted: object, current: Release | None) -> tuple[str, str]:
    """Who signed what an app has: noted by itself, or with its current release."""
    if isinstance(noted, list) and len(noted) == 2 and all(isinstance(item, str) for item in noted):  # noqa: PLR2004
        return noted[0], noted[1]
    return (current.signer, current.instead_of) if current is not None else ("", "")


def _row(release: Release) -> dict[str, Any]:
    row: dict[str, Any] = {short: getattr(release, name) for short, name in _SHORT.items()}
    row["t"] = int(release.at)
    row["i"] = release.install_type.value
    if release.until:
        row["u"] = int(release.until)
    if release.approved:
        row["q"] = int(release.approved)
    if release.halted:
        row["z"] = int(release.halted)
    if release.health is not None:
        health = release.health
        row["h"] = _figures(health)
    if release.soak is not None:
        row["e"] = [int(release.soak.healthy), release.soak.verdict.value]
        row["x"] = [_figures(each) for each in release.soak.samples]
    return {short: value for short, value in row.items() if value not in (None, "", [])}


def _figures(health: Health) -> list[int]:
    return [health.passed, health.errors, health.pending, int(health.at)]


def _release(row: object) -> Release | None:
    if not isinstance(row, dict):
        return None
    fields = {name: row[short] for short, name in _SHORT.items() if short in row and short not in "tiu"}
    if not all(isinstance(value, str) for value in fields.values()):
        return None
    try:
        kind = InstallType(row.get("i", InstallType.PACKAGE))
        health = _health(row.get("h"))
        times = {name: float(row.get(short, 0)) for short, name in _TIMES.items()}
        if "t" not in row or not all(0 <= each <= _LATEST for each in times.values()):
            return None
        known: dict[str, Any] = {"version": "", "sha256": "", **fields, **times}
        soak = _soak(row) if health is not None else None
        return Release(**known, install_type=kind, health=health, soak=soak)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


_TIMES = {"t": "at", "u": "until", "q": "approved", "z": "halted"}


def _soak(row: Mapping[str, Any]) -> Soak | None:
    if "e" not in row:
        return None
    healthy, verdict = row["e"]
    if not isinstance(healthy, int) or not 0 <= healthy <= _LATEST:
        raise TypeError("seconds were expected")
    samples = [_health(each) for each in row.get("x", ())]
    return Soak(float(healthy), Verdict(verdict), tuple(each for each in samples if each is not None))


def _health(figures: object) -> Health | None:
    if figures is None:
        return None
    if not isinstance(figures, list) or not all(isinstance(item, int) and 0 <= item <= _LATEST for item in figures):
        raise TypeError("a list of counts was expected")
    return Health(*figures)


def _parsed(text: str) -> object:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


def _json(data: object) -> str:
    return json.dumps(data, separators=(",", ":"))
