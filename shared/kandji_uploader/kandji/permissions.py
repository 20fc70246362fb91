"""The permissions of an API token: the one table of their names, as Kandji's token settings show them."""

from __future__ import annotations

import re
from dataclasses import dataclass

NOBODY = "00000000-0000-0000-0000-000000000000"
LISTED = (200,)
REFUSED = (400, 404)


@dataclass(frozen=True)
class Permission:
    """A permission, as Kandji's token settings name it.

    Attributes:
        name: its name.
        purpose: what it is needed for.
        always: whether nothing can be published without it.
        method: of the request that needs it.
        address: of that request; the nil UUID stands for any id.
        granted: the statuses by which the answer to that request, sent with the nil UUID and without any field, tells
            that the permission is there; see `probe`.
    """

    name: str
    purpose: str
    always: bool
    method: str
    address: str
    granted: tuple[int, ...]


PROBED = (
    Permission("List Custom Apps", "to read the Custom Apps", True, "GET", "library/custom-apps", LISTED),
    Permission("Get Custom App", "to read the Custom Apps", True, "GET", f"library/custom-apps/{NOBODY}", REFUSED),
    Permission("Create Custom App", "to publish", True, "POST", "library/custom-apps", REFUSED),
    Permission("Update Custom App", "to publish", True, "PATCH", f"library/custom-apps/{NOBODY}", REFUSED),
    Permission("Upload Custom App", "to publish", True, "POST", "library/custom-apps/upload", REFUSED),
    Permission(
        "Delete Custom App",
        "only for an app made at the same moment as another machine's, or with wrong bytes",
        False,
        "DELETE",
        f"library/custom-apps/{NOBODY}",
        REFUSED,
    ),
    Permission(
        "List Self Service Categories", "only for Self Service", False, "GET", "self-service/categories", LISTED
    ),
    Permission("List Blueprints", "only for the `blueprints` key", False, "GET", "blueprints", LISTED),
    Permission(
        "List Library Items",
        "only for the `blueprints` key",
        False,
        "GET",
        f"blueprints/{NOBODY}/list-library-items",
        REFUSED,
    ),
    Permission(
        "Assign Library Item",
        "only for the `blueprints` key",
        False,
        "POST",
        f"blueprints/{NOBODY}/assign-library-item",
        REFUSED,
    ),
    Permission(
        "Get Library Item Activity",
        "to see that two machines changed an app at the same moment",
        False,
        "GET",
        f"library/library-items/{NOBODY}/activity",
        REFUSED,
    ),
    Permission(
        "Get Library Item Statuses",
        "only for promotion and `status`",
        False,
        "GET",
        f"library/library-items/{NOBODY}/status",
        REFUSED,
    ),
    Permission(
        "List Vulnerabilities", "only for `fast_lane`", False, "GET", "vulnerability-management/vulnerabilities", LISTED
    ),
    Permission(
        "List Affected Software",
        "only for `fast_lane`",
        False,
        "GET",
        f"vulnerability-management/vulnerabilities/{NOBODY}/software",
        (*LISTED, *REFUSED),
    ),
    Permission(
        "Perform Daily Check-in",
        "only for `nudge`",
        False,
        "POST",
        f"devices/{NOBODY}/action/dailycheckin",
        REFUSED,
    ),
)
"""Those that a token is probed for, in the order in which they matter."""

_UNPROBED = (
    Permission("Get Blueprint", "", False, "GET", f"blueprints/{NOBODY}", REFUSED),
    Permission("Remove Library Item", "", False, "POST", f"blueprints/{NOBODY}/remove-library-item", REFUSED),
    Permission("Applications", "", False, "GET", "prism/apps", LISTED),
)
"""Those of requests that no publish needs."""


def needed_for(request: str) -> str:
    """The name of the permission for a request such as `POST library/custom-apps`; the request itself if not known."""
    method, _, path = request.partition(" ")
    for permission in (*PROBED, *_UNPROBED):
        pattern = re.escape(permission.address).replace(re.escape(NOBODY), "[^/]+")
        if method == permission.method and re.fullmatch(pattern, path):
            return permission.name
    return request
