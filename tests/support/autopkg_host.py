"""The real AutoPkg, where the machine has one: run in a home of its own, with nothing but what a test gives it."""

import json
import plistlib
import shutil
import site
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import sealed
from tests.support.programs import without_zsh

CHECKOUT = Path(__file__).parents[2]
RECIPES = CHECKOUT / "tests" / "fixtures" / "recipes"
LAUNCHERS = tuple(name for name in ("autopkg", "autopkg-dev") if shutil.which(name))
"""`autopkg`, and beside it a launcher of its next version where a developer has put one on PATH."""

_LENT = ("requests", "urllib3", "idna", "certifi", "charset_normalizer", "keyring", "yaml")
NOTIFY = ("apprise", "markdown", "click", "oauthlib", "requests_oauthlib")
"""What the extra `notify` brings."""
_SIGNING = ("cryptography", "asn1crypto", "cffi", "_cffi_backend.cpython-310*")
"""Compiled for the Python that AutoPkg brings."""


def lend_packages(folder, more=()):
    """A folder for PYTHONPATH that holds what the README's pip line installs, and nothing else of this environment.

    `more` are modules that it is to hold besides, such as `NOTIFY`.
    """
    folder.mkdir(exist_ok=True)
    places = [Path(place) for place in [*site.getsitepackages(), *sys.path]]
    fitting = [*places, *CHECKOUT.glob(".venv310/lib/python3.10/site-packages")]
    compiled = next((place for place in fitting if [*place.glob(_SIGNING[-1])]), None)
    lent = [(place, name) for place in places for name in (*_LENT, *more)]
    lent += [(compiled, name) for name in _SIGNING] if compiled else []
    for place, name in lent:
        for found in [*place.glob(name), *place.glob(f"{name}-*.dist-info")]:
            link = folder / found.name
            if not link.exists():
                link.symlink_to(found)
    return folder


@dataclass
class AutoPkg:
    """One AutoPkg with a home, preferences and a cache of its own.

    Attributes:
        launcher: the program.
        home: a folder for all it writes.
        environ: variables that runs get beside PATH and HOME.
        lent: whether the packages of the README's pip line are there.
        checkout: where KandjiUploader is.
        path: PATH of the runs; without zsh, so that audit scripts are not tried, unless a test wants that.
    """

    launcher: str
    home: Path
    environ: dict = field(default_factory=dict)
    lent: bool = True
    checkout: Path = field(default_factory=sealed.checkout)
    path: str = field(default_factory=without_zsh)

    def __post_init__(self):
        self.home.mkdir(parents=True, exist_ok=True)
        self.overrides = self.home / "overrides"
        self.overrides.mkdir(exist_ok=True)
        self.preferences = self.home / "preferences.json"
        self.preferences.write_text(
            json.dumps(
                {
                    "CACHE_DIR": str(self.home / "cache"),
                    "RECIPE_SEARCH_DIRS": [str(self.home / "recipes"), str(RECIPES), str(self.checkout)],
                    "RECIPE_OVERRIDE_DIRS": [str(self.overrides)],
                    "RECIPE_REPO_DIR": str(self.home / "repos"),
                }
            )
        )
        self.packages = lend_packages(self.home / "packages") if self.lent else None

    def __call__(self, *words, check=None):
        """Run `autopkg WORDS`; `check` is the exit code that the test expects, if it does."""
        command, environ = self._command(words)
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=110, check=False)
        if check is not None:
            assert done.returncode == check, done.stdout + done.stderr
        return done

    def start(self, *words):
        """Start `autopkg WORDS`, and let it run."""
        command, environ = self._command(words)
        return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def _command(self, words):
        environ = {"PATH": self.path, "HOME": str(self.home), "XDG_CACHE_HOME": str(sealed.caches())}
        # AutoPkg (its Python is 3.10) imports distutils; that of setuptools in its place would double a start's time.
        environ.update({"SETUPTOOLS_USE_DISTUTILS": "stdlib", **self.environ})
        if self.packages:
            environ["PYTHONPATH"] = str(self.packages)
        command = [self.launcher, *map(str, words)]
        if words[0] in ("run", "processor-info", "list-processors"):
            command += ["--prefs", str(self.preferences)]
        return command, environ

    def uploader(self, *words, check=None):
        """Run `kandji-uploader WORDS` of this checkout as the same user, with this AutoPkg on PATH as `autopkg`."""
        folder = self.home / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / "autopkg"
        # The preferences of a test's AutoPkg are in a file; a user's are where AutoPkg finds them by itself.
        program.write_text(
            f'#!/bin/sh\nword=$1\nshift\nexec {shutil.which(self.launcher)} "$word" --prefs {self.preferences} "$@"\n'
        )
        program.chmod(0o755)
        environ = {
            "PATH": f"{folder}:{self.path}",
            "HOME": str(self.home),
            "PYTHONPATH": str(self.checkout / "shared"),
            **self.environ,
        }
        command = [sys.executable, "-m", "kandji_uploader", *map(str, words)]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=110, check=False)
        if check is not None:
            assert done.returncode == check, done.stdout + done.stderr
        return done

    def run(self, *words, check=0):
        """`autopkg run WORDS` with a report; returns the finished process and the report."""
        report = self.home / "report.plist"
        report.unlink(missing_ok=True)
        done = self("run", *words, "--report-plist", report, check=check)
        return done, plistlib.loads(report.read_bytes()) if report.exists() else {}

    def written(self):
        """Every file that AutoPkg and the processor have written."""
        return [path for path in self.home.rglob("*") if path.is_file() and "packages" not in path.parts]
