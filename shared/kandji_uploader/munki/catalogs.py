"""Which version of an item a manifest gets: its catalogs in order, the first that has a match, the highest in it."""

from __future__ import annotations

from functools import cached_property

from kandji_uploader.munki import names
from kandji_uploader.munki.repo import Repo
from kandji_uploader.munki.values import PkgInfo

ALL = "all"
"""The catalog that makecatalogs writes for Munki's own tools."""


class CatalogIndex:
    """The catalogs of a repo, indexed by item name."""

    def __init__(self, repo: Repo) -> None:
        self._repo = repo
        self._known = frozenset(repo.catalog_names())
        self._searched = sorted(self._known - {ALL})
        self._index: dict[str, dict[str, list[PkgInfo]]] = {}

    @property
    def catalogs(self) -> frozenset[str]:
        """The names of all catalogs."""
        return self._known

    def items(self) -> frozenset[str]:
        """The names of all items."""
        return frozenset(name for catalog in self._searched for name in self._catalog(catalog))

    def catalogs_with(self, name: str) -> list[str]:
        """The catalogs that have an item."""
        return [catalog for catalog in self._searched if self.versions(name, catalog)]

    def versions(self, name: str, catalog: str) -> list[PkgInfo]:
        """Every version of an item in one catalog, the highest first."""
        return self._catalog(catalog).get(name, [])

    def find(self, name: str, version: str, catalogs: tuple[str, ...]) -> tuple[PkgInfo, str] | None:
        """The version that Munki takes, and the catalog that has it; None where none has.

        Args:
            name: the item's name.
            version: the version asked for; "" for the highest.
            catalogs: where to look, in order.
        """
        for catalog in catalogs:
            for package in self.versions(name, catalog):
                if not version or names.same_version(package.version, version):
                    return package, catalog
        return None

    def updates_for(self, name: str) -> list[str]:
        """Items that Munki installs along with this one, since they say `update_for`."""
        return sorted(self._updates.get(name, ()))

    @cached_property
    def _updates(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        every = (package for catalog in self._searched for package in self._repo.catalog(catalog))
        for package in every:
            for updated in _updated(package):
                found.setdefault(updated, set()).add(package.name)
        return found

    def _catalog(self, name: str) -> dict[str, list[PkgInfo]]:
        if name not in self._index:
            index: dict[str, list[PkgInfo]] = {}
            for package in self._repo.catalog(name):
                index.setdefault(package.name, []).append(package)
            for packages in index.values():
                packages.sort(key=lambda package: names.VersionOrder(package.version), reverse=True)
            self._index[name] = index
        return self._index[name]


def _updated(package: PkgInfo) -> set[str]:
    """What an item is an update for; one name may stand there without a list."""
    said = package.fields.get("update_for")
    written = [said] if isinstance(said, str) else said
    return {names.split(each)[0] for each in written if isinstance(each, str)} if isinstance(written, list) else set()
