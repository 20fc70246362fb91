"""A tenant as one process sees it: its lists are fetched seldom and kept true by our own writes.

AutoPkg runs hundreds of recipes in one process; the library stays loaded, and so do the session and the list, for as
long as they may be believed: people work in the console meanwhile, and tokens are revoked.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from kandji_uploader._util import timings
from kandji_uploader._util.secret import Secret
from kandji_uploader.http.tries import Policy
from kandji_uploader.kandji.client import Client, NotFoundError
from kandji_uploader.models import Blueprint, Category, CustomApp

if TYPE_CHECKING:
    from kandji_uploader.status.models import AffectedSoftware, Vulnerability

MAX_AGE = 900.0
"""Seconds for which what was read of a tenant is believed when a run begins. Most runs of AutoPkg that find nothing
new end within them, and cost one list; in one of hours, what people did in Kandji shows a quarter of an hour later."""


class TenantView:
    """The Custom Apps, Self Service categories and Blueprints of a tenant, each fetched when first asked for."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._lock = threading.RLock()
        self._apps: dict[str, CustomApp] | None = None
        self._listed: tuple[CustomApp, ...] | None = None
        self._written: dict[str, CustomApp] = {}
        self._fetched = 0.0
        self._read_at = self._read_on = math.inf
        self._categories: tuple[Category, ...] | None = None
        self._blueprints: tuple[Blueprint, ...] | None = None
        self._items: dict[str, frozenset[str]] = {}
        self._vulnerabilities: tuple[Vulnerability, ...] | None = None
        self._affected: dict[str, tuple[AffectedSoftware, ...]] = {}
        self._packed: bytes | None = None
        self._resting = False

    def rest(self) -> None:
        """Take less memory, until something is asked."""
        import zlib

        with self._lock:
            if self._apps is None or self._resting:
                return
            if self._packed is None:
                self._packed = zlib.compress(_pickled((self._apps, self._written)), 1)
            self._apps, self._listed, self._written, self._resting = None, None, {}, True

    def _awake(self, *, to_change: bool = False) -> None:
        """Have all at hand again; to be called with the lock, before the apps are looked at."""
        if self._resting and self._packed is not None:
            import pickle
            import zlib

            self._apps, self._written = pickle.loads(zlib.decompress(self._packed))  # noqa: S301 - our own bytes
            self._resting = False
        if to_change:
            self._packed = None

    def apps(self) -> tuple[CustomApp, ...]:
        """Every Custom App; the same value until one of them changes."""
        with self._lock:
            self._awake()
            if self._apps is None:
                self._noted_as_read()
                self._fetched = time.time()
                with timings.at("list"):
                    self._apps = {app.id: app for app in self.client.list_custom_apps()}
                self._listed = None
            if self._listed is None:
                self._listed = tuple(self._apps.values())
            return self._listed

    def listed(self) -> tuple[CustomApp, ...]:
        """Every Custom App, as far as the list was read already."""
        with self._lock:
            return () if self._apps is None else tuple(self._apps.values())

    def categories(self) -> tuple[Category, ...]:
        """Every Self Service category."""
        with self._lock:
            if self._categories is None:
                self._noted_as_read()
                self._categories = self.client.list_categories()
            return self._categories

    def blueprints(self) -> tuple[Blueprint, ...]:
        """Every Blueprint."""
        with self._lock:
            if self._blueprints is None:
                self._noted_as_read()
                self._blueprints = self.client.list_blueprints()
            return self._blueprints

    def blueprint_items(self, blueprint_id: str) -> frozenset[str]:
        """The ids of the Library Items of a Blueprint; the API does not tell at which node of an Assignment Map."""
        with self._lock:
            if blueprint_id not in self._items:
                self._noted_as_read()
                items = self.client.list_blueprint_items(blueprint_id)
                self._items[blueprint_id] = frozenset(item_id for item_id, _ in items)
            return self._items[blueprint_id]

    def vulnerabilities(self) -> tuple[Vulnerability, ...]:
        """What the service has found on Macs. That it cannot be read is raised once; then nothing counts as found."""
        with self._lock:
            if self._vulnerabilities is None:
                self._noted_as_read()
                self._vulnerabilities = ()
                self._vulnerabilities = tuple(self.client.list_vulnerabilities())
            return self._vulnerabilities

    def affected_software(self, cve: str) -> tuple[AffectedSoftware, ...]:
        """What has a vulnerability. That it cannot be read is raised once; then nothing counts as found."""
        with self._lock:
            if cve not in self._affected:
                known, self._vulnerabilities = self._vulnerabilities, ()
                with contextlib.suppress(NotFoundError):  # it was closed meanwhile
                    self._affected[cve] = tuple(self.client.affected_software(cve))
                self._vulnerabilities = known
            return self._affected.get(cve, ())

    def assign(self, blueprint_id: str, app_id: str, node_id: str | None) -> None:
        """Assign an app to a Blueprint or to a node of it; raises as `Client.assign_library_item`."""
        self.client.assign_library_item(blueprint_id, app_id, node_id)
        with self._lock:
            if blueprint_id in self._items:
                self._items[blueprint_id] |= {app_id}

    @property
    def list_was_cached(self) -> bool:
        """Whether the list came out of a cache when it was fetched last, so that it may lack what was just made."""
        return self.client.list_was_cached

    def begin_run(self, since: float | None = None) -> None:
        """Forget all that is too old for a run that begins now: older than `MAX_AGE`, or read before `since`.

        Only here: a run decides by one list. What it has to read again later, it asks for itself.

        Args:
            since: by `time.monotonic`; what was read before that is not believed.
        """
        with self._lock:
            # A Mac that sleeps stops its monotonic clock, but not the people who work in Kandji.
            age = max(time.monotonic() - self._read_at, time.time() - self._read_on)
            if age > MAX_AGE or (since is not None and self._read_at < since):
                self._awake(to_change=True)
                self._apps = self._categories = self._blueprints = self._vulnerabilities = None
                self._items, self._affected = {}, {}
                self._read_at, self._read_on = math.inf, math.inf

    def _noted_as_read(self) -> None:
        """Remember when the oldest of the kept data was read."""
        self._read_at = min(self._read_at, time.monotonic())
        self._read_on = min(self._read_on, time.time())

    def now(self) -> float | None:
        """The time by the service's clock, epoch seconds; None where it does not tell.

        If no answer has told it yet, the list is read for it.
        """
        if self.client.clock_skew is None:
            self.forget_apps()
        self.apps()
        skew = self.client.clock_skew
        return None if skew is None else time.time() + skew

    def forget_apps(self, before: float | None = None) -> None:
        """The list is to be fetched again: a write of ours has an unknown end, or another run has written.

        Args:
            before: forget it only if it was fetched before that time (epoch seconds).
        """
        with self._lock:
            if before is None or self._fetched <= before:
                self._awake(to_change=True)
                self._apps = None

    def put(self, app: CustomApp) -> None:
        """Take what the service answered to a write (or a get) into the list."""
        with self._lock:
            self._awake(to_change=True)
            self._written[app.id] = app
            if self._apps is None:
                return
            known = self._apps.get(app.id)
            if known is not None and app.sha256 is None and app.file_key == known.file_key:
                app = replace(app, sha256=known.sha256)
            self._apps[app.id] = app
            self._listed = None

    def written(self, app_id: str) -> CustomApp | None:
        """The latest that the service answered about one app, without asking it; None where it was only listed."""
        with self._lock:
            self._awake()
            return self._written.get(app_id)

    def drop(self, app_id: str) -> None:
        """The app is no longer there."""
        with self._lock:
            self._awake(to_change=True)
            if self._apps is not None:
                self._apps.pop(app_id, None)
                self._listed = None


def _pickled(value: object) -> bytes:
    """A value as bytes; a read-only mapping, which Python does not pickle, as the mapping in it."""
    import io
    import pickle

    written = io.BytesIO()
    pickler = pickle.Pickler(written)
    pickler.dispatch_table = {MappingProxyType: lambda proxy: (_read_only, (dict(proxy),))}
    pickler.dump(value)
    return written.getvalue()


def _read_only(mapping: dict[str, object]) -> MappingProxyType[str, object]:
    return MappingProxyType(mapping)


_views: dict[tuple[str, Secret], TenantView] = {}
_views_lock = threading.Lock()


def view(api_url: str, token: Secret, policy: Policy) -> TenantView:
    """The view of a tenant, shared by all runs of this process with that token.

    There is one list of a tenant, whatever the policies of its runs, or one would not see what another has written;
    the policy of the latest run holds.
    """
    key = (api_url, token)
    with _views_lock:
        known = _views.get(key)
        if known is None:
            known = _views[key] = TenantView(Client(api_url, token, policy))
        elif known.client.policy != policy:
            known.client = Client(api_url, token, policy)
        return known


def rest(api_url: str) -> None:
    """A tenant is not used for now, since others have their turn: it takes less memory until it is.

    What is known of 400 apps with audit scripts is 1 MiB, and 60 KiB then.
    """
    for known in _of(api_url):
        known.rest()


def let_go(api_url: str) -> None:
    """A tenant is done: forget what was read of it, and close its connections."""
    with _views_lock:
        for key in [key for key in _views if key[0] == api_url]:
            _views.pop(key).client.close()


def _of(api_url: str) -> list[TenantView]:
    with _views_lock:
        return [known for key, known in _views.items() if key[0] == api_url]


def listed_names() -> tuple[str, ...]:
    """The names of the Custom Apps of all tenants whose list this process has read, as far as it still believes it."""
    with _views_lock:
        return tuple(app.name for each in _views.values() for app in each.listed())


def forget_all() -> None:
    """Forget every view, as a new process would start."""
    with _views_lock:
        _views.clear()
