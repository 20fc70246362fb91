"""A line is what was written, or it is refused; a shard goes by the name alone."""

from __future__ import annotations

import hashlib
import json

import pytest

from kandji_uploader.manifest.lines import FORMAT, Line, LineError, Shard, from_text, to_text

SHA = hashlib.sha256(b"installer").hexdigest()
LINE = Line(
    ("Widget (Test)", "Wídget \ud800\u2028"),
    f"{SHA}/Widget 1.0 (ärm).pkg",
    9,
    facts={"version": "1.10", "notes": ["a"]},
    keys={"custom_app.prod_name": "Widget", "custom_app.promotion.after_days": 2.5},
    files=(f"{SHA}/after.zsh",),
    recipe="Widget.pkg.recipe",
)


def sealed(**changes):
    """A line with other content, and a digest that fits it: anybody can make one."""
    content = {**json.loads(to_text(LINE)), **changes}
    content.pop("digest")
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return json.dumps({**content, "digest": digest})


def test_a_line_is_read_as_it_was_written_on_one_line_of_ascii():
    text = to_text(LINE)
    assert text.count("\n") == 1
    assert text.isascii()
    assert from_text(text[:-1]) == LINE
    assert from_text(sealed()) == LINE


def test_a_line_that_was_cut_off_anywhere_is_refused():
    text = to_text(LINE)[:-1]
    for end in range(1, len(text)):
        with pytest.raises(LineError, match="cut off or changed"):
            from_text(text[:end])


def test_a_line_of_which_one_character_was_changed_is_refused():
    text = to_text(LINE)[:-1]
    for at in range(len(text)):
        with pytest.raises(LineError):
            from_text(text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1 :])


def test_a_line_of_a_newer_format_is_refused_and_says_which_version_wrote_it():
    told = f"is of format {FORMAT + 1} .KandjiUploader 9.9 wrote it., and this version knows formats up to {FORMAT}"
    with pytest.raises(LineError, match=told):
        from_text(sealed(format=FORMAT + 1, version="9.9", signed_by="something new"))


@pytest.mark.parametrize(
    "changes",
    [
        {"file": "../../etc/passwd"},
        {"file": f"{SHA}/../Widget.pkg"},
        {"file": f"{SHA}/.."},
        {"file": f"/{SHA}/Widget.pkg"},
        {"files": ["/etc/passwd"]},
        {"files": "abc"},
        {"apps": []},
        {"apps": [1]},
        {"keys": ["custom_app"]},
        {"size": -1},
        {"size": True},
        {"recipe": None},
        {"unknown": 1},
    ],
)
def test_a_line_that_holds_what_none_may_hold_is_refused_though_its_digest_fits(changes):
    with pytest.raises(LineError, match=next(iter(changes)) if "unknown" not in changes else "does not hold what"):
        from_text(sealed(**changes))


@pytest.mark.parametrize("text", ["[]", "1", "null", "{}", '{"format": "1"}', '{"format": true}', "[" * 100_000])
def test_what_is_no_line_of_ours_is_refused(text):
    with pytest.raises(LineError, match="is no line of a manifest"):
        from_text(text)


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_of_all_shards_each_name_is_in_exactly_one(count):
    names = [f"App {number}" for number in range(400)]
    shards = [{name for name in names if Shard(number, count).has(name)} for number in range(1, count + 1)]
    assert sorted(name for shard in shards for name in shard) == sorted(names)
    assert all(shards)


def test_a_name_stays_in_its_shard_on_every_machine():
    assert [name for name in ("Firefox", "Google Chrome", "Slack", "Zoom") if Shard.parse("1/2").has(name)] == [
        "Google Chrome",
        "Zoom",
    ]


@pytest.mark.parametrize("text", ["0/5", "6/5", "5", "/5", "1/", "1/0", "a/b", "-1/5", "1/5/2", "1.0/2", "٢/٥", ""])
def test_a_shard_that_is_none_is_refused_with_what_one_looks_like(text):
    with pytest.raises(ValueError, match=r"is no shard; give its number and how many there are, such as 1/5"):
        Shard.parse(text)
