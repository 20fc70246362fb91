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

from kandji_uploader.cli import DONE, FAILED
from kandji_uploader.report.text import visible
from kandji_uploader.setup import doctor
from kandji_uploader.setup.doctor import Severity


def configure(parser: argparse.ArgumentParser) -> None:
    """One flag."""
    parser.add_argument("--json", action="store_true", help="the findings as JSON on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Tell each finding as soon as there is one."""
    findings = []
    for finding in doctor.examine(os.environ):
        findings.append(finding)
        if not arguments.json:
            print(visible(f"{finding.health.value:8} {finding.subject:17} {finding.text}"), flush=True)
    if arguments.json:
        rows = [{"subject": each.subject, "health": each.health.value, "text": each.text} for each in findings]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    return FAILED if any(each.health is Severity.PROBLEM for each in findings) else DONE
