"""The command line: the only place that prints.

Each command is a module of this package with two functions, and is imported only when it is the one that was
called, so that a publish does not pay for the wizard:

    configure(parser)   adds its arguments to an `argparse.ArgumentParser`
    run(arguments)      does it and returns the exit code, one of `failures.Exit`

`kandji-uploader -p App.pkg` is short for `kandji-uploader upload -p App.pkg`.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import logging
import os
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from kandji_uploader import __version__
from kandji_uploader._util.signals import sigterm_as_ctrl_c
from kandji_uploader.cli import documents, failures, flags, log, screen
from kandji_uploader.cli.failures import Exit, Parser, UsageError
from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError, StateError
from kandji_uploader.report.layout import visible

PROGRAM = flags.PROGRAM
DONE, FAILED, USAGE = Exit.DONE, Exit.FAILED, Exit.USAGE

COMMANDS = {
    "upload": ("upload", "publish installers or Homebrew casks as Custom Apps"),
    "publish": ("publish", "publish what recipes have built elsewhere, from a manifest"),
    "matrix": ("matrix", "print the jobs of a CI run: by tenant or recipe, or in groups"),
    "inspect": ("inspect_installer", "show what an installer is: app, bundle id, version, package id"),
    "audit-script": ("audit_script", "render the audit script from a JSON object on standard input"),
    "setup": ("setup", "ask for the tenant and the token, check both, and write the config file"),
    "config": ("config", "show every setting, its value and where it came from"),
    "where": ("where", "show which files are kept where, how large they are, and what losing them costs"),
    "logout": ("logout", "take the API token and the Slack webhook out of the keychain"),
    "uninstall": ("uninstall", "remove what was kept on this machine: shows it, and asks"),
    "schema": ("schema", "print the JSON Schema of the config file or of a map, for editors"),
    "doctor": ("doctor", "check the tenant, the token, the settings and this machine"),
    "promote": ("promote", "move what has soaked in a test app to its prod app"),
    "rollback": ("rollback", "put a former version back into a Custom App"),
    "approve": ("approve", "let a release move on that waits for approval"),
    "watch": ("watch", "halt what fails on too many Macs"),
    "resume": ("resume", "let a release go on that was halted"),
    "freeze": ("freeze", "publish and promote nothing until a day"),
    "thaw": ("thaw", "end a freeze"),
    "retry": ("retry", "do the pending publishes: those that an earlier run left to do"),
    "status": ("status", "show what the Macs say of Custom Apps, also as a page"),
    "munki": ("munki", "move over from Munki: a recipe map from a Munki repo"),
    "schedule": ("schedule", "publish a list of Homebrew casks every few hours"),
    "demo": ("demo", "publish a small installer to an embedded tenant, three times"),
    "rehearse": ("rehearse", "start the embedded tenant to try things against"),
    "completion": ("completion", "install the completion for zsh, bash or fish, and the manual page"),
}

_LOGGED = ("upload", "publish", "promote", "rollback", "approve", "watch", "resume", "retry", "schedule")
"""The commands that change a tenant; they keep a log."""

_LISTS = (
    "upload",
    "publish",
    "approve",
    "where",
    "doctor",
    "promote",
    "rollback",
    "watch",
    "resume",
    "retry",
    "status",
)
"""The commands whose JSON is a list."""

APP_NAMES = "custom-apps"
"""The file of the state folder that holds the names of the tenant's apps, for the completion of the shells."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What is wrong with the disk, or the terminal, that standard output goes to."""

_NEEDS_TOKEN = (*_LOGGED, "status")

_HELP, _VERSION, _SETUP = ("-h", "--help", "help"), ("-v", "--version"), ("-S", "--setup")

_EXAMPLES = """\
examples:
  kandji-uploader setup
  kandji-uploader -p Firefox.pkg -n "Firefox" -t "Firefox (Test)" -y
  kandji-uploader -b firefox -b google-chrome
  kandji-uploader doctor
"""
ENVIRONMENT = {
    "KANDJI_API_URL": "the tenant's API host, such as TENANT.api.kandji.io",
    "KANDJI_TOKEN": "the API token",
    "SLACK_TOKEN": "a Slack webhook; its presence turns Slack on",
    "KANDJI_UPLOADER_DIR": "the folder of config.yaml and the maps",
    "KANDJI_UPLOADER_STATE_DIR": "the folder of the journal, the caches and the log",
    "HOMEBREW_API_DOMAIN": "another cask API",
    "NO_COLOR": "no colours; FORCE_COLOR: colours in a file or a pipe, too",
}
CODES = ", ".join([*(f"{code:d} {said}" for code, said in failures.MEANING.items()), "130 Ctrl-C", "143 SIGTERM"])
PURPOSE = "Software from AutoPkg, a file or a Homebrew cask into Kandji (Iru) Custom Apps."
FURTHER = "`kandji-uploader help COMMAND` tells more of each. Flags without a command mean `upload`."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code and never lets a traceback out."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    documents.expect()
    with sigterm_as_ctrl_c() as stop:
        try:
            code = _run_and_flush(words)
        except (KeyboardInterrupt, InterruptedRunError) as stopped:
            known = isinstance(stopped, InterruptedRunError)
            if sys.stderr.isatty():
                print(file=sys.stderr)  # below the ^C that the terminal shows
            _failed(InterruptedRunError.code, str(stopped) if known else "stopped; nothing was being changed")
            return stop.exit_code
        except BrokenPipeError:
            # The reader of our output has closed it. Python would complain once more when it flushes at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except KandjiUploaderError as problem:
            return _failed(problem.code, str(problem), PROGRAM if not isinstance(problem, UsageError) else "")
        except Exception as bug:  # noqa: BLE001 - whatever else is raised is ours, and is told as such
            return _failed("defect", _told_of(bug))
        else:
            return code
        finally:
            log.close()


def whole_parser() -> argparse.ArgumentParser:
    """One parser of all commands and, since `upload` need not be written, of its flags: for the completion scripts."""
    whole = argparse.ArgumentParser(PROGRAM)
    _module("upload").configure(whole)
    below = whole.add_subparsers()
    for name, (_, purpose) in COMMANDS.items():
        parser = below.add_parser(name, help=purpose)
        _module(name).configure(parser)
        screen.configure(parser)
    return whole


def _run_and_flush(words: list[str]) -> int:
    try:
        return _run(words)
    except OSError as problem:  # of a `print`: what reads and writes files tells its failures by classes of ours
        if problem.errno not in _FULL:
            raise
        raise _unwritten(problem) from None
    finally:  # argparse ends the process when it has printed its help
        _flush()


def _run(words: list[str]) -> int:
    name, rest = command_of(words)
    if not name:
        return _overview_for(rest)
    module = _module(name)
    documents.expect(asked="--json" in rest, listed=name in _LISTS)
    parsed = parser_of(name).parse_args(rest)
    screen.choose(parsed)
    if name in _LOGGED:
        _keep_log(dry=getattr(parsed, "dry", False))
    if name in _NEEDS_TOKEN and getattr(parsed, "word", "run") == "run":
        from kandji_uploader.cli import root

        root.refuse_keychain(os.environ)
    code: int = module.run(parsed)
    if name in _NEEDS_TOKEN and not getattr(parsed, "dry", False):
        _keep_names()
    return code


def _keep_names() -> None:
    """Note what the apps of the tenant are called, if their list was read; a cache, so nothing is said if it fails."""
    from kandji_uploader import settings
    from kandji_uploader._util import files
    from kandji_uploader.kandji import tenant

    names = sorted({name for name in tenant.listed_names() if name.isprintable()})
    early = settings.early(os.environ)
    if names and not early.dry_run:
        with contextlib.suppress(OSError):
            files.write_private(early.state_folder / APP_NAMES, "".join(f"{name}\n" for name in names))


def command_of(words: list[str]) -> tuple[str, list[str]]:
    """The command that is meant and its arguments; "" for none, with what the overview is to be asked."""
    if not words or words[0] in _HELP:
        asked = words[1:2] if words[:1] == ["help"] else []
        return (asked[0], ["--help"]) if asked and asked[0] in COMMANDS else ("", [*asked, "--help"][:1])
    if not words[0].startswith("-"):
        return (words[0], words[1:]) if words[0] in COMMANDS else ("", words[:1])
    if any(word in _VERSION for word in words):
        return "", ["--version"]
    if any(word in _SETUP for word in words):
        return "setup", [word for word in words if word not in _SETUP]
    return "upload", words


def _overview_for(words: list[str]) -> int:
    """Show the overview or the version; or say that there is no such command, and which may be meant."""
    if words[0].startswith("-"):
        _overview().parse_args(words)
    import difflib

    near = difflib.get_close_matches(words[0], COMMANDS, 1)
    meant = f"did you mean `{PROGRAM} {near[0]}`?" if near else f"`{PROGRAM} --help` lists them"
    if os.path.exists(words[0]):  # noqa: PTH110 - `words[0]` may hold what a Path refuses
        meant = f"to publish a file, write `{PROGRAM} -p FILE`"
    print(f"{PROGRAM}: there is no command {words[0]!r}; {meant}", file=sys.stderr)
    return USAGE


def _overview() -> argparse.ArgumentParser:
    environment = screen.listing(ENVIRONMENT.items(), 25)
    commands = screen.listing(((name, purpose) for name, (_, purpose) in COMMANDS.items()), 14)
    parser = Parser(
        prog=PROGRAM,
        description=f"{screen.prose(PURPOSE)}\n\ncommands:\n{commands}",
        epilog=f"{_EXAMPLES}\nenvironment:\n{environment}\n\n{screen.prose(f'exit codes: {CODES}')}\n\n"
        f"{screen.prose(FURTHER)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage=f"{PROGRAM} COMMAND ...\n       {PROGRAM} -p FILE | -b CASK ...",
    )
    flags.upload(parser)
    screen.configure(parser)
    return parser


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{COMMANDS[name][0]}")


def parser_of(name: str) -> argparse.ArgumentParser:
    """The parser of a command, with its purpose and examples."""
    module = _module(name)
    purpose, *manual = re.split(r"\n\n(?=[Ee]xamples:)", module.__doc__ or "", maxsplit=1)
    parser = Parser(
        prog=f"{PROGRAM} {name}",
        description=screen.prose(purpose),
        epilog=screen.prose("".join(manual)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.configure(parser)
    screen.configure(parser)
    return parser


def _keep_log(*, dry: bool) -> None:
    """Log to the state folder; a dry run writes nothing, so it keeps no log."""
    from kandji_uploader import settings, state

    early = settings.early(os.environ)
    if dry or early.dry_run:
        return
    with contextlib.suppress(StateError):  # which the command itself, or the log, will tell
        state.adopt(early.config_folder, early.state_folder)
    log.to_folder(early.state_folder)


def _flush() -> None:
    """Write out what was printed.

    Raises:
        KandjiUploaderError: the disk that standard output goes to is full, or something else is wrong with it.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise _unwritten(problem) from None


def _unwritten(problem: OSError) -> KandjiUploaderError:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains of it at its end, too
    reason = problem.strerror or type(problem).__name__
    return KandjiUploaderError(f"what it printed could not be written ({reason}); make room there, and run it again")


def _failed(code: str, text: str, program: str = PROGRAM) -> int:
    """Tell the failure of the whole command, to people and in its JSON; returns the exit code."""
    log.note(logging.ERROR, text)
    shape = screen.of(sys.stderr)
    lines = (f"{program}: {text}" if program else text).splitlines()
    print("\n".join(shape.wrapped(visible(line), "  ") for line in lines), file=sys.stderr)
    documents.show_failure(code, text)
    return failures.exit_code([code])


def _told_of(bug: Exception) -> str:
    """Where it happened. The exception's own text is not told: it is not ours and may hold a secret."""
    frames = traceback.extract_tb(bug.__traceback__)
    log.note(logging.ERROR, "".join(traceback.format_list(frames)))
    place = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "?"
    return f"a defect of ours ({type(bug).__name__} in {place}, version {__version__}); please report it"
