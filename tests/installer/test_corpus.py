"""Real installers out of public projects, against what independent tools found in them; NOTICE has their origin."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kandji_uploader import installer
from kandji_uploader.errors import InstallerError

FOLDER = Path(__file__).parent.parent / "fixtures" / "corpus"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())


def _cases(*, refused: bool):
    for name, held in EXPECTED.items():
        needs = name.endswith(".dmg") and "encrypted" not in held.get("refused", "")
        marks = pytest.mark.skipif(needs and not shutil.which("7zz"), reason="needs 7-Zip") if needs else ()
        if ("refused" in held) is refused:
            yield pytest.param(name, held, id=name, marks=marks)


@pytest.mark.parametrize(("name", "expected"), list(_cases(refused=False)))
def test_facts(name, expected):
    facts = installer.inspect(FOLDER / name)

    found = {
        "type": facts.type.value,
        "sha256": facts.sha256,
        "size": facts.size,
        "app_name": facts.app_name,
        "bundle_id": facts.bundle_id,
        "version": facts.version,
        "version_key": facts.version_key,
        "package_id": facts.package_id,
        "package_version": facts.package_version,
        "packages": [[one.id, one.version] for one in facts.packages],
        "apps": [one.path for one in facts.apps],
        "ambiguous": list(facts.ambiguous),
        "signed": facts.signed,
    }
    wanted = {"ambiguous": [], "signed": facts.signed, **expected}
    assert found == wanted


@pytest.mark.parametrize(("name", "expected"), list(_cases(refused=True)))
def test_refusals(name, expected):
    path = FOLDER / name
    assert installer.sha256(path) == expected["sha256"]
    with pytest.raises(InstallerError, match=expected["refused"]) as caught:
        installer.inspect(path)
    assert str(path) in str(caught.value)


def test_every_file_of_the_corpus_is_expected_and_has_its_line_in_the_notice():
    names = {path.name for path in FOLDER.iterdir()} - {"expected.json", "LICENSES.txt"}
    notice = (FOLDER.parents[2] / "NOTICE").read_text()

    assert names == set(EXPECTED)
    assert [name for name in names if f"tests/fixtures/corpus/{name}:" not in notice] == []
