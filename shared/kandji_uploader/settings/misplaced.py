"""Keys that are almost ours, or ours in the wrong place, and which key each of them means.

AutoPkg's environment is shared by all processors of a recipe, so an unknown key in it is no error; but a `prod_name`
beside `custom_app`, which nobody reads, would make a Custom App of another name, enforced on every Mac.
"""

from __future__ import annotations

import re
from functools import lru_cache

from kandji_uploader.settings import schema

# Keys of custom_app that other processors and recipes have variables for, so that one beside it proves nothing.
_COMMON = frozenset(
    {
        *("active", "blocking_applications", "blueprints", "minimum_os_version", "postinstall_script"),
        *("preinstall_script", "promotion", "recommended", "restart"),
    }
)
_SECTIONS = ("customapp", "enforcementdelay")
# Above it, `product_name` (0.86) and `dest_name` (0.89) are not taken for `prod_name` and `test_name`.
_ALIKE = 0.9


@lru_cache(maxsize=1024)
def meant(key: str) -> str:
    """Which recipe key a variable of AutoPkg's environment is meant to be, by its whole path; "" for none of them."""
    bare = _bare(key)
    known = _known()
    if bare in known:
        return known[bare] if known[bare] != key else ""
    import difflib

    shuffled = sorted(bare)
    for candidate, path in known.items():
        if shuffled == sorted(candidate) or difflib.SequenceMatcher(None, candidate, bare).ratio() > _ALIKE:
            return path
    return "custom_app" if bare.startswith(_SECTIONS[0]) else "enforcement_delays" if bare.startswith(_SECTIONS) else ""


def belongs(table: schema.Table, path: str) -> str:
    """Where a key that is right, but not here, belongs, as the rest of a sentence; "" for one that is right nowhere.

    Args:
        table: the keys that are known where it was found.
        path: its key path there.
    """
    above, _, last = path.rpartition(".")
    same = [known for known in table if known.rpartition(".")[2] == last]
    if last in same and above:
        return f"is not a known key; did you mean {last}? It belongs beside {above.partition('.')[0]}, not inside it"
    if not above and same:
        own = next((known for known in same if known in schema.IN_RECIPE), same[0])
        return f"is not a known key; did you mean {own}?"
    if table is schema.IN_TENANT and path in schema.IN_TENANT_APP:
        return "is about one app; write it below `apps`, at the name of that app"
    if path == "custom_app" and table is schema.IN_MAP:
        return "is not needed in a map; write its keys beside the others, such as prod_name"
    recipe = next((known for known in schema.IN_RECIPE if last == known.rpartition(".")[2]), "")
    if recipe and table is not schema.IN_GIVEN:
        return f"belongs into a recipe's or an override's Input, as {recipe}"
    config = next((known for known in schema.IN_CONFIG if known.rpartition(".")[2] == last), "")
    return f"belongs into the config file, as {config}" if config and table is schema.IN_MAP else ""


@lru_cache(maxsize=1)
def _known() -> dict[str, str]:
    """The whole paths of the keys that are nobody else's, by how they are written without dots, dashes and case."""
    found: dict[str, str] = {}
    for path in schema.IN_RECIPE:
        above, _, last = path.rpartition(".")
        found[_bare(path)] = path
        if (above == "custom_app" and last not in _COMMON) or not above:
            found[_bare(last)] = path
    return found


def _bare(key: str) -> str:
    return re.sub(r"[-_. ]", "", key).lower()
