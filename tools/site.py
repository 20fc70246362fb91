"""Make the site, `build/site/public`, from the Markdown of the project; nothing is fetched for it.

The pages lie where the site generator wants them: README.md is the first page, and what is not in docs/ is beside.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = ROOT / "build" / "site"
BESIDE = ("SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "ARCHITECTURE.md")
SOURCE = "https://github.com/kandjiuploader/kandjiuploader/blob/main/"
PAGES = {
    "Start": ("index.md", "install.md", "faq.md", "state.md"),
    "AutoPkg": (
        "autopkg.md",
        "processor.md",
        "settings.md",
        "messages.md",
        "rings.md",
        "schedule.md",
        "many-machines.md",
    ),
    "Command line and Python": ("command-line.md", "json.md", "python-api.md", "homebrew.md", "installers.md"),
    "Coming from": ("munki.md", "migrating.md"),
    "How it works": ("audit-script.md", "reliability.md", "trust.md", "performance.md", "rehearsal.md"),
    "Project": BESIDE,
}
CONFIG = """\
site_name: KandjiUploader
docs_dir: pages
site_dir: public
use_directory_urls: false
theme:
  name: material
  font: false
  palette:
    - {{media: "(prefers-color-scheme: light)", scheme: default}}
    - {{media: "(prefers-color-scheme: dark)", scheme: slate}}
plugins: [search]
markdown_extensions: [tables, fenced_code, {{toc: {{permalink: true}}}}]
nav:
{nav}
"""


def pages() -> dict[str, str]:
    """The Markdown of each page by its file name, with links that lead from there."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
    found = {name: _links(text, "docs/") for name, text in texts.items()}
    for name in ("README.md", *BESIDE):
        target = "index.md" if name == "README.md" else name
        found[target] = _links((ROOT / name).read_text(encoding="utf-8"), "")
    return found


def _links(text: str, folder: str) -> str:
    """Links to other pages as they are on the site; those to files of the project lead to its source."""

    def placed(found: re.Match[str]) -> str:
        path, anchor = found[1], found[2] or ""
        if "://" in path:
            return found[0]
        whole = (ROOT / folder / path).resolve().relative_to(ROOT)
        if whole.name == "README.md":
            return f"](index.md{anchor})"
        if whole.suffix in (".md", ".svg") and (str(whole.parent) == "docs" or str(whole) in BESIDE):
            return f"]({whole.name}{anchor})"
        return f"]({SOURCE}{whole}{anchor})"

    return re.sub(r"\]\(([^)#\s]+)(#[^)]*)?\)", placed, text)


def write() -> None:
    """Put the pages and the generator's config there."""
    shutil.rmtree(PLACE, ignore_errors=True)
    (PLACE / "pages").mkdir(parents=True)
    for name, text in pages().items():
        (PLACE / "pages" / name).write_text(text, encoding="utf-8")
    for picture in (ROOT / "docs").glob("*.svg"):
        shutil.copy(picture, PLACE / "pages")
    nav = "\n".join(
        "\n".join([f"  - {title}:", *(f"      - {name}" for name in names)]) for title, names in PAGES.items()
    )
    (PLACE / "mkdocs.yml").write_text(CONFIG.format(nav=nav), encoding="utf-8")


if __name__ == "__main__":
    write()
    program = Path(sys.executable).with_name("zensical")
    sys.exit(subprocess.run([program, "build", "--strict", "-f", str(PLACE / "mkdocs.yml")], check=False).returncode)
