"""Somebody approves of a release: it may move on from the Custom App that has it. That is kept in Kandji."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kandji_uploader._util import version as versions
from kandji_uploader.errors import TargetError
from kandji_uploader.flows.promote import Pair, app_named, asked_for
from kandji_uploader.promotion.promote import outlook
from kandji_uploader.promotion.rules import Decision, Kind
from kandji_uploader.publish.context import locked
from kandji_uploader.publish.history import note
from kandji_uploader.publish.releases import Ledger, Release
from kandji_uploader.publish.request import Host
from kandji_uploader.publish.resolve import chain_of
from kandji_uploader.publish.targets import Hop


@dataclass(frozen=True)
class Approval:
    """A release that may move on.

    Attributes:
        name: the Custom App that may take it.
        source: the Custom App that has it, or had it.
        version: its version.
        digest: what names it; "" where it was published by a version that noted none.
        news: whether nobody had approved of it before.
        tenant: the tenant's name; "" for the one of the settings.
    """

    name: str
    source: str
    version: str
    digest: str
    news: bool = True
    tenant: str = ""

    def __str__(self) -> str:
        had = "" if self.news else ", as it was before"
        return f"{self.name}: {self.version} of {self.source} is approved{had}"


def approve(
    names: Sequence[str],
    host: Host,
    *,
    ring: str | None = None,
    version: str | None = None,
    test: str | None = None,
    prod: str | None = None,
    keys: Mapping[str, object] | None = None,
) -> Approval:
    """Approve of a release. It stands for this release alone, also once a newer one has replaced it.

    Args:
        names: one name: a prod app, a test app or an entry of a map.
        host: where messages go.
        ring: the Custom App that may take it; needed where several wait for approval.
        version: which version; by default the one that waits for nothing else.
        test: a test app that is in no map.
        prod: its prod app.
        keys: settings of this call, such as `dry_run`.

    Raises:
        TargetError: it is not clear which release is meant, or there is none to approve of.
        KandjiUploaderError: nothing was changed.
    """
    hop = _gate(asked_for(names, host, keys, test=test, prod=prod), names, ring)
    rules, source, name = hop.settings.promotion, hop.targets[0].name, hop.targets[1].name
    assert rules is not None, "a hop has rules"  # noqa: S101 - see `Hop`
    settings = replace(hop.settings, promotion=replace(rules, approve=True), urgent=None)
    with locked(settings, (source,), host) as context:
        release = _meant(outlook(replace(hop, settings=settings), context), version, source, name)
        if not release.approved and not settings.dry_run:
            at = context.now
            note(app_named(source, context.tenant), lambda ledger: _approved(ledger, release, source, at), context)
    return Approval(name, source, str(release), release.digest, not release.approved, settings.tenant)


def _gate(pairs: Sequence[Pair], names: Sequence[str], ring: str | None) -> Hop:
    """The one way between two apps that is meant."""
    every = [hop for pair in pairs for hop in chain_of(pair.settings)[1]]
    asks = [hop for hop in every if not names or (hop.settings.promotion and hop.settings.promotion.approve)]
    found = [hop for hop in asks if hop.targets[1].name in ((ring,) if ring else names)] or ([] if ring else asks)
    if len(found) == 1:
        return found[0]
    rings = ", ".join(repr(hop.targets[1].name) for hop in asks)
    if found or asks:
        said = "several wait for approval" if found else f"no {ring!r} waits for approval"
        raise TargetError(f"{said}; name one with --ring: {rings}")
    raise TargetError(f"the rules of {names[0]!r} ask for no approval; add `approve: true` to them if they should")


def _meant(found: Sequence[tuple[Release, Decision]], version: str | None, source: str, name: str) -> Release:
    """The release that is meant, of those that may move on."""
    if not found:
        raise TargetError(f"{source!r} has nothing newer than {name!r}, so there is nothing to approve")
    known = ", ".join(dict.fromkeys(str(release) for release, _ in found))
    if version is not None:
        named = [release for release, _ in found if versions.compare(release.version, version) == 0]
        # Two may have one version: what the app has now is what people see.
        if not named or (len(named) > 1 and named[0].until):
            many = "has several releases of" if named else "has no"
            raise TargetError(f"{source!r} {many} version {version} that may move on to {name!r}; there are {known}")
        return named[0]
    due = [release for release, decision in found if decision.kind is Kind.APPROVAL]
    left = due or [release for release, _ in found if not release.approved] or [found[0][0]]
    if len(left) > 1:
        raise TargetError(f"{source!r} has several releases that may move on; name one with --version: {known}")
    return left[0]


def _approved(ledger: Ledger, release: Release, source: str, at: float) -> Ledger:
    """The ledger of the app that has the release, or had it, with the approval.

    Raises:
        TargetError: it is not among those that this tool has noted.
    """
    rows = [*ledger.former, *([ledger.current] if ledger.current else [])]
    if all(row.key != release.key for row in rows):
        text = f"this tool did not put {release} into {source!r}, so nothing can be noted of it; publish it again"
        raise TargetError(text)
    rows = [replace(row, approved=at) if row.key == release.key else row for row in rows]
    former, current = (rows[:-1], rows[-1]) if ledger.current else (rows, None)
    return replace(ledger, former=tuple(former), current=current)
