"""Make it so: carry out a plan, each target for itself, so that every Custom App ends as it was or as planned.

There are no rules here about what should be; those are the plan's. What is here is what may go wrong on the way:
a create whose answer was lost is looked for before it is sent again; an update is confirmed by reading the app;
the sha256 that the service answers must be the installer's, or the former file is put back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError, NetworkError, TargetError
from kandji_uploader.kandji.client import RejectedError, UploadExpiredError
from kandji_uploader.kandji.tenant import TenantView
from kandji_uploader.kandji.transport import LostAnswerError
from kandji_uploader.kandji.upload import Progress
from kandji_uploader.models import Action, CustomApp, Outcome
from kandji_uploader.plan import Installer, TargetPlan, resolve_blueprint
from kandji_uploader.state import JournalEntry, Store

_LOOKS = 3
_TICKETS = 3
_REPLANS = 2


@dataclass(frozen=True)
class Tools:
    """What applying a plan works with.

    Attributes:
        tenant: the tenant's view and client.
        store: the state folder.
        path: the installer on disk.
        installer: what the plan knows of it.
        replan: plans a target again with the app as it is now.
        outcome: makes the outcome of a plan; the report's words are not decided here.
        say: told what is being done, one line each.
        progress: told the bytes sent.
        gone: what to say if the store has lost a file that is not on this machine; "" where there is one to upload.
    """

    tenant: TenantView
    store: Store
    path: Path
    installer: Installer
    replan: Callable[[TargetPlan, CustomApp], TargetPlan]
    outcome: Callable[[TargetPlan, CustomApp | None, str], Outcome]
    say: Callable[[str], None]
    progress: Progress | None = None
    gone: str = ""


def apply(plans: Sequence[TargetPlan], tools: Tools) -> tuple[tuple[Outcome, ...], str]:
    """Carry out every target's plan; returns the outcomes and the installer's sha256 ("" where it stayed unknown).

    A target that fails does not keep the others from being tried.

    Raises:
        InterruptedRunError: SIGINT or SIGTERM; its text says what was done and what was not.
    """
    upload = _Upload(tools)
    outcomes: list[Outcome] = []
    try:
        for plan in plans:
            tools.say(f"{plan.target.name}: {plan.action.value} ({plan.reason})")
            outcomes.append(_one(plan, upload, tools))
    except KeyboardInterrupt:
        raise InterruptedRunError(_interrupted(plans, outcomes)) from None
    if all(not outcome.action.bad for outcome in outcomes):
        upload.done()
    return tuple(outcomes), upload.sha256


def _one(plan: TargetPlan, upload: _Upload, tools: Tools) -> Outcome:
    try:
        app = plan.app
        if plan.action is Action.CREATE:
            app = _create(plan, upload, tools)
        elif plan.action is Action.UPDATE:
            plan, app = _update(plan, upload, tools)
        if app is not None and not plan.action.bad:
            _assign(plan, app, tools)
    except KandjiUploaderError as problem:
        return replace(tools.outcome(plan, plan.app, str(problem)), action=Action.FAILED)
    return tools.outcome(plan, app, "")


class _Upload:
    """The one upload of a run: made when the first target needs it, then shared by all."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._failure: KandjiUploaderError | None = None
        self.file_key = tools.installer.file_key
        self.sha256 = tools.installer.sha256 or ""
        self._reused = self.file_key is not None

    def key(self) -> str:
        """The `file_key` of the installer in the store. Raises what the upload raised, for every target alike."""
        if self._failure is not None:
            raise self._failure
        if self.file_key is None:
            try:
                self.file_key = self._send()
            except KandjiUploaderError as problem:
                self._failure = problem
                raise
        return self.file_key

    def send_anew(self) -> bool:
        """After a key was rejected: whether it was an old one, which is forgotten so that `key` uploads anew.

        Raises:
            TargetError: there is nothing to upload.
        """
        if self._tools.gone:
            raise TargetError(self._tools.gone)
        if not self._reused:
            return False
        self._tools.store.forget_upload(self.sha256)
        self.file_key, self._reused = None, False
        return True

    def done(self) -> None:
        """Every target is as planned: the journal need not remember the upload any more."""
        if self.sha256:
            self._tools.store.forget_upload(self.sha256)

    def _send(self) -> str:
        tools, client = self._tools, self._tools.tenant.client
        for number in range(1, _TICKETS + 1):
            ticket = client.request_upload(tools.installer.name)
            try:
                sha256 = client.upload(ticket, tools.path, tools.progress)
                break
            except UploadExpiredError:
                if number == _TICKETS:
                    raise
                tools.say("the leave to upload has expired; asking for a new one")
        self._check(sha256)
        self.sha256 = sha256
        tools.store.note_upload(JournalEntry(sha256, ticket.file_key, tools.installer.size, time.time()))
        return ticket.file_key

    def _check(self, sha256: str) -> None:
        planned = self._tools.installer.sha256
        if planned is not None and planned != sha256:
            raise TargetError(
                f"{self._tools.path} changed between planning and uploading; nothing was published. "
                "Run again when it is complete"
            )


def _create(plan: TargetPlan, upload: _Upload, tools: Tools) -> CustomApp:
    key = upload.key()
    if plan.target.blueprints:
        tools.store.owe_blueprints(plan.target.name, plan.target.blueprints)
    try:
        app = _create_once({**plan.fields, "file_key": key}, tools)
    except RejectedError as problem:
        if "file_key" not in problem.body or not upload.send_anew():
            raise
        app = _create_once({**plan.fields, "file_key": upload.key()}, tools)
    tools.tenant.put(app)
    answered = _answered_digest(app, tools)
    if answered not in ("", upload.sha256):
        raise TargetError(
            f"{app.name!r} was created, but Kandji holds other bytes (sha256 {answered[:12]}...) than the installer "
            f"({upload.sha256[:12]}...). It is assigned to no Blueprint; run again to put the right file into it"
        )
    return app


def _create_once(fields: Mapping[str, str | bool], tools: Tools) -> CustomApp:
    """Create an app exactly once: a lost answer is settled by looking for what we asked for."""
    client = tools.tenant.client
    known = {app.id for app in tools.tenant.apps()}
    for number in range(1, client.policy.tries + 1):
        try:
            return client.create_custom_app(fields)
        except LostAnswerError as lost:
            tools.say(f"the answer to creating {fields['name']!r} was lost; looking whether it was created")
            found = _look_for(fields, known, tools)
            if found is not None:
                return found
            if number == client.policy.tries:
                raise TargetError(
                    f"{lost} {fields['name']!r} was not created; the upload is kept for the next run"
                ) from None
    raise AssertionError("the last try returns or raises")


def _look_for(fields: Mapping[str, str | bool], known: set[str], tools: Tools) -> CustomApp | None:
    """The app that a create of ours has made; looked for more than once, since the service may still be at it."""
    policy = tools.tenant.client.policy
    for look in range(_LOOKS):
        tools.tenant.client.wait(min(policy.first_wait * 2**look, policy.longest_wait))
        tools.tenant.forget_apps()
        for app in tools.tenant.apps():
            if app.id not in known and app.name == fields["name"] and app.file_key == fields["file_key"]:
                return app
    return None


def _update(plan: TargetPlan, upload: _Upload, tools: Tools) -> tuple[TargetPlan, CustomApp]:
    key = upload.key() if plan.needs_file else ""
    plan = _as_it_is_now(plan, tools)
    before = plan.app
    if before is None or plan.action is not Action.UPDATE:
        return plan, before if before is not None else _gone(plan)
    if plan.needs_file:
        key = key or upload.key()
    fields = {**plan.fields, **({"file_key": key} if plan.needs_file else {})}
    try:
        after = _update_surely(before, fields, tools)
    except RejectedError as problem:
        if "file_key" not in problem.body or not upload.send_anew():
            raise
        after = _update_surely(before, {**fields, "file_key": upload.key()}, tools)
    tools.tenant.put(after)
    if plan.needs_file:
        _confirm(before, after, fields, upload.sha256, tools)
    return plan, after


def _as_it_is_now(plan: TargetPlan, tools: Tools) -> TargetPlan:
    """The plan, made again once if the app was edited since the list was fetched.

    Raises:
        TargetError: it was edited a second time meanwhile.
    """
    for number in range(_REPLANS):
        planned = plan.app
        if planned is None:
            return plan
        live = tools.tenant.client.get_custom_app(planned.id)
        if live.updated_at == planned.updated_at:
            return plan
        tools.tenant.put(live)
        if number + 1 < _REPLANS:
            tools.say(f"{planned.name!r} was edited in Kandji meanwhile; planning it again")
            plan = tools.replan(plan, live)
    raise TargetError(
        f"{plan.target.name!r} is being edited in Kandji by someone else; it was left as it is. Run again later"
    )


def _gone(plan: TargetPlan) -> CustomApp:
    raise TargetError(f"{plan.target.name!r} changed in Kandji meanwhile: {plan.reason}")


def _update_surely(before: CustomApp, fields: Mapping[str, str | bool], tools: Tools) -> CustomApp:
    """Send an update; where its answer was lost, read the app to see whether it is there, else send it once more."""
    client = tools.tenant.client
    for last in (False, True):
        try:
            return client.update_custom_app(before.id, fields)
        except LostAnswerError:
            live = client.get_custom_app(before.id)
            if all(_holds(live, name, value) for name, value in fields.items()):
                return live
            if last:
                raise
    raise AssertionError("the second try returns or raises")


def _holds(app: CustomApp, name: str, value: str | bool) -> bool:
    live = getattr(app, name)
    if isinstance(live, str) and isinstance(value, str):
        return live.strip() == value.strip()
    return bool(live == value)


def _confirm(before: CustomApp, after: CustomApp, fields: Mapping[str, str | bool], sha256: str, tools: Tools) -> None:
    """Raise TargetError, with the former file put back, unless Kandji holds the bytes that we sent."""
    answered = _answered_digest(after, tools)
    if answered in ("", sha256):
        return
    former = {name: value for name in fields if (value := getattr(before, name)) is not None}
    try:
        tools.tenant.put(_update_surely(before, former, tools))
        ending = "the former installer was put back"
    except KandjiUploaderError as problem:
        tools.tenant.forget_apps()
        ending = f"putting the former installer back failed, too ({problem}); do it in Kandji"
    tools.store.forget_upload(sha256)
    raise TargetError(
        f"Kandji holds other bytes (sha256 {answered[:12]}...) of {before.name!r} than the installer "
        f"({sha256[:12]}...); {ending}"
    )


def _answered_digest(app: CustomApp, tools: Tools) -> str:
    """The sha256 that the service has for an app's installer; "" where it does not tell."""
    if app.sha256:
        return app.sha256
    try:
        return tools.tenant.client.get_custom_app(app.id).sha256 or ""
    except NetworkError:
        return ""


def _assign(plan: TargetPlan, app: CustomApp, tools: Tools) -> None:
    """Assign a created app to its Blueprints, or one whose earlier run was interrupted before it could."""
    owed = tools.store.owed_blueprints(plan.target.name)
    for wanted in owed:
        blueprint, node = resolve_blueprint(wanted, tools.tenant.blueprints())
        try:
            tools.tenant.client.assign_library_item(blueprint.id, app.id, node)
        except RejectedError as problem:
            raise TargetError(
                f"{app.name!r} is in Kandji, but could not be assigned to the Blueprint {wanted!r}: "
                f"{_assignment_advice(problem.body)}"
            ) from None
    if owed:
        tools.store.owe_blueprints(plan.target.name, ())


def _assignment_advice(body: str) -> str:
    if "Must provide assignment_node_id" in body:
        return "it is an Assignment Map with conditions; name the node as `name:node-id` (Option shows it)"
    if "cannot be provided" in body:
        return "it is a Classic Blueprint, which has no nodes; drop the `:node-id`"
    return body


def _interrupted(plans: Sequence[TargetPlan], outcomes: Sequence[Outcome]) -> str:
    done = [f"{outcome.name}: {outcome.error or outcome.action.value}" for outcome in outcomes]
    left = [plan.target.name for plan in plans[len(outcomes) :]]
    first = (
        f"; {left[0]!r} may have been under way: run again, which finishes it without doing it twice" if left else ""
    )
    return (
        f"interrupted. Done: {'; '.join(done) or 'nothing'}. Not done: {', '.join(map(repr, left)) or 'nothing'}{first}"
    )
