"""Archives: the app or the packages in a .zip."""

from __future__ import annotations

import gzip
import struct
import zipfile

import pytest

from benchmarks.cases import CROWDS
from benchmarks.installers import crowded_zip
from kandji_uploader import installer
from kandji_uploader.errors import AuditScriptError, InstallerError
from kandji_uploader.installer.limits import LISTED
from kandji_uploader.publish.targets import RecipeFacts, identify
from tests.support import measured
from tests.support.formats import (
    FILE,
    app,
    bundle,
    component,
    distribution,
    info_plist,
    odc,
    package_info,
    payload,
    xar,
)

LINK = 0o120755 << 16


@pytest.fixture
def archive(tmp_path):
    """Write a .zip of name and content; a link is `(name, target)` under its own key."""

    def write(members, *, links=(), prefix=b"", stored=False):
        path = tmp_path / "Example.zip"
        method = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(path, "w", method) as made:
            for name, data in members.items():
                made.writestr(name, data)
            for name, target in links:
                link = zipfile.ZipInfo(name)
                link.external_attr = LINK
                made.writestr(link, target)
        if prefix:
            path.write_bytes(prefix + path.read_bytes())
        return path

    return write


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("prefix", [b"", b"something before"])
def test_the_app_in_a_zip(archive, stored, prefix):
    members = {
        "Example.app/Contents/Helpers/Inner.app/Contents/Info.plist": info_plist("com.example.inner"),
        "Example.app/Contents/Info.plist": info_plist(),
        "Example.app/Contents/_CodeSignature/CodeResources": b"seal",
        "__MACOSX/Example.app/Contents/._Info.plist": b"fork",
        "__MACOSX/Other.app/Contents/Info.plist": info_plist("com.example.other"),
        "Read me.txt": b"hello",
    }
    facts = installer.inspect(archive(members, stored=stored, prefix=prefix))

    assert (facts.app_name, facts.bundle_id, facts.version) == ("Example.app", "com.example.app", "1.2.3")
    assert facts.signed
    assert len(facts.apps) == 1
    assert facts.apps[0].install_path is None


def test_helpers_that_are_listed_first_are_not_meant(archive):
    members = {
        "Folder/Tool.app/Contents/Info.plist": info_plist("com.example.tool"),
        "Example.app/Contents/Info.plist": info_plist(),
    }
    assert installer.inspect(archive(members)).app_name == "Example.app"


def test_two_apps_side_by_side_are_ambiguous(archive):
    path = archive({f"{name}.app/Contents/Info.plist": info_plist(f"com.example.{name}") for name in "ab"})

    assert installer.inspect(path).ambiguous == ("a.app", "b.app")
    assert installer.inspect(path, bundle_id="com.example.b").app_name == "b.app"


def test_an_info_plist_that_is_a_link_is_not_read(archive):
    facts = installer.inspect(archive({}, links=[("Example.app/Contents/Info.plist", "/etc/passwd")]))

    assert (facts.app_name, facts.bundle_id) == ("Example.app", None)
    assert facts.warnings


def test_a_link_called_like_an_app_is_none(archive):
    path = archive({"Example.app/Contents/Info.plist": info_plist()}, links=[("Alias.app", "Example.app")])

    assert installer.inspect(path).app_name == "Example.app"


def test_names_in_utf8_without_the_flag_for_it(archive):
    path = archive({"Caf\u00e9.app/Contents/Info.plist": info_plist()})
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        struct.pack_into("<H", data, data.index(mark) + offset, 0)
    path.write_bytes(data)

    assert installer.inspect(path).app_name == "Caf\u00e9.app"


def test_sizes_beyond_32_bits_are_in_the_extra_field(tmp_path):
    path = tmp_path / "Large.zip"
    with (
        zipfile.ZipFile(path, "w") as made,
        made.open("Example.app/Contents/Info.plist", "w", force_zip64=True) as file,
    ):
        file.write(info_plist())
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2")
    sizes = struct.unpack_from("<2I", data, at + 20)
    extra = struct.pack("<2H3Q", 1, 24, sizes[1], sizes[0], 0)
    name_size = struct.unpack_from("<H", data, at + 28)[0]
    struct.pack_into("<2I", data, at + 20, 0xFFFFFFFF, 0xFFFFFFFF)
    struct.pack_into("<I", data, at + 42, 0xFFFFFFFF)
    struct.pack_into("<H", data, at + 30, len(extra))
    end = data.index(b"PK\5\6")
    directory = bytes(data[at : at + 46 + name_size]) + extra
    tail = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(directory), at)
    tail += struct.pack("<4sIQI", b"PK\6\7", 0, at + len(directory), 1)
    struct.pack_into("<2I", data, end + 12, 0xFFFFFFFF, 0xFFFFFFFF)
    path.write_bytes(bytes(data[:at]) + directory + tail + bytes(data[end:]))
    assert zipfile.ZipFile(path).namelist() == ["Example.app/Contents/Info.plist"]

    assert installer.inspect(path).version == "1.2.3"


@pytest.mark.parametrize("order", [1, -1])
def test_of_very_many_apps_the_one_that_is_named_is_read_whatever_their_order(archive, order):
    names = [f"{number:04}" for number in range(3 * LISTED)][::order]
    path = archive({f"{name}.app/Contents/Info.plist": info_plist(f"com.example.{name}") for name in names})

    assert installer.inspect(path, app_name="2500").bundle_id == "com.example.2500"
    facts = installer.inspect(path)
    assert facts.ambiguous == tuple(f"{number:04}.app" for number in range(LISTED))
    assert facts.warnings[0].startswith("it holds more than 1,000 apps")


def test_an_error_about_very_many_apps_names_a_few(archive):
    path = archive(
        {f"{number:02}.app/Contents/Info.plist": info_plist(f"com.example.{number}") for number in range(20)}
    )
    facts = installer.inspect(path)

    with pytest.raises(AuditScriptError, match=r"00\.app, .*07\.app and 12 more\. Say which"):
        identify(RecipeFacts(), facts)


def test_of_very_many_packages_the_first_are_looked_at(archive):
    packages = {f"{number:04}.pkg": b"" for number in range(2 * LISTED)}
    facts = installer.inspect(archive({**packages, "0000.pkg": xar(component())}))

    assert facts.package_id == "com.example.pkg"
    assert any(one.startswith("it holds more than 1,000 packages") for one in facts.warnings)


@pytest.mark.parametrize("crowd", CROWDS)
def test_what_a_zip_of_120_000_costs(tmp_path, crowd):
    path = crowded_zip(tmp_path / "Crowd.zip", [CROWDS[crowd].format(number) for number in range(120_000)])
    answer = measured.inspect(path)

    assert answer.seconds < 2, "0.5 were measured"
    assert answer.peak < 48 << 20, "23 MiB were measured"


def test_a_package_in_a_zip(archive):
    inner = xar(component(payload=payload(app())), signatures=("signature",))
    facts = installer.inspect(archive({"Folder/Example.pkg": inner, "__MACOSX/Folder/._Example.pkg": b"x"}))

    assert (facts.type.value, facts.app_name, facts.package_id) == ("zip", "Example.app", "com.example.pkg")
    assert facts.signed
    assert facts.packages[0].path == "Folder/Example.pkg"
    assert facts.apps[0].install_path == "/Applications/Example.app"


def test_a_package_beside_an_app_is_not_looked_into(archive):
    path = archive({"Example.app/Contents/Info.plist": info_plist(), "More.pkg": b"whatever"})
    facts = installer.inspect(path)

    assert (facts.app_name, facts.packages) == ("Example.app", ())
    assert "More.pkg" in facts.warnings[0]


def test_a_package_beside_its_uninstaller_app_is_what_counts(archive):
    inner = xar(component(info=package_info(bundles=[bundle()])))
    facts = installer.inspect(archive({"Uninstall.app/Contents/Info.plist": info_plist("un"), "Example.pkg": inner}))

    assert (facts.app_name, facts.package_id) == ("Example.app", "com.example.pkg")


def test_a_package_is_looked_into_where_the_caller_means_none_of_the_apps(archive):
    inner = xar(component(info=package_info(bundles=[bundle()])))
    path = archive({"Helper.app/Contents/Info.plist": info_plist("com.example.helper"), "Example.pkg": inner})

    assert installer.inspect(path).app_name == "Helper.app"
    assert installer.inspect(path, bundle_id="com.example.app").app_name == "Example.app"


def test_installer_and_uninstaller_packages(archive):
    files = {
        "Uninstall Example.pkg": xar(
            component(info=package_info(version="0"), payload=payload([("./x", FILE, b"x" * 9999)], "plain"))
        ),
        "Example.pkg": xar(component(info=package_info(version="3.1"))),
    }
    facts = installer.inspect(archive(files))

    assert (facts.package_id, facts.package_version) == ("com.example.pkg", "3.1")
    assert len(facts.packages) == 2


def test_one_broken_package_among_several_is_a_warning(archive):
    facts = installer.inspect(archive({"Broken.pkg": b"", "Example.pkg": xar(component())}))

    assert facts.package_id == "com.example.pkg"
    assert any("Broken.pkg" in one and "empty" in one for one in facts.warnings)
    with pytest.raises(InstallerError, match=r"Broken\.pkg.*empty"):
        installer.inspect(archive({"Broken.pkg": b""}))


def test_nothing_in_it(archive):
    facts = installer.inspect(archive({"Read me.txt": b"x"}))

    assert (facts.app_name, facts.apps, facts.packages) == (None, (), ())
    assert "neither an app nor an installer package" in facts.warnings[0]


def _bundle_style(root, identifier="com.example.old", location="/", members=None):
    plist = info_plist(identifier, short="2.0", IFPkgFlagDefaultLocation=location)
    files = {f"{root}/Contents/Info.plist": plist, f"{root}/Contents/Archive.bom": b"BOMStore"}
    if members is not None:
        files[f"{root}/Contents/Archive.pax.gz"] = gzip.compress(odc(members))
    return files


def test_a_bundle_style_package(archive):
    facts = installer.inspect(archive(_bundle_style("Old.pkg", location="/Applications", members=app(folder="."))))

    assert (facts.package_id, facts.package_version, facts.app_name) == ("com.example.old", "2.0", "Example.app")
    assert facts.apps[0].install_path == "/Applications/Example.app"


def test_bundle_style_packages_in_a_metapackage(archive):
    members = _bundle_style("Whole.mpkg", "com.example.whole")
    members |= _bundle_style("Whole.mpkg/Contents/Packages/app.pkg", "com.example.apps", members=app())
    members |= {"Whole.mpkg/Contents/Packages/flat.pkg": xar(component(info=package_info("com.example.flat")))}
    members |= {"Whole.mpkg/Contents/distribution.dist": distribution()}
    facts = installer.inspect(archive(members))

    assert {one.id for one in facts.packages} == {"com.example.apps", "com.example.flat"}
    assert (facts.app_name, facts.package_id) == ("Example.app", "com.example.apps")


def test_a_bundle_style_package_whose_archive_is_broken(archive):
    members = _bundle_style("Old.pkg", members=[("./a", FILE, b"x")])
    members["Old.pkg/Contents/Archive.pax.gz"] = members["Old.pkg/Contents/Archive.pax.gz"][:30]
    with pytest.raises(InstallerError, match=r"Archive\.pax\.gz.*truncated"):
        installer.inspect(archive(members))


def test_no_temporary_file_is_left(archive, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    installer.inspect(archive({"Example.pkg": xar(component())}))

    assert list(folder.iterdir()) == []
