"""What the setup wizard does besides asking: take over another tool's settings, check a token, list ids and names."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from kandji_uploader import installer, settings
from kandji_uploader._util import files
from kandji_uploader._util.secret import Secret
from kandji_uploader.errors import ApiError, CredentialError, InstallerError, NetworkError, SetupError
from kandji_uploader.http.tries import Policy
from kandji_uploader.kandji import permissions, probe
from kandji_uploader.kandji.permissions import Permission
from kandji_uploader.kandji.probe import State
from kandji_uploader.kandji.tenant import TenantView
from kandji_uploader.kandji.transport import Transport
from kandji_uploader.models import Settings, Tenant
from kandji_uploader.publish.targets import RecipeFacts, identifiers
from kandji_uploader.report import slack
from kandji_uploader.settings import credentials, hosts, writing

PATIENCE = Policy(connect_timeout=10.0, idle_timeout=20.0, tries=2, longest_wait=2.0, retry_after_cap=10)
"""Somebody is waiting for the answer."""

MAPS = ("recipe_map", "package_map", "brew_cron")
"""Files beside a config file that are taken over as they are."""

_SUFFIXES = (".pkg", ".mpkg", ".dmg", ".zip")
_KAPPA = "Library/AutoPkg/RecipeRepos/com.github.kandji-inc.KAPPA"
_FORMER = (
    ("irupkg", "Library/IruPackages", "irupkg"),
    ("kpkg", "Library/KandjiPackages", "kpkg"),
    ("KAPPA", _KAPPA, ""),
)
"""The tool, its folder on macOS, and its name below the folder for a user's data elsewhere."""


@dataclass(frozen=True)
class FormerTool:
    """The settings of another tool on this machine.

    Attributes:
        name: `kpkg`, `irupkg` or `KAPPA`; what the folder is called where it was named by hand.
        folder: where they are.
        config: its config file; None where it has maps only.
        maps: its maps, and its list of casks.
    """

    name: str
    folder: Path
    config: Path | None
    maps: tuple[Path, ...]


def former_tools(environ: Mapping[str, str], ours: Path) -> tuple[FormerTool, ...]:
    """The tools whose settings are on this machine, the newest kind of tool first; our own folder is none of them."""
    home = Path(environ.get("HOME") or Path.home())
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    found = []
    for name, on_mac, elsewhere in _FORMER:
        for folder in [home / on_mac, *([data / elsewhere] if elsewhere else [])]:
            tool = former_tool(folder, name)
            if tool is not None and folder != ours:
                found.append(tool)
    return tuple(found)


def former_tool(folder: Path, name: str | None = None) -> FormerTool | None:
    """The tool whose settings are in a folder; None where there are none.

    Raises:
        SettingsError: the folder holds a file twice, as YAML and as JSON.
    """
    is_folder = os.path.isdir(folder)  # noqa: PTH112 - `is_dir` of a Path may raise where we may not look
    config = settings.find_file(folder, "config") if is_folder else None
    maps = tuple(path for stem in MAPS if is_folder and (path := settings.find_file(folder, stem)) is not None)
    return FormerTool(name or folder.name, folder, config, maps) if config or maps else None


def values_of(tool: FormerTool) -> tuple[Mapping[str, object], tuple[str, ...]]:
    """What a tool's config file says, by our key paths, and what of it cannot be taken over, one sentence each.

    Raises:
        SettingsError: it cannot be read at all.
    """
    if tool.config is None:
        return {}, ()
    values, problems = writing.config_values(tool.config)
    return values, tuple(f"not taken over: {problem}" for problem in problems)


def copy_maps(tool: FormerTool, folder: Path) -> tuple[str, ...]:
    """Copy a tool's maps into a config folder that has none of that name yet; returns what was and was not copied.

    Raises:
        SettingsError: the folder holds a map twice.
    """
    notes = []
    for path in tool.maps:
        there = settings.find_file(folder, path.stem)
        if there is not None:
            notes.append(f"{path} was not copied: {there} is there already")
            continue
        try:
            files.write_private(folder / path.name, path.read_text(encoding="utf-8-sig"))
            notes.append(f"copied: {path}")
        except (OSError, UnicodeDecodeError) as problem:
            notes.append(f"{path} was not copied ({type(problem).__name__})")
    return tuple(notes)


def find_address(text: str, check: Callable[[str], None] | None) -> str:
    """The API URL that somebody means: whole, or as the tenant's name or an address of its console.

    Args:
        text: what was given.
        check: finds out by a request whether Kandji's API is at a URL, as `check_address`; None asks nobody, and then
            the first of several that may be meant is taken.

    Raises:
        SettingsError: it is none.
        SetupError: several that may be meant answer, or none of them.
        NetworkError, ApiError: the only one does not answer.
    """
    urls = [writing.read_api_url(host, "API URL") for host in hosts.completed(text)]
    if check is None:
        return urls[0]
    if len(urls) == 1:
        check(urls[0])
        return urls[0]
    answering = []
    for url in urls:
        with contextlib.suppress(NetworkError, ApiError):
            check(url)
            answering.append(url)
    if len(answering) == 1:
        return answering[0]
    what = "more than one of these answers" if answering else "none of these answers"
    raise SetupError(f"{what}: {', '.join(answering or urls)}; write the whole host of your tenant's API")


def check_address(api_url: str) -> None:
    """Find out by a real request that Kandji's API is at an address; no token is sent.

    Raises:
        NetworkError: nobody answers there.
        ApiError: somebody else does.
    """
    probe.reach(Transport(api_url, Secret("no-token-yet"), PATIENCE))


def check_token(api_url: str, token: Secret) -> Iterator[tuple[Permission, State]]:
    """Each permission, and whether the token has it; nothing is changed in the tenant.

    Raises:
        AuthenticationError: the token is not accepted.
        NetworkError: the service was not reached.
    """
    transport = Transport(api_url, token, PATIENCE)
    for permission in permissions.PROBED:
        yield permission, probe.check(transport, permission)


def find_token(settings: Settings, environ: Mapping[str, str]) -> Secret | None:
    """The API token where it is kept already, also by another tool; None where it is not, or is none."""
    try:
        return credentials.api_token(settings, environ)
    except CredentialError:
        return None


def send_test_message(webhook: Secret) -> None:
    """Post a message that says what it is.

    Raises:
        NetworkError: Slack did not take it.
    """
    slack.post(webhook.reveal(), {"text": "KandjiUploader: this is a test message from `kandji-uploader setup`."})


@dataclass(frozen=True)
class InstallerIds:
    """The ids by which the package map may know an installer.

    Attributes:
        path: the installer.
        ids: package ids and bundle ids, the one that is looked for first in front; empty where it has none.
        version: the version of its app, or of its package.
        problem: why it could not be read; "" where it could.
    """

    path: Path
    ids: tuple[str, ...] = ()
    version: str = ""
    problem: str = ""


def installer_ids(place: Path) -> tuple[InstallerIds, ...]:
    """The ids of an installer, or of each installer in a folder and below.

    Raises:
        SetupError: there is no such file, or no installer in the folder.
    """
    if place.is_file():
        return (_ids(place),)
    found = sorted(path for path in place.rglob("*") if path.is_file() and path.suffix.lower() in _SUFFIXES)
    if not found:
        what = "holds no .pkg, .dmg or .zip" if place.is_dir() else "is not there"
        raise SetupError(f"{place} {what}; name an installer or a folder of installers")
    return tuple(_ids(path) for path in found)


def _ids(path: Path) -> InstallerIds:
    try:
        facts = installer.inspect(path, digest=False)
    except InstallerError as problem:
        return InstallerIds(path, problem=str(problem))
    return InstallerIds(path, identifiers(RecipeFacts(), facts), facts.version or facts.package_version or "")


def ids_csv(found: Iterable[InstallerIds]) -> str:
    """A table with the columns that kpkg's has, and two more."""
    heads = ("Filename", "ID", "Version", "Further IDs")
    rows = [
        (each.path.name, each.ids[0] if each.ids else "", each.version, " ".join(each.ids[1:]))
        for each in found
        if not each.problem
    ]
    return _csv(heads, rows)


def package_map_csv(tenant: TenantView) -> str:
    """Every Custom App and Self Service category, as values for package_map.yaml.

    Raises:
        NetworkError, ApiError: the tenant could not be read.
    """
    return _csv(("Custom Apps", "Self Service Categories"), zip_longest(*_names(tenant), fillvalue=""))


def recipe_map_csv(tenant: TenantView, recipes: Sequence[str]) -> str:
    """The same with the names of the recipes, as keys for recipe_map.yaml.

    Raises:
        NetworkError, ApiError: the tenant could not be read.
    """
    heads = ("AutoPkg Recipes", "Custom Apps", "Self Service Categories")
    return _csv(heads, zip_longest(recipes, *_names(tenant), fillvalue=""))


def _names(tenant: TenantView) -> tuple[list[str], list[str]]:
    apps = sorted({app.name for app in tenant.apps()}, key=str.casefold)
    return apps, sorted((category.name for category in tenant.categories()), key=str.casefold)


def write_private(path: Path, text: str) -> None:
    """Write a file that setup makes, mode 0600.

    Raises:
        SetupError: it cannot be written.
    """
    try:
        files.write_private(path, text)
    except OSError as problem:
        raise SetupError(f"{path} cannot be written ({problem.strerror}); correct its folder's permissions") from None


def settled(values: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    """The settings as they will hold with these values in the config file, whose folder is left out of it.

    Raises:
        SettingsError: they do not fit.
    """
    # A map that is switched on may not be there yet.
    given = {key: value for key, value in values.items() if not key.startswith("use_")}
    nowhere = Path(os.devnull) / "none"
    return settings.load(given, given_origin="setup", caller="command line", environ=environ, folder=nowhere).settle()


def problems_in(folder: Path, environ: Mapping[str, str], tenant: Tenant | None = None) -> tuple[str, ...]:
    """The errors in the config file and the maps of a folder, one sentence each."""
    return tuple(map(str, writing.problems_with(folder, None, environ, tenant)))


def _csv(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([heads, *rows])
    return text.getvalue()
