"""Tell people of what became of a run: Slack, and whoever the key `notify` names.

An AutoPkg run is one process with many recipes, each of which is a run of ours. What they have to tell is kept until
the process ends, and is one message then. Where the process is killed, the next AutoPkg run tells it (`report.kept`).
"""

from __future__ import annotations

import atexit
import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError
from kandji_uploader.http.tries import LostAnswerError
from kandji_uploader.models import Action, Listener, RunResult, Settings
from kandji_uploader.publish.request import Host
from kandji_uploader.report import kept, message, notify, slack
from kandji_uploader.report.kept import Kept
from kandji_uploader.report.message import Item, Message
from kandji_uploader.settings import credentials
from kandji_uploader.state import StateStore, store_of


def announce(result: RunResult, settings: Settings, host: Host) -> None:
    """Tell of a run that changed something, failed, or holds a version back for a new reason."""
    if not result.dry_run:
        worth = result.changed or result.failed or result.news
        told = message.items(result, host.now()) if worth else ()
        _tell(told, partial(message.of_one, result), settings, host)


def announce_failure(name: str, problem: KandjiUploaderError, settings: Settings, host: Host) -> None:
    """Tell of a run that failed before anything was changed."""
    item = Item(Action.FAILED.value, name, host.now(), tenant=settings.tenant, why=str(problem))
    _tell((item,), lambda told: Message(f"KandjiUploader failed: {name}", (), tuple(told)), settings, host)


def announce_early_failure(recipe: str, problem: KandjiUploaderError, host: Host) -> None:
    """Tell of a recipe that failed before its settings were known, with what others of the AutoPkg run have to tell.

    One that failed later is told already; Ctrl-C is no failure.
    """
    if isinstance(problem, InterruptedRunError):
        return
    _DIGESTS.add_early(Item(Action.FAILED.value, recipe, host.now(), why=str(problem)))


def _tell(told: Sequence[Item], form: Callable[[Sequence[Item]], Message], settings: Settings, host: Host) -> None:
    """Send a message, or keep what it would hold until the process ends. No error of it fails the run."""
    listeners = settings.listeners
    if not listeners or settings.dry_run:
        return
    if host.digests and settings.digest:
        # Of several tenants the caller tells what became of all; what is pending is in the folder of each.
        _DIGESTS.of(settings, host).add(told if host.announces else (), settings)
        return
    for listener in listeners if host.announces else ():
        heard = [item for item in told if item.is_for(listener.on)]
        if heard:
            try:
                _send(listener, form(heard), settings, host)
            except KandjiUploaderError as problem:
                _warn_once(f"{listener.name} was not told: {problem}", settings, host)


_WARNED: set[tuple[str, Path]] = set()


def _warn_once(text: str, settings: Settings, host: Host) -> None:
    """Warn, unless this process has said so before."""
    if (text, settings.state_folder) not in _WARNED:
        _WARNED.add((text, settings.state_folder))
        host.warn(text)


def _send(listener: Listener, what: Message, settings: Settings, host: Host) -> None:
    address = credentials.address_of(listener, settings, host.environ).reveal()
    if listener.is_slack:
        slack.post(address, slack.payload(what))
    else:
        notify.post(address, what)


class _Digest:
    """What the recipes of this process have to tell to some people."""

    def __init__(self, settings: Settings, host: Host) -> None:
        self.settings = settings
        self.host = host
        self._mine: Kept | None = None
        self._stores: dict[tuple[str, str], StateStore] = {}

    def add(self, told: Sequence[Item], settings: Settings) -> None:
        """Keep what is told of a recipe."""
        self._stores[settings.tenant, settings.api_url] = store_of(settings)
        if told:
            self.keep(told)

    def knows(self, item: Item) -> bool:
        """Whether this failure is told already."""
        return self._mine is not None and any(item.why == other.why for other in self._mine.items)

    def keep(self, told: Sequence[Item]) -> None:
        """Keep it on disk, too."""
        keys = [each.key for each in self.settings.listeners]
        try:
            self._mine = self._mine or kept.begin(self.settings.state_folder, keys)
            self._mine.add(told)
        except OSError as problem:
            self.host.warn(f"what is told at the end of this run cannot be kept on disk: {problem.strerror}")
            if self._mine is None:
                self._mine = kept.in_memory(keys)
                self._mine.add(told)

    def send(self) -> None:
        """Tell it, with what former processes could not tell."""
        keys = [listener.key for listener in self.settings.listeners]
        with contextlib.ExitStack() as ending:
            held = [self._mine] if self._mine else []
            held += kept.left(self.settings.state_folder, keys)
            for each in held:
                ending.callback(each.close)
            pending = self._pending() if held else []
            for listener in self.settings.listeners:
                self._tell(listener, [each for each in held if each.waits_for(listener.key)], pending)

    def _tell(self, listener: Listener, held: Sequence[Kept], pending: Sequence[Item]) -> None:
        told = [item for each in held for item in each.items if item.is_for(listener.on)]
        state = "done"
        if told:
            import platform

            again = any(each.may_have_come(listener.key) for each in held)
            earlier = sum(each is not self._mine for each in held)
            failed = {(item.tenant, item.name) for item in told if item.group == "failed"}
            told += [item for item in pending if (item.tenant, item.name) not in failed and item.is_for(listener.on)]
            what = message.of_many(told, platform.node() or "this machine", tuple(_notes(earlier, again=again)))
            _note(held, listener, "begun")
            state = self._sent(listener, what)
        _note(held, listener, state)

    def _sent(self, listener: Listener, what: Message) -> str:
        """How far it came."""
        try:
            _send(listener, what, self.settings, self.host)
        except LostAnswerError as problem:
            self.host.warn(f"{listener.name} may not have been told, the next run tells it again: {problem}")
            return "begun"
        except KandjiUploaderError as problem:
            self.host.warn(f"{listener.name} was not told, the next run tells it: {problem}")
            return "failed"
        return "done"

    def _pending(self) -> list[Item]:
        """What is left to do, of the tenants of this run."""
        why = "`kandji-uploader retry` publishes it"
        return [
            Item("pending", " and ".join(each.names), each.at, each.version, tenant=tenant, why=why)
            for (tenant, _), store in self._stores.items()
            for each in store.pending()
        ]


def _notes(earlier: int, *, again: bool) -> Iterator[str]:
    if earlier:
        runs = "an earlier run" if earlier == 1 else f"{earlier} earlier runs"
        yield f"with what {runs} could not tell"
    if again:
        yield "some of it may have come before: a run ended while it was telling"


def _note(held: Sequence[Kept], listener: Listener, state: str) -> None:
    for each in held:
        with contextlib.suppress(OSError):
            each.note(listener.key, state)


class _Digests:
    """The digests of this process, by who is told; they are sent when it ends."""

    def __init__(self) -> None:
        self._open: dict[tuple[Path, tuple[Listener, ...]], _Digest] = {}
        self._process = 0
        self._early: list[Item] = []

    def of(self, settings: Settings, host: Host) -> _Digest:
        """The digest that goes to those whom these settings name."""
        if self._process != os.getpid():  # a fork has nothing to tell of what its parent did
            self._process, self._open = os.getpid(), {}
            notify.prepare()
            atexit.register(self.send)
        found = self._open.setdefault((settings.state_folder, settings.listeners), _Digest(settings, host))
        found.settings, found.host = settings, host  # the latest: an output of AutoPkg's that is still there
        early, self._early = self._early, []
        if early:
            found.keep(early)
        return found

    def add_early(self, item: Item) -> None:
        """Keep a failure of a recipe whose settings nobody knows, until those of another one say who hears of it."""
        digests = list(self._open.values()) if self._process == os.getpid() else []
        if not digests:
            self._early.append(item)
        elif not any(digest.knows(item) for digest in digests):
            digests[0].keep([item])

    def send(self) -> None:
        """Send them all."""
        if self._process == os.getpid():
            digests, self._open = list(self._open.values()), {}
            with contextlib.suppress(KeyboardInterrupt):
                for digest in digests:
                    digest.send()


_DIGESTS = _Digests()
send_digests = _DIGESTS.send
