"""The update of a Custom App, so that it ends as it was or as planned.

The API has no conditional update, and no transaction. So:

- The app is read right before it is written. If it was edited since the list was fetched, it is planned again.
- An update whose answer was lost is confirmed by reading the app, and is sent once more if it is not there.
- The sha256 that the service answers must be the installer's; otherwise the former file is put back.
- In the end the app is read again. If two runs wrote at the same moment, the lower version may have come last; then
  the run with the higher one writes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kandji_uploader.errors import (
    ApiError,
    KandjiUploaderError,
    NetworkError,
    StillProcessingError,
    TargetError,
)
from kandji_uploader.kandji.client import NotFoundError, RejectedError
from kandji_uploader.models import Action, CustomApp
from kandji_uploader.publish import one_app
from kandji_uploader.publish.plan import TargetPlan, same_value
from kandji_uploader.publish.work import ANOTHER_APP, ApplyContext, Upload, Work, other_digest, wait, wrong_bytes

_REPLANS = 2


def update(work: Work, upload: Upload, context: ApplyContext) -> None:
    """Update the app of a target as planned. If it was edited meanwhile, it is planned again.

    Raises:
        TargetError: it was left as it is, or put back, or that is not known; the text says which.
    """
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


def stay_written(work: Work, upload: Upload, context: ApplyContext) -> None:
    """Make sure that the higher version stays if another run has changed the app at the same moment.

    If two runs read the app before either writes, the later write stays, even with a lower version. So each run looks
    again, and writes again if the version there is lower than its own. If it is higher, the run leaves it.

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
        update(work, upload, context)
        wait(context)
    raise TargetError(
        f"{work.plan.target.name!r} is being changed in Kandji by others at the same moment. Run again later"
    )


def _seen_again(before: CustomApp, written: CustomApp, context: ApplyContext) -> CustomApp | None:
    """The app as it is now, if another run has changed what we wrote; None if nothing changed or it cannot be read.

    If the app's activity shows that our write was the later one of two, the other run may be about to write again. So
    this run waits once more.
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


def _as_it_is_now(plan: TargetPlan, upload: Upload, context: ApplyContext) -> TargetPlan:
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
        raise TargetError(f"{planned.name!r} was deleted in Kandji meanwhile. Run again, which plans again") from None


def _update_surely(before: CustomApp, fields: Mapping[str, str | bool], context: ApplyContext) -> CustomApp:
    """Send an update. If its answer is lost, read the app; if it is not changed, send the update once more.

    Raises:
        TargetError: the app is as it was, or that is not known; the text says which.
    """
    lost, busy = ANOTHER_APP, None
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
    """Whether the live app has a field as we sent it. If the service does not tell the field, any change counts."""
    told = live.value(name)
    if told is None:
        return live.updated_at != before.updated_at
    return same_value(told, value)


def _confirm(
    before: CustomApp, after: CustomApp, fields: Mapping[str, str | bool], upload: Upload, context: ApplyContext
) -> None:
    """Raise TargetError, with the former file put back, unless Kandji holds the bytes that we sent."""
    answered = other_digest(after, upload.sha256, context)
    if not answered:
        return
    # First the journal forgets the key: if this run is killed before all is put back, the next one uploads again.
    upload.distrust(wrong_bytes(before, answered, upload.sha256, "that upload is not used again"))
    former = {name: value for name in fields if (value := before.value(name)) is not None}
    try:
        context.tenant.put(_update_surely(before, former, context))
        ending = "the former installer was put back"
    except KandjiUploaderError as problem:
        context.tenant.forget_apps()
        ending = f"putting the former installer back failed, too ({problem}); do it in Kandji"
    raise wrong_bytes(before, answered, upload.sha256, ending)
