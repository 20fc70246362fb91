"""The values that a run starts with: what is asked for (`Request`), and what the caller offers (`Host`)."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

from kandji_uploader._util.secret import Secret
from kandji_uploader.models import Settings, Tenant
from kandji_uploader.publish.claims import Claims, Item, file_item
from kandji_uploader.publish.queue import Batch, Turn
from kandji_uploader.publish.sources import Source
from kandji_uploader.publish.targets import RecipeFacts
from kandji_uploader.report.layout import visible
from kandji_uploader.state import PendingPublish


@dataclass(frozen=True)
class Request:
    """Who asked, and for what.

    Attributes:
        path: the installer on disk.
        keys: recipe keys or flags, nested or flat; see `settings.load`.
        keys_from: what error texts call their origin: `recipe`, `command line`, ...
        caller: `autopkg`, `command line` or `python`.
        given: facts that the caller has.
        recipe: the recipe's name, for the recipe map.
        recipe_identifier: likewise.
        base: the folder that relative script paths start from.
        parents: the files of the recipes that the recipe is made of, the nearest first; see `settings.load`.
        defaults: keys of the config file that hold where this machine's says nothing; see `settings.load`.
        item: what this is called where another item of the run means the same Custom App; by default the path.
        lock_patience: seconds to wait for another run that publishes the same Custom App.
        promised: the sha256 (hex) that the file is to have; None where nobody has said it.
    """

    path: Path
    keys: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    keys_from: str = "python"
    caller: str = "python"
    given: RecipeFacts = field(default_factory=RecipeFacts)
    recipe: str | None = None
    recipe_identifier: str | None = None
    base: Path | None = None
    parents: tuple[Path, ...] = ()
    defaults: Mapping[str, object] = field(default_factory=dict)
    item: Item | None = None
    lock_patience: float = 900.0
    promised: str | None = None

    @property
    def by_autopkg(self) -> bool:
        """Whether a recipe asks."""
        return self.caller in ("autopkg", "kappa")


def _log(level: int, text: str) -> None:
    """Log a text, line by line; control characters are shown, so that nothing can pass for a line of ours."""
    for line in text.splitlines():
        logging.getLogger("kandji_uploader").log(level, "%s", visible(line))


_log_info = partial(_log, logging.INFO)
_log_warning = partial(_log, logging.WARNING)


@dataclass(frozen=True)
class Host:
    """What the caller offers: where messages go, the clock, the environment.

    Attributes:
        say: called with each line on what is being done; by default it goes to the logger `kandji_uploader`.
        warn: called with each warning; likewise.
        progress: called with the bytes sent and the bytes in all.
        now: epoch seconds.
        environ: the environment variables.
        turn: when it may do what, where several installers are published at a time.
        batch: what this is part of; the tenant is read once for all of it. None in an AutoPkg run, of which nobody
            knows how many recipes it has: what was read is believed for a quarter of an hour there.
        claims: which item means which Custom App, where this is in no batch; None where nothing else is published.
        token: the API token, where the caller gives it; None to have it looked up as the settings say.
        keys_from: what error texts call the origin of a command's own settings.
        foretell: told what each Custom App is to become and why, before it is done; by default as `say`.
        tenant: the tenant; None for what the key `tenant` says, or else the settings.
        announces: whether people are told by the run itself; else its caller does, once for several.
        digests: whether they are told when this process ends, of all its runs at once; see `flows.announce`.
    """

    say: Callable[[str], None] = _log_info
    warn: Callable[[str], None] = _log_warning
    progress: Callable[[int, int], None] | None = None
    now: Callable[[], float] = time.time
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    turn: Turn = field(default_factory=Turn)
    batch: Batch | None = None
    claims: Claims | None = None
    token: Secret | None = None
    keys_from: str = "command line"
    foretell: Callable[[str], None] | None = None
    tenant: Tenant | None = None
    announces: bool = True
    digests: bool = False


def claim(request: Request, settings: Settings, host: Host, apps: Mapping[str, str]) -> None:
    """Note which Custom Apps this item of a run means, by name or id, before anything is sent for it.

    Raises:
        SameAppError: another item of the run means one of them.
    """
    claims = host.batch.claims if host.batch else host.claims
    if claims is not None:
        claims.take(settings.api_url, request.item or file_item(request.path), apps)


def as_pending(request: Request, source: Source, names: tuple[str, ...], host: Host) -> PendingPublish | None:
    """What this run means to publish, with all that is needed to ask for it once more.

    None where that could not be done: the installer is in Kandji, and not on this machine. Nor is it where an app is
    created whatever there is (`create_new`): what was killed after it was made would be made a second time.
    """
    try:
        status = source.path.stat()
    except OSError:
        return None
    again = {
        # The state folder is one tenant's: asked for again, it goes to that one, and not to all that were meant.
        "keys": {key: value for key, value in request.keys.items() if key != "tenant"},
        "keys_from": request.keys_from,
        "caller": request.caller,
        "given": asdict(request.given),
        "recipe_identifier": request.recipe_identifier,
        "base": str(request.base or Path.cwd()),
        "parents": [str(path) for path in request.parents],
        "defaults": dict(request.defaults),
    }
    version, recipe = request.given.version or "", request.recipe or ""
    path = str(source.path.absolute())
    size, mtime_ns = status.st_size, status.st_mtime_ns
    return PendingPublish(names, path, size, mtime_ns, host.now(), version=version, recipe=recipe, request=again)
