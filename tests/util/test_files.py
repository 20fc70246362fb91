from __future__ import annotations

from pathlib import Path

import pytest

from kandji_uploader._util import files

CHECKOUT = Path(__file__).parents[2]


def test_what_is_shipped_lies_in_an_installed_packages_data_and_in_a_checkout_beside_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = [
        ("audit_app_and_version.zsh", "audit"),
        ("kandji-uploader.1", "docs"),
        ("completion.zsh", "docs"),
        ("demo", "examples"),
    ]
    assert [files.shipped(*each) for each in shipped] == [CHECKOUT / within / name for name, within in shipped]
    module = tmp_path / "shared" / "kandji_uploader" / "_util" / "files.py"
    monkeypatch.setattr(files, "__file__", str(module))
    assert files.shipped("demo", "examples") == tmp_path / "examples" / "demo"
    installed = module.parents[1] / "data" / "demo"
    installed.mkdir(parents=True)
    assert files.shipped("demo", "examples") == installed
