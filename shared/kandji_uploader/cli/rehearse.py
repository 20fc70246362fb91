"""Start the embedded tenant to try things against: a Kandji tenant that holds no real Macs.

It serves this machine only, until Ctrl-C. In another window, paste the lines that it prints and publish as usual;
the page at its address shows its releases, its Custom Apps and each request as it comes.

Examples:
  kandji-uploader rehearse
  kandji-uploader rehearse --macs 20
  kandji-uploader rehearse --folder ~/rehearsal --port 8642
  kandji-uploader rehearse --faults faults.json --for 600
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from kandji_uploader.cli import DONE, flags
from kandji_uploader.errors import KandjiUploaderError
from kandji_uploader.rehearsal import Record, RehearsalTenant
from kandji_uploader.report.layout import visible

_STATE = "tenant"
_CONFIG = "config"
_LAST_PORT = 65_535
_MOST_MACS = 10_000


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    add = parser.add_argument
    add(
        "--folder", type=Path, help="where the tenant is kept, to go on with it another time (default: a temporary one)"
    )
    port, macs = flags.number(int, 0, _LAST_PORT), flags.number(int, 0, _MOST_MACS, " of Macs")
    add("--port", type=port, default=0, metavar="N", help="the port of its API (default: any that is free)")
    add("--faults", type=Path, metavar="FILE", help="a JSON file of scripted faults; see docs/rehearsal.md")
    add(
        "--macs",
        type=macs,
        default=0,
        metavar="N",
        help="so many made-up Macs install each Custom App, one every two seconds, and report it",
    )
    add("--for", dest="seconds", type=_seconds, metavar="SECONDS", help="stop by itself after so long")


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C, SIGTERM or the end of `--for`."""
    stopped = threading.Event()

    def stop(_: int, __: FrameType | None) -> None:
        stopped.set()

    with ExitStack() as stack:
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.signal(number, stop))
        folder = _folder(arguments.folder, stack)
        tenant = _tenant(folder, arguments)
        stack.callback(tenant.stop)
        print(_lines(tenant, folder, kept=arguments.folder is not None), flush=True)
        stopped.wait(arguments.seconds)
    print(f"Stopped after {len(tenant.requests)} requests.", file=sys.stderr)
    return DONE


def _folder(given: Path | None, stack: ExitStack) -> Path:
    """Where the rehearsal is kept: a folder of its own, so that nothing of the user's is ever touched."""
    if given is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kandji-uploader-")))
    folder = given.expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise KandjiUploaderError(f"--folder {folder}: not a folder. Name another")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _STATE).is_dir():
        raise KandjiUploaderError(f"--folder {folder}: holds other things than a rehearsal. Name an empty or a new one")
    return folder


def _tenant(folder: Path, arguments: argparse.Namespace) -> RehearsalTenant:
    try:
        tenant = RehearsalTenant(
            folder / _STATE, port=arguments.port, faults=arguments.faults, told=_tell, macs=arguments.macs
        )
        tenant.start()
    except OSError as problem:
        raise KandjiUploaderError(
            f"the rehearsal cannot start: {problem.strerror or problem}. Is the port in use, or the folder read-only? "
            "Name others with --port and --folder"
        ) from None
    return tenant


def _lines(tenant: RehearsalTenant, folder: Path, *, kept: bool) -> str:
    """What to do next, as lines that can be pasted into a shell as they are."""
    exports = {
        "KANDJI_API_URL": tenant.url,
        "KANDJI_TOKEN": tenant.token,
        "SLACK_TOKEN": tenant.webhook_url,
        "KANDJI_UPLOADER_DIR": str(folder / _CONFIG),
        "KANDJI_UPLOADER_STATE_DIR": str(folder / _CONFIG / "state"),
    }
    place = f"It is kept in {folder}" if kept else "It is forgotten when it stops; --folder keeps it"
    return "\n".join(
        [
            f"# A tenant to rehearse with is at {tenant.url} (open it in a browser on this machine).",
            f"# {place}. Ctrl-C stops it.",
            "# In another window, paste these lines; the token is good for this rehearsal only:",
            *(f"export {name}={shlex.quote(value)}" for name, value in exports.items()),
            "# Then publish something, twice, and see that the second time nothing is sent:",
            '#   kandji-uploader -p Firefox.pkg -n "Firefox" -t "Firefox (Test)"',
            "# Without KANDJI_UPLOADER_DIR, your own config file and maps are used.",
        ]
    )


def _tell(record: Record) -> None:
    fault = f"  (fault: {record.fault})" if record.fault else ""
    print(visible(f"{record.status or 'none':>4}  {record}{fault}"), file=sys.stderr, flush=True)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds
