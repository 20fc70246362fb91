"""A config folder of its own for each test, and an environment that holds nothing but what the test says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kandji_uploader import settings
from kandji_uploader.errors import SettingsError

URL = {"KANDJI_API_URL": "https://acme.api.kandji.io"}


class House:
    """A config folder, and `settings.load` with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, content: object) -> Path:
        """Write a file: text as it is, anything else as JSON."""
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    def load(self, given=None, *, environ=None, caller="python", **further):
        return settings.load(
            given or {},
            given_origin=further.pop("given_origin", "the caller"),
            caller=caller,
            environ=URL if environ is None else environ,
            folder=self.folder,
            base=further.pop("base", self.folder),
            **further,
        )

    def settle(self, given=None, identifiers=(), **further):
        return self.load(given, **further).settle(identifiers)

    def problems(self, given=None, identifiers=(), **further):
        """The problems, as an admin reads them."""
        with pytest.raises(SettingsError) as caught:
            self.settle(given, identifiers, **further)
        assert str(caught.value) == "\n".join(map(str, caught.value.problems))
        return [str(problem) for problem in caught.value.problems]

    def problem(self, given=None, **further):
        """The one problem there is."""
        problems = self.problems(given, **further)
        assert len(problems) == 1, problems
        return problems[0]


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)
