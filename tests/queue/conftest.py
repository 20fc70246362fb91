import plistlib
import zipfile

import pytest


@pytest.fixture
def make_zip():
    """A function that writes a zip with an app."""

    def make(path, version, name="Widget"):
        info = {
            "CFBundleName": name,
            "CFBundleIdentifier": f"com.example.{name}",
            "CFBundleShortVersionString": version,
            "CFBundleExecutable": name,
            "CFBundlePackageType": "APPL",
        }
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{name}.app/Contents/Info.plist", plistlib.dumps(info))
            archive.writestr(f"{name}.app/Contents/MacOS/{name}", version)
        return path

    return make
