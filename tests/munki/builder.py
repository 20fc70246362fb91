"""A Munki repo of about 40 items that holds every construct of Munki's wiki page on manifests, right and wrong."""

from __future__ import annotations

import plistlib
import unicodedata
from datetime import datetime
from pathlib import Path
from typing import Any

POSTINSTALL = "#!/bin/zsh\n/usr/bin/true\n"
PREINSTALL = "#!/bin/zsh\n/bin/echo before\n"
NEW_PREINSTALL = "#!/bin/zsh\n/bin/echo before, in testing\n"

# Plists hold dates without a zone.
NEXT_DECADE, PAST = datetime(2031, 3, 31, 18, 0), datetime(2020, 12, 31, 18, 0)  # noqa: DTZ001

BOTH, PROD, TEST = ["testing", "production"], ["production"], ["testing"]


def pkginfo(name: str, version: str, catalogs: list[str], **further: Any) -> dict[str, Any]:
    return {
        "name": name,
        "version": version,
        "catalogs": catalogs,
        "display_name": name,
        "installer_item_location": f"apps/{name}-{version}.pkg",
        "unattended_install": True,
        **further,
    }


ITEMS = [
    # managed_installs, in all shapes
    pkginfo("GoogleChrome", "124.0", PROD, display_name="Google Chrome", category="Browsers"),
    pkginfo("GoogleChrome", "125.0", TEST, display_name="Google Chrome", category="Browsers"),
    pkginfo("Zoom", "5.9", BOTH, display_name="zoom.us"),
    pkginfo("Zoom", "5.10", BOTH, display_name="zoom.us", blocking_applications=["zoom.us", "ZoomOpener"]),
    pkginfo("MicrosoftWord", "16.80", PROD, display_name="Microsoft Word", minimum_os_version="12.0"),
    pkginfo("MicrosoftWord", "16.81", TEST, display_name="Microsoft Word", minimum_os_version="13.0"),
    pkginfo("Slack", "4.36", BOTH, category="Chat", minimum_os_version="11.0"),
    pkginfo("Notion", "3.0", TEST),
    pkginfo("Kodály", "1.0", PROD),
    pkginfo("Dropbox", "190.4", PROD),
    # versions in names
    pkginfo("Firefox", "122.0", BOTH),
    pkginfo("Firefox", "123.0", BOTH),
    pkginfo("Firefox", "124.0", BOTH),
    pkginfo("FirefoxBeta", "125.0-RC", TEST, display_name="Firefox Beta"),
    pkginfo("TextWrangler", "2.3", PROD),
    pkginfo("Spotify", "1.2.30", PROD),
    pkginfo("Spotify", "1.2.31", PROD),
    pkginfo("Thing-3", "1.0", PROD),
    pkginfo("Foo-Bar", "1.0", PROD, minimum_os_version="Sonoma"),
    # scripts, dates, restarts
    pkginfo("Sophos", "10.1", PROD, preinstall_script=PREINSTALL, postinstall_script=POSTINSTALL),
    pkginfo("Sophos", "10.2", TEST, preinstall_script=NEW_PREINSTALL, postinstall_script=POSTINSTALL),
    pkginfo("GlobalProtect", "6.2", BOTH, RestartAction="RequireRestart", blocking_applications=[]),
    pkginfo("Java", "21", BOTH, force_install_after_date=NEXT_DECADE),
    pkginfo("Flash", "32.0", BOTH, force_install_after_date=PAST),
    pkginfo("Munkified", "1.0", PROD, preinstall_script="/usr/local/munki/thing\n", RestartAction="RequireLogout"),
    # managed_updates
    pkginfo("Photoshop", "25.1", PROD, display_name="Adobe Photoshop 2024", category="Design"),
    pkginfo("VLC", "3.0.20", BOTH, blocking_applications=["VLC.app", "plug:in"]),
    pkginfo("Handbrake", "1.7", PROD),
    pkginfo("Skype", "8.1", PROD),
    # optional_installs, default_installs, featured_items
    pkginfo("PyCharm", "2024.1", BOTH, category="Development"),
    pkginfo("Xcode", "15.3", PROD, category="Development", requires=["XcodeTools"], minimum_os_version="14.0"),
    pkginfo("XcodeTools", "15.3", PROD),
    pkginfo("Figma", "116", PROD, category="Design"),
    pkginfo("Edge", "124", PROD, display_name="Microsoft Edge", force_install_after_date=NEXT_DECADE),
    pkginfo("EdgeBeta", "125", TEST, display_name="Microsoft Edge"),
    pkginfo("Docker", "4.28", PROD, display_name="Docker Desktop", category="Development"),
    pkginfo("InstallSonoma", "14.4", PROD, installer_type="startosinstall"),
    pkginfo("Rosetta", "1.0", PROD, installer_type="nopkg", OnDemand=True),
    pkginfo("WiFiProfile", "1.0", PROD, installer_type="profile"),
    # removals and conditions
    pkginfo("Thunderbird", "115", PROD),
    pkginfo("AdobeReader", "24.1", PROD),
    pkginfo("LabTool", "2.0", PROD),
    pkginfo("VMware", "13", PROD),
    pkginfo("CameraRaw", "16", PROD, update_for=["Photoshop"]),
    pkginfo("DevOnly", "0.1", ["development"]),
    pkginfo("CADViewer", "9", PROD, items_to_copy=[{"source_item": "CAD.app", "destination_path": "/Library/CAD"}]),
    pkginfo("NeverNamed", "1.0", PROD),
]

MANIFESTS: dict[str, dict[str, Any]] = {
    "site_default": {
        "catalogs": ["production"],
        "included_manifests": ["groups/standard_apps"],
        "managed_installs": [
            "Sophos",
            unicodedata.normalize("NFD", "Kodály"),  # as a Mac's file system spells it
            "Foo-Bar",
            "Java",
            "Flash",
            "GlobalProtect",
            "Munkified",
            "Dropbox",
            "NoSuchItem",
            "spotify",
            "Notion",
            "DevOnly",
            "Thing-3",
            "CADViewer",
        ],
        "managed_uninstalls": ["Thunderbird", "AdobeReader", "Dropbox", "Skype"],
        "managed_updates": ["Photoshop", "VLC-3.0.20", "Skype", "AdobeReader", "Slack"],
        "optional_installs": [
            "Slack",
            "VLC",
            "PyCharm",
            "Xcode",
            "Edge",
            "AdobeReader",
            "Rosetta",
            "WiFiProfile",
            "Docker",
            "InstallSonoma",
        ],
        "featured_items": ["PyCharm", "Slack", "VMware", "Xcode", "Docker"],
        "default_installs": ["Edge", "Figma", "Docker"],
        "conditional_items": [
            {
                "condition": 'machine_type == "laptop"',
                "managed_installs": ["VMware", "PyCharm"],
                "conditional_items": [
                    {
                        "condition": "os_vers_major >= 14",
                        "managed_installs": ["LabTool"],
                        "managed_uninstalls": ["Handbrake"],
                        "included_manifests": ["groups/conditional_extras"],
                    }
                ],
            }
        ],
    },
    "testers": {
        "catalogs": ["testing", "production"],
        "included_manifests": ["groups/standard_apps"],
        "managed_installs": ["Sophos", "Notion", "FirefoxBeta--125.0-RC", "TextWrangler-2.3.0", "EdgeBeta", "Edge"],
        "managed_updates": ["VLC"],
        "optional_installs": ["PyCharm"],
    },
    "lab": {
        "catalogs": ["production"],
        "included_manifests": ["groups/standard_apps", "groups/loop_a", "groups/gone"],
        "managed_installs": ["Firefox", "Firefox-122.0", "Spotify-1.2.30", "PyCharm"],
        "managed_updates": ["Handbrake"],
        "managed_install": ["Typo"],
    },
    "groups/standard_apps": {
        "managed_installs": ["GoogleChrome", "Zoom", "MicrosoftWord", "Slack", "Firefox-123.0"],
    },
    "groups/conditional_extras": {"optional_installs": ["CameraRaw"]},
    "groups/loop_a": {"included_manifests": ["groups/loop_b"], "managed_installs": ["Handbrake"]},
    "groups/loop_b": {"included_manifests": ["groups/loop_a"]},
    "groups/orphan": {"managed_installs": ["NeverNamed"]},
}

KIOSK_YAML = """\
# Munki 7 also reads YAML
catalogs:
  - production
managed_installs:
  - GoogleChrome
  - Slack
"""


def build(folder: Path, *, catalogs: bool = True) -> Path:
    """The repo; with `catalogs` as makecatalogs makes them, else with pkgsinfo alone."""
    for name, content in MANIFESTS.items():
        write_plist(folder / "manifests" / name, content)
    (folder / "manifests" / "kiosk.yaml").write_text(KIOSK_YAML, encoding="utf-8")
    (folder / "manifests" / "broken").write_text("<?xml version='1.0'?><plist><dict><key>catalogs", encoding="utf-8")
    (folder / "manifests" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    for item in ITEMS:
        write_plist(folder / "pkgsinfo" / "apps" / f"{item['name']}-{item['version']}.plist", item)
    if catalogs:
        for catalog in ("testing", "production", "development", "all"):
            inside = [item for item in ITEMS if catalog == "all" or catalog in item["catalogs"]]
            write_plist(folder / "catalogs" / catalog, inside)
    return folder


def small(folder: Path, manifests: dict[str, Any], items: list[dict[str, Any]] | None = None) -> Path:
    """A repo with these manifests alone, and with items in `pkgsinfo`."""
    (folder / "pkgsinfo").mkdir(parents=True, exist_ok=True)
    for name, content in manifests.items():
        write_plist(folder / "manifests" / name, content)
    for number, item in enumerate([pkginfo("Firefox", "1.0", PROD)] if items is None else items):
        write_plist(folder / "pkgsinfo" / f"{number}.plist", item)
    return folder


def write_plist(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(plistlib.dumps(content))
