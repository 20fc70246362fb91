"""File names: Kandji's suffix, versions; names of apps."""

import pytest

from kandji_uploader.publish.matching import by_name, stored_name, version_in
from tests.plan.world import live


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        ("App-1.2_0f04055b.pkg", "App-1.2.pkg"),
        ("App_0f04055b", "App"),
        ("App-1.2.pkg", "App-1.2.pkg"),
        ("App_0F04055B.pkg", "App_0F04055B.pkg"),
        ("deadbeef_cafe_0f04055b.dmg", "deadbeef_cafe.dmg"),
    ],
)
def test_kandjis_suffix_is_taken_off(stored, name):
    assert stored_name(stored) == name


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("CompanyPortal_5.2310.5-Installer_0f04055b.pkg", "5.2310.5"),
        ("Firefox 128.0.1.pkg", "128.0.1"),
        ("CotEditor_4.7.4.dmg", "4.7.4"),
        ("App-v2.1b3.pkg", "2.1b3"),
        ("zoomusInstallerFull.pkg", None),
        ("Python3-3.12.1.pkg", "3.12.1"),
        ("build-417.pkg", "417"),
        ("App 2 v1.0.zip", "1.0"),
        ("GoogleChrome_12345678.pkg", None),
    ],
)
def test_the_version_in_a_file_name(name, version):
    assert version_in(name) == version


def test_each_list_is_asked_for_itself():
    one, other = (live("A"),), (live("A", id="two"), live("A", id="three"))
    for apps in (one, other, one):
        assert by_name(apps, "A") == apps
        assert by_name(apps, "B") == ()
