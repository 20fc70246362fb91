"""What an API token may do, found out without changing anything in the tenant.

Kandji has no request that tells a token's permissions, so each is tried with a request that cannot do anything:

- lists are read;
- requests about a single thing name the nil UUID, which no thing has: 404 where it is allowed, 403 where not;
- a create and an upload ticket are asked for without any field, though some are required: 400 where it is allowed. If
  a service gave a ticket all the same, nothing would come of it: no Custom App would name the upload.

That works because the service looks at the permission before it looks at anything else (401, then 403, then 400 and
404); an answer that fits none of these says nothing, and is told as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from kandji_uploader.errors import ApiError, AuthenticationError, MissingPermissionError
from kandji_uploader.kandji.transport import Answer, Transport

_NOBODY = "00000000-0000-0000-0000-000000000000"
_LISTED = (200,)
_REFUSED = (400, 404)


class State(str, Enum):
    """Whether the token has a permission."""

    GRANTED = "granted"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Permission:
    """A permission, as Kandji's token settings name it.

    Attributes:
        name: its name.
        purpose: what it is needed for.
        always: whether nothing can be published without it.
        method: of the request that tells.
        address: of that request.
        granted: the statuses of its answer that say that it is there.
    """

    name: str
    purpose: str
    always: bool
    method: str
    address: str
    granted: tuple[int, ...]


ALL = (
    Permission("List Custom Apps", "to read the Custom Apps", True, "GET", "library/custom-apps", _LISTED),
    Permission("Get Custom App", "to read the Custom Apps", True, "GET", f"library/custom-apps/{_NOBODY}", _REFUSED),
    Permission("Create Custom App", "to publish", True, "POST", "library/custom-apps", _REFUSED),
    Permission("Update Custom App", "to publish", True, "PATCH", f"library/custom-apps/{_NOBODY}", _REFUSED),
    Permission("Upload Custom App", "to publish", True, "POST", "library/custom-apps/upload", _REFUSED),
    Permission(
        "Delete Custom App",
        "only for an app made at the same moment as another machine's, or with wrong bytes",
        False,
        "DELETE",
        f"library/custom-apps/{_NOBODY}",
        _REFUSED,
    ),
    Permission(
        "List Self Service Categories", "only for Self Service", False, "GET", "self-service/categories", _LISTED
    ),
    Permission("List Blueprints", "only for the `blueprints` key", False, "GET", "blueprints", _LISTED),
    Permission(
        "List Library Items",
        "only for the `blueprints` key",
        False,
        "GET",
        f"blueprints/{_NOBODY}/list-library-items",
        _REFUSED,
    ),
    Permission(
        "Assign Library Item",
        "only for the `blueprints` key",
        False,
        "POST",
        f"blueprints/{_NOBODY}/assign-library-item",
        _REFUSED,
    ),
    Permission(
        "Get Library Item Activity",
        "to see that two machines changed an app at the same moment",
        False,
        "GET",
        f"library/library-items/{_NOBODY}/activity",
        _REFUSED,
    ),
    Permission(
        "Get Library Item Statuses",
        "only for promotion and `status`",
        False,
        "GET",
        f"library/library-items/{_NOBODY}/status",
        _REFUSED,
    ),
)
"""In the order in which they matter."""


def check(transport: Transport, permission: Permission) -> State:
    """Whether the token of a transport has a permission.

    Raises:
        AuthenticationError: the token is not accepted at all.
        NetworkError: the service was not reached.
    """
    try:
        answer = transport.request(permission.method, permission.address, repeat=permission.method == "GET")
    except MissingPermissionError:
        return State.MISSING
    except AuthenticationError:
        raise
    except ApiError:
        return State.UNKNOWN
    return State.GRANTED if answer.status in permission.granted else State.UNKNOWN


def reach(transport: Transport) -> None:
    """Find out that it is Kandji's API that answers at an address; the transport's token may be a made-up one.

    Raises:
        NetworkError: nobody answers.
        ApiError: somebody else answers.
    """
    try:
        answer: Answer = transport.request("GET", "library/custom-apps")
    except (AuthenticationError, MissingPermissionError) as refused:
        if refused.body.lstrip()[:1] == "<":
            raise _not_the_api(refused.request, refused.status, refused.body) from None
        return
    if answer.status not in _LISTED or answer.is_page:
        raise _not_the_api(answer.request, answer.status, answer.hidden(answer.text))


def _not_the_api(request: str, status: int | None, body: str) -> ApiError:
    advice = "this is not how Kandji's API answers. Check the API URL, and whether a proxy is in between"
    return ApiError(request, status, advice, body=body)
