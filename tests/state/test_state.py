"""What is remembered between runs: whole or not at all, private, and never in the way."""

import json
import os
import stat
import subprocess
import sys
import textwrap

import pytest

from kandji_uploader.errors import LockedError
from kandji_uploader.files import write_private
from kandji_uploader.state import DigestCache, JournalEntry, Published, Store

TENANT = "https://a.api.kandji.io"


def entry(sha256="a" * 64, at=1000.0):
    return JournalEntry(sha256, f"key/{sha256[:4]}", 10, at)


def test_an_upload_is_remembered_until_it_is_forgotten(tmp_path):
    store = Store(tmp_path, TENANT)
    store.note_upload(entry())
    assert Store(tmp_path, TENANT).uploads(1001) == (entry(),)
    store.forget_upload("a" * 64)
    assert store.uploads(1001) == ()


def test_another_tenant_does_not_see_the_uploads(tmp_path):
    Store(tmp_path, TENANT).note_upload(entry())
    assert Store(tmp_path, "https://b.api.kandji.io").uploads(1001) == ()


def test_an_upload_older_than_a_week_is_not_used(tmp_path):
    store = Store(tmp_path, TENANT)
    store.note_upload(entry(at=0))
    assert store.uploads(7 * 86_400) == ()


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '[{"sha256": 1}]', "null", "\x00\xff"])
def test_a_broken_journal_counts_as_empty_and_can_be_written_again(tmp_path, text):
    store = Store(tmp_path, TENANT)
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
    store = Store(tmp_path, TENANT)
    for number in range(40):
        store.note_published(Published("one", "One", str(number), "s", "k", float(number)))
    store.note_published(Published("two", "Two", "1", "s", "k", 0.0))
    assert [each.version for each in store.history("two")] == ["1"]
    assert store.history("one")[-1].version == "39"
    assert len(store.history("one")) < 40


def test_owed_blueprints_are_paid_once(tmp_path):
    store = Store(tmp_path, TENANT)
    store.owe_blueprints("App", ("Macs", "Map:node"))
    assert store.owed_blueprints("App") == ("Macs", "Map:node")
    assert store.owed_blueprints("Other") == ()
    store.owe_blueprints("App", ())
    assert store.owed_blueprints("App") == ()


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
    before = cache.identity(file)
    file.write_text("other")
    cache.put(file, "digest", before)
    assert cache.get(file) is None


def test_two_runs_for_the_same_app_do_not_run_at_once(tmp_path):
    program = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from kandji_uploader.state import Store
        with Store(Path({str(tmp_path)!r}), {TENANT!r}).lock(("App",), 5, print):
            print("held", flush=True)
            sys.stdin.read()
    """)
    other = subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, text=True)
    assert other.stdout.readline() == "held\n"
    told = []
    store = Store(tmp_path, TENANT)
    with pytest.raises(LockedError, match=f"process {other.pid}.*'App'"), store.lock(("App",), 0.3, told.append):
        raise AssertionError("both hold it")
    assert len(told) == 1
    with store.lock(("Another",), 0.3, told.append) as waited:
        assert not waited
    other.stdin.close()
    other.wait(10)
    with store.lock(("App",), 5, told.append) as waited:
        assert not waited


def test_a_lock_outlives_no_process(tmp_path):
    program = (
        "import os; from pathlib import Path; from kandji_uploader.state import Store\n"
        f"with Store(Path({str(tmp_path)!r}), {TENANT!r}).lock(('App',), 5, print): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    with Store(tmp_path, TENANT).lock(("App",), 0, print) as waited:
        assert not waited


def test_the_journal_is_json_that_a_person_can_read(tmp_path):
    Store(tmp_path, TENANT).note_upload(entry())
    (journal,) = tmp_path.glob("*/uploads.json")
    assert json.loads(journal.read_text())[0]["file_key"] == "key/aaaa"
