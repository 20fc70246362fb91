"""The seven audits of kpkg's manual, as scenarios; what it shows of each is the expectation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.support.mac import CREATED, Mac, script_for

APP, PATH = "Google Drive.app", "/Applications/Google Drive.app"
FOUND = (
    "Checking for 'Google Drive.app' install...",
    "'Google Drive.app' installed at '/Applications/Google Drive.app'",
)
DUE = (
    *FOUND,
    "Checking version enforcement...",
    "Enforcement was due at 2024-04-15 11:49:30 PDT",
    "Confirming 'Google Drive.app' version...",
)
OLDER = (*DUE, "Installed version '89.0' less than required version '90.0'")
IN_USE = (*OLDER, "Detected blocking process: 'Google Drive'")


@dataclass(frozen=True)
class Transcript:
    """One audit: what the Mac is like, and what the manual shows."""

    title: str
    prepare: Callable[[Mac], None]
    code: int
    lines: tuple[str, ...]
    days: int = 0

    @property
    def script(self) -> str:
        """The script that is run."""
        return script_for(days=self.days)


def _absent(mac: Mac) -> None:
    mac.now = CREATED + 100


def _early(mac: Mac) -> None:
    mac.app(PATH, "com.google.drivefs", "90.0")
    mac.now = CREATED + 5 * 86_400 - (4 * 86_400 + 23 * 3600 + 46 * 60 + 57)


def _current(mac: Mac) -> None:
    mac.app(PATH, "com.google.drivefs", "90.0")
    mac.now = CREATED + 100


def _older(mac: Mac) -> None:
    mac.app(PATH, "com.google.drivefs", "89.0")
    mac.now = CREATED + 100


def _in_use(mac: Mac) -> None:
    _older(mac)
    mac.run_app(PATH, "Google Drive")


def _delays(mac: Mac) -> None:
    _in_use(mac)
    mac.dialogs = ["delay"]


def _pending(mac: Mac) -> None:
    _in_use(mac)
    mac.delays = {APP: {"90.0": mac.now + 58 * 60 + 59}}


def _over(mac: Mac) -> None:
    _in_use(mac)
    mac.delays = {APP: {"90.0": mac.now - 1}}
    mac.dialogs = ["quit"]


TRANSCRIPTS = (
    Transcript(
        "Not installed",
        _absent,
        1,
        (FOUND[0], "'Google Drive.app' not found. Triggering install..."),
    ),
    Transcript(
        "Installed, and not due yet",
        _early,
        0,
        (
            *FOUND,
            "Checking version enforcement...",
            "Update is due at 2024-04-20 11:49:30 PDT",
            f"Will verify '{APP}' running at least version '90.0' in 4 days, 23 hours, 46 minutes, 57 seconds",
        ),
        days=5,
    ),
    Transcript(
        "Due, and new enough",
        _current,
        0,
        (*DUE, "Installed version '90.0' greater than or equal to enforced version '90.0'"),
    ),
    Transcript(
        "Due, in use, and the user delays",
        _delays,
        0,
        (
            *IN_USE,
            "No enforcement delay found for Google Drive.app",
            "User clicked Delay",
            "Writing enforcement delay for Google Drive.app to /Library/Preferences/io.kandji.enforcement.delay.plist",
        ),
    ),
    Transcript(
        "Due, in use, and delayed",
        _pending,
        0,
        (
            *IN_USE,
            "Enforcement delay present for Google Drive.app",
            "User delay still pending; enforcing version 90.0 for Google Drive.app in 0 hours, 58 minutes, 59 seconds",
        ),
    ),
    Transcript(
        "Due, and not in use",
        _older,
        1,
        (
            *OLDER,
            "No running process found for 'Google Drive.app'",
            "Upgrading 'Google Drive.app' to version '90.0'...",
        ),
    ),
    Transcript(
        "Due, in use, the delay is over, and the user quits",
        _over,
        1,
        (
            *IN_USE,
            "Enforcement delay present for Google Drive.app",
            "Enforcement delay has expired for Google Drive.app 90.0",
            "User clicked Quit",
            "Upgrading 'Google Drive.app' to version '90.0'...",
        ),
    ),
)
