"""Who signed what: whether a version may follow the one before it, and whether it is one that the settings let through.

Pure: the signature of an installer, what is remembered of the version before, and the settings come in as values. What
is remembered of a signer is one text, the Team ID and the name: `43AQ936H96 Mozilla Corporation`. The word for Apple's
own software, which has no Team ID, is `apple`; `unsigned` stands for all that nobody signed for whom Apple vouches: no
signature, an ad hoc one, a chain to another root than Apple's, and what cannot be read.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kandji_uploader.models import NOT_SIGNED, PACKAGE_AROUND, Settings, Signature

APPLE, UNSIGNED = "apple", "unsigned"
_LONGEST_NAME = 80
_PACKAGE = " [package]"
"""Ends what is remembered of who signed a package, and so its scripts, too."""
_OWN = ("apple", "mac_app_store")
"""What Apple itself hands out has no ticket of its own."""
_REQUIRED_TEAM = re.compile(r'subject\.OU\]?\s*=\s*"?([A-Z0-9]{10})\b')
_NAMED_TEAM = re.compile(r"\(([A-Z0-9]{10})\)\s*$")


@dataclass(frozen=True)
class Looked:
    """What is known of who signed an installer.

    Attributes:
        signer: who did, as it is remembered; "" where nobody looked, or nobody has noted it.
        signature: what was found; None for an installer that is in Kandji, of which a note tells.
        instead_of: whom an admin has let that signer take the place of, in a release that soaked.
        unseen: whether nobody can look any more: it is in Kandji, and nothing is noted.
    """

    signer: str = ""
    signature: Signature | None = None
    instead_of: str = ""
    unseen: bool = False

    @classmethod
    def at(cls, signature: Signature) -> Looked:
        """What a signature tells."""
        package = _PACKAGE if signature.of == "package" else ""
        if signature.team_id:
            return cls(f"{signature.team_id} {(signature.name or '')[:_LONGEST_NAME]}".strip() + package, signature)
        return cls(f"{APPLE}{package}" if signature.authority == APPLE else UNSIGNED, signature)


def identity(signer: str) -> str:
    """What of a signer is compared: its Team ID, or one of the two words."""
    return signer.partition(" ")[0]


def shown(signer: str) -> str:
    """A signer for people."""
    team, _, name = signer.removesuffix(_PACKAGE).partition(" ")
    if team in (APPLE, UNSIGNED):
        return {APPLE: "Apple", UNSIGNED: "nobody for whom Apple vouches"}[team]
    return f"{name} ({team})" if name else f"the team {team}"


def told(looked: Looked, before: str) -> str:
    """Who signed it, for the run's line; also whether that is news.

    Args:
        looked: what is known of it.
        before: who signed the version before; "" where that is not known.
    """
    if not looked.signer:
        return ""
    now = NOT_SIGNED if looked.signer == UNSIGNED else f"signed by {shown(looked.signer)}"
    if not before and looked.signer != UNSIGNED:
        return f"{now}, who is remembered from now on"
    if before and identity(before) != identity(looked.signer):
        return f"{now}, before by {shown(before)}"
    return now


def problem(looked: Looked, before: str, settings: Settings, by_recipe: Iterable[str] = ()) -> str:
    """Why an installer is not published, and what to do; "" where it may be.

    Args:
        looked: what is known of who signed it.
        before: who signed the version before; "" where that is not known.
        settings: what an admin allows and asks for.
        by_recipe: Team IDs that the recipe has AutoPkg's CodeSignatureVerifier look for. It looked at what was
            downloaded, so that a package which was made of that, and which nobody signed, is none of its affair.
    """
    found = looked.signature
    if found is not None and found.status == "broken":
        return (
            f"its signature is broken ({found.why}), and such a file is never published. Download it again, or look "
            "whether a step of the recipe has changed what was signed"
        )
    return _against_settings(looked, settings, tuple(by_recipe)) or _against(looked, before, settings)


def _against_settings(looked: Looked, settings: Settings, by_recipe: tuple[str, ...]) -> str:
    found = looked.signature
    if found is None:
        return _noted_against_settings(looked, settings)
    who, why = f"it is {found}", "Publish another file, or change the setting"
    if settings.require_signed and (found.status != "signed" or found.authority == "other"):
        return f"require_signed is set, and {who}. {why}"
    if settings.require_notarized and not found.notarized and found.authority not in _OWN:
        return f"require_notarized is set, and no notarization ticket for it is stapled to it ({who}). {why}"
    expected = settings.expected_team_id
    if expected and identity(looked.signer) not in expected:
        return f"expected_team_id is {', '.join(expected)}, and {who}. {why}"
    if not expected and by_recipe and looked.signer != UNSIGNED and identity(looked.signer) not in by_recipe:
        return (
            f"the recipe has CodeSignatureVerifier look for the Team ID {', '.join(by_recipe)}, and {who}. "
            "Correct the recipe, or set expected_team_id"
        )
    return ""


def _noted_against_settings(looked: Looked, settings: Settings) -> str:
    """Likewise for what is in Kandji, of which a note tells: whose it is, and not whether it has a ticket."""
    asked, expected = asks(settings), settings.expected_team_id
    if asked and not looked.signer:
        return (
            f"{' and '.join(asked)} {'are' if asked[1:] else 'is'} set, and it is not known who signed it: it is in "
            "Kandji, and nobody has looked at it. Publish its installer to this app from a file, which is looked at"
        )
    key = "require_signed is set" if settings.require_signed and looked.signer == UNSIGNED else ""
    if expected and identity(looked.signer) not in expected:
        key = f"expected_team_id is {', '.join(expected)}"
    return key and f"{key}, and it is signed by {shown(looked.signer)}. Publish another file, or change the setting"


def _against(looked: Looked, before: str, settings: Settings) -> str:
    """Why another signer may not follow the one before."""
    now, then = identity(looked.signer) or (UNSIGNED if looked.unseen else ""), identity(before)
    bare = before.endswith(_PACKAGE) and looked.signature and PACKAGE_AROUND in looked.signature.not_verified
    if not now or then in ("", UNSIGNED) or (now == then and not bare):
        return ""
    if now == settings.allow_signer_change or (looked.instead_of and identity(looked.instead_of) == then):
        return ""
    who = f"it is signed by {shown(looked.signer)}"
    if bare:
        who = f"the app in it is {looked.signature}, and nobody signed the package with its scripts"
    if now == UNSIGNED:
        unseen = "not known who signed it: it is in Kandji, and nobody has looked at it"
        who = f"it is {unseen if looked.unseen else looked.signature or 'not signed'}"
    return (
        f"{who}, while the version before it was signed by {shown(before)}. "
        f"If that is right, set allow_signer_change to {now}"
    )


def asks(settings: Settings) -> tuple[str, ...]:
    """The settings that cannot be heeded without looking at signatures."""
    asked = {
        "require_signed": settings.require_signed,
        "require_notarized": settings.require_notarized,
        "expected_team_id": settings.expected_team_id,
    }
    return tuple(key for key, given in asked.items() if given)


def of_verifier(env: Mapping[str, Any], platform: str = sys.platform) -> tuple[str, ...]:
    """The Team IDs that a step of AutoPkg's CodeSignatureVerifier looks for; none where an admin has switched it off.

    Off macOS, where it has to be switched off since it cannot look, they count all the same.
    For an app it has a `requirement` (`certificate leaf[subject.OU] = "43AQ936H96"`), for a package the names of the
    certificates, the signer's first (`Developer ID Installer: Mozilla Corporation (43AQ936H96)`).
    """
    off = platform == "darwin" and env.get("DISABLE_CODE_SIGNATURE_VERIFICATION")
    requirement, names = env.get("requirement"), env.get("expected_authority_names")
    if off:
        return ()
    teams = _REQUIRED_TEAM.findall(requirement) if isinstance(requirement, str) else []
    if isinstance(names, list | tuple) and names and isinstance(names[0], str):
        teams += _NAMED_TEAM.findall(names[0])
    return tuple(dict.fromkeys(teams))
