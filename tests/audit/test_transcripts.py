from __future__ import annotations

import re
import time

import pytest

from tests.audit.transcripts import TRANSCRIPTS, Transcript
from tests.support.mac import CREATED, Mac, needs_zsh

pytestmark = needs_zsh


@pytest.mark.parametrize("locale", [None, "C.UTF-8"])
@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda transcript: transcript.title)
def test_each_transcript_of_the_manual_comes_out_whole(mac: Mac, transcript: Transcript, locale: str | None):
    transcript.prepare(mac)

    done = mac.audit(transcript.script, locale)

    assert (done.code, done.lines, done.error) == (transcript.code, transcript.lines, "")


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda transcript: transcript.title)
def test_the_transcripts_do_not_depend_on_spotlight(mac: Mac, transcript: Transcript):
    transcript.prepare(mac)
    mac.spotlight = None

    done = mac.audit(transcript.script)

    assert (done.code, done.lines, done.error) == (transcript.code, transcript.lines, "")


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda transcript: transcript.title)
def test_the_script_as_uploaded_finds_the_tools_and_folders_of_a_mac(mac: Mac, transcript: Transcript):
    transcript.prepare(mac)
    # It reads the clock of this machine, so all that is due comes as much later.
    later = int(time.time()) - mac.now
    if mac.delays:
        mac.delays = {app: {key: ends + later for key, ends in each.items()} for app, each in mac.delays.items()}
    script = transcript.script.replace(f"'{CREATED}'", f"'{CREATED + later}'")

    done = mac.audit_unchanged(script)

    assert (done.code, without_times(done.lines), done.error) == (transcript.code, without_times(transcript.lines), "")
    assert done.calls


def without_times(lines: tuple[str, ...]) -> list[str]:
    return [re.sub(r"\d{4}-\d\d-\d\d .*|\d+ minutes, \d+ seconds", "(time)", line) for line in lines]
