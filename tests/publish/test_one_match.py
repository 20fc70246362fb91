"""Each target is matched against the tenant's list once; the match, and a whole plan input, go through the run."""

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from kandji_uploader.flows import promote
from kandji_uploader.flows import publish as flow
from kandji_uploader.models import Action
from kandji_uploader.publish import matching
from tests.publish.conftest import NAMES

ONE = {"custom_app.prod_name": "Widget"}
SOAKS = {**NAMES, "custom_app.promotion.min_pass": 1}


@pytest.fixture
def matched(monkeypatch):
    """How often each name was matched."""
    names = Counter()

    def counting(apps, name, *args, _real=matching.find, **keys):
        names[name] += 1
        return _real(apps, name, *args, **keys)

    monkeypatch.setattr(matching, "find", counting)
    return names


@pytest.mark.parametrize(("keys", "targets"), [(ONE, 1), (NAMES, 2), (SOAKS, 2)], ids=["one", "two", "promotion"])
def test_a_target_is_matched_once_in_a_run(house, matched, keys, targets):
    for installer in ("1.0", "1.0", "1.1"):  # it creates, finds nothing to do, updates
        matched.clear()
        house.publish(house.pkg(installer), keys)
        assert list(matched.values()) == [1] * targets, installer


def test_a_pair_that_is_promoted_is_matched_once(house, matched):
    house.now = time.time()
    house.publish(house.pkg(), SOAKS)
    matched.clear()
    host = flow.Host(now=lambda: house.now, environ=house.environ)
    (result,) = promote.promote([promote.named_pair("Widget", "Widget (Test)", host)], host)
    assert result.outcomes[0].action is Action.PROMOTE
    assert matched == {"Widget": 1, "Widget (Test)": 1}


def test_what_a_run_has_published_is_promoted_even_where_somebody_renames_it_meanwhile(house, monkeypatch):
    house.now, real = time.time(), flow.carry_out

    def renamed(plans, plan_input, context, *args):
        done = real(plans, plan_input, context, *args)
        house.tenant.edit(house.tenant.app("Widget (Test)")["id"], name="Widget (Beta)")
        context.tenant.forget_apps()
        return done

    monkeypatch.setattr(flow, "carry_out", renamed)
    result = house.publish(house.pkg(), {**NAMES, "custom_app.promotion.after_days": 0})
    assert [outcome.action for outcome in result.outcomes] == [Action.CREATE, Action.PROMOTE]


def test_a_file_that_the_prod_app_has_is_not_uploaded_for_the_test_app(house):
    house.publish(house.pkg(), ONE)
    house.publish(house.pkg(), SOAKS)
    assert house.writes() == ["POST library/custom-apps"]
    assert house.tenant.app("Widget (Test)")["file_key"] == house.tenant.app("Widget")["file_key"]


def test_the_macs_are_asked_before_the_plan_is_made(house, monkeypatch):
    house.publish(house.pkg(), SOAKS)
    asked_before_plans = []

    def planned(targets, plan_input, _real=flow.make_plan):
        asked_before_plans.append([line for line in house.sent() if line.endswith("/status")])
        return _real(targets, plan_input)

    monkeypatch.setattr(flow, "make_plan", planned)
    house.publish(house.pkg("1.1"), SOAKS)
    assert [len(lines) for lines in asked_before_plans] == [1], "one plan, when all that it needs is known"


ALONE = """
import difflib, sys
from kandji_uploader.publish.releases import Contents
from tests.plan.world import live, plan, script, self_service, target

def refuse(event, args):
    if watching and event.split(".")[0] in ("open", "socket", "os", "subprocess"):
        raise RuntimeError(f"{event} {args}")

watching = False
sys.addaudithook(refuse)
cases = [(), (live(),), (live(sha256="old"),), (live(), live(id="twin")), (self_service(),)]
plan(live("Other"), dynamic_lookup=True)
watching = True
for apps in cases:
    for settings in ({}, {"dynamic_lookup": True}, {"pin_version": "1.0"}, {"create_new": True}):
        plan(*apps, of=target(blocking_applications=("A.app",), preinstall_script="#!/bin/zsh"), **settings)
try:
    open("/dev/null")
except RuntimeError:
    print("watched")
"""


def test_a_plan_asks_neither_the_tenant_nor_the_disk():
    checkout = Path(__file__).parents[2]
    environ = {**os.environ, "PYTHONPATH": f"{checkout}:{checkout / 'shared'}"}
    done = subprocess.run([sys.executable, "-c", ALONE], env=environ, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("watched\n", "")
