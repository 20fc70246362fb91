"""Check the tenant, the token and its permissions, the settings, and the programs of this machine.

One line each, which ends in what to do. Nothing is changed, in the tenant or here. The exit code is 1 where something
must be corrected.

Examples:
  kandji-uploader doctor
  kandji-uploader doctor --tenant all
  kandji-uploader doctor --json
"""

from __future__ import annotations

import argparse
import os

from kandji_uploader.cli import DONE, FAILED, documents, flags, screen, tenants
from kandji_uploader.errors import CredentialError
from kandji_uploader.publish.request import Host
from kandji_uploader.report.layout import visible
from kandji_uploader.setup import doctor
from kandji_uploader.setup.doctor import Check, Severity

CODES = {
    "settings": "settings",
    "freeze": "settings",
    "tenant": "settings",
    "keychain": "credential",
    "API URL": "network",
    "token": "credential",
    "permissions": "permission",
    "clock": "clock",
    "pending": "pending",
    "Python": "package_missing",
    "state": "state",
    "zsh": "tool_missing",
    "7-Zip": "tool_missing",
    "AutoPkg": "autopkg",
    "AutoPkg's Python": "package_missing",
}
"""What machines know a finding by, for each thing that is looked at."""
_LISTENER = CredentialError.code
"""Likewise, for one who hears of runs: it is called by its own name."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    flags.tenant(parser)
    parser.add_argument("--json", action="store_true", help="the findings as JSON on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Tell each check as soon as there is one."""
    checks = []
    there = tenants.hosts(arguments.tenant, Host(environ=os.environ))
    for check in doctor.examine(os.environ, [each.tenant for each in there]):
        checks.append(check)
        if not arguments.json:
            print(told(check), flush=True)
    if arguments.json:
        documents.show_list(map(_as_json, checks))
    return FAILED if any(each.severity is Severity.PROBLEM for each in checks) else DONE


def _as_json(check: Check) -> documents.Finding:
    fine = check.severity is Severity.OK
    error = None if fine else documents.error(CODES.get(check.subject, _LISTENER), check.text)
    found: documents.Finding = {
        "subject": check.subject,
        "health": check.severity,
        "text": check.text,
        "error": error,
    }
    return {"tenant": check.tenant, **found} if check.tenant else found


def told(check: Check) -> str:
    """One check: in a line where it fits, else its text below what it is about."""
    shown = screen.of()
    found = f"{check.tenant}: {check.text}" if check.tenant else check.text
    severity, subject, text = (visible(each) for each in (check.severity.value, check.subject, found))
    lines = shown.wrapped(f"{severity:8} {subject:17} {text}", " " * 4)
    if "\n" in lines:
        lines = f"{severity:8} {subject}\n{shown.wrapped(f'    {text}', ' ' * 4)}"
    return lines.replace(severity, shown.paint(severity), 1)
