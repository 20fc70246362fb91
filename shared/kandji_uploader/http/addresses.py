"""What an address says about where a request goes; and what the environment says about the way there."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""Each may name the file of certificate authorities that are trusted; the first that is set holds."""
_PROXY_ENDING = "_proxy"


def split(url: str) -> SplitResult:
    """The parts of an address; all of it as the path where it is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return SplitResult("", "", url, "", "")
    return parts


def is_loopback(host: str | None) -> bool:
    """Whether a host name or address never leaves this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def safe_address(url: str) -> bool:
    """Whether nobody on the way can read data sent to an address: https, or this machine."""
    parts = split(url)
    plain = parts.scheme == "http" and is_loopback(parts.hostname)
    return bool(parts.hostname) and parts.port != 0 and (plain or parts.scheme == "https")


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: who gets the request."""
    parts = split(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def shown(url: str | None) -> str:
    """An address as error texts show it: without a login or a query, either of which may hold a secret."""
    parts = split(url or "")
    host = parts.netloc.rsplit("@", 1)[-1]
    return f"{parts.scheme}://{host}{parts.path}" if host else str(url)[:100]


def way_out(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that name certificate authorities and proxies, without a proxy that has a password in it.

    They are what a file that others may read can hold; a program that is not to know our passwords can have them too.
    """
    return {
        name: value
        for name, value in environ.items()
        if name in CA_VARIABLES or (name.lower().endswith(_PROXY_ENDING) and "@" not in value)
    }
