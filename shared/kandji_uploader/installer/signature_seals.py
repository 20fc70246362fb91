"""What a signed app seals beside its own program: its files by their hashes, and the code nested in it.

CodeResources lists them: `files2`, with the hashes of each file, where each link leads, and the code hash of each
framework, helper or extension, which is sealed by a signature of its own and may have a list of its own; `files`, of
before OS X 10.9.5, with SHA-1 alone, and without nested code.
"""

from __future__ import annotations

import base64
import binascii
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kandji_uploader.installer.limits import (
    CODE_SIGNATURE_BYTES,
    PLIST_BYTES,
    SEALED_FILES,
    SEALS_DEPTH,
    MalformedError,
)
from kandji_uploader.installer.plists import read_info
from kandji_uploader.installer.signature_code import INFO_SLOT, RESOURCES_SLOT, NotCodeError, SignedCode, read_code
from kandji_uploader.installer.signature_files import File, Files, folded, folders
from kandji_uploader.installer.xmlwalk import walk

SEALS = "_CodeSignature/CodeResources"
_PLACE = "app"
_CODE_HASH = re.compile(r'cdhash H"([0-9a-f]{40})"')
_NAMED = 3
_HASH_BYTES = 20
# What no list of seals has: the list itself, what code directories or Apple seal otherwise, and the Finder's own files.
# An app that brings rules of its own for what may be added is refused by Gatekeeper, too (since OS X 10.10).
_NEVER_LISTED = re.compile(r"(.*/)?(\.ds_store|\._[^/]*|[^/]*\.lproj/locversion\.plist)")
_SEALED_OTHERWISE = ("Info.plist", "PkgInfo", "CodeResources")
_SEALED_FOLDERS = ("_CodeSignature", "_MASReceipt")


@dataclass
class Seal:
    """What a list says of one path.

    Attributes:
        hashes: SHA-1 and SHA-256 of the file, as far as they are given.
        target: where the link leads; None where it is none.
        code: the code hashes by which nested code is known.
        nested: whether it is nested code.
        optional: whether it may be missing.
    """

    hashes: dict[str, bytes] = field(default_factory=dict)
    target: str | None = None
    code: set[bytes] = field(default_factory=set)
    nested: bool = False
    optional: bool = False

    def add(self, key: str, tag: str, text: str) -> None:
        """One of its values."""
        self.nested = self.nested or key in ("cdhash", "requirement")
        if tag == "data" and key in ("hash", "hash2"):
            self.hashes[key] = _decoded(text)
        elif tag == "data" and key == "cdhash":
            self.code.add(_decoded(text))
        elif key == "requirement":
            self.code.update(bytes.fromhex(found) for found in _CODE_HASH.findall(text))
        elif key == "symlink":
            self.target = text
        elif key == "optional":
            self.optional = tag == "true"

    def fits(self, found: File) -> bool:
        """Whether a file or link is what was sealed."""
        if self.target is not None or found.target is not None:
            return self.target == found.target
        wanted = {"hash": found.sha1, "hash2": found.sha256}
        return bool(self.hashes) and all(wanted[key] == made for key, made in self.hashes.items())


class _List:
    """Collects the seals while the plist is walked: dictionaries of texts and data, in dictionaries, in one."""

    def __init__(self) -> None:
        self.sections: dict[str, dict[str, Seal]] = {"files": {}, "files2": {}}
        self._keys: dict[int, str] = {}

    def start(self, parents: list[str], tag: str, attributes: dict[str, str]) -> None:
        """Nothing to do."""

    def end(self, parents: list[str], tag: str, attributes: dict[str, str], text: str) -> None:  # noqa: ARG002
        """A key, or a value of the key before it."""
        depth = len(parents)
        if tag == "key":
            self._keys[depth] = text
            return
        section = self.sections.get(self._keys.get(2, ""))
        if section is None or depth not in (3, 4) or tag == "dict":
            return
        path = self._keys.get(3, "")
        if path not in section and len(section) >= SEALED_FILES:
            raise MalformedError(_PLACE, "it lists too many files")
        section.setdefault(path, Seal()).add("hash" if depth == 3 else self._keys.get(4, ""), tag, text)  # noqa: PLR2004


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


@dataclass
class Seals:
    """Holds the files of an app against their seals.

    Attributes:
        files: the app.
        roots: SHA-256 fingerprints of the roots that count.
        teams: whose code may be nested without being known by its hash: the signer's.
        checked: how many files fit; `nested` how many frameworks, helpers and extensions.
        odd: what could not be held against a seal, a few words each.
        unsealed: what anybody can have put there: nobody sealed it, or its seal cannot be looked at.
    """

    files: Files
    roots: frozenset[str]
    teams: frozenset[str]
    checked: int = 0
    nested: int = 0
    odd: list[str] = field(default_factory=list)
    unsealed: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _passed: set[str] = field(default_factory=set)

    def check(self, root: str, program: str, resources: bytes | None, depth: int = 0) -> None:
        """Hold the files under a folder against a list that is sealed itself.

        Args:
            root: the folder from which paths in the list start.
            program: the main executable, which a code directory seals.
            resources: the list; None where there is none.
            depth: how many bundles are around it.

        Raises:
            MalformedError: a sealed file was changed or taken away, or nested code is not what was sealed.
        """
        self._seen.update(folded(path) for path in (program, *(f"{root}/{name}" for name in _SEALED_OTHERWISE)))
        self._passed.update(folded(f"{root}/{name}") for name in _SEALED_FOLDERS)
        try:
            listed = _read(resources) if resources is not None or not depth else {}
        except MalformedError as problem:
            self._pass_over(root, problem.reason)
            return
        for path, seal in listed.items():
            place = f"{root}/{path}"
            self._seen.add(folded(place))
            if seal.nested:
                self._check_code(place, seal, depth)
            else:
                self._check_file(place, seal)

    def told(self) -> list[str]:
        """What was verified."""
        files = "the file" if self.checked == 1 else f"the {self.checked} files"
        done = [f"{files} that CodeResources lists"] if self.checked else []
        done += [f"the signatures of {self.nested} frameworks, helpers or extensions in it"] if self.nested else []
        return done

    def look_for_more(self) -> str:
        """What is there that anybody can have put there, a few names; "" where all is sealed.

        macOS calls such an app broken. What an app loads beside its own files would run in the signer's name: a script
        in place of a helper, a plug-in, the `app` folder of Electron.
        """
        found = [*self.unsealed, *(found.name for key, found in self.files if self._is_added(key, found))]
        if self.files.too_many:
            (found if len(self._seen) < SEALED_FILES else self.odd).append(f"files beyond the first {SEALED_FILES:,}")
        more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
        return ", ".join(found[:_NAMED]) + more

    def _is_added(self, key: str, found: File) -> bool:
        """Whether nobody sealed a file; a link within the app leads to one that is looked at itself."""
        if key in self._seen or _stays_inside(found) or _NEVER_LISTED.fullmatch(key):
            return False
        return not any(folder in self._passed for folder in folders(key))

    def _check_file(self, place: str, seal: Seal) -> None:
        found = self.files.get(place)
        if found is None and not seal.optional and not self.files.too_many:
            raise MalformedError(_PLACE, f"{place[:200]!r}, which is sealed, is missing")
        if found is None:
            return
        if found.target is None and not found.digests:
            self.odd.append(f"{place}: its bytes are with another name of it")
        elif not seal.fits(found):
            raise MalformedError(_PLACE, f"{place[:200]!r} was changed after signing")
        else:
            self.checked += 1

    def _check_code(self, place: str, seal: Seal, depth: int) -> None:
        bundle = _Bundle.at(place, self.files)
        program = self.files.program(bundle.program)
        if program is None and not self._is_elsewhere(bundle, seal):
            if not seal.optional and not self.files.too_many:
                raise MalformedError(_PLACE, f"{place[:200]!r}, which is sealed, is missing, or its program is")
            return
        if depth >= SEALS_DEPTH or program is None:
            self._pass_over(place, "its signature is beside it, or too deep")
            return
        resources = self.files.read(f"{bundle.root}/{SEALS}", CODE_SIGNATURE_BYTES) if bundle.root else None
        parts = {INFO_SLOT: bundle.info, RESOURCES_SLOT: resources} if bundle.root else None
        try:
            found = read_code(*program, parts, self.roots, frozenset(seal.code))
            self._check_signers(found, seal)
        except NotCodeError:
            self._pass_over(place, "its signature is beside it")
            return
        except MalformedError as problem:
            raise MalformedError(_PLACE, f"{place[:200]!r}, {problem.place}: {problem.reason}") from None
        self.nested += 1
        self._seen.update((folded(bundle.program), folded(bundle.info_path)))
        if bundle.root:
            self.check(bundle.root, bundle.program, resources, depth + 1)

    def _check_signers(self, found: list[SignedCode | None], seal: Seal) -> None:
        """Nested code is the code that was sealed; another architecture of it is of its signer, or of the app's."""
        known = {one.team for one in found if one is not None and one.hashes & seal.code}
        for one in found:
            if one is None or (not one.hashes & seal.code and not self._is_known(one, known)):
                raise MalformedError("code signature", "it is another code than the one that was sealed")

    def _is_known(self, one: SignedCode, teams: set[str | None]) -> bool:
        team = one.signed.chain.team_id if one.signed is not None else None
        return team is not None and (team in teams or team in self.teams)

    def _is_elsewhere(self, bundle: _Bundle, seal: Seal) -> bool:
        """Whether the signature of a program is not in it: a script has it in attributes, a bundle in files."""
        if not bundle.root:
            return True
        directory = self.files.get(f"{bundle.root}/_CodeSignature/CodeDirectory")
        return directory is not None and bool({directory.sha1, directory.sha256[:_HASH_BYTES]} & seal.code)

    def _pass_over(self, place: str, why: str) -> None:
        self._passed.add(folded(place))
        self.unsealed.append(f"{place} ({why})")


@dataclass(frozen=True)
class _Bundle:
    """Nested code: a bundle, a version of a framework, or a program by itself.

    Attributes:
        root: the folder that its list starts from; "" for a program by itself.
        program: its program.
        info: its Info.plist; None where there is none.
        info_path: where that is.
    """

    root: str
    program: str
    info: bytes | None = None
    info_path: str = ""

    @classmethod
    def at(cls, place: str, files: Files) -> _Bundle:
        """The nested code at a path."""
        name = posixpath.splitext(posixpath.basename(place))[0]
        if files.get(place) is not None:
            return cls("", place)
        current = files.get(f"{place}/Versions/Current")
        version = (current.target or "") if current else ""
        versioned = bool(version) and "/" not in version and version != ".."
        if files.get(f"{place}/Contents/Info.plist") is not None:
            root, info, programs = f"{place}/Contents", "Info.plist", "MacOS/"
        else:
            root, info, programs = f"{place}/Versions/{version}" if versioned else place, "Resources/Info.plist", ""
            info = info if files.get(f"{root}/{info}") is not None else "Info.plist"
        data = files.read(f"{root}/{info}", PLIST_BYTES)
        facts = read_info(data) if data else None
        program = (facts and facts.executable) or name
        return cls(root, _followed(f"{root}/{programs}{program}", files), data, f"{root}/{info}")


def _followed(path: str, files: Files) -> str:
    """Where a program is that a bundle has a link to, as those of Java do."""
    found = files.get(path)
    if found is None or found.target is None:
        return path
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), found.target))


def _stays_inside(found: File) -> bool:
    """Whether it is a link to something in the app, which is looked at itself."""
    if found.target is None or found.target.startswith("/"):
        return False
    way = posixpath.normpath(posixpath.join(posixpath.dirname(found.name), found.target))
    # Behind the first name of a folder, which may be a link, `..` need not be the folder around it.
    return not way.startswith("..") and ".." not in found.target.lstrip("./").split("/")


def _read(resources: bytes | None) -> Mapping[str, Seal]:
    if resources is None:
        raise MalformedError(_PLACE, "it has no list of its files")
    found = _List()
    walk([resources], found, _PLACE)
    return found.sections["files2"] or found.sections["files"]
