"""Render the audit script from a JSON object on standard input, to paste it by hand or to try it.

Keys: app_name, bundle_id, pkg_id, version, created_at_epoch (seconds since 1970; now, where absent), days (0, where
absent), version_key, install_when_missing, blocking_applications, minimum_os_version, unzip_location. null is the same
as absent.

Examples:
  echo '{"bundle_id": "org.mozilla.firefox", "version": "125.0", "days": 5}' | kandji-uploader audit-script
  kandji-uploader audit-script --check < firefox.json > audit.zsh
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from kandji_uploader.audit import conditions, simulate
from kandji_uploader.audit import script as audit
from kandji_uploader.errors import AuditScriptError

_KEYS = {
    "app_name": str,
    "bundle_id": str,
    "pkg_id": str,
    "version": str,
    "created_at_epoch": int,
    "days": int,
    "version_key": str,
    "install_when_missing": bool,
    "blocking_applications": list,
    "minimum_os_version": str,
    "unzip_location": str,
}
_WORDS = {
    str: "a string in quotes",
    int: "a whole number",
    bool: "true or false",
    list: "a list of strings in quotes, [] where nothing blocks",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--template", metavar="FILE", help="a template of your own; it must hold the same variables")
    parser.add_argument("--check", action="store_true", help="try the script on a simulated Mac first, as a run does")


def run(arguments: argparse.Namespace) -> int:
    """Print the rendered script."""
    values = _values(sys.stdin.buffer.read())
    script = audit.render(values, audit.load_template(arguments.template))
    if arguments.check:
        for line in simulate.check(script, values):
            print(line, file=sys.stderr)
    sys.stdout.buffer.write(script.encode())
    sys.stdout.buffer.flush()
    return 0


def _values(given: bytes) -> audit.AuditValues:
    try:
        found = json.loads(given)
    except (ValueError, RecursionError) as problem:
        raise AuditScriptError(f"standard input holds no JSON object ({problem})") from None
    if not isinstance(found, dict):
        raise AuditScriptError("standard input holds JSON, but no object: start it with {")
    values = {key: value for key, value in found.items() if value is not None}
    for key, value in values.items():
        _check(key, value)
    blocking = values.get("blocking_applications")
    return audit.AuditValues(
        app_name=values.get("app_name"),
        bundle_id=values.get("bundle_id"),
        pkg_id=values.get("pkg_id"),
        version=values.get("version", ""),
        created_at=values.get("created_at_epoch", int(time.time())),
        days=values.get("days", 0),
        version_key=values.get("version_key", audit.DEFAULT_VERSION_KEY),
        install_when_missing=values.get("install_when_missing", True),
        blocking_applications=None if blocking is None else conditions.app_names(blocking),
        minimum_os_version=values.get("minimum_os_version"),
        unzip_location=values.get("unzip_location"),
    )


def _check(key: str, value: object) -> None:
    wanted = _KEYS.get(key)
    if wanted is None:
        raise AuditScriptError(f"the key {key!r} is not known; known are {', '.join(_KEYS)}")
    fits = isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))
    if not fits or (isinstance(value, list) and not all(isinstance(each, str) for each in value)):
        raise AuditScriptError(f"{key} is {json.dumps(value)}: give {_WORDS[wanted]}")
