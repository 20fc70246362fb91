"""The upload form: its length is known, it can be sent again, and it notices a file that changes."""

import email
import hashlib

import pytest

from kandji_uploader._util.files import identity
from kandji_uploader._util.prehash import PartialDigest
from kandji_uploader.errors import InstallerError
from kandji_uploader.kandji.upload import UploadForm


@pytest.fixture
def installer(tmp_path):
    path = tmp_path / 'Größe "1".pkg'
    path.write_bytes(bytes(range(256)) * 9000)
    return path


def whole(form, block=65_536):
    return b"".join(iter(lambda: bytes(form.read(block)), b""))


def parts_of(form, body):
    head = f"Content-Type: {form.content_type}\r\n\r\n".encode()
    return email.message_from_bytes(head + body).get_payload()


@pytest.mark.parametrize("block", [1, 100, 65_536, 10_000_000])
def test_length_is_what_is_read_whatever_the_block_size(tmp_path, block):
    path = tmp_path / "a.pkg"
    path.write_bytes(b"x" * 300)
    with UploadForm(path, {"key": "k"}) as form:
        assert len(form) == len(whole(form, block))


def test_every_field_comes_first_and_the_file_last(installer):
    fields = {"key": "companies/x", "policy": "a+b=/\u00e9", "x-amz-signature": "s"}
    with UploadForm(installer, fields) as form:
        parts = parts_of(form, whole(form))
    names = [part.get_param("name", header="content-disposition") for part in parts]
    assert names == ["key", "policy", "x-amz-signature", "file"]
    assert parts[1].get_payload(decode=True) == "a+b=/\u00e9".encode()
    assert parts[3].get_payload(decode=True) == installer.read_bytes()


def test_digest_is_that_of_the_bytes_sent(installer):
    with UploadForm(installer, {}) as form:
        whole(form)
        assert form.sha256 == hashlib.sha256(installer.read_bytes()).hexdigest()


def test_a_rewound_form_sends_the_same_bytes_again(installer):
    with UploadForm(installer, {"key": "k"}) as form:
        form.read(100_000)
        form.seek(0)
        again = whole(form)
        assert len(again) == len(form)
        assert form.sha256 == hashlib.sha256(installer.read_bytes()).hexdigest()


def test_only_the_start_can_be_sought(installer):
    with UploadForm(installer, {}) as form, pytest.raises(ValueError, match="start"):
        form.seek(10)


def test_a_file_that_shrinks_while_it_is_sent_is_noticed(installer):
    with UploadForm(installer, {}) as form:
        form.read(1000)
        with installer.open("r+b") as file:
            file.truncate(5)
        with pytest.raises(InstallerError, match="replaced or changed"):
            whole(form)


def test_a_file_that_grows_while_it_is_sent_is_noticed(installer):
    with UploadForm(installer, {}) as form:
        with installer.open("ab") as file:
            file.write(b"more")
        whole(form)
        with pytest.raises(InstallerError, match="changed"):
            form.check_unchanged()


def test_a_file_that_is_replaced_while_it_is_sent_is_noticed(installer):
    with UploadForm(installer, {}) as form:
        installer.unlink()
        with pytest.raises(InstallerError, match="changed"):
            form.check_unchanged()


def test_progress_ends_at_the_size_of_the_file(installer):
    told = []
    with UploadForm(installer, {}, lambda sent, total: told.append((sent, total))) as form:
        whole(form)
    size = installer.stat().st_size
    assert told[-1] == (size, size)
    assert told == sorted(told)


def test_a_quote_in_the_file_name_cannot_end_the_header(installer):
    with UploadForm(installer, {}) as form:
        head = bytes(form.read(10_000)).split(b"\r\n\r\n", maxsplit=1)[0]
    assert b'filename="Gr\xc3\xb6\xc3\x9fe %221%22.pkg"' in head


def begun(path, size):
    """As if the thread that digests ahead had come so far."""
    with path.open("rb") as file:
        return PartialDigest(hashlib.sha256(file.read(size)), size, identity(path))


@pytest.mark.parametrize("size", [0, 1, 262_144, 300_000, 2_303_999, 2_304_000])
def test_a_digest_begun_before_the_upload_is_gone_on_with_from_where_it_was(installer, size):
    with UploadForm(installer, {"key": "k"}, begun=begun(installer, size)) as form:
        first = whole(form)
        assert form.sha256 == hashlib.sha256(installer.read_bytes()).hexdigest()
        form.seek(0)
        assert whole(form) == first
        assert form.sha256 == hashlib.sha256(installer.read_bytes()).hexdigest()


def test_a_file_that_is_not_the_one_that_a_digest_was_begun_of_is_not_sent(installer):
    before = begun(installer, 300_000)
    installer.write_bytes(b"another" * 100_000)
    with pytest.raises(InstallerError, match="replaced or changed"), UploadForm(installer, {}, begun=before):
        pass
