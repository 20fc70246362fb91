"""Which release a Custom App has now, and what is noted when it gets another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import AuditScriptError, TargetError
from kandji_uploader.models import Action, CustomApp, InstallType, Outcome
from kandji_uploader.publish import matching, releases
from kandji_uploader.publish.context import RunContext
from kandji_uploader.publish.plan import PlanInput, TargetPlan, audited, coming, ledger, signed_by
from kandji_uploader.publish.releases import Contents, Ledger, Release
from kandji_uploader.state import Publication


def noted(app: CustomApp, ledger: Ledger) -> bool:
    """Whether this tool has put the present file into an app, and noted that."""
    return ledger.current is not None and ledger.current.held_by(app.sha256, app.file_key)


def live_release(app: CustomApp, ledger: Ledger, now: float) -> Release:
    """The release that an app has now.

    If somebody else has put another file there, the audit script says nothing about it. Then the version comes from the
    file's name, and the time from Kandji's `file_updated`. If nothing tells the time, it is `now`.
    """
    current = ledger.current
    if current is not None and current.held_by(app.sha256, app.file_key):
        return replace(current, file_key=app.file_key)
    reading = audit.read(app.audit_script if current is None else "")
    named = matching.version_in(app.file_name)
    if named and any(item.version == reading.version for item in ledger.former if item.file_key != app.file_key):
        reading = replace(reading, version=named)  # The script is that of the file before.
    from kandji_uploader.status import summary

    updated = summary.moment(app.file_updated or "")
    at = updated.timestamp() if updated else float(reading.created_at or now)
    return replace(as_enforced(app, reading), version=reading.version or named or "", at=at)


def as_enforced(app: CustomApp, reading: audit.AuditReading) -> Release:
    """The release that an app's audit script enforces, as the script says it."""
    known = app.install_type in {kind.value for kind in InstallType}
    return Release(
        version=reading.version or "",
        sha256=app.sha256 or "",
        at=float(reading.created_at or 0),
        file_key=app.file_key,
        install_type=InstallType(app.install_type) if known else InstallType.PACKAGE,
        app_name=reading.app_name,
        bundle_id=reading.bundle_id,
        package_id=reading.pkg_id,
        version_key=reading.version_key,
    )


def named(plan: TargetPlan, app: CustomApp | None, plan_input: PlanInput) -> str:
    """The digest that names the release which an app has now; "" where that is not known.

    Without promotion none is noted: it is then that of the installer with what the app is given.
    """
    if app is None:
        return ""
    live = ledger(app, plan_input.remembered).current
    live = live if live is not None and live.surely_in(app) else None
    if live is not None and live.digest:
        return live.digest
    if not (plan.action.writes or plan.action is Action.UNCHANGED):
        return ""
    given = Contents.of(plan.target, plan_input.installer.type)
    ours = plan_input.installer.content or app.sha256 or ""
    return releases.digest_of(live.installer if live else ours, given, given)


def remember(
    plans: Sequence[TargetPlan],
    outcomes: Sequence[Outcome],
    sha256: str,
    plan_input: PlanInput,
    context: RunContext,
    by: str,
) -> None:
    """Add what was published to the history of each app, and note which release it has now."""
    for plan, item in zip(plans, outcomes, strict=True):
        written = context.tenant.written(item.app_id)
        key = written.file_key if written else plan.app.file_key if plan.app else ""
        notes = plan_input.notes.get(item.stage)
        if plan.distrusted or item.action.writes:
            refused = {"signer": plan.reason} if plan.distrusted else {}
            context.store.remember(refused_key(plan.target.name), refused)
        if item.action.writes and "file_key" in item.changes:
            _add_to_history(plan, _entry(item, sha256, key, by, plan_input, context), plan_input, context)
            signed = signed_by(plan.target, plan.app, plan_input)
            now = replace(coming(plan_input, sha256, context.now), signer=signed.signer, instead_of=signed.instead_of)
            notes = notes or releases.to_notes(replace(signed, current=now))
        if notes and item.app_id and not item.action.bad:
            context.store.remember(item.app_id, releases.with_key(notes, key))


def as_it_is(app: CustomApp, context: RunContext) -> tuple[CustomApp, Ledger]:
    """An app as it is at this moment, and what is remembered of it.

    Raises:
        TargetError: the app has got another file meanwhile.
        NetworkError, ApiError: it could not be read.
    """
    there = context.tenant.client.get_custom_app(app.id)
    if there.file_key != app.file_key:
        raise TargetError(f"{app.name!r}: somebody else has just put another file there; run again")
    return there, ledger(there, context.store.remembered())


def note(app: CustomApp, change: Callable[[Ledger], Ledger], context: RunContext) -> CustomApp:
    """Change what is remembered of an app, in Kandji and in the state folder, and nothing else of it.

    Of its audit script every other byte stays as it is, so the clock of its deadline does too.

    Args:
        app: what is meant.
        change: makes the ledger that is to be kept from the one that is there now.
        context: where the run takes place.

    Raises:
        TargetError: the app has got another file meanwhile, or its audit script is somebody else's.
        NetworkError, ApiError: it could not be read or written.
    """
    there, before = as_it_is(app, context)
    after = change(before)
    notes = releases.to_notes(after)
    script = with_notes(there, notes)
    if script != there.audit_script:
        there = context.tenant.client.update_custom_app(app.id, {"audit_script": script})
        context.tenant.put(there)
        if audit.read(there.audit_script).notes != notes:
            raise TargetError(f"{app.name!r}: Kandji did not keep what was noted in its audit script")
    # The key of the file is that of the noted release only where nobody has put another file there.
    context.store.remember(app.id, releases.with_key(notes, there.file_key) if noted(there, after) else notes)
    return there


def with_notes(app: CustomApp, notes: Mapping[str, str]) -> str:
    """The audit script of an app with these notes, and nothing else of it changed.

    Raises:
        TargetError: it is somebody else's.
    """
    if not app.audit_script.strip() and not audited(app):
        return audit.memory(notes)
    try:
        return audit.with_notes(app.audit_script, notes)
    except AuditScriptError as problem:
        raise TargetError(f"{app.name!r}: {problem}") from None


def refused_key(name: str) -> str:
    """By what it is remembered that a version was refused for who signed it, for `status`."""
    return f"refused {name}"


def _add_to_history(plan: TargetPlan, entry: Publication, plan_input: PlanInput, context: RunContext) -> None:
    """Add a publication to an app's history. If the release before it is missing there, it is added first."""
    before = plan.app
    history = context.store.history(before.id) if before else ()
    if before is not None and all(known.file_key != before.file_key for known in history):
        live = live_release(before, ledger(before, plan_input.remembered), context.now)
        former = replace(entry, version=live.version, sha256=live.sha256, file_key=before.file_key, at=live.at)
        context.store.note_published(replace(former, recipe="", signer=live.signer, digest=live.digest))
    context.store.note_published(entry)


def _entry(item: Outcome, sha256: str, key: str, by: str, plan_input: PlanInput, context: RunContext) -> Publication:
    signer = plan_input.looked.signer if plan_input.looked else ""
    return Publication(item.app_id, item.name, item.version, sha256, key, context.now, by, signer, item.digest)
