"""Who hears of runs: checked when the settings are read, and no address is ever shown."""

import json

import pytest

from kandji_uploader import cli
from kandji_uploader.errors import CredentialError, SettingsError
from kandji_uploader.settings import credentials, load, writing
from kandji_uploader.settings.showing import explain

SECRET = "https://example.webhook.office.com/webhookb2/s3cret"

WORDS = ("all", "failed", "promoted")
HEARD = "all, failed or promoted, or a list of these"
NO_ADDRESS = (
    "url (not shown) must be an address such as mailto://... or https://..., or the name under which the environment "
    "or keychain keeps one, such as TEAMS_URL"
)


def settled(notify, **environ):
    given = {"kandji.api_url": "acme.api.kandji.io", "notify": notify}
    return load(given, given_origin="config", caller="python", environ=environ).settle()


def test_an_entry_is_a_name_or_an_address_and_hears_of_all_unless_it_says_otherwise():
    people = settled(
        [
            {"url": "MAIL_URL", "on": "failed, promoted"},
            {"url": f" {SECRET} "},
            {"url": "MAILTO://a:25", "on": [*WORDS]},
        ]
    ).notify
    assert [str(each) for each in people] == [
        "MAIL_URL (failed, promoted)",
        "notify 2 (https) (all)",
        "notify 3 (mailto) (all, failed, promoted)",
    ]
    assert (people[1].url.reveal(), people[1].url.origin) == (SECRET, "config file")
    assert (people[0].secret, people[1].secret) == ("MAIL_URL", "")
    assert settled([{"url": "mail.url-2"}]).notify[0].secret == "mail.url-2"


@pytest.mark.parametrize(
    ("notify", "told"),
    [
        ("MAIL_URL", "notify: must be a list; write each as `- url: NAME`"),
        (SECRET, "notify: must be a list; write each as `- url: NAME`"),
        (["MAIL_URL"], "notify: entry 1 must be a mapping; write it as `- url: NAME`"),
        (
            [{"url": "A"}, {"url": SECRET, "onn": "failed"}],
            "notify: entry 2 has a key that is not known; known are url and on",
        ),
        ([{"url": "A", "on": "sometimes"}], "notify: entry 1: on is 'sometimes': must be " + HEARD),
        ([{"url": "A", "on": 5}], "notify: entry 1: on is 5: must be " + HEARD),
        ([{"url": "A", "on": []}], "notify: entry 1: on is a list: must be " + HEARD),
        ([{"on": "all"}], "notify: entry 1: " + NO_ADDRESS),
        ([{"url": ["s3cret"]}], "notify: entry 1: " + NO_ADDRESS),
        ([{"url": "s3cret of mine"}], "notify: entry 1: " + NO_ADDRESS),
        ([{"url": "A"}, {"url": "A", "on": "failed"}], "notify: names A twice; put all that it hears of into one `on`"),
    ],
)
def test_a_mistake_is_told_before_anything_is_done_and_without_the_address(notify, told):
    with pytest.raises(SettingsError) as caught:
        settled(notify)
    assert str(caught.value) == f"config: {told}"
    assert "s3cret" not in str(caught.value)


def test_no_address_is_in_a_setting_that_is_shown_or_printed():
    known = settled([{"url": SECRET}])
    assert "s3cret" not in f"{known!r}{explain(known)!r}{known.notify[0]}"


def test_what_is_kept_under_a_name_must_be_an_address_too():
    known = settled([{"url": "MAIL_URL"}])
    environ = {"MAIL_URL": SECRET}
    assert credentials.address_of(known.notify[0], known, environ).reveal() == SECRET
    with pytest.raises(CredentialError, match=r"MAIL_URL in the environment \(MAIL_URL\) is no address") as caught:
        credentials.address_of(known.notify[0], known, {"MAIL_URL": "s3cret"})
    assert "s3cret" not in str(caught.value)
    with pytest.raises(CredentialError, match="MAIL_URL was not found"):
        credentials.address_of(known.notify[0], known, {})


@pytest.mark.parametrize("name", ["config.yaml", "config.json"])
def test_setup_that_writes_the_config_file_anew_keeps_who_hears_of_runs(tmp_path, name):
    people = [{"url": SECRET}, {"url": "MAIL_URL", "on": ["failed", "promoted"]}]
    (tmp_path / name).write_text(json.dumps({"slack": {"on": "failed"}, "digest": False, "notify": people}))
    before, problems = writing.config_values(tmp_path / name)
    assert problems == ()
    writing.write_config(tmp_path, {**before, "kandji.api_url": "acme.api.kandji.io"})
    after, problems = writing.config_values(tmp_path / name)
    assert problems == ()
    assert {key: after[key] for key in before} == before


def test_config_set_takes_the_list_and_shows_no_address(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KANDJI_UPLOADER_DIR", str(tmp_path))
    monkeypatch.setenv("KANDJI_API_URL", "acme.api.kandji.io")
    assert cli.main(["config", "set", "notify", f"[{{url: {SECRET}}}, {{url: MAIL_URL, on: failed}}]"]) == 0
    assert [str(each) for each in writing.config_values(tmp_path / "config.yaml")[0]["notify"]] == [
        "notify 1 (https) (all)",
        "MAIL_URL (failed)",
    ]
    assert cli.main(["config", "set", "notify", f"[{{url: {SECRET}, on: never}}]"]) == 3
    assert cli.main(["config"]) == 0
    said = capsys.readouterr()
    assert "notify: notify 1 (https) (all), MAIL_URL (failed)" in said.out + said.err
    assert "s3cret" not in said.out + said.err
