"""All manifests together: one entry of the recipe map per item, and what had to be left out.

An entry describes one pair of Custom Apps, so where manifests want an item in different ways, the weightiest way
becomes the entry and the others are named as gaps. A Blueprint is written only where every imported manifest of that
Blueprint wants the item in the entry's way, so that no Mac gets by an assignment what its manifest did not ask for.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kandji_uploader._util.names import listed
from kandji_uploader.errors import MunkiRepoError
from kandji_uploader.models import Enforcement, Stage
from kandji_uploader.munki import manifests, pkginfo
from kandji_uploader.munki.catalogs import CatalogIndex
from kandji_uploader.munki.repo import Repo
from kandji_uploader.munki.values import Gap, Imported, ImportOptions, ItemReport, ManifestLine, Mode, PkgInfo, Want
from kandji_uploader.munki.wants import settle

_RANK = {mode: rank for rank, mode in enumerate(Mode)}
_PREFIX = {Stage.PROD: ("prod_name", "ss_category"), Stage.TEST: ("test_name", "test_category")}


@dataclass
class _Draft:
    """One item under way.

    Attributes:
        name: the item's name in Munki.
        wanted: what each device manifest wants.
        conditional: the lines under conditions.
        packages: the version of each stage; empty where the item has no entry.
        chosen: the wants that the entry stands for.
        values: the entry without the names of the apps.
    """

    name: str
    wanted: list[Want] = field(default_factory=list)
    conditional: list[ManifestLine] = field(default_factory=list)
    packages: dict[Stage, PkgInfo] = field(default_factory=dict)
    chosen: list[Want] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    how: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def gap(self, what: str, why: str) -> None:
        """Note something that the map does not say, once."""
        if Gap(what, why) not in self.gaps:
            self.gaps.append(Gap(what, why))


def import_repo(repo: Repo, options: ImportOptions) -> Imported:
    """Read the manifests and make a recipe map of them; nothing is written.

    Raises:
        MunkiRepoError: a manifest that was named does not exist.
    """
    devices = _devices(repo, options)
    index = CatalogIndex(repo)
    members = _members(repo, devices, options)
    drafts = _drafts(repo, devices, index, options)
    scripts: dict[str, str] = {}
    for draft in drafts.values():
        _decide(draft, index, options)
        if draft.packages:
            scripts.update(_fill(draft, index, options))
            _assign(draft, members)
    _note_updates(drafts, index)
    names = _app_names(drafts, options)
    items = tuple(_report(draft, names, options) for _, draft in sorted(drafts.items()))
    used = {value for item in items for key, value in item.entry.items() if key.endswith("install_script")}
    return Imported(
        items,
        {path: text for path, text in scripts.items() if path in used},
        tuple(repo.findings),
        devices,
        tuple(sorted(index.items() - set(drafts))),
    )


def _devices(repo: Repo, options: ImportOptions) -> tuple[str, ...]:
    """The device manifests that are imported."""
    if not options.manifests:
        return manifests.device_manifests(repo)
    found = []
    for name in options.manifests:
        path = repo.resolve(name)
        if path is None:
            close = difflib.get_close_matches(name, repo.manifest_names(), 1)
            meant = f"; did you mean {close[0]}?" if close else "; look into its folder `manifests`"
            raise MunkiRepoError(f"{repo.folder} has no manifest {name}{meant}")
        if not manifests.texts(repo, path, repo.manifest(path) or {}, "catalogs"):
            repo.note("no catalogs", path, "a device manifest needs catalogs; none of its items can be looked up")
        found.append(path)
    return tuple(dict.fromkeys(found))


def _members(repo: Repo, devices: tuple[str, ...], options: ImportOptions) -> dict[str, list[str]]:
    """The device manifests of each Blueprint: named by the mapping, or through the manifests they include."""
    mapped = {}
    for name, blueprints in options.blueprints.items():
        path = repo.resolve(name)
        if path:
            mapped[path] = blueprints
        else:
            repo.note("unknown manifest", "the mapping to Blueprints", f"names {name!r}, which the repo does not have")
    members: dict[str, list[str]] = {}
    for device in devices:
        found = dict.fromkeys(_blueprints_of(repo, device, mapped, set()))
        for blueprint in found:
            members.setdefault(blueprint, []).append(device)
        if mapped and not found:
            repo.note("no Blueprint", device, "neither it nor a manifest that it includes is mapped to a Blueprint")
    return members


def _blueprints_of(repo: Repo, name: str, mapped: Mapping[str, tuple[str, ...]], seen: set[str]) -> Iterator[str]:
    """Its own, else those of what it includes: the mapping nearest to the device says where its Macs are."""
    if name in mapped:
        yield from mapped[name]
    elif name not in seen:
        seen.add(name)
        for inner in manifests.included_by(repo, name):
            yield from _blueprints_of(repo, inner, mapped, seen)


def _drafts(repo: Repo, devices: tuple[str, ...], index: CatalogIndex, options: ImportOptions) -> dict[str, _Draft]:
    """Every item that a manifest names."""
    drafts: dict[str, _Draft] = {}
    for device in devices:
        declared = manifests.flatten(repo, device)
        for line in declared:
            draft = drafts.setdefault(line.name, _Draft(line.name))
            if line.conditions and line not in draft.conditional:
                draft.conditional.append(line)
            _check_catalogs(repo, index, line)
        wants = settle(device, declared, index, options)
        for name, want in wants.items():
            drafts[name].wanted.append(want)
        featured = {line.name for line in declared if line.key == "featured_items" and not line.conditions}
        for name in featured - set(wants):
            drafts[name].gap(f"featured_items ({device})", "it is in no list that would offer or install it")
    return drafts


def _check_catalogs(repo: Repo, index: CatalogIndex, line: ManifestLine) -> None:
    for catalog in line.catalogs:
        if catalog not in index.catalogs:
            repo.note("unknown catalog", line.manifest, f"searches {catalog!r}, and the repo has no such catalog")


def _decide(draft: _Draft, index: CatalogIndex, options: ImportOptions) -> None:
    """Choose what the entry stands for, and name all that it does not."""
    for line in draft.conditional:
        _note_condition(draft, line)
    for want in draft.wanted:
        draft.gaps += [gap for gap in want.gaps if gap not in draft.gaps]
    _note_removals(draft)
    wanted = [want for want in draft.wanted if want.mode is not Mode.REMOVE]
    for want in wanted:
        if not want.usable:
            _note_missing(draft, want, index)
    usable = [want for want in wanted if want.usable]
    why = _impossible(draft.name, usable, options)
    if why:
        draft.gap("the whole item", why)
    elif usable:
        _choose(draft, usable, index, options)


def _impossible(name: str, usable: list[Want], options: ImportOptions) -> str:
    """Why an item can be no Custom App at all; "" where it can."""
    versions = (pkginfo.bad_name(want.line.version) for want in usable)
    bad = next((said for said in (pkginfo.bad_app_name(name + options.test_suffix), *versions) if said), "")
    if bad:
        return f"its name or version {bad}"
    reasons = (pkginfo.unsupported(want.package) for want in usable if want.package)
    return next((reason for reason in reasons if reason), "")


def _choose(draft: _Draft, usable: list[Want], index: CatalogIndex, options: ImportOptions) -> None:
    """The weightiest way in which it is wanted, and any version before a pinned one, since that holds others back."""
    shape = min((want.shape for want in usable), key=lambda shape: (_RANK[shape[0]], bool(shape[1]), shape[1]))
    draft.chosen = [want for want in usable if want.shape == shape]
    _note_other_shapes(draft, [want for want in usable if want.shape != shape])
    for stage in Stage:
        found = index.find(draft.name, shape[1], options.catalogs_of(stage))
        if found:
            draft.packages[stage] = found[0]


def _note_condition(draft: _Draft, line: ManifestLine) -> None:
    conditions = " and if ".join(" ".join(condition.split()) for condition in line.conditions)
    draft.gap(
        f"{line.key} {line.written} in {line.manifest}, if {conditions}",
        "Kandji does not evaluate Munki's conditions; assign the app in a node of an Assignment Map with that rule",
    )


def _note_removals(draft: _Draft) -> None:
    removing = [want.manifest for want in draft.wanted if want.mode is Mode.REMOVE]
    if removing:
        said = "Kandji does not remove what a Custom App installed; take it out of scope and remove it by Custom Script"
        draft.gap(f"managed_uninstalls ({_listed(removing)})", said)


def _note_missing(draft: _Draft, want: Want, index: CatalogIndex) -> None:
    """Why the version that a manifest asks for is not there."""
    line = want.line
    what = f"{line.key} {line.written} ({want.manifest})"
    if want.package is not None:
        said = f"found in catalog {want.catalog}, which stands for neither testing nor production; say which it is"
    elif line.version and f"{line.name}-{line.version}" in index.items():
        said = f"there is an item {line.name}-{line.version}, but Munki reads that as version {line.version}; rename it"
    elif line.name not in index.items():
        close = difflib.get_close_matches(line.name, sorted(index.items()), 1, 0.85)
        said = "is in no catalog" + (f"; names are case-sensitive, did you mean {close[0]}?" if close else "")
    else:
        there = index.catalogs_with(line.name)
        versions = {package.version for catalog in there for package in index.versions(line.name, catalog)}
        searched = _listed(line.catalogs) or "no catalog"
        said = f"the manifest searches {searched}; {_listed(there)} has {_listed(versions)}"
    draft.gap(what, said)


def _note_other_shapes(draft: _Draft, others: list[Want]) -> None:
    chosen = draft.chosen[0]
    stands = f"{chosen.line.key} {chosen.line.written} ({_listed(want.manifest for want in draft.chosen)})"
    by_shape: dict[str, list[str]] = {}
    for want in others:
        by_shape.setdefault(f"{want.line.key} {want.line.written}", []).append(want.manifest)
    for what, where in by_shape.items():
        said = f"the entry stands for {stands}; these Macs need apps of their own: override the recipe, add an entry"
        draft.gap(f"{what} ({_listed(where)})", said)


def _fill(draft: _Draft, index: CatalogIndex, options: ImportOptions) -> dict[str, str]:
    """All of the entry but the apps' names and Blueprints; returns the scripts."""
    chosen = draft.chosen[0]
    enforcement = chosen.mode.enforcement or Enforcement.SELF_SERVICE
    draft.values["enforcement_type"] = enforcement.value
    lists = " and ".join(sorted({want.line.key for want in draft.chosen}))
    draft.how.append(f"{lists} ({_listed(want.manifest for want in draft.chosen)}) -> {enforcement.value}")
    for stage, package in draft.packages.items():
        draft.how.append(f"{package.version} in {package.source} -> the {stage.value} app")
        if enforcement is Enforcement.SELF_SERVICE:
            _category(draft, stage, package)
    _featured(draft)
    if chosen.line.version:
        draft.values["pin_version"] = chosen.line.version
        draft.how.append(f"{chosen.line.key} {chosen.line.written} -> pin_version (the highest that is published)")
    carried = pkginfo.carry(draft.packages, options, audited=enforcement.audited)
    draft.values.update(carried.values)
    draft.how += carried.how
    draft.gaps += [gap for gap in carried.gaps if gap not in draft.gaps]
    if len(draft.packages) > 1 and options.after_days is not None:
        draft.values["promotion"] = {"after_days": options.after_days}
        draft.how.append(f"testing and production -> promotion after {options.after_days:g} days")
    _note_both(draft, index, options)
    return carried.scripts


def _note_updates(drafts: Mapping[str, _Draft], index: CatalogIndex) -> None:
    """Items that Munki installs along with a mapped one and that have no entry themselves."""
    for draft in drafts.values():
        for update in index.updates_for(draft.name) if draft.packages else ():
            if update not in drafts or not drafts[update].packages:
                draft.gap(f"{update} is an update_for it", "Munki installs that along; give it a recipe and an app")


def _category(draft: _Draft, stage: Stage, package: PkgInfo) -> None:
    category = package.text("category")
    if not category:
        return
    if pkginfo.bad_name(category):
        draft.gap("category", f"it {pkginfo.bad_name(category)}")
        return
    key = _PREFIX[stage][1]
    draft.values[key] = category
    draft.how.append(f"category of {package.version} -> {key} {category}")


def _featured(draft: _Draft) -> None:
    featured = [want.manifest for want in draft.chosen if want.featured]
    if featured:
        draft.values["recommended"] = True
        draft.how.append(f"featured_items ({_listed(featured)}) -> recommended")
        others = [want.manifest for want in draft.chosen if not want.featured]
        if others:
            draft.gap(f"not featured in {_listed(others)}", "an app is recommended for all Macs or for none")


def _note_both(draft: _Draft, index: CatalogIndex, options: ImportOptions) -> None:
    """Versions that are in testing and in production at once; Munki takes the highest."""
    versions = {
        stage: {found.version for each in options.catalogs_of(stage) for found in index.versions(draft.name, each)}
        for stage in Stage
    }
    both = versions[Stage.PROD] & versions[Stage.TEST]
    if len(both) > 1:
        taken = draft.packages[Stage.PROD].version
        draft.how.append(f"{_listed(both)} are in both testing and production; {taken} is what Munki takes")


def _assign(draft: _Draft, members: Mapping[str, list[str]]) -> None:
    """Write the Blueprints whose manifests all want the item in the entry's way."""
    chosen = {want.manifest: want for want in draft.chosen}
    wanted = {want.manifest: want for want in draft.wanted}
    found: dict[Stage, list[str]] = {}
    for blueprint, devices in sorted(members.items()):
        if not any(device in chosen for device in devices):
            continue
        differing = [device for device in devices if device not in chosen]
        stages = {stage for device in devices if device in chosen and (stage := chosen[device].stage)}
        if differing:
            said = [f"{device} {_says(wanted.get(device))}" for device in differing]
            draft.gap(f"Blueprint {blueprint}", f"left out: {'; '.join(said)}")
        elif len(stages) > 1:
            draft.gap(f"Blueprint {blueprint}", "left out: its manifests get it from testing as well as production")
        else:
            found.setdefault(stages.pop(), []).append(blueprint)
    for stage, blueprints in found.items():
        draft.values[f"{stage.value}_blueprints"] = blueprints
        draft.how.append(f"manifests -> {stage.value} app in Blueprint {_listed(blueprints)}")


def _says(want: Want | None) -> str:
    if want is None:
        return "does not name it"
    if want.mode is Mode.REMOVE or want.usable:
        return f"wants {want.line.key} {want.line.written}"
    return f"names it in {want.line.key}, but gets it from no catalog"


def _app_names(drafts: Mapping[str, _Draft], options: ImportOptions) -> dict[str, tuple[str, str]]:
    """The prod app's name by item, and why it is not the display name, if so.

    Where items share a display name, each has its own name behind it, so that no two recipes publish to one app.
    """
    plain = {name: _display_name(draft) for name, draft in drafts.items() if draft.packages}
    count = Counter(said.casefold() for base in plain.values() for said in (base, base + options.test_suffix))
    found = {}
    for name, base in plain.items():
        longer = f"{base} ({name})"
        if pkginfo.bad_app_name(longer + options.test_suffix):
            found[name] = (name, ", since the display name cannot be the name of an app")
        elif base != name and any(count[said.casefold()] > 1 for said in (base, base + options.test_suffix)):
            found[name] = (longer, ", since another item is displayed by that name too")
        else:
            found[name] = (base, "")
    return found


def _display_name(draft: _Draft) -> str:
    shown = (package.text("display_name") for package in draft.packages.values())
    return next((name for name in shown if name), draft.name)


def _report(draft: _Draft, names: Mapping[str, tuple[str, str]], options: ImportOptions) -> ItemReport:
    """The item with its entry, the apps' names first."""
    if not draft.packages:
        return ItemReport(draft.name, "", {}, tuple(draft.wanted), tuple(draft.how), tuple(draft.gaps))
    app, why = names[draft.name]
    called = {
        _PREFIX[stage][0]: app + (options.test_suffix if stage is Stage.TEST else "")
        for stage in Stage
        if stage in draft.packages
    }
    draft.how.insert(1, f"display_name -> {' and '.join(called.values())}{why}")
    entry = {**called, **draft.values}
    recipe = f"{draft.name}.{options.recipe_suffix}" if options.recipe_suffix else draft.name
    return ItemReport(draft.name, recipe, entry, tuple(draft.wanted), tuple(draft.how), tuple(draft.gaps))


def _listed(words: Any) -> str:
    """Words as a person lists them, the first few by name."""
    return listed(sorted(set(words)))
