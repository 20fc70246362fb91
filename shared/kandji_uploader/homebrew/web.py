"""Careful HTTP for public files: no credentials, https at every hop, tries within a budget, time-outs on silence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from kandji_uploader.errors import CaskError, NetworkError
from kandji_uploader.http.addresses import safe_address, shown, split
from kandji_uploader.http.session import Session
from kandji_uploader.http.tries import Policy, RetryableError, retry_after, with_tries

if TYPE_CHECKING:
    from kandji_uploader.http.session import Response

_REDIRECTS = (301, 302, 303, 307, 308)
_WORTH_ANOTHER_TRY = (408, 425, 429, 500, 502, 503, 504)
_CHECK = "HTTPS_PROXY where a proxy is needed"


@dataclass(frozen=True)
class Arriving:
    """An answer whose body is still to be read.

    Attributes:
        response: status and headers.
        session: what it comes through.
    """

    response: Response
    session: Session

    def blocks(self) -> Iterator[bytes]:
        """The body as it comes in, not decoded.

        Raises:
            PassingError: the connection broke, fell silent, or ended early.
        """
        return self.session.blocks(shown(self.response.url), self.response, decoded=False)

    def whole(self) -> bytes:
        """The body in one piece. Raises NetworkError as `Session.whole`."""
        return self.session.whole(shown(self.response.url), self.response)


@contextlib.contextmanager
def get(url: str, headers: Mapping[str, str], policy: Policy, *, file: bool = False) -> Iterator[Arriving]:
    """The answer to a GET, its body still to be read; redirects are followed.

    Headers that are the first host's business (cookies and the cask's own) stay with it.

    Args:
        url: where it is.
        headers: of the request.
        policy: time-outs and limits.
        file: whether it is an installer, whose bytes count as they are, and which may take hours.

    Raises:
        PassingError: not reached, or an answer that is worth another try.
        CaskError: an address that is not https, or too many redirects.
    """
    # `identity`: the bytes must be those that the sha256 is of, and that a byte range counts.
    headers = {"Accept-Encoding": "identity", **headers} if file else headers
    with Session(policy, _CHECK, body_timed=not file) as session:
        first = _checked_host(url)
        for _ in range(policy.redirects + 1):
            kept = headers if _checked_host(url) == first else _for_other_hosts(headers)
            response = session.open(shown(url), "GET", url, headers=kept)
            if response.status_code not in _REDIRECTS or not response.headers.get("Location"):
                break
            response.close()
            url = _joined(url, response.headers["Location"])
        else:
            raise CaskError(f"{shown(url)}: more than {policy.redirects} redirects; the address leads in circles")
        with response:
            if response.status_code in _WORTH_ANOTHER_TRY:
                raise RetryableError(
                    f"{shown(url)} answered HTTP {response.status_code}. Try again later", retry_after(response.headers)
                )
            yield Arriving(response, session)


def get_json(url: str, policy: Policy) -> Any:
    """The JSON at an address; None for HTTP 404.

    Raises:
        NetworkError: not reached, or not JSON.
    """

    def attempt() -> Any:
        with get(url, {"Accept": "application/json"}, policy) as arriving:
            status = arriving.response.status_code
            if status == 404:  # noqa: PLR2004
                return None
            if status != 200:  # noqa: PLR2004
                raise NetworkError(f"{shown(url)} answered HTTP {status}; is HOMEBREW_API_DOMAIN right?")
            body = arriving.whole()
        return _as_json(body, url)

    return with_tries(policy, attempt)


def _as_json(body: bytes, url: str) -> Any:
    import json

    try:
        return json.loads(body)
    except ValueError:
        raise NetworkError(
            f"{shown(url)} did not answer with JSON; is a proxy or a captive portal in between?"
        ) from None


def _checked_host(url: str) -> str:
    """Host and port of an address that may be asked.

    Raises:
        CaskError: it is none, has a login in it, or is neither https nor loopback.
    """
    parts = split(url)
    if not parts.hostname or parts.username or parts.password:
        raise CaskError(
            f"{shown(url)} is no address that is downloaded from; it must be https://HOST/... without a login"
        )
    if not safe_address(url):
        raise CaskError(
            f"{shown(url)} is not https; it is not downloaded from. Download the installer yourself, check it and "
            "publish the file"
        )
    return parts.netloc


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def _for_other_hosts(headers: Mapping[str, str]) -> dict[str, str]:
    kept = ("User-Agent", "Accept", "Accept-Encoding", "Range", "If-Range")
    return {name: value for name, value in headers.items() if name in kept}
