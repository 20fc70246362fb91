"""Each command that a document shows is one that can be typed, and what is shown of it is what it prints."""

from __future__ import annotations

import re
import shlex

import pytest

from kandji_uploader import cli
from tests.docs.test_documents import DOCUMENTS

_LINE = re.compile(r"^(?: {4})?(?:\$ )?((?:[A-Z_]+=\S+ )*kandji-uploader .*?)$", re.MULTILINE)


def commands():
    """Every command line in a block of a document, without what a shell does around it."""
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        blocks = re.findall(r"(?ms)^```(?:sh|text)\n(.*?)^```|^((?: {4}.*\n)+)", text)
        for block in (one or other for one, other in blocks):
            for line in _LINE.findall(re.sub(r"\\\n\s*", "", block)):
                yield pytest.param(line, id=f"{document.stem}: {line[:60]}")


@pytest.mark.parametrize("line", list(commands()))
def test_a_command_of_a_document_is_one_that_can_be_typed(line):
    words = shlex.split(re.split(r" (?:\||>>?|&&) ", line)[0], comments=True)
    words = [word for word in words[words.index("kandji-uploader") + 1 :] if word != "..."]
    name, rest = cli.command_of(words)
    if name:
        cli.parser_of(name).parse_args(rest)
    else:
        assert rest in (["--help"], ["--version"]), f"there is no command {words}"
