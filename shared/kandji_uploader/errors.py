"""The errors of the library: one root, and each text ends in what to do.

A caller that catches `KandjiUploaderError` has caught every failure that is expected to happen:
bad settings, a bad installer, a missing token, an answer of the service. Anything else is a bug.
No text here may hold a secret; the code that raises sees to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple


class KandjiUploaderError(Exception):
    """The root of all expected failures; `str()` of it is fit to be shown to a Mac admin.

    Attributes:
        code: what machines know the failure by; stable, since scripts compare it. docs/json.md lists all.
    """

    code: ClassVar[str] = "failed"


class Problem(NamedTuple):
    """One thing that is wrong in the settings.

    Attributes:
        where: the file, map, recipe or command line that holds it.
        key: the key path inside it (`zz_defaults.dry_run`), or "" for the file as a whole.
        value: what was found there, as text; None where there is no single value. Never a secret.
        accepted: the accepted values, in one phrase that tells the fix.
    """

    where: str
    key: str
    value: str | None
    accepted: str

    def __str__(self) -> str:
        place = f"{self.where}: {self.key}" if self.key else self.where
        found = "" if self.value is None else f" is {self.value}"
        return f"{place}{found}: {self.accepted}"


class SettingsError(KandjiUploaderError):
    """The settings are wrong. All problems are reported at once, in `problems`."""

    code = "settings"

    def __init__(self, problems: list[Problem] | tuple[Problem, ...]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class CredentialError(KandjiUploaderError):
    """A token or webhook was not found, or the keychain is locked or missing."""

    code = "credential"


class PlaintextError(CredentialError):
    """The keyring of this machine keeps secrets as plain text, and nobody has accepted that."""

    code = "plaintext_keyring"


class InstallerError(KandjiUploaderError):
    """The installer cannot be used: missing, empty, unreadable, encrypted, broken or hostile.

    The text names the file, the place inside it and the reason.
    """

    code = "installer"

    def __init__(self, path: Path | str, reason: str, place: str = "") -> None:
        self.path = Path(path)
        self.place = place
        self.reason = reason
        super().__init__(f"{self.path}{f' ({place})' if place else ''}: {reason}")


class InstallerChangedError(InstallerError):
    """The installer is no longer the file that was first looked at."""

    code = "installer_changed"

    def __init__(self, path: Path | str) -> None:
        super().__init__(
            path,
            "it was replaced or changed after it was first read, so it was not published. Run again when it is "
            "complete",
        )


class CaskError(KandjiUploaderError):
    """A Homebrew cask cannot be published: unknown, disabled, without a checksum, or not a .pkg, .dmg or .zip."""

    code = "cask"


class ScheduleError(KandjiUploaderError):
    """The schedule cannot be installed, removed or asked on this machine."""

    code = "schedule"


class AuditScriptError(KandjiUploaderError):
    """The audit script cannot be rendered, or would loop; nothing was uploaded."""

    code = "audit_script"


class TargetError(KandjiUploaderError):
    """What was asked for does not fit the tenant: a missing category, Blueprint, or app."""

    code = "target"


class SetupError(KandjiUploaderError):
    """Setup lacks an answer, or cannot write what it is to write."""

    code = "setup"


class MunkiRepoError(KandjiUploaderError):
    """A Munki repo cannot be imported: no such folder, no such manifest, or nothing in it that could be mapped."""

    code = "munki_repo"


class WorkerError(KandjiUploaderError):
    """The executor, the scheduler or the workers that are to do the work cannot be used."""

    code = "worker"


class SameAppError(KandjiUploaderError):
    """Two items of one run mean the same Custom App; nothing was sent for this one."""

    code = "same_app"


class LockedError(KandjiUploaderError):
    """Another run on this machine is publishing the same Custom App."""

    code = "locked"


class StateError(KandjiUploaderError):
    """The state folder cannot be written, and what must be remembered there comes before anything is done."""

    code = "state"

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(
            f"{path} cannot be written: {reason}. Make room or give access to it, or name another state folder with "
            "KANDJI_UPLOADER_STATE_DIR or `state_folder` in the config file"
        )


class NetworkError(KandjiUploaderError):
    """The service was not reached, or the connection broke and the budget of retries is spent."""

    code = "network"


class ApiError(KandjiUploaderError):
    """The service answered, but not with what its documentation says.

    Attributes:
        request: method and path, such as `PATCH custom-apps/ID`.
        status: the HTTP status, or None where the answer could not be read as one.
        request_id: the service's own id of the request, where it sent one.
        body: the first 300 characters of the answer.
    """

    code = "api"

    def __init__(
        self, request: str, status: int | None, advice: str, *, request_id: str | None = None, body: str = ""
    ) -> None:
        self.request = request
        self.status = status
        self.request_id = request_id
        self.body = body[:300]
        answered = "an unreadable answer" if status is None else f"HTTP {status}"
        traced = f", request id {request_id}" if request_id else ""
        said = f"{'' if advice.endswith(('.', '?')) else '.'} It said: {self.body}" if self.body else ""
        super().__init__(f"{request}: {answered}{traced}: {advice}{said}")


class AuthenticationError(ApiError):
    """401: the token is wrong, was revoked or has expired."""

    code = "token_refused"


class MissingPermissionError(ApiError):
    """403: the token lacks a permission; the text names it."""

    code = "permission"


class StillProcessingError(ApiError):
    """503 until the budget was spent: the upload is there, the next run will finish."""

    code = "still_processing"


class InterruptedRunError(KandjiUploaderError):
    """SIGINT or SIGTERM: the text says what was and what was not done."""

    code = "interrupted"

    @classmethod
    def among(cls, done: Mapping[str, str], under_way: Mapping[str, str], left: Iterable[str]) -> InterruptedRunError:
        """The one account of several items.

        Args:
            done: what became of those that were tried to their end.
            under_way: what the others that were begun say of themselves.
            left: those that were not begun.
        """
        ended = ", ".join(f"{name} ({what})" for name, what in done.items())
        lines = [f"under way: {name}: {said}" for name, said in under_way.items()]
        not_begun = f"not begun: {', '.join(left) or 'nothing'}"
        return cls(
            "\n".join(
                ["interrupted; run again, which does nothing twice", f"done: {ended or 'nothing'}", *lines, not_begun]
            )
        )


class ToolMissingError(InstallerError):
    """A program that is needed to read the installer is not on this machine; the text says what to install."""

    code = "tool_missing"


class ManifestError(KandjiUploaderError):
    """A manifest, or a file that it names, is missing, changed, cut off or too new; nothing was sent."""

    code = "manifest"
