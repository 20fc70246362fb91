"""Put a former installer back into a Custom App, and with it the version that is enforced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import TargetError
from kandji_uploader.kandji.tenant import TenantView
from kandji_uploader.models import Action, CustomApp, Enforcement, Outcome, Stage, Target
from kandji_uploader.promotion.promote import plan_input_of_release
from kandji_uploader.publish import matching, plan, releases
from kandji_uploader.publish.carry_out import Job, carry_out
from kandji_uploader.publish.context import RunContext
from kandji_uploader.publish.history import live_release, noted
from kandji_uploader.publish.refresh import with_digest
from kandji_uploader.publish.releases import Ledger, Release
from kandji_uploader.publish.request import Host


def go_back(app: CustomApp, context: RunContext, host: Host, *, to: str | None = None) -> Outcome:
    """Put a former release back into an app; what it has now is marked as rolled back.

    Args:
        app: the app.
        context: where the run takes place.
        host: where messages go.
        to: the version to go back to; the one before the present one by default.

    Raises:
        TargetError: nothing is known that it had before.
        KandjiUploaderError: nothing was changed.
    """
    app = with_digest(app, context)
    ledger = _with_file_of_current(_everything_known(app, context), app, context.tenant)
    live = live_release(app, ledger, context.now)
    ours = noted(app, ledger) or any(item.file_key == app.file_key for item in ledger.former)
    if to is None and ledger.current is not None and not (ours or ledger.current.file_key):
        raise TargetError(_lost_file(app, live, ledger))
    ledger = releases.displaced(ledger, live)
    release = releases.former_release(live, ledger, to, foreign=not ours)
    if release is None:
        raise TargetError(_nothing_to_go_back_to(app, live, ledger, to))
    return _put_back(app, live, release, ledger, context, host)


def as_live(target: Target, reading: audit.AuditReading) -> Target:
    """The target; values of the audit script that no setting gives are taken from a live script."""
    blocking = target.blocking_applications
    return replace(
        target,
        blocking_applications=reading.blocking_applications if blocking is None else blocking,
        minimum_os_version=target.minimum_os_version or reading.minimum_os_version,
    )


def _everything_known(app: CustomApp, context: RunContext) -> Ledger:
    """The releases of an app from its audit script, the state folder and the history of this machine."""
    history = [item for item in context.store.history(app.id) if item.file_key]
    ends = [*(item.at for item in history[1:]), 0.0]
    published = tuple(
        Release(item.version, item.sha256, item.at, item.file_key, until=until, signer=item.signer)
        for item, until in zip(history, ends, strict=False)
    )
    return releases.merge(plan.ledger(app, context.store.remembered()), Ledger(former=published))


def _with_file_of_current(ledger: Ledger, app: CustomApp, tenant: TenantView) -> Ledger:
    """The ledger with the `file_key` of what this tool has put there last.

    The audit script could not name it: it was written with the upload. Another app with the same bytes has it, mostly
    the test app.
    """
    current = ledger.current
    if current is None or current.file_key or current.held_by(app.sha256, app.file_key):
        return ledger
    keys = (other.file_key for other in tenant.apps() if other.sha256 and other.sha256 == current.sha256)
    return replace(ledger, current=replace(current, file_key=next(keys, "")))


def _lost_file(app: CustomApp, live: Release, ledger: Ledger) -> str:
    known = ", ".join(dict.fromkeys(str(item) for item in ledger.former)) or "none"
    return (
        f"{app.name!r} had {ledger.current} before somebody else put {live} there, and which file of Kandji's that was "
        f"is not known here. Publish that installer with allow_downgrade instead, or name an older version: {known}"
    )


def _nothing_to_go_back_to(app: CustomApp, live: Release, ledger: Ledger, to: str | None) -> str:
    known = ", ".join(dict.fromkeys(str(item) for item in ledger.former if item.mark != live.mark)) or "none"
    asked = (
        f"version {to} of {app.name!r} is not known here" if to else f"nothing is known that {app.name!r} had before"
    )
    return f"{asked}. It has {live}; known former versions: {known}. Publish the installer with allow_downgrade instead"


def _put_back(
    app: CustomApp, live: Release, release: Release, ledger: Ledger, context: RunContext, host: Host
) -> Outcome:
    reading = audit.read(app.audit_script)
    delay = context.settings.prod.delay_days if reading.days is None else reading.days
    bare = Target(stage=Stage.PROD, name=app.name, enforcement=Enforcement.AUDIT_ENFORCE, delay_days=delay)
    target = as_live(bare, reading)
    after = releases.taken(ledger, live, replace(release, at=context.now, until=0.0, health=None, digest=""))
    match = matching.Match(app, "found by name")
    # Who goes back by hand wants who signed it then, too; but not what nobody has ever looked at.
    let = replace(release, instead_of=ledger.signer if release.signer else "")
    plan_input = plan_input_of_release(target, match, let, after, context, by_hand=True)
    found = plan.plan_target(target, plan_input)
    found = replace(found, reason=found.reason if found.action.bad else f"from {live} back to {release}")
    gone = f"the file of version {release} is no longer in Kandji; publish the installer with allow_downgrade instead"
    job = Job(Path(plan_input.installer.name), "rollback", gone)
    (outcome,), _ = carry_out((found,), plan_input, context, host, job)
    return replace(outcome, action=Action.ROLL_BACK) if outcome.action.writes else outcome
