"""What a message lists, in which order, and how much of it; and how the parts that are not Slack's are sent."""

import contextlib
import json
import logging
import os
import time

import pytest

from kandji_uploader.errors import NetworkError
from kandji_uploader.models import Action, Outcome, RunResult, Stage
from kandji_uploader.rehearsal import RehearsalTenant
from kandji_uploader.report import kept, message, notify, slack
from kandji_uploader.report.message import Item

HARD = "A_b *c* [l](https://evil) <x> `d`"


def some(action, number, **more):
    return [Item(action, f"{action} {index}", link=f"https://t/{index}", **more) for index in range(number)]


def test_what_changed_comes_first_then_failed_held_halted_and_pending():
    told = [*some("pending", 1), *some("halted", 1), *some("pinned", 1), *some("failed", 1), *some("promote", 1)]
    made = message.of_many(told, "mac")
    assert [item.action for item in made.items] == ["promote", "failed", "pinned", "halted", "pending"]
    assert made.head == "AutoPkg run on mac: 1 changed, 1 failed, 1 held, 1 halted, 1 pending"


@pytest.mark.parametrize(
    ("counts", "listed", "more"),
    [
        ({"create": 20}, {"create": 20}, ""),
        ({"create": 90, "failed": 1, "halted": 2}, {"create": 17, "failed": 1, "halted": 2}, "and 73 more: 73 changed"),
        (
            {"create": 9, "failed": 30, "held": 30, "halted": 30, "pending": 30},
            {"create": 4, "failed": 4, "held": 4, "halted": 4, "pending": 4},
            "and 109 more: 5 changed, 26 failed, 26 held, 26 halted, 26 pending",
        ),
    ],
)
def test_a_message_is_no_more_than_a_screen_and_no_group_pushes_another_out(counts, listed, more):
    told = [item for action, number in counts.items() for item in some(action, number, why="word " * 100)]
    made = message.of_many(told, "mac")
    assert {action: sum(item.action == action for item in made.items) for action in counts} == listed
    assert made.more == more
    lines = [block["text"]["text"] for block in slack.payload(made)["blocks"]]
    assert len(lines) <= 22
    assert all("\n" not in line and len(line) < 300 for line in lines)


def test_a_few_are_told_with_all_that_is_known_and_what_comes_twice_is_one_line():
    told = [Item("failed", "W", 1.0, "1.0", why="x" * 500), Item("failed", "W", 2.0, "1.0", why="y" * 500)]
    (line,) = [block["text"]["text"] for block in slack.payload(message.of_many(told, "mac"))["blocks"]][1:]
    assert line == f"W 1.0: :x: failed\n{'y' * 500}"


@pytest.mark.parametrize(
    ("on", "heard"),
    [
        (("all",), list(Action)),
        (("failed",), [Action.HALTED, Action.CONFLICT, Action.REFUSED, Action.FAILED]),
        (("promoted",), [Action.PROMOTE, Action.ROLL_BACK]),
    ],
)
def test_who_hears_of_what(on, heard):
    outcomes = tuple(Outcome(Stage.PROD, "W", action) for action in Action)
    told = [item.action for item in message.items(RunResult("W.pkg", outcomes), 0.0) if item.is_for(on)]
    assert told == [action.value for action in heard if action is not Action.UNCHANGED]
    assert Item("pending", "W").is_for(on) == (on != ("promoted",))


def test_names_are_text_in_markdown_too():
    text = notify._markdown(message.of_many([Item("create", HARD, link="https://t/1", why=HARD)], "mac"))
    assert text.startswith(r"[A\_b \*c\* \[l\](https://evil) \<x\> \`d\`](https://t/1): **created**")
    assert text.splitlines()[1] == r"A\_b \*c\* \[l\](https://evil) \<x\> \`d\`"


@pytest.mark.parametrize("url", ["nonsense://s3cret", "json://127.0.0.1:9/s3cret", "json://:::s3cret"])
def test_an_address_that_is_wrong_or_silent_is_told_without_the_address(url, caplog):
    with pytest.raises(NetworkError) as caught:
        notify.post(url, message.of_many(some("create", 1), "mac"))
    assert "s3cret" not in str(caught.value) + caplog.text


def test_no_log_of_any_library_holds_the_address(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    with RehearsalTenant(tmp_path / "tenant") as tenant:
        tenant.faults.add("POST", "/slack/**", kind="status", code=503, nth=2)
        slack.post(tenant.webhook_url, {"text": "x"})
        for _ in range(2):
            with contextlib.suppress(NetworkError):
                notify.post(tenant.webhook_url.replace("http:", "json:"), message.of_many(some("create", 1), "mac"))
        assert len(tenant.slack_messages()) == 2
    assert caplog.text.count('"POST /(not shown) HTTP/1.1"') == 3
    assert "services/rehearsal" not in caplog.text


def test_without_the_extra_the_error_has_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr("kandji_uploader._util.dependencies._NOTIFY", {"no_such_module": "apprise>=2.2.0"})
    with pytest.raises(NetworkError, match=r"needs apprise>=2\.2\.0; install with: .*pip install .*notify\.txt"):
        notify.check("json://127.0.0.1:9/x")


# On disk


def test_what_is_kept_survives_a_torn_line_and_lines_of_another_release(tmp_path):
    mine = kept.begin(tmp_path, ["Slack"])
    mine.add(some("create", 1))
    (path,) = (tmp_path / "messages").iterdir()
    os.close(mine._handle)
    with path.open("a") as file:
        file.write('{"item": {"action": "vanish", "name": "x"}}\n{"item": {"later": 1}}\n[]\n{"item": {"act')
    (found,) = kept.left(tmp_path, ["Slack"])
    assert [item.name for item in found.items] == ["create 0"]
    found.note("Slack", "done")
    found.close()
    assert list((tmp_path / "messages").iterdir()) == []


def test_what_lives_or_is_for_others_is_left_alone_and_what_is_a_week_old_goes(tmp_path):
    mine = kept.begin(tmp_path, ["Slack", "Mail"])
    mine.add(some("create", 1))
    assert list(kept.left(tmp_path, ["Slack"])) == []
    mine.note("Slack", "done")
    mine.close()
    assert list(kept.left(tmp_path, ["Slack"])) == []
    (again,) = kept.left(tmp_path, ["Mail"])
    assert not again.may_have_come("Mail")
    again.note("Mail", "begun")
    again.close()
    (path,) = (tmp_path / "messages").iterdir()
    rows = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(rows[0]), "at": time.time() - 8 * 86_400}), *rows[1:]]))
    assert list(kept.left(tmp_path, ["Mail"])) == []
    assert not path.exists()
