from __future__ import annotations

import pytest

from tests.audit.transcripts import TRANSCRIPTS, Transcript
from tests.support.mac import Mac, needs_zsh

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

    done = mac.audit_unchanged(transcript.script)

    assert (done.code, done.lines, done.error) == (transcript.code, transcript.lines, "")
    assert done.calls
