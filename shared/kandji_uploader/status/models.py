"""What the Macs of a tenant report of a Library Item, as values that never change once made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kandji_uploader.models import Candidate, Reported, Stage


@dataclass(frozen=True)
class StatusRecord:
    """What the service says of one Library Item on one Mac; times are the service's own texts, "" where it has none.

    Attributes:
        mac_name: the Mac's name, which its user chose.
        mac_id: the service's id of the Mac.
        blueprint: the name of its Blueprint.
        status: `PASS`, `PENDING`, `ERROR` or whatever else the service says.
        reported_at: when the Mac reported it.
        log: what the install wrote.
        last_audit_log: what the audit script wrote when it last ran.
        last_audit_run: when that was.
    """

    mac_name: str
    mac_id: str
    blueprint: str
    status: str
    reported_at: str = ""
    log: str = ""
    last_audit_log: str = ""
    last_audit_run: str = ""


@dataclass(frozen=True)
class Vulnerability:
    """What the service says of a vulnerability that it has found on Macs.

    Attributes:
        cve: its id, such as `CVE-2026-1234`.
        severity: in lower case, such as `critical`; "" where the service does not tell.
        score: by CVSS, 0 to 10; None where the service does not tell.
        exploited: whether it is known to be exploited (KEV).
        macs: on how many Macs it is.
        software: the names of what has it.
        active: whether it is there still.
    """

    cve: str
    severity: str = ""
    score: float | None = None
    exploited: bool = False
    macs: int = 0
    software: tuple[str, ...] = ()
    active: bool = True


@dataclass(frozen=True)
class AffectedSoftware:
    """What has a vulnerability.

    Attributes:
        name: as the inventory calls it.
        bundle_id: its bundle id; "" where it has none.
        versions: those that have it.
        macs: on how many Macs.
    """

    name: str
    bundle_id: str = ""
    versions: tuple[str, ...] = ()
    macs: int = 0


@dataclass(frozen=True)
class MacState:
    """One Mac in the figures of an app: its status record, read.

    Attributes:
        name: the Mac's name.
        mac_id: the service's id of it.
        blueprint: the name of its Blueprint.
        status: in capitals.
        version: the version that the audit script found, `not installed`, or "" where the log does not tell.
        reported_at: when it last reported; None where it never did.
        reason: why it failed, one line; "" where it did not.
    """

    name: str
    mac_id: str
    blueprint: str
    status: str
    version: str = ""
    reported_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True)
class StatusFigures:
    """One Library Item over all Macs in its scope. Counts are Macs; mappings are ordered, the highest count first.

    Attributes:
        macs: how many Macs are in scope.
        statuses: Macs per status.
        versions: Macs per installed version (or `not installed`) where the audit log tells.
        blueprints: Macs per Blueprint.
        reasons: Macs per reason of failure.
        ages: Macs per age of their last report, in the order of `summary.AGES`.
        newest_report: the latest report of any Mac; None where none ever reported.
        oldest_report: the oldest last report of any Mac.
        listed: single Macs, those in trouble first; at most as many as was asked for.
        unlisted: how many Macs are not in `listed`.
    """

    macs: int = 0
    statuses: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    blueprints: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    ages: Mapping[str, int] = field(default_factory=dict)
    newest_report: datetime | None = None
    oldest_report: datetime | None = None
    listed: tuple[MacState, ...] = ()
    unlisted: int = 0


@dataclass(frozen=True)
class AppStatus:
    """A Custom App with its figures, as a report shows it.

    Attributes:
        name: the Custom App's name.
        stage: production or test; None where it is not known.
        version: the version it enforces; "" where it is not known.
        link: its address in the console; "" where there is none.
        figures: its Macs.
        candidates: of a test app: its releases that are newer than what the prod app has, the newest first.
        signer: who signed what it has, in words, and whom that one has taken the place of; "" where it is not known.
        halted: why no Mac is asked for what it has; "" where Macs are.
        samples: what its Macs said of what it has, one a day, the oldest first.
        refused: why this machine published nothing when it tried last, where that was for who signed it; else "".
    """

    name: str
    figures: StatusFigures
    stage: Stage | None = None
    version: str = ""
    link: str = ""
    candidates: tuple[Candidate, ...] = ()
    signer: str = ""
    refused: str = ""
    halted: str = ""
    samples: tuple[Reported, ...] = ()

    @property
    def news_of_signers(self) -> tuple[str, ...]:
        """What people want to know of who signs it: a change, made or refused."""
        changed = (self.signer,) if ", before by " in self.signer else ()
        return (*changed, *((f"refused: {self.refused}",) if self.refused else ()))
