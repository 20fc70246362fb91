"""An installer that is replaced or changed while it is being published: what was read is what is sent, or nothing is.

One file from the first look for facts to the last byte that is sent, and once more before a create or an update.
"""

from __future__ import annotations

import os
import plistlib
import shutil
import zipfile

import pytest

from kandji_uploader import api
from kandji_uploader._util.files import identity
from kandji_uploader._util.prehash import WORTHWHILE
from kandji_uploader.errors import InstallerChangedError
from kandji_uploader.flows.publish import run
from kandji_uploader.kandji import tenant as views
from kandji_uploader.publish.request import Host, Request
from kandji_uploader.publish.sources import OnDisk
from kandji_uploader.publish.targets import RecipeFacts
from kandji_uploader.rehearsal import RehearsalTenant

CREATE, LIST, TICKET = "library/custom-apps", "library/custom-apps", "library/custom-apps/upload"
REPLACED = "it was replaced or changed after it was first read, so it was not published. Run again when it is complete"
KEYS = {"custom_app.prod_name": "Widget", "network.first_wait": 0.01}


def write(path, version, *, size=200_000):
    """A .zip with an app; those of versions of the same length have the same size."""
    info = {
        "CFBundleName": "Widget",
        "CFBundleIdentifier": "com.example.Widget",
        "CFBundleShortVersionString": version,
        "CFBundleExecutable": "Widget",
        "CFBundlePackageType": "APPL",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("Widget.app/Contents/Info.plist", plistlib.dumps(info))
        archive.writestr("Widget.app/Contents/MacOS/Widget", version[-1] * size)
    return path


@pytest.fixture
def tenant(tmp_path):
    with RehearsalTenant(tmp_path / "tenant") as tenant:
        yield tenant
        views.forget_all()


@pytest.fixture
def environ(tmp_path, tenant):
    return {
        "KANDJI_API_URL": tenant.url,
        "KANDJI_TOKEN": tenant.token,
        "KANDJI_UPLOADER_DIR": str(tmp_path / "config"),
        "HOME": str(tmp_path),
    }


@pytest.fixture
def publish(environ):
    def publish(path, progress=None, keys=KEYS):
        views.forget_all()
        return api.process_pkg(path, keys=keys, host=Host(environ=environ, progress=progress))

    return publish


def replace(path, version="2.1.0", **size):
    """Another file at this path, of the same size, by a rename: as a download that ends does it."""
    other = write(path.with_name("arriving"), version, **size)
    assert other.stat().st_size == path.stat().st_size
    other.replace(path)


def overwrite(path, version="2.1.0", **size):
    """Other bytes in the same file, whose time of last writing is put back."""
    before = path.stat()
    other = write(path.with_name("arriving"), version, **size)
    shutil.copyfile(other, path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)


@pytest.mark.parametrize("change", [replace, overwrite])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", LIST), ("POST", TICKET), ("POST", "/store")], ids=["list", "presign", "stored"]
)
def test_what_differs_from_the_file_that_was_read_is_not_published(tenant, tmp_path, publish, method, path, change):
    installer = write(tmp_path / "Widget.zip", "2.0.0")
    tenant.faults.add(method, path, kind="call", do=lambda: change(installer))
    result = publish(installer)
    assert result.action == "failed"
    assert REPLACED in result.error
    assert tenant.apps() == []
    assert publish(installer).action == "succeeded"
    assert "2.1.0" in tenant.app("Widget")["audit_script"]
    assert tenant.content(tenant.app("Widget")["file_key"]) == installer.read_bytes()


@pytest.mark.parametrize("change", [replace, overwrite])
def test_what_changes_in_the_midst_of_its_upload_is_not_published(tenant, tmp_path, publish, change):
    installer = write(tmp_path / "Widget.zip", "2.0.0", size=2_000_000)
    changed = []

    def progress(sent, total):
        if sent > total // 2 and not changed:
            changed.append(change(installer, size=2_000_000))

    result = publish(installer, progress)
    assert changed
    assert REPLACED in result.error
    assert tenant.apps() == []


def test_the_second_of_two_apps_that_share_an_upload_is_not_created_of_a_file_that_has_changed(
    tenant, tmp_path, publish
):
    installer = write(tmp_path / "Widget.zip", "2.0.0")
    tenant.faults.add("POST", CREATE, kind="call", do=lambda: overwrite(installer))
    result = publish(installer, keys={**KEYS, "custom_app.test_name": "Widget (Test)"})
    assert [(app.name, app.action) for app in result.custom_apps] == [
        ("Widget (Test)", "created"),
        ("Widget", "failed"),
    ]
    assert REPLACED in result.error
    assert [app["name"] for app in tenant.apps()] == ["Widget (Test)"]
    assert "2.0.0" in tenant.app("Widget (Test)")["audit_script"]


def test_an_update_without_an_upload_is_not_sent_for_a_file_that_has_changed(tenant, tmp_path, publish):
    installer = write(tmp_path / "Widget.zip", "2.0.0")
    publish(installer)
    before = tenant.edit(tenant.app("Widget")["id"], audit_script="")["audit_script"]
    tenant.faults.add("GET", f"{CREATE}/*", kind="call", do=lambda: overwrite(installer))
    assert REPLACED in publish(installer).error
    assert tenant.app("Widget")["audit_script"] == before


def test_a_digest_that_was_begun_before_the_file_was_replaced_is_not_gone_on_with(tenant, tmp_path, publish):
    installer = write(tmp_path / "Widget.zip", "2.0.0", size=WORTHWHILE)
    tenant.faults.add("GET", LIST, kind="call", do=lambda: replace(installer, size=WORTHWHILE))
    assert REPLACED in publish(installer).error
    assert tenant.apps() == []


def test_a_digest_of_before_is_not_taken_for_that_of_bytes_that_replaced_it(tenant, tmp_path, publish):
    installer = write(tmp_path / "Widget.zip", "2.0.0")
    publish(installer)
    overwrite(installer)
    assert publish(installer).action == "succeeded"
    assert tenant.content(tenant.app("Widget")["file_key"]) == installer.read_bytes()


def test_a_file_that_is_moved_or_linked_before_the_first_look_is_published(tenant, tmp_path, publish):
    installer = write(tmp_path / "Widget.zip", "2.0.0").rename(tmp_path / "Moved.zip")
    (tmp_path / "Link.zip").hardlink_to(installer)
    installer.read_bytes()
    assert publish(installer).action == "succeeded"


def test_reading_a_file_leaves_its_identity_as_it_is_and_any_change_shows(tmp_path):
    path = write(tmp_path / "Widget.zip", "2.0.0")
    before = identity(path)
    path.read_bytes()
    os.utime(path, ns=(1, before.mtime_ns))
    touched = identity(path)
    assert touched._replace(ctime_ns=before.ctime_ns) == before
    path.read_bytes()
    assert identity(path) == touched


class Image(OnDisk):
    """Leaves an attribute on the file the first so many times that it is read, as `hdiutil` does on macOS."""

    marks = 1

    def _read(self, **options):
        facts = super()._read(**options)
        if self.marks:
            self.marks -= 1
            self.path.chmod(0o600 if self.marks % 2 else 0o640)
        return facts


def test_the_marks_that_a_reader_leaves_on_a_file_are_no_change_of_it(tenant, tmp_path, environ):
    installer = write(tmp_path / "Widget.zip", "2.0.0")
    result = run(Request(installer, keys=KEYS), Host(environ=environ), Image(installer, RecipeFacts(), print))
    assert not result.failed
    assert tenant.content(tenant.app("Widget")["file_key"]) == installer.read_bytes()


def test_a_file_that_is_changed_each_time_it_is_read_is_not_published(tenant, tmp_path, environ):
    installer = write(tmp_path / "Widget.zip", "2.0.0")
    source = Image(installer, RecipeFacts(), print)
    source.marks = 100
    with pytest.raises(InstallerChangedError):
        run(Request(installer, keys=KEYS), Host(environ=environ), source)
    assert tenant.apps() == []
