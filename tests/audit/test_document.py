"""docs/audit-script.md shows what the script really prints.

`python -m tests.audit.test_document` writes that part of the document anew.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.audit.transcripts import TRANSCRIPTS
from tests.support.mac import CREATED, Mac, needs_zsh, script_for

DOCUMENT = Path(__file__).parents[2] / "docs/audit-script.md"
PLUGIN = "com.example.office.plugin"


def marks(part: str) -> tuple[str, str]:
    """What stands before and after a part that is written here."""
    return f"<!-- {part}: begin -->\n", f"<!-- {part}: end -->\n"


def shown(part: str, text: str) -> str:
    begin, end = marks(part)
    return text.partition(begin)[2].partition(end)[0]


def side_by_side(folder: Path) -> str:
    """Each transcript: what the manual shows, and what the script printed just now."""
    parts = []
    for number, transcript in enumerate(TRANSCRIPTS, 1):
        mac = Mac(folder / str(number))
        transcript.prepare(mac)
        done = mac.audit(transcript.script)
        rows = "".join(
            f"| `{shown}` | `{printed}` |\n" for shown, printed in zip(transcript.lines, done.lines, strict=True)
        )
        parts.append(
            f"**{number}. {transcript.title}**\n\n| The manual | This script |\n| --- | --- |\n{rows}"
            f"| exit {transcript.code} | exit {done.code} |\n"
        )
    return "\n".join(parts)


def blocked(folder: Path) -> str:
    """What an upgrade that two apps block prints, and its dialog."""
    mac = Mac(folder / "blocked", now=CREATED + 100, receipts={PLUGIN: "1.0"}, dialogs=["quit"])
    for app in ("Microsoft Word", "Microsoft Excel"):
        mac.app(f"/Applications/{app}.app")
        mac.run_app(f"/Applications/{app}.app")
    names = ("Microsoft Word.app", "Microsoft Excel.app")
    done = mac.audit(script_for(None, None, PLUGIN, version="2.0", blocking_applications=names))
    (dialog,) = (call for call in done.called("osascript") if any("display dialog" in word for word in call))
    return "\n".join(["```text", *done.lines, f"exit {done.code}", "", "The dialog:", dialog[-4], "```", ""])


PARTS = {"transcripts": side_by_side, "blocking": blocked}


@needs_zsh
@pytest.mark.parametrize("part", PARTS)
def test_the_document_shows_what_the_script_prints(tmp_path: Path, part: str):
    assert shown(part, DOCUMENT.read_text(encoding="utf-8")) == PARTS[part](tmp_path)


if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        for part, write in PARTS.items():
            begin, end = marks(part)
            before, _, rest = text.partition(begin)
            text = before + begin + write(Path(name)) + end + rest.partition(end)[2]
    DOCUMENT.write_text(text, encoding="utf-8")
