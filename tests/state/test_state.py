"""What is remembered between runs: whole or not at all, private, and never in the way."""

import errno
import fcntl
import json
import os
import stat
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace

import pytest

from kandji_uploader._util.files import identity, write_private
from kandji_uploader.errors import LockedError, StateError
from kandji_uploader.state import Created, DigestCache, JournalEntry, Publication, StateStore

TENANT = "https://a.api.kandji.io"


def entry(sha256="a" * 64, at=1000.0):
    return JournalEntry(sha256, f"key/{sha256[:4]}", 10, at)


def test_an_upload_is_remembered_until_it_is_forgotten(tmp_path):
    store = StateStore(tmp_path, TENANT)
    store.note_upload(entry())
    assert StateStore(tmp_path, TENANT).uploads(1001) == (entry(),)
    store.forget_upload("a" * 64)
    assert store.uploads(1001) == ()


def test_another_tenant_does_not_see_the_uploads(tmp_path):
    StateStore(tmp_path, TENANT).note_upload(entry())
    assert StateStore(tmp_path, "https://b.api.kandji.io").uploads(1001) == ()


def test_an_upload_older_than_a_week_is_not_used(tmp_path):
    store = StateStore(tmp_path, TENANT)
    store.note_upload(entry(at=0))
    assert store.uploads(7 * 86_400) == ()


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '[{"sha256": 1}]', "null", "\x00\xff"])
def test_a_broken_journal_counts_as_empty_and_can_be_written_again(tmp_path, text):
    store = StateStore(tmp_path, TENANT)
    store.note_upload(entry())
    (journal,) = tmp_path.glob("*/uploads.json")
    journal.write_text(text, encoding="latin-1")
    assert store.uploads(1001) == ()
    store.note_upload(entry("b" * 64))
    assert [each.sha256 for each in store.uploads(1001)] == ["b" * 64]


def test_files_are_for_their_owner_only_and_no_partial_file_is_left(tmp_path):
    folder = tmp_path / "made" / "here"
    write_private(folder / "a.json", "text")
    assert stat.S_IMODE((folder / "a.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == ["a.json"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    write_private(tmp_path / "a.json", "old")
    with pytest.raises(UnicodeEncodeError):
        write_private(tmp_path / "a.json", "\ud800")
    assert (tmp_path / "a.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_history_is_kept_per_app_and_bounded(tmp_path):
    store = StateStore(tmp_path, TENANT)
    for number in range(40):
        store.note_published(Publication("one", "One", str(number), "s", "k", float(number)))
    store.note_published(Publication("two", "Two", "1", "s", "k", 0.0))
    assert [each.version for each in store.history("two")] == ["1"]
    assert store.history("one")[-1].version == "39"
    assert len(store.history("one")) < 40


def test_the_apps_that_were_created_are_known_by_name_latest_first_until_they_are_deleted_again(tmp_path):
    store = StateStore(tmp_path, TENANT)
    for entry in (first := Created("App", "1", "key", 1.0), Created("Other", "2", "key", 2.0)):
        store.note_created(entry)
    store.note_created(second := Created("App", "3", "key", 3.0))
    assert store.created("App") == (second, first)
    store.note_created(settled := replace(first, settled=True))
    assert store.created("App") == (settled, second)
    store.forget_created("1")
    assert store.created("App") == (second,)
    assert StateStore(tmp_path, "https://b.api.kandji.io").created("App") == ()


def test_a_digest_is_known_until_the_file_changes(tmp_path):
    cache, file = DigestCache(tmp_path / "state"), tmp_path / "a.pkg"
    file.write_text("one")
    cache.put(file, "digest")
    assert cache.get(file) == "digest"
    os.utime(file, ns=(1, 1))
    assert cache.get(file) is None


def test_a_digest_of_a_file_that_changed_while_it_was_read_is_not_kept(tmp_path):
    cache, file = DigestCache(tmp_path / "state"), tmp_path / "a.pkg"
    file.write_text("one")
    before = identity(file)
    file.write_text("other")
    cache.put(file, "digest", before)
    assert cache.get(file) is None


HOLDER = """
import os, sys, time
from pathlib import Path
from kandji_uploader.state import Created, DigestCache, JournalEntry, Publication, StateStore
with StateStore(Path(sys.argv[1]), sys.argv[2]).lock(("App",), 5, print):
    print("held", flush=True)
    if sys.stdin.read(1) == "k":
        os._exit(9)
print(time.time(), flush=True)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of App until it reads from its standard input; `k` kills it first."""
    arguments = [sys.executable, "-c", HOLDER, str(tmp_path), TENANT]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=0) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_two_runs_for_the_same_app_do_not_run_at_once(tmp_path, holder):
    told = []
    store = StateStore(tmp_path, TENANT)
    with pytest.raises(LockedError, match=f"process {holder.pid}"), store.lock(("App",), 0.3, told.append):
        raise AssertionError("both hold it")
    assert len(told) == 1
    with store.lock(("Another",), 0.3, told.append) as changed:
        assert changed == 0.0
    assert len(told) == 1


def test_the_second_run_goes_on_when_the_first_is_done_and_learns_when_that_was(tmp_path, holder):
    started = time.time()
    threading.Timer(0.2, holder.stdin.write, ("x",)).start()
    with StateStore(tmp_path, TENANT).lock(("App",), 5, lambda _: None) as changed:
        assert started < changed <= float(holder.stdout.readline())


def test_a_run_that_came_after_the_other_learns_of_it_too(tmp_path, holder):
    holder.stdin.write("x")
    holder.wait(5)
    with StateStore(tmp_path, TENANT).lock(("App",), 0, print) as changed:
        assert 0 < changed <= time.time()
    with StateStore(tmp_path, TENANT).lock(("App",), 0, print) as changed:
        assert changed == 0.0, "nobody but ourselves since"


def test_a_lock_outlives_no_process_and_what_a_killed_one_did_is_not_known(tmp_path, holder):
    holder.stdin.write("k")
    holder.wait(5)
    before = time.time()
    with StateStore(tmp_path, TENANT).lock(("App",), 0, print) as changed:
        assert before <= changed


def test_a_volume_without_locks_is_no_reason_to_fail(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with StateStore(tmp_path, TENANT).lock(("App",), 0, print):
        StateStore(tmp_path, TENANT).note_upload(entry())
    assert StateStore(tmp_path, TENANT).uploads(1001) == (entry(),)


def test_no_entry_is_lost_when_many_processes_write_at_once(tmp_path):
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from kandji_uploader.state import JournalEntry, StateStore
        store, own = StateStore(Path(sys.argv[1]), sys.argv[2]), sys.argv[3]
        for number in range(25):
            store.note_upload(JournalEntry(f"{own}-{number}", "key", 10, 1000.0))
    """)
    writers = [subprocess.Popen([sys.executable, "-c", program, tmp_path, TENANT, str(own)]) for own in range(4)]
    assert [writer.wait(30) for writer in writers] == [0, 0, 0, 0]
    assert len(StateStore(tmp_path, TENANT).uploads(1001)) == 100


def test_a_draft_that_a_killed_process_left_is_removed_at_the_next_write(tmp_path):
    program = textwrap.dedent("""
        import os, sys
        from pathlib import Path
        os.fsync = lambda handle: os.kill(os.getpid(), 9)
        from kandji_uploader._util.files import write_private
        write_private(Path(sys.argv[1]) / "config.yaml", "half")
    """)
    assert subprocess.run([sys.executable, "-c", program, tmp_path], check=False).returncode == -9
    assert len(list(tmp_path.iterdir())) == 1, "the draft of the killed process"
    (tmp_path / ".mine.draft").write_text("somebody else's")
    write_private(tmp_path / "config.yaml", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mine.draft", "config.yaml"]


def test_everything_is_private_whatever_the_umask(tmp_path):
    program = textwrap.dedent("""
        import os, sys
        os.umask(0)
        from pathlib import Path
        from kandji_uploader.state import Created, DigestCache, JournalEntry, Publication, StateStore
        folder = Path(sys.argv[1]) / "config" / "state"
        store = StateStore(folder, sys.argv[2])
        with store.lock(("App",), 5, print):
            store.note_upload(JournalEntry("a", "key", 1, 1.0))
            store.note_created(Created("App", "id", "key", 1.0))
            store.note_published(Publication("id", "App", "1", "a", "key", 1.0))
            store.remember("id", {"note": "text"})
            DigestCache(folder).put(Path(sys.executable), "digest")
    """)
    subprocess.run([sys.executable, "-c", program, tmp_path, TENANT], check=True)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "config").rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert len([path for path in modes if path.is_file()]) == 6


def test_what_must_be_remembered_first_raises_and_what_is_noted_afterwards_does_not(tmp_path):
    (tmp_path / "file").write_text("in the way of the folder")
    store = StateStore(tmp_path / "file", TENANT)
    with pytest.raises(StateError, match="cannot be written"):
        store.note_upload(entry())
    with pytest.raises(StateError, match="cannot be written"), store.lock(("App",), 0, print):
        pass
    store.forget_upload("a" * 64)
    store.note_created(Created("App", "id", "key", 1.0))
    store.note_published(Publication("one", "One", "1", "s", "k", 0.0))
    store.remember("one", {"note": "text"})
    assert store.uploads(1001) == ()
    assert store.history("one") == ()


def test_a_digest_of_a_file_that_is_gone_is_not_known(tmp_path):
    cache = DigestCache(tmp_path / "state")
    cache.put(tmp_path / "gone", "digest")
    assert cache.get(tmp_path / "gone") is None


def test_the_journal_is_json_that_a_person_can_read(tmp_path):
    StateStore(tmp_path, TENANT).note_upload(entry())
    (journal,) = tmp_path.glob("*/uploads.json")
    assert json.loads(journal.read_text())[0]["file_key"] == "key/aaaa"


def test_digests_of_many_files_are_known_and_those_put_longest_ago_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr("kandji_uploader.state._KEEP_DIGESTS", 20)
    cache = DigestCache(tmp_path / "state")
    files = [tmp_path / f"{number}.pkg" for number in range(25)]
    for number, file in enumerate(files):
        file.write_text(str(number))
        cache.put(file, f"digest {number}")
        place = max((tmp_path / "state" / "digests").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        os.utime(place, (number, number))
    assert [cache.get(file) for file in files[-15:]] == [f"digest {number}" for number in range(10, 25)]
    assert cache.get(files[0]) is None
