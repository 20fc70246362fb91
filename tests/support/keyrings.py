"""Keychains for tests: real backends of the keyring package, chosen with PYTHON_KEYRING_BACKEND.

`FileKeyring` keeps its items in the JSON file that TEST_KEYRING_FILE names, so that several processes share it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError


class FileKeyring(KeyringBackend):
    """Items in a file; not a safe place for anything but tests."""

    priority = 0.1

    def get_password(self, service, username):
        return self._items().get(f"{service}|{username}")

    def set_password(self, service, username, password):
        self._keep({**self._items(), f"{service}|{username}": password})

    def delete_password(self, service, username):
        items = self._items()
        if items.pop(f"{service}|{username}", None) is None:
            raise PasswordDeleteError("no such item")
        self._keep(items)

    @staticmethod
    def _items():
        path = Path(os.environ["TEST_KEYRING_FILE"])
        return json.loads(path.read_text()) if path.exists() else {}

    @staticmethod
    def _keep(items):
        Path(os.environ["TEST_KEYRING_FILE"]).write_text(json.dumps(items))


class PlaintextKeyring(FileKeyring):
    """A stand-in for the one of the package keyrings.alt, which is not installed with the tests.

    If it were, it would be the keychain of every test on a machine without another one.
    """


PlaintextKeyring.__module__ = "keyrings.alt.file"


class LockedKeyring(KeyringBackend):
    """A keychain that nobody has unlocked."""

    priority = 0.1

    def get_password(self, service, username):
        raise KeyringLocked("locked: do not repeat me")

    set_password = delete_password = get_password


class BrokenKeyring(KeyringBackend):
    """A keychain whose system answers with an error of its own, which repeats what it was asked to keep."""

    priority = 0.1

    def get_password(self, service, username):
        raise OSError("D-Bus went away")

    def set_password(self, service, username, password):
        raise OSError(f"cannot keep {password}")

    delete_password = get_password
