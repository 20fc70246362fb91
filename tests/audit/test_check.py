"""What is refused before upload."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kandji_uploader.audit import script as audit
from kandji_uploader.audit import simulate
from kandji_uploader.errors import AuditScriptError
from kandji_uploader.models import AppFacts, AppRecord, InstallType, PackageRecord
from tests.support.mac import CREATED, needs_zsh

BEGIN = "\nif begin; then\n"
"""Where an audit begins."""
VALUES = audit.AuditValues("Firefox.app", "org.mozilla.firefox", None, "125.0", CREATED, 5)
FACTS = AppFacts(InstallType.IMAGE, 1, apps=(AppRecord("Firefox.app", "org.mozilla.firefox", "125.0", "12524.3"),))


@pytest.fixture(scope="module")
def template() -> str:
    return audit.load_template()


def check(values: audit.AuditValues, template: str, facts: AppFacts | None = None, **more: str) -> tuple[str, ...]:
    return simulate.check(audit.render(values, template), values, facts, **more)


@needs_zsh
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"days": 0},
        {"app_name": None},
        {"bundle_id": None},
        {"app_name": None, "bundle_id": None, "pkg_id": "org.mozilla.firefox.pkg"},
        {"app_name": 'It\'s "F" $(x) [a]*? \\ 🎉'},
        {"app_name": "Größe\nzwei.app", "version": "1.0b2 (7)"},
        {"bundle_id": "com.größe' || x"},
        {"app_name": "a/b.app"},
        {"install_when_missing": False},
        {"version_key": "CFBundleVersion"},
        {"blocking_applications": ("Firefox.app", 'It\'s "X" $(x)', "/Applications/Word.app")},
        {"blocking_applications": ()},
        {"minimum_os_version": "9999.9999.9999"},
        {"unzip_location": "/opt/it's $(x)"},
        {"version": "0"},
        {"version": "0.dev"},
        {"version": "beta"},
        {"version": "9" * 40},
    ],
    ids=repr,
)
def test_a_script_that_is_right_is_let_through(template: str, change: dict[str, object]):
    values = replace(VALUES, **change)  # type: ignore[arg-type]

    assert check(values, template) == ()
    # Of a script that is live no more is known than what it says; its Macs are the same ones.
    assert simulate._macs(audit.read(audit.render(values, template)), None) == simulate._macs(values, None)


@needs_zsh
@pytest.mark.parametrize(
    "record",
    [
        AppRecord("Firefox.app", "org.mozilla.firefox", "124.9"),
        AppRecord("Firefox.app", "org.mozilla.firefox", "125.0b3"),
        AppRecord("Firefox Developer.app", "org.mozilla.developer", "125.0"),
        AppRecord("Firefox.app", "org.mozilla.firefox", "125.0", install_path="/usr/local/Firefox.app"),
        AppRecord("Firefox.app", "org.mozilla.firefox"),
    ],
    ids=["older", "pre-release", "another app", "not where apps are looked for", "no version"],
)
def test_an_installer_that_would_be_installed_for_ever_is_refused(template: str, record: AppRecord):
    with pytest.raises(AuditScriptError, match=r"has just installed this installer.*install it again and again"):
        check(VALUES, template, replace(FACTS, apps=(record,)))


@needs_zsh
def test_an_installer_that_satisfies_its_script_is_let_through(template: str):
    packages = (PackageRecord("com.foo.cli", "2.0"), PackageRecord("com.foo.extras", "1.0"))
    receipt = audit.AuditValues(None, None, "com.foo.cli", "2.0", CREATED, 0)

    assert check(VALUES, template, FACTS) == ()
    assert check(receipt, template, AppFacts(InstallType.PACKAGE, 1, packages=packages)) == ()
    with pytest.raises(AuditScriptError, match="again and again"):
        check(replace(receipt, pkg_id="com.foo"), template, AppFacts(InstallType.PACKAGE, 1, packages=packages))


ZIPPED = replace(FACTS, type=InstallType.ZIP)


@needs_zsh
@pytest.mark.parametrize(
    ("place", "inside"),
    [
        *((place, "Firefox.app") for place in ("/opt/", "/usr/local/it's", "/Users/a/tools", "/é")),
        *((place, "Firefox 125/Firefox.app") for place in ("/opt", "/opt/our tools", "/Applications/Utilities")),
    ],
)
def test_an_app_is_looked_for_where_its_zip_is_unpacked(template: str, place: str, inside: str):
    unpacked = replace(ZIPPED, apps=(replace(FACTS.apps[0], path=inside),))

    assert check(replace(VALUES, unzip_location=place), template, unpacked) == ()
    assert check(replace(VALUES, unzip_location=place, bundle_id=None), template, unpacked) == ()


@needs_zsh
@pytest.mark.parametrize("place", ["/Users/Shared", "/Users/Shared/tools", "/Library/Caches", "/private/tmp", "/tmp"])
def test_an_app_that_is_unpacked_where_everybody_can_write_is_refused_before_upload(template: str, place: str):
    with pytest.raises(AuditScriptError, match=r"again and again. It says: .Passed over .*everybody can write to"):
        check(replace(VALUES, unzip_location=place), template, ZIPPED)


@pytest.mark.parametrize("place", ["opt", "~/Applications", "", "/opt/../Users", "/.."])
def test_what_is_no_folder_of_a_mac_is_no_place_to_unpack(template: str, place: str):
    with pytest.raises(AuditScriptError, match="Correct `unzip_location`"):
        audit.render(replace(VALUES, unzip_location=place), template)


@needs_zsh
@pytest.mark.parametrize("umask", [0, 0o002, 0o077])
def test_the_simulation_does_not_depend_on_the_umask_of_whoever_uploads(template: str, umask: int):
    former = os.umask(umask)
    try:
        assert check(VALUES, template, FACTS) == ()
    finally:
        os.umask(former)


@needs_zsh
@pytest.mark.parametrize("path", ["/Applications/../../../x.app", "/Applications/" + "x" * 300 + ".app"])
def test_a_hostile_installer_writes_nowhere_else(template: str, path: str):
    with pytest.raises(AuditScriptError, match="no Mac can have an app of that name or place"):
        check(VALUES, template, replace(FACTS, apps=(replace(FACTS.apps[0], install_path=path),)))


@needs_zsh
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("exit 0", "without the software it exits 0 instead of 1, so the Mac would never get the software"),
        ("exit 1", "with version 125.0 it exits 1 instead of 0, so the Mac would install it again and again"),
        ("exit 3", "without the software it exits 3 instead of 1"),
    ],
)
def test_a_template_that_is_wrong_is_refused(template: str, line: str, said: str):
    with pytest.raises(AuditScriptError, match=said):
        check(VALUES, template.replace(BEGIN, f"\n{line}{BEGIN}"))


@needs_zsh
def test_a_template_with_a_slip_is_refused_with_its_line(template: str):
    with pytest.raises(AuditScriptError, match=r"no valid zsh \(.*parse error"):
        check(VALUES, template.replace(BEGIN, "\nif begin; than\n"))


@needs_zsh
def test_a_template_that_hangs_is_refused(template: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(simulate, "_TIMEOUT", 0.3)
    with pytest.raises(AuditScriptError, match="does not end"):
        check(VALUES, template.replace(BEGIN, f"\nwhile true; do :; done{BEGIN}"))


@needs_zsh
def test_a_template_without_the_line_for_a_simulation_is_never_run(template: str, tmp_path: Path):
    trace = tmp_path / "trace"
    own = template.replace("PREFIX=''\n", f"touch {trace}\n")

    (line,) = check(VALUES, own)

    assert "PREFIX=''" in line
    assert not trace.exists()


def test_without_zsh_a_line_says_what_was_skipped(template: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))

    (line,) = check(VALUES, template)

    assert "no zsh" in line


@needs_zsh
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a mount without the right to run programs")
def test_where_programs_cannot_be_run_a_line_says_so(tmp_path: Path):
    program = (
        "import os, tempfile; from tests.audit.test_check import VALUES, check\n"
        "from kandji_uploader.audit import script as audit\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "print(check(VALUES, audit.load_template()))"
    )
    mounted = subprocess.run(
        [
            "unshare",
            "-m",
            "sh",
            "-c",
            'mount -t tmpfs -o noexec none "$1" && exec "$2" -c "$3"',
            "sh",
            tmp_path,
            sys.executable,
            program,
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    if "mount" in mounted.stderr or "unshare" in mounted.stderr:
        pytest.skip(f"no private mounts here: {mounted.stderr.strip()}")

    assert "programs cannot be run" in mounted.stdout, mounted.stderr


@needs_zsh
def test_a_temporary_folder_that_is_too_deep_is_named_not_the_app(
    template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    while len(os.getcwd()) < 3920:  # noqa: PTH109 - and no call could name a place much deeper
        os.mkdir("d" * 100)  # noqa: PTH102
        os.chdir("d" * 100)
    deep = os.getcwd()  # noqa: PTH109
    os.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", deep)
    with pytest.raises(AuditScriptError, match=r"temporary folder .*cannot be used \(File name too long\)\. Make room"):
        check(VALUES, template, FACTS)


@needs_zsh
@pytest.mark.parametrize("room", [10, 300])
def test_a_temporary_folder_without_room_is_named_not_the_app(room: int):
    program = (
        "import resource; from tests.audit.test_check import FACTS, VALUES\n"
        "from kandji_uploader.audit.simulate import check\n"
        "from kandji_uploader.errors import AuditScriptError\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n"
        "try: check(\"PREFIX=''\\nexit 1\", VALUES, FACTS)\n"
        "except AuditScriptError as problem: print(problem)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert "the temporary folder" in done.stdout, done.stderr + done.stdout
    assert "cannot be used (File too large)" in done.stdout


@needs_zsh
def test_a_name_that_no_mac_can_have_is_still_named(template: str):
    values = replace(VALUES, app_name="W" * 256)
    with pytest.raises(AuditScriptError, match="no Mac can have an app of that name"):
        check(values, template)


@needs_zsh
def test_the_simulation_leaves_nothing_behind_and_is_private(
    template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[int] = []
    run = subprocess.run

    def watched(*args, **named):
        seen.append(stat.S_IMODE(named["cwd"].stat().st_mode))
        return run(*args, **named)

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", watched)

    check(VALUES, template, FACTS)

    assert set(seen) == {0o700}
    assert list(tmp_path.iterdir()) == []


@needs_zsh
def test_the_simulation_is_quick(template: str):
    # Seconds of all processors, so that whatever else this machine does counts for nothing.
    begun = sum(os.times()[:4])
    check(VALUES, template, FACTS)

    assert sum(os.times()[:4]) - begun < 0.3


@needs_zsh
@pytest.mark.parametrize("name", ["PREFIX", "DATE", "MDFIND", "APP_NAME", "INSTALLED_PATH", "ANSWER", "DELAY_PLIST"])
def test_nothing_in_the_environment_moves_the_script_of_a_mac(template: str, tmp_path: Path, name: str):
    trap = tmp_path / "trap"
    for place in ("bin/date", "usr/bin/mdfind", "usr/libexec/PlistBuddy"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(f"#!/bin/sh\ntouch '{trap}'\n")
        (tmp_path / place).chmod(0o755)
    value = str(tmp_path / "bin/date") if name in ("DATE", "MDFIND") else str(tmp_path)

    done = subprocess.run(
        ["zsh", "-f", "/dev/stdin"],
        input=audit.render(VALUES, template),
        env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", name: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "'Firefox.app' not found. Triggering install..."
    assert not trap.exists()
