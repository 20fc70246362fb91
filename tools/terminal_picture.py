"""Draw docs/terminal.svg, the picture of the README: commands as they were approved in tests/cli/panes."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "terminal.svg"
PANE = ROOT / "tests" / "cli" / "panes" / "80-colour.txt"
SHOWN = ("-p HelloKandji-1.1.pkg -t ... --quiet", "promote 'Hello Kandji' -y", "status HelloKandji.kandji")
COLOURS = {"1;31": "#ff7b72", "1;33": "#e3b341"}
WIDTH, HEIGHT, LEFT, TOP = 8.4, 19, 20, 54


def picture() -> str:
    """The picture, which needs nothing but a font of equal widths."""
    lines = [line for command in SHOWN for line in [*_pane(command), ""]][:-1]
    wide, high = 84 * WIDTH + 2 * LEFT, TOP + len(lines) * HEIGHT + 10
    rows = "".join(
        f'<text x="{LEFT}" y="{TOP + at * HEIGHT}" xml:space="preserve">{_line(line)}</text>\n'
        for at, line in enumerate(lines)
    )
    dots = "".join(f'<circle cx="{22 + 20 * at}" cy="20" r="6" fill="#484f58"/>' for at in range(3))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:.0f} {high}" role="img" '
        'aria-label="kandji-uploader in a terminal">\n'
        f'<rect width="100%" height="100%" rx="10" fill="#0d1117"/>\n{dots}\n'
        '<g fill="#e6edf3" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14">\n'
        f"{rows}</g>\n</svg>\n"
    )


def _pane(command: str) -> list[str]:
    text = PANE.read_text(encoding="utf-8")
    (block,) = re.findall(rf"(?ms)^(\$ kandji-uploader {re.escape(command)}$.*?)(?=^\$ |\Z)", text)
    return str(block).rstrip().splitlines()


def _line(line: str) -> str:
    """A line with its colours; a link is underlined."""
    line = escape(line, quote=False)
    line = re.sub(
        "\u241b\\]8;;[^\u241b]+\u241b\\\\(.*?)\u241b\\]8;;\u241b\\\\",
        r'<tspan text-decoration="underline">\1</tspan>',
        line,
    )
    return re.sub(
        "\u241b\\[([0-9;]+)m(.*?)\u241b\\[0m",
        lambda found: f'<tspan fill="{COLOURS[found[1]]}" font-weight="bold">{found[2]}</tspan>',
        line,
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
