"""The folder of a manifest: kept whole whoever writes at once or is killed, refused where it is not as written."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from kandji_uploader.errors import InstallerChangedError, InstallerError, ManifestError, SameAppError, SettingsError
from kandji_uploader.flows import publish as flow
from kandji_uploader.manifest import folder
from kandji_uploader.manifest.lines import Line, Shard
from kandji_uploader.publish import manifests
from kandji_uploader.state import DigestCache
from tests.manifest.conftest import TOKEN, Machine, fresh, lines, recipe

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def chosen(tmp_path, built):
    def choose(shard=None, *places):
        return manifests.chosen(places or [built], shard, DigestCache(tmp_path / "cache"))

    return choose


def problem(choose, *arguments):
    with pytest.raises(ManifestError) as caught:
        choose(*arguments)
    text = str(caught.value)
    assert text.endswith("\nNothing was sent") or "cannot be read" in text
    return text


def test_what_was_built_is_the_installer_by_its_sha256_and_one_line(build, built, widget):
    build(custom_app={"prod_name": "Widget"}, version="1.0")
    (line,) = lines(built)
    body = widget().read_bytes()
    assert (built / line["file"]).read_bytes() == body
    assert re.fullmatch(r"[0-9a-f]{64}/Widget-1\.0\.pkg", line["file"])
    assert line["format"] == 1
    assert (line["recipe"], line["identifier"]) == ("Widget.pkg.recipe", "com.example.pkg.Widget")
    assert line["apps"] == ["Widget"]
    assert (line["found"]["bundle_id"], line["found"]["version"]) == ("com.example.Widget", "1.0")
    assert line["found"]["signature"]["status"] == "unsigned"
    assert line["facts"]["name"] == "Widget"
    assert line["keys"] == {"custom_app.prod_name": "Widget"}


def test_the_processor_tells_what_it_has_built_and_changes_nothing(build, builder, built):
    result = build(custom_app={"prod_name": "Widget", "test_name": "Widget (Test)"})
    assert not result.changed
    assert [outcome.action.value for outcome in result.outcomes] == ["build", "build"]
    assert all(str(built / "manifest.jsonl") in outcome.reason for outcome in result.outcomes)


def test_neither_token_nor_address_nor_webhook_is_in_anything_that_is_kept(builder, build, built):
    builder.environ |= {
        "KANDJI_TOKEN": TOKEN,
        "SLACK_TOKEN": f"https://hooks.example/{TOKEN}",
        "KANDJI_API_URL": "acme.api.iru.com",
    }
    builder.write(
        "config.yaml",
        {
            "kandji": {"api_url": "acme.api.kandji.io", "token_name": "OUR_TOKEN"},
            "slack": {"enabled": True, "webhook_name": "OUR_HOOK"},
            "zz_defaults": {"new_app_naming": "APPNAME (ours)"},
        },
    )
    build()
    for path in (path for path in built.rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert not [word for word in (TOKEN, "acme", "OUR_", "hooks") if word.encode() in content], path
    assert lines(built)[0]["defaults"] == {"zz_defaults.new_app_naming": "APPNAME (ours)"}


def test_the_same_once_more_adds_nothing_and_a_newer_version_adds_a_line(build, built, chosen):
    build()
    again = build()
    assert [outcome.action.value for outcome in again.outcomes] == ["unchanged"]
    assert len(lines(built)) == 1
    build(version="2.0")
    build(version="1.0")
    assert [line["found"]["version"] for line in lines(built)] == ["1.0", "2.0", "1.0"]
    ((request, _),) = chosen()
    assert request.path.name == "Widget-1.0.pkg", "the last line counts"


def test_a_file_that_two_recipes_share_is_kept_once(build, builder, built, widget):
    build()
    builder.recipe(recipe(widget(), NAME="Other", publish_to=str(built)))
    assert len(lines(built)) == 2
    assert len(list(built.rglob("*.pkg"))) == 1


def test_a_file_that_is_whole_is_not_copied_again_and_one_that_is_not_is_put_there_anew(build, built, chosen):
    build()
    (path,) = built.rglob("*.pkg")
    before = path.stat()
    build()
    now = path.stat()  # it may have been read, which is the one time that may be another
    assert (now.st_ino, now.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)
    path.write_bytes(b"x" * before.st_size)
    build()
    assert len(chosen()) == 1


def test_what_is_no_installer_is_refused_where_it_was_built(builder, built, tmp_path):
    page = tmp_path / "Widget-1.0.pkg"
    page.write_text("<html>Not found</html>")
    with pytest.raises(InstallerError, match=r"Widget-1\.0\.pkg"):
        builder.recipe(recipe(page, NAME="Widget", publish_to=str(built)))
    assert not built.exists()


def test_a_file_that_changes_while_it_is_copied_is_not_kept(built, widget):
    path = widget()
    line = Line(("Widget",), f"{'0' * 64}/Widget-1.0.pkg", path.stat().st_size)
    with pytest.raises(InstallerChangedError, match="it was replaced or changed after it was first read"):
        folder.add(built, line, {line.file: path}, lambda _, __: False)
    assert [each for each in built.rglob("*") if each.is_file()] == [built / "manifest.jsonl"]
    assert lines(built) == []


def test_a_dry_run_writes_nothing(build, built):
    result = build(dry_run=True)
    assert [outcome.action.value for outcome in result.outcomes] == ["build"]
    assert not built.exists()


def test_a_second_recipe_that_means_the_same_app_fails_where_it_runs(builder, built, widget):
    builder.recipe(recipe(widget(), NAME="Widget", publish_to=str(built), custom_app={"prod_name": "App"}))
    from kandji_uploader import autopkg

    other = recipe(widget("1.0", "Gadget"), NAME="Gadget", publish_to=str(built), custom_app={"prod_name": "App"})
    with pytest.raises(SameAppError, match=r"Gadget.pkg.recipe .* means the Custom App 'App', and so did .*Widget.pkg"):
        autopkg.publish(other, builder.host())
    assert len(lines(built)) == 1
    autopkg.publish({**other, "publish_to": f"{built}-of-another-team"}, builder.host())
    assert len(lines(built.with_name("built-of-another-team"))) == 1


def test_two_recipes_of_two_machines_that_mean_the_same_app_are_both_refused_in_each_shard(build, built, chosen):
    build("Widget", custom_app={"prod_name": "App"})
    build("Gadget", custom_app={"prod_name": "App"})
    build("Other")
    whys = {request.recipe: why for request, why in chosen()}
    assert whys["Other.pkg.recipe"] == ""
    assert "mean the same Custom App 'App'" in whys["Widget.pkg.recipe"]
    assert whys["Widget.pkg.recipe"] == whys["Gadget.pkg.recipe"]


def test_a_relative_folder_is_refused_before_anything_is_written(builder, widget):
    with pytest.raises(SettingsError, match="publish_to is 'built': must be an absolute path"):
        builder.recipe(recipe(widget(), publish_to="built"))


def test_a_folder_that_cannot_be_written_is_named_with_what_to_do(builder, widget, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ManifestError, match=r"cannot be written .*; make room .* or name another folder as `publish_to`"
    ):
        builder.recipe(recipe(widget(), publish_to=str(tmp_path / "file" / "built")))


# What comes back is what was put there


@pytest.fixture
def line(build, built):
    """A built line with a script; returns it as JSON."""
    build(custom_app={"prod_name": "Widget", "postinstall_script": _script(built.parent)})
    return lines(built)[0]


def _script(place):
    path = place / "after.zsh"
    path.write_text("#!/bin/zsh\necho after\n")
    return str(path)


@pytest.mark.parametrize("which", ["file", "files"])
def test_a_file_that_is_missing_is_named_before_anything_is_sent(built, chosen, line, which):
    path = built / (line["file"] if which == "file" else line["files"][0])
    path.unlink()
    assert f"{path} is missing; fetch the whole folder of the manifest, or build it again" in problem(chosen)


@pytest.mark.parametrize("which", ["file", "files"])
@pytest.mark.parametrize("change", ["one byte", "cut off", "longer", "empty"])
def test_a_file_that_was_changed_is_named_before_anything_is_sent(built, chosen, line, which, change):
    path = built / (line["file"] if which == "file" else line["files"][0])
    body = path.read_bytes()
    changed = {"one byte": body[:-1] + b"~", "cut off": body[:-1], "longer": body + b"\0", "empty": b""}
    path.write_bytes(changed[change])
    assert f"{path} is not the file that was put there: its sha256 differs; build it again" in problem(chosen)


def test_a_file_that_is_replaced_after_it_was_checked_is_not_published(build, chosen, widget, tmp_path):
    build()
    ((request, _),) = chosen()
    request.path.write_bytes(widget("9.9").read_bytes())
    with fresh(tmp_path / "tenant") as tenant:
        there = Machine.at(tmp_path / "there", KANDJI_API_URL=tenant.url, KANDJI_TOKEN=TOKEN)
        with pytest.raises(InstallerChangedError, match="was first read, so it was not published"):
            flow.run(request, there.host())
        assert tenant.apps() == []


def test_all_that_is_wrong_is_told_at_once(build, built, chosen):
    for name in ("Widget", "Gadget"):
        build(name)
    for place in built.rglob("*.pkg"):
        place.unlink()
    assert problem(chosen).count("is missing") == 2


@pytest.mark.parametrize("end", [-1, -2, 1])
def test_a_manifest_that_was_cut_off_is_refused_with_the_line(build, built, chosen, end):
    build("Widget")
    build("Gadget")
    path = built / "manifest.jsonl"
    text = path.read_text()
    first, second = text.splitlines()
    path.write_text(f"{first}\n{second[:end]}" if end != 1 else f"{first[:end]}\n{second}\n")
    assert f"{path}: line {2 if end < 0 else 1} is no line of a manifest, or was cut off or changed" in problem(chosen)


def test_a_line_whose_end_was_lost_is_whole(build, built, chosen):
    build("Widget")
    path = built / "manifest.jsonl"
    path.write_text(path.read_text().rstrip("\n"))
    assert len(chosen()) == 1
    build("Gadget")
    assert len(chosen()) == 2


def test_what_a_killed_process_has_left_of_a_line_goes_when_the_next_one_is_added(build, built, chosen):
    build("Widget")
    path = built / "manifest.jsonl"
    path.write_text(path.read_text() + path.read_text()[:100])
    build("Gadget")
    assert [request.recipe for request, _ in chosen()] == ["Widget.pkg.recipe", "Gadget.pkg.recipe"]


def test_a_manifest_that_is_not_there_is_named(tmp_path, chosen):
    path = tmp_path / "none.jsonl"
    assert f"{path} cannot be read (No such file or directory); check the path" in problem(chosen, None, path)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"kandji.api_url": "evil.example"}, "holds 'kandji.api_url', which no line may hold"),
        ({"custom_app.preinstall_script": "/etc/passwd"}, "holds 'custom_app.preinstall_script', which no line may"),
        ({"custom_app.prod_preinstall_script": "/etc/passwd"}, "names a file as custom_app.prod_preinstall_script"),
    ],
)
def test_a_line_that_anybody_could_have_written_reaches_no_other_tenant_and_no_other_file(
    built, chosen, line, keys, told
):
    line.pop("digest")
    line["keys"] = keys
    digest = hashlib.sha256(json.dumps(line, sort_keys=True).encode()).hexdigest()
    (built / "manifest.jsonl").write_text(json.dumps({**line, "digest": digest}) + "\n")
    assert told in problem(chosen)


def test_each_shard_reads_its_own_files_only_and_all_of_them_are_the_whole(build, built, chosen):
    names = ("Widget", "Gadget", "Other", "Firefox", "Zoom")
    for name in names:
        build(name, custom_app={"prod_name": name, "test_name": f"{name} (Test)"})
    parts = [[request.recipe for request, _ in chosen(Shard(number, 2))] for number in (1, 2)]
    assert sorted(parts[0] + parts[1]) == sorted(f"{name}.pkg.recipe" for name in names)
    assert all(parts)
    (built / lines(built)[0]["file"]).unlink()
    mine = 1 if Shard(1, 2).has("Widget") else 2
    assert "is missing" in problem(chosen, Shard(mine, 2))
    assert chosen(Shard(3 - mine, 2))


# Several processes

WRITER = """
import os, sys
sys.path[:0] = [{shared!r}, {checkout!r}]
from pathlib import Path
from tests.manifest.conftest import Machine, recipe
from tests.support.installers import app_pkg
home, built, name, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
machine = Machine.at(home)
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    called = f"{{name}}{{number}}"
    path = app_pkg(home / f"{{called}}.pkg", name=called, bundle_id=f"com.example.{{called}}", content=b"x" * 300_000)
    machine.recipe(recipe(path, NAME=called, publish_to=built))
"""


def writer(tmp_path, built, name, count):
    code = WRITER.format(shared=str(CHECKOUT / "shared"), checkout=str(CHECKOUT))
    words = [sys.executable, "-c", code, str(tmp_path / f"home-{name}"), str(built), name, str(count)]
    started = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert started.stdout.readline() == "ready\n"
    return started


def go(process):
    process.stdin.write("\n")
    process.stdin.flush()


def test_two_processes_that_write_at_once_leave_every_line_and_every_file(tmp_path, built, chosen):
    both = [writer(tmp_path, built, name, 3) for name in ("Left", "Right")]
    for process in both:
        go(process)
    assert [process.wait(60) for process in both] == [0, 0]
    assert len(lines(built)) == 6
    assert len(chosen()) == 6


def test_a_recipe_waits_for_another_one_that_writes(build, built):
    build()
    with (built / "manifest.jsonl").open("a") as file, ThreadPoolExecutor() as pool:
        fcntl.flock(file, fcntl.LOCK_EX)
        second = pool.submit(build, "Gadget")
        assert not wait([second], timeout=0.3).done
        assert len(lines(built)) == 1
        fcntl.flock(file, fcntl.LOCK_UN)
        second.result(20)
    assert len(lines(built)) == 2


def test_a_process_that_is_killed_at_any_moment_leaves_only_whole_lines_with_their_files(tmp_path, built, chosen):
    """`KANDJI_KILLS` says how often; the next process goes on with what is there."""
    done, manifest = 0, built / "manifest.jsonl"
    built.mkdir()
    manifest.touch()
    for turn in range(int(os.environ.get("KANDJI_KILLS", "1"))):
        process = writer(tmp_path, built, f"Turn{turn}x", 200)
        go(process)
        while manifest.read_text().count("\n") < done + 2:
            assert process.poll() is None
            time.sleep(0.001 * (turn % 7 + 1))
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        found = len(chosen())
        assert found >= done + 2
        done = found
    assert sorted(path.suffix for path in built.iterdir() if path.is_file()) in ([".jsonl"], [".draft", ".jsonl"])
    assert folder.read(built)
