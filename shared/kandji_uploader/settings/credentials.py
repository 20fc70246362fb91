"""The secrets: found in the environment or the keychain, and shown to nobody.

Where a secret is looked for, in this order (behaviour, part 1):

1. the environment, if `ENV_KEYSTORE` or `token_keystore.environment` says so
2. the keychain, if `token_keystore.keychain` says so
3. off macOS, the environment in any case
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kandji_uploader._util.secret import Secret
from kandji_uploader.errors import CredentialError, PlaintextError
from kandji_uploader.models import Listener, Settings
from kandji_uploader.settings import coercion

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

ACCOUNT = "KandjiUploader"
"""The keychain account under which this software keeps its secrets; the service is the secret's name."""

_TRIAL = "KandjiUploader setup trial"
_ACCOUNTS = (ACCOUNT, "KAPPA", "kpkg", "irupkg")
# irupkg calls the token by another name; either is understood for the other.
_ALIASES = {"KANDJI_TOKEN": "IRUPKG_TOKEN", "IRUPKG_TOKEN": "KANDJI_TOKEN"}
_NO_KEYRING = (
    "the Python package keyring is missing; install it with `python3 -m pip install keyring`, for AutoPkg with "
    "`sudo -H /usr/local/autopkg/python -m pip install keyring`"
)
_NO_BACKEND = "this machine has no keychain that keyring can use; turn token_keystore.keychain off"
_PLAINTEXT = (
    "the keyring of this machine ({name}) keeps secrets as plain text in a file; remove it "
    "(`python3 -m pip uninstall keyrings.alt`) or install a real one, keep the secrets in the environment "
    "(token_keystore.keychain: false), or accept it with `token_keystore.allow_plaintext: true`"
)
_LOCKED = "the keychain is locked; unlock it (on a Mac with `security unlock-keychain`)"


def api_token(settings: Settings, environ: Mapping[str, str] | None = None, platform: str = sys.platform) -> Secret:
    """The API token.

    Raises:
        CredentialError: it was not found, or it is none; the text says what to do.
    """
    found = _look_up(settings, settings.token_name, environ, platform)
    return _checked(found, settings.token_name, "API token")


def given_token(text: str, origin: str) -> Secret:
    """An API token that the caller gives.

    Args:
        text: the token.
        origin: who gives it, for error texts.

    Raises:
        CredentialError: it is none.
    """
    if not text.strip():
        raise CredentialError(f"the API token in {origin} is empty; leave it out to have it looked up")
    return _checked(Secret(text.strip(), origin.removeprefix("the ")), "token", "value of")


def slack_webhook(
    settings: Settings, environ: Mapping[str, str] | None = None, platform: str = sys.platform
) -> Secret | None:
    """The Slack webhook; None where Slack is off.

    Raises:
        CredentialError: Slack is on, but the webhook was not found or is no URL. No reason to fail a run.
    """
    if not settings.slack_enabled:
        return None
    found = _checked(_look_up(settings, settings.webhook_name, environ, platform), settings.webhook_name, "webhook")
    try:
        parts = urlsplit(found.reveal())
        usable = bool(parts.hostname) and parts.scheme in ("https", "http")
    except ValueError:
        usable = False
    if not usable:
        raise CredentialError(
            f"the Slack webhook in the {found.origin} is not a URL (not shown); "
            "it looks like https://hooks.slack.com/services/..."
        )
    return found


def address_of(
    listener: Listener, settings: Settings, environ: Mapping[str, str] | None = None, platform: str = sys.platform
) -> Secret:
    """The address of somebody who hears of runs.

    Raises:
        CredentialError: it was not found or is none. No reason to fail a run.
    """
    if listener.url is not None:
        return listener.url
    if listener.is_slack and (webhook := slack_webhook(settings, environ, platform)):
        return webhook
    found = _checked(_look_up(settings, listener.secret, environ, platform), listener.secret, "address")
    if not coercion.is_address(found.reveal()):
        raise CredentialError(
            f"{listener.secret} in the {found.origin} is no address (not shown), such as mailto://..."
        )
    return found


def api_token_of_a_run(settings: Settings, environ: Mapping[str, str], user: int | None = None) -> Secret:
    """The API token as a run of this user finds it: root takes it from the environment only, as with kpkg.

    Args:
        settings: the settings.
        environ: the environment variables.
        user: the effective user id; that of the process by default.

    Raises:
        CredentialError: as `api_token`.
    """
    if not settings.keystore_keychain or (os.geteuid() if user is None else user) != 0:
        return api_token(settings, environ)
    try:
        return api_token(replace(settings, keystore_keychain=False, keystore_environment=True), environ)
    except CredentialError as problem:
        if settings.token_name not in str(problem) or "was not found" not in str(problem):
            raise
        raise CredentialError(
            f"as root, the token is taken from the environment only, and {settings.token_name} is not set there. "
            "Set it, or run as the user whose keychain holds it"
        ) from None


def keychain_name(settings: Settings) -> str:
    """What keyring uses as the keychain on this machine; it is asked for the token, to see whether it answers.

    Raises:
        CredentialError: there is none, it keeps plain text, or it is locked.
    """
    with _asking():
        backend = _backends(plaintext=settings.keystore_plaintext)[0]
        usable = backend.priority > 0
        if usable:
            backend.get_password(settings.token_name, ACCOUNT)
    if not usable:
        raise CredentialError(_NO_BACKEND)
    return str(backend.name)


def try_keychain(settings: Settings) -> str:
    """Keep something in the keychain, read it and take it out again; returns the keychain's name.

    Raises:
        CredentialError: there is no keychain that keeps what it is given.
    """
    name, trial = keychain_name(settings), Secret("a trial of `kandji-uploader setup`")
    store(_TRIAL, trial, plaintext=settings.keystore_plaintext)
    with _asking():
        kept = _backends(plaintext=settings.keystore_plaintext)[0].get_password(_TRIAL, ACCOUNT)
        delete(_TRIAL, plaintext=settings.keystore_plaintext)
    if kept != trial.reveal():
        raise CredentialError(f"the keychain ({name}) does not keep what it is given; use the environment instead")
    return name


def store(name: str, secret: Secret, *, plaintext: bool = False) -> None:
    """Keep a secret in the keychain under its name; one that is there already is replaced.

    Args:
        name: its name.
        secret: the secret to keep.
        plaintext: accept a keychain that keeps it as plain text.

    Raises:
        CredentialError: there is no keychain, it keeps plain text, or it is locked.
    """
    with _asking(f"the keychain did not take {name}: "):
        _backends(plaintext=plaintext)[0].set_password(name, ACCOUNT, secret.reveal())


def delete(name: str, *, plaintext: bool = False) -> bool:
    """Take a secret of this software out of the keychain; False where there was none, or is no keychain.

    Raises:
        CredentialError: the keychain keeps plain text, or is locked.
    """
    from keyring.errors import NoKeyringError

    with _asking(f"the keychain did not give up {name}: "), contextlib.suppress(NoKeyringError):
        keychain = _backends(plaintext=plaintext)[0]
        if keychain.get_password(name, ACCOUNT) is not None:
            keychain.delete_password(name, ACCOUNT)
            return True
    return False


def _look_up(settings: Settings, name: str, environ: Mapping[str, str] | None, platform: str) -> Secret:
    environment = partial(_in_environment, environ=os.environ if environ is None else environ)
    order: list[Callable[[str], Secret]] = []
    if settings.environment_first or settings.keystore_environment:
        order.append(environment)
    if settings.keystore_keychain:
        order.append(partial(_in_keychain, plaintext=settings.keystore_plaintext))
    if platform != "darwin" and environment not in order:
        order.append(environment)
    looked: list[str] = []
    for search in order:
        try:
            return search(name)
        except CredentialError as error:
            looked.append(str(error))
    raise CredentialError(_not_found(name, looked))


def _not_found(name: str, looked: list[str]) -> str:
    if not looked:
        return (
            f"{name} is not looked for anywhere: token_keystore.environment and token_keystore.keychain are both off. "
            "Turn one on in the config file, or set ENV_KEYSTORE=1 to use the environment"
        )
    return (
        f"{name} was not found: {'; '.join(looked)}. "
        f"Set the environment variable {name}, or run `kandji-uploader setup` to keep it in the keychain"
    )


def _in_environment(name: str, environ: Mapping[str, str]) -> Secret:
    for variable in dict.fromkeys((name, name.upper(), _ALIASES.get(name, name))):
        if environ.get(variable, "").strip():
            return Secret(environ[variable].strip(), f"environment ({variable})")
    raise CredentialError("the environment does not have it")


def _in_keychain(name: str, *, plaintext: bool) -> Secret:
    with _asking():
        keychains = _backends(plaintext=plaintext)
        for account in _ACCOUNTS:
            found = next((kept for each in keychains if (kept := each.get_password(name, account))), None)
            if found and found.strip():
                return Secret(found.strip(), f"keychain (account {account})")
    raise CredentialError("the keychain does not have it")


def _backends(*, plaintext: bool) -> Sequence[KeyringBackend]:
    """The keychains of this machine, the one that takes secrets first; keyring may have a chain of several.

    Raises:
        CredentialError: keyring is missing, or all that there is keeps plain text and that is not accepted.
    """
    try:
        import keyring
    except ImportError:
        raise CredentialError(_NO_KEYRING) from None
    chosen = keyring.get_keyring()
    chain = [*getattr(chosen, "backends", ())] or [chosen]
    safe = [each for each in chain if plaintext or not _keeps_plaintext(each)]
    if not safe:
        raise PlaintextError(_PLAINTEXT.format(name=chosen.name))
    return safe


def _keeps_plaintext(backend: KeyringBackend) -> bool:
    """Whether it is one of the backends of the package keyrings.alt that write what they are given as it is."""
    return any(
        kind.__module__.startswith("keyrings.alt") and "plaintext" in kind.__name__.lower()
        for kind in type(backend).__mro__
    )


@contextlib.contextmanager
def _asking(what: str = "") -> Iterator[None]:
    """While it lasts, whatever goes wrong in the keychain is raised as CredentialError, which begins with `what`."""
    try:
        yield
    except CredentialError:
        raise
    except Exception as error:  # noqa: BLE001 - keyring's backends raise what their systems raise
        raise CredentialError(f"{what}{_keychain_fault(error)}") from None


def _keychain_fault(error: Exception) -> str:
    """The error of the keychain. Only the error's kind is told: its text is not ours and may hold anything."""
    from keyring.errors import KeyringLocked, NoKeyringError

    if isinstance(error, NoKeyringError):
        return _NO_BACKEND
    if isinstance(error, KeyringLocked):
        return _LOCKED
    return f"the keychain cannot be read ({type(error).__name__}); unlock it, and allow this program to use it"


def _checked(found: Secret, name: str, what: str) -> Secret:
    """The secret, refused where no request could carry it. The text must not show it, nor any part of it."""
    value = found.reveal()
    if value[:1] in "\"'" or value[-1:] in "\"'":
        reason = "has quotes around it; take them away"
    elif not value.isascii() or not value.isprintable() or " " in value:
        reason = "holds a blank, a line break or a character that no token has; copy it again, without `Bearer`"
    else:
        return found
    raise CredentialError(f"the {what} {name} in the {found.origin} {reason} (its value is not shown)")
