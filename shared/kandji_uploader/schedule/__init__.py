"""Publish a list of Homebrew casks every few hours.

`brew_cron.json` (or `.yaml`) in the config folder names the casks and the hours; a LaunchAgent on macOS, a systemd
user timer on Linux or `loop` in a container sees to the rest. The caller passes in the function that publishes a cask.
"""

from kandji_uploader.schedule.agents import Agent, LaunchAgent, SystemdTimer, for_platform
from kandji_uploader.schedule.cron import Cron, added, find, read, removed, rhythm, write
from kandji_uploader.schedule.cycle import Cycle, Publish, StopFlag, clock, last_cycle, loop, run_cycle
from kandji_uploader.schedule.running import Running, running

__all__ = [
    "Agent",
    "Cron",
    "Cycle",
    "LaunchAgent",
    "Publish",
    "Running",
    "StopFlag",
    "SystemdTimer",
    "added",
    "clock",
    "find",
    "for_platform",
    "last_cycle",
    "loop",
    "read",
    "removed",
    "rhythm",
    "run_cycle",
    "running",
    "write",
]
