"""Make it so: carry out a plan, each target for itself, so that every Custom App ends as it was or as planned.

There are no rules here about what should be; those are the plan's. What is here is what may go wrong on the way:
a create whose answer was lost is looked for before it is sent again; an update whose answer was lost is confirmed by
reading the app; the sha256 that the service answers must be the installer's, or the former file is put back. When all
is written, it is looked whether another machine was at the same apps just then (`one_app`), and only then are they
assigned to Blueprints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kandji_uploader._util.prehash import PartialDigest
from kandji_uploader.audit import script as audit
from kandji_uploader.errors import (
    ApiError,
    InstallerChangedError,
    InterruptedRunError,
    KandjiUploaderError,
    MissingPermissionError,
    NetworkError,
    StateError,
    StillProcessingError,
    TargetError,
)
from kandji_uploader.http.tries import LostAnswerError, spoken
from kandji_uploader.kandji.client import NotFoundError, RejectedError, UploadExpiredError
from kandji_uploader.kandji.tenant import TenantView
from kandji_uploader.kandji.upload import Progress
from kandji_uploader.models import Action, CustomApp, Outcome
from kandji_uploader.publish import one_app
from kandji_uploader.publish.plan import Installer, TargetPlan, audit_is_foreign, resolve_blueprint, same_value
from kandji_uploader.state import Created, JournalEntry, StateStore

_LOOKS = 4
_TICKETS = 3
_REPLANS = 2
_ROUNDS = 3
_CACHED_LOOKS = 3
_SENT = 600.0
"""Seconds for which the service may still act upon a create whose answer a run never read."""
_LEFT = 2 * 86_400.0
"""Seconds for which an app that a killed run has created may be deleted again, if there is an older one."""
_ANOTHER = "the answer was about another app"
_FRESH = 2.0
"""Seconds for which a list that was fetched while applying is believed that an app is missing."""


@dataclass(frozen=True)
class ApplyContext:
    """What applying a plan works with.

    Attributes:
        tenant: the tenant's view and client.
        store: the state folder.
        path: the installer on disk.
        installer: what the plan knows of it.
        replan: plans a target again with the app as it is now, given the sha256 of what was uploaded ("" for nothing).
        outcome: makes the outcome of a plan; the report's words are not decided here.
        say: told what is being done, one line each.
        progress: told the bytes sent.
        begun: what is known of the digest of the installer when its upload begins.
        check_unchanged: raises InstallerError if the installer is no longer the file that the plan was made from.
        gone: what to say if the store has lost a file that is not on this machine; "" where there is one to upload.
        listed: the list of apps that the plans were made from.
        another: whether an app is wanted beside all others of its name (create_new).
        settle_time: seconds to wait before looking whether another machine was at the same apps.
    """

    tenant: TenantView
    store: StateStore
    path: Path
    installer: Installer
    replan: Callable[[TargetPlan, CustomApp, str], TargetPlan]
    outcome: Callable[[TargetPlan, CustomApp | None, str], Outcome]
    say: Callable[[str], None]
    progress: Progress | None = None
    begun: Callable[[], PartialDigest | None] = lambda: None
    check_unchanged: Callable[[], None] = lambda: None
    gone: str = ""
    listed: tuple[CustomApp, ...] = ()
    another: bool = False
    settle_time: float = 0.0


class _Work:
    """One target on its way.

    Attributes:
        plan: what is to become of it; another plan, where the app turned out to be otherwise meanwhile.
        app: the Custom App as it is known to be.
        error: what went wrong.
        made: the app that was created, while it is not known to be the only one.
        replaced: the app as it was before it got another installer, while it is not known whether that is there still.
        done: whether nothing is left to do but to look.
    """

    def __init__(self, plan: TargetPlan) -> None:
        self.plan = plan
        self.app = plan.app
        self.error = ""
        self.made: one_app.Made | None = None
        self.replaced: CustomApp | None = None
        self.done = False

    def carry_on(
        self, step: Callable[[_Work, _Upload, ApplyContext], None], upload: _Upload, context: ApplyContext
    ) -> None:
        """Do the next step, if none before has failed."""
        if self.error:
            return
        try:
            step(self, upload, context)
        except KandjiUploaderError as problem:
            self.error = str(problem)

    @property
    def ended(self) -> bool:
        """Whether it is done or has failed."""
        return self.done or bool(self.error)

    def outcome(self, context: ApplyContext) -> Outcome:
        """What became of it."""
        found = context.outcome(self.plan, self.app, self.error)
        return replace(found, action=Action.FAILED) if self.error else found


def apply(plans: Sequence[TargetPlan], context: ApplyContext) -> tuple[tuple[Outcome, ...], str]:
    """Carry out every target's plan; returns the outcomes and the installer's sha256 ("" where it stayed unknown).

    A target that fails does not keep the others from being tried.

    Raises:
        InterruptedRunError: SIGINT or SIGTERM; its text says what was done and what was not.
    """
    upload = _Upload(context)
    works = [_Work(plan) for plan in plans]
    try:
        for work in works:
            context.say(work.plan.told)
            work.carry_on(_write, upload, context)
        if any(work.made or work.replaced for work in works):
            _wait(context)
        for work in works:
            work.carry_on(_finish, upload, context)
    except KeyboardInterrupt:
        context.tenant.forget_apps()
        raise InterruptedRunError(_interrupted(works)) from None
    outcomes = tuple(work.outcome(context) for work in works)
    if all(not outcome.action.bad for outcome in outcomes):
        upload.done()
    return outcomes, upload.sha256


def _wait(context: ApplyContext) -> None:
    if context.settle_time:
        context.say(f"looking in {spoken(context.settle_time)} whether another machine was at the same apps")
    context.tenant.client.wait(context.settle_time)


def _write(work: _Work, upload: _Upload, context: ApplyContext) -> None:
    if work.plan.action is Action.CREATE:
        _create(work, upload, context)
    elif work.plan.action is Action.UPDATE:
        _update(work, upload, context)
    work.done = work.made is None and not work.plan.assign


def _finish(work: _Work, upload: _Upload, context: ApplyContext) -> None:
    """See to it that what was written is the only one and is there still, and assign it to its Blueprints."""
    if work.made is not None:
        _stay_alone(work, upload, context)
        if work.replaced is not None:  # just now, in place of what we made
            _wait(context)
    if work.replaced is not None:
        _stay_written(work, upload, context)
    if work.app is not None and not work.plan.action.bad:
        _assign(work.plan, work.app, context)
    work.done = True


class _Upload:
    """The one upload of a run: made when the first target needs it, then shared by all."""

    def __init__(self, context: ApplyContext) -> None:
        self._tools = context
        self._failure: KandjiUploaderError | None = None
        self.begun = time.time()
        self.file_key = context.installer.file_key
        self.sha256 = context.installer.sha256 or ""
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
        context, client = self._tools, self._tools.tenant.client
        context.check_unchanged()
        for number in range(1, _TICKETS + 1):
            ticket = client.request_upload(context.installer.name)
            try:
                sha256 = client.upload(ticket, context.path, context.progress, context.begun())
                break
            except UploadExpiredError:
                if number == _TICKETS:
                    raise
                context.say("the leave to upload has expired; asking for a new one")
        if context.installer.sha256 not in (None, sha256):
            raise InstallerChangedError(context.path)
        self.sha256 = sha256
        try:
            context.store.note_upload(JournalEntry(sha256, ticket.file_key, context.installer.size, time.time()))
        except StateError as problem:
            # The bytes are there: to go on with them is the one way not to send them again.
            context.say(f"the upload cannot be remembered for the next run, and is used in this one: {problem}")
        return ticket.file_key


def _create(work: _Work, upload: _Upload, context: ApplyContext) -> None:
    plan = work.plan
    key = upload.key()
    there = _made_meanwhile(plan, upload, context)
    if there is not None and _go_on_with(work, there, upload, context):
        return
    context.check_unchanged()
    try:
        made = _create_noted({**plan.fields, "file_key": key}, context)
    except RejectedError as problem:
        if "file_key" not in problem.body or not upload.send_anew():
            raise
        made = _create_noted({**plan.fields, "file_key": upload.key()}, context)
    app = made.app
    work.app = app
    context.store.note_created(Created(app.name, app.id, app.file_key, time.time()))
    context.tenant.put(app)
    answered = _other_digest(app, upload.sha256, context)
    if answered:
        upload.distrust(_wrong_bytes(app, answered, upload.sha256, "nothing was done with it"))
        raise _wrong_bytes(app, answered, upload.sha256, _deleted_again(app, context))
    work.made = made


def _known(name: str, context: ApplyContext) -> frozenset[str]:
    """The apps of a name which the plan was made with; whatever else is called so came meanwhile."""
    return frozenset(app.id for app in context.listed if app.name == name)


def _made_meanwhile(plan: TargetPlan, upload: _Upload, context: ApplyContext) -> CustomApp | None:
    """The app of that name that somebody has made since the plan's list was fetched; None where there is none.

    The list may lag behind or come out of a cache, so an app that this machine made before is asked for itself.
    """
    name = plan.target.name
    if context.another:
        return None
    context.tenant.forget_apps(before=max(upload.begun, time.time() - _FRESH))
    known = _known(name, context)
    found = one_app.newcomers(context.tenant, name, known) or _left_under_way(name, known, context)
    if found:
        return found[0]
    for entry in context.store.created(name):
        if not entry.app_id or entry.app_id in known:
            continue
        try:
            app = context.tenant.client.get_custom_app(entry.app_id)
        except NotFoundError:
            context.store.forget_created(entry.app_id)
            continue
        if app.name == name:
            return app
    return None


def _left_under_way(name: str, known: frozenset[str], context: ApplyContext) -> list[CustomApp]:
    """The apps that come of a create whose answer a run on this machine never read: it was killed, or given up."""
    for entry in context.store.created(name):
        if not entry.app_id and 0 <= time.time() - entry.at < _SENT:
            context.say(f"a run before never learnt whether {name!r} was created; looking")
            return _look_for(
                {"name": name, "file_key": entry.file_key}, known, "a run ended before that was answered", context
            )
    return []


def _go_on_with(work: _Work, there: CustomApp, upload: _Upload, context: ApplyContext) -> bool:
    """Take an app that another run has made at the same moment for ours; False if it has gone again.

    With the same bytes it is done, otherwise it is planned again as an update. Where somebody wanted another kind of
    app, it is left as it is.
    """
    plan, name = work.plan, there.name
    try:
        live = context.tenant.client.get_custom_app(there.id)
    except NotFoundError:
        context.tenant.drop(there.id)
        return False
    context.tenant.put(live)
    work.made, work.app = None, live
    unlike = _unlike(plan, live)
    if unlike:
        text = (
            f"{name!r} was created in Kandji by someone else meanwhile, with another {unlike}; it was left as it is. "
            "Run again, which updates it"
        )
        work.plan = replace(plan, action=Action.REFUSED, reason=text, app=live)
        return True
    context.say(f"{name!r} was created in Kandji by another run meanwhile; going on with that one ({live.id})")
    context.store.note_created(Created(name, live.id, live.file_key, time.time(), settled=True))
    again = context.replan(plan, live, upload.sha256)
    # Whoever made it may be at its Blueprints still; to be assigned twice is no error.
    work.plan = replace(again, assign=() if again.action.bad else plan.assign)
    if again.action is Action.UPDATE:
        _update(work, upload, context)
    return True


def _unlike(plan: TargetPlan, live: CustomApp) -> str:
    """The first of the fields that tell how an app is enforced which is not what the plan would have made; "" for none.

    A run that wanted the same has made the same; a person may have meant something else.
    """
    wanted = {"install_enforcement": "", "show_in_self_service": False, **plan.fields}
    for name in ("install_enforcement", "show_in_self_service"):
        if getattr(live, name) != wanted[name]:
            return name
    audited = "audit_script" in plan.fields
    return "audit_script" if audited and audit_is_foreign(live, audit.read(live.audit_script)) else ""


def _stay_alone(work: _Work, upload: _Upload, context: ApplyContext) -> None:
    """See to it that there is one app of that name, and go on with that; see `one_app`."""
    for _ in range(_ROUNDS):
        made = work.made
        if made is None:
            return
        stays = one_app.settle(made, context.tenant, context.settle_time, context.say)
        if made.has_made(stays):
            work.made, work.app = None, stays
            context.tenant.put(stays)
            context.store.note_created(Created(stays.name, stays.id, stays.file_key, time.time(), settled=True))
            return
        context.store.forget_created(made.app.id)
        if not _go_on_with(work, stays, upload, context):
            _create(work, upload, context)
            _wait(context)
    raise TargetError(
        f"{work.plan.target.name!r} is being created and deleted in Kandji by others at the same moment. "
        "Run again later"
    )


def _create_noted(fields: Mapping[str, str | bool], context: ApplyContext) -> one_app.Made:
    """Create an app; noted before it is sent, for whoever comes after a run that was killed. Raises as below."""
    name = str(fields["name"])
    context.store.note_created(Created(name, "", str(fields["file_key"]), time.time()))
    try:
        return _create_and_look(fields, context)
    except (RejectedError, MissingPermissionError):  # so it was surely not created
        context.store.forget_sent(name)
        raise


def _create_and_look(fields: Mapping[str, str | bool], context: ApplyContext) -> one_app.Made:
    """Create an app; a lost answer is settled by looking for what we asked for.

    503 is documented to say that nothing was done yet; before that is believed, it is looked up once.

    Raises:
        TargetError: it is not there, or that is not known; the text says which.
    """
    client, name = context.tenant.client, str(fields["name"])
    before = frozenset(app.id for app in context.tenant.apps())
    sent, busy, lost_one = 0, False, False
    while sent < client.policy.tries + busy:
        sent += 1
        try:
            made = client.create_custom_app(fields, patient=busy)
        except LostAnswerError as lost:
            context.say(f"the answer to creating {name!r} was lost; looking whether it was created")
            found = _look_for(fields, before, str(lost), context)
        except StillProcessingError as problem:
            found = _look_for(fields, before, str(problem), context, looks=1)
            if busy and not found:
                raise
            busy = True
        else:
            sent += made.sent - 1
            found = [made.app] if _ours(made.app, fields, before) else _look_for(fields, before, _ANOTHER, context)
            lost_one = lost_one or sent > 1
            if found:
                return one_app.Made(
                    found[0], _known(name, context), time.time(), unsure=lost_one, another=context.another
                )
        lost_one = True
        if found:
            return one_app.Made(found[0], _known(name, context), time.time(), unsure=True, another=context.another)
    raise TargetError(
        f"{name!r} was not created: no answer to {client.policy.tries} tries, and it is not in Kandji's list. "
        "The upload is kept for the next run; run again when the network is well"
    )


def _ours(app: CustomApp, fields: Mapping[str, str | bool], before: frozenset[str]) -> bool:
    """Whether an app is one that our create has made; the key of an upload is given out once."""
    return app.id not in before and app.name == fields["name"] and app.file_key == fields["file_key"]


def _look_for(
    fields: Mapping[str, str | bool], before: frozenset[str], lost: str, context: ApplyContext, looks: int = _LOOKS
) -> list[CustomApp]:
    """The apps that a create of ours has made; looked for more than once, since the service may still be at it.

    A list out of a cache may be older than the create, so it does not tell that there is none.

    Raises:
        TargetError: the list cannot be read, so that it is not known.
    """
    policy = context.tenant.client.policy
    try:
        for look in range(looks + _CACHED_LOOKS):
            context.tenant.client.wait(min(policy.first_wait * 2**look, policy.longest_wait))
            context.tenant.forget_apps()
            found = [app for app in context.tenant.apps() if _ours(app, fields, before)]
            if found:
                return sorted(found, key=one_app.age)
            if look + 1 >= looks and not context.tenant.list_was_cached:
                return []
    except KandjiUploaderError as problem:
        why = f"the list could not be read: {problem}."
    else:
        why = "its lists come out of a cache, and may be older than it. Is a proxy in between?"
    raise TargetError(
        f"whether {fields['name']!r} was created is not known ({lost}), and {why} "
        "Run again, which finds it if it is there"
    )


def look_again(
    plans: Sequence[TargetPlan],
    installer: Installer,
    tenant: TenantView,
    store: StateStore,
    settle_time: float,
    say: Callable[[str], None],
) -> None:
    """Before a conflict is told: have the list read anew, since one of two apps may be about to be deleted.

    The one is perhaps that of another run (see `one_app`), or of one on this machine that was killed before it could
    find out that there were two; that one is deleted here, if it is the younger one.

    Args:
        plans: the plans; only those that found several apps of a name count.
        installer: the file on disk.
        tenant: the tenant.
        store: the state folder.
        settle_time: seconds to wait.
        say: told what is deleted.

    Raises:
        TargetError: an app of ours that should be deleted could not be.
        NetworkError, ApiError: the list could not be read.
    """
    tenant.client.wait(settle_time)
    tenant.forget_apps()
    for plan in plans:
        left = {entry.app_id: entry.file_key for entry in store.created(plan.target.name) if _is_left(entry)}
        if installer.unfinished and installer.file_key:
            left |= {app.id: app.file_key for app in plan.candidates if app.file_key == installer.file_key}
        for app in plan.candidates:
            if left.get(app.id) == app.file_key:
                stays = one_app.settle(one_app.Made(app, frozenset(), 0.0), tenant, settle_time, say)
                store.forget_created(app.id)
                if stays.id == app.id:
                    store.note_created(Created(app.name, app.id, app.file_key, time.time(), settled=True))


def _is_left(entry: Created) -> bool:
    """Whether a run was killed right after it had created an app; later than this, a person may have chosen it."""
    return not entry.settled and time.time() - entry.at < _LEFT


def _deleted_again(app: CustomApp, context: ApplyContext) -> str:
    """What became of an app that was created with the wrong bytes."""
    try:
        context.tenant.client.delete_custom_app(app.id)
    except KandjiUploaderError as problem:
        context.tenant.forget_apps()
        return f"it was just created, is assigned to no Blueprint, and could not be deleted again ({problem})"
    context.tenant.drop(app.id)
    context.store.forget_created(app.id)
    return "it was just created, and was deleted again"


def _update(work: _Work, upload: _Upload, context: ApplyContext) -> None:
    plan = work.plan
    if not plan.fields and not plan.needs_file:  # it lacks Blueprints only
        return
    key = upload.key() if plan.needs_file else ""
    plan = _as_it_is_now(plan, upload, context)
    before = plan.app
    work.plan, work.app = plan, before
    if before is None:
        raise TargetError(f"{plan.target.name!r} changed in Kandji meanwhile: {plan.reason}")
    if plan.action is not Action.UPDATE:
        return
    if plan.needs_file:
        key = key or upload.key()
    fields = {**plan.fields, **({"file_key": key} if plan.needs_file else {})}
    context.check_unchanged()
    try:
        after = _update_surely(before, fields, context)
    except RejectedError as problem:
        if "file_key" not in problem.body or not upload.send_anew():
            raise
        after = _update_surely(before, {**fields, "file_key": upload.key()}, context)
    context.tenant.put(after)
    if plan.needs_file:
        _confirm(before, after, fields, upload, context)
        work.replaced = before
    work.app = after


def _stay_written(work: _Work, upload: _Upload, context: ApplyContext) -> None:
    """See to it that the higher version stays where another run has changed the app at the same moment.

    Of two that read the app before either wrote, the later one wins, whichever version it has. So each looks again,
    and writes again if what is there now is lower than its own; a lower one finds the higher one there, and is refused.

    Raises:
        TargetError: the app is changed again and again.
    """
    for number in range(_REPLANS + 1):
        before, written, plan = work.replaced, work.app, work.plan
        if before is None or written is None:
            return
        live = _seen_again(before, written, context)
        if live is None:
            return
        context.tenant.put(live)
        again = context.replan(replace(plan, app=live), live, upload.sha256)
        work.replaced = None
        if again.action is Action.UNCHANGED:
            work.app = live
            return
        if again.action is not Action.UPDATE:
            work.plan, work.app = again, live
            return
        if number == _REPLANS:
            break
        context.say(f"{live.name!r} was changed in Kandji by another run at the same moment; publishing it again")
        work.plan, work.app = again, live
        _update(work, upload, context)
        _wait(context)
    raise TargetError(
        f"{work.plan.target.name!r} is being changed in Kandji by others at the same moment. Run again later"
    )


def _seen_again(before: CustomApp, written: CustomApp, context: ApplyContext) -> CustomApp | None:
    """The app as it is now, if another run has changed what we wrote; None where it is as we left it, or nobody tells.

    Where our write was itself the later one of two, as its activity shows, the other run may be about to write again;
    so it is waited for once more.
    """
    try:
        live = context.tenant.client.get_custom_app(written.id)
        if _as_left(live, written) and _crossed(before, context):
            context.say(f"{written.name!r} was changed in Kandji by someone else at the same moment; looking again")
            context.tenant.client.wait(context.settle_time)
            live = context.tenant.client.get_custom_app(written.id)
    except (ApiError, NetworkError) as problem:
        context.say(f"{written.name!r} was changed, and could not be read again: {problem}")
        return None
    if live.sha256 is None and live.file_size is not None and live.file_size == written.file_size:
        live = replace(live, sha256=written.sha256)  # nobody tells; it is most likely the same installer
    return None if _as_left(live, written) else live


def _as_left(live: CustomApp, written: CustomApp) -> bool:
    return live.file_key == written.file_key and live.audit_script.split() == written.audit_script.split()


def _crossed(before: CustomApp, context: ApplyContext) -> bool:
    """Whether the app's activity knows of more edits since we read it than our own one."""
    edits = 0
    try:
        for entry in context.tenant.client.library_item_activity(before.id):
            if one_app.moment(entry.text_or("activity_time", "")) <= one_app.moment(before.updated_at):
                break
            edits += entry.text_or("activity_type", "") == "library_item_edited"
    except (ApiError, NetworkError) as problem:
        context.say(f"the activity of {before.name!r} could not be read: {problem}")
    return edits > 1


def _as_it_is_now(plan: TargetPlan, upload: _Upload, context: ApplyContext) -> TargetPlan:
    """The plan, made again once if the app was edited since the list was fetched.

    Raises:
        TargetError: it was edited a second time meanwhile.
    """
    for number in range(_REPLANS):
        planned = plan.app
        if planned is None:
            return plan
        live = _get(planned, context)
        if live.updated_at == planned.updated_at:
            return plan
        context.tenant.put(live)
        if number + 1 < _REPLANS:
            context.say(f"{planned.name!r} was edited in Kandji meanwhile; planning it again")
            plan = context.replan(plan, live, upload.sha256)
    raise TargetError(
        f"{plan.target.name!r} is being edited in Kandji by someone else; it was left as it is. Run again later"
    )


def _get(planned: CustomApp, context: ApplyContext) -> CustomApp:
    try:
        return context.tenant.client.get_custom_app(planned.id)
    except NotFoundError:
        context.tenant.drop(planned.id)
        raise TargetError(f"{planned.name!r} was deleted in Kandji meanwhile. Run again, which plans anew") from None


def _update_surely(before: CustomApp, fields: Mapping[str, str | bool], context: ApplyContext) -> CustomApp:
    """Send an update; where its answer was lost, read the app to see whether it is there, else send it once more.

    Raises:
        TargetError: the app is as it was, or that is not known; the text says which.
    """
    lost, busy = _ANOTHER, None
    for _ in range(2):
        try:
            after = context.tenant.client.update_custom_app(before.id, fields)
            if after.id == before.id and after.file_key == fields.get("file_key", after.file_key):
                return after
        except NetworkError as problem:
            lost = str(problem)
        except StillProcessingError as problem:
            lost, busy = str(problem), problem
        live = _look_at(before, lost, context)
        if all(_holds(before, live, name, value) for name, value in fields.items()):
            return live
        if busy:
            raise busy
    raise TargetError(f"{before.name!r} was not changed: {lost}")


def _look_at(before: CustomApp, lost: str, context: ApplyContext) -> CustomApp:
    context.tenant.forget_apps()
    try:
        return _get(before, context)
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
    return same_value(told, value)


def _confirm(
    before: CustomApp, after: CustomApp, fields: Mapping[str, str | bool], upload: _Upload, context: ApplyContext
) -> None:
    """Raise TargetError, with the former file put back, unless Kandji holds the bytes that we sent."""
    answered = _other_digest(after, upload.sha256, context)
    if not answered:
        return
    # First of all the journal forgets the key: should we be killed before all is put back, the next run uploads anew.
    upload.distrust(_wrong_bytes(before, answered, upload.sha256, "that upload is not used again"))
    former = {name: value for name in fields if (value := getattr(before, name)) is not None}
    try:
        context.tenant.put(_update_surely(before, former, context))
        ending = "the former installer was put back"
    except KandjiUploaderError as problem:
        context.tenant.forget_apps()
        ending = f"putting the former installer back failed, too ({problem}); do it in Kandji"
    raise _wrong_bytes(before, answered, upload.sha256, ending)


def _wrong_bytes(app: CustomApp, answered: str, sha256: str, ending: str) -> TargetError:
    return TargetError(
        f"Kandji holds other bytes (sha256 {answered[:12]}...) of {app.name!r} than the installer "
        f"({sha256[:12]}...); {ending}. Run again, which uploads anew"
    )


def _other_digest(app: CustomApp, sha256: str, context: ApplyContext) -> str:
    """The sha256 that the service has for an app's installer where it is not ours; "" where it is, or is not told.

    The app is read once more before anything is undone on the word of one answer.
    """
    if app.sha256 == sha256:
        return ""
    told = app.sha256
    try:
        live = context.tenant.client.get_custom_app(app.id)
        context.tenant.put(live)
        told = live.sha256 or told
    except (NetworkError, ApiError) as problem:
        context.say(f"{app.name!r} could not be read to confirm its sha256: {problem}")
    return "" if told in (None, sha256) else str(told)


def _assign(plan: TargetPlan, app: CustomApp, context: ApplyContext) -> None:
    """Assign an app to the Blueprints that lack it."""
    for wanted in plan.assign:
        try:
            blueprint, node = resolve_blueprint(wanted, context.tenant.blueprints())
            context.tenant.assign(blueprint.id, app.id, node)
        except (ApiError, NetworkError) as problem:
            told = _assignment_advice(problem.body) if isinstance(problem, RejectedError) else str(problem)
            raise TargetError(
                f"{app.name!r} is in Kandji, but is not known to be assigned to the Blueprint {wanted!r}: {told}. "
                "The next run assigns it"
            ) from None


def _assignment_advice(body: str) -> str:
    if "Must provide assignment_node_id" in body:
        return "it is an Assignment Map with conditions; name the node as `name:node-id` (Option shows it)"
    if "cannot be provided" in body:
        return "it is a Classic Blueprint, which has no nodes; drop the `:node-id`"
    return body


def _interrupted(works: Sequence[_Work]) -> str:
    done = [f"{work.plan.target.name}: {work.error or work.plan.action.value}" for work in works if work.ended]
    left = [work.plan.target.name for work in works if not work.ended]
    first = (
        f"; {left[0]!r} may have been under way: run again, which finishes it without doing it twice" if left else ""
    )
    return (
        f"interrupted. Done: {'; '.join(done) or 'nothing'}. Not done: {', '.join(map(repr, left)) or 'nothing'}{first}"
    )
