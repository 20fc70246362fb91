"""From the service's JSON to the values of the domain, every field checked.

A surprising answer becomes an `ApiError` that names the request, the field and what was found, never a KeyError
somewhere later.
"""

from __future__ import annotations

import marshal
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from sys import intern
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kandji_uploader.models import Blueprint, Category, CustomApp

if TYPE_CHECKING:
    from kandji_uploader.kandji.transport import Answer
    from kandji_uploader.status.models import AffectedSoftware, StatusRecord, Vulnerability


_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True)
class UploadTicket:
    """An upload ticket for one file: the address, the fields, and the key that a Custom App will name it by."""

    post_url: str
    post_data: Mapping[str, str]
    file_key: str
    expires: str = ""


class Fields:
    """One JSON object of an answer, read field by field.

    Args:
        answer: what was answered.
        data: what the object holds.
        text: of a list that was taken row by row, the row that the object is or is in; else the answer has it.
        plain: what `answer.is_plain` says of the text, where that is known.
    """

    def __init__(self, answer: Answer, data: object, text: str | None = None, *, plain: bool | None = None) -> None:
        self._answer = answer
        self._text = text
        if not isinstance(data, dict):
            raise self._error(f"a JSON object was expected, not {_kind(data)}. Tell the makers of this tool")
        self._data = data
        if plain is None:
            plain = answer.plain if text is None else answer.is_plain(text)
        self._plain = plain

    def _error(self, advice: str) -> Exception:
        return (self._answer if self._text is None else replace(self._answer, text=self._text)).error(advice)

    def has(self, name: str) -> bool:
        """Whether a field is there, and is not null."""
        return self._data.get(name) is not None

    def digest(self) -> int:
        """What all that it holds is compared by with another."""
        return hash(marshal.dumps(self._data, 2))  # version 2 knows no references: equal values are equal bytes

    def text(self, name: str) -> str:
        """A text that must be there."""
        value = self._data.get(name)
        if not isinstance(value, str) or not value:
            raise self._wrong(name, "a text", value)
        return value if self._plain else self._shown(value)

    def _shown(self, value: str) -> str:
        return self._answer.hidden(_whole(value))

    def id(self) -> str:
        """The `id`, fit to stand in an address."""
        value = self.text("id")
        if not _ID.fullmatch(value):
            raise self._error("its field 'id' should be of letters, digits and dashes")
        return value

    def text_or(self, name: str, default: str) -> str:
        """A text; `default` where it is absent or null."""
        value = self._data.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self._wrong(name, "a text", value)
        return value if self._plain else self._shown(value)

    def script(self, name: str) -> str:
        """A script as it is, to be compared with another and not to be shown: it may hold the API token.

        With the token blacked out, a script that calls Kandji's API would never be the one that is wanted.
        """
        return _whole(self._data[name]) if isinstance(self._data.get(name), str) else self.text_or(name, "")

    def maybe_text(self, name: str) -> str | None:
        """A text; None where it is absent, null or empty."""
        return self.text_or(name, "") or None

    def flag(self, name: str, *, default: bool) -> bool:
        """A boolean; `default` where it is absent or null."""
        value = self._data.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false", value)
        return value

    def maybe_flag(self, name: str) -> bool | None:
        """A boolean; None where it is absent or null."""
        return None if self._data.get(name) is None else self.flag(name, default=False)

    def maybe_number(self, name: str) -> int | None:
        """A whole number; None where it is absent or null."""
        value = self._data.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(name, "a whole number", value)
        return value

    def maybe_decimal(self, name: str) -> float | None:
        """A number; None where it is absent or null."""
        value = self._data.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, "a number", value)
        return float(value)

    def strings(self, name: str) -> tuple[str, ...]:
        """The texts of a list; empty where it is absent or null."""
        value = self._data.get(name) or []
        if not isinstance(value, list):
            raise self._wrong(name, "a list", value)
        return tuple(self._shown(item) for item in value if isinstance(item, str))

    def texts(self, name: str) -> Mapping[str, str]:
        """An object whose values are all texts."""
        value = self._data.get(name)
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise self._wrong(name, "an object of texts", value)
        return MappingProxyType({_whole(key): _whole(item) for key, item in value.items()})

    def others(self, known: frozenset[str]) -> Mapping[str, str | bool]:
        """The texts and flags that are none of the known ones; as they are, see `script`."""
        kept: dict[str, str | bool] = {}
        for name in self._data.keys() - known:
            value = self._data[name]
            if isinstance(value, str | bool):
                kept[name] = _whole(value) if isinstance(value, str) else value
        return MappingProxyType(kept) if kept else _NOTHING

    def objects(self, name: str) -> list[Fields]:
        """A list of objects."""
        return [Fields(self._answer, item, self._text, plain=self._plain) for item in self._list(name)]

    def _list(self, name: str) -> list[object]:
        value = self._data.get(name)
        if not isinstance(value, list):
            raise self._wrong(name, "a list", value)
        return value

    def has_list(self, name: str, count: int) -> None:
        """Raise ApiError unless there is a list of so many."""
        if len(self._list(name)) != count:
            raise self._error(f"its field {name!r} cannot be read row by row. Tell the makers of this tool")

    def maybe_object(self, name: str) -> Fields | None:
        """An object; None where it is absent or null."""
        value = self._data.get(name)
        return None if value is None else Fields(self._answer, value, self._text, plain=self._plain)

    def _wrong(self, name: str, expected: str, value: object) -> Exception:
        return self._error(f"its field {name!r} should be {expected}, not {_kind(value)}")


_NOTHING: Mapping[str, str | bool] = MappingProxyType({})


def _kind(value: Any) -> str:
    return "missing or null" if value is None else "empty" if value == "" else type(value).__name__


def _whole(text: str) -> str:
    """A text that can be written and sent: half of a UTF-16 pair, which JSON allows, is no character."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


# `file_url` is the presigned address of the installer: who has it has the file, so it is not kept.
_READ = frozenset({"file_url", *(each.name for each in fields(CustomApp))})


def custom_app(fields: Fields) -> CustomApp:
    """A Custom App of a list or of an answer to get, create or update."""
    created, updated = fields.text_or("created_at", ""), fields.text_or("updated_at", "")
    file_updated = fields.maybe_text("file_updated")
    return CustomApp(
        id=fields.id(),
        name=fields.text("name"),
        file_key=fields.text_or("file_key", ""),
        install_type=intern(fields.text_or("install_type", "")),
        install_enforcement=intern(fields.text_or("install_enforcement", "")),
        audit_script=fields.script("audit_script"),
        unzip_location=intern(fields.text_or("unzip_location", "")),
        active=fields.flag("active", default=True),
        restart=fields.flag("restart", default=False),
        preinstall_script=fields.script("preinstall_script"),
        postinstall_script=fields.script("postinstall_script"),
        sha256=fields.maybe_text("sha256"),
        file_size=fields.maybe_number("file_size"),
        # Most apps were never changed since: one text for equal times, of 100,000 apps.
        file_updated=updated if file_updated == updated else file_updated,
        created_at=updated if created == updated else created,
        updated_at=updated,
        show_in_self_service=fields.flag("show_in_self_service", default=False),
        self_service_category_id=fields.maybe_text("self_service_category_id"),
        self_service_recommended=fields.maybe_flag("self_service_recommended"),
        further=fields.others(_READ),
    )


def upload_ticket(fields: Fields) -> UploadTicket:
    """The answer to a request for an upload."""
    return UploadTicket(
        post_url=fields.text("post_url"),
        post_data=fields.texts("post_data"),
        file_key=fields.text("file_key"),
        expires=fields.text_or("expires", ""),
    )


def category(fields: Fields) -> Category:
    """One Self Service category."""
    return Category(fields.id(), fields.text("name"))


def blueprint(fields: Fields) -> Blueprint:
    """One Blueprint."""
    return Blueprint(fields.id(), fields.text("name"), fields.text_or("type", "classic"))


def status_record(fields: Fields) -> StatusRecord:
    """The status of a Library Item on one Mac."""
    from kandji_uploader.status.models import StatusRecord

    computer, blueprint = fields.maybe_object("computer"), fields.maybe_object("blueprint")
    return StatusRecord(
        mac_name=computer.text_or("name", "") if computer else "",
        mac_id=computer.text_or("id", "") if computer else "",
        blueprint=blueprint.text_or("name", "") if blueprint else "",
        status=fields.text_or("status", ""),
        reported_at=fields.text_or("reported_at", ""),
        log=fields.text_or("log", ""),
        last_audit_log=fields.text_or("last_audit_log", ""),
        last_audit_run=fields.text_or("last_audit_run", ""),
    )


def vulnerability(fields: Fields) -> Vulnerability:
    """One vulnerability of the list."""
    from kandji_uploader.status.models import Vulnerability

    return Vulnerability(
        cve=fields.text("cve_id"),
        severity=fields.text_or("severity", "").lower(),
        score=fields.maybe_decimal("cvss_score"),
        exploited=(fields.maybe_decimal("kev_score") or 0) > 0,
        macs=fields.maybe_number("device_count") or 0,
        software=fields.strings("software"),
        active=fields.text_or("status", "Active").lower() == "active",
    )


def affected_software(fields: Fields) -> AffectedSoftware:
    """What has a vulnerability."""
    from kandji_uploader.status.models import AffectedSoftware

    versions = fields.objects("software_versions") if fields.has("software_versions") else []
    return AffectedSoftware(
        name=fields.text_or("name", ""),
        bundle_id=fields.text_or("bundle_id", ""),
        versions=tuple(filter(None, (each.text_or("version", "") for each in versions))),
        macs=fields.maybe_number("num_devices") or 0,
    )
