"""The creation of a Custom App, so that there is one of it and never two; see `one_app` for why.

The API takes no idempotency key: a create that is sent twice makes two apps. So:

- Before it, the list is read again. If another run has made the app meanwhile, this run uses that one.
- It is noted in the state folder before it is sent. A run that is killed leaves that note for the next run.
- A create whose answer was lost is looked for in the list before it is sent again.
- The sha256 that the service answers must be the installer's; otherwise the new app is deleted again.
- After it, the list is read once more: of several new apps of that name the oldest stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import (
    KandjiUploaderError,
    MissingPermissionError,
    StillProcessingError,
    TargetError,
)
from kandji_uploader.http.tries import LostAnswerError
from kandji_uploader.kandji.client import NotFoundError, RejectedError
from kandji_uploader.models import Action, CustomApp
from kandji_uploader.publish import one_app
from kandji_uploader.publish.context import RunContext
from kandji_uploader.publish.context import settle_time as settle_time_of
from kandji_uploader.publish.plan import Installer, PlanInput, TargetPlan, audit_is_foreign
from kandji_uploader.publish.update import update
from kandji_uploader.publish.work import ANOTHER_APP, ApplyContext, Upload, Work, other_digest, wait, wrong_bytes
from kandji_uploader.state import Created, StateStore

_LOOKS = 4
"""How often the list is read for an app whose create was not answered. With growing waits from half a second that is
some eight seconds, since a read right after a write may be stale."""
_CACHED_LOOKS = 3
"""How often more, while the lists that come are out of a cache (an `Age` or `X-Cache` in front of the service)."""
_ROUNDS = 3
"""How often an app is created again after another machine has deleted the one that this run used."""
_SENT = 600.0
"""Seconds for which the service may still carry out a create whose answer was never read."""
_LEFT = 2 * 86_400.0
"""Seconds for which an app that a killed run has created may be deleted again, if there is an older one."""
_FRESH = 2.0
"""Seconds for which a list that was fetched while applying is believed that an app is missing."""


def create(work: Work, upload: Upload, context: ApplyContext) -> None:
    """Create the app of a target. If another run has just made it, use that one.

    Raises:
        TargetError: it was not created, or that is not known; the text says which.
    """
    plan = work.plan
    key = upload.key()
    # The plan's list is older than the upload, which may have taken an hour: another machine was perhaps quicker.
    there = _made_meanwhile(plan, upload, context)
    if there is not None and _go_on_with(work, there, upload, context):
        return
    context.check_unchanged()
    try:
        made = _create_noted({**plan.fields, "file_key": key}, context)
    except RejectedError as problem:
        # A key that the journal had from a former run: the store may have forgotten its file. A refusal is no lost
        # answer, nothing was created, so sending the create again is safe.
        if "file_key" not in problem.body or not upload.send_anew():
            raise
        made = _create_noted({**plan.fields, "file_key": upload.key()}, context)
    app = made.app
    work.app = app
    # The id takes the place of the note from before the create: what a run after a kill finds is this very app.
    context.store.note_created(Created(app.name, app.id, app.file_key, time.time()))
    context.tenant.put(app)
    # The service computes the sha256 of what is in its store. Only here does it show whether that is what was sent.
    answered = other_digest(app, upload.sha256, context)
    if answered:
        upload.distrust(wrong_bytes(app, answered, upload.sha256, "nothing was done with it"))
        raise wrong_bytes(app, answered, upload.sha256, _deleted_again(app, context))
    work.made = made


def _known(name: str, context: ApplyContext) -> frozenset[str]:
    """The ids of the apps of a name when the plan was made. Any other app of that name came later."""
    return frozenset(app.id for app in context.listed if app.name == name)


def _made_meanwhile(plan: TargetPlan, upload: Upload, context: ApplyContext) -> CustomApp | None:
    """The app of that name that somebody has made since the plan's list was fetched; None where there is none.

    The list may lag behind or come out of a cache, so an app that this machine made before is asked for itself.
    """
    name = plan.target.name
    # create_new: the admin wants one more app of that name, whatever there is.
    if context.another:
        return None
    context.tenant.forget_apps(before=max(upload.begun, time.time() - _FRESH))
    known = _known(name, context)
    found = one_app.newcomers(context.tenant, name, known) or _left_under_way(name, known, context)
    if found:
        return found[0]
    # A read by id does not come out of the cache that the list may come from.
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
    """The apps that an earlier run on this machine has created without reading the answer, since it was killed."""
    for entry in context.store.created(name):
        if not entry.app_id and 0 <= time.time() - entry.at < _SENT:
            context.say(f"a run before never learnt whether {name!r} was created; looking")
            return _look_for(
                {"name": name, "file_key": entry.file_key}, known, "a run ended before that was answered", context
            )
    return []


def _go_on_with(work: Work, there: CustomApp, upload: Upload, context: ApplyContext) -> bool:
    """Use an app that another run has made at the same moment; False if it was deleted again.

    If it has the same bytes, nothing is left to do; otherwise it is planned again as an update. If somebody wanted
    another kind of app, it is left as it is.
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
    # The other run may still be assigning it to Blueprints. To assign it twice is no error of the API.
    work.plan = replace(again, assign=() if again.action.bad else plan.assign)
    if again.action is Action.UPDATE:
        update(work, upload, context)
    return True


def _unlike(plan: TargetPlan, live: CustomApp) -> str:
    """The first field on which the app and the plan differ in how it is enforced; "" if they do not differ.

    Another run with the same settings makes the same app. A person may want another one.
    """
    wanted = {"install_enforcement": "", "show_in_self_service": False, **plan.fields}
    for name in ("install_enforcement", "show_in_self_service"):
        if live.value(name) != wanted[name]:
            return name
    # A run of ours with other settings is no stranger; its script is repaired by the update that follows.
    audited = "audit_script" in plan.fields
    return "audit_script" if audited and audit_is_foreign(live, audit.read(live.audit_script)) else ""


def stay_alone(work: Work, upload: Upload, context: ApplyContext) -> None:
    """Make sure that there is one app of that name, and use that one; see `one_app`."""
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
            create(work, upload, context)
            wait(context)
    raise TargetError(
        f"{work.plan.target.name!r} is being created and deleted in Kandji by others at the same moment. "
        "Run again later"
    )


def _create_noted(fields: Mapping[str, str | bool], context: ApplyContext) -> one_app.Made:
    """Create an app; noted before it is sent, for the run that comes after one that was killed. Raises as below."""
    name = str(fields["name"])
    context.store.note_created(Created(name, "", str(fields["file_key"]), time.time()))
    try:
        return _create_and_look(fields, context)
    except (RejectedError, MissingPermissionError):  # so it was surely not created
        context.store.forget_sent(name)
        raise


def _create_and_look(fields: Mapping[str, str | bool], context: ApplyContext) -> one_app.Made:
    """Create an app. If the answer is lost, the list tells whether it was created.

    By the documentation 503 says that nothing was done yet. The list is read once before that is believed.

    Raises:
        TargetError: it is not there, or that is not known; the text says which.
    """
    client, name = context.tenant.client, str(fields["name"])
    # By the ids and not by the time: the clock of this machine and that of the service need not agree.
    before = frozenset(app.id for app in context.tenant.apps())
    sent, busy, lost_one = 0, False, False
    # One try more where the service was busy: that first 503 said that nothing was done.
    while sent < client.policy.tries + busy:
        sent += 1
        try:
            made = client.create_custom_app(fields, patient=busy)
        except LostAnswerError as lost:
            context.say(f"the answer to creating {name!r} was lost; looking whether it was created")
            found = _look_for(fields, before, str(lost), context)
        except StillProcessingError as problem:
            found = _look_for(fields, before, str(problem), context, looks=1)
            # The first 503 is answered by one look and one create that waits for as long as `processing_timeout`.
            if busy and not found:
                raise
            busy = True
        else:
            # The client repeats a create that the service says it did not act upon (429, 503). That may be wrong, so
            # each of them counts as one that may have made an app. An answer about another app is not believed.
            sent += made.sent - 1
            found = [made.app] if _ours(made.app, fields, before) else _look_for(fields, before, ANOTHER_APP, context)
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
    """Whether our create has made an app: each upload has a key of its own."""
    return app.id not in before and app.name == fields["name"] and app.file_key == fields["file_key"]


def _look_for(
    fields: Mapping[str, str | bool], before: frozenset[str], lost: str, context: ApplyContext, looks: int = _LOOKS
) -> list[CustomApp]:
    """The apps that our create has made. The list is read several times, since the service may need time.

    A list out of a cache may be older than the create, so it does not prove that there is none.

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


def look_again(plan_input: PlanInput, context: RunContext, say: Callable[[str], None]) -> bool:
    """Read the list again if several apps have the name of a target: one of them may be about to be deleted.

    Another run may be about to delete its own (see `one_app`). Or a run on this machine has made one and was killed
    before it could see that there were two; that one is deleted here, if it is the younger one.

    Args:
        plan_input: with the matches of the targets.
        context: where the run takes place.
        say: called with a line for each app that is deleted.

    Returns:
        Whether the targets must be matched again.

    Raises:
        TargetError: an app of ours that should be deleted could not be.
        NetworkError, ApiError: the list could not be read.
    """
    several = [match.candidates for match in plan_input.matches.values() if len(match.candidates) > 1]
    if not several or context.settings.dry_run:
        return False
    tenant, store, settle_time = context.tenant, context.store, settle_time_of(context.settings)
    tenant.client.wait(settle_time)
    tenant.forget_apps()
    for candidates in several:
        left = _left_alone(candidates, plan_input.installer, store)
        for app in candidates:
            if left.get(app.id) == app.file_key:
                stays = one_app.settle(one_app.Made(app, frozenset(), 0.0), tenant, settle_time, say)
                store.forget_created(app.id)
                if stays.id == app.id:
                    store.note_created(Created(app.name, app.id, app.file_key, time.time(), settled=True))
    return True


def _left_alone(candidates: Sequence[CustomApp], installer: Installer, store: StateStore) -> dict[str, str]:
    """The `file_key`s, by app id, of apps that a run on this machine made right before it was killed."""
    left = {entry.app_id: entry.file_key for entry in store.created(candidates[0].name) if _is_left(entry)}
    if installer.unfinished and installer.file_key:
        left |= {app.id: app.file_key for app in candidates if app.file_key == installer.file_key}
    return left


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
