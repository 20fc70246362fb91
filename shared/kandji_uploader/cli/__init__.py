"""The command line: the only place that prints.

Each command is a module of this package with two functions, and is imported only when it is the one that was
called, so that a publish does not pay for the wizard:

    configure(parser)   adds its arguments to an `argparse.ArgumentParser`
    run(arguments)      does it and returns the exit code: 0 done, 1 failed, 2 usage

`kandji-uploader -p App.pkg` is short for `kandji-uploader upload -p App.pkg`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from kandji_uploader import __version__
from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

COMMANDS = {
    "upload": ("upload", "publish installers or Homebrew casks as Custom Apps"),
    "inspect": ("inspect_installer", "show what an installer is: app, bundle id, version, package id"),
    "audit-script": ("audit_script", "render the audit script from a JSON object on standard input"),
    "config": ("config", "show every setting, its value and where it came from"),
    "promote": ("promote", "move what has soaked in a test app to its prod app"),
    "rollback": ("rollback", "put a former version back into a Custom App"),
    "status": ("status", "show what the Macs say of Custom Apps, also as a page"),
    "munki": ("munki", "move over from Munki: a recipe map from a Munki repo"),
    "schedule": ("schedule", "publish a list of Homebrew casks every few hours"),
    "demo": ("demo", "publish a small installer to an embedded tenant, three times"),
    "rehearse": ("rehearse", "start the embedded tenant to try things against"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code and never lets a traceback of an expected failure out."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(words)
    except InterruptedRunError as stopped:
        print(f"kandji-uploader: {stopped}", file=sys.stderr)
        return INTERRUPTED
    except KeyboardInterrupt:
        print("kandji-uploader: stopped; nothing was under way", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED
    except KandjiUploaderError as problem:
        print(f"kandji-uploader: {problem}", file=sys.stderr)
        return FAILED


def _run(words: list[str]) -> int:
    if words and words[0] in COMMANDS:
        name, rest = words[0], words[1:]
    elif words and words[0].startswith("-") and words[0] not in ("-h", "--help", "-v", "--version"):
        name, rest = "upload", words
    else:
        _overview().parse_args(words or ["--help"])
        return USAGE
    module = importlib.import_module(f"{__name__}.{COMMANDS[name][0]}")
    parser = argparse.ArgumentParser(
        prog=f"kandji-uploader {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.configure(parser)
    code: int = module.run(parser.parse_args(rest))
    return code


def _overview() -> argparse.ArgumentParser:
    listing = "\n".join(f"  {name:14} {purpose}" for name, (_, purpose) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="kandji-uploader",
        description="Software from AutoPkg, a file or a Homebrew cask into Kandji (Iru) Custom Apps.",
        epilog=f"commands:\n{listing}\n\n`kandji-uploader COMMAND --help` tells more of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="kandji-uploader COMMAND ...",
    )
    parser.add_argument("-v", "--version", action="version", version=f"kandji-uploader {__version__}")
    parser.add_argument("command", nargs="?", choices=sorted(COMMANDS), metavar="COMMAND")
    return parser
