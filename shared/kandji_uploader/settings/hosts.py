"""The address of the API, and that of the console, which follows from it without a request."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from kandji_uploader._util.names import LONGEST_NAME
from kandji_uploader.http.addresses import is_loopback
from kandji_uploader.settings.coercion import UnfitError, text

PLACEHOLDER = "TENANT"
_API_HOST = re.compile(r"(?P<tenant>[a-z0-9]([a-z0-9-]*[a-z0-9])?)\.api(?P<eu>\.eu)?\.(?P<domain>kandji\.io|iru\.com)")
_CONSOLE_HOST = re.compile(r"(?P<tenant>[a-z0-9-]+)(?P<eu>\.eu)?\.(?P<domain>kandji\.io|iru\.com)")
_TENANT = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_DOMAINS = ("kandji.io", "iru.com")
_ACCEPTED = "must be TENANT.api.kandji.io, TENANT.api.eu.kandji.io, TENANT.api.iru.com or TENANT.api.eu.iru.com"


def is_placeholder(value: object) -> bool:
    """Whether this is the address as a config file is shipped, with `TENANT` not yet replaced."""
    return isinstance(value, str) and PLACEHOLDER in re.split(r"[./]", value)


def completed(text: str) -> tuple[str, ...]:
    """The API hosts that a person may mean by a tenant's name or by an address of its console; else the text itself.

    Which of several it is, only a request tells: neither a name nor a console on iru.com says in which region it is.
    """
    host = re.split(r"[/?#]", re.sub(r"^https://", "", text.strip().lower()), maxsplit=1)[0]
    console = _CONSOLE_HOST.fullmatch(host)
    if console and not console["eu"] and console["domain"] == "iru.com":
        return tuple(f"{console['tenant']}.api{region}.iru.com" for region in ("", ".eu"))
    if console:
        return (f"{console['tenant']}.api{console['eu'] or ''}.{console['domain']}",)
    if _TENANT.fullmatch(text.strip().lower()) and host not in ("localhost", PLACEHOLDER.lower()):
        return tuple(f"{host}.api{region}.{domain}" for domain in _DOMAINS for region in ("", ".eu"))
    return (text,)


def api_url(value: object) -> str:
    """`https://HOST` of a tenant, or `http://HOST:PORT` on loopback, without a trailing slash.

    Raises:
        UnfitError: it is no address of the API. A user name, password or token in it is not shown.
    """
    if is_placeholder(value):
        raise UnfitError(f"still holds the placeholder {PLACEHOLDER}; write your tenant's subdomain instead")
    found = text(value)
    if "@" in found or len(found) > LONGEST_NAME or not re.search(r"[.:]|localhost", found):
        raise UnfitError(f"{_ACCEPTED}, without a user name, password or token", secret=True)
    parts, port = _split(found)
    if parts.path.strip("/") or parts.query or parts.fragment:
        # Not shown: what follows the host may be a secret, as in the address of a webhook.
        raise UnfitError(f"must end after the host name: {parts.hostname or 'TENANT.api.kandji.io'}", secret=True)
    host = parts.hostname or ""
    if is_loopback(host):
        shown_host = f"[{host}]" if ":" in host else host
        return f"{parts.scheme}://{shown_host}:{port}" if port else f"{parts.scheme}://{shown_host}"
    return _tenant(parts.scheme, host, port)


def _split(found: str) -> tuple[SplitResult, int | None]:
    if "://" not in found:
        loopback = is_loopback(re.split(r"[:/]", found)[0])
        found = f"{'http' if loopback else 'https'}://{found}"
    try:
        parts = urlsplit(found)
        port = parts.port
    except ValueError:
        raise UnfitError(_ACCEPTED) from None
    if parts.scheme not in ("http", "https"):
        raise UnfitError(f"{_ACCEPTED}, with https:// or nothing in front")
    return parts, port


def _tenant(scheme: str, host: str, port: int | None) -> str:
    if not _API_HOST.fullmatch(host):
        console = _CONSOLE_HOST.fullmatch(host)
        meant = f"; did you mean {console['tenant']}.api{console['eu'] or ''}.{console['domain']}?" if console else ""
        raise UnfitError(f"{_ACCEPTED}{meant}")
    if scheme == "http":
        raise UnfitError(f"would send the token unencrypted; write https://{host}")
    if port not in (None, 443):
        raise UnfitError(f"must not name a port; write https://{host}")
    return f"https://{host}"


def console_link(api_url: str, app_id: str, *, moved: bool = False) -> str:
    """The address of a Custom App in the console.

    Args:
        api_url: of the tenant.
        app_id: the Custom App's id.
        moved: whether the console of a tenant at kandji.io is at iru.com now, where no region has a name.
    """
    parts = urlsplit(api_url)
    known = _API_HOST.fullmatch(parts.hostname or "")
    if known is None:
        return f"{api_url}/library/custom-apps/{app_id}"
    domain = "iru.com" if moved else known["domain"]
    region = (known["eu"] or "") if domain == "kandji.io" else ""
    return f"https://{known['tenant']}{region}.{domain}/library/custom-apps/{app_id}"
