"""What the audit script costs a Mac: processes started, processor time and peak memory, on a simulated Mac.

The tools of macOS are stand-ins that answer at once: what a tool costs a real Mac is not in the processor time. How
many are started is counted. The variable KAPPA_SCRIPT names Kandji's own script (`audit_app_and_version.zsh` of its
KAPPA), which runs beside ours on the same Mac where it is given.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import Run, process

NOW, DAY = 1_713_206_970, 86_400
VERSION = "2.0"
"""Of the app that is installed."""
APPS = 150
_NAME, _ID = "App 7.app", "com.example.app.n7"
_TOOLS = {
    "usr/libexec/PlistBuddy": """for at; do :; done
code=1
while test "$1" = -c; do
    test -f "$at.${{2#Print :}}" && read -r line < "$at.${{2#Print :}}" && echo "$line" && code=0
    shift 2
done
exit $code""",
    "usr/bin/mdfind": 'printf "%s" "{found}"',
    "usr/bin/lsappinfo": """case $1 in
list) printf '    bundle path="%s"\\n' '{apps}/App 7.app' '{apps}/App 8.app' ;;
find) echo ASN:0x0-0x7007: ;;
info) printf '"%s"="%s"\\n' CFBundleName 'App 7' LSDisplayName 'App 7' LSBundlePath '{apps}/App 7.app' \\
    ApplicationType Foreground CFBundleIconFile icon ;;
esac""",
    "usr/bin/osascript": "echo 'button returned:, gave up:true'",
    "bin/date": 'case $1 in -r) exec /bin/date -d "@$2" "$3" ;; *) echo {now} ;; esac',
    "bin/sleep": "exit 0",
}
_COUNT = """
"$@" > /dev/null 2>&1
echo "$? $(sh -c 'echo $$')"
"""
"""In a name space of their own processes are numbered one after the other: a last one tells how many there were."""


ALONE = ["unshare", "--pid", "--fork"] + (["--user", "--map-root-user"] if os.geteuid() else [])
"""Begins a command that runs in a name space of processes of its own."""


@dataclass(frozen=True)
class Scene:
    """What an audit finds.

    Attributes:
        code: what it ends with.
        enforced: the version that is enforced.
        spotlight: whether Spotlight knows the app.
        installed: whether it is there.
        days: until it is due.
        values: further values of our script.
    """

    code: int
    enforced: str = VERSION
    spotlight: bool = True
    installed: bool = True
    days: int = 0
    values: Mapping[str, object] = field(default_factory=dict)


SCENES = {
    "compliant, by Spotlight": Scene(0),
    "compliant, by a search of the disk": Scene(0, spotlight=False),
    "not installed": Scene(1, spotlight=False, installed=False),
    "in use": Scene(0, "3.0"),
    "two blocking applications": Scene(0, "3.0", values={"blocking_applications": ("App 7.app", "App 8.app")}),
    "deadline not due": Scene(0, "3.0", days=5),
}
"""By what they are called in the table."""


class Mac:
    """A simulated Mac, on which audits are measured.

    Args:
        root: a folder for it.
        folders: how many folders are below /Applications and /Library.
    """

    def __init__(self, root: Path, folders: int) -> None:
        self.root = root
        inside = folders // 3 // APPS
        for number in range(APPS):
            contents = root / f"Applications/App {number}.app/Contents"
            for each in range(max(1, inside - 3)):
                (contents / f"Resources/{each}.lproj").mkdir(parents=True)
            (contents / "Info.plist.CFBundleIdentifier").write_text(f"{_ID[:-1]}{number}\n")
            (contents / "Info.plist.CFBundleShortVersionString").write_text(f"{VERSION}\n")
            (contents / "Info.plist").write_text(f"<string>{_ID[:-1]}{number}</string>\n" * 20)
        for number in range(folders - inside * APPS):
            (root / f"Library/Vendor {number % 200}/Part {number // 2000}/{number}").mkdir(parents=True)
        for name in ("System/Applications", "Library/Preferences", "Users"):
            (root / name).mkdir(parents=True)

    def crowd(self, count: int) -> None:
        """Add so many apps without an Info.plist."""
        for number in range(count):
            (self.root / f"Applications/Vendor {number % 100}/Crowd {number}.app").mkdir(parents=True)

    def prepare(self, scene: Scene, kappa: str | None = None) -> list[str | Path]:
        """Make the Mac what the scene says, with our script or, where its text is given, Kandji's; returns its call."""
        apps = f"{self.root if kappa else ''}/Applications"
        found = f"{apps}/{_NAME}" if scene.spotlight else ""
        for name, body in _TOOLS.items():
            place = self.root / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"#!/bin/sh\n{body.format(found=found, apps=apps, now=NOW)}\n")
            place.chmod(0o755)
        find = self.root / "usr/bin/find"
        if not find.exists():
            find.symlink_to(str(shutil.which("find")))
        (self.root / "now").write_text(str(NOW))
        for counted in (self.root / "Library/Preferences").iterdir():
            counted.unlink()
        script = self.root / "audit.zsh"
        script.write_text(self._theirs(scene, kappa) if kappa else self._ours(scene), "utf-8")
        return ["zsh", "-f", script]

    def _ours(self, scene: Scene) -> str:
        from kandji_uploader.audit import script, simulate

        name, bundle_id = _names(scene)
        values = script.AuditValues(name, bundle_id, None, scene.enforced, NOW, scene.days, **scene.values)
        text = simulate.with_prefix(script.render(values, script.load_template()), self.root)
        assert text is not None
        return text

    def _theirs(self, scene: Scene, text: str) -> str:
        name, bundle_id = _names(scene)
        values = {
            "APP_NAME": name,
            "BUNDLE_ID": bundle_id,
            "MINIMUM_ENFORCED_VERSION": scene.enforced,
            "CREATION_TIMESTAMP": NOW - 1,
            "DAYS_UNTIL_ENFORCEMENT": scene.days,
        }
        for key, value in values.items():
            text = re.sub(rf"^{key}=.*$", f"{key}={shlex.quote(str(value))}", text, flags=re.MULTILINE)
        text = re.sub(r"(?<![\w$/}])/(?=(?:Applications|Library|System|usr/libexec)\b)", f"{self.root}/", text)
        return f"PATH={self.root}/bin:{self.root}/usr/bin:$PATH\n{text}"

    def measure(self, words: list[str | Path]) -> Run:
        """One audit."""
        return process(words, _environ(), self.root, codes=(0, 1))

    def count(self, words: list[str | Path]) -> tuple[int, int]:
        """The exit code of one audit, and the processes that it started beside itself."""
        run = process([*ALONE, "sh", "-c", _COUNT, "sh", *words], _environ(), self.root)
        code, last = run.output.split()
        return int(code), int(last) - 3  # the shell, zsh, and the last one itself


def _names(scene: Scene) -> tuple[str, str]:
    return (_NAME, _ID) if scene.installed else ("Missing.app", "com.example.missing")


def _environ() -> dict[str, str]:
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "PST8PDT,M3.2.0,M11.1.0"}
