"""Whatever an API or a mirror answers, there is a cask or one sentence, never a traceback."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tuning
from hypothesis import strategies as st

from kandji_uploader import homebrew
from kandji_uploader.errors import CaskError, KandjiUploaderError, NetworkError
from kandji_uploader.homebrew.cask import read
from tests.homebrew.conftest import QUICK
from tests.support.cask_server import cask_json
from tests.support.examples import examples

KEYS = [*cask_json("app"), "rename", "languages", "deprecation_reason", "full_token"]
WORDS = [
    "arch",
    "linux",
    "cask",
    "nested",
    "app",
    "pkg",
    "headers",
    "cookies",
    "user_agent",
    "referer",
    "tahoe",
    "url",
    "type",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["no_check", ":fake", "intel"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@tuning(max_examples=examples(100), suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.dictionaries(st.sampled_from(KEYS), JSON, min_size=1, max_size=3),
    arch=st.sampled_from(["arm64", "x86_64"]),
)
def test_a_cask_with_odd_values_is_read_or_refused(changes, arch):
    try:
        cask = read({**cask_json("app"), **changes}, arch=arch, allow_no_checksum=True)
    except CaskError:
        return
    assert "/" not in cask.file_name
    assert cask.file_name
    assert isinstance(cask.url, str)


@pytest.mark.parametrize(
    "url", ["http://[", "https://[::1/app.dmg", "https://", "app.dmg", "file:///etc/passwd", "https://a:b@c/d.dmg"]
)
def test_an_address_that_is_none_is_refused(url, tmp_path):
    with pytest.raises(CaskError):
        homebrew.fetch(read(cask_json("app", url=url), arch="arm64"), tmp_path, policy=QUICK)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("location", ["http://[", "file:///etc/passwd", "https://user:secret@example.com/"])
def test_a_redirect_to_nowhere_is_refused(server, fetch, location):
    server.add("app")
    server.offers["/files/app-1.0.dmg"].faults = [f"redirect {location}"]
    cask = homebrew.find("app", environ=server.environ, policy=QUICK)
    with pytest.raises(KandjiUploaderError) as caught:
        fetch(cask)
    assert "secret" not in str(caught.value)


def test_a_header_that_would_split_the_request_is_refused(server, fetch):
    server.add("app")
    cask = homebrew.find("app", environ=server.environ, policy=QUICK)
    with pytest.raises(NetworkError, match="cannot be asked for"):
        fetch(replace(cask, headers=(("Referer", "x\r\nX-Injected: 1"),)))


def test_an_api_address_that_is_none_is_refused():
    with pytest.raises(CaskError):
        homebrew.find("app", environ={"HOMEBREW_API_DOMAIN": "https://["}, policy=QUICK)
