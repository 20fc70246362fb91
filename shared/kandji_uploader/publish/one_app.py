"""One app, always: what keeps two machines from making the same Custom App twice, with no server between them.

Every run does the same. It lists the apps again right before its create, creates, and lists once more. Of the apps of
that name which the list of its plan did not have, the oldest one (`created_at`, then id) stays. A run that has made
another one deletes it, and uses the one that stays. This ends with one app because:

- A list counts only if it shows our own app. Of two machines that have each seen their own, the one whose app came
  second has seen both. So a list that lags behind, or comes out of a cache, costs time but no second app.
- `created_at` is when the service began to make an app, and not when others can see it. So the older one may turn up
  after the other machine has looked; then that one's app stays, too. The machine of the older app sees that the other
  does not go away, and deletes its own. The time that is waited before the first look makes this seldom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kandji_uploader.errors import KandjiUploaderError, TargetError
from kandji_uploader.kandji.client import NotFoundError
from kandji_uploader.kandji.tenant import TenantView
from kandji_uploader.models import CustomApp

_LOOKS = 7
"""How often the list is read at the most until it shows our app, and until what others have made has gone. With the
default settings that is a minute, which outlasts the caches that were seen in front of the service (30 seconds)."""


@dataclass(frozen=True)
class Made:
    """An app that a run has made.

    Attributes:
        app: as the service answered.
        known: ids of the apps of that name which the list of the plan had.
        at: when it was answered, in epoch seconds; older lists do not count.
        unsure: whether we may have made more of them, since the create was sent again or its answer was lost; then
            each new one of that name and `file_key` is taken for ours. A `file_key` that another machine promotes at
            the same moment is the same one there; that machine would delete the younger one as well.
        another: whether one of that name was wanted beside all others (create_new).
    """

    app: CustomApp
    known: frozenset[str]
    at: float
    unsure: bool = False
    another: bool = False

    def has_made(self, app: CustomApp) -> bool:
        """Whether we made an app."""
        return app.id == self.app.id or (self.unsure and app.file_key == self.app.file_key)


def moment(told: str) -> tuple[str, str]:
    """A time as the service writes it (UTC, with a fraction or without), as a value that can be compared."""
    # As texts "...:05Z" comes after "...:05.9Z", although it is earlier.
    whole, _, fraction = told.rstrip("Z").partition(".")
    return whole, fraction.ljust(9, "0")


def age(app: CustomApp) -> tuple[tuple[str, str], str]:
    """What apps are sorted by, the oldest first."""
    return moment(app.created_at), app.id


def newcomers(tenant: TenantView, name: str, known: frozenset[str]) -> list[CustomApp]:
    """The apps of a name which a former list did not have, the oldest first."""
    return sorted((app for app in tenant.apps() if app.name == name and app.id not in known), key=age)


def settle(made: Made, tenant: TenantView, settle_time: float, say: Callable[[str], None]) -> CustomApp:
    """The app that stays, ours or another machine's; what we made beside it is deleted.

    Args:
        made: what we made; `settle_time` has passed since.
        tenant: the tenant.
        settle_time: seconds to wait between two looks at the least.
        say: called with a line for each app that is deleted.

    Raises:
        TargetError: the list does not show our app, cannot be read, or a twin cannot be deleted.
    """
    try:
        return _settle(made, tenant, settle_time, say)
    except TargetError:
        raise
    except KandjiUploaderError as problem:
        tenant.forget_apps()
        raise TargetError(
            f"{made.app.name!r} is in Kandji, but whether another run made one at the same moment is not known: "
            f"{problem}. Run again, which finds out"
        ) from None


def _settle(made: Made, tenant: TenantView, settle_time: float, say: Callable[[str], None]) -> CustomApp:
    policy = tenant.client.policy
    shown, ours = False, [made.app]
    others: list[CustomApp] = []
    for look in range(_LOOKS):
        if look:
            tenant.client.wait(max(settle_time, min(policy.first_wait * 2**look, policy.longest_wait)))
        # The first look may share a list with the other targets of the run, if it is young enough.
        tenant.forget_apps(before=None if look else made.at + settle_time)
        found = [app for app in newcomers(tenant, made.app.name, made.known) if not made.another or made.has_made(app)]
        shown = any(app.id == made.app.id for app in found)
        if not shown and _is_there(made.app, tenant):
            continue  # the list is older than our app
        if not found:
            raise TargetError(f"{made.app.name!r} was deleted in Kandji meanwhile. Run again, which plans again")
        # Both machines sort alike, by what the service says, so both come to the same app without asking each other.
        first = found[0]
        ours = [app for app in found if made.has_made(app)]
        others = [app for app in found if not made.has_made(app)]
        # Only what this run has made: an app of somebody else is never deleted, not even a twin.
        _delete([app for app in ours if app.id != first.id], tenant, say)
        # Ours is the oldest, and others are there: they should go away by themselves, which is waited for.
        if first in others or not others:
            return first
    if not shown:
        tenant.put(made.app)
        raise TargetError(
            f"{made.app.name!r} is in Kandji, but its list does not show it yet, so whether another run made one at "
            "the same moment is not known. Run again, which finds out"
        )
    return _gave_way(ours, others, tenant, say)


def _gave_way(
    ours: list[CustomApp], others: list[CustomApp], tenant: TenantView, say: Callable[[str], None]
) -> CustomApp:
    """The oldest of the other apps. It stays: its machine has not seen ours, or a person has made it."""
    there = [app for app in others if _is_there(app, tenant)]
    if not there:
        return ours[0]
    _delete(ours, tenant, say)
    return there[0]


def _is_there(app: CustomApp, tenant: TenantView) -> bool:
    try:
        tenant.client.get_custom_app(app.id)
    except NotFoundError:
        tenant.drop(app.id)
        return False
    return True


def _delete(twins: list[CustomApp], tenant: TenantView, say: Callable[[str], None]) -> None:
    for app in twins:
        say(f"{app.name!r} was created twice at the same moment; deleting the one that we made ({app.id})")
        try:
            tenant.client.delete_custom_app(app.id)
        except NotFoundError:
            pass
        except KandjiUploaderError as problem:
            tenant.forget_apps()
            raise TargetError(
                f"{app.name!r} was created twice at the same moment, and the one that we made ({app.id}) could not be "
                f"deleted: {problem}. Look in Kandji, and delete one if there are two"
            ) from None
        tenant.drop(app.id)
