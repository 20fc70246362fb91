"""The pages are written for people whose first language is another one: short sentences."""

from __future__ import annotations

import re

import pytest

from kandji_uploader.errors import ApiError
from tests.docs.test_documents import DOCUMENTS

AVERAGE, LONGEST = 20, 45
"""Words of a sentence."""


def sentences(text):
    """The sentences of a page as lists of words, without its code, tables and headings; what is code counts as one."""
    text = re.sub(r"(?ms)^ *```.*?^ *```|<!--.*?-->", "", text)
    kept = "\n".join("" if re.match(r"\s*(\||#|!\[)", line) else line for line in text.splitlines())
    for paragraph in re.split(r"\n\s*\n|^\s*(?:[-*]|\d+\.) ", kept, flags=re.MULTILINE):
        plain = re.sub(r"`[^`]*`", "code", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", paragraph))
        for sentence in re.split(r"(?<=[.!?])[*)\"]*\s+(?=\S)", plain):
            if words := re.findall(r"[\w'’-]+", sentence):
                yield words


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_sentences_are_short(document):
    found = list(sentences(document.read_text(encoding="utf-8")))
    long = [" ".join(words) for words in found if len(words) > LONGEST]
    assert long == []
    assert sum(map(len, found)) / len(found) <= AVERAGE


def test_what_counts_as_a_sentence():
    page = "# Head\n\nOne `a b c` two. Three [four five](x.md):\n\n| six | seven |\n\n- eight\n- nine\n"
    page += "  ten\n```sh\nno\n```\n"
    assert list(sentences(page)) == [["One", "code", "two"], ["Three", "four", "five"], ["eight"], ["nine", "ten"]]


@pytest.mark.parametrize("advice", ["Make a new one", "Is a proxy in between?", "It was not taken."])
def test_what_a_service_said_is_a_sentence_of_its_own(advice):
    text = str(ApiError("GET apps", 401, advice, body="No."))
    assert text == f"GET apps: HTTP 401: {advice if advice[-1] in '?.' else f'{advice}.'} It said: No."
