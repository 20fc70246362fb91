"""From a Munki repo to a recipe map: what its manifests ask for, in Kandji's terms, and what has no such terms.

    repo = Repo(Path("/Users/Shared/munki_repo"), read_yaml)
    found = import_repo(repo, Options())
    text = recipe_map.as_yaml(found)

It reads as Munki does, and writes nothing:

    repo        files: plists or YAML, broken ones named and passed over
    manifests   a manifest with all that it includes, in Munki's order
    catalogs    which version of an item a manifest gets
    wants       what a manifest wants of an item, once Munki's precedence is settled
    mapping     all manifests together: one entry of the map per item
    pkginfo     what of an item's pkginfo can be carried over
    recipe_map, report   values in, text out

The rules are those of Munki's wiki page on manifests.
"""

from __future__ import annotations

from kandji_uploader.munki.mapping import import_repo
from kandji_uploader.munki.repo import Repo
from kandji_uploader.munki.values import Imported, ImportOptions, ItemReport

__all__ = ["ImportOptions", "Imported", "ItemReport", "Repo", "import_repo"]
