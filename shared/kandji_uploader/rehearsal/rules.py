"""What the API accepts in the fields of a Custom App, and how it says no.

The rules are those of the API's documentation; the texts of the errors are the Django REST framework's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Errors = dict[str, list[str]]

INSTALL_TYPES = ("package", "zip", "image")
ENFORCEMENTS = ("install_once", "continuously_enforce", "no_enforcement")
_VERSION = re.compile(
    r"""^\s*(?:readonly\s+|typeset\s+(?:-\w+\s+)*)?\w*VERSION=(['"]?)([^'"\n]+)\1\s*$""", re.MULTILINE
)
DEFAULTS: Mapping[str, Any] = {
    "name": "",
    "file_key": "",
    "install_type": "",
    "install_enforcement": "",
    "audit_script": "",
    "unzip_location": "",
    "active": True,
    "restart": False,
    "preinstall_script": "",
    "postinstall_script": "",
    "show_in_self_service": False,
    "self_service_category_id": None,
    "self_service_recommended": False,
}
"""Every field that a client may write, with what a new app has where the client says nothing."""

_REQUIRED = ("name", "file_key", "install_type", "install_enforcement")
_CHOICES = {"install_type": INSTALL_TYPES, "install_enforcement": ENFORCEMENTS}
_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")


def checked(
    given: Mapping[str, Any],
    live: Mapping[str, Any] | None,
    *,
    categories: Callable[[], set[str]],
    longest_name: int | None = None,
    trims_texts: bool = False,
) -> tuple[dict[str, Any], Errors]:
    """The writable fields as they would be after a create (`live` is None) or an update, and the errors in them.

    Args:
        given: what the client sent; fields that nobody may write are ignored, as the service does.
        live: the app as it is.
        categories: the ids of the Self Service categories.
        longest_name: characters that a name may have; None for any number.
        trims_texts: take white space off both ends of every text, not of the name only.
    """
    errors: Errors = {}
    fields = dict(DEFAULTS) if live is None else {name: live[name] for name in DEFAULTS}
    if live is None:
        errors.update({name: ["This field is required."] for name in _REQUIRED if name not in given})
    for name in DEFAULTS:
        if name in given:
            value, problem = _read(name, given[name])
            trims = isinstance(value, str) and (trims_texts or name == "name")
            fields[name] = value.strip() if trims else value
            if problem:
                errors[name] = [problem]
    if longest_name is not None and len(fields["name"] or "") > longest_name:
        errors["name"] = [f"Ensure this field has no more than {longest_name} characters."]
    for name, problem in _together(fields, categories):
        errors.setdefault(name, [problem])
    return fields, errors


def _read(name: str, value: Any) -> tuple[Any, str]:
    """One field as the service keeps it, and its error ("" for none)."""
    if isinstance(DEFAULTS[name], bool):
        return _flag(value)
    if name == "self_service_category_id":
        return (value or None), "" if value is None or isinstance(value, str) else "Not a valid string."
    if not isinstance(value, str):
        return "", "This field may not be null." if value is None else "Not a valid string."
    return value, _text_problem(name, value)


def _text_problem(name: str, value: str) -> str:
    if name in _REQUIRED and not value.strip():
        return "This field may not be blank."
    if name in _CHOICES and value not in _CHOICES[name]:
        return f'"{value}" is not a valid choice.'
    return "Null characters are not allowed." if "\0" in value else ""


def _flag(value: Any) -> tuple[bool, str]:
    word = str(value).lower()
    return word in _TRUE, "" if word in (*_TRUE, *_FALSE) else "Must be a valid boolean."


def _together(fields: Mapping[str, Any], categories: Callable[[], set[str]]) -> list[tuple[str, str]]:
    """What the fields demand of each other."""
    problems = []
    if fields["install_type"] == "zip" and not fields["unzip_location"]:
        problems.append(("unzip_location", "This field is required when install_type is zip."))
    if fields["install_enforcement"] == "continuously_enforce" and not fields["audit_script"]:
        problems.append(("audit_script", "This field is required when install_enforcement is continuously_enforce."))
    category = fields["self_service_category_id"]
    if fields["show_in_self_service"] and not category:
        problems.append(("self_service_category_id", "This field is required when show_in_self_service is true."))
    if category and category not in categories():
        problems.append(("self_service_category_id", f'Invalid pk "{category}" - object does not exist.'))
    return problems


def enforced_version(script: str) -> str:
    """The version that an audit script enforces, as far as it can be told from its first `...VERSION=` line."""
    found = _VERSION.search(script)
    return found.group(2) if found else ""
