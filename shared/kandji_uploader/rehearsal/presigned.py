"""Upload tickets: presigned POST forms as S3 has them. The policy in the form says what may be sent, and until when.

Nothing is remembered of a ticket; the store reads it from the form, as S3 does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from kandji_uploader.rehearsal.clock import stamp
from kandji_uploader.rehearsal.state import TenantState

FIELDS = (
    "key",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-security-token",
    "policy",
    "x-amz-signature",
)
"""The fields of a form, beside the file."""

_SIGNED = ("policy", "x-amz-signature")


def issue(state: TenantState, file_name: str, store: str, seconds: float) -> dict[str, Any]:
    """The answer to a request for an upload: name, expires, post_url, post_data and file_key."""
    now = state.clock.now()
    expires = stamp(now + timedelta(seconds=seconds))
    key = state.new_key(file_name)
    fields = {
        "key": key,
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"REHEARSAL/{now:%Y%m%d}/us-east-1/s3/aws4_request",
        "x-amz-date": f"{now:%Y%m%dT%H%M%SZ}",
        "x-amz-security-token": base64.b64encode(hashlib.sha256(key.encode()).digest()).decode(),
    }
    policy = base64.b64encode(json.dumps({"expiration": expires, "conditions": [fields]}).encode()).decode()
    fields |= {"policy": policy, "x-amz-signature": _signature(state, policy)}
    return {"name": file_name, "expires": expires, "post_url": f"{store}/store", "post_data": fields, "file_key": key}


def refusal(state: TenantState, fields: Mapping[str, str]) -> tuple[int, str, str] | None:
    """Why the store does not take a form: status, S3's code and text; None where it does."""
    missing = [name for name in FIELDS if not fields.get(name)]
    if missing:
        return 400, "InvalidArgument", f"Bucket POST must contain a field named '{missing[0]}'."
    if not hmac.compare_digest(fields["x-amz-signature"].encode(), _signature(state, fields["policy"]).encode()):
        return (
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        )
    try:
        policy = json.loads(base64.b64decode(fields["policy"], validate=True))
    except (ValueError, binascii.Error):
        return 400, "InvalidPolicyDocument", "Invalid Policy: Invalid JSON."
    if state.clock.now() >= read_stamp(policy["expiration"]):
        return 403, "AccessDenied", "Invalid according to Policy: Policy expired."
    allowed = policy["conditions"][0]
    for name, value in fields.items():
        if name not in _SIGNED and allowed.get(name) != value:
            condition = f'["eq", "${name}", "{allowed.get(name, "")}"]'
            return 403, "AccessDenied", f"Invalid according to Policy: Policy Condition failed: {condition}"
    return None


def age(uploaded_at: str, now: datetime) -> float:
    """Seconds since a time of the API."""
    return (now - read_stamp(uploaded_at)).total_seconds()


def read_stamp(text: str) -> datetime:
    """A time as the API writes it."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)


def _signature(state: TenantState, policy: str) -> str:
    secret: str = state.tenant["secret"]
    return hmac.new(secret.encode(), policy.encode(), hashlib.sha256).hexdigest()
