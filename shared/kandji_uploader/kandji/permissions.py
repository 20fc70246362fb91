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
        method: of the request that needs it.
        address: of that request; the nil UUID stands for any id.
        always: whether nothing can be published without it.
        granted: the statuses by which the answer to that request, sent with the nil UUID and without any field, tells
            that the permission is there; see `probe`.
    """

    name: str
    purpose: str
    method: str
    address: str
    always: bool = False
    granted: tuple[int, ...] = REFUSED


PROBED = (
    Permission(
        "List Custom Apps", "to read the Custom Apps", "GET", "library/custom-apps", always=True, granted=LISTED
    ),
    Permission("Get Custom App", "to read the Custom Apps", "GET", f"library/custom-apps/{NOBODY}", always=True),
    Permission("Create Custom App", "to publish", "POST", "library/custom-apps", always=True),
    Permission("Update Custom App", "to publish", "PATCH", f"library/custom-apps/{NOBODY}", always=True),
    Permission("Upload Custom App", "to publish", "POST", "library/custom-apps/upload", always=True),
    Permission(
        "Delete Custom App",
        "only for an app made at the same moment as another machine's, or with wrong bytes",
        "DELETE",
        f"library/custom-apps/{NOBODY}",
    ),
    Permission(
        "List Self Service Categories", "only for Self Service", "GET", "self-service/categories", granted=LISTED
    ),
    Permission("List Blueprints", "only for the `blueprints` key", "GET", "blueprints", granted=LISTED),
    Permission("List Library Items", "only for the `blueprints` key", "GET", f"blueprints/{NOBODY}/list-library-items"),
    Permission(
        "Assign Library Item", "only for the `blueprints` key", "POST", f"blueprints/{NOBODY}/assign-library-item"
    ),
    Permission(
        "Get Library Item Activity",
        "to see that two machines changed an app at the same moment",
        "GET",
        f"library/library-items/{NOBODY}/activity",
    ),
    Permission(
        "Get Library Item Statuses", "only for promotion and `status`", "GET", f"library/library-items/{NOBODY}/status"
    ),
    Permission(
        "List Vulnerabilities",
        "only for `fast_lane`",
        "GET",
        "vulnerability-management/vulnerabilities",
        granted=LISTED,
    ),
    Permission(
        "List Affected Software",
        "only for `fast_lane`",
        "GET",
        f"vulnerability-management/vulnerabilities/{NOBODY}/software",
        granted=(*LISTED, *REFUSED),
    ),
    Permission("Perform Daily Check-in", "only for `nudge`", "POST", f"devices/{NOBODY}/action/dailycheckin"),
)
"""Those that a token is probed for, in the order in which they matter."""

_UNPROBED = (
    Permission("Get Blueprint", "", "GET", f"blueprints/{NOBODY}"),
    Permission("Remove Library Item", "", "POST", f"blueprints/{NOBODY}/remove-library-item"),
    Permission("Applications", "", "GET", "prism/apps", granted=LISTED),
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
