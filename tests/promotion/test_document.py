"""The commands of docs/rings.md show what the page says they show."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path

from tests.promotion.test_commands import command, maps, past
from tests.promotion.world import TEST, World, failing, passing

__all__ = ["past"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rings.md"


def shown() -> dict[str, list[str]]:
    """What the page shows, by command. One that comes twice shows two things."""
    found: dict[str, list[str]] = {}
    for block in re.findall(r"(?ms)^```\n(\$ .*?)^```", PAGE.read_text("utf-8")):
        for words, text in re.findall(r"(?ms)^\$ kandji-uploader ([^\n]*)\n(.*?)(?=^\$|\Z)", block):
            found.setdefault(words, []).append(cells(text))
    return found


def cells(text: str) -> str:
    """A table without its links, which each tenant has of its own, and without its rules; other lines as they are."""
    lines = [line.rstrip() for line in text.strip().splitlines()] or [""]
    link = lines[0].find("Link")
    kept = [line[:link].rstrip() if link > 0 else line for line in lines]
    return "\n".join(re.sub(r" {2,}", " | ", line.strip()) for line in kept if not set(line) <= set("- "))


def test_what_the_page_on_rings_shows_is_what_the_commands_print(past: World) -> None:
    page, ran = shown(), []

    def run(words: str) -> None:
        done = command(past, *words.split())
        ran.append(words)
        assert cells(done.stdout) == page[words].pop(0), done.stderr

    def macs(passed: int, errors: int) -> None:
        now = datetime.now(timezone.utc)
        rows = [passing(past.enforced(TEST) or "", now)] * passed + [failing(now)] * errors
        past.tenant.set_statuses(past.tenant.app(TEST)["id"], rows)

    maps(past)
    past.publish("128.0")
    past.tenant.clock.run()
    macs(7, 2)
    run("promote --all")
    macs(9, 0)
    run("promote Firefox -y")
    assert command(past, "promote", "Firefox").returncode == 0
    past.publish("128.1")
    macs(9, 0)
    assert command(past, "promote", "Firefox", "--now").returncode == 0
    run("rollback Firefox")
    run("promote --all")
    macs(8, 0)
    run("status Firefox.pkg")
    assert sorted(set(ran)) == sorted(page)
    assert not any(page.values()), "the page shows what nobody runs"
