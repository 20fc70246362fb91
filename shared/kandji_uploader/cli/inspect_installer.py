"""Show what an installer is: the app, its bundle id and version, the packages and their ids, and who signed it.

"Content" is the digest of what it brings to a Mac: two packages with the same one were only packaged twice.

Examples:
  kandji-uploader inspect Firefox.dmg
  kandji-uploader inspect --json *.pkg
  kandji-uploader inspect --bundle-id com.microsoft.Word Office.pkg
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from kandji_uploader import installer
from kandji_uploader.cli import documents, failures, screen
from kandji_uploader.cli.console import Console
from kandji_uploader.errors import InstallerError
from kandji_uploader.models import AppFacts, AppRecord, PackageRecord, Signature
from kandji_uploader.report.layout import visible

_LABEL = 16


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    add = parser.add_argument
    add("files", metavar="FILE", nargs="+", help="a .pkg, .dmg or .zip")
    add("--app-name", metavar="NAME", help="the app that is meant, where the installer holds several")
    add("--bundle-id", metavar="ID", help="its bundle id, likewise")
    add("--json", action="store_true", help="as JSON: an object for one file, a list for several")


def run(arguments: argparse.Namespace) -> int:
    """Print a card for each file, or JSON; a file that cannot be read does not keep the others from being shown."""
    console = Console()
    shown: list[dict[str, Any]] = []
    for file in arguments.files:
        try:
            facts = installer.inspect(
                file, app_name=arguments.app_name, bundle_id=arguments.bundle_id, signature=True, content=True
            )
        except InstallerError as problem:
            console.fail(str(problem))
            shown.append({"file": file, "error": documents.error(problem.code, str(problem))})
            continue
        shown.append(as_json(file, facts))
        if not arguments.json:
            print(card(file, facts), end="\n\n" if file != arguments.files[-1] else "\n")
    if arguments.json:
        documents.show(shown if len(shown) > 1 else shown[0])
    return failures.exit_code(each["error"]["code"] if each["error"] else "" for each in shown)


def as_json(file: str, facts: AppFacts) -> dict[str, Any]:
    """The facts as an object; what the installer does not tell is null."""
    return {"file": file, **asdict(facts), "type": facts.type.value, "error": None}


def card(file: str, facts: AppFacts) -> str:
    """The facts for a person."""
    rows = [
        ("Type", facts.type.value),
        ("App", facts.app_name),
        ("Bundle id", facts.bundle_id),
        ("Version", f"{facts.version} ({facts.version_key})" if facts.version else None),
        ("Package id", facts.package_id),
        ("Package version", facts.package_version),
        ("Needs macOS", facts.minimum_os_version),
        *_signature(facts.signature),
        ("Size", f"{facts.size:,} bytes"),
        ("SHA-256", facts.sha256),
        ("Content", facts.content or f"unknown: {facts.content_unknown}"),
    ]
    lines = [visible(file), *(f"  {label:{_LABEL}}{visible(value)}" for label, value in rows if value)]
    if len(facts.apps) > 1:
        lines += ["  Apps", *(f"    {visible(_app(app))}" for app in facts.apps)]
    if len(facts.packages) > 1:
        lines += ["  Packages", *(f"    {visible(_package(package))}" for package in facts.packages)]
    lines += [f"  Warning: {visible(warning)}" for warning in facts.warnings]
    return "\n".join(screen.of().wrapped(line, " " * 6) for line in lines)


def _signature(found: Signature | None) -> list[tuple[str, str | None]]:
    if found is None:
        return []
    return [
        ("Signature", f"{found} (of the {found.of})" if found.of else str(found)),
        ("Authority", found.authority),
        ("Timestamp", found.timestamp),
        ("Notarized", "yes" if found.notarized else None),
        ("Verified", "; ".join(found.verified)),
        ("Not verified", "; ".join(found.not_verified)),
    ]


def _app(app: AppRecord) -> str:
    told = (app.install_path or app.path, app.bundle_id, app.short_version or app.bundle_version)
    return "  ".join(part for part in told if part)


def _package(package: PackageRecord) -> str:
    return "  ".join(
        part for part in (package.id, package.version, f"({package.path})" if package.path else None) if part
    )
