"""The state of the tenant: Custom Apps, uploads, categories, Blueprints, statuses and Slack messages, in a folder.

    tenant.json/      the tenant itself: its ids, categories, Blueprints and inventory
    apps/             one JSON document for each Custom App, with its activity
    uploads/, files/  one document for each upload, and its bytes
    statuses/         what the Macs report, one document for each Library Item
    slack/            the messages to Slack

Opened again, the folder gives the same tenant.
"""

from __future__ import annotations

import copy
import re
import secrets
import threading
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from kandji_uploader.rehearsal import fleet
from kandji_uploader.rehearsal.clock import Clock, stamp
from kandji_uploader.rehearsal.json_store import Document, JsonStore
from kandji_uploader.rehearsal.rules import DEFAULTS

CATEGORIES = ("Apps", "Productivity", "Utilities", "Security")
_NAMES = uuid.UUID("5b2d3f3e-6f0e-4c53-9d0b-6c1f0b7a9d11")
_TENANT = "tenant"
_EMAIL = "rehearsal@example.com"
_LONGEST_STEM = 150


class TenantState:
    """The state of the tenant, kept in a folder; every method may be called from any thread."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.files = folder / "files"
        self.files.mkdir(mode=0o700, parents=True, exist_ok=True)
        _empty(self.files.glob(".*.draft"))  # uploads that were under way when a process was killed
        self.apps = JsonStore(folder / "apps")
        self.uploads = JsonStore(folder / "uploads")
        self.statuses = JsonStore(folder / "statuses")
        self.slack = JsonStore(folder / "slack")
        self._tenant = JsonStore(folder / "tenant")
        if _TENANT not in self._tenant:
            self._tenant.put(_TENANT, _new_tenant())

    @property
    def tenant(self) -> Document:
        """The tenant's own document, not a copy: call `save` after a change."""
        document = self._tenant.get(_TENANT)
        assert document is not None  # noqa: S101 - made by the constructor
        return document

    def save(self) -> None:
        """Write the tenant's own document."""
        with self.lock:
            self._tenant.put(_TENANT, self.tenant)

    def clear(self) -> None:
        """Remove everything but the tenant itself, its categories and its Blueprints."""
        with self.lock:
            for store in (self.apps, self.uploads, self.statuses, self.slack):
                store.clear()
            _empty(self.files.iterdir())
            for blueprint in self.tenant["blueprints"]:
                blueprint["items"] = []
            self.tenant["vulnerabilities"] = []
            self.save()

    # Uploads

    def new_key(self, file_name: str) -> str:
        """The key of a new upload: the file's name with 8 hex digits, in the folder that Kandji uses."""
        name = re.sub(r"[^\w.+ ()@,-]", "_", file_name.replace("\\", "/").rsplit("/", 1)[-1]).strip(". ") or "file"
        stem, dot, suffix = name.rpartition(".")
        if not dot or not re.fullmatch("[A-Za-z0-9]{1,10}", suffix):
            stem, dot, suffix = name, "", ""
        company = self.tenant["company"]
        while True:
            digits = secrets.token_hex(4)
            if digits not in self.uploads:
                return f"companies/companies/{company}/library/custom_apps/{stem[:_LONGEST_STEM]}_{digits}{dot}{suffix}"

    def file_of(self, file_key: str) -> Path:
        """Where the bytes of an upload are kept."""
        return self.files / f"{_digits(file_key)}{Path(file_key).suffix}"

    def put_upload(self, file_key: str, size: int, sha256: str) -> None:
        """A file has arrived whole; one with the same key is replaced."""
        with self.lock:
            now = self.clock.tick()
            self.uploads.put(
                _digits(file_key),
                {"file_key": file_key, "size": size, "sha256": sha256, "uploaded_at": stamp(now), "refusals": 0},
            )

    def upload(self, file_key: str) -> Document | None:
        """The record of an upload; None where nothing was uploaded under that key."""
        found = self.uploads.get(_digits(file_key))
        return found if found is not None and found["file_key"] == file_key else None

    def drop_upload(self, file_key: str) -> None:
        """Remove a file from the store; apps that name it stay as they are."""
        with self.lock:
            if self.upload(file_key) is not None:
                self.uploads.drop(_digits(file_key))
                self.file_of(file_key).unlink(missing_ok=True)

    # Custom Apps

    def latest_apps(self) -> list[Document]:
        """The documents of the Custom Apps, the one that was changed last first; not copies."""
        with self.lock:
            return sorted(self.apps, key=lambda document: str(document["app"]["updated_at"]), reverse=True)

    def app(self, app_id: str) -> Document | None:
        """A Custom App as the API shows it; a copy."""
        found = self.apps.get(app_id)
        return None if found is None else copy.deepcopy(found["app"])

    def all_apps(self) -> list[Document]:
        """Every Custom App, the oldest first; copies."""
        with self.lock:
            return [copy.deepcopy(document["app"]) for document in self.apps]

    def create(self, fields: Mapping[str, Any]) -> Document:
        """Keep a new Custom App with fields that were checked; returns it as the API shows it."""
        with self.lock:
            now = stamp(self.clock.tick())
            made = {"id": str(uuid.uuid4()), "created_at": now, "updated_at": now}
            app = {**DEFAULTS, **made, **self._about_file(fields["file_key"]), **fields}
            document: Document = {"app": _in_order(app), "activity": [], "files": [_stay(app, now)]}
            self._log(document, "library_item_created", None, now)
            self.apps.put(app["id"], document)
            return copy.deepcopy(document["app"])

    def update(self, app_id: str, fields: Mapping[str, Any]) -> Document:
        """Change fields of a Custom App; `updated_at` moves even where none differs."""
        with self.lock:
            document = self.apps.get(app_id)
            if document is None:
                raise KeyError(app_id)
            before = document["app"]
            after = {**before, "updated_at": stamp(self.clock.tick()), **fields}
            if after["file_key"] != before["file_key"] and not fields.keys() & {"sha256", "file_size"}:
                after.update(self._about_file(after["file_key"]))
            document["app"] = _in_order(after)
            if after["file_key"] != before["file_key"]:
                document.setdefault("files", []).append(_stay(after, after["updated_at"]))
            self._log(document, "library_item_edited", _differences(before, after), after["updated_at"])
            self.apps.put(app_id, document)
            return copy.deepcopy(document["app"])

    def remove(self, app_id: str) -> bool:
        """Delete a Custom App, from Blueprints too; False where it is not there."""
        with self.lock:
            for blueprint in self.tenant["blueprints"]:
                blueprint["items"] = [item for item in blueprint["items"] if item["id"] != app_id]
            self.save()
            self.statuses.drop(app_id)
            return self.apps.drop(app_id) is not None

    def activity(self, app_id: str) -> list[Document]:
        """What was done to a Custom App, newest first."""
        document = self.apps.get(app_id)
        return [] if document is None else list(reversed(document["activity"]))

    def log_assignment(self, app_id: str) -> None:
        """Note that a Library Item was assigned or removed."""
        document = self.apps.get(app_id)
        if document is not None:
            self._log(document, "library_item_assignment_changed", None, stamp(self.clock.now()))
            self.apps.put(app_id, document)

    def _about_file(self, file_key: str) -> Document:
        upload = self.upload(file_key)
        if upload is None:
            return {"sha256": None, "file_size": None, "file_updated": None}
        whole_second = re.sub(r"\.\d+Z", "Z", upload["uploaded_at"])
        return {"sha256": upload["sha256"], "file_size": upload["size"], "file_updated": whole_second}

    def _log(self, document: Document, kind: str, details: list[str] | None, when: str) -> None:
        document["activity"].append(
            {
                "id": len(document["activity"]) + 1,
                "activity_time": when,
                "activity_type": kind,
                "user_id": self.tenant["user"],
                "user_email": _EMAIL,
                "details": details,
            }
        )

    # Self Service, Blueprints, statuses, Slack

    def set_categories(self, names: Iterable[str]) -> None:
        """Have these Self Service categories and no others; a name always gets the same id."""
        with self.lock:
            self.tenant["categories"] = [{"id": name_id("category", name), "name": name} for name in names]
            self.save()

    def category_ids(self) -> set[str]:
        """The ids of the Self Service categories."""
        return {category["id"] for category in self.tenant["categories"]}

    def add_blueprint(self, name: str, kind: str, nodes: Iterable[str]) -> Document:
        """Add a Blueprint; `nodes` are the ids of an Assignment Map's nodes, none where it has no conditions."""
        blueprint = {"id": name_id("blueprint", name), "name": name, "type": kind, "nodes": list(nodes), "items": []}
        with self.lock:
            self.tenant["blueprints"].append(blueprint)
            self.save()
        return copy.deepcopy(blueprint)

    def blueprint(self, blueprint_id: str) -> Document | None:
        """A Blueprint with its nodes and items."""
        found = [item for item in self.tenant["blueprints"] if item["id"] == blueprint_id]
        return found[0] if found else None

    def set_statuses(self, app_id: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Have these Macs report on a Library Item; each row says at least `status`."""
        with self.lock:
            kept = [_status(number, row, self.clock.now()) for number, row in enumerate(rows, start=1)]
            self.statuses.put(app_id, {"rows": kept})

    def status_rows(self, app_id: str, macs: int = 0) -> list[Document]:
        """What the Macs report on a Library Item; of one that nobody set, what so many made-up Macs do."""
        document = self.statuses.get(app_id)
        if document is not None:
            rows: list[Document] = document["rows"]
            return rows
        app, now = self.apps.get(app_id), self.clock.now()
        made_up = fleet.reports(app, macs, now) if app is not None else ()
        return [_status(number, row, now) for number, row in enumerate(made_up, start=1)]

    def set_vulnerabilities(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Have these vulnerabilities found on Macs, and no others."""
        with self.lock:
            self.tenant["vulnerabilities"] = [_vulnerability(row, stamp(self.clock.now())) for row in rows]
            self.save()

    def vulnerabilities(self) -> list[Document]:
        """The vulnerabilities, each with what has it as `affected`; not copies."""
        found: list[Document] = self.tenant.get("vulnerabilities", [])
        return found

    def knows_mac(self, mac_id: str) -> bool:
        """Whether any Mac that reports on a Library Item has that id."""
        with self.lock:
            return any(row["computer"]["id"] == mac_id for document in self.statuses for row in document["rows"])

    def put_slack(self, message: Any) -> None:
        """A message has arrived at the webhook."""
        with self.lock:
            number = f"{len(self.slack) + 1:06}"
            self.slack.put(number, {"message": message, "at": stamp(self.clock.now())})


def _empty(paths: Iterable[Path]) -> None:
    for path in list(paths):
        path.unlink()


def name_id(kind: str, name: str) -> str:
    """An id that follows from a name, so that two tenants can be compared."""
    return str(uuid.uuid5(_NAMES, f"{kind} {name}"))


def each_status(given: Mapping[str, int] | Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """One row for each Mac, from counts (`{"PASS": 7, "ERROR": 2}`) or from rows."""
    if isinstance(given, Mapping):
        return [{"status": status} for status, count in given.items() for _ in range(count)]
    return given


def _new_tenant() -> Document:
    return {
        "company": str(uuid.uuid4()),
        "user": str(uuid.uuid4()),
        "secret": secrets.token_hex(32),
        "categories": [{"id": name_id("category", name), "name": name} for name in CATEGORIES],
        "blueprints": [],
        "inventory": [],
    }


def _digits(file_key: str) -> str:
    """The 8 hex digits that tell one upload from another; the whole key where it is none of ours."""
    found = re.search(r"_([0-9a-f]{8})(?:\.[A-Za-z0-9]{1,10})?$", file_key)
    return found.group(1) if found else re.sub(r"\W", "_", file_key)[-100:]


def _status(number: int, row: Mapping[str, Any], now: datetime) -> Document:
    """A row of `library-items/ID/status`; `mac` and `blueprint` are names, anything else the API's own fields."""
    given = dict(row)
    mac, blueprint = given.pop("mac", f"Mac {number:05}"), given.pop("blueprint", "Fleet")
    reported = stamp(now) if row["status"] != "PENDING" else None
    return {
        "id": 13_000 + number,
        "blueprint": {"id": name_id("blueprint", blueprint), "name": blueprint},
        "computer": {"id": name_id("mac", mac), "name": mac},
        "reported_at": reported,
        "log": None,
        "last_audit_run": reported,
        "last_audit_log": None,
        "control_log": None,
        "control_reported_at": None,
        **given,
    }


def _vulnerability(row: Mapping[str, Any], now: str) -> Document:
    """A row of the list of vulnerabilities; `affected` is what has it, with its versions and Macs."""
    affected = [_software(each, now) for each in row.get("affected", ())]
    macs = sum(each["num_devices"] for each in affected)
    given = {name: value for name, value in row.items() if name != "affected"}
    shown = {
        "severity": "High",
        "cvss_score": 7.5,
        "kev_score": 0,
        "cve_link": f"https://nvd.nist.gov/vuln/detail/{row['cve_id']}",
        "first_detection_date": now,
        "latest_detection_date": now,
        "device_count": macs,
        "software": [each["name"] for each in affected],
        "status": "Active",
        **given,
    }
    return {"shown": shown, "affected": affected}


def _software(row: Mapping[str, Any], now: str) -> Document:
    versions = [
        {"latest_detection_date": now, "blueprints": [], "version": version, "devices_impacted": macs}
        for version, macs in row["versions"].items()
    ]
    return {
        "name": row["name"],
        "bundle_id": row.get("bundle_id"),
        "num_versions": len(versions),
        "type": None,
        "blueprints": [],
        "num_devices": sum(row["versions"].values()),
        "software_versions": versions,
    }


_ORDER: tuple[str, ...] = (
    *("id", "name", "file_key", "install_type", "install_enforcement", "audit_script", "unzip_location", "active"),
    *("restart", "preinstall_script", "postinstall_script", "sha256", "file_size", "file_updated", "created_at"),
    *("updated_at", "show_in_self_service", "self_service_category_id", "self_service_recommended"),
)


def _in_order(app: Mapping[str, Any]) -> Document:
    return {name: app[name] for name in (*_ORDER, *(name for name in DEFAULTS if name not in _ORDER))}


def _stay(app: Mapping[str, Any], since: str) -> Document:
    """Which file an app has, and since when."""
    return {"file_key": app["file_key"], "since": since}


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str] | None:
    names = [name for name in DEFAULTS if before[name] != after[name]]
    shown = [f"{_label(name)}: {_short(before[name])} \u2192 {_short(after[name])}" for name in names]
    return shown or None


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 and "\n" not in text else f"({len(text)} characters)"  # noqa: PLR2004
