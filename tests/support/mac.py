"""A simulated Mac for the audit script: real zsh, real folders and plists, stand-ins for the tools of macOS."""

from __future__ import annotations

import ast
import atexit
import functools
import marshal
import os
import plistlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kandji_uploader.audit import script as audit
from kandji_uploader.audit import simulate

TOOLS = (
    *("bin/sleep", "usr/bin/lsappinfo", "usr/bin/mdfind", "usr/bin/osascript", "usr/bin/sw_vers"),
    *("usr/libexec/PlistBuddy", "usr/sbin/pkgutil"),
)
FIND = shutil.which("find")
CREATED = 1713206970  # 2024-04-15 11:49:30 PDT, the moment of the transcripts.
DELAYS = "Library/Preferences/io.kandji.enforcement.delay.plist"

ZSH = shutil.which("zsh")
needs_zsh = pytest.mark.skipif(ZSH is None, reason="no zsh on this machine (Debian: apt-get install zsh)")


STUB = """
zmodload zsh/net/socket
zsocket '%s' || exit 98
print -rNu $REPLY -- $# $0 "$@"
IFS= read -rd '' -u $REPLY output
IFS= read -rd '' -u $REPLY error
IFS= read -rd '' -u $REPLY code
print -rnu 2 -- $error
print -rn -- $output
exit $code
"""
"""A tool that has the process of `_tools` do its work."""


@functools.cache
def _tools() -> tuple[Path, subprocess.Popen[bytes]]:
    """The socket of, and, a process that is all tools of the Macs of this test process, and ends with it."""
    folder, owner = Path(tempfile.mkdtemp(prefix="mac-")), os.getpid()  # a socket's path has at most about 100 bytes
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(folder, ignore_errors=True))
    code = "import sys; sys.path.insert(0, sys.argv[1]); import mac_tools; mac_tools.serve(sys.argv[2])"
    words = [sys.executable, "-SEIX", "utf8", "-c", code, str(Path(__file__).parent), str(folder / "tools")]
    tools = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert tools.stdout
    assert tools.stdout.readline() == b"ready\n"
    return folder / "tools", tools


@dataclass(frozen=True)
class Audit:
    """What one audit printed and did.

    Attributes:
        code: its exit code.
        lines: what it printed.
        error: what it wrote to standard error.
        calls: the tools it started, in order, with their arguments.
    """

    code: int
    lines: tuple[str, ...]
    error: str
    calls: tuple[tuple[str, ...], ...]

    def called(self, tool: str) -> list[tuple[str, ...]]:
        """The arguments of each call of a tool."""
        return [call[1:] for call in self.calls if call[0] == tool]


@dataclass
class Mac:
    """A Mac below `root`; the attributes are what its tools answer.

    Attributes:
        now: what its clock says.
        spotlight: what is in the index besides the apps; None where Spotlight is off.
        running: copies of apps that run.
        dialogs: what the user does with each dialog; the last one counts for all further ones.
        thinking: seconds that the user takes to answer the first dialog.
        quits: whether apps quit when asked to; or the paths of those that do.
        macos: what `sw_vers` says; None where it says nothing.
        receipts: package ids and versions.
    """

    root: Path
    now: int = CREATED
    spotlight: list[dict[str, str]] | None = field(default_factory=list)
    running: list[dict[str, str | None]] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=lambda: ["nobody"])
    thinking: int = 0
    quits: bool | list[str] = True
    macos: str | None = "14.5"
    receipts: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        program = self.root / "tool"
        for name in TOOLS:
            place = self.root / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(program)
        # The search of the disk is a real one: of GNU here, of BSD on a Mac. What the script asks for is in both.
        (self.root / "usr/bin/find").symlink_to(str(FIND))
        for folder in ("Applications", "Library/Preferences", "System/Applications"):
            (self.root / folder).mkdir(parents=True)

    def app(self, path: str, bundle_id: str | None = None, version: str | None = None, **info: Any) -> str:
        """Put an app there, and into Spotlight's index where that is on."""
        if bundle_id is not None:
            info["CFBundleIdentifier"] = bundle_id
        if version is not None:
            info["CFBundleShortVersionString"] = version
        plist = self.root / path.lstrip("/") / "Contents/Info.plist"
        plist.parent.mkdir(parents=True)
        plist.write_bytes(plistlib.dumps(info, fmt=plistlib.FMT_BINARY))
        if self.spotlight is not None:
            self.index(path, bundle_id or "")
        return path

    def index(self, path: str, bundle_id: str) -> None:
        """Put an entry into Spotlight's index, whether there is such an app or not."""
        assert self.spotlight is not None
        self.spotlight.append({"path": path, "id": bundle_id, "name": path.rsplit("/", 1)[-1]})

    def run_app(
        self, path: str, name: str | None = None, kind: str = "Foreground", executable: str | None = None
    ) -> None:
        """Have an app run; its executable is called like the app, unless told otherwise."""
        self.running.append({"path": path, "LSDisplayName": name, "ApplicationType": kind, "executable": executable})

    @property
    def delays(self) -> Any:
        """What is in the plist of delays; None where there is no such file."""
        place = self.root / DELAYS
        return plistlib.loads(place.read_bytes()) if place.exists() else None

    @delays.setter
    def delays(self, tree: Any) -> None:
        (self.root / DELAYS).write_bytes(tree if isinstance(tree, bytes) else plistlib.dumps(tree))

    def audit(self, script: str, locale: str | None = None) -> Audit:
        """Run a rendered script, once, as the agent would."""
        text = simulate.with_prefix(script, self.root)
        assert text is not None
        place = self._prepare(text, f"#!{ZSH} -f\n{STUB % _tools()[0]}")
        return self._run([str(ZSH), "-f", str(place)], {"LC_ALL": locale} if locale else {})

    def audit_unchanged(self, script: str) -> Audit:
        """Run a rendered script as it is uploaded, in a private view of the file system where this Mac lies over `/`.

        Skips the test where that cannot be had: it takes root, Linux, and file systems that can be laid over others.
        """
        if sys.platform != "linux" or os.geteuid() != 0:
            pytest.skip("a private view of the file system takes root on Linux")
        self._prepare(
            script,
            f"#!{sys.executable} -SEI\nimport sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            "import mac_tools\nmac_tools.main()\n",
        )
        steps = """
            mount -t tmpfs none "$1" && mkdir "$1/over" "$1/work" "$1/all" && cp -aL "$2/." "$1/over" || exit 77
            test ! -L /bin || { mv "$1/over/bin/"* "$1/over/usr/bin" && rmdir "$1/over/bin"; } || exit 77
            mount -t overlay -o "lowerdir=/,upperdir=$1/over,workdir=$1/work" overlay "$1/all" || exit 77
            chroot "$1/all" "$3" -SEIc "import sys; sys.path.insert(0, '$4'); import mac_tools" || exit 77
            chroot "$1/all" "$5" -f /audit.zsh
            code=$?
            cp "$1/over/calls" "$2/calls"
            exit $code
        """
        stage = self.root.with_name(f"{self.root.name}-stage")
        stage.mkdir()
        words = [str(stage), str(self.root), sys.executable, str(Path(__file__).parent), str(ZSH)]
        done = self._run(["unshare", "-m", "sh", "-c", steps, "sh", *words], {})
        if done.code == 77:
            pytest.skip(f"no private view of the file system can be had here: {done.error.strip()}")
        return done

    def _prepare(self, text: str, tool: str) -> Path:
        program = self.root / "tool"
        program.write_text(tool)
        program.chmod(0o755)
        for name in ("calls", "dialogs", "quit"):
            (self.root / name).unlink(missing_ok=True)
        names = ("now", "spotlight", "running", "dialogs", "thinking", "quits", "macos", "receipts")
        scenario = {name: getattr(self, name) for name in names}
        (self.root / "now").write_text(str(self.now))
        (self.root / "scenario").write_bytes(marshal.dumps(scenario))
        place = self.root / "audit.zsh"
        place.write_text(text, encoding="utf-8")
        return place

    def _run(self, command: list[str], environ: dict[str, str]) -> Audit:
        done = subprocess.run(
            command,
            cwd=self.root,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "PST8PDT,M3.2.0,M11.1.0", **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        misused = self.root / "misused"
        assert not misused.exists(), misused.read_text()
        noted = self.root / "calls"
        calls = noted.read_text().splitlines() if noted.exists() else []
        return Audit(
            done.returncode,
            tuple(done.stdout.decode("utf-8", "surrogateescape").splitlines()),
            done.stderr.decode("utf-8", "replace"),
            tuple(tuple(ast.literal_eval(call)) for call in calls),
        )


def script_for(
    app_name: str | None = "Google Drive.app",
    bundle_id: str | None = "com.google.drivefs",
    pkg_id: str | None = None,
    version: str = "90.0",
    days: int = 0,
    **more: Any,
) -> str:
    """A rendered script; unless told otherwise, for the app of the transcripts, due at once."""
    values = audit.AuditValues(app_name, bundle_id, pkg_id, version, more.pop("created_at", CREATED), days, **more)
    return audit.render(values, audit.load_template())
