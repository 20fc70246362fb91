"""What is read from the service's JSON."""

from __future__ import annotations

from kandji_uploader._util.secret import Secret
from kandji_uploader.kandji.answers import Fields, custom_app
from kandji_uploader.kandji.transport import Answer

ROW = {
    "id": "5d6a4e9b-3f4e-4b8a-9a54-1f5c2e7d8b90",
    "name": "Firefox",
    "file_url": "https://store.example.com/Firefox.pkg?X-Amz-Signature=secret",
    "motto": "half of a pair: \ud83e",
    "is_old": True,
    "rank": 5,
    "tags": ["a"],
    "nothing": None,
}


def test_texts_and_flags_that_no_code_knows_are_kept_but_not_the_address_of_the_installer():
    app = custom_app(Fields(Answer("GET library/custom-apps", 200, "", Secret("token")), ROW))
    assert dict(app.further) == {"motto": "half of a pair: ?", "is_old": True}
    assert [app.value(name) for name in ("name", "motto", "is_old", "rank")] == [
        "Firefox",
        app.further["motto"],
        True,
        None,
    ]
    assert "half" not in repr(app)
