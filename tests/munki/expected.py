"""What the repo of `builder` must come to, item by item: the entry of the map, and what is named as left out."""

from __future__ import annotations

from typing import Any

LAPTOP = 'machine_type == "laptop"'

EXPECTED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "AdobeReader": (
        {},
        ["managed_updates (site_default)", "optional_installs (site_default)", "managed_uninstalls (site_default)"],
    ),
    "CADViewer": (
        {"prod_name": "CADViewer", "enforcement_type": "audit_enforce", "prod_blueprints": ["Staff"]},
        ["items_to_copy to /Library/CAD"],
    ),
    "CameraRaw": (
        {},
        [f"optional_installs CameraRaw in groups/conditional_extras, if {LAPTOP} and if os_vers_major >= 14"],
    ),
    "DevOnly": (
        {},
        ["managed_installs DevOnly (site_default)"],
    ),
    "Docker": (
        {
            "prod_name": "Docker Desktop",
            "enforcement_type": "self_service",
            "ss_category": "Development",
            "recommended": True,
            "prod_blueprints": ["Staff"],
        },
        ["default_installs (site_default)"],
    ),
    "Dropbox": (
        {"prod_name": "Dropbox", "enforcement_type": "audit_enforce", "prod_blueprints": ["Staff"]},
        ["managed_uninstalls (site_default)"],
    ),
    "Edge": (
        {
            "prod_name": "Microsoft Edge (Edge)",
            "enforcement_type": "audit_enforce",
            "enforcement_deadline": "2031-03-31T18:00:00+02:00",
            "prod_blueprints": ["Early Adopters"],
        },
        ["default_installs (site_default)", "optional_installs Edge (site_default)"],
    ),
    "EdgeBeta": (
        {
            "test_name": "Microsoft Edge (EdgeBeta) (Test)",
            "enforcement_type": "audit_enforce",
            "test_blueprints": ["Early Adopters"],
        },
        [],
    ),
    "Figma": (
        {
            "prod_name": "Figma",
            "enforcement_type": "self_service",
            "ss_category": "Design",
            "prod_blueprints": ["Staff"],
        },
        ["default_installs (site_default)", "default_installs without optional_installs (site_default)"],
    ),
    "Firefox": (
        {
            "prod_name": "Firefox",
            "test_name": "Firefox (Test)",
            "enforcement_type": "audit_enforce",
            "pin_version": "123.0",
            "promotion": {"after_days": 7.0},
            "test_blueprints": ["Early Adopters"],
            "prod_blueprints": ["Staff"],
        },
        ["managed_installs Firefox in lab (lab)", "managed_installs Firefox 122.0 in lab (lab)", "Blueprint Lab"],
    ),
    "FirefoxBeta": (
        {
            "test_name": "Firefox Beta (Test)",
            "enforcement_type": "audit_enforce",
            "pin_version": "125.0-RC",
            "test_blueprints": ["Early Adopters"],
        },
        [],
    ),
    "Flash": (
        {
            "prod_name": "Flash",
            "test_name": "Flash (Test)",
            "enforcement_type": "audit_enforce",
            "promotion": {"after_days": 7.0},
            "prod_blueprints": ["Staff"],
        },
        ["force_install_after_date of 32.0"],
    ),
    "Foo-Bar": (
        {"prod_name": "Foo-Bar", "enforcement_type": "audit_enforce", "prod_blueprints": ["Staff"]},
        ["minimum_os_version: Sonoma"],
    ),
    "GlobalProtect": (
        {
            "prod_name": "GlobalProtect",
            "test_name": "GlobalProtect (Test)",
            "enforcement_type": "audit_enforce",
            "restart": True,
            "blocking_applications": [],
            "promotion": {"after_days": 7.0},
            "prod_blueprints": ["Staff"],
        },
        [],
    ),
    "GoogleChrome": (
        {
            "prod_name": "Google Chrome",
            "test_name": "Google Chrome (Test)",
            "enforcement_type": "audit_enforce",
            "promotion": {"after_days": 7.0},
            "test_blueprints": ["Early Adopters"],
            "prod_blueprints": ["Lab", "Staff"],
        },
        [],
    ),
    "Handbrake": (
        {"prod_name": "Handbrake", "enforcement_type": "audit_enforce"},
        [
            'managed_uninstalls Handbrake in site_default, if machine_type == "laptop" and if os_vers_major >= 14',
            "managed_updates (lab)",
            "Blueprint Lab",
        ],
    ),
    "InstallSonoma": (
        {},
        ["the whole item"],
    ),
    "Java": (
        {
            "prod_name": "Java",
            "test_name": "Java (Test)",
            "enforcement_type": "audit_enforce",
            "enforcement_deadline": "2031-03-31T18:00:00+02:00",
            "promotion": {"after_days": 7.0},
            "prod_blueprints": ["Staff"],
        },
        [],
    ),
    "Kodály": (
        {"prod_name": "Kodály", "enforcement_type": "audit_enforce", "prod_blueprints": ["Staff"]},
        [],
    ),
    "LabTool": (
        {},
        ['managed_installs LabTool in site_default, if machine_type == "laptop" and if os_vers_major >= 14'],
    ),
    "MicrosoftWord": (
        {
            "prod_name": "Microsoft Word",
            "test_name": "Microsoft Word (Test)",
            "enforcement_type": "audit_enforce",
            "minimum_os_version": "13.0",
            "promotion": {"after_days": 7.0},
            "test_blueprints": ["Early Adopters"],
            "prod_blueprints": ["Staff"],
        },
        ["minimum_os_version: 12.0 of 16.80, 13.0 of 16.81", "Blueprint Lab"],
    ),
    "Munkified": (
        {
            "prod_name": "Munkified",
            "enforcement_type": "audit_enforce",
            "preinstall_script": "munki_scripts/Munkified-preinstall-7303fe38",
            "prod_blueprints": ["Staff"],
        },
        ["preinstall_script of 1.0", "preinstall_script of 1.0", "RestartAction RequireLogout of 1.0"],
    ),
    "NoSuchItem": (
        {},
        ["managed_installs NoSuchItem (site_default)"],
    ),
    "Notion": (
        {"test_name": "Notion (Test)", "enforcement_type": "audit_enforce", "test_blueprints": ["Early Adopters"]},
        ["managed_installs Notion (site_default)"],
    ),
    "Photoshop": (
        {"prod_name": "Adobe Photoshop 2024", "enforcement_type": "update_only", "prod_blueprints": ["Staff"]},
        ["CameraRaw is an update_for it"],
    ),
    "PyCharm": (
        {
            "prod_name": "PyCharm",
            "test_name": "PyCharm (Test)",
            "enforcement_type": "audit_enforce",
            "promotion": {"after_days": 7.0},
        },
        [
            'managed_installs PyCharm in site_default, if machine_type == "laptop"',
            "optional_installs PyCharm (site_default, testers)",
            "Blueprint Lab",
        ],
    ),
    "Rosetta": (
        {},
        ["the whole item"],
    ),
    "Skype": (
        {},
        ["managed_updates (site_default)", "managed_uninstalls (site_default)"],
    ),
    "Slack": (
        {
            "prod_name": "Slack",
            "test_name": "Slack (Test)",
            "enforcement_type": "audit_enforce",
            "minimum_os_version": "11.0",
            "promotion": {"after_days": 7.0},
            "test_blueprints": ["Early Adopters"],
            "prod_blueprints": ["Lab", "Staff"],
        },
        ["managed_updates (site_default)", "optional_installs (site_default)", "featured_items (site_default)"],
    ),
    "Sophos": (
        {
            "prod_name": "Sophos",
            "test_name": "Sophos (Test)",
            "enforcement_type": "audit_enforce",
            "prod_preinstall_script": "munki_scripts/Sophos-preinstall-ce2dec3a",
            "test_preinstall_script": "munki_scripts/Sophos-preinstall-2939f845",
            "postinstall_script": "munki_scripts/Sophos-postinstall-b3f8cd2f",
            "promotion": {"after_days": 7.0},
            "test_blueprints": ["Early Adopters"],
            "prod_blueprints": ["Staff"],
        },
        [],
    ),
    "Spotify": (
        {"prod_name": "Spotify", "enforcement_type": "audit_enforce", "pin_version": "1.2.30"},
        ["Blueprint Lab"],
    ),
    "TextWrangler": (
        {
            "prod_name": "TextWrangler",
            "enforcement_type": "audit_enforce",
            "pin_version": "2.3.0",
            "prod_blueprints": ["Early Adopters"],
        },
        [],
    ),
    "Thing": (
        {},
        ["managed_installs Thing 3 (site_default)"],
    ),
    "Thunderbird": (
        {},
        ["managed_uninstalls (site_default)"],
    ),
    "VLC": (
        {
            "prod_name": "VLC",
            "test_name": "VLC (Test)",
            "enforcement_type": "update_only",
            "blocking_applications": ["VLC.app"],
            "promotion": {"after_days": 7.0},
            "test_blueprints": ["Early Adopters"],
        },
        [
            "optional_installs (site_default)",
            "managed_updates VLC 3.0.20 (site_default)",
            "managed_updates VLC 3.0.20 (site_default)",
            "blocking_applications: plug:in",
        ],
    ),
    "VMware": (
        {},
        ["featured_items (site_default)", 'managed_installs VMware in site_default, if machine_type == "laptop"'],
    ),
    "WiFiProfile": (
        {},
        ["the whole item"],
    ),
    "Xcode": (
        {
            "prod_name": "Xcode",
            "enforcement_type": "self_service",
            "ss_category": "Development",
            "recommended": True,
            "prod_blueprints": ["Staff"],
        },
        ["minimum_os_version: 14.0", "requires XcodeTools"],
    ),
    "Zoom": (
        {
            "prod_name": "zoom.us",
            "test_name": "zoom.us (Test)",
            "enforcement_type": "audit_enforce",
            "blocking_applications": ["zoom.us", "ZoomOpener"],
            "promotion": {"after_days": 7.0},
            "test_blueprints": ["Early Adopters"],
            "prod_blueprints": ["Staff"],
        },
        ["Blueprint Lab"],
    ),
    "spotify": (
        {},
        ["managed_installs spotify (site_default)"],
    ),
}
