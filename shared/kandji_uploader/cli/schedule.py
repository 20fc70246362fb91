"""Publish a list of Homebrew casks every few hours.

The casks and the hours are in brew_cron.json (or .yaml) in the config folder. On macOS a LaunchAgent starts the
cycles, on Linux a systemd user timer; in a container `schedule run --loop` does.

Examples:
  kandji-uploader schedule add firefox google-chrome --every 4
  kandji-uploader schedule install
  kandji-uploader schedule status
  kandji-uploader schedule run --dry
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from kandji_uploader import schedule, settings
from kandji_uploader.cli import DONE, FAILED, documents, failures, flags, screen
from kandji_uploader.cli.console import Console
from kandji_uploader.errors import SettingsError
from kandji_uploader.schedule import Cron


def configure(parser: argparse.ArgumentParser) -> None:
    """One word for each thing that can be done."""
    words = parser.add_subparsers(dest="word", required=True, metavar="add|remove|install|uninstall|status|run")
    add = words.add_parser("add", help="add casks to the schedule, and make the file where there is none")
    _casks(add)
    _every(add)
    add.add_argument("--unchecked", action="store_true", help="do not ask Homebrew whether there are such casks")
    _casks(words.add_parser("remove", help="remove casks from the schedule"))
    _every(words.add_parser("install", help="let this machine run the schedule"))
    words.add_parser("uninstall", help="let it run no longer; brew_cron.json stays")
    status = words.add_parser("status", help="show the schedule, who starts its cycles, and the last cycle")
    status.add_argument("--loop", action="store_true", help="exit code 1 unless `run --loop` runs, in time")
    status.add_argument("--json", action="store_true", help="as JSON on standard output")
    run_word = words.add_parser("run", help="run one cycle now")
    run_word.add_argument("--loop", action="store_true", help="go on, cycle after cycle, until SIGTERM or Ctrl-C")
    flags.dry(run_word)
    flags.tenant(run_word)
    run_word.add_argument("--use-brew", action="store_true", help="download with `brew`")


def run(arguments: argparse.Namespace) -> int:
    """Do what the word says; 1 where a cask of a cycle failed."""
    folder = settings.config_folder()
    if arguments.word == "add":
        return _add(folder, arguments)
    if arguments.word == "remove":
        return _save(schedule.removed(schedule.read(folder, settings), arguments.casks))
    if arguments.word == "install":
        return _install(folder, arguments.every)
    if arguments.word == "uninstall":
        print(schedule.for_platform(folder).uninstall())
        return DONE
    if arguments.word == "status":
        return _status(folder, loop=arguments.loop, as_json=arguments.json)
    return _run(folder, arguments)


def _casks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("casks", metavar="CASK", nargs="+", help="the name of a Homebrew cask")


def _every(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--every", metavar="HOURS", type=int, help="hours between two cycles (1 to 168)")


def _add(folder: Path, arguments: argparse.Namespace) -> int:
    path = schedule.find(folder, settings)
    before = schedule.read(folder, settings) if path else Cron(folder / "brew_cron.json")
    cron = schedule.added(before, arguments.casks, arguments.every)
    if not arguments.unchecked:
        from kandji_uploader import homebrew

        for cask in (cask for cask in cron.casks if cask not in before.casks):
            for note in homebrew.find(cask).notes:
                print(f"warning: {note}", file=sys.stderr)
    return _save(cron)


def _save(cron: Cron) -> int:
    schedule.write(cron)
    print(f"{cron.path}: {schedule.rhythm(cron.hours)}: {', '.join(cron.casks) or 'no casks'}")
    _warn_of_other_hours(cron)
    return DONE


def _install(folder: Path, every: int | None) -> int:
    cron = schedule.added(schedule.read(folder, settings), (), every)
    told = schedule.for_platform(folder).install(cron.hours)
    if every is not None:
        schedule.write(cron)
    print(told)
    return DONE


def _status(folder: Path, *, loop: bool, as_json: bool) -> int:
    cron, problem = _read(folder)
    state_folder = settings.early(os.environ).state_folder
    running = schedule.running(state_folder)
    starts = _said_of(running) if running else schedule.for_platform(folder).status()
    last = schedule.last_cycle(state_folder)
    if as_json:
        documents.show(_as_json(cron, problem, starts, running, last))
    else:
        print(f"{cron.path}: {schedule.rhythm(cron.hours)}: {', '.join(cron.casks) or 'no casks'}" if cron else problem)
        screen.tell("\n".join([starts, *_told_of(last)]))
    if cron:
        _warn_of_other_hours(cron)
    if loop:  # of a HEALTHCHECK, Docker knows 0 and 1 alone
        return DONE if cron and running and not running.is_late() and not running.problem else FAILED
    return DONE if cron else failures.exit_code([SettingsError.code])


def _read(folder: Path) -> tuple[Cron | None, str]:
    """The schedule, or why there is none."""
    try:
        return schedule.read(folder, settings), ""
    except SettingsError as problem:
        return None, str(problem)


def _told_of(last: schedule.Cycle | None) -> list[str]:
    if last is None:
        return ["no cycle was run yet"]
    told = [f"last cycle: {schedule.clock(last.started)} to {schedule.clock(last.ended)}"]
    for cask, action in last.actions.items():
        told.append(f"  {cask}: {action}{f': {last.errors[cask]}' if cask in last.errors else ''}")
    return told


def _as_json(
    cron: Cron | None, problem: str, starts: str, running: schedule.Running | None, last: schedule.Cycle | None
) -> documents.Schedule:
    return {
        "file": str(cron.path) if cron else None,
        "hours": cron.hours if cron else None,
        "casks": [*cron.casks] if cron else [],
        "starts": starts,
        "loop": _loop(running) if running else None,
        "last_cycle": _cycle(last) if last else None,
        "error": None if cron else documents.error(SettingsError.code, problem),
    }


def _loop(running: schedule.Running) -> documents.Loop:
    return {
        "since": running.since,
        "next_cycle": running.next_cycle,
        "late": running.is_late(),
        "problem": running.problem,
    }


def _cycle(last: schedule.Cycle) -> documents.Cycle:
    def cask(name: str, action: str) -> documents.Cask:
        error = documents.error("failed", last.errors[name]) if name in last.errors else None
        return {"cask": name, "action": action, "error": error}

    return {"started": last.started, "ended": last.ended, "casks": [cask(*each) for each in last.actions.items()]}


def _said_of(running: schedule.Running) -> str:
    """What the loop does now."""
    text = f"`schedule run --loop` runs since {schedule.clock(running.since)}: "
    if running.next_cycle is None:
        return f"{text}a cycle is under way"
    late = "; it is late: look at its messages" if running.is_late() else ""
    left_out = f"; the last one was left out: {running.problem}" if running.problem else ""
    return f"{text}next cycle at {schedule.clock(running.next_cycle)}{late}{left_out}"


def _warn_of_other_hours(cron: Cron) -> None:
    """The hours are in the agent's own file too, which an edit of ours does not change."""
    installed = schedule.for_platform(cron.path.parent).hours()
    if installed is not None and installed != cron.hours:
        hours = f"{schedule.rhythm(installed)}, not {schedule.rhythm(cron.hours)}"
        advice = "`kandji-uploader schedule install` brings it in line"
        print(f"warning: the installed timer runs {hours}; {advice}", file=sys.stderr)


def _run(folder: Path, arguments: argparse.Namespace) -> int:
    early = settings.early(os.environ)
    say, state_folder = partial(print, flush=True), None if arguments.dry or early.dry_run else early.state_folder
    if not arguments.loop:
        cron = schedule.read(folder, settings)
        return FAILED if schedule.run_cycle(cron, _publisher(arguments, cron), say, state_folder).failed else DONE
    stop = schedule.StopFlag()

    def begin() -> schedule.Publish:
        return _publisher(arguments, schedule.read(folder, settings))

    with _handled(stop):
        schedule.loop(partial(schedule.read, folder, settings), begin, say, state_folder, stop)
    return DONE


def _publisher(arguments: argparse.Namespace, cron: Cron) -> schedule.Publish:
    """What publishes the casks of one cycle: the Python API, with our messages; they are one batch."""
    from kandji_uploader import api
    from kandji_uploader.publish.queue import Batch
    from kandji_uploader.publish.request import Host

    console = Console()
    host = Host(
        say=console.say,
        warn=console.warn,
        progress=console.progress,
        environ=os.environ,
        batch=Batch(casks=cron.casks, use_brew=arguments.use_brew),
    )
    tenant = arguments.tenant or cron.tenant or None
    return partial(api.process_brew, dry=arguments.dry, use_brew=arguments.use_brew, tenant=tenant, host=host)


@contextmanager
def _handled(stop: schedule.StopFlag) -> Iterator[None]:
    """While it lasts, SIGTERM and Ctrl-C ask to stop."""
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
