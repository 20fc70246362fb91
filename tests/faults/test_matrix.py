"""Every request of a run times every fault: what the tenant holds afterwards, what was reported, and the run after.

A fault that befalls a request once must cost the run nothing wherever the request may be sent again; one that befalls
it every time must leave each app as it was or as planned, and the report must say which.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kandji_uploader.models import Action
from tests.faults.scene import OTHERS, PROD, TEST, opened, prepare

pytestmark = pytest.mark.timeout(60)

APPS, APP = "library/custom-apps", "library/custom-apps/*"
REQUESTS = {
    "list": ("GET", APPS, 1),
    "list-page-2": ("GET", APPS, 2),
    "categories": ("GET", "self-service/categories", 1),
    "blueprints": ("GET", "blueprints", 1),
    "ticket": ("POST", f"{APPS}/upload", 1),
    "store": ("POST", "/store", 1),
    "get": ("GET", APP, 1),
    "patch": ("PATCH", APP, 1),
    "create": ("POST", APPS, 1),
    "assign": ("POST", "blueprints/*/assign-library-item", 1),
}
READS = ("list", "list-page-2", "categories", "blueprints")
FAILS = {**dict.fromkeys(READS, "run"), "ticket": "both", "store": "both", "get": TEST, "patch": TEST, "create": PROD}
"""Whom a request that fails for good concerns: the whole run, both targets, or one."""

APART = {"patch": "patch-create", "create": "patch-create", "get": "get-assign", "assign": "get-assign"}
"""Requests of which one is about the app that is updated, and the other about the one that is created."""


@dataclass(frozen=True)
class Mishap:
    """A fault and what is expected of it.

    Attributes:
        kind, params: see docs/rehearsal.md.
        once: whether a run gets over it when it happens once.
        acts: whether the service acts on the request all the same, so that a write is done although it is not heard.
        on: the requests that it can befall; () for all but the store.
        harmless: whether a run gets over it however often it happens.
    """

    kind: str
    params: dict[str, Any] = field(default_factory=dict)
    once: bool = True
    acts: bool = False
    on: tuple[str, ...] = ()
    harmless: bool = False


API = tuple(name for name in REQUESTS if name != "store")
BODIES = ("ticket", "store", "patch", "create", "assign")
ANSWERS_AN_APP = ("get", "patch", "create")

MISHAPS = {
    "reset-before-reading": Mishap("reset_before_reading", on=tuple(REQUESTS)),
    "reset-in-mid-body": Mishap("reset_mid_body", on=BODIES),
    "stall": Mishap("stall", on=tuple(REQUESTS)),
    "stall-in-mid-body": Mishap("stall", {"after": 20_000}, on=("store",)),
    "acted-then-reset": Mishap("effect_then_reset", acts=True, on=tuple(REQUESTS)),
    "acted-then-silence": Mishap("effect_then_timeout", acts=True, on=tuple(REQUESTS)),
    "reset-in-mid-answer": Mishap("reset_mid_answer", acts=True, on=tuple(REQUESTS)),
    "silence-in-mid-answer": Mishap("stall_mid_answer", acts=True, on=API),
    "truncated": Mishap("truncated", acts=True, on=API),
    "malformed": Mishap("malformed_json", acts=True),
    "slow": Mishap(
        "slow", {"bytes_per_second": 2_000_000, "delay": 0.05}, on=tuple(REQUESTS), harmless=True, acts=True
    ),
    "400": Mishap("status", {"code": 400}, once=False, on=tuple(REQUESTS)),
    "401": Mishap("status", {"code": 401}, once=False),
    "403": Mishap("status", {"code": 403}, once=False, on=tuple(REQUESTS)),
    "404": Mishap("status", {"code": 404}, once=False, on=tuple(name for name in REQUESTS if name != "list-page-2")),
    "404-of-a-page": Mishap("status", {"code": 404}, on=("list-page-2",)),
    "409": Mishap("status", {"code": 409}, once=False),
    "408": Mishap("status", {"code": 408}, on=("patch", "create")),
    "429": Mishap("rate_limit", {"retry_after": 0}, on=tuple(REQUESTS)),
    "429-without-sense": Mishap("rate_limit", {"retry_after": "soon"}),
    "500": Mishap("status", {"code": 500}, on=tuple(REQUESTS)),
    "acted-then-500": Mishap("effect_then_status", {"code": 500}, acts=True, on=tuple(REQUESTS)),
    "502-page": Mishap("html", on=tuple(REQUESTS)),
    "acted-then-502-page": Mishap("effect_then_html", acts=True, on=tuple(REQUESTS)),
    "503": Mishap("status", {"code": 503}, on=tuple(REQUESTS)),
    "acted-then-503": Mishap("effect_then_status", {"code": 503}, acts=True),
    "503-page": Mishap("html", {"code": 503}),
    "acted-then-503-page": Mishap("effect_then_html", {"code": 503}, acts=True),
    "504": Mishap("effect_then_status", {"code": 504, "body": ""}, acts=True),
    "520": Mishap("effect_then_html", {"code": 520}, acts=True),
    "200-page": Mishap("html", {"code": 200}),
    "302-elsewhere": Mishap("redirect", once=False, on=tuple(REQUESTS)),
    "307-same-host": Mishap("redirect", {"code": 307, "location": "{api}{path}"}, once=False),
    "next-elsewhere": Mishap("wrong_next", once=False, acts=True, on=("list", "list-page-2", "blueprints")),
    "no-results": Mishap("missing_field", {"field": "results"}, once=False, on=("list", "list-page-2", "blueprints")),
    "results-of-numbers": Mishap(
        "wrong_type", {"field": "results"}, once=False, on=("list", "list-page-2", "blueprints")
    ),
    "no-id": Mishap("missing_field", {"field": "id"}, once=False, acts=True, on=(*READS, *ANSWERS_AN_APP)),
    "id-with-path": Mishap(
        "wrong_type", {"field": "id", "value": "../x"}, once=False, acts=True, on=(*READS, *ANSWERS_AN_APP)
    ),
    "name-a-list": Mishap("wrong_type", {"field": "name"}, once=False, acts=True, on=(*READS, *ANSWERS_AN_APP)),
    "other-file-key": Mishap(
        "wrong_type", {"field": "file_key", "value": "another/key.zip"}, acts=True, on=("patch", "create")
    ),
    "size-a-text": Mishap(
        "wrong_type", {"field": "file_size", "value": "1"}, once=False, acts=True, on=("list", *ANSWERS_AN_APP)
    ),
    "no-post-url": Mishap("missing_field", {"field": "post_url"}, once=False, on=("ticket",)),
    "post-url-plain": Mishap(
        "wrong_type", {"field": "post_url", "value": "http://store.example.com/"}, once=False, on=("ticket",)
    ),
    "post-url-broken": Mishap(
        "wrong_type", {"field": "post_url", "value": "https://[store/"}, once=False, on=("ticket",)
    ),
    "post-data-a-list": Mishap("wrong_type", {"field": "post_data"}, once=False, on=("ticket",)),
    "no-file-key": Mishap("missing_field", {"field": "file_key"}, once=False, on=("ticket",)),
    "expired-policy": Mishap("expired_policy", on=("ticket",)),
    "wrong-sha256": Mishap("wrong_sha256", acts=True, harmless=True, on=("patch", "create")),
    "wrong-bytes-kept": Mishap("wrong_sha256", once=False, on=("store",)),
    "200-page-of-a-portal": Mishap("html", {"code": 200}, once=False, on=("store",)),
    "SlowDown": Mishap("s3_error", {"code": "SlowDown"}, on=("store",)),
    "InternalError": Mishap("s3_error", {"code": "InternalError"}, on=("store",)),
    "ServiceUnavailable": Mishap("s3_error", {"code": "ServiceUnavailable"}, on=("store",)),
    "RequestTimeout": Mishap("s3_error", {"code": "RequestTimeout"}, on=("store",)),
    "ExpiredPolicy": Mishap("s3_error", {"code": "ExpiredPolicy"}, on=("store",)),
    "AccessDenied": Mishap("s3_error", {"code": "AccessDenied"}, once=False, on=("store",)),
    "EntityTooLarge": Mishap("s3_error", {"code": "EntityTooLarge"}, once=False, on=("store",)),
}
"""By the name that stands in the table of docs/reliability.md."""


def expected(request: str, mishap: Mishap, *, every: bool) -> str:
    """Whom it hits: `nobody`, `run`, `both`, one target's name, or `assignment`."""
    if mishap.harmless or (mishap.once and not every):
        return "nobody"
    if mishap.acts and request in ("patch", "create"):
        return "nobody"  # done all the same, which is found out by reading
    if request == "store" and mishap.acts and not every:
        return "nobody"
    return FAILS.get(request, "assignment")


CASES = [
    (request, name, often)
    for name, mishap in MISHAPS.items()
    for request in mishap.on or API
    for often in (False, True)
    if not (often and request == "list-page-2")
]
"""Each request, each fault that can befall it, and whether it does so every time."""


def in_runs() -> list[Any]:
    """The cases by the run in which they happen: what a run gets over befalls all its requests, each in its turn.

    What befalls a request every time shares its run with one about the other app: one app knows nothing of the other.
    What a run does not get over even once has a run of its own besides, in which the other app ends as planned.
    The second page is asked for after the first, in the same words: it has runs of its own.
    """
    runs: dict[tuple[str, ...], list[str]] = {}
    for request, name, often in CASES:
        together = expected(request, MISHAPS[name], every=often) == "nobody" and request != "list-page-2"
        alone = APART.get(request, request) if often else request
        key = ("each" if together else alone, name, "every" if often else "once")
        runs.setdefault(key, []).append(request)
    return [
        pytest.param(requests, name, often == "every", id=f"{which}-{name}-{often}")
        for (which, name, often), requests in runs.items()
    ]


RUNS = in_runs()


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("matrix")) as scene:
        yield scene


@pytest.mark.slow
@pytest.mark.parametrize(("requests", "mishap_name", "every"), RUNS)
def test_each_app_ends_as_it_was_or_as_planned_and_the_report_says_which(scene, requests, mishap_name, every):
    mishap = MISHAPS[mishap_name]
    before = prepare(scene)
    shutil.rmtree(scene.folder / "state", ignore_errors=True)  # it knows the apps and uploads of the cases before
    faults = {name: add_fault(scene, name, mishap, every=every) for name in requests}

    result = scene.run()

    assert [name for name, fault in faults.items() if not scene.tenant.faults.hits(fault)] == [], "did not happen"
    hits = {expected(name, mishap, every=every) for name in requests}
    check_report(scene, result, hits, before)
    check_secrets(scene, result)
    check_others(scene, before)

    scene.tenant.faults.clear()
    if hits != {"nobody"}:
        check_convergence(scene)
    check_nothing_is_left_to_do(scene)


def add_fault(scene, request_name, mishap, *, every):
    method, path, nth = REQUESTS[request_name]
    return scene.tenant.faults.add(method, path, kind=mishap.kind, nth="every" if every else nth, **mishap.params)


def check_report(scene, result, hits, before):
    """What was reported is what is, and it is what was expected of these faults."""
    states = {name: scene.state_of(name, before) for name in (PROD, TEST)}
    if "run" in hits:
        assert result is None
        assert states == {PROD: "before", TEST: "before"}
        assert scene.error
        return
    assert result is not None, scene.error
    outcomes = {outcome.name: outcome for outcome in result.outcomes}
    failed = {name for name, outcome in outcomes.items() if outcome.action is Action.FAILED}
    undone = {name for name in (PROD, TEST) if hits & {name, "both"}}
    assert failed == undone | ({PROD} if "assignment" in hits else set()), [each.error for each in result.outcomes]
    assert states == {name: "before" if name in undone else "planned" for name in (PROD, TEST)}
    assert {name for name, outcome in outcomes.items() if outcome.error} == failed
    if "assignment" in hits:
        assert "is in Kandji, but" in outcomes[PROD].error
    else:
        assert scene.on_blueprint() == ([PROD] if states[PROD] == "planned" else [])


def check_secrets(scene, result):
    """The token went to the API only, and stands in no text."""
    for record in scene.tenant.requests:
        assert record.side == "api" or not record.authorization, f"{record} was given the token"
    texts = [*scene.said, scene.error, repr(result)]
    assert not [text for text in texts if scene.tenant.token in text]


def check_others(scene, before):
    apps = scene.apps()
    assert [apps[name] for name in OTHERS] == [[before[name]] for name in OTHERS]


def check_convergence(scene):
    """When faults stop, the next run ends as planned."""
    result = scene.run()
    assert result is not None, scene.error
    assert not result.failed, [outcome.error for outcome in result.outcomes]
    assert {name: scene.state_of(name, {}) for name in (PROD, TEST)} == {PROD: "planned", TEST: "planned"}
    assert scene.on_blueprint() == [PROD]


def check_nothing_is_left_to_do(scene):
    """After a run that ended as planned the next one only reads."""
    scene.tenant.reset_requests()
    result = scene.run()
    assert [outcome.action for outcome in result.outcomes] == [Action.UNCHANGED, Action.UNCHANGED]
    assert {record.method for record in scene.tenant.requests} == {"GET"}
    assert not list(scene.folder.rglob("*.kandji-draft"))


@pytest.mark.parametrize("request_name", API)
def test_a_surprising_answer_is_named_with_request_status_id_and_the_start_of_its_body(scene, request_name):
    prepare(scene)
    method, path, nth = REQUESTS[request_name]
    body = "<html><h1>What is this?</h1> " + "x" * 1000
    scene.tenant.faults.add(
        method, path, kind="status", code=418, body=body, nth=nth, headers={"X-Request-Id": "id-of-the-request"}
    )
    result = scene.run()
    text = scene.error or " ".join(outcome.error for outcome in result.outcomes)
    said = re.search(r"(GET|POST|PATCH) (\S+): HTTP 418, request id id-of-the-request: .* It said: (.*?xxx)\b", text)
    assert said is not None, text
    assert said[1] == method
    assert len(said[3]) <= 300


def test_the_cases_are_as_many_as_the_document_says():
    document = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text(encoding="utf-8")
    counts = f"{len(CASES)} cases in {len(RUNS)} runs: {len(MISHAPS)} faults, {len(REQUESTS)} requests"
    assert counts in document
