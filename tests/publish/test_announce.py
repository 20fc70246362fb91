"""What is told of the recipes of one process, as long as it lives."""

import os

import pytest

from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError
from kandji_uploader.flows import announce
from kandji_uploader.models import Action, Outcome, RunResult, Settings, Stage
from kandji_uploader.publish.request import Host
from kandji_uploader.rehearsal import RehearsalTenant


@pytest.fixture
def recipes(tmp_path, monkeypatch):
    # As in a process of its own: tests before it may have left what nobody was told of.
    monkeypatch.setattr(announce._DIGESTS, "_early", [])
    with RehearsalTenant(tmp_path / "tenant") as tenant:
        yield Recipes(tenant, tmp_path / "state")
        announce.send_digests()


class Recipes:
    def __init__(self, tenant, folder):
        self.tenant, self.warned = tenant, []
        self.settings = Settings("http://127.0.0.1:1", slack_enabled=True, state_folder=folder)
        environ = {"SLACK_TOKEN": tenant.webhook_url, "PATH": os.environ["PATH"]}
        self.host = Host(digests=True, environ=environ, warn=self.warned.append)

    def publishes(self, name):
        announce.announce(RunResult(name, (Outcome(Stage.PROD, name, Action.CREATE),)), self.settings, self.host)

    def told(self):
        announce.send_digests()
        (message,) = self.tenant.slack_messages()
        return [block["text"]["text"] for block in message["blocks"]][1:]


def test_a_failure_that_was_told_is_not_told_as_an_early_one_too(recipes):
    problem = KandjiUploaderError("the token was not accepted")
    announce.announce_failure("W.pkg", problem, recipes.settings, recipes.host)
    announce.announce_early_failure("W.recipe", problem, recipes.host)
    announce.announce_early_failure("V.recipe", KandjiUploaderError("a key is misspelt"), recipes.host)
    announce.announce_early_failure("U.recipe", InterruptedRunError("Ctrl-C"), recipes.host)
    assert [line.split(":")[0] for line in recipes.told()] == ["W.pkg", "V.recipe"]


def test_an_early_failure_waits_for_settings_that_say_who_hears_of_it(recipes):
    announce.announce_early_failure("V.recipe", KandjiUploaderError("a key is misspelt"), recipes.host)
    recipes.publishes("W")
    assert [line.split(":")[0] for line in recipes.told()] == ["W", "V.recipe"]


def test_a_folder_that_cannot_be_written_is_told_and_the_message_comes_all_the_same(recipes):
    folder = recipes.settings.state_folder
    folder.mkdir()
    (folder / "messages").write_text("no folder")
    recipes.publishes("W")
    assert "cannot be kept on disk: File exists" in recipes.warned[0]
    assert recipes.told() == ["W: :new: created"]


def test_a_message_whose_answer_was_lost_is_told_again_and_says_that_it_may_have_come(recipes):
    recipes.tenant.faults.add("POST", "/slack/**", kind="effect_then_reset")
    recipes.publishes("W")
    assert recipes.told() == ["W: :new: created"]
    assert "Slack may not have been told, the next run tells it again" in recipes.warned[0]
    recipes.publishes("V")
    announce.send_digests()
    again = [block["text"]["text"] for block in recipes.tenant.slack_messages()[1]["blocks"]]
    assert again[1:] == [
        "with what an earlier run could not tell",
        "some of it may have come before: a run ended while it was telling",
        "W: :new: created",
        "V: :new: created",
    ]
