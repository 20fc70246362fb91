"""File names: Kandji's suffix, versions; names of apps."""

import pytest

from kandji_uploader.publish.matching import by_name, find, stored_name, version_in
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
        ("App 1.0 build 2.pkg", "1.0"),
        ("App_1.2.PKG", "1.2"),
        ("App-7.mpkg", "7"),
    ],
)
def test_the_version_in_a_file_name(name, version):
    assert version_in(name) == version


def test_each_list_is_asked_for_itself():
    one, other = (live("A"),), (live("A", id="two"), live("A", id="three"))
    for apps in (one, other, one):
        assert by_name(apps, "A") == apps
        assert by_name(apps, "B") == ()


class CountedList(tuple):  # noqa: SLOT001 - it needs a place for its count
    """A list of apps that counts how often it is gone through."""

    times = 0

    def __iter__(self):
        self.times += 1
        return super().__iter__()


def test_a_list_that_is_asked_many_times_is_gone_through_once():
    apps = CountedList([live("A"), live("B", id="two")])
    assert [by_name(apps, name)[0].name for name in ("A", "B", "A")] == ["A", "B", "A"]
    assert apps.times == 1


def stored(*names):
    """Apps with these installers, the first modified last."""
    days = range(len(names), 0, -1)
    return tuple(
        live(f"App {day}", id=name, file_key=f"x/{name}", updated_at=f"2024-01-0{day}T00:00:00Z")
        for name, day in zip(names, days, strict=True)
    )


def test_how_an_app_was_found_or_why_not_is_said():
    one, two = live("A", id="1"), live("A", id="2", self_service_category_id="c")
    assert find((one,), "A", "A.pkg").why == "found by name"
    fitting = find((one, two), "A", "A.pkg", category_id="c")
    assert (fitting.app, fitting.why) == (two, "the one of 2 of that name in its Self Service category")
    assert find((one, two), "A", "A.pkg").why == "2 Custom Apps have that name"
    assert find((one,), "B", "B.pkg", dynamic=True).why == "no Custom App has that name"


def test_dynamic_lookup_is_off_unless_it_is_asked_for():
    apps = stored("Widget-1.0.pkg")
    assert find(apps, "New", "Widget-1.1.pkg").app is None
    assert find(apps, "New", "Widget-1.1.pkg", dynamic=True).app == apps[0]


def test_installers_that_are_just_alike_enough_are_alike():
    # 17 of 20 letters are the same: a ratio of exactly 0.85.
    assert find(stored("abcdefghijklmnopqxyz"), "New", "abcdefghijklmnopq123", dynamic=True).app is not None
    assert find(stored("abcdefghijklmnopwxyz"), "New", "abcdefghijklmnop1234", dynamic=True).app is None


def test_an_installer_without_a_version_is_the_lowest():
    apps = stored("Widget-Full-Install.pkg", "Widget-Full-Install-0.5.pkg")
    assert find(apps, "New", "Widget-Full-Install.pkg", dynamic=True).app == apps[1]
    apps = stored("Widget-Full.pkg", "Widget-Full1.pkg")
    assert find(apps, "New", "Widget-Full.pkg", dynamic=True).app == apps[1]
