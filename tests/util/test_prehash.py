"""The digest of a large file is begun while the tenant is asked, and whoever comes first takes over."""

import hashlib
import os
import threading

import pytest

from kandji_uploader._util.files import identity
from kandji_uploader._util.prehash import WORTHWHILE, BackgroundDigest
from kandji_uploader.errors import InstallerChangedError
from kandji_uploader.kandji.upload import UploadForm
from kandji_uploader.publish import sources
from kandji_uploader.publish.sources import OnDisk
from kandji_uploader.publish.targets import RecipeFacts
from kandji_uploader.state import DigestCache

MIB = 1 << 20


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "Large-1.0.pkg"
    path.write_bytes(b"xar!" + os.urandom(WORTHWHILE))
    return path


def source(path):
    return OnDisk(path, RecipeFacts(), lambda _: None)


def running():
    return [thread for thread in threading.enumerate() if thread.name == "sha256 ahead"]


def digest_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_whole_digest_is_that_of_the_file(large):
    assert BackgroundDigest(large).finish(identity(large)) == digest_of(large)


def test_stopped_it_tells_how_far_it_came(large):
    begun = BackgroundDigest(large).stop()
    assert begun.digest.hexdigest() == hashlib.sha256(large.read_bytes()[: begun.size]).hexdigest()
    with UploadForm(large, {}, begun=begun) as form:
        assert b"".join(form).count(b"xar!") >= 1
        assert form.sha256 == digest_of(large)


def test_a_file_that_cannot_be_read_to_its_end_has_no_digest(tmp_path):
    assert BackgroundDigest(tmp_path).finish(identity(tmp_path)) is None  # a folder


def test_who_needs_the_digest_gets_it_and_it_is_remembered(large, tmp_path):
    cache = DigestCache(tmp_path / "state")
    here = source(large)
    with here.reading_ahead(cache):
        assert running()
        assert here.digest(cache) == digest_of(large)
    assert cache.get(large) == digest_of(large)
    assert not running()


def test_a_digest_that_is_known_is_not_worked_out_again(large, tmp_path):
    cache = DigestCache(tmp_path / "state")
    cache.put(large, "known")
    here = source(large)
    with here.reading_ahead(cache):
        assert not running()
        assert (here.begun().size, here.begun().identity) == (0, identity(large))
        assert here.digest(cache) == "known"


def test_a_small_file_is_not_worth_a_thread(tmp_path):
    small = tmp_path / "Small.pkg"
    small.write_bytes(b"xar!")
    with source(small).reading_ahead(DigestCache(tmp_path / "state")):
        assert not running()


def test_nothing_goes_on_after_the_run_however_it_ends(large, tmp_path):
    def run():
        with source(large).reading_ahead(DigestCache(tmp_path / "state")):
            assert running()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert not running()


def test_a_file_that_changes_while_it_is_read_ahead_is_not_remembered(large, tmp_path):
    cache = DigestCache(tmp_path / "state")
    here = source(large)
    with here.reading_ahead(cache):
        large.write_bytes(b"xar!" + os.urandom(WORTHWHILE + MIB))
        with pytest.raises(InstallerChangedError):
            here.digest(cache)
    assert cache.get(large) is None


def test_where_reading_ahead_comes_to_nothing_the_file_is_read_as_usual(large, tmp_path, monkeypatch):
    class Broken(BackgroundDigest):
        def finish(self, seen):
            super().finish(seen)

    monkeypatch.setattr(sources, "BackgroundDigest", Broken)
    here = source(large)
    cache = DigestCache(tmp_path / "state")
    with here.reading_ahead(cache):
        assert here.digest(cache) == digest_of(large)
