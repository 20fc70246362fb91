"""Flat packages: what is read of them, in which order, and which app and which component is meant."""

from __future__ import annotations

import os
import struct

import pytest

from kandji_uploader import installer
from kandji_uploader.errors import InstallerError
from kandji_uploader.models import InstallType
from tests.support.formats import (
    COMPRESSIONS,
    FILE,
    LINK,
    Stored,
    app,
    bom,
    bundle,
    component,
    distribution,
    info_plist,
    newc,
    odc,
    package_info,
    payload,
    pbzx,
)

BROKEN = b"\x1f\x8b, and then nothing that could be decoded"


def test_metadata_is_enough_and_the_payload_is_not_opened(package):
    path = package(component(info=package_info(bundles=[bundle()]), payload=BROKEN))

    facts = installer.inspect(path)

    assert facts.type is InstallType.PACKAGE
    assert (facts.app_name, facts.bundle_id) == ("Example.app", "com.example.app")
    assert (facts.version, facts.version_key) == ("1.2.3", "CFBundleShortVersionString")
    assert (facts.package_id, facts.package_version) == ("com.example.pkg", "1.2.3")
    assert facts.apps[0].install_path == "/Applications/Example.app"
    assert facts.size == path.stat().st_size
    assert facts.sha256 == installer.sha256(path)
    assert not facts.warnings


@pytest.mark.parametrize("spelling", [odc, newc, lambda members: newc(members, magic=b"070702")])
@pytest.mark.parametrize("compression", list(COMPRESSIONS))
def test_payloads_of_every_kind_are_read(package, compression, spelling):
    members = app(plist=info_plist(short="9.8"), before=[("a", b"x" * 70_001)], after=[("b", os.urandom(70_003))])
    path = package(component(payload=payload(members, compression, spelling)))

    facts = installer.inspect(path)

    assert (facts.app_name, facts.bundle_id, facts.version) == ("Example.app", "com.example.app", "9.8")
    assert facts.minimum_os_version == "12.0"


@pytest.mark.parametrize("encoding", ["gzip", "bzip2", "lzma", "xz"])
def test_files_of_the_archive_may_be_stored_in_any_known_encoding(package, encoding):
    files = [
        Stored("PackageInfo", package_info(), f"application/x-{encoding}"),
        Stored("Payload", payload(app()), f"application/x-{encoding}"),
    ]
    assert installer.inspect(package(files)).version == "1.2.3"


@pytest.mark.parametrize(
    "options",
    [
        {"names": 2},
        {"names": 3},
        {"encoded_names": True},
        {"name_last": True},
        {"reverse": True},
        {"header_size": 48},
        {"checksum": "sha256"},
        {"checksum": "sha512"},
        {"checksum": "none"},
    ],
    ids=str,
)
def test_spellings_of_the_table_of_contents(package, options):
    files = [
        Stored("Distribution", distribution([("com.example.pkg", "1.2.3", "#inner.pkg")])),
        *component("inner.pkg", package_info(bundles=[bundle()]), BROKEN),
    ]

    facts = installer.inspect(package(files, **options))

    assert (facts.package_id, facts.app_name, facts.version) == ("com.example.pkg", "Example.app", "1.2.3")
    assert facts.packages[0].path == "inner.pkg"


def test_extended_attributes_in_the_table_of_contents_are_not_taken_for_the_file(package):
    extra = '<ea id="0"><name>com.apple.x</name><offset>999999999</offset><length>7</length><size>7</size></ea>'
    assert (
        installer.inspect(package([Stored("PackageInfo", package_info(), extra=extra)])).package_id == "com.example.pkg"
    )


@pytest.mark.parametrize(
    ("signatures", "signed"), [((), False), (("signature",), True), (("signature", "x-signature"), True)]
)
def test_signed_means_that_there_is_a_signature(package, signatures, signed):
    assert installer.inspect(package(component(), signatures=signatures)).signed is signed


def test_a_package_without_a_payload_has_its_receipt(package):
    facts = installer.inspect(package(component(info=package_info(version="0", location=None))))

    assert (facts.package_id, facts.package_version, facts.app_name) == ("com.example.pkg", "0", None)


def test_a_missing_short_version_is_looked_for_in_the_payload(package):
    info = package_info(bundles=[bundle(short=None)])
    path = package(component(info=info, payload=payload(app(plist=info_plist(short="7.0")))))

    assert installer.inspect(path).version == "7.0"


def test_the_build_number_is_the_version_only_where_there_is_no_other(package):
    info = package_info(bundles=[bundle(short=None)])
    facts = installer.inspect(package(component(info=info, payload=payload(app(plist=info_plist(short=None))))))

    assert (facts.version, facts.version_key) == ("45", "CFBundleVersion")
    assert "no CFBundleShortVersionString" in facts.warnings[0]


def test_reading_ends_at_the_info_plist_that_was_looked_for(package):
    whole = odc(app(after=[("big", b"\0" * 100_000)]))
    cut = COMPRESSIONS["plain"](whole)[:-80_000]
    info = package_info(bundles=[bundle(short=None)])

    assert installer.inspect(package(component(info=info, payload=cut))).version == "1.2.3"


def test_an_app_that_bears_the_packages_id_ends_the_search(package):
    cut = odc(app(plist=info_plist("com.example.tool"), after=[("big", b"\0" * 100_000)]))[:-80_000]

    assert (
        installer.inspect(package(component(info=package_info("com.example.tool.pkg"), payload=cut))).version == "1.2.3"
    )
    with pytest.raises(InstallerError, match="truncated"):
        installer.inspect(package(component(info=package_info("com.example.other"), payload=cut)))


def test_the_bill_of_materials_tells_where_to_stop(package):
    cut = odc(app(after=[("big", b"\0" * 100_000)]))[:-80_000]
    listing = bom(["./Applications/Example.app/Contents/Info.plist", "./usr/local/bin/tool"])

    assert installer.inspect(package(component(payload=cut, listing=listing))).version == "1.2.3"


def test_an_app_that_only_the_bill_of_materials_lists_can_have_an_equal_claim(package):
    members = [
        *app("One.app", plist=info_plist("com.example.one")),
        *app("Two.app", plist=info_plist("com.example.two")),
    ]
    info = package_info(bundles=[bundle("Applications/One.app", "com.example.one")])
    listing = bom([name for name, _, _ in members])

    facts = installer.inspect(package(component(info=info, payload=payload(members), listing=listing)))

    assert facts.ambiguous == ("/Applications/One.app", "/Applications/Two.app")
    assert [one.bundle_id for one in facts.apps] == ["com.example.one", "com.example.two"]


def test_the_bill_of_materials_tells_that_there_is_no_app(package):
    listing = bom([f"./usr/local/share/tool/{number}" for number in range(500)])

    facts = installer.inspect(package(component(payload=BROKEN, listing=listing)))

    assert (facts.package_id, facts.apps) == ("com.example.pkg", ())


@pytest.mark.parametrize("damage", [b"", b"BOMStore", b"not a bill"])
def test_a_broken_bill_of_materials_only_costs_time(package, damage):
    assert installer.inspect(package(component(payload=payload(app()), listing=damage))).version == "1.2.3"


def test_an_app_that_is_the_install_location_itself(package):
    members = [
        (".", 0o040755, b""),
        ("./Contents", 0o040755, b""),
        ("./Contents/Info.plist", FILE, info_plist(short="5.5")),
    ]
    for info in (
        package_info(location="/Applications/Whole.app"),
        package_info(location="/Applications/Whole.app/", bundles=[bundle(".", short=None)]),
    ):
        facts = installer.inspect(package(component(info=info, payload=payload(members))))
        assert (facts.app_name, facts.version) == ("Whole.app", "5.5")
        assert facts.apps[0].install_path == "/Applications/Whole.app"


def test_the_app_in_applications_is_meant(package):
    members = [*app("Helper.app", "./Library/Vendor", info_plist("com.example.helper")), *app()]
    facts = installer.inspect(package(component(payload=payload(members))))

    assert facts.app_name == "Example.app"
    assert {one.name for one in facts.apps} == {"Example.app", "Helper.app"}


def test_apps_inside_other_bundles_are_never_meant(package):
    inside = [
        *app("Inner.app", "./Applications/Example.app/Contents/Helpers", info_plist("com.example.inner")),
        *app("Part.app", "./Library/Frameworks/Some.framework/Versions/A", info_plist("com.example.part")),
        *app("Ext.app", "./Library/Input Methods/Some.bundle", info_plist("com.example.ext")),
        ("./Applications/._Example.app", FILE, b"resource fork"),
    ]
    facts = installer.inspect(package(component(payload=payload([*inside, *app()]))))

    assert [one.path for one in facts.apps] == ["Applications/Example.app"]


def test_two_apps_with_an_equal_claim_are_not_guessed_between(package):
    members = [
        *app("One.app", plist=info_plist("com.example.one")),
        *app("Two.app", plist=info_plist("com.example.two")),
    ]
    facts = installer.inspect(package(component(payload=payload(members))))

    assert facts.ambiguous == ("/Applications/One.app", "/Applications/Two.app")
    assert (facts.app_name, facts.bundle_id, facts.version) == (None, None, None)


@pytest.mark.parametrize("wish", [{"app_name": "Two.app"}, {"app_name": "two"}, {"bundle_id": "com.example.two"}])
@pytest.mark.parametrize("listed", [True, False])
def test_the_caller_decides_between_two(package, wish, listed):
    members = [
        *app("One.app", plist=info_plist("com.example.one")),
        *app("Two.app", plist=info_plist("com.example.two")),
    ]
    bundles = [bundle("Applications/One.app", "com.example.one"), bundle("Applications/Two.app", "com.example.two")]
    info = package_info(bundles=bundles if listed else ())
    facts = installer.inspect(package(component(info=info, payload=payload(members))), **wish)

    assert (facts.app_name, facts.bundle_id, facts.ambiguous) == ("Two.app", "com.example.two", ())


def test_an_app_the_metadata_leaves_out_is_found_when_the_caller_names_it(package):
    members = [
        *app("One.app", plist=info_plist("com.example.one")),
        *app("Two.app", plist=info_plist("com.example.two")),
    ]
    info = package_info(bundles=[bundle("Applications/One.app", "com.example.one")])
    path = package(component(info=info, payload=payload(members)))

    assert installer.inspect(path).app_name == "One.app"
    assert installer.inspect(path, bundle_id="com.example.two").app_name == "Two.app"


def test_a_wish_that_fits_nothing_is_passed_over(package):
    path = package(component(info=package_info(bundles=[bundle()]), payload=payload(app())))

    assert installer.inspect(path, bundle_id="com.example.pkg", app_name="Nope.app").app_name == "Example.app"


def test_an_uninstaller_is_not_meant(package):
    members = [*app("Uninstall Example.app", plist=info_plist("com.example.un")), *app()]

    assert installer.inspect(package(component(payload=payload(members)))).app_name == "Example.app"


def _product(package, components, product=("com.example.product", "2.0"), **options):
    refs = [(one, version, f"#{one}.pkg") for one, version, _ in components]
    files = [Stored("Distribution", distribution(refs, product))]
    for one, version, data in components:
        files += component(f"{one}.pkg", package_info(one, version), data, bom(["./usr/local/bin/x"]))
    return package(files, **options)


def test_without_an_app_the_component_with_the_products_version_stands_for_all(package):
    facts = installer.inspect(
        _product(package, [("a", "1.0", b"x" * 900), ("b", "2.0", b"x" * 50), ("c", "2.0", b"x" * 90)])
    )

    assert (facts.package_id, facts.package_version) == ("c", "2.0")
    assert [one.id for one in facts.packages] == ["a", "b", "c"]


def test_without_an_app_and_without_a_fitting_version_it_is_the_largest(package):
    facts = installer.inspect(_product(package, [("a", "1.0", b"x" * 90), ("b", "3.0", b"x" * 900)]))

    assert (facts.package_id, facts.package_version) == ("b", "3.0")


def test_the_component_that_brings_the_app_stands_for_the_installer(package):
    files = [
        Stored("Distribution", distribution(product=("com.example.product", "9"))),
        *component("big.pkg", package_info("com.example.big", "9"), payload([("./usr/x", FILE, b"x" * 9000)], "plain")),
        *component("app.pkg", package_info("com.example.appPkg", "1.5", "/Applications"), payload(app(folder="."))),
    ]
    facts = installer.inspect(package(files))

    assert (facts.app_name, facts.package_id, facts.package_version) == ("Example.app", "com.example.appPkg", "1.5")
    assert facts.apps[0].install_path == "/Applications/Example.app"


def test_the_distribution_fills_in_what_package_info_leaves_out(package):
    listed = (
        '<pkg-ref id="com.example.pkg"><bundle-version><bundle path="Applications/Example.app" id="com.example.app" '
    )
    listed += 'CFBundleShortVersionString="6.6" CFBundleVersion="1"/></bundle-version></pkg-ref>'
    minimum = '<volume-check><allowed-os-versions><os-version min="13.0"/></allowed-os-versions></volume-check>'
    files = [
        Stored("Distribution", distribution(more=listed + minimum)),
        *component("inner.pkg", package_info(bundles=[bundle(short=None)]), BROKEN),
    ]
    facts = installer.inspect(package(files))

    assert (facts.version, facts.minimum_os_version) == ("6.6", "13.0")


def test_the_same_app_from_two_components_is_one(package):
    files = [Stored("Distribution", distribution())]
    for one in ("arm", "intel"):
        files += component(f"{one}.pkg", package_info(f"com.example.{one}", bundles=[bundle()]), BROKEN)

    facts = installer.inspect(package(files))

    assert (facts.app_name, facts.ambiguous) == ("Example.app", ())


def test_a_distribution_without_components_says_so(package):
    more = '<pkg-ref id="com.example.far" version="1.0.0">http://example.com/far.pkg</pkg-ref>'
    facts = installer.inspect(package([Stored("Distribution", distribution(more=more))]))

    assert (facts.package_id, facts.package_version, facts.packages) == ("com.example.far", "1.0.0", ())
    assert "installs nothing" in facts.warnings[0]


def test_references_to_bundles_are_not_bundles(package):
    more = "<upgrade-bundle><bundle id='old'/></upgrade-bundle><bundle-version><bundle id='x'/></bundle-version>"
    facts = installer.inspect(package(component(info=package_info(more=more))))

    assert facts.apps == ()


def test_an_info_plist_that_is_a_link_is_not_followed(package):
    members = [
        ("./Applications/L.app", 0o040755, b""),
        ("./Applications/L.app/Contents/Info.plist", LINK, b"/etc/passwd"),
    ]
    facts = installer.inspect(package(component(payload=payload(members))))

    assert (facts.app_name, facts.bundle_id) == ("L.app", None)
    assert "no Info.plist that can be read" in facts.warnings[0]


@pytest.mark.parametrize("listed", [True, False])
def test_links_and_files_called_like_an_app_are_none(package, listed):
    members = [("./Applications/Alias.app", LINK, b"Example.app"), ("./Applications/File.app", FILE, b"x"), *app()]
    listing = bom([name for name, _, _ in members]) if listed else None
    info = package_info(bundles=[bundle(short=None, identifier=None)])
    facts = installer.inspect(package(component(info=info, payload=payload(members), listing=listing)))

    assert (facts.app_name, facts.ambiguous) == ("Example.app", ())


def test_a_member_may_be_called_like_the_trailer(package):
    members = [("TRAILER!!!", FILE, b"data"), ("TRAILER!!!", LINK, b"elsewhere"), *app()]

    assert installer.inspect(package(component(payload=payload(members)))).version == "1.2.3"


def test_chunks_of_skipped_files_are_not_decoded(package):
    members = app(before=[("big", bytes(range(256)) * 2000)])
    data = bytearray(pbzx(odc(members), block=1 << 16))
    at = 12
    for number in range(6):
        _, stored = struct.unpack_from(">QQ", data, at)
        if number in (2, 3, 4):
            data[at + 16 : at + 16 + stored] = bytes(stored)
        at += 16 + stored

    assert installer.inspect(package(component(payload=bytes(data)))).version == "1.2.3"


def test_an_accented_name_is_the_same_in_the_metadata_and_in_the_payload(package):
    info = package_info(bundles=[bundle("./Applications/Cafe\u0301.app", short=None)])
    path = package(component(info=info, payload=payload(app("Caf\u00e9.app", plist=info_plist(short="3.1")))))
    facts = installer.inspect(path, app_name="Caf\u00e9.app")

    assert (facts.app_name, facts.version, len(facts.apps)) == ("Caf\u00e9.app", "3.1", 1)


@pytest.mark.parametrize("binary", [False, True])
def test_info_plists_may_be_binary_or_xml(package, binary):
    assert (
        installer.inspect(package(component(payload=payload(app(plist=info_plist(binary=binary)))))).version == "1.2.3"
    )


def test_several_compressed_streams_in_a_row_are_one_payload(package):
    data = odc(app())
    parts = b"".join(COMPRESSIONS["gzip"](data[at : at + 200]) for at in range(0, len(data), 200))

    assert installer.inspect(package(component(payload=parts + bytes(700)))).version == "1.2.3"
