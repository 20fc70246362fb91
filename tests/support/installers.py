"""Small real installers for tests and for the demo: a flat component package with one app, as `pkgbuild` makes them."""

import gzip
import hashlib
import plistlib
import struct
import zlib
from pathlib import Path
from xml.sax.saxutils import quoteattr


def app_pkg(
    path,
    *,
    name="Widget",
    bundle_id="com.example.Widget",
    version="1.0",
    package_id=None,
    content=b"true\n",
    night=0,
    mode=0o100755,
    owner=0,
    script=b"",
):
    """Write a package that installs `/Applications/NAME.app`; returns its path. The same words give the same bytes.

    Each `night` it is built anew: with other dates, inodes, sizes and another order, and other bytes because of that.
    """
    plist = plistlib.dumps(
        {
            "CFBundleExecutable": name,
            "CFBundleIdentifier": bundle_id,
            "CFBundleName": name,
            "CFBundlePackageType": "APPL",
            "CFBundleShortVersionString": version,
            "CFBundleVersion": version,
            "LSMinimumSystemVersion": "12.0",
        }
    )
    app = f"./{name}.app"
    members = [
        (".", 0o040755, b""),
        (app, 0o040755, b""),
        (f"{app}/Contents", 0o040755, b""),
        (f"{app}/Contents/MacOS", 0o040755, b""),
        (f"{app}/Contents/MacOS/{name}", mode, content),
        (f"{app}/Contents/Info.plist", 0o100644, plist),
    ]
    payload = cpio_odc(members[-night % 6 :] + members[: -night % 6], night, owner)
    info = _package_info(package_id or f"{bundle_id}.pkg", app, bundle_id, version, len(payload) // 1024 + 1 + night)
    files = [("PackageInfo", info.encode()), ("Payload", gzip.compress(payload, mtime=night * 86_400))]
    if script:
        run = cpio_odc([(".", 0o040755, b""), ("./postinstall", 0o100755, script)], night)
        files.append(("Scripts", gzip.compress(run, mtime=night * 86_400)))
    Path(path).write_bytes(xar(files))
    return Path(path)


def _package_info(package_id, app, bundle_id, version, kilobytes):
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<pkg-info format-version="2" identifier={quoteattr(package_id)} version={quoteattr(version)} '
        'install-location="/Applications" auth="root">'
        f"<bundle path={quoteattr(app)} id={quoteattr(bundle_id)} "
        f"CFBundleShortVersionString={quoteattr(version)} CFBundleVersion={quoteattr(version)}/>"
        f'<payload numberOfFiles="6" installKBytes="{kilobytes}"/></pkg-info>\n'
    )


def cpio_odc(members, night=0, owner=0):
    """An archive of (name, mode, bytes), as Apple's packages hold it."""
    out = bytearray()
    for number, (name, mode, data) in enumerate([*members, ("TRAILER!!!", 0, b"")], start=1 + 7 * night):
        raw = name.encode() + b"\0"
        head = (0o070707, 0, number, mode, owner, owner, 1, 0, night * 86_400, len(raw), len(data))
        widths = (6, 6, 6, 6, 6, 6, 6, 6, 11, 6, 11)
        out += "".join(f"{value:0{width}o}" for value, width in zip(head, widths, strict=True)).encode() + raw + data
    return bytes(out)


def xar(files):
    """A xar of (name, bytes), each stored as it is, with a SHA-1 checksum of the table of contents."""
    offset, entries, heap = 20, [], bytearray()
    for number, (name, data) in enumerate(files, start=1):
        digest = hashlib.sha1(data).hexdigest()
        entries.append(
            f'<file id="{number}"><data><length>{len(data)}</length><offset>{offset}</offset><size>{len(data)}</size>'
            '<encoding style="application/octet-stream"/>'
            f'<extracted-checksum style="sha1">{digest}</extracted-checksum>'
            f'<archived-checksum style="sha1">{digest}</archived-checksum>'
            f"</data><type>file</type><name>{name}</name></file>"
        )
        heap += data
        offset += len(data)
    toc = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<xar><toc><creation-time>2024-01-01T00:00:00</creation-time>'
        '<checksum style="sha1"><offset>0</offset><size>20</size></checksum>' + "".join(entries) + "</toc></xar>"
    ).encode()
    packed = zlib.compress(toc)
    head = struct.pack(">4sHHQQI", b"xar!", 28, 1, len(packed), len(toc), 1)
    return head + packed + hashlib.sha1(packed).digest() + bytes(heap)
