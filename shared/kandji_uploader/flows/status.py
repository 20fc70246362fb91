"""The fleet's status of Custom Apps, as a flow: which apps, what they enforce, and what their Macs say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone

from kandji_uploader.flows.promote import Pair, app_named, pairs
from kandji_uploader.kandji.tenant import TenantView
from kandji_uploader.models import Candidate, CustomApp, Settings, Stage
from kandji_uploader.promotion.promote import candidate, outlook, reported
from kandji_uploader.publish import matching, plan, signers
from kandji_uploader.publish.carry_out import console_link
from kandji_uploader.publish.context import open_context, open_tenant
from kandji_uploader.publish.history import live_release, refused_key
from kandji_uploader.publish.request import Host
from kandji_uploader.publish.resolve import chain_of, settings_of
from kandji_uploader.publish.signers import Looked
from kandji_uploader.publish.targets import Hop
from kandji_uploader.state import store_of
from kandji_uploader.status import summary
from kandji_uploader.status.models import AppStatus

_Found = tuple[str, "Stage | None", "Hop | None"]
"""A Custom App with its stage, and with what takes from it, where a map tells."""


def statuses(
    names: Sequence[str], host: Host, keys: Mapping[str, object] | None = None, *, every_pair: bool = False
) -> tuple[AppStatus, ...]:
    """The apps of these names, each with its figures.

    Args:
        names: Custom Apps; or entries of a map with `promotion` or `rings`, which stand for those of their apps that
            there are.
        host: where messages go.
        keys: settings of this call, such as `kandji.api_url`.
        every_pair: every entry of the maps with `promotion` or `rings`.

    Raises:
        TargetError: there is no such app, or there are several.
        KandjiUploaderError: the tenant could not be read.
    """
    settings = settings_of(host, keys)
    known = pairs(host, keys)
    tenant = open_tenant(settings, host)
    asked = [*names, *(pair.entry for pair in known if every_pair)]
    wanted = {app: (stage, hop) for name in asked for app, stage, hop in _there(_apps(name, known), tenant)}
    return tuple(_of(app_named(name, tenant), *found, settings, host) for name, found in wanted.items())


def _there(found: list[_Found], tenant: TenantView) -> list[_Found]:
    """Those that there are; all of them where there is none, which is told then."""
    return [each for each in found if matching.by_name(tenant.apps(), each[0])] or found


def _apps(name: str, known: Sequence[Pair]) -> list[_Found]:
    """The Custom Apps that a name stands for, each with its stage and with what takes from it, where a map tells."""
    for pair in known:
        if name not in pair.names:
            continue
        targets, moves = chain_of(pair.settings)
        every = [(target.name, target.stage, hop) for target, hop in zip(targets, (*moves, None), strict=True)]
        return [each for each in every if each[0] == name] or [*every]
    return [(name, None, None)]


def _of(app: CustomApp, stage: Stage | None, hop: Hop | None, settings: Settings, host: Host) -> AppStatus:
    tenant = open_tenant(settings, host)
    remembered = store_of(settings).remembered()
    ledger = plan.ledger(app, remembered)
    release = live_release(app, ledger, host.now())
    return AppStatus(
        name=app.name,
        figures=summary.summarise(tenant.client.library_item_statuses(app.id), moment_of(host)),
        stage=stage,
        version=release.version,
        link=console_link(settings.api_url, app),
        signer=signers.told(Looked(ledger.signer), ledger.instead_of or ledger.signer),
        halted=f"{ledger.halted.release}: {ledger.halted.why}" if ledger.halted else "",
        samples=tuple(told for each in release.soak.samples if (told := reported(each))) if release.soak else (),
        refused=remembered.get(refused_key(app.name), {}).get("signer", ""),
        candidates=_candidates(hop, host) if hop is not None else (),
    )


def _candidates(hop: Hop, host: Host) -> tuple[Candidate, ...]:
    """The releases of a test app or ring that may move on, each with what holds it by the rules of its map."""
    settings = hop.settings
    context = open_context(open_tenant(settings, host), settings, host)
    found = outlook(hop, context)
    wanted = settings.promotion
    assert wanted is not None, "a hop has rules"  # noqa: S101 - see `Hop`
    return tuple(candidate(release, decision, wanted, context.now) for release, decision in found)


def moment_of(host: Host) -> datetime:
    """The present, with a time zone."""
    return datetime.fromtimestamp(host.now(), timezone.utc)


def as_json(app: AppStatus) -> dict[str, object]:
    """The figures for machines; times in ISO 8601."""
    return {name: _plain(value) for name, value in asdict(app).items()}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(inside) for key, inside in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inside) for inside in value]
    return value
