"""A script may call Kandji's API, with the token in it; that is compared as it is, and shown nowhere."""

import json


def test_a_script_that_holds_the_token_is_written_once(house):
    token = house.tenant.token
    for name in ("preinstall", "postinstall"):
        (house.folder / name).write_text(f"#!/bin/zsh\ncurl -H 'Authorization: Bearer {token}' https://x # {name}\n")
    keys = {
        "custom_app.prod_name": "Widget",
        "custom_app.preinstall_script": str(house.folder / "preinstall"),
        "custom_app.postinstall_script": str(house.folder / "postinstall"),
    }
    house.publish(house.pkg(), keys)
    assert token in house.tenant.app("Widget")["postinstall_script"]
    second = house.publish(house.pkg(), keys)
    assert [outcome.action.value for outcome in second.outcomes] == ["unchanged"]
    assert house.writes() == []


def test_the_token_of_a_script_is_in_nothing_that_is_said_or_kept(house):
    token = house.tenant.token
    (house.folder / "postinstall").write_text(f"echo {token}\n")
    keys = {"custom_app.prod_name": "Widget", "custom_app.postinstall_script": str(house.folder / "postinstall")}
    house.publish(house.pkg(), keys)
    row = json.dumps(house.tenant.app("Widget"))
    house.tenant.faults.add("GET", "library/custom-apps", kind="status", code=418, body=row)
    try:
        house.publish(house.pkg("2.0"), keys)
    except Exception as problem:  # noqa: BLE001 - whatever it is, it is shown
        house.said.append(str(problem))
    assert house.said
    assert token not in "\n".join([*house.said, *house.warned])
    kept = [path.read_text("utf-8", "replace") for path in (house.folder / "state").rglob("*") if path.is_file()]
    assert kept
    assert token not in "\n".join(kept)
