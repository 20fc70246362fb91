"""Running as root, as in a container: allowed with a token in the environment only, as with kpkg.

The keychain is the user's; what root finds in one is not what the admin has put there, and a keychain that root can
unlock is no protection.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from kandji_uploader import settings
from kandji_uploader.errors import SettingsError
from kandji_uploader.settings import credentials

_SOMEWHERE = {"kandji.api_url": "http://127.0.0.1"}
"""Where the tenant is does not matter here."""


def refuse_keychain(environ: Mapping[str, str], user: int | None = None) -> None:
    """Refuse to go on as root if the token would have to come out of a keychain.

    Args:
        environ: the environment variables.
        user: the effective user id; that of the process by default.

    Raises:
        CredentialError: the environment does not have the token.
    """
    if (os.geteuid() if user is None else user) != 0:
        return
    try:
        loaded = settings.load(_SOMEWHERE, given_origin="root", caller="command line", environ=environ).settle()
    except SettingsError:
        return  # which the command itself will tell
    if not loaded.keystore_keychain:
        return
    credentials.api_token_of_a_run(loaded, environ, 0)
