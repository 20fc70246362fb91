"""The embedded tenant as its user sees it: started and stopped, filled and looked at."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any
from urllib.parse import parse_qsl

from kandji_uploader.rehearsal import console
from kandji_uploader.rehearsal.clock import Clock
from kandji_uploader.rehearsal.faults import Context, Fault, Faults
from kandji_uploader.rehearsal.json_store import Document
from kandji_uploader.rehearsal.messages import Message, Reply, console_reply, detail, json_reply, not_found
from kandji_uploader.rehearsal.rules import DEFAULTS
from kandji_uploader.rehearsal.server import LOOPBACK, Body, Listener
from kandji_uploader.rehearsal.service import PREFIX, Api, Permissions, TenantOptions, request_name
from kandji_uploader.rehearsal.state import TenantState, each_status, name_id
from kandji_uploader.rehearsal.store import UploadStore, error

_MESSAGES = {"text", "blocks", "attachments"}
_OUTSIDE = {"store": "Upload to the store", "slack": "Message to Slack"}
_PING = "/app/v1/ping"
_SHOWN_HEADERS = ("content-type", "content-length", "user-agent", "transfer-encoding", "expect", "cache-control")
_VOLATILE = ("id", "file_key", "file_updated", "created_at", "updated_at")
_VARIES_IN_SCRIPTS = (
    (re.compile(r"companies/companies/[^/\s]+/library/custom_apps/"), ""),
    (re.compile(r"(?<=_)[0-9a-f]{8}(?=\.[A-Za-z0-9]+\b)"), "(key)"),
    (re.compile(r"(?<=CREATION_TIMESTAMP=).*"), "(time)"),
    (re.compile(r"\b[0-9]{10}(\.[0-9]+)?\b|\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]+)?"), "(time)"),
)
"""What differs from run to run in scripts that were rendered from the same: keys of uploads and times."""


@dataclass(frozen=True)
class Record:
    """One request as the tenant saw it.

    Attributes:
        method: in capitals.
        side: `api`, or `outside` for the upload store and Slack.
        path: without the query.
        query: as it came.
        status: of the answer; 0 where there was none.
        headers: a few of them, by lower-case names; never `authorization`.
        authorization: "" where there was no such header, else the first 12 hex digits of its sha256.
        fields: the fields of an API request's body.
        received: bytes of the body that were read.
        fault: the kind of the scripted fault, "" for none.
        time: by the tenant's clock.
        at: by a real, monotonic clock; seconds.
    """

    method: str
    side: str
    path: str
    query: Mapping[str, str]
    status: int
    headers: Mapping[str, str]
    authorization: str
    fields: Mapping[str, Any]
    received: int
    fault: str
    time: datetime
    at: float

    def __str__(self) -> str:
        return f"{self.method} {self.path.removeprefix(PREFIX)}"


class RehearsalTenant:
    """A tenant of Kandji on loopback: a real HTTP server whose state is a folder.

    A context manager; it serves from the start of the `with` block to its end. Opened again on the same folder it
    goes on where it was. One process at a time may have a folder open.

    Args:
        folder: where its state is kept; made where missing.
        port: of the API; 0 for any that is free.
        token: the API token that it accepts; made up where None.
        faults: a JSON file of scripted faults.
        told: called with the record of each request, from the thread that serves it.
        options: see `TenantOptions`, such as `page_size=50` or `processing_polls=2`.

    Attributes:
        faults: scripted faults.
        permissions: what the token may do.
        clock: the tenant's time.
        token: the API token.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        port: int = 0,
        token: str | None = None,
        faults: Path | None = None,
        told: Callable[[Record], None] | None = None,
        **options: Any,
    ) -> None:
        self.folder = Path(folder)
        self.token = token or f"rehearsal-{secrets.token_hex(8)}"
        self.clock = Clock()
        self.faults = Faults()
        self.released = threading.Event()
        self._port = port
        self._told = told
        self._state = TenantState(self.folder, self.clock)
        self._origins: dict[str, str] = {}
        self._api = Api(self._state, self.token, TenantOptions(**options), self._origins)
        self._store = UploadStore(self._state, lambda: self._api.options.keep_files)
        self._cache: dict[tuple[str, str], tuple[float, Reply]] = {}
        self._records: list[Record] = []
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        if faults is not None:
            self.faults.load(faults)

    # Serving

    def __enter__(self) -> RehearsalTenant:  # noqa: PYI034 - Self needs Python 3.11
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Serve.

        Raises:
            OSError: the port is taken.
        """
        self.released.clear()
        api = Listener(self, "api", self._port)
        self._listeners = [api, Listener(self, "outside", 0)]
        self._origins.update({listener.side: listener.url for listener in self._listeners})

    def stop(self) -> None:
        """Serve no more; requests that a fault holds up are let go."""
        self.released.set()
        for listener in self._listeners:
            listener.close()
        self._listeners = []

    @property
    def url(self) -> str:
        """The API URL, `http://127.0.0.1:PORT`; the console is there too."""
        return self._origins["api"]

    @property
    def outside_url(self) -> str:
        """The address of the upload store and of Slack, which are not parts of Kandji's API."""
        return self._origins["outside"]

    @property
    def webhook_url(self) -> str:
        """Where messages to Slack go."""
        return f"{self.outside_url}/slack/services/rehearsal"

    def fault_for(self, method: str, path: str) -> Fault | None:
        """The scripted fault that befalls a request (for the listeners)."""
        return None if path == console.NOW else self.faults.take(method, path)

    def context(self, message: Message) -> Context:
        """What an altered answer may need (for the listeners)."""
        no_cache = "no-cache" in message.headers.get("cache-control", "")
        return Context(self.url, self.outside_url, message.path, repr(message.query), no_cache, self._cache)

    def act(self, message: Message, body: Body) -> Reply:
        """Act on a request (for the listeners)."""
        if message.side == "outside":
            return self._outside(message, body)
        if message.path == _PING:  # what clients ask first: is there a tenant of that name? Without a token.
            return json_reply(200, {})
        if not message.path.startswith(PREFIX):
            return self._console(message)
        reply, body.fields = self._api.answer(message, body.read())
        return reply

    def record(self, message: Message, body: Body, status: int, fault: Fault | None) -> None:
        """Note a request (for the listeners)."""
        if message.side == "api" and message.path == console.NOW:
            return
        authorization = message.headers.get("authorization", "")
        record = Record(
            method=message.method,
            side=message.side,
            path=message.path,
            query=MappingProxyType(dict(message.query)),
            status=status,
            headers=MappingProxyType(
                {name: message.headers[name] for name in _SHOWN_HEADERS if name in message.headers}
            ),
            authorization=hashlib.sha256(authorization.encode()).hexdigest()[:12] if authorization else "",
            fields=MappingProxyType(dict(body.fields)),
            received=body.received,
            fault=fault.kind if fault else "",
            time=self.clock.now(),
            at=time.monotonic(),
        )
        with self._lock:
            self._records.append(record)
        if self._told is not None:
            self._told(record)

    def _outside(self, message: Message, body: Body) -> Reply:
        if message.path.startswith("/slack/"):
            return self._slack(message, body)
        if message.path != "/store" and not message.path.startswith("/store/"):
            return error("NoSuchKey", 404, "The specified key does not exist.")
        return self._store.answer(message, body)

    def _slack(self, message: Message, body: Body) -> Reply:
        # Slack takes JSON as the body, or as the field `payload` of a form, with line breaks in its texts too.
        sent = body.read()
        if message.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            sent = dict(parse_qsl(sent.decode("utf-8", "replace"))).get("payload", "").encode()
        try:
            text = json.loads(sent, strict=False)
        except ValueError:
            return Reply(400, b"invalid_payload", "text/html")
        if message.method != "POST" or not isinstance(text, dict) or not text.keys() & _MESSAGES:
            return Reply(400, b"no_text", "text/html")
        self._state.put_slack(text)
        return Reply(200, b"ok", "text/html")

    def _console(self, message: Message) -> Reply:
        host = message.headers.get("host", "").rpartition(":")[0]
        if host not in (LOOPBACK, "localhost"):
            return detail(403, "The console answers to 127.0.0.1 and localhost only.")
        with self._state.lock:
            if message.path == "/":
                return console_reply(console.page(self._view()))
            if message.path == console.NOW:
                return json_reply(200, console.sections(self._view()))
            known = message.path.startswith(console.APP_PAGE)
            app = self._state.app(message.path.removeprefix(console.APP_PAGE)) if known else None
            return not_found() if app is None else console_reply(console.app_page(app, self._view()))

    def _view(self) -> console.View:
        """What the console shows; while it is read, the state is locked."""
        requests = self.requests
        names = {document["app"]["id"]: document["app"]["name"] for document in self._state.apps}
        return console.View(
            apps=self._state.latest_apps(),
            uploads=list(self._state.uploads)[::-1],
            macs=lambda app_id: self._state.status_rows(app_id, self.options.macs),
            categories={category["id"]: category["name"] for category in self._state.tenant["categories"]},
            asked=(
                _asked(number, requests[number - 1], names)
                for number in range(len(requests), 0, -1)
                if not _of_console(requests[number - 1])
            ),
            count=len(requests),
        )

    # Looking

    @property
    def requests(self) -> list[Record]:
        """Every request so far, in the order in which they were answered."""
        with self._lock:
            return list(self._records)

    def reset_requests(self) -> None:
        """Forget the requests so far."""
        with self._lock:
            self._records.clear()

    @property
    def permissions(self) -> Permissions:
        """What the token may do; `revoke("Create Custom App")` has that request answered with 403."""
        return self._api.permissions

    @property
    def options(self) -> TenantOptions:
        """How it behaves where the documentation leaves room."""
        return self._api.options

    def configure(self, **options: Any) -> None:
        """Change options while it serves."""
        self._api.options = replace(self._api.options, **options)

    def apps(self) -> list[Document]:
        """Every Custom App with all of the API's fields, the oldest first."""
        return self._state.all_apps()

    def app(self, name: str) -> Document:
        """The one Custom App of that name.

        Raises:
            LookupError: there is none, or there are several.
        """
        found = [app for app in self.apps() if app["name"] == name]
        if len(found) != 1:
            raise LookupError(
                f"{len(found)} Custom Apps are called {name!r}: {sorted(app['name'] for app in self.apps())}"
            )
        return found[0]

    def uploads(self) -> list[Document]:
        """Every file in the store: file_key, size, sha256, uploaded_at and `used_by`, the names of its apps."""
        apps = self.apps()
        with self._state.lock:
            uploads = copy.deepcopy(list(self._state.uploads))
        return [
            {**item, "used_by": [app["name"] for app in apps if app["file_key"] == item["file_key"]]}
            for item in uploads
        ]

    def content(self, file_key: str) -> bytes:
        """The bytes of an upload.

        Raises:
            OSError: there is none, or its bytes were not kept.
        """
        return self._state.file_of(file_key).read_bytes()

    def slack_messages(self) -> list[Any]:
        """Every message to Slack, the oldest first."""
        with self._state.lock:
            return [copy.deepcopy(document["message"]) for document in self._state.slack]

    @property
    def categories(self) -> list[Document]:
        """The Self Service categories; `set_categories` changes them."""
        return copy.deepcopy(self._state.tenant["categories"])

    @property
    def blueprints(self) -> list[Document]:
        """The Blueprints, with `nodes` and `items`; `add_blueprint` adds one."""
        return copy.deepcopy(self._state.tenant["blueprints"])

    def snapshot(self) -> Document:
        """What two tenants are compared by: all but ids, keys, times and files that no app names."""
        names = {app["id"]: app["name"] for app in self.apps()}
        categories = {category["id"]: category["name"] for category in self.categories}
        apps = [_still(app, categories) for app in self.apps()]
        blueprints = {
            blueprint["name"]: sorted((names.get(item["id"], ""), item["node"] or "") for item in blueprint["items"])
            for blueprint in self.blueprints
        }
        apps.sort(key=lambda app: json.dumps(app, sort_keys=True))
        return {"apps": apps, "blueprints": blueprints, "categories": sorted(categories.values())}

    # Changing, as a person in the console would

    def seed(
        self,
        name: str,
        *,
        content: bytes | None = None,
        sha256: str | None = None,
        size: int | None = None,
        file_name: str = "Seeded-1.0.pkg",
        category: str | None = None,
        **fields: Any,
    ) -> Document:
        """Add a Custom App without the API; returns it.

        Args:
            name: its name.
            content: the installer's bytes; else `sha256` and `size` say what it is.
            sha256: hex digest of an installer whose bytes are not there.
            size: bytes of it.
            file_name: the installer's name; 8 hex digits are added, as Kandji does.
            category: name of the Self Service category that it is shown in.
            fields: further fields of the API, `id`, `created_at` and `updated_at` too; not checked by its rules.
        """
        data = content if content is not None else b"an installer" if sha256 is None else None
        digest = hashlib.sha256(data).hexdigest() if data is not None else str(sha256)
        with self._state.lock:
            if "file_key" not in fields:
                fields["file_key"] = self._state.new_key(file_name)
                self._state.put_upload(fields["file_key"], len(data) if data is not None else size or 0, digest)
                if data is not None:
                    self._state.file_of(fields["file_key"]).write_bytes(data)
            if category is not None:
                fields |= {"show_in_self_service": True, "self_service_category_id": name_id("category", category)}
            known = {"name": name, "install_type": "package", "install_enforcement": "install_once"}
            return self._state.create({**known, **_known(fields, "id")})

    def edit(self, app_id: str, **fields: Any) -> Document:
        """Change a Custom App by hand, which moves `updated_at`; returns it. The API's rules are not applied.

        Raises:
            KeyError: there is no such app.
            ValueError: there is no such field.
        """
        return self._state.update(app_id, _known(fields))

    def remove(self, app_id: str) -> None:
        """Delete a Custom App.

        Raises:
            KeyError: there is no such app.
        """
        if not self._state.remove(app_id):
            raise KeyError(app_id)

    def remove_upload(self, file_key: str) -> None:
        """Delete a file from the store; it can no longer be published."""
        self._state.drop_upload(file_key)

    def set_categories(self, names: Iterable[str]) -> None:
        """Have these Self Service categories and no others."""
        self._state.set_categories(names)

    def add_blueprint(self, name: str, kind: str = "classic", nodes: Iterable[str] = ()) -> Document:
        """Add a Blueprint, `classic` or `map`; `nodes` are the ids of the nodes of a map with conditions."""
        return self._state.add_blueprint(name, kind, nodes)

    def set_statuses(self, app_id: str, given: Mapping[str, int] | Iterable[Mapping[str, Any]]) -> None:
        """Have Macs report on a Library Item.

        Args:
            app_id: the Library Item.
            given: how many Macs report which status, `{"PASS": 7, "ERROR": 2}`; or a row for each Mac with `status`
                and, if wanted, `mac` and `blueprint` (names) and any field of the API (`last_audit_log`, ...).
        """
        self._state.set_statuses(app_id, each_status(given))

    def set_inventory(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Have these applications in the inventory (Prism)."""
        self._state.tenant["inventory"] = [dict(row) for row in rows]
        self._state.save()

    def set_vulnerabilities(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Have these vulnerabilities found on Macs, and no others.

        Args:
            rows: for each its `cve_id` and, if wanted, other fields of the API (`severity`, `cvss_score`, ...); as
                `affected` what has it, each with `name`, `bundle_id` and `versions`, `{"128.0": 12}` being 12 Macs.
        """
        self._state.set_vulnerabilities(rows)

    def clear(self) -> None:
        """As new: no apps, uploads, reports of Macs, messages, faults or requests; categories and Blueprints stay."""
        self._state.clear()
        self.faults.clear()
        self._cache.clear()
        self.permissions.grant()
        self.clock.run()
        self.reset_requests()


def _of_console(record: Record) -> bool:
    return record.side == "api" and (record.path == "/" or record.path.startswith(console.APP_PAGE))


def _asked(number: int, record: Record, names: Mapping[str, str]) -> console.Asked:
    """A request as the console shows it: an app by its name, not by its id."""
    line = re.sub(r"(?<=/)[0-9a-f-]{36}(?=/|$)", lambda found: f"({names.get(found[0], found[0])})", str(record))
    name = request_name(record.method, record.path) or _OUTSIDE.get(record.path.split("/")[1], "")
    moment = record.time.strftime("%H:%M:%S")
    return console.Asked(number, moment, name, line, record.status, record.received, record.fault)


def _known(fields: Mapping[str, Any], *further: str) -> Mapping[str, Any]:
    """The fields, if each is one that a Custom App has."""
    unknown = set(fields) - {*DEFAULTS, "sha256", "file_size", "file_updated", "created_at", "updated_at", *further}
    if unknown:
        raise ValueError(f"a Custom App has no field {', '.join(sorted(unknown))}")
    return fields


def _still(app: Mapping[str, Any], categories: Mapping[str, str]) -> Document:
    """An app without what differs from run to run."""
    still = {name: value for name, value in app.items() if name not in _VOLATILE}
    still["self_service_category_id"] = categories.get(str(app["self_service_category_id"]))
    for pattern, instead in _VARIES_IN_SCRIPTS:
        still["audit_script"] = pattern.sub(instead, still["audit_script"])
    still["file_name"] = re.sub(r"_[0-9a-f]{8}(?=\.|$)", "", str(app["file_key"]).rsplit("/", 1)[-1])
    return still
