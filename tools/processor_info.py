"""Write into KandjiUploader.py what `autopkg processor-info` says of `custom_app`: its keys, from the table of keys.

AutoPkg reads that text before anything else is there, so it has to be a literal.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from kandji_uploader.settings import schema

_DICT = "custom_app."
_LITERAL = re.compile(
    r'(?s)("custom_app": \{\n            "required": False,\n            "description": \(\n).*?(            \),)'
)


def described() -> str:
    """The keys of `custom_app` in the order of the table, in one sentence."""
    keys = {path.removeprefix(_DICT): keys for path, keys in schema.IN_RECIPE.items() if path.startswith(_DICT)}
    both = [name for name, of in keys.items() if len(of) > 1]
    each = {f"{stage}_{name}" for stage in ("prod", "test") for name in both}
    of_a_stage = [name for name, (key, *_) in keys.items() if key.field.partition(".")[0] in ("prod", "test")]
    named = [name for name in of_a_stage if name not in (*both, *each)]
    others = dict.fromkeys(name.partition(".")[0] for name in keys if name not in of_a_stage)
    return (
        f"Dict: {', '.join(named)}, and {', '.join(both)}, each also as prod_ or test_...; {', '.join(others)}. "
        "Also as flat keys: custom_app.prod_name and so on."
    )


def literal(text: str) -> str:
    """A text as the lines of a Python literal, as ruff formats it."""
    lines = textwrap.wrap(text, 120 - 16 - 3)
    return "".join(f'{" " * 16}"{line}{" " if at < len(lines) else ""}"\n' for at, line in enumerate(lines, 1))


if __name__ == "__main__":
    processor = Path(__file__).parents[1] / "KandjiUploader.py"
    code = processor.read_text(encoding="utf-8")
    made = _LITERAL.sub(lambda found: f"{found[1]}{literal(described())}{found[2]}", code, count=1)
    processor.write_text(made, encoding="utf-8")
