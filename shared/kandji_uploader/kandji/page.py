"""A page of a list, taken row by row while it comes in.

The audit scripts of 300 Custom Apps are 9 MB, and twice that while JSON is made into values. Of eight tenants that are
read at a time that was more memory than all else, so no more than some blocks of a page are kept.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable

# Up to what follows, so that no white space is left before it where a block ends in between.
_BEGIN = re.compile(r'"results"\s*:\s*\[\s*(?=\S)')
_AFTER_ROW = re.compile(r"\s*[,\]]\s*(?=\S)")
_AT_ONCE = 1 << 18
"""Characters with which rows are looked for: of rows of 40 KB, the last one there is looked through in vain."""
_DECODE = json.JSONDecoder().raw_decode


class Page:
    """A JSON object with a list `results`, as it comes in.

    Args:
        take: called with the text of each row and with what it holds, in their order; what it raises ends the page.
    """

    def __init__(self, take: Callable[[str, object], None]) -> None:
        self._take = take
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._kept: list[str] = []
        self._text = ""
        self._enough = _AT_ONCE
        self._begun = self._over = False

    def feed(self, block: bytes) -> None:
        """Take the next bytes."""
        self._text += self._decoder.decode(block)
        if len(self._text) >= self._enough:
            self._take_rows()
            # A row that has not come whole is not tried again with each block.
            self._enough = max(2 * len(self._text), _AT_ONCE)

    def end(self) -> str:
        """All but the rows, each of which is a 0 there; so it is JSON if the page was."""
        self._text += self._decoder.decode(b"", final=True)
        self._take_rows()
        return "".join((*self._kept, self._text))

    def _take_rows(self) -> None:
        at = 0
        if not self._begun and (found := _BEGIN.search(self._text)):
            at, self._begun = found.end(), True
            self._kept.append(found.string[:at])
        while self._begun and not self._over:
            try:
                row, end = _DECODE(self._text, at)
            except (ValueError, RecursionError):
                break
            after = _AFTER_ROW.match(self._text, end)
            if after is None:
                break
            self._take(self._text[at:end], row)
            self._kept.append(f"0{after[0]}")
            at, self._over = after.end(), "]" in after[0]
        self._text = self._text[at:]
