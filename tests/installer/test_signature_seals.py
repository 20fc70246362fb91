"""What a signed app seals beside its program: files, links, frameworks and helpers; and each way to change them."""

from __future__ import annotations

import hashlib
import io
import plistlib
import re
import shutil
import stat
import tracemalloc

import pytest

from kandji_uploader import installer
from kandji_uploader.installer import signature, signature_seals
from kandji_uploader.installer.choice import Wish
from kandji_uploader.installer.contents import read_contents
from kandji_uploader.installer.limits import MalformedError
from kandji_uploader.installer.mounted import MountedImage
from kandji_uploader.installer.seven_zip import SevenZipImage, find_program
from kandji_uploader.installer.zips import Zip
from tests.installer.test_signature_app import CORPUS, INFO, ROOT, in_package, zipped
from tests.support import formats
from tests.support.formats import FILE, payload
from tests.support.signing import Program, developer_id, fat

LINK = stat.S_IFLNK | 0o755
NESTED_INFO = formats.info_plist(CFBundleExecutable="F")
FRAMEWORK = "Frameworks/F.framework"
VERSION = f"{FRAMEWORK}/Versions/A"
OTHER = developer_id("app", team="ZZZZZ99999", name="Evil Ltd.")


def hashed(data):
    return {"hash": hashlib.sha1(data).digest(), "hash2": hashlib.sha256(data).digest()}


def code_hash(program):
    """The code hash of the first architecture, as `codesign` notes it."""
    at = program.index(b"\xfa\xde\x0c\x02")
    size = int.from_bytes(program[at + 4 : at + 8], "big")
    return hashlib.sha256(program[at : at + size]).digest()[:20]


def signed(info=None, seals=None, who=None, **options):
    parts = {slot: data for slot, data in ((1, info), (3, seals)) if data is not None}
    return Program(who or developer_id("app"), parts, **options).made()


INNER = plistlib.dumps({"files": {}, "files2": {"Resources/inner.txt": hashed(b"inner")}})
TOOL = signed(code=b"tool " * 900)
F = signed(NESTED_INFO, INNER, code=b"framework " * 900)
HELD = {
    "Resources/a.txt": b"a",
    "Resources/en.lproj/b.strings": b"b",
    "MacOS/tool": TOOL,
    f"{VERSION}/F": F,
    f"{VERSION}/Resources/Info.plist": NESTED_INFO,
    f"{VERSION}/Resources/inner.txt": b"inner",
    f"{VERSION}/_CodeSignature/CodeResources": INNER,
}
LINKS = {f"{FRAMEWORK}/Versions/Current": b"A", f"{FRAMEWORK}/F": b"Versions/Current/F", "Resources/link": b"a.txt"}
LISTED = {
    "Resources/a.txt": hashed(b"a"),
    "Resources/en.lproj/b.strings": {**hashed(b"b"), "optional": True},
    "Resources/link": {"symlink": "a.txt"},
    "MacOS/tool": {"cdhash": code_hash(TOOL), "requirement": "identifier tool"},
    FRAMEWORK: {"cdhash": code_hash(F), "requirement": "identifier F"},
}


def app(changes=None, links=None, *, listed=LISTED, section="files2", without="-"):
    """The members of the app, with some of them changed; None takes one away."""
    seals = plistlib.dumps({"files": {}, section: listed})
    program = Program(developer_id("app"), {1: INFO, 3: seals}).made()
    held = {**HELD, **(changes or {})}
    first = {"Info.plist": INFO, "MacOS/Run": program, "_CodeSignature/CodeResources": seals}
    members = [(f"A.app/Contents/{name}", FILE, data) for name, data in {**first, **held}.items() if data is not None]
    links = {**LINKS, **(links or {})}
    return members + [(f"A.app/Contents/{name}", LINK, to) for name, to in links.items() if without not in name]


def in_zip(members):
    data = zipped(members)
    container = Zip(io.BytesIO(data), len(data))
    return signature.of_contents(container, read_contents(container, Wish()), Wish(), ROOT)


def in_payload(members):
    return in_package([(f"./{name}", mode, data) for name, mode, data in reversed(members)], wrap=payload)


@pytest.mark.parametrize("look", [in_zip, in_payload])
def test_all_that_an_app_seals_is_verified_in_one_pass(look):
    found = look(app())

    assert str(found) == "signed by Jane Doe (ABCDE12345)"
    assert "the 4 files that CodeResources lists" in found.verified
    assert "the signatures of 2 frameworks, helpers or extensions in it" in found.verified
    assert not any("sealed" in said for said in found.not_verified)


def test_lists_of_before_10_9_are_held_against_sha_1_alone():
    found = in_zip(app(listed={"Resources/a.txt": hashlib.sha1(b"a").digest()}, section="files"))
    assert (found.status, found.why.partition(", but for ")[0]) == ("unsigned", "it is signed by Jane Doe (ABCDE12345)")
    assert "Contents/MacOS/tool" in found.why, "such a list seals no helper"

    broken = in_zip(app(listed={"Resources/a.txt": hashlib.sha1(b"b").digest()}, section="files"))
    assert broken.why == "app: 'Contents/Resources/a.txt' was changed after signing"


CHANGED = {
    "a file": (app({"Resources/a.txt": b"c"}), "'Contents/Resources/a.txt' was changed"),
    "a file taken away": (app({"Resources/a.txt": None}), "a.txt', which is sealed, is missing"),
    "an optional file": (app({"Resources/en.lproj/b.strings": b"c"}), "b.strings' was changed"),
    "a file that is a link now": (
        app({"Resources/a.txt": None}, {"Resources/a.txt": b"/etc/hosts"}),
        "a.txt' was changed",
    ),
    "a link that leads elsewhere": (app(links={"Resources/link": b"/etc/hosts"}), "link' was changed"),
    "a byte of a helper": (app({"MacOS/tool": TOOL.replace(b"tool tool", b"tool t00l", 1)}), "tool', code sig.*page 0"),
    "a helper taken away": (app({"MacOS/tool": None}), "tool', which is sealed, is missing"),
    "a helper of somebody else": (
        app({"MacOS/tool": signed(who=OTHER, team="ZZZZZ99999")}),
        "another code than the one that was sealed",
    ),
    "an unsigned helper": (app({"MacOS/tool": b"\xcf\xfa\xed\xfe" + bytes(60)}), "another code than the one"),
    "an ad hoc helper": (app({"MacOS/tool": Program(None, {}, flags=2).made()}), "another code than the one"),
    "one architecture of a helper": (
        app({"MacOS/tool": fat(TOOL, signed(who=OTHER, team="ZZZZZ99999"))}),
        "another code than the one",
    ),
    "a byte of a framework": (app({f"{VERSION}/F": F.replace(b"work fr", b"w0rk fr", 1)}), "framework', code.*changed"),
    "a framework's Info.plist": (
        app({f"{VERSION}/Resources/Info.plist": INFO}),
        "Info.plist was changed|or its program is",
    ),
    "a framework's own file": (app({f"{VERSION}/Resources/inner.txt": b"x"}), "inner.txt' was changed"),
    "a framework's list of seals": (app({f"{VERSION}/_CodeSignature/CodeResources": b"<plist/>"}), "CodeResources was"),
    "a framework taken away": (
        app({name: None for name in HELD if name.startswith(VERSION)}, without=FRAMEWORK),
        "F.framework', which is sealed, is missing",
    ),
}


@pytest.mark.parametrize(("members", "why"), list(CHANGED.values()), ids=list(CHANGED))
def test_what_was_changed_after_signing_is_found(members, why):
    found = in_zip(members)

    assert found.status == "broken", found
    assert re.search(why, found.why), found.why


def test_the_program_of_a_bundle_may_be_a_link_within_it():
    """As in a Java runtime, whose MacOS/libjli.dylib leads to Home/lib."""
    jdk, code = "PlugIns/jdk.bundle/Contents", signed(formats.info_plist(CFBundleExecutable="libjli.dylib"))
    held = {f"{jdk}/Info.plist": formats.info_plist(CFBundleExecutable="libjli.dylib"), f"{jdk}/Home/lib/jli": code}
    listed = {**LISTED, "PlugIns/jdk.bundle": {"cdhash": code_hash(code), "requirement": "identifier jli"}}
    to = {f"{jdk}/MacOS/libjli.dylib": b"../Home/lib/jli"}
    assert in_zip(app(held, to, listed=listed)).status == "signed"

    held[f"{jdk}/Home/lib/jli"] = code.replace(b"code code", b"c0de code", 1)
    assert in_zip(app(held, to, listed=listed)).status == "broken"
    assert in_zip(app(held, {f"{jdk}/MacOS/libjli.dylib": b"/bin/sh"}, listed=listed)).status == "broken"


def test_a_helper_that_is_sealed_by_its_requirement_alone_is_of_the_apps_signer():
    listed = {**LISTED, "MacOS/tool": {"requirement": "identifier tool"}}
    assert in_zip(app(listed=listed)).status == "signed"
    assert in_zip(app({"MacOS/tool": signed(who=OTHER, team="ZZZZZ99999")}, listed=listed)).status == "broken"


def test_a_bundle_whose_info_names_no_program_has_one_of_its_own_name():
    bundle = formats.info_plist()
    code = signed(bundle)
    held = {"XPCServices/com.example.x.xpc/Contents/Info.plist": bundle}
    held["XPCServices/com.example.x.xpc/Contents/MacOS/com.example.x"] = code
    listed = {**LISTED, "XPCServices/com.example.x.xpc": {"cdhash": code_hash(code), "requirement": "identifier x"}}
    assert "the signatures of 3 frameworks, helpers or extensions in it" in in_zip(app(held, listed=listed)).verified


def test_an_optional_file_may_be_missing():
    assert in_zip(app({"Resources/en.lproj/b.strings": None})).status == "signed"


def test_another_architecture_of_a_helper_is_of_the_same_signer():
    assert in_zip(app({"MacOS/tool": fat(TOOL, signed(code=b"arm " * 500))})).status == "signed"


def test_a_helper_that_the_same_team_has_signed_anew_is_accepted():
    assert in_zip(app({"MacOS/tool": signed(code=b"anew " * 500)})).status == "signed"


EVIL = signed(INFO, who=OTHER, team="ZZZZZ99999")
TWICE = [
    "A.app/Contents//MacOS/Run",
    "A.app//Contents/MacOS/Run",
    "A.app/Contents/./MacOS/Run",
    "././A.app/Contents/MacOS/Run",
]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("look", [in_zip, in_payload])
@pytest.mark.parametrize("name", [*TWICE, "A.app/Contents/MacOS/Run\0x", "A.app/Contents/MacOS/Run/."])
def test_another_spelling_of_a_path_does_not_hide_a_second_program(look, name):
    assert "it has two files called 'Contents/MacOS/Run'" in look([*app(), (name, FILE, EVIL)]).why


@pytest.mark.parametrize(("link", "to"), [("A.app/Contents/Alias", b"MacOS"), ("A.app", b"/tmp/a"), ("B", b"A.app")])
def test_a_file_below_a_link_is_refused(link, to):
    name = {"A.app/Contents/Alias": f"{link}/Run", "A.app": "A.app/Contents/Run"}.get(link, "B/Contents/MacOS/Run")
    more = [(link, LINK, to), (name, FILE, EVIL)]

    for members in ([*app(), *more], [*more, *app()]):
        with pytest.raises(MalformedError, match="lies below a link"):
            in_zip(members)
        if link != "B":  # Beside its app an unsigned package is nobody's, which is said.
            assert "lies below a link or file" in in_payload(members).why


def test_other_apps_in_an_archive_are_named_as_not_looked_at():
    found = in_zip([*app(), ("more/Evil.app/Contents/MacOS/Run", FILE, EVIL)])
    assert "the other apps in it: more/Evil.app" in found.not_verified


ADDED = {
    "what Electron loads in place of its own": ("Resources/app/package.json", b"{}"),
    "an Info.plist that macOS prefers": ("Info-macos.plist", INFO),
    "a program": ("MacOS/evil", signed(who=OTHER, team="ZZZZZ99999")),
    "another version of a framework": (f"{FRAMEWORK}/Versions/B/F", F),
    "in a folder called like that of the seals": ("Resources/_CodeSignature/plugin.py", b"evil()"),
    "a helper that is a script now": ("MacOS/tool", b"#!/bin/sh\nevil\n"),
}


@pytest.mark.parametrize("look", [in_zip, in_payload])
@pytest.mark.parametrize(("name", "data"), list(ADDED.values()), ids=list(ADDED))
def test_an_app_is_not_its_signers_where_anybody_can_have_put_something_into_it(look, name, data):
    found = look(app({name: data}))

    assert (found.status, found.team_id) in {("unsigned", None), ("broken", None)}, found
    assert name in found.why


def test_files_that_nobody_sealed_are_named_but_for_the_finders():
    more = {f"Resources/more-{number}.dylib": b"x" for number in range(5)}
    finders = {".DS_Store": b"x", "Resources/._a.txt": b"x", "PkgInfo": b"APPL????", "_CodeSignature/more": b"x"}
    assert in_zip(app(finders)).status == "signed"

    found = in_zip(app({**more, **finders}))
    assert str(found).startswith(
        "unsigned: it is signed by Jane Doe (ABCDE12345), but for Contents/Resources/more-0.dylib, "
    )
    assert found.why.endswith(" and 2 more")


@pytest.mark.parametrize(
    ("to", "status"),
    [
        (b"a.txt", "signed"),
        (b"../MacOS/tool", "signed"),
        (b"../../../../etc/hosts", "unsigned"),
        (b"/etc/hosts", "unsigned"),
        (b"link/../../Evil.app", "unsigned"),
        (b"en.lproj/../..", "unsigned"),
    ],
)
def test_a_link_that_nobody_sealed_leads_to_something_in_the_app(to, status):
    assert in_zip(app(links={"Resources/out": to})).status == status


def test_an_app_without_a_list_of_its_files_is_not_its_signers():
    program = Program(developer_id("app"), {1: INFO}).made()
    members = [("A.app/Contents/Info.plist", FILE, INFO), ("A.app/Contents/MacOS/Run", FILE, program)]
    assert in_zip(members).why.endswith("but for Contents (it has no list of its files)")


def test_a_script_as_a_helper_cannot_be_held_against_its_seal():
    listed = {**LISTED, "MacOS/script": {"cdhash": b"1" * 20}}
    found = in_zip(app({"MacOS/script": b"#!/bin/sh\n"}, listed=listed))
    assert found.why.endswith("but for Contents/MacOS/script (its signature is beside it, or too deep)")


def test_a_bundle_without_a_program_is_known_by_its_code_directory():
    bundle = {"PlugIns/B.bundle/Contents/_CodeSignature/CodeDirectory": b"directory"}
    for data, status in ((b"directory", "unsigned"), (b"another", "broken")):
        listed = {**LISTED, "PlugIns/B.bundle": {"cdhash": hashlib.sha256(data).digest()[:20]}}
        held = {**bundle, "PlugIns/B.bundle/Contents/Info.plist": NESTED_INFO}
        assert in_zip(app(held, listed=listed)).status == status


def test_a_helper_without_a_signer_is_known_by_the_hashes_of_its_requirement():
    one, two = (Program(None, {}, flags=2, stamp=None, code=code).made() for code in (b"x86 " * 500, b"arm " * 500))
    requirement = f'cdhash H"{code_hash(one).hex()}" or cdhash H"{code_hash(two).hex()}"'
    for second, status in ((two, "signed"), (TOOL, "signed")):
        listed = {**LISTED, "MacOS/tool": {"cdhash": code_hash(one), "requirement": requirement}}
        assert in_zip(app({"MacOS/tool": fat(one, second)}, listed=listed)).status == status
    three = Program(None, {}, flags=2, stamp=None, code=b"evil " * 500).made()
    assert in_zip(app({"MacOS/tool": fat(one, three)}, listed=listed)).status == "broken"


def test_frameworks_in_each_other_are_followed_only_so_deep(monkeypatch):
    monkeypatch.setattr(signature_seals, "SEALS_DEPTH", 0)
    found = in_zip(app())
    assert f"Contents/{FRAMEWORK} (its signature is beside it, or too deep)" in found.why


def test_more_files_than_are_counted_are_said(monkeypatch):
    monkeypatch.setattr("kandji_uploader.installer.signature_files.SEALED_FILES", 8)
    assert "files beyond the first 100,000" in in_zip(app()).why, "more than it has sealed"

    monkeypatch.setattr(signature_seals, "SEALED_FILES", 8)
    found = in_zip(app())
    assert found.status == "signed"
    assert "files beyond the first 8" in found.not_verified


HOSTILE = {
    "no XML": b"bplist00nonsense",
    "entities": b'<!DOCTYPE plist [<!ENTITY a "aa">]><plist><dict/></plist>',
    "nested beyond measure": b"<plist>" + b"<dict>" * 500,
    "a hash that is none": plistlib.dumps({"files2": {}}).replace(
        b"<dict/>", b"<dict><key>Resources/a.txt</key><dict><key>hash2</key><data>&#233;</data></dict></dict>"
    ),
    "a path that leads out": plistlib.dumps({"files2": {"../../../etc/hosts": {**hashed(b"a"), "optional": True}}}),
}


@pytest.mark.parametrize("seals", list(HOSTILE.values()), ids=list(HOSTILE))
def test_a_hostile_list_of_seals_costs_nothing_but_its_own_word(seals):
    program = Program(developer_id("app"), {1: INFO, 3: seals}).made()
    members = [("A.app/Contents/Info.plist", FILE, INFO), ("A.app/Contents/MacOS/Run", FILE, program)]
    members += [("A.app/Contents/_CodeSignature/CodeResources", FILE, seals)]
    found = in_zip([*members, ("A.app/Contents/Resources/a.txt", FILE, b"a")])

    assert (found.status, found.team_id) in {("unsigned", None), ("broken", None)}


def mounted(path):
    """The files and links of an app, written to a folder that stands for a mounted volume."""
    for name, mode, data in app():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(data.decode()) if mode == LINK else place.write_bytes(data)
    return MountedImage([path])


def test_an_app_on_a_mounted_volume_is_read_with_its_links(tmp_path):
    container = mounted(tmp_path)
    found = signature.of_contents(container, read_contents(container, Wish()), Wish(), ROOT)

    assert "the 4 files that CodeResources lists" in found.verified
    assert "the signatures of 2 frameworks, helpers or extensions in it" in found.verified


@pytest.mark.skipif(not shutil.which("7zz"), reason="needs 7-Zip")
def test_7_zip_gives_all_files_of_an_app_in_one_go():
    image = CORPUS / "relic-dummy.dmg"
    container = SevenZipImage(find_program(image), image)
    found = {item.path: b"".join(content) for item, content in container.inside("Dummy.App")}

    assert len(found) > 3
    assert found == {item.path: container.read(item, 1 << 24) for item in container.items() if item.path in found}


def test_memory_does_not_grow_with_the_files_of_an_app(tmp_path):
    held = {f"Resources/{number}.bin": bytes([number]) * (4 << 20) for number in range(5)}
    path = tmp_path / "A.zip"
    path.write_bytes(zipped(app(held, listed={**LISTED, **{name: hashed(data) for name, data in held.items()}})))
    del held
    tracemalloc.start()
    try:
        found = installer.inspect(path, digest=False, signature=True).signature
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert found.status == "signed"
    assert peak < 8 << 20
