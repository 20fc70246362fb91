"""Where a run takes place: the tenant, the state folder, the time, and the locks on its Custom Apps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from kandji_uploader.http.addresses import is_loopback
from kandji_uploader.http.tries import Policy, tell_to
from kandji_uploader.kandji.tenant import TenantView, view
from kandji_uploader.models import Settings
from kandji_uploader.publish.releases import Health
from kandji_uploader.publish.request import Host
from kandji_uploader.publish.targets import RecipeFacts
from kandji_uploader.settings import credentials
from kandji_uploader.state import StateStore, store_of

_NOTHING_GIVEN = RecipeFacts()


@dataclass(frozen=True)
class RunContext:
    """Where a run takes place.

    Attributes:
        tenant: the tenant's view.
        store: the state folder.
        settings: what holds.
        now: epoch seconds, by the service's clock where it tells.
        given: what the caller knows of the installer.
        warn: called with each warning.
        clock_ahead: seconds that this machine's clock is ahead of the service's; None where that is not known.
        said: what the Macs said in this run, by app and release.
        force: whether a release moves also over a file that somebody else has put into the prod app.
    """

    tenant: TenantView
    store: StateStore
    settings: Settings
    now: float
    given: RecipeFacts
    warn: Callable[[str], None]
    clock_ahead: float | None = None
    said: dict[tuple[str, str], Health | None] = field(default_factory=dict)
    force: bool = False


def open_tenant(settings: Settings, host: Host) -> TenantView:
    """The tenant of these settings, shared by all runs of the process.

    Raises:
        CredentialError: there is no token.
    """
    token = host.token or credentials.api_token(settings, host.environ)
    policy = Policy(
        connect_timeout=settings.connect_timeout,
        idle_timeout=settings.idle_timeout,
        tries=settings.tries,
        first_wait=settings.first_wait,
        processing_budget=settings.processing_timeout,
    )
    tenant = view(settings.api_url, token, policy)
    tell_to(host.say)
    tenant.begin_run(host.batch.began if host.batch else None)
    return tenant


def open_context(tenant: TenantView, settings: Settings, host: Host, given: RecipeFacts = _NOTHING_GIVEN) -> RunContext:
    """The context of a run. It goes by the service's time, since other machines read what this one notes.

    If this machine's clock is wrong, the user is warned.

    Raises:
        KandjiUploaderError: the tenant could not be read.
    """
    now, ahead = host.now(), None
    told = tenant.now()
    if told is not None:
        ahead = now - told
        if abs(ahead) <= _CLOCK_GRAIN:
            ahead = 0.0
        now -= ahead
        _tell_of_clock(ahead, host)
    return RunContext(tenant, store_of(settings), settings, now, given, host.warn, ahead)


def _tell_of_clock(ahead: float, host: Host) -> None:
    if ahead:
        from kandji_uploader.promotion.rules import clock_problem

        if said := clock_problem(ahead):
            host.warn(f"{said}; Kandji's time is used. Set the clock (macOS: `sudo sntp -sS time.apple.com`)")


_CLOCK_GRAIN = 5.0
"""Seconds that a `Date` header, in whole seconds and some time on its way, does not tell."""


def settle_time(settings: Settings) -> float:
    """Seconds to settle. For a tenant on this machine 0 is the default: its lists do not lag behind."""
    by_default = settings.origins.get("network.settle_time", "default") == "default"
    return 0.0 if by_default and is_loopback(urlsplit(settings.api_url).hostname) else settings.settle_time


@contextlib.contextmanager
def locked(
    settings: Settings,
    names: tuple[str, ...],
    host: Host,
    given: RecipeFacts = _NOTHING_GIVEN,
    patience: float = 900.0,
) -> Iterator[RunContext]:
    """The context of a run, with the Custom Apps of these names locked while it lasts.

    Args:
        settings: what holds.
        names: of the Custom Apps.
        host: where messages go, and when the run may begin.
        given: what the caller knows of the installer.
        patience: seconds to wait for another run that publishes one of them.

    Raises:
        CredentialError: there is no token.
        LockedError: another run is publishing one of them.
    """
    tenant = open_tenant(settings, host)
    with contextlib.ExitStack() as locks:
        with host.turn.entering():
            changed = locks.enter_context(store_of(settings).lock(names, patience, host.say))
        tenant.forget_apps(before=changed)
        yield open_context(tenant, settings, host, given)
