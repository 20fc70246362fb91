"""The contents of a Munki repo and the results of an import, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone, tzinfo
from enum import Enum
from types import MappingProxyType
from typing import Any

from kandji_uploader.models import Enforcement, Stage


@dataclass(frozen=True)
class RepoFinding:
    """Something about the repo as a whole that its owner should know.

    Attributes:
        kind: `broken file`, `unknown manifest`, `include cycle`, `unknown catalog`, ...; one word or two for machines
            and for the report's table.
        where: the file, manifest or catalog, relative to the repo.
        text: the problem, and what was done about it.
    """

    kind: str
    where: str
    text: str


@dataclass(frozen=True)
class PkgInfo:
    """One version of an item, as a catalog or a file of `pkgsinfo` describes it.

    Attributes:
        name: the item's name, what manifests refer to; NFC.
        version: its version as written.
        fields: all keys.
        source: the file it was read from, relative to the repo.
    """

    name: str
    version: str
    fields: Mapping[str, Any]
    source: str

    def text(self, key: str) -> str:
        """A text that is not blank, else ""."""
        found = self.fields.get(key)
        return found.strip() if isinstance(found, str) else ""


@dataclass(frozen=True)
class ManifestLine:
    """One line of a manifest.

    Attributes:
        name: the item's name, without a version; NFC.
        version: the version after it (`Name-1.2`, `Name--1.2-RC`), "" where there is none.
        key: the list it stands in, such as `managed_installs`.
        manifest: the manifest that holds the line.
        catalogs: the catalogs to search, in order; inherited where the manifest has none.
        conditions: the conditions above it, outermost first; empty where it always holds.
    """

    name: str
    version: str
    key: str
    manifest: str
    catalogs: tuple[str, ...]
    conditions: tuple[str, ...] = ()

    @property
    def written(self) -> str:
        """Name and version, as a person would say it."""
        return f"{self.name} {self.version}".rstrip()


class Mode(str, Enum):
    """What a manifest wants of an item, once Munki's precedence is settled; the weightiest first."""

    INSTALL = "managed_installs"
    UPDATE = "managed_updates"
    OFFER = "optional_installs"
    REMOVE = "managed_uninstalls"

    @property
    def enforcement(self) -> Enforcement | None:
        """How Kandji says it; None where it cannot."""
        return _ENFORCEMENT.get(self)


_ENFORCEMENT = {
    Mode.INSTALL: Enforcement.AUDIT_ENFORCE,
    Mode.UPDATE: Enforcement.UPDATE_ONLY,
    Mode.OFFER: Enforcement.SELF_SERVICE,
}


@dataclass(frozen=True)
class Gap:
    """Something that the repo says and the map does not: what, and why or what to do instead."""

    what: str
    why: str


@dataclass(frozen=True)
class Want:
    """What one device manifest, with all that it includes, wants of one item.

    Attributes:
        manifest: the device manifest.
        mode: what it wants.
        line: the line that decided.
        package: the version that Munki would take; None for a removal, or where no catalog of the manifest has it.
        catalog: the catalog it was found in.
        stage: what that catalog stands for; None where it is neither testing nor production.
        featured: shown among the featured items.
        gaps: what else its manifests say of the item, and why that does not count.
    """

    manifest: str
    mode: Mode
    line: ManifestLine
    package: PkgInfo | None = None
    catalog: str = ""
    stage: Stage | None = None
    featured: bool = False
    gaps: tuple[Gap, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether a catalog that stands for a stage has the item."""
        return self.package is not None and self.stage is not None

    @property
    def shape(self) -> tuple[Mode, str]:
        """What one Custom App can be for all Macs: two wants of different shapes need two."""
        return (self.mode, self.line.version)


@dataclass(frozen=True)
class ImportOptions:
    """What the admin says about the import.

    Attributes:
        testing: the catalogs that stand for the test app.
        production: those that stand for the prod app.
        manifests: the device manifests to import; empty for all that have catalogs.
        recipe_suffix: the map's keys are `NAME.suffix`, the names of the recipes.
        test_suffix: what the name of a test app ends in.
        after_days: `promotion.after_days` of items with both apps; None writes none.
        blueprints: Blueprints by manifest.
        zone: the time zone that `force_install_after_date` is meant in (Munki reads it as the Mac's own time);
            None for this machine's.
        now: the present, with a time zone; dates before it are not carried over.
    """

    testing: tuple[str, ...] = ("testing",)
    production: tuple[str, ...] = ("production",)
    manifests: tuple[str, ...] = ()
    recipe_suffix: str = "pkg"
    test_suffix: str = " (Test)"
    after_days: float | None = None
    blueprints: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    zone: tzinfo | None = None
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def stage_of(self, catalog: str) -> Stage | None:
        """What a catalog stands for."""
        if catalog in self.testing:
            return Stage.TEST
        return Stage.PROD if catalog in self.production else None

    def catalogs_of(self, stage: Stage) -> tuple[str, ...]:
        """The catalogs that stand for a stage."""
        return self.testing if stage is Stage.TEST else self.production


@dataclass(frozen=True)
class ItemReport:
    """What became of one item.

    Attributes:
        name: the item's name in Munki.
        recipe: its key in the map; "" where it has none.
        entry: its entry in the map; empty where it has none.
        wanted: per device manifest, what it wants.
        how: what was mapped to what, one sentence each.
        gaps: what could not be expressed.
    """

    name: str
    recipe: str
    entry: Mapping[str, Any]
    wanted: tuple[Want, ...]
    how: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()

    @property
    def mapped(self) -> bool:
        """Whether the map has an entry for it."""
        return bool(self.entry)


@dataclass(frozen=True)
class Imported:
    """What became of a repo.

    Attributes:
        items: every item that a manifest names, by name.
        scripts: texts of scripts, by their path relative to the map.
        findings: problems of the repo as a whole.
        manifests: the device manifests that were imported.
        unlisted: items in catalogs that no imported manifest names.
    """

    items: tuple[ItemReport, ...]
    scripts: Mapping[str, str]
    findings: tuple[RepoFinding, ...]
    manifests: tuple[str, ...]
    unlisted: tuple[str, ...] = ()

    @property
    def entries(self) -> dict[str, Mapping[str, Any]]:
        """The recipe map."""
        return {item.recipe: item.entry for item in self.items if item.mapped}
