"""What carrying out plans works with: the context, the one upload of a run, and each target on its way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from kandji_uploader._util.prehash import PartialDigest
from kandji_uploader.errors import (
    ApiError,
    InstallerChangedError,
    KandjiUploaderError,
    NetworkError,
    StateError,
    TargetError,
)
from kandji_uploader.http.tries import spoken
from kandji_uploader.kandji.client import UploadExpiredError
from kandji_uploader.kandji.tenant import TenantView
from kandji_uploader.kandji.upload import Progress
from kandji_uploader.models import Action, CustomApp, Outcome
from kandji_uploader.publish import one_app
from kandji_uploader.publish.plan import Installer, TargetPlan
from kandji_uploader.state import JournalEntry, StateStore

ANOTHER_APP = "the answer was about another app"


@dataclass(frozen=True)
class ApplyContext:
    """What applying a plan works with.

    Attributes:
        tenant: the tenant's view and client.
        store: the state folder.
        path: the installer on disk.
        installer: what the plan knows of it.
        replan: plans a target again with the app as it is now, given the sha256 of what was uploaded ("" for nothing).
        outcome: makes the outcome of a plan; the report's words are not decided here.
        say: called with each line on what is being done.
        progress: called with the bytes sent.
        begun: gives the part of the installer's digest that is known when its upload begins.
        check_unchanged: raises InstallerError if the installer is no longer the file that the plan was made from.
        gone: the error if Kandji no longer has a file that is not on this machine; "" if there is a file to upload.
        listed: the list of apps that the plans were made from.
        another: whether an app is wanted beside all others of its name (create_new).
        settle_time: seconds to wait before looking whether another machine was at the same apps.
    """

    tenant: TenantView
    store: StateStore
    path: Path
    installer: Installer
    replan: Callable[[TargetPlan, CustomApp, str], TargetPlan]
    outcome: Callable[[TargetPlan, CustomApp | None, str], Outcome]
    say: Callable[[str], None]
    progress: Progress | None = None
    begun: Callable[[], PartialDigest | None] = lambda: None
    check_unchanged: Callable[[], None] = lambda: None
    gone: str = ""
    listed: tuple[CustomApp, ...] = ()
    another: bool = False
    settle_time: float = 0.0


def wait(context: ApplyContext) -> None:
    """Wait until the list shows what another machine may have done to the same apps."""
    if context.settle_time:
        context.say(f"looking in {spoken(context.settle_time)} whether another machine was at the same apps")
    context.tenant.client.wait(context.settle_time)


def wrong_bytes(app: CustomApp, answered: str, sha256: str, ending: str) -> TargetError:
    """The error of an app that Kandji holds other bytes of than were sent; `ending` is what was done about it."""
    return TargetError(
        f"Kandji holds other bytes (sha256 {answered[:12]}...) of {app.name!r} than the installer "
        f"({sha256[:12]}...); {ending}. Run again, which uploads again"
    )


def other_digest(app: CustomApp, sha256: str, context: ApplyContext) -> str:
    """The sha256 that the service has for an app's installer, if it is not ours; "" if it is, or is not known.

    The app is read once more: nothing is undone because of a single answer.
    """
    if app.sha256 == sha256:
        return ""
    told = app.sha256
    try:
        live = context.tenant.client.get_custom_app(app.id)
        context.tenant.put(live)
        told = live.sha256 or told
    except (NetworkError, ApiError) as problem:
        context.say(f"{app.name!r} could not be read to confirm its sha256: {problem}")
    return "" if told in (None, sha256) else str(told)


_TICKETS = 3


class Upload:
    """The one upload of a run: made when the first target needs it, then shared by all."""

    def __init__(self, context: ApplyContext) -> None:
        self._tools = context
        self._failure: KandjiUploaderError | None = None
        self.begun = time.time()
        self.file_key = context.installer.file_key
        self.sha256 = context.installer.sha256 or ""
        self._reused = self.file_key is not None

    def key(self) -> str:
        """The `file_key` of the installer in the store. Raises what the upload raised, for every target alike."""
        if self._failure is not None:
            raise self._failure
        if self.file_key is None:
            try:
                self.file_key = self._send()
            except KandjiUploaderError as problem:
                self._failure = problem
                raise
        return self.file_key

    def send_anew(self) -> bool:
        """After a key was rejected: whether it was of an earlier run. It is then forgotten, and `key` uploads again.

        Raises:
            TargetError: there is nothing to upload.
        """
        if self._tools.gone:
            raise TargetError(self._tools.gone)
        if not self._reused:
            return False
        self._tools.store.forget_upload(self.sha256)
        self.file_key, self._reused = None, False
        return True

    def distrust(self, problem: KandjiUploaderError) -> None:
        """The service holds other bytes under this key: no other target and no later run may use it."""
        self._tools.store.forget_upload(self.sha256)
        self._failure = problem

    def done(self) -> None:
        """All targets are as planned, so the journal can forget the upload."""
        if self.sha256:
            self._tools.store.forget_upload(self.sha256)

    def _send(self) -> str:
        context, client = self._tools, self._tools.tenant.client
        context.check_unchanged()
        for number in range(1, _TICKETS + 1):
            ticket = client.request_upload(context.installer.name)
            try:
                sha256 = client.upload(ticket, context.path, context.progress, context.begun())
                break
            except UploadExpiredError:
                if number == _TICKETS:
                    raise
                context.say("the leave to upload has expired; asking for a new one")
        if context.installer.sha256 not in (None, sha256):
            raise InstallerChangedError(context.path)
        self.sha256 = sha256
        try:
            context.store.note_upload(JournalEntry(sha256, ticket.file_key, context.installer.size, time.time()))
        except StateError as problem:
            # The bytes are there: to go on with them is the one way not to send them again.
            context.say(f"the upload cannot be remembered for the next run, and is used in this one: {problem}")
        return ticket.file_key


class Work:
    """One target on its way.

    Attributes:
        plan: what is to become of it; a new plan, if the app was changed meanwhile.
        app: the Custom App as it is known to be.
        error: what went wrong.
        made: the app that was created, while it is not known to be the only one.
        replaced: the app as it was before it got another installer, while it is not known whether that is there still.
        done: whether nothing is left to do but to look.
    """

    def __init__(self, plan: TargetPlan) -> None:
        self.plan = plan
        self.app = plan.app
        self.error = self.code = ""
        self.made: one_app.Made | None = None
        self.replaced: CustomApp | None = None
        self.done = False

    def carry_on(
        self, step: Callable[[Work, Upload, ApplyContext], None], upload: Upload, context: ApplyContext
    ) -> None:
        """Do the next step, if none before has failed."""
        if self.error:
            return
        try:
            step(self, upload, context)
        except KandjiUploaderError as problem:
            self.error, self.code = str(problem), problem.code

    @property
    def ended(self) -> bool:
        """Whether it is done or has failed."""
        return self.done or bool(self.error)

    def outcome(self, context: ApplyContext) -> Outcome:
        """What became of it."""
        found = context.outcome(self.plan, self.app, self.error)
        return replace(found, action=Action.FAILED, code=self.code) if self.error else found
