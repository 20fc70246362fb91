"""Instructions that the hot paths take, counted by callgrind: the same on a busy machine as on an idle one.

    python -m benchmarks.instructions            # the figures of this Python beside those that are kept
    python -m benchmarks.instructions --keep     # keeps them (make instructions)

Callgrind counts only inside PyMapping_GetItemString, which Python calls a few times while it starts and not later. It
asks an object for one of its items, and that is where the work is done. A profile is written after each call of it.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.tenant import ROOT, Tenant

KEPT = Path(__file__).with_name("instructions.json")
"""What the figures should be, by the version of Python; `build` says how that was built."""
_MARGIN, _OTHER_MARGIN = 0.05, 0.25
"""How much more a path may take: with the build that was counted, and with any other."""
_DOOR = "PyMapping_GetItemString"


def count() -> dict[str, int]:
    """Instructions by the path that takes them.

    Raises:
        subprocess.CalledProcessError: callgrind failed.
    """
    with tempfile.TemporaryDirectory() as folder, Tenant() as tenant:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}",
            "PYTHONHASHSEED": "0",
            "KANDJI_API_URL": tenant.url,
            "KANDJI_TOKEN": tenant.token,
            "KANDJI_UPLOADER_DIR": f"{folder}/config",
            "KANDJI_UPLOADER_STATE_DIR": f"{folder}/state",
        }
        profile = Path(folder, "profile")
        callgrind = [
            "valgrind",
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--toggle-collect={_DOOR}",
            f"--dump-after={_DOOR}",
        ]
        words = [*callgrind, f"--callgrind-out-file={profile}", sys.executable, "-m", __spec__.name, "--run", folder]
        done = subprocess.run(words, check=True, env=environ, cwd=ROOT, capture_output=True, text=True)
        names = json.loads(done.stdout)
        profiles = sorted(Path(folder).glob("profile.*"), key=lambda each: int(each.suffix[1:]))
        return {name: _total(each) for name, each in zip(names, profiles[-len(names) :], strict=True)}


def _total(profile: Path) -> int:
    lines = profile.read_text("utf-8").splitlines()
    return int(next(line for line in reversed(lines) if line.startswith("totals:")).split()[1])


def _version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _build() -> str:
    """How this Python was built: another build takes other instructions."""
    return f"{sysconfig.get_config_var('CONFIG_ARGS')} {platform.python_version()} {platform.python_compiler()}"


class _Door:
    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work

    def __getitem__(self, _: str) -> None:
        self._work()


def _run(folder: Path) -> None:
    """Take each path once, through the door; prints their names."""
    import ctypes
    import gc

    enter = ctypes.pythonapi.PyMapping_HasKeyString  # which calls the other one
    enter.argtypes = [ctypes.py_object, ctypes.c_char_p]
    gc.disable()  # when it looks for garbage depends on what was made before
    works = list(_works(folder))
    _begin()
    for _, work in works:
        enter(_Door(work), b"")
    print(json.dumps([name for name, _ in works]))


def _begin() -> None:
    """Have callgrind look from now on: it makes all that is done before, the imports above all, ten times as slow."""
    words = ["callgrind_control", "--instr=on", str(os.getpid())]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as control:
        while control.poll() is None:
            pass  # a process that waits would have to be traced for it, which not every machine allows
    if control.returncode:
        raise subprocess.CalledProcessError(control.returncode, words)


def _works(folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """The paths. What each needs is made, and imported, before it is counted."""
    from benchmarks import pages
    from kandji_uploader._util.secret import Secret
    from kandji_uploader.audit import script
    from kandji_uploader.kandji.answers import Fields, custom_app
    from kandji_uploader.kandji.transport import Answer, by_rows
    from kandji_uploader.publish import matching
    from tests.plan import world

    values = script.AuditValues("Big.app", "com.example.big", None, "1.0", 1700000000, 5)
    yield _warm("render 2 audit scripts", lambda: [script.render(values, world.TEMPLATE) for _ in range(2)])

    body = json.dumps({"results": [*pages.apps(100, scripts=False)]}).encode()
    asked = Answer("GET", 200, "", Secret("5ecret-" * 5))
    page = _warm(
        "take 100 Custom Apps of a list",
        lambda: by_rows(asked, [body], lambda told, text, row: custom_app(Fields(told, row, text))),
    )
    yield page
    yield "`json.loads` of that", lambda: json.loads(body)

    app = world.live()
    apps = tuple(type(app)(f"id{n}", f"App {n}", "k", "zip", "no_enforcement", "") for n in range(5000))
    matching.find(apps[:1], "App 1", "App-1.zip")
    yield "match 100 of 5,000 apps", lambda: [matching.find(apps, f"App {n}", f"App-{n}.zip") for n in range(100)]

    target, asked_of = world.target(), world.plan_input(app)
    yield _warm("plan an app twice", lambda: [world.plans([target], asked_of) for _ in range(2)])
    yield _unchanged(folder)


def _warm(name: str, work: Callable[[], object]) -> tuple[str, Callable[[], object]]:
    work()
    return name, work


def _unchanged(folder: Path) -> tuple[str, Callable[[], object]]:
    """A recipe whose installer Kandji has, in a run that has read its list; the digest is remembered."""
    from benchmarks import recipes
    from benchmarks.installers import app_zip

    app_zip(folder / "App 0-1.0.zip", "App 0", "1.0")
    return _warm("an unchanged recipe", lambda: recipes.run(folder, 1))


def worse(counted: dict[str, int], kept: dict[str, dict[str, Any]]) -> list[str]:
    """The paths that take more than was kept, and the margin beyond that; one that is new or gone, too."""
    of = kept.get(_version()) or kept["3.10"]
    margin = _MARGIN if of["build"] == _build() else _OTHER_MARGIN
    before: dict[str, int] = of["counted"]
    more = [
        f"{name}: {figure:,} instructions, {before[name]:,} were kept ({figure / before[name] - 1:+.1%})"
        for name, figure in counted.items()
        if name in before and figure > before[name] * (1 + margin)
    ]
    return [*more, *(f"{name}: not in both" for name in sorted(counted.keys() ^ before.keys()))]


def main() -> int:
    """Count, print and compare; 1 where a path takes more than it should."""
    if sys.argv[1:2] == ["--run"]:
        _run(Path(sys.argv[2]))
        return 0
    counted, kept = count(), json.loads(KEPT.read_text("utf-8"))
    before = kept.get(_version(), {}).get("counted", {})
    for name, figure in counted.items():
        print(f"{figure:>12,}  {before.get(name, 0):>12,}  {name}")
    if sys.argv[1:] == ["--keep"]:
        kept[_version()] = {"build": _build(), "counted": counted}
        KEPT.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", "utf-8")
        return 0
    return int(bool(worse(counted, kept)))


if __name__ == "__main__":
    sys.exit(main())
