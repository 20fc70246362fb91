"""A download arrives whole and checked, goes on where it broke off, and leaves nothing wrong behind."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace

import pytest

from kandji_uploader import homebrew
from kandji_uploader._util.files import identity
from kandji_uploader.errors import CaskError, NetworkError
from tests.homebrew.conftest import QUICK
from tests.support.cask_server import installer

BODY = installer("a large installer", 900_000)
BROKEN_OFF = ("short 300000", *["status 503"] * (QUICK.tries - 1))
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def cask(server):
    server.offer("/app.dmg", BODY)
    return homebrew.Cask("app", "App", "1.0", f"{server.url}/app.dmg", SHA256, file_name="app.dmg")


def held(folder):
    """What lies in the cache."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_installer_is_kept_by_its_sha256_under_its_own_name(cask, server, fetch, tmp_path):
    path = fetch(cask)
    assert path == tmp_path / "cache" / SHA256 / "app.dmg"
    assert path.read_bytes() == BODY
    assert held(tmp_path / "cache") == [f"{SHA256}/app.dmg"]
    assert path.parent.parent.stat().st_mode & 0o077 == 0


def test_what_was_downloaded_before_is_not_downloaded_again(cask, server, fetch):
    assert fetch(cask) == fetch(cask)
    assert len(server.asked) == 1


def test_a_file_of_the_cache_that_has_changed_is_downloaded_again(cask, server, fetch):
    fetch(cask).write_bytes(b"changed")
    assert fetch(cask).read_bytes() == BODY
    assert len(server.asked) == 2


def test_progress_tells_the_bytes_that_are_there_and_all(cask, fetch):
    told = []
    fetch(cask, lambda done, total: told.append((done, total)))
    assert told[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize("fault", ["short", "silent"])
def test_a_download_that_breaks_off_goes_on_where_it_was(cask, server, fetch, fault):
    server.offers["/app.dmg"].faults = [f"{fault} 300000", f"{fault} 300000"]
    assert fetch(cask).read_bytes() == BODY
    assert [each.headers.get("Range") for each in server.asked] == [None, "bytes=300000-", "bytes=600000-"]
    assert server.asked[1].headers["If-Range"] == '"v1"'


def test_a_connection_that_is_reset_is_made_again(cask, server, fetch):
    server.offers["/app.dmg"].faults = ["reset 300000", "reset 300000"]
    assert fetch(cask).read_bytes() == BODY
    assert len(server.asked) == 3


def test_a_server_without_ranges_is_asked_for_the_whole_again(cask, server, fetch):
    server.offer("/app.dmg", BODY, ranges=False, faults=["short 300000"])
    assert fetch(cask).read_bytes() == BODY


def test_without_a_validator_nothing_is_gone_on_with(cask, server, fetch):
    server.offer("/app.dmg", BODY, etag=None, faults=["short 300000"])
    assert fetch(cask).read_bytes() == BODY
    assert [each.headers.get("Range") for each in server.asked] == [None, None]


def test_a_weak_etag_is_no_validator_but_the_time_of_change_is(cask, server, fetch):
    changed = "Mon, 02 Nov 2026 10:00:00 GMT"
    server.offer("/app.dmg", BODY, etag='W/"v1"', headers={"Last-Modified": changed}, faults=["short 300000"])
    assert fetch(cask).read_bytes() == BODY
    assert server.asked[1].headers["If-Range"] == changed


def test_a_file_that_is_replaced_in_mid_download_is_not_glued_together(cask, server, fetch):
    def replaced(number):
        if number == 2:
            offer.body, offer.etag = BODY, '"v2"'

    offer = server.offer("/app.dmg", installer("the old one", 900_000), faults=["short 300000"], on_request=replaced)
    assert fetch(cask).read_bytes() == BODY


def test_a_server_that_ignores_if_range_is_found_out(cask, server, fetch):
    def replaced(number):
        if number == 2:
            offer.body, offer.etag = BODY, '"v2"'

    offer = server.offer("/app.dmg", installer("the old one", 900_000), faults=["short 300000"], on_request=replaced)
    offer.heeds_if_range = False
    assert fetch(replace(cask, sha256=None)).read_bytes() == BODY
    assert [each.headers.get("Range") for each in server.asked] == [None, "bytes=300000-", None]


def test_a_part_that_was_damaged_on_disk_is_downloaded_in_one_piece(cask, server, fetch, tmp_path):
    server.offers["/app.dmg"].faults = list(BROKEN_OFF)
    with pytest.raises(NetworkError):
        fetch(cask)
    part = tmp_path / "cache" / f"{SHA256}.part"
    part.write_bytes(b"x" * part.stat().st_size)
    assert fetch(cask).read_bytes() == BODY
    assert [each.headers.get("Range") for each in server.asked[-2:]] == ["bytes=300000-", None]


def test_a_part_that_is_longer_than_the_file_is_thrown_away(cask, server, fetch, tmp_path):
    server.offers["/app.dmg"].faults = list(BROKEN_OFF)
    with pytest.raises(NetworkError):
        fetch(cask)
    part = tmp_path / "cache" / f"{SHA256}.part"
    part.write_bytes(BODY + b"more")
    assert fetch(cask).read_bytes() == BODY
    assert [each.headers.get("Range") for each in server.asked[-2:]] == [f"bytes={len(BODY) + 4}-", None]


def test_a_download_that_breaks_off_too_often_is_left_to_the_next_run(cask, server, fetch):
    server.offers["/app.dmg"].faults = ["short 100000"] * QUICK.tries
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1: the connection broke"):
        fetch(cask)
    assert fetch(cask).read_bytes() == BODY
    assert server.asked[-1].headers["Range"] == f"bytes={QUICK.tries * 100_000}-"


def test_the_wrong_sha256_is_refused_and_nothing_is_left(cask, server, fetch, tmp_path):
    other = installer("another file", 900_000)
    server.offer("/app.dmg", other)
    with pytest.raises(CaskError) as caught:
        fetch(cask)
    said = str(caught.value)
    assert hashlib.sha256(other).hexdigest() in said
    assert f"Homebrew says {SHA256}" in said
    assert held(tmp_path / "cache") == []
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [404, 403, 410])
def test_a_download_that_is_not_offered_is_told_at_once(cask, server, fetch, status):
    server.offers["/app.dmg"].faults = [f"status {status}"] * 2
    with pytest.raises(NetworkError, match=f"not offered: HTTP {status} .*try again later"):
        fetch(cask)
    assert len(server.asked) == 1


def test_a_busy_server_is_asked_again_within_the_budget(cask, server, fetch):
    server.offers["/app.dmg"].faults = ["status 503", "status 429", "status 500"]
    assert fetch(cask).read_bytes() == BODY
    server.offers["/app.dmg"].faults = ["status 503"] * 10
    with pytest.raises(NetworkError, match=r"HTTP 503"):
        fetch(replace(cask, sha256="b" * 64))
    assert len(server.asked) == 4 + QUICK.tries


def test_a_slow_but_moving_download_is_waited_for(cask, server, fetch):
    body = installer("slow", 5000)
    server.offer("/slow.dmg", body, faults=["drip 80"])
    began = time.monotonic()
    slow = replace(cask, url=f"{server.url}/slow.dmg", sha256=hashlib.sha256(body).hexdigest())
    assert fetch(slow).read_bytes() == body
    assert time.monotonic() - began > QUICK.idle_timeout


def test_chunked_answers_and_unknown_lengths_are_fine(cask, server, fetch):
    server.offer("/app.dmg", BODY, headers={"Transfer-Encoding": "chunked"})
    told = []
    assert fetch(cask, lambda done, total: told.append((done, total))).read_bytes() == BODY
    assert told[-1] == (len(BODY), 0)


def test_redirects_are_followed_and_the_casks_own_headers_stay_with_the_first_host(cask, server, fetch):
    other_host = server.url.replace("127.0.0.1", "localhost")
    server.offer("/get", b"", faults=[f"redirect {other_host}/app.dmg"] * 2)
    server.offers["/app.dmg"].faults = ["short 300000"]
    headers = (("User-Agent", "agent"), ("Cookie", "eula=yes"), ("X-Key", "value"))
    path = fetch(replace(cask, url=f"{server.url}/get", headers=headers))
    assert path.read_bytes() == BODY
    first, second, _, fourth = (each.headers for each in server.asked)
    assert (first["User-Agent"], first["Cookie"], first["X-Key"]) == ("agent", "eula=yes", "value")
    assert second["User-Agent"] == "agent"
    assert not {"Cookie", "X-Key", "Authorization"} & set(second)
    assert fourth["Range"] == "bytes=300000-"


def test_a_redirect_to_plain_http_or_in_circles_is_refused(cask, server, fetch):
    server.offers["/app.dmg"].faults = ["redirect http://download.example.com/app.dmg?key=secret"]
    with pytest.raises(CaskError, match=r"http://download.example.com/app.dmg is not https") as caught:
        fetch(cask)
    assert "secret" not in str(caught.value)
    server.offers["/app.dmg"].faults = [f"redirect {cask.url}"] * 50
    with pytest.raises(CaskError, match=r"more than 10 redirects"):
        fetch(cask)


def test_a_plain_http_address_is_refused(cask, fetch):
    with pytest.raises(CaskError, match=r"is not https"):
        fetch(replace(cask, url="http://download.example.com/app.dmg"))


@pytest.mark.parametrize(
    ("headers", "path", "name"),
    [
        ({"Content-Disposition": 'attachment; filename="Discord 1.dmg"'}, "/download", "Discord 1.dmg"),
        ({"Content-Disposition": "attachment; filename*=UTF-8''caf%C3%A9.dmg"}, "/download", "café.dmg"),
        ({"Content-Disposition": 'attachment; filename="../../evil.dmg"'}, "/download", "-..-evil.dmg"),
        ({}, "/download", "app-1.0.dmg"),
    ],
)
def test_the_name_comes_from_the_answer_where_the_address_tells_none(cask, server, fetch, headers, path, name):
    server.offer(path, BODY, headers=headers)
    assert fetch(replace(cask, url=server.url + path, file_name="app-1.0")).name == name


def test_the_name_comes_from_where_a_redirect_leads(cask, server, fetch):
    server.offer("/latest", b"", faults=["redirect /files/App%20Latest.dmg"])
    server.offer("/files/App%20Latest.dmg", BODY)
    assert fetch(replace(cask, url=f"{server.url}/latest", file_name="app-1.0")).name == "App Latest.dmg"


def test_without_checksum_only_an_installer_is_accepted(cask, server, fetch, tmp_path):
    unchecked = replace(cask, sha256=None)
    assert fetch(unchecked).read_bytes() == BODY
    assert fetch(unchecked).parent.name == SHA256
    assert len(server.asked) == 2, "there is no telling whether the file has changed"
    server.offer("/app.dmg", b"<html>please sign in</html>")
    with pytest.raises(CaskError, match=r"neither a \.pkg nor a \.dmg nor a \.zip"):
        fetch(unchecked)
    assert held(tmp_path / "cache") == [f"{SHA256}/app.dmg"]


@pytest.mark.parametrize(("start", "suffix"), [(b"xar!", ".pkg"), (b"PK\x03\x04", ".zip")])
def test_the_suffix_comes_from_the_content_where_nothing_else_tells(cask, server, fetch, start, suffix):
    body = start + b"." * 2000
    server.offer("/download", body)
    nameless = replace(cask, url=f"{server.url}/download", file_name="app-1.0", sha256=hashlib.sha256(body).hexdigest())
    assert fetch(nameless).name == f"app-1.0{suffix}"


def test_runs_at_the_same_time_download_a_file_once(cask, server, fetch):
    server.offers["/app.dmg"].faults = ["drip 90000"]
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(fetch(cask))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 1
    assert len(server.asked) == 1


def test_credentials_of_netrc_are_not_sent(cask, server, fetch, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login admin password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    fetch(cask)
    assert "Authorization" not in server.asked[0].headers


SCRIPT = textwrap.dedent("""
    import resource, sys
    from pathlib import Path
    from kandji_uploader import homebrew
    from kandji_uploader.errors import KandjiUploaderError
    url, sha256, folder, limit = sys.argv[1:]
    if limit != "0":
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    try:
        print(homebrew.fetch(homebrew.Cask("app", "App", "1.0", url, sha256, file_name="app.dmg"), Path(folder)))
    except KandjiUploaderError as problem:
        print(f"refused: {problem}")
    except KeyboardInterrupt:
        print("stopped")
    status = Path("/proc/self/status")
    print(status.read_text().split("VmHWM:")[1].split()[0] if status.exists() else 0)
""")


def run(cask, folder, limit=0):
    """The same in a process of its own."""
    words = [sys.executable, "-c", SCRIPT, cask.url, cask.sha256, str(folder), str(limit)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "shared"})


def test_a_disk_that_is_full_in_mid_download_leaves_nothing_behind(cask, tmp_path):
    said, _ = run(cask, tmp_path / "cache", limit=300_000).communicate(timeout=30)
    assert "refused: the cask 'app' cannot be downloaded to" in said
    assert "(File too large); nothing of it was left there. Make room" in said
    assert held(tmp_path / "cache") == []


def test_control_c_leaves_a_part_that_the_next_run_goes_on_with(cask, server, fetch, tmp_path):
    server.offers["/app.dmg"].faults = ["silent 300000"]
    process = run(cask, tmp_path / "cache")
    part = tmp_path / "cache" / f"{SHA256}.part"
    deadline = time.monotonic() + 15
    while not (part.exists() and part.stat().st_size == 300_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert "stopped" in process.communicate(timeout=10)[0]
    assert part.stat().st_size == 300_000
    assert fetch(cask).read_bytes() == BODY
    assert server.asked[-1].headers["Range"] == "bytes=300000-"
    assert held(tmp_path / "cache") == [f"{SHA256}/app.dmg"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_memory_does_not_grow_with_the_download(server, cask, tmp_path):
    peaks = []
    for size in (5_000_000, 200_000_000):
        body = installer(f"{size}", size)
        server.offer("/big.dmg", body)
        big = replace(cask, url=f"{server.url}/big.dmg", sha256=hashlib.sha256(body).hexdigest())
        lines = run(big, tmp_path / str(size)).communicate(timeout=60)[0].split()
        assert lines[0].endswith("app.dmg")
        peaks.append(int(lines[-1]))  # not ru_maxrss, which begins with the parent's
    assert peaks[0] > 0
    assert peaks[1] - peaks[0] < 8 * 1024, f"{peaks} KiB"


def test_a_folder_that_cannot_be_written_is_one_sentence(cask, fetch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(CaskError, match=r"cannot be downloaded to .*Make room, or correct"):
        fetch(cask, folder=blocked / "cache")


class TestPruning:
    def fill(self, folder, **ages):
        """Files of 1000 bytes, by name and days of age."""
        now = time.time()
        for name, days in ages.items():
            place = folder / (name * 8)
            place.mkdir(parents=True)
            path = place / f"{name}.dmg"
            path.write_bytes(b"." * 1000)
            os.utime(place, (now, now - days * 86400))

    def test_what_was_not_used_for_long_goes(self, tmp_path):
        self.fill(tmp_path, a=1, b=31)
        (tmp_path / "old.part").write_bytes(b"")
        os.utime(tmp_path / "old.part", (1, 1))
        homebrew.prune(tmp_path, most_days=30)
        assert held(tmp_path) == ["aaaaaaaa/a.dmg"]
        assert not (tmp_path / "bbbbbbbb").exists()

    def test_the_longest_unused_go_until_the_rest_fits(self, tmp_path):
        self.fill(tmp_path, a=3, b=2, c=1)
        removed = homebrew.prune(tmp_path, most_bytes=2500)
        assert [path.name for path in removed] == ["a.dmg"]
        assert held(tmp_path) == ["bbbbbbbb/b.dmg", "cccccccc/c.dmg"]

    def test_the_file_at_hand_is_spared(self, tmp_path):
        self.fill(tmp_path, a=40)
        assert homebrew.prune(tmp_path, most_bytes=10, spare=tmp_path / "aaaaaaaa" / "a.dmg") == ()

    def test_a_cache_that_is_not_there_is_no_problem(self, tmp_path):
        assert homebrew.prune(tmp_path / "none") == ()

    def test_a_download_counts_as_a_use(self, cask, fetch):
        path = fetch(cask)
        os.utime(path.parent, (1, 1))
        before = identity(path)
        fetch(cask)
        assert path.parent.stat().st_mtime > time.time() - 100
        assert identity(path) == before, "another run may just be publishing it"
