"""Build here, publish there: from a request to a line of a manifest, and from a line back to the same request.

What the recipe, its override, `-k` and the maps say goes into the line as it was resolved where the recipe ran, and so
does what the config file says of apps. So the later publish is the one that the processor would have made, whatever
the other machine has in its maps. Tokens, addresses and all that is the machine's own stay here; see `schema.travels`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from kandji_uploader import __version__, installer
from kandji_uploader._util.files import identity
from kandji_uploader._util.files import sha256 as sha256_of
from kandji_uploader.errors import InstallerError
from kandji_uploader.manifest import folder
from kandji_uploader.manifest.lines import Line, LineError, Shard, place
from kandji_uploader.models import Action, Outcome, RunResult, Settings
from kandji_uploader.publish.claims import Item, doubles
from kandji_uploader.publish.request import Host, Request, claim
from kandji_uploader.publish.resolve import ladder_of, resolve_targets
from kandji_uploader.publish.sources import Source
from kandji_uploader.publish.targets import RecipeFacts, identifiers
from kandji_uploader.settings import schema
from kandji_uploader.settings.parts import as_written
from kandji_uploader.state import DigestCache, digests_of

_PATHS = {path: key for key in filter(schema.travels, schema.ALL_KEYS) for path in (key.recipe, key.config) if path}
"""The keys that a line may hold."""


def keep(request: Request, settings: Settings, source: Source, host: Host) -> RunResult:
    """Put an installer and its line into the folder that `publish_to` names; nothing is sent.

    Raises:
        ManifestError: the folder cannot be written.
        KandjiUploaderError: the settings or the installer are wrong, as in a publish.
    """
    source.kind()
    name, targets = resolve_targets(request, settings, source, host)
    apps = tuple(target.name for target in targets)
    # Which app is meant twice is told within one folder, as it is within one tenant where something is sent.
    claim(request, replace(settings, api_url=settings.publish_to or ""), host, dict(zip(apps, apps, strict=True)))
    cache = digests_of(settings)
    sha256 = source.digest(cache)
    line, files = _line(request, source, host, apps, sha256)
    where = Path(settings.publish_to or "")
    new = settings.dry_run or folder.add(where, line, files, intact_by(cache))
    version = request.given.version or line.found.get("version") or ""
    said = f"`kandji-uploader publish {where / folder.NAME}` publishes it"
    outcomes = tuple(
        Outcome(
            target.stage,
            target.name,
            Action.BUILD if new else Action.UNCHANGED,
            version=version,
            installer=source.path.name,
            reason=said,
        )
        for target in targets
    )
    return RunResult(str(request.path), outcomes, settings.dry_run, source.facts_if_read(), name, sha256)


def chosen(manifests: Sequence[Path], shard: Shard | None, cache: DigestCache) -> tuple[tuple[Request, str], ...]:
    """What manifests ask for, once each line and each file of this shard is held against its digest.

    Args:
        manifests: the files, or their folders. Of lines by one recipe about the same apps, the last one counts.
        shard: the part that is wanted; None for all of it.
        cache: of digests.

    Returns:
        The requests of this shard, each with why it must not be published; "" where it may. Two recipes that mean the
        same Custom App are refused, also where the other one is in another shard.

    Raises:
        ManifestError: anything is missing, changed, cut off or of a newer format; all of it is told.
    """
    found: dict[object, tuple[Line, Path]] = {}
    problems: list[str] = []
    for manifest in manifests:
        where = (manifest if manifest.is_dir() else manifest.parent).absolute()
        for line in folder.read(manifest):
            found[line.replaces] = (line, where)
    intact = intact_by(cache)
    mine: list[Request] = []
    for line, where in found.values():
        if shard is not None and not shard.has(line.name):
            continue
        problems += folder.wrong_files(where, line, intact)
        try:
            mine.append(as_request(line, where))
        except LineError as problem:
            problems.append(f"{where / folder.NAME}: the line of {_recipe(line)} {problem}")
    folder.refuse(problems)
    same: dict[Item, list[str]] = {}
    for line, _ in found.values():
        same.setdefault(_item(line), []).extend(line.apps)
    told = doubles(same)
    return tuple((request, told.get(request.item.name, "") if request.item else "") for request in mine)


def as_request(line: Line, where: Path) -> Request:
    """What a line asks for, as its recipe asked for it.

    Args:
        line: the line.
        where: the folder of its manifest.

    Raises:
        LineError: it holds a key that no line may hold, such as another tenant's address, or a file of this machine.
    """
    for path, value in (*line.keys.items(), *line.defaults.items()):
        key = _PATHS.get(path)
        if key is None:
            raise LineError(f"holds {path[:80]!r}, which no line may hold; build it again")
        if key.is_file and value not in line.files:
            raise LineError(f"names a file as {path} that is not in its folder; build it again")
    file = where / line.file
    return Request(
        file,
        keys=dict(line.keys),
        keys_from=f"{where / folder.NAME} ({_recipe(line)})",
        caller="command line",
        given=_facts(line.facts),
        recipe=line.recipe or None,
        base=where,
        defaults=dict(line.defaults),
        item=_item(line),
        promised=line.sha256,
    )


def _recipe(line: Line) -> str:
    return line.recipe or line.identifier or "no recipe"


def _item(line: Line) -> Item:
    installer_name = line.file.partition("/")[2]
    return Item(
        f"the recipe {_recipe(line)} ({line.identifier}, installer {installer_name})", (line.identifier, line.file)
    )


def intact_by(cache: DigestCache) -> folder.Intact:
    """Tells whether a file is there and has a sha256, reading only what has changed since the cache saw it."""

    def intact(path: Path, sha256: str) -> bool:
        if not path.is_file():
            return False
        known = cache.get(path)
        if known is None:
            seen = identity(path)
            known = sha256_of(path)
            cache.put(path, known, seen)
        return known == sha256

    return intact


def _line(
    request: Request, source: Source, host: Host, apps: tuple[str, ...], sha256: str
) -> tuple[Line, Mapping[str, Path]]:
    ladder = ladder_of(request, host)
    known = identifiers(request.given, source.facts()) if ladder.use_package_map else ()
    keys, defaults = ladder.told(known)
    file = place(sha256, source.path.name)
    scripts: dict[str, Path] = {}
    line = Line(
        apps,
        file,
        source.size,
        facts=asdict(request.given),
        found=_found(source, request.given),
        keys=_plain(keys, scripts),
        defaults=_plain(defaults, scripts),
        recipe=request.recipe or "",
        identifier=request.recipe_identifier or "",
        version=__version__,
    )
    return replace(line, files=tuple(scripts)), {file: source.path, **scripts}


def _plain(values: Mapping[str, object], files: dict[str, Path]) -> dict[str, Any]:
    """Settings as JSON holds them; a file becomes its place in the folder, and is added to `files`."""
    plain: dict[str, Any] = {}
    for path, value in values.items():
        plain[path] = as_written(value)
        if _PATHS[path].is_file:
            found = Path(str(value))
            plain[path] = place(sha256_of(found), found.name)
            files[plain[path]] = found
    return plain


def _found(source: Source, given: RecipeFacts) -> dict[str, Any]:
    """What an installer is, for people who look at a manifest; what cannot be read is left to the publish to tell."""
    try:
        facts = installer.inspect(
            source.path, app_name=given.bundle_name, bundle_id=given.bundle_id, digest=False, signature=True
        )
    except InstallerError:
        return {}
    names = ("app_name", "bundle_id", "version", "package_id", "package_version", "minimum_os_version")
    found = {name: getattr(facts, name) for name in names}
    known = facts.signature if facts.signature and facts.signature.status != "not_looked_at" else None
    said = ("status", "name", "team_id", "authority", "timestamp", "notarized")
    return {**found, "signature": {name: getattr(known, name) for name in said} if known else None}


def _facts(given: Mapping[str, Any]) -> RecipeFacts:
    """What the recipe knew.

    Raises:
        LineError: it is something else.
    """
    lists = {"blocking_applications", "notes", "expected_teams"}
    fits = set(given) == set(asdict(RecipeFacts())) and all(
        value is None or (isinstance(value, list) and all(isinstance(each, str) for each in value))
        if name in lists
        else value is None or isinstance(value, str)
        for name, value in given.items()
    )
    if not fits:
        raise LineError("holds something else than it may as facts; build it again")
    return RecipeFacts.of(given)
