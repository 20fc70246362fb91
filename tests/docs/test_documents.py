"""What the documents promise is there: links, files, keys, error texts."""

import re
from pathlib import Path

import pytest
import yaml

from kandji_uploader import cli
from kandji_uploader.kandji.permissions import PROBED
from kandji_uploader.rehearsal import RehearsalTenant
from kandji_uploader.settings import schema, showing
from kandji_uploader.settings.coercion import Choice, Number
from tools import processor_page, terminal_picture

CHECKOUT = Path(__file__).parents[2]
DOCUMENTS = sorted([CHECKOUT / "README.md", CHECKOUT / "SECURITY.md", *(CHECKOUT / "docs").glob("*.md")])
SOURCES = "\n".join(
    path.read_text(encoding="utf-8") for path in [CHECKOUT / "KandjiUploader.py", *(CHECKOUT / "shared").rglob("*.py")]
)


def squeezed(text):
    """Source text with the joints of its string literals taken out."""
    return re.sub(r'"\s*\n\s*f?"', "", text)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_row_of_a_table_has_a_cell_for_each_heading_and_stands_there_once(document):
    for table in re.findall(r"(?:^\|.*\n)+", document.read_text(encoding="utf-8"), flags=re.MULTILINE):
        rows = [re.split(r"(?<!\\)\|", row)[1:-1] for row in table.splitlines()]
        assert [row for row in rows if len(row) != len(rows[0])] == []
        plain = re.sub(r"\[(.+?)\]\(\S+\)", r"\1", table).splitlines()
        twice = [row for row in plain if plain.count(row) > 1]
        assert document.name == "performance.md" or twice == [], "what was measured may be the same in two rows"


def test_every_error_text_of_the_faq_is_one_that_is_said():
    section = (CHECKOUT / "docs" / "faq.md").read_text(encoding="utf-8").split("\n## ")[1]
    told = re.findall(r"^\| `([^`]+)` \|", section, flags=re.MULTILINE)
    assert len(told) > 8
    source = squeezed(SOURCES)
    missing = []
    for text in told:
        pieces = [piece for piece in re.split(r"'?\.\.\.'?|requests$", text) if len(piece.strip()) > 3]
        missing += [piece for piece in pieces if piece.strip() not in source]
    assert missing == []


def test_every_command_of_the_readme_exists():
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"kandji-uploader ([a-z][a-z-]+)", readme))
    assert named <= set(cli.COMMANDS)
    assert {"setup", "config", "doctor"} <= named


def test_every_recipe_key_of_the_readme_is_one_that_is_read():
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    section = readme.split("## Recipe keys")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", section, flags=re.MULTILINE)
    known = {key.recipe for key in schema.RECIPE_KEYS if key.recipe} | {key.recipe for key in schema.CONFIG_KEYS}
    known |= {str(path).replace(".prod_", ".").replace(".test_", ".") for path in known} | {"custom_app.promotion"}
    for row in rows:
        first, *others = re.findall(r"`([^`]+)`", row)
        for key in [first, *(first.rsplit(".", 1)[0] + other if other.startswith(".") else other for other in others)]:
            assert key in known, key


def test_the_example_config_is_the_one_the_command_prints():
    assert (CHECKOUT / "examples" / "config.yaml").read_text(encoding="utf-8") == showing.example()


def test_the_pip_line_of_the_readme_installs_what_the_processor_asks_for():
    from kandji_uploader._util import dependencies

    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    folder = "~/Library/AutoPkg/RecipeRepos/com.github.kandjiuploader.kandjiuploader"
    before = f"sudo -H {dependencies.AUTOPKG_PYTHON} -m pip install --require-hashes \\\n    -r {folder}/"
    (path,) = re.findall(rf"^{re.escape(before)}(\S+)$", readme, flags=re.MULTILINE)
    locked = (CHECKOUT / path).read_text(encoding="utf-8")
    assert [name for name in dependencies._NEEDED.values() if f"\n{name.split('>')[0]}==" not in locked] == []


def test_every_permission_of_the_token_is_named():
    page = (CHECKOUT / "docs" / "install.md").read_text(encoding="utf-8").split("## The token")[1]
    assert [each.name for each in PROBED if each.name not in page] == []


def test_the_page_of_the_processor_is_made_from_the_table_of_keys():
    assert processor_page.PAGE.read_text(encoding="utf-8") == processor_page.page(), "make examples writes it"


@pytest.mark.parametrize("path", schema.IN_RECIPE)
def test_each_example_of_a_key_is_one_that_it_takes(path):
    for key in schema.IN_RECIPE[path]:
        told = isinstance(key.kind, Number | Choice) or key.is_file or key.kind in processor_page.TYPES
        assert told, f"give the kind of {path} an example in tools/processor_page.py"
        key.kind(yaml.safe_load(processor_page.example_of(path, key)))


def test_the_readme_is_short_enough_to_be_read():
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 128
    assert max(len(section.splitlines()) for section in text.split("\n## ")) <= 30, "each section fits a screen"


def test_the_page_of_the_state_names_all_that_a_run_leaves(tmp_path, monkeypatch):
    page = (CHECKOUT / "docs" / "state.md").read_text(encoding="utf-8")
    with RehearsalTenant(tmp_path / "tenant") as tenant:
        for name, value in {"API_URL": tenant.url, "TOKEN": tenant.token, "UPLOADER_STATE_DIR": tmp_path / "s"}.items():
            monkeypatch.setenv(f"KANDJI_{name}", str(value))
        installer = CHECKOUT / "examples" / "demo" / "HelloKandji-1.0.pkg"
        assert cli.main(["-p", str(installer), "-n", "Hello", "--enforcement", "install_once", "--quiet"]) == 0
    left = {path.name for path in [*(tmp_path / "s").iterdir(), *(tmp_path / "s").glob("*/*.json")]}
    named = {name for name in left if f"`{name}`" in page or f"`{name}/`" in page}
    assert [name for name in left - named if not re.fullmatch(r"[0-9a-f]{12}|[0-9a-f]{24}\.json", name)] == []
    assert {"custom-apps", "uploads.json"} <= named


def test_the_picture_of_the_readme_shows_what_was_approved():
    assert terminal_picture.PICTURE.read_text(encoding="utf-8") == terminal_picture.picture(), "make examples writes it"
    assert "](docs/terminal.svg)" in (CHECKOUT / "README.md").read_text(encoding="utf-8")
