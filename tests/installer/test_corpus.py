"""Real installers out of public projects, against what independent tools found in them; NOTICE has their origin."""

from __future__ import annotations

import json
import os
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


SIGNERS = {
    "brew-caffeine-suite.zip": "not looked at: several apps have an equal claim",
    "brew-caffeine.zip": "unsigned app",
    "brew-container.dmg": "not looked at: it holds no app",
    "brew-transmission-2.61.zip": "unsigned app",
    "dmgwiz-adc-apfs.dmg": "not looked at: it holds no app",
    "dmgwiz-lzfse-apfs.dmg": "not looked at: it holds no app",
    "fastlane-MacAppOnly.pkg": "unsigned package",
    "karabiner-vhid-1.6.0.pkg": "signed by Fumihiko Takayama (G43BCU2T37) package developer_id_installer notarized",
    "libarchive-zip_mac_metadata.zip": "not looked at: it holds no app",
    "plaso-hfsplus_zlib.dmg": "not looked at: it holds no app",
    "relic-dummy.dmg": "ad hoc app",
    "rtrouton-beamoff-app.zip": "ad hoc app",
    "rtrouton-disable-gatekeeper.pkg": "signed by Rich Trouton (XF95CST45F) package developer_id_installer",
    "rtrouton-fix-yosemite-pkg.zip": "ad hoc app",
    "rtrouton-fix-yosemite.pkg": "ad hoc app",
    "rtrouton-keychain-minder-bundle-pkg.zip": "unsigned package",
    "scriptworker-example.pkg": "unsigned app",
    "sparkle-DevSignedApp.zip": "signed by Mayur Pawashe (ZCK58M894E) app developer_id_application",
    "sparkle-pkg-in-apfs-lzma.dmg": "unsigned app",
    "sparkle-test.pkg": "unsigned app",
    "utah-privacy-services-pkg-in-dmg.dmg": (
        "signed by University of Utah - Marriott Library (HJ453M68GG) package developer_id_installer"
    ),
}
"""Of each file that can be read: who signed it; the package or the app; on whose authority."""


@pytest.mark.parametrize(("name", "expected"), list(_cases(refused=False)))
def test_signers(name, expected):
    facts = installer.inspect(FOLDER / name, signature=True, digest=False)

    assert _told(facts.signature) == SIGNERS[name]
    assert facts.signature.status == "signed" or not expected.get("signed")


def _told(found):
    told = [str(found), found.of, found.authority, "notarized" if found.notarized else None]
    return " ".join(word for word in told if word)


def test_each_file_that_can_be_read_is_listed_with_its_signer():
    assert {name for name, held in EXPECTED.items() if "refused" not in held} == set(SIGNERS)


EXPIRED = "certificates: the certificate '{}' expired on {}, and there is no secure timestamp"
MORE_SIGNERS = {
    "apple-platform-rs-fat32.dmg": "unsigned app",
    "karabiner-vhid-7.3.0.pkg": "signed by Fumihiko Takayama (G43BCU2T37) package developer_id_installer notarized",
    "macscripts-ClearReg.pkg": "unsigned package",
    "macscripts-supported_major_os_upgrades.pkg": "unsigned package",
    "rtrouton-PayloadFreePackageCreator-pkg.zip": (
        "signed by Rich Trouton (XF95CST45F) package developer_id_installer notarized"
    ),
    "rtrouton-payload-free-package-creator.pkg": (
        "signed by Rich Trouton (XF95CST45F) package developer_id_installer notarized"
    ),
    "sparkle-app-apfs-lzma-auxfiles.dmg": "unsigned app",
    "sparkle-app-hfs-bzip2.dmg": "unsigned app",
    "sparkle-bad-header.zip": "unsigned app",
    "squirrel-TestApplication.app.zip": (
        f"broken: {EXPIRED.format('Mac Developer: joshaber@gmail.com (22W7L6FG6X)', '2018-07-18')} app"
    ),
    "wch-CH34x_Install_V1.4.pkg": (
        "broken: "
        + EXPIRED.format("Developer ID Application: Jiangsu Qinheng Co., Ltd. (X9BL5JJAZJ)", "2020-10-30")
        + " package"
    ),
}
"""The same, of installers that may not be shipped with the project or are too large for it."""
MORE_FOLDER = os.environ.get("KANDJI_MORE_INSTALLERS")

if MORE_FOLDER:

    @pytest.mark.parametrize("name", MORE_SIGNERS)
    def test_signers_of_installers_that_are_not_shipped(name):
        facts = installer.inspect(Path(MORE_FOLDER, name), signature=True, digest=False)
        assert _told(facts.signature) == MORE_SIGNERS[name]


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
