"""Make it so: carry out a plan, each target for itself, so that every Custom App ends as it was or as planned.

There are no rules here about what should be; those are the plan's. What is here is what may go wrong on the way:
a create whose answer was lost is looked for before it is sent again; an update whose answer was lost is confirmed by
reading the app; the sha256 that the service answers must be the installer's, or the former file is put back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kandji_uploader._util.lazydataclass import dataclass
from kandji_uploader._util.prehash import Begun
from kandji_uploader.errors import (
    ApiError,
    InstallerChangedError,
    InterruptedRunError,
    KandjiUploaderError,
    NetworkError,
    StateError,
    StillProcessingError,
    TargetError,
)
from kandji_uploader.http.tries import LostAnswerError
from kandji_uploader.kandji.client import NotFoundError, RejectedError, UploadExpiredError
from kandji_uploader.kandji.tenant import TenantView
from kandji_uploader.kandji.upload import Progress
from kandji_uploader.models import Action, CustomApp, Outcome
from kandji_uploader.publish.plan import Installer, TargetPlan, resolve_blueprint
from kandji_uploader.state import JournalEntry, Store

_LOOKS = 4
_TICKETS = 3
_REPLANS = 2
_ANOTHER = "the answer was about another app"
_FRESH = 60.0
"""Seconds for which the list is believed that an app is missing: a run of AutoPkg takes hours, and people work too."""


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
        begun: what is known of the digest of the installer when its upload begins.
        check_unchanged: raises InstallerError if the installer is no longer the file that the plan was made from.
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
    begun: Callable[[], Begun | None] = lambda: None
    check_unchanged: Callable[[], None] = lambda: None
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
            tools.say(plan.told)
            outcomes.append(_one(plan, upload, tools))
    except KeyboardInterrupt:
        tools.tenant.forget_apps()
        raise InterruptedRunError(_interrupted(plans, outcomes)) from None
    if all(not outcome.action.bad for outcome in outcomes):
        upload.done()
    return tuple(outcomes), upload.sha256


def _one(plan: TargetPlan, upload: _Upload, tools: Tools) -> Outcome:
    app = plan.app
    try:
        if plan.action is Action.CREATE:
            app = _create(plan, upload, tools)
        elif plan.action is Action.UPDATE:
            plan, app = _update(plan, upload, tools)
        if app is not None and not plan.action.bad:
            _assign(plan, app, tools)
    except KandjiUploaderError as problem:
        return replace(tools.outcome(plan, app, str(problem)), action=Action.FAILED)
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

    def distrust(self, problem: KandjiUploaderError) -> None:
        """The service holds other bytes under this key: it is given to no other target, and not to the next run."""
        self._tools.store.forget_upload(self.sha256)
        self._failure = problem

    def done(self) -> None:
        """Every target is as planned: the journal need not remember the upload any more."""
        if self.sha256:
            self._tools.store.forget_upload(self.sha256)

    def _send(self) -> str:
        tools, client = self._tools, self._tools.tenant.client
        tools.check_unchanged()
        for number in range(1, _TICKETS + 1):
            ticket = client.request_upload(tools.installer.name)
            try:
                sha256 = client.upload(ticket, tools.path, tools.progress, tools.begun())
                break
            except UploadExpiredError:
                if number == _TICKETS:
                    raise
                tools.say("the leave to upload has expired; asking for a new one")
        if tools.installer.sha256 not in (None, sha256):
            raise InstallerChangedError(tools.path)
        self.sha256 = sha256
        try:
            tools.store.note_upload(JournalEntry(sha256, ticket.file_key, tools.installer.size, time.time()))
        except StateError as problem:
            # The bytes are there: to go on with them is the one way not to send them again.
            tools.say(f"the upload cannot be remembered for the next run, and is used in this one: {problem}")
        return ticket.file_key


def _create(plan: TargetPlan, upload: _Upload, tools: Tools) -> CustomApp:
    key = upload.key()
    _check_missing(plan, tools)
    tools.check_unchanged()
    try:
        app = _create_once(plan, key, tools)
    except RejectedError as problem:
        if "file_key" not in problem.body or not upload.send_anew():
            raise
        app = _create_once(plan, upload.key(), tools)
    tools.tenant.put(app)
    answered = _other_digest(app, upload.sha256, tools)
    if answered:
        upload.distrust(_wrong_bytes(app, answered, upload.sha256, "nothing was done with it"))
        raise _wrong_bytes(app, answered, upload.sha256, _deleted_again(app, tools))
    return app


def _check_missing(plan: TargetPlan, tools: Tools) -> None:
    """Raise TargetError if somebody has made an app of that name since the list was fetched."""
    known = {app.id for app in tools.tenant.apps()}
    tools.tenant.forget_apps(before=time.time() - _FRESH)
    if any(app.name == plan.target.name and app.id not in known for app in tools.tenant.apps()):
        raise TargetError(
            f"{plan.target.name!r} was created in Kandji by someone else meanwhile; it was left as it is. "
            "Run again, which updates it"
        )


def _create_once(plan: TargetPlan, key: str, tools: Tools) -> CustomApp:
    """Create an app exactly once, and owe it its Blueprints before; one that surely was not made is owed nothing."""
    fields = {**plan.fields, "file_key": key}
    if plan.target.blueprints:
        tools.store.owe_blueprints(plan.target.name, key, plan.target.blueprints)
    try:
        return _create_and_look(fields, tools)
    except TargetError:
        raise
    except KandjiUploaderError:
        tools.store.forget_blueprints(plan.target.name)
        raise


def _create_and_look(fields: Mapping[str, str | bool], tools: Tools) -> CustomApp:
    """Create an app; a lost answer is settled by looking for what we asked for.

    503 is documented to say that nothing was done yet; before that is believed, it is looked up once.

    Raises:
        TargetError: it is not there, or that is not known; the text says which.
    """
    client, name = tools.tenant.client, fields["name"]
    known = frozenset(app.id for app in tools.tenant.apps())
    sent, busy = 0, False
    while sent < client.policy.tries + busy:
        sent += 1
        try:
            made = client.create_custom_app(fields, patient=busy)
        except LostAnswerError as lost:
            tools.say(f"the answer to creating {name!r} was lost; looking whether it was created")
            found = _look_for(fields, known, str(lost), tools)
        except StillProcessingError as problem:
            found = _look_for(fields, known, str(problem), tools, looks=1)
            if busy and not found:
                raise
            busy = True
        else:
            sent += made.sent - 1
            found = [made.app] if _ours(made.app, fields, known) else _look_for(fields, known, _ANOTHER, tools)
        if found:
            return found[0] if sent == 1 else _without_twin(found[0], fields, known, tools)
    raise TargetError(
        f"{name!r} was not created: no answer to {client.policy.tries} tries, and it is not in Kandji's list. "
        "The upload is kept for the next run; run again when the network is well"
    )


def _ours(app: CustomApp, fields: Mapping[str, str | bool], known: frozenset[str]) -> bool:
    """Whether an app is one that our create has made; the key of an upload is given out once."""
    return app.id not in known and app.name == fields["name"] and app.file_key == fields["file_key"]


def _look_for(
    fields: Mapping[str, str | bool], known: frozenset[str], lost: str, tools: Tools, looks: int = _LOOKS
) -> list[CustomApp]:
    """The apps that a create of ours has made; looked for more than once, since the service may still be at it.

    Raises:
        TargetError: the list cannot be read, so that it is not known.
    """
    policy = tools.tenant.client.policy
    try:
        for look in range(looks):
            tools.tenant.client.wait(min(policy.first_wait * 2**look, policy.longest_wait))
            tools.tenant.forget_apps()
            found = [app for app in tools.tenant.apps() if _ours(app, fields, known)]
            if found:
                return found
    except KandjiUploaderError as problem:
        raise TargetError(
            f"whether {fields['name']!r} was created is not known ({lost}), "
            f"and the list could not be read: {problem}. Run again, which finds it if it is there"
        ) from None
    return []


def _without_twin(app: CustomApp, fields: Mapping[str, str | bool], known: frozenset[str], tools: Tools) -> CustomApp:
    """The app, after a create was sent twice; what the first one has made too late to be found is deleted again."""
    try:
        tools.tenant.forget_apps()
        for twin in tools.tenant.apps():
            if twin.id != app.id and _ours(twin, fields, known):
                tools.say(f"{app.name!r} was created twice, since the first answer came late; deleting one of the two")
                tools.tenant.client.delete_custom_app(twin.id)
                tools.tenant.drop(twin.id)
    except KandjiUploaderError as problem:
        tools.tenant.forget_apps()
        raise TargetError(
            f"{app.name!r} was created, perhaps twice, which could not be put right: {problem}. "
            "Look in Kandji, and delete one if there are two"
        ) from None
    return app


def _deleted_again(app: CustomApp, tools: Tools) -> str:
    """What became of an app that was created with the wrong bytes."""
    try:
        tools.tenant.client.delete_custom_app(app.id)
    except KandjiUploaderError as problem:
        tools.tenant.forget_apps()
        return f"it was just created, is assigned to no Blueprint, and could not be deleted again ({problem})"
    tools.tenant.drop(app.id)
    tools.store.forget_blueprints(app.name)
    return "it was just created, and was deleted again"


def _update(plan: TargetPlan, upload: _Upload, tools: Tools) -> tuple[TargetPlan, CustomApp]:
    key = upload.key() if plan.needs_file else ""
    plan = _as_it_is_now(plan, tools)
    before = plan.app
    if before is None or plan.action is not Action.UPDATE:
        return plan, before if before is not None else _gone(plan)
    if plan.needs_file:
        key = key or upload.key()
    fields = {**plan.fields, **({"file_key": key} if plan.needs_file else {})}
    tools.check_unchanged()
    try:
        after = _update_surely(before, fields, tools)
    except RejectedError as problem:
        if "file_key" not in problem.body or not upload.send_anew():
            raise
        after = _update_surely(before, {**fields, "file_key": upload.key()}, tools)
    tools.tenant.put(after)
    if plan.needs_file:
        _confirm(before, after, fields, upload, tools)
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
        live = _get(planned, tools)
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


def _get(planned: CustomApp, tools: Tools) -> CustomApp:
    try:
        return tools.tenant.client.get_custom_app(planned.id)
    except NotFoundError:
        tools.tenant.drop(planned.id)
        raise TargetError(f"{planned.name!r} was deleted in Kandji meanwhile. Run again, which plans anew") from None


def _update_surely(before: CustomApp, fields: Mapping[str, str | bool], tools: Tools) -> CustomApp:
    """Send an update; where its answer was lost, read the app to see whether it is there, else send it once more.

    Raises:
        TargetError: the app is as it was, or that is not known; the text says which.
    """
    lost, busy = _ANOTHER, None
    for _ in range(2):
        try:
            after = tools.tenant.client.update_custom_app(before.id, fields)
            if after.id == before.id and after.file_key == fields.get("file_key", after.file_key):
                return after
        except NetworkError as problem:
            lost = str(problem)
        except StillProcessingError as problem:
            lost, busy = str(problem), problem
        live = _look_at(before, lost, tools)
        if all(_holds(before, live, name, value) for name, value in fields.items()):
            return live
        if busy:
            raise busy
    raise TargetError(f"{before.name!r} was not changed: {lost}")


def _look_at(before: CustomApp, lost: str, tools: Tools) -> CustomApp:
    tools.tenant.forget_apps()
    try:
        return _get(before, tools)
    except (NetworkError, ApiError) as problem:
        raise TargetError(
            f"whether {before.name!r} was changed is not known ({lost}), and it could not be read: {problem}. "
            "Run again, which finishes it"
        ) from None


def _holds(before: CustomApp, live: CustomApp, name: str, value: str | bool) -> bool:
    """Whether the live app has a field as we sent it; of one that the service does not tell, that anything changed."""
    told = getattr(live, name)
    if told is None:
        return live.updated_at != before.updated_at
    if isinstance(told, str) and isinstance(value, str):
        return told.replace("\r\n", "\n").strip() == value.replace("\r\n", "\n").strip()
    return bool(told == value)


def _confirm(
    before: CustomApp, after: CustomApp, fields: Mapping[str, str | bool], upload: _Upload, tools: Tools
) -> None:
    """Raise TargetError, with the former file put back, unless Kandji holds the bytes that we sent."""
    answered = _other_digest(after, upload.sha256, tools)
    if not answered:
        return
    # First of all the journal forgets the key: should we be killed before all is put back, the next run uploads anew.
    upload.distrust(_wrong_bytes(before, answered, upload.sha256, "that upload is not used again"))
    former = {name: value for name in fields if (value := getattr(before, name)) is not None}
    try:
        tools.tenant.put(_update_surely(before, former, tools))
        ending = "the former installer was put back"
    except KandjiUploaderError as problem:
        tools.tenant.forget_apps()
        ending = f"putting the former installer back failed, too ({problem}); do it in Kandji"
    raise _wrong_bytes(before, answered, upload.sha256, ending)


def _wrong_bytes(app: CustomApp, answered: str, sha256: str, ending: str) -> TargetError:
    return TargetError(
        f"Kandji holds other bytes (sha256 {answered[:12]}...) of {app.name!r} than the installer "
        f"({sha256[:12]}...); {ending}. Run again, which uploads anew"
    )


def _other_digest(app: CustomApp, sha256: str, tools: Tools) -> str:
    """The sha256 that the service has for an app's installer where it is not ours; "" where it is, or is not told.

    The app is read once more before anything is undone on the word of one answer.
    """
    if app.sha256 == sha256:
        return ""
    told = app.sha256
    try:
        live = tools.tenant.client.get_custom_app(app.id)
        tools.tenant.put(live)
        told = live.sha256 or told
    except (NetworkError, ApiError) as problem:
        tools.say(f"{app.name!r} could not be read to confirm its sha256: {problem}")
    return "" if told in (None, sha256) else str(told)


def _assign(plan: TargetPlan, app: CustomApp, tools: Tools) -> None:
    """Assign a created app to its Blueprints, or one whose earlier run was interrupted before it could."""
    keys = (app.file_key, plan.app.file_key if plan.app else "")
    owed = tools.store.owed_blueprints(plan.target.name, keys)
    for wanted in owed:
        if wanted not in plan.target.blueprints:  # nobody wants it any more
            continue
        blueprint, node = resolve_blueprint(wanted, tools.tenant.blueprints())
        try:
            tools.tenant.client.assign_library_item(blueprint.id, app.id, node)
        except (ApiError, NetworkError) as problem:
            told = _assignment_advice(problem.body) if isinstance(problem, RejectedError) else str(problem)
            raise TargetError(
                f"{app.name!r} is in Kandji, but is not known to be assigned to the Blueprint {wanted!r}: {told}. "
                "The next run assigns it"
            ) from None
    if owed:
        tools.store.forget_blueprints(plan.target.name)


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
