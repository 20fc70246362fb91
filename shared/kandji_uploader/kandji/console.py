"""Whether a tenant's console has moved from kandji.io to iru.com; its API stays at the old address too.

The service tells it to anybody, at `TENANT.gateway[.eu].kandji.io`. Only the links that are shown depend on it, so it
is asked once a process, for a few seconds at the most, without the token; where it does not tell, nothing has moved.
"""

from __future__ import annotations

import json
import threading

from kandji_uploader.errors import KandjiUploaderError
from kandji_uploader.http.addresses import split
from kandji_uploader.http.session import Session
from kandji_uploader.http.tries import Policy

_ADDRESS = "/main-backend/app/v1/company/auth-migration-status"
_MOVED = ("STARTED", "COMPLETED")
_BRIEF = Policy(connect_timeout=5.0, idle_timeout=5.0, answer_time=5.0, answer_size=1 << 16)

_known: dict[str, bool] = {}
_lock = threading.Lock()


def has_moved(api_url: str) -> bool:
    """Whether the console of the tenant at `https://TENANT.api[.eu].kandji.io` is at iru.com now.

    Of any other address that is not asked: at iru.com a tenant has surely moved, and the embedded tenant never does.
    """
    if ".api." not in api_url or not (split(api_url).hostname or "").endswith(".kandji.io"):
        return False
    with _lock:
        if api_url not in _known:
            _known[api_url] = _asked(api_url.replace(".api.", ".gateway.") + _ADDRESS)
        return _known[api_url]


def _asked(url: str) -> bool:
    name = "GET auth-migration-status"
    try:
        with Session(_BRIEF, "the network") as session:
            told = json.loads(session.whole(name, session.open(name, "GET", url)))
    except (KandjiUploaderError, ValueError, RecursionError):
        return False
    return isinstance(told, dict) and told.get("auth_migration_status") in _MOVED
