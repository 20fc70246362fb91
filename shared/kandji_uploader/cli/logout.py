"""Take the API token, the Slack webhook and the addresses of `notify` out of the keychain of this machine.

What the environment holds stays there, and so does the token in Kandji: revoke it in the console (Settings > Access).

Examples:
  kandji-uploader logout
  kandji-uploader logout --tenant all
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence

from kandji_uploader import settings
from kandji_uploader.cli import DONE, flags
from kandji_uploader.settings import credentials
from kandji_uploader.settings.tenants import read_tenants

_ANY = {"kandji.api_url": "none.api.kandji.io"}
"""No request is made, so the address need not be known."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    flags.tenant(parser)


def run(arguments: argparse.Namespace) -> int:
    """Take them out, and say what is still in the environment."""
    for line in logged_out(os.environ, arguments.tenant):
        print(line)
    return DONE


def logged_out(environ: Mapping[str, str], tenants: Sequence[str] | None) -> list[str]:
    """Take the secrets out of the keychain; returns what became of each, a line each.

    Args:
        environ: the environment variables.
        tenants: words for those of tenants.yaml; None for the token of the settings.

    Raises:
        SettingsError: there is no such tenant.
        CredentialError: the keychain is locked, or keeps plain text.
    """
    settled = settings.load(_ANY, given_origin="command line", caller="command line", environ=environ).settle()
    names = [settled.token_name, settled.webhook_name, *(each.secret for each in settled.notify or () if each.secret)]
    if tenants is not None:
        chosen = read_tenants(settled.config_folder).chosen(tenants, "command line")
        names = [tenant.token_name for tenant in chosen if tenant.token_name]
    found = {name: credentials.delete(name, plaintext=settled.keystore_plaintext) for name in dict.fromkeys(names)}
    lines = [f"{name}: {'removed from' if gone else 'was not in'} the keychain" for name, gone in found.items()]
    still = [name for name in found for each in (name, name.upper()) if environ.get(each)]
    return lines + [f"{name}: the environment holds it still; unset it there" for name in dict.fromkeys(still)]
