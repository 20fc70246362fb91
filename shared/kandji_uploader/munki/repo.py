"""A Munki repo on disk: manifests, catalogs and pkgsinfo, as plists or YAML. Nothing here writes.

A broken file is noted and passed over, so that one bad plist of a colleague does not stop the import.
"""

from __future__ import annotations

import os
import plistlib
import struct
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from kandji_uploader.errors import KandjiUploaderError, MunkiRepoError
from kandji_uploader.munki.values import PkgInfo, RepoFinding

YamlReader = Callable[[str, str], Any]
"""A YAML text and its name for error texts, to what it holds; raises a `KandjiUploaderError`."""

# All that plistlib lets out of a plist that was cut short or tampered with.
_BROKEN_PLIST = (
    plistlib.InvalidFileException,
    ExpatError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    struct.error,
    RecursionError,
    MemoryError,
)
_YAML_SUFFIXES = (".yaml", ".yml")


class Repo:
    """A Munki repo; each file is read when it is first asked for, and once.

    Args:
        folder: the folder that holds `manifests` and `catalogs` or `pkgsinfo`.
        read_yaml: reads YAML.

    Raises:
        MunkiRepoError: it is no such folder.
    """

    def __init__(self, folder: Path, read_yaml: YamlReader) -> None:
        self.folder = folder
        self.findings: list[RepoFinding] = []
        self._read_yaml = read_yaml
        self._manifests: dict[str, Mapping[str, Any] | None] = {}
        self._catalogs: dict[str, tuple[PkgInfo, ...]] = {}
        self._pkgsinfo: tuple[PkgInfo, ...] | None = None
        if not (folder / "manifests").is_dir():
            raise MunkiRepoError(f"{folder} holds no folder `manifests`; name the top folder of the Munki repo")
        if not any((folder / part).is_dir() for part in ("catalogs", "pkgsinfo")):
            raise MunkiRepoError(f"{folder} holds neither `catalogs` nor `pkgsinfo`; name the top folder of the repo")

    def note(self, kind: str, where: str, text: str) -> None:
        """Remember a finding; the same one twice counts once."""
        finding = RepoFinding(kind, where, text)
        if finding not in self.findings:
            self.findings.append(finding)

    def manifest_names(self) -> tuple[str, ...]:
        """Every manifest, by its path inside `manifests`."""
        top = self.folder / "manifests"
        return tuple(sorted(path.relative_to(top).as_posix() for path in _files(top)))

    def manifest(self, name: str) -> Mapping[str, Any] | None:
        """What a manifest holds; None where it is missing or broken, which is noted once."""
        if name not in self._manifests:
            self._manifests[name] = self._load_manifest(name)
        return self._manifests[name]

    def resolve(self, name: str) -> str | None:
        """A manifest's name as it is on disk (Munki 7 also stores `NAME.yaml`); None where there is none."""
        if not name or name.startswith("/") or ".." in name.split("/"):
            return None
        spellings = (name, *(f"{name}{suffix}" for suffix in (*_YAML_SUFFIXES, ".plist")))
        return next((each for each in spellings if (self.folder / "manifests" / each).is_file()), None)

    def _load_manifest(self, name: str) -> Mapping[str, Any] | None:
        found = self._load(self.folder / "manifests" / name)
        if found is not None and not isinstance(found, Mapping):
            self.note("broken file", f"manifests/{name}", f"holds {_kind(found)}, not a manifest; passed over")
            return None
        return found

    def catalog(self, name: str) -> tuple[PkgInfo, ...]:
        """The items of a catalog; where its file is broken or the repo has none, those that `pkgsinfo` puts into it."""
        if name not in self._catalogs:
            self._catalogs[name] = self._load_catalog(name)
        return self._catalogs[name]

    def catalog_names(self) -> tuple[str, ...]:
        """Every catalog that has a file, or that `pkgsinfo` names where there are no files."""
        files = self._catalog_files()
        named = set(files) or {each for package in self._packages() for each in _texts(package.fields.get("catalogs"))}
        return tuple(sorted(named))

    def _catalog_files(self) -> dict[str, Path]:
        top = self.folder / "catalogs"
        return {_bare(path.relative_to(top).as_posix()): path for path in _files(top)}

    def _load_catalog(self, name: str) -> tuple[PkgInfo, ...]:
        files = self._catalog_files()
        if name in files:
            found = self._load(files[name])
            if isinstance(found, list):
                return tuple(self._as_packages(found, f"catalogs/{name}"))
            if found is not None:
                self.note("broken file", f"catalogs/{name}", f"holds {_kind(found)}, not a list of items")
        elif files:
            return ()  # A Mac does not find it either until makecatalogs has been run.
        made = tuple(package for package in self._packages() if name in _texts(package.fields.get("catalogs")))
        if name in files:
            self.note("catalog from pkgsinfo", f"catalogs/{name}", f"its {len(made)} items were taken from pkgsinfo")
        return made

    def _packages(self) -> tuple[PkgInfo, ...]:
        """All that is in `pkgsinfo`."""
        if self._pkgsinfo is None:
            top = self.folder / "pkgsinfo"
            found: list[PkgInfo] = []
            for path in sorted(_files(top)) if top.is_dir() else ():
                content = self._load(path)
                if content is not None:
                    found += self._as_packages([content], path.relative_to(self.folder).as_posix())
            self._pkgsinfo = tuple(found)
        return self._pkgsinfo

    def _as_packages(self, content: list[Any], source: str) -> Iterator[PkgInfo]:
        for number, fields in enumerate(content):
            if not isinstance(fields, Mapping):
                self.note("broken item", source, f"entry {number + 1} is {_kind(fields)}; passed over")
                continue
            name, version = (_scalar(fields.get(key)) for key in ("name", "version"))
            if name and version:
                yield PkgInfo(nfc(name), version, fields, source)
            else:
                lacks = " and ".join(key for key, value in (("name", name), ("version", version)) if not value)
                said = name or f"entry {number + 1}"
                self.note("broken item", source, f"{said} has no {lacks}; passed over, as Munki would")

    def _load(self, path: Path) -> Any:
        """What a file holds; None where it is broken, which is noted."""
        where = path.relative_to(self.folder).as_posix()
        try:
            content = path.read_bytes()
        except OSError as error:
            self.note("broken file", where, f"cannot be read ({error.strerror or error}); passed over")
            return None
        if _is_plist(content):
            try:
                return plistlib.loads(content)
            except _BROKEN_PLIST as error:
                said = str(error).splitlines()[0] if str(error) else type(error).__name__
                self.note("broken file", where, f"is a broken plist ({said}); passed over")
                return None
        return self._load_yaml(content, where)

    def _load_yaml(self, content: bytes, where: str) -> Any:
        try:
            found = self._read_yaml(content.decode("utf-8-sig"), where)
        except UnicodeDecodeError:
            self.note("broken file", where, "is neither a plist nor UTF-8 text; passed over")
        except RecursionError:
            self.note("broken file", where, "is nested too deeply; passed over")
        except KandjiUploaderError as error:
            self.note("broken file", where, f"is neither a plist nor YAML that can be read ({error}); passed over")
        else:
            if found is None:
                self.note("broken file", where, "is empty; passed over")
            return found
        return None


def nfc(text: str) -> str:
    """A name as Munki compares it: a Mac's file system and an editor may spell one `é` in two ways."""
    return unicodedata.normalize("NFC", text)


def _files(top: Path) -> Iterator[Path]:
    """The files of a folder tree, without hidden ones."""
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(folder, name) for name in names if not name.startswith("."))
        yield from (path for path in paths if path.is_file())


def _is_plist(content: bytes) -> bool:
    start = content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    utf_16 = content.startswith((b"\xff\xfe<", b"\xfe\xff\x00<"))
    return utf_16 or start.startswith((b"bplist", b"<?xml", b"<plist", b"<!DOCTYPE"))


def _bare(name: str) -> str:
    return next((name.removesuffix(suffix) for suffix in _YAML_SUFFIXES if name.endswith(suffix)), name)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()


def _scalar(value: object) -> str:
    """A name or version; YAML reads the version `12` as a number."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _kind(value: object) -> str:
    kinds = {Mapping: "a dictionary", list: "a list", str: "text", bool: "a boolean", int: "a number"}
    return next((word for kind, word in kinds.items() if isinstance(value, kind)), type(value).__name__)
