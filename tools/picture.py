"""Write the picture of ARCHITECTURE.md again, from the first import contract of pyproject.toml."""

import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:  # pytest brings it
    import tomli as tomllib

CHECKOUT = Path(__file__).parents[1]


def picture(layers: list[str]) -> str:
    """The layers as a Mermaid flow chart, one box each, the highest first."""
    boxes = [f'    L{number}["{layer.replace(" | ", " · ")}"]' for number, layer in enumerate(layers)]
    arrows = " --> ".join(f"L{number}" for number in range(len(layers)))
    return "\n".join(["flowchart TD", *boxes, f"    {arrows}"])


if __name__ == "__main__":
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    new = picture(project["tool"]["importlinter"]["contracts"][0]["layers"])
    page = CHECKOUT / "ARCHITECTURE.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(
        re.sub(r"(?s)(```mermaid\n).*?(\n```)", lambda found: found[1] + new + found[2], text), encoding="utf-8"
    )
