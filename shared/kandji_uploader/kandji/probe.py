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

from enum import Enum

from kandji_uploader.errors import ApiError, AuthenticationError, MissingPermissionError
from kandji_uploader.kandji.permissions import LISTED, Permission
from kandji_uploader.kandji.transport import Answer, Transport


class State(str, Enum):
    """Whether the token has a permission."""

    GRANTED = "granted"
    MISSING = "missing"
    UNKNOWN = "unknown"


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
    if answer.status not in LISTED or answer.is_page:
        raise _not_the_api(answer.request, answer.status, answer.hidden(answer.text))


def _not_the_api(request: str, status: int | None, body: str) -> ApiError:
    advice = "this is not how Kandji's API answers. Check the API URL, and whether a proxy is in between"
    return ApiError(request, status, advice, body=body)
