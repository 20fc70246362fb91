"""The flags of `upload`, which need no command in front of them: those of kpkg, then ours.

They are apart from the command itself so that the overview can show them without loading what publishes.
"""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from kandji_uploader import __version__

PROGRAM = "kandji-uploader"
MOST_DAYS = 3650
"""As `promotion.after_days` takes it."""
_MOST_JOBS = 32
Number = TypeVar("Number", int, float)


def upload(parser: argparse.ArgumentParser, enforcements: Sequence[str] = ()) -> None:
    """Add them; those of the standalone tool, then ours.

    Args:
        parser: that of the command, or of the overview.
        enforcements: the types of enforcement that may be given; any where there are none.
    """
    add = parser.add_argument
    add("-p", "--pkg", metavar="PATH", action="append", default=[], help="a .pkg, .dmg or .zip; may be repeated")
    add("-b", "--brew", metavar="CASK", action="append", default=[], help="a Homebrew cask; may be repeated")
    add("-n", "--name", help="the Custom App to create or update (a single item only, as the next three)")
    add("-t", "--testname", metavar="NAME", help="the Custom App for testing")
    add("-s", "--sscategory", metavar="CATEGORY", help="Self Service category that goes with --name")
    add("-z", "--zzcategory", metavar="CATEGORY", help="Self Service category that goes with --testname")
    add("-u", "--unzip-location", metavar="FOLDER", help="where a .zip is unpacked on the Mac (default: /Applications)")
    add("-c", "--create", action="store_true", help="create a Custom App even where one of that name exists")
    dry(parser)
    add("-d", "--debug", action="store_true", help="tell more: each request")
    add("-v", "--version", action="version", version=f"{PROGRAM} {__version__}", help="print the version")
    add("-S", "--setup", action="store_true", help="run `kandji-uploader setup`")
    _ours(parser, enforcements)


def _ours(parser: argparse.ArgumentParser, enforcements: Sequence[str]) -> None:
    add = parser.add_argument
    add("--json", action="store_true", help="the outcome as JSON on standard output")
    timings(parser)
    jobs(parser, "items published at a time", default=1)
    add("--api-url", metavar="URL", help="the tenant's API host, whatever the settings say")
    tenant(parser)
    told = f": {', '.join(enforcements)}" if enforcements else ""
    add("--enforcement", metavar="TYPE", choices=enforcements or None, help=f"how a new app is enforced{told}")
    add("--allow-downgrade", action="store_true", help="publish a version lower than the one in Kandji")
    add("--allow-signer-change", metavar="TEAMID", help="who may sign an app that somebody else has signed before")
    add("--urgent", metavar="REASON", help="to the test and the prod app at once, without a soak, and why")
    add("--replace-audit-script", action="store_true", help="replace an audit script that somebody else wrote")
    add = parser.add_argument_group("Homebrew casks").add_argument
    add("--arch", choices=("arm64", "x86_64"), help="which variation is meant (default: arm64)")
    add("--use-brew", action="store_true", help="download with an installed `brew`, which knows third-party taps")
    add("--allow-no-checksum", action="store_true", help="accept a cask whose download cannot be checked")


def dry(parser: argparse.ArgumentParser) -> None:
    """The flag of a dry run, in kpkg's words, in everybody else's, and as the key is written."""
    parser.add_argument("-y", "--dry", "--dry-run", action="store_true", help="tell what would be done, change nothing")
    parser.add_argument("--dry_run", dest="dry", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def of_apps(parser: argparse.ArgumentParser) -> None:
    """What the commands about Custom Apps that are there already have in common: where, a dry run, and JSON."""
    tenant(parser)
    dry(parser)
    parser.add_argument("--json", action="store_true", help="the outcome as JSON on standard output")


def timings(parser: argparse.ArgumentParser) -> None:
    """The flag that asks where the seconds went."""
    told = "the seconds that the list, the upload and the like took; in --json, too"
    parser.add_argument("--timings", action="store_true", help=told)


def jobs(parser: argparse.ArgumentParser, what: str, *, default: int) -> None:
    """The flag that says how much is done at a time."""
    told = f"{what} (1 to {_MOST_JOBS}; default: {default})"
    parser.add_argument("-j", "--jobs", type=number(int, 1, _MOST_JOBS), default=default, metavar="N", help=told)


def tenant(parser: argparse.ArgumentParser) -> None:
    """The flag that names tenants, of several commands."""
    parser.add_argument(
        "--tenant",
        metavar="NAME",
        type=_words,
        help="a tenant of tenants.yaml, @GROUP or all; several with commas (default: the one in the settings)",
    )


def _words(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if not words:
        raise argparse.ArgumentTypeError("names no tenant")
    return words


def number(
    kind: Callable[[str], Number], lowest: float, highest: float = math.inf, of: str = ""
) -> Callable[[str], Number]:
    """A number from `lowest` to `highest` as argparse reads it; `of` says what is counted: ` of Macs`."""

    def read(text: str) -> Number:
        with contextlib.suppress(ValueError):
            found = kind(text)
            if lowest <= found <= highest:
                return found
        limits = f" from {lowest} to {highest:,}" if highest < math.inf else f", {lowest} or more"
        raise argparse.ArgumentTypeError(f"{text!r} is not a number{of}{limits}")

    return read
