"""tenants.yaml: the tenants that one Mac, or one team, publishes to, by the names that people give them.

    tenants:
      acme:
        api_url: acme.api.kandji.io
        token_name: ACME_KANDJI_TOKEN
        groups: [europe]
        enforcement_delays: {prod: 3}
        apps:
          Firefox: {prod_name: Mozilla Firefox, prod_blueprints: [Acme Macs]}
    groups:
      customers: ["@europe", globex]

What a tenant's entry says wins over what is said for all tenants: it is about this one, and that is about any. So what
holds for one run only, such as `dry_run`, has no place in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kandji_uploader.errors import Problem, SettingsError
from kandji_uploader.models import Tenant
from kandji_uploader.settings import coercion, schema
from kandji_uploader.settings.reading import find_file, read_mapping_file
from kandji_uploader.settings.sources import Complaints, FoundValue, KeySource, Rung, read, same_names

STEM = "tenants"
EVERY = "all"
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
_NAME_RULE = (
    f"must be letters, digits, dots, dashes and underscores, begin with one of the first two, and not be {EVERY!r}"
)
_NOT_FILLED_IN = "nothing fills in keys here; write the value out"


@dataclass(frozen=True)
class TenantRungs:
    """What differs at one tenant, read and checked.

    Attributes:
        tenant: the tenant.
        every: what holds there for every app, its address and the token's name among it.
        apps: what holds there for single ones, by the name that the app has for all tenants.
    """

    tenant: Tenant
    every: Rung
    apps: Mapping[str, Rung]


@dataclass(frozen=True)
class Tenants:
    """All tenants of a config folder, in the order of the file.

    Attributes:
        path: the file; the folder where there is none.
        rungs: the tenants, by name.
        groups: the names of the tenants of each group.
    """

    path: Path
    rungs: Mapping[str, TenantRungs] = field(default_factory=dict)
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def all(self) -> tuple[Tenant, ...]:
        """Every tenant."""
        return tuple(each.tenant for each in self.rungs.values())

    def chosen(self, words: Iterable[str], where: str = "the call") -> tuple[Tenant, ...]:
        """The tenants that are meant, each once, in the order of the file.

        Args:
            words: names of tenants, `@` with that of a group, or `all`.
            where: who says so, for error texts.

        Raises:
            SettingsError: there is no such tenant or group.
        """
        asked = tuple(words)
        problems = [Problem(where, "tenant", repr(word), text) for word in asked if (text := self._unknown(word))]
        if problems:
            raise SettingsError(problems)
        meant = {name for word in asked for name in self._named(word)}
        return tuple(tenant for tenant in self.all if tenant.name in meant)

    def _named(self, word: str) -> Iterable[str]:
        if word == EVERY:
            return self.rungs
        return self.groups[word[1:]] if word.startswith("@") else (word,)

    def _unknown(self, word: str) -> str:
        """What is wrong with a word; "" where it means something."""
        if not self.rungs:
            return f"is in no {STEM}.yaml, for {self.path} holds none; write one there, or leave `tenant` out"
        known = [*self.rungs, *(f"@{name}" for name in self.groups), EVERY]
        if word in known:
            return ""
        import difflib

        near = difflib.get_close_matches(word, known, 1)
        meant = f"did you mean {near[0]}?" if near else f"known there are {', '.join(known)}"
        return f"is not in {self.path}; {meant}"


def read_tenants(folder: Path) -> Tenants:
    """The tenants of a config folder; none where it holds no tenants.yaml.

    Raises:
        SettingsError: with all problems of the file.
    """
    complaints = Complaints()
    path = find_file(folder, STEM)
    if path is None:
        return Tenants(folder)
    content = read_mapping_file(path)
    for key in content.keys() - {"tenants", "groups"}:
        complaints.add(str(path), str(key), "is not known here; the file holds `tenants` and `groups`")
    entries = _mapping(path, "tenants", content.get("tenants"), complaints)
    rungs, groups = _entries(path, entries, complaints)
    for name, members in _mapping(path, "groups", content.get("groups"), complaints).items():
        _check_name(path, f"groups: {name}", name, complaints)
        groups.setdefault(name, []).extend(_words(path, f"groups: {name}", members, complaints))
    found = Tenants(path, rungs, _flat_groups(path, groups, rungs, complaints))
    _check_twins(path, rungs, complaints)
    if not (rungs or complaints.problems):
        complaints.add(str(path), "tenants", "holds no tenant; write one, with its api_url and token_name")
    if complaints.problems:
        raise SettingsError(complaints.problems)
    return found


def rungs_of(tenant: Tenant, where: str, folder: Path, complaints: Complaints) -> TenantRungs:
    """What a tenant's entry holds, checked.

    Args:
        tenant: the tenant.
        where: how error texts call the file or the call that it comes from.
        folder: where relative paths start.
        complaints: collects the problems.
    """
    origin = f"{where} ({tenant.name})"
    raw = dict(tenant.keys)
    apps = raw.pop("apps", None) or {}
    address = {"api_url": tenant.url, "token_name": tenant.token_name}
    source = KeySource(where, origin, schema.IN_TENANT, [folder], tenant.name, _NOT_FILLED_IN)
    every = read(source, {**raw, **address}, complaints)
    found: dict[str, Rung] = {}
    if not isinstance(apps, Mapping):
        complaints.add(where, f"{tenant.name}: apps", "must hold apps, such as Firefox: with prod_name: ... below it")
        apps = {}
    for app, values in apps.items():
        entry = f"{tenant.name}: apps: {app}"
        if not isinstance(values, Mapping):
            complaints.add(where, entry, "must hold keys, such as prod_name: Firefox", coercion.shown(values))
            continue
        found[str(app)] = read(
            KeySource(where, origin, schema.IN_TENANT_APP, [folder], entry, _NOT_FILLED_IN), values, complaints
        )
        complaints.problems += same_names([found[str(app)]], where, f"{entry}: prod_name")
    return TenantRungs(tenant, every, found)


def one_url_each(tenants: Sequence[tuple[str, Rung]], where: str, complaints: Complaints) -> None:
    """Note tenants that share an address, whose runs would not know of each other, or the name of a token.

    A token is one tenant's; sent to another one's host it would be given away.
    """
    for key, said in ((schema.API_URL, "address"), (schema.TOKEN_NAME, "token")):
        first: dict[FoundValue | object, str] = {}
        for name, rung in tenants:
            value = rung[key.path].value if key.path in rung else None
            if value is not None and first.setdefault(value, name) != name:
                text = f"is the {said} of {first[value]!r}, too; each tenant has its own"
                complaints.add(where, f"{name}: {key.path.removeprefix('kandji.')}", text, coercion.shown(value))


def _entries(
    path: Path, entries: Mapping[str, Any], complaints: Complaints
) -> tuple[dict[str, TenantRungs], dict[str, list[str]]]:
    """The tenants of the file, and the groups that they say they are in."""
    rungs: dict[str, TenantRungs] = {}
    groups: dict[str, list[str]] = {}
    for name, values in entries.items():
        _check_name(path, f"tenants: {name}", name, complaints)
        if not isinstance(values, Mapping):
            complaints.add(str(path), f"tenants: {name}", "must hold keys: api_url and token_name at least")
            continue
        raw = dict(values)
        for group in _words(path, f"{name}: groups", raw.pop("groups", None) or (), complaints):
            _check_name(path, f"{name}: groups", group, complaints)
            groups.setdefault(group, []).append(name)
        for key in ("api_url", "token_name"):
            if raw.get(key) is None:
                complaints.add(str(path), f"{name}: {key}", "is missing; each tenant has its own")
        keys = {key: value for key, value in raw.items() if key not in ("api_url", "token_name")}
        tenant = Tenant(name, raw.get("api_url"), raw.get("token_name"), keys=keys)  # type: ignore[arg-type]
        checked = rungs_of(tenant, str(path), path.parent, complaints)
        url, token_name = (checked.every.get(key.path) for key in (schema.API_URL, schema.TOKEN_NAME))
        if url and token_name:
            tenant = Tenant(name, str(url.value), str(token_name.value), keys=keys)
        rungs[name] = TenantRungs(tenant, checked.every, checked.apps)
    return rungs, groups


def _check_twins(path: Path, rungs: Mapping[str, TenantRungs], complaints: Complaints) -> None:
    seen: dict[str, str] = {}
    for name in rungs:
        if seen.setdefault(name.lower(), name) != name:
            text = f"is {seen[name.lower()]!r} but for upper and lower case; a tenant is named once"
            complaints.add(str(path), f"tenants: {name}", text)
    one_url_each([(name, each.every) for name, each in rungs.items()], str(path), complaints)


def _flat_groups(
    path: Path, groups: Mapping[str, Sequence[str]], rungs: Mapping[str, object], complaints: Complaints
) -> dict[str, frozenset[str]]:
    """The names of the tenants of each group, with those of the groups in it."""
    found: dict[str, frozenset[str]] = {}
    known = {*rungs, *(f"@{group}" for group in groups)}
    for group, members in groups.items():
        place, reached = f"groups: {group}", _reached(group, groups)
        for member in members:
            if member not in known:
                text = f"is no tenant or @group of this file; known are {', '.join(sorted(known))}"
                complaints.add(str(path), place, text, repr(member))
        if f"@{group}" in reached:
            complaints.add(str(path), place, f"contains itself, through {', '.join(sorted(reached - {*rungs}))}")
        found[group] = frozenset(reached & {*rungs})
        if not members:
            complaints.add(str(path), place, "holds no tenant; name some, or take it out")
    return found


def _reached(group: str, groups: Mapping[str, Sequence[str]]) -> set[str]:
    """All that a group contains, also through other groups."""
    found: set[str] = set()
    left = list(groups[group])
    while left:
        member = left.pop()
        if member not in found:
            found.add(member)
            left += groups.get(member[1:], ()) if member.startswith("@") else ()
    return found


def _check_name(path: Path, place: str, name: object, complaints: Complaints) -> None:
    if not isinstance(name, str) or not NAME.search(name) or name.lower() == EVERY:
        complaints.add(str(path), place, _NAME_RULE)


def _mapping(path: Path, key: str, value: object, complaints: Complaints) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return {str(name): inner for name, inner in value.items()}
    complaints.add(str(path), key, "must hold names with what belongs to them below", coercion.shown(value))
    return {}


def _words(path: Path, place: str, value: object, complaints: Complaints) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value
    if isinstance(words, list | tuple) and all(isinstance(word, str) and word.strip() for word in words):
        return tuple(word.strip() for word in words)
    complaints.add(str(path), place, "must be a list of names", coercion.shown(value))
    return ()
