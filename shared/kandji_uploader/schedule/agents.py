"""Who starts the cycles: launchd on macOS, systemd on Linux; for the user who asked, and with no secret in any file."""

from __future__ import annotations

import contextlib
import os
import plistlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from xml.parsers.expat import ExpatError

from kandji_uploader._util import children
from kandji_uploader.errors import ScheduleError
from kandji_uploader.http.addresses import way_out
from kandji_uploader.schedule.cron import rhythm

LABEL = "com.github.kandjiuploader.schedule"
UNIT = "kandji-uploader-schedule"

_COMMAND = (sys.executable, "-m", "kandji_uploader", "schedule", "run")
# Nothing else of the environment goes into the files: it may hold tokens.
_KEPT = (
    "PATH",
    "KANDJI_API_URL",
    "IRU_API_URL",
    "KANDJI_TOKEN_NAME",
    "IRUPKG_TOKEN_NAME",
    "KANDJI_UPLOADER_STATE_DIR",
    "XDG_STATE_HOME",
    "HOMEBREW_API_DOMAIN",
)
_STILL_THERE = 5
"""`launchctl bootstrap` says so (EIO) while the agent that was booted out is still going away."""


_NO_BUS = (
    "systemd runs nothing for this user here: log in as this user over SSH or at the screen, not through su or sudo, "
    "and try again; in a container run `kandji-uploader schedule run --loop`"
)


class Agent(Protocol):
    """What a platform offers."""

    def install(self, hours: int) -> str:
        """Write the files and start it (again); returns what an admin should know.

        Raises:
            ScheduleError: the platform refused, and what it said.
        """

    def uninstall(self) -> str:
        """Stop it and remove the files; returns what was done."""

    def status(self) -> str:
        """Whether it is installed and running, in one sentence."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it writes."""

    def hours(self) -> int | None:
        """The hours that it was installed with; None where it is not installed."""


@dataclass(frozen=True)
class LaunchAgent:
    """A LaunchAgent of the user who is logged in.

    Attributes:
        home: the user's home folder.
        config_folder: where the schedule is; it goes into the agent's environment.
        environ: the environment variables.
        uid: the user's id.
        wait: waits so many seconds.
    """

    home: Path
    config_folder: Path
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    uid: int = field(default_factory=os.getuid)
    wait: Callable[[float], None] = time.sleep

    @property
    def path(self) -> Path:
        """The agent's plist."""
        return self.home / "Library" / "LaunchAgents" / f"{LABEL}.plist"

    @property
    def files(self) -> tuple[Path, ...]:
        """See `Agent`."""
        return (self.path,)

    @property
    def log(self) -> Path:
        """Where its messages go."""
        return self.home / "Library" / "Logs" / "KandjiUploader" / "schedule.log"

    def install(self, hours: int) -> str:
        """See `Agent`."""
        if not self.uid:
            raise ScheduleError("a LaunchAgent runs for the user who is logged in; run this without sudo")
        launchctl = _program("launchctl", self.environ)
        _run([launchctl, "bootout", f"gui/{self.uid}/{LABEL}"], self.environ)
        with _as_they_were(self.path):
            _write(self.path, plistlib.dumps(self._content(hours)))
            _make(self.log.parent)
            self._bootstrap(launchctl)
        return (
            f"{self.path} is active: a cycle now and {rhythm(hours)}; messages go to {self.log}. It does not see "
            "your shell's variables: keep the token in the keychain (`token_keystore.keychain: true`)"
        )

    def uninstall(self) -> str:
        """See `Agent`."""
        launchctl = _program("launchctl", self.environ)
        _run([launchctl, "bootout", f"gui/{self.uid}/{LABEL}"], self.environ)
        return _remove(self.path)

    def status(self) -> str:
        """See `Agent`."""
        if not self.path.exists():
            return "the LaunchAgent is not installed; `kandji-uploader schedule install` does it"
        launchctl = _program("launchctl", self.environ)
        done = _run([launchctl, "print", f"gui/{self.uid}/{LABEL}"], self.environ)
        state = "active" if not done.returncode else "written, but not active; install it again"
        return f"the LaunchAgent {self.path} is {state}"

    def hours(self) -> int | None:
        """See `Agent`."""
        try:
            seconds = plistlib.loads(self.path.read_bytes())["StartInterval"]
        except (OSError, KeyError, TypeError, ExpatError, plistlib.InvalidFileException):
            return None
        return int(seconds) // 3600

    def _content(self, hours: int) -> dict[str, Any]:
        return {
            "Label": LABEL,
            "ProgramArguments": list(_COMMAND),
            "EnvironmentVariables": _environment(self.environ, self.config_folder),
            "RunAtLoad": True,
            "StartInterval": hours * 3600,
            "ProcessType": "Background",
            "StandardOutPath": str(self.log),
            "StandardErrorPath": str(self.log),
        }

    def _bootstrap(self, launchctl: str) -> None:
        for pause in (1.0, 2.0, 4.0, None):
            done = _run([launchctl, "bootstrap", f"gui/{self.uid}", str(self.path)], self.environ)
            if not done.returncode:
                return
            if done.returncode != _STILL_THERE or pause is None:
                raise ScheduleError(f"`launchctl bootstrap gui/{self.uid} {self.path}` failed: {_said(done)}")
            self.wait(pause)


@dataclass(frozen=True)
class SystemdTimer:
    """A systemd service and timer of the user.

    Attributes:
        units: the folder of the user's units.
        config_folder: where the schedule is; it goes into the service's environment.
        environ: the environment variables.
    """

    units: Path
    config_folder: Path
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def service(self) -> Path:
        """The unit that runs one cycle."""
        return self.units / f"{UNIT}.service"

    @property
    def timer(self) -> Path:
        """The unit that starts it."""
        return self.units / f"{UNIT}.timer"

    @property
    def files(self) -> tuple[Path, ...]:
        """See `Agent`."""
        return (self.timer, self.service)

    @property
    def secrets(self) -> Path:
        """A file that an admin may put the token into, as `KANDJI_TOKEN=...`; we never write it."""
        return self.config_folder / "schedule.env"

    def install(self, hours: int) -> str:
        """See `Agent`."""
        systemctl = _program("systemctl", self.environ)
        with _as_they_were(self.timer, self.service) as installed:
            _write(self.service, self._service().encode())
            _write(self.timer, _timer(hours).encode())
            for words in (["daemon-reload"], ["enable", self.timer.name], ["restart", self.timer.name]):
                done = _run([systemctl, "--user", *words], self.environ)
                if not done.returncode:
                    continue
                if words[0] == "restart" and not installed:
                    _run([systemctl, "--user", "disable", self.timer.name], self.environ)
                said = _said(done)
                advice = f". {_NO_BUS}" if "to bus" in said else ""
                raise ScheduleError(f"`systemctl --user {' '.join(words)}` failed: {said}{advice}")
        return (
            f"{self.timer} is active: a cycle now and {rhythm(hours)}; `journalctl --user -u {UNIT}` shows its "
            f"messages. It does not see your shell's variables: keep the token in the keychain, or in {self.secrets} "
            "(mode 0600). For cycles while you are logged out: `loginctl enable-linger`"
        )

    def uninstall(self) -> str:
        """See `Agent`."""
        systemctl = _program("systemctl", self.environ)
        _run([systemctl, "--user", "disable", "--now", self.timer.name], self.environ)
        done = _remove(self.timer, self.service)
        _run([systemctl, "--user", "daemon-reload"], self.environ)
        return done

    def status(self) -> str:
        """See `Agent`."""
        if not self.timer.exists():
            if shutil.which("systemctl", path=self.environ.get("PATH", os.defpath)) is None:
                return "nothing starts the cycles, for there is no systemd; `kandji-uploader schedule run --loop` does"
            return "the systemd timer is not installed; `kandji-uploader schedule install` does it"
        systemctl = _program("systemctl", self.environ)
        done = _run([systemctl, "--user", "is-active", self.timer.name], self.environ)
        state = "active" if not done.returncode else "written, but not active; install it again"
        return f"the systemd timer {self.timer} is {state}"

    def hours(self) -> int | None:
        """See `Agent`."""
        try:
            lines = self.timer.read_text(encoding="utf-8").splitlines()
        except OSError:
            return None
        given = [line.partition("=")[2].removesuffix("h") for line in lines if line.startswith("OnUnitActiveSec=")]
        return int(given[0]) if given and given[0].isdecimal() else None

    def _service(self) -> str:
        environment = _environment(self.environ, self.config_folder)
        lines = [f"Environment={_quoted(f'{name}={value}')}" for name, value in environment.items()]
        command = " ".join(_quoted(word, command=True) for word in _COMMAND)
        return "\n".join(
            [
                "[Unit]",
                "Description=Publish Homebrew casks as Kandji Custom Apps",
                "",
                "[Service]",
                "Type=oneshot",
                *lines,
                f"EnvironmentFile=-{_escaped(str(self.secrets))}",
                f"ExecStart={command}",
                "",
            ]
        )


def for_platform(
    config_folder: Path, environ: Mapping[str, str] | None = None, platform: str = sys.platform
) -> LaunchAgent | SystemdTimer:
    """What starts the cycles on this platform."""
    environ = os.environ if environ is None else environ
    home = Path(environ.get("HOME") or Path.home())
    if platform == "darwin":
        return LaunchAgent(home, config_folder, environ)
    return SystemdTimer(
        Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "systemd" / "user", config_folder, environ
    )


def _timer(hours: int) -> str:
    return "\n".join(
        [
            "[Unit]",
            "Description=Publish Homebrew casks as Kandji Custom Apps every few hours",
            "",
            "[Timer]",
            "OnActiveSec=10s",
            f"OnUnitActiveSec={hours}h",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
    )


def _environment(environ: Mapping[str, str], config_folder: Path) -> dict[str, str]:
    kept = {name: environ[name] for name in _KEPT if environ.get(name)}
    return {**kept, **way_out(environ), "KANDJI_UPLOADER_DIR": str(config_folder)}


def _quoted(word: str, *, command: bool = False) -> str:
    """A word as a unit file takes it, whatever is in it."""
    word = _escaped(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{word.replace("$", "$$") if command else word}"'


def _escaped(word: str) -> str:
    """`%` begins a specifier in a unit file."""
    return word.replace("%", "%%")


def _program(name: str, environ: Mapping[str, str]) -> str:
    found = shutil.which(name, path=environ.get("PATH", os.defpath))
    if found is None:
        raise ScheduleError(
            f"`{name}` is not on PATH, so nothing here can start the cycles; run `kandji-uploader schedule run --loop`"
        )
    return found


def _run(words: Sequence[str], environ: Mapping[str, str]) -> children.Done:
    return children.run(words, children.surroundings(environ, ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")))


def _said(done: children.Done) -> str:
    return " ".join((done.stderr or done.stdout).split()[-60:]) or f"exit code {done.returncode}"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise ScheduleError(f"{folder} cannot be made ({problem.strerror}); correct its permissions") from None


def _write(path: Path, content: bytes) -> None:
    """Write a file that launchd or systemd reads: they refuse ones that others may write."""
    _make(path.parent)
    try:
        path.write_bytes(content)
        path.chmod(0o644)
    except OSError as problem:
        raise ScheduleError(f"{path} cannot be written ({problem.strerror}); correct its permissions") from None


@contextlib.contextmanager
def _as_they_were(*paths: Path) -> Iterator[bool]:
    """Where the block fails, these files are as before: those that were not there go, with the folders made for them.

    Yields whether all of them were there.
    """
    before = {path: path.read_bytes() if path.exists() else None for path in paths}
    made = sorted({folder for path in paths for folder in path.parents if not folder.exists()}, reverse=True)
    try:
        yield all(content is not None for content in before.values())
    except BaseException:
        for path, content in before.items():
            with contextlib.suppress(OSError):  # the failure itself is what is told
                path.unlink() if content is None else path.write_bytes(content)
        for folder in made:
            with contextlib.suppress(OSError):  # something else is in it by now
                folder.rmdir()
        raise


def _remove(*paths: Path) -> str:
    there = [path for path in paths if path.exists()]
    for path in there:
        path.unlink()
    return f"removed {' and '.join(map(str, there))}" if there else "it was not installed"
