"""Random tenants, runs, faults and people, against a model of a few lines.

The model knows, for each name, the bytes that its app should hold, and whether there are several of that name. What
holds after every step: no app twice, none lost, nobody else's touched, what was reported is what is; and when faults
stop, the next run ends as planned. `KANDJI_MODEL_EXAMPLES` sets how many; they are the same ones each time.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kandji_uploader._util.secret import Secret
from kandji_uploader.http.tries import Policy
from kandji_uploader.kandji import tenant as views
from kandji_uploader.kandji.client import Client
from kandji_uploader.models import Action
from tests.faults.scene import BLUEPRINT, OTHERS, PROD, TEST, make_installer, opened
from tests.faults.test_matrix import MISHAPS, REQUESTS

EXAMPLES, STEPS = int(os.environ.get("KANDJI_MODEL_EXAMPLES", "20")), 15
NAMES = (TEST, PROD)
UNSURE = ("is not known", "is in Kandji, but")
PATHS = {name: (method, path) for name, (method, path, _) in REQUESTS.items()}
TROUBLE = sorted({(name, request) for name, mishap in MISHAPS.items() for request in mishap.on or REQUESTS})
SLOW = ("stall", "silence", "acted-then-silence")  # which would take most of the time, and are in the matrix
NIGHT = st.lists(
    st.tuples(
        st.sampled_from([each for each in TROUBLE if not each[0].startswith(SLOW)]),
        st.integers(1, 3),
        st.sampled_from([1, 2, None]),
    ),
    min_size=1,
    max_size=4,
)
"""The faults of one run: which, at which turn first, and how often from there (None for every time)."""
COUNTS = {"runs": 0, "faults": 0, "examples": 0}

_folder = Path(tempfile.mkdtemp(prefix="model-"))
_scenes = opened(_folder)
_scene = None


@pytest.fixture(scope="module", autouse=True)
def _one_tenant():
    global _scene
    with _scenes as _scene:
        yield
    shutil.rmtree(_folder)


class Publishing(RuleBasedStateMachine):
    """What may happen to a tenant between two looks at it."""

    def __init__(self):
        super().__init__()
        self.scene = _scene
        self.tenant = _scene.tenant
        self.tenant.clear()
        self.tenant.configure(page_size=3, list_sha256=True, processing_polls=0)
        for name in ("config", "state"):
            shutil.rmtree(_scene.folder / name, ignore_errors=True)
        views.forget_all()
        self.stale = False  # whether somebody has changed an app since a process began
        if not self.tenant.blueprints:
            self.tenant.add_blueprint(BLUEPRINT)
        self.others = {name: self.tenant.seed(name, content=name.encode()) for name in OTHERS}
        self.model: dict[str, list[str]] = {name: [] for name in NAMES}  # per name, the sha256 of each of its apps
        self.versions = itertools.count(2)
        self.another_version()
        COUNTS["examples"] += 1

    # What a tenant is like

    @initialize(
        there=st.lists(st.sampled_from(NAMES), unique=True),
        page=st.integers(1, 4),
        sha=st.booleans(),
        polls=st.integers(0, 2),
    )
    def a_tenant(self, there, page, sha, polls):
        self.tenant.configure(page_size=page, list_sha256=sha, processing_polls=polls)
        for name in there:
            self._seed(name, b"from before")

    def _seed(self, name, content):
        self.tenant.seed(name, content=content)
        self.model[name].append(hashlib.sha256(content).hexdigest())

    # What people do

    @rule()
    def another_version(self):
        number = next(self.versions)
        make_installer(self.scene.installer, f"{number}.0", size=20_000 + 32 * (number % 2))
        self.planned = hashlib.sha256(self.scene.installer.read_bytes()).hexdigest()

    @rule(name=st.sampled_from(NAMES))
    def somebody_deletes(self, name):
        for app in self.scene.apps().get(name, []):
            self.tenant.remove(app["id"])
        self.model[name] = []
        self._a_minute_passes()

    @rule(name=st.sampled_from(NAMES), content=st.sampled_from([b"by hand", b"by another hand"]))
    def somebody_uploads(self, name, content):
        file = self.scene.folder / "theirs.pkg"
        file.write_bytes(content)
        for app in self.scene.apps().get(name, [])[:1]:
            person = Client(self.tenant.url, Secret(self.tenant.token), Policy(first_wait=0.01))
            ticket = person.request_upload(file.name)
            person.upload(ticket, file)
            person.update_custom_app(app["id"], {"file_key": ticket.file_key, "preinstall_script": "#!/bin/sh"})
            self.model[name][0] = hashlib.sha256(content).hexdigest()
            self._a_minute_passes()

    def _a_minute_passes(self):
        self.stale = True
        for view in views._views.values():
            view._fetched -= 100

    @precondition(lambda self: all(len(apps) < 2 for apps in self.model.values()))
    @rule(name=st.sampled_from(NAMES))
    def somebody_creates(self, name):
        self._seed(name, b"made by hand")
        self._a_minute_passes()

    @rule()
    def the_store_forgets(self):
        used = {app["file_key"] for app in self.tenant.apps()}
        for upload in self.tenant.uploads():
            if upload["file_key"] not in used:
                self.tenant.remove_upload(upload["file_key"])

    @rule()
    def the_state_folder_is_deleted(self):
        shutil.rmtree(self.scene.folder / "state", ignore_errors=True)

    # What runs do

    @rule(nights=st.lists(st.tuples(NIGHT, st.booleans()), min_size=1, max_size=4))
    def nights_with_faults(self, nights):
        for trouble, anew in nights:
            for (name, request), nth, times in trouble:
                mishap = MISHAPS[name]
                self.tenant.faults.add(*PATHS[request], kind=mishap.kind, nth=nth, times=times, **mishap.params)
            self._run(anew=anew)
            self.tenant.faults.clear()
            COUNTS["faults"] += len(trouble)

    @rule(anew=st.booleans())
    def a_run_without_faults(self, anew):
        # A process that has had the list since before somebody changed it may refuse; a new one may not.
        result = self._run(anew=anew)
        if anew:
            self._is_as_planned(result)

    def _run(self, *, anew):
        COUNTS["runs"] += 1
        self.stale &= not anew
        before = {name: list(apps) for name, apps in self.model.items()}
        result = self.scene.run(anew=anew, allow_downgrade=True)
        now = self._digests()
        outcomes = {outcome.name: outcome for outcome in result.outcomes} if result else {}
        for name in NAMES:
            self._check(before[name], now[name], outcomes.get(name))
        self.model = now
        return result

    def _check(self, before, now, outcome):
        """What was reported of one name is what is."""
        assert len(now) <= max(1, len(before)), "an app was made twice"
        assert len(now) >= len(before), "an app was lost"
        changed = [(was, is_now) for was, is_now in zip(before, now, strict=False) if was != is_now]
        assert len(changed) <= 1, "of several apps of a name, one at the most is meant"
        assert all(is_now == self.planned for _, is_now in changed)
        if outcome is None or outcome.action in (Action.CONFLICT, Action.REFUSED):
            assert now == before
        elif outcome.action is Action.UNCHANGED and self.stale:
            assert now == before, "nothing was done; what there was to do, a later process will find"
        elif outcome.action is not Action.FAILED:
            assert self.planned in now
        elif now != before:
            assert any(words in outcome.error for words in UNSURE), outcome.error

    def _is_as_planned(self, result):
        assert result is not None, self.scene.error
        for outcome in result.outcomes:
            if outcome.action is Action.CONFLICT:
                assert len(self.model[outcome.name]) > 1, outcome.error
            else:
                assert not outcome.action.bad, outcome.error
                assert self.planned in self.model[outcome.name]

    def _digests(self):
        apps = self.scene.apps()
        return {name: [app["sha256"] for app in apps.get(name, [])] for name in NAMES}

    # What always holds

    @invariant()
    def nobody_elses_app_is_touched(self):
        apps = self.scene.apps()
        assert {name: apps[name] for name in OTHERS} == {name: [app] for name, app in self.others.items()}
        assert set(apps) <= {*OTHERS, *NAMES}

    @invariant()
    def the_token_went_to_the_api_only(self):
        assert not [record for record in self.tenant.requests if record.side == "outside" and record.authorization]
        self.tenant.reset_requests()

    @invariant()
    def nothing_is_half_written(self):
        assert not list(self.scene.folder.rglob("*.kandji-draft"))

    def teardown(self):
        if hasattr(self, "planned"):
            self._is_as_planned(self._run(anew=True))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_whatever_happens_the_tenant_is_as_the_model_says():
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Publishing,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],  # a failure is shown as it was found: making it small could take minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(COUNTS)
    assert COUNTS["runs"] > 4 * EXAMPLES
    assert COUNTS["faults"] > 4 * EXAMPLES
