"""Who signed a file is remembered with its digest, as long as the file is the same and the answer cannot change."""

import json
import os

import pytest

from kandji_uploader._util.files import identity
from kandji_uploader.models import Signature
from kandji_uploader.state import DigestCache

STAMPED = Signature(
    "signed", "Jane Doe", "ABCDE12345", "developer_id_installer", "2024-05-01T12:00:00+00:00", of="package",
    verified=("the signature",), not_verified=("revocation",),
)  # fmt: skip
MEANT = ("Firefox.app", None)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "A.pkg"
    path.write_bytes(b"installer")
    return path


@pytest.fixture
def cache(tmp_path):
    return DigestCache(tmp_path / "state")


def put(cache, path, found=STAMPED, meant=MEANT):
    cache.put_signature(path, meant, found, identity(path))
    return cache.signature(path, meant)


@pytest.mark.parametrize("found", [STAMPED, Signature("unsigned", of="app"), Signature("broken", of="app", why="x")])
def test_an_answer_comes_back_as_it_was(cache, path, found):
    assert put(cache, path, found) == found


def test_digest_and_signer_are_kept_beside_each_other(cache, path):
    for _ in range(2):
        cache.put(path, "0" * 64)
        assert put(cache, path) == STAMPED
    assert cache.get(path) == "0" * 64


def test_another_file_another_app_or_a_dry_run_knows_nothing(cache, path, tmp_path):
    put(cache, path)
    assert cache.signature(path, ("Thunderbird.app", None)) is None
    os.utime(path)
    assert cache.signature(path, MEANT) is None
    assert cache.get(path) is None
    assert put(DigestCache(tmp_path / "dry", writes=False), path) is None


def test_a_signature_without_a_secure_timestamp_is_looked_at_each_time(cache, path):
    """Its certificate may have expired since."""
    assert put(cache, path, Signature("signed", "Jane Doe", "ABCDE12345", "developer_id_installer")) is None


def test_what_another_version_of_the_reader_said_does_not_count(cache, path, monkeypatch):
    put(cache, path)
    monkeypatch.setattr("kandji_uploader.state.__version__", "9.9")
    assert cache.signature(path, MEANT) is None


@pytest.mark.parametrize(
    "row", [None, 1, [], {}, {"meant": None}, {"status": "signed"}, {"verified": 1, "not_verified": []}]
)
def test_what_cannot_be_read_is_looked_at_again(cache, path, tmp_path, row):
    put(cache, path)
    (place,) = (tmp_path / "state" / "digests").glob("*.json")
    (kept,) = json.loads(place.read_text())
    meant = kept["signature"]["meant"]
    kept["signature"] = {**row, "meant": meant} if isinstance(row, dict) and row else row
    place.write_text(json.dumps([kept]))
    assert cache.signature(path, MEANT) is None
