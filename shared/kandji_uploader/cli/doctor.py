"""Check the tenant, the token and its permissions, the settings, and the programs of this machine.

One line each, which ends in what to do. Nothing is changed, in the tenant or here. The exit code is 1 where something
must be corrected.

Examples:
  kandji-uploader doctor
  kandji-uploader doctor --json
"""

from __future__ import annotations

import argparse
import json
import os

from kandji_uploader.cli import DONE, FAILED, screen
from kandji_uploader.report.layout import visible
from kandji_uploader.setup import doctor
from kandji_uploader.setup.doctor import Check, Severity


def configure(parser: argparse.ArgumentParser) -> None:
    """One flag."""
    parser.add_argument("--json", action="store_true", help="the findings as JSON on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Tell each check as soon as there is one."""
    checks = []
    for check in doctor.examine(os.environ):
        checks.append(check)
        if not arguments.json:
            print(told(check), flush=True)
    if arguments.json:
        rows = [{"subject": each.subject, "health": each.severity.value, "text": each.text} for each in checks]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    return FAILED if any(each.severity is Severity.PROBLEM for each in checks) else DONE


def told(check: Check) -> str:
    """One check: in a line where it fits, else its text below what it is about."""
    shown = screen.of()
    severity, subject, text = (visible(each) for each in (check.severity.value, check.subject, check.text))
    lines = shown.wrapped(f"{severity:8} {subject:17} {text}", " " * 4)
    if "\n" in lines:
        lines = f"{severity:8} {subject}\n{shown.wrapped(f'    {text}', ' ' * 4)}"
    return lines.replace(severity, shown.paint(severity), 1)
