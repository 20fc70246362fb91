"""Whatever kills a run, and when: what its recipes had to tell comes, and comes once, or says that it may come twice.

`KANDJI_KILLS` sets how many pairs of runs are killed, at random moments.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from kandji_uploader.rehearsal import RehearsalTenant

KILLS = int(os.environ.get("KANDJI_KILLS", "2"))

RUN = """
import sys, time
from pathlib import Path
from kandji_uploader.flows.announce import announce
from kandji_uploader.models import Action, Outcome, RunResult, Settings, Stage
from kandji_uploader.publish.request import Host

settings = Settings("http://127.0.0.1:1", slack_enabled=True, state_folder=Path(sys.argv[1]))
host = Host(digests=True, warn=print)
for name in sys.argv[2:]:
    announce(RunResult(name, (Outcome(Stage.PROD, name, Action.CREATE),)), settings, host)
    print("kept", name, flush=True)
    time.sleep(0.02)
"""


def test_what_killed_runs_had_to_tell_comes_once(tmp_path):
    with RehearsalTenant(tmp_path / "tenant") as tenant:
        kept: set[str] = set()
        at = random.Random(7)
        for number in range(KILLS):
            runs = [start(tmp_path, tenant, f"{number}{run}") for run in "ab"]
            for run in runs:  # two at a time; some have ended by then, some are telling
                heard = [run.stdout.readline() for _ in range(at.randint(1, 6))]
                time.sleep(at.uniform(0, 0.3 if len(heard) > 4 else 0.03))
                run.send_signal(signal.SIGKILL)
                kept |= names_in("".join(heard) + run.communicate()[0])
            # What they have left has room in one message with what the next run has to tell.
            kept |= names_in(start(tmp_path, tenant, f"{number}z").communicate()[0])
        told: Counter[str] = Counter()
        doubtful = 0
        for message in tenant.slack_messages():
            lines = [block["text"]["text"] for block in message["blocks"]]
            doubtful += any("may have come before" in line for line in lines)
            told.update(line.split(":")[0] for line in lines if ": :new: created" in line)
    assert kept - told.keys() == set()
    twice = sum(count - 1 for count in told.values())
    assert twice <= 18 * doubtful
    assert list((tmp_path / "state" / "messages").iterdir()) == []
    print(f"{2 * KILLS} runs killed, {len(kept)} told, {twice} twice in {doubtful} messages that say so")


def names_in(said: str) -> set[str]:
    return {line.split()[1] for line in said.splitlines() if line.startswith("kept")}


def start(folder: Path, tenant: RehearsalTenant, run: str) -> subprocess.Popen[str]:
    environ = {"PATH": "/nowhere", "SLACK_TOKEN": tenant.webhook_url, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", RUN, str(folder / "state"), *(f"{run}{letter}" for letter in "cdefgh")]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
