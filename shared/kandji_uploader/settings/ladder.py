"""Who wins: the precedence ladder of behaviour, part 1.

0. what tenants.yaml says of the one tenant that is meant: of the app, then of all apps
1. what the caller gave: recipe step, override, `-k`, flags
2. the recipe map's entry, then the package map's
3. environment variables
4. the config file
5. built-in defaults

Each value comes from the highest rung that has one, key by key.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kandji_uploader.errors import Problem, SettingsError
from kandji_uploader.models import Promotion, Ring, Settings, StageSettings, Tenant
from kandji_uploader.settings import parts, schema
from kandji_uploader.settings.reading import find_file
from kandji_uploader.settings.schema import Key
from kandji_uploader.settings.sources import FoundValue, Rung, first, same_names
from kandji_uploader.settings.tenants import STEM, TenantRungs, Tenants

_PAIR = ("custom_app.prod_name", "custom_app.test_name")
_MISSING_URL = (
    "is not set; set the environment variable KANDJI_API_URL to your tenant's API host (such as TENANT.api.kandji.io), "
    "write it into the config file, or run `kandji-uploader setup`"
)

DELAY_WITHOUT_VALUE = 3
"""Days, where a config file has the section but not the delay; KAPPA and kpkg do the same."""


def missing_url(folder: Path) -> str:
    """What to do where no API host is known; who has tenants.yaml has most likely named none of its tenants."""
    named = find_file(folder, STEM)
    if named is None:
        return _MISSING_URL
    return f"is not set; say which tenants of {named} are meant: `--tenant`, or the key `tenant`"


def value(rungs: Sequence[Rung], key: Key) -> FoundValue:
    """The value that holds, and where it came from."""
    return said(rungs, key) or FoundValue(key.default, "default")


def said(rungs: Sequence[Rung], key: Key) -> FoundValue | None:
    """What these rungs say: the highest of them, or all together; see `Key.adds`."""
    if not key.adds:
        return first(rungs, key.path)
    found = [rung[key.path] for rung in rungs if key.path in rung]
    together = tuple(dict.fromkeys(item for each in found for item in each.value))  # type: ignore[attr-defined]
    return FoundValue(together, " and ".join(each.origin for each in found)) if found else None


def caller_defaults(caller: str, config: Mapping[str, object]) -> Rung:
    """The defaults that depend on who asks and on what the config file has."""
    pattern = "APPNAME (AutoPkg)" if caller in ("autopkg", "kappa") else "APPNAME (kandji-uploader)"
    found = {schema.NAMING.path: FoundValue(pattern, "default")}
    if isinstance(config.get("li_enforcement"), Mapping):
        origin = "default where li_enforcement has no such delay"
        for key in (schema.PROD_DELAY, schema.TEST_DELAY):
            found[key.path] = FoundValue(DELAY_WITHOUT_VALUE, origin)
    return found


@dataclass(frozen=True)
class Rungs:
    """What every source but the maps says.

    Attributes:
        given: what the caller gave.
        environment: what environment variables say.
        config: what the config file holds.
        defaults: the defaults that depend on who asks.
        folder: where the config file and the maps are.
        config_file: the config file; the folder where it holds none; None where it could not be read.
    """

    given: Rung
    environment: Rung
    config: Rung
    defaults: Rung
    folder: Path
    config_file: Path | None

    @property
    def fixed(self) -> tuple[Rung, ...]:
        """They in order, for settings that have no place in a map."""
        return (self.given, self.environment, self.config, self.defaults)


@dataclass(frozen=True)
class Ladder:
    """All sources, read and checked. Not yet known is which entry of the package map is meant.

    Attributes:
        rungs: what every source but the maps says.
        recipe_entry: the recipe map's entry; empty where there is none.
        package_map: the package map's entries by package or bundle id; empty where it is not in use.
        given_origin: how error texts call what the caller gave.
        problems: errors; `settle` raises them.
        warnings: one sentence each.
        use_package_map: whether the ids of the installer must be known to settle.
        recipe_key: the key of the recipe map's entry; "" where there is none.
        recipe_why: why this one, or what was looked for; "" where the map is not in use.
        known: the tenants of tenants.yaml; empty where no tenant was asked for.
        tenant: the one tenant that is meant; None where the key `tenant` says it, or nobody does.
        builds: whether nothing is sent, so that no tenant need be known here: `publish_to` holds, or it is only shown.
    """

    rungs: Rungs
    recipe_entry: Rung
    package_map: Mapping[str, Rung]
    given_origin: str
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    use_package_map: bool = False
    recipe_key: str = ""
    recipe_why: str = ""
    known: Tenants | None = None
    tenant: TenantRungs | None = None
    builds: bool = False

    def tenants(self, identifiers: Sequence[str] = ()) -> tuple[Tenant, ...]:
        """The tenants that are meant; empty where nobody says it: then it is the one of the settings.

        Args:
            identifiers: as for `settle`.

        Raises:
            SettingsError: one that is named is not in tenants.yaml.
        """
        found = first(self._asked(identifiers), schema.TENANT.path)
        if self.tenant is not None or found is None or self.known is None:
            return ()
        return self.known.chosen(found.value, found.origin)  # type: ignore[arg-type]

    def at(self, tenant: Tenant) -> Ladder:
        """The ladder for one of the tenants that are meant."""
        return replace(self, tenant=self.known.rungs[tenant.name])  # type: ignore[union-attr] # `tenants` has named it

    def settle(self, identifiers: Sequence[str] = ()) -> Settings:
        """The settings that hold.

        Args:
            identifiers: package and bundle ids of the installer, best first; the first that the package map knows
                is the entry that counts.

        Raises:
            SettingsError: with the problems of all sources; or several tenants are meant.
        """
        asked = self._asked(identifiers)
        there = self.tenant or self._one_tenant(identifiers)
        of_app = asked
        if there is not None:
            app, every = _at(there, asked)
            of_app, asked = (app, *asked), (app, every, *asked)
        _, *below = self.rungs.fixed
        problems = [*self.problems, *self._contradictions(asked), *_beside_rings(of_app)]
        config = self.rungs.config_file
        named = first(asked, schema.TENANT.path) is not None  # what has no address then was told when it was read
        told = (
            self.builds
            or named
            or config is None
            or any(problem.key.endswith(("api_url", "API_URL", "tenant")) for problem in problems)
        )
        if first((*asked, *below), schema.API_URL.path) is None and not told:
            problems.append(Problem(str(config), schema.API_URL.path, None, missing_url(self.rungs.folder)))
        if problems:
            raise SettingsError(problems)
        return _settings(
            (*asked, *below),
            tenant=there.tenant.name if there else "",
            config_folder=self.rungs.folder,
            warnings=(*self.warnings, *_idle_categories(asked)),
            environment_first=schema.ENVIRONMENT.path in self.rungs.environment,
            unzip_location_given=first(asked, schema.UNZIP_LOCATION.path) is not None,
        )

    def told(self, identifiers: Sequence[str] = ()) -> tuple[dict[str, object], dict[str, object]]:
        """What holds for these apps, for another machine to go by; see `schema.travels`.

        Args:
            identifiers: as for `settle`.

        Returns:
            What the caller and the maps say, by recipe key; and what the config file says beside it, by its key path,
            with the defaults that depend on who asks.
        """
        asked, below = self._asked(identifiers), (self.rungs.config, self.rungs.defaults)
        keys: dict[str, object] = {}
        further: dict[str, object] = {}
        for key in filter(schema.travels, schema.ALL_KEYS):
            there = said(asked, key)
            if there:
                keys[key.recipe or key.path] = there.value
            if (found := said(below, key)) and (key.adds or not there):
                further[key.path] = found.value
        return keys, further

    def _asked(self, identifiers: Sequence[str]) -> tuple[Rung, ...]:
        """What the caller and the maps say."""
        entry = next((self.package_map[known] for known in identifiers if known in self.package_map), {})
        return (self.rungs.given, self.recipe_entry, entry)

    def _one_tenant(self, identifiers: Sequence[str]) -> TenantRungs | None:
        chosen = () if self.problems else self.tenants(identifiers)
        if len(chosen) > 1:
            names = ", ".join(tenant.name for tenant in chosen)
            text = f"means {len(chosen)} tenants ({names}), and this is about one; name one of them"
            raise SettingsError([Problem(self.given_origin, schema.TENANT.path, None, text)])
        return self.at(chosen[0]).tenant if chosen else None

    def complain(self) -> None:
        """Raise the errors that are known before the installer has been read.

        Raises:
            SettingsError: as `settle` does.
        """
        if not self.use_package_map:
            chosen = () if self.problems else self.tenants()
            for ladder in [self.at(tenant) for tenant in chosen] or [self]:
                ladder.settle()
        if self.problems:
            raise SettingsError(self.problems)

    def _contradictions(self, asked: Sequence[Rung]) -> list[Problem]:
        """Values that are right one by one but not together; errors inside one map entry are known already."""
        paths = _PAIR
        prod, test = (first(asked, path) for path in paths)
        apart = prod and test and (prod.origin != test.origin or prod.origin == self.given_origin)
        problems = same_names(asked, prod.origin, paths[0]) if prod and apart else []
        alone = not (prod and test) and first(asked, schema.RINGS.path) is None
        if alone and any(first(asked, key.path) for key in schema.PROMOTION):
            advice = f"moves a version from the test app to the prod app; give {' and '.join(paths)}, or drop it"
            problems.append(Problem(self.given_origin, "custom_app.promotion", None, advice))
        problems += _blind_rules(asked)
        return problems


def _at(there: TenantRungs, asked: Sequence[Rung]) -> tuple[Rung, Rung]:
    """What a tenant's entry says of the app that is asked for, and of all apps.

    Rules of promotion that hold for all apps there are nothing to one that has no test app.
    """
    names = [*_ring_names(asked), *(found.value for path in _PAIR if (found := first(asked, path)))]
    app = next((there.apps[str(name)] for name in names if name in there.apps), {})
    paired = all(first((app, *asked), path) for path in _PAIR)
    rules = {key.path for key in schema.PROMOTION}
    return app, {path: found for path, found in there.every.items() if paired or path not in rules}


def _ring_names(asked: Sequence[Rung]) -> list[object]:
    found = first(asked, schema.RINGS.path)
    return [ring["name"] for ring in found.value] if found else []  # type: ignore[attr-defined]


def _beside_rings(asked: Sequence[Rung]) -> list[Problem]:
    """What does not go with rings: all that is about a test app and a prod app, and an app that is made anew."""
    rings = first(asked, schema.RINGS.path)
    if rings is None:
        return []
    given = [(key, found) for key in (*schema.STAGES, *schema.PROMOTION) if (found := first(asked, key.path))]
    text = f"does not go with custom_app.rings ({rings.origin}); say it of the ring that is meant, or drop one of them"
    problems = [Problem(found.origin, key.path, None, text) for key, found in given if not _of_both(asked, key, found)]
    anew = first(asked, "create_new")
    if anew is not None and anew.value:
        text = "makes another app with each run, and a version moves from ring to ring; drop one of them"
        problems.append(Problem(anew.origin, "create_new", "true", text))
    return problems


def _of_both(asked: Sequence[Rung], key: Key, found: FoundValue) -> bool:
    """Whether a value was given to both stages, which is the same as to all rings."""
    stage, _, field = key.field.partition(".")
    other = f"{'test' if stage == 'prod' else 'prod'}.{field}"
    twins = [each for each in schema.STAGES if each.field == other and field != "category"]
    return any(first(asked, twin.path) == found for twin in twins)


def _blind_rules(asked: Sequence[Rung]) -> list[Problem]:
    """Promotion fails closed: a rule about the Macs cannot hold where their status need not be known."""
    path = "custom_app.promotion.require_status"
    blind = first(asked, path)
    rules = [name for name in parts.ABOUT_MACS if first(asked, f"custom_app.promotion.{name}")]
    if blind is None or blind.value or not rules:
        return []
    text = f"{' and '.join(rules)} cannot hold where nobody knows the Macs' status; drop require_status"
    return [Problem(blind.origin, path, "false", text)]


def _idle_categories(asked: Sequence[Rung]) -> list[str]:
    """A warning for the category of an app that this run is not about."""
    names = {stage: first(asked, f"custom_app.{stage}_name") for stage in ("prod", "test")}
    targets = [stage for stage, found in names.items() if found] or ["prod"]
    return [
        f"{given.origin}: custom_app.{key} is not used, since there is no custom_app.{stage}_name"
        for stage, key in (("prod", "ss_category"), ("test", "test_category"))
        if stage not in targets and (given := first(asked, f"custom_app.{key}"))
    ]


def _settings(rungs: Sequence[Rung], **further: Any) -> Settings:
    groups: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    origins: dict[str, str] = {}
    for key in schema.ALL_KEYS:
        found = value(rungs, key)
        group, _, field = key.field.rpartition(".")
        groups[group][field] = found.value
        origins[key.path] = found.origin
    prod, test = _stage(groups, "prod"), _stage(groups, "test")
    rules, rings = _promotion(_without_none(groups["promotion"])), groups[""].pop("rings")
    if rings:
        chain = _chain(rings, prod, test)
        several = len(chain) > 1
        prod, test = chain[-1].stage, chain[0].stage if several else test
        rules = chain[-1].rules if several else None
        further["rings"] = chain
    return Settings(
        **{**groups[""], "api_url": groups[""]["api_url"] or "", "state_folder": Path(groups[""]["state_folder"])},
        prod=prod,
        test=test,
        promotion=rules,
        origins=MappingProxyType(origins),
        **further,
    )


def _chain(given: Sequence[Mapping[str, Any]], prod: StageSettings, test: StageSettings) -> tuple[Ring, ...]:
    """The rings. What the last one does not say is as for a prod app; what others do not say, as for a test app."""
    *before, last = given
    return (*(_ring(each, test) for each in before), _ring(last, prod))


def _ring(given: Mapping[str, Any], otherwise: StageSettings) -> Ring:
    groups: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for name, found in given.items():
        group, _, field = schema.RING[name].field.rpartition(".")
        groups[group][field] = found
    fields = MappingProxyType({**otherwise.fields, **groups["prod.fields"]})
    stage = replace(otherwise, **groups["prod"], **groups[""], fields=fields)
    rules: dict[str, Any] = {"on_unhealthy": "restart", **groups["promotion"]}
    if (limit := rules.get("max_error_percent")) is not None:
        rules.setdefault("halt_percent", min(2 * limit, 100))
    return Ring(stage, Promotion(**rules))


def _stage(groups: Mapping[str, dict[str, Any]], stage: str) -> StageSettings:
    fields = _without_none(groups[f"{stage}.fields"])
    return StageSettings(**_without_none(groups[stage]), fields=MappingProxyType(fields))


def _promotion(given: dict[str, Any]) -> Promotion | None:
    if not given:
        return None
    return Promotion(**given)


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {field: found for field, found in values.items() if found is not None}
