"""The API of the tenant, as its documentation says: a request with its body in, an answer out."""

from __future__ import annotations

import hmac
import json
import math
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from kandji_uploader.rehearsal import presigned, rules
from kandji_uploader.rehearsal.messages import Message, Reply, boundary_of, detail, form_fields, json_reply, not_found
from kandji_uploader.rehearsal.state import TenantState

PREFIX = "/api/v1/"
_ITEM = "([^/]+)"
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"
_EXTRAS = ("sha256", "self_service_category_id", "self_service_recommended")
_LARGEST_PAGE = 1000
_LAST_PAGE = 10**9
_A_SECOND, _AN_HOUR = 50, 10_000  # requests; documented, and told in headers, but only `rate_limit` is enforced


@dataclass(frozen=True)
class TenantOptions:
    """How the tenant behaves where its documentation leaves room.

    Attributes:
        page_size: rows on a page of a list where the client asks for no other number.
        list_sha256: whether list and get show `sha256`, `self_service_category_id` and `self_service_recommended`,
            which the documentation shows in the answers to create and update only.
        processing_polls: how many creates and updates in all are refused with 503 after each upload.
        processing_seconds: for how long they are refused after an upload, by the tenant's clock.
        policy_seconds: how long an upload ticket is valid, by the tenant's clock.
        keep_files: keep the uploaded bytes; otherwise their size and digest only.
        longest_name: characters that the name of an app may have; None for any number.
        trims_texts: take white space off both ends of every text that is written, as the Django REST framework does
            unless told otherwise; of names it is always taken.
        rate_limit: how many requests are answered in `rate_seconds` of real time; None for any number.
        rate_seconds: see `rate_limit`.
        macs: made-up Macs that install each Custom App, one every two seconds of the tenant's clock; they report on an
            app until its statuses are set.
    """

    page_size: int = 300
    list_sha256: bool = True
    processing_polls: int = 0
    processing_seconds: float = 0.0
    policy_seconds: float = 3600.0
    keep_files: bool = True
    longest_name: int | None = None
    trims_texts: bool = False
    rate_limit: int | None = None
    rate_seconds: float = 3600.0
    macs: int = 0


class Permissions:
    """What the token may do, by the names of the documented requests."""

    def __init__(self) -> None:
        self._revoked: set[str] = set()

    def revoke(self, *names: str) -> None:
        """Have these requests answered with 403.

        Raises:
            ValueError: no request has such a name.
        """
        unknown = set(names) - {route.permission for route in _ROUTES}
        if unknown:
            raise ValueError(f"no request is called {sorted(unknown)}")
        self._revoked.update(names)

    def grant(self, *names: str) -> None:
        """Allow these requests again; all of them where none is named."""
        self._revoked.difference_update(names or set(self._revoked))

    def __contains__(self, name: object) -> bool:
        return name not in self._revoked


class Api:
    """The requests below `/api/v1/`.

    Attributes:
        options: may be replaced at any time.
        permissions: what the token may do.
    """

    def __init__(self, state: TenantState, token: str, options: TenantOptions, origins: Mapping[str, str]) -> None:
        self.options = options
        self.permissions = Permissions()
        self._state = state
        self._token = token
        self._origins = origins
        self._rate = _Rate()

    def answer(self, message: Message, body: bytes) -> tuple[Reply, Mapping[str, Any]]:
        """Act on a request; returns the answer and the fields of its body."""
        limits, wait = self._rate.count(self.options)
        refusal = self._unauthorized(message) or _throttled(wait)
        reply, fields = (refusal, {}) if refusal is not None else self._found(message, body)
        return replace(reply, headers=MappingProxyType({**reply.headers, **limits})), fields

    def _found(self, message: Message, body: bytes) -> tuple[Reply, Mapping[str, Any]]:
        path = message.path.removeprefix(PREFIX)
        routes = [(route, found) for route in _ROUTES if (found := route.pattern.fullmatch(path))]
        if not routes:
            return not_found(), {}
        for route, found in routes:
            if route.method == message.method:
                return self._routed(route, found.groups(), message, body)
        return detail(405, f'Method "{message.method}" not allowed.'), {}

    def _routed(
        self, route: Route, arguments: Sequence[str], message: Message, body: bytes
    ) -> tuple[Reply, Mapping[str, Any]]:
        if route.permission not in self.permissions:
            return detail(403, "You do not have permission to perform this action."), {}
        fields = _fields(message, body)
        if isinstance(fields, Reply):
            return fields, {}
        with self._state.lock:
            return route.act(self, Call(message, arguments, fields)), fields

    def _unauthorized(self, message: Message) -> Reply | None:
        given = message.headers.get("authorization", "")
        expected = f"Bearer {self._token}"
        if hmac.compare_digest(given.encode(), expected.encode()):
            return None
        text = "Invalid token." if given else "Authentication credentials were not provided."
        return detail(401, text, {"WWW-Authenticate": "Bearer"})

    # Custom Apps

    def list_apps(self, call: Call) -> Reply:
        """Every Custom App, in pages."""
        apps = self._state.apps
        return self._page(
            call, len(apps), lambda start, stop: [self._shown(row["app"]) for row in apps.page(start, stop)]
        )

    def get_app(self, call: Call) -> Reply:
        """One Custom App."""
        app = self._state.app(call.arguments[0])
        return not_found() if app is None else json_reply(200, self._shown(app))

    def request_upload(self, call: Call) -> Reply:
        """Give an upload ticket for a file."""
        name = call.fields.get("name")
        if not isinstance(name, str) or not name.strip():
            return json_reply(400, {"name": ["This field is required."]})
        expired = call.message.fault == "expired_policy"
        ticket = presigned.issue(
            self._state, name, self._origins["outside"], -60.0 if expired else self.options.policy_seconds
        )
        return json_reply(201, ticket)

    def create_app(self, call: Call) -> Reply:
        """Create a Custom App."""
        return self._written(call, None)

    def update_app(self, call: Call) -> Reply:
        """Change fields of a Custom App."""
        app = self._state.app(call.arguments[0])
        return not_found() if app is None else self._written(call, app)

    def delete_app(self, call: Call) -> Reply:
        """Delete a Custom App; it cannot be undone."""
        return Reply(204) if self._state.remove(call.arguments[0]) else not_found()

    def _written(self, call: Call, live: Mapping[str, Any] | None) -> Reply:
        fields, errors = rules.checked(
            call.fields,
            live,
            categories=self._state.category_ids,
            longest_name=self.options.longest_name,
            trims_texts=self.options.trims_texts,
        )
        new_file = "file_key" in call.fields and "file_key" not in errors
        if new_file and self._state.upload(fields["file_key"]) is None:
            errors["file_key"] = ["No file was uploaded with this key."]
        if errors:
            return json_reply(400, errors)
        if new_file and self._processing(fields["file_key"]):
            return detail(503, "The upload is still being processed.")
        if live is None:
            return json_reply(201, self._with_link(self._state.create(fields)))
        return json_reply(200, self._with_link(self._state.update(live["id"], fields)))

    def _processing(self, file_key: str) -> bool:
        upload = self._state.upload(file_key)
        if upload is None:
            return False
        if upload["refusals"] < self.options.processing_polls:
            upload["refusals"] += 1
            return True
        # Of several changes in one moment of a clock that stands still, the later ones are a little ahead of it.
        age = max(presigned.age(upload["uploaded_at"], self._state.clock.now()), 0)
        return age < self.options.processing_seconds

    def _shown(self, app: Mapping[str, Any]) -> dict[str, Any]:
        shown = self._with_link(app)
        if not self.options.list_sha256:
            for name in _EXTRAS:
                shown.pop(name)
        return shown

    def _with_link(self, app: Mapping[str, Any]) -> dict[str, Any]:
        return {**app, "file_url": f"{self._origins['outside']}/store/{quote(app['file_key'])}?X-Amz-Expires=3600"}

    # Self Service, Blueprints, Library Items, inventory

    def list_categories(self, _: Call) -> Reply:
        """Every Self Service category; a bare list."""
        return json_reply(200, self._state.tenant["categories"])

    def list_blueprints(self, call: Call) -> Reply:
        """Every Blueprint, in pages."""
        rows = self._state.tenant["blueprints"]
        return self._page(call, len(rows), lambda start, stop: [_blueprint(row) for row in rows[start:stop]])

    def get_blueprint(self, call: Call) -> Reply:
        """One Blueprint."""
        found = self._state.blueprint(call.arguments[0])
        return not_found() if found is None else json_reply(200, _blueprint(found))

    def list_blueprint_items(self, call: Call) -> Reply:
        """The Library Items of a Blueprint, in pages."""
        found = self._state.blueprint(call.arguments[0])
        if found is None:
            return not_found()
        ids = _item_ids(found)
        names = {item: (self._state.app(item) or {}).get("name", "") for item in ids}
        return self._page(
            call, len(ids), lambda start, stop: [{"id": item, "name": names[item]} for item in ids[start:stop]]
        )

    def assign_item(self, call: Call) -> Reply:
        """Assign a Library Item to a Blueprint or to a node of an Assignment Map."""
        return self._assignment(call, assign=True)

    def remove_item(self, call: Call) -> Reply:
        """Remove a Library Item from a Blueprint or from a node."""
        return self._assignment(call, assign=False)

    def _assignment(self, call: Call, *, assign: bool) -> Reply:
        blueprint = self._state.blueprint(call.arguments[0])
        item, node = call.fields.get("library_item_id"), call.fields.get("assignment_node_id")
        if not isinstance(item, str) or not item:
            return json_reply(400, {"library_item_id": ["This field is required."]})
        if blueprint is None or item not in self._state.apps:
            return not_found()
        entry = {"id": item, "node": node or None}
        refusal = _assignment_refusal(blueprint, entry, assign=assign)
        if refusal:
            return json_reply(400, refusal)
        if assign:
            blueprint["items"].append(entry)
        else:
            blueprint["items"].remove(entry)
        self._state.save()
        self._state.log_assignment(item)
        return json_reply(200, _item_ids(blueprint))

    def list_statuses(self, call: Call) -> Reply:
        """What each Mac reports on a Library Item, in pages."""
        if call.arguments[0] not in self._state.apps:
            return not_found()
        rows = self._state.status_rows(call.arguments[0], self.options.macs)
        return self._page(call, len(rows), lambda start, stop: rows[start:stop])

    def list_activity(self, call: Call) -> Reply:
        """What was done to a Library Item, newest first, in pages."""
        if call.arguments[0] not in self._state.apps:
            return not_found()
        rows = self._state.activity(call.arguments[0])
        return self._page(call, len(rows), lambda start, stop: rows[start:stop])

    def list_applications(self, call: Call) -> Reply:
        """The inventory of applications (Prism)."""
        rows = self._state.tenant["inventory"]
        limit, offset = _number(call, "limit", 25, 300), _number(call, "offset", 0, len(rows))
        data = rows[offset : offset + limit]
        return json_reply(200, {"offset": offset or None, "limit": limit, "total": len(rows), "data": data})

    def list_vulnerabilities(self, call: Call) -> Reply:
        """What was found on Macs, in numbered pages."""
        return self._numbered(call, [each["shown"] for each in self._state.vulnerabilities()])

    def list_affected(self, call: Call) -> Reply:
        """What has a vulnerability, in numbered pages."""
        known = {each["shown"]["cve_id"]: each["affected"] for each in self._state.vulnerabilities()}
        cve = call.arguments[0]
        return self._numbered(call, known[cve]) if cve in known else not_found()

    def check_in(self, call: Call) -> Reply:
        """A Mac is asked to check in."""
        return Reply(200) if self._state.knows_mac(call.arguments[0]) else not_found()

    # Pages

    def _numbered(self, call: Call, rows: Sequence[Any]) -> Reply:
        """A page of a list by `page` and `size`, which counts itself as `total` and links to no other."""
        number, size = _number(call, "page", 1, _LAST_PAGE), _number(call, "size", 50, 300) or 50
        start = (max(number, 1) - 1) * size
        return json_reply(
            200, {"total": len(rows), "page": number, "size": size, "results": rows[start : start + size]}
        )

    def _page(self, call: Call, count: int, rows: Callable[[int, int], list[Any]]) -> Reply:
        """A page of a list, by `page` or by `limit` and `offset`; links are absolute, as the service's are."""
        query = call.message.query
        if "limit" in query or "offset" in query:
            size, start = (
                _number(call, "limit", self.options.page_size, _LARGEST_PAGE),
                _number(call, "offset", 0, count),
            )
            turn = {"limit": size}
        else:
            size, number = self.options.page_size, _number(call, "page", 1, _LAST_PAGE)
            start, turn = (number - 1) * size, {}
            if start < 0 or (start >= count and number > 1) or not query.get("page", "1").isdecimal():
                return detail(404, "Invalid page.")
        following = self._link(call, turn, start + size, size) if start + size < count else None
        previous = self._link(call, turn, max(start - size, 0), size) if start > 0 else None
        if call.message.fault == "wrong_next":  # even a list of one page then names another
            following = self._link(call, turn, start + size, size)
        page = {"count": count, "next": following, "previous": previous, "results": rows(start, start + size)}
        return json_reply(200, page)

    def _link(self, call: Call, turn: Mapping[str, int], start: int, size: int) -> str:
        where = {**turn, "offset": start} if turn else {"page": start // size + 1}
        return f"{self._origins['api']}{call.message.path}?{urlencode(where)}"


@dataclass(frozen=True)
class Call:
    """A request that was found to be allowed: the message, the ids in its path and the fields of its body."""

    message: Message
    arguments: Sequence[str]
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Route:
    """A documented request; `permission` is its name."""

    method: str
    pattern: re.Pattern[str]
    permission: str
    act: Callable[[Api, Call], Reply]


def _route(method: str, path: str, permission: str, act: Callable[[Api, Call], Reply]) -> Route:
    return Route(method, re.compile(path.replace("ID", _ITEM)), permission, act)


_ROUTES = (
    _route("POST", "library/custom-apps/upload", "Upload Custom App", Api.request_upload),
    _route("GET", "library/custom-apps", "List Custom Apps", Api.list_apps),
    _route("POST", "library/custom-apps", "Create Custom App", Api.create_app),
    _route("GET", "library/custom-apps/ID", "Get Custom App", Api.get_app),
    _route("PATCH", "library/custom-apps/ID", "Update Custom App", Api.update_app),
    _route("DELETE", "library/custom-apps/ID", "Delete Custom App", Api.delete_app),
    _route("GET", "self-service/categories", "List Self Service Categories", Api.list_categories),
    _route("GET", "library/library-items/ID/status", "Get Library Item Statuses", Api.list_statuses),
    _route("GET", "library/library-items/ID/activity", "Get Library Item Activity", Api.list_activity),
    _route("GET", "blueprints", "List Blueprints", Api.list_blueprints),
    _route("GET", "blueprints/ID", "Get Blueprint", Api.get_blueprint),
    _route("GET", "blueprints/ID/list-library-items", "List Library Items", Api.list_blueprint_items),
    _route("POST", "blueprints/ID/assign-library-item", "Assign Library Item", Api.assign_item),
    _route("POST", "blueprints/ID/remove-library-item", "Remove Library Item", Api.remove_item),
    _route("GET", "prism/apps", "Applications", Api.list_applications),
    _route("GET", "vulnerability-management/vulnerabilities", "List Vulnerabilities", Api.list_vulnerabilities),
    _route("GET", "vulnerability-management/vulnerabilities/ID/software", "List Affected Software", Api.list_affected),
    _route("POST", "devices/ID/action/dailycheckin", "Perform Daily Check-in", Api.check_in),
)


def request_name(method: str, path: str) -> str:
    """What the documentation calls a request; "" where it knows none of that method and path."""
    if not path.startswith(PREFIX):
        return ""
    rest = path.removeprefix(PREFIX)
    return next((each.permission for each in _ROUTES if each.method == method and each.pattern.fullmatch(rest)), "")


class _Rate:
    """Counts the requests of windows of real time: of a second and an hour, as the service does, and of the options."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[float, int]] = {}

    def count(self, options: TenantOptions) -> tuple[dict[str, str], float]:
        """Count one request.

        Returns:
            The headers that tell the limits (by the names that the service's gateway, Kong, gives them), and how many
            seconds the request should have waited; 0 where it is within the limit of the options, or there is none.
        """
        with self._lock:
            in_second, second_ends = self._in_window("second", 1.0)
            in_hour, _ = self._in_window("hour", 3600.0)
            in_options, ends = self._in_window("options", options.rate_seconds)
        headers = {
            "RateLimit-Limit": str(_A_SECOND),
            "RateLimit-Remaining": str(max(_A_SECOND - in_second, 0)),
            "RateLimit-Reset": str(math.ceil(second_ends)),
            "X-RateLimit-Limit-Hour": str(_AN_HOUR),
            "X-RateLimit-Remaining-Hour": str(max(_AN_HOUR - in_hour, 0)),
        }
        throttled = options.rate_limit is not None and in_options > options.rate_limit
        return headers, ends if throttled else 0.0

    def _in_window(self, name: str, seconds: float) -> tuple[int, float]:
        """The requests of a window with this one, and the seconds to its end."""
        now = time.monotonic()
        start, count = self._windows.get(name, (now, 0))
        if now - start >= seconds:
            start, count = now, 0
        self._windows[name] = start, count + 1
        return count + 1, start + seconds - now


def _throttled(wait: float) -> Reply | None:
    if wait <= 0:
        return None
    seconds = math.ceil(wait)
    text = f"Request was throttled. Expected available in {seconds} seconds."
    return detail(429, text, {"Retry-After": str(seconds)})


def _fields(message: Message, body: bytes) -> Mapping[str, Any] | Reply:
    """The fields of a body, from a form or from JSON; or the refusal."""
    said = message.headers.get("content-type", "")
    kind, boundary = said.partition(";")[0].strip().lower(), boundary_of(said)
    if not body:
        return MappingProxyType({})
    if kind == _FORM:
        return MappingProxyType(dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)))
    if boundary is not None:
        return MappingProxyType(form_fields(body, boundary))
    return _json_fields(body) if kind == _JSON else detail(415, f'Unsupported media type "{kind}" in request.')


def _json_fields(body: bytes) -> Mapping[str, Any] | Reply:
    try:
        data = json.loads(body)
    except ValueError as problem:
        return detail(400, f"JSON parse error - {problem}")
    if not isinstance(data, dict):
        return json_reply(400, {"non_field_errors": ["Invalid data. Expected a dictionary."]})
    return MappingProxyType(data)


def _number(call: Call, name: str, default: int, most: int) -> int:
    text = call.message.query.get(name, "")
    return min(int(text[:9]), most) if text.isdecimal() and (name != "limit" or int(text[:9])) else default


def _blueprint(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "icon": "ss-files",
        "color": "aqua-500",
        "description": "",
        "params": {},
        "computers_count": 0,
        "enrollment_code": {"code": "000000", "is_active": False},
        "type": row["type"],
    }


def _item_ids(blueprint: Mapping[str, Any]) -> list[str]:
    """The ids of a Blueprint's items, each once although it may be in several nodes."""
    return list(dict.fromkeys(item["id"] for item in blueprint["items"]))


def _assignment_refusal(blueprint: Mapping[str, Any], entry: Mapping[str, Any], *, assign: bool) -> str:
    """The documented error of an assignment or removal; "" where there is none."""
    if blueprint["type"] == "classic" and entry["node"]:
        return "assignment_node_id cannot be provided for Classic Blueprint"
    if blueprint["nodes"] and not entry["node"]:
        return "Must provide assignment_node_id for Assignment Map Blueprint"
    if entry["node"] and entry["node"] not in blueprint["nodes"]:
        return "Assignment Node does not exist on Blueprint"
    there = entry in blueprint["items"]
    if there and assign:
        return f"Library Item already exists {_place(entry)}"
    if not there and not assign:
        return f"Library Item does not exist {_place(entry)}"
    return ""


def _place(entry: Mapping[str, Any]) -> str:
    return "in Assignment Node" if entry["node"] else "on Blueprint"
