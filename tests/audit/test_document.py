"""docs/audit-script.md shows what the script really prints.

`python -m tests.audit.test_document` writes that part of the document anew.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.audit.transcripts import TRANSCRIPTS
from tests.support.mac import Mac, needs_zsh

DOCUMENT = Path(__file__).parents[2] / "docs/audit-script.md"
BEGIN, END = "<!-- transcripts: begin -->\n", "<!-- transcripts: end -->\n"


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


@needs_zsh
def test_the_document_shows_what_the_script_prints(tmp_path: Path):
    shown = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]

    assert shown == side_by_side(tmp_path)


if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    with tempfile.TemporaryDirectory() as name:
        DOCUMENT.write_text(before + BEGIN + side_by_side(Path(name)) + END + rest.partition(END)[2], encoding="utf-8")
